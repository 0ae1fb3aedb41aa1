/* engine/reload-park.c: replicas stop at their own item boundary, and go on.
 *
 * The control thread sets STOP_PARK, which the replica looks at where it looks for a stop anyway:
 * at the begin of an activation. So nothing is added to the way of an item. A parked replica is in
 * no run queue, no queue knows of a waiter of it, and whoever notifies it is told nothing: it will
 * look at everything when it goes on. A replica also parks by itself when an input is to move on.
 *
 * Pairs
 *   T7 reload_is_parked: acquire sched, with T6 of task.c    all that the replica did
 *   A3 of control.c: release stop -> A4 of activate.c: acquire stop    that it shall rest
 */
#include "engine/engine.h"

void reload_parking(struct replica *r)
{
	waiting_rest(r);
	swap_unkick(r);
}

bool reload_is_parked(const struct replica *r)
{
	return atomic_load_explicit((_Atomic uint32_t *)(uintptr_t)&r->sched,
	                            memory_order_acquire) >= TASK_ENDED; /* T7 */
}

static void park(struct replica *r, uint32_t how)
{
	if (r->stage->desc->n_inputs == 0 && r->has_thread)
		swap_kick(r);
	atomic_fetch_or_explicit(&r->stop, how, memory_order_release); /* A3 */
	task_notify(r);
}

void reload_park(struct replica *r)
{
	park(r, STOP_PARK);
}

void reload_fence(struct replica *r)
{
	park(r, STOP_FENCE);
}

void reload_unpark(struct replica *r)
{
	atomic_fetch_and_explicit(&r->stop, ~(uint32_t)(STOP_PARK | STOP_FENCE),
	                          memory_order_release);                          /* A3 */
	if (atomic_load_explicit(&r->sched, memory_order_acquire) == TASK_PARKED) /* T7 */
		task_unpark(r);
	else if (!r->stage->swap.in_flight)
		swap_unkick(
			r); /* it has not seen that it was to rest, and need not come back for that */
}
