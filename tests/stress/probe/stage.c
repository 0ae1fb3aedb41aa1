/* stress/probe/stage.c: the stages of probe.c as shared objects: PROBE_NUMBERS, PROBE_TALLY, and
 * for each other -DPROBE_… a build of `mid` that does one thing wrong: see meson.build. */
#include <pcrun/stage.h>

#include <assert.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How it goes wrong, wherever that is. */
static volatile int *nowhere;
__attribute__((unused)) static volatile int zero;

__attribute__((unused)) static int crash(int n)
{
	return *nowhere + n;
}

#ifdef PROBE_NUMBERS
struct numbers {
	uint64_t next;
};

static int numbers_produce(struct pc_stage *st, void *state)
{
	struct numbers *s = state;

	for (int i = 0; i < 16; i++, s->next++)
		if (pc_emit_copy(st, 0, &s->next, sizeof(s->next)))
			return pc_fail(st, "emit");
	pc_wake_after(st, PC_MS / 4);
	return PC_AGAIN;
}

static const struct pc_port out[] = {{"out", "u64", 0, "numbers"}};

PC_STAGE(.name = "numbers", .doc = "0, 1, 2, …", PC_OUTPUTS(out), PC_STATE(struct numbers),
         .produce = numbers_produce);

#elif defined(PROBE_TALLY)
struct tally {
	uint64_t next;
};

static int tally_process(struct pc_stage *st, void *state, struct pc_item *item)
{
	struct tally *s = state;
	uint64_t value;

	memcpy(&value, item->data, sizeof(value));
	if (value != s->next)
		return pc_fail(st, "%llu came instead of %llu", (unsigned long long)value,
		               (unsigned long long)s->next);
	s->next++;
	pc_progress(st, s->next, 0);
	return PC_OK;
}

static const struct pc_port in[] = {{"in", "u64", 0, "numbers"}};

PC_STAGE(.name = "tally", .doc = "all of them, in order", PC_INPUTS(in), PC_STATE(struct tally),
         .process = tally_process);

#else
/* Numbers go through; every one is checked against the state's count, so that a build without the
 * right state finds out. */
#if defined(PROBE_POINTERS) || defined(PROBE_POINTERS2)
#define POINTERS
#endif

struct mid {
	uint64_t first, count;
	const char *path;
#ifdef POINTERS
	void *memory;
#endif
};

#if defined(PROBE_CTOR_CRASH)
__attribute__((constructor)) static void constructor(void)
{
	crash(1);
}
#elif defined(PROBE_CTOR_SLEEP)
__attribute__((constructor)) static void constructor(void)
{
	sleep(1000);
}
#elif defined(PROBE_CTOR_EXIT)
__attribute__((constructor)) static void constructor(void)
{
	exit(3);
}
#elif defined(PROBE_CTOR_DLOPEN)
__attribute__((constructor)) static void constructor(void)
{
	dlopen("libm.so.6", RTLD_NOW);
}
#elif defined(PROBE_FINI_CRASH)
__attribute__((destructor)) static void destructor(void)
{
	crash(1);
}
#elif defined(PROBE_IFUNC)
__attribute__((used)) static int plain(void)
{
	return 1;
}

__attribute__((used)) static int (*resolve(void))(void)
{
	return crash(1) ? plain : NULL;
}

int chosen(void);
int chosen(void) __attribute__((ifunc("resolve")));
__attribute__((used)) static int (*volatile chosen_at)(void) = chosen;
#endif

__attribute__((unused)) static void *wait_for_ever(void *unused)
{
	(void)unused;
	for (;;)
		pause();
	return NULL;
}

