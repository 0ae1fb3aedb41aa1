/* stress/swap/many.c: a graph of ten stages, all of them swapped at random by three threads: good
 * builds, some with another layout, and bad ones that are refused, or fail on probation. Scenarios
 * 11, 35, 36, 42 and 57 of README.md.
 *
 * The stages are of every kind: source, replicas in order, critical ones that share a section and
 * a dict, own threads, batches, sink. The chain keeps the order, so an item's number is its place
 * in every queue, and each item carries the number of every build that handled it. At the end,
 * for each stage: all items came once, in order; each was handled by the build that was announced
 * for its place; the counts in the states, and those in the shared dict, add up, although failed
 * items had changed both.
 *
 * Where a build fails, replicas go back one by one before that is announced; so there, and only
 * there, the build that it leads back to is right, too.
 *
 * Arguments: swaps that are asked for (default 2000), seed (default: the clock; it is printed). */
#include "common.h"

#include "base/clock.h"
#include "base/error.h"

#define STAGES      10
#define BUILDS      (1u << 20)
#define ASKERS      3
#define CRITICAL(k) ((k) == 2 || (k) == 6)

/* One build. */
struct part {
	struct pc_stage_desc desc; /* first */
	uint32_t stage, number;
	_Atomic uint32_t fails; /* how many items until one fails; 0: none does */
};

struct parcel {
	uint64_t value, check;
	uint32_t builds[STAGES];
};

struct state {
	uint64_t count;
	uint64_t more; /* of later layouts: not there in the first */
};

/* Told by the runtime: from here on that build. */
struct told {
	uint32_t to; /* as the runtime counts */
	uint64_t position;
	bool back;
};

/* Seen by the sink: from here on that build of ours. */
struct seen {
	uint32_t number;
	uint64_t position;
};

static struct {
	struct graph g;
	struct plan_stage *stages[STAGES];
	_Atomic uint32_t n_builds[STAGES];
	struct seen *seen[STAGES]; /* [sink] */
	uint32_t n_seen[STAGES];
	struct told *told[STAGES]; /* [control] */
	uint32_t n_told[STAGES];
	uint32_t *ours[STAGES]; /* the runtime's number -> 1 + ours; 0: not known */
	uint8_t *fails[STAGES]; /* of ours: it fails on probation */
	pthread_mutex_t lock;   /* of the two above */
	_Atomic uint64_t closed[STAGES], next;
	uint64_t out_of_order, broken;
	_Atomic bool enough;
	uint32_t n_swaps;
	_Atomic uint32_t asked, results[5]; /* good, overtaken, refused, reversed, unexpected */
	unsigned seed;
} all;

/* ------------------------------------------------------------------------------- the code --- */

static struct part *part_of(struct pc_stage *st)
{
	return (struct part *)(uintptr_t)replica_of(st)->build->desc;
}

/* relaxed: a figure of the test */
static bool fails_now(struct part *p)
{
	return atomic_load_explicit(&p->fails, memory_order_relaxed) > 0 &&        /* so */
	       atomic_fetch_sub_explicit(&p->fails, 1, memory_order_relaxed) == 1; /* so */
}

static int produce(struct pc_stage *st, void *state)
{
	struct state *s = state;
	struct part *p = part_of(st);
	bool fails = fails_now(p);

	for (int i = 0; i < 8; i++) {
		struct parcel parcel = {.value = s->count, .check = s->count ^ 4711};

		parcel.builds[0] = p->number;
		s->count++;
		if (pc_emit_copy(st, 0, &parcel, sizeof(parcel)))
			return pc_fail(st, "emit");
	}
	if (fails)
		return pc_fail(st, "planned");
	/* relaxed: a flag */
	return atomic_load_explicit(&all.enough, memory_order_relaxed) ? PC_END : PC_OK;
}

