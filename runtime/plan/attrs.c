/* plan/attrs.c: attributes of stages: what stands behind the parentheses, the runtime's own words.
 *
 * Called by stages.c for every declared stage, on the control thread. */
#include "plan/make.h"

#include "base/value.h"

#include <string.h>

enum stage_attr {
	REPLICAS,
	ORDERED,
	BY,
	DAEMON,
	UNTIL,
	START,
	CRITICAL,
	ON_ERROR,
	THREAD,
	N_STAGE_ATTRS
};

static const char *const stage_attrs[] = {
	[REPLICAS] = "replicas", [ORDERED] = "ordered",   [BY] = "by",
	[DAEMON] = "daemon",     [UNTIL] = "until",       [START] = "start",
	[CRITICAL] = "critical", [ON_ERROR] = "on_error", [THREAD] = "thread"};

static int stage_attr(struct lang_name name)
{
	for (int i = 0; i < N_STAGE_ATTRS; i++)
		if (plan_name_is(name, stage_attrs[i]))
			return i;
	return -1;
}

bool plan_is_stage_attr(struct lang_name name)
{
	return stage_attr(name) >= 0;
}

static void unknown_attr(struct make *m, const struct plan_stage *s, struct lang_name name)
{
	struct near near = NEAR_INIT(name.text, name.size);
	struct diag *e =
		diag_error(m->diags, name.span, "stages have no attribute '%s'", name.text);

	for (uint32_t i = 0; s->desc && i < s->desc->n_params; i++)
		if (plan_name_is(name, s->desc->params[i].name)) {
			diag_hint(m->diags, e,
			          "a parameter of '%s': it stands in the parentheses",
			          s->desc->name);
			return;
		}
	for (int i = 0; i < N_STAGE_ATTRS; i++)
		near_offer(&near, stage_attrs[i]);
	plan_hint_near(m, e, &near);
	if (!near.best)
		diag_note(m->diags, e, (struct diag_span){0},
		          "they have: replicas, ordered, by, daemon, until, start, critical, "
		          "on_error, thread");
}

/* The join or queue that a value names; PLAN_NONE: there is none, and it is reported. */
static uint32_t named(struct make *m, const struct lang_value *v, struct lang_name name,
                      enum plan_kind kind, const char *word)
{
	struct plan_ref ref = plan_name_find(m, name.text);
	struct diag *e;

	if (ref.kind == kind)
		return ref.index;
	if (ref.kind == KIND_NONE && m->lost_names)
		return PLAN_NONE; /* it may stand in a line that was not understood */
	if (ref.kind == KIND_NONE) {
		e = diag_error(m->diags, name.span, "there is no %s '%s'", word, name.text);
		plan_name_suggest(m, e, name, 1U << kind);
	} else {
		e = diag_error(m->diags, name.span, "'%s' is %s, not a %s", name.text,
		               plan_kind_word(ref.kind), word);
		plan_declared_note(m, e, ref);
	}
	plan_value_origin(m, e, v);
	return PLAN_NONE;
}

static uint32_t named_join(struct make *m, const struct lang_attr *a)
{
	struct lang_name name = {a->value.text, a->value.size, a->value.span};

	if (!plan_attr_has_value(m, a, "the name of a join"))
		return PLAN_NONE;
	return named(m, &a->value, name, KIND_JOIN, "join");
}

static bool section(struct make *m, struct plan_stage *s, const struct lang_attr *a)
{
	struct plan *plan = m->plan;
	const char *name = s->name;
	size_t size;

	if (a->value.text) {
		if (!plan_attr_has_value(m, a, "the name of a section"))
			return true;
		name = arena_text(&plan->arena, a->value.text, a->value.size);
		if (!name)
			return false;
	}
	size = strlen(name);
	s->section = names_find(&m->sections, name, size);
	if (s->section == NAMES_NONE) {
		s->section = plan->n_sections;
		plan->sections = arena_grow(&plan->arena, plan->sections, plan->n_sections,
		                            sizeof(*plan->sections));
		if (!plan->sections ||
		    !names_add(&m->sections, &m->scratch, name, size, s->section))
			return false;
		plan->sections[plan->n_sections++] = (struct plan_section){.name = name};
	}
	plan->sections[s->section].n_stages++;
	return true;
}

/* True: the value begins with `word=`; *ret is what follows. */
static bool has_part(const struct lang_value *v, const char *word, struct lang_name *ret)
{
	size_t size = strlen(word);

	if (v->size <= size || memcmp(v->text, word, size) != 0 || v->text[size] != '=')
		return false;
	*ret = (struct lang_name){v->text + size + 1, v->size - size - 1, v->span};
	/* The name's own place, where the value stands in the text as it is. */
	if (!v->param && !v->quoted && ret->span.end - ret->span.begin == v->size)
		ret->span.begin += (uint32_t)size + 1;
	return true;
}

