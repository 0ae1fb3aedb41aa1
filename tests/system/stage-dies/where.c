/* where.c: a stage that passes on what it gets, and crashes `where`: by a null pointer, or with `deep` by
 * using up the stack. -DLOAD, -DUNLOAD: while it is loaded, or unloaded. -DNEXT: the build that
 * another one is swapped for, and that has to take its state over. -DSOURCE: it makes items. */
#include <pcrun/stage.h>

#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct where {
	const char *where;
	bool deep;
};

static __attribute__((noinline)) int deeper(volatile char *up)
{
	volatile char here[4096];

	here[5] = up[0];
	return deeper(here) + here[5];
}

static __attribute__((noinline)) void crash(bool deep)
{
	volatile char here[16] = {0};

	if (deep)
		deeper(here);
	*(volatile int *)8 = 5;
}

static void here(const struct where *w, const char *callback)
{
	if (strcmp(w->where, callback) == 0)
		crash(w->deep);
}

#ifdef LOAD
__attribute__((constructor)) static void load(void)
{
	crash(getenv("DEEP") != NULL);
}
#endif
#ifdef UNLOAD
__attribute__((destructor)) static void unload(void)
{
	crash(getenv("DEEP") != NULL);
}
#endif

static void *thread(void *arg)
{
	pthread_setname_np(pthread_self(), "helper");
	(void)arg;
	crash(false);
	return NULL;
}

static void on_signal(int unused)
{
	(void)unused;
	crash(false);
}

static int where_open(struct pc_stage *st, void *state)
{
	(void)st;
	here(state, "open");
	return PC_OK;
}

static int work(struct pc_stage *st, struct where *w)
{
	(void)st;
	if (strcmp(w->where, "thread") == 0) {
		pthread_t id;

		if (pthread_create(&id, NULL, thread, NULL) == 0)
			pthread_join(id, NULL);
	} else if (strcmp(w->where, "handler") == 0) {
		/* No thread of the graph's takes signals. */
		signal(SIGUSR1, on_signal);
		kill(getpid(), SIGUSR1);
		while (true)
			usleep(1000);
	}
	return PC_OK;
}

static int where_finish(struct pc_stage *st, void *state)
{
	(void)st;
	here(state, "finish");
	return PC_OK;
}

static void where_stop(struct pc_stage *st, void *state)
{
	(void)st;
	here(state, "stop");
}

static int where_close(struct pc_stage *st, void *state)
{
	(void)st;
	here(state, "close");
	return PC_OK;
}

static const struct pc_param params[] = {
	PC_PARAM_STRING(struct where, where, "nowhere", "in which callback"),
	PC_PARAM_BOOL(struct where, deep, "false", "by a stack that is used up")};
static const struct pc_port out[] = {{"out", "*", 0, "items"}};

#ifdef SOURCE
static int where_produce(struct pc_stage *st, void *state)
{
	here(state, "produce");
	work(st, state);
	return pc_emit_copy(st, 0, "x", 1) == PC_OK ? PC_END : PC_ERROR;
}

PC_STAGE(.name = NAME, .doc = "crash somewhere", PC_OUTPUTS(out), PC_PARAMS(params),
         PC_STATE(struct where), .open = where_open, .produce = where_produce,
         .finish = where_finish, .stop = where_stop, .close = where_close);
#else
static int where_process(struct pc_stage *st, void *state, struct pc_item *item)
{
	here(state, "process");
	work(st, state);
	return pc_pass(st, 0, item);
}

static int where_migrate(struct pc_stage *st, uint32_t version, const void *old, size_t size,
                         void *state)
{
	(void)st;
	(void)version;
	(void)old;
	(void)size;
	here(state, "migrate");
	return PC_OK;
}

static int where_closed(struct pc_stage *st, void *state, unsigned port)
{
	(void)st;
	(void)port;
	here(state, "closed");
	return PC_OK;
}

static const struct pc_port in[] = {{"in", "*", 0, "items"}, {"side", "*", 0, "items"}};

PC_STAGE(.name = NAME, .doc = "crash somewhere", .inputs = in,
#ifdef TWO
         .n_inputs = 2,
#else
         .n_inputs = 1,
#endif
         .input_size = sizeof(in[0]), PC_OUTPUTS(out), PC_PARAMS(params),
#ifdef NEXT
         .state_size = sizeof(struct where), .state_version = 2,
#else
         PC_STATE(struct where),
#endif
         .open = where_open, .process = where_process, .finish = where_finish,
         .stop = where_stop, .close = where_close, .migrate = where_migrate,
         .closed = where_closed);
#endif
