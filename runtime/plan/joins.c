/* plan/joins.c: what each join waits for.
 *
 * Called by plan_make() on the control thread, when stages, queues and their writers are known.
 * Whether it can ever pass is order.c's question. `start` waits for nothing; `end` for every
 * stage that is no daemon and every queue that such a stage writes. */
#include "plan/make.h"

#include <string.h>

static bool add(struct make *m, uint32_t **list, uint32_t *n, uint32_t index)
{
	uint32_t *grown = arena_grow(&m->plan->arena, *list, *n, sizeof(**list));

	if (!grown)
		return false;
	*list = grown;
	grown[(*n)++] = index;
	return true;
}

/* Nobody has declared the name; it may be that of a plugin in a chain. */
static void unknown(struct make *m, struct lang_name name)
{
	struct diag *e;

	if (m->lost_names)
		return;
	e = diag_error(m->diags, name.span, "there is no stage, queue or join '%s'", name.text);
	for (uint32_t i = (uint32_t)m->tree->n_stages; i < m->plan->n_stages; i++)
		if (plan_name_is(name, m->plan->stages[i].name)) {
			diag_note(m->diags, e, m->plan->stages[i].span,
			          "the stage here has no name: declare it to wait for it");
			return;
		}
	plan_name_suggest(m, e, name, 1U << KIND_STAGE | 1U << KIND_QUEUE | 1U << KIND_JOIN);
}

/* A daemon that nothing but the end of everything stops. */
static bool is_endless(const struct make *m, uint32_t stage)
{
	const struct plan_stage *s = &m->plan->stages[stage];

	return s->daemon && s->until == PLAN_JOIN_END;
}

/* The last join that was seen to wait for each thing, plus 1. */
struct seen {
	uint32_t *by_kind[KIND_JOIN + 1];
};

static bool seen_init(struct make *m, struct seen *seen)
{
	const uint32_t n[KIND_JOIN + 1] = {[KIND_STAGE] = m->plan->n_stages,
	                                   [KIND_QUEUE] = m->plan->n_queues,
	                                   [KIND_JOIN] = m->plan->n_joins};

	for (int kind = 0; kind <= KIND_JOIN; kind++) {
		seen->by_kind[kind] = arena_alloc(&m->scratch, n[kind] * sizeof(uint32_t));
		if (!seen->by_kind[kind])
			return false;
	}
	return true;
}

/* The name stands in the list of the join already. */
static void again(struct make *m, const struct lang_join *decl, struct lang_name name)
{
	struct diag *d =
		diag_warning(m->diags, name.span, "'%s' stands in this list twice", name.text);
	size_t i = 0;

	while (strcmp(decl->after[i].text, name.text) != 0)
		i++;
	diag_note(m->diags, d, decl->after[i].span, "the first time is here");
}

static void never_ends(struct make *m, struct lang_name name, struct plan_ref ref)
{
	struct diag *e;

	if (ref.kind == KIND_SHARED) {
		e = diag_error(
			m->diags, name.span,
			"'%s' is shared state, which never ends: no join can wait for it",
			name.text);
		plan_declared_note(m, e, ref);
		return;
	}
	e = diag_error(m->diags, name.span,
	               "'%s' is a daemon that goes on until the end: no join can wait for it",
	               name.text);
	diag_note(m->diags, e, m->drafts[ref.index].daemon_span, "it is made one here");
}

static bool wait_for(struct make *m, struct plan_join *j, struct plan_ref ref)
{
	if (ref.kind == KIND_STAGE)
		return add(m, &j->stages, &j->n_stages, ref.index);
	if (ref.kind == KIND_JOIN)
		return add(m, &j->joins, &j->n_joins, ref.index);
	m->plan->queues[ref.index].joined = true;
	return add(m, &j->queues, &j->n_queues, ref.index);
}

static bool declared(struct make *m, uint32_t index, const struct lang_join *decl,
                     struct seen *seen)
{
	struct plan_join *j = &m->plan->joins[index];

	j->span = decl->name.span;
	j->name = arena_string(&m->plan->arena, decl->name.text);
	if (!j->name)
		return false;
	for (size_t i = 0; i < decl->n_after; i++) {
		struct lang_name name = decl->after[i];
		struct plan_ref ref = plan_name_find(m, name.text);

		if (ref.kind == KIND_NONE) {
			unknown(m, name);
		} else if (ref.kind == KIND_SHARED ||
		           (ref.kind == KIND_STAGE && is_endless(m, ref.index))) {
			never_ends(m, name, ref);
		} else if (seen->by_kind[ref.kind][ref.index] == index + 1) {
			again(m, decl, name);
		} else {
			seen->by_kind[ref.kind][ref.index] = index + 1;
			if (!wait_for(m, j, ref))
				return false;
		}
	}
	return true;
}

static bool end(struct make *m, struct plan_join *j)
{
	struct plan *plan = m->plan;
	uint32_t i, k;

	for (i = 0; i < plan->n_stages; i++)
		if (!plan->stages[i].daemon && !add(m, &j->stages, &j->n_stages, i))
			return false;
	for (i = 0; i < plan->n_queues; i++) {
		struct plan_queue *q = &plan->queues[i];

		for (k = 0; k < q->n_writers && plan->stages[q->writers[k]].daemon; k++)
			;
		if (k == q->n_writers)
			continue;
		q->joined = true;
		if (!add(m, &j->queues, &j->n_queues, i))
			return false;
	}
	return true;
}

bool plan_joins(struct make *m)
{
	const struct lang_tree *t = m->tree;
	struct plan *plan = m->plan;
	uint32_t n = PLAN_JOIN_END + 1 + (uint32_t)t->n_joins;
	struct seen seen;

	plan->joins = arena_alloc(&plan->arena, n * sizeof(*plan->joins));
	if (!plan->joins)
		return false;
	plan->n_joins = n;
	plan->joins[PLAN_JOIN_START].name = "start";
	plan->joins[PLAN_JOIN_END].name = "end";
	if (!seen_init(m, &seen))
		return false;
	for (uint32_t i = 0; i < t->n_joins; i++)
		if (!declared(m, PLAN_JOIN_END + 1 + i, &t->joins[i], &seen))
			return false;
	return end(m, &plan->joins[PLAN_JOIN_END]);
}
