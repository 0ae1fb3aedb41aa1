/* engine/swap-pass.c: a replica passes a cut: from here on it runs other code.
 *
 * Called on the thread that runs the replica, between two of its callbacks: by activate.c after a
 * take that carried the new version bit, and at the begin of an activation when the stage has a
 * new target. Nothing here waits; memory was made by the control thread.
 *
 * Adopting costs a few stores. What must not be in the way of the next item (telling the control
 * thread, which may be a system call) is put off until those that were taken are done: swap_tell().
 */
#include "engine/engine.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

static bool is_bad(struct build *b)
{
	return atomic_load_explicit(&b->bad, memory_order_acquire); /* SW9 */
}

static const struct route *route_from(const struct cut *cut, const struct build *from)
{
	const struct route *route = cut->routes;

	while (route && route->from != from)
		route = route->next;
	return route;
}

static void drop(struct passage *p, const struct dropped *what)
{
	if (!what->instance.state)
		return;
	if (p->dropped[0].instance.state)
		p->dropped[1] = *what;
	else
		p->dropped[0] = *what;
}

static void copy_number(const struct copy *c, const char *from, char *to)
{
	uint32_t number;

	memcpy(&number, from + c->from, sizeof(number));
	if (number >= c->n_numbers || c->numbers[number] == PLAN_NONE)
		return;
	memcpy(to + c->to, &c->numbers[number], sizeof(number));
}

static void copy_all(const struct copy *copies, uint32_t n, const void *from, void *to)
{
	for (uint32_t i = 0; i < n; i++)
		if (copies[i].numbers)
			copy_number(&copies[i], from, to);
		else
			memcpy((char *)to + copies[i].to, (const char *)from + copies[i].from,
			       copies[i].size);
}

/* Bytes that no table explains, and that hold something all the same. */
static bool unexplained(const struct route *route, const char *state, char **ret_why)
{
	for (uint32_t i = 0; i < route->n_zeros; i++)
		for (size_t k = 0; k < route->zeros[i].size; k++) {
			size_t at = route->zeros[i].offset + k;

			if (state[at] == 0)
				continue;
			if (asprintf(ret_why,
			             "byte %zu of the state holds something that would be lost",
			             at) < 0)
				*ret_why = NULL;
			return true;
		}
	return false;
}

/* A fresh state has heard nothing yet of the inputs; the one that is put aside has. */
static void forget_inputs(struct replica *r)
{
	for (uint32_t i = 0; i < r->stage->desc->n_inputs; i++) {
		struct input *in = &r->inputs[i];

		in->aside.told = in->told;
		in->aside.unwanted = in->unwanted;
		in->told = in->unwanted = false;
	}
}

static void remember_inputs(struct replica *r)
{
	for (uint32_t i = 0; i < r->stage->desc->n_inputs; i++) {
		struct input *in = &r->inputs[i];

		in->told = in->aside.told;
		in->unwanted = in->aside.unwanted;
	}
}

/* Whose state that is which is put aside. All builds since the one that the way back leads to have
 * adopted it, so it is of that one's layout; and that one is kept, while those between may be gone
 * before it is used. */
static struct build *owner_aside(const struct replica *r, const struct cut *cut)
{
	struct build *first = cut->back ? cut->back->to : r->build;

	return first->desc->state_size == r->build->desc->state_size ? first : r->build;
}

/* The new state takes over; the old one is kept for the way back, or dropped when an older one is
 * kept already. */
static void move_to(struct replica *r, const struct cut *cut, struct passage *p, bool close)
{
	struct dropped left = {{r->build, r->state}, close ? p->closing : NULL};

	if (close)
		p->closing = NULL;
	else
		left.instance.build = owner_aside(r, cut);
	if (r->swap.aside.instance.state)
		drop(p, &left);
	else
		r->swap.aside = left;
	r->state = p->fresh;
	p->fresh = NULL;
}

static bool migrate(struct replica *r, const struct route *route, struct passage *p)
{
	int rc;

	/* It may last, and others may read the queue that has woken this one. */
	waiting_pass(r);
	doing_set(r, DOING_CALLBACK);
	copy_all(route->copies, route->n_copies, r->state, p->fresh);
	rc = guard_migrate(r, route->from, route->to, p->fresh);
	output_discard(r);
	if (rc >= 0)
		return true;
	p->why = r->fail_text;
	r->fail_text = NULL;
	return false;
}

static bool migrate_if_due(struct replica *r, const struct route *route, struct passage *p)
{
	/* without a route, go_forward() says so */
	return !route || route->way != WAY_MIGRATE || migrate(r, route, p);
}

