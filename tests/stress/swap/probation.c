/* stress/swap/probation.c: new code that fails on one of its first items: item and state are put
 * back, the old code goes on, and nothing is lost, doubled, or counted twice.
 *
 * A planned failure comes after the code has changed its state and emitted three items. */
#include "common.h"

#include "base/error.h"

static char said[4096];

static int swap(struct code *c, unsigned how)
{
	struct swap_report r;
	struct pc_error *err = NULL;
	int rc = line_swap_code(c, how, &r, &err);

	snprintf(said, sizeof(said), "%s", pc_error_text(err));
	pc_error_free(err);
	return rc;
}

static struct code *failing(enum role role, uint32_t item, uint32_t replica)
{
	const struct pc_stage_desc *first = line->stage[role]->desc;
	struct code *c = code_new(role, first->flags & PC_BLOCKING, first->process_batch);

	c->fail_item = item;
	c->fail_replica = replica;
	return c;
}

static void end(bool ok, enum role role, bool exact, const char *what)
{
	int rc = line_end();

	if (!ok || rc != PC_OK)
		printf("# %s, result %d, said: %s\n", ok ? "ok" : "not as expected", rc, said);
	report(line_check(role, exact) && ok && rc == PC_OK, what);
	line_free();
}

/* v2 fails, v3 is good. The failed build's items count for it, so cuts are not looked at. */
static bool check_all_counts(enum role role)
{
	const struct track *t = &line->track[role];
	uint64_t sum = 0;

	for (uint32_t i = 1; i <= line->numbers[role]; i++)
		sum += t->count[i];
	return sum == line_seen();
}

static void run(const struct line_shape *shape, enum role role, uint32_t item, uint32_t replica)
{
	char what[256];
	bool ok;
	int rc;

	line_make(shape);
	line_start(shape->workers);
	line_flow(300);
	ok = swap(failing(role, item, replica), 0) == PC_ERROR && strstr(said, "planned") &&
	     strstr(said, "back on v1") && strstr(line_log(), "failed on probation");
	line_flow(300);
	ok = swap(failing(role, 0, 0), 0) == PC_OK && ok;
	line_flow(300);
	rc = line_end();
	snprintf(what, sizeof(what), "%s: %s fails on its item %u%s", shape->what,
	         line->stage[role]->name, item,
	         replica == UINT32_MAX ? " in every replica" : "");
	if (!ok || rc != PC_OK)
		printf("# result %d, said: %s\n", rc, said);
	/* The sum of the states' counts is checked, too: a failed item's change is undone. */
	line->n_cuts[role] = 0;
	ok = check_all_counts(role) && ok && rc == PC_OK;
	line->track[role].count[1] = line_seen();
	report(line_check(role, false) && ok, what);
	line_free();
}

static const struct line_shape shapes[] = {
	{.what = "one replica",
         .sources = 1,
         .mids = 1,
         .capacity = 64,
         .workers = 2,
         .source = {.batch = 16}},
	{.what = "four replicas",
         .sources = 1,
         .mids = 4,
         .capacity = 256,
         .workers = 3,
         .source = {.batch = 64}},
	{.what = "ordered",
         .sources = 1,
         .mids = 4,
         .capacity = 64,
         .workers = 2,
         .ordered = true,
         .source = {.batch = 16}},
	{.what = "batches",
         .sources = 1,
         .mids = 2,
         .capacity = 256,
         .workers = 2,
         .batch = true,
         .source = {.batch = 100}},
	{.what = "critical",
         .sources = 1,
         .mids = 3,
         .capacity = 64,
         .workers = 4,
         .section = true,
         .source = {.batch = 16}},
	{.what = "own threads",
         .sources = 1,
         .mids = 2,
         .capacity = 64,
         .workers = 1,
         .blocking = {true, true, true},
         .source = {.batch = 8}},
};

