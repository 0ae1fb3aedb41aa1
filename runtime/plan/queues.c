/* plan/queues.c: queues: their attributes, and who writes and reads them.
 *
 * Called by plan_make() on the control thread: the declared ones before arrows are followed, all
 * of them afterwards. The edges that wiring.c found are sorted by queue, stably, so that
 * everything about one queue lies together in the order of the text. */
#include "plan/make.h"

#include <string.h>

enum { CAPACITY = 1024, NAMES_SHOWN = 3 };

/* --------------------------------------------------------------------------- attributes --- */

static void unknown_attr(struct make *m, struct lang_name name)
{
	static const char *const attrs[] = {"capacity", "full", "feedback"};
	struct near near = NEAR_INIT(name.text, name.size);
	struct diag *e =
		diag_error(m->diags, name.span, "queues have no attribute '%s'", name.text);

	if (plan_is_stage_attr(name)) {
		diag_hint(m->diags, e, "an attribute of stages");
		return;
	}
	for (size_t i = 0; i < sizeof(attrs) / sizeof(attrs[0]); i++)
		near_offer(&near, attrs[i]);
	plan_hint_near(m, e, &near);
	if (!near.best)
		diag_note(m->diags, e, (struct diag_span){0},
		          "they have: capacity, full, feedback");
}

void plan_queue_attrs_read(struct make *m, const struct lang_attr *attrs, size_t n,
                           struct plan_queue_attrs *ret)
{
	/* in the order of enum pc_full */
	static const char *const full[] = {"block", "drop-new", "drop-old", "error", NULL};
	int word;

	*ret = (struct plan_queue_attrs){0};
	for (size_t i = 0; i < n; i++) {
		const struct lang_attr *a = &attrs[i];

		if (plan_attr_twice(m, attrs, a))
			continue;
		if (plan_name_is(a->name, "capacity")) {
			if (plan_attr_number(m, a, 1, PC_QUEUE_CAPACITY_MAX, &ret->capacity))
				ret->capacity_at = a;
		} else if (plan_name_is(a->name, "full")) {
			word = plan_attr_word(m, a, full);
			if (word >= 0) {
				ret->full = (enum pc_full)word;
				ret->full_at = a;
			}
		} else if (plan_name_is(a->name, "feedback")) {
			if (plan_attr_is_flag(m, a))
				ret->feedback_at = a;
		} else {
			unknown_attr(m, a->name);
		}
	}
}

void plan_queue_attrs_set(struct plan_queue *q, struct plan_queue_draft *draft,
                          const struct plan_queue_attrs *attrs)
{
	draft->attrs = *attrs;
	q->capacity = attrs->capacity_at ? attrs->capacity : CAPACITY;
	q->full = attrs->full;
	q->feedback = attrs->feedback_at != NULL;
}

bool plan_queues_declare(struct make *m)
{
	const struct lang_tree *t = m->tree;
	size_t room = t->n_queues + m->n_arrows; /* an arrow makes one at most */
	struct plan_queue_attrs attrs;

	m->plan->queues = arena_alloc(&m->plan->arena, room * sizeof(*m->plan->queues));
	m->queue_drafts = arena_alloc(&m->scratch, room * sizeof(*m->queue_drafts));
	if (!m->plan->queues || !m->queue_drafts)
		return false;
	for (size_t i = 0; i < t->n_queues; i++) {
		const struct lang_queue *decl = &t->queues[i];
		struct plan_queue *q = &m->plan->queues[i];

		*q = (struct plan_queue){.declared = true, .span = decl->name.span};
		q->name = arena_string(&m->plan->arena, decl->name.text);
		if (!q->name)
			return false;
		plan_queue_attrs_read(m, decl->attrs, decl->n_attrs, &attrs);
		plan_queue_attrs_set(q, &m->queue_drafts[i], &attrs);
	}
	m->plan->n_queues = (uint32_t)t->n_queues;
	return true;
}

/* -------------------------------------------------------------------- writers and readers --- */

static struct plan_edge *sort(struct make *m, const struct plan_edge *edges, uint32_t n)
{
	struct plan_edge *sorted = arena_alloc(&m->scratch, n * sizeof(*sorted));
	uint32_t n_queues = m->plan->n_queues, i, at = 0, size;
	uint32_t *next = arena_alloc(&m->scratch, n_queues * sizeof(*next));