static void on_error(struct make *m, struct plan_stage *s, struct plan_draft *d,
                     const struct lang_attr *a)
{
	static const char *const words[] = {"fail", "skip", "retry=N", "dead=QUEUE", NULL};
	struct lang_name part;
	uint64_t n;

	d->on_error_span = a->name.span;
	if (a->value.text && has_part(&a->value, "retry", &part)) {
		if (value_u64(part.text, part.size, &n) != VALUE_OK || n < 1 || n > 1000000) {
			diag_error(m->diags, part.span,
			           "'retry' wants a whole number from 1 to 1000000, not '%s'",
			           part.text);
			return;
		}
		s->on_error = PLAN_RETRY;
		s->retries = (uint32_t)n;
		return;
	}
	if (a->value.text && has_part(&a->value, "dead", &part)) {
		s->on_error = PLAN_DEAD;
		s->dead_queue = named(m, &a->value, part, KIND_QUEUE, "queue");
		return;
	}
	switch (plan_attr_word(m, a, words)) {
	case 1:
		s->on_error = PLAN_SKIP;
		break;
	case 2:
	case 3:
		plan_attr_error(m, a, "a number or a queue in the place of N or QUEUE");
		break;
	default:
		break;
	}
}

/* The part of an item that chooses the replica. */
static void by(struct make *m, struct plan_stage *s, struct plan_draft *d,
               const struct lang_attr *a)
{
	uint64_t field;

	d->by_span = a->name.span;
	if (a->value.text && (strcmp(a->value.text, "item") == 0 ||
	                      (value_u64(a->value.text, a->value.size, &field) == VALUE_OK &&
	                       field >= 1 && field <= 1000000)))
		s->by = arena_text(&m->plan->arena, a->value.text, a->value.size);
	else
		plan_attr_error(m, a, "'item' or the number of a field from 1 to 1000000");
}

static bool apply(struct make *m, struct plan_stage *s, struct plan_draft *d,
                  const struct lang_attr *a)
{
	static const char *const threads[] = {"own", NULL};
	uint32_t join;

	switch (stage_attr(a->name)) {
	case REPLICAS:
		plan_attr_number(m, a, 1, 65536, &s->replicas);
		break;
	case ORDERED:
		s->ordered = plan_attr_is_flag(m, a);
		break;
	case BY:
		by(m, s, d, a);
		break;
	case DAEMON:
		plan_attr_is_flag(m, a);
		s->daemon = true;
		d->daemon_span = a->name.span;
		break;
	case UNTIL:
		d->until_span = a->name.span;
		s->until = named_join(m, a);
		break;
	case START:
		d->start_span = a->name.span;
		join = named_join(m, a);
		if (join != PLAN_NONE)
			s->start = join;
		break;
	case CRITICAL:
		return section(m, s, a);
	case ON_ERROR:
		on_error(m, s, d, a);
		break;
	case THREAD:
		if (plan_attr_word(m, a, threads) == 0)
			s->own_thread = true;
		break;
	default:
		unknown_attr(m, s, a->name);
		break;
	}
	return true;
}

/* What each attribute may not stand beside. */
static void check_together(struct make *m, struct plan_stage *s, struct plan_draft *d,
                           const struct lang_attr *replicas)
{
	struct diag *e;

	if (d->until_span.source && !s->daemon) {
		e = diag_error(m->diags, d->until_span, "only a daemon has an 'until'");
		diag_hint(m->diags, e, "write 'daemon' before it");
	}
	if (!s->daemon)
		s->until = PLAN_NONE;
	else if (s->until == PLAN_NONE)
		s->until = PLAN_JOIN_END;
	if (s->by && s->desc && s->desc->n_inputs == 0)
		diag_error(m->diags, d->by_span, "'%s' takes no items that 'by' could look at",
		           s->desc->name);
	if (s->on_error == PLAN_DEAD && s->desc && s->desc->n_inputs == 0)
		diag_error(m->diags, d->on_error_span,
		           "'%s' takes no items, so that none can be put aside", s->desc->name);
	if (s->desc && s->desc->flags & PC_SINGLE && s->replicas > 1 && replicas) {
		diag_error(m->diags, replicas->name.span,
		           "'%s' has no meaning with more than one replica", s->desc->name);
		s->replicas = 1;
	}
}

bool plan_stage_attrs(struct make *m, uint32_t stage)
{
	const struct lang_stage *decl = m->drafts[stage].decl;
	struct plan_stage *s = &m->plan->stages[stage];
	const struct lang_attr *replicas = NULL;

	for (size_t i = 0; i < decl->n_attrs; i++) {
		const struct lang_attr *a = &decl->attrs[i];

		if (plan_attr_twice(m, decl->attrs, a))
			continue;
		if (stage_attr(a->name) == REPLICAS)
			replicas = a;
		if (!apply(m, s, &m->drafts[stage], a))
			return false;
	}
	check_together(m, s, &m->drafts[stage], replicas);
	return !arena_failed(&m->plan->arena);
}
