/* peer-dpdk.c: DPDK's rte_ring in its three ways of letting several in. */
#include "bench.h"

#include <rte_ring.h>
#include <stdlib.h>

static void *create(uint32_t capacity, unsigned flags)
{
	ssize_t size;
	struct rte_ring *ring;

	size = rte_ring_get_memsize(rte_align32pow2(capacity + 1));
	ring = aligned_alloc(128, ((size_t)size + 127) / 128 * 128);
	if (rte_ring_init(ring, "bench", capacity, flags | RING_F_EXACT_SZ) != 0)
		abort();
	return ring;
}

static void *create_mpmc(uint32_t capacity)
{
	return create(capacity, 0);
}

static void *create_rts(uint32_t capacity)
{
	return create(capacity, RING_F_MP_RTS_ENQ | RING_F_MC_RTS_DEQ);
}

static void *create_hts(uint32_t capacity)
{
	return create(capacity, RING_F_MP_HTS_ENQ | RING_F_MC_HTS_DEQ);
}

static size_t put(void *queue, void *const *items, size_t n)
{
	return rte_ring_enqueue_burst(queue, items, (unsigned)n, NULL);
}

static size_t take(void *queue, void **items, size_t max)
{
	return rte_ring_dequeue_burst(queue, items, (unsigned)max, NULL);
}

extern const struct bench_peer peer_rte_mpmc, peer_rte_rts, peer_rte_hts;
const struct bench_peer peer_rte_mpmc = {
	"rte_ring MPMC", "", false, true, true, create_mpmc, NULL, put, take, NULL, NULL};
const struct bench_peer peer_rte_rts = {"rte_ring RTS", "",  false, true, true, create_rts,
                                        NULL,           put, take,  NULL, NULL};
const struct bench_peer peer_rte_hts = {"rte_ring HTS", "",  false, true, true, create_hts,
                                        NULL,           put, take,  NULL, NULL};
