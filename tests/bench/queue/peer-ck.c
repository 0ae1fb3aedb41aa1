/* peer-ck.c: Concurrency Kit's ck_ring, several producers and consumers. */
#include "bench.h"

#include <ck_ring.h>
#include <stdlib.h>

struct ring {
	ck_ring_t ring;
	ck_ring_buffer_t *buffer;
};

static void *create(uint32_t capacity)
{
	struct ring *ring = aligned_alloc(128, (sizeof(*ring) + 127) / 128 * 128);
	unsigned size = 4;

	while (size < capacity)
		size *= 2;
	ring->buffer = calloc(size, sizeof(*ring->buffer));
	ck_ring_init(&ring->ring, size);
	return ring;
}

static size_t put(void *queue, void *const *items, size_t n)
{
	struct ring *ring = queue;
	size_t put = 0;

	while (put < n && ck_ring_enqueue_mpmc(&ring->ring, ring->buffer, items[put]))
		put++;
	return put;
}

static size_t take(void *queue, void **items, size_t max)
{
	struct ring *ring = queue;
	size_t taken = 0;

	while (taken < max && ck_ring_dequeue_mpmc(&ring->ring, ring->buffer, &items[taken]))
		taken++;
	return taken;
}

extern const struct bench_peer peer_ck;
const struct bench_peer peer_ck = {"ck_ring", "one less than a power of 2",
                                   false,     true,
                                   false,     create,
                                   NULL,      put,
                                   take,      NULL,
                                   NULL};
