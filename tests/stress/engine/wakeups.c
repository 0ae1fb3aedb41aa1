/* stress/engine/wakeups.c: nobody sleeps beside work: wake-ups that lie with a replica which is at
 * work for something else, waits at several queues of which some have room, workers that are all
 * parked, sleeping for memory.
 *
 * A plain program that prints TAP. In each case one callback waits for what another stage does; if
 * that sleeps, the callback gives up after a while and the graph fails. */
#include "graph.h"

#include "base/clock.h"
#include "base/error.h"
#include "queue/segment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE_MS 20000

static int n_tests, n_failed;

/* What callbacks wait for; only flags, relaxed throughout. */
static _Atomic uint32_t flags[4];

static void flag(unsigned which)
{
	atomic_fetch_add_explicit(&flags[which], 1, memory_order_relaxed); /* a flag */
}

static uint32_t flagged(unsigned which)
{
	return atomic_load_explicit(&flags[which], memory_order_relaxed); /* a flag */
}

static void pause_ms(unsigned ms)
{
	struct timespec t = {ms / 1000, (long)(ms % 1000) * 1000000};

	nanosleep(&t, NULL);
}

/* False: it did not come. */
static bool wait_flag(unsigned which, uint32_t value)
{
	for (int i = 0; i < PATIENCE_MS; i++) {
		if (flagged(which) >= value)
			return true;
		pause_ms(1);
	}
	return false;
}

static void reset(void)
{
	for (unsigned i = 0; i < 4; i++)
		/* relaxed: no other thread yet */
		atomic_store_explicit(&flags[i], 0, memory_order_relaxed);
}

static void report(bool ok, const char *what, struct graph *g)
{
	if (!ok && g->engine && g->engine->error)
		printf("# %s\n", pc_error_text(g->engine->error));
	printf("%sok %d - %s\n", ok ? "" : "not ", ++n_tests, what);
	fflush(stdout);
	n_failed += !ok;
}

static const struct pc_port ports[] = {{"a", "*", 0, ""}, {"b", "*", 0, ""}};

struct count {
	uint64_t n;
};

static int emit(struct pc_stage *st, unsigned port)
{
	return pc_emit_copy(st, port, "x", 1) ? pc_fail(st, "emit") : PC_OK;
}

/* ---- room, given to a source that goes to wait for something else ---- */

/* Replica 0 fills the queue and waits for room with nothing in its hands, before replica 1 waits
 * with an item. It is woken first; its next call waits for that item to arrive. */
static int room_produce(struct pc_stage *st, void *state)
{
	struct count *s = state;

	if (st->replica == 1) {
		if (s->n++ > 0)
			return PC_END;
		pause_ms(20);
		flag(0);
		return emit(st, 0);
	}
	if (s->n++ < 2) {
		pause_ms(
			1); /* longer than the budget: room is looked at before the next call */
		return emit(st, 0);
	}
	return wait_flag(1, 3) ? PC_END : pc_fail(st, "the other's item does not come");
}

static int room_process(struct pc_stage *st, void *state, struct pc_item *item)
{
	(void)st;
	(void)state;
	(void)item;
	if (flagged(1) == 0) {
		wait_flag(0, 1);
		pause_ms(20);
	}
	flag(1);
	return PC_OK;
}

static const struct pc_stage_desc room_source = {.name = "source",
                                                 .flags = PC_BLOCKING,
                                                 .outputs = ports,
                                                 .n_outputs = 1,
                                                 .state_size = sizeof(struct count),
                                                 .produce = room_produce};
static const struct pc_stage_desc room_sink = {.name = "sink",
                                               .flags = PC_BLOCKING,
                                               .inputs = ports,
                                               .n_inputs = 1,
                                               .state_size = sizeof(struct count),
                                               .process = room_process};

static void room(void)
{
	struct plan_queue *q;
	struct graph g;

	reset();
	graph_init(&g);
	q = graph_queue(&g, "q", 1);
	graph_write(&g, graph_stage(&g, "source", &room_source, NULL, 2), 0, q);
	graph_read(&g, graph_stage(&g, "sink", &room_sink, NULL, 1), 0, q);
	report(graph_run(&g, 1) == PC_OK,
	       "room goes on to the next when the one that was woken for it waits elsewhere",
	       &g);
	graph_fini(&g);
}

/* ---- one of two full outputs gets room while the replica falls asleep ---- */

#define BOTH 200

static int both_produce(struct pc_stage *st, void *state)
{
	(void)state;
	for (unsigned i = 0; i < BOTH; i++)
		if (emit(st, 0) || emit(st, 1))
			return PC_ERROR;
	return PC_END;
}

static int quick_process(struct pc_stage *st, void *state, struct pc_item *item)
{
	(void)st;
	(void)state;
	(void)item;
	flag(0);
	return PC_OK;
}

