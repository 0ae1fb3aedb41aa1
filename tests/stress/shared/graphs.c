/* stress/shared/graphs.c: shared state in graphs of many shapes: nothing lost, nothing halved.
 *
 * A plain program that prints TAP, so that it runs under ThreadSanitizer. Tellers, critical, move
 * money between accounts and count what they did; some of their items fail when half is done.
 * Readers on workers and on threads of their own check at every look that no money is missing,
 * and those behind the tellers that what they were told of has been published. Argument: how
 * many moves (default 20,000). */
#include "graph.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ACCOUNTS 16
#define MONEY    1000 /* on each at first */

static uint64_t n_moves = 20000;
static int n_tests, n_failed;

static struct {
	_Atomic uint64_t wrong, looks, told, failed, batches;
	_Atomic bool over;
} seen;

static void wrong_if(bool is_wrong)
{
	if (is_wrong)
		atomic_fetch_add_explicit(&seen.wrong, 1, memory_order_relaxed);
}

static void account(char *key, unsigned i)
{
	sprintf(key, "a%u", i % ACCOUNTS);
}

/* ---- stages ---- */

struct counter {
	uint64_t n, next;
};

static int counter_produce(struct pc_stage *st, void *state)
{
	struct counter *s = state;

	for (unsigned i = 0; i < 100 && s->next < s->n; i++, s->next++)
		pc_emit_copy(st, 0, &s->next, sizeof(s->next));
	return s->next == s->n ? PC_END : PC_OK;
}

struct teller {
	uint64_t fail_every;
	struct pc_shared *bank;
	uint64_t tried, tries;
};

static int teller_open(struct pc_stage *st, void *state)
{
	struct teller *s = state;

	s->bank = pc_shared_find(st, "bank");
	return s->bank ? PC_OK : PC_ERROR;
}

/* What it moves goes through an account that exists only while an item is in work. */
static int move(struct pc_stage *st, struct teller *s, uint64_t number)
{
	int64_t moved = (int64_t)(number % 7), left = -1;
	char from[16], to[16];

	account(from, (unsigned)number);
	account(to, (unsigned)(number * 7 + 3));
	if (pc_shared_add(st, s->bank, from, -moved, NULL) ||
	    pc_shared_set_i64(st, s->bank, "transit", moved) ||
	    pc_shared_i64(st, s->bank, "transit", &left))
		return PC_ERROR;
	wrong_if(left != moved);
	if (s->tried != number + 1) {
		s->tried = number + 1;
		s->tries = 0;
	}
	if (s->fail_every && number % s->fail_every == 0 && s->tries++ == 0) {
		atomic_fetch_add_explicit(&seen.failed, 1, memory_order_relaxed);
		return pc_fail(st, "half-way");
	}
	if (pc_shared_add(st, s->bank, to, left, NULL) ||
	    pc_shared_delete(st, s->bank, "transit") ||
	    pc_shared_add(st, s->bank, "moves", 1, &left))
		return PC_ERROR;
	return pc_emit_copy(st, 0, &left, sizeof(left));
}

static int teller_process(struct pc_stage *st, void *state, struct pc_item *item)
{
	uint64_t number;

	memcpy(&number, item->data, sizeof(number));
	return move(st, state, number);
}

static int teller_batch(struct pc_stage *st, void *state, struct pc_item *const *items,
                        unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		int r = teller_process(st, state, items[i]);

		if (r)
			return r;
		pc_done(st);
	}
	/* Behind the last pc_done(): it belongs to the batch. */
	atomic_fetch_add_explicit(&seen.batches, 1, memory_order_relaxed);
	return pc_shared_add(st, ((struct teller *)state)->bank, "batches", 1, NULL);
}

static int64_t look(struct pc_stage *st, struct pc_shared *bank)
{
	struct pc_snapshot now;
	struct pc_value v;
	int64_t sum = 0, moves = 0;
	unsigned n = 0;

	pc_snapshot_begin(st, bank, &now);
	while (pc_snapshot_next(st, &now, &v) == PC_OK) {
		if (strcmp(v.key, "moves") == 0) {
			moves = v.number;
			continue;
		}
		if (strcmp(v.key, "batches") == 0)
			continue;
		sum += v.number;
		n++;
	}
	wrong_if(n != ACCOUNTS || sum != ACCOUNTS * MONEY);
	/* The same again, key by key. */
	for (unsigned i = 0; i < ACCOUNTS; i++) {
		char key[16];

		account(key, i);
		wrong_if(pc_snapshot_get(st, &now, key, &v) != PC_OK);
		sum -= v.number;
	}
	pc_snapshot_end(st, &now);
	wrong_if(sum != 0);
	atomic_fetch_add_explicit(&seen.looks, 1, memory_order_relaxed);
	return moves;
}

struct reader {
	struct pc_shared *bank, *kept;
	int64_t last;
};

static int reader_open(struct pc_stage *st, void *state)
{
	struct reader *s = state;

	s->bank = pc_shared_find(st, "bank");
	s->kept = pc_shared_find(st, "kept");
	return s->bank && s->kept ? PC_OK : PC_ERROR;
}

