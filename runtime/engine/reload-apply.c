/* engine/reload-apply.c: the change itself, while all whom it concerns rest.
 *
 * Control thread. What may still fail comes first (who writes and reads; what is on its way to a
 * queue that is left), and leaves no trace when it does. From there on all memory is there, and
 * every step is a few stores. The order is that of reload.h.
 */
#include "engine/engine.h"

#include "base/error.h"
#include "loader/param.h"

#include <stdlib.h>
#include <string.h>

/* -------------------------------------------------------------------------- stages that stay --- */

static void set_values(const struct reload *now)
{
	for (const struct fresh_value *v = now->values; v; v = v->next) {
		struct build *b = v->stage->swap.current;
		size_t size = loader_param_size(v->row->type);

		memcpy((char *)b->own_params + v->row->offset, v->bytes, size);
		for (uint32_t k = 0; k < v->stage->n_replicas; k++) {
			struct replica *r = v->stage->replicas[k];

			/* Not while another thread closes it. */
			if (r->build == b && r->state && !r->reported)
				memcpy((char *)r->state + v->row->offset, v->bytes, size);
		}
		for (const struct recruit *r = now->recruits; r; r = r->next)
			if (r->replica->stage == v->stage)
				memcpy((char *)r->replica->state + v->row->offset, v->bytes,
				       size);
	}
}

/* Fewer: the last ones see the end of their stream. More: those that were made come in. */
static void set_replicas(const struct reload *now, struct stage *s, const struct plan_stage *to)
{
	for (uint32_t k = to->replicas; k < s->n_replicas; k++) {
		s->replicas[k]->leaving = true;
		reload_leave_inputs(s->replicas[k], now->plan, true);
	}
	for (uint32_t k = 0; k < s->n_replicas; k++)
		if (!s->replicas[k]->reported) /* not while another thread closes it */
			s->replicas[k]->pub.replicas = to->replicas;
}

static void set_lists(const struct reload *now)
{
	for (const struct fresh_order *o = now->orders; o; o = o->next)
		o->stage->order = o->order;
	for (const struct fresh_list *l = now->lists; l; l = l->next) {
		memcpy(l->replicas, l->stage->replicas,
		       l->stage->n_replicas * sizeof(struct replica *));
		if (l->stage->replicas != &l->stage->only)
			free(l->stage->replicas);
		l->stage->replicas = l->replicas;
	}
}

static void add_recruits(const struct reload *now)
{
	for (const struct recruit *recruit = now->recruits; recruit; recruit = recruit->next) {
		struct replica *r = recruit->replica;
		struct stage *s = r->stage;
		struct replica *before = s->replicas[recruit->index];

		if (before) {
			swap_drop(&before->swap.aside);
			before->retired = s->retired;
			s->retired = before;
		}
		if (recruit->index >= s->n_replicas)
			s->n_replicas = recruit->index + 1;
		s->replicas[recruit->index] = r;
		s->live++;
		for (uint32_t i = 0; i < s->desc->n_inputs; i++)
			reload_attach(&r->inputs[i]);
	}
}

static void set_row(struct reload *now, struct stage *s)
{
	struct stage_row *row = now->stage_rows[s->index];

	row->older = s->rows;
	s->rows = row;
	s->plan = &row->plan;
	now->stage_rows[s->index] = NULL;
}

static void change_stage(struct engine *e, struct reload *now, uint32_t index)
{
	struct stage *s = e->stages[index];
	const struct plan_stage *to = &now->plan->stages[index];
	unsigned changes = now->request->difference->stages[index];

	if (changes & CHANGE_REPLICAS) {
		/* Nobody takes back what he does while the number of passages changes. */
		for (uint32_t k = 0; k < s->n_replicas; k++)
			s->replicas[k]->probation = 0;
		swap_set_aside_free(s);
		set_replicas(now, s, to);
	}
	for (uint32_t k = 0; k < s->n_replicas; k++)
		if (!s->replicas[k]->reported && !s->replicas[k]->leaving)
			reload_move_inputs(s->replicas[k], to, now);
	set_row(now, s);
}

