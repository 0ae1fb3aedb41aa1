/* engine/output.c: what a replica emitted, until it is in the queues.
 *
 * Called by the thread that runs the replica. Emissions gather in one list per output port. The
 * list is published in one queue operation per wired queue; what does not fit stays, and the
 * replica is not activated again before it has left (output_flush() comes first in every
 * activation), so memory is bounded by one activation's output.
 *
 * `mark` separates the output of finished inputs from that of the item in work: a failed item's
 * output is cut off there, so that none of it is ever seen. Nothing beyond the mark is published.
 * Updates of shared state (state.c) keep to the same marks, and come out before the output.
 *
 * A queue that a by= stage reads is one queue per replica: the port has a lane for each, and each
 * item goes into the lane that its key names. The order of equal keys is that of the list.
 *
 * A port wired to several queues puts each item into all of them: each item gets one reference
 * per queue before the first of them sees it.
 */
#include "engine/engine.h"

#include <stdio.h>
#include <stdlib.h>

static bool grow(struct replica *r, struct output *o)
{
	struct scratch *s = r->scratch;
	struct item **items;
	size_t room;

	if (o->room == 0 && s->n_spares > 0) {
		o->items = s->spares[--s->n_spares];
		o->room = ENGINE_BATCH_MANY;
		return true;
	}
	room = o->room ? o->room * 2 : ENGINE_BATCH_MANY;
	items = realloc(o->items, room * sizeof(struct item *));
	if (!items)
		return false;
	o->items = items;
	o->room = room;
	return true;
}

static void release_list(struct replica *r, struct output *o)
{
	struct scratch *s = r->scratch;

	if (o->room == ENGINE_BATCH_MANY && s->n_spares < ENGINE_SPARES)
		s->spares[s->n_spares++] = o->items;
	else
		free(o->items);
	o->items = NULL;
	o->room = 0;
}

/* A port that is not wired has no list, ever: it swallows here. */
int output_add_slow(struct replica *r, struct output *o, struct item *item)
{
	if (o->n_lanes == 0) {
		item_unref(r->cache, item);
		return PC_OK;
	}
	if (!grow(r, o)) {
		item_unref(r->cache, item);
		return PC_NOMEM;
	}
	o->items[o->n++] = item;
	return PC_OK;
}

void output_discard(struct replica *r)
{
	if (LEFT_OUT(FAULT_COMMIT))
		return;
	if (r->touched)
		state_discard(r);
	for (uint32_t i = 0; i < r->n_outputs; i++) {
		struct output *o = &r->outputs[i];

		while (o->n > o->mark) {
			struct item *item = o->items[--o->n];

			/* pc_pass() lent our own reference to the list: it comes back */
			if (&item->pub == r->pub.current && r->pub.passed)
				r->pub.passed = false;
			else
				item_unref(r->cache, item);
		}
	}
}

static void fail_full(struct replica *r, const struct place *p)
{
	free(r->fail_text);
	if (asprintf(&r->fail_text, "queue '%s' is full, and says full=error", p->plan->name) <
	    0)
		r->fail_text = NULL;
	engine_fail_replica(r, "an emission", NULL, 0);
}

/* Keys are worked out once per item, however many parts there are. */
static bool hash_keys(struct split *split, const struct output *o)
{
	if (split->room < o->room) {
		uint32_t *keys = realloc(split->keys, o->room * sizeof(*keys));

		if (!keys)
			return false;
		split->keys = keys;
		split->room = o->room;
	}
	for (; split->hashed < o->mark; split->hashed++)
		split->keys[split->hashed] =
			by_hash(&split->by, o->items[split->hashed]) % split->n_parts;
	return true;
}

/* The next items for this lane, at most ENGINE_BATCH: a stretch of the list itself, or picked out
 * of it into `picked`. *ret_to: where in the list to go on when all of them are in. */
static struct item **next_for(const struct output *o, const struct lane *lane,
                              struct item **picked, size_t *ret_n, size_t *ret_to)
{
	size_t at = lane->sent, n = 0;

	if (!lane->split) {
		*ret_n = o->mark - at;
		*ret_to = o->mark;
		return o->items + at;
	}
	for (; at < o->mark && n < ENGINE_BATCH; at++)
		if (lane->split->keys[at] == lane->part)
			picked[n++] = o->items[at];
	*ret_n = n;
	*ret_to = at;
	return picked;
}

/* Position after the n-th item of this lane. */
static size_t after(const struct lane *lane, size_t n)
{
	size_t at = lane->sent;

	if (!lane->split)
		return at + n;
	for (; n > 0; at++)
		if (lane->split->keys[at] == lane->part)
			n--;
	return at;
}

static void cut_off(struct replica *r, struct output *o, struct lane *lane)
{
	for (; lane->sent < o->mark; lane->sent++) {
		if (lane->split && lane->split->keys[lane->sent] != lane->part)
			continue;
		/* relaxed: a counter for the ledger, read after the end */
		atomic_fetch_add_explicit(&lane->place->cut_off, 1, memory_order_relaxed);
		item_unref(r->cache, o->items[lane->sent]);
	}
}

