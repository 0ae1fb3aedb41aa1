/* gen: numbers, as fast as they are taken or at a steady rate.
 *
 * out  u64: from, from+step, … while it is at most `to`, and at most `count` of them
 *
 * Never blocks: between two ticks of its rate it gives the worker back. A gen that was held back
 * by a full queue does not catch up with a burst: it goes on at its rate. With several replicas
 * each emits the whole sequence. */
#include <pcrun/stage.h>

#include <time.h>

struct gen {
	int64_t count;
	uint64_t from;
	uint64_t to;
	uint64_t step;
	double rate;
	/* ours */
	uint64_t next;
	int64_t sent;
	int64_t tick_ns; /* when the clock of the rate was set */
	uint64_t ticked; /* sent since then */
	bool started;
	bool over; /* the numbers are at their end */
};

static const struct pc_param gen_params[] = {
	PC_PARAM_I64(struct gen, count, "-1", "-1..", "items",
                     "how many numbers; -1: until `to`"),
	PC_PARAM_U64(struct gen, from, "0", NULL, NULL, "the first number"),
	PC_PARAM_U64(struct gen, to, "18446744073709551615", NULL, NULL,
                     "no number is above this"),
	PC_PARAM_U64(struct gen, step, "1", "1..", NULL, "from one number to the next"),
	{.name = "rate",
         .type = PC_T_F64,
         .flags = PC_LIVE,
         .offset = PC_FIELD(struct gen, rate, double),
         .def = "0",
         .range = "0..",
         .unit = "items/s",
         .doc = "numbers per second; 0: as fast as they are taken"},
};

#define GEN_BATCH 256 /* numbers per call without a rate */

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * PC_SEC + t.tv_nsec;
}

/* How many numbers are due; 0: none, and the wake-up is set. */
static unsigned due(struct pc_stage *st, struct gen *s)
{
	int64_t now = now_ns();
	double passed = (double)(now - s->tick_ns) / (double)PC_SEC;
	double wanted = passed * s->rate - (double)s->ticked;

	/* Far behind, or the rate has been changed: the clock starts again from here. */
	if (s->tick_ns == 0 || wanted > s->rate / 10 + 2 || wanted < -1) {
		s->tick_ns = now;
		s->ticked = 0;
		return 1;
	}
	if (wanted < 1) {
		double wait = (1 - wanted) / s->rate * (double)PC_SEC;

		pc_wake_after(st,
		              wait < (double)PC_SEC * 3600 ? (int64_t)wait + 1 : PC_SEC * 3600);
		return 0;
	}
	return wanted < GEN_BATCH ? (unsigned)wanted : GEN_BATCH;
}

static int gen_produce(struct pc_stage *st, void *state)
{
	struct gen *s = state;
	unsigned n = GEN_BATCH;

	if (!s->started) {
		s->started = true;
		s->next = s->from;
		s->over = s->from > s->to;
	}
	if (s->rate > 0) {
		n = due(st, s);
		if (n == 0)
			return PC_AGAIN;
	}
	for (; n > 0; n--) {
		int r;

		if (s->over || s->sent == s->count)
			return PC_END;
		r = pc_emit_copy(st, 0, &s->next, sizeof(s->next));
		if (r < 0)
			return r;
		s->sent++;
		s->ticked++;
		/* The number after the last may not fit any more. */
		s->over = s->next > s->to - s->step || s->to < s->step;
		s->next += s->step;
	}
	if (s->count > 0)
		pc_progress(st, (uint64_t)s->sent, (uint64_t)s->count);
	return PC_OK;
}

static const struct pc_port gen_out[] = {{"out", "u64", PC_REQUIRED, "the numbers"}};

PC_STAGE(.name = "gen", .doc = "make numbers", PC_OUTPUTS(gen_out), PC_PARAMS(gen_params),
         PC_STATE(struct gen), .state_version = 1, .produce = gen_produce);
