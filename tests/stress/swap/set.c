/* stress/swap/set.c: sets of stages that change their builds as one, under load. Scenario 35 of
 * README.md.
 *
 * A line of five stages, source -> a -> b -> c -> sink, each with its replicas, in order. On each
 * edge flows a *kind* of item, which is a number in the item and in the port's type. A build takes
 * one kind and sends one. A set of neighbours changes the kinds between them, so each of them alone
 * would be refused. Whoever gets an item of a kind that its code does not take, counts it; the sink
 * sees whether all items came, once, in order, and that each was handled by the builds that were
 * announced for its place, which is also its place in every queue.
 *
 * Arguments: sets per shape (default 150), seed (default: the clock; it is printed). */
#include "common.h"

#include "base/clock.h"
#include "base/error.h"

enum { STAGES = 5, EDGES = STAGES - 1, BUILDS = 1 << 16 };

struct parcel {
	uint64_t value, check;
	uint32_t kind;
	uint32_t builds[STAGES];
};

struct state {
	uint64_t count, more;
};

/* One build. */
struct part {
	struct pc_stage_desc desc; /* first */
	uint32_t stage, number, in, out;
	struct pc_port ports[2];
	char types[2][24];
};

struct shape {
	const char *what;
	uint32_t replicas[STAGES];
	bool own[STAGES]; /* a thread per replica */
	uint32_t capacity, workers;
};

struct seen {
	uint32_t number;
	uint64_t first;
};

static struct {
	struct graph g;
	struct plan_stage *stages[STAGES];
	uint32_t kinds[EDGES], last_kind;
	uint32_t versions[STAGES];      /* of the states */
	uint32_t migrate_fails[STAGES]; /* on replica n - 1; 0: on none */
	uint32_t n_builds[STAGES];
	uint32_t ours[STAGES][BUILDS]; /* the runtime's number -> ours */
	struct seen seen[STAGES][BUILDS], told[STAGES][BUILDS];
	uint32_t n_seen[STAGES], n_told[STAGES];
	_Atomic uint64_t closed[STAGES], wrong_kind, arrived;
	uint64_t out_of_order, broken;
	_Atomic bool enough, held; /* c stands still, and an item is in it */
	_Atomic uint32_t standing;
	uint64_t limit; /* the source ends by itself; 0: when told */
	unsigned seed;
} all;

static int n_sets = 150;

/* ------------------------------------------------------------------------------- the code --- */

static struct part *part_of(struct pc_stage *st)
{
	return (struct part *)(uintptr_t)replica_of(st)->build->desc;
}

/* relaxed, all: flags and figures of the test */
static bool flag(const _Atomic bool *at)
{
	return atomic_load_explicit((_Atomic bool *)(uintptr_t)at, memory_order_relaxed);
}

static void set_flag(_Atomic bool *at, bool on)
{
	atomic_store_explicit(at, on, memory_order_relaxed); /* a flag */
}

static void count(_Atomic uint64_t *at, uint64_t n)
{
	atomic_fetch_add_explicit(at, n, memory_order_relaxed); /* a count */
}

static uint64_t arrived(void)
{
	return atomic_load_explicit(&all.arrived, memory_order_relaxed); /* a figure */
}

static int produce(struct pc_stage *st, void *state)
{
	struct state *s = state;
	struct part *p = part_of(st);

	for (int i = 0; i < 8; i++) {
		struct parcel parcel = {
			.value = s->count, .check = s->count ^ 4711, .kind = p->out};

		if (all.limit > 0 && s->count == all.limit)
			return PC_END;
		parcel.builds[0] = p->number;
		s->count++;
		if (pc_emit_copy(st, 0, &parcel, sizeof(parcel)))
			return pc_fail(st, "emit");
	}
	return all.limit == 0 && flag(&all.enough) ? PC_END : PC_OK;
}

static void stand_still(const struct part *p)
{
	if (p->stage != 3 || !flag(&all.held))
		return;
	/* a figure, relaxed, both */
	atomic_fetch_add_explicit(&all.standing, 1, memory_order_relaxed);
	while (flag(&all.held))
		doze_us(100);
	atomic_fetch_sub_explicit(&all.standing, 1, memory_order_relaxed); /* so */
}

