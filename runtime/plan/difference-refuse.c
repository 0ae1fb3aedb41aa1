/* plan/difference-refuse.c: changes that a running graph can not make, each with what to do.
 *
 * Called by difference.c. Two things only. Shared state: stages hold its handles, and a snapshot
 * of it must be one for all of them. Cycles: when a cycle ends is decided by counting what is under
 * way in it, and the count would have to be right at a moment when nothing is. */
#include "plan/match.h"

#include <stdlib.h>
#include <string.h>

static const struct plan_shared *shared_named(const struct plan *plan, const char *name)
{
	for (uint32_t i = 0; i < plan->n_shareds; i++)
		if (strcmp(plan->shareds[i].name, name) == 0)
			return &plan->shareds[i];
	return NULL;
}

bool refuse_shared(const struct match *m, struct diag_list *diags)
{
	for (uint32_t i = 0; i < m->new->n_shareds; i++) {
		const struct plan_shared *now = &m->new->shareds[i];
		const struct plan_shared *old = shared_named(m->old, now->name);
		struct diag *e;

		if (old && old->kind == now->kind && old->size_bytes == now->size_bytes)
			continue;
		e = diag_error(diags, now->span,
		               old ? "shared state '%s' can not become something else while "
		                     "the graph runs"
		                   : "shared state '%s' can not be added while the graph runs",
		               now->name);
		diag_hint(diags, e, "stop the graph and start it again");
	}
	return true;
}

/* ---------------------------------------------------------------------------------- cycles --- */

/* Adds to `in_cycle` the stages of all cycles that the plan has. */
static bool find_cycles(const struct plan *plan, bool *in_cycle)
{
	bool *marks = NULL;

	for (uint32_t q = 0; q < plan->n_queues; q++) {
		if (!plan->queues[q].feedback || plan->queues[q].gone)
			continue;
		marks = marks ? marks : malloc(plan_cycle_marks(plan));
		if (!marks)
			return false;
		plan_mark_cycle(plan, q, marks);
		for (uint32_t i = 0; i < plan->n_stages; i++)
			in_cycle[i] |= marks[i];
	}
	free(marks);
	return true;
}

static bool has_feedback(const struct plan *plan)
{
	for (uint32_t i = 0; i < plan->n_queues; i++)
		if (plan->queues[i].feedback && !plan->queues[i].gone)
			return true;
	return false;
}

/* It was one before, by that name, and would be now but for who writes it. */
static bool changes_hands(const struct match *m, uint32_t merged)
{
	for (uint32_t i = 0; i < m->new->n_queues; i++)
		if (m->queue[i] == merged)
			return m->overtaken[i];
	return false;
}

bool refuse_cycles(const struct plan_difference *d, const struct match *m,
                   struct diag_list *diags)
{
	const unsigned structure = CHANGE_ADDED | CHANGE_GONE | CHANGE_REPLICAS |
	                           CHANGE_DAEMON | CHANGE_INPUT | CHANGE_OUTPUT | CHANGE_ERROR;
	const unsigned wires = CHANGE_INPUT | CHANGE_OUTPUT;
	struct arena a = {0};
	bool *in_cycle, told = false;

	if (!has_feedback(m->old) && !has_feedback(m->new))
		return true;
	in_cycle = arena_alloc(&a, d->merged.n_stages + 1);
	if (!in_cycle || !find_cycles(m->old, in_cycle) || !find_cycles(&d->merged, in_cycle)) {
		arena_fini(&a);
		return false;
	}
	for (uint32_t i = 0; i < d->merged.n_queues; i++) {
		const struct plan_queue *q = &d->merged.queues[i];
		bool is_new = d->queues[i] & QUEUE_ADDED;
		bool was = !is_new && m->old->queues[i].feedback;
		struct diag *e;

		if (q->gone || was == q->feedback)
			continue;
		if (is_new && changes_hands(m, i)) {
			e = diag_error(diags, q->span,
			               "queue '%s' can not be given another writer while one "
			               "that goes may still be writing to it",
			               q->name);
			diag_hint(diags, e,
			          "take out the one that goes, and when it has ended add the "
			          "other");
			told = true;
			continue;
		}
		e = diag_error(diags, q->span,
		               "queue '%s' can not %s a feedback queue while the graph runs",
		               q->name, q->feedback ? "become" : "cease to be");
		diag_hint(diags, e, "stop the graph and start it again");
	}
	for (uint32_t i = 0; i < d->merged.n_stages; i++) {
		const struct plan_stage *s = &d->merged.stages[i];
		struct diag *e;

		if (!in_cycle[i] || !(d->stages[i] & structure))
			continue;
		/* it would be wired to another queue, for the reason that was given */
		if (told && (d->stages[i] & structure & ~wires) == 0)
			continue;
		e = diag_error(diags, s->gone ? (struct diag_span){0} : s->span,
		               "stage '%s' is part of a cycle, which can not change its shape "
		               "while the graph runs",
		               s->name);
		diag_hint(diags, e, "stop the graph and start it again");
	}
	arena_fini(&a);
	return true;
}
