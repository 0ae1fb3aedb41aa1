/* engine/task.c: when a replica runs: at most one thread at a time, and no wake-up is lost.
 *
 *   IDLE --notify--> QUEUED --a thread takes it--> RUNNING --settle--> IDLE, ENDED or RUNNING
 *                                                  RUNNING --notify--> NOTIFIED --begin--> RUNNING
 *                                                  RUNNING --settle--> PARKED --unpark--> QUEUED
 *
 * One that is to go on is put into a run queue as it is, RUNNING or NOTIFIED. A notify that meets
 * QUEUED or NOTIFIED is already covered: the activation to come looks at everything. So each
 * replica is in at most one run queue, once.
 *
 * `awake` counts the replicas that are not idle, those that wait for a timer or descriptor
 * included. While the graph has not ended it can become 0 only when nobody is left to wake
 * anybody: that is a deadlock, and the control thread is told to look.
 *
 * Pairs
 *   T1 notify: acq_rel sched -> T2 settle: acq_rel sched     what was made ready, before the look
 *   T2 settle: acq_rel sched -> T1 notify: acq_rel sched     the replica's own fields
 *   T1 notify: acq_rel sched -> T1 task_begin: acq_rel sched likewise, when it was in a run queue; whose
 *                                                            order brings the replica's own fields
 *   T3 fall_asleep: acq_rel awake, with C7 of control.c      all is asleep
 *   T5 task_notify: acq_rel external -> itself               who un-counts the timer
 *   T6 settle: release sched -> T7 is_parked of reload-park.c: acquire sched    the replica is the control thread's
 */
#include "engine/engine.h"

#include "base/futex.h"

static void fall_asleep(struct engine *e)
{
	if (atomic_fetch_sub_explicit(&e->awake, 1, memory_order_acq_rel) == 1 /* T3 */)
		control_nudge(e);
}

enum mark task_mark(struct replica *r)
{
	struct engine *e = r->engine;
	/* relaxed: the exchange below decides */
	uint32_t seen = atomic_load_explicit(&r->sched, memory_order_relaxed);
	uint32_t want;

	/* Nothing of the engine is touched for one that has ended: it may be shutting down. */
	if (seen == TASK_ENDED)
		return MARK_COVERED;
	/* Counted before the exchange: an own thread that looks at `sched` may run and fall asleep again
	 * before we go on. Relaxed: the exchange releases it. */
	atomic_fetch_add_explicit(&e->awake, 1, memory_order_relaxed); /* see above */
	do {
		if (seen == TASK_IDLE)
			want = TASK_QUEUED;
		else if (seen == TASK_RUNNING)
			want = TASK_NOTIFIED;
		else if (seen >= TASK_ENDED)
			break;
		else
			want = seen; /* even then: what we wrote must be seen by that activation */
	} while (!atomic_compare_exchange_weak_explicit(
		&r->sched, &seen, want, memory_order_acq_rel /* T1 */,
		memory_order_relaxed /* tried again */));
	if (seen != TASK_IDLE || atomic_exchange_explicit(&r->external, false, /* T5 */
	                                                  memory_order_acq_rel))
		fall_asleep(e); /* it was counted already */
	/* PARKED is busy: it will look at everything when it goes on, which may be late. */
	if (seen != TASK_IDLE)
		return seen == TASK_QUEUED || seen == TASK_ENDED ? MARK_COVERED : MARK_BUSY;
	return MARK_READY;
}

bool task_notify(struct replica *r)
{
	enum mark mark = task_mark(r);

	if (mark == MARK_READY && r->has_thread)
		own_wake(r);
	else if (mark == MARK_READY)
		pool_ready(r->engine, r);
	return mark == MARK_BUSY;
}

/* An exchange, not a store: a notify that came while the replica was QUEUED was taken for covered
 * by this run, so what it announced must be seen by every look from here on. With a plain store
 * the looks could come before it, the replica would find its waiter still armed, and sleep. */
void task_begin(struct replica *r)
{
	atomic_exchange_explicit(&r->sched, TASK_RUNNING, memory_order_acq_rel); /* T1 T2 */
}

bool task_settle(struct replica *r, enum act act)
{
	struct engine *e = r->engine;
	uint32_t running = TASK_RUNNING;
	bool external;

	if (act == ACT_ENDED) {
		atomic_store_explicit(&r->sched, TASK_ENDED, memory_order_release); /* T2 */
		control_post(e, &r->ended); /* r may be gone after this */
		fall_asleep(e);
		return false;
	}
	if (act == ACT_PARKED) {
		atomic_store_explicit(&r->sched, TASK_PARKED, memory_order_release); /* T6 */
		control_post(e, &r->parked);
		fall_asleep(e);
		return false;
	}
	/* Nothing is stored: it would hide who notified meanwhile from the exchange of task_begin(). */
	if (act == ACT_AGAIN)
		return true;
	/* relaxed: only this thread sets it before the replica is idle */
	external = atomic_load_explicit(&r->external, memory_order_relaxed);
	if (atomic_compare_exchange_strong_explicit(&r->sched, &running, TASK_IDLE,
	                                            memory_order_acq_rel /* T2 */,
	                                            memory_order_acquire /* T2 */)) {
		if (!external)
			fall_asleep(e);
		return false;
	}
	/* relaxed: still running, nobody else writes it */
	atomic_store_explicit(&r->external, false, memory_order_relaxed);
	return true;
}

/* What the control thread has changed meanwhile is seen by the activation that follows. */
void task_unpark(struct replica *r)
{
	atomic_store_explicit(&r->sched, TASK_IDLE, memory_order_release); /* T1 */
	task_notify(r);
}
