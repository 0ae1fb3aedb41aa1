/* plan/plugins.c: each plugin that a graph uses, loaded once however often it is used.
 *
 * Called by stages.c for every stage, on the control thread. A plugin that can't be loaded is
 * reported at its first use only: all further ones would say the same. */
#include "plan/make.h"

#include <pcrun/pcrun.h>

#include <string.h>

/* Relative files are sought beside the text that names them: that of an included one beside it. */
static const char *folder_of(struct make *m, struct diag_span span)
{
	const struct diag_source *s;
	const char *slash;

	if (span.source == 0 || span.source >= m->diags->n_sources)
		return m->graph_dir;
	s = &m->diags->sources[span.source];
	if (s->included_from.source == 0)
		return m->graph_dir;
	slash = strrchr(s->name, '/');
	if (!slash)
		return m->graph_dir;
	return arena_text(&m->scratch, s->name,
	                  slash == s->name ? 1 : (size_t)(slash - s->name));
}

static void add_to_list(void *user, const char *dir, const char *name, const char *file)
{
	struct make *m = user;
	const char **list;

	(void)dir;
	(void)file;
	list = arena_grow(&m->scratch, m->on_path, m->n_on_path, sizeof(*list));
	name = arena_string(&m->scratch, name);
	if (!list || !name)
		return;
	m->on_path = list;
	list[m->n_on_path++] = name;
}

void plan_plugins_read(struct make *m)
{
	if (m->path_read)
		return;
	m->path_read = true;
	loader_each(m->path, add_to_list, m);
}

static bool is_on_path(struct make *m, struct lang_name name)
{
	plan_plugins_read(m);
	for (size_t i = 0; i < m->n_on_path; i++)
		if (plan_name_is(name, m->on_path[i]))
			return true;
	return false;
}

/* The causes behind the loader's first line, one a note; what a compiler has said, as it is. */
static void add_causes(struct make *m, struct diag *e, const struct pc_error *err)
{
	static const char because[] = "  because: ";
	const char *line = strchr(pc_error_text(err), '\n'), *end;

	for (; line && line[0] && line[1]; line = end) {
		end = strchrnul(++line, '\n');
		if (strncmp(line, because, strlen(because)) != 0) {
			diag_quote(m->diags, e, line, (size_t)(end - line));
			continue;
		}
		line += strlen(because);
		diag_note(m->diags, e, (struct diag_span){0}, "%.*s", (int)(end - line), line);
	}
}

/* Nobody knows the name. */
static void unknown(struct make *m, const struct lang_call *call, bool in_chain,
                    const struct pc_error *err)
{
	struct lang_name name = call->plugin;
	const char *better = strstr(pc_error_first(err), "; "); /* "its source is …" */
	struct diag *e;

	if (in_chain && !call->has_parens) {
		/* What could be declared in a line that was not understood is not called unknown. */
		if (m->lost_names)
			return;
		e = diag_error(m->diags, name.span, "there is no stage, queue or plugin '%s'",
		               name.text);
		plan_name_suggest(m, e, name,
		                  1U << KIND_STAGE | 1U << KIND_QUEUE | 1U << KIND_NONE);
	} else {
		e = diag_error(m->diags, name.span, "there is no plugin '%s'", name.text);
		plan_name_suggest(m, e, name, 1U << KIND_NONE);
	}
	if (e->hint)
		return;
	if (better)
		diag_hint(m->diags, e, "%s", better + 2);
	add_causes(m, e, err);
}

static bool load(struct make *m, struct plan_plugin *p, const struct lang_call *call,
                 const char *folder, bool in_chain)
{
	struct pc_error *err = NULL;
	int r = loader_open(&p->loaded, m->path, p->name, folder, &err);

	if (r == PC_OK) {
		p->desc = p->loaded->desc;
		m->plan->plugins[m->plan->n_plugins++] = p->loaded;
		return plan_defaults(m, p, call->plugin.span);
	}
	p->loaded = NULL;
	if (r == PC_ERROR && !call->is_path && !is_on_path(m, call->plugin))
		unknown(m, call, in_chain, err);
	else if (r != PC_NOMEM)
		add_causes(m,
		           diag_error(m->diags, call->plugin.span, "%s", pc_error_first(err)),
		           err);
	pc_error_free(err);
	return r != PC_NOMEM;
}

bool plan_plugin_get(struct make *m, const struct lang_call *call, bool in_chain,
                     struct plan_plugin **ret)
{
	const char *folder = call->is_path ? folder_of(m, call->plugin.span) : NULL, *key;
	struct loader_plugin **loaded;
	struct plan_plugin *p, **list;
	uint32_t i;

	key = folder ? arena_format(&m->scratch, "%s\n%s", folder, call->plugin.text)
	             : call->plugin.text;
	if (!key)
		return false;
	i = names_find(&m->plugin_keys, key, strlen(key));
	if (i != NAMES_NONE) {
		*ret = m->plugins[i];
		return true;
	}
	i = m->n_plugins;
	p = arena_alloc(&m->scratch, sizeof(*p));
	list = arena_grow(&m->scratch, m->plugins, i, sizeof(struct plan_plugin *));
	loaded = arena_grow(&m->plan->arena, m->plan->plugins, m->plan->n_plugins,
	                    sizeof(struct loader_plugin *));
	if (!p || !list || !loaded ||
	    !names_add(&m->plugin_keys, &m->scratch, key, strlen(key), i))
		return false;
	m->plan->plugins = loaded;
	m->plugins = list;
	m->n_plugins++;
	list[i] = *ret = p;
	p->name = arena_string(&m->plan->arena, call->plugin.text);
	return p->name && load(m, p, call, folder, in_chain);
}
