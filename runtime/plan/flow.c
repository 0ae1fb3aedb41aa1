/* plan/flow.c: whether items can get everywhere and the graph can come to its end.
 *
 * Called by plan_make() on the control thread when all arrows have been followed: ports and queues
 * that nothing is wired to, stages that no producer leads to, and stages that daemons alone feed:
 * a daemon never says that it has ended, so that these never would either; and stages with by=
 * that share a queue. When lines of the text
 * were lost to other mistakes, what is missing may have stood there, and nothing is said of it. */
#include "plan/make.h"

/* A declaration under a name that is taken: no arrow could mean it. */
static bool is_namesake(const struct make *m, enum plan_kind kind, const char *name,
                        uint32_t index)
{
	struct plan_ref ref = plan_name_find(m, name);

	return ref.kind != kind || ref.index != index;
}

static void check_ports(struct make *m, uint32_t stage)
{
	const struct plan_stage *s = &m->plan->stages[stage];
	const struct plan_draft *d = &m->drafts[stage];
	const char *name = plan_shown(m, stage);
	bool one = s->desc && s->desc->n_inputs == 1;
	struct diag *e;
	uint32_t i;

	if (!s->desc || (d->decl && is_namesake(m, KIND_STAGE, name, stage)))
		return;
	for (i = 0; i < s->desc->n_inputs; i++) {
		if (d->in[i].queue != PLAN_NONE || d->in[i].touched)
			continue;
		if (one)
			e = diag_error(m->diags, s->span,
			               "no arrow leads to '%s': nothing would arrive", name);
		else
			e = diag_error(
				m->diags, s->span,
				"no arrow leads to input '%s' of '%s': nothing would arrive",
				s->desc->inputs[i].name, name);
		if (d->decl)
			diag_hint(m->diags, e, "write '… -> %s%s%s'", name, one ? "" : ".",
			          one ? "" : s->desc->inputs[i].name);
	}
	for (i = 0; i < s->desc->n_outputs; i++)
		if (s->desc->outputs[i].flags & PC_REQUIRED && !d->out[i].touched)
			diag_error(
				m->diags, s->span,
				"no arrow leads from output '%s' of '%s', which must be wired",
				s->desc->outputs[i].name, name);
}

static void check_queue(struct make *m, uint32_t queue)
{
	const struct plan_queue *q = &m->plan->queues[queue];

	if (!q->declared || m->queue_drafts[queue].suspect ||
	    (q->n_writers > 0 && q->n_readers > 0) ||
	    is_namesake(m, KIND_QUEUE, q->name, queue))
		return;
	if (q->n_writers == 0 && q->n_readers == 0)
		diag_error(m->diags, q->span, "queue '%s' is not wired", q->name);
	else if (q->n_writers == 0)
		diag_error(m->diags, q->span,
		           "no arrow leads to queue '%s': it would stay empty", q->name);
	else
		diag_error(m->diags, q->span,
		           "no arrow leads from queue '%s': it would fill up", q->name);
}

/* Where something is wrong or open already, anything may come from. */
static bool is_source(const struct make *m, uint32_t stage)
{
	const struct pc_stage_desc *desc = m->plan->stages[stage].desc;

	if (!desc || desc->n_inputs == 0)
		return true;
	for (uint32_t i = 0; i < desc->n_inputs; i++) {
		uint32_t queue = m->drafts[stage].in[i].queue;

		if (queue == PLAN_NONE || m->queue_drafts[queue].suspect ||
		    m->plan->queues[queue].n_writers == 0)
			return true;
	}
	return false;
}

/* What has been reached, and room for all stages that are still to be followed. */
struct reach {
	bool *stages, *queues;
	uint32_t *todo;
};

/* Marks the stage and all that its items can come to. */
static void flood(const struct make *m, struct reach *r, uint32_t stage)
{
	uint32_t n = 0, s, i, k;

	r->stages[stage] = true;
	for (r->todo[n++] = stage; n > 0;) {
		s = r->todo[--n];
		for (i = m->out_first[s]; i < m->out_first[s + 1]; i++) {
			const struct plan_queue *q = &m->plan->queues[m->out_queues[i]];

			if (r->queues[m->out_queues[i]])
				continue;
			r->queues[m->out_queues[i]] = true;
			for (k = 0; k < q->n_readers; k++)
				if (!r->stages[q->readers[k]]) {
					r->stages[q->readers[k]] = true;
					r->todo[n++] = q->readers[k];
				}
		}
	}
}

