/* param-type.c: a parameter has a type that is not known. Built and refused by ../test-plugins-wrong.sh. */
#include <pcrun/stage.h>

struct state {
	int64_t a;
};

static const struct pc_param params[] = {
	{"a", 77, 0, 0, "1", NULL, NULL, NULL, "a number"},
};

static int drop(struct pc_stage *st, void *state, struct pc_item *item)
{
	(void)st;
	(void)state;
	(void)item;
	return PC_OK;
}

static const struct pc_port in[] = {{"in", "*", 0, "anything"}};

PC_STAGE(.name = "wrong", .doc = "wrong on purpose", PC_INPUTS(in), PC_PARAMS(params),
         PC_STATE(struct state), .process = drop);
