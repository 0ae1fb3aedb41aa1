/* queue/room.c: how many places are free?
 *
 * Any thread, inside the read section of a put. What is read here is the takers' line: it costs
 * them a cache miss, and us one. So what is seen is good for all puts below `limit`, and a look
 * that finds the queue nearly full lingers.
 *
 * Lingering (linger.h). A putter that is a little faster than the takers keeps the queue nearly full;
 * each look would find one or two places. A full queue is never lingered at: that answer is exact and
 * immediate.
 */
#include "queue/linger.h"

#define NEAR     32
#define WORTH_IT 16

static uint64_t head_now(struct pc_queue *queue)
{
	return atomic_load_explicit(&queue->head, memory_order_seq_cst) >> 1; /* S2, W1 */
}

/* The head after a while, if that seems worth it. */
static uint64_t look_again(struct pc_queue *queue, uint64_t head)
{
	uint64_t now;

	if (!linger(&queue->side[SIDE_PUT].no_linger))
		return head;
	now = head_now(queue);
	if (now - head < WORTH_IT)
		linger_in_vain(&queue->side[SIDE_PUT].no_linger);
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
		head = look_again(queue, head);
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
