/* stress/engine/flow.c: items through graphs of many shapes: none lost, none doubled, order kept.
 *
 * A plain program that prints TAP, so that it runs under ThreadSanitizer. Each source numbers its
 * items; sinks check the order per source and add up counts and checksums. Argument: how many
 * items per source (default 20,000). */
/* What the tests count and compare between runs may take the strongest order. */
#ifdef __clang__
#pragma clang diagnostic ignored "-Watomic-implicit-seq-cst"
#endif

#include "graph.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t n_items = 20000;
static int n_tests, n_failed;

struct number {
	uint64_t source, value;
};

/* What the sinks of one run have seen. */
static struct {
	_Atomic uint64_t count, sum, out_of_order, finished, closed;
} seen;

/* ---- stages ---- */

struct source {
	uint64_t id, n, per_call, next, again;
};

static int source_produce(struct pc_stage *st, void *state)
{
	struct source *s = state;

	for (uint64_t i = 0; i < s->per_call && s->next < s->n; i++) {
		struct number number = {s->id + st->replica, s->next++};

		if (pc_emit_copy(st, 0, &number, sizeof(number)))
			return pc_fail(st, "emit");
	}
	if (s->next == s->n)
		return PC_END;
	if (s->again && s->next % s->again == 0) {
		pc_wake_after(st, PC_MS / 2);
		return PC_AGAIN;
	}
	return PC_OK;
}

static int source_close(struct pc_stage *st, void *state)
{
	(void)st;
	(void)state;
	atomic_fetch_add_explicit(&seen.closed, 1, memory_order_relaxed); /* a count */
	return PC_OK;
}

static const struct pc_port any[] = {{"in", "*", 0, ""}, {"in2", "*", 0, ""}};

static const struct pc_stage_desc source_desc = {.name = "source",
                                                 .outputs = any,
                                                 .n_outputs = 1,
                                                 .state_size = sizeof(struct source),
                                                 .produce = source_produce,
                                                 .close = source_close};
static const struct pc_stage_desc blocking_source_desc = {.name = "source",
                                                          .flags = PC_BLOCKING,
                                                          .outputs = any,
                                                          .n_outputs = 1,
                                                          .state_size = sizeof(struct source),
                                                          .produce = source_produce,
                                                          .close = source_close};

struct mid {
	uint64_t spin, fail_every, seen_items;
};

static int mid_process(struct pc_stage *st, void *state, struct pc_item *item)
{
	struct mid *m = state;
	volatile uint64_t burn = m->spin;

	while (burn > 0)
		burn--;
	if (m->fail_every && ++m->seen_items % m->fail_every == 0) {
		pc_emit(st, 0, pc_item_ref(st, item)); /* must be discarded */
		return pc_fail(st, "planned");
	}
	return pc_pass(st, 0, item);
}

static int mid_batch(struct pc_stage *st, void *state, struct pc_item *const *items, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		int rc = mid_process(st, state, items[i]);

		if (rc)
			return rc;
		pc_done(st);
	}
	return PC_OK;
}

#define MID                                                                                    \
	.inputs = any, .n_inputs = 1, .outputs = any, .n_outputs = 1,                          \
	.state_size = sizeof(struct mid)
static const struct pc_stage_desc mid_desc = {.name = "mid", MID, .process = mid_process};
static const struct pc_stage_desc batch_desc = {
	.name = "batch", MID, .process_batch = mid_batch};
static const struct pc_stage_desc blocking_mid_desc = {
	.name = "blocking", .flags = PC_BLOCKING, MID, .process = mid_process};

#define SOURCES 64

struct sink {
	bool check_order;
	uint64_t end_after, taken;
	uint64_t next[SOURCES];
};

static int sink_process(struct pc_stage *st, void *state, struct pc_item *item)
{
	struct sink *s = state;
	struct number number;

	(void)st;
	memcpy(&number, item->data, sizeof(number));
	/* counts, relaxed */
	atomic_fetch_add_explicit(&seen.count, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&seen.sum, number.value, memory_order_relaxed);
	if (s->check_order && number.value < s->next[number.source])
		atomic_fetch_add_explicit(&seen.out_of_order, 1, memory_order_relaxed);
	s->next[number.source] = number.value + 1;
	if (s->end_after && ++s->taken == s->end_after)
		return PC_END;
	return PC_OK;
}

static int sink_finish(struct pc_stage *st, void *state)
{
	(void)st;
	(void)state;
	atomic_fetch_add_explicit(&seen.finished, 1, memory_order_relaxed); /* a count */
	return PC_OK;
}

#define SINK                                                                                   \
	.inputs = any, .state_size = sizeof(struct sink), .process = sink_process,             \
	.finish = sink_finish
