/* plan/types.c: what flows through every port, and whether it fits.
 *
 * Called by plan_make() on the control thread. Types are names; "*" is anything, "text/…" with a
 * star for the dots anything that begins so. An output "=in" sends what arrives at `in`, which is
 * what the writers of its queue send. That is solved as a fixed point from below: nothing is
 * known at first, then one type, then "*" when a second one comes; each output changes at most
 * twice, so that the work is linear, round cycles too. */
#include "plan/make.h"

#include <string.h>

static const char any[] = "*";

/* What both may be: NULL is "nothing known yet". */
static const char *merge(const char *a, const char *b)
{
	if (!a || !b)
		return a ? a : b;
	return strcmp(a, b) == 0 ? a : any;
}

/* What an input lets through of what comes: when nobody knows, or it does not fit (which is
 * reported), what the input says it takes. */
static const char *passed(const char *comes, const char *taken)
{
	return comes && strcmp(comes, any) != 0 && plan_fits(comes, taken) ? comes : taken;
}

static uint32_t input_named(const struct pc_stage_desc *d, const char *name)
{
	uint32_t i;

	for (i = 0; i + 1 < d->n_inputs && strcmp(d->inputs[i].name, name) != 0; i++)
		;
	return i;
}

/* What an output sends, as far as is known. */
static const char *sent(const struct make *m, uint32_t stage, uint32_t port)
{
	const struct pc_stage_desc *d = m->plan->stages[stage].desc;
	const char *type = d->outputs[port].type;
	uint32_t in, queue;

	if (type[0] != '=')
		return type;
	in = input_named(d, type + 1);
	queue = m->drafts[stage].in[in].queue;
	if (queue == PLAN_NONE)
		return d->inputs[in].type;
	return m->queue_drafts[queue].type
	               ? passed(m->queue_drafts[queue].type, d->inputs[in].type)
	               : NULL;
}

/* What failed items of a stage are: what it takes. */
static const char *sent_dead(const struct make *m, uint32_t stage)
{
	const struct pc_stage_desc *d = m->plan->stages[stage].desc;
	const char *type = NULL;

	for (uint32_t i = 0; d && i < d->n_inputs; i++) {
		uint32_t queue = m->drafts[stage].in[i].queue;

		if (queue != PLAN_NONE)
			type = merge(type, m->queue_drafts[queue].type);
	}
	return type;
}

/* The stages whose outputs may have changed. */
struct work {
	uint32_t *stages, n;
	bool *listed;
};

static void list(struct work *work, uint32_t stage)
{
	if (work->listed[stage])
		return;
	work->listed[stage] = true;
	work->stages[work->n++] = stage;
}

static void flow_into(struct make *m, struct work *work, uint32_t queue, const char *type)
{
	struct plan_queue_draft *d = &m->queue_drafts[queue];
	const char *both = merge(d->type, type);

	if (both == d->type || (d->type && strcmp(both, d->type) == 0))
		return;
	d->type = both;
	for (uint32_t i = 0; i < d->n_reads; i++)
		list(work, m->reads[d->first_read + i].stage);
}

static bool solve(struct make *m)
{
	struct plan *plan = m->plan;
	struct work work = {.n = 0};
	uint32_t i, k;

	work.stages = arena_alloc(&m->scratch, plan->n_stages * sizeof(*work.stages));
	work.listed = arena_alloc(&m->scratch, plan->n_stages * sizeof(*work.listed));
	if (!work.stages || !work.listed)
		return false;
	/* From the back, so that producers, which mostly stand in front, come off first. */
	for (i = plan->n_stages; i > 0; i--)
		list(&work, i - 1);
	while (work.n > 0) {
		uint32_t s = work.stages[--work.n];
		const struct plan_stage *stage = &plan->stages[s];

		work.listed[s] = false;
		for (i = 0; stage->desc && i < stage->desc->n_outputs; i++)
			for (k = 0; k < stage->outputs[i].n_queues; k++)
				flow_into(m, &work, stage->outputs[i].queues[k], sent(m, s, i));
		if (stage->dead_queue != PLAN_NONE)
			flow_into(m, &work, stage->dead_queue, sent_dead(m, s));
	}
	return true;
}