static int mid_open(struct pc_stage *st, void *state)
{
	struct mid *s = state;

	(void)st;
	(void)s;
#if defined(PROBE_OPEN_FAIL)
	return pc_fail(st, "no luck with %s", s->path);
#elif defined(PROBE_OPEN_CRASH)
	return crash(1);
#elif defined(PROBE_OPEN_HANG)
	for (;;)
		pause();
#elif defined(PROBE_OPEN_FDS)
	return open("/dev/null", O_RDONLY) < 0 ? PC_ERROR : PC_OK;
#elif defined(PROBE_OPEN_THREAD)
	pthread_t thread;

	return pthread_create(&thread, NULL, wait_for_ever, NULL) ? PC_ERROR : PC_OK;
#elif defined(PROBE_OPEN_EFFECT) || defined(PROBE_NO_PROBE)
	return close(open(s->path, O_WRONLY | O_CREAT | O_TRUNC, 0600)) ? PC_ERROR : PC_OK;
#elif defined(PROBE_OPEN_ASSERT)
	assert(zero);
#elif defined(PROBE_OPEN_ABORT)
	abort();
#elif defined(PROBE_OPEN_EXIT)
	exit(0);
#elif defined(PROBE_OPEN__EXIT)
	_exit(7);
#elif defined(PROBE_OPEN_KILL)
	raise(SIGKILL);
#elif defined(POINTERS)
	s->memory = malloc(100);
#endif
	return PC_OK;
}

static int mid_process(struct pc_stage *st, void *state, struct pc_item *item)
{
	struct mid *s = state;
	uint64_t value;

	memcpy(&value, item->data, sizeof(value));
	if (s->count == 0)
		s->first = value;
	if (value != s->first + s->count)
		return pc_fail(st, "%llu came instead of %llu", (unsigned long long)value,
		               (unsigned long long)(s->first + s->count));
	s->count++;
#if defined(PROBE_GOOD2) || defined(PROBE_POINTERS2)
	zero = (int)value & 0; /* other code, the same outcome */
#elif defined(PROBE_ITEM_CRASH)
	return crash(1);
#elif defined(PROBE_ITEM_SECOND)
	if (s->count % 4 == 0)
		return 100 / zero;
#elif defined(PROBE_ITEM_LOOP)
	while (!zero)
		continue;
#elif defined(PROBE_ITEM_FAIL)
	return pc_fail(st, "not this one");
#elif defined(PROBE_ITEM_DIFFERS)
	if (value % 2) {
		value = s->count;
		return pc_emit_copy(st, 0, &value, 4);
	}
#endif
	return pc_pass(st, 0, item);
}

static int mid_close(struct pc_stage *st, void *state)
{
	(void)st;
	(void)state;
#if defined(PROBE_CLOSE_CRASH)
	return crash(1);
#elif defined(PROBE_CLOSE_FAIL)
	return pc_fail(st, "it would not shut");
#elif defined(POINTERS)
	free(((struct mid *)state)->memory);
#endif
	return PC_OK;
}

#if defined(PROBE_MIGRATE_CRASH) || defined(PROBE_MIGRATE_FAIL) || defined(PROBE_MIGRATES)
static int mid_migrate(struct pc_stage *st, uint32_t old_version, const void *old_state,
                       size_t old_size, void *new_state)
{
	const struct mid *from = old_state;
	struct mid *to = new_state;

	(void)old_version;
	if (old_size != sizeof(*from) || !to->path || strcmp(from->path, to->path) != 0)
		return pc_fail(st, "that is not the old state");
	to->first = from->first;
	to->count = from->count;
#if defined(PROBE_MIGRATE_CRASH)
	return crash(1);
#elif defined(PROBE_MIGRATE_FAIL)
	return pc_fail(st, "I will not");
#else
	return PC_OK;
#endif
}
#define MIGRATE .state_version = 2, .migrate = mid_migrate,
#else
#define MIGRATE
#endif

#ifdef PROBE_NO_PROBE
#define FLAGS (PC_PURE | PC_NO_PROBE)
#else
#define FLAGS PC_PURE
#endif

static const struct pc_param params[] = {PC_PARAM_PATH(struct mid, path, "nowhere", "a file")};
static const struct pc_port in[] = {{"in", "u64", 0, "numbers"}};
static const struct pc_port out[] = {{"out", "u64", 0, "the same"}};

PC_STAGE(.name = "mid", .doc = "pass on, and count", .flags = FLAGS, PC_INPUTS(in),
         PC_OUTPUTS(out), PC_PARAMS(params), PC_STATE(struct mid), MIGRATE.open = mid_open,
         .process = mid_process, .close = mid_close);
#endif
