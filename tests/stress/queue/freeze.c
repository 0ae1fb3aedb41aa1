/* freeze.c: a thread is stopped at every single instruction of a put, a take, a close, in turn;
 * each time all others must complete a fixed number of operations. That is what "lock-free"
 * says, tried out. The same test over a mutex and over Vyukov's ring must fail, and it checks
 * that it does.
 *
 * A tracer leads one thread of its child (stepping.h). For each scene the victim prepares a
 * queue, stops, runs its operation for k instructions and is left there. Then the others make
 * TRANSFERS puts and as many takes that succeed; a put or take that only ever says "full" or
 * "empty" is no progress. Then the victim finishes, what is left is counted, and k grows by one
 * until the operation is shorter than k. The hook points of step.h are not needed for this: it is
 * the plain build that is tried. Skipped (77) where ptrace is not allowed.
 */
/* What the tests count and compare between runs may take the strongest order. */
#ifdef __clang__
#pragma clang diagnostic ignored "-Watomic-implicit-seq-cst"
#endif

#include "common.h"
#include "peers.h"
#include "stepping.h"

#include "queue/queue.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define OTHERS    2
#define TRANSFERS 50
#define BATCH     5

struct subject {
	const char *name;
	void *(*create)(void);
	size_t (*put)(void *queue, void *const *items, size_t n);
	size_t (*take)(void *queue, void **items, size_t max);
	bool lock_free;
};

enum act {
	ACT_PUT,
	ACT_PUT_BATCH,
	ACT_TAKE,
	ACT_TAKE_BATCH,
	ACT_CLOSE,
	ACT_ARM,
	ACT_CANCEL,
	ACT_DONE
};

struct scene {
	const char *name;
	unsigned put, taken; /* before the operation */
	enum act act;
	bool task;         /* a task waits for an item */
	bool ours;         /* for pcrun's queue only */
	enum pc_full full; /* likewise, as is what follows */
	uint32_t capacity; /* 0: PEER_CAPACITY */
};

/* Segments have 16 slots first: fills around that make the victim append and retire. */
static const struct scene scenes[] = {
	{"put", 5, 2, ACT_PUT, false, false, PC_FULL_BLOCK, 0},
	{"put, first of all", 0, 0, ACT_PUT, false, false, PC_FULL_BLOCK, 0},
	{"put, new segment", 16, 3, ACT_PUT, false, false, PC_FULL_BLOCK, 0},
	{"put, task waits", 7, 7, ACT_PUT, true, true, PC_FULL_BLOCK, 0},
	{"put, full", PEER_CAPACITY, 0, ACT_PUT, false, true, PC_FULL_BLOCK, 0},
	/* the first that finds so few places lingers */
	{"put, nearly full", 97, 0, ACT_PUT, false, true, PC_FULL_BLOCK, 128},
	{"put, drops itself", PEER_CAPACITY, 0, ACT_PUT, false, true, PC_FULL_DROP_NEW, 0},
	{"put, drops the oldest", PEER_CAPACITY, 0, ACT_PUT, false, true, PC_FULL_DROP_OLD, 0},
	{"batch", 5, 2, ACT_PUT_BATCH, false, false, PC_FULL_BLOCK, 0},
	{"batch over an end", 14, 3, ACT_PUT_BATCH, false, false, PC_FULL_BLOCK, 0},
	{"batch, task waits", 7, 7, ACT_PUT_BATCH, true, true, PC_FULL_BLOCK, 0},
	{"batch, all places", 5, 5, ACT_PUT_BATCH, false, true, PC_FULL_DROP_OLD, BATCH},
	{"batch, drops the oldest", 1, 0, ACT_PUT_BATCH, false, true, PC_FULL_DROP_OLD, BATCH},
	{"take", 5, 2, ACT_TAKE, false, false, PC_FULL_BLOCK, 0},
	{"take, empty", 5, 5, ACT_TAKE, false, false, PC_FULL_BLOCK, 0},
	{"take, new segment", 20, 16, ACT_TAKE, false, false, PC_FULL_BLOCK, 0},
	{"take batch", 12, 2, ACT_TAKE_BATCH, false, false, PC_FULL_BLOCK, 0},
	{"take batch, new segment", 20, 16, ACT_TAKE_BATCH, false, false, PC_FULL_BLOCK, 0},
	{"close", 5, 2, ACT_CLOSE, false, true, PC_FULL_BLOCK, 0},
	{"close at an end", 16, 2, ACT_CLOSE, false, true, PC_FULL_BLOCK, 0},
	{"close, task waits", 7, 7, ACT_CLOSE, true, true, PC_FULL_BLOCK, 0},
	{"task begins to wait", 7, 7, ACT_ARM, false, true, PC_FULL_BLOCK, 0},
	{"task waits no more", 7, 7, ACT_CANCEL, true, true, PC_FULL_BLOCK, 0},
	{"done", 7, 2, ACT_DONE, false, true, PC_FULL_BLOCK, 0},
};

