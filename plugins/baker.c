/* baker: bakes loaves, each after a random while.
 *
 * out  text/line: the name of the loaf, FOOD and its number from 0
 *
 * Tells `BAKER produced LOAF`, where BAKER is the stage's name in the graph, before the loaf is
 * on its way: so nobody can be seen eating what has not been seen baked. */
#include "lesson.h"

struct baker {
	const char *food;
	uint64_t count;
	int64_t pace;
	/* ours */
	uint64_t baked;
};

static const struct pc_param baker_params[] = {
	PC_PARAM_STRING(struct baker, food, "bun", "what the loaves are called"),
	PC_PARAM_U64(struct baker, count, "3", NULL, "loaves", "how many"),
	PC_PARAM_DURATION(struct baker, pace, "0", NULL, "the longest time that one takes"),
};

static int baker_produce(struct pc_stage *st, void *state)
{
	struct baker *s = state;
	char *loaf;
	int size, r;

	if (s->baked == s->count)
		return PC_END;
	r = lesson_linger(st, s->pace);
	if (r != PC_OK)
		return r;
	size = asprintf(&loaf, "%s%llu", s->food, (unsigned long long)s->baked);
	if (size < 0)
		return pc_fail(st, "no memory for a loaf");
	r = lesson_tell(st, "%s produced %s\n", st->name, loaf);
	if (r == PC_OK)
		r = pc_emit_copy(st, 0, loaf, (size_t)size);
	free(loaf);
	s->baked++;
	return r;
}

static const struct pc_port baker_out[] = {{"out", "text/line", PC_REQUIRED, "loaves"}};

PC_STAGE(.name = "baker", .doc = "bake loaves, each after a random while",
         .flags = PC_BLOCKING | PC_STDOUT, PC_OUTPUTS(baker_out), PC_PARAMS(baker_params),
         PC_STATE(struct baker), .state_version = 1, .produce = baker_produce);
