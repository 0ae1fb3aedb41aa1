/* engine/reload-make.c: what a reload needs is made beside what runs; or all of it is undone.
 *
 * Control thread. Nothing that runs can see what is made here. Whatever fails, memory or an
 * open(), reload_undo() takes all of it back. New queues have one writer and one reader of ours
 * until the rest is counted in.
 */
#include "engine/engine.h"

#include "base/error.h"
#include "loader/param.h"

#include <stdlib.h>
#include <string.h>

static int nomem(struct pc_error **err)
{
	return error_set(err, PC_NOMEM, "out of memory; nothing was changed");
}

/* ------------------------------------------------------------------------- who must rest --- */

static bool writes_changed(const struct plan_difference *d, const struct stage *s)
{
	for (uint32_t k = 0; k < s->n_replicas; k++) {
		const struct replica *r = s->replicas[k];

		for (uint32_t o = 0; o < r->n_outputs; o++)
			for (uint32_t l = 0; l < r->outputs[o].n_lanes; l++)
				if (d->queues[r->outputs[o].lanes[l].place->index])
					return true;
	}
	return false;
}

static bool reads_changed(const struct plan_difference *d, const struct stage *s)
{
	for (uint32_t k = 0; k < s->n_replicas; k++)
		for (uint32_t i = 0; i < s->desc->n_inputs; i++)
			if (d->queues[s->replicas[k]->inputs[i].place->index])
				return true;
	return false;
}

static bool touch(struct engine *e, struct reload *now)
{
	const struct plan_difference *d = now->request->difference;
	const unsigned itself = ~(unsigned)(CHANGE_PLUGIN | CHANGE_ADDED);

	now->touched = calloc(e->plan->n_stages + 1, sizeof(*now->touched));
	for (uint32_t i = 0; now->touched && i < e->plan->n_stages; i++) {
		const struct stage *s = e->stages[i];
		/* Of one that has ended, and is being closed, only a successor wants to know. */
		bool over = s->live == 0 && !(d->stages[i] & CHANGE_GONE);

		now->touched[i] = !flag_is(&s->ended) && !over &&
		                  ((d->stages[i] & itself) || writes_changed(d, s) ||
		                   reads_changed(d, s));
	}
	return now->touched != NULL;
}

/* ------------------------------------------------------------------------------ new parts --- */

static bool grow_lists(struct engine *e, struct reload *now)
{
	const struct plan *old = e->plan, *plan = now->plan;

	now->stages = calloc(plan->n_stages + 1, sizeof(struct stage *));
	now->places = calloc(plan->n_queues + 1, sizeof(struct place *));
	now->sections = calloc(plan->n_sections + 1, sizeof(struct section *));
	if (!now->stages || !now->places || !now->sections)
		return false;
	memcpy(now->stages, e->stages, old->n_stages * sizeof(struct stage *));
	memcpy(now->places, e->places, old->n_queues * sizeof(struct place *));
	memcpy(now->sections, e->sections, old->n_sections * sizeof(struct section *));
	for (uint32_t i = 0; i < old->n_stages; i++)
		if (reload_adds_stage(now, i))
			now->stages[i] = NULL; /* it is made, or not */
	return true;
}

/* Of all that stays or goes, and is not as it was. */
static bool make_rows(struct engine *e, struct reload *now)
{
	const struct plan_difference *d = now->request->difference;
	bool ok = true;

	now->stage_rows = calloc(e->plan->n_stages + 1, sizeof(struct stage_row *));
	now->queue_rows = calloc(e->plan->n_queues + 1, sizeof(struct plan_queue *));
	if (!now->stage_rows || !now->queue_rows)
		return false;
	for (uint32_t i = 0; i < e->plan->n_stages && ok; i++)
		if (now->touched[i]) {
			now->stage_rows[i] = reload_stage_row(e, &now->plan->stages[i]);
			ok = now->stage_rows[i];
		}
	for (uint32_t i = 0; i < e->plan->n_queues && ok; i++)
		if (d->queues[i] && !reload_adds_queue(now, i)) {
			now->queue_rows[i] = reload_queue_row(e, &now->plan->queues[i]);
			ok = now->queue_rows[i];
		}
	return ok;
}

static bool has_worker(const struct plan *plan, const struct plan_queue *q)
{
	for (uint32_t i = 0; i < q->n_writers; i++)
		if (!plan->stages[q->writers[i]].daemon)
			return true;
	return false;
}

