/* plan/links.c: which queue an input port takes from, and who writes it.
 *
 * Called by wiring.c on the control thread. Keeps what must hold: an input port takes from one
 * queue, and no two inputs of a stage from the same one. */
#include "plan/make.h"

void plan_link_write(struct make *m, uint32_t stage, uint32_t port, uint32_t queue,
                     struct diag_span arrow)
{
	struct plan_edge *w = arena_grow(&m->scratch, m->writes, m->n_writes, sizeof(*w));

	if (!w)
		return;
	m->writes = w;
	w[m->n_writes++] = (struct plan_edge){stage, port, queue, arrow};
	m->drafts[stage].out[port].touched = true;
}

/* The input has its queue, and now shall take from another; PLAN_NONE: one without a name. */
static void second_queue(struct make *m, const struct plan_target *t, uint32_t queue)
{
	const struct plan_port *p = &m->drafts[t->stage].in[t->port];
	const struct plan_queue *old = &m->plan->queues[p->queue];
	const char *port = m->plan->stages[t->stage].desc->inputs[t->port].name;
	const char *stage = plan_shown(m, t->stage);
	struct diag *e;

	if (queue != PLAN_NONE && old->declared) {
		e = diag_error(
			m->diags, t->end->span,
			"input '%s' of '%s' takes from queue '%s': it can't take from '%s' too",
			port, stage, old->name, m->plan->queues[queue].name);
	} else if (queue != PLAN_NONE) {
		e = diag_error(m->diags, t->end->span,
		               "input '%s' of '%s' is fed by other arrows: it can't take from "
		               "'%s' too",
		               port, stage, m->plan->queues[queue].name);
	} else if (old->declared) {
		e = diag_error(
			m->diags, t->end->span,
			"input '%s' of '%s' takes from queue '%s': arrows must lead there",
			port, stage, old->name);
		diag_hint(m->diags, e, "write '-> %s'", old->name);
	} else {
		e = diag_error(
			m->diags, t->end->span,
			"input '%s' of '%s' shares its queue with others, which this arrow "
			"would feed too",
			port, stage);
		diag_hint(m->diags, e, "wire both through a declared queue");
	}
	diag_note(m->diags, e, p->span, "it is wired here");
}

/* Two inputs of one stage would take from the same queue: an item could not tell which. */
static bool is_shared(struct make *m, const struct plan_target *t, uint32_t queue)
{
	const struct plan_stage *s = &m->plan->stages[t->stage];
	struct diag *e;

	for (uint32_t i = 0; i < s->desc->n_inputs; i++)
		if (m->drafts[t->stage].in[i].queue == queue) {
			e = diag_error(
				m->diags, t->end->span,
				"the inputs '%s' and '%s' of '%s' can't take from one queue",
				s->desc->inputs[i].name, s->desc->inputs[t->port].name,
				s->name);
			diag_note(m->diags, e, m->drafts[t->stage].in[i].span,
			          "'%s' is wired here", s->desc->inputs[i].name);
			return true;
		}
	return false;
}

void plan_link_read(struct make *m, const struct plan_target *t, uint32_t queue,
                    struct diag_span arrow)
{
	struct plan_port *p = &m->drafts[t->stage].in[t->port];
	struct plan_edge *r;

	p->touched = true;
	if (p->queue == queue)
		return;
	if (p->queue != PLAN_NONE || is_shared(m, t, queue)) {
		if (p->queue != PLAN_NONE)
			second_queue(m, t, queue);
		m->queue_drafts[queue].suspect = true;
		return;
	}
	r = arena_grow(&m->scratch, m->reads, m->n_reads, sizeof(*r));
	if (!r)
		return;
	m->reads = r;
	r[m->n_reads++] = (struct plan_edge){t->stage, t->port, queue, arrow};
	p->queue = queue;
	p->span = arrow;
	m->queue_drafts[queue].ports++;
}

static void attr_differs(struct make *m, const struct lang_attr *now,
                         const struct lang_attr *old)
{
	struct diag *e =
		diag_error(m->diags, now->name.span,
	                   "the queue of this arrow has another '%s' already", now->name.text);

	diag_note(m->diags, e, old->name.span, "it is set here");
}

/* The arrow leads into a queue that an earlier one has made. */
static void join_attrs(struct make *m, uint32_t queue, const struct plan_queue_attrs *now)
{
	struct plan_queue_attrs both = m->queue_drafts[queue].attrs;

	if (now->capacity_at && both.capacity_at && now->capacity != both.capacity)
		attr_differs(m, now->capacity_at, both.capacity_at);
	if (now->full_at && both.full_at && now->full != both.full)
		attr_differs(m, now->full_at, both.full_at);
	if (now->capacity_at) {
		both.capacity_at = now->capacity_at;
		both.capacity = now->capacity;
	}
	if (now->full_at) {
		both.full_at = now->full_at;
		both.full = now->full;
	}
	if (now->feedback_at)
		both.feedback_at = now->feedback_at;
	plan_queue_attrs_set(&m->plan->queues[queue], &m->queue_drafts[queue], &both);
}

uint32_t plan_link_unnamed(struct make *m, const struct plan_target *targets, size_t n,
                           const struct plan_queue_attrs *attrs, struct diag_span arrow)
{
	uint32_t queue = m->drafts[targets[0].stage].in[targets[0].port].queue;
	bool same = queue != PLAN_NONE && !m->plan->queues[queue].declared &&
	            m->queue_drafts[queue].ports == n;
	size_t i;

	for (i = 0; same && i < n; i++)
		same = m->drafts[targets[i].stage].in[targets[i].port].queue == queue;
	if (same) {
		join_attrs(m, queue, attrs);
		return queue;
	}
	for (i = 0; i < n; i++)
		if (m->drafts[targets[i].stage].in[targets[i].port].queue != PLAN_NONE) {
			second_queue(m, &targets[i], PLAN_NONE);
			return PLAN_NONE;
		}
	queue = m->plan->n_queues++;
	m->plan->queues[queue] = (struct plan_queue){.span = arrow};
	plan_queue_attrs_set(&m->plan->queues[queue], &m->queue_drafts[queue], attrs);
	for (i = 0; i < n; i++)
		plan_link_read(m, &targets[i], queue, arrow);
	return queue;
}
