/* wake.c: nobody sleeps on, and nobody is woken for nothing.
 *
 *   wake [--items N] [--seed S]      N items per run (default 20000)
 *
 * Each run is a chain: producer threads -> queue -> tasks -> queue -> consumer threads, with small
 * capacities, so that everybody waits all the time. Threads wait for ever or for some us. Tasks
 * are run by two workers from a list; each of them waits by callback on either side, and now
 * and then is woken and does not take. The chain ends by closing; whoever sleeps
 * on stops it, and after 60 s without progress the watchdog fails the test. Then the wake-ups
 * themselves are counted (STEP_WAKE): none without a waiter, one for one.
 */
/* What the tests count and compare between runs may take the strongest order. */
#ifdef __clang__
#pragma clang diagnostic ignored "-Watomic-implicit-seq-cst"
#endif

#include "common.h"

#include "queue/queue.h"
#include "queue/step.h"

#include <pthread.h>
#include <sched.h>

#define TASKS   12
#define WORKERS 2
#define THREADS 5

static _Atomic uint64_t wakes, progress;
static char pool[2 * 65536];

void queue_step(enum queue_step step)
{
	if (step == STEP_WAKE)
		atomic_fetch_add_explicit(&wakes, 1, memory_order_relaxed);
}

struct task {
	struct queue_waiter waiter;
	struct task *next;
	struct chain *chain;
	void *carried;
	_Atomic int calls; /* of wake, since armed */
};

struct chain {
	struct pc_queue *in, *out;
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct task *first, *last;
	struct task tasks[TASKS];
	unsigned live;
	uint64_t items;
	uint64_t seed;
	_Atomic uint64_t produced, consumed, sum;
};

static void run_task(struct task *task)
{
	struct chain *chain = task->chain;

	pthread_mutex_lock(&chain->lock);
	task->next = NULL;
	if (chain->last)
		chain->last->next = task;
	else
		chain->first = task;
	chain->last = task;
	pthread_cond_signal(&chain->more);
	pthread_mutex_unlock(&chain->lock);
}

static void wake(struct queue_waiter *waiter)
{
	struct task *task = (struct task *)(void *)waiter;

	CHECK(atomic_fetch_add_explicit(&task->calls, 1, memory_order_acq_rel) == 0,
	      "woken twice");
	run_task(task);
}

/* True: the task waits, and may already run on the other worker. */
static bool waits(struct task *task, struct pc_queue *queue, bool take)
{
	atomic_store_explicit(&task->calls, 0, memory_order_release);
	return (take ? queue_wait_take(queue, &task->waiter)
	             : queue_wait_put(queue, &task->waiter)) == PC_OK;
}

static void activate(struct task *task, uint64_t *random)
{
	struct chain *chain = task->chain;

	for (;;) {
		int rc;

		if (!task->carried) {
			if (random_below(random, 16) == 0) {
				/* woken, but it does something else first: others must know */
				queue_pass(chain->in, &task->waiter);
				run_task(task);
				return;
			}
			rc = pc_queue_take(chain->in, &task->carried, 0);
			if (rc == PC_CLOSED) {
				pthread_mutex_lock(&chain->lock);
				if (--chain->live == 0)
					pthread_cond_broadcast(&chain->more);
				pthread_mutex_unlock(&chain->lock);
				CHECK(pc_queue_writer_end(chain->out) == PC_OK, "writer");
				return;
			}
			if (rc == PC_EMPTY) {
				if (waits(task, chain->in, true))
					return;
				continue;
			}
			CHECK(rc == PC_OK, "rc %d", rc);
		}
		rc = pc_queue_put(chain->out, task->carried, 0);
		if (rc == PC_FULL) {
			if (waits(task, chain->out, false))
				return;
			continue;
		}
		CHECK(rc == PC_OK, "rc %d", rc);
		task->carried = NULL;
	}
}

static void *work(void *argument)
{
	struct chain *chain = argument;
	uint64_t random = chain->seed * 3 + 1;

	for (;;) {
		struct task *task;

		pthread_mutex_lock(&chain->lock);
		while (!chain->first && chain->live)
			pthread_cond_wait(&chain->more, &chain->lock);
		task = chain->first;
		if (task) {
			chain->first = task->next;
			if (!chain->first)
				chain->last = NULL;
		}
		pthread_mutex_unlock(&chain->lock);
		if (!task)
			return NULL;
		activate(task, &random);
	}
}

