/* param-outside.c: a parameter lies behind the end of the state. Built and refused by ../test-plugins-wrong.sh. */
#include <pcrun/stage.h>

struct state {
	int64_t a;
};

static const struct pc_param params[] = {
	PC_PARAM_I64(struct state, a, "1", NULL, NULL, "a number"),
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
         .process = drop);
