/* oldbatch.c: a stage of ABI 1.0 with a thread of its own, which takes batches, sleeps and waits.
 *
 * Adds up the numbers that come and says the sum; a number over a thousand is an error. */
#include <pcrun/stage.h>

#include <string.h>
#include <unistd.h>

struct oldbatch {
	uint64_t sum;
	int pipe[2];
};

static int oldbatch_open(struct pc_stage *st, void *state)
{
	struct oldbatch *s = state;

	return pipe(s->pipe) == 0 ? PC_OK : pc_fail(st, "no pipe");
}

static int oldbatch_process(struct pc_stage *st, void *state, struct pc_item *const *items,
                            unsigned n)
{
	struct oldbatch *s = state;

	if (pc_sleep(st, 1000) != PC_OK)
		return PC_STOPPED;
	if (pc_wait_fd(st, s->pipe[0], PC_FD_READ, 1000) != PC_TIMEOUT)
		return pc_fail(st, "an empty pipe is readable");
	if (pc_wait_fd(st, s->pipe[1], PC_FD_WRITE, PC_SEC) != PC_OK)
		return pc_fail(st, "an empty pipe is full");
	for (unsigned i = 0; i < n; i++) {
		uint64_t number;

		memcpy(&number, items[i]->data, sizeof(number));
		if (number > 1000)
			return pc_fail(st, "%d is too much", (int)number);
		s->sum += number;
		pc_done(st);
	}
	return PC_OK;
}

static int oldbatch_finish(struct pc_stage *st, void *state)
{
	const struct oldbatch *s = state;

	return pc_emit_copy(st, 0, &s->sum, sizeof(s->sum));
}

static void oldbatch_stop(struct pc_stage *st, void *state)
{
	(void)st;
	(void)state;
}

static int oldbatch_close(struct pc_stage *st, void *state)
{
	const struct oldbatch *s = state;

	(void)st;
	close(s->pipe[0]);
	close(s->pipe[1]);
	return PC_OK;
}

static int oldbatch_migrate(struct pc_stage *st, uint32_t old_version, const void *old_state,
                            size_t old_size, void *new_state)
{
	(void)st;
	(void)old_version;
	memcpy(new_state, old_state, old_size);
	return PC_OK;
}

static const struct pc_port oldbatch_in[] = {{"in", "u64", 0, "numbers"}};
static const struct pc_port oldbatch_out[] = {{"out", "u64", 0, "their sum"}};

PC_STAGE(.name = "oldbatch", .doc = "add up", .flags = PC_BLOCKING | PC_SINGLE,
         PC_INPUTS(oldbatch_in), PC_OUTPUTS(oldbatch_out), PC_STATE(struct oldbatch),
         .open = oldbatch_open, .process_batch = oldbatch_process, .finish = oldbatch_finish,
         .stop = oldbatch_stop, .close = oldbatch_close, .migrate = oldbatch_migrate);