static int64_t some_time(uint64_t *random)
{
	return random_below(random, 3) ? PC_FOREVER : (int64_t)random_below(random, 100000);
}

static void *produce(void *argument)
{
	struct chain *chain = argument;
	uint64_t random = chain->seed * 5 + (uintptr_t)&random, n;

	while ((n = atomic_fetch_add_explicit(&chain->produced, 1, memory_order_relaxed)) <
	       chain->items) {
		int rc;

		do
			rc = pc_queue_put(chain->in, pool + 2 * (n % 65536),
			                  some_time(&random));
		while (rc == PC_TIMEOUT || rc == PC_FULL);
		CHECK(rc == PC_OK, "rc %d", rc);
		if (random_below(&random, 50) == 0)
			usleep(100);
	}
	CHECK(pc_queue_writer_end(chain->in) == PC_OK, "writer");
	return NULL;
}

static void *consume(void *argument)
{
	struct chain *chain = argument;
	uint64_t random = chain->seed * 9 + (uintptr_t)&random;
	void *item;
	int rc;

	while ((rc = pc_queue_take(chain->out, &item, some_time(&random))) != PC_CLOSED) {
		if (rc == PC_TIMEOUT || rc == PC_EMPTY)
			continue;
		CHECK(rc == PC_OK, "rc %d", rc);
		atomic_fetch_add_explicit(&chain->consumed, 1, memory_order_relaxed);
		atomic_fetch_add_explicit(&chain->sum, (uint64_t)((char *)item - pool) / 2,
		                          memory_order_relaxed);
		atomic_fetch_add_explicit(&progress, 1, memory_order_relaxed);
		if (random_below(&random, 50) == 0)
			usleep(100);
	}
	return NULL;
}

static struct pc_queue *make(uint32_t capacity, uint32_t writers)
{
	struct pc_queue_options options = {
		.size = sizeof(options), .capacity = capacity, .writers = writers};
	struct pc_queue *queue;

	CHECK(pc_queue_create(&queue, &options) == PC_OK, "create");
	return queue;
}

static void run(uint64_t seed, uint64_t items)
{
	static struct chain chain;
	pthread_t producers[THREADS], consumers[THREADS], workers[WORKERS];
	uint64_t random = seed * 11 + 3, expected = 0;
	unsigned nproducers, nconsumers;

	random_next(&random);
	memset((void *)&chain, 0, sizeof(chain));
	nproducers = 1 + (unsigned)random_below(&random, THREADS);
	nconsumers = 1 + (unsigned)random_below(&random, THREADS);
	chain.seed = seed;
	chain.items = items;
	chain.live = 1 + (unsigned)random_below(&random, TASKS);
	chain.in = make(1 + (uint32_t)random_below(&random, 5), nproducers);
	chain.out = make(1 + (uint32_t)random_below(&random, 5), chain.live);
	pthread_mutex_init(&chain.lock, NULL);
	pthread_cond_init(&chain.more, NULL);
	for (unsigned i = 0, n = chain.live; i < n; i++) {
		chain.tasks[i].chain = &chain;
		chain.tasks[i].waiter.wake = wake;
		run_task(&chain.tasks[i]);
	}
	for (unsigned i = 0; i < nconsumers; i++)
		pthread_create(&consumers[i], NULL, consume, &chain);
	for (unsigned i = 0; i < WORKERS; i++)
		pthread_create(&workers[i], NULL, work, &chain);
	for (unsigned i = 0; i < nproducers; i++)
		pthread_create(&producers[i], NULL, produce, &chain);
	for (unsigned i = 0; i < nproducers; i++)
		pthread_join(producers[i], NULL);
	for (unsigned i = 0; i < WORKERS; i++)
		pthread_join(workers[i], NULL);
	for (unsigned i = 0; i < nconsumers; i++)
		pthread_join(consumers[i], NULL);
	for (uint64_t i = 0; i < items; i++)
		expected += i % 65536;
	CHECK(chain.consumed == items && chain.sum == expected, "%lu of %lu items",
	      (unsigned long)chain.consumed, (unsigned long)items);
	pc_queue_destroy(chain.in);
	pc_queue_destroy(chain.out);
}

