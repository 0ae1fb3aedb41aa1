/* size-small.c: the descriptor says it is shorter than any was. Built and refused by ../test-plugins-wrong.sh. */
#include <pcrun/stage.h>

static int drop(struct pc_stage *st, void *state, struct pc_item *item)
{
	(void)st;
	(void)state;
	(void)item;
	return PC_OK;
}

static const struct pc_port in[] = {{"in", "*", 0, "anything"}};

__attribute__((visibility("default"))) extern const struct pc_stage_desc pc_stage_v1;
const struct pc_stage_desc pc_stage_v1 = {
	PC_STAGE_MAGIC,  PC_ABI_MAJOR,  PC_ABI_MINOR,   100, 0,
	.name = "wrong", PC_INPUTS(in), .process = drop};
