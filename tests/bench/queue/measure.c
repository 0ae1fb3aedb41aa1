/* measure.c: one workload over one queue, in this process, which does nothing else.
 *
 * Throughput is items taken over the time from the start to when the last is out. A failed try
 * waits 8 pauses (105 ns here), from the 8th in a row on it yields. 1x1 and ping-pong are pinned
 * to two cores, the rest is the scheduler's. Every run checks counts and sums.
 */
#include "measure.h"

#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MAX 64
#define BATCH_MAX   256
#define BACKLOG     65536
#define END         ((void *)2) /* tells a waiting consumer to end */
#define ROUNDS_MAX  400000
#define CREATED     10000

struct worker {
	_Alignas(128) pthread_t thread;
	const struct bench_peer *peer;
	const struct workload *workload;
	void *queue, *back;
	unsigned number;
	_Atomic uint64_t count;
	uint64_t sum;
	int64_t end_ns;
};

static _Atomic unsigned ready;
static _Atomic bool go, stop;
static _Atomic unsigned producing;
static struct worker producers[THREADS_MAX], consumers[THREADS_MAX];
static uint32_t trips_ns[ROUNDS_MAX];
static size_t trips;

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#else
	atomic_signal_fence(memory_order_seq_cst);
#endif
}

static void failed(unsigned *failures)
{
	if (++*failures >= 8) {
		sched_yield();
		return;
	}
	for (int i = 0; i < 8; i++)
		relax();
}

static void *begin(struct worker *worker, void *queue)
{
	if (worker->workload->producers == 1 && worker->workload->consumers == 1) {
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET(worker->number % 2, &set);
		sched_setaffinity(0, sizeof(set), &set);
	}
	return worker->peer->handle ? worker->peer->handle(queue) : queue;
}

static void start_together(void)
{
	atomic_fetch_add_explicit(&ready, 1, memory_order_acq_rel);
	while (!atomic_load_explicit(&go, memory_order_acquire))
		sched_yield();
}

static uint64_t count_of(struct worker *workers, unsigned n)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < n; i++)
		sum += atomic_load_explicit(&workers[i].count, memory_order_relaxed);
	return sum;
}

/* An unbounded queue would measure malloc only. */
static void hold_back(const struct workload *workload)
{
	while (count_of(producers, workload->producers) >
	       count_of(consumers, workload->consumers) + BACKLOG)
		sched_yield();
}

static void *produce(void *argument)
{
	struct worker *worker = argument;
	const struct bench_peer *peer = worker->peer;
	const struct workload *workload = worker->workload;
	void *handle = begin(worker, worker->queue);
	size_t batch = workload->put_batch;
	uint64_t next = 2 + worker->number, sum = 0, count = 0, checked = 0;
	void *items[BATCH_MAX];
	unsigned failures = 0;

	start_together();
	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		size_t in = 0;

		for (size_t i = 0; i < batch; i++, next++) {
			items[i] = (void *)(uintptr_t)(next * 2);
			sum += next * 2;
		}
		if (workload->wait) {
			peer->put_wait(handle, items, batch);
		} else {
			while (in < batch) {
				size_t n = peer->put(handle, items + in, batch - in);

				in += n;
				if (n)
					failures = 0;
				else
					failed(&failures);
			}
		}
		count += batch;
		atomic_store_explicit(&worker->count, count, memory_order_relaxed);
		if (!peer->bounded && count - checked >= 64) {
			checked = count;
			hold_back(workload);
		}
	}
	worker->sum = sum;
	if (atomic_fetch_sub_explicit(&producing, 1, memory_order_acq_rel) == 1 &&
	    workload->wait) {
		/* all out first: not every queue keeps the order of different producers */
		while (count_of(producers, workload->producers) !=
		       count_of(consumers, workload->consumers))
			sched_yield();
		for (unsigned i = 0; i < workload->consumers; i++)
			peer->put_wait(handle, (void *[]){END}, 1);
	}
	return NULL;
}

static void *consume(void *argument)
{
	struct worker *worker = argument;
	const struct bench_peer *peer = worker->peer;
	const struct workload *workload = worker->workload;
	void *handle = begin(worker, worker->queue);
	uint64_t sum = 0, count = 0;
	void *items[BATCH_MAX];
	unsigned failures = 0;
	bool last = false;

	start_together();
	for (;;) {
		size_t n = workload->wait ? peer->take_wait(handle, items, workload->take_batch)
		                          : peer->take(handle, items, workload->take_batch);
		unsigned ends = 0;

		if (n == 0) {
			if (last)
				break;
			/* what was put before this was seen is there, or taken */
			last = atomic_load_explicit(&producing, memory_order_acquire) == 0;
			if (!last)
				failed(&failures);
			continue;
		}
		failures = 0;
		last = false;
		for (size_t i = 0; i < n; i++) {
			if (items[i] == END)
				ends++;
			else
				sum += (uintptr_t)items[i];
		}
		count += n - ends;
		atomic_store_explicit(&worker->count, count, memory_order_relaxed);
		if (ends) {
			/* a batch may hold those of others */
			for (; ends > 1; ends--)
				peer->put_wait(handle, (void *[]){END}, 1);
			break;
		}
	}
	worker->sum = sum;
	worker->end_ns = now_ns();
	return NULL;
}

