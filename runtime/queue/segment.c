/* queue/segment.c: segments are made, pooled, retired and, after a grace period, used again.
 *
 * Putters make (when the last segment is full), takers retire (when the first is used up), and
 * the reclaimer's thread brings retired ones back to the pool (reclaim.c). The pools are
 * process-wide, one stack per size, so that a queue that was busy once holds no memory for ever,
 * and a busy process allocates nothing. A pop happens inside a read section and a push only after
 * a grace period of the segment's last use; so a popper's `top` can not come back under it: no
 * ABA, no tags.
 *
 * Size. Small segments cost throughput (64 slots: -25 % singly, -60 % in batches), big ones cost
 * memory that lies idle. So each segment's size follows how long the one before it lasted: less
 * than GROW_MS, four times as many slots; more than SHRINK_MS, a quarter.
 *
 * Limit. A thread that stops inside a read section stops every reclamation, for RCU can not know
 * what it still holds. Then a queue may have SEGMENT_RETIRED_MAX_BYTES waiting; after that its
 * puts find no room (PC_FULL: they wait, or fail, or drop, like with any full queue) until the
 * thread goes on. pc_queue_stats() shows it as retired_bytes. At 250 M
 * items/s a grace period of 20 ms, long for two cores, holds 40 MiB.
 *
 * A retired segment also holds the queue's own memory: the reclaimer counts down `retired`, and
 * whoever brings it to zero, the reclaimer or the destroyer, frees the queue. So destroying a
 * queue waits for nobody.
 */
#include "queue/segment.h"

#include "queue/reclaim.h"
#include "queue/wait.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SHIFT_MIN 4  /* 16 slots, 192 bytes */
#define SHIFT_MAX 10 /* 1024 slots, 8256 bytes */
#define GROW_MS   50
#define SHRINK_MS 1000

_Static_assert(SEGMENT_RETIRED_MAX_BYTES > 4 * (sizeof(queue_slot) << SHIFT_MAX),
               "more than one segment makes a queue starve: see segment_reclaim()");

struct segment queue_sealed;
_Atomic uint64_t segment_retired_max_bytes = SEGMENT_RETIRED_MAX_BYTES;

static _Atomic(struct segment *) pools[SHIFT_MAX + 1];
static _Atomic uint64_t pool_bytes;
static _Atomic uint32_t waking; /* odd while the reclaimer's thread wakes those who starved */

static size_t size_bytes(const struct segment *segment)
{
	return sizeof(*segment) + segment->size * sizeof(queue_slot);
}

static uint32_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint32_t)((uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000);
}

static struct segment *pool_pop(uint32_t shift)
{
	struct segment *top =
		atomic_load_explicit(&pools[shift], memory_order_acquire); /* S7 */

	while (top) {
		/* relaxed: written before the push that S7 acquired */
		struct segment *next = atomic_load_explicit(&top->pooled, memory_order_relaxed);

		if (atomic_compare_exchange_weak_explicit(&pools[shift], &top, next, /* S7 */
		                                          memory_order_acquire,
		                                          memory_order_acquire)) {
			/* relaxed: a figure */
			atomic_fetch_sub_explicit(&pool_bytes, size_bytes(top),
			                          memory_order_relaxed);
			return top;
		}
	}
	return NULL;
}

static void pool_push(struct segment *segment)
{
	_Atomic(struct segment *) *pool = &pools[segment->shift];
	struct segment *top;

	/* relaxed: a figure that limits, not exactly */
	if (atomic_fetch_add_explicit(&pool_bytes, size_bytes(segment), memory_order_relaxed) >
	    SEGMENT_POOL_MAX_BYTES) {
		/* relaxed: likewise */
		atomic_fetch_sub_explicit(&pool_bytes, size_bytes(segment),
		                          memory_order_relaxed);
		free(segment);
		return;
	}
	/* relaxed: the CAS decides */
	top = atomic_load_explicit(pool, memory_order_relaxed);
	do {
		/* relaxed: the CAS publishes it */
		atomic_store_explicit(&segment->pooled, top, memory_order_relaxed);
	} while (!atomic_compare_exchange_weak_explicit(pool, &top, segment, /* S7 */
	                                                memory_order_release,
	                                                memory_order_relaxed));
}

uint64_t segment_pool_bytes(void)
{
	return atomic_load_explicit(&pool_bytes, memory_order_relaxed); /* relaxed: a figure */
}

static uint32_t next_shift(const struct segment *before, uint32_t now)
{
	uint32_t age = now - before->born_ms;

	if (before->size == 0)
		return SHIFT_MIN;
	if (age < GROW_MS)
		return before->shift + 2 < SHIFT_MAX ? before->shift + 2 : SHIFT_MAX;
	if (age > SHRINK_MS)
		return before->shift > SHIFT_MIN + 2 ? before->shift - 2 : SHIFT_MIN;
	return before->shift;
}

