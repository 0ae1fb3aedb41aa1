/* queue/wait.h: waiting for items or for room, and waking those who do.
 *
 * After each change the changer calls wait_changed(): one load when nobody waits. See wait.c for
 * threads, task.c for tasks.
 */
#ifndef QUEUE_WAIT_H
#define QUEUE_WAIT_H

#include "queue/layout.h"

#define WAITING_THREAD  UINT64_C(1)
#define WAITING_TASK    (UINT64_C(1) << 32)
#define WAITING_THREADS UINT64_C(0xffffffff)

/* Absolute CLOCK_MONOTONIC ns of now + timeout; PC_FOREVER stays. */
int64_t wait_deadline(int64_t timeout_ns);

/* Until the side is ready: PC_OK (try again; another may be faster), PC_TIMEOUT, PC_STOPPED. */
int wait_for(struct pc_queue *queue, enum side side, int64_t deadline_ns);

/* Sleep on a futex word while it is `value`. False: the deadline has passed. */
bool wait_futex(_Atomic uint32_t *word, uint32_t value, int64_t deadline_ns);
void wait_futex_wake(_Atomic uint32_t *word, int count);

void wait_wake_one(struct pc_queue *queue, enum side side);
void wait_wake_all(struct pc_queue *queue, enum side side);

/* task.c: let one waiting task go if the side is ready, all of them if it is over. */
void task_serve(struct pc_queue *queue, enum side side);

/* Things became better for `side`; we were on the other side. */
static inline void wait_changed(struct pc_queue *queue, enum side side)
{
	if (UNLIKELY(
		    atomic_load_explicit(&queue->waiting[side], memory_order_seq_cst))) /* W1 */
		wait_wake_one(queue, side);
}

/* We, on `side`, have had what we came for: pass the wake-up on if there is more. */
static inline void wait_pass_on(struct pc_queue *queue, enum side side)
{
	if (UNLIKELY(atomic_load_explicit(&queue->waiting[side],
	                                  memory_order_seq_cst)) && /* W1 */
	    queue_ready(queue, side))
		wait_wake_one(queue, side);
}

/* What a put or take that succeeded owes to those who wait, on either side. */
static inline void wait_after(struct pc_queue *queue, enum side side)
{
	wait_changed(queue, side == SIDE_PUT ? SIDE_TAKE : SIDE_PUT);
	wait_pass_on(queue, side);
}

#endif
