/* plan/wiring.c: arrows.
 *
 * Called by plan_make() on the control thread, statement after statement. What they mean:
 *
 *   a -> q, q -> b       `a` writes the declared queue q; `b` takes from it.
 *   a, b -> q -> c, d    each item goes to c or to d, whoever is first.
 *   a -> p, q            an output wired to several queues puts each item into all of them.
 *   a -> b               makes a queue without a name.
 *   a -> b, c            makes one such queue, for whose items b and c compete.
 *   a -> b; a -> c       makes two, and each gets every item.
 *   a -> c; b -> c       makes one: an input port takes from exactly one queue, so that the
 *                        second statement joins the queue that the first has made, if that has
 *                        the same readers.
 *
 * An arrow of which one end is wrong still counts as an attempt to wire the others: they are
 * marked, so that nobody calls them unwired. */
#include "plan/make.h"

/* The two groups of an arrow, resolved as far as they can be. */
struct arrow {
	const struct lang_group *from, *to;
	const struct plan_ref *from_refs, *to_refs;
	bool first, last; /* of its statement */
	struct diag_span span;
	uint32_t number;
	const struct plan_queue_attrs *attrs;
	bool makes; /* a queue without a name stands in it */
	bool wrong;
};

/* Whether any end of the group is of this kind. */
static bool has(const struct plan_ref *refs, const struct lang_group *group,
                enum plan_kind kind)
{
	for (size_t i = 0; i < group->n_ends; i++)
		if (refs[i].kind == kind)
			return true;
	return false;
}

/* All inputs or all outputs of a stage are looked at as wired. */
static void touch_stage(struct make *m, uint32_t stage, bool input)
{
	const struct pc_stage_desc *desc = m->plan->stages[stage].desc;
	struct plan_port *ports = input ? m->drafts[stage].in : m->drafts[stage].out;
	uint32_t n = !desc ? 0 : input ? desc->n_inputs : desc->n_outputs;

	for (uint32_t i = 0; i < n; i++)
		ports[i].touched = true;
}

static void touch(struct make *m, const struct plan_ref *refs, const struct lang_group *group,
                  bool input)
{
	for (size_t i = 0; i < group->n_ends; i++)
		if (refs[i].kind == KIND_QUEUE)
			m->queue_drafts[refs[i].index].suspect = true;
		else if (refs[i].kind == KIND_STAGE)
			touch_stage(m, refs[i].index, input);
}

/* The ports that the arrow leads to; *ret_n of them. NULL: out of memory. */
static struct plan_target *targets_of(struct make *m, struct arrow *a, size_t *ret_n)
{
	struct plan_target *list = arena_alloc(&m->scratch, a->to->n_ends * sizeof(*list)), *t;
	struct plan_port *p;
	size_t n = 0;

	*ret_n = 0;
	for (size_t i = 0; list && i < a->to->n_ends; i++) {
		if (a->to_refs[i].kind != KIND_STAGE)
			continue;
		t = &list[n];
		t->stage = a->to_refs[i].index;
		t->end = &a->to->ends[i];
		if (!plan_port_in(m, t->stage, t->end, a->last, &t->port)) {
			a->wrong = true;
			touch_stage(m, t->stage, false);
			continue;
		}
		p = &m->drafts[t->stage].in[t->port];
		if (p->arrow == a->number) {
			diag_error(m->diags, t->end->span, "this arrow leads to '%s' twice",
			           plan_shown(m, t->stage));
			continue;
		}
		p->arrow = a->number;
		n++;
	}
	*ret_n = n;
	return list;
}

/* Everything that the arrow takes from queues with a name. */
static void read_named(struct make *m, struct arrow *a, const struct plan_target *targets,
                       size_t n)
{
	for (size_t i = 0; i < a->from->n_ends; i++)
		for (size_t k = 0; a->from_refs[i].kind == KIND_QUEUE && k < n; k++)
			plan_link_read(m, &targets[k], a->from_refs[i].index, a->span);
}

