/* port-bad-type.c: a port has a type that is none. Built and refused by ../test-plugins-wrong.sh. */
#include <pcrun/stage.h>

static const struct pc_port ins[] = {{"a", "text/*/x", 0, "one"}};

static int drop(struct pc_stage *st, void *state, struct pc_item *item)
{
	(void)st;
	(void)state;
	(void)item;
	return PC_OK;
}

PC_STAGE(.name = "wrong", .doc = "wrong on purpose", PC_INPUTS(ins), .process = drop);
