/* stress/engine/closing.c: close() blocks, fails, or hangs; whom that concerns, and whom it does not.
 *
 * A plain program that prints TAP, so that it runs under ThreadSanitizer. What a close() waits for
 * must come while it waits; it gives up after a long while, so that a failure is told.
 */
#include "graph.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int n_tests, n_failed;

static void report(bool ok, const char *what)
{
	n_tests++;
	n_failed += !ok;
	printf("%s %d - %s\n", ok ? "ok" : "not ok", n_tests, what);
	fflush(stdout);
}

/* ------------------------------------------------------------ flags and counts of the test --- */

static _Atomic uint64_t ticks, inside, together, closed, started_early, given_up;
static _Atomic bool over, held, all_held;

static uint64_t get(const _Atomic uint64_t *count)
{
	/* relaxed: a count of the test */
	return atomic_load_explicit((_Atomic uint64_t *)(uintptr_t)count, memory_order_relaxed);
}

static uint64_t add(_Atomic uint64_t *count)
{
	/* relaxed: a count of the test */
	return atomic_fetch_add_explicit(count, 1, memory_order_relaxed) + 1;
}

static bool is(const _Atomic bool *flag)
{
	/* relaxed: a flag of the test */
	return atomic_load_explicit((_Atomic bool *)(uintptr_t)flag, memory_order_relaxed);
}

static void set(_Atomic bool *flag, bool value)
{
	atomic_store_explicit(flag, value, memory_order_relaxed); /* a flag of the test */
}

static void reset(void)
{
	_Atomic uint64_t *const counts[] = {&ticks,  &inside,        &together,
	                                    &closed, &started_early, &given_up};

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		/* relaxed: no other thread yet */
		atomic_store_explicit(counts[i], 0, memory_order_relaxed);
	set(&over, false);
	set(&held, true);
	set(&all_held, false);
}

static void doze(void)
{
	struct timespec moment = {0, 200000};

	nanosleep(&moment, NULL);
}

/* Until it holds; what waits too long has a reason. */
static bool wait_for(bool (*holds)(void))
{
	for (int i = 0; i < 100000; i++) {
		if (holds())
			return true;
		doze();
	}
	add(&given_up);
	return false;
}

/* ---------------------------------------------------------------------------------- stages --- */

static const struct pc_port any[] = {{"in", "*", 0, ""}};

static int one_produce(struct pc_stage *st, void *state)
{
	(void)state;
	pc_emit_copy(st, 0, "x", 1);
	return PC_END;
}

/* By a timer, which is the control thread's, until the closing is over. */
static int tick_produce(struct pc_stage *st, void *state)
{
	(void)state;
	if (is(&over))
		return PC_END;
	add(&ticks);
	pc_wake_after(st, PC_MS);
	pc_emit_copy(st, 0, "x", 1);
	return PC_AGAIN;
}

static int sink_process(struct pc_stage *st, void *state, struct pc_item *item)
{
	(void)st;
	(void)state;
	(void)item;
	return PC_OK;
}

#define SOURCE(what)                                                                           \
	{                                                                                      \
		.name = #what, .outputs = any, .n_outputs = 1, .produce = what##_produce       \
	}
#define SINK(what, close_it)                                                                   \
	{                                                                                      \
		.name = what, .inputs = any, .n_inputs = 1, .process = sink_process,           \
		.close = (close_it)                                                            \
	}
static const struct pc_stage_desc one = SOURCE(one), tick = SOURCE(tick),
				  sink = SINK("sink", NULL);

static uint64_t ticks_before;

static bool has_ticked(void)
{
	return get(&ticks) >= ticks_before + 20;
}

static int patient_close(struct pc_stage *st, void *state)
{
	(void)st;
	(void)state;
	ticks_before = get(&ticks);
	wait_for(has_ticked);
	set(&over, true);
	add(&closed);
	return PC_OK;
}

static const struct pc_stage_desc patient = SINK("patient", patient_close);

static struct plan_stage *line(struct graph *g, const struct pc_stage_desc *from,
                               const struct pc_stage_desc *to, uint32_t replicas)
{
	struct plan_queue *q = graph_queue(g, "q", 16);
	struct plan_stage *a = graph_stage(g, "from", from, NULL, 1);
	struct plan_stage *b = graph_stage(g, "to", to, NULL, replicas);

	graph_write(g, a, 0, q);
	graph_read(g, b, 0, q);
	return b;
}

/* ----------------------------------------------------------------------------------- cases --- */

static void timers_go_on(void)
{
	struct graph g;
	int rc;

	reset();
	graph_init(&g);
	line(&g, &one, &patient, 1);
	line(&g, &tick, &sink, 1);
	rc = graph_run(&g, 2);
	report(rc == PC_OK && get(&given_up) == 0 && get(&closed) == 1,
	       "timers of other stages go on while a stage is being closed");
	graph_fini(&g);
}

/* Nobody can move meanwhile: that is no deadlock. */
static int late_produce(struct pc_stage *st, void *state)
{
	(void)st;
	(void)state;
	if (get(&closed) == 0)
		add(&started_early);
	return PC_END;
}

