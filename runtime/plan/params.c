/* plan/params.c: what stands in the parentheses, checked against the plugin's table.
 *
 * Called by stages.c for every stage, on the control thread. The defaults are written into a
 * state once per plugin; a stage's parameters begin as a copy of it, so that a stage costs what
 * its own arguments cost. The loader has made sure that rows, defaults and ranges are in order. */
#include "base/value.h"
#include "loader/param.h"
#include "plan/make.h"

#include <string.h>

enum { FEW = 8 }; /* parameters that are worth listing */

static bool is_text(const struct pc_param *row)
{
	return row->type == PC_T_STRING || row->type == PC_T_PATH;
}

/* A value into a state; strings are copied into the plan. False: `why` says why not, or memory
 * ran out. */
static bool write_value(struct make *m, const struct pc_param *row, const char *text,
                        size_t size, void *state, struct buf *why)
{
	if (is_text(row)) {
		text = arena_text(&m->plan->arena, text, size);
		if (!text)
			return false;
	}
	return loader_param_parse(row, text, size, (char *)state + row->offset, why);
}

bool plan_defaults(struct make *m, struct plan_plugin *p, struct diag_span span)
{
	const struct pc_stage_desc *d = p->desc;
	struct buf why = {0};

	p->defaults = arena_alloc(&m->plan->arena, d->state_size);
	p->given = arena_alloc(&m->scratch, d->n_params * sizeof(*p->given));
	if (!p->defaults || !p->given)
		return false;
	for (uint32_t i = 0; i < d->n_params; i++) {
		const struct pc_param *row = &d->params[i];

		if (row->def &&
		    !write_value(m, row, row->def, strlen(row->def), p->defaults, &why))
			diag_error(m->diags, span, "plugin '%s': the default of '%s': %s",
			           d->name, row->name, why.text ? why.text : "");
	}
	buf_fini(&why);
	return !arena_failed(&m->plan->arena);
}

static void list_params(struct make *m, struct diag *e, const struct pc_stage_desc *d)
{
	struct buf names = {0};

	for (uint32_t i = 0; i < d->n_params; i++)
		buf_addf(&names, "%s%s", i ? ", " : "", d->params[i].name);
	if (d->n_params == 0)
		diag_note(m->diags, e, (struct diag_span){0}, "'%s' takes no parameters",
		          d->name);
	else if (d->n_params <= FEW && !names.failed)
		diag_note(m->diags, e, (struct diag_span){0}, "the parameters of '%s': %s",
		          d->name, names.text);
	else
		diag_note(m->diags, e, (struct diag_span){0}, "'pcrun inspect %s' lists them",
		          d->name);
	buf_fini(&names);
}

static void unknown_param(struct make *m, const struct pc_stage_desc *d, struct lang_name name)
{
	struct near near = NEAR_INIT(name.text, name.size);
	struct diag *e = diag_error(m->diags, name.span, "plugin '%s' has no parameter '%s'",
	                            d->name, name.text);

	for (uint32_t i = 0; i < d->n_params; i++)
		near_offer(&near, d->params[i].name);
	if (near.best)
		plan_hint_near(m, e, &near);
	else if (plan_is_stage_attr(name))
		diag_hint(m->diags, e, "an attribute: it stands behind the parentheses");
	else
		list_params(m, e, d);
}

/* The row that an argument is for; NULL: reported. */
static const struct pc_param *row_of(struct make *m, const struct pc_stage_desc *d,
                                     const struct lang_arg *args, size_t n)
{
	const struct lang_arg *a = &args[n];
	struct diag *e;

	if (a->name.text) {
		for (uint32_t i = 0; i < d->n_params; i++)
			if (plan_name_is(a->name, d->params[i].name))
				return &d->params[i];
		unknown_param(m, d, a->name);
		return NULL;
	}
	if (n > 0 && args[n - 1].name.text) {
		e = diag_error(m->diags, a->value.span,
		               "a value without a name can't follow one with a name");
		diag_hint(m->diags, e, "write NAME=VALUE");
		return NULL;
	}
	if (n < d->n_params)
		return &d->params[n];
	/* One error for all that are too many. */
	if (n == d->n_params && n == 0) {
		diag_error(m->diags, a->value.span, "'%s' takes no parameters", d->name);
	} else if (n == d->n_params) {
		e = diag_error(m->diags, a->value.span,
		               "one value too many: '%s' has %u parameter%s", d->name,
		               d->n_params, d->n_params == 1 ? "" : "s");
		list_params(m, e, d);
	}
	return NULL;
}

