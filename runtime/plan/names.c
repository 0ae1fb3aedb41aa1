/* plan/names.c: stages, queues, joins and shared state live in one space of names.
 *
 * First step of plan_make(), on the control thread. Declarations go into the table whatever order
 * they have in the text, so that the ends of arrows can be looked up afterwards: a bare name is a
 * declared stage or queue, or else a plugin, of which every mention makes a stage of its own. */
#include "plan/make.h"

#include <string.h>

enum { SUGGESTIONS_MAX = 100 }; /* each compares with all names: ten thousand would take long */

bool plan_name_is(struct lang_name name, const char *text)
{
	return strcmp(name.text, text) == 0;
}

const char *plan_kind_word(enum plan_kind kind)
{
	static const char *const words[] = {[KIND_NONE] = "nothing",
	                                    [KIND_STAGE] = "a stage",
	                                    [KIND_QUEUE] = "a queue",
	                                    [KIND_JOIN] = "a join",
	                                    [KIND_SHARED] = "shared state"};

	return words[kind];
}

/* A kind and an index as one number: no text holds 2^28 declarations. */
enum { INDEX_BITS = 28 };

static uint32_t number_of(enum plan_kind kind, size_t index)
{
	return (uint32_t)kind << INDEX_BITS | (uint32_t)index;
}

struct plan_ref plan_name_find(const struct make *m, const char *name)
{
	uint32_t number = names_find(&m->names, name, strlen(name));

	if (number == NAMES_NONE)
		return (struct plan_ref){KIND_NONE, 0};
	return (struct plan_ref){(enum plan_kind)(number >> INDEX_BITS),
	                         number & ((1U << INDEX_BITS) - 1)};
}

static bool name_add(struct make *m, struct lang_name name, enum plan_kind kind, size_t index)
{
	return names_add(&m->names, &m->scratch, name.text, name.size, number_of(kind, index));
}

static bool is_built_in(struct plan_ref ref)
{
	return ref.kind == KIND_JOIN && ref.index <= PLAN_JOIN_END;
}

void plan_declared_note(struct make *m, struct diag *error, struct plan_ref ref)
{
	struct lang_name name;

	switch (ref.kind) {
	case KIND_STAGE:
		name = m->tree->stages[ref.index].name;
		break;
	case KIND_QUEUE:
		name = m->tree->queues[ref.index].name;
		break;
	case KIND_JOIN:
		if (is_built_in(ref))
			return;
		name = m->tree->joins[ref.index - PLAN_JOIN_END - 1].name;
		break;
	case KIND_SHARED:
		name = m->tree->shareds[ref.index].name;
		break;
	case KIND_NONE:
	default:
		return;
	}
	diag_note(m->diags, error, name.span, "'%s' is declared here", name.text);
}

static bool declare(struct make *m, struct lang_name name, enum plan_kind kind, size_t index)
{
	struct plan_ref old = plan_name_find(m, name.text);
	struct diag *e;

	if (old.kind == KIND_NONE)
		return name_add(m, name, kind, index);
	if (is_built_in(old)) {
		e = diag_error(m->diags, name.span,
		               "'%s' is the name of a join that every graph has", name.text);
		diag_hint(m->diags, e, "choose another name");
		return true;
	}
	e = diag_error(m->diags, name.span, "there is %s '%s' already",
	               plan_kind_word(old.kind), name.text);
	plan_declared_note(m, e, old);
	return true;
}

static bool declare_all(struct make *m)
{
	static const struct lang_name start = {.text = "start", .size = 5},
				      end = {.text = "end", .size = 3};
	const struct lang_tree *t = m->tree;
	bool ok = name_add(m, start, KIND_JOIN, PLAN_JOIN_START) &&
	          name_add(m, end, KIND_JOIN, PLAN_JOIN_END);
	size_t i;

	for (i = 0; ok && i < t->n_stages; i++)
		ok = declare(m, t->stages[i].name, KIND_STAGE, i);
	for (i = 0; ok && i < t->n_queues; i++)
		ok = declare(m, t->queues[i].name, KIND_QUEUE, i);
	for (i = 0; ok && i < t->n_joins; i++)
		ok = declare(m, t->joins[i].name, KIND_JOIN, PLAN_JOIN_END + 1 + i);
	for (i = 0; ok && i < t->n_shareds; i++)
		ok = declare(m, t->shareds[i].name, KIND_SHARED, i);
	return ok;
}