static int pass(struct pc_stage *st, struct state *s, struct pc_item *item)
{
	struct part *p = part_of(st);
	struct parcel parcel;

	memcpy(&parcel, item->data, sizeof(parcel));
	parcel.builds[p->stage] = p->number;
	s->count++;
	if (CRITICAL(p->stage)) {
		struct pc_shared *dict = pc_shared_find(st, "counts");

		if (!dict || pc_shared_add(st, dict, p->stage == 2 ? "two" : "six", 1, NULL))
			return pc_fail(st, "no dict");
	}
	if (pc_emit_copy(st, 0, &parcel, sizeof(parcel)))
		return pc_fail(st, "emit");
	if (!fails_now(p))
		return PC_OK;
	s->count += 1000000;
	return pc_fail(st, "planned");
}

static int process(struct pc_stage *st, void *state, struct pc_item *item)
{
	return pass(st, state, item);
}

static int process_batch(struct pc_stage *st, void *state, struct pc_item *const *items,
                         unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		int rc = pass(st, state, items[i]);

		if (rc)
			return rc;
		pc_done(st);
	}
	return PC_OK;
}

static int arrive(struct pc_stage *st, void *state, struct pc_item *item)
{
	struct state *s = state;
	struct part *p = part_of(st);
	struct parcel parcel;
	uint64_t next = s->count;

	s->count++;
	if (fails_now(p)) {
		s->count += 1000000;
		return pc_fail(st, "planned");
	}
	memcpy(&parcel, item->data, sizeof(parcel));
	parcel.builds[p->stage] = p->number;
	all.out_of_order += parcel.value != next;
	all.broken += parcel.check != (parcel.value ^ 4711);
	for (int k = 0; k < STAGES; k++)
		if (all.n_seen[k] == 0 ||
		    all.seen[k][all.n_seen[k] - 1].number != parcel.builds[k])
			all.seen[k][all.n_seen[k]++] =
				(struct seen){parcel.builds[k], parcel.value};
	/* a figure, relaxed */
	atomic_store_explicit(&all.next, s->count, memory_order_relaxed);
	return PC_OK;
}

static int part_close(struct pc_stage *st, void *state)
{
	const struct state *s = state;

	/* a count, relaxed */
	atomic_fetch_add_explicit(&all.closed[part_of(st)->stage], s->count,
	                          memory_order_relaxed);
	return PC_OK;
}

static int bad_migrate(struct pc_stage *st, uint32_t old_version, const void *old_state,
                       size_t old_size, void *new_state)
{
	(void)old_version;
	(void)old_size;
	(void)new_state;
	(void)old_state;
	return pc_fail(st, "planned");
}

static const struct pc_port ports[] = {{"port", "*", 0, ""}};
static const struct pc_field fields[] = {
	{"count", PC_T_U64, 1, offsetof(struct state, count), sizeof(uint64_t)},
	{"more", PC_T_U64, 1, offsetof(struct state, more), sizeof(uint64_t)}};

static const struct {
	const char *name;
	uint32_t replicas;
	bool ordered, blocking, batch;
} kinds[STAGES] = {{"source", 1, false, false, false},   {"plain", 2, true, false, false},
                   {"critical", 1, false, false, false}, {"own", 1, false, true, false},
                   {"batch", 1, false, false, true},     {"four", 4, true, false, false},
                   {"section", 1, false, false, false},  {"threads", 3, true, true, false},
                   {"batches", 2, true, false, true},    {"sink", 1, false, false, false}};

static struct part *part_new(uint32_t stage)
{
	struct part *p = calloc(1, sizeof(*p));

