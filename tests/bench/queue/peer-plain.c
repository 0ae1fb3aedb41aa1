/* peer-plain.c: what one writes without a library: a mutex and two conditions around a ring, a
 * pipe, and Vyukov's bounded ring (the fastest known ring for single items; not lock-free).
 */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

struct ring {
	pthread_mutex_t lock;
	pthread_cond_t not_empty, not_full;
	uint64_t head, tail;
	uint32_t capacity;
	void **items;
};

static void *ring_create(uint32_t capacity)
{
	struct ring *ring = calloc(1, sizeof(*ring));

	pthread_mutex_init(&ring->lock, NULL);
	pthread_cond_init(&ring->not_empty, NULL);
	pthread_cond_init(&ring->not_full, NULL);
	ring->capacity = capacity;
	ring->items = calloc(capacity, sizeof(void *));
	return ring;
}

static size_t ring_in(struct ring *ring, void *const *items, size_t n)
{
	size_t put = 0;

	while (put < n && ring->tail - ring->head < ring->capacity)
		ring->items[ring->tail++ % ring->capacity] = items[put++];
	return put;
}

static size_t ring_out(struct ring *ring, void **items, size_t max)
{
	size_t taken = 0;

	while (taken < max && ring->tail != ring->head)
		items[taken++] = ring->items[ring->head++ % ring->capacity];
	return taken;
}

static size_t ring_put(void *queue, void *const *items, size_t n)
{
	struct ring *ring = queue;
	size_t put;

	pthread_mutex_lock(&ring->lock);
	put = ring_in(ring, items, n);
	pthread_mutex_unlock(&ring->lock);
	return put;
}

static size_t ring_take(void *queue, void **items, size_t max)
{
	struct ring *ring = queue;
	size_t taken;

	pthread_mutex_lock(&ring->lock);
	taken = ring_out(ring, items, max);
	pthread_mutex_unlock(&ring->lock);
	return taken;
}

static void ring_put_wait(void *queue, void *const *items, size_t n)
{
	struct ring *ring = queue;
	size_t put = 0;

	pthread_mutex_lock(&ring->lock);
	while (put < n) {
		size_t more = ring_in(ring, items + put, n - put);

		put += more;
		if (more)
			pthread_cond_signal(&ring->not_empty);
		else
			pthread_cond_wait(&ring->not_full, &ring->lock);
	}
	if (ring->tail - ring->head < ring->capacity)
		pthread_cond_signal(&ring->not_full);
	pthread_mutex_unlock(&ring->lock);
}

static size_t ring_take_wait(void *queue, void **items, size_t max)
{
	struct ring *ring = queue;
	size_t taken;

	pthread_mutex_lock(&ring->lock);
	while ((taken = ring_out(ring, items, max)) == 0)
		pthread_cond_wait(&ring->not_empty, &ring->lock);
	pthread_cond_signal(&ring->not_full);
	if (ring->tail != ring->head)
		pthread_cond_signal(&ring->not_empty);
	pthread_mutex_unlock(&ring->lock);
	return taken;
}

extern const struct bench_peer peer_mutex;
const struct bench_peer peer_mutex = {"mutex+cond",  "",   false,    true,      true,
                                      ring_create,   NULL, ring_put, ring_take, ring_put_wait,
                                      ring_take_wait};

struct pipe_ends {
	int in, out;
};

static void *pipe_create(uint32_t capacity)
{
	struct pipe_ends *ends = calloc(1, sizeof(*ends));
	int fds[2];

	(void)capacity; /* 64 KiB */
	if (pipe(fds) != 0)
		abort();
	ends->out = fds[0];
	ends->in = fds[1];
	return ends;
}

static void pipe_put_wait(void *queue, void *const *items, size_t n)
{
	struct pipe_ends *ends = queue;

	if (write(ends->in, items, n * sizeof(void *)) != (ssize_t)(n * sizeof(void *)))
		abort();
}

static size_t pipe_take_wait(void *queue, void **items, size_t max)
{
	struct pipe_ends *ends = queue;
	ssize_t n = read(ends->out, items, max * sizeof(void *));

	if (n <= 0 || n % (ssize_t)sizeof(void *))
		abort();
	return (size_t)n / sizeof(void *);
}

extern const struct bench_peer peer_pipe;
const struct bench_peer peer_pipe = {"pipe", "capacity 64 KiB", false,         true,
                                     true,   pipe_create,       NULL,          NULL,
                                     NULL,   pipe_put_wait,     pipe_take_wait};

struct vyukov {
	_Alignas(128) _Atomic uint64_t tail;
	_Alignas(128) _Atomic uint64_t head;
	_Alignas(128) uint64_t mask;
	struct cell {
		_Atomic uint64_t sequence;
		void *item;
	} * cells;
};

static void *vyukov_create(uint32_t capacity)
{
	struct vyukov *ring = aligned_alloc(128, sizeof(*ring));
	uint64_t size = 2;

	while (size < capacity)
		size *= 2;
	ring->mask = size - 1;
	ring->cells = aligned_alloc(128, (size * sizeof(struct cell) + 127) / 128 * 128);
	for (uint64_t i = 0; i < size; i++)
		atomic_init(&ring->cells[i].sequence, i);
	atomic_init(&ring->head, 0);
	atomic_init(&ring->tail, 0);
	return ring;
}

static size_t vyukov_put(void *queue, void *const *items, size_t n)
{
	struct vyukov *ring = queue;
	size_t put = 0;

	while (put < n) {
		uint64_t at = atomic_load_explicit(&ring->tail, memory_order_relaxed);
		struct cell *cell = &ring->cells[at & ring->mask];
		uint64_t sequence = atomic_load_explicit(&cell->sequence, memory_order_acquire);

		if (sequence < at)
			break;
		if (sequence > at || !atomic_compare_exchange_weak_explicit(
					     &ring->tail, &at, at + 1, memory_order_relaxed,
					     memory_order_relaxed))
			continue;
		cell->item = items[put++];
		atomic_store_explicit(&cell->sequence, at + 1, memory_order_release);
	}
	return put;
}

static size_t vyukov_take(void *queue, void **items, size_t max)
{
	struct vyukov *ring = queue;
	size_t taken = 0;

	while (taken < max) {
		uint64_t at = atomic_load_explicit(&ring->head, memory_order_relaxed);
		struct cell *cell = &ring->cells[at & ring->mask];
		uint64_t sequence = atomic_load_explicit(&cell->sequence, memory_order_acquire);

		if (sequence < at + 1)
			break;
		if (sequence > at + 1 || !atomic_compare_exchange_weak_explicit(
						 &ring->head, &at, at + 1, memory_order_relaxed,
						 memory_order_relaxed))
			continue;
		items[taken++] = cell->item;
		atomic_store_explicit(&cell->sequence, at + ring->mask + 1,
		                      memory_order_release);
	}
	return taken;
}

extern const struct bench_peer peer_vyukov;
const struct bench_peer peer_vyukov = {"vyukov",    "capacity a power of 2",
                                       false,       true,
                                       false,       vyukov_create,
                                       NULL,        vyukov_put,
                                       vyukov_take, NULL,
                                       NULL};
