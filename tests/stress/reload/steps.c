/* stress/reload/steps.c: each kind of change, under load, one by one. */
#include "common.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE "stage a = source()\nstage b = pass(live=1)\nstage c = sink()\n"

static void unchanged(void)
{
	start(LINE "a -> b -> c\n");
	wait_seen(1000);
	report(reload("# a comment\n" LINE "a -> b -> c\n") == PC_OK && !*reload_text,
	       "nothing differs: nothing is done");
	report(reload_dry(LINE "a -> b -> c [capacity=3]\n") == PC_OK && *reload_text,
	       "a dry run says what would change");
	report(reload(LINE "a -> b -> c [capacity=3") == PC_WRONG &&
	               strstr(pc_error_text(reload_error), ":4:"),
	       "a wrong file is reported with its place");
	wait_seen(1000);
	stop_and_check("what was refused has left no trace", PC_STOP_DRAIN, true);
}

static void live(void)
{
	uint64_t before;

	start(LINE "a -> b -> c\n");
	wait_seen(1000);
	before = stage_taken("b");
	report(reload("stage a = source(burst=3)\nstage b = pass(live=7)\nstage c = sink()\n"
	              "a -> b -> c\n") == PC_OK,
	       "live parameters");
	while (atomic_load(&last_live) != 7)
		wait_seen(100);
	report(stage_taken("b") > before, "they reach the stage, which goes on");
	stop_and_check("live parameters: all items", PC_STOP_DRAIN, true);
}

static void capacity(void)
{
	start(LINE "a -> b [capacity=4]\nb -> c [capacity=2]\n");
	wait_seen(1000);
	report(reload(LINE "a -> b [capacity=4000]\nb -> c\n") == PC_OK, "capacity up");
	wait_seen(10000);
	report(reload(LINE "a -> b [capacity=1]\nb -> c [capacity=1]\n") == PC_OK,
	       "capacity down");
	wait_seen(10000);
	report(reload(LINE "a -> b [capacity=100, full=block]\nb -> c [capacity=50]\n") ==
	               PC_OK,
	       "and up again");
	wait_seen(1000);
	stop_and_check("capacity: all items, in order", PC_STOP_DRAIN, true);
}

static void replicas(void)
{
	const char *const texts[] = {
		"stage a = source()\nstage b = pass() replicas=3\nstage c = sink() replicas=2\n"
		"a -> b -> c\n",
		"stage a = source()\nstage b = pass() replicas=1\nstage c = sink() replicas=4\n"
		"a -> b -> c\n",
		"stage a = source()\nstage b = pass() replicas=4\nstage c = sink()\na -> b -> "
		"c\n"};

	start(LINE "a -> b -> c\n");
	for (int i = 0; i < 30; i++) {
		wait_seen(500);
		if (reload(texts[i % 3]) != PC_OK)
			report(false, pc_error_text(reload_error));
	}
	wait_seen(1000);
	stop_and_check("replicas up and down: each item once", PC_STOP_DRAIN, false);
	start("stage a = source()\nstage b = pass() replicas=3 ordered\nstage c = sink()\na -> "
	      "b "
	      "-> c\n");
	for (int i = 0; i < 20; i++) {
		wait_seen(500);
		if (reload(i % 2 ? "stage a = source()\nstage b = pass() replicas=3 ordered\n"
		                   "stage c = sink()\na -> b -> c\n"
		                 : "stage a = source()\nstage b = pass() replicas=2 ordered\n"
		                   "stage c = sink()\na -> b -> c [capacity=7]\n") != PC_OK)
			report(false, pc_error_text(reload_error));
	}
	stop_and_check("replicas of an ordered stage: in order", PC_STOP_DRAIN, true);
}

/* A stage put between two others, and taken out again. */
static void between(void)
{
	const char *with = "stage a = source()\nstage b = pass(hold=9)\nstage c = sink()\n"
			   "a -> b -> c\n";
	const char *without = "stage a = source()\nstage c = sink()\na -> c [capacity=20]\n";

	start(with);
	for (int i = 0; i < 40; i++) {
		wait_seen(200);
		if (reload(i % 2 ? with : without) != PC_OK)
			report(false, pc_error_text(reload_error));
	}
	wait_seen(200);
	stop_and_check("a stage that comes and goes: all items, in order", PC_STOP_DRAIN, true);
}

