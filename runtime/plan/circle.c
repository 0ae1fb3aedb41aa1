/* plan/circle.c: why a join can never pass, told step by step.
 *
 * Called by order.c on the control thread. From an event that can never happen there is always a
 * wait for another such event, and there are finitely many: following them ends in a circle. Each
 * event is passed by one search only, so that every circle is told once and all searches
 * together are linear. */
#include "plan/order.h"

enum { STEPS_MAX = 20 }; /* that are told of a circle of thousands */

static enum event event_of(const struct order *o, uint32_t n, uint32_t *ret_index)
{
	int event = 0;

	while (n >= o->base[event + 1])
		event++;
	*ret_index = n - o->base[event];
	return (enum event)event;
}

/* Something that this event waits for in vain. */
static uint32_t follow(const struct order *o, uint32_t event)
{
	uint32_t i = o->first[event];

	while (i + 1 < o->first[event + 1] && o->missing[o->on[i]] == 0)
		i++;
	return o->on[i];
}

static bool is_declared_join(const struct order *o, uint32_t event)
{
	return event > o->base[PASS] + PLAN_JOIN_END;
}

static const char *join_name(const struct order *o, uint32_t index)
{
	return o->m->plan->joins[index].name;
}

/* Where the join says that it waits for `name`. */
static struct diag_span after_span(const struct order *o, uint32_t join, const char *name)
{
	const struct lang_join *decl;

	if (join <= PLAN_JOIN_END)
		return (struct diag_span){0};
	decl = &o->m->tree->joins[join - PLAN_JOIN_END - 1];
	for (size_t i = 0; i < decl->n_after; i++)
		if (plan_name_is(decl->after[i], name))
			return decl->after[i].span;
	return decl->name.span;
}

/* One step of the circle, from an event to the one that it waits for, as a note. CLOSED and READ
 * are told together with the event after them. */
static void tell_step(struct order *o, struct diag *e, uint32_t from, uint32_t to)
{
	struct make *m = o->m;
	struct plan *plan = m->plan;
	uint32_t i, k;
	enum event a = event_of(o, from, &i), b = event_of(o, to, &k);

	if (b == CLOSED || b == READ) {
		enum event c = event_of(o, follow(o, to), &k);

		if (a == END && c == END)
			diag_note(m->diags, e, plan->stages[i].span,
			          "'%s' ends after '%s', which feeds it", plan->stages[i].name,
			          plan->stages[k].name);
		else if (c == END)
			diag_note(m->diags, e, plan->queues[i].span,
			          "'%s' is filled by '%s', which must have ended",
			          plan->queues[i].name, plan->stages[k].name);
		else
			diag_note(m->diags, e, plan->queues[i].span,
			          "'%s' is emptied by '%s', which must have started",
			          plan->queues[i].name, plan->stages[k].name);
	} else if (a == BEGIN) {
		diag_note(m->diags, e, m->drafts[i].start_span, "'%s' starts after '%s'",
		          plan->stages[i].name, join_name(o, k));
	} else if (a == END && b == PASS) {
		diag_note(m->diags, e, m->drafts[i].until_span, "'%s' goes on until '%s'",
		          plan->stages[i].name, join_name(o, k));
	} else if (a == PASS) {
		const char *name = b == PASS  ? join_name(o, k)
		                   : b == END ? plan->stages[k].name
		                              : plan->queues[k].name;

		diag_note(m->diags, e, after_span(o, i, name), "'%s' waits for '%s'%s",
		          join_name(o, i), name,
		          i != PLAN_JOIN_END ? ""
		          : b == END         ? ", as for every stage that is no daemon"
		                             : ", as for every queue that such a stage writes");
	}
}

/* All of the circle are joins: its path says everything. */
static bool tell_joins(struct order *o, uint32_t first)
{
	struct buf path = {0};
	uint32_t at = first, n = 0, i;
	bool only = true;

	do {
		only = event_of(o, at, &i) == PASS;
		if (only && ++n <= STEPS_MAX)
			buf_addf(&path, "%s -> ", join_name(o, i));
		else if (only && n == STEPS_MAX + 1)
			buf_adds(&path, "… -> ");
		at = follow(o, at);
	} while (only && at != first);
	if (only) {
		event_of(o, first, &i);
		if (follow(o, first) == first)
			diag_error(o->m->diags, o->m->plan->joins[i].span,
			           "join '%s' waits for itself", join_name(o, i));
		else
			diag_error(o->m->diags, o->m->plan->joins[i].span,
			           "these joins wait for each other: %s%s",
			           path.failed ? "" : path.text, join_name(o, i));
	}
	buf_fini(&path);
	return only;
}

static void tell(struct order *o, uint32_t on_circle)
{
	struct make *m = o->m;
	uint32_t first = on_circle, at, begin = UINT32_MAX, n = 0, i;
	struct diag *e;

	/* Begin with a declared join, the first of the text; else with a stage that has start=. */
	for (at = follow(o, on_circle); at != on_circle; at = follow(o, at)) {
		if (is_declared_join(o, at) && (!is_declared_join(o, first) || at < first))
			first = at;
		if (at < o->base[BEGIN + 1])
			begin = at;
	}
	if (tell_joins(o, first))
		return;
	if (!is_declared_join(o, first) && begin != UINT32_MAX)
		first = begin;
	if (event_of(o, first, &i) == BEGIN)
		e = diag_error(m->diags, m->drafts[i].start_span, "'%s' could never start",
		               m->plan->stages[i].name);
	else
		e = diag_error(m->diags, m->plan->joins[i].span, "join '%s' could never pass",
		               m->plan->joins[i].name);
	at = first;
	do {
		tell_step(o, e, at, follow(o, at));
		at = follow(o, at);
	} while (at != first && ++n < STEPS_MAX);
	if (at != first)
		diag_note(m->diags, e, (struct diag_span){0},
		          "and so on, back to the beginning");
}

void order_tell(struct order *o, uint32_t from, uint32_t number)
{
	if (o->missing[from] == 0)
		return;
	while (o->search[from] == 0) {
		o->search[from] = number;
		from = follow(o, from);
	}
	if (o->search[from] == number)
		tell(o, from);
}
