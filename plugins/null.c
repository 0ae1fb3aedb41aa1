/* null: swallows what comes.
 *
 * in   anything; the runtime gives the items back.
 *
 * For trying out what stands before it, and for an output that nobody wants but that must be
 * wired. Any number of replicas. */
#include <pcrun/stage.h>

static int null_process_batch(struct pc_stage *st, void *state, struct pc_item *const *items,
                              unsigned n)
{
	(void)st;
	(void)state;
	(void)items;
	(void)n;
	return PC_OK;
}

static const struct pc_port null_in[] = {{"in", "*", 0, "anything"}};

PC_STAGE(.name = "null", .doc = "swallow what comes", .flags = PC_PURE, PC_INPUTS(null_in),
         .process_batch = null_process_batch);