/* True when all that is marked is in the queue (or nobody wants it). */
static bool flush_lane(struct replica *r, struct output *o, struct lane *lane)
{
	struct place *p = lane->place;
	struct item *picked[ENGINE_BATCH];

	if (lane->split && !hash_keys(lane->split, o))
		return false;
	while (lane->sent < o->mark && !lane->closed) {
		size_t n, to, put = 0;
		struct item **items = next_for(o, lane, picked, &n, &to);
		int rc = PC_OK;

		place_put(p, n);
		if (n > 0)
			rc = queue_put_batch(p->queue, (void *const *)items, n, &put);
		place_done(p, n - put);
		lane->sent = put == n ? to : after(lane, put);
		if (rc == PC_CLOSED) {
			lane->closed = true;
		} else if (rc == PC_FULL && p->plan->full == PC_FULL_ERROR) {
			fail_full(r, p);
			lane->closed = true;
		} else if (rc != PC_OK) {
			return false;
		}
	}
	if (lane->sent < o->mark)
		cut_off(r, o, lane);
	return true;
}

void output_share(struct output *o)
{
	for (; o->n_queues > 1 && o->shared < o->mark; o->shared++)
		item_ref(o->items[o->shared], o->n_queues - 1);
	o->shared = o->mark;
}

static bool flush_port(struct replica *r, struct output *o)
{
	bool all = true;

	output_share(o);
	for (uint32_t i = 0; i < o->n_lanes; i++)
		if (!flush_lane(r, o, &o->lanes[i]))
			all = false;
	if (!all || o->mark < o->n)
		return all;
	count_add(&r->emitted, o->n);
	o->n = o->mark = o->shared = 0;
	for (uint32_t i = 0; i < o->n_lanes; i++)
		o->lanes[i].sent = 0;
	for (struct split *split = o->splits; split; split = split->next)
		split->hashed = 0;
	release_list(r, o);
	return true;
}

bool output_send_rest(struct replica *r, struct output *o, struct lane *lane)
{
	struct place *p = lane->place;
	size_t more = o->mark - lane->sent;
	bool sent;

	if (more == 0)
		return true;
	output_share(o);
	queue_set_policy(p->queue, (uint32_t)(queue_held(p->queue) + more), p->plan->full);
	sent = flush_lane(r, o, lane);
	queue_set_policy(p->queue, p->plan->capacity, p->plan->full);
	return sent;
}

void output_splits_free(struct split *split)
{
	while (split) {
		struct split *next = split->next;

		free(split->keys);
		free(split);
		split = next;
	}
}

bool output_flush(struct replica *r)
{
	bool all = true;

	if (r->touched)
		state_publish(r);
	if (!order_mine(r))
		return false;

	for (uint32_t i = 0; i < r->n_outputs; i++)
		if (r->outputs[i].n > 0 && !flush_port(r, &r->outputs[i]))
			all = false;
	return all;
}

void output_abandon(struct replica *r)
{
	output_discard(r);
	for (uint32_t i = 0; i < r->n_outputs; i++) {
		struct output *o = &r->outputs[i];

		for (uint32_t k = 0; k < o->n_lanes; k++)
			o->lanes[k].closed = true;
		if (o->n > 0)
			flush_port(r, o);
	}
}

bool output_all_closed(const struct replica *r)
{
	bool wired = false;

	for (uint32_t i = 0; i < r->stage->desc->n_outputs; i++)
		for (uint32_t k = 0; k < r->outputs[i].n_lanes; k++) {
			const struct lane *lane = &r->outputs[i].lanes[k];

			if (!lane->closed && !queue_put_closed(lane->place->queue))
				return false;
			wired = true;
		}
	return wired;
}

static bool may_fill(const struct lane *lane)
{
	return !lane->closed && lane->place->plan->full == PC_FULL_BLOCK;
}

size_t output_room(const struct replica *r)
{
	size_t room = SIZE_MAX;

	for (uint32_t i = 0; i < r->n_outputs; i++)
		for (uint32_t k = 0; k < r->outputs[i].n_lanes; k++) {
			const struct lane *lane = &r->outputs[i].lanes[k];
			size_t here;

			if (!may_fill(lane) || queue_put_closed(lane->place->queue))
				continue;
			here = queue_room(lane->place->queue);
			if (here < room)
				room = here;
		}
	return room;
}

bool output_arm(struct replica *r)
{
	bool asleep = false;

	for (uint32_t i = 0; i < r->n_outputs; i++)
		for (uint32_t k = 0; k < r->outputs[i].n_lanes; k++) {
			struct output *o = &r->outputs[i];
			struct lane *lane = &o->lanes[k];
			bool pending = lane->sent < o->mark;

			if (!may_fill(lane) || (!pending && queue_room(lane->place->queue) > 0))
				continue;
			/* There was none a moment ago: if there is now, try again, or it would have
			 * to wait until another output that is full has room. The queue says so
			 * exactly; one whose memory waits for a grace period has none, and lets
			 * us sleep as well. */
			if (!waiting_arm_put(&lane->waiting))
				return false;
			asleep = true;
		}
	return asleep;
}
