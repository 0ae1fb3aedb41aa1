/* rows-endless.c: a count that can not be. Built and refused by ../test-plugins-wrong.sh. */
#include <pcrun/stage.h>

static int drop(struct pc_stage *st, void *state, struct pc_item *item)
{
	(void)st;
	(void)state;
	(void)item;
	return PC_OK;
}

static const struct pc_port in[] = {{"in", "*", 0, "anything"}};

PC_STAGE(.name = "wrong", .doc = "wrong on purpose", .inputs = in, .n_inputs = 4000000000u,
         .input_size = sizeof(in[0]), .process = drop);
