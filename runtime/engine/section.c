/* engine/section.c: critical sections by delegation: nobody ever waits on a lock.
 *
 * Called by workers and own threads. A replica that wants to run puts itself into the section's
 * FIFO and counts itself in. Whoever counts from 0 to 1 has found the section free and lets the
 * first in the FIFO run (often itself); whoever leaves and counts down to more than 0 lets the
 * next run. Being let in means: `granted`, and ready as any replica; a worker that could not
 * enter goes on with other work. The idea is that of combining: Hendler, Incze, Shavit and
 * Tzafrir, "Flat combining" (SPAA 2010), with activations instead of operations.
 *
 * Each entry lasts one activation, so two stages of a section alternate by activations in the
 * order in which they became ready.
 *
 * Pairs
 *   S1 enter: acq_rel pending -> S2 leave: acq_rel pending   the place in the FIFO
 *   S2 leave: acq_rel pending -> S1 enter: acq_rel pending   all that was done inside
 *   S3 let_in: release granted -> S4 enter: acquire granted  likewise, for those who waited
 */
#include "engine/engine.h"

#include "queue/rcu.h"

static struct replica *first_in_line(struct section *s)
{
	void *r = NULL;

	/* Its put came before its count: it is there, or about to be read as there. */
	while (pc_queue_take(s->waiting, &r, 0) != PC_OK)
		continue;
	return r;
}

/* A thread of its own may go on at once, end, and be freed by a reload after a grace period; others
 * are not run before somebody is given them. */
static void let_in(struct replica *r)
{
	bool own = r->has_thread;

	queue_rcu_lock();
	atomic_store_explicit(&r->granted, 1, memory_order_release); /* S3 */
	if (own)
		own_wake(r);
	queue_rcu_unlock();
	if (!own)
		pool_ready(r->engine, r);
}

bool section_enter(struct section *s, struct replica *r)
{
	struct replica *first;

	if (atomic_load_explicit(&r->granted, memory_order_acquire) /* S4 */) {
		/* relaxed: nobody else touches it while we are inside */
		atomic_store_explicit(&r->granted, 0, memory_order_relaxed);
		return true;
	}
	doing_set(r, DOING_SECTION);
	/* Capacity is the number of members: there is always room. */
	while (pc_queue_put(s->waiting, r, 0) != PC_OK)
		continue;
	if (atomic_fetch_add_explicit(&s->pending, 1, memory_order_acq_rel) != 0 /* S1 */)
		return false;
	first = first_in_line(s);
	if (first == r)
		return true;
	let_in(first);
	return false;
}

void section_leave(struct section *s)
{
	if (atomic_fetch_sub_explicit(&s->pending, 1, memory_order_acq_rel) != 1 /* S2 */)
		let_in(first_in_line(s));
}
