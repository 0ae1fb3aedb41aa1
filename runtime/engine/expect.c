/* engine/expect.c: memory that will be needed next is asked for while there is something else to do.
 *
 * Called by activate.c on the thread that runs the replica. Nothing here changes anything.
 *
 * Pairs
 *   SW1 launch of swap.c -> SW2 cut_that_waits: acquire target    the cut; see swap.h
 */
#include "engine/engine.h"

#include "base/prefetch.h"

/* The next stage will run when this one has published, most often at once and on this core, and in a
 * large graph all that it needs is far away: while this one works it comes. That is a replica, the
 * stage in front of it and what lies behind it (create-stage.c): 20 lines that would be waited for one
 * after the other. */
void expect_next(const struct replica *r)
{
	const struct place *p;

	if (r->n_outputs != 1 || r->outputs->n_lanes != 1)
		return;
	p = r->outputs->lanes->place;
	queue_expect_put(p->queue);
	if (!p->ahead)
		return;
	prefetch_bytes((const char *)p->ahead - sizeof(struct stage), 3 * PREFETCH_LINE);
	prefetch_bytes(p->ahead, sizeof(struct replica) + 6 * PREFETCH_LINE);
}

const struct cut *cut_that_waits(const struct replica *r)
{
	const struct cut *cut = LEFT_OUT(FAULT_SWAP)
	                                ? NULL
	                                : atomic_load_explicit(&r->stage->swap.target,
	                                                       memory_order_acquire); /* SW2 */

	return cut != r->swap.cut ? cut : NULL;
}

/* It, and the head of the queues, were just written on another core. */
void expect_cut(const struct replica *r)
{
	const struct cut *cut = cut_that_waits(r);

	if (!cut)
		return;
	prefetch_bytes(cut, sizeof(*cut));
	prefetch_bytes_to_write(&cut->passages[r->pub.replica], sizeof(struct passage));
	for (uint32_t i = 0; i < r->stage->desc->n_inputs; i++)
		queue_expect_take(r->inputs[i].place->queue);
}

/* What the replica writes of itself is seldom used, or was looked at by the control thread. */
void expect_build(const struct replica *r, const struct cut *cut)
{
	prefetch_bytes_to_write(&r->swap, sizeof(r->swap));
	prefetch_to_write(&r->build->items);
	prefetch_bytes(cut->routes, sizeof(*cut->routes));
	prefetch_bytes(cut->to, sizeof(*cut->to));
	prefetch_bytes(cut->to->desc, sizeof(*cut->to->desc));
	prefetch_to_write(cut->passages[r->pub.replica].snapshot);
}
