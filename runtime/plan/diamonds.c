/* plan/diamonds.c: ways that part at one stage and meet again at the inputs of another.
 *
 * Called by plan_make() on the control thread. Where a stage with several inputs waits for items
 * of all of them, and one of the ways there holds items back (drops, gathers, sorts them), the
 * queues of the other way fill up until the stage where they part can't go on: then the first
 * way starves, too, for ever. Whether it does depends on what the stages do, which nobody knows
 * before the run. So this is a warning, and only where nobody has thought of it: a queue on one
 * of the ways with a capacity of its own, or one that drops, is such a thought. Ways without a
 * stage on them hold nothing back.
 *
 * From the inputs of a stage backwards, breadth first, each stage carries the number of the
 * input that it leads to. One that is met from two inputs is where ways part. */
#include "plan/make.h"

enum {
	STEPS_MAX =
		1 << 20, /* arrows looked at in all: a bound for graphs full of such stages */
	SHOWN_MAX = 20   /* names that are told of a way */
};

/* What was found of a stage on the way back from stage `goal`. */
struct met {
	uint32_t goal;  /* plus 1 */
	uint32_t input; /* of the goal, that items come to from here */
	uint32_t next;  /* the stage after it */
	uint32_t queue; /* between them */
};

struct search {
	struct make *m;
	struct met *met;
	uint32_t *todo;
	uint32_t steps;
};

/* Walks from a stage to the goal. True: somebody has thought of what may wait there. */
static bool is_sized(const struct search *s, struct met at, uint32_t goal)
{
	for (;; at = s->met[at.next]) {
		const struct plan_queue_attrs *a = &s->m->queue_drafts[at.queue].attrs;

		if (a->capacity_at || a->full_at)
			return true;
		if (at.next == goal)
			return false;
	}
}

static void tell_way(const struct search *s, struct diag *w, const char *which, uint32_t stage,
                     struct met at, uint32_t goal)
{
	const struct plan *plan = s->m->plan;
	struct buf way = {0};
	uint32_t shown = 0;

	buf_adds(&way, plan->stages[stage].name);
	for (;; at = s->met[at.next]) {
		if (plan->queues[at.queue].declared)
			buf_addf(&way, " -> %s", plan->queues[at.queue].name);
		if (at.next == goal)
			break;
		if (++shown < SHOWN_MAX)
			buf_addf(&way, " -> %s", plan->stages[at.next].name);
		else if (shown == SHOWN_MAX)
			buf_adds(&way, " -> …");
	}
	diag_note(s->m->diags, w, s->m->drafts[goal].in[at.input].span, "%s: %s -> %s.%s",
	          which, way.failed ? "" : way.text, plan->stages[goal].name,
	          plan->stages[goal].desc->inputs[at.input].name);
	buf_fini(&way);
}

/* The ways from `stage` that begin with `a` and `b` meet at the goal. True: they were told of. */
static bool tell(const struct search *s, uint32_t stage, struct met a, struct met b,
                 uint32_t goal)
{
	struct make *m = s->m;
	struct diag *w;

	if (a.next == goal && b.next == goal)
		return false;
	if (is_sized(s, a, goal) || is_sized(s, b, goal))
		return false;
	w = diag_warning(
		m->diags, m->plan->stages[goal].span,
		"if '%s' waits for all its inputs, ways that part at '%s' could fill up "
		"and stop",
		plan_shown(m, goal), m->plan->stages[stage].name);
	diag_hint(m->diags, w, "give a queue on the way a capacity");
	tell_way(s, w, "one way", stage, a, goal);
	tell_way(s, w, "the other", stage, b, goal);
	return true;
}

/* Adds all that write the queue; the goal has been told of when this returns true. */
static bool meet_writers(struct search *s, uint32_t goal, struct met at, uint32_t *n)
{
	const struct plan_queue *q = &s->m->plan->queues[at.queue];

	if (q->feedback || s->m->queue_drafts[at.queue].in_cycle)
		return false;
	for (uint32_t i = 0; i < q->n_writers && s->steps < STEPS_MAX; i++, s->steps++) {
		struct met *met = &s->met[q->writers[i]];

		if (met->goal != goal + 1) {
			*met = at;
			s->todo[(*n)++] = q->writers[i];
		} else if (met->input != at.input && tell(s, q->writers[i], *met, at, goal)) {
			return true;
		}
	}
	return false;
}

static void search(struct search *s, uint32_t goal)
{
	const struct plan *plan = s->m->plan;
	const struct plan_stage *z = &plan->stages[goal];
	uint32_t n = 0, done = 0, i;

	for (i = 0; i < z->desc->n_inputs; i++) {
		struct met at = {goal + 1, i, goal, z->inputs[i].queue};

		if (at.queue != PLAN_NONE && meet_writers(s, goal, at, &n))
			return;
	}
	while (done < n) {
		uint32_t stage = s->todo[done++];

		for (i = 0; plan->stages[stage].desc && i < plan->stages[stage].desc->n_inputs;
		     i++) {
			struct met at = {goal + 1, s->met[stage].input, stage,
			                 plan->stages[stage].inputs[i].queue};

			if (at.queue != PLAN_NONE && meet_writers(s, goal, at, &n))
				return;
		}
	}
}

bool plan_diamonds(struct make *m)
{
	uint32_t n = m->plan->n_stages;
	struct search s = {.m = m};

	s.met = arena_alloc(&m->scratch, n * sizeof(*s.met));
	s.todo = arena_alloc(&m->scratch, n * sizeof(*s.todo));
	if (!s.met || !s.todo)
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (m->plan->stages[i].desc && m->plan->stages[i].desc->n_inputs > 1)
			search(&s, i);
	return true;
}