static const struct pc_stage_desc sink_desc = {.name = "sink", .n_inputs = 1, SINK};
static const struct pc_stage_desc sink2_desc = {.name = "sink2", .n_inputs = 2, SINK};
static const struct pc_stage_desc blocking_sink_desc = {
	.name = "sink", .flags = PC_BLOCKING, .n_inputs = 1, SINK};

/* ---- checks ---- */

static void reset(void)
{
	memset(&seen, 0, sizeof(seen));
}

static const char *why = "";

/* Remember what a run said before its graph is freed. */
static int result(struct graph *g, int rc)
{
	static char text[4096];

	snprintf(text, sizeof(text), "%s",
	         pc_error_text(g->engine ? g->engine->error : g->error));
	why = text;
	return rc;
}

static void report(bool ok, const char *what)
{
	n_tests++;
	if (!ok)
		n_failed++;
	printf("%s %d - %s\n", ok ? "ok" : "not ok", n_tests, what);
	if (!ok)
		printf("# count %" PRIu64 " sum %" PRIu64 " out of order %" PRIu64
		       " finished %" PRIu64 " closed %" PRIu64 "\n# %s\n",
		       seen.count, seen.sum, seen.out_of_order, seen.finished, seen.closed,
		       why);
	fflush(stdout);
}

static uint64_t sum_to(uint64_t n)
{
	return n * (n - 1) / 2;
}

struct shape {
	const char *what;
	const struct pc_stage_desc *source, *mid, *sink;
	uint32_t sources, source_replicas, mids, mid_replicas, sinks, capacity, workers;
	uint64_t per_call, spin, again;
	bool order;
};

/* sources -> q0 -> mid 1 -> q1 -> … -> sinks (competing) */
static void run_shape(const struct shape *s)
{
	struct graph *g = malloc(sizeof(*g));
	uint64_t producers = (uint64_t)s->sources * s->source_replicas;
	struct plan_queue *q;
	int rc;

	reset();
	graph_init(g);
	q = graph_queue(g, "q0", s->capacity);
	for (uint32_t i = 0; i < s->sources; i++) {
		struct source settings = {i * s->source_replicas, n_items, s->per_call, 0,
		                          s->again};

		graph_write(g,
		            graph_stage(g, "source", s->source, &settings, s->source_replicas),
		            0, q);
	}
	for (uint32_t i = 0; i < s->mids; i++) {
		struct mid settings = {.spin = s->spin};
		struct plan_stage *mid =
			graph_stage(g, "mid", s->mid, &settings, s->mid_replicas);

		graph_read(g, mid, 0, q);
		q = graph_queue(g, "q", s->capacity);
		graph_write(g, mid, 0, q);
	}
	for (uint32_t i = 0; i < s->sinks; i++) {
		struct sink settings = {.check_order = s->order};

		graph_read(g, graph_stage(g, "sink", s->sink, &settings, 1), 0, q);
	}
	rc = result(g, graph_run(g, s->workers));
	report(rc == PC_OK && seen.count == producers * n_items &&
	               seen.sum == producers * sum_to(n_items) && seen.out_of_order == 0 &&
	               seen.finished == s->sinks && seen.closed == producers,
	       s->what);
	graph_fini(g);
	free(g);
}

static const struct shape shapes[] = {
	{"1 source, 1 sink", &source_desc, &mid_desc, &sink_desc, 1, 1, 0, 1, 1, 1024, 2, 100,
         0, 0, true},
	{"capacity 1", &source_desc, &mid_desc, &sink_desc, 1, 1, 1, 1, 1, 1, 2, 1, 0, 0, true},
	{"capacity 3, four competing sinks", &source_desc, &mid_desc, &sink_desc, 4, 1, 1, 1, 4,
         3, 2, 1, 0, 0, true},
	{"more emitted per call than the queue holds", &source_desc, &mid_desc, &sink_desc, 1,
         1, 1, 1, 1, 7, 2, 5000, 0, 0, true},
	{"a chain of 20", &source_desc, &mid_desc, &sink_desc, 1, 1, 20, 1, 1, 64, 2, 100, 0, 0,
         true},
	{"a chain of 20 batch stages", &source_desc, &batch_desc, &sink_desc, 1, 1, 20, 1, 1,
         64, 2, 100, 0, 0, true},
	{"one worker", &source_desc, &mid_desc, &sink_desc, 2, 1, 3, 1, 2, 16, 1, 10, 0, 0,
         true},
	{"eight workers", &source_desc, &mid_desc, &sink_desc, 3, 1, 3, 4, 3, 128, 8, 50, 0, 0,
         false},
	{"replicas, no order asked", &source_desc, &mid_desc, &sink_desc, 2, 4, 2, 4, 2, 64, 2,
         33, 50, 0, false},
	{"32 sources into one sink", &source_desc, &mid_desc, &sink_desc, 8, 4, 0, 1, 1, 64, 2,
         7, 0, 0, true},
	{"own threads everywhere", &blocking_source_desc, &blocking_mid_desc,
         &blocking_sink_desc, 2, 1, 2, 1, 2, 32, 2, 20, 0, 0, true},
	{"own threads at the ends, capacity 1", &blocking_source_desc, &mid_desc,
         &blocking_sink_desc, 1, 1, 1, 1, 1, 1, 2, 20, 0, 0, true},
};