bool swap_can_pass(const struct replica *r, const struct cut *cut, char **ret_why)
{
	const struct route *route = route_from(cut, r->build);

	if (route)
		return route->way != WAY_MAP || !unexplained(route, r->state, ret_why);
	if (asprintf(ret_why, "replica %u is back on v%u, and no way leads from there",
	             r->pub.replica, r->build->number) < 0)
		*ret_why = NULL;
	return false;
}

/* False: it stays where it is. */
static bool go_forward(struct replica *r, const struct cut *cut, struct passage *p)
{
	const struct route *route = route_from(cut, r->build);

	if (!swap_can_pass(r, cut, &p->why))
		return false;
	switch (route->way) {
	case WAY_MAP:
		copy_all(route->copies, route->n_copies, r->state, p->fresh);
		break;
	case WAY_FRESH:
		forget_inputs(r);
		break;
	case WAY_ADOPT:
	case WAY_MIGRATE: /* done while it rested */
	case WAY_ASIDE:
		break;
	}
	if (cut->new_chain) {
		drop(p, &r->swap.aside);
		r->swap.aside = (struct dropped){0};
	}
	if (route->way == WAY_ADOPT) {
		copy_all(route->copies, route->n_copies, r->state, r->state);
		copy_all(route->sets, route->n_sets, cut->to->params, r->state);
	} else {
		move_to(r, cut, p, route->way == WAY_FRESH);
	}
	return true;
}

/* NULL: no way leads there. One that ends in the state which was put aside needs that. */
static const struct route *way_back(const struct replica *r, const struct cut *cut)
{
	const struct route *route = route_from(cut, r->build);
	const struct instance *aside = &r->swap.aside.instance;

	if (!route || route->way == WAY_ADOPT || (aside->state && aside->build == cut->to))
		return route;
	return NULL;
}

static void go_backward(struct replica *r, const struct cut *cut, const struct route *route,
                        struct passage *p)
{
	/* The state that lives again does not need it. */
	struct dropped left = {{r->build, r->state}, r->swap.aside.closing};

	if (route->way == WAY_ADOPT) {
		copy_all(route->copies, route->n_copies, r->state, r->state);
		drop(p, &r->swap.aside);
	} else {
		copy_all(route->copies, route->n_copies, r->state,
		         r->swap.aside.instance.state);
		r->state = r->swap.aside.instance.state;
		drop(p, &left);
		if (cut->closes)
			remember_inputs(r);
	}
	r->swap.aside = (struct dropped){0};
}

/* A word of a state that points into an image which is about to go. */
static void look_for_pointers(struct build *victim, const struct dropped *at)
{
	const char *state = at->instance.state;
	size_t size = state ? at->instance.build->desc->state_size : 0;

	for (size_t i = 0; i + sizeof(uintptr_t) <= size; i += sizeof(uintptr_t)) {
		uintptr_t word;

		memcpy(&word, state + i, sizeof(word));
		if (image_has(victim->origin->image, word)) {
			size_t none = 0;

			/* relaxed, both: told by `passed`. The first that finds one is enough. */
			if (atomic_compare_exchange_strong_explicit(
				    &victim->points, &none, i + 1, memory_order_relaxed,
				    memory_order_relaxed)) /* relaxed: as above */
				victim->pointee = word - victim->origin->image.begin;
			return;
		}
	}
}

static uint64_t handled(const struct replica *r)
{
	uint64_t n = r->taken_before;

	for (uint32_t i = 0; i < r->stage->desc->n_inputs; i++)
		n += count_read(&r->inputs[i].taken);
	return n;
}

static uint64_t emitted(const struct replica *r)
{
	uint64_t n = count_read(&r->emitted);

	for (uint32_t i = 0; i < r->n_outputs; i++)
		n += r->outputs[i].n; /* not counted before all of it is in the queues */
	return n;
}

static void become(struct replica *r, struct build *b, struct passage *p)
{
	uint64_t now = handled(r);

	/* relaxed: a figure */
	atomic_fetch_add_explicit(&r->build->items, now - r->swap.since, memory_order_relaxed);
	r->swap.since = now;
	r->build = b;
	replica_set_ports(r, b->out_ports ? 0 : r->stage->desc->n_outputs);
	p->now = (struct instance){b, r->state};
}

/* Whoever stops the replica calls stop() of the instance that it sees. If it came while we
 * changed, it has called the old one's: then the new one's is called here. */
static void show(struct replica *r, struct passage *p)
{
	atomic_store_explicit(&r->swap.instance, &p->now, memory_order_seq_cst); /* SW5 */
	if (atomic_load_explicit(&r->kick, memory_order_seq_cst) & KICK_STOP)    /* SW7 */
		guard_stop(r, r->build, r->state);
}

static void cross(struct replica *r, const struct cut *cut, struct passage *p);

/* The cut will be undone. Where this replica is may be a build that is on probation itself, which
 * nothing would protect from now on: so it goes at once where all will go. False: it is there, or
 * no way leads there. */
