/* plan/shared.c: shared state: `shared NAME = dict(…)` or `bytes(size=…)`, and who uses it.
 *
 * Called by plan_make() on the control thread, when all stages are known. Which stages read or
 * update which shared state is seen from the flags of their parameters; a stage that brings the
 * name along by itself is found out at run time (engine/state.c). */
#include "plan/make.h"

#include "base/value.h"

#include <string.h>

static const char *const kinds[] = {[SHARED_DICT] = "dict", [SHARED_BYTES] = "bytes"};

enum { N_KINDS = sizeof(kinds) / sizeof(kinds[0]) };

/* --------------------------------------------------------------------- declarations --- */

static bool find_kind(struct make *m, const struct lang_call *call, enum shared_kind *ret)
{
	struct near near = NEAR_INIT(call->plugin.text, call->plugin.size);
	struct diag *e;

	for (size_t i = 0; i < N_KINDS; i++) {
		if (plan_name_is(call->plugin, kinds[i])) {
			*ret = (enum shared_kind)i;
			return true;
		}
		near_offer(&near, kinds[i]);
	}
	e = diag_error(m->diags, call->plugin.span, "there is no kind of shared state '%s'",
	               call->plugin.text);
	if (near.best)
		plan_hint_near(m, e, &near);
	else
		diag_note(m->diags, e, (struct diag_span){0},
		          "the kinds: dict(KEY=VALUE, …), bytes(size=N)");
	return false;
}

static bool key_is_new(struct make *m, const struct lang_call *call, size_t n)
{
	const struct lang_name key = call->args[n].name;
	struct diag *e;

	for (size_t i = 0; i < n; i++)
		if (call->args[i].name.text && plan_name_is(key, call->args[i].name.text)) {
			e = diag_error(m->diags, key.span, "key '%s' is given twice", key.text);
			diag_note(m->diags, e, call->args[i].name.span,
			          "the first time is here");
			return false;
		}
	return true;
}

/* Whole numbers are numbers, everything else is text. */
static void read_value(struct make *m, const struct lang_arg *a, struct plan_value *ret)
{
	enum value_result r = VALUE_SYNTAX;

	*ret = (struct plan_value){
		.key = arena_text(&m->plan->arena, a->name.text, a->name.size),
		.text = arena_text(&m->plan->arena, a->value.text, a->value.size),
		.size = a->value.size};
	if (!a->value.quoted)
		r = value_i64(a->value.text, a->value.size, &ret->number);
	ret->is_number = r == VALUE_OK;
	if (r == VALUE_TOO_BIG)
		plan_value_origin(m,
		                  diag_error(m->diags, a->value.span,
		                             "'%s' is beyond the range of 64 bits",
		                             a->value.text),
		                  &a->value);
}

static bool dict(struct make *m, const struct lang_call *call, struct plan_shared *s)
{
	s->values = arena_alloc(&m->plan->arena, call->n_args * sizeof(*s->values));
	if (!s->values)
		return false;
	for (size_t i = 0; i < call->n_args; i++) {
		const struct lang_arg *a = &call->args[i];
		struct diag *e;

		if (!a->name.text) {
			e = diag_error(m->diags, a->value.span, "a value without a key");
			diag_hint(m->diags, e, "write KEY=VALUE");
		} else if (a->name.size > SHARED_KEY_MAX) {
			diag_error(m->diags, a->name.span, "a key of more than %d bytes",
			           SHARED_KEY_MAX);
		} else if (key_is_new(m, call, i)) {
			read_value(m, a, &s->values[s->n_values++]);
		}
	}
	return !arena_failed(&m->plan->arena);
}

static void bytes(struct make *m, const struct lang_shared *decl, struct plan_shared *s)
{
	const struct lang_call *call = &decl->call;
	const struct lang_arg *size = NULL;
	struct diag *e;
	uint64_t n;

	for (size_t i = 0; i < call->n_args; i++) {
		const struct lang_arg *a = &call->args[i];

		if (a->name.text && !plan_name_is(a->name, "size"))
			diag_error(m->diags, a->name.span, "'bytes' has only a 'size'");
		else if (size)
			diag_error(m->diags, a->value.span, "'size' is given twice");
		else
			size = a;
	}
	if (!size && !decl->broken) {
		e = diag_error(m->diags, call->span, "'bytes' needs its 'size'");
		diag_hint(m->diags, e, "bytes(size=64)");
	} else if (size && (value_bytes(size->value.text, size->value.size, &n) != VALUE_OK ||
	                    n < 1 || n > SHARED_VALUE_MAX)) {
		e = diag_error(m->diags, size->value.span,
		               "'size' wants a size from 1 to 1Gi, not '%s'", size->value.text);
		plan_value_origin(m, e, &size->value);
	} else if (size) {
		s->size_bytes = (size_t)n;
	}
}

