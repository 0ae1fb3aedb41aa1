/* stress/probe/kind.c: stages of several kinds for kinds.c, each in two builds: -DKIND_… and
 * -DKIND_BUILD=1 or 2. */
#include <pcrun/stage.h>

#include <string.h>

#if defined(KIND_TICK)
/* A source that sleeps: the copy of its state has to get it out of that. */
struct tick {
	uint64_t n;
#if KIND_BUILD == 2
	uint64_t twice;
#endif
};

static int produce(struct pc_stage *st, void *state)
{
	struct tick *s = state;

	if (s->n > 0) {
		int r = pc_sleep(st, 3600 * PC_SEC);

		if (r != PC_OK)
			return r == PC_AGAIN ? PC_AGAIN : PC_END;
	}
	s->n++;
	return pc_emit_copy(st, 0, &s->n, sizeof(s->n));
}

#if KIND_BUILD == 2
static int migrate(struct pc_stage *st, uint32_t old_version, const void *old_state,
                   size_t old_size, void *new_state)
{
	const uint64_t *n = old_state;
	struct tick *s = new_state;

	if (old_version != 0 || old_size != sizeof(*n) || *n > 1)
		return pc_fail(st, "that is not what it was");
	s->n = *n;
	s->twice = 2;
	return PC_OK;
}
#define MIGRATE .migrate = migrate, .state_version = 1,
#else
#define MIGRATE
#endif

static const struct pc_port out[] = {{"out", "u64", 0, "one"}};

PC_STAGE(.name = "tick", .doc = "one, and then nothing for an hour", .flags = PC_BLOCKING,
         PC_OUTPUTS(out), PC_STATE(struct tick), MIGRATE.produce = produce);

#elif defined(KIND_COUNT)
struct count {
	uint64_t next;
};

static int produce(struct pc_stage *st, void *state)
{
	struct count *s = state;

	for (int i = 0; i < 15 + KIND_BUILD; i++, s->next++)
		if (pc_emit_copy(st, 0, &s->next, sizeof(s->next)))
			return pc_fail(st, "emit");
	pc_wake_after(st, PC_MS / 4);
	return PC_AGAIN;
}

static const struct pc_port out[] = {{"out", "u64", 0, "numbers"}};

PC_STAGE(.name = "count", .doc = "0, 1, 2, …", PC_OUTPUTS(out), PC_STATE(struct count),
         .produce = produce);

#elif defined(KIND_TWO)
/* Two inputs, two outputs, batches; in the second build the ports stand the other way round. */
struct two {
	uint64_t seen[2];
};

#if KIND_BUILD == 2
enum { RIGHT, LEFT };
enum { ODD, EVEN };
#else
enum { LEFT, RIGHT };
enum { EVEN, ODD };
#endif

static int process_batch(struct pc_stage *st, void *state, struct pc_item *const *items,
                         unsigned n)
{
	struct two *s = state;

	for (unsigned i = 0; i < n; i++) {
		uint64_t value[2];
		int r;

		memcpy(&value[0], items[i]->data, sizeof(value[0]));
		value[1] = ++s->seen[st->in_port == LEFT];
		r = pc_emit_copy(st, value[1] % 2 ? ODD : EVEN, value, sizeof(value));
		if (r == PC_OK && value[1] % 8 == 0)
			r = pc_emit_copy(st, ODD, "extra", 5);
		if (r)
			return r;
		pc_done(st);
	}
#if KIND_BUILD == 2
	/* other code, for it must differ from the first build's */
	s->seen[0] += (uint64_t)(n > 100000);
#endif
	return PC_OK;
}

static int finish(struct pc_stage *st, void *state)
{
	struct two *s = state;

	return pc_emit_copy(st, EVEN, s, sizeof(*s));
}

#if KIND_BUILD == 2
static const struct pc_port in[] = {{"right", "u64", 0, ""}, {"left", "u64", 0, ""}};
static const struct pc_port out[] = {{"odd", "pair", 0, ""}, {"even", "pair", 0, ""}};
#else
static const struct pc_port in[] = {{"left", "u64", 0, ""}, {"right", "u64", 0, ""}};
static const struct pc_port out[] = {{"even", "pair", 0, ""}, {"odd", "pair", 0, ""}};
#endif

PC_STAGE(.name = "two", .doc = "count them on both sides", .flags = PC_PURE, PC_INPUTS(in),
         PC_OUTPUTS(out), PC_STATE(struct two), .process_batch = process_batch,
         .finish = finish);

#elif defined(KIND_SUM)
/* Shared state: the handle is a pointer in the state. */
struct sum {
	const char *into;
	struct pc_shared *sums;
};

static int open(struct pc_stage *st, void *state)
{
	struct sum *s = state;
	int64_t all = 0;

	s->sums = pc_shared_find(st, s->into);
	if (!s->sums)
		return PC_ERROR;
	/* What has been summed up so far is seen by a probe. */
	if (pc_shared_i64(st, s->sums, "total", &all) != PC_OK || all % KIND_BUILD != 0)
		return pc_fail(st, "there is no total, or an odd one");
	return PC_OK;
}

static int process(struct pc_stage *st, void *state, struct pc_item *item)
{
	struct sum *s = state;

	(void)item;
	return pc_shared_add(st, s->sums, "total", 2, NULL);
}

static const struct pc_param params[] = {
	PC_PARAM_SHARED(struct sum, into, NULL, PC_UPDATES_SHARED, "where to")};
static const struct pc_port in[] = {{"in", "*", 0, "anything"}};

PC_STAGE(.name = "sum", .doc = "add up", .flags = PC_PURE, PC_INPUTS(in), PC_PARAMS(params),
         PC_STATE(struct sum), .open = open, .process = process);

#elif defined(KIND_LARGE)
/* 256 MiB of state. */
struct large {
	char bytes[256 << 20];
};

static int process(struct pc_stage *st, void *state, struct pc_item *item)
{
	struct large *s = state;

	(void)st;
	(void)item;
	s->bytes[KIND_BUILD]++;
	return PC_OK;
}

static const struct pc_port in[] = {{"in", "*", 0, "anything"}};

PC_STAGE(.name = "large", .doc = "has much state", .flags = PC_PURE, PC_INPUTS(in),
         PC_STATE(struct large), .process = process);
#endif