static void sources_and_sinks(void)
{
	const char *const texts[] = {
		"stage a = source()\nstage x = source()\nstage b = pass()\nstage c = "
		"sink()\na, x "
		"-> b -> c\n",
		"stage x = source()\nstage b = pass()\nstage d = sink()\nx -> b -> d\n",
		"queue q capacity=9\nstage y = source()\nstage d = sink()\nstage e = sink()\n"
		"y -> q -> d, e\n",
		"queue q capacity=90\nstage y = source()\nstage e = sink()\nstage b = pass()\n"
		"y -> b -> q -> e\n"};

	start(LINE "a -> b -> c\n");
	for (int i = 0; i < 40; i++) {
		wait_seen(300);
		if (reload(texts[i % 4]) != PC_OK)
			report(false, pc_error_text(reload_error));
	}
	wait_seen(300);
	stop_and_check("sources, sinks and queues come and go: each item once", PC_STOP_DRAIN,
	               false);
}

static void replaced(void)
{
	char text[200];

	start(LINE "a -> b -> c\n");
	for (int i = 0; i < 40; i++) {
		wait_seen(300);
		snprintf(text, sizeof(text),
		         "stage a = source()\nstage b = pass(hold=%d)\nstage c = "
		         "sink(label=%d)\n"
		         "a -> b -> c\n",
		         i % 5 + 2, i % 3);
		if (reload(text) != PC_OK)
			report(false, pc_error_text(reload_error));
	}
	wait_seen(300);
	stop_and_check("a stage is replaced: what it held back comes first", PC_STOP_DRAIN,
	               true);
}

static void by_key(void)
{
	start("stage a = source()\nstage b = pass() replicas=2 by=item\nstage c = sink()\na -> "
	      "b "
	      "-> c\n");
	for (int i = 0; i < 20; i++) {
		char text[200];

		wait_seen(300);
		snprintf(text, sizeof(text),
		         "stage a = source()\nstage b = pass() replicas=%d by=item\n"
		         "stage c = sink()\na -> b -> c\n",
		         i % 4 + 2);
		if (reload(text) != PC_OK)
			report(false, pc_error_text(reload_error));
	}
	stop_and_check("another number of parts: each item once", PC_STOP_DRAIN, false);
}

static void fails(void)
{
	start(LINE "a -> b -> c\n");
	wait_seen(100);
	report(reload("stage a = source()\nstage b = pass(live=3)\nstage n = pass(fails=1)\n"
	              "stage c = sink()\na -> b -> n -> c\n") == PC_WRONG &&
	               strstr(pc_error_text(reload_error), "told to fail"),
	       "an open() that fails refuses the whole");
	wait_seen(1000);
	report(atomic_load(&last_live) == 1, "and nothing of it was done");
	report(reload(LINE "shared s = dict()\na -> b -> c\n") == PC_WRONG,
	       "what can not be added live is refused");
	stop_and_check("refused: all items, in order", PC_STOP_DRAIN, true);
}

/* The end of the stream of what a reload has made. */
static void ends(void)
{
	start(LINE "a -> b -> c\n");
	wait_seen(300);
	if (reload("stage a = source()\nstage x = source()\nstage b = "
	           "pass(hold=5)\nstage n = pass(hold=3) replicas=2\nstage c = sink()\n"
	           "stage d = sink() daemon\nqueue q\na -> b -> n -> c\nx -> q -> d\n"
	           "join j after a\n") != PC_OK)
		report(false, pc_error_text(reload_error));
	if (reload("stage a = source(count=40000)\nstage x = source(count=20000)\nstage b = "
	           "pass(hold=5)\nstage n = pass(hold=3) replicas=2\nstage c = sink()\n"
	           "stage d = sink() daemon\nqueue q\na -> b -> n -> c\nx -> q -> d\n"
	           "join j after a\n") != PC_OK)
		report(false, pc_error_text(reload_error));
	stop_and_check("a graph that has changed ends by itself", 0, false);
	start("stage a = source(count=3000)\nstage c = sink()\na -> c\n");
	while (pc_graph_wait(graph, INT64_C(1000000000), NULL) == PC_TIMEOUT)
		continue;
	report(reload("stage a = source(count=3000)\nstage c = sink()\na -> c "
	              "[capacity=2]\n") == PC_STOPPED,
	       "a graph that has ended is not changed");
	stop_and_check("it has ended well", 0, true);
}

/* One after the other, until the graph says that it is ending. */
static void *go_on_reloading(void *unused)
{
	const char *const texts[] = {
		LINE "a -> b -> c\n",
		"stage a = source()\nstage n = pass(hold=4)\nstage c = sink()\na -> n -> c\n"};
	int rc = PC_OK;

	(void)unused;
	for (int i = 0; rc == PC_OK; i++)
		rc = reload(texts[i % 2]);
	return rc == PC_STOPPED ? NULL : &graph;
}