/* Too much waits for a grace period. The flag goes up before the second look, so that either
 * that look or the reclaimer which brings the sum down sees the other (W1).
 * Lowered here, it may have been up for others, too, who sleep. Nobody wakes them at once, but we
 * go on to put: who puts passes a wake-up on, who gets no memory does (queue_put_slowly()), who
 * finds the queue full has takers in front of him who will, and a seal wakes all. */
static bool starving(struct pc_queue *queue)
{
	/* relaxed: set once by a test before it starts */
	uint64_t max = atomic_load_explicit(&segment_retired_max_bytes, memory_order_relaxed);

	/* relaxed: the look that counts comes below */
	if (LIKELY(atomic_load_explicit(&queue->retired, memory_order_relaxed) <= max))
		return false;
	atomic_store_explicit(&queue->starved, 1, memory_order_seq_cst);       /* W1 */
	if (atomic_load_explicit(&queue->retired, memory_order_seq_cst) > max) /* W1 */
		return true;
	atomic_store_explicit(&queue->starved, 0, memory_order_seq_cst); /* W1 */
	return false;
}

int segment_make(struct pc_queue *queue, const struct segment *before,
                 struct segment **ret_segment)
{
	uint32_t now = now_ms();
	uint32_t shift = next_shift(before, now);
	size_t bytes = sizeof(struct segment) + (sizeof(queue_slot) << shift);
	struct segment *segment = NULL;

	if (starving(queue))
		return PC_FULL;
	segment = pool_pop(shift);
	if (!segment)
		segment = aligned_alloc(QUEUE_LINE, bytes);
	if (!segment)
		return PC_NOMEM;
	/* relaxed: linking publishes it */
	atomic_store_explicit(&segment->next, NULL, memory_order_relaxed);
	segment->base = before->base + before->size;
	segment->size = UINT32_C(1) << shift;
	segment->shift = shift;
	segment->born_ms = now;
	segment->owner = queue;
	memset((void *)(segment + 1), 0, sizeof(queue_slot) << shift);
	*ret_segment = segment;
	return PC_OK;
}

/* The flag goes down inside of it, so that whoever sees neither knows that all have been woken. */
static void wake_the_starved(struct pc_queue *queue)
{
	atomic_fetch_add_explicit(&waking, 1, memory_order_seq_cst);     /* R3 */
	atomic_store_explicit(&queue->starved, 0, memory_order_seq_cst); /* W1 */
	wait_wake_all(queue, SIDE_PUT);
	atomic_fetch_add_explicit(&waking, 1, memory_order_seq_cst); /* R3 */
}

uint32_t queue_wakes_over(void)
{
	uint32_t now;

	while ((now = atomic_load_explicit(&waking, memory_order_seq_cst)) & 1) /* R3 */
		sched_yield();
	return now;
}

uint64_t segment_reclaim(struct segment *segment)
{
	struct pc_queue *queue;
	uint64_t bytes, left;

	queue = segment->owner;
	bytes = size_bytes(segment);
	pool_push(segment);

	/* Our bytes keep the queue's memory, so it is looked at before they are taken off. A putter who
	 * raises the flag between the two, having seen our bytes still there, is not forgotten: above
	 * the maximum are the bytes of many segments, and each of the others, which come after us,
	 * looks at the flag again. The last of them finds less than half, and the flag. */
	left = atomic_load_explicit(&queue->retired, memory_order_seq_cst) - bytes; /* W1 */
	if (atomic_load_explicit(&queue->starved, memory_order_seq_cst) &&          /* W1 */
	    /* relaxed: set once by a test before it starts */
	    left <= atomic_load_explicit(&segment_retired_max_bytes, memory_order_relaxed) / 2)
		wake_the_starved(queue);
	left = atomic_fetch_sub_explicit(&queue->retired, bytes, /* S5, W1 */
	                                 memory_order_seq_cst);
	if (left == bytes)
		free(queue);
	return bytes;
}

static void hand_to_rcu(struct pc_queue *queue, struct segment *segment)
{
	/* relaxed: the reclaimer comes later, by the push */
	atomic_fetch_add_explicit(&queue->retired, size_bytes(segment), memory_order_relaxed);
	reclaim_later(segment);
}

void segment_unmake(struct segment *segment)
{
	/* It came from a pool, perhaps, where another popper may still be looking at it. */
	hand_to_rcu(segment->owner, segment);
}

void segment_retire(struct pc_queue *queue, struct segment *segment)
{
	if (segment == &queue->first)
		return;
	/* relaxed: a figure */
	atomic_fetch_sub_explicit(&queue->live, size_bytes(segment), memory_order_relaxed);
	hand_to_rcu(queue, segment);
}

void segment_queue_gone(struct pc_queue *queue)
{
	if (atomic_fetch_sub_explicit(&queue->retired, QUEUE_ALIVE, /* S5 */
	                              memory_order_acq_rel) == QUEUE_ALIVE)
		free(queue);
}
