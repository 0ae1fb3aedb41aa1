/* engine/place.c: a queue at run time: who still writes and reads, and when it is drained.
 *
 * Called on every thread. A place is drained when all its non-daemon writers have ended and
 * every item put has been done, or when nobody is left to read. Writer and counter each change
 * their own word and then look at the other's: sequentially consistent on both sides, or both
 * could miss the moment (the store-then-look pattern).
 *
 * Pairs
 *   P1 place_done: seq_cst unfinished -> P2 place_writer_end: seq_cst unfinished    last item, last writer
 *   P3 place_writer_end: seq_cst writers -> P4 place_done: seq_cst writers          likewise
 *   P5 place_reader_end: acq_rel readers -> itself    all that the readers did, before the last one
 */
#include "engine/engine.h"

void place_put(struct place *p, size_t n)
{
	if (p->loop)
		loop_put(p->loop, n);
	if (p->tracked)
		/* relaxed: the writer is counted in `writers` until after its last put */
		atomic_fetch_add_explicit(&p->unfinished, n, memory_order_relaxed);
}

void place_done(struct place *p, size_t n)
{
	if (n == 0)
		return;
	if (p->loop)
		loop_done(p->loop, n);
	if (!p->tracked)
		return;
	if (atomic_fetch_sub_explicit(&p->unfinished, n, memory_order_seq_cst) == n /* P1 */ &&
	    atomic_load_explicit(&p->writers, memory_order_seq_cst) == 0 /* P4 */)
		control_post(p->engine, &p->message);
}

void place_writer_end(struct place *p, const struct stage *s)
{
	bool daemon = s->plan->daemon;

	if ((!daemon || p->daemon_only) && !loop_inside(s, p))
		pc_queue_writer_end(p->queue);
	if (p->loop && s->loop != p->loop && !daemon)
		loop_outside_end(p->loop);
	if (!daemon &&
	    atomic_fetch_sub_explicit(&p->writers, 1, memory_order_seq_cst) == 1 /* P3 */ &&
	    p->tracked &&
	    atomic_load_explicit(&p->unfinished, memory_order_seq_cst) == 0 /* P2 */)
		control_post(p->engine, &p->message);
}

/* The writer counts first, so that no moment shows the queue without one. */
bool place_writer_begin(struct place *p, const struct plan_stage *s)
{
	if (!s->daemon)
		/* relaxed: only an end looks whether it is the last */
		atomic_fetch_add_explicit(&p->writers, 1, memory_order_relaxed);
	if ((s->daemon && !p->daemon_only) || pc_queue_writer_add(p->queue) == PC_OK)
		return true;
	if (!s->daemon)
		/* relaxed: as above */
		atomic_fetch_sub_explicit(&p->writers, 1, memory_order_relaxed);
	return false;
}

bool place_reader_begin(struct place *p)
{
	if (pc_queue_reader_add(p->queue) != PC_OK)
		return false;
	/* relaxed: as above */
	atomic_fetch_add_explicit(&p->readers, 1, memory_order_relaxed);
	return true;
}

void place_reader_end(struct place *p)
{
	pc_queue_reader_end(p->queue);
	if (atomic_fetch_sub_explicit(&p->readers, 1, memory_order_acq_rel) == 1 /* P5 */ &&
	    p->tracked)
		control_post(p->engine, &p->message);
}

void place_drop(void *place, void *item)
{
	struct place *p = place;

	item_unref(item_cache_current(), item);
	place_done(p, 1);
}
