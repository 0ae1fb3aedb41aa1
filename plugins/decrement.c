/* decrement: take something off a number of shared state, so many times.
 *
 * One of many that change the same number. Each reads it and writes it back smaller, which only
 * comes out right because the graph says `critical`: one does it at a time, and what one did is
 * seen by the next. Who forgets the word is told before anything runs. */
#include <pcrun/stage.h>

struct decrement {
	const char *from;
	const char *key;
	int64_t by;
	uint64_t times;
	/* ours */
	struct pc_shared *shared;
	uint64_t done;
};

static const struct pc_param decrement_params[] = {
	PC_PARAM_SHARED(struct decrement, from, NULL, PC_UPDATES_SHARED,
                        "the dict that holds the number"),
	PC_PARAM_STRING(struct decrement, key, "num", "the number's key"),
	PC_PARAM_I64(struct decrement, by, "1", NULL, NULL, "how much is taken off at a time"),
	PC_PARAM_U64(struct decrement, times, "1", NULL, "times", "how often"),
};

#define DECREMENT_BATCH 256 /* times per call: then others get their turn */

static int decrement_open(struct pc_stage *st, void *state)
{
	struct decrement *s = state;
	int64_t number;

	s->shared = pc_shared_find(st, s->from);
	if (s->shared == NULL)
		return PC_ERROR;
	if (pc_shared_i64(st, s->shared, s->key, &number) != PC_OK)
		return pc_fail(st, "shared state '%s' holds no number '%s'", s->from, s->key);
	return PC_OK;
}

static int decrement_produce(struct pc_stage *st, void *state)
{
	struct decrement *s = state;

	for (unsigned n = 0; n < DECREMENT_BATCH && s->done < s->times; n++) {
		int64_t number;
		int r = pc_shared_i64(st, s->shared, s->key, &number);

		if (r != PC_OK)
			return pc_fail(st, "'%s' is no number any more", s->key);
		r = pc_shared_set_i64(st, s->shared, s->key, number - s->by);
		if (r != PC_OK)
			return r;
		s->done++;
	}
	return s->done == s->times ? PC_END : PC_OK;
}

PC_STAGE(.name = "decrement", .doc = "take something off a number of shared state",
         PC_PARAMS(decrement_params), PC_STATE(struct decrement), .state_version = 1,
         .open = decrement_open, .produce = decrement_produce);
