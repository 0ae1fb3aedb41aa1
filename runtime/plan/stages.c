/* plan/stages.c: every stage of the graph, first the declared ones, then those in chains.
 *
 * Called by plan_make(), on the control thread. */
#include "plan/make.h"

#include <string.h>

const char *plan_file(struct make *m, struct diag_span span, unsigned *ret_line)
{
	unsigned column;

	diag_position(m->diags, span, ret_line, &column);
	if (span.source >= m->diags->n_sources)
		span.source = 0;
	if (!m->files) {
		m->files =
			arena_alloc(&m->scratch, (m->diags->n_sources + 1) * sizeof(*m->files));
		if (!m->files)
			return NULL;
	}
	if (!m->files[span.source])
		m->files[span.source] =
			arena_string(&m->plan->arena, diag_source_name(m->diags, span));
	return m->files[span.source];
}

/* PLUGIN, PLUGIN#2, …; the number also keeps it apart from a declared stage, which a plugin that
 * was given as a file may be called like. */
static const char *unnamed(struct make *m, const struct plan_plugin *p)
{
	const char *name = p->desc ? p->desc->name : p->name;
	uint32_t i = names_find(&m->unnamed_names, name, strlen(name)), *counts;

	if (i == NAMES_NONE) {
		i = m->n_unnamed;
		counts = arena_grow(&m->scratch, m->unnamed, m->n_unnamed, sizeof(*counts));
		if (!counts ||
		    !names_add(&m->unnamed_names, &m->scratch, name, strlen(name), i))
			return NULL;
		m->unnamed = counts;
		m->n_unnamed++;
		counts[i] = plan_name_find(m, name).kind != KIND_NONE;
	}
	if (m->unnamed[i]++ == 0)
		return name;
	return arena_format(&m->plan->arena, "%s#%u", name, m->unnamed[i]);
}

const char *plan_shown(const struct make *m, uint32_t stage)
{
	const struct plan_stage *s = &m->plan->stages[stage];

	return m->drafts[stage].decl ? s->name : s->desc ? s->desc->name : s->plugin_name;
}

static struct plan_port *ports_new(struct make *m, uint32_t n)
{
	struct plan_port *ports = arena_alloc(&m->scratch, n * sizeof(*ports));

	for (uint32_t i = 0; ports && i < n; i++)
		ports[i].queue = PLAN_NONE;
	return ports;
}

/* What the plugin says of a stage. */
static bool plug_in(struct make *m, uint32_t i)
{
	struct plan_stage *s = &m->plan->stages[i];
	struct plan_draft *d = &m->drafts[i];
	const struct pc_stage_desc *desc = d->plugin->desc;

	s->desc = desc;
	s->plugin = d->plugin->loaded;
	s->own_thread = desc->flags & PC_BLOCKING;
	s->inputs = arena_alloc(&m->plan->arena, desc->n_inputs * sizeof(*s->inputs));
	s->outputs = arena_alloc(&m->plan->arena, desc->n_outputs * sizeof(*s->outputs));
	d->in = ports_new(m, desc->n_inputs);
	d->out = ports_new(m, desc->n_outputs);
	return s->inputs && s->outputs && d->in && d->out && plan_params(m, i);
}

static bool stage_make(struct make *m, uint32_t i, const struct plan_draft *draft,
                       struct diag_span span)
{
	const struct lang_stage *decl = draft->decl;
	struct plan_stage *s = &m->plan->stages[i];
	struct plan_draft *d = &m->drafts[i];

	*d = *draft;
	*s = (struct plan_stage){.span = span,
	                         .replicas = 1,
	                         .until = PLAN_NONE,
	                         .start = PLAN_JOIN_START,
	                         .section = PLAN_NONE,
	                         .dead_queue = PLAN_NONE};
	d->plugin = &m->nothing;
	/* In a broken declaration the plugin may be missing. */
	if (*d->call->plugin.text && !plan_plugin_get(m, d->call, !decl, &d->plugin))
		return false;
	s->plugin_name = d->plugin->name;
	s->file = plan_file(m, span, &s->line);
	s->name = decl ? arena_string(&m->plan->arena, decl->name.text) : unnamed(m, d->plugin);
	if (!s->file || !s->name)
		return false;
	return (!d->plugin->desc || plug_in(m, i)) && (!decl || plan_stage_attrs(m, i));
}

static bool declared(struct make *m)
{
	for (uint32_t i = 0; i < m->tree->n_stages; i++) {
		const struct lang_stage *decl = &m->tree->stages[i];
		struct plan_draft d = {
			.decl = decl, .call = &decl->call, .broken = decl->broken};

		if (!stage_make(m, i, &d, decl->name.span))
			return false;
	}
	return true;
}

static bool in_chain(struct make *m, const struct lang_wire *w, uint32_t *end)
{
	for (size_t g = 0; g < w->n_groups; g++)
		for (size_t k = 0; k < w->groups[g].n_ends; k++) {
			const struct lang_call *call = &w->groups[g].ends[k].call;
			struct plan_draft d = {.call = call, .broken = w->broken};
			struct plan_ref ref = m->ends[(*end)++];

			if (ref.kind == KIND_STAGE && ref.index >= m->tree->n_stages &&
			    !stage_make(m, ref.index, &d, call->span))
				return false;
		}
	return true;
}

bool plan_stages(struct make *m)
{
	uint32_t n = m->plan->n_stages, end = 0;
	bool ok;

	m->plan->stages = arena_alloc(&m->plan->arena, n * sizeof(*m->plan->stages));
	m->drafts = arena_alloc(&m->scratch, n * sizeof(*m->drafts));
	ok = m->plan->stages && m->drafts && declared(m);
	for (size_t i = 0; ok && i < m->tree->n_wires; i++)
		ok = in_chain(m, &m->tree->wires[i], &end);
	return ok;
}
