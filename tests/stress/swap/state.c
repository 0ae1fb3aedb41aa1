/* stress/swap/state.c: what becomes of a state: adopted, mapped by name, migrated, fresh, refused.
 *
 * The mid stage counts its items. Whatever happens to its builds, the counts that its states hold
 * when they are closed add up to the items that were made. */
#include "common.h"

#include "base/error.h"

/* Layouts of the mid's state. */
struct first {
	uint64_t count;
	uint32_t few[4];
	double weight;
};

struct second { /* reordered; weight is gone, `more` and a longer array are there */
	double more;
	uint32_t few[6];
	uint64_t count;
};

struct third { /* few is shorter */
	uint64_t count;
	uint32_t few[2];
};

struct fourth { /* count is of another kind */
	double count;
	uint32_t few[4];
	double weight;
};

#define FIELD(S, f, k, n)                                                                      \
	{                                                                                      \
#f, k, n, offsetof(struct S, f), sizeof(((struct S *)0)->f) / (n)              \
	}
static const struct pc_field first_fields[] = {FIELD(first, count, PC_T_U64, 1),
                                               FIELD(first, few, 0, 4),
                                               FIELD(first, weight, PC_T_F64, 1)};
static const struct pc_field second_fields[] = {FIELD(second, more, PC_T_F64, 1),
                                                FIELD(second, few, 0, 6),
                                                FIELD(second, count, PC_T_U64, 1)};
static const struct pc_field third_fields[] = {FIELD(third, count, PC_T_U64, 1),
                                               FIELD(third, few, 0, 2)};
static const struct pc_field fourth_fields[] = {FIELD(fourth, count, PC_T_F64, 1),
                                                FIELD(fourth, few, 0, 4),
                                                FIELD(fourth, weight, PC_T_F64, 1)};

static uint32_t replicas_wrong; /* states that were not as expected */

static int pass_on(struct pc_stage *st, struct pc_item *item)
{
	const struct code *code =
		(const struct code *)(const void *)replica_of(st)->build->desc;
	struct number number;

	memcpy(&number, item->data, sizeof(number));
	number.done = code->number;
	return pc_emit_copy(st, 0, &number, sizeof(number));
}

static int add_up(enum role role, uint64_t count)
{
	/* a count, relaxed */
	atomic_fetch_add_explicit(&line->closed_count[role], count, memory_order_relaxed);
	return PC_OK;
}

static void wrong(bool is_wrong)
{
	if (is_wrong)
		__atomic_fetch_add(&replicas_wrong, 1, __ATOMIC_RELAXED); /* a count */
}

static int first_open(struct pc_stage *st, void *state)
{
	struct first *s = state;

	s->few[1] = 11 + st->replica;
	s->weight = 0.5;
	return PC_OK;
}

static int first_process(struct pc_stage *st, void *state, struct pc_item *item)
{
	struct first *s = state;

	s->count++;
	wrong(s->weight != 0.5 || s->few[1] != 11 + st->replica);
	return pass_on(st, item);
}

static int first_close(struct pc_stage *st, void *state)
{
	(void)st;
	return add_up(MID, ((struct first *)state)->count);
}

static int second_process(struct pc_stage *st, void *state, struct pc_item *item)
{
	struct second *s = state;

	s->count++;
	wrong(s->more != 0 || s->few[1] != 11 + st->replica || s->few[4] != 0);
	return pass_on(st, item);
}

static int second_close(struct pc_stage *st, void *state)
{
	(void)st;
	return add_up(MID, ((struct second *)state)->count);
}

static int third_process(struct pc_stage *st, void *state, struct pc_item *item)
{
	struct third *s = state;

	s->count++;
	wrong(s->few[1] != 11 + st->replica);
	return pass_on(st, item);
}

static int third_close(struct pc_stage *st, void *state)
{
	(void)st;
	return add_up(MID, ((struct third *)state)->count);
}

static int fourth_process(struct pc_stage *st, void *state, struct pc_item *item)
{
	((struct fourth *)state)->count++;
	return pass_on(st, item);
}

static int fourth_close(struct pc_stage *st, void *state)
{
	(void)st;
	return add_up(MID, (uint64_t)((struct fourth *)state)->count);
}

static _Atomic uint32_t fail_migrate; /* on this replica; UINT32_MAX: on none */