	if (!sorted || !next)
		return NULL;
	for (i = 0; i < n; i++)
		next[edges[i].queue]++;
	for (i = 0; i < n_queues; i++) {
		size = next[i];
		next[i] = at;
		at += size;
	}
	for (i = 0; i < n; i++)
		sorted[next[edges[i].queue]++] = edges[i];
	return sorted;
}

/* The same output into the same queue twice. Said of queues without a name only: a chain may
 * well name a declared queue that is written already. */
static bool is_again(struct make *m, const struct plan_edge *w)
{
	struct plan_port *p = &m->drafts[w->stage].out[w->port];
	struct diag *e;

	if (p->queue != w->queue) {
		p->queue = w->queue;
		p->span = w->arrow;
		return false;
	}
	if (!m->plan->queues[w->queue].declared) {
		e = diag_error(m->diags, w->arrow, "'%s' is wired like this already",
		               m->plan->stages[w->stage].name);
		diag_note(m->diags, e, p->span, "the first time is here");
	}
	return true;
}

/* Each stage once, though it may write with several ports. */
static void add_writer(struct make *m, uint32_t queue, uint32_t stage)
{
	struct plan_queue *q = &m->plan->queues[queue];

	if (m->drafts[stage].mark == queue + 1)
		return;
	m->drafts[stage].mark = queue + 1;
	q->writers[q->n_writers++] = stage;
}

/* Stages that put failed items into a queue, listed by queue. */
static struct plan_edge *dead_edges(struct make *m, uint32_t *ret_n)
{
	struct plan_edge *list;
	uint32_t n = 0;

	for (uint32_t i = 0; i < m->plan->n_stages; i++)
		n += m->plan->stages[i].dead_queue != PLAN_NONE;
	*ret_n = n;
	list = arena_alloc(&m->scratch, n * sizeof(*list));
	n = 0;
	for (uint32_t i = 0; list && i < m->plan->n_stages; i++)
		if (m->plan->stages[i].dead_queue != PLAN_NONE)
			list[n++] = (struct plan_edge){.stage = i,
			                               .queue = m->plan->stages[i].dead_queue};
	return list ? sort(m, list, n) : NULL;
}

/* `dead`: those for this queue; *n: how many. */
static bool queue_ends(struct make *m, uint32_t queue, const struct plan_edge *dead, uint32_t n)
{
	struct plan_queue *q = &m->plan->queues[queue];
	struct plan_queue_draft *d = &m->queue_drafts[queue];
	const struct plan_edge *w = m->writes + d->first_write, *r = m->reads + d->first_read;
	uint32_t i, kept = 0;

	q->writers = arena_alloc(&m->plan->arena, (d->n_writes + n) * sizeof(*q->writers));
	q->readers = arena_alloc(&m->plan->arena, d->n_reads * sizeof(*q->readers));
	if (!q->writers || !q->readers)
		return false;
	for (i = 0; i < d->n_writes; i++) {
		if (is_again(m, &w[i]))
			continue;
		m->writes[d->first_write + kept++] = w[i];
		add_writer(m, queue, w[i].stage);
		m->plan->stages[w[i].stage].outputs[w[i].port].n_queues++;
	}
	d->n_writes = kept;
	for (i = 0; i < n; i++)
		add_writer(m, queue, dead[i].stage);
	for (i = 0; i < d->n_reads; i++)
		q->readers[q->n_readers++] = r[i].stage;
	return true;
}

static bool all_ends(struct make *m)
{
	uint32_t w = 0, r = 0, k = 0, first, n_dead;
	struct plan_edge *dead = dead_edges(m, &n_dead);

	m->writes = sort(m, m->writes, m->n_writes);
	m->reads = sort(m, m->reads, m->n_reads);
	if (!dead || !m->writes || !m->reads)
		return false;
	for (uint32_t i = 0; i < m->plan->n_queues; i++) {
		struct plan_queue_draft *d = &m->queue_drafts[i];

		for (d->first_write = w; w < m->n_writes && m->writes[w].queue == i; w++)
			;
		d->n_writes = w - d->first_write;
		for (d->first_read = r; r < m->n_reads && m->reads[r].queue == i; r++)
			;
		d->n_reads = r - d->first_read;
		for (first = k; k < n_dead && dead[k].queue == i; k++)
			;
		if (!queue_ends(m, i, dead + first, k - first))
			return false;
	}
	return true;
}