	p->stage = stage;
	/* a number, relaxed */
	p->number = atomic_fetch_add_explicit(&all.n_builds[stage], 1, memory_order_relaxed);
	p->desc = (struct pc_stage_desc){.name = kinds[stage].name,
	                                 .flags = kinds[stage].blocking ? PC_BLOCKING : 0,
	                                 .inputs = stage > 0 ? ports : NULL,
	                                 .n_inputs = stage > 0,
	                                 .outputs = stage < STAGES - 1 ? ports : NULL,
	                                 .n_outputs = stage < STAGES - 1,
	                                 .state_size = sizeof(uint64_t),
	                                 .fields = fields,
	                                 .n_fields = 1,
	                                 .close = part_close};
	if (stage == 0)
		p->desc.produce = produce;
	else if (stage == STAGES - 1)
		p->desc.process = arrive;
	else if (kinds[stage].batch)
		p->desc.process_batch = process_batch;
	else
		p->desc.process = process;
	return p;
}

static bool part_release(void *user, struct buf *why)
{
	struct part *p = user;

	(void)why;
	/* Whoever still runs it is found by the sanitizers, and by this without them. */
	memset(&p->desc, 0x5a, sizeof(p->desc));
	free(p);
	return true;
}

/* -------------------------------------------------------------------------------- asking --- */

enum kind { GOOD, WIDER, FAILS, REFUSED, NO_MIGRATE, N_KINDS };

static enum kind choose(unsigned *seed)
{
	unsigned n = (unsigned)rand_r(seed) / 16 % 100;

	return n < 60 ? GOOD : n < 75 ? WIDER : n < 90 ? FAILS : n < 95 ? REFUSED : NO_MIGRATE;
}

static void tune(struct part *p, enum kind kind, unsigned *seed)
{
	switch (kind) {
	case WIDER:
		p->desc.state_size = sizeof(struct state);
		p->desc.n_fields = 2;
		break;
	case FAILS:
		/* relaxed: not offered yet */
		atomic_store_explicit(&p->fails, 1 + (unsigned)rand_r(seed) % SWAP_PROBATION,
		                      memory_order_relaxed);
		break;
	case REFUSED:
		p->desc.state_size = 2 * sizeof(struct state);
		break;
	case NO_MIGRATE:
		p->desc.state_version = 1;
		p->desc.migrate = bad_migrate;
		break;
	case GOOD:
	case N_KINDS:
		break;
	}
}

/* Was that an answer that this build may get? */
static int verdict(enum kind kind, int rc)
{
	if (rc == PC_STOPPED)
		return 1;
	switch (kind) {
	case GOOD:
	case WIDER:
		return rc == PC_OK ? 0 : 4;
	case FAILS: /* OK: a newer one came before the item that fails */
		return rc == PC_OK ? 0 : rc == PC_ERROR ? 3 : 4;
	case REFUSED:
	case NO_MIGRATE:
		return rc == PC_WRONG ? 2 : 4;
	case N_KINDS:
		break;
	}
	return 4;
}

static void swap_once(unsigned *seed)
{
	uint32_t stage = (uint32_t)rand_r(seed) / 16 % STAGES;
	enum kind kind = choose(seed);
	struct part *p = part_new(stage);
	uint32_t number = p->number;
	struct swap_offer offer = {
		.desc = &p->desc, .file = "test", .release = part_release, .user = p};
	struct swap_wish wish = {.timeout_ns = 300 * PC_SEC,
	                         .probation_ns = kind == FAILS ? 300 * PC_SEC : 0};
	struct pc_error *err = NULL;
	struct swap_report r;
	int rc, is;

	tune(p, kind, seed);
	pthread_mutex_lock(&all.lock);
	all.fails[stage][number] = kind == FAILS;
	pthread_mutex_unlock(&all.lock);
	rc = swap_ask(all.g.engine, stage, &offer, &wish, &r, &err);
	is = verdict(kind, rc);
	if (is == 4)
		printf("# stage %u, build of kind %d: result %d, %s", stage, (int)kind, rc,
		       pc_error_text(err));
	if (rc == PC_OK || rc == PC_ERROR) {
		pthread_mutex_lock(&all.lock);
		all.ours[stage][r.to] = 1 + number;
		pthread_mutex_unlock(&all.lock);
	}
	/* a count, relaxed */
	atomic_fetch_add_explicit(&all.results[is], 1, memory_order_relaxed);
	free(r.words);
	pc_error_free(err);
}