static int make_places(struct engine *e, struct reload *now)
{
	int rc = PC_OK;

	for (uint32_t i = 0; i < now->plan->n_queues && !rc; i++) {
		const struct plan_queue *q = &now->plan->queues[i];
		struct plan_queue *row;

		if (!reload_adds_queue(now, i))
			continue;
		now->places[i] = create_place(e, now->plan, q);
		row = now->places[i] ? reload_queue_row(e, q) : NULL;
		if (!row)
			return PC_NOMEM;
		now->places[i]->row = row;
		for (struct place *p = now->places[i]; p && !rc; p = p->next_part) {
			p->plan = row;
			p->daemon_only = !has_worker(now->plan, q);
			rc = create_place_queue(p, 1, 1);
		}
	}
	return rc;
}

static int make_tallies(struct reload *now)
{
	struct tally *next;
	size_t n = 0;

	for (uint32_t i = 0; i < now->plan->n_queues; i++)
		for (const struct place *p = now->places[i]; p; p = p->next_part)
			n++;
	next = now->tallies = calloc(n + 1, sizeof(*next));
	for (uint32_t i = 0; next && i < now->plan->n_queues; i++)
		for (struct place *p = now->places[i]; p; p = p->next_part)
			p->counts.tally = next++;
	return now->tallies ? PC_OK : PC_NOMEM;
}

static int make_sections(struct engine *e, struct reload *now)
{
	int rc = PC_OK;

	for (uint32_t i = e->plan->n_sections; i < now->plan->n_sections && !rc; i++) {
		struct section *s;

		rc = create_section(&now->sections[i], now->plan, i);
		s = now->sections[i];
		if (rc)
			break;
		s->row = *s->plan;
		s->row.name = reload_keep_text(e, s->row.name);
		s->plan = &s->row;
		rc = s->row.name ? PC_OK : PC_NOMEM;
	}
	return rc;
}

static int make_stages(struct engine *e, struct reload *now)
{
	for (uint32_t i = 0; i < now->plan->n_stages; i++) {
		struct stage *s;

		if (!reload_adds_stage(now, i))
			continue;
		s = calloc(1, sizeof(*s));
		now->stages[i] = s;
		if (!s)
			return PC_NOMEM;
		s->rows = reload_stage_row(e, &now->plan->stages[i]);
		if (!s->rows || create_stage(e, s, &s->rows->plan, i))
			return PC_NOMEM;
		for (uint32_t k = 0; k < s->n_replicas; k++)
			create_points(s->replicas[k]);
	}
	return PC_OK;
}

/* ------------------------------------------------------------- outputs, inputs, replicas --- */

static int make_rewire(struct reload *now, struct replica *r, uint32_t port,
                       const uint32_t *queues, uint32_t n)
{
	struct output o = {0};
	struct rewire *w = arena_alloc(&now->arena, sizeof(*w));
	int rc = w ? create_lanes(r, &o, queues, n) : PC_NOMEM;
	bool more = port >= r->room_outputs;

	if (w) {
		*w = (struct rewire){.next = now->rewires,
		                     .replica = r,
		                     .port = port,
		                     .n_queues = n,
		                     .n_lanes = o.n_lanes,
		                     .lanes = o.lanes,
		                     .splits = o.splits};
		now->rewires = w;
		w->outputs = more ? calloc(port + 1, sizeof(*w->outputs)) : NULL;
		if (more && !w->outputs)
			return PC_NOMEM;
	}
	return rc;
}

static bool same_queues(const struct output *o, const uint32_t *queues, uint32_t n)
{
	uint32_t found = 0;

	if (o->n_queues != n)
		return false;
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t k = 0; k < o->n_lanes; k++)
			if (o->lanes[k].place->index == queues[i]) {
				found++;
				break;
			}
	return found == n;
}

static int rewire_replica(struct reload *now, struct replica *r, const struct plan_stage *to)
{
	uint32_t n = r->stage->desc->n_outputs, n_dead = to->on_error == PLAN_DEAD ? 1 : 0;
	int rc = PC_OK;

	for (uint32_t i = 0; i < n && !rc; i++)
		if (!same_queues(&r->outputs[i], to->outputs[i].queues,
		                 to->outputs[i].n_queues))
			rc = make_rewire(now, r, i, to->outputs[i].queues,
			                 to->outputs[i].n_queues);
	if (!rc && (n < r->room_outputs ? !same_queues(&r->outputs[n], &to->dead_queue, n_dead)
	                                : n_dead > 0))
		rc = make_rewire(now, r, n, &to->dead_queue, n_dead);
	for (uint32_t i = 0; i < r->stage->desc->n_inputs && !rc; i++) {
		struct move *m = calloc(1, sizeof(*m));

		if (!m)
			return PC_NOMEM;
		m->next = now->moves;
		now->moves = m;
	}
	return rc;
}