static void *watch(void *unused)
{
	uint64_t before = UINT64_MAX;

	for (int still = 0; still < 60; still++) {
		uint64_t now = atomic_load_explicit(&progress, memory_order_relaxed);

		if (now != before)
			still = 0;
		before = now;
		sleep(1);
	}
	fprintf(stderr, "no progress for 60 s: somebody sleeps on\n");
	abort();
	return unused;
}

static void *take_one(void *queue)
{
	void *item;

	CHECK(pc_queue_take(queue, &item, PC_FOREVER) == PC_OK, "take");
	return NULL;
}

/* One wake-up for one that sleeps; the others that come meanwhile cost none. */
static void count_wakes(void)
{
	struct pc_queue *queue = make(1000, 1);
	pthread_t sleeper;
	uint64_t before = atomic_load_explicit(&wakes, memory_order_relaxed);
	void *item;

	for (int i = 0; i < 500; i++)
		CHECK(pc_queue_put(queue, pool, 0) == PC_OK, "put");
	for (int i = 0; i < 500; i++)
		CHECK(pc_queue_take(queue, &item, 0) == PC_OK, "take");
	CHECK(wakes == before, "%lu wake-ups without a waiter",
	      (unsigned long)(wakes - before));
	for (int i = 0; i < 50; i++) {
		pthread_create(&sleeper, NULL, take_one, queue);
		usleep(2000);
		CHECK(pc_queue_put(queue, pool, 0) == PC_OK, "put");
		CHECK(pc_queue_put(queue, pool, 0) == PC_OK, "put");
		CHECK(pc_queue_take(queue, &item, PC_FOREVER) == PC_OK, "take");
		pthread_join(sleeper, NULL);
	}
	CHECK(wakes - before <= 50, "%lu wake-ups for 50", (unsigned long)(wakes - before));
	pc_queue_destroy(queue);
}

/* Cancelling against waking: exactly one of the two. */
static _Atomic unsigned called;

static void count_call(struct queue_waiter *waiter)
{
	(void)waiter;
	atomic_fetch_add_explicit(&called, 1, memory_order_acq_rel);
}

static void *put_and_take(void *queue)
{
	void *item;

	for (int i = 0; i < 20000; i++) {
		pc_queue_put(queue, pool, 0);
		pc_queue_take(queue, &item, 0);
		atomic_fetch_add_explicit(&progress, 1, memory_order_relaxed);
	}
	return NULL;
}

static void cancel_against_wake(void)
{
	struct pc_queue *queue = make(1, 1);
	pthread_t busy;
	unsigned armed = 0, cancelled = 0;

	pthread_create(&busy, NULL, put_and_take, queue);
	for (int i = 0; i < 20000; i++) {
		struct queue_waiter waiter = {.wake = count_call};
		unsigned before = atomic_load_explicit(&called, memory_order_acquire);

		if (queue_wait_take(queue, &waiter) != PC_OK)
			continue;
		armed++;
		if (i % 3 == 0)
			sched_yield();
		if (queue_cancel(queue, &waiter)) {
			cancelled++;
			CHECK(called == before, "woken and cancelled");
		} else {
			while (atomic_load_explicit(&called, memory_order_acquire) == before)
				sched_yield();
		}
	}
	pthread_join(busy, NULL);
	CHECK(armed == cancelled + called, "%u armed, %u cancelled, %u woken", armed, cancelled,
	      called);
	pc_queue_destroy(queue);
}

int main(int argc, char **argv)
{
	uint64_t items = option(argc, argv, "--items", 20000);
	uint64_t seed = option(argc, argv, "--seed", 1);
	pthread_t watcher;

	pthread_create(&watcher, NULL, watch, NULL);
	for (uint64_t i = 0; i < 10; i++)
		run(seed + i, items);
	count_wakes();
	cancel_against_wake();
	printf("passed\n");
	return 0;
}