static void stopped(void)
{
	for (int i = 0; i < 10; i++) {
		pthread_t t;
		void *bad;

		start(LINE "a -> b -> c\n");
		if (pthread_create(&t, NULL, go_on_reloading, NULL))
			abort();
		wait_seen(2000);
		pc_graph_stop(graph, PC_STOP_DRAIN);
		pthread_join(t, &bad);
		report(!bad, "a reload beside the end of the graph is told of it");
		stop_and_check("stopped while reloading: all items, in order", PC_STOP_DRAIN,
		               true);
	}
}

/* Of address space, in MiB. */
static long size_mib(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	long pages = 0;

	if (!file || fscanf(file, "%ld", &pages) != 1)
		pages = 0;
	if (file)
		fclose(file);
	return pages * (sysconf(_SC_PAGESIZE) / 1024) / 1024;
}

/* Replicas that leave take their threads with them, and their timers (AddressSanitizer would tell);
 * each comes again as another. */
static void threads(void)
{
	static const char few[] = "stage a = source(pause=1ms) replicas=1\n"
				  "stage b = pass() replicas=1 thread=own\nstage c = sink()\n"
				  "a -> b -> c\n";
	static const char many[] = "stage a = source(pause=1ms) replicas=3\n"
				   "stage b = pass() replicas=5 thread=own\nstage c = sink()\n"
				   "a -> b -> c\n";
	long before = 0;

	start(few);
	for (int i = 0; i < 60; i++) {
		wait_seen(50);
		if (reload(i % 2 ? few : many) != PC_OK)
			report(false, pc_error_text(reload_error));
		if (i == 9)
			before = size_mib();
	}
	/* 25 times four stacks of 8 MiB; those that wait to be used again are few */
	report(size_mib() - before < 300, "threads of replicas that left are gone");
	stop_and_check("replicas with threads up and down: each item once", PC_STOP_DRAIN,
	               false);
}

static bool wait_taken(const char *name, uint64_t n)
{
	struct timespec moment = {0, 1000000};

	for (int ms = 0; ms < 60000 && stage_taken(name) < n; ms++)
		nanosleep(&moment, NULL);
	return stage_taken(name) == n;
}

/* A join on a queue for whose end nobody has asked before, while daemons write and read it; and when
 * they have ended. What starts after it starts. */
static void joined(void)
{
	static const char *const before =
		"queue q capacity=200\nstage d = source(count=%u) daemon\n"
		"stage e = sink() daemon\nd -> q -> e\n"
		"stage a = source(pause=1ms)\nstage c = sink()\na -> c\n";
	char text[1000];
	bool all = true;

	for (int i = 0; i < 20 && all; i++) {
		unsigned count = i % 2 ? 5 : 20000;

		snprintf(text, sizeof(text), before, count);
		start(text);
		wait_seen(300);
		strcat(text, "join x after q\nstage f = source(count=5) start=x\n"
		             "stage g = sink()\nf -> g\n");
		if (reload(text) != PC_OK)
			report(false, pc_error_text(reload_error));
		all = wait_taken("g", 5) && wait_taken("e", count);
		stop_and_check("a join that comes: all items", PC_STOP_DRAIN, true);
	}
	report(all, "a join that comes passes when its queue is drained");
}

/* A stage gets one output more while what it has emitted has not left: there is no room behind. */
static void dead_letters(void)
{
#define CROWD                                                                                  \
	"stage a = source(burst=256)\nstage g = pass(gated=1) thread=own\nstage c = sink()\n"  \
	"a -> b -> g -> c [capacity=4]\n"
	start(CROWD "stage b = pass(together=64) replicas=4\n");
	wait_seen(50);
	gate_shut(1);
	usleep(20000);
	report(reload(CROWD
	              "stage b = pass(together=64) replicas=4 on_error=dead=bad\nqueue bad\n"
	              "stage d = sink()\nbad -> d\n") == PC_OK,
	       "a queue for what fails, while items wait to leave");
	gate_open();
	wait_seen(20000);
	stop_and_check("dead letters: all items", PC_STOP_DRAIN, false);
}

int main(int argc, char **argv)
{
	begin(argc, argv);
	dead_letters();
	unchanged();
	live();
	capacity();
	replicas();
	between();
	sources_and_sinks();
	replaced();
	by_key();
	fails();
	ends();
	stopped();
	threads();
	joined();
	return end();
}