/* Shared by tracer and child. */
struct shared {
	_Atomic unsigned round;    /* tracer: others, begin */
	_Atomic unsigned finished; /* others of all rounds */
	_Atomic unsigned quit;
	_Atomic unsigned scene;
	_Atomic(void *) queue;
	_Atomic long put, taken; /* by all, in this scene's queue */
};

static struct shared *shared;
static const struct subject *subject;
static char pool[64];

static void count_drop(void *user, void *item)
{
	(void)user;
	(void)item;
	atomic_fetch_add_explicit(&shared->taken, 1, memory_order_relaxed);
}

static void *pcrun_create(void)
{
	const struct scene *scene = &scenes[shared->scene];
	struct pc_queue_options options = {.size = sizeof(options),
	                                   .capacity = scene->capacity ? scene->capacity
	                                                               : PEER_CAPACITY,
	                                   .full = scene->full,
	                                   .drop = count_drop};
	struct pc_queue *queue;

	CHECK(pc_queue_create(&queue, &options) == PC_OK, "create");
	return queue;
}

static size_t pcrun_put(void *queue, void *const *items, size_t n)
{
	size_t put = 0;

	if (n == 1)
		return pc_queue_put(queue, items[0], 0) == PC_OK;
	pc_queue_put_batch(queue, items, n, &put, 0);
	return put;
}

static size_t pcrun_take(void *queue, void **items, size_t max)
{
	size_t taken = 0;

	if (max == 1)
		return pc_queue_take(queue, items, 0) == PC_OK;
	pc_queue_take_batch(queue, items, max, &taken, 0);
	return taken;
}

static const struct subject subjects[] = {
	{"pcrun", pcrun_create, pcrun_put, pcrun_take, true},
	{"mutex ring", mutex_ring_create, mutex_ring_put, mutex_ring_take, false},
	{"Vyukov ring", vyukov_ring_create, vyukov_ring_put, vyukov_ring_take, false},
};

static size_t put(void *queue, size_t n)
{
	void *items[BATCH] = {pool, pool + 2, pool + 4, pool + 6, pool + 8};
	size_t put = subject->put(queue, items, n);

	atomic_fetch_add_explicit(&shared->put, (long)put, memory_order_relaxed);
	return put;
}

static size_t take(void *queue, size_t max)
{
	void *items[BATCH];
	size_t taken = subject->take(queue, items, max);

	atomic_fetch_add_explicit(&shared->taken, (long)taken, memory_order_relaxed);
	return taken;
}

/* Closed queues take nothing any more; then a call that says so counts. */
static bool closed(void *queue)
{
	return subject->lock_free && queue_put_closed(queue);
}

static void *other(void *number)
{
	unsigned mine = 0;
	size_t batch = (uintptr_t)number % 2 ? 1 : BATCH;

	for (;;) {
		size_t puts = 0, takes = 0;
		void *queue;

		while (atomic_load_explicit(&shared->round, memory_order_acquire) == mine) {
			if (atomic_load_explicit(&shared->quit, memory_order_relaxed))
				return NULL;
			sched_yield();
		}
		mine++;
		queue = atomic_load_explicit(&shared->queue, memory_order_relaxed);
		while (puts < TRANSFERS || takes < TRANSFERS) {
			size_t n = put(queue, batch), m = take(queue, batch);

			puts += n + closed(queue);
			takes += m + closed(queue);
		}
		atomic_fetch_add_explicit(&shared->finished, 1, memory_order_release);
	}
}

static void stop_here(void)
{
	syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGSTOP);
}

static void wake(struct queue_waiter *waiter)
{
	(void)waiter;
}

