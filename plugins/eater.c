/* eater: eats what comes, each after a random while.
 *
 * in   text: names of loaves
 *
 * Tells `EATER ate LOAF`, where EATER is the stage's name in the graph. A loaf counts as done
 * when this has been told: a join that waits for the basket waits for the last bite. */
#include "lesson.h"

struct eater {
	int64_t pace;
};

static const struct pc_param eater_params[] = {
	PC_PARAM_DURATION(struct eater, pace, "0", NULL, "the longest time that one takes"),
};

static int eater_process(struct pc_stage *st, void *state, struct pc_item *item)
{
	const struct eater *s = state;
	int r = lesson_linger(st, s->pace);
	int size = item->size < INT16_MAX ? (int)item->size : INT16_MAX;

	if (r != PC_OK)
		return r;
	return lesson_tell(st, "%s ate %.*s\n", st->name, size, (const char *)item->data);
}

static const struct pc_port eater_in[] = {{"in", "text/*", 0, "loaves"}};

PC_STAGE(.name = "eater", .doc = "eat what comes, each after a random while",
         .flags = PC_BLOCKING | PC_STDOUT, PC_INPUTS(eater_in), PC_PARAMS(eater_params),
         PC_STATE(struct eater), .state_version = 1, .process = eater_process);