static int reader_produce(struct pc_stage *st, void *state)
{
	struct reader *s = state;
	int64_t moves = look(st, s->bank);

	wrong_if(moves < s->last);
	s->last = moves;
	return atomic_load_explicit(&seen.over, memory_order_relaxed) ? PC_END : PC_OK;
}

/* Behind the tellers: what it hears of has been published. It keeps a count of its own. */
static int told_process(struct pc_stage *st, void *state, struct pc_item *item)
{
	struct reader *s = state;
	int64_t moves, told;

	memcpy(&told, item->data, sizeof(told));
	wrong_if(pc_shared_i64(st, s->bank, "moves", &moves) != PC_OK || moves < told);
	atomic_fetch_add_explicit(&seen.told, 1, memory_order_relaxed);
	return pc_shared_add(st, s->kept, "n", 1, NULL);
}

static int told_finish(struct pc_stage *st, void *state)
{
	(void)st;
	(void)state;
	atomic_store_explicit(&seen.over, true, memory_order_relaxed);
	return PC_OK;
}

static const struct pc_port any[] = {{"in", "*", 0, ""}};

#define PORTS_OUT .outputs = any, .n_outputs = 1
#define PORTS_IN  .inputs = any, .n_inputs = 1

static const struct pc_stage_desc counter_desc = {.name = "counter",
                                                  PORTS_OUT,
                                                  .state_size = sizeof(struct counter),
                                                  .produce = counter_produce};
static const struct pc_stage_desc teller_desc = {.name = "teller",
                                                 PORTS_IN,
                                                 PORTS_OUT,
                                                 .state_size = sizeof(struct teller),
                                                 .open = teller_open,
                                                 .process = teller_process};
static const struct pc_stage_desc batch_desc = {.name = "batch",
                                                PORTS_IN,
                                                PORTS_OUT,
                                                .state_size = sizeof(struct teller),
                                                .open = teller_open,
                                                .process_batch = teller_batch};
static const struct pc_stage_desc blocking_desc = {.name = "blocking",
                                                   .flags = PC_BLOCKING,
                                                   PORTS_IN,
                                                   PORTS_OUT,
                                                   .state_size = sizeof(struct teller),
                                                   .open = teller_open,
                                                   .process = teller_process};
static const struct pc_stage_desc reader_desc = {.name = "reader",
                                                 .state_size = sizeof(struct reader),
                                                 .open = reader_open,
                                                 .produce = reader_produce};
static const struct pc_stage_desc blocking_reader_desc = {.name = "reader",
                                                          .flags = PC_BLOCKING,
                                                          .state_size = sizeof(struct reader),
                                                          .open = reader_open,
                                                          .produce = reader_produce};
static const struct pc_stage_desc told_desc = {.name = "told",
                                               PORTS_IN,
                                               .state_size = sizeof(struct reader),
                                               .open = reader_open,
                                               .process = told_process,
                                               .finish = told_finish};

/* ---- shapes ---- */

struct shape {
	const char *name;
	const struct pc_stage_desc *teller;
	enum plan_on_error on_error;
	uint64_t fail_every;
	uint32_t replicas, capacity, workers;
	bool two_stages; /* in one section */
};

static const struct shape shapes[] = {
	{"one teller, one worker", &teller_desc, PLAN_FAIL, 0, 1, 64, 1, false},
	{"eight tellers, two workers", &teller_desc, PLAN_FAIL, 0, 8, 64, 2, false},
	{"failing items are tried again", &teller_desc, PLAN_RETRY, 5, 4, 64, 2, false},
	{"failing items are left out", &teller_desc, PLAN_SKIP, 5, 4, 64, 3, false},
	{"batches, capacity 1", &batch_desc, PLAN_FAIL, 0, 4, 1, 2, false},
	{"batches with failing items", &batch_desc, PLAN_SKIP, 5, 4, 256, 2, false},
	{"tellers on own threads", &blocking_desc, PLAN_RETRY, 9, 4, 64, 2, false},
	{"two stages in one section", &teller_desc, PLAN_FAIL, 0, 2, 64, 2, true},
};

static struct plan_value values[ACCOUNTS];
static char value_keys[ACCOUNTS][16];

static struct plan_stage *add_tellers(struct graph *g, const struct shape *shape,
                                      const char *name, uint32_t section, uint64_t n,
                                      struct plan_queue *done)
{
	struct counter counter = {n, 0};
	struct teller teller = {.fail_every = shape->fail_every};
	struct plan_queue *q = graph_queue(g, "moves", shape->capacity);
	struct plan_stage *from = graph_stage(g, "counter", &counter_desc, &counter, 1);
	struct plan_stage *to = graph_stage(g, name, shape->teller, &teller, shape->replicas);

	to->section = section;
	to->on_error = shape->on_error;
	to->retries = 2;
	graph_write(g, from, 0, q);
	graph_read(g, to, 0, q);
	graph_write(g, to, 0, done);
	return to;
}

