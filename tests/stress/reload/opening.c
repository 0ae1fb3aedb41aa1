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

#define TICKS                                                                                  \
	"stage t = source(pause=1ms, burst=1)\nstage u = sink()\nt -> u\n"                     \
	"stage a = source(burst=4, pause=1ms)\nstage c = sink()\n"
#define LINE TICKS "a -> c\n"
#define MORE TICKS "stage n = pass(waits=1, live=5)\na -> n -> c\n"
#define CROWD                                                                                  \
	"stage t = source(pause=1ms, burst=1)\nstage u = sink()\nt -> u\n"                     \
	"stage a = source(burst=4, pause=1ms, count=400)\nstage c = sink()\n"                  \
	"a -> b -> c\nstage b = pass(waits=1) "

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

static void *open_the_gate(void *unused)
{
	gate_open();
	return unused;
}

static void stopped(int how, const char *what)
{
	pthread_t opener;

	start(LINE);
	wait_seen(100);
	begin_reload(MORE, LONG);
	pc_graph_stop(graph, how);
	if (pthread_create(&opener, NULL, open_the_gate, NULL))
		abort();
	pthread_join(opener, NULL);
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
	while (stage_taken("b") < 400)
		wait_seen(1);
	ticks(50);
	gate_open();
	report(end_reload(PC_WRONG, "stage 'b' has ended while another replica"),
	       "a stage ends while another replica of it is being opened");
	stop_and_check("what has ended is closed after that: each item once", PC_STOP_DRAIN,
	               false);
}

int main(int argc, char **argv)
{
	begin(argc, argv);
	goes_on();
	longer_than_the_timeout();
	fails();
	stopped(PC_STOP_DRAIN, "drained while a stage is being opened");
	stopped(PC_STOP_NOW, "stopped at once while a stage is being opened");
	closes_meanwhile();
	return end();
}