static void mismatch(struct make *m, const struct plan_edge *w, const struct plan_edge *r,
                     const char *type)
{
	const struct plan_stage *from = &m->plan->stages[w->stage],
				*to = &m->plan->stages[r->stage];
	const char *out = from->desc->outputs[w->port].type,
		   *from_name = plan_shown(m, w->stage);
	struct diag *e;

	e = diag_error(m->diags, r->arrow,
	               "output '%s' of '%s' sends %s, but input '%s' of '%s' takes %s",
	               from->desc->outputs[w->port].name, from_name, type,
	               to->desc->inputs[r->port].name, plan_shown(m, r->stage),
	               to->desc->inputs[r->port].type);
	if (w->arrow.begin != r->arrow.begin || w->arrow.source != r->arrow.source)
		diag_note(m->diags, e, w->arrow, "'%s' writes the queue here", from_name);
	if (out[0] == '=')
		diag_note(m->diags, e, from->span, "'%s' passes on what comes in at '%s'",
		          from_name, out + 1);
}

/* Each type that comes into the queue against each input that takes from it. */
static void check_queue(struct make *m, uint32_t queue)
{
	const struct plan_queue_draft *d = &m->queue_drafts[queue];
	const char *seen = NULL, *type, *taken;
	bool mixed = d->type == any;

	for (uint32_t i = 0; i < d->n_writes; i++) {
		const struct plan_edge *w = &m->writes[d->first_write + i];

		type = sent(m, w->stage, w->port);
		/* Writers of one type stand for each other. */
		if (!type || (seen && strcmp(seen, type) == 0))
			continue;
		seen = type;
		for (uint32_t k = 0; k < d->n_reads; k++) {
			const struct plan_edge *r = &m->reads[d->first_read + k];

			taken = m->plan->stages[r->stage].desc->inputs[r->port].type;
			if (!plan_fits(type, taken))
				mismatch(m, w, r, type);
		}
		if (!mixed)
			break;
	}
}

/* The same for the items that a stage puts aside. */
static void check_dead(struct make *m, uint32_t stage)
{
	uint32_t queue = m->plan->stages[stage].dead_queue;
	const struct plan_queue_draft *d = &m->queue_drafts[queue];
	const char *type = sent_dead(m, stage);
	struct diag *e;

	for (uint32_t i = 0; type && i < d->n_reads; i++) {
		const struct plan_edge *r = &m->reads[d->first_read + i];
		const struct pc_port *in = &m->plan->stages[r->stage].desc->inputs[r->port];

		if (plan_fits(type, in->type))
			continue;
		e = diag_error(m->diags, r->arrow,
		               "failed items of '%s' are %s, but input '%s' of '%s' takes %s",
		               plan_shown(m, stage), type, in->name, plan_shown(m, r->stage),
		               in->type);
		diag_note(m->diags, e, m->drafts[stage].on_error_span, "'%s' is named here",
		          m->plan->queues[queue].name);
	}
}

bool plan_types(struct make *m)
{
	struct plan *plan = m->plan;
	const char *type;
	uint32_t i, k;

	if (!solve(m))
		return false;
	for (i = 0; i < plan->n_stages; i++) {
		struct plan_stage *s = &plan->stages[i];

		if (s->dead_queue != PLAN_NONE)
			check_dead(m, i);
		for (k = 0; s->desc && k < s->desc->n_outputs; k++) {
			type = sent(m, i, k);
			s->outputs[k].type = type ? type : any;
		}
		for (k = 0; s->desc && k < s->desc->n_inputs; k++) {
			uint32_t queue = s->inputs[k].queue;

			type = queue == PLAN_NONE ? NULL : m->queue_drafts[queue].type;
			s->inputs[k].type = type ? type : any;
		}
	}
	for (i = 0; i < plan->n_queues; i++)
		check_queue(m, i);
	return true;
}
