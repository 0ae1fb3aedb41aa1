/* missing-symbol.c: calls what nobody has. Built and refused by ../test-plugins-wrong.sh. */
#include <pcrun/stage.h>

int nobody_has_this(void);

static int drop(struct pc_stage *st, void *state, struct pc_item *item)
{
	(void)st;
	(void)state;
	(void)item;
	return nobody_has_this();
}

static const struct pc_port in[] = {{"in", "*", 0, "anything"}};

PC_STAGE(.name = "wrong", .doc = "wrong on purpose", PC_INPUTS(in), .process = drop);