/* Stages that no producer leads to: they stand in circles, or behind such. Of each circle the
 * first is named. */
static bool check_reach(struct make *m)
{
	uint32_t n = m->plan->n_stages, i;
	struct reach r;

	r.stages = arena_alloc(&m->scratch, n * sizeof(*r.stages));
	r.queues = arena_alloc(&m->scratch, m->plan->n_queues * sizeof(*r.queues));
	r.todo = arena_alloc(&m->scratch, n * sizeof(*r.todo));
	if (!r.stages || !r.queues || !r.todo)
		return false;
	for (i = 0; i < n; i++)
		if (!r.stages[i] && is_source(m, i))
			flood(m, &r, i);
	for (i = 0; i < n; i++)
		if (!r.stages[i]) {
			diag_error(m->diags, m->plan->stages[i].span,
			           "no producer leads to '%s': nothing would ever arrive",
			           plan_shown(m, i));
			flood(m, &r, i);
		}
	return true;
}

/* by= gives each replica its own part of the queue: no other stage can take from that, too. */
static void check_by(struct make *m, uint32_t stage)
{
	struct plan *plan = m->plan;
	const struct plan_stage *s = &plan->stages[stage];
	struct diag *e;

	for (uint32_t i = 0; s->by && s->desc && i < s->desc->n_inputs; i++) {
		uint32_t queue = s->inputs[i].queue, other;

		if (queue == PLAN_NONE || plan->queues[queue].n_readers < 2)
			continue;
		other = plan->queues[queue].readers[plan->queues[queue].readers[0] == stage];
		e = diag_error(m->diags, m->drafts[stage].by_span,
		               "'%s' has by=, so that no other stage can take from its queue",
		               s->name);
		diag_note(m->diags, e, plan->stages[other].span, "'%s' takes from it, too",
		          plan->stages[other].name);
		return;
	}
}

/* Whether all that write the queue are daemons. */
static bool only_daemons(const struct plan *plan, const struct plan_queue *q)
{
	for (uint32_t i = 0; i < q->n_writers; i++)
		if (!plan->stages[q->writers[i]].daemon)
			return false;
	return q->n_writers > 0;
}

static void check_end(struct make *m, uint32_t stage)
{
	struct plan *plan = m->plan;
	const struct plan_stage *s = &plan->stages[stage];
	uint32_t daemon;
	struct diag *e;

	if (!s->desc || s->daemon)
		return;
	for (uint32_t i = 0; i < s->desc->n_inputs; i++) {
		uint32_t queue = s->inputs[i].queue;

		if (queue == PLAN_NONE || m->queue_drafts[queue].suspect ||
		    !only_daemons(plan, &plan->queues[queue]))
			continue;
		daemon = plan->queues[queue].writers[0];
		e = diag_error(m->diags, s->span,
		               "'%s' could never end: only daemons feed it, and it is no "
		               "daemon itself",
		               plan_shown(m, stage));
		diag_note(m->diags, e, m->drafts[daemon].daemon_span,
		          "'%s' is made a daemon here", plan->stages[daemon].name);
		return;
	}
}

bool plan_flow(struct make *m)
{
	struct plan *plan = m->plan;
	uint32_t i;

	for (i = 0; i < plan->n_stages; i++) {
		if (!m->lost_arrows)
			check_ports(m, i);
		check_by(m, i);
		check_end(m, i);
	}
	for (i = 0; i < plan->n_queues && !m->lost_arrows; i++)
		check_queue(m, i);
	if (plan->n_stages == 0 && m->diags->n_errors == 0)
		diag_error(m->diags, (struct diag_span){.source = 1},
		           "there is no stage in this graph");
	return m->lost_arrows || check_reach(m);
}