/* Everything that the arrow puts, into queues with a name and the one without. */
static void write_all(struct make *m, struct arrow *a, uint32_t unnamed)
{
	size_t n_to = has(a->to_refs, a->to, KIND_QUEUE) ? a->to->n_ends : 0;
	uint32_t stage, port;

	for (size_t i = 0; i < a->from->n_ends; i++) {
		if (a->from_refs[i].kind != KIND_STAGE)
			continue;
		stage = a->from_refs[i].index;
		if (!plan_port_out(m, stage, &a->from->ends[i], a->first, &port)) {
			a->wrong = true;
			touch_stage(m, stage, true);
			continue;
		}
		if (unnamed != PLAN_NONE)
			plan_link_write(m, stage, port, unnamed, a->span);
		for (size_t k = 0; k < n_to; k++)
			if (a->to_refs[k].kind == KIND_QUEUE)
				plan_link_write(m, stage, port, a->to_refs[k].index, a->span);
	}
}

static bool follow(struct make *m, struct arrow *a)
{
	bool from_queue = has(a->from_refs, a->from, KIND_QUEUE),
	     to_queue = has(a->to_refs, a->to, KIND_QUEUE);
	struct plan_target *targets;
	uint32_t unnamed = PLAN_NONE;
	struct diag *e;
	size_t n;

	a->wrong |= has(a->from_refs, a->from, KIND_NONE) || has(a->to_refs, a->to, KIND_NONE);
	if (from_queue && to_queue) {
		e = diag_error(m->diags, a->span,
		               "an arrow can't lead from a queue to a queue");
		diag_hint(m->diags, e, "a stage must stand between them");
		a->wrong = true;
	}
	targets = targets_of(m, a, &n);
	if (!targets)
		return false;
	read_named(m, a, targets, n);
	if (has(a->from_refs, a->from, KIND_STAGE) && has(a->to_refs, a->to, KIND_STAGE)) {
		a->makes = true;
		if (n > 0)
			unnamed = plan_link_unnamed(m, targets, n, a->attrs, a->span);
		a->wrong |= unnamed == PLAN_NONE;
	}
	write_all(m, a, unnamed);
	if (a->wrong) {
		touch(m, a->from_refs, a->from, false);
		touch(m, a->to_refs, a->to, true);
		if (unnamed != PLAN_NONE)
			m->queue_drafts[unnamed].suspect = true;
	}
	return !arena_failed(&m->scratch);
}

static void end_check(struct make *m, struct plan_ref ref, const struct lang_end *end,
                      bool alone)
{
	if (!end->port.text)
		return;
	if (ref.kind == KIND_QUEUE)
		diag_error(m->diags, end->port.span,
		           "'%s' is a queue, and queues have no ports", end->call.plugin.text);
	else if (alone)
		diag_error(m->diags, end->port.span, "a port without an arrow wires nothing");
}

static bool statement(struct make *m, const struct lang_wire *w, const struct plan_ref *refs,
                      uint32_t *number)
{
	struct plan_queue_attrs attrs;
	bool makes = false, wrong = w->broken;
	struct diag *e;

	plan_queue_attrs_read(m, w->attrs, w->n_attrs, &attrs);
	for (size_t g = 0; g < w->n_groups; g++) {
		const struct plan_ref *next = refs + w->groups[g].n_ends;

		for (size_t i = 0; i < w->groups[g].n_ends; i++)
			end_check(m, refs[i], &w->groups[g].ends[i], w->n_groups == 1);
		if (g + 1 < w->n_groups) {
			struct arrow a = {.from = &w->groups[g],
			                  .to = &w->groups[g + 1],
			                  .from_refs = refs,
			                  .to_refs = next,
			                  .first = g == 0,
			                  .last = g + 2 == w->n_groups,
			                  .span = w->arrows[g],
			                  .number = ++*number,
			                  .attrs = &attrs,
			                  .wrong = w->broken};

			if (!follow(m, &a))
				return false;
			makes |= a.makes;
			wrong |= a.wrong;
		}
		refs = next;
	}
	if (w->n_attrs > 0 && !makes && !wrong) {
		e = diag_error(m->diags, w->attrs[0].name.span,
		               "this statement makes no queue that these could belong to");
		diag_hint(m->diags, e,
		          "a declared queue has its attributes where it is declared");
	}
	return true;
}

bool plan_wires(struct make *m)
{
	const struct lang_tree *t = m->tree;
	const struct plan_ref *refs = m->ends;
	uint32_t number = 0;

	for (size_t i = 0; i < t->n_wires; i++) {
		if (!statement(m, &t->wires[i], refs, &number))
			return false;
		for (size_t g = 0; g < t->wires[i].n_groups; g++)
			refs += t->wires[i].groups[g].n_ends;
	}
	return true;
}