static int process(struct pc_stage *st, void *state, struct pc_item *item)
{
	struct state *s = state;
	struct part *p = part_of(st);
	struct parcel parcel;

	memcpy(&parcel, item->data, sizeof(parcel));
	stand_still(p);
	count(&all.wrong_kind, parcel.kind != p->in);
	parcel.kind = p->out;
	parcel.builds[p->stage] = p->number;
	s->count++;
	return pc_emit_copy(st, 0, &parcel, sizeof(parcel));
}

static int arrive(struct pc_stage *st, void *state, struct pc_item *item)
{
	struct state *s = state;
	struct part *p = part_of(st);
	struct parcel parcel;

	memcpy(&parcel, item->data, sizeof(parcel));
	parcel.builds[p->stage] = p->number;
	count(&all.wrong_kind, parcel.kind != p->in);
	all.out_of_order += parcel.value != s->count;
	all.broken += parcel.check != (parcel.value ^ 4711);
	s->count++;
	for (uint32_t k = 0; k < STAGES; k++)
		if (all.n_seen[k] == 0 ||
		    all.seen[k][all.n_seen[k] - 1].number != parcel.builds[k])
			all.seen[k][all.n_seen[k]++] =
				(struct seen){parcel.builds[k], parcel.value};
	count(&all.arrived, 1);
	return PC_OK;
}

static int part_close(struct pc_stage *st, void *state)
{
	count(&all.closed[part_of(st)->stage], ((const struct state *)state)->count);
	return PC_OK;
}

static int part_migrate(struct pc_stage *st, uint32_t old_version, const void *old_state,
                        size_t old_size, void *new_state)
{
	(void)old_version;
	/* st is still of the old build */
	if (all.migrate_fails[part_of(st)->stage] == st->replica + 1)
		return pc_fail(st, "planned");
	(void)old_size;
	memcpy(new_state, old_state, sizeof(uint64_t)); /* the count */
	return PC_OK;
}

static int open_fails(struct pc_stage *st, void *state)
{
	(void)state;
	return pc_fail(st, "planned");
}

static const struct pc_field fields[] = {
	{"count", PC_T_U64, 1, offsetof(struct state, count), sizeof(uint64_t)},
	{"more", PC_T_U64, 1, offsetof(struct state, more), sizeof(uint64_t)}};

static const char *const names[STAGES] = {"source", "a", "b", "c", "sink"};

static struct part *part_new(const struct shape *shape, uint32_t stage, uint32_t in,
                             uint32_t out)
{
	struct part *p = calloc(1, sizeof(*p));

	p->stage = stage;
	p->number = all.n_builds[stage]++;
	p->in = in;
	p->out = out;
	snprintf(p->types[0], sizeof(p->types[0]), "kind/%u", in);
	snprintf(p->types[1], sizeof(p->types[1]), "kind/%u", out);
	p->ports[0] = (struct pc_port){"in", p->types[0], 0, ""};
	p->ports[1] = (struct pc_port){"out", p->types[1], 0, ""};
	p->desc = (struct pc_stage_desc){.name = names[stage],
	                                 .flags = shape->own[stage] ? PC_BLOCKING : 0,
	                                 .inputs = stage > 0 ? &p->ports[0] : NULL,
	                                 .n_inputs = stage > 0,
	                                 .outputs = stage < EDGES ? &p->ports[1] : NULL,
	                                 .n_outputs = stage < EDGES,
	                                 .state_size = sizeof(uint64_t),
	                                 .state_version = all.versions[stage],
	                                 .fields = fields,
	                                 .n_fields = 1,
	                                 .produce = stage == 0 ? produce : NULL,
	                                 .process = stage == EDGES ? arrive
	                                            : stage > 0    ? process
	                                                           : NULL,
	                                 .close = part_close};
	return p;
}

static bool part_release(void *user, struct buf *why)
{
	struct part *p = user;

	(void)why;
	memset(&p->desc, 0x5a, sizeof(p->desc));
	free(p);
	return true;
}

/* ----------------------------------------------------------------------------- the line --- */

