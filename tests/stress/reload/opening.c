/* stress/reload/opening.c: an open() that takes long holds up nobody but the reload that waits for it.
 *
 * Each new stage `n`, or replica of `b`, waits in its open() at a gate. Beside it runs a line whose
 * source a timer wakes, which is the control thread's. */
#include "common.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TICKS                                                                                  \
	"stage t = source(pause=1ms, burst=1)\nstage u = sink()\nt -> u\n"                     \
	"stage a = source(burst=4, pause=1ms)\nstage c = sink()\n"
#define LINE TICKS "a -> c\n"
#define MORE TICKS "stage n = pass(waits=1, live=5)\na -> n -> c\n"
#define CROWD                                                                                  \
	"stage t = source(pause=1ms, burst=1)\nstage u = sink()\nt -> u\n"                     \
	"stage a = source(burst=4, pause=1ms, count=400)\nstage c = sink()\n"                  \
	"a -> b -> c\nstage b = pass(waits=1) "

#define SLOW "stage a = source(burst=1, pause=20ms)\nstage c = sink()\na -> b -> c\n"

static pthread_t thread;
static int result;
static char *why;

static void *ask(void *timeout_ns)
{
	struct pc_reload_options o = {.size = sizeof(o), .timeout_ns = *(int64_t *)timeout_ns};
	struct pc_error *err = NULL;

	result = pc_graph_reload(graph, NULL, &o, NULL, &err);
	why = strdup(err ? pc_error_text(err) : "");
	pc_error_free(err);
	return NULL;
}

/* Until an open() of it waits at the gate. */
static void begin_reload(const char *text, int64_t timeout_ns)
{
	static int64_t timeout;

	timeout = timeout_ns;
	gate_shut(0);
	write_text(text);
	if (pthread_create(&thread, NULL, ask, &timeout))
		abort();
	gate_shut(1);
}

static bool end_reload(int expected, const char *words)
{
	bool right;

	pthread_join(thread, NULL);
	right = result == expected && strstr(why, words);
	if (!right)
		printf("# %d: %s\n", result, why);
	free(why);
	return right;
}

static void ticks(unsigned more)
{
	uint64_t before = stage_taken("u");

	while (stage_taken("u") < before + more)
		wait_seen(1);
}

static bool has_ended(const char *name)
{
	struct pc_stage_row row;

	for (size_t i = 0; pc_graph_stage(graph, i, &row, sizeof(row)); i++)
		if (strcmp(row.name, name) == 0)
			return strcmp(row.state, "ended") == 0 ||
			       strcmp(row.state, "closing") == 0;
	return false;
}

#define LONG INT64_C(100000000000)

static void goes_on(void)
{
	start(LINE);
	wait_seen(100);
	begin_reload(MORE, LONG);
	ticks(50);
	report(atomic_load(&last_live) == 0,
	       "a stage is being opened: timers go on, as before");
	gate_open();
	report(end_reload(PC_OK, ""), "when it is open the graph is changed");
	while (atomic_load(&last_live) != 5)
		wait_seen(1);
	stop_and_check("all items, in order", PC_STOP_DRAIN, true);
}

/* The time-out is for those who shall stand still, and begins when all is open. */
static void longer_than_the_timeout(void)
{
	start(LINE);
	begin_reload(MORE, INT64_C(20000000));
	ticks(100);
	gate_open();
	report(end_reload(PC_OK, ""), "an open() that takes longer than the time-out");
	wait_seen(100);
	stop_and_check("longer than the time-out: all items, in order", PC_STOP_DRAIN, true);
}

static void fails(void)
{
	start(LINE);
	begin_reload(TICKS "stage n = pass(waits=1, fails=1)\na -> n -> c\n", LONG);
	ticks(10);
	gate_open();
	report(end_reload(PC_WRONG, "told to fail"), "an open() that fails in the end");
	report(reload(TICKS "stage n = pass(live=6)\na -> n -> c\n") == PC_OK,
	       "and the next reload");
	wait_seen(100);
	stop_and_check("failed: all items, in order", PC_STOP_DRAIN, true);
}

/* All other stages end; then open() comes back. */
static void stopped(int how, const char *what)
{
	start(LINE);
	wait_seen(100);
	begin_reload(MORE, LONG);
	pc_graph_stop(graph, how);
	while (!has_ended("a") || !has_ended("c") || !has_ended("t") || !has_ended("u"))
		usleep(1000);
	gate_open();
	report(end_reload(PC_STOPPED, "nothing was changed"), what);
	if (how == PC_STOP_DRAIN)
		stop_and_check("stopped: all items, in order", how, true);
	else
		pc_graph_free(graph);
}

/* plug.c aborts when something of a stage is opened or closed beside something else of it. */
static void closes_meanwhile(void)
{
	start(CROWD "replicas=2\n");
	begin_reload(CROWD "replicas=3\n", LONG);
	while (!has_ended("b"))
		ticks(1);
	ticks(20);
	gate_open();
	/* of the stage; or of its queue, when the control thread has not heard yet */
	report(end_reload(PC_WRONG, "ended"),
	       "a stage ends while another replica of it is being opened");
	stop_and_check("what has ended is closed after that: each item once", PC_STOP_DRAIN,
	               false);
}

static void *swap_to_bomb(void *file)
{
	struct pc_swap_options o = {.size = sizeof(o), .timeout_ns = LONG};

	pc_graph_swap(graph, "b", file, &o, NULL, 0,
	              NULL); /* it is answered before that, or not */
	return NULL;
}

/* A build is on probation, and fails while the replica that was made with it is opened. */
static void fails_meanwhile(const char *folder)
{
	char bomb[512];
	pthread_t swap;

	snprintf(bomb, sizeof(bomb), "%s/bomb.so", folder);
	start(SLOW "stage b = pass() replicas=2\n");
	wait_seen(5);
	if (pthread_create(&swap, NULL, swap_to_bomb, bomb))
		abort();
	while (atomic_load(&last_live) != 200)
		wait_seen(1);
	begin_reload(SLOW "stage b = pass(live=7) replicas=3\nstage n = pass(waits=1)\n"
	                  "stage v = source(pause=1ms)\nv -> n -> c\n",
	             LONG);
	atomic_store(&bomb_armed, true);
	while (atomic_load(&last_live) != 0)
		wait_seen(1);
	gate_open();
	report(end_reload(PC_OK, ""),
	       "a build fails on probation while a stage is being opened");
	pthread_join(swap, NULL);
	while (atomic_load(&last_live) != 7)
		wait_seen(1);
	stop_and_check("failed meanwhile: all items", PC_STOP_DRAIN, false);
}

int main(int argc, char **argv)
{
	begin(argc, argv);
	fails_meanwhile(argv[1]);
	goes_on();
	longer_than_the_timeout();
	fails();
	stopped(PC_STOP_DRAIN, "drained while a stage is being opened");
	stopped(PC_STOP_NOW, "stopped at once while a stage is being opened");
	closes_meanwhile();
	return end();
}