/* --------------------------------------------------------------------------- stages that go --- */

static void send_off(struct engine *e, struct reload *now, uint32_t index)
{
	struct stage *s = e->stages[index];
	uint32_t successor = now->request->difference->successors[index];

	set_row(now, s);
	if (successor != PLAN_NONE && !flag_is(&s->ended))
		e->stages[successor]->after = s;
	if (s->desc->n_inputs == 0) {
		stage_stop(s, STOP_SOFT);
		return;
	}
	for (uint32_t k = 0; k < s->n_replicas; k++) {
		struct replica *r = s->replicas[k];

		if (!r->reported)
			reload_leave_inputs(r, now->plan, false);
	}
	/* One that is held back begins, so that it can take what is there; but not before the one
	 * whose place it was to take has ended. */
	join_start(s);
}

/* ------------------------------------------------------------------------------------ joins --- */

static void set_joins(struct engine *e, struct reload *now)
{
	const struct plan *plan = now->plan;

	for (uint32_t i = 0; i < plan->n_stages; i++)
		e->stages[i]->joins = now->stage_joins[i];
	for (uint32_t i = 0; i < plan->n_queues; i++)
		for (struct place *p = e->places[i]; p; p = p->next_part)
			p->joins = now->place_joins[i];
	for (uint32_t i = 0; i < plan->n_joins; i++) {
		struct join *j = &now->joins[i];
		const struct plan_join *to = &plan->joins[i];

		j->plan = to;
		j->joins = now->join_joins[i];
		j->passed = i < e->plan->n_joins && e->joins[i].passed &&
		            (to->gone || !e->plan->joins[i].gone);
	}
	for (uint32_t i = 0; i < plan->n_joins; i++) {
		struct join *j = &now->joins[i];

		for (uint32_t k = 0; k < j->plan->n_stages; k++)
			j->remaining += !flag_is(&e->stages[j->plan->stages[k]]->ended);
		for (uint32_t k = 0; k < j->plan->n_queues; k++)
			for (struct place *p = e->places[j->plan->queues[k]]; p;
			     p = p->next_part)
				j->remaining += !flag_is(&p->drained);
		for (uint32_t k = 0; k < j->plan->n_joins; k++)
			j->remaining += !now->joins[j->plan->joins[k]].passed;
	}
	free(e->joins);
	e->joins = now->joins;
}

/* --------------------------------------------------------------------------------- queues --- */

static void set_queues(struct engine *e, const struct reload *now)
{
	const struct plan_difference *d = now->request->difference;

	for (uint32_t i = 0; i < now->n_queues; i++) {
		const struct plan_queue *q = &now->plan->queues[i];

		struct plan_queue *row = now->queue_rows[i];

		if (!row)
			continue;
		free(e->places[i]->row);
		e->places[i]->row = row;
		now->queue_rows[i] = NULL;
		for (struct place *p = e->places[i]; p; p = p->next_part) {
			p->plan = row;
			if (d->queues[i] & (QUEUE_CAPACITY | QUEUE_FULL))
				queue_set_policy(p->queue, q->capacity, q->full);
		}
	}
}

/* Run queues and sections have a place for each replica. */
static void make_room(struct engine *e, const struct plan *plan)
{
	uint32_t all = 1, *members = calloc(plan->n_sections + 1, sizeof(*members));

	for (uint32_t i = 0; i < plan->n_stages; i++) {
		uint32_t n = e->stages[i]->n_replicas;

		all += n;
		if (members && plan->stages[i].section != PLAN_NONE)
			members[plan->stages[i].section] += n;
	}
	create_batch(e, all);
	if (all > e->pool.n_tasks)
		e->pool.n_tasks = all;
	for (unsigned i = 0; i < pool_size(&e->pool); i++)
		queue_raise_capacity(e->pool.workers[i].ready, all);
	/* Without memory: who finds no room there tries again, and there is room soon. */
	for (uint32_t i = 0; members && i < plan->n_sections; i++)
		queue_raise_capacity(e->sections[i]->waiting, members[i] ? members[i] : 1);
	free(members);
}

