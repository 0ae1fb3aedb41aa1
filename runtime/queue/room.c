/* queue/room.c: how many places are free?
 *
 * Any thread, inside the read section of a put. What is read here is the takers' line: it costs
 * them a cache miss, and us one. So what is seen is good for all puts below `limit`, and a look
 * that finds the queue nearly full lingers.
 *
 * Lingering. A putter that is a little faster than the takers keeps the queue nearly full. Then
 * each look finds one or two places, every put looks, and the line goes to and fro with every
 * item (research/queues.md, section 3: 6 M items a second instead of 43). So a look that finds
 * fewer than NEAR places waits LINGER_PAUSES once (1.7 us here, during which the takers have the
 * line for themselves) and looks again. The item loses nothing by that: it comes to stand behind
 * nearly all that the queue holds. Where the second look finds less than WORTH_IT places more, the
 * takers are slow, or not on a core: then the next SKIPS looks do not linger. A full queue is
 * never lingered at: that answer is exact and immediate.
 */
#include "queue/layout.h"

#define NEAR          32
#define LINGER_PAUSES 128
#define WORTH_IT      16
#define SKIPS         64

static uint64_t head_now(struct pc_queue *queue)
{
	return atomic_load_explicit(&queue->head, memory_order_seq_cst) >> 1; /* S2, W1 */
}

/* The head after a while, if that seems worth it. */
static uint64_t linger(struct pc_queue *queue, uint64_t head)
{
	/* relaxed: an estimate */
	uint64_t skips = atomic_load_explicit(&queue->no_linger, memory_order_relaxed);
	uint64_t now;

	if (skips) {
		/* relaxed: see above */
		atomic_store_explicit(&queue->no_linger, skips - 1, memory_order_relaxed);
		return head;
	}
	for (unsigned i = 0; i < LINGER_PAUSES; i++)
		caa_cpu_relax();
	now = head_now(queue);
	if (now - head < WORTH_IT)
		/* relaxed: see above */
		atomic_store_explicit(&queue->no_linger, SKIPS, memory_order_relaxed);
	return now;
}

/* The same look notes how deep the queue is. While it deepens, every put looks; a look that finds
 * nothing new raises the depth at which to look again, by 64 above the deepest at the most. */
uint64_t room_look(struct pc_queue *queue, uint64_t position, uint64_t wanted)
{
	uint64_t head = head_now(queue);
	/* relaxed, here and below: figures */
	uint64_t high = atomic_load_explicit(&queue->high_water, memory_order_relaxed);
	/* relaxed: see above */
	uint64_t check = atomic_load_explicit(&queue->high_check, memory_order_relaxed);
	uint64_t used, depth, capacity = queue_capacity(queue);

	/* Others have filled our position, and takers emptied it: the claim will fail. */
	if (head > position)
		return wanted;
	used = position - head;
	if (used >= capacity)
		return 0;
	if (capacity - used < NEAR && wanted <= NEAR && capacity >= 4 * NEAR) {
		head = linger(queue, head);
		if (head > position)
			return wanted;
		used = position - head;
	}
	if (wanted > capacity - used)
		wanted = capacity - used;
	depth = used + wanted;
	if (depth > high) {
		check = depth;
		while (depth > high && !atomic_compare_exchange_weak_explicit(
					       &queue->high_water, &high, depth,
					       memory_order_relaxed, /* relaxed: see above */
					       memory_order_relaxed))
			;
	} else {
		check = check < 4 ? 8 : 2 * check;
		check = check < high + 64 ? check : high + 64;
		check = check < capacity ? check : capacity;
	}
	/* relaxed: see above */
	atomic_store_explicit(&queue->high_check, check, memory_order_relaxed);
	/* relaxed: any limit that ever was is right (I2) */
	atomic_store_explicit(&queue->limit, head + (check > depth ? check : depth),
	                      memory_order_relaxed);
	return wanted;
}
