/* test-params.c: arguments become bytes in the state; what is wrong with them is told in words. */
#include "graph.h"

#include "fixtures/typed.h"

Test(params, defaults_and_values_of_every_type)
{
	struct graph g;
	const struct typed *t;

	graph_make(&g,
	           "typed(7) -> swallow\n"
	           "stage all = typed(must=64Ki, level=10, share=1, loud=off, word=\"a b\",\n"
	           "  file=x/y, colour=blue, pause=1h, size=2M)\n");
	cr_assert_eq(g.result, PC_OK, "%s", g.said.text);
	t = g.plan.stages[stage_of(&g, "typed")].params;
	cr_expect_eq(t->must, 7);
	cr_expect_eq(t->level, -7);
	cr_expect(t->share > 0.24 && t->share < 0.26);
	cr_expect(t->loud);
	cr_expect_str_eq(t->word, "hello");
	cr_expect_str_eq(t->file, "/etc/motd");
	cr_expect_eq(t->colour, 1);
	cr_expect_eq(t->pause, 250 * PC_MS);
	cr_expect_eq(t->size, 65536);
	cr_expect_eq(t->own, 0);
	t = g.plan.stages[stage_of(&g, "all")].params;
	cr_expect_eq(t->must, 65536);
	cr_expect_eq(t->level, 10);
	cr_expect(t->share > 0.99 && t->share < 1.01);
	cr_expect_not(t->loud);
	cr_expect_str_eq(t->word, "a b");
	cr_expect_str_eq(t->file, "x/y");
	cr_expect_eq(t->colour, 2);
	cr_expect_eq(t->pause, 3600 * PC_SEC);
	cr_expect_eq(t->size, 2000000);
	cr_expect_eq(t->own, 0);
	graph_fini(&g);
}

Test(params, strings_outlive_the_tree)
{
	struct graph g;
	const struct typed *t;

	graph_make(&g, "typed(7, word=\"kept\") -> swallow\n");
	cr_assert_eq(g.result, PC_OK);
	t = g.plan.stages[0].params;
	cr_expect_neq(t->word, g.tree.wires[0].groups[0].ends[0].call.args[1].value.text);
	cr_expect_neq(g.plan.stages[0].name,
	              g.tree.wires[0].groups[0].ends[0].call.plugin.text);
	lang_tree_fini(&g.tree);
	cr_expect_str_eq(t->word, "kept");
	cr_expect_str_eq(g.plan.stages[0].name, "typed");
	graph_fini(&g);
}

Test(params, the_arguments_of_one_stage_are_not_those_of_the_next)
{
	struct graph g;
	const struct typed *a, *b;

	graph_make(&g, "stage a = typed(1, level=3)\nstage b = typed(2)\n");
	cr_assert_eq(g.result, PC_OK, "%s", g.said.text);
	a = g.plan.stages[0].params;
	b = g.plan.stages[1].params;
	cr_expect_eq(a->level, 3);
	cr_expect_eq(b->level, -7);
	graph_fini(&g);
}

Test(params, positions)
{
	says("typed(1, 2, level=3)\n", "1:13 parameter 'level' is given twice\n"
	                               "  1:10 the first time is here\n");
	says("typed(must=1, 2)\n",
	     "1:15 a value without a name can't follow one with a name | write NAME=VALUE\n");
	says("typed(1, 2, 0.5, on, w, f, red, 1s, 1, 10, 11)\n",
	     "1:40 one value too many: 'typed' has 9 parameters\n"
	     "  - 'pcrun inspect typed' lists them\n");
	says("numbers(1, 2) -> swallow\n", "1:9 'numbers' takes no parameters\n");
}

Test(params, required)
{
	says("typed()\n",
	     "1:1 'typed' needs its parameter 'must': a whole number from 0 up, has no "
	     "default | typed(must=…)\n");
	says("typed\n",
	     "1:1 'typed' needs its parameter 'must': a whole number from 0 up, has no "
	     "default | typed(must=…)\n");
}

Test(params, unknown)
{
	says("typed(1, levle=3, replicas=2, zzzzzz=1)\n",
	     "1:10 plugin 'typed' has no parameter 'levle' | did you mean 'level'?\n"
	     "1:19 plugin 'typed' has no parameter 'replicas' | an attribute: it stands behind "
	     "the "
	     "parentheses\n"
	     "1:31 plugin 'typed' has no parameter 'zzzzzz'\n  - 'pcrun inspect typed' lists "
	     "them\n");
	says("numbers(zzz=3) -> swallow\n", "1:9 plugin 'numbers' has no parameter 'zzz'\n"
	                                    "  - 'numbers' takes no parameters\n");
}

Test(params, wrong_values)
{
	says("typed(-1, level=11, share=2, loud=perhaps)\n",
	     "1:7 parameter 'must' of 'typed': '-1' is negative; a whole number from 0 up is "
	     "wanted\n"
	     "1:17 parameter 'level' of 'typed': 11 is outside -10..10\n"
	     "1:27 parameter 'share' of 'typed': 2 is outside ..1\n"
	     "1:35 parameter 'loud' of 'typed': 'perhaps' is not true or false\n");
	says("typed(1, pause=3, size=x, colour=gren)\n",
	     "1:16 parameter 'pause' of 'typed': '3' is not a duration such as 250ms\n"
	     "1:24 parameter 'size' of 'typed': 'x' is not a size such as 64Ki\n"
	     "1:34 parameter 'colour' of 'typed': 'gren' is none of red, green, blue | did you "
	     "mean "
	     "'green'?\n");
}

Test(params, the_place_of_a_value_that_comes_from_elsewhere)
{
	const struct lang_define define = {"n", "many"};
	struct graph g;

	says("param n = few\ntyped($n)\n",
	     "2:7 parameter 'must' of 'typed': 'few' is not a whole number from 0 up\n"
	     "  1:11 the value comes from here\n");
	graph_make_with(&g, "param n = 3\ntyped($n)\n", &define, 1);
	cr_expect_str_eq(
		g.said.text,
		"2:7 parameter 'must' of 'typed': 'many' is not a whole number from 0 up\n"
		"  - the value comes from -D n\n");
	graph_fini(&g);
}

Test(params, one_mistake_in_a_call_is_one_message)
{
	struct graph g;

	says("typed(mus=1)\n",
	     "1:7 plugin 'typed' has no parameter 'mus' | did you mean 'must'?\n");
	graph_make(&g, "stage a = typed(\nstage b = typed(1)\n");
	cr_expect_eq(g.diags.n_errors, 1, "%s", g.said.text);
	graph_fini(&g);
	graph_make(
		&g,
		"stage a = typed($nothing)\nstage b = typed(must=\nstage c = typed(level=)\n");
	cr_expect_eq(g.diags.n_errors, 3, "%s", g.said.text);
	graph_fini(&g);
}