static void wakes(void)
{
	uint64_t before = n_items;
	struct shape s = {"sources that sleep by timer",
	                  &source_desc,
	                  &mid_desc,
	                  &sink_desc,
	                  4,
	                  1,
	                  1,
	                  1,
	                  1,
	                  16,
	                  2,
	                  5,
	                  0,
	                  20,
	                  true};

	n_items = 200;
	run_shape(&s);
	n_items = before;
}

/* One port into three queues; one of the readers ends early. */
static void fan_out(void)
{
	struct graph *g = malloc(sizeof(*g));
	struct source settings = {0, n_items, 64, 0, 0};
	struct sink all = {.check_order = true}, few = {.check_order = true, .end_after = 10};
	struct plan_stage *source;
	int rc;

	reset();
	graph_init(g);
	source = graph_stage(g, "source", &source_desc, &settings, 1);
	for (int i = 0; i < 3; i++) {
		struct plan_queue *q = graph_queue(g, "q", 32);

		graph_write(g, source, 0, q);
		graph_read(g, graph_stage(g, "sink", &sink_desc, i == 2 ? &few : &all, 1), 0,
		           q);
	}
	rc = result(g, graph_run(g, 2));
	report(rc == PC_OK && seen.count == 2 * n_items + 10 && seen.out_of_order == 0 &&
	               seen.finished == 2,
	       "fan-out: each queue gets every item; a reader that ends does not stop the "
	       "others");
	graph_fini(g);
	free(g);
}

/* Replicas of unequal speed, and still the order of the input. */
static int uneven_process(struct pc_stage *st, void *state, struct pc_item *item)
{
	struct mid *m = state;
	volatile uint64_t burn = (m->seen_items++ * 7919 + st->replica * 31) % 400;

	while (burn > 0)
		burn--;
	if (m->fail_every && m->seen_items % m->fail_every == 0)
		return pc_fail(st, "planned");
	return pc_pass(st, 0, item);
}

static const struct pc_stage_desc uneven_desc = {
	.name = "uneven", MID, .process = uneven_process};
static const struct pc_stage_desc uneven_blocking_desc = {
	.name = "uneven", .flags = PC_BLOCKING, MID, .process = uneven_process};

static void ordered(const struct pc_stage_desc *desc, uint32_t replicas, uint32_t capacity,
                    const char *what)
{
	struct graph *g = malloc(sizeof(*g));
	struct source settings = {0, n_items, 64, 0, 0};
	struct mid none = {.fail_every = 100};
	struct sink check = {.check_order = true};
	struct plan_stage *mid;
	struct plan_queue *q0, *q1;
	int rc;

	reset();
	graph_init(g);
	q0 = graph_queue(g, "q0", capacity);
	q1 = graph_queue(g, "q1", capacity);
	graph_write(g, graph_stage(g, "source", &source_desc, &settings, 1), 0, q0);
	mid = graph_stage(g, "mid", desc, &none, replicas);
	mid->ordered = true;
	mid->on_error = PLAN_SKIP;
	graph_read(g, mid, 0, q0);
	graph_write(g, mid, 0, q1);
	graph_read(g, graph_stage(g, "sink", &sink_desc, &check, 1), 0, q1);
	rc = result(g, graph_run(g, 4));
	report(rc == PC_OK && seen.count > n_items * 98 / 100 && seen.count <= n_items &&
	               seen.out_of_order == 0,
	       what);
	graph_fini(g);
	free(g);
}

/* Each key must always come to the same replica, in order. */
static _Atomic int key_owner[SOURCES];

static int keyed_process(struct pc_stage *st, void *state, struct pc_item *item)
{
	struct number number;
	int nobody = -1;

	memcpy(&number, item->data, sizeof(number));
	/* relaxed: each word alone */
	if (!atomic_compare_exchange_strong_explicit(&key_owner[number.source], &nobody,
	                                             (int)st->replica, memory_order_relaxed,
	                                             memory_order_relaxed) &&
	    nobody != (int)st->replica)
		atomic_fetch_add_explicit(&seen.out_of_order, 1,
		                          memory_order_relaxed); /* a count */
	return sink_process(st, state, item);
}

