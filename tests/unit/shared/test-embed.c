/* test-embed.c: what a program that embeds pcrun learns of shared state, before and after a run.
 *
 * The graph's one stage is a fixture of the plan's tests; it does nothing. */
#include "../fixtures.h"

#include <pcrun/pcrun.h>

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char text[] = "shared counts = dict(num=-5, who=\"me\")\n"
			   "\n"
			   "shared stats = bytes(size=4)\n"
			   "shared none = dict()\n"
			   "numbers\n";

static struct pc_graph *load(void)
{
	const char *dirs[] = {fixtures()};
	struct pc_load_options options = {
		.size = sizeof(options), .plugin_dirs = dirs, .n_plugin_dirs = 1};
	struct pc_graph *g = NULL;
	struct pc_error *err = NULL;

	cr_assert_eq(pc_graph_load_text(&g, "g.txt", text, strlen(text), &options, &err), PC_OK,
	             "%s", pc_error_text(err));
	return g;
}

static void check_rows(struct pc_graph *g)
{
	struct pc_shared_row row;
	char *all;

	cr_assert(pc_graph_shared(g, 0, &row, sizeof(row)));
	cr_expect_str_eq(row.name, "counts");
	cr_expect_str_eq(row.kind, "dict");
	cr_expect_str_eq(row.file, "g.txt");
	cr_expect_eq(row.line, 1);
	cr_expect_null(row.section);
	cr_expect_eq(row.keys, 2);
	cr_expect_eq(row.updates, 0);
	all = pc_graph_shared_text(g, 0);
	cr_expect_str_eq(all, "num = -5\nwho = \"me\"\n");
	free(all);

	cr_assert(pc_graph_shared(g, 1, &row, sizeof(row)));
	cr_expect_str_eq(row.kind, "bytes");
	cr_expect_eq(row.line, 3);
	cr_expect_eq(row.keys, 0);
	cr_expect_eq(row.size_bytes, 4);
	all = pc_graph_shared_text(g, 1);
	cr_expect_str_eq(all, "00000000\n");
	free(all);

	/* A program that was built with a smaller row. */
	memset(&row, 0x55, sizeof(row));
	cr_assert(pc_graph_shared(g, 2, &row, offsetof(struct pc_shared_row, kind)));
	cr_expect_str_eq(row.name, "none");
	cr_expect_eq(row.updates, UINT64_C(0x5555555555555555));
	all = pc_graph_shared_text(g, 2);
	cr_expect_str_eq(all, "");
	free(all);

	cr_expect_not(pc_graph_shared(g, 3, &row, sizeof(row)));
	cr_expect_null(pc_graph_shared_text(g, 3));
}

Test(shared_embed, rows_and_text_before_and_after_a_run)
{
	struct pc_graph *g = load();

	check_rows(g);
	cr_assert_eq(pc_graph_start(g, NULL, NULL), PC_OK);
	cr_assert_eq(pc_graph_wait(g, PC_FOREVER, NULL), PC_OK);
	check_rows(g);
	pc_graph_free(g);
}

Test(shared_embed, values)
{
	struct pc_graph *g = load();
	int64_t n = 0;
	size_t size = 0;
	char bytes[4];

	cr_expect_eq(pc_graph_shared_get(g, "counts", "num", &n, sizeof(n), &size), PC_INVALID,
	             "not started");
	cr_assert_eq(pc_graph_start(g, NULL, NULL), PC_OK);
	cr_expect_eq(pc_graph_shared_get(g, "counts", "num", &n, sizeof(n), &size), PC_OK);
	cr_expect(n == -5 && size == sizeof(n));
	cr_expect_eq(pc_graph_shared_get(g, "counts", "who", bytes, 1, &size), PC_FULL);
	cr_expect(bytes[0] == 'm' && size == 2);
	cr_expect_eq(pc_graph_shared_get(g, "counts", "nobody", bytes, 4, &size), PC_EMPTY);
	cr_expect_eq(pc_graph_shared_get(g, "counts", NULL, bytes, 4, &size), PC_INVALID);
	cr_expect_eq(pc_graph_shared_get(g, "stats", NULL, bytes, 4, &size), PC_OK);
	cr_expect_eq(size, 4);
	cr_expect_eq(pc_graph_shared_get(g, "stats", "key", bytes, 4, &size), PC_INVALID);
	cr_expect_eq(pc_graph_shared_get(g, "nothing", "key", bytes, 4, &size), PC_INVALID);
	pc_graph_free(g);
}
