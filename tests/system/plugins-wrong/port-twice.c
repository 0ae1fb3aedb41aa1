/* port-twice.c: two inputs have one name. Built and refused by ../test-plugins-wrong.sh. */
#include <pcrun/stage.h>

static const struct pc_port ins[] = {{"a", "*", 0, "one"}, {"a", "*", 0, "two"}};

static int drop(struct pc_stage *st, void *state, struct pc_item *item)
{
	(void)st;
	(void)state;
	(void)item;
	return PC_OK;
}

PC_STAGE(.name = "wrong", .doc = "wrong on purpose", PC_INPUTS(ins), .process = drop);
