/* test-replay.c: pc_graph_replay(), as a program that embeds pcrun calls it. The plugins are fixtures of
 * the plan's tests. What a replay does with real stages is tests/system/test-replay.sh's. */
#include "../fixtures.h"

#include <pcrun/pcrun.h>
#include <pcrun/stage.h>

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char text[] = "stage two = pair()\n"
			   "stage sink = swallow() daemon replicas=4\n"
			   "stage late = swallow() start=gone\n"
			   "numbers -> two.left\n"
			   "text -> two.right\n"
			   "join gone after two\n"
			   "two.first -> sink\n"
			   "numbers -> late\n";

static struct pc_graph *load(void)
{
	const char *dirs[] = {fixtures()};
	struct pc_load_options options = {
		.size = sizeof(options), .plugin_dirs = dirs, .n_plugin_dirs = 1};
	struct pc_graph *g = NULL;
	struct pc_error *err = NULL;

	cr_assert_eq(pc_graph_load_text(&g, "g.txt", text, strlen(text), &options, &err), PC_OK,
	             "%s", pc_error_text(err));
	pc_error_free(err);
	return g;
}

static struct pc_replay item_for(const char *stage, const char *port)
{
	return (struct pc_replay){.size = sizeof(struct pc_replay),
	                          .stage = stage,
	                          .port = port,
	                          .data = "abc",
	                          .data_size = 3};
}

static void check_refused(struct pc_graph *g, const char *stage, const char *port,
                          const char *why)
{
	struct pc_replay item = item_for(stage, port);
	struct pc_error *err = NULL;

	cr_expect_eq(pc_graph_replay(g, &item, &err), PC_INVALID);
	cr_expect_str_eq(pc_error_first(err), why);
	pc_error_free(err);
	cr_expect_eq(pc_graph_replay(g, &item, NULL), PC_INVALID);
}

static void check_runs(struct pc_graph *g, const char *stage)
{
	struct pc_stage_row row;
	struct pc_error *err = NULL;

	cr_assert_eq(pc_graph_start(g, NULL, &err), PC_OK, "%s", pc_error_text(err));
	cr_assert_eq(pc_graph_wait(g, PC_FOREVER, &err), PC_OK, "%s", pc_error_text(err));
	cr_assert(pc_graph_stage(g, 0, &row, sizeof(row)));
	cr_expect_str_eq(row.name, stage);
	cr_expect_eq(row.replicas, 1);
	cr_expect_eq(row.taken, 1);
}

Test(replay, names_that_are_none)
{
	struct pc_graph *g = load();

	check_refused(g, "tow", "left", "there is no stage 'tow' in the graph");
	check_refused(g, NULL, "left", "there is no stage '' in the graph");
	check_refused(g, "two", "out", "stage 'two' has no input 'out'");
	check_refused(g, "two", NULL, "stage 'two' has no input ''");
	check_refused(g, "numbers", "in", "stage 'numbers' has no input 'in'");
	pc_graph_free(g);
}

/* Whatever the stage waits for, or whoever waits for it, in its own graph. */
Test(replay, of_each_stage)
{
	static const struct {
		const char *stage, *port;
	} all[] = {{"two", "left"}, {"two", "right"}, {"sink", "in"}, {"late", "in"}};

	for (size_t i = 0; i < PC_COUNT(all); i++) {
		struct pc_graph *g = load();
		struct pc_replay item = item_for(all[i].stage, all[i].port);
		struct pc_error *err = NULL;

		cr_assert_eq(pc_graph_replay(g, &item, &err), PC_OK, "%s", pc_error_text(err));
		check_runs(g, all[i].stage);
		check_refused(g, all[i].stage, all[i].port,
		              "the graph has been started before");
		pc_graph_free(g);
	}
}

/* A program that was built when the struct ended earlier: what stands behind it is not ours. */
Test(replay, an_older_struct)
{
	struct pc_graph *g = load();
	struct pc_replay item = item_for("two", "left");

	item.size = offsetof(struct pc_replay, data_size);
	item.data_size = SIZE_MAX;
	cr_assert_eq(pc_graph_replay(g, &item, NULL), PC_OK);
	check_runs(g, "two");
	pc_graph_free(g);
}

Test(replay, no_item_where_nothing_crashes)
{
	struct pc_crash_item item;

	cr_expect_not(pc_crash_item(&item, sizeof(item)));
}