static const struct pc_stage_desc keyed_desc = {.name = "keyed",
                                                .n_inputs = 1,
                                                .inputs = any,
                                                .state_size = sizeof(struct sink),
                                                .process = keyed_process,
                                                .finish = sink_finish};

/* Sends "SOURCE VALUE" as 16 bytes; the key is the whole item, so the sources send a constant. */
static int key_produce(struct pc_stage *st, void *state)
{
	struct source *s = state;
	struct number number = {(s->next * 31 + st->replica) % SOURCES, 0};

	if (pc_emit_copy(st, 0, &number, sizeof(number)))
		return pc_fail(st, "emit");
	return ++s->next == s->n ? PC_END : PC_OK;
}

static const struct pc_stage_desc key_source_desc = {.name = "key source",
                                                     .outputs = any,
                                                     .n_outputs = 1,
                                                     .state_size = sizeof(struct source),
                                                     .produce = key_produce};

static void by_key(uint32_t replicas, uint32_t capacity, const char *what)
{
	struct graph *g = malloc(sizeof(*g));
	struct source settings = {0, n_items, 1, 0, 0};
	struct sink none = {0};
	struct plan_stage *source, *keyed;
	struct plan_queue *q, *other;
	int rc;

	reset();
	for (int i = 0; i < SOURCES; i++)
		key_owner[i] = -1;
	graph_init(g);
	q = graph_queue(g, "q", capacity);
	other = graph_queue(g, "other", 32);
	source = graph_stage(g, "source", &key_source_desc, &settings, 2);
	graph_write(g, source, 0, q);
	graph_write(g, source, 0, other);
	keyed = graph_stage(g, "keyed", &keyed_desc, &none, replicas);
	keyed->by = "item";
	graph_read(g, keyed, 0, q);
	graph_read(g, graph_stage(g, "sink", &sink_desc, &none, 1), 0, other);
	rc = result(g, graph_run(g, 2));
	report(rc == PC_OK && seen.count == 4 * n_items && seen.out_of_order == 0 &&
	               seen.finished == replicas + 1,
	       what);
	graph_fini(g);
	free(g);
}

/* Halves its number and sends it round again until it is 0: each item goes round log2 times. */
static int halve_process(struct pc_stage *st, void *state, struct pc_item *item)
{
	struct number number;

	(void)state;
	memcpy(&number, item->data, sizeof(number));
	if (number.value == 0)
		return pc_pass(st, 1, item);
	number.value /= 2;
	return pc_emit_copy(st, 0, &number, sizeof(number));
}

static const struct pc_stage_desc halve_desc = {.name = "halve",
                                                .inputs = any,
                                                .n_inputs = 1,
                                                .outputs = any,
                                                .n_outputs = 2,
                                                .state_size = 8,
                                                .process = halve_process};

/* source -> round -> halve -> back -> pass -> round; halve.done -> sink */
static void feedback(uint32_t replicas, const char *what)
{
	struct graph *g = malloc(sizeof(*g));
	struct source settings = {0, 200, 1, 0, 0};
	struct sink none = {0};
	struct mid nothing = {0};
	struct plan_stage *halve, *mid;
	struct plan_queue *round, *back, *done;
	int rc;

	reset();
	graph_init(g);
	round = graph_queue(g, "round", 1024);
	back = graph_queue(g, "back", 16);
	done = graph_queue(g, "done", 16);
	round->feedback = true;
	graph_write(g, graph_stage(g, "source", &source_desc, &settings, 2), 0, round);
	halve = graph_stage(g, "halve", &halve_desc, &none, replicas);
	graph_read(g, halve, 0, round);
	graph_write(g, halve, 0, back);
	graph_write(g, halve, 1, done);
	mid = graph_stage(g, "mid", &mid_desc, &nothing, replicas);
	graph_read(g, mid, 0, back);
	graph_write(g, mid, 0, round);
	graph_read(g, graph_stage(g, "sink", &sink_desc, &none, 1), 0, done);
	rc = result(g, graph_run(g, 2));
	report(rc == PC_OK && seen.count == 400 && seen.sum == 0 && seen.finished == 1, what);
	graph_fini(g);
	free(g);
}