static void wrong_word(struct make *m, struct diag *e, const struct pc_param *row,
                       const struct lang_value *v)
{
	struct near near = NEAR_INIT(v->text, v->size);

	for (size_t i = 0; row->names[i]; i++)
		near_offer(&near, row->names[i]);
	plan_hint_near(m, e, &near);
}

static bool is_word_of(const struct pc_param *row, const struct lang_value *v)
{
	for (size_t i = 0; row->names[i]; i++)
		if (strcmp(row->names[i], v->text) == 0)
			return true;
	return false;
}

static void wrong_value(struct make *m, const struct pc_stage_desc *d,
                        const struct pc_param *row, const struct lang_value *v,
                        const struct buf *why)
{
	struct buf words = {0};
	struct diag *e;

	if (row->type != PC_T_ENUM) {
		e = diag_error(m->diags, v->span, "parameter '%s' of '%s': %s", row->name,
		               d->name, why->text ? why->text : "");
	} else {
		for (size_t i = 0; row->names[i]; i++)
			buf_addf(&words, "%s%s", i ? ", " : "", row->names[i]);
		e = diag_error(m->diags, v->span, "parameter '%s' of '%s': '%s' is none of %s",
		               row->name, d->name, v->text, words.text ? words.text : "");
		wrong_word(m, e, row, v);
		buf_fini(&words);
	}
	plan_value_origin(m, e, v);
}

static bool argument(struct make *m, uint32_t stage, const struct lang_arg *args, size_t n,
                     bool *unknown)
{
	struct plan_plugin *p = m->drafts[stage].plugin;
	const struct pc_param *row = row_of(m, p->desc, args, n);
	const struct lang_arg *a = &args[n], *old;
	struct buf why = {0};
	struct diag *e;
	size_t i;

	if (!row) {
		*unknown = true;
		return true;
	}
	i = (size_t)(row - p->desc->params);
	if (p->given[i].stage == stage + 1) {
		old = p->given[i].arg;
		e = diag_error(m->diags, a->name.text ? a->name.span : a->value.span,
		               "parameter '%s' is given twice", row->name);
		diag_note(m->diags, e, old->name.text ? old->name.span : old->value.span,
		          "the first time is here");
		return true;
	}
	p->given[i].stage = stage + 1;
	p->given[i].arg = a;
	if (m->drafts[stage].broken && a->value.size == 0 && !a->value.quoted)
		return true; /* a param that is not there, and that is reported */
	if ((row->type == PC_T_ENUM && !is_word_of(row, &a->value)) ||
	    !write_value(m, row, a->value.text, a->value.size, m->plan->stages[stage].params,
	                 &why))
		if (!arena_failed(&m->plan->arena))
			wrong_value(m, p->desc, row, &a->value, &why);
	buf_fini(&why);
	return !arena_failed(&m->plan->arena);
}

bool plan_params(struct make *m, uint32_t stage)
{
	const struct lang_call *call = m->drafts[stage].call;
	struct plan_plugin *p = m->drafts[stage].plugin;
	struct plan_stage *s = &m->plan->stages[stage];
	bool unknown = false;
	struct diag *e;

	s->params = arena_alloc(&m->plan->arena, s->desc->state_size);
	if (!s->params)
		return false;
	memcpy(s->params, p->defaults, s->desc->state_size);
	for (size_t i = 0; i < call->n_args; i++)
		if (!argument(m, stage, call->args, i, &unknown))
			return false;
	/* A name that is misspelt may have meant the one that is missing. */
	for (uint32_t i = 0; i < s->desc->n_params && !unknown && !m->drafts[stage].broken;
	     i++) {
		const struct pc_param *row = &s->desc->params[i];

		if (row->def || p->given[i].stage == stage + 1)
			continue;
		e = diag_error(m->diags, call->span, "'%s' needs its parameter '%s': %s, %s",
		               s->desc->name, row->name, value_type_article(row->type),
		               row->doc);
		diag_hint(m->diags, e, "%s(%s=…)", s->desc->name, row->name);
	}
	return true;
}
