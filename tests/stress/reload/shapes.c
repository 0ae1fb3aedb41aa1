/* stress/reload/shapes.c: graphs whose ways part and meet again, go round, or wait for joins.
 *
 * Under load, with small queues, stages are put into the branches of such graphs and taken out,
 * and capacities change. It must go on: a deadlock ends the graph, and is seen. RELOADS: how many
 * for each shape (200). */
#include "../usage.h"
#include "common.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state = 1;

static uint32_t rnd(uint32_t n)
{
	state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(state >> 33) % n;
}

struct out {
	char text[4096];
	size_t size;
};

__attribute__((format(printf, 2, 3))) static void add(struct out *o, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	o->size += (size_t)vsnprintf(o->text + o->size, sizeof(o->text) - o->size, format, ap);
	va_end(ap);
	if (o->size >= sizeof(o->text))
		abort();
}

/* Accepted, or refused with these words. */
static bool reload_to(const struct out *o, const char *or_refused)
{
	if (reload(o->text) == PC_OK ||
	    (or_refused && reload_error && strstr(pc_error_text(reload_error), or_refused)))
		return true;
	printf("# %s\n%s\n", reload_error ? pc_error_text(reload_error) : "", o->text);
	return false;
}

/* A way of up to three stages to one input of the pair. */
static void branch(struct out *o, char side, const char *port)
{
	uint32_t n = rnd(4), first = rnd(3);

	for (uint32_t i = 0; i < n; i++)
		add(o, "stage %c%u = pass(live=%u)%s\n", side, first + i, rnd(3),
		    rnd(5) ? "" : " thread=own");
	add(o, "a");
	for (uint32_t i = 0; i < n; i++)
		add(o, " -> %c%u", side, first + i);
	add(o, " -> p.%s [capacity=%u]\n", port, 1 + rnd(20));
}

static void diamond(unsigned n)
{
	struct out o = {.size = 0};
	bool right = true;

	for (unsigned i = 0; i <= n && right; i++) {
		o.size = 0;
		add(&o, "stage a = source(burst=%u)\nstage p = pair()\nstage c = sink()\n",
		    1 + rnd(30));
		branch(&o, 'l', "left");
		branch(&o, 'r', "right");
		add(&o, "p -> c [capacity=%u]\n", 1 + rnd(20));
		if (i == 0)
			start(o.text);
		else
			right = reload_to(&o, NULL);
		wait_seen(rnd(200));
	}
	report(right, "a diamond whose branches change");
	stop_and_check("it goes on: all pairs, in order", PC_STOP_DRAIN, true);
}

/* A circle that is full can not move, so its writers keep to AHEAD items each: a machine may let them
 * run and the circle wait. */
#define AHEAD   "4"
#define WRITERS 5

/* `writers` has a bit for each. */
static void circle_text(struct out *o, uint32_t writers, bool another_shape)
{
	o->size = 0;
	add(o, "stage w = round(times=2)\nqueue q capacity=%u feedback\nstage c = sink()\n",
	    50 + rnd(50));
	for (uint32_t k = 0; writers >> k; k++)
		if (writers >> k & 1)
			add(o,
			    "stage s%u = source(burst=%u, pause=1ms, ahead=" AHEAD
			    ")\ns%u -> q\n",
			    k, 1 + rnd(3), k);
	add(o, "w.again -> q\nq -> w\n");
	if (another_shape)
		add(o, "stage b = pass()\nw -> b -> c\n");
	else
		add(o, "w -> c [capacity=%u]\n", 1 + rnd(20));
}

/* One writer goes or one comes, at a time; who comes when another goes is refused until that one has
 * ended. The circle ends when all of them have. */
static void circle(unsigned n)
{
	static const char *const shape = "part of a cycle";
	static const char *const hands = "given another writer";
	struct out o = {.size = 0};
	uint32_t writers = 1;
	bool right = true;

	circle_text(&o, writers, false);
	start(o.text);
	for (unsigned i = 0; i < n && right; i++) {
		uint32_t one = UINT32_C(1) << rnd(WRITERS), next = writers ^ one;

		if (rnd(8) == 0) {
			circle_text(&o, writers, true);
			right = reload(o.text) == PC_WRONG &&
			        strstr(pc_error_text(reload_error), shape);
		}
		if (next == 0)
			continue;
		circle_text(&o, next, false);
		while (right && reload(o.text) != PC_OK) {
			right = !(writers & one) && reload_to(&o, hands);
			wait_seen(1);
		}
		writers = next;
		wait_seen(rnd(20));
	}
	report(right, "writers of a circle come and go");
	/* the first one that is in goes, and the first one that is not comes */
	circle_text(&o, (writers & (writers - 1)) | (~writers & (writers + 1)), false);
	report(reload(o.text) == PC_WRONG && strstr(pc_error_text(reload_error), hands) &&
	               !strstr(pc_error_text(reload_error), shape),
	       "one that comes as another goes is refused, and told why");
	stop_and_check("it ends when they have: each item once", PC_STOP_DRAIN, false);
}

#define ROUND                                                                                  \
	"stage w = round(times=2)\nqueue q capacity=64 feedback\nstage a = "                   \
	"source(pause=1ms, ahead=16)\n"                                                        \
	"stage c = sink()\na -> q\nw.again -> q\nq -> w\n"

