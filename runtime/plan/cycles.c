/* plan/cycles.c: ways that lead back to where they began.
 *
 * Called by plan_make() on the control thread. All queues are bounded: once those of a cycle are
 * full, each of its stages waits for the next, for ever. So one of them must be marked
 * `feedback`, by which the author says to have seen to it.
 *
 * A depth-first walk over stages and queues, with a stack of its own (chains are long). A queue
 * that leads back to a stage on the stack closes a cycle, which the stack shows. It counts as
 * `feedback` from then on: one mistake, one message. */
#include "plan/make.h"

enum state { NEW = 0, OPEN, DONE };

struct walk {
	struct make *m;
	unsigned char *state; /* of each stage: enum state */
	struct {
		uint32_t stage;
		uint32_t queue;  /* place in out_queues */
		uint32_t reader; /* place in the queue's readers */
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

static void report(struct walk *w, uint32_t closing, uint32_t to)
{
	struct make *m = w->m;
	struct plan *plan = m->plan;
	const struct plan_queue *q = &plan->queues[closing];
	struct buf path = {0};
	uint32_t i = w->depth, shown = 0;
	struct diag *e;

	while (w->stack[i - 1].stage != to)
		i--;
	for (i--; i < w->depth; i++) {
		const struct plan_queue *by = &plan->queues[m->out_queues[w->stack[i].queue]];

		if (++shown > 20) { /* a circle of thousands need not be read out */
			buf_adds(&path, "… -> ");
			break;
		}
		buf_addf(&path, "%s -> ", plan->stages[w->stack[i].stage].name);
		if (by->declared)
			buf_addf(&path, "%s -> ", by->name);
	}
	buf_adds(&path, plan->stages[to].name);
	e = diag_error(m->diags, write_span(m, w->stack[w->depth - 1].stage, closing),
	               "this closes a circle that can fill up and stop: %s",
	               path.failed ? "" : path.text);
	if (q->declared)
		diag_hint(m->diags, e, "declare '%s' with 'feedback'", q->name);
	else
		diag_hint(m->diags, e, "end the line with [feedback]");
	buf_fini(&path);
	m->queue_drafts[closing].in_cycle = true;
}

static void push(struct walk *w, uint32_t stage)
{
	w->state[stage] = OPEN;
	w->stack[w->depth].stage = stage;
	w->stack[w->depth].queue = w->m->out_first[stage];
	w->stack[w->depth++].reader = 0;
}

/* One step from the stage on top: to its next reader, or back. */
static void step(struct walk *w)
{
	struct make *m = w->m;
	uint32_t top = w->depth - 1, stage = w->stack[top].stage, queue, reader;
	const struct plan_queue *q;

	if (w->stack[top].queue == m->out_first[stage + 1]) {
		w->state[stage] = DONE;
		w->depth--;
		return;
	}
	queue = m->out_queues[w->stack[top].queue];
	q = &m->plan->queues[queue];
	if (q->feedback || m->queue_drafts[queue].in_cycle ||
	    w->stack[top].reader == q->n_readers) {
		w->stack[top].queue++;
		w->stack[top].reader = 0;
		return;
	}
	reader = q->readers[w->stack[top].reader++];
	if (w->state[reader] == NEW)
		push(w, reader);
	else if (w->state[reader] == OPEN)
		report(w, queue, reader);
}

bool plan_cycles(struct make *m)
{
	uint32_t n = m->plan->n_stages;
	struct walk w = {.m = m};

	w.state = arena_alloc(&m->scratch, n);
	w.stack = arena_alloc(&m->scratch, n * sizeof(*w.stack));
	if (!w.state || !w.stack)
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (w.state[i] == NEW)
			for (push(&w, i); w.depth > 0;)
				step(&w);
	return true;
}
