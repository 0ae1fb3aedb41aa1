/* peers.h: a mutex ring and Vyukov's bounded ring, so that the freeze test is seen to fail where
 * it must. Neither waits: what can not be done at once returns 0.
 */
#ifndef STRESS_PEERS_H
#define STRESS_PEERS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#define PEER_CAPACITY 64 /* a power of two */

struct mutex_ring {
	pthread_mutex_t lock;
	uint64_t head, tail;
	void *items[PEER_CAPACITY];
};

static inline void *mutex_ring_create(void)
{
	struct mutex_ring *ring = calloc(1, sizeof(*ring));

	pthread_mutex_init(&ring->lock, NULL);
	return ring;
}

static inline size_t mutex_ring_put(void *queue, void *const *items, size_t n)
{
	struct mutex_ring *ring = queue;
	size_t put = 0;

	pthread_mutex_lock(&ring->lock);
	while (put < n && ring->tail - ring->head < PEER_CAPACITY)
		ring->items[ring->tail++ % PEER_CAPACITY] = items[put++];
	pthread_mutex_unlock(&ring->lock);
	return put;
}

static inline size_t mutex_ring_take(void *queue, void **items, size_t max)
{
	struct mutex_ring *ring = queue;
	size_t taken = 0;

	pthread_mutex_lock(&ring->lock);
	while (taken < max && ring->tail != ring->head)
		items[taken++] = ring->items[ring->head++ % PEER_CAPACITY];
	pthread_mutex_unlock(&ring->lock);
	return taken;
}

/* Dmitry Vyukov's bounded MPMC queue: a cell belongs to whom its sequence number says; between
 * winning the position and writing that number a putter or taker is waited for by all others. */
struct vyukov_ring {
	_Alignas(64) _Atomic uint64_t tail;
	_Alignas(64) _Atomic uint64_t head;
	_Alignas(64) struct {
		_Atomic uint64_t sequence;
		void *item;
	} cells[PEER_CAPACITY];
};

static inline void *vyukov_ring_create(void)
{
	struct vyukov_ring *ring = aligned_alloc(64, sizeof(*ring));

	for (uint64_t i = 0; i < PEER_CAPACITY; i++)
		atomic_init(&ring->cells[i].sequence, i);
	atomic_init(&ring->head, 0);
	atomic_init(&ring->tail, 0);
	return ring;
}

static inline size_t vyukov_ring_put(void *queue, void *const *items, size_t n)
{
	struct vyukov_ring *ring = queue;
	uint64_t at = atomic_load_explicit(&ring->tail, memory_order_relaxed);
	size_t put = 0;

	while (put < n) {
		uint64_t sequence = atomic_load_explicit(
			&ring->cells[at % PEER_CAPACITY].sequence, memory_order_acquire);

		if (sequence < at)
			break;
		if (sequence > at) {
			at = atomic_load_explicit(&ring->tail, memory_order_relaxed);
			continue;
		}
		if (!atomic_compare_exchange_weak_explicit(&ring->tail, &at, at + 1,
		                                           memory_order_relaxed,
		                                           memory_order_relaxed))
			continue;
		ring->cells[at % PEER_CAPACITY].item = items[put++];
		atomic_store_explicit(&ring->cells[at % PEER_CAPACITY].sequence, at + 1,
		                      memory_order_release);
	}
	return put;
}

static inline size_t vyukov_ring_take(void *queue, void **items, size_t max)
{
	struct vyukov_ring *ring = queue;
	uint64_t at = atomic_load_explicit(&ring->head, memory_order_relaxed);
	size_t taken = 0;

	while (taken < max) {
		uint64_t sequence = atomic_load_explicit(
			&ring->cells[at % PEER_CAPACITY].sequence, memory_order_acquire);

		if (sequence < at + 1)
			break;
		if (sequence > at + 1) {
			at = atomic_load_explicit(&ring->head, memory_order_relaxed);
			continue;
		}
		if (!atomic_compare_exchange_weak_explicit(&ring->head, &at, at + 1,
		                                           memory_order_relaxed,
		                                           memory_order_relaxed))
			continue;
		items[taken++] = ring->cells[at % PEER_CAPACITY].item;
		atomic_store_explicit(&ring->cells[at % PEER_CAPACITY].sequence,
		                      at + PEER_CAPACITY, memory_order_release);
	}
	return taken;
}

#endif
