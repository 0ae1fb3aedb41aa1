/* engine/order.c: `ordered`: several replicas work, and what they emit leaves in input order.
 *
 * Called by the threads that run the stage's replicas. Each take gets a ticket; taking and
 * numbering happen as one step, guarded by `taking`, which nobody waits for: a replica that finds
 * it held runs again later. A replica may publish only when `turn` is its ticket, and moves the
 * turn on when all that its items emitted is in the queues. So each replica holds back at most
 * one activation's output: that is the bound of the reorder memory.
 *
 * A replica that has to wait for its turn says which one, then looks at the turn again; the one
 * that moves the turn on looks who waits for it. Both write, then look: sequentially consistent,
 * or both could miss it.
 *
 * finish() takes a ticket, too, so what it emits comes after all that the items gave.
 *
 * Pairs
 *   D1 order_release: release taking -> D2 order_try: acq_rel taking    the next ticket
 *   D3 order_wait: seq_cst waits_turn -> D4 order_next: seq_cst waits_turn    who to wake
 *   D5 order_next: seq_cst turn -> D6 order_wait, order_mine: seq_cst turn    what was published
 */
#include "engine/engine.h"

bool order_try(struct order *o)
{
	return !atomic_exchange_explicit(&o->taking, true, memory_order_acq_rel); /* D2 */
}

void order_release(struct order *o)
{
	atomic_store_explicit(&o->taking, false, memory_order_release); /* D1 */
}

void order_ticket(struct order *o, struct replica *r)
{
	r->ticket = o->next_ticket++;
	r->has_ticket = true;
}

bool order_mine(const struct replica *r)
{
	struct order *o = r->stage->order;

	return !o || !r->has_ticket ||
	       atomic_load_explicit(&o->turn, memory_order_seq_cst) == r->ticket; /* D6 */
}

bool order_wait(struct replica *r)
{
	struct order *o = r->stage->order;

	atomic_store_explicit(&r->waits_turn, r->ticket + 1, memory_order_seq_cst); /* D3 */
	return atomic_load_explicit(&o->turn, memory_order_seq_cst) != r->ticket;   /* D6 */
}

void order_next(struct replica *r)
{
	struct stage *s = r->stage;
	uint64_t turn = r->ticket + 1;

	if (!s->order || !r->has_ticket)
		return;
	r->has_ticket = false;
	/* relaxed: nobody moves the turn to ours again */
	atomic_store_explicit(&r->waits_turn, 0, memory_order_relaxed);
	atomic_store_explicit(&s->order->turn, turn, memory_order_seq_cst); /* D5 */
	for (uint32_t i = 0; i < s->n_replicas; i++)
		if (atomic_load_explicit(&s->replicas[i]->waits_turn,
		                         memory_order_seq_cst) /* D4 */
		    == turn + 1)
			task_notify(s->replicas[i]);
}
