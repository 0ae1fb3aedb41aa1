/* stress/reload/closing.c: a close() that does not come back does not hold up the others.
 *
 * Each stage `b` waits in its close() at a gate. Beside it runs a line whose source a timer wakes,
 * which is the control thread's. */
#include "common.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define BESIDE "stage t = source(pause=1ms, burst=1)\nstage u = sink()\nt -> u\n"
#define LINE   "stage a = source()\nstage c = sink()\n" BESIDE

static const char with[] = "stage b = pass(lingers=1)\n" LINE "a -> b -> c\n";
static const char many[] = "stage b = pass(lingers=1) replicas=4\n" LINE "a -> b -> c\n";
static const char other[] = "stage b = pass(lingers=1, hold=3)\n" LINE "a -> b -> c\n";
static const char without[] = LINE "a -> c\n";

/* Somebody waits at the gate, and the line beside goes on, as do reloads of it. */
static bool goes_on(const char *text)
{
	char more[1024];
	uint64_t before = stage_taken("u");

	gate_shut(1);
	while (stage_taken("u") < before + 50)
		wait_seen(1);
	snprintf(more, sizeof(more), "%sstage v = source(pause=1ms)\nv -> u\n", text);
	return reload(more) == PC_OK && reload(text) == PC_OK;
}

static void removed(void)
{
	start(with);
	wait_seen(1000);
	gate_shut(0);
	report(reload(without) == PC_OK && goes_on(without),
	       "a removed stage is in its close(): timers and reloads go on");
	gate_open();
	wait_seen(1000);
	stop_and_check("a removed stage: all items, once", PC_STOP_DRAIN, false);
}

static void left(void)
{
	bool right;

	start(many);
	wait_seen(1000);
	gate_shut(0);
	right = reload(with) == PC_OK && goes_on(with);
	report(right, "a replica that has left is in its close(): timers and reloads go on");
	gate_open();
	report(reload(many) == PC_OK, "its place is given to another when it has come back");
	wait_seen(1000);
	stop_and_check("replicas that left: all items, once", PC_STOP_DRAIN, false);
}

static void succeeded(void)
{
	uint64_t taken;

	start(with);
	wait_seen(1000);
	gate_shut(0);
	report(reload(other) == PC_OK && goes_on(other),
	       "a stage that is replaced is in its close(): timers and reloads go on");
	taken = stage_taken("b");
	gate_open();
	report(taken == 0, "and the one that takes its place has not begun");
	while (stage_taken("b") < 100)
		wait_seen(1);
	stop_and_check("a stage that is replaced: all items, once", PC_STOP_DRAIN, false);
}

int main(int argc, char **argv)
{
	begin(argc, argv);
	removed();
	left();
	succeeded();
	return end();
}