static void *ask_on(void *arg)
{
	unsigned seed = all.seed + (unsigned)(uintptr_t)arg;

	/* a count, relaxed */
	while (atomic_fetch_add_explicit(&all.asked, 1, memory_order_relaxed) < all.n_swaps)
		swap_once(&seed);
	return NULL;
}

/* ----------------------------------------------------------------------------- the graph --- */

static void make(struct part *first[STAGES])
{
	static const struct state none;
	uint32_t section;

	graph_init(&all.g);
	for (uint32_t k = 0; k < STAGES; k++) {
		all.seen[k] = calloc(8 * (size_t)BUILDS, sizeof(struct seen));
		all.told[k] = calloc(2 * (size_t)BUILDS, sizeof(struct told));
		all.ours[k] = calloc(BUILDS, sizeof(uint32_t));
		all.fails[k] = calloc(BUILDS, 1);
		all.told[k][all.n_told[k]++] = (struct told){1, 0, false};
		all.ours[k][1] = 1;
		first[k] = part_new(k);
		all.stages[k] = graph_stage(&all.g, kinds[k].name, &first[k]->desc, &none,
		                            kinds[k].replicas);
		all.stages[k]->ordered = kinds[k].ordered;
	}
	section = graph_section(&all.g, "s");
	for (uint32_t k = 0; k < STAGES; k++)
		if (CRITICAL(k))
			all.stages[k]->section = section;
	for (uint32_t k = 1; k < STAGES; k++) {
		struct plan_queue *q = graph_queue(&all.g, kinds[k].name, 16u << k % 4);

		graph_write(&all.g, all.stages[k - 1], 0, q);
		graph_read(&all.g, all.stages[k], 0, q);
	}
}

static void on_swap(void *unused, const struct pc_swap_event *event)
{
	uint32_t k = 0;

	(void)unused;
	while (strcmp(kinds[k].name, event->stage) != 0)
		k++;
	if (event->what != PC_SWAP_LATE)
		all.told[k][all.n_told[k]++] = (struct told){
			event->report->to, event->report->item, event->what == PC_SWAP_BACK};
}

/* May our build `b` have handled items that were announced for t[0]? t[1] comes after it, or is
 * NULL. */
static bool is_right(uint32_t k, uint32_t b, const struct told *t, const struct told *after)
{
	uint32_t announced = all.ours[k][t->to] - 1;

	return b == announced || all.fails[k][b] ||
	       (all.fails[k][announced] && b < announced) ||
	       (after && after->back && b == all.ours[k][after->to] - 1);
}

static bool check_stage(uint32_t k)
{
	const struct told *t = all.told[k], *end = t + all.n_told[k];

	for (uint32_t i = 0; i < all.n_seen[k]; i++) {
		const struct seen *s = &all.seen[k][i];
		uint64_t last = i + 1 < all.n_seen[k] ? s[1].position - 1 : UINT64_MAX;

		for (;; t++) {
			/* to the one announced here; two cuts may be at one place */
			while (t + 1 < end &&
			       (t[1].position <= s->position || t[1].position == t->position))
				t++;
			if (!is_right(k, s->number, t, t + 1 < end ? t + 1 : NULL)) {
				printf("# stage %u: build %u handled %" PRIu64 "…%" PRIu64
				       ", announced was v%u (%u) from %" PRIu64 "\n",
				       k, s->number, s->position, last, t->to,
				       all.ours[k][t->to] - 1, t->position);
				for (const struct told *a = t > all.told[k] + 3 ? t - 3
				                                                : all.told[k];
				     a < end && a < t + 5; a++)
					printf("#   %s v%u (%u%s) from %" PRIu64 "\n",
					       a->back ? "back on" : "live", a->to,
					       all.ours[k][a->to] - 1,
					       all.fails[k][all.ours[k][a->to] - 1] ? ", fails"
					                                            : "",
					       a->position);
				return false;
			}
			if (t + 1 == end || t[1].position > last)
				break;
		}
	}
	return true;
}