static int slow_close(struct pc_stage *st, void *state)
{
	(void)st;
	(void)state;
	for (int i = 0; i < 100; i++)
		doze();
	add(&closed);
	return PC_OK;
}

static const struct pc_stage_desc late = SOURCE(late), slow = SINK("slow", slow_close);

static void joins_wait(void)
{
	struct graph g;
	uint32_t join;
	int rc;

	reset();
	graph_init(&g);
	join = graph_join(&g, "closed");
	graph_join_stage(&g, join, line(&g, &one, &slow, 1));
	line(&g, &late, &sink, 1);
	g.stages[2].start = join;
	rc = graph_run(&g, 2);
	report(rc == PC_OK && get(&closed) == 1 && get(&started_early) == 0,
	       "a stage has ended when its close() has returned, and nothing is a deadlock "
	       "before");
	graph_fini(&g);
}

static int lonely_close(struct pc_stage *st, void *state)
{
	(void)st;
	(void)state;
	if (add(&inside) > 1)
		add(&together);
	doze();
	/* relaxed: a count of the test */
	atomic_fetch_sub_explicit(&inside, 1, memory_order_relaxed);
	add(&closed);
	return PC_OK;
}

static const struct pc_stage_desc lonely = SINK("lonely", lonely_close);

static void one_at_a_time(void)
{
	struct graph g;
	int rc;

	reset();
	graph_init(&g);
	line(&g, &one, &lonely, 20);
	rc = graph_run(&g, 2);
	report(rc == PC_OK && get(&closed) == 20 && get(&together) == 0,
	       "the replicas of a stage are closed one after the other");
	graph_fini(&g);
}

/* Whoever comes first waits for the other. */
static bool both_inside(void)
{
	return get(&inside) >= 2;
}

static int meet_close(struct pc_stage *st, void *state)
{
	(void)st;
	(void)state;
	add(&inside);
	wait_for(both_inside);
	return PC_OK;
}

static const struct pc_stage_desc meet = SINK("meet", meet_close);

static void stages_apart(void)
{
	struct graph g;
	int rc;

	reset();
	graph_init(&g);
	line(&g, &one, &meet, 1);
	line(&g, &one, &meet, 1);
	rc = graph_run(&g, 2);
	report(rc == PC_OK && get(&given_up) == 0,
	       "a stage whose close() blocks does not hold up the close() of another");
	graph_fini(&g);
}

static int bad_close(struct pc_stage *st, void *state)
{
	(void)state;
	return pc_fail(st, "the disk is full");
}

static const struct pc_stage_desc bad = SINK("bad", bad_close);

static void failing(void)
{
	struct graph g;
	int rc;

	reset();
	graph_init(&g);
	line(&g, &one, &bad, 2);
	line(&g, &one, &slow, 1);
	rc = graph_run(&g, 2);
	report(rc == PC_ERROR && get(&closed) == 1 &&
	               strstr(pc_error_text(g.engine->error), "failed at closing") &&
	               strstr(pc_error_text(g.engine->error), "the disk is full"),
	       "a close() that fails is the graph's failure; the others are closed");
	graph_fini(&g);
}

/* ---------------------------------------------------------------------------- one that hangs --- */

static char log_text[4096];

static void on_log(void *user, int level, const char *stage, const char *text)
{
	size_t at = strlen(log_text);

	(void)user;
	(void)level;
	snprintf(log_text + at, sizeof(log_text) - at, "%s: %s\n", stage, text);
}

static int hang_close(struct pc_stage *st, void *state)
{
	(void)state;
	if (st->replica == 1)
		set(&all_held, true);
	while (st->replica == 1 && is(&held))
		doze();
	add(&closed);
	return PC_OK;
}

static const struct pc_stage_desc hang = SINK("hang", hang_close);

static bool hangs(void)
{
	return is(&all_held);
}

static void hanging(void)
{
	struct pc_run_options options = {
		.size = sizeof(options), .workers = 2, .grace_ns = 400 * PC_MS, .log = on_log};
	static struct graph kept;
	struct graph *g = &kept; /* still known at the end: not a leak */
	bool ok;
	int rc;

	reset();
	graph_init(g);
	line(g, &one, &hang, 4);
	line(g, &tick, &lonely, 1);
	ok = graph_start(g, &options) == PC_OK && wait_for(hangs);
	/* as pc_graph_stop() does */
	atomic_store_explicit(&g->engine->stop_asked, PC_STOP_NOW,
	                      memory_order_release); /* C5 */
	control_nudge(g->engine);
	rc = graph_wait(g);
	/* Replicas 0, 2, and 3, and that of `lonely`. */
	report(ok && rc == PC_STOPPED && g->engine->stuck && get(&closed) == 4 &&
	               strstr(log_text, "to: close() of replica 1 did not come back within "
	                                "0.4 s; it is abandoned"),
	       "a close() that hangs is named and abandoned; all others are called");
	set(&held, false);
	engine_destroy(g->engine); /* keeps all memory: the thread may still look at it */
}

int main(void)
{
	timers_go_on();
	joins_wait();
	one_at_a_time();
	stages_apart();
	failing();
	hanging();
	printf("1..%d\n", n_tests);
	return n_failed != 0;
}