static int fourth_migrate(struct pc_stage *st, uint32_t old_version, const void *old_state,
                          size_t old_size, void *new_state)
{
	const struct first *old = old_state;
	struct fourth *new = new_state;

	wrong(old_version != 0 || old_size != sizeof(*old));
	new->count = (double)old->count;
	/* relaxed: set before the swap */
	if (atomic_load_explicit(&fail_migrate, memory_order_relaxed) == st->replica)
		return pc_fail(st, "no, thank you");
	return PC_OK;
}

/* And back. */
static int first_migrate(struct pc_stage *st, uint32_t old_version, const void *old_state,
                         size_t old_size, void *new_state)
{
	const struct fourth *old = old_state;
	struct first *new = new_state;

	wrong(old_version != 0 || old_size != sizeof(*old));
	new->count = (uint64_t)old->count;
	first_open(st, new);
	/* relaxed: set before the swap */
	if (atomic_load_explicit(&fail_migrate, memory_order_relaxed) == st->replica)
		return pc_fail(st, "not back");
	return PC_OK;
}

#define TUNE(S)                                                                                \
	static void S(struct code *c)                                                          \
	{                                                                                      \
		c->desc.state_size = sizeof(struct S);                                         \
		c->desc.fields = S##_fields;                                                   \
		c->desc.n_fields = PC_COUNT(S##_fields);                                       \
		c->desc.process = S##_process;                                                 \
		c->desc.close = S##_close;                                                     \
		c->desc.open = NULL;                                                           \
	}
TUNE(first)
TUNE(second)
TUNE(third)
TUNE(fourth)

static void first_opened(struct code *c)
{
	first(c);
	c->desc.open = first_open;
}

static void first_bare(struct code *c)
{
	first_opened(c);
	c->desc.n_fields = 0;
}

static const struct line_shape shape = {.what = "",
                                        .sources = 1,
                                        .mids = 4,
                                        .capacity = 64,
                                        .workers = 2,
                                        .source = {.batch = 16},
                                        .tune = first_opened};

static struct code *new_code(void (*tune)(struct code *))
{
	struct code *c = code_new(MID, false, false);

	tune(c);
	return c;
}

static struct first nothing;

static bool went_back; /* so a number may have handled items twice */

static void begin(void (*tune)(struct code *))
{
	struct line_shape s = shape;

	s.tune = tune;
	s.mid_state = &nothing;
	replicas_wrong = 0;
	went_back = false;
	line_make(&s);
	if (line_start(2) != PC_OK)
		abort();
	line_flow(500);
}

/* What the swap said last. */
static char said[4096];

static int swap(struct code *c, unsigned how)
{
	struct swap_report r;
	struct pc_error *err = NULL;
	int rc = line_swap_code(c, how, &r, &err);

	snprintf(said, sizeof(said), "%s", pc_error_text(err));
	pc_error_free(err);
	line_flow(500);
	return rc;
}

static void end(bool ok, const char *what)
{
	int rc = line_end();

	if (!ok || rc != PC_OK || replicas_wrong)
		printf("# %s, result %d, %u states wrong\n", ok ? "ok" : "not as expected", rc,
		       replicas_wrong);
	if (!ok)
		printf("# said: %s\n", said);
	report(line_check(MID, !went_back) && ok && rc == PC_OK && replicas_wrong == 0, what);
	line_free();
}

static void mapping(void)
{
	bool ok;

	begin(first_opened);
	ok = swap(new_code(second), 0) == PC_OK &&
	     strstr(line_log(), "2 kept, 1 added (`more`), 1 removed");
	end(ok, "map: fields move, one comes, one goes, an array grows; counts go on");

	begin(first_opened);
	ok = swap(new_code(third), 0) == PC_OK && strstr(line_log(), "2 kept, 0 added");
	end(ok, "map: an array loses elements that were zero");

	begin(first_opened);
	went_back = true;
	ok = swap(new_code(second), 0) == PC_OK && swap(new_code(third), 0) == PC_OK &&
	     swap(new_code(second), 0) == PC_OK && swap(NULL, SWAP_BACK) == PC_OK &&
	     swap(NULL, SWAP_BACK) == PC_OK;
	end(ok, "map: there and back again, five times");
}

/* An element that would be lost holds something: found at the cut, so it is reversed. */
static int full_open(struct pc_stage *st, void *state)
{
	((struct first *)state)->few[3] = 5;
	return first_open(st, state);
}

static void first_full(struct code *c)
{
	first(c);
	c->desc.open = full_open;
}

static void losing(void)
{
	bool ok;

	begin(first_full);
	ok = swap(new_code(third), 0) == PC_ERROR && strstr(said, "would be lost") &&
	     strstr(said, "back on v1");
	ok = swap(new_code(second), 0) == PC_OK && ok;
	end(ok, "an array would lose elements that are in use: back, with nothing lost");
}

static void first_to_come_back_to(struct code *c)
{
	first_opened(c);
	c->desc.migrate = first_migrate;
}

/* That migrate() fails says nothing against a build that has been in force before. */
static void back_by_migrate(void)
{
	struct code *c;
	bool ok;

	/* relaxed, all three: before the swap */
	atomic_store_explicit(&fail_migrate, UINT32_MAX, memory_order_relaxed);
	begin(first_to_come_back_to);
	went_back = true;
	c = new_code(fourth);
	c->desc.migrate = fourth_migrate;
	ok = swap(c, 0) == PC_OK;
	atomic_store_explicit(&fail_migrate, 1, memory_order_relaxed);
	ok = swap(NULL, SWAP_BACK) == PC_WRONG && strstr(said, "not back") &&
	     strstr(said, "v2 keeps running") && ok;
	atomic_store_explicit(&fail_migrate, UINT32_MAX, memory_order_relaxed);
	ok = swap(NULL, SWAP_BACK) == PC_OK && strstr(line_log(), "v1") && ok;
	end(ok, "migrate() on the way back fails once: the build is not bad");
}

static void refusals(void)
{
	struct code *c;
	bool ok;

	begin(first_opened);
	ok = swap(new_code(fourth), 0) == PC_WRONG &&
	     strstr(said, "field `count` changed from u64 to f64") &&
	     strstr(said, "v1 has 32 bytes") && strstr(said, "v2 has 32 bytes") &&
	     strstr(said, "--reset-state") && strstr(line_log(), "refused, v1 keeps running");
	end(ok, "a field of another kind: refused, with both layouts");

	begin(first_bare);
	c = new_code(first);
	c->desc.n_fields = 0;
	c->desc.state_size += 8;
	ok = swap(c, 0) == PC_WRONG && strstr(said, "no table") &&
	     strstr(said, "raise state_version and write migrate()");
	c = new_code(first);
	c->desc.n_fields = 0;
	ok = swap(c, 0) == PC_OK && ok;
	end(ok, "without tables: another size is refused, the same size is adopted");

	begin(first_opened);
	c = new_code(first);
	c->desc.state_version = 2;
	ok = swap(c, 0) == PC_WRONG && strstr(said, "state_version changed from 0 to 2") &&
	     strstr(said, "to keep the state, write migrate()");
	end(ok, "the same layout with a higher version and no migrate(): refused");

	begin(first_opened);
	c = new_code(second);
	c->desc.n_fields = 2; /* count is forgotten */
	ok = swap(c, 0) == PC_WRONG && strstr(said, "from byte 32 on");
	end(ok, "a table that forgets a field: refused");

	begin(first_opened);
	ok = swap(new_code(fourth), SWAP_DRY_RUN) == PC_WRONG &&
	     swap(new_code(second), SWAP_DRY_RUN) == PC_OK && line->track[MID].count[2] == 0;
	end(ok, "dry run: says what would be, changes nothing");
}

static void migrations(void)
{
	struct code *c;
	bool ok;

	/* relaxed, all three: before the swap */
	atomic_store_explicit(&fail_migrate, UINT32_MAX, memory_order_relaxed);
	begin(first_opened);
	c = new_code(fourth);
	c->desc.state_version = 1;
	c->desc.migrate = fourth_migrate;
	ok = swap(c, 0) == PC_OK && strstr(line_log(), "migrated from version 0 to 1");
	ok = swap(new_code(first), 0) == PC_WRONG && ok; /* lower */
	end(ok, "migrate: each replica's state; then a lower version is refused");

	for (uint32_t i = 0; i < 4; i++) {
		char what[128];

		atomic_store_explicit(&fail_migrate, i, memory_order_relaxed);
		begin(first_opened);
		c = new_code(fourth);
		c->desc.state_version = 1;
		c->desc.migrate = fourth_migrate;
		ok = swap(c, 0) == PC_WRONG && strstr(said, "no, thank you") &&
		     strstr(said, "v1 keeps running");
		ok = swap(new_code(second), 0) == PC_OK && ok;
		snprintf(what, sizeof(what),
		         "migrate fails on replica %u of 4: all are back, states intact", i);
		end(ok, what);
	}
	atomic_store_explicit(&fail_migrate, UINT32_MAX, memory_order_relaxed); /* as above */
}

static int fresh_open(struct pc_stage *st, void *state)
{
	(void)st;
	(void)state;
	/* a count, relaxed */
	atomic_fetch_add_explicit(&line->opened, 1, memory_order_relaxed);
	return PC_OK;
}

static void fourth_opened(struct code *c)
{
	fourth(c);
	c->desc.open = fresh_open;
}

static int bad_open(struct pc_stage *st, void *state)
{
	fresh_open(st, state);
	return st->replica == 2 ? pc_fail(st, "no such file") : PC_OK;
}

static void fresh(void)
{
	uint32_t before;
	struct code *c;
	bool ok;

	begin(first_opened);
	before = atomic_load_explicit(&line->opened, memory_order_relaxed); /* no race */
	ok = swap(new_code(fourth_opened), SWAP_RESET) == PC_OK &&
	     atomic_load_explicit(&line->opened, memory_order_relaxed) == before + 4 && /* so */
	     strstr(line_log(), "the old one is lost");
	end(ok, "reset: new states are opened, old ones closed, once each");

	begin(first_opened);
	c = new_code(fourth_opened);
	c->desc.open = bad_open;
	ok = swap(c, SWAP_RESET) == PC_WRONG && strstr(said, "no such file");
	end(ok, "reset: open() fails on a replica: refused, those that were opened are closed");
}

/* Sizes from nothing to large, adopted and mapped. */
static size_t size_bytes;
static struct pc_field size_fields[3];

static int size_process(struct pc_stage *st, void *state, struct pc_item *item)
{
	uint64_t *words = state;

	if (size_bytes >= sizeof(*words)) {
		words[0]++;
		wrong(words[size_bytes / 8 - 1] != words[0] - 1 && size_bytes > 8);
		words[size_bytes / 8 - 1] = words[0];
	}
	return pass_on(st, item);
}

static int size_close(struct pc_stage *st, void *state)
{
	(void)st;
	return add_up(MID, size_bytes ? *(uint64_t *)state : line_seen() / 4);
}

static void sized(struct code *c)
{
	c->desc.state_size = size_bytes;
	c->desc.fields = size_fields;
	c->desc.n_fields = size_bytes ? 3 : 0;
	c->desc.process = size_process;
	c->desc.close = size_close;
	c->desc.open = NULL;
}

static void sizes(const size_t *all, size_t n, uint32_t mids)
{
	for (size_t i = 0; i < n; i++) {
		struct line_shape s = shape;
		char what[64];
		bool ok;

		size_bytes = all[i];
		size_fields[0] = (struct pc_field){"count", PC_T_U64, 1, 0, 8};
		size_fields[1] = (struct pc_field){"middle", PC_T_U64,
		                                   (uint32_t)(size_bytes / 8 - 2), 8, 8};
		size_fields[2] = (struct pc_field){"last", PC_T_U64, 1, size_bytes - 8, 8};
		s.tune = sized;
		s.mids = mids;
		s.mid_state = calloc(1, size_bytes + 8);
		replicas_wrong = 0;
		line_make(&s);
		ok = line_start(2) == PC_OK;
		line_flow(200);
		for (int k = 0; k < 5; k++)
			ok = swap(new_code(sized), 0) == PC_OK && ok;
		ok = line_end() == PC_OK && ok;
		snprintf(what, sizeof(what), "a state of %zu bytes", size_bytes);
		report((size_bytes ? line_check(MID, true) : line->doubled == 0) && ok &&
		               replicas_wrong == 0,
		       what);
		line_free();
		free((void *)(uintptr_t)s.mid_state);
	}
}

/* Argument: --huge, for a state of 256 MiB; that wants 1.5 GB. */
int main(int argc, char **argv)
{
	static const size_t all[] = {0, 4096, 65536, 65544, 1 << 20, 4 << 20},
			    huge[] = {(size_t)256 << 20};

	if (argc > 1 && strcmp(argv[1], "--huge") == 0) {
		sizes(huge, 1, 1);
		return tap_end();
	}
	mapping();
	losing();
	back_by_migrate();
	refusals();
	migrations();
	fresh();
	sizes(all, sizeof(all) / sizeof(all[0]), 4);
	return tap_end();
}
