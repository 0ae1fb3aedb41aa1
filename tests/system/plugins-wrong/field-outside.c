/* field-outside.c: a row of the state table lies outside. Built and refused by ../test-plugins-wrong.sh. */
#include <pcrun/stage.h>

static const struct pc_field fields[] = {{"sum", PC_T_I64, 2, 8, 8}};

static int drop(struct pc_stage *st, void *state, struct pc_item *item)
{
	(void)st;
	(void)state;
	(void)item;
	return PC_OK;
}

static const struct pc_port in[] = {{"in", "*", 0, "anything"}};

PC_STAGE(.name = "wrong", .doc = "wrong on purpose", PC_INPUTS(in), PC_FIELDS(fields),
         .state_size = 16, .process = drop);