static int make_rewires(struct engine *e, struct reload *now)
{
	int rc = PC_OK;

	for (uint32_t i = 0; i < e->plan->n_stages; i++)
		for (uint32_t k = 0; now->touched[i] && !now->plan->stages[i].gone &&
		                     k < e->stages[i]->n_replicas && !rc;
		     k++)
			if (!e->stages[i]->replicas[k]->reported)
				rc = rewire_replica(now, e->stages[i]->replicas[k],
				                    &now->plan->stages[i]);
	return rc;
}

/* It runs the build that its stage has come to, and has passed the cut to it. */
static int join_build(struct replica *r)
{
	struct swap_stage *sw = &r->stage->swap;
	size_t size = sw->current->desc->state_size;
	void *state = calloc(1, size ? size : 1);

	if (!state)
		return PC_NOMEM;
	if (size > 0)
		memcpy(state, sw->current->params, size);
	free(r->state);
	r->state = state;
	r->build = sw->current;
	replica_set_ports(r, r->build->out_ports ? 0 : r->stage->desc->n_outputs);
	r->swap.first = (struct instance){r->build, state};
	/* relaxed, both: this thread alone knows of it, and set the target */
	atomic_store_explicit(&r->swap.instance, &r->swap.first, memory_order_relaxed);
	r->swap.cut = atomic_load_explicit(&sw->target, memory_order_relaxed); /* so */
	r->swap.generation = r->swap.cut ? r->swap.cut->generation : 0;
	for (uint32_t i = 0; i < r->stage->desc->n_inputs; i++)
		for (int v = 0; v < 2; v++)
			/* relaxed: as above */
			atomic_store_explicit(&r->inputs[i].slot[v],
			                      (struct cut *)(uintptr_t)r->swap.cut,
			                      memory_order_relaxed);
	return PC_OK;
}

static int make_recruit(struct engine *e, struct reload *now, uint32_t stage, uint32_t index)
{
	struct stage *s = e->stages[stage];
	struct recruit *recruit = arena_alloc(&now->arena, sizeof(*recruit));
	const struct plan_stage *plan = &now->stage_rows[stage]->plan;
	struct replica *r = recruit ? calloc(1, create_replica_bytes(s, plan)) : NULL;
	int rc;

	if (!r)
		return PC_NOMEM;
	r->loose = true;
	r->stage = s;
	recruit->replica = r;
	recruit->index = index;
	recruit->next = now->recruits;
	now->recruits = recruit;
	rc = create_replica(s, plan, r, index);
	if (rc)
		return rc;
	create_points(r);
	return join_build(r);
}

/* Where the figures of replicas go whose place others take. It stays, whatever becomes of the reload. */
static bool make_room_for_left(struct stage *s)
{
	struct stage_sums *left;

	if (s->left)
		return true;
	left = calloc(1, sizeof(*left));
	pthread_mutex_lock(&s->engine->shape);
	s->left = left;
	pthread_mutex_unlock(&s->engine->shape);
	return left;
}

static int make_recruits(struct engine *e, struct reload *now)
{
	const struct plan_difference *d = now->request->difference;
	int rc = PC_OK;

	for (uint32_t i = 0; i < e->plan->n_stages; i++) {
		struct stage *s = e->stages[i];
		const struct plan_stage *to = &now->plan->stages[i];

		if (!now->touched[i] || !(d->stages[i] & CHANGE_REPLICAS))
			continue;
		if (!make_room_for_left(s))
			return PC_NOMEM;
		if (to->ordered && to->replicas > 1 && !s->order && !rc) {
			struct fresh_order *fresh = arena_alloc(&now->arena, sizeof(*fresh));

			if (!fresh)
				return PC_NOMEM;
			*fresh = (struct fresh_order){now->orders, s,
			                              calloc(1, sizeof(struct order))};
			now->orders = fresh;
			rc = fresh->order ? PC_OK : PC_NOMEM;
		}
		if (to->replicas > s->n_replicas && !rc) {
			struct fresh_list *list = arena_alloc(&now->arena, sizeof(*list));

			if (!list)
				return PC_NOMEM;
			*list = (struct fresh_list){
				now->lists, s, calloc(to->replicas, sizeof(struct replica *))};
			now->lists = list;
			rc = list->replicas ? PC_OK : PC_NOMEM;
		}
		for (uint32_t k = 0; k < to->replicas && !rc; k++)
			if (k >= s->n_replicas || s->replicas[k]->leaving)
				rc = make_recruit(e, now, i, k);
	}
	return rc;
}