static uint32_t kind_in(uint32_t stage)
{
	return stage > 0 ? all.kinds[stage - 1] : 0;
}

static uint32_t kind_out(uint32_t stage)
{
	return stage < EDGES ? all.kinds[stage] : 0;
}

static void on_swap(void *unused, const struct pc_swap_event *event)
{
	uint32_t k = 0;

	(void)unused;
	while (strcmp(names[k], event->stage) != 0)
		k++;
	if (event->what == PC_SWAP_LIVE)
		all.told[k][all.n_told[k]++] =
			(struct seen){event->report->to, event->report->item};
}

static int line_begin(const struct shape *shape, struct part *first[STAGES])
{
	struct pc_run_options options = {
		.size = sizeof(options), .workers = shape->workers, .swap = on_swap};
	unsigned seed = all.seed;
	uint64_t limit = all.limit;

	memset(&all, 0, sizeof(all));
	all.seed = seed;
	all.limit = limit;
	graph_init(&all.g);
	for (uint32_t k = 0; k < EDGES; k++)
		all.kinds[k] = ++all.last_kind;
	for (uint32_t k = 0; k < STAGES; k++) {
		first[k] = part_new(shape, k, kind_in(k), kind_out(k));
		all.stages[k] = graph_stage(&all.g, names[k], &first[k]->desc, NULL,
		                            shape->replicas[k]);
		all.stages[k]->ordered = shape->replicas[k] > 1;
	}
	for (uint32_t k = 0; k < EDGES; k++) {
		struct plan_queue *q = graph_queue(&all.g, names[k], shape->capacity);

		graph_write(&all.g, all.stages[k], 0, q);
		graph_read(&all.g, all.stages[k + 1], 0, q);
		all.stages[k + 1]->inputs[0].type = first[k + 1]->types[0];
		all.stages[k]->outputs[0].type = first[k + 1]->types[0];
	}
	return graph_start(&all.g, &options);
}

static void flow(uint64_t items)
{
	uint64_t until = arrived() + items;

	for (int i = 0; i < 600000 && arrived() < until; i++)
		doze_us(100);
}

/* Each build of ours has the items that were announced for it. */
static bool check_builds(uint32_t k)
{
	const struct seen *t = all.told[k], *end = t + all.n_told[k];
	uint32_t now = 0;

	for (uint32_t i = 0; i < all.n_seen[k]; i++) {
		const struct seen *s = &all.seen[k][i];
		uint64_t next = i + 1 < all.n_seen[k] ? s[1].first : arrived();

		for (; t < end && t->first <= s->first; t++)
			now = all.ours[k][t->number];
		if (now == s->number && (t == end || t->first >= next))
			continue;
		printf("# %s: build %u handled %" PRIu64 "…%" PRIu64
		       ", announced was %u, the next from %" PRIu64 "\n",
		       names[k], s->number, s->first, next - 1, now,
		       t < end ? t->first : UINT64_MAX);
		return false;
	}
	return true;
}

static bool line_end_well(int want, uint64_t at_least)
{
	uint64_t n, wrong;
	bool ok;
	int rc;

	set_flag(&all.enough, true);
	rc = graph_wait(&all.g);
	n = arrived();
	/* relaxed: after the end */
	wrong = atomic_load_explicit(&all.wrong_kind, memory_order_relaxed);
	ok = rc == want && all.out_of_order == 0 && all.broken == 0 && n >= at_least &&
	     wrong == 0;
	for (uint32_t k = 0; k < STAGES; k++) {
		uint64_t counted = /* relaxed: so */
			atomic_load_explicit(&all.closed[k], memory_order_relaxed);

		if (want == PC_OK && counted != n) {
			printf("# %s counted %" PRIu64 "\n", names[k], counted);
			ok = false;
		}
		ok = check_builds(k) && ok;
	}
	if (!ok)
		printf("# ended with %d: %s\n# %" PRIu64 " items, %" PRIu64
		       " out of order, %" PRIu64 " broken, %" PRIu64 " of a wrong kind\n",
		       rc, pc_error_text(all.g.engine->error), n, all.out_of_order, all.broken,
		       wrong);
	return ok;
}