/* -------------------------------------------------------------------------------------- all --- */

static void change(struct engine *e, struct reload *now)
{
	const struct plan_difference *d = now->request->difference;
	struct stage **old_stages = e->stages;
	struct place **old_places = e->places;
	struct section **old_sections = e->sections;
	uint32_t n = e->plan->n_stages;

	e->stages = now->stages;
	e->places = now->places;
	e->sections = now->sections;
	set_values(now);
	for (struct rewire *w = now->rewires; w; w = w->next)
		reload_swap_lanes(w);
	reload_count_set(e, now);
	set_queues(e, now);
	for (uint32_t i = 0; i < n; i++)
		if (now->touched[i] && !now->plan->stages[i].gone)
			change_stage(e, now, i);
	set_lists(now);
	add_recruits(now);
	for (uint32_t i = 0; i < now->plan->n_stages; i++) {
		if (!reload_adds_stage(now, i))
			continue;
		for (uint32_t k = 0; k < e->stages[i]->n_replicas; k++)
			for (uint32_t p = 0; p < e->stages[i]->desc->n_inputs; p++)
				reload_attach(&e->stages[i]->replicas[k]->inputs[p]);
		e->live++;
	}
	make_room(e, now->plan);
	set_joins(e, now);
	for (uint32_t i = 0; i < n; i++)
		if (now->touched[i] && (d->stages[i] & CHANGE_GONE))
			send_off(e, now, i);
	free(old_stages);
	free(old_places);
	free(old_sections);
}

/* What is new begins; daemons whose time has come are stopped; joins that wait for nothing pass. */
static void begin(struct engine *e, const struct reload *now, uint32_t n)
{
	const struct plan_difference *d = now->request->difference;

	for (uint32_t i = 0; i < e->plan->n_stages; i++)
		if (reload_adds_stage(now, i))
			join_start(e->stages[i]);
	for (uint32_t i = 0; i < n; i++) {
		struct stage *s = e->stages[i];

		if (!now->touched[i] || s->plan->gone)
			continue;
		if (d->stages[i] & (CHANGE_START | CHANGE_REPLICAS))
			join_start(s);
		if ((d->stages[i] & CHANGE_DAEMON) && s->plan->daemon &&
		    e->joins[s->plan->until].passed)
			stage_stop(s, STOP_HARD);
	}
	join_look(e);
}

int reload_apply(struct engine *e, struct reload *now, struct pc_error **err)
{
	struct reload_past *past = calloc(1, sizeof(*past)), *before = e->reload.past;
	struct plan *plan = malloc(sizeof(*plan));
	uint32_t n = e->plan->n_stages;
	int rc = past && plan ? reload_count_in(now, err)
	                      : error_set(err, PC_NOMEM, "out of memory; nothing was changed");

	if (rc == PC_OK && !reload_send_rests(now)) {
		reload_count_back(now);
		rc = error_set(err, PC_NOMEM, "out of memory; nothing was changed");
	}
	if (rc) {
		free(past);
		free(plan);
		return rc;
	}
	pthread_mutex_lock(&e->shape);
	change(e, now);
	*plan = *now->plan;
	*now->plan = (struct plan){0};
	now->plan = plan;
	e->plan = plan;
	*past = (struct reload_past){plan, now->arena};
	e->reload.past = past;
	reload_rows_settle(e, plan);
	pthread_mutex_unlock(&e->shape);
	begin(e, now, n);
	reload_count_out(e, now);
	reload_past_free(before);
	recycle(e);
	return PC_OK;
}
