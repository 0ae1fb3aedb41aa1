/* oldgen.c: a producer built with the header of ABI 1.0, which uses all that a producer has.
 *
 * Counts from `first` to `last`, by new items and by copies in turn, with pauses. */
#include <pcrun/stage.h>

#include <string.h>

struct oldgen {
	uint64_t first;
	uint64_t last;
	int64_t pause;
	uint64_t next;
	bool opened;
};

static int oldgen_open(struct pc_stage *st, void *state)
{
	struct oldgen *s = state;

	if (s->first > s->last)
		return pc_fail(st, "from %d to %d is backwards", (int)s->first, (int)s->last);
	s->next = s->first;
	s->opened = true;
	pc_log(st, PC_INFO, "%s %u of %u opened, wired %d", st->name, st->replica, st->replicas,
	       pc_out_wired(st, 0) && !pc_out_wired(st, 1));
	return PC_OK;
}

static int oldgen_produce(struct pc_stage *st, void *state)
{
	struct oldgen *s = state;

	if (pc_stopping(st) || s->next > s->last)
		return PC_END;
	if (s->next % 2 == 0) {
		struct pc_item *item = pc_item_new(st, sizeof(s->next));

		if (!item)
			return pc_fail(st, "no memory");
		memcpy(item->data, &s->next, sizeof(s->next));
		pc_emit(st, 0, item);
	} else {
		pc_emit_copy(st, 0, &s->next, sizeof(s->next));
	}
	s->next++;
	pc_progress(st, s->next - s->first, s->last - s->first + 1);
	pc_wake_after(st, s->pause);
	return s->pause > 0 ? PC_AGAIN : PC_OK;
}

static int oldgen_close(struct pc_stage *st, void *state)
{
	const struct oldgen *s = state;

	return s->opened || s->first > s->last ? PC_OK : pc_fail(st, "the state is not mine");
}

static const struct pc_port oldgen_out[] = {{"out", "u64", PC_REQUIRED, "the numbers"},
                                            {"none", "u64", 0, "nothing"}};
static const struct pc_param oldgen_params[] = {
	PC_PARAM_U64(struct oldgen, first, "1", "0..1M", NULL, "the first number"),
	PC_PARAM_U64(struct oldgen, last, NULL, NULL, NULL, "the last number"),
	PC_PARAM_DURATION(struct oldgen, pause, "0s", "0s..1m", "between two"),
};

PC_STAGE(.name = "oldgen", .doc = "count", .version = "1.0", PC_OUTPUTS(oldgen_out),
         PC_PARAMS(oldgen_params), PC_STATE(struct oldgen), .state_version = 1,
         .open = oldgen_open, .produce = oldgen_produce, .close = oldgen_close);