/* A consumer that has had enough ends its producers. */
static void early_end(void)
{
	struct graph *g = malloc(sizeof(*g));
	struct source settings = {0, UINT64_MAX, 64, 0, 0};
	struct mid none = {0};
	struct sink few = {.check_order = true, .end_after = 100};
	struct plan_stage *source, *mid;
	struct plan_queue *q0, *q1;
	int rc;

	reset();
	graph_init(g);
	q0 = graph_queue(g, "q0", 64);
	q1 = graph_queue(g, "q1", 64);
	source = graph_stage(g, "source", &source_desc, &settings, 1);
	mid = graph_stage(g, "mid", &mid_desc, &none, 3);
	graph_write(g, source, 0, q0);
	graph_read(g, mid, 0, q0);
	graph_write(g, mid, 0, q1);
	graph_read(g, graph_stage(g, "sink", &sink_desc, &few, 1), 0, q1);
	rc = result(g, graph_run(g, 2));
	report(rc == PC_OK && seen.count == 100, "a sink that ends ends an endless source");
	graph_fini(g);
	free(g);
}

static void two_inputs(void)
{
	struct graph *g = malloc(sizeof(*g));
	struct sink settings = {.check_order = true};
	struct plan_stage *sink;
	int rc;

	reset();
	graph_init(g);
	sink = graph_stage(g, "sink", &sink2_desc, &settings, 1);
	for (uint32_t i = 0; i < 2; i++) {
		struct source source = {i, n_items, 10, 0, 0};
		struct plan_queue *q = graph_queue(g, "q", 16);

		graph_write(g, graph_stage(g, "source", &source_desc, &source, 1), 0, q);
		graph_read(g, sink, i, q);
	}
	rc = result(g, graph_run(g, 2));
	report(rc == PC_OK && seen.count == 2 * n_items && seen.out_of_order == 0 &&
	               seen.finished == 1,
	       "a stage with two inputs takes all of both");
	graph_fini(g);
	free(g);
}

/* on_error: every 10th item of the one replica fails. */
static void policies(enum plan_on_error policy, const struct pc_stage_desc *desc,
                     const char *what)
{
	struct graph *g = malloc(sizeof(*g));
	struct source settings = {0, n_items, 10, 0, 0};
	struct mid failing = {.fail_every = 10};
	struct sink none = {.check_order = false};
	struct plan_stage *source, *mid;
	struct plan_queue *q0, *q1, *dead = NULL;
	uint64_t good = n_items - n_items / 10;
	bool ok = true;
	int rc;

	reset();
	graph_init(g);
	q0 = graph_queue(g, "q0", 64);
	q1 = graph_queue(g, "q1", 64);
	source = graph_stage(g, "source", &source_desc, &settings, 1);
	mid = graph_stage(g, "mid", desc, &failing, 1);
	mid->on_error = policy;
	graph_write(g, source, 0, q0);
	graph_read(g, mid, 0, q0);
	graph_write(g, mid, 0, q1);
	graph_read(g, graph_stage(g, "sink", &sink_desc, &none, 1), 0, q1);
	if (policy == PLAN_RETRY)
		mid->retries = 1;
	if (policy == PLAN_DEAD) {
		dead = graph_queue(g, "dead", 64);
		mid->dead_queue = (uint32_t)(dead - g->queues);
		dead->writers = malloc(sizeof(uint32_t));
		dead->writers[0] = (uint32_t)(mid - g->stages);
		dead->n_writers = 1;
		graph_read(g, graph_stage(g, "morgue", &sink_desc, &none, 1), 0, dead);
	}
	rc = result(g, graph_run(g, 2));
	if (policy == PLAN_FAIL)
		ok = rc == PC_ERROR && seen.finished == 0 && g->engine->error &&
		     strstr(pc_error_text(g->engine->error), "planned") &&
		     strstr(pc_error_text(g->engine->error), "'mid'");
	else if (policy == PLAN_SKIP)
		ok = rc == PC_OK && seen.count == good;
	else
		ok = rc == PC_OK && seen.count == n_items && seen.sum == sum_to(n_items);
	report(ok, what);
	graph_fini(g);
	free(g);
}

