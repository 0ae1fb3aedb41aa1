/* queue/task.c: tasks that wait: a list of callbacks per side, in the order in which they came.
 *
 * Called by the engine's workers (queue_wait_*, queue_cancel) and by any thread whose put, take,
 * close or stop finds tasks waiting (task_serve). Nothing here makes a put or take wait.
 *
 * The list belongs to whoever holds `serving`, and nobody waits for that, except queue_cancel():
 * a newcomer is pushed onto the inbox, a waker sets SERVE_WORK; if the list is held already, its
 * holder sees the new work when it leaves, and does it. So a thread that stops while it serves
 * keeps tasks asleep until it goes on, and stops nothing else.
 *
 * The server decides whom to wake by looking at the queue itself, after it has taken up the work;
 * so a change and its wake-up can not fall between two servers. One change wakes one task. The
 * task that was woken passes it on by its own take or put (wait_pass_on); one that will not take
 * after all says so by queue_pass().
 */
#include "queue/wait.h"

#include <sched.h>

enum { SERVE_HELD = 1, SERVE_WORK = 2 };
enum { WAITER_ARMED = 1, WAITER_WOKEN = 2 };

static void link_last(struct queue_side *side, struct queue_waiter *waiter)
{
	waiter->next = NULL;
	waiter->prev = side->last;
	if (side->last)
		side->last->next = waiter;
	else
		side->first = waiter;
	side->last = waiter;
}

static void unlink_waiter(struct queue_side *side, struct queue_waiter *waiter)
{
	if (waiter->prev)
		waiter->prev->next = waiter->next;
	else
		side->first = waiter->next;
	if (waiter->next)
		waiter->next->prev = waiter->prev;
	else
		side->last = waiter->prev;
}

/* The inbox is a stack: turn it round. Who finds it empty comes before the next push (W1): the
 * newcomer's second look then sees what the server has changed before. */
static void empty_inbox(struct queue_side *side)
{
	struct queue_waiter *waiter = atomic_exchange_explicit(&side->inbox, NULL, /* T2, W1 */
	                                                       memory_order_seq_cst);
	struct queue_waiter *oldest = NULL;

	while (waiter) {
		struct queue_waiter *next = waiter->next;

		waiter->next = oldest;
		oldest = waiter;
		waiter = next;
	}
	while (oldest) {
		struct queue_waiter *next = oldest->next;

		link_last(side, oldest);
		oldest = next;
	}
}

static bool over(struct pc_queue *queue, enum side which)
{
	if (atomic_load_explicit(&queue->stopped, memory_order_seq_cst)) /* W1 */
		return true;
	return which == SIDE_TAKE ? queue_take_closed(queue) : queue_put_closed(queue);
}

/* With `serving` held. Whom to wake, chained by `next`. */
static struct queue_waiter *choose(struct pc_queue *queue, enum side which,
                                   struct queue_waiter *chosen)
{
	struct queue_side *side = &queue->side[which];
	bool all;

	empty_inbox(side);
	if (!side->first)
		return chosen;
	all = over(queue, which);
	if (!all && !queue_ready(queue, which))
		return chosen;
	do {
		struct queue_waiter *waiter = side->first;

		unlink_waiter(side, waiter);
		/* relaxed: read under `serving` only */
		atomic_store_explicit(&waiter->state, WAITER_WOKEN, memory_order_relaxed);
		/* relaxed: who still counts it looks once too often */
		atomic_fetch_sub_explicit(&queue->waiting[which], WAITING_TASK,
		                          memory_order_relaxed);
		waiter->next = chosen;
		chosen = waiter;
	} while (all && side->first);
	return chosen;
}

