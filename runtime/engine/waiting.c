/* engine/waiting.c: a replica asks a queue to be woken, and passes wake-ups on that it can't use.
 *
 * Called by the thread that runs the replica; on_wake() by whichever thread changed the queue.
 * A queue wakes one waiter per change. A replica woken for an input may find that its output has
 * no room, or be woken for room and have nothing to send: if it simply slept, the wake-up would
 * be lost to the other waiters. So before it sleeps it hands on everything that it was woken for.
 *
 * It may also be armed while it runs: it waits at several inputs and is at work for one of them, or
 * something else than an item (a swap, say) has woken it, and then it found one. A wake-up that
 * finds it in a long call would be stuck there, and with a full queue nothing would ever send
 * another: so that goes on to the next waiter at once. At worst one looks in vain. Likewise room
 * for which it was woken before it had anything to send: it may be long in coming.
 *
 * Pairs
 *   N1 on_wake: release state -> N2 arm, pass, cancel: acquire state    the waiter is ours again
 */
#include "engine/engine.h"

#include "base/futex.h"
#include "queue/rcu.h"

static void on_wake(struct queue_waiter *waiter)
{
	struct waiting_at *w = (struct waiting_at *)(void *)waiter;
	/* After the store the waiter is the replica's again. It may rest at once, and a reload free the
	 * lane: nothing is read from it any more. The replica itself may end, and a reload free it,
	 * after a grace period: nothing in the section may wait for one. */
	struct replica *r = w->replica;
	struct pc_queue *queue = w->queue;
	struct queue_waiter at = {.side = waiter->side};
	enum mark mark;
	bool own;

	queue_rcu_lock();
	atomic_store_explicit(&w->state, WAITING_WOKEN, memory_order_release); /* N1 */
	/* Whoever begins to run after this sees it, and passes it on itself. */
	mark = task_mark(r);
	own = r->has_thread;
	if (mark == MARK_READY && own)
		own_wake(r);
	queue_rcu_unlock();
	if (mark == MARK_BUSY)
		queue_pass(queue, &at);
	else if (mark == MARK_READY && !own)
		pool_ready(r->engine, r);
}

static bool arm(struct waiting_at *w, int (*wait)(struct pc_queue *, struct queue_waiter *))
{
	if (atomic_load_explicit(&w->state, memory_order_acquire) == WAITING_ARMED /* N2 */)
		return true;
	/* relaxed: the queue publishes the waiter */
	atomic_store_explicit(&w->state, WAITING_ARMED, memory_order_relaxed);
	w->waiter.wake = on_wake;
	if (wait(w->queue, &w->waiter) == PC_OK)
		return true;
	/* relaxed: the queue does not have it */
	atomic_store_explicit(&w->state, WAITING_NOT, memory_order_relaxed);
	return false;
}

bool waiting_arm_take(struct waiting_at *w)
{
	return arm(w, queue_wait_take);
}

bool waiting_arm_put(struct waiting_at *w)
{
	return arm(w, queue_wait_put);
}

static void pass_one(struct waiting_at *w)
{
	if (atomic_load_explicit(&w->state, memory_order_acquire) != WAITING_WOKEN /* N2 */)
		return;
	/* relaxed: ours until armed again */
	atomic_store_explicit(&w->state, WAITING_NOT, memory_order_relaxed);
	queue_pass(w->queue, &w->waiter);
}

/* The queue may be just about to wake us: then it has us in its hands until it has said so. */
static void wait_for_waker(struct waiting_at *w)
{
	while (atomic_load_explicit(&w->state, memory_order_acquire) != WAITING_WOKEN) /* N2 */
		cpu_relax();
}

static void cancel_one(struct waiting_at *w)
{
	uint32_t state = atomic_load_explicit(&w->state, memory_order_acquire); /* N2 */

	if (state == WAITING_NOT)
		return;
	if (state == WAITING_ARMED && queue_cancel(w->queue, &w->waiter))
		return;
	wait_for_waker(w);
	queue_pass(w->queue, &w->waiter);
}

static void rest_one(struct waiting_at *w)
{
	uint32_t state = atomic_load_explicit(&w->state, memory_order_acquire); /* N2 */

	if (state == WAITING_NOT)
		return;
	if (state == WAITING_WOKEN || !queue_cancel(w->queue, &w->waiter)) {
		wait_for_waker(w);
		queue_pass(w->queue, &w->waiter);
	}
	/* relaxed: ours until armed again */
	atomic_store_explicit(&w->state, WAITING_NOT, memory_order_relaxed);
}

static void for_each(struct replica *r, void (*what)(struct waiting_at *))
{
	for (uint32_t i = 0; i < r->stage->desc->n_inputs; i++)
		what(&r->inputs[i].waiting);
	for (uint32_t i = 0; i < r->n_outputs; i++)
		for (uint32_t k = 0; k < r->outputs[i].n_lanes; k++)
			what(&r->outputs[i].lanes[k].waiting);
}

void waiting_pass(struct replica *r)
{
	for_each(r, pass_one);
}

void waiting_pass_others(struct replica *r, const struct input *taken)
{
	for (uint32_t i = 0; i < r->stage->desc->n_inputs; i++)
		if (&r->inputs[i] != taken)
			pass_one(&r->inputs[i].waiting);
	for (uint32_t i = 0; i < r->n_outputs; i++)
		for (uint32_t k = 0; k < r->outputs[i].n_lanes; k++)
			pass_one(&r->outputs[i].lanes[k].waiting);
}

void waiting_cancel(struct replica *r)
{
	for_each(r, cancel_one);
}

void waiting_rest(struct replica *r)
{
	for_each(r, rest_one);
}