/* Long enough that items are under way when the next one comes. */
#if INSTRUMENTED
#define ROUNDS "3000"
#else
#define ROUNDS "60000"
#endif
#define LOOP                                                                                   \
	"stage w = round(times=" ROUNDS ")\nqueue q capacity=64 feedback\nstage c = sink()\n"  \
	"w.again -> q\nq -> w\nw -> c\n"
#define LONG        LOOP "stage a = source(burst=1, pause=1ms, ahead=4)\n"
#define LONG_TO_END LOOP "stage a = source(burst=1, pause=1ms, ahead=4, count=1)\n"

static bool ended(const char *name)
{
	struct pc_stage_row row;

	for (size_t i = 0; pc_graph_stage(graph, i, &row, sizeof(row)); i++)
		if (strcmp(row.name, name) == 0)
			return strcmp(row.state, "ended") == 0;
	return true;
}

static void circle_changes(void)
{
	start(ROUND "w -> c\n");
	wait_seen(100);
	report(reload("stage w = round(times=2)\nqueue q capacity=64 feedback\nstage n = "
	              "pass()\n"
	              "stage a = source(pause=1ms, ahead=16)\nstage c = sink()\na -> "
	              "q\nw.again -> n -> "
	              "q\n"
	              "q -> w\nw -> c\n") == PC_WRONG &&
	               strstr(pc_error_text(reload_error), "part of a cycle"),
	       "a stage in a circle is refused, and named");
	report(reload("stage w = round(times=2) replicas=2\nqueue q capacity=64 feedback\n"
	              "stage a = source(pause=1ms, ahead=16)\nstage c = sink()\na -> "
	              "q\nw.again -> q\n"
	              "q -> w\nw -> c\n") == PC_WRONG,
	       "so are replicas in it");
	report(reload("stage w = round(times=2)\nqueue q capacity=99 feedback\n"
	              "stage a = source(pause=1ms, ahead=16, count=300)\nstage c = sink()\na "
	              "-> q\n"
	              "w.again -> q\nq -> w\nw -> c [capacity=2]\n") == PC_OK,
	       "its capacities change");
	stop_and_check("and it ends by itself", 0, false);
	/* Items are under way when the writers end. */
	start(LONG "a -> q\n");
	wait_seen(20);
	report(reload(LONG "a -> q\nstage x = source(burst=1, count=2, pause=1ms)\nx -> q\n") ==
	               PC_OK,
	       "one more writes into a circle");
	while (!ended("x"))
		wait_seen(1);
	report(reload(LONG_TO_END "a -> q\nstage x = source(burst=1, count=2, pause=1ms)\n"
	                          "x -> q\n") == PC_OK,
	       "and ends before the other");
	stop_and_check("then the circle ends as well", 0, false);
	start(ROUND "w -> c\nstage x = source(pause=1ms, ahead=16)\nx -> q\n");
	wait_seen(100);
	report(reload("stage w = round(times=2)\nqueue q capacity=64 feedback\n"
	              "stage a = source(pause=1ms, ahead=16, count=300)\nstage c = sink()\na "
	              "-> q\n"
	              "w.again -> q\nq -> w\nw -> c\n") == PC_OK,
	       "one writes no more into a circle");
	stop_and_check("and the circle ends with the last", 0, false);
}

/* Stages that wait for joins, and daemons that end by them, come, go and change their minds. */
static void joins(unsigned n)
{
	struct out o = {.size = 0};
	bool right = true;

	for (unsigned i = 0; i <= n && right; i++) {
		o.size = 0;
		add(&o, "stage a = source(burst=%u, pause=1ms)\nstage c = sink()\na -> c\n",
		    1 + rnd(5));
		if (rnd(3))
			add(&o,
			    "stage x = source(count=%u)\nstage xs = sink()\nx -> xs\n"
			    "join j after x%s\n",
			    1 + rnd(50), rnd(2) ? ", xs" : "");
		else
			add(&o, "join j after start\n");
		if (rnd(2))
			add(&o,
			    "stage h = source(burst=2, pause=1ms) start=j\nstage hs = sink()\n"
			    "h -> hs\n");
		if (rnd(2))
			add(&o,
			    "stage d = source(burst=2, pause=1ms) daemon until=%s\n"
			    "stage ds = sink() daemon\nd -> ds\n",
			    rnd(2) ? "j" : "end");
		if (i == 0)
			start(o.text);
		else
			right = reload_to(&o, "come to its end");
		wait_seen(rnd(20));
	}
	report(right, "joins, held stages and daemons come and go");
	pc_graph_stop(graph, PC_STOP_DRAIN);
	while (pc_graph_wait(graph, INT64_C(1000000000), NULL) == PC_TIMEOUT)
		continue;
	report(pc_graph_wait(graph, 0, NULL) == PC_STOPPED, "and the graph ends");
	pc_graph_free(graph);
	graph = NULL;
}

int main(int argc, char **argv)
{
	const char *reloads = getenv("RELOADS"), *seed = getenv("SEED");
	unsigned n = reloads ? (unsigned)atoi(reloads) : 200;

	begin(argc, argv);
	state = seed ? strtoull(seed, NULL, 10) : 1;
	diamond(n);
	circle(n);
	circle_changes();
	joins(n);
	return end();
}
