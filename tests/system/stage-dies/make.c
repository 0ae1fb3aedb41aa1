/* make.c: a source of 0, 1, 2, … that gives up (abort) after `at` numbers. */
#include <pcrun/stage.h>

#include <stdlib.h>

struct make {
	int64_t at, next;
};

static int make_produce(struct pc_stage *st, void *state)
{
	struct make *m = state;

	pc_emit_copy(st, 0, &m->next, sizeof(m->next));
	if (m->next++ == m->at)
		abort();
	return PC_OK;
}

static const struct pc_port out[] = {{"out", "u64", 0, "numbers"}};
static const struct pc_param params[] = {
	PC_PARAM_I64(struct make, at, "5", NULL, NULL, "how many")};

PC_STAGE(.name = "make", .doc = "numbers, and the end", PC_OUTPUTS(out), PC_PARAMS(params),
         PC_STATE(struct make), .produce = make_produce);
