/* test-types.c: what flows through ports, through stages that pass on, and what does not fit. */
#include "graph.h"

static const char *in_type(const struct graph *g, const char *stage, uint32_t port)
{
	return g->plan.stages[stage_of(g, stage)].inputs[port].type;
}

static const char *out_type(const struct graph *g, const char *stage, uint32_t port)
{
	return g->plan.stages[stage_of(g, stage)].outputs[port].type;
}

Test(types, flow_through_stages_that_pass_on)
{
	struct graph g;

	graph_make(&g, "stage b = same()\nstage a = same()\nstage p = pair()\n"
	               "numbers -> a -> b -> p.left\ntext -> lower -> p.right\n"
	               "p.first -> swallow\np.second -> swallow\n");
	cr_assert_eq(g.result, PC_OK, "%s", g.said.text);
	cr_expect_str_eq(in_type(&g, "a", 0), "u64");
	cr_expect_str_eq(out_type(&g, "b", 0), "u64");
	cr_expect_str_eq(in_type(&g, "p", 0), "u64");
	cr_expect_str_eq(in_type(&g, "p", 1), "text/line");
	cr_expect_str_eq(out_type(&g, "p", 0), "u64");
	cr_expect_str_eq(out_type(&g, "p", 1), "text/line");
	cr_expect_str_eq(in_type(&g, "swallow#2", 0), "text/line");
	cr_expect_str_eq(out_type(&g, "lower", 1), "text/error");
	graph_fini(&g);
}

Test(types, writers_that_differ)
{
	struct graph g;

	graph_make(&g, "stage a = same()\nnumbers, text -> a -> swallow\nstage b = lower()\n"
	               "text -> b\na -> b\n");
	cr_assert_eq(g.result, PC_OK, "%s", g.said.text);
	cr_expect_str_eq(in_type(&g, "a", 0), "*");
	cr_expect_str_eq(out_type(&g, "a", 0), "*");
	cr_expect_str_eq(in_type(&g, "b", 0), "*");
	graph_fini(&g);
}

Test(types, round_a_circle)
{
	struct graph g;

	graph_make(&g, "stage b = same()\nstage a = same()\nnumbers -> a -> b -> swallow\n"
	               "b -> a [feedback]\n");
	cr_assert_eq(g.result, PC_OK, "%s", g.said.text);
	cr_expect_str_eq(out_type(&g, "b", 0), "u64");
	graph_fini(&g);
}

Test(types, mismatch)
{
	says("numbers -> lower -> swallow\n", "1:9 output 'out' of 'numbers' sends u64, but "
	                                      "input 'in' of 'lower' takes text/*\n");
	says("numbers -> same -> same -> lower\n",
	     "1:25 output 'out' of 'same' sends u64, but input 'in' of 'lower' takes text/*\n"
	     "  1:20 'same' passes on what comes in at 'in'\n");
	says("queue q\nnumbers -> q\ntext -> q\nq -> lower\n",
	     "4:3 output 'out' of 'numbers' sends u64, but input 'in' of 'lower' takes text/*\n"
	     "  2:9 'numbers' writes the queue here\n");
	says("queue q\ntext -> q\nnumbers -> q\nq -> lower\n",
	     "4:3 output 'out' of 'numbers' sends u64, but input 'in' of 'lower' takes text/*\n"
	     "  3:9 'numbers' writes the queue here\n");
	/* What follows from the first is not told again. */
	says("stage p = pair()\nnumbers -> p.right\ntext -> p.left\np.second -> lower\n",
	     "2:9 output 'out' of 'numbers' sends u64, but input 'right' of 'p' takes "
	     "text/*\n");
}

Test(types, that_look_alike)
{
	says("stage s = strict()\nstage l = lower()\ntext -> l\ntext -> s.longer\nl.errors -> "
	     "s.other\n"
	     "l -> s.any\n",
	     "4:6 output 'out' of 'text' sends text/line, but input 'longer' of 's' takes "
	     "text/line/long\n"
	     "5:10 output 'errors' of 'l' sends text/error, but input 'other' of 's' takes "
	     "text/other\n"
	     "6:3 output 'out' of 'l' sends text/line, but input 'any' of 's' takes "
	     "text/line/*\n");
}

Test(types, dead_items_are_what_came_in)
{
	struct graph g;

	says("queue q\nstage s = swallow() on_error=dead=q\nnumbers -> s\nq -> lower\n",
	     "4:3 failed items of 's' are u64, but input 'in' of 'lower' takes text/*\n"
	     "  2:21 'q' is named here\n");
	says("queue q\nstage s = swallow() on_error=dead=q\ntext -> s\nq -> lower\n", "");
	graph_make(&g,
	           "queue q\nstage s = swallow() on_error=dead=q\nnumbers -> s\nq -> same\n");
	cr_assert_eq(g.result, PC_OK, "%s", g.said.text);
	cr_expect_str_eq(in_type(&g, "same", 0), "u64");
	cr_expect_str_eq(out_type(&g, "same", 0), "u64");
	graph_fini(&g);
}