static int last_process(struct pc_stage *st, void *state, struct pc_item *item)
{
	(void)state;
	(void)item;
	return wait_flag(0, BOTH) ? PC_OK : pc_fail(st, "not all came to the other sink");
}

static const struct pc_stage_desc both_source = {.name = "source",
                                                 .outputs = ports,
                                                 .n_outputs = 2,
                                                 .state_size = sizeof(struct count),
                                                 .produce = both_produce};
static const struct pc_stage_desc quick_sink = {.name = "quick",
                                                .flags = PC_BLOCKING,
                                                .inputs = ports,
                                                .n_inputs = 1,
                                                .state_size = sizeof(struct count),
                                                .process = quick_process};
static const struct pc_stage_desc last_sink = {.name = "last",
                                               .flags = PC_BLOCKING,
                                               .inputs = ports,
                                               .n_inputs = 1,
                                               .state_size = sizeof(struct count),
                                               .process = last_process};

static void both(void)
{
	struct plan_queue *a, *b;
	struct plan_stage *s;
	struct graph g;
	int rc = PC_OK;

	for (int i = 0; i < 50; i++) {
		reset();
		graph_init(&g);
		a = graph_queue(&g, "quick", 1);
		b = graph_queue(&g, "last", 1);
		s = graph_stage(&g, "source", &both_source, NULL, 1);
		graph_write(&g, s, 0, a);
		graph_write(&g, s, 1, b);
		graph_read(&g, graph_stage(&g, "quick", &quick_sink, NULL, 1), 0, a);
		graph_read(&g, graph_stage(&g, "last", &last_sink, NULL, 1), 0, b);
		rc = graph_run(&g, 1);
		if (rc != PC_OK || i == 49)
			break;
		graph_fini(&g);
	}
	report(rc == PC_OK, "what has room in one queue is sent though another is full", &g);
	graph_fini(&g);
}

/* ---- two replicas made ready at once while all workers are parked ---- */

static int two_produce(struct pc_stage *st, void *state)
{
	(void)state;
	pause_ms(20); /* all workers sleep, most likely */
	return emit(st, 0) || emit(st, 1) ? PC_ERROR : PC_END;
}

static int meet_process(struct pc_stage *st, void *state, struct pc_item *item)
{
	(void)state;
	(void)item;
	flag(0);
	return wait_flag(0, 2) ? PC_OK : pc_fail(st, "a worker sleeps beside the other stage");
}

static const struct pc_stage_desc two_source = {.name = "source",
                                                .flags = PC_BLOCKING,
                                                .outputs = ports,
                                                .n_outputs = 2,
                                                .state_size = sizeof(struct count),
                                                .produce = two_produce};
static const struct pc_stage_desc meet_sink = {.name = "meet",
                                               .inputs = ports,
                                               .n_inputs = 1,
                                               .state_size = sizeof(struct count),
                                               .process = meet_process};

static int pass_process(struct pc_stage *st, void *state, struct pc_item *item)
{
	(void)state;
	(void)item;
	return emit(st, 0) || emit(st, 1) ? PC_ERROR : PC_OK;
}

static const struct pc_stage_desc pass_desc = {.name = "pass",
                                               .inputs = ports,
                                               .n_inputs = 1,
                                               .outputs = ports,
                                               .n_outputs = 2,
                                               .state_size = sizeof(struct count),
                                               .process = pass_process};

/* Never out of work, and never long at it. */
static int busy_produce(struct pc_stage *st, void *state)
{
	(void)state;
	return emit(st, 0) ? PC_ERROR : flagged(0) < 2 ? PC_OK : PC_END;
}

static int busy_process(struct pc_stage *st, void *state, struct pc_item *item)
{
	(void)st;
	(void)state;
	(void)item;
	return PC_OK;
}

static const struct pc_stage_desc busy_source = {
	.name = "busy", .outputs = ports, .n_outputs = 1, .produce = busy_produce};
static const struct pc_stage_desc busy_sink = {
	.name = "sink", .inputs = ports, .n_inputs = 1, .process = busy_process};

static void keep_busy(struct graph *g)
{
	struct plan_queue *q = graph_queue(g, "busy", 4);

	graph_write(g, graph_stage(g, "busy", &busy_source, NULL, 1), 0, q);
	graph_read(g, graph_stage(g, "busy-sink", &busy_sink, NULL, 1), 0, q);
}

/* `inside`: a worker makes both ready, and runs one of them itself. `busy`: one has work all the time,
 * and one watches that. */