static bool is_declared(const struct lang_tree *t, const char *name)
{
	for (size_t i = 0; i < t->n_stages; i++)
		if (strcmp(t->stages[i].name.text, name) == 0)
			return true;
	for (size_t i = 0; i < t->n_queues; i++)
		if (strcmp(t->queues[i].name.text, name) == 0)
			return true;
	return false;
}

/* What the end of an arrow means. Unknown names become stages: whether there is a plugin for
 * them is found out when it is loaded. */
static struct plan_ref end_ref(struct make *m, const struct lang_end *end)
{
	const struct lang_name name = end->call.plugin;
	struct plan_ref ref = plan_name_find(m, name.text);
	struct diag *e;

	if (ref.kind == KIND_NONE)
		return (struct plan_ref){KIND_STAGE, m->plan->n_stages++};
	if (is_built_in(ref) && is_declared(m->tree, name.text))
		return (struct plan_ref){KIND_NONE, 0}; /* under a name that it can't have */
	if (ref.kind == KIND_JOIN || ref.kind == KIND_SHARED) {
		e = diag_error(m->diags, name.span, "'%s' is %s: arrows join stages and queues",
		               name.text, plan_kind_word(ref.kind));
		plan_declared_note(m, e, ref);
		return (struct plan_ref){KIND_NONE, 0};
	}
	if (end->call.has_parens) {
		e = diag_error(m->diags, end->call.span,
		               "'%s' is %s that is declared elsewhere: it takes no ( ) here",
		               name.text, plan_kind_word(ref.kind));
		if (ref.kind == KIND_STAGE)
			diag_hint(m->diags, e, "write only its name, or give it another name");
		plan_declared_note(m, e, ref);
	}
	return ref;
}

bool plan_names(struct make *m)
{
	const struct lang_tree *t = m->tree;
	size_t n_ends = 0, n_arrows = 0, n = 0;

	if (!declare_all(m))
		return false;
	for (size_t i = 0; i < t->n_wires; i++) {
		n_arrows += t->wires[i].n_groups ? t->wires[i].n_groups - 1 : 0;
		for (size_t g = 0; g < t->wires[i].n_groups; g++)
			n_ends += t->wires[i].groups[g].n_ends;
	}
	m->n_ends = (uint32_t)n_ends;
	m->n_arrows = (uint32_t)n_arrows;
	m->plan->n_stages = (uint32_t)t->n_stages;
	m->ends = arena_alloc(&m->scratch, n_ends * sizeof(*m->ends));
	if (!m->ends)
		return false;
	for (size_t i = 0; i < t->n_wires; i++)
		for (size_t g = 0; g < t->wires[i].n_groups; g++)
			for (size_t k = 0; k < t->wires[i].groups[g].n_ends; k++)
				m->ends[n++] = end_ref(m, &t->wires[i].groups[g].ends[k]);
	return true;
}

/* ---------------------------------------------------------------------- did you mean --- */

void plan_hint_near(struct make *m, struct diag *error, const struct near *near)
{
	if (near->best)
		diag_hint(m->diags, error, "did you mean '%s'?", near->best);
}

void plan_name_suggest(struct make *m, struct diag *error, struct lang_name name,
                       unsigned kinds)
{
	const struct lang_tree *t = m->tree;
	struct near near = NEAR_INIT(name.text, name.size);
	size_t i;

	if (m->suggestions++ >= SUGGESTIONS_MAX)
		return;
	for (i = 0; kinds & 1U << KIND_STAGE && i < t->n_stages; i++)
		near_offer(&near, t->stages[i].name.text);
	for (i = 0; kinds & 1U << KIND_QUEUE && i < t->n_queues; i++)
		near_offer(&near, t->queues[i].name.text);
	for (i = 0; kinds & 1U << KIND_JOIN && i < t->n_joins; i++)
		near_offer(&near, t->joins[i].name.text);
	if (kinds & 1U << KIND_JOIN) {
		near_offer(&near, "start");
		near_offer(&near, "end");
	}
	for (i = 0; kinds & 1U << KIND_SHARED && i < t->n_shareds; i++)
		near_offer(&near, t->shareds[i].name.text);
	if (kinds & 1U << KIND_NONE) {
		plan_plugins_read(m);
		for (i = 0; i < m->n_on_path; i++)
			near_offer(&near, m->on_path[i]);
	}
	plan_hint_near(m, error, &near);
}
