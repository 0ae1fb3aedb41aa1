/* engine/reload-wire.c: lanes, inputs, and who keeps a queue open, while those concerned rest.
 *
 * Control thread. The steps are those of reload.h; each is called by reload-apply.c.
 */
#include "engine/engine.h"

#include <stdlib.h>

/* --------------------------------------------------------------------------------- lanes --- */

static struct lane *lane_to(const struct output *o, const struct place *p)
{
	for (uint32_t i = 0; i < o->n_lanes; i++)
		if (o->lanes[i].place == p)
			return &o->lanes[i];
	return NULL;
}

static bool has_lane_to(const struct rewire *w, const struct place *p)
{
	for (uint32_t i = 0; i < w->n_lanes; i++)
		if (w->lanes[i].place == p)
			return true;
	return false;
}

static bool send_rest(struct rewire *w)
{
	struct replica *r = w->replica;
	struct output *o = &r->outputs[w->port];

	/* It is new; or nothing is left to be sent, and another thread closes it. */
	if (w->outputs || r->reported)
		return true;
	replica_set_cache(r, &r->engine->control_cache);
	for (uint32_t i = 0; i < o->n_lanes; i++)
		if (!has_lane_to(w, o->lanes[i].place) && !output_send_rest(r, o, &o->lanes[i]))
			return false;
	return true;
}

/* What an ordered stage has emitted leaves in the order of its tickets. */
static struct rewire *next_in_turn(struct reload *now, const struct rewire *done)
{
	struct rewire *next = NULL;

	for (struct rewire *w = now->rewires; w; w = w->next)
		if (w->replica->stage == done->replica->stage && w->replica->has_ticket &&
		    w->replica->ticket > done->replica->ticket && w->port == done->port &&
		    (!next || w->replica->ticket < next->replica->ticket))
			next = w;
	return next;
}

static bool is_first_in_turn(const struct reload *now, const struct rewire *w)
{
	for (const struct rewire *v = now->rewires; v; v = v->next)
		if (v->replica->stage == w->replica->stage && v->port == w->port &&
		    v->replica->has_ticket && v->replica->ticket < w->replica->ticket)
			return false;
	return true;
}

bool reload_send_rests(struct reload *now)
{
	for (struct rewire *w = now->rewires; w; w = w->next) {
		if (!w->replica->stage->order || !w->replica->has_ticket) {
			if (!send_rest(w))
				return false;
			continue;
		}
		for (struct rewire *v = is_first_in_turn(now, w) ? w : NULL; v;
		     v = next_in_turn(now, v))
			if (!send_rest(v))
				return false;
	}
	return true;
}

/* All that was emitted has left, by lanes that are gone. */
static void forget_list(struct replica *r, struct output *o)
{
	count_add(&r->emitted, o->n);
	free(o->items);
	o->items = NULL;
	o->n = o->mark = o->shared = o->room = 0;
}

/* Keys are of items that may have left through another lane and be gone: they can not be worked out
 * again. A queue that stays has them; one that is new is not given those items at all. */
static void carry_keys(struct split *split, const struct lane *was, size_t mark)
{
	if (!was || !was->split) {
		split->hashed = mark;
	} else if (was->split->keys) {
		split->keys = was->split->keys;
		split->room = was->split->room;
		split->hashed = was->split->hashed;
		was->split->keys = NULL;
	}
}

void reload_swap_lanes(struct rewire *w)
{
	struct replica *r = w->replica;
	bool dead = w->port == r->stage->desc->n_outputs;
	struct output *o;

	if (w->outputs)
		create_more_outputs(r, w->outputs);
	w->outputs = NULL;
	o = &r->outputs[w->port];
	if (o->n > 0)
		output_share(o);
	for (uint32_t i = 0; i < w->n_lanes; i++) {
		struct lane *lane = &w->lanes[i], *was = lane_to(o, lane->place);

		lane->waiting.queue = lane->place->queue;
		lane->sent = was ? was->sent : o->mark;
		lane->closed = was ? was->closed : false;
		if (lane->split)
			carry_keys(lane->split, was, o->mark);
	}
	create_lanes_free(r, o->lanes);
	output_splits_free(o->splits);
	o->lanes = w->lanes;
	o->splits = w->splits;
	o->n_lanes = w->n_lanes;
	o->n_queues = w->n_queues;
	w->lanes = NULL;
	w->splits = NULL;
	if (o->n_lanes == 0)
		forget_list(r, o);
	if (dead)
		r->n_outputs = w->port + (o->n_lanes > 0 ? 1 : 0);
}