static void stops(int how, const char *what)
{
	struct pc_run_options options = {.size = sizeof(options), .workers = 2};
	struct graph *g = malloc(sizeof(*g));
	struct source settings = {0, UINT64_MAX, 10, 0, 0};
	struct sink none = {.check_order = true};
	struct plan_stage *source, *daemon;
	struct plan_queue *q;
	int rc;

	reset();
	graph_init(g);
	q = graph_queue(g, "q", 64);
	source = graph_stage(g, "source", &source_desc, &settings, 1);
	graph_write(g, source, 0, q);
	graph_read(g, graph_stage(g, "sink", &sink_desc, &none, 1), 0, q);
	source = graph_stage(g, "blocking", &blocking_source_desc, &settings, 1);
	q = graph_queue(g, "q", 1);
	graph_write(g, source, 0, q);
	daemon = graph_stage(g, "daemon", &blocking_sink_desc, &none, 1);
	daemon->daemon = true;
	daemon->until = PLAN_JOIN_END;
	graph_read(g, daemon, 0, q);
	rc = graph_start(g, &options);
	if (rc == PC_OK) {
		struct timespec moment = {0, 20000000};

		do {
			nanosleep(&moment, NULL);
		} while (seen.count == 0);
		atomic_store_explicit(&g->engine->stop_asked, (uint32_t)how,
		                      memory_order_release); /* C5 */
		control_nudge(g->engine);
		rc = result(g, graph_wait(g));
	}
	report(rc == PC_STOPPED && seen.count > 0 && seen.out_of_order == 0, what);
	graph_fini(g);
	free(g);
}

/* Two sources; a daemon sink; a held stage that starts when the first source has ended. */
static void joins(void)
{
	struct graph *g = malloc(sizeof(*g));
	struct source first = {0, 100, 1, 0, 0}, second = {1, 100, 1, 0, 0};
	struct sink none = {.check_order = true};
	struct plan_stage *a, *b, *daemon;
	struct plan_queue *q;
	uint32_t join, eaten;
	int rc;

	reset();
	graph_init(g);
	q = graph_queue(g, "basket", 3);
	join = graph_join(g, "first");
	eaten = graph_join(g, "eaten");
	a = graph_stage(g, "a", &source_desc, &first, 1);
	b = graph_stage(g, "b", &blocking_source_desc, &second, 1);
	b->start = join;
	graph_join_stage(g, join, a);
	graph_write(g, a, 0, q);
	graph_write(g, b, 0, q);
	for (int i = 0; i < 2; i++) {
		daemon = graph_stage(g, "daemon", i ? &sink_desc : &blocking_sink_desc, &none,
		                     1);
		daemon->daemon = true;
		daemon->until = eaten;
		graph_read(g, daemon, 0, q);
	}
	graph_join_stage(g, eaten, a);
	graph_join_stage(g, eaten, b);
	graph_join_queue(g, eaten, q);
	rc = result(g, graph_run(g, 2));
	report(rc == PC_OK && seen.count == 200 && seen.sum == 2 * sum_to(100) &&
	               seen.out_of_order == 0,
	       "joins: a held stage starts, drained queues are waited for, daemons stop");
	graph_fini(g);
	free(g);
}

/* Eight stages share one counter without any atomicity of their own. */
static uint64_t shared_counter;

static int crit_process(struct pc_stage *st, void *state, struct pc_item *item)
{
	uint64_t value = shared_counter;
	volatile int burn = 20;

	(void)st;
	while (burn > 0)
		burn--;
	shared_counter = value + 1;
	return sink_process(st, state, item);
}

static const struct pc_stage_desc crit_desc = {.name = "crit",
                                               .inputs = any,
                                               .n_inputs = 1,
                                               .state_size = sizeof(struct sink),
                                               .process = crit_process};
static const struct pc_stage_desc blocking_crit_desc = {.name = "crit",
                                                        .flags = PC_BLOCKING,
                                                        .inputs = any,
                                                        .n_inputs = 1,
                                                        .state_size = sizeof(struct sink),
                                                        .process = crit_process};

static void sections(void)
{
	struct graph *g = malloc(sizeof(*g));
	struct sink none = {0};
	uint32_t section;
	int rc;

	reset();
	shared_counter = 0;
	graph_init(g);
	section = graph_section(g, "s");
	for (uint32_t i = 0; i < 4; i++) {
		struct source source = {i, n_items, 10, 0, 0};
		struct plan_queue *q = graph_queue(g, "q", 16);
		struct plan_stage *crit;

		graph_write(g, graph_stage(g, "source", &source_desc, &source, 1), 0, q);
		crit = graph_stage(g, "crit", i == 3 ? &blocking_crit_desc : &crit_desc, &none,
		                   2);
		crit->section = section;
		graph_read(g, crit, 0, q);
	}
	rc = result(g, graph_run(g, 4));
	report(rc == PC_OK && seen.count == 4 * n_items && shared_counter == 4 * n_items,
	       "a critical section: eight replicas of four stages never overlap");
	graph_fini(g);
	free(g);
}

/* A daemon that no wake-up reaches is abandoned, and the graph still ends. */
static _Atomic bool entered, let_go;

/* Ends once the daemon is inside its code. */
static int patient_produce(struct pc_stage *st, void *state)
{
	struct source *s = state;

	if (s->next++ == 0)
		return pc_emit_copy(st, 0, "x", 1);
	if (atomic_load_explicit(&entered, memory_order_relaxed)) /* only a flag */
		return PC_END;
	pc_wake_after(st, PC_MS);
	return PC_AGAIN;
}