static void line_forget(struct part *first[STAGES])
{
	graph_fini(&all.g);
	for (uint32_t k = 0; k < STAGES; k++)
		free(first[k]);
}

/* ------------------------------------------------------------------------------- asking --- */

enum flavour {
	PLAIN,
	WIDER,    /* states are mapped */
	MIGRATES, /* and by their authors' code */
	NO_WAY,   /* the last one's state can't be taken over */
	NO_FIT,   /* the last one takes another kind than is sent */
	OUTSIDE,  /* the first one takes another kind than comes */
	NO_OPEN,  /* the last one's open() fails */
	NO_MIGRATE,
	FLAVOURS
};

static bool is_good(enum flavour f)
{
	return f <= MIGRATES;
}

static void flavour(struct part *p, enum flavour f, bool last, uint32_t replicas)
{
	if (f == WIDER) {
		p->desc.state_size = sizeof(struct state);
		p->desc.n_fields = 2;
	} else if (f == MIGRATES || f == NO_MIGRATE) {
		p->desc.state_version++;
		p->desc.migrate = part_migrate;
		all.migrate_fails[p->stage] =
			f == NO_MIGRATE && last
				? 1 + (unsigned)rand_r(&all.seed) / 16 % replicas
				: 0;
	} else if (f == NO_WAY && last) {
		p->desc.state_version++;
	} else if (f == NO_OPEN && last) {
		p->desc.open = open_fails;
	}
}

struct set {
	uint32_t first, last;
	uint32_t kinds[EDGES];
	struct swap_set_member members[STAGES];
	struct part *parts[STAGES];
	uint32_t numbers[STAGES], versions[STAGES];
	bool dry_run;
};

static void set_make(struct set *set, const struct shape *shape, uint32_t first, uint32_t last,
                     enum flavour f)
{
	*set = (struct set){.first = first, .last = last};
	memcpy(set->kinds, all.kinds, sizeof(set->kinds));
	for (uint32_t k = first; k < last; k++)
		set->kinds[k] = ++all.last_kind;
	for (uint32_t k = first; k <= last; k++) {
		struct swap_set_member *m = &set->members[k - first];
		uint32_t in = k > 0 ? set->kinds[k - 1] : 0;
		uint32_t out = k < EDGES ? set->kinds[k] : 0;
		struct part *p;

		if ((f == NO_FIT && k == last) || (f == OUTSIDE && k == first && k > 0))
			in = ++all.last_kind;
		p = part_new(shape, k, in, out);
		set->numbers[k - first] = p->number;
		flavour(p, f, k == last, shape->replicas[k]);
		set->versions[k - first] = p->desc.state_version;
		m->stage = all.g.engine->stages[k];
		m->how = SWAP_SET | (f == NO_OPEN ? SWAP_RESET : 0u);
		m->offer = (struct swap_offer){
			.desc = &p->desc, .file = "test", .release = part_release, .user = p};
	}
}

static int set_ask(struct set *set, int64_t timeout_ns, struct pc_error **err)
{
	uint32_t n = set->last - set->first + 1;
	int rc = swap_set_ask(all.g.engine, set->members, n, set->dry_run, timeout_ns, err);

	for (uint32_t i = 0; i < n; i++) {
		free(set->members[i].report.words);
		if (rc == PC_OK)
			all.ours[set->first + i][set->members[i].report.to] = set->numbers[i];
	}
	if (rc == PC_OK && !set->dry_run) {
		/* no other edges: of those, another thread may look at the kinds */
		memcpy(all.kinds + set->first, set->kinds + set->first,
		       (n - 1) * sizeof(all.kinds[0]));
		memcpy(all.versions + set->first, set->versions, n * sizeof(all.versions[0]));
	}
	return rc;
}

/* ----------------------------------------------------------------------------- the tests --- */

/* TAP wants a # in front of each line. */
static void print_error(const struct pc_error *err)
{
	for (const char *at = pc_error_text(err); *at; at += strcspn(at, "\n") + 1) {
		printf("# %.*s\n", (int)strcspn(at, "\n"), at);
		if (!at[strcspn(at, "\n")])
			break;
	}
}