static uint64_t in_dict(const char *key)
{
	int64_t number = 0;
	size_t size;

	state_value(all.g.engine, 0, key, &number, sizeof(number), &size);
	return (uint64_t)number;
}

static bool check(int rc)
{
	/* relaxed, all: after the end */
	uint64_t n = atomic_load_explicit(&all.next, memory_order_relaxed);
	bool ok = rc == PC_OK && all.out_of_order == 0 && all.broken == 0 && n > 0;

	for (uint32_t k = 0; k < STAGES; k++) {
		uint64_t counted = atomic_load_explicit(&all.closed[k], memory_order_relaxed);

		if (counted != n) /* so */
			printf("# stage %u counted %" PRIu64 "\n", k, counted);
		ok = check_stage(k) && counted == n && ok;
	}
	printf("# %" PRIu64 " items, %" PRIu64 " out of order, %" PRIu64
	       " broken; the dict has %" PRIu64 " and %" PRIu64 "\n",
	       n, all.out_of_order, all.broken, in_dict("two"), in_dict("six"));
	return ok && in_dict("two") == n && in_dict("six") == n;
}

int main(int argc, char **argv)
{
	struct plan_shared shareds[] = {
		{.name = "counts", .file = "test", .kind = SHARED_DICT, .section = PLAN_NONE}};
	struct pc_run_options options = {
		.size = sizeof(options), .workers = 2, .swap = on_swap};
	struct part *first[STAGES];
	pthread_t threads[ASKERS];
	int rc;

	all.n_swaps = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 2000;
	all.seed = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : (unsigned)clock_now_ns();
	printf("# seed %u\n", all.seed);
	pthread_mutex_init(&all.lock, NULL);
	make(first);
	all.g.plan.shareds = shareds;
	all.g.plan.n_shareds = 1;
	rc = graph_start(&all.g, &options);
	for (uintptr_t i = 0; i < ASKERS && rc == PC_OK; i++)
		pthread_create(&threads[i], NULL, ask_on, (void *)i);
	for (int i = 0; i < ASKERS && rc == PC_OK; i++)
		pthread_join(threads[i], NULL);
	/* relaxed: a flag */
	atomic_store_explicit(&all.enough, true, memory_order_relaxed);
	if (rc == PC_OK)
		rc = graph_wait(&all.g);
	if (rc != PC_OK)
		printf("# result %d: %s", rc,
		       all.g.engine ? pc_error_text(all.g.engine->error) : "");
	/* relaxed, all: after the end */
	printf("# %u taken, %u overtaken, %u refused, %u reversed, %u otherwise\n",
	       atomic_load_explicit(&all.results[0], memory_order_relaxed),  /* so */
	       atomic_load_explicit(&all.results[1], memory_order_relaxed),  /* so */
	       atomic_load_explicit(&all.results[2], memory_order_relaxed),  /* so */
	       atomic_load_explicit(&all.results[3], memory_order_relaxed),  /* so */
	       atomic_load_explicit(&all.results[4], memory_order_relaxed)); /* so */
	report(check(rc) && atomic_load_explicit(&all.results[4], memory_order_relaxed) ==
	                            0, /* so */
	       "ten stages of every kind, swapped at random by three threads");
	all.g.plan.shareds = NULL;
	all.g.plan.n_shareds = 0;
	graph_fini(&all.g);
	for (int k = 0; k < STAGES; k++) {
		free(first[k]);
		free(all.seen[k]);
		free(all.told[k]);
		free(all.ours[k]);
		free(all.fails[k]);
	}
	return tap_end();
}