static const struct pc_stage_desc patient_desc = {.name = "patient",
                                                  .outputs = any,
                                                  .n_outputs = 1,
                                                  .state_size = sizeof(struct source),
                                                  .produce = patient_produce};

static int stuck_process(struct pc_stage *st, void *state, struct pc_item *item)
{
	struct timespec moment = {0, 1000000};

	(void)st;
	(void)state;
	(void)item;
	atomic_store_explicit(&entered, true, memory_order_relaxed); /* only a flag */
	while (!atomic_load_explicit(&let_go, memory_order_relaxed)) /* only a flag */
		nanosleep(&moment, NULL);
	return PC_OK;
}

static const struct pc_stage_desc stuck_desc = {.name = "stuck",
                                                .flags = PC_BLOCKING,
                                                .inputs = any,
                                                .n_inputs = 1,
                                                .state_size = sizeof(struct sink),
                                                .process = stuck_process};

/* The same by mistake: nobody was told that it blocks. */
static const struct pc_stage_desc jammed_desc = {.name = "jammed",
                                                 .inputs = any,
                                                 .n_inputs = 1,
                                                 .state_size = sizeof(struct sink),
                                                 .process = stuck_process};

/* g is still known at the end: not a leak. */
static void abandoned(struct graph *g, const struct pc_stage_desc *desc, unsigned workers,
                      const char *what)
{
	struct pc_run_options options = {
		.size = sizeof(options), .workers = workers, .grace_ns = 50 * PC_MS};
	struct source source = {0};
	struct sink none = {0};
	struct plan_stage *a, *d;
	struct plan_queue *q;
	uint32_t join;
	int rc;

	reset();
	/* relaxed: no other thread yet; other cases use it, too */
	atomic_store_explicit(&entered, false, memory_order_relaxed);
	atomic_store_explicit(&let_go, false, memory_order_relaxed); /* relaxed: as above */
	graph_init(g);
	q = graph_queue(g, "q", 16);
	a = graph_stage(g, "a", &patient_desc, &source, 1);
	graph_write(g, a, 0, q);
	d = graph_stage(g, "stuck", desc, &none, 1);
	d->daemon = true;
	join = graph_join(g, "made");
	graph_join_stage(g, join, a);
	d->until = join;
	graph_read(g, d, 0, q);
	rc = graph_start(g, &options);
	if (rc == PC_OK)
		rc = result(g, graph_wait(g));
	report(rc == PC_OK && g->engine->stuck, what);
	atomic_store_explicit(&let_go, true, memory_order_relaxed); /* only a flag */
	engine_destroy(g->engine); /* keeps all memory: the thread may still look at it */
}

static void all_abandoned(void)
{
	static struct graph own, pool;

	abandoned(&own, &stuck_desc, 2, "a daemon stuck in its own code is abandoned");
	abandoned(&pool, &jammed_desc, 1, "also when it has taken the only worker with it");
}

/* Both of two replicas wait at both inputs. The one that the first input wakes is held in its
 * item; the second input's only item wakes it again: so the other one has to be told. */
static _Atomic uint32_t handled_beside;

/* Not before both of them sleep, most likely. */
static int left_produce(struct pc_stage *st, void *state)
{
	struct source *s = state;

	if (s->next++ == 0) {
		pc_wake_after(st, 20 * PC_MS);
		return PC_AGAIN;
	}
	return s->next == 2 ? pc_emit_copy(st, 0, "x", 1) : PC_END;
}

static const struct pc_stage_desc left_desc = {.name = "left",
                                               .outputs = any,
                                               .n_outputs = 1,
                                               .state_size = sizeof(struct source),
                                               .produce = left_produce};

/* And ends late: the end would wake all. */
static int right_produce(struct pc_stage *st, void *state)
{
	struct source *s = state;
	bool go_on = s->next == 0
	                     /* only flags, relaxed, both */
	                     ? atomic_load_explicit(&entered, memory_order_relaxed)
	                     : atomic_load_explicit(&handled_beside, memory_order_relaxed) > 0;

	if (!go_on) {
		pc_wake_after(st, PC_MS);
		return PC_AGAIN;
	}
	return s->next++ == 0 ? pc_emit_copy(st, 0, "x", 1) : PC_END;
}

static const struct pc_stage_desc right_desc = {.name = "right",
                                                .outputs = any,
                                                .n_outputs = 1,
                                                .state_size = sizeof(struct source),
                                                .produce = right_produce};