static enum flavour choose(void)
{
	unsigned n = (unsigned)rand_r(&all.seed) / 16 % 100;

	return n < 45   ? PLAIN
	       : n < 55 ? WIDER
	       : n < 70 ? MIGRATES
	                : (enum flavour)(NO_WAY + n % (FLAVOURS - NO_WAY));
}

static bool set_once(const struct shape *shape)
{
	uint32_t first = (unsigned)rand_r(&all.seed) / 16 % EDGES;
	uint32_t last = first + 1 + (unsigned)rand_r(&all.seed) / 16 % (EDGES - first);
	enum flavour f = choose();
	struct pc_error *err = NULL;
	struct set set;
	bool ok;
	int rc;

	if (f == OUTSIDE && first == 0)
		f = NO_FIT;
	set_make(&set, shape, first, last, f);
	rc = set_ask(&set, 300 * PC_SEC, &err);
	ok = rc == (is_good(f) ? PC_OK : PC_WRONG);
	if (!ok)
		printf("# set %s…%s of flavour %d: %d, %s\n", names[first], names[last], (int)f,
		       rc, pc_error_text(err));
	pc_error_free(err);
	return ok;
}

static void under_load(const struct shape *shape)
{
	struct part *first[STAGES];
	int rc = line_begin(shape, first), good = 0;
	uint32_t done[STAGES];
	char what[160];

	for (int i = 0; i < n_sets && rc == PC_OK; i++) {
		good += set_once(shape);
		flow((unsigned)rand_r(&all.seed) / 16 % 200);
	}
	memcpy(done, all.n_told, sizeof(done));
	snprintf(what, sizeof(what),
	         "%s: %d sets of two to five stages, changing what flows between them",
	         shape->what, n_sets);
	report(rc == PC_OK && line_end_well(PC_OK, 1) && good == n_sets, what);
	printf("# %" PRIu64 " items; swaps per stage: %u %u %u %u %u\n", arrived(), done[0],
	       done[1], done[2], done[3], done[4]);
	line_forget(first);
}

static const struct shape shapes[] = {
	{"one of each", {1, 1, 1, 1, 1}, {false}, 16, 2},
	{"two, three and four in order", {1, 2, 3, 4, 1}, {false}, 64, 2},
	{"own threads", {1, 2, 1, 2, 1}, {true, false, true, true, false}, 8, 2},
	{"queues of one", {1, 2, 2, 1, 1}, {false}, 1, 1},
};

/* c is in the middle of an item, and does not come back: then it does. */
static void drain_times_out(void)
{
	const struct shape *shape = &shapes[1];
	struct part *first[STAGES];
	struct pc_error *err = NULL;
	struct set set;
	int rc = line_begin(shape, first);
	bool ok;

	flow(1000);
	set_flag(&all.held, true);
	while (atomic_load_explicit(&all.standing, memory_order_relaxed) == 0) /* a figure */
		doze_us(100);
	set_make(&set, shape, 1, 3, PLAIN);
	rc = rc ? rc : set_ask(&set, 200 * PC_MS, &err);
	ok = rc == PC_TIMEOUT && strstr(pc_error_text(err), "the set of 'a', 'b' and 'c'") &&
	     set.members[2].report.to == 0;
	print_error(err);
	pc_error_free(err);
	err = NULL;
	set_flag(&all.held, false);
	flow(1000);
	set_make(&set, shape, 1, 3, PLAIN);
	ok = set_ask(&set, 300 * PC_SEC, &err) == PC_OK && ok;
	flow(1000);
	report(line_end_well(PC_OK, 3000) && ok,
	       "one does not come to rest in time: all go on as before, and later it works");
	pc_error_free(err);
	line_forget(first);
}

struct set_asker {
	pthread_t thread;
	const struct shape *shape;
	int rc;
};

static void *ask_in_background(void *user)
{
	struct set_asker *a = user;
	struct pc_error *err = NULL;
	struct set set;

	set_make(&set, a->shape, 1, 3, PLAIN);
	a->rc = set_ask(&set, 300 * PC_SEC, &err);
	pc_error_free(err);
	return NULL;
}

