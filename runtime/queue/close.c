/* queue/close.c: references of writers and readers, the seal, and stopping.
 *
 * Any thread. Whoever gives back the last reference of either kind seals the tail with a word
 * that no put can pass (layout.h); so "closed" needs no flag that puts and takes would have to
 * look at, and an item can not slip in behind a taker that was told that nothing will come.
 */
#include "queue/wait.h"

static int add(_Atomic uint32_t *references)
{
	/* relaxed: a reference is handed on by means of its own */
	uint32_t n = atomic_load_explicit(references, memory_order_relaxed);

	do {
		if (n == 0)
			return PC_CLOSED;
		/* relaxed: see above */
	} while (!atomic_compare_exchange_weak_explicit(references, &n, n + 1,
	                                                memory_order_relaxed,
	                                                memory_order_relaxed)); /* see above */
	return PC_OK;
}

static int end(struct pc_queue *queue, _Atomic uint32_t *references)
{
	/* relaxed: the CAS decides */
	uint32_t n = atomic_load_explicit(references, memory_order_relaxed);

	do {
		if (n == 0)
			return PC_INVALID;
		/* relaxed on failure: looked at again */
	} while (!atomic_compare_exchange_weak_explicit(references, &n, n - 1, /* S6, W1 */
	                                                memory_order_seq_cst,
	                                                memory_order_relaxed));
	if (n == 1) {
		put_seal(queue);
		wait_wake_all(queue, SIDE_TAKE);
		wait_wake_all(queue, SIDE_PUT);
	}
	return PC_OK;
}

int pc_queue_writer_add(struct pc_queue *queue)
{
	return add(&queue->writers);
}

int pc_queue_writer_end(struct pc_queue *queue)
{
	return end(queue, &queue->writers);
}

int pc_queue_reader_add(struct pc_queue *queue)
{
	return add(&queue->readers);
}

int pc_queue_reader_end(struct pc_queue *queue)
{
	return end(queue, &queue->readers);
}

void pc_queue_stop(struct pc_queue *queue)
{
	atomic_store_explicit(&queue->stopped, 1, memory_order_seq_cst); /* W1 */
	wait_wake_all(queue, SIDE_TAKE);
	wait_wake_all(queue, SIDE_PUT);
	atomic_fetch_add_explicit(&queue->join_event, 1, memory_order_release); /* W3 */
	wait_futex_wake(&queue->join_event, INT32_MAX);
}

bool queue_put_closed(const struct pc_queue *queue)
{
	return atomic_load_explicit(&queue->writers, memory_order_seq_cst) == 0 || /* S6, W1 */
	       atomic_load_explicit(&queue->readers, memory_order_seq_cst) == 0;   /* S6, W1 */
}

bool queue_take_closed(const struct pc_queue *queue)
{
	return take_is_closed((struct pc_queue *)(uintptr_t)queue); /* moves hints on */
}