/* The 65th is no longer on probation: on_error decides, as ever. */
static void afterwards(void)
{
	struct line_shape shape = shapes[0];
	bool ok;
	int rc;

	line_make(&shape);
	line->stage[MID]->on_error = PLAN_SKIP;
	line_start(2);
	line_flow(300);
	probation_ns = 0;
	ok = swap(failing(MID, SWAP_PROBATION + 1, UINT32_MAX), 0) == PC_OK;
	probation_ns = 10 * PC_SEC;
	line_flow(1000);
	rc = line_end();
	report(ok && rc == PC_OK && strstr(line_log(), "item skipped: planned") &&
	               line->doubled == 0 && !strstr(line_log(), "probation"),
	       "the 65th item fails: no way back, on_error decides");
	line_free();
}

/* Builds that nobody has tried are not worth going back to. */
static void in_a_row(void)
{
	bool ok = true;

	line_make(&shapes[1]);
	/* relaxed, both: flags */
	atomic_store_explicit(&line->shut, true, memory_order_relaxed);
	line_start(2);
	probation_ns = 0;
	for (int i = 0; i < 3; i++) {
		struct code *c = failing(MID, 1, UINT32_MAX);

		c->fails_on = true;
		ok = swap(c, 0) == PC_OK && ok;
	}
	probation_ns = 10 * PC_SEC;
	atomic_store_explicit(&line->shut, false, memory_order_relaxed); /* as above */
	line_flow(500);
	ok = line_logged("v4 failed on probation; back on v1") && ok;
	line->n_cuts[MID] = 0;
	ok = swap(NULL, SWAP_BACK) == PC_WRONG && ok;
	end(ok, MID, false, "bad v2, v3, v4 in a row, before any item: still v1");
}

/* A bad build, and before it has failed another bad one, which fails first: replicas that are still on
 * the first when they hear of that must not be left there without protection. */
static void two_at_once(void)
{
	bool ok = true;

	line_make(&shapes[1]);
	line_start(2);
	probation_ns = 1;
	for (int i = 0; i < 300 && ok; i++) {
		struct code *c = failing(MID, 2 + (uint32_t)i % 20, UINT32_MAX);
		int rc;

		c->fails_on = true;
		rc = swap(c, 0);
		ok = rc == PC_OK || rc == PC_ERROR;
		c = failing(MID, 1, UINT32_MAX);
		c->fails_on = true;
		rc = swap(c, 0);
		ok = ok && (rc == PC_OK || rc == PC_ERROR);
		line_flow(20);
	}
	probation_ns = 10 * PC_SEC;
	line->n_cuts[MID] = 0;
	if (!ok)
		printf("# said: %s\n", said);
	ok = line_end() == PC_OK && check_all_counts(MID) && ok;
	report(ok && line->doubled == 0,
	       "two bad builds right after each other: no replica is left on the "
	       "first");
	line_free();
}

/* A build is its code: the same again, under whatever number, would fail as well. */
static struct code *hashed(uint32_t fails, uint64_t hash)
{
	struct code *c = failing(MID, fails, UINT32_MAX);

	c->hash = hash;
	return c;
}

static void same_again(void)
{
	bool ok;

	line_make(&shapes[1]);
	line_start(2);
	line_flow(300);
	ok = swap(hashed(2, 77), 0) == PC_ERROR;
	ok = swap(hashed(2, 77), 0) == PC_WRONG && ok &&
	     strstr(said, "it is the code of v2, which failed on probation: planned");
	ok = swap(hashed(0, 78), 0) == PC_OK && ok;
	ok = swap(hashed(0, 78), 0) == PC_OK && ok; /* runs already */
	/* Long gone, and still known: more builds than are kept. */
	for (uint64_t i = 0; i < SWAP_KEEP + 4; i++)
		ok = swap(hashed(0, 100 + i), 0) == PC_OK && ok;
	ok = swap(hashed(2, 77), 0) == PC_WRONG && ok;
	ok = swap(hashed(2, 77), SWAP_RETRY) == PC_ERROR && ok;
	ok = swap(hashed(0, 77), SWAP_RETRY) == PC_OK && ok; /* the reason is gone */
	line_flow(4 * SWAP_PROBATION * 10);
	ok = swap(hashed(0, 78), 0) == PC_OK && ok;
	ok = swap(hashed(0, 77), 0) == PC_OK && ok; /* it is trusted since */
	line->n_cuts[MID] = 0;
	ok = line_end() == PC_OK && check_all_counts(MID) && ok;
	report(ok && line->doubled == 0 && line->broken == 0,
	       "the same code again is refused, with its reason; other code, and another try, "
	       "are not");
	line_free();
}

