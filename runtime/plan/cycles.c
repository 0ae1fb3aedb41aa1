/* plan/cycles.c: ways that lead back to where they began.
 *
 * Called by plan_make() on the control thread. All queues are bounded: once those of a cycle are
 * full, each of its stages waits for the next, for ever. So one of them must be marked
 * `feedback`, by which the author says to have seen to it.
 *
 * A depth-first walk over stages and queues, each being a node, so that a queue with many writers
 * and many readers costs their sum; with a stack of its own, for chains are long. An arrow to a
 * node that is on the stack closes a cycle, which the stack shows. The queue in it counts as
 * `feedback` from then on: one mistake, one message. */
#include "plan/make.h"

enum state { NEW = 0, OPEN, DONE };

enum { SHOWN_MAX = 20 }; /* names that are read out of a cycle of thousands */

struct walk {
	struct make *m;
	uint32_t n_stages;    /* nodes: the stages, then the queues */
	unsigned char *state; /* of each node: enum state */
	struct {
		uint32_t node, next; /* place in its out_queues, or in its readers */
	} * stack;
	uint32_t depth;
};

/* Where the stage writes the queue. */
static struct diag_span write_span(const struct make *m, uint32_t stage, uint32_t queue)
{
	const struct plan_queue_draft *d = &m->queue_drafts[queue];

	for (uint32_t i = d->first_write; i < d->first_write + d->n_writes; i++)
		if (m->writes[i].stage == stage)
			return m->writes[i].arrow;
	return m->drafts[stage].on_error_span; /* by on_error=dead=QUEUE */
}

/* What a node is called in a path; NULL: a queue without a name. */
static const char *node_name(const struct walk *w, uint32_t node)
{
	const struct plan *plan = w->m->plan;

	if (node < w->n_stages)
		return plan->stages[node].name;
	return plan->queues[node - w->n_stages].declared ? plan->queues[node - w->n_stages].name
	                                                 : NULL;
}

/* The way on the stack from `node` to the top, and back to `node`. */
static void add_path(const struct walk *w, uint32_t node, struct buf *path)
{
	const char *first = NULL, *name;
	uint32_t i = w->depth, shown = 0;

	while (w->stack[i - 1].node != node)
		i--;
	for (i--; i < w->depth; i++) {
		name = node_name(w, w->stack[i].node);
		if (!name)
			continue;
		if (!first)
			first = name;
		if (shown++ == SHOWN_MAX) {
			buf_adds(path, "… -> ");
			break;
		}
		buf_addf(path, "%s -> ", name);
	}
	buf_adds(path, first);
}

/* An arrow leads from the top of the stack to a node that is on it. */
static void report(struct walk *w, uint32_t node)
{
	struct make *m = w->m;
	bool to_queue = node >= w->n_stages;
	uint32_t stage = w->stack[w->depth - (to_queue ? 1 : 2)].node;
	uint32_t queue = (to_queue ? node : w->stack[w->depth - 1].node) - w->n_stages;
	struct buf path = {0};
	struct diag *e;

	add_path(w, node, &path);
	e = diag_error(m->diags, write_span(m, stage, queue),
	               "this closes a circle that can fill up and stop: %s",
	               path.failed ? "" : path.text);
	if (m->plan->queues[queue].declared)
		diag_hint(m->diags, e, "declare '%s' with 'feedback'",
		          m->plan->queues[queue].name);
	else
		diag_hint(m->diags, e, "end the line with [feedback]");
	buf_fini(&path);
	m->queue_drafts[queue].in_cycle = true;
}

static void push(struct walk *w, uint32_t node)
{
	w->state[node] = OPEN;
	w->stack[w->depth].node = node;
	w->stack[w->depth++].next = 0;
}

/* The n-th node that an arrow leads to from here; false: there are not so many. */
static bool next_of(const struct walk *w, uint32_t node, uint32_t n, uint32_t *ret)
{
	const struct make *m = w->m;

	if (node < w->n_stages) {
		if (n >= m->out_first[node + 1] - m->out_first[node])
			return false;
		*ret = w->n_stages + m->out_queues[m->out_first[node] + n];
		return true;
	}
	node -= w->n_stages;
	if (n >= m->plan->queues[node].n_readers)
		return false;
	*ret = m->plan->queues[node].readers[n];
	return true;
}

static bool is_open_end(const struct walk *w, uint32_t node)
{
	return node >= w->n_stages && (w->m->plan->queues[node - w->n_stages].feedback ||
	                               w->m->queue_drafts[node - w->n_stages].in_cycle);
}

/* One step from the node on top: to the next one behind it, or back. */
static void step(struct walk *w)
{
	uint32_t top = w->depth - 1, node = w->stack[top].node, next;

	if (!next_of(w, node, w->stack[top].next++, &next)) {
		w->state[node] = DONE;
		w->depth--;
	} else if (is_open_end(w, next)) {
		return;
	} else if (w->state[next] == NEW) {
		push(w, next);
	} else if (w->state[next] == OPEN) {
		report(w, next);
	}
}

bool plan_cycles(struct make *m)
{
	uint32_t n_nodes = m->plan->n_stages + m->plan->n_queues;
	struct walk w = {.m = m, .n_stages = m->plan->n_stages};

	w.state = arena_alloc(&m->scratch, n_nodes);
	w.stack = arena_alloc(&m->scratch, n_nodes * sizeof(*w.stack));
	if (!w.state || !w.stack)
		return false;
	for (uint32_t i = 0; i < w.n_stages; i++)
		if (w.state[i] == NEW)
			for (push(&w, i); w.depth > 0;)
				step(&w);
	return true;
}
