/* plan/order.c: joins that can never pass.
 *
 * Called by plan_make() on the control thread, last. The events of order.h wait for each other:
 *
 *   BEGIN s    PASS of its start=
 *   END s      BEGIN s; CLOSED of its inputs; of a daemon: PASS of its until= instead
 *   CLOSED q   END of its writers that are no daemons
 *   READ q     BEGIN of any one reader
 *   EMPTIED q  CLOSED q and READ q
 *   PASS j     END of its stages, EMPTIED of its queues, PASS of its joins
 *
 * Everything that can happen is made to happen, each as soon as what it waits for has (Kahn's
 * topological sort, with an "or" for READ). What is left waits in circles, which circle.c tells.
 * A `feedback` queue is left out of END: it is part of a circle by intent. */
#include "plan/order.h"

static uint32_t node(const struct order *o, enum event event, uint32_t index)
{
	return o->base[event] + index;
}

static void add(struct order *o, uint32_t event, uint32_t on)
{
	struct order_wait *w = arena_grow(&o->m->scratch, o->waits, o->n_waits, sizeof(*w));

	if (!w)
		return;
	o->waits = w;
	w[o->n_waits++] = (struct order_wait){event, on};
}

static void stage_waits(struct order *o, uint32_t i)
{
	const struct plan *plan = o->m->plan;
	const struct plan_stage *s = &plan->stages[i];

	add(o, node(o, BEGIN, i), node(o, PASS, s->start));
	if (s->daemon) {
		add(o, node(o, END, i), node(o, PASS, s->until));
		return;
	}
	add(o, node(o, END, i), node(o, BEGIN, i));
	for (uint32_t k = 0; s->desc && k < s->desc->n_inputs; k++) {
		uint32_t queue = s->inputs[k].queue;

		if (queue != PLAN_NONE && !plan->queues[queue].feedback &&
		    !o->m->queue_drafts[queue].in_cycle)
			add(o, node(o, END, i), node(o, CLOSED, queue));
	}
}

static void queue_waits(struct order *o, uint32_t i)
{
	const struct plan *plan = o->m->plan;
	const struct plan_queue *q = &plan->queues[i];
	uint32_t k;

	for (k = 0; k < q->n_writers; k++)
		if (!plan->stages[q->writers[k]].daemon)
			add(o, node(o, CLOSED, i), node(o, END, q->writers[k]));
	for (k = 0; k < q->n_readers; k++)
		add(o, node(o, READ, i), node(o, BEGIN, q->readers[k]));
	add(o, node(o, EMPTIED, i), node(o, CLOSED, i));
	add(o, node(o, EMPTIED, i), node(o, READ, i));
}

static void join_waits(struct order *o, uint32_t i)
{
	const struct plan_join *j = &o->m->plan->joins[i];
	uint32_t k;

	for (k = 0; k < j->n_joins; k++)
		add(o, node(o, PASS, i), node(o, PASS, j->joins[k]));
	for (k = 0; k < j->n_stages; k++)
		add(o, node(o, PASS, i), node(o, END, j->stages[k]));
	for (k = 0; k < j->n_queues; k++)
		add(o, node(o, PASS, i), node(o, EMPTIED, j->queues[k]));
}

static void collect(struct order *o)
{
	const struct plan *plan = o->m->plan;
	const uint32_t sizes[N_EVENTS] = {
		[BEGIN] = plan->n_stages, [END] = plan->n_stages,     [CLOSED] = plan->n_queues,
		[READ] = plan->n_queues,  [EMPTIED] = plan->n_queues, [PASS] = plan->n_joins};
	uint32_t i;

	for (i = 0; i < N_EVENTS; i++)
		o->base[i + 1] = o->base[i] + sizes[i];
	for (i = 0; i < plan->n_stages; i++)
		stage_waits(o, i);
	for (i = 0; i < plan->n_queues; i++)
		queue_waits(o, i);
	for (i = 0; i < plan->n_joins; i++)
		join_waits(o, i);
}

/* The waits as rows: of each event what it waits for, or (turned) who waits for it. */
static bool rows(struct order *o, bool turned, uint32_t **ret_first, uint32_t **ret_list)
{
	uint32_t n = o->base[N_EVENTS], i;
	uint32_t *first = arena_alloc(&o->m->scratch, (n + 2) * sizeof(*first));
	uint32_t *list = arena_alloc(&o->m->scratch, o->n_waits * sizeof(*list));

	if (!first || !list)
		return false;
	for (i = 0; i < o->n_waits; i++)
		first[(turned ? o->waits[i].on : o->waits[i].event) + 2]++;
	for (i = 2; i < n + 2; i++)
		first[i] += first[i - 1];
	/* first[e + 1] runs from the beginning of e to its end: the beginning of e + 1. */
	for (i = 0; i < o->n_waits; i++) {
		const struct order_wait *w = &o->waits[i];

		list[first[(turned ? w->on : w->event) + 1]++] = turned ? w->event : w->on;
	}
	*ret_first = first;
	*ret_list = list;
	return true;
}

static bool happen(struct order *o)
{
	uint32_t n = o->base[N_EVENTS], n_todo = 0, i, k;
	uint32_t *todo = arena_alloc(&o->m->scratch, n * sizeof(*todo));

	o->missing = arena_alloc(&o->m->scratch, n * sizeof(*o->missing));
	o->search = arena_alloc(&o->m->scratch, n * sizeof(*o->search));
	if (!todo || !o->missing || !o->search)
		return false;
	for (i = 0; i < n; i++) {
		o->missing[i] = o->first[i + 1] - o->first[i];
		if (o->missing[i] > 1 && i >= o->base[READ] && i < o->base[READ + 1])
			o->missing[i] = 1; /* any one will do */
		if (o->missing[i] == 0)
			todo[n_todo++] = i;
	}
	while (n_todo > 0) {
		i = todo[--n_todo];
		for (k = o->first_waiter[i]; k < o->first_waiter[i + 1]; k++) {
			uint32_t waiter = o->waiter[k];

			if (o->missing[waiter] > 0 && --o->missing[waiter] == 0)
				todo[n_todo++] = waiter;
		}
	}
	return true;
}

/* Without joins and start= there is only `end`, for which nobody waits. */
static bool is_simple(const struct plan *plan)
{
	if (plan->n_joins > PLAN_JOIN_END + 1)
		return false;
	for (uint32_t i = 0; i < plan->n_stages; i++)
		if (plan->stages[i].start != PLAN_JOIN_START)
			return false;
	return true;
}

bool plan_order(struct make *m)
{
	struct order o = {.m = m};
	uint32_t number = 0;

	if (is_simple(m->plan))
		return true;
	collect(&o);
	if (arena_failed(&m->scratch) || !rows(&o, false, &o.first, &o.on) ||
	    !rows(&o, true, &o.first_waiter, &o.waiter) || !happen(&o))
		return false;
	/* Declared joins first: a mistake is best told from where it was written. */
	for (uint32_t i = PLAN_JOIN_END + 1; i < m->plan->n_joins; i++)
		order_tell(&o, node(&o, PASS, i), ++number);
	order_tell(&o, node(&o, PASS, PLAN_JOIN_END), ++number);
	return true;
}