/* While a bad build is being tried, newer ones are asked for: the newest runs in the end. */
static _Atomic int others;

static void *ask_more(void *unused)
{
	struct swap_report r;
	struct code *c = unused;
	struct swap_offer offer = code_offer(c);
	struct swap_wish wish = {.timeout_ns = 30 * PC_SEC};
	int rc = swap_ask(line->g.engine, line_stage(MID), &offer, &wish, &r, NULL);

	free(r.words);
	if (rc == PC_OK)
		atomic_fetch_add_explicit(&others, 1, memory_order_relaxed); /* a count */
	return NULL;
}

static void coalesced(void)
{
	pthread_t threads[20];
	uint32_t last;
	bool ok;
	int rc;

	line_make(&shapes[1]);
	line_start(2);
	line_flow(300);
	for (int i = 0; i < 20; i++)
		pthread_create(&threads[i], NULL, ask_more, failing(MID, 0, 0));
	for (int i = 0; i < 20; i++)
		pthread_join(threads[i], NULL);
	/* relaxed: after the threads */
	last = atomic_load_explicit(&line->g.engine->stages[line_stage(MID)]->swap.cuts,
	                            memory_order_relaxed);
	ok = (int)last == atomic_load_explicit(&others, memory_order_relaxed) &&
	     last > 0; /* so */
	printf("# of 20 requests at once %u were carried out, the others overtaken\n", last);
	rc = line_end();
	ok = check_all_counts(MID) && ok;
	line->n_cuts[MID] = 0;
	line->track[MID].count[1] = line_seen();
	report(line_check(MID, false) && rc == PC_OK && ok,
	       "20 requests at once: none is forgotten, each is answered");
	line_free();
}

/* ---- states that point to memory ---- */

struct owner {
	uint64_t count;
	uint64_t *list; /* grows with each item */
	uint64_t room;
};

static int owner_process(struct pc_stage *st, void *state, struct pc_item *item)
{
	struct code *code = (struct code *)(uintptr_t)replica_of(st)->build->desc;
	struct owner *o = state;
	struct number number;

	memcpy(&number, item->data, sizeof(number));
	number.done = code->number;
	if (code->fail_item) {
		/* moved for sure, and freed: the old pointer leads nowhere */
		uint64_t *more = malloc((o->room + 1000) * sizeof(*more));

		memcpy(more, o->list, o->room * sizeof(*more));
		free(o->list);
		o->list = more;
		o->room += 1000;
		return pc_fail(st, "planned");
	}
	if (o->count == o->room) {
		o->room = o->room ? o->room * 2 : 16;
		o->list = realloc(o->list, o->room * sizeof(*o->list));
	}
	o->list[o->count++] = number.value;
	return pc_emit_copy(st, 0, &number, sizeof(number));
}

static int owner_close(struct pc_stage *st, void *state)
{
	struct owner *o = state;

	(void)st;
	free(o->list);
	/* a count, relaxed */
	atomic_fetch_add_explicit(&line->closed_count[MID], o->count, memory_order_relaxed);
	return PC_OK;
}

static void owner(struct code *c)
{
	c->desc.state_size = sizeof(struct owner);
	c->desc.process = owner_process;
	c->desc.close = owner_close;
	c->desc.open = NULL;
}

static void pointers(void)
{
	static const struct owner nothing;
	struct line_shape shape = shapes[1];
	struct code *c;
	bool ok;

	shape.tune = owner;
	shape.mid_state = &nothing;
	line_make(&shape);
	line_start(2);
	line_flow(2000);
	c = failing(MID, 1, UINT32_MAX);
	owner(c);
	ok = swap(c, 0) == PC_ERROR && strstr(said, "stays as it left it");
	line_flow(2000);
	c = failing(MID, 0, 0);
	owner(c);
	ok = swap(c, 0) == PC_OK && ok;
	line_flow(500);
	end(ok, MID, true, "a failed call has moved memory of the state: that is not undone");
}

