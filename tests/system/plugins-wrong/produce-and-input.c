/* produce-and-input.c: a producer that also consumes. Built and refused by ../test-plugins-wrong.sh. */
#include <pcrun/stage.h>

static int drop(struct pc_stage *st, void *state, struct pc_item *item)
{
	(void)st;
	(void)state;
	(void)item;
	return PC_OK;
}

static const struct pc_port in[] = {{"in", "*", 0, "anything"}};

static int make(struct pc_stage *st, void *state)
{
	(void)st;
	(void)state;
	return PC_END;
}

static const struct pc_port out[] = {{"out", "*", 0, "nothing"}};

PC_STAGE(.name = "wrong", .doc = "wrong on purpose", PC_INPUTS(in), PC_OUTPUTS(out),
         .process = drop, .produce = make);
