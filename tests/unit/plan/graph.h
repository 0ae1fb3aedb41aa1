/* graph.h: from a text to a plan, and what was said on the way; for the tests of this folder.
 *
 * The plugins are the fixtures that Meson builds beside the test programs. What was said is
 * compared whole, so that a mistake that is reported twice or drags others along is seen:
 *
 *   "2:6 there is no plugin 'x' | did you mean 'y'?\n"      an error and its hint
 *   "  1:1 'a' is declared here\n"                          a note
 *   "2:1 warning: …\n"                                      a warning
 *   "- …\n"                                                 without a place */
#ifndef TEST_PLAN_GRAPH_H
#define TEST_PLAN_GRAPH_H

#include "../fixtures.h"
#include "plan/plan.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct graph {
	struct diag_list diags;
	struct lang_tree tree;
	struct loader_path path;
	struct plan plan;
	int result;
	struct buf said;
};

static inline void say(struct graph *g, const struct diag *d, const char *indent)
{
	unsigned line, column;

	diag_position(&g->diags, d->span, &line, &column);
	buf_adds(&g->said, indent);
	if (line > 0)
		buf_addf(&g->said, "%u:%u ", line, column);
	else
		buf_adds(&g->said, "- ");
	buf_addf(&g->said, "%s%s", d->severity == DIAG_WARNING ? "warning: " : "", d->message);
	if (d->hint)
		buf_addf(&g->said, " | %s", d->hint);
	buf_addc(&g->said, '\n');
	for (const struct diag *n = d->notes; n; n = n->next)
		say(g, n, "  ");
}

static inline void graph_make_with(struct graph *g, const char *text,
                                   const struct lang_define *defines, size_t n)
{
	const char *dir = fixtures();
	uint32_t source;

	unsetenv("PCRUN_PLUGIN_PATH");
	setenv("PCRUN_PLUGIN_DIR", dir, 1);
	*g = (struct graph){0};
	source = diag_source_add(&g->diags, "g.txt", text, strlen(text), (struct diag_span){0});
	cr_assert(lang_parse(&g->tree, &g->diags, source, defines, n, NULL, NULL));
	cr_assert(loader_path_init(&g->path, NULL, NULL, 0));
	g->result = plan_make(&g->plan, &g->diags, &g->tree, &g->path, dir);
	buf_adds(&g->said, "");
	for (const struct diag *d = g->diags.first; d; d = d->next)
		say(g, d, "");
}

static inline void graph_make(struct graph *g, const char *text)
{
	graph_make_with(g, text, NULL, 0);
}

static inline void graph_fini(struct graph *g)
{
	plan_fini(&g->plan);
	loader_path_fini(&g->path);
	lang_tree_fini(&g->tree);
	diag_list_fini(&g->diags);
	buf_fini(&g->said);
}

/* The whole of what is said of a text. */
static inline void says(const char *text, const char *expected)
{
	struct graph g;

	graph_make(&g, text);
	cr_expect_str_eq(g.said.text ? g.said.text : "", expected, "\n%s\nsays:\n%s\nnot:\n%s",
	                 text, g.said.text ? g.said.text : "", expected);
	cr_expect_eq(g.result, g.diags.n_errors ? PC_WRONG : PC_OK);
	graph_fini(&g);
}

static inline uint32_t stage_of(const struct graph *g, const char *name)
{
	for (uint32_t i = 0; i < g->plan.n_stages; i++)
		if (strcmp(g->plan.stages[i].name, name) == 0)
			return i;
	cr_assert_fail("no stage '%s'", name);
	abort();
}

static inline uint32_t queue_of(const struct graph *g, const char *name)
{
	for (uint32_t i = 0; i < g->plan.n_queues; i++)
		if (strcmp(g->plan.queues[i].name, name) == 0)
			return i;
	cr_assert_fail("no queue '%s'", name);
	abort();
}

#endif
