/* head: the first items, then the end.
 *
 * in   anything
 * out  the first `n` items of the whole stream, as they are
 *
 * After the last of them it says PC_END, which ends the stages that feed it, unless they have
 * other readers: so `gen -> head(5) -> print` ends although gen alone would not. */
#include <pcrun/stage.h>

struct head {
	uint64_t n;
	uint64_t seen;
};

static const struct pc_param head_params[] = {
	PC_PARAM_U64(struct head, n, "10", NULL, "items", "how many items pass"),
};

static int head_process(struct pc_stage *st, void *state, struct pc_item *item)
{
	struct head *s = state;
	int r = PC_OK;

	if (s->seen < s->n) {
		r = pc_pass(st, 0, item);
		if (r < 0)
			return r;
		s->seen++;
	}
	return s->seen < s->n ? PC_OK : PC_END;
}

static const struct pc_port head_in[] = {{"in", "*", 0, "anything"}};
static const struct pc_port head_out[] = {{"out", "=in", 0, "the first n items"}};

PC_STAGE(.name = "head", .doc = "pass the first n items, then end", .flags = PC_SINGLE,
         PC_INPUTS(head_in), PC_OUTPUTS(head_out), PC_PARAMS(head_params),
         PC_STATE(struct head), .state_version = 1, .process = head_process);
