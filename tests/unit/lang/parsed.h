/* parsed.h: a text, parsed, and its tree written out, for the tests of the language and its
 * fuzzer. Spans are left out, so that trees of differently written texts compare equal. */
#ifndef TEST_LANG_PARSED_H
#define TEST_LANG_PARSED_H

#include "lang/lang.h"

#include <stdlib.h>
#include <string.h>

struct parsed {
	struct diag_list diags;
	struct lang_tree tree;
	struct buf shown; /* the diagnostics */
	struct buf tree_text;
	bool ok;
};

/* Texts that includes may name. */
struct parsed_file {
	const char *name, *text;
};

static inline bool parsed_include(void *user, const char *from, const char *path,
                                  char **ret_name, char **ret_text, size_t *ret_size,
                                  char **ret_reason)
{
	(void)from;
	for (const struct parsed_file *f = user; f && f->name; f++)
		if (strcmp(f->name, path) == 0) {
			*ret_name = strdup(path);
			*ret_text = strdup(f->text);
			*ret_size = strlen(f->text);
			return true;
		}
	*ret_reason = strdup("No such file or directory");
	return false;
}

static inline void parsed_value(struct buf *out, const struct lang_value *v)
{
	if (!v->text)
		return;
	buf_addf(out, v->quoted ? "=\"%zu:" : "=%zu:", v->size);
	buf_add(out, v->text, v->size);
	if (v->quoted)
		buf_addc(out, '"');
}

static inline void parsed_attrs(struct buf *out, const struct lang_attr *attrs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		buf_addf(out, " %s", attrs[i].name.text);
		parsed_value(out, &attrs[i].value);
	}
}

static inline void parsed_call(struct buf *out, const struct lang_call *c)
{
	buf_addf(out, "%s%s", c->is_path ? "file " : "", c->plugin.text);
	if (!c->has_parens)
		return;
	buf_addc(out, '(');
	for (size_t i = 0; i < c->n_args; i++) {
		buf_addf(out, "%s%s", i ? ", " : "",
		         c->args[i].name.text ? c->args[i].name.text : "");
		parsed_value(out, &c->args[i].value);
	}
	buf_addc(out, ')');
}

static inline void parsed_wire(struct buf *out, const struct lang_wire *w)
{
	for (size_t i = 0; i < w->n_groups; i++) {
		buf_adds(out, i ? " -> " : "");
		for (size_t j = 0; j < w->groups[i].n_ends; j++) {
			const struct lang_end *e = &w->groups[i].ends[j];

			buf_adds(out, j ? ", " : "");
			parsed_call(out, &e->call);
			if (e->port.text)
				buf_addf(out, " port %s", e->port.text);
		}
	}
	parsed_attrs(out, w->attrs, w->n_attrs);
	buf_adds(out, w->broken ? " broken\n" : "\n");
}

static inline void parsed_tree(struct buf *out, const struct lang_tree *t)
{
	for (size_t i = 0; i < t->n_params; i++) {
		buf_addf(out, "param %s%s", t->params[i].name.text,
		         t->params[i].used ? " used" : "");
		parsed_value(out, &t->params[i].value);
		buf_addc(out, '\n');
	}
	for (size_t i = 0; i < t->n_stages; i++) {
		buf_addf(out, "stage %s: ", t->stages[i].name.text);
		parsed_call(out, &t->stages[i].call);
		parsed_attrs(out, t->stages[i].attrs, t->stages[i].n_attrs);
		buf_adds(out, t->stages[i].broken ? " broken\n" : "\n");
	}
	for (size_t i = 0; i < t->n_shareds; i++) {
		buf_addf(out, "shared %s: ", t->shareds[i].name.text);
		parsed_call(out, &t->shareds[i].call);
		parsed_attrs(out, t->shareds[i].attrs, t->shareds[i].n_attrs);
		buf_adds(out, t->shareds[i].broken ? " broken\n" : "\n");
	}
	for (size_t i = 0; i < t->n_queues; i++) {
		buf_addf(out, "queue %s:", t->queues[i].name.text);
		parsed_attrs(out, t->queues[i].attrs, t->queues[i].n_attrs);
		buf_adds(out, t->queues[i].broken ? " broken\n" : "\n");
	}
	for (size_t i = 0; i < t->n_joins; i++) {
		buf_addf(out, "join %s:", t->joins[i].name.text);
		for (size_t j = 0; j < t->joins[i].n_after; j++)
			buf_addf(out, " %s", t->joins[i].after[j].text);
		buf_adds(out, t->joins[i].broken ? " broken\n" : "\n");
	}
	for (size_t i = 0; i < t->n_wires; i++)
		parsed_wire(out, &t->wires[i]);
}

static inline void parsed_init(struct parsed *p, const char *text, size_t size,
                               const struct lang_define *defines, size_t n_defines,
                               const struct parsed_file *files)
{
	uint32_t source;

	*p = (struct parsed){0};
	source = diag_source_add(&p->diags, "t", text, size, (struct diag_span){0});
	p->ok = lang_parse(&p->tree, &p->diags, source, defines, n_defines, parsed_include,
	                   (void *)(uintptr_t)files);
	buf_adds(&p->shown, "");
	buf_adds(&p->tree_text, "");
	diag_render(&p->diags, &p->shown);
	parsed_tree(&p->tree_text, &p->tree);
}

static inline void parsed_fini(struct parsed *p)
{
	lang_tree_fini(&p->tree);
	diag_list_fini(&p->diags);
	buf_fini(&p->shown);
	buf_fini(&p->tree_text);
}

/* The canonical form as malloc'd text; NULL: the text has mistakes. */
static inline char *parsed_format(const char *text, size_t size, size_t *ret_size)
{
	struct diag_list diags = {0};
	struct buf out = {0};
	uint32_t source = diag_source_add(&diags, "t", text, size, (struct diag_span){0});
	bool ok = lang_format(&out, &diags, source);

	*ret_size = out.size;
	diag_list_fini(&diags);
	if (ok)
		return buf_take(&out);
	buf_fini(&out);
	return NULL;
}

#endif