static void serve(struct pc_queue *queue, enum side which)
{
	struct queue_side *side = &queue->side[which];
	struct queue_waiter *chosen = NULL;
	uint32_t held;

	do {
		atomic_fetch_and_explicit(&side->serving, ~(uint32_t)SERVE_WORK, /* T1, W1 */
		                          memory_order_seq_cst);
		QUEUE_STEP(STEP_SERVE);
		chosen = choose(queue, which, chosen);
		held = SERVE_HELD;
	} while (!atomic_compare_exchange_strong_explicit(&side->serving, &held, 0, /* T1 */
	                                                  memory_order_release,
	                                                  memory_order_acquire));
	while (chosen) {
		struct queue_waiter *next = chosen->next; /* before it is the caller's again */

		chosen->wake(chosen);
		chosen = next;
	}
}

void task_serve(struct pc_queue *queue, enum side which)
{
	uint32_t before =
		atomic_fetch_or_explicit(&queue->side[which].serving, /* T1, W1 */
	                                 SERVE_HELD | SERVE_WORK, memory_order_seq_cst);

	if (!(before & SERVE_HELD))
		serve(queue, which);
}

static int arm(struct pc_queue *queue, enum side which, struct queue_waiter *waiter)
{
	struct queue_side *side = &queue->side[which];
	struct queue_waiter *top;

	if (queue_ready(queue, which))
		return PC_AGAIN;
	if (atomic_load_explicit(&queue->stopped, memory_order_seq_cst)) /* W1 */
		return PC_STOPPED;
	QUEUE_STEP(STEP_ARM);
	waiter->side = which;
	/* relaxed: the push publishes it */
	atomic_store_explicit(&waiter->state, WAITER_ARMED, memory_order_relaxed);
	atomic_fetch_add_explicit(&queue->waiting[which], WAITING_TASK, /* W1 */
	                          memory_order_seq_cst);
	/* relaxed: a figure */
	atomic_fetch_add_explicit(&side->waits, 1, memory_order_relaxed);
	/* relaxed: the CAS decides */
	top = atomic_load_explicit(&side->inbox, memory_order_relaxed);
	do {
		waiter->next = top;
	} while (!atomic_compare_exchange_weak_explicit(&side->inbox, &top, waiter, /* T2, W1 */
	                                                memory_order_seq_cst,
	                                                memory_order_relaxed));
	/* It is the queue's now. A change since the look above may have found nobody. */
	if (queue_ready(queue, which) ||
	    atomic_load_explicit(&queue->stopped, memory_order_seq_cst)) /* W1 */
		task_serve(queue, which);
	return PC_OK;
}

int queue_wait_take(struct pc_queue *queue, struct queue_waiter *waiter)
{
	return arm(queue, SIDE_TAKE, waiter);
}

int queue_wait_put(struct pc_queue *queue, struct queue_waiter *waiter)
{
	return arm(queue, SIDE_PUT, waiter);
}

bool queue_cancel(struct pc_queue *queue, struct queue_waiter *waiter)
{
	struct queue_side *side = &queue->side[waiter->side];
	bool armed;

	while (atomic_fetch_or_explicit(&side->serving, SERVE_HELD, /* T1 */
	                                memory_order_acquire) &
	       SERVE_HELD)
		sched_yield();
	empty_inbox(side);
	/* relaxed: written under `serving`, which we hold */
	armed = atomic_load_explicit(&waiter->state, memory_order_relaxed) == WAITER_ARMED;
	if (armed) {
		unlink_waiter(side, waiter);
		/* relaxed: written under `serving` only */
		atomic_store_explicit(&waiter->state, 0, memory_order_relaxed);
		/* relaxed: who still counts it looks once too often */
		atomic_fetch_sub_explicit(&queue->waiting[waiter->side], WAITING_TASK,
		                          memory_order_relaxed);
	}
	serve(queue, (enum side)waiter->side);
	return armed;
}

void queue_pass(struct pc_queue *queue, struct queue_waiter *waiter)
{
	wait_pass_on(queue, waiter->side == SIDE_TAKE ? SIDE_TAKE : SIDE_PUT);
}
