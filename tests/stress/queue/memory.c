/* memory.c: puts that get no memory, now or for a while: who waits beside them is not forgotten.
 *
 * A put that is woken for room and then fails passes the wake-up on. A queue whose segments wait
 * for the end of a read section lets nobody put; those who wait for that are woken by the
 * reclaimer's thread, which also tells when it is at it: for whoever frees tasks, and for whoever
 * takes a queue that has room, and a putter that sleeps, for a deadlock. aligned_alloc() is ours,
 * and fails when it is told to. Whoever sleeps on is ended by an alarm.
 */
/* What the tests count and compare between runs may take the strongest order. */
#ifdef __clang__
#pragma clang diagnostic ignored "-Watomic-implicit-seq-cst"
#endif

#include "common.h"

#include "queue/queue.h"
#include "queue/segment.h"
#include "queue/step.h"

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

#define FIRST_SEGMENT 16
#define LIMIT         65536

static _Atomic bool no_memory;
static char pool[64];

void *aligned_alloc(size_t alignment, size_t size)
{
	void *memory = NULL;

	if (no_memory || posix_memalign(&memory, alignment, size))
		return NULL;
	return memory;
}

void queue_step(enum queue_step step)
{
	(void)step;
}

static struct pc_queue *make(uint32_t capacity, uint32_t full)
{
	struct pc_queue_options options = {
		.size = sizeof(options), .capacity = capacity, .full = full};
	struct pc_queue *queue;

	CHECK(pc_queue_create(&queue, &options) == PC_OK, "create");
	return queue;
}

struct putter {
	pthread_t thread;
	struct pc_queue *queue;
	_Atomic int rc;
};

static void *put(void *argument)
{
	struct putter *putter = argument;

	putter->rc = pc_queue_put(putter->queue, pool, PC_FOREVER);
	return NULL;
}

/* It waits, and most likely sleeps; if not, the test finds less. */
static void begin(struct putter *putter, struct pc_queue *queue)
{
	struct pc_queue_stats before, now;

	*putter = (struct putter){.queue = queue, .rc = 1};
	pc_queue_stats(queue, &before, sizeof(before));
	pthread_create(&putter->thread, NULL, put, putter);
	do {
		usleep(1000);
		pc_queue_stats(queue, &now, sizeof(now));
	} while (now.full_waits == before.full_waits);
	usleep(20000);
}

/* The first queue of the process starts the reclaimer. Where no thread can be made there is no
 * queue; the next one tries again. A sanitizer would not live with so little address space. */
static void no_thread(void)
{
#ifndef SANITIZED
	struct pc_queue *queue = NULL;
	struct rlimit was, none;

	CHECK(getrlimit(RLIMIT_AS, &was) == 0, "getrlimit");
	none = (struct rlimit){1 << 20, was.rlim_max};
	CHECK(setrlimit(RLIMIT_AS, &none) == 0, "setrlimit");
	CHECK(pc_queue_create(&queue, NULL) == PC_NOMEM, "there was a thread");
	CHECK(setrlimit(RLIMIT_AS, &was) == 0, "setrlimit");
	CHECK(pc_queue_create(&queue, NULL) == PC_OK, "not tried again");
	pc_queue_destroy(queue);
#endif
}

/* The place is at a segment's end. Each is woken for it, and gets no memory. */
static void no_memory_is_told_to_all(void)
{
	struct pc_queue *queue = make(FIRST_SEGMENT, PC_FULL_BLOCK);
	struct putter putters[3];
	void *item;

	for (unsigned i = 0; i < FIRST_SEGMENT; i++)
		CHECK(pc_queue_put(queue, pool, 0) == PC_OK, "put");
	for (unsigned i = 0; i < 3; i++)
		begin(&putters[i], queue);
	no_memory = true;
	CHECK(pc_queue_take(queue, &item, 0) == PC_OK, "take");
	for (unsigned i = 0; i < 3; i++) {
		pthread_join(putters[i].thread, NULL);
		CHECK(putters[i].rc == PC_NOMEM, "rc %d", putters[i].rc);
	}
	no_memory = false;
	CHECK(pc_queue_put(queue, pool, 0) == PC_OK, "put");
	pc_queue_destroy(queue);
}

static void set_limit(uint64_t bytes)
{
	/* relaxed: nobody else puts now */
	atomic_store_explicit(&segment_retired_max_bytes, bytes, memory_order_relaxed);
}

/* Put, and take behind it, until there is no memory for more. */
static void starve(struct pc_queue *queue)
{
	void *item;
	int rc;

	while ((rc = pc_queue_put(queue, pool, 0)) == PC_OK)
		CHECK(pc_queue_take(queue, &item, 0) == PC_OK, "take");
	CHECK(rc == PC_FULL, "rc %d", rc);
}

/* Full by count and starved: when memory is there, a put that drops the oldest need not wait for a
 * taker as well. */
static void drop_old_starves(void)
{
	struct pc_queue *queue = make(4, PC_FULL_DROP_OLD);
	struct putter putter;

	queue_rcu_lock();
	starve(queue);
	/* Half of the memory has come back, say: it goes on, but counts as starved. */
	set_limit(2 * LIMIT);
	while (queue_room(queue) > 0)
		CHECK(pc_queue_put(queue, pool, 0) == PC_OK, "put");
	CHECK(!queue_waits_for_memory(queue), "it waits for room");
	begin(&putter, queue);
	CHECK(putter.rc == 1, "there is no memory yet: rc %d", putter.rc);
	queue_rcu_unlock();
	pthread_join(putter.thread, NULL);
	CHECK(putter.rc == PC_OK, "rc %d", putter.rc);
	pc_queue_destroy(queue);
	set_limit(LIMIT);
}

static _Atomic int woken; /* 1: the callback has begun, 2: it is over */
static _Atomic bool may_end;

static void wake(struct queue_waiter *waiter)
{
	(void)waiter;
	woken = 1;
	while (!may_end)
		usleep(1000);
	woken = 2;
}

static void *wakes_over(void *unused)
{
	uint32_t wakes = queue_wakes_over();

	CHECK(woken == 2, "the callback runs still");
	CHECK(queue_wakes_over() == wakes, "there were more");
	return unused;
}

/* A task is woken by the reclaimer's thread. */
static void task_starves(void)
{
	struct pc_queue *queue = make(4, PC_FULL_BLOCK);
	struct queue_waiter waiter = {.wake = wake};
	uint32_t wakes = queue_wakes_over();
	pthread_t destroyer;

	queue_rcu_lock();
	starve(queue);
	CHECK(queue_room(queue) == 4 && queue_waits_for_memory(queue), "room, but no memory");
	CHECK(queue_wait_put(queue, &waiter) == PC_OK, "wait");
	usleep(20000);
	CHECK(woken == 0 && queue_wakes_over() == wakes, "woken without memory");
	queue_rcu_unlock();
	while (woken == 0)
		usleep(1000);
	CHECK(!queue_waits_for_memory(queue), "it is being woken");
	pthread_create(&destroyer, NULL, wakes_over, NULL);
	usleep(20000);
	may_end = true;
	pthread_join(destroyer, NULL);
	CHECK(queue_wakes_over() != wakes, "one at least");
	CHECK(pc_queue_put(queue, pool, 0) == PC_OK, "put");
	pc_queue_destroy(queue);
}

int main(void)
{
	alarm(120);
	no_thread();
	no_memory_is_told_to_all();
	set_limit(LIMIT);
	drop_old_starves();
	task_starves();
	printf("passed\n");
	return 0;
}