/* ---- a migrated state: back only before the first item is done ---- */

static int keep_migrate(struct pc_stage *st, uint32_t old_version, const void *old_state,
                        size_t old_size, void *new_state)
{
	(void)st;
	(void)old_version;
	memcpy(new_state, old_state, old_size);
	return PC_OK;
}

static void migrated(uint32_t item)
{
	struct line_shape shape = shapes[0];
	struct code *c;
	bool ok;
	int rc;

	line_make(&shape);
	line->stage[MID]->on_error = PLAN_SKIP;
	line_start(2);
	line_flow(300);
	c = failing(MID, item, UINT32_MAX);
	c->desc.state_version = 1;
	c->desc.migrate = keep_migrate;
	rc = swap(c, 0);
	line_flow(500);
	if (item == 1) {
		ok = rc == PC_ERROR && strstr(said, "back on v1");
		end(ok, MID, true, "a migrated state, the first item fails: back");
		return;
	}
	ok = rc == PC_OK && strstr(line_log(), "item skipped");
	rc = line_end();
	report(ok && rc == PC_OK && line->doubled == 0,
	       "a migrated state, the second item fails: no way back without forgetting the "
	       "first, so on_error decides");
	line_free();
}

/* ---- a fresh state on probation: the old one comes back as it was ---- */

static void fresh(void)
{
	bool ok;
	int rc;

	line_make(&shapes[1]);
	line_start(2);
	line_flow(300);
	ok = swap(failing(MID, 1, UINT32_MAX), SWAP_RESET) == PC_ERROR &&
	     strstr(said, "back on v1");
	line_flow(300);
	rc = line_end();
	/* relaxed, both: after the end */
	ok = ok && atomic_load_explicit(&line->opened, memory_order_relaxed) ==
	                   atomic_load_explicit(&line->closed, memory_order_relaxed);
	report(ok && rc == PC_OK && line->doubled == 0 &&
	               strstr(line_log(), "failed on probation"),
	       "a fresh state whose first item fails: the old one is back; each that was "
	       "opened "
	       "is closed once");
	line_free();
}

/* finish() on probation: what it would have emitted is made by the old code. */
static int bad_finish(struct pc_stage *st, void *state)
{
	struct counter *c = state;

	c->count += 1000000;
	return pc_fail(st, "planned");
}

static void finishing(void)
{
	struct code *c;
	bool ok;
	int rc;

	line_make(&shapes[0]);
	/* relaxed: a flag */
	atomic_store_explicit(&line->shut, true, memory_order_relaxed);
	line_start(2);
	probation_ns = 0;
	c = failing(MID, 0, 0);
	c->desc.finish = bad_finish;
	ok = swap(c, 0) == PC_OK;
	probation_ns = 10 * PC_SEC;
	/* The sources end without an item, so finish() is the first call. */
	atomic_store_explicit(&line->enough, true, memory_order_relaxed); /* likewise */
	atomic_store_explicit(&line->shut, false, memory_order_relaxed);  /* likewise */
	rc = line_end();
	line->n_cuts[MID] = 0;
	report(line_check(MID, false) && ok && rc == PC_OK,
	       "finish() fails on probation: the old one finishes");
	line_free();
}

int main(void)
{
	static const uint32_t items[] = {1, 2, SWAP_PROBATION};

	probation_ns = 10 * PC_SEC;
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		for (size_t k = 0; k < 3; k++)
			run(&shapes[i], MID, items[k],
			    shapes[i].mids > 1 && k == 1 ? 1 : UINT32_MAX);
	for (size_t k = 0; k < 3; k++) {
		run(&shapes[0], SOURCE, items[k], UINT32_MAX);
		run(&shapes[5], SOURCE, items[k], UINT32_MAX);
		run(&shapes[0], SINK, items[k], UINT32_MAX);
	}
	afterwards();
	in_a_row();
	same_again();
	two_at_once();
	coalesced();
	pointers();
	migrated(1);
	migrated(2);
	fresh();
	finishing();
	return tap_end();
}
