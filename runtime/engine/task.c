/* engine/task.c: when a replica runs: at most one thread at a time, and no wake-up is lost.
 *
 *   IDLE, TIMED --notify--> QUEUED --a thread takes it--> RUNNING --settle--> IDLE, TIMED, ENDED or RUNNING
 *                                                  RUNNING --notify--> NOTIFIED --begin--> RUNNING
 *                                                  RUNNING --settle--> PARKED --unpark--> QUEUED
 *
 * One that is to go on is put into a run queue as it is, RUNNING or NOTIFIED. A notify that meets
 * QUEUED or NOTIFIED is already covered: the activation to come looks at everything. So each
 * replica is in at most one run queue, once.
 *
 * `awake` counts the replicas that are not idle; one that is TIMED waits for a timer or descriptor,
 * and counts. While the graph has not ended it can become 0 only when nobody is left to wake
 * anybody: that is a deadlock, and the control thread is told to look. So a replica must be counted
 * before anybody sees that it may run: an own thread that looks at `sched` may run and fall asleep
 * again before its waker goes on. And whether it is counted already must be said by `sched` itself,
 * for beside it that could change in the same moment. tests/model/awake.pml refutes both.
 *
 * The upper half of `awake` counts wake-ups: who sees the same word twice knows that nobody was
 * awake in between.
 *
 * Pairs
 *   T1 notify: acq_rel sched -> T2 settle: acq_rel sched     what was made ready, before the look
 *   T2 settle: acq_rel sched -> T1 notify: acq_rel sched     the replica's own fields
 *   T1 notify: acq_rel sched -> T1 task_begin: acq_rel sched likewise, when it was in a run queue; whose
 *                                                            order brings the replica's own fields
 *   T3 fall_asleep: acq_rel awake, with C7 of control.c      all is asleep
 *   T6 settle: release sched -> T7 is_parked of reload-park.c: acquire sched    the replica is the control thread's
 */
#include "engine/engine.h"

#include "base/futex.h"
#include "queue/rcu.h"

static void fall_asleep(struct engine *e)
{
	if (awake_count(atomic_fetch_sub_explicit(&e->awake, AWAKE_ONE,
	                                          memory_order_acq_rel)) == 1 /* T3 */)
		control_nudge(e);
}

static void count_awake(struct engine *e)
{
	/* relaxed: the exchange that follows releases it */
	atomic_fetch_add_explicit(&e->awake, AWAKE_WAKE_UP, memory_order_relaxed);
}

static uint32_t when_notified(uint32_t state)
{
	switch (state) {
	case TASK_IDLE:
	case TASK_TIMED:
		return TASK_QUEUED;
	case TASK_RUNNING:
		return TASK_NOTIFIED;
	default:
		/* even then it is exchanged: what we wrote must be seen by that activation */
		return state;
	}
}

enum mark task_mark(struct replica *r)
{
	struct engine *e = r->engine;
	/* relaxed: the exchange below decides */
	uint32_t seen = atomic_load_explicit(&r->sched, memory_order_relaxed);
	bool counted = false;

	/* Nothing of the engine is touched for one that has ended: it may be shutting down. */
	while (seen != TASK_ENDED) {
		if (seen == TASK_IDLE && !counted && !LEFT_OUT(FAULT_COUNT)) {
			count_awake(e);
			counted = true;
		}
		if (atomic_compare_exchange_weak_explicit(
			    &r->sched, &seen, when_notified(seen),
			    memory_order_acq_rel /* T1 */,
			    memory_order_relaxed /* tried again */))
			break;
	}
	if (LEFT_OUT(FAULT_COUNT) && seen == TASK_IDLE)
		count_awake(e);
	if (counted && seen != TASK_IDLE)
		fall_asleep(e); /* somebody else has */
	switch (seen) {
	case TASK_IDLE:
	case TASK_TIMED:
		return MARK_READY;
	case TASK_QUEUED:
	case TASK_ENDED:
		return MARK_COVERED;
	default:
		/* PARKED is busy, too: it will look at everything when it goes on, which may be late. */
		return MARK_BUSY;
	}
}

/* A thread of its own may go on at once, end, and be freed by a reload after a grace period; others
 * are not run before somebody is given them. */
bool task_notify(struct replica *r)
{
	enum mark mark;
	bool own;

	queue_rcu_lock();
	mark = task_mark(r);
	own = r->has_thread;
	if (mark == MARK_READY && own)
		own_wake(r);
	queue_rcu_unlock();
	if (mark == MARK_READY && !own)
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
		/* From the store on the control thread may let it go on, on another worker, end, and be freed
		 * after a grace period: it finds what is posted inside of the section before that. */
		queue_rcu_lock();
		atomic_store_explicit(&r->sched, TASK_PARKED, memory_order_release); /* T6 */
		control_post(e, &r->parked);
		queue_rcu_unlock();
		fall_asleep(e);
		return false;
	}
	/* Nothing is stored: it would hide who notified meanwhile from the exchange of task_begin(). */
	if (act == ACT_AGAIN)
		return true;
	/* wake_request() and work() say it anew each time. */
	external = r->external;
	r->external = false;
	if (!atomic_compare_exchange_strong_explicit(
		    &r->sched, &running, external ? TASK_TIMED : TASK_IDLE,
		    memory_order_acq_rel /* T2 */, memory_order_acquire /* T2 */))
		return true;
	if (!external)
		fall_asleep(e);
	return false;
}

/* What the control thread has changed meanwhile is seen by the activation that follows. */
void task_unpark(struct replica *r)
{
	/* An exchange: whoever notified it meanwhile comes before all that follows. */
	atomic_exchange_explicit(&r->sched, TASK_IDLE, memory_order_acq_rel); /* T1 */
	task_notify(r);
}