static bool turn_back(struct replica *r, const struct cut *cut)
{
	const struct cut *back = cut->back;

	if (!back || r->build == back->to || !way_back(r, back))
		return false;
	cross(r, back, (struct passage *)(uintptr_t)&back->passages[r->pub.replica]);
	return true;
}

/* Memory that the way through `cut` made is the passage's. */
static void cross(struct replica *r, const struct cut *cut, struct passage *p)
{
	const struct route *back = cut->is_back ? way_back(r, cut) : NULL;
	struct build *to = cut->to;

	if (back) {
		go_backward(r, cut, back, p);
	} else if (cut->is_back) {
		to = r->build; /* its state is of that, whatever the others do */
	} else if (is_bad(to)) {
		if (turn_back(r, cut))
			return; /* others have found out already */
		to = r->build;
	} else if (!go_forward(r, cut, p)) {
		atomic_store_explicit(&to->bad, true, memory_order_release); /* SW8 */
		atomic_store_explicit(&p->fell, true, memory_order_release); /* SW3 */
		if (turn_back(r, cut))
			return;
		to = r->build;
	}
	become(r, to, p);
	show(r, p);
}

/* It takes nothing any more, and has only to send what it has. The others may have to wait for that
 * (and in an ordered stage it for them): so it says that it rests, or passes, and stays on its
 * build. */
static bool is_at_its_end(const struct replica *r)
{
	return r->phase >= PHASE_LAST;
}

/* True: it rests, until all have migrated. */
static bool rests(struct replica *r, struct cut *cut, struct passage *p)
{
	if (atomic_load_explicit(&cut->go, memory_order_acquire) == GO_ON) /* SW18 */
		return false;
	if (p->rested)
		return true;
	p->rested = true;
	if (!is_at_its_end(r) && !migrate_if_due(r, route_from(cut, r->build), p))
		atomic_store_explicit(&p->fell, true, memory_order_release); /* SW3 */
	atomic_store_explicit(&p->resting, true, memory_order_release);      /* SW3 */
	control_post(r->engine, &r->swapped);
	return true;
}

/* Nothing has become of it, and this replica goes on, though another one may still be in migrate() and
 * the control thread put the old target back only when that has come out. (Of an ordered stage they go
 * on until it is that one's turn.) */
static void stay(struct replica *r, const struct cut *cut, struct passage *p)
{
	swap_unkick(r);
	r->swap.generation = cut->generation;
	atomic_store_explicit(&p->passed, true, memory_order_release); /* SW3 */
	control_post(r->engine, &r->swapped);
}

void swap_pass(struct replica *r, struct cut *cut)
{
	struct passage *p;
	int64_t begun;
	bool here;

	/* Of several inputs one may still have the bit, and the slot, of before. */
	if (!cut || r->swap.generation >= cut->generation)
		return;
	begun = clock_now_ns();
	p = &cut->passages[r->pub.replica];
	if (cut->rests && rests(r, cut, p))
		return;
	if (cut->failed) {
		stay(r, cut, p);
		return;
	}
	here = r->build == cut->to || is_at_its_end(r);
	if (here) {
		/* back already, on its own account, or about to end; it may still have something aside */
		p->now = (struct instance){r->build, r->state};
		show(r, p);
	} else {
		cross(r, cut, p);
	}
	for (unsigned i = 0; i < SWAP_VICTIMS && cut->victims[i]; i++) {
		struct dropped now = {{r->build, r->state}, NULL};

		look_for_pointers(cut->victims[i], &now);
		look_for_pointers(cut->victims[i], &r->swap.aside);
	}
	r->probation =
		cut->is_back || cut->in_set || here || r->build != cut->to ? 0 : SWAP_PROBATION;
	r->swap.generation = cut->generation;
	r->swap.cut = cut;
	r->swap.passage = p;
	r->snapped = false;
	r->untold = true;
	p->emitted = emitted(r);
	p->pause_ns = clock_now_ns() - begun;
	/* When the activation may last, the control thread is told at once. */
	if (r->has_thread ||
	    /* relaxed: an estimate */
	    atomic_load_explicit(&r->activation_ns, memory_order_relaxed) > PC_MS)
		swap_tell(r);
}

void swap_tell(struct replica *r)
{
	r->untold = false;
	swap_unkick(r);
	atomic_store_explicit(&r->swap.passage->passed, true, memory_order_release); /* SW3 */
	control_post(r->engine, &r->swapped);
}

/* An item failed on probation: this replica undoes the cut for itself. */
void swap_go_back(struct replica *r)
{
	const struct cut *back = r->swap.cut->back;

	cross(r, back, (struct passage *)(uintptr_t)&back->passages[r->pub.replica]);
	r->probation = 0;
}
