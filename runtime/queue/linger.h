/* queue/linger.h: a look that finds little waits a moment before the second one.
 *
 * Any thread, in a put that finds the queue nearly full (room.c) and in a take of many that finds it
 * nearly empty (take.c). Both sides of a busy queue run at nearly the same speed, so the faster one
 * ends up at the other's heels. Then every call fetches the line that the other side is writing, and
 * both are slow: 6 M items a second instead of 43 (research/queues.md, section 3). LINGER_PAUSES
 * (1.7 us here) give the other side the line for many items; those are then had at once.
 *
 * Where the second look finds little more, the other side is slow, or not on a core: the next
 * LINGER_SKIPS looks do not linger. So lingering costs a thread at most 2 us in 64 calls when it is
 * in vain. An item loses nothing by it: it is one of many, or comes to stand behind many.
 */
#ifndef QUEUE_LINGER_H
#define QUEUE_LINGER_H

#include "queue/layout.h"

#define LINGER_PAUSES 128
#define LINGER_SKIPS  64

/* True: a moment has passed. */
static inline bool linger(_Atomic uint64_t *skips)
{
	/* relaxed: an estimate */
	uint64_t left = atomic_load_explicit(skips, memory_order_relaxed);

	if (left) {
		/* relaxed: see above */
		atomic_store_explicit(skips, left - 1, memory_order_relaxed);
		return false;
	}
	for (unsigned i = 0; i < LINGER_PAUSES; i++)
		caa_cpu_relax();
	return true;
}

static inline void linger_in_vain(_Atomic uint64_t *skips)
{
	/* relaxed: an estimate */
	atomic_store_explicit(skips, LINGER_SKIPS, memory_order_relaxed);
}

#endif