/* -------------------------------------------------------------------------------- inputs --- */

void reload_attach(struct input *in)
{
	in->next_reading = in->place->reading;
	in->place->reading = in;
}

/* What it has done there stays in the ledger of that queue. */
void reload_detach(struct input *in)
{
	struct place *p = in->place;
	struct input **at = &p->reading;
	uint64_t taken = count_read(&in->taken);

	while (*at != in)
		at = &(*at)->next_reading;
	*at = in->next_reading;
	p->past.done += count_read(&in->done);
	p->past.dead += count_read(&in->dead);
	p->past.abandoned += count_read(&in->abandoned);
	in->waiting.replica->taken_before += taken;
	/* relaxed, all: the replica rests, others look under `shape` */
	atomic_store_explicit(&in->taken, 0, memory_order_relaxed);
	atomic_store_explicit(&in->done, 0, memory_order_relaxed);      /* relaxed: so */
	atomic_store_explicit(&in->dead, 0, memory_order_relaxed);      /* relaxed: so */
	atomic_store_explicit(&in->abandoned, 0, memory_order_relaxed); /* relaxed: so */
}

void reload_place_input(struct input *in, struct place *p)
{
	if (in->place == p)
		return;
	reload_detach(in);
	in->place = p;
	in->waiting.queue = p->queue;
	reload_attach(in);
}

void reload_input_moves(struct replica *r)
{
	struct engine *e = r->engine;

	for (uint32_t i = 0; i < r->stage->desc->n_inputs; i++) {
		struct input *in = &r->inputs[i];
		struct move *m = in->moves;

		/* What it took there and has not sent on is done there. */
		if (!in->closed || !m || in->undone > 0)
			continue;
		place_reader_end(in->place);
		pthread_mutex_lock(&e->shape);
		reload_place_input(in, m->to);
		pthread_mutex_unlock(&e->shape);
		in->closed = in->told = in->unwanted = false;
		in->moves = m->next;
		r->n_moves -= !in->moves;
		free(m);
	}
}

static struct place *part_of(struct place *p, uint32_t index)
{
	for (uint32_t i = 0; p->next_part && i < index; i++)
		p = p->next_part;
	return p;
}

struct place *reload_input_place(struct place *const *places, const struct replica *r,
                                 uint32_t queue)
{
	return part_of(places[queue], r->pub.replica);
}

/* Where it will take from in the end, as things are. */
static struct move **last_move(struct input *in)
{
	struct move **at = &in->moves;

	while (*at && (*at)->next)
		at = &(*at)->next;
	return at;
}

struct place *reload_input_end(struct input *in)
{
	struct move **last = last_move(in);

	return *last ? (*last)->to : in->place;
}

/* Queues that stay are left at once, to those who go on reading them. */
static void leave(struct replica *r, struct input *in, const struct plan *plan)
{
	struct move **last = last_move(in);

	if (*last && !plan->queues[(*last)->to->index].gone) {
		place_reader_end((*last)->to);
		free(*last);
		*last = NULL;
		r->n_moves -= !in->moves;
	} else if (!*last && !plan->queues[in->place->index].gone) {
		in->closed = true;
	}
}

void reload_move_inputs(struct replica *r, const struct plan_stage *to, struct reload *now)
{
	for (uint32_t i = 0; i < r->stage->desc->n_inputs; i++) {
		struct input *in = &r->inputs[i];
		struct place *p = reload_input_place(now->places, r, to->inputs[i].queue);
		struct move **last, *m;

		if (reload_input_end(in) == p)
			continue;
		leave(r, in, now->plan);
		m = now->moves;
		now->moves = m->next;
		*m = (struct move){.to = p};
		r->n_moves += !in->moves;
		last = last_move(in);
		if (*last)
			(*last)->next = m;
		else
			in->moves = m;
	}
}

/* The end of the stream, for a replica that goes: at once where others go on reading. */
void reload_leave_inputs(struct replica *r, const struct plan *plan, bool at_once)
{
	for (uint32_t i = 0; i < r->stage->desc->n_inputs; i++) {
		struct input *in = &r->inputs[i];

		leave(r, in, plan);
		if (!at_once)
			continue;
		while (in->moves) {
			struct move *m = in->moves;

			place_reader_end(m->to);
			in->moves = m->next;
			r->n_moves -= !in->moves;
			free(m);
		}
		in->closed = true;
	}
}