/* While the set comes to rest, which it can't. */
static void ends_meanwhile(uint32_t stop)
{
	struct set_asker asker = {.shape = &shapes[1]};
	struct part *first[STAGES];
	bool ok;
	int rc = line_begin(asker.shape, first);

	flow(1000);
	set_flag(&all.held, true);
	while (atomic_load_explicit(&all.standing, memory_order_relaxed) == 0) /* a figure */
		doze_us(100);
	pthread_create(&asker.thread, NULL, ask_in_background, &asker);
	doze_us(20000);
	atomic_store_explicit(&all.g.engine->stop_asked, stop, memory_order_release); /* C5 */
	control_nudge(all.g.engine);
	pthread_join(asker.thread, NULL);
	set_flag(&all.held, false);
	ok = rc == PC_OK && asker.rc == PC_STOPPED;
	report(line_end_well(PC_STOPPED, 1000) && ok,
	       stop == PC_STOP_DRAIN
	               ? "the graph is told to end while the set comes to rest"
	               : "the graph is stopped at once while the set comes to rest");
	line_forget(first);
}

/* The stream ends anywhere in a set: it is done, or refused, and all items arrive. */
static void stream_ends(const struct shape *shape)
{
	uint32_t done = 0, stopped = 0, other = 0;
	bool ok = true;
	char what[160];

	for (int i = 0; i < 30; i++) {
		struct part *first[STAGES];
		struct pc_error *err = NULL;
		int rc;

		all.limit = 500 + (unsigned)rand_r(&all.seed) / 16 % 1000;
		rc = line_begin(shape, first);
		while (rc == PC_OK) {
			struct set set;

			set_make(&set, shape, 1, 3, i % 3 ? PLAIN : MIGRATES);
			rc = set_ask(&set, 300 * PC_SEC, &err);
			done += rc == PC_OK;
			stopped += rc == PC_STOPPED;
			other += rc != PC_OK && rc != PC_STOPPED;
			if (rc != PC_OK && rc != PC_STOPPED)
				printf("# %d: %s", rc, pc_error_text(err));
		}
		pc_error_free(err);
		ok = line_end_well(PC_OK, all.limit) && ok;
		line_forget(first);
	}
	all.limit = 0;
	snprintf(what, sizeof(what), "%s: the stream ends while sets are swapped", shape->what);
	report(ok && other == 0 && stopped == 30 && done > 0, what);
}

/* Two threads ask for sets, and a third for single stages, whose kinds stay. */
static void *ask_singly(void *user)
{
	struct set_asker *a = user;

	for (int i = 0; i < n_sets && a->rc == PC_OK; i++) {
		struct part *p = part_new(a->shape, 0, 0, 0);
		struct swap_offer offer = {
			.desc = &p->desc, .file = "test", .release = part_release, .user = p};
		struct swap_wish wish = {.timeout_ns = 300 * PC_SEC};
		struct pc_error *err = NULL;
		struct swap_report r;
		uint32_t number = p->number;

		/* the first edge is in no set here */
		p->out = all.kinds[0];
		snprintf(p->types[1], sizeof(p->types[1]), "kind/%u", p->out);
		a->rc = swap_ask(all.g.engine, 0, &offer, &wish, &r, &err);
		if (a->rc == PC_OK)
			all.ours[0][r.to] = number;
		else
			printf("# %d: %s", a->rc, pc_error_text(err));
		free(r.words);
		pc_error_free(err);
	}
	return NULL;
}

static void beside_others(void)
{
	struct set_asker asker = {.shape = &shapes[1]};
	struct part *first[STAGES];
	int rc = line_begin(asker.shape, first), good = 0;

	pthread_create(&asker.thread, NULL, ask_singly, &asker);
	for (int i = 0; i < n_sets && rc == PC_OK; i++) {
		struct pc_error *err = NULL;
		struct set set;

		set_make(&set, asker.shape, 1 + (unsigned)i % 2, 3, PLAIN);
		good += set_ask(&set, 300 * PC_SEC, &err) == PC_OK;
		pc_error_free(err);
	}
	pthread_join(asker.thread, NULL);
	report(line_end_well(PC_OK, 1) && good == n_sets && asker.rc == PC_OK,
	       "sets beside swaps of a single stage");
	line_forget(first);
}

