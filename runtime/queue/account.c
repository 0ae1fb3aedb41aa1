/* queue/account.c: what went in, came out, was done; waiting for all of it; figures.
 *
 * Any thread. Puts and takes count nothing: how many went in and came out follows from the tail's
 * and the head's position, less the places that poisoned batches took up. Only the rare things
 * are counted where they happen, and counted late: a drop or a skipped place after the head has
 * moved. So each sum below reads the counters before the positions, and errs
 *   - taken: too high, for the moment in which another thread is between the two. A rightful
 *     pc_queue_done() is never refused; one too many may pass just then.
 *   - unfinished: too high. pc_queue_join() never returns too early: `done + dropped` was read
 *     first and only grows, so finding it equal to what was put proves the moment of that read.
 */
#include "queue/wait.h"

#include <string.h>

/* relaxed, for figures; the positions that matter are read with order */
static uint64_t figure(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed); /* relaxed: see above */
}

static uint64_t taken(struct pc_queue *queue)
{
	uint64_t others =
		atomic_load_explicit(&queue->skipped, memory_order_acquire) +          /* J1 */
		atomic_load_explicit(&queue->dropped_old, memory_order_acquire);       /* J1 */
	uint64_t head = atomic_load_explicit(&queue->head, memory_order_seq_cst) >> 1; /* S2 */

	return head - others;
}

static bool finished(struct pc_queue *queue)
{
	uint64_t gone =
		atomic_load_explicit(&queue->done, memory_order_seq_cst) +        /* J1 */
		atomic_load_explicit(&queue->dropped_old, memory_order_seq_cst) + /* J1 */
		atomic_load_explicit(&queue->poisoned, memory_order_seq_cst);     /* J1 */

	return put_position(queue) == gone;
}

void account_changed(struct pc_queue *queue)
{
	if (LIKELY(atomic_load_explicit(&queue->joiners, memory_order_seq_cst) == 0)) /* J1 */
		return;
	if (!finished(queue))
		return;
	atomic_fetch_add_explicit(&queue->join_event, 1, memory_order_release); /* W3 */
	wait_futex_wake(&queue->join_event, INT32_MAX);
}

int pc_queue_done(struct pc_queue *queue, size_t n)
{
	/* relaxed: the CAS decides */
	uint64_t done = atomic_load_explicit(&queue->done, memory_order_relaxed);

	do {
		uint64_t most = taken(queue);

		if (done > most || n > most - done)
			return PC_INVALID;
		/* relaxed on failure: only the sum is looked at */
	} while (!atomic_compare_exchange_weak_explicit(&queue->done, &done, done + n, /* J1 */
	                                                memory_order_seq_cst,
	                                                memory_order_relaxed));
	account_changed(queue);
	return PC_OK;
}

int pc_queue_join(struct pc_queue *queue, int64_t timeout_ns)
{
	int64_t deadline_ns;
	bool in_time = timeout_ns > 0;
	int rc = PC_TIMEOUT;

	if (finished(queue))
		return PC_OK;
	deadline_ns = wait_deadline(timeout_ns);
	atomic_fetch_add_explicit(&queue->joiners, 1, memory_order_seq_cst); /* J1 */
	for (;;) {
		uint32_t event =
			atomic_load_explicit(&queue->join_event, memory_order_acquire); /* W3 */

		if (finished(queue)) {
			rc = PC_OK;
			break;
		}
		if (!in_time)
			break;
		if (atomic_load_explicit(&queue->stopped, memory_order_seq_cst)) { /* W1 */
			rc = PC_STOPPED;
			break;
		}
		in_time = wait_futex(&queue->join_event, event, deadline_ns);
	}
	/* relaxed: who still counts us wakes nobody */
	atomic_fetch_sub_explicit(&queue->joiners, 1, memory_order_relaxed);
	return rc;
}

void pc_queue_stats(const struct pc_queue *queue, struct pc_queue_stats *ret_stats, size_t size)
{
	struct pc_queue *q =
		(struct pc_queue *)(uintptr_t)queue; /* hints are moved on the way */
	struct pc_queue_stats stats = {0};
	uint64_t skipped = figure(&q->skipped), poisoned = figure(&q->poisoned);
	uint64_t old = figure(&q->dropped_old);
	uint64_t head = atomic_load_explicit(&q->head, memory_order_acquire) >> 1; /* S2 */
	uint64_t tail = put_position(q);

	stats.put = tail - poisoned;
	stats.taken = head - skipped - old;
	stats.done = figure(&q->done);
	stats.dropped = figure(&q->dropped_new) + old;
	stats.queued = (tail - poisoned) - (head - skipped);
	if (stats.queued > queue_capacity(q))
		stats.queued = queue_capacity(q); /* others moved on between the two looks */
	stats.high_water = figure(&q->high_water);
	if (stats.high_water < stats.queued)
		stats.high_water = stats.queued;
	stats.full_waits = figure(&q->side[SIDE_PUT].waits);
	stats.empty_waits = figure(&q->side[SIDE_TAKE].waits);
	stats.retired_bytes = figure(&q->retired) & ~QUEUE_ALIVE;
	stats.memory_bytes = sizeof(*q) + figure(&q->live) + stats.retired_bytes;
	memcpy(ret_stats, &stats, size < sizeof(stats) ? size : sizeof(stats));
}