static void parked(bool inside, bool busy, const char *what)
{
	struct plan_queue *a, *b, *c;
	struct plan_stage *s;
	struct graph g;
	int rc = PC_OK;

	for (int i = 0; i < 10; i++) {
		reset();
		graph_init(&g);
		a = graph_queue(&g, "a", 16);
		b = graph_queue(&g, "b", 16);
		s = graph_stage(&g, "source", &two_source, NULL, 1);
		if (inside) {
			c = graph_queue(&g, "c", 16);
			graph_write(&g, s, 0, c);
			s = graph_stage(&g, "pass", &pass_desc, NULL, 1);
			graph_read(&g, s, 0, c);
		}
		graph_write(&g, s, 0, a);
		graph_write(&g, s, 1, b);
		graph_read(&g, graph_stage(&g, "left", &meet_sink, NULL, 1), 0, a);
		graph_read(&g, graph_stage(&g, "right", &meet_sink, NULL, 1), 0, b);
		if (busy)
			keep_busy(&g);
		rc = graph_run(&g, busy ? 4 : 3);
		if (rc != PC_OK || i == 9)
			break;
		graph_fini(&g);
	}
	report(rc == PC_OK, what, &g);
	graph_fini(&g);
}

/* ---- all asleep because memory waits for a grace period ---- */

#define MANY 20000

static int many_produce(struct pc_stage *st, void *state)
{
	struct count *s = state;

	for (uint32_t i = 0; i < st->batch_hint && s->n < MANY; i++, s->n++)
		if (emit(st, 0))
			return PC_ERROR;
	return s->n == MANY ? PC_END : PC_OK;
}

static const struct pc_stage_desc many_source = {.name = "source",
                                                 .outputs = ports,
                                                 .n_outputs = 1,
                                                 .state_size = sizeof(struct count),
                                                 .produce = many_produce};
static const struct pc_stage_desc quick_worker = {.name = "quick",
                                                  .inputs = ports,
                                                  .n_inputs = 1,
                                                  .state_size = sizeof(struct count),
                                                  .process = quick_process};

static void memory(void)
{
	struct pc_run_options options = {.size = sizeof(options), .workers = 2};
	struct plan_queue *q;
	struct graph g;
	uint32_t before;
	int rc;

	reset();
	/* relaxed: no other thread yet */
	atomic_store_explicit(&segment_retired_max_bytes, 65536, memory_order_relaxed);
	graph_init(&g);
	q = graph_queue(&g, "q", 64);
	graph_write(&g, graph_stage(&g, "source", &many_source, NULL, 1), 0, q);
	graph_read(&g, graph_stage(&g, "sink", &quick_worker, NULL, 1), 0, q);
	queue_rcu_lock();
	rc = graph_start(&g, &options);
	do {
		before = flagged(0);
		pause_ms(100);
	} while (flagged(0) != before);
	queue_rcu_unlock();
	rc = rc ? rc : graph_wait(&g);
	report(rc == PC_OK && before < MANY,
	       "no deadlock while memory waits for the end of a read section", &g);
	graph_fini(&g);
	/* relaxed: as above */
	atomic_store_explicit(&segment_retired_max_bytes, SEGMENT_RETIRED_MAX_BYTES,
	                      memory_order_relaxed);
}

/* ---- a source that asked for a time, and then had to wait for room ---- */

static int timed_produce(struct pc_stage *st, void *state)
{
	int64_t *not_before = state;

	if (*not_before > 0)
		return clock_now_ns() >= *not_before ? PC_END
		                                     : pc_fail(st, "called before its time");
	for (int i = 0; i < 4; i++)
		if (emit(st, 0))
			return PC_ERROR;
	*not_before = clock_now_ns() + 200 * PC_MS;
	pc_wake_after(st, 200 * PC_MS);
	return PC_AGAIN;
}

static const struct pc_stage_desc timed_source = {.name = "source",
                                                  .outputs = ports,
                                                  .n_outputs = 1,
                                                  .state_size = sizeof(int64_t),
                                                  .produce = timed_produce};

static void timed(void)
{
	struct plan_queue *q;
	struct graph g;

	reset();
	graph_init(&g);
	q = graph_queue(&g, "q", 1);
	graph_write(&g, graph_stage(&g, "source", &timed_source, NULL, 1), 0, q);
	graph_read(&g, graph_stage(&g, "sink", &quick_worker, NULL, 1), 0, q);
	report(graph_run(&g, 1) == PC_OK,
	       "a source that asked for a time is not called before, though it waited for room",
	       &g);
	graph_fini(&g);
}

int main(void)
{
	room();
	both();
	parked(false, false, "two stages made ready from outside run side by side");
	parked(true, false, "two stages made ready by one worker run side by side");
	parked(false, true, "two made ready from outside, while one works and one watches");
	parked(true, true, "two made ready by one worker, while one works and one watches");
	memory();
	timed();
	printf("1..%d\n", n_tests);
	return n_failed != 0;
}
