/* engine/swap-probation.c: the first items on new code, each of which can be undone.
 *
 * Called by process.c on the thread that runs the replica. Before an item (a call of produce() or
 * finish() counts as one) the state is copied. When the item fails its output is cut off as always,
 * the state is put back, the replica goes back to the build it came from, and the same item is
 * done by that. So nothing is lost, doubled or out of order; what the new code did before that
 * stands, since other items came of it.
 *
 * A copy of bytes can be put back only if nothing behind them has moved: when a failed call has
 * changed a word that points to memory (a buffer that has grown, say), the old pointer may lead
 * nowhere. Then the state stays as the failed call left it, which is what the old code gets after
 * any failed item.
 *
 * When the way back is the state as it was at the cut (migrate() can not be inverted), it would
 * forget the items done since. So it is open until the first replica has done its first item:
 * `bond` decides between that and a failure, by one exchange. A first item that comes too late for
 * that is undone, too; when it can not be, because memory has moved, it stays done.
 *
 * A build that one replica trusts, or whose state was made anew, is one that the next cut leads back
 * to. Before such a cut is begun the same exchange closes the way back for the replicas that are still
 * on probation: one that went back to the build before, on its own account, would be on a build that
 * neither cut knows a way from. If its item fails now, on_error decides.
 */
#include "engine/engine.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

bool swap_is_mapped(uintptr_t word)
{
	unsigned char here;
	uintptr_t page = word & ~(uintptr_t)4095;

	/* mincore() answers ENOMEM where nothing is mapped; it does not look at the contents. */
	return word > 65535 && mincore((void *)page, 1, &here) == 0;
}

/* A word that has changed since the copy pointed to memory, or does so now. */
static bool pointers_changed(const char *now, const char *before, size_t size)
{
	for (size_t i = 0; i + sizeof(uintptr_t) <= size; i += sizeof(uintptr_t)) {
		uintptr_t a, b;

		memcpy(&a, before + i, sizeof(a));
		memcpy(&b, now + i, sizeof(b));
		if (a != b && (swap_is_mapped(a) || swap_is_mapped(b)))
			return true;
	}
	return false;
}

/* The replica is on the build that is on probation (and not back already). */
static bool on_trial(const struct replica *r)
{
	return r->probation > 0 && r->build == r->swap.cut->to;
}

static void fall(struct replica *r)
{
	struct passage *p = r->swap.passage;

	if (!p->why) {
		p->why = r->fail_text;
		r->fail_text = NULL;
	}
	free(r->fail_text);
	r->fail_text = NULL;
	p->failed = true;
	atomic_store_explicit(&r->build->bad, true, memory_order_release); /* SW8 */
	swap_go_back(r);
	atomic_store_explicit(&p->fell, true, memory_order_release); /* SW3 */
	control_post(r->engine, &r->swapped);
}

/* False: it has been decided the other way. */
static bool tie(struct cut *cut, enum bond bond)
{
	uint32_t seen = BOND_NONE;

	return atomic_compare_exchange_strong_explicit(&cut->bond, &seen, bond,
	                                               memory_order_acq_rel /* SW10 */,
	                                               memory_order_acquire /* SW10 */) ||
	       seen == (uint32_t)bond;
}

bool swap_close_way_back(struct cut *cut)
{
	return tie(cut, BOND_TIED);
}

void swap_before_item(struct replica *r)
{
	const struct build *b = r->build;
	size_t size = b->desc->state_size;

	if (!on_trial(r))
		return;
	r->snapped = r->swap.passage->snapshot &&
	             (size <= SWAP_SNAPSHOT_BYTES || r->probation == SWAP_PROBATION);
	if (r->snapped)
		memcpy(r->swap.passage->snapshot, r->state, size);
}

/* The item can not be undone. */
static bool has_moved(const struct replica *r)
{
	size_t size = r->build->desc->state_size;

	return size > 0 &&
	       (!r->snapped || pointers_changed(r->state, r->swap.passage->snapshot, size));
}

bool swap_item_passed(struct replica *r)
{
	struct cut *cut = (struct cut *)(uintptr_t)r->swap.cut;

	if (!on_trial(r))
		return true;
	if (cut->forgets && r->probation == SWAP_PROBATION && !tie(cut, BOND_TIED) &&
	    !has_moved(r))
		return false;
	if (--r->probation > 0)
		return true;
	atomic_store_explicit(&r->swap.passage->trusted, true, memory_order_release); /* SW3 */
	control_post(r->engine, &r->swapped);
	return true;
}

bool swap_item_failed(struct replica *r, int result)
{
	struct cut *cut = (struct cut *)(uintptr_t)r->swap.cut;
	struct passage *p = r->swap.passage;
	size_t size = r->build->desc->state_size;
	bool moved;

	if (!on_trial(r) || (result == PC_STOPPED && pc_stopping(&r->pub)))
		return false;
	moved = has_moved(r);
	if ((cut->forgets && moved) || !tie(cut, BOND_BACK))
		return false;
	p->as_left = moved;
	if (!moved && size > 0 && !LEFT_OUT(FAULT_SNAPSHOT))
		memcpy(r->state, p->snapshot, size);
	fall(r);
	return true;
}