/* ------------------------------------------------------------------- live parameters, joins --- */

static int make_value(struct engine *e, struct reload *now, uint32_t stage,
                      const struct pc_param *row, struct pc_error **err)
{
	struct stage *s = e->stages[stage];
	const struct plan_stage *to = &now->plan->stages[stage];
	const struct pc_param *here = swap_param_named(s->swap.current->desc, row->name);
	struct fresh_value *v = arena_alloc(&now->arena, sizeof(*v));
	struct buf text = {0}, why = {0};
	const char *kept;
	int rc = PC_OK;

	if (!here) {
		buf_fini(&text);
		return PC_OK; /* the build that runs does not have it */
	}
	loader_param_text(&text, row, to->params);
	kept = text.failed ? NULL : swap_keep_text(e, text.text ? text.text : "");
	if (!v || !kept)
		rc = nomem(err);
	else if (!loader_param_parse(here, kept, strlen(kept), v->bytes, &why))
		rc = error_set(err, PC_WRONG,
		               "stage '%s': its build v%u does not take this value: parameter "
		               "'%s': %s",
		               to->name, s->swap.current->number, row->name,
		               why.text ? why.text : "");
	if (!rc) {
		v->stage = s;
		v->row = here;
		v->next = now->values;
		now->values = v;
	}
	buf_fini(&text);
	buf_fini(&why);
	return rc;
}

/* The values that the build's own parameters hold are changed too: ours to write from now on. */
static bool own_params(struct build *b)
{
	size_t size = b->desc->state_size;

	if (b->own_params)
		return true;
	b->own_params = malloc(size ? size : 1);
	if (!b->own_params)
		return false;
	memcpy(b->own_params, b->params, size);
	b->params = b->own_params;
	return true;
}

static int make_values(struct engine *e, struct reload *now, struct pc_error **err)
{
	const struct plan_difference *d = now->request->difference;
	int rc = PC_OK;

	for (uint32_t i = 0; i < e->plan->n_stages && !rc; i++) {
		const struct plan_stage *to = &now->plan->stages[i];
		const struct pc_stage_desc *desc = plan_params_desc(to);

		if (!now->touched[i] || !(d->stages[i] & CHANGE_LIVE))
			continue;
		if (!own_params(e->stages[i]->swap.current))
			return nomem(err);
		for (uint32_t k = 0; k < desc->n_params && !rc; k++)
			if (desc->params[k].flags & PC_LIVE)
				rc = make_value(e, now, i, &desc->params[k], err);
	}
	return rc;
}

static int make_joins(struct reload *now)
{
	const struct plan *plan = now->plan;
	struct arena *a = &now->arena;

	now->joins = calloc(plan->n_joins + 1, sizeof(*now->joins));
	now->stage_joins = arena_alloc(a, (plan->n_stages + 1) * sizeof(struct joins));
	now->place_joins = arena_alloc(a, (plan->n_queues + 1) * sizeof(struct joins));
	now->join_joins = arena_alloc(a, (plan->n_joins + 1) * sizeof(struct joins));
	if (!now->joins || !now->stage_joins || !now->place_joins || !now->join_joins)
		return PC_NOMEM;
	return create_join_lists(plan, a, now->stage_joins, now->place_joins, now->join_joins);
}

int reload_make(struct engine *e, struct reload *now, struct pc_error **err)
{
	int rc;

	now->plan = &now->request->difference->merged;
	now->n_stages = e->plan->n_stages;
	now->n_queues = e->plan->n_queues;
	e->making = now;
	rc = recycle_create(e) && touch(e, now) && grow_lists(e, now) && make_rows(e, now)
	             ? PC_OK
	             : PC_NOMEM;
	rc = rc ? rc : make_sections(e, now);
	rc = rc ? rc : make_places(e, now);
	rc = rc ? rc : make_tallies(now);
	rc = rc ? rc : make_stages(e, now);
	rc = rc ? rc : make_rewires(e, now);
	rc = rc ? rc : make_recruits(e, now);
	rc = rc ? rc : make_joins(now);
	e->making = NULL;
	if (rc)
		return nomem(err);
	return make_values(e, now, err);
}
