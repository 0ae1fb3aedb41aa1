/* delay: hold each item for a while, then pass it on.
 *
 * in   anything
 * out  the same items, in the same order
 *
 * Each replica holds one item at a time, so a replica passes at most one item per `time`. It
 * sleeps in the runtime's own way on a thread of its own: when the runtime wants the thread back
 * the sleep ends, and the item that was held is not passed on. */
#include <pcrun/stage.h>

struct delay {
	int64_t time;
};

/* Written out, because the macros make no parameter that a reload may change. */
static const struct pc_param delay_params[] = {
	{.name = "time",
         .type = PC_T_DURATION,
         .flags = PC_LIVE,
         .offset = PC_FIELD(struct delay, time, int64_t),
         .doc = "how long each item is held"},
};

static int delay_process(struct pc_stage *st, void *state, struct pc_item *item)
{
	const struct delay *s = state;
	int r = pc_sleep(st, s->time);

	return r == PC_OK ? pc_pass(st, 0, item) : r;
}

static const struct pc_port delay_in[] = {{"in", "*", 0, "anything"}};
static const struct pc_port delay_out[] = {{"out", "=in", 0, "the same, later"}};

PC_STAGE(.name = "delay", .doc = "hold each item for a while", .flags = PC_BLOCKING,
         PC_INPUTS(delay_in), PC_OUTPUTS(delay_out), PC_PARAMS(delay_params),
         PC_STATE(struct delay), .state_version = 1, .process = delay_process);