/* 0: it is not there. */
static uint64_t value(struct graph *g, uint32_t shared, const char *key)
{
	int64_t number = 0;
	size_t size;

	if (g->engine)
		state_value(g->engine, shared, key, &number, sizeof(number), &size);
	return (uint64_t)number;
}

static void run_shape(const struct shape *shape)
{
	static const struct reader none = {0};
	struct plan_shared shareds[] = {
		{.name = "bank",
	         .file = "test",
	         .kind = SHARED_DICT,
	         .values = values,
	         .n_values = ACCOUNTS,
	         .section = PLAN_NONE},
		{.name = "kept", .file = "test", .kind = SHARED_DICT, .section = PLAN_NONE}};
	/* With room for one the readers get most of the workers' time. */
	uint64_t n = shape->capacity == 1 ? n_moves / 20 : n_moves;
	uint64_t fails =
		shape->fail_every ? (n + shape->fail_every - 1) / shape->fail_every : 0;
	uint64_t done = shape->on_error == PLAN_SKIP ? n - fails : n;
	struct graph *g = malloc(sizeof(*g));
	struct plan_queue *told;
	struct plan_stage *keeper;
	uint32_t section;
	bool ok;
	int rc;

	memset(&seen, 0, sizeof(seen));
	graph_init(g);
	g->plan.shareds = shareds;
	g->plan.n_shareds = 2;
	section = graph_section(g, "bank");
	told = graph_queue(g, "told", shape->capacity);
	add_tellers(g, shape, "tellers", section, shape->two_stages ? n / 2 : n, told);
	if (shape->two_stages)
		add_tellers(g, shape, "others", section, n - n / 2, told);
	keeper = graph_stage(g, "told", &told_desc, &none, 1);
	keeper->section = graph_section(g, "kept");
	graph_read(g, keeper, 0, told);
	graph_stage(g, "reader", &reader_desc, &none, 2);
	graph_stage(g, "blocking reader", &blocking_reader_desc, &none, 1);
	rc = graph_run(g, shape->workers);
	if (rc)
		fprintf(stderr, "%s", pc_error_text(g->engine ? g->engine->error : g->error));
	ok = rc == PC_OK;
	ok &= atomic_load_explicit(&seen.wrong, memory_order_relaxed) == 0;
	ok &= atomic_load_explicit(&seen.failed, memory_order_relaxed) == fails;
	ok &= atomic_load_explicit(&seen.told, memory_order_relaxed) == done;
	ok &= atomic_load_explicit(&seen.looks, memory_order_relaxed) > 0;
	ok &= value(g, 0, "moves") == done && value(g, 1, "n") == done;
	ok &= value(g, 0, "batches") ==
	      atomic_load_explicit(&seen.batches, memory_order_relaxed);
	printf("%sok %d - %s\n# %" PRIu64 " looks, %" PRIu64 " of them wrong\n",
	       ok ? "" : "not ", ++n_tests, shape->name,
	       atomic_load_explicit(&seen.looks, memory_order_relaxed),
	       atomic_load_explicit(&seen.wrong, memory_order_relaxed));
	fflush(stdout);
	n_failed += !ok;
	graph_fini(g);
	free(g);
}

/* ---- an updater that takes its time ---- */

/* It has updated, and does not return before the readers have looked a thousand times more. */
static int slow_process(struct pc_stage *st, void *state, struct pc_item *item)
{
	struct teller *s = state;
	uint64_t before = atomic_load_explicit(&seen.looks, memory_order_relaxed);
	uint64_t number;
	int r;

	memcpy(&number, item->data, sizeof(number));
	r = move(st, s, number);
	while (atomic_load_explicit(&seen.looks, memory_order_relaxed) < before + 1000)
		usleep(100);
	return r;
}

static void slow_updater(void)
{
	static const struct pc_stage_desc slow = {.name = "slow",
	                                          .flags = PC_BLOCKING,
	                                          PORTS_IN,
	                                          PORTS_OUT,
	                                          .state_size = sizeof(struct teller),
	                                          .open = teller_open,
	                                          .process = slow_process};
	const struct shape shape = {
		"readers do not wait for an updater that does not come back",
		&slow,
		PLAN_FAIL,
		0,
		2,
		4,
		2,
		false};
	uint64_t moves = n_moves;

	n_moves = 20;
	run_shape(&shape);
	n_moves = moves;
}

int main(int argc, char **argv)
{
	if (argc > 1)
		n_moves = strtoull(argv[1], NULL, 10);
	for (unsigned i = 0; i < ACCOUNTS; i++) {
		account(value_keys[i], i);
		values[i] = (struct plan_value){.key = value_keys[i],
		                                .text = "1000",
		                                .size = 4,
		                                .number = MONEY,
		                                .is_number = true};
	}
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		run_shape(&shapes[i]);
	slow_updater();
	printf("1..%d\n", n_tests);
	return n_failed != 0;
}
