/* quit.c: a stage that passes on what it gets, and gives up in the callback `where`, in the way
 * `how`; in process, at the `at`-th item, when three of what it makes of that item are out. */
#include <assert.h>
#include <err.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pcrun/stage.h>

struct quit {
	const char *how, *where;
	int64_t at, n;
	bool again; /* at each later item too */
};

static __attribute__((noinline)) void give_up(const struct quit *q, const char *where)
{
	int n = 5, cap = 4;

	if (strcmp(q->where, where) != 0)
		return;
	if (strcmp(q->how, "assert") == 0)
		assert(n <= cap); /* LINE */
	if (strcmp(q->how, "abort") == 0)
		abort();
	if (strcmp(q->how, "exit") == 0)
		exit(3);
	if (strcmp(q->how, "_exit") == 0)
		_exit(0);
	if (strcmp(q->how, "_Exit") == 0)
		_Exit(4);
	if (strcmp(q->how, "quick_exit") == 0)
		quick_exit(5);
	if (strcmp(q->how, "errx") == 0)
		errx(6, "no %s", "luck");
	if (strcmp(q->how, "pthread_exit") == 0)
		pthread_exit(NULL);
#ifdef __cplusplus
	if (strcmp(q->how, "throw") == 0)
		throw 7;
#endif
}

static int quit_open(struct pc_stage *st, void *state)
{
	(void)st;
	give_up((struct quit *)state, "open");
	return PC_OK;
}

static int handle(struct pc_stage *st, struct quit *q, struct pc_item *item)
{
	q->n++;
	if (q->n == q->at || (q->again && q->n > q->at)) {
		for (int i = 0; i < 3; i++)
			pc_emit_copy(st, 0, "partial", 7);
		give_up(q, "process");
	}
	return pc_pass(st, 0, item);
}

#ifdef BATCH
static int quit_batch(struct pc_stage *st, void *state, struct pc_item *const *items,
                      unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		int rc = handle(st, (struct quit *)state, items[i]);

		if (rc)
			return rc;
		pc_done(st);
	}
	return PC_OK;
}
#else
static int quit_process(struct pc_stage *st, void *state, struct pc_item *item)
{
	return handle(st, (struct quit *)state, item);
}
#endif

static int quit_finish(struct pc_stage *st, void *state)
{
	(void)st;
	give_up((struct quit *)state, "finish");
	return PC_OK;
}

static int quit_closed(struct pc_stage *st, void *state, unsigned port)
{
	(void)st;
	(void)port;
	give_up((struct quit *)state, "closed");
	return PC_OK;
}

static void quit_stop(struct pc_stage *st, void *state)
{
	(void)st;
	give_up((struct quit *)state, "stop");
}

static int quit_close(struct pc_stage *st, void *state)
{
	(void)st;
	give_up((struct quit *)state, "close");
	return PC_OK;
}

/* closed() is only called while another input is open. */
static const struct pc_port in[] = {{"in", "*", 0, "items"},
#ifdef TWO
                                    {"side", "*", 0, "more"}
#endif
};
static const struct pc_port out[] = {{"out", "=in", 0, "the same"}};
static const struct pc_param params[] = {
	PC_PARAM_STRING(struct quit, how, "abort", "in which way"),
	PC_PARAM_STRING(struct quit, where, "process", "in which callback"),
	PC_PARAM_I64(struct quit, at, "5", NULL, NULL, "at which item"),
	PC_PARAM_BOOL(struct quit, again, "false", "and at all after it")};

#ifdef BATCH
#define PROCESS .process_batch = quit_batch
#else
#define PROCESS .process = quit_process
#endif
PC_STAGE(.name = NAME, .doc = "give up", PC_INPUTS(in), PC_OUTPUTS(out), PC_PARAMS(params),
         PC_STATE(struct quit), .open = quit_open, PROCESS, .finish = quit_finish,
         .stop = quit_stop, .close = quit_close, .closed = quit_closed);