/* From the queues' side to the stages'. */
static bool ports(struct make *m)
{
	struct plan *plan = m->plan;
	uint32_t i, k;

	for (i = 0; i < plan->n_stages; i++) {
		struct plan_stage *s = &plan->stages[i];

		for (k = 0; s->desc && k < s->desc->n_inputs; k++)
			s->inputs[k].queue = m->drafts[i].in[k].queue;
		for (k = 0; s->desc && k < s->desc->n_outputs; k++) {
			s->outputs[k].queues = arena_alloc(
				&plan->arena, s->outputs[k].n_queues * sizeof(uint32_t));
			if (!s->outputs[k].queues)
				return false;
			s->outputs[k].n_queues = 0;
		}
	}
	for (i = 0; i < plan->n_queues; i++)
		for (k = 0; k < m->queue_drafts[i].n_writes; k++) {
			const struct plan_edge *w =
				&m->writes[m->queue_drafts[i].first_write + k];
			struct plan_output *o = &plan->stages[w->stage].outputs[w->port];

			o->queues[o->n_queues++] = i;
		}
	return true;
}

/* Which queues each stage writes, dead items included. */
static bool written(struct make *m)
{
	struct plan *plan = m->plan;
	uint32_t *first = arena_alloc(&m->scratch, (plan->n_stages + 2) * sizeof(*first)), i, k;

	if (!first)
		return false;
	for (i = 0; i < plan->n_queues; i++)
		for (k = 0; k < plan->queues[i].n_writers; k++)
			first[plan->queues[i].writers[k] + 2]++;
	for (i = 2; i < plan->n_stages + 2; i++)
		first[i] += first[i - 1];
	m->out_queues = arena_alloc(&m->scratch, first[plan->n_stages + 1] * sizeof(uint32_t));
	if (!m->out_queues)
		return false;
	/* first[s + 1] runs from the beginning of s to its end: the beginning of s + 1. */
	for (i = 0; i < plan->n_queues; i++)
		for (k = 0; k < plan->queues[i].n_writers; k++)
			m->out_queues[first[plan->queues[i].writers[k] + 1]++] = i;
	m->out_first = first;
	return true;
}

/* --------------------------------------------------------------------------------- names --- */

static void add_end(struct buf *b, const struct plan_stage *s, uint32_t port, bool input)
{
	const struct pc_port *p = input ? &s->desc->inputs[port] : &s->desc->outputs[port];
	uint32_t n = input ? s->desc->n_inputs : s->desc->n_outputs;

	buf_adds(b, s->name);
	if (n > 1 && strcmp(p->name, input ? "in" : "out") != 0)
		buf_addf(b, ".%s", p->name);
}

static void add_ends(struct make *m, struct buf *b, const struct plan_edge *edges, uint32_t n,
                     bool input)
{
	for (uint32_t i = 0; i < n && i < NAMES_SHOWN; i++) {
		buf_adds(b, i ? ", " : "");
		add_end(b, &m->plan->stages[edges[i].stage], edges[i].port, input);
	}
	if (n > NAMES_SHOWN)
		buf_adds(b, ", …");
}

/* "a, b -> c": what the queue of an arrow is called. */
static bool name_unnamed(struct make *m, uint32_t queue)
{
	const struct plan_queue_draft *d = &m->queue_drafts[queue];
	struct plan_queue *q = &m->plan->queues[queue];
	struct buf b = {0};

	add_ends(m, &b, m->writes + d->first_write, d->n_writes, false);
	buf_adds(&b, " -> ");
	add_ends(m, &b, m->reads + d->first_read, d->n_reads, true);
	q->name = b.failed ? NULL : arena_text(&m->plan->arena, b.text, b.size);
	buf_fini(&b);
	return q->name != NULL;
}

bool plan_queues(struct make *m)
{
	if (!all_ends(m) || !ports(m) || !written(m))
		return false;
	for (uint32_t i = 0; i < m->plan->n_queues; i++) {
		struct plan_queue *q = &m->plan->queues[i];

		q->file = plan_file(m, q->span, &q->line);
		if (!q->file || (!q->declared && !name_unnamed(m, i)))
			return false;
	}
	return true;
}