static void *victim(void *unused)
{
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	for (;;) {
		const struct scene *scene = &scenes[shared->scene];
		struct queue_waiter waiter = {.wake = wake};
		void *queue = subject->create();

		atomic_store_explicit(&shared->put, 0, memory_order_relaxed);
		atomic_store_explicit(&shared->taken, 0, memory_order_relaxed);
		atomic_store_explicit(&shared->queue, queue, memory_order_relaxed);
		for (unsigned i = 0; i < scene->put; i++)
			put(queue, 1);
		for (unsigned i = 0; i < scene->taken; i++)
			take(queue, 1);
		if (scene->task)
			CHECK(queue_wait_take(queue, &waiter) == PC_OK, "task waits");
		stop_here();
		switch (scene->act) {
		case ACT_PUT:
		case ACT_PUT_BATCH:
			put(queue, scene->act == ACT_PUT ? 1 : BATCH);
			break;
		case ACT_TAKE:
		case ACT_TAKE_BATCH:
			take(queue, scene->act == ACT_TAKE ? 1 : BATCH);
			break;
		case ACT_CLOSE:
			pc_queue_writer_end(queue);
			break;
		case ACT_ARM:
			queue_wait_take(queue, &waiter);
			break;
		case ACT_CANCEL:
			queue_cancel(queue, &waiter);
			break;
		case ACT_DONE:
			CHECK(pc_queue_done(queue, 1) == PC_OK, "done");
			break;
		}
		stop_here();
		if (atomic_load_explicit(&shared->quit, memory_order_relaxed))
			return unused;
		if (scene->task || scene->act == ACT_ARM)
			queue_cancel(queue, &waiter);
		while (take(queue, BATCH))
			;
		CHECK(shared->put == shared->taken, "%s: %ld put, %ld taken", scene->name,
		      shared->put, shared->taken);
		if (subject->lock_free)
			pc_queue_destroy(queue);
		else
			free(queue);
	}
}

static void child(void)
{
	pthread_t threads[OTHERS], traced;

	for (uintptr_t i = 0; i < OTHERS; i++)
		pthread_create(&threads[i], NULL, other, (void *)i);
	pthread_create(&traced, NULL, victim, NULL);
	pthread_join(traced, NULL);
	for (unsigned i = 0; i < OTHERS; i++)
		pthread_join(threads[i], NULL);
	_exit(0);
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* All others do their share while the victim stands still. */
static bool others_go_on(void)
{
	unsigned before = atomic_load_explicit(&shared->finished, memory_order_relaxed);
	int64_t until = now_ms() + (subject->lock_free ? 20000 : 300);

	atomic_fetch_add_explicit(&shared->round, 1, memory_order_release);
	while (atomic_load_explicit(&shared->finished, memory_order_acquire) !=
	       before + OTHERS) {
		if (now_ms() > until)
			return false;
		sched_yield();
	}
	return true;
}

/* One scene; false as soon as the others stand still. */
static bool play(pid_t thread, const struct scene *scene, unsigned stride)
{
	static struct stepping way;
	unsigned stops = 0;

	way.stepped = 0;
	stepping_record(&way, thread);
	stepping_run(thread);
	for (unsigned place = 0;; place += stride, stops++) {
		bool over = !stepping_to(&way, thread, place);

		if (!over && !others_go_on()) {
			printf("%s, %s: blocked after %u instructions\n", subject->name,
			       scene->name, place);
			return false;
		}
		if (!over)
			stepping_run(thread);
		stepping_run(thread); /* the next one's beginning */
		if (over)
			break;
	}
	printf("%s, %s: stopped at %u places, led to %u of them step by step\n", subject->name,
	       scene->name, stops, way.stepped);
	CHECK(stops > 10, "operation not found");
	return true;
}

static bool try_subject(unsigned stride)
{
	bool all = true;
	int status;
	pid_t process, thread;

	memset((void *)shared, 0, sizeof(*shared));
	fflush(stdout);
	process = fork();
	CHECK(process >= 0, "fork");
	if (process == 0)
		child();
	thread = waitpid(-1, &status, __WALL); /* the victim, before its first operation */
	CHECK(thread > 0, "waitpid");
	if (!WIFSTOPPED(status)) {
		fprintf(stderr, "ptrace is not allowed here\n");
		exit(77);
	}
	for (unsigned i = 0; all && i < sizeof(scenes) / sizeof(*scenes); i++) {
		if (scenes[i].ours && !subject->lock_free)
			continue;
		atomic_store_explicit(&shared->scene, i, memory_order_relaxed);
		/* the queue prepared so far is another scene's */
		stepping_run(thread);
		stepping_run(thread);
		all = play(thread, &scenes[i], stride);
	}
	kill(process, SIGKILL);
	while (waitpid(-1, &status, __WALL) > 0)
		;
	return all;
}

int main(int argc, char **argv)
{
	unsigned stride = (unsigned)option(argc, argv, "--stride", 1);

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
	              -1, 0);
	CHECK(shared != MAP_FAILED, "mmap");
	for (unsigned i = 0; i < sizeof(subjects) / sizeof(*subjects); i++) {
		subject = &subjects[i];
		CHECK(try_subject(stride) == subject->lock_free, "%s: wrong answer",
		      subject->name);
	}
	return 0;
}