static size_t take_one(struct worker *worker, void *handle, void **item)
{
	unsigned polls = 0;

	if (worker->workload->wait)
		return worker->peer->take_wait(handle, item, 1);
	while (!worker->peer->take(handle, item, 1)) {
		relax();
		if (++polls % 1024 == 0)
			sched_yield();
	}
	return 1;
}

static void put_one(struct worker *worker, void *handle, void *item)
{
	if (worker->workload->wait) {
		worker->peer->put_wait(handle, &item, 1);
		return;
	}
	while (!worker->peer->put(handle, &item, 1))
		relax();
}

static void *ping(void *argument)
{
	struct worker *worker = argument;
	void *there = begin(worker, worker->queue), *back = begin(worker, worker->back), *item;

	start_together();
	while (trips < ROUNDS_MAX && !atomic_load_explicit(&stop, memory_order_relaxed)) {
		int64_t from = now_ns();

		put_one(worker, there, (void *)4);
		take_one(worker, back, &item);
		trips_ns[trips++] = (uint32_t)(now_ns() - from);
	}
	put_one(worker, there, END);
	return NULL;
}

static void *pong(void *argument)
{
	struct worker *worker = argument;
	void *there = begin(worker, worker->queue), *back = begin(worker, worker->back), *item;

	start_together();
	while (take_one(worker, there, &item) && item != END)
		put_one(worker, back, item);
	return NULL;
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void launch(struct worker *workers, unsigned n, const struct worker *like,
                   void *(*run)(void *), unsigned number)
{
	for (unsigned i = 0; i < n; i++) {
		workers[i] = *like;
		workers[i].number = number + 2 * i;
		pthread_create(&workers[i].thread, NULL, run, &workers[i]);
	}
}

static double create_many(const struct bench_peer *peer, uint32_t capacity, double *ret_bytes)
{
	size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
	int64_t from;

	peer->create(capacity); /* what a process pays once */
	from = now_ns();
	for (unsigned i = 0; i < CREATED; i++)
		peer->create(capacity);
	from = now_ns() - from;
	*ret_bytes = (double)(mallinfo2().uordblks + mallinfo2().hblkhd - before) / CREATED;
	return (double)from / 1e6;
}

double measure(const struct bench_peer *peer, const struct workload *workload, double *ret_p99)
{
	struct worker like = {.peer = peer, .workload = workload};
	uint64_t put = 0, taken = 0, count;
	int64_t from, until = 0;

	if (workload->create)
		return create_many(peer, workload->capacity, ret_p99);
	like.queue = peer->create(workload->capacity);
	like.back = workload->pingpong ? peer->create(workload->capacity) : NULL;
	atomic_store_explicit(&producing, workload->producers, memory_order_relaxed);
	launch(consumers, workload->consumers, &like, workload->pingpong ? pong : consume, 1);
	launch(producers, workload->producers, &like, workload->pingpong ? ping : produce, 0);
	while (atomic_load_explicit(&ready, memory_order_acquire) <
	       workload->producers + workload->consumers)
		sched_yield();
	from = now_ns();
	atomic_store_explicit(&go, true, memory_order_release);
	usleep(workload->ms * 1000);
	atomic_store_explicit(&stop, true, memory_order_relaxed);
	for (unsigned i = 0; i < workload->producers; i++) {
		pthread_join(producers[i].thread, NULL);
		put += producers[i].sum;
	}
	for (unsigned i = 0; i < workload->consumers; i++) {
		pthread_join(consumers[i].thread, NULL);
		taken += consumers[i].sum;
		until = consumers[i].end_ns > until ? consumers[i].end_ns : until;
	}
	if (workload->pingpong) {
		qsort(trips_ns, trips, sizeof(*trips_ns), compare);
		*ret_p99 = trips ? trips_ns[trips * 99 / 100] : 0;
		return trips ? trips_ns[trips / 2] : 0;
	}
	count = count_of(consumers, workload->consumers);
	if (put != taken || count != count_of(producers, workload->producers)) {
		fprintf(stderr, "%s: lost or doubled items: %lu put, %lu taken\n", peer->name,
		        (unsigned long)count_of(producers, workload->producers),
		        (unsigned long)count);
		exit(1);
	}
	*ret_p99 = 0;
	return (double)count * 1000 / (double)(until - from);
}
