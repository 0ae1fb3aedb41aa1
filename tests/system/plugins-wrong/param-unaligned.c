/* param-unaligned.c: a parameter is not aligned. Built and refused by ../test-plugins-wrong.sh. */
#include <pcrun/stage.h>

struct state {
	char bytes[16];
};

static const struct pc_param params[] = {
	{"a", PC_T_I64, 0, 3, "1", NULL, NULL, NULL, "a number"},
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
