/* process-no-input.c: process, and nothing comes in. Built and refused by ../test-plugins-wrong.sh. */
#include <pcrun/stage.h>

static int drop(struct pc_stage *st, void *state, struct pc_item *item)
{
	(void)st;
	(void)state;
	(void)item;
	return PC_OK;
}

PC_STAGE(.name = "wrong", .doc = "wrong on purpose", .process = drop);