/* What is true of the types after a set decides about single stages. */
static void one_of_them_alone(void)
{
	static const struct shape *shape = &shapes[0];
	struct swap_wish wish = {.how = SWAP_BACK, .timeout_ns = 300 * PC_SEC};
	struct part *first[STAGES], *p;
	struct pc_error *err = NULL;
	struct swap_report r;
	struct set set;
	bool ok;
	int rc = line_begin(shape, first);

	flow(100);
	set_make(&set, shape, 1, 2, PLAIN);
	set.dry_run = true;
	ok = rc == PC_OK && set_ask(&set, 300 * PC_SEC, &err) == PC_OK;
	set_make(&set, shape, 1, 2, PLAIN);
	ok = set_ask(&set, 300 * PC_SEC, &err) == PC_OK && ok;
	flow(100);
	/* back alone */
	rc = swap_ask(all.g.engine, 1, NULL, &wish, &r, &err);
	ok = rc == PC_WRONG && strstr(pc_error_text(err), "output 'out' sends kind/2 now") &&
	     ok;
	free(r.words);
	pc_error_free(err);
	err = NULL;
	/* another of the old kind */
	p = part_new(shape, 2, 2, 3);
	wish.how = 0;
	rc = swap_ask(
		all.g.engine, 2,
		&(struct swap_offer){
			.desc = &p->desc, .file = "test", .release = part_release, .user = p},
		&wish, &r, &err);
	ok = rc == PC_WRONG && strstr(pc_error_text(err), "input 'in' takes kind/2 now") && ok;
	free(r.words);
	pc_error_free(err);
	err = NULL;
	/* another of the new one */
	p = part_new(shape, 2, all.kinds[1], 3);
	all.ours[2][4] = p->number;
	rc = swap_ask(
		all.g.engine, 2,
		&(struct swap_offer){
			.desc = &p->desc, .file = "test", .release = part_release, .user = p},
		&wish, &r, &err);
	ok = rc == PC_OK && ok;
	printf("# v%u %s\n", r.to, pc_error_text(err));
	all.ours[2][r.to] = p->number;
	free(r.words);
	pc_error_free(err);
	err = NULL;
	flow(100);
	report(line_end_well(PC_OK, 1) && ok,
	       "after a set, single stages are held against what flows now");
	line_forget(first);
}

static void back_as_a_set(void)
{
	static const struct shape *shape = &shapes[1];
	struct part *first[STAGES];
	struct pc_error *err = NULL;
	uint32_t kinds[EDGES];
	struct set set;
	bool ok;
	int rc = line_begin(shape, first);

	memcpy(kinds, all.kinds, sizeof(kinds));
	flow(100);
	set_make(&set, shape, 1, 3, PLAIN);
	ok = rc == PC_OK && set_ask(&set, 300 * PC_SEC, &err) == PC_OK;
	flow(1000);
	for (uint32_t i = 0; i < 3; i++)
		set.members[i] = (struct swap_set_member){.stage = all.g.engine->stages[1 + i],
		                                          .how = SWAP_SET | SWAP_BACK};
	memcpy(set.kinds, kinds, sizeof(kinds));
	memset(set.numbers, 0, sizeof(set.numbers));
	ok = set_ask(&set, 300 * PC_SEC, &err) == PC_OK && set.members[1].report.to == 1 && ok;
	print_error(err);
	flow(1000);
	report(line_end_well(PC_OK, 2000) && ok, "a set goes back as a set");
	pc_error_free(err);
	line_forget(first);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		n_sets = atoi(argv[1]);
	all.seed = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : (unsigned)clock_now_ns();
	printf("# seed %u\n", all.seed);
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		under_load(&shapes[i]);
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		stream_ends(&shapes[i]);
	beside_others();
	drain_times_out();
	ends_meanwhile(PC_STOP_DRAIN);
	ends_meanwhile(PC_STOP_NOW);
	one_of_them_alone();
	back_as_a_set();
	return tap_end();
}