static bool declare(struct make *m, const struct lang_shared *decl, struct plan_shared *s)
{
	*s = (struct plan_shared){.name = arena_string(&m->plan->arena, decl->name.text),
	                          .span = decl->name.span,
	                          .section = PLAN_NONE,
	                          .updater = PLAN_NONE};
	s->file = plan_file(m, decl->name.span, &s->line);
	for (size_t i = 0; i < decl->n_attrs; i++)
		diag_error(m->diags, decl->attrs[i].name.span,
		           "shared state has no attributes");
	if ((decl->broken && !*decl->call.plugin.text) || !find_kind(m, &decl->call, &s->kind))
		return s->file && s->name;
	if (s->kind == SHARED_DICT && !dict(m, &decl->call, s))
		return false;
	if (s->kind == SHARED_BYTES)
		bytes(m, decl, s);
	return s->file && s->name;
}

/* ------------------------------------------------------------------------------ uses --- */

/* What the text gives for a row of the table; NULL: nothing. */
static const struct lang_arg *arg_of(const struct pc_stage_desc *d,
                                     const struct lang_call *call, uint32_t row)
{
	for (size_t i = 0; i < call->n_args; i++) {
		const struct lang_arg *a = &call->args[i];

		if (a->name.text ? plan_name_is(a->name, d->params[row].name) : i == row)
			return a;
	}
	return NULL;
}

static void unknown(struct make *m, const struct lang_name name, const struct lang_arg *a)
{
	struct plan_ref ref = plan_name_find(m, name.text);
	struct diag *e;

	if (ref.kind == KIND_NONE && m->lost_names)
		return; /* it may stand in a line that was not understood */
	if (ref.kind == KIND_NONE) {
		e = diag_error(m->diags, name.span, "there is no shared state '%s'", name.text);
		plan_name_suggest(m, e, name, 1U << KIND_SHARED);
	} else {
		e = diag_error(m->diags, name.span, "'%s' is %s, not shared state", name.text,
		               plan_kind_word(ref.kind));
		plan_declared_note(m, e, ref);
	}
	if (a)
		plan_value_origin(m, e, &a->value);
}

/* All updates of one piece of shared state come from one critical section. */
static void update(struct make *m, uint32_t stage, struct plan_shared *shared)
{
	const struct plan_stage *s = &m->plan->stages[stage], *first;
	const struct plan_draft *d = &m->drafts[stage];
	struct diag *e;

	if (s->section == PLAN_NONE) {
		if (d->broken)
			return;
		e = diag_error(m->diags, s->span,
		               "'%s' updates shared state '%s', and is not critical",
		               plan_shown(m, stage), shared->name);
		diag_hint(m->diags, e, "%s",
		          d->decl ? "write 'critical' behind the parentheses"
		                  : "declare it as a stage, with 'critical' behind it");
		return;
	}
	if (shared->section == PLAN_NONE) {
		shared->section = s->section;
		shared->updater = stage;
		return;
	}
	if (shared->section == s->section)
		return;
	first = &m->plan->stages[shared->updater];
	e = diag_error(m->diags, s->span,
	               "'%s' updates shared state '%s', which another critical section updates",
	               s->name, shared->name);
	diag_hint(m->diags, e, "give both stages the same critical=NAME");
	diag_note(m->diags, e, first->span, "'%s' updates it in the section '%s'", first->name,
	          m->plan->sections[shared->section].name);
}

static void use(struct make *m, uint32_t stage, uint32_t row)
{
	const struct lang_call *call = m->drafts[stage].call;
	const struct pc_stage_desc *d = m->plan->stages[stage].desc;
	const struct lang_arg *a = arg_of(d, call, row);
	struct lang_name name = {.span = call->span};
	struct plan_ref ref;

	if (a)
		name = (struct lang_name){a->value.text, a->value.size, a->value.span};
	else if (d->params[row].def)
		name.text = d->params[row].def;
	if (!name.text || !*name.text)
		return; /* none is wanted, or what is missing has been reported */
	name.size = strlen(name.text);
	ref = plan_name_find(m, name.text);
	if (ref.kind != KIND_SHARED)
		unknown(m, name, a);
	else if (d->params[row].flags & PC_UPDATES_SHARED)
		update(m, stage, &m->plan->shareds[ref.index]);
}

bool plan_shared(struct make *m)
{
	struct plan *plan = m->plan;

	plan->n_shareds = (uint32_t)m->tree->n_shareds;
	plan->shareds = arena_alloc(&plan->arena, plan->n_shareds * sizeof(*plan->shareds));
	if (!plan->shareds)
		return false;
	for (uint32_t i = 0; i < plan->n_shareds; i++)
		if (!declare(m, &m->tree->shareds[i], &plan->shareds[i]))
			return false;
	for (uint32_t i = 0; i < plan->n_stages; i++) {
		const struct pc_stage_desc *d = plan->stages[i].desc;

		for (uint32_t k = 0; d && k < d->n_params; k++)
			if (d->params[k].type == PC_T_STRING &&
			    d->params[k].flags & (PC_READS_SHARED | PC_UPDATES_SHARED))
				use(m, i, k);
	}
	return true;
}
