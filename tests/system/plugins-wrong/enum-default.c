/* enum-default.c: the default of an enum is mistyped. Built and refused by ../test-plugins-wrong.sh. */
#include <pcrun/stage.h>

struct state {
	uint32_t a;
};

static const char *const names[] = {"slow", "fast", NULL};

static const struct pc_param params[] = {
	PC_PARAM_ENUM(struct state, a, "fsat", names, "a choice"),
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