static int held_process(struct pc_stage *st, void *state, struct pc_item *item)
{
	struct timespec moment = {0, 1000000};

	(void)state;
	(void)item;
	/* only flags, relaxed, all */
	if (st->in_port == 1) {
		atomic_fetch_add_explicit(&handled_beside, 1, memory_order_relaxed); /* so */
		return PC_OK;
	}
	atomic_store_explicit(&entered, true, memory_order_relaxed); /* so */
	for (int i = 0; i < 20000; i++) {
		/* so */
		if (atomic_load_explicit(&handled_beside, memory_order_relaxed) > 0)
			return PC_OK;
		nanosleep(&moment, NULL);
	}
	return pc_fail(st, "nobody takes the other item");
}

static const struct pc_stage_desc held_desc = {.name = "held",
                                               .flags = PC_BLOCKING,
                                               .inputs = any,
                                               .n_inputs = 2,
                                               .state_size = sizeof(struct sink),
                                               .process = held_process};

static void beside(void)
{
	int rc = PC_OK;

	for (int i = 0; i < 20 && rc == PC_OK; i++) {
		struct graph g;
		struct source late = {0};
		struct sink none = {0};
		struct plan_queue *left, *right;
		struct plan_stage *a, *b, *c;

		reset();
		/* only flags, relaxed, both: no other thread yet */
		atomic_store_explicit(&entered, false, memory_order_relaxed);
		atomic_store_explicit(&handled_beside, 0, memory_order_relaxed); /* so */
		graph_init(&g);
		left = graph_queue(&g, "left", 16);
		right = graph_queue(&g, "right", 16);
		a = graph_stage(&g, "a", &left_desc, &late, 1);
		graph_write(&g, a, 0, left);
		b = graph_stage(&g, "b", &right_desc, &late, 1);
		graph_write(&g, b, 0, right);
		c = graph_stage(&g, "c", &held_desc, &none, 2);
		graph_read(&g, c, 0, left);
		graph_read(&g, c, 1, right);
		rc = graph_run(&g, 1);
		graph_fini(&g);
	}
	report(rc == PC_OK, "a wake-up that finds its replica busy goes on to an idle one");
}

static void deadlock(void)
{
	struct graph *g = malloc(sizeof(*g));
	struct source source = {0, 6, 1, 0, 0};
	struct sink none = {0};
	struct plan_stage *a, *b;
	struct plan_queue *q;
	uint32_t join;
	int rc;

	reset();
	graph_init(g);
	q = graph_queue(g, "q", 3);
	a = graph_stage(g, "a", &source_desc, &source, 1);
	b = graph_stage(g, "b", &sink_desc, &none, 1);
	join = graph_join(g, "produced");
	graph_join_stage(g, join, a);
	b->start = join;
	graph_write(g, a, 0, q);
	graph_read(g, b, 0, q);
	rc = result(g, graph_run(g, 2));
	report(rc == PC_DEADLOCK && strstr(pc_error_text(g->engine->error), "waits for room") &&
	               strstr(pc_error_text(g->engine->error), "waits for the join 'produced'"),
	       "six items into a queue of three whose reader waits for all six: a deadlock, "
	       "explained");
	graph_fini(g);
	free(g);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		n_items = strtoull(argv[1], NULL, 10);
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		run_shape(&shapes[i]);
	wakes();
	fan_out();
	ordered(&uneven_desc, 4, 64, "ordered: four replicas keep the order of the input");
	ordered(&uneven_desc, 8, 1, "ordered, capacity 1");
	ordered(&uneven_blocking_desc, 4, 16, "ordered, on own threads");
	by_key(4, 64, "by: the same key always comes to the same replica");
	by_key(7, 1, "by, seven replicas, capacity 1");
	feedback(1, "a cycle ends when nothing goes round any more");
	feedback(3, "a cycle with replicas");
	early_end();
	two_inputs();
	policies(PLAN_FAIL, &mid_desc, "on_error=fail stops the graph and says why");
	policies(PLAN_SKIP, &mid_desc,
	         "on_error=skip leaves out the item, and all that it emitted");
	policies(PLAN_SKIP, &batch_desc, "on_error=skip in a batch");
	policies(PLAN_RETRY, &mid_desc, "on_error=retry=1");
	policies(PLAN_RETRY, &batch_desc, "on_error=retry=1 in a batch");
	policies(PLAN_DEAD, &mid_desc, "on_error=dead=QUEUE");
	stops(PC_STOP_DRAIN, "stop: drain");
	stops(PC_STOP_NOW, "stop: now");
	joins();
	sections();
	deadlock();
	beside();
	all_abandoned();
	printf("1..%d\n", n_tests);
	return n_failed != 0;
}
