/* test-names.c: what names mean: declared or plugins, unknown, taken, unnamed. */
#include "graph.h"

Test(names, bare_names_are_stages_queues_or_plugins)
{
	struct graph g;

	graph_make(&g, "stage a = numbers()\n"
	               "queue q\n"
	               "a -> q -> swallow\n"
	               "numbers -> swallow\n"
	               "numbers() -> swallow()\n");
	cr_assert_eq(g.result, PC_OK, "%s", g.said.text);
	cr_assert_eq(g.plan.n_stages, 6);
	cr_expect_str_eq(g.plan.stages[0].name, "a");
	cr_expect_str_eq(g.plan.stages[0].plugin_name, "numbers");
	cr_expect_str_eq(g.plan.stages[1].name, "swallow");
	cr_expect_str_eq(g.plan.stages[2].name, "numbers");
	cr_expect_str_eq(g.plan.stages[3].name, "swallow#2");
	cr_expect_str_eq(g.plan.stages[4].name, "numbers#2");
	cr_expect_str_eq(g.plan.stages[5].name, "swallow#3");
	cr_expect_str_eq(g.plan.stages[5].file, "g.txt");
	cr_expect_eq(g.plan.stages[5].line, 5);
	cr_expect_eq(g.plan.n_plugins, 2);
	graph_fini(&g);
}

Test(names, a_declared_stage_may_have_its_plugins_name)
{
	struct graph g;

	graph_make(&g, "stage numbers = numbers()\nnumbers -> swallow\n");
	cr_assert_eq(g.result, PC_OK, "%s", g.said.text);
	cr_expect_eq(g.plan.n_stages, 2);
	graph_fini(&g);
}

Test(names, a_plugin_given_as_a_file_is_no_declared_stage)
{
	struct graph g;

	graph_make(&g, "stage numbers = numbers()\n"
	               "numbers -> swallow\n"
	               "./numbers.so -> swallow\n"
	               "./numbers.so() -> swallow\n");
	cr_assert_eq(g.result, PC_OK, "%s", g.said.text);
	cr_expect_eq(stage_of(&g, "numbers"), 0);
	cr_expect_eq(g.plan.n_stages, 6);
	stage_of(&g, "numbers#2");
	stage_of(&g, "numbers#3");
	graph_fini(&g);
}

Test(names, unknown)
{
	says("nubmers -> swalow\n",
	     "1:1 there is no stage, queue or plugin 'nubmers' | did you mean 'numbers'?\n"
	     "1:12 there is no stage, queue or plugin 'swalow' | did you mean 'swallow'?\n");
	says("stage reader = numbers()\nraeder -> swallow\nreader -> swallow\n",
	     "2:1 there is no stage, queue or plugin 'raeder' | did you mean 'reader'?\n");
	/* What stands in front of ( ) or behind '=' can be a plugin only. */
	says("stage nubmer = numbers()\nnubmer -> swallow\nstage b = nubmers()\nnubmers(3) -> "
	     "swallow\n",
	     "3:11 there is no plugin 'nubmers' | did you mean 'numbers'?\n");
}

Test(names, unknown_without_a_near_name)
{
	struct graph g;
	const char *said = "1:1 there is no stage, queue or plugin 'qqqqqqqq'\n  - there is no "
			   "qqqqqqqq.so in ";

	graph_make(&g, "qqqqqqqq -> swallow\nqqqqqqqq -> swallow\n");
	cr_expect(strncmp(g.said.text, said, strlen(said)) == 0, "%s", g.said.text);
	cr_expect_eq(g.diags.n_errors, 1, "a plugin that is not there is told once");
	graph_fini(&g);
}

Test(names, refused_plugins_are_told_in_the_loaders_words_once)
{
	struct graph g;

	graph_make(&g, "misnamed -> swallow\nstage m = misnamed()\n./nothing.so -> swallow\n");
	cr_expect_eq(g.diags.n_errors, 2, "%s", g.said.text);
	cr_expect(strstr(g.said.text, "2:11 ") == g.said.text);
	cr_expect(strstr(g.said.text, "misnamed.so is not the stage 'misnamed'"));
	cr_expect(strstr(g.said.text, "\n3:1 "));
	cr_expect(strstr(g.said.text, "nothing.so"));
	graph_fini(&g);
}

Test(names, taken)
{
	says("stage a = numbers()\nqueue a\njoin a after a\na -> swallow\n",
	     "2:7 there is a stage 'a' already\n  1:7 'a' is declared here\n"
	     "3:6 there is a stage 'a' already\n  1:7 'a' is declared here\n");
	says("queue end\nnumbers -> end\njoin start after a\nstage a = numbers()\n",
	     "1:7 'end' is the name of a join that every graph has | choose another name\n"
	     "3:6 'start' is the name of a join that every graph has | choose another name\n");
}

Test(names, declared_names_take_no_parameters_in_a_chain)
{
	says("stage a = numbers()\na(3) -> swallow\n",
	     "2:1 'a' is a stage that is declared elsewhere: it takes no ( ) here | write only "
	     "its "
	     "name, or give it another name\n  1:7 'a' is declared here\n");
	says("queue q\nnumbers -> q() -> swallow\n",
	     "2:12 'q' is a queue that is declared elsewhere: it takes no ( ) here\n"
	     "  1:7 'q' is declared here\n");
}

Test(names, joins_are_not_wired)
{
	says("join j after a\nstage a = numbers()\na -> j\nend -> swallow\n",
	     "3:6 'j' is a join: arrows join stages and queues\n  1:6 'j' is declared here\n"
	     "4:1 'end' is a join: arrows join stages and queues\n");
}

Test(names, what_a_lost_line_may_have_declared_is_not_called_unknown)
{
	struct graph g;

	graph_make(&g, "stage = numbers()\nreader -> writer\njoin j after reader\n"
	               "stage s = swallow() start=readers\n");
	cr_expect_eq(g.diags.n_errors, 1, "%s", g.said.text);
	graph_fini(&g);
	/* Here the name is known, and nothing else is lost. */
	graph_make(&g, "stage reader = numbers() replicas=\nreader -> qqqqqqqq\n");
	cr_expect_eq(g.diags.n_errors, 2, "%s", g.said.text);
	cr_expect(strstr(g.said.text, "\n2:11 there is no stage, queue or plugin"));
	graph_fini(&g);
}

Test(names, shared_state_is_no_end_of_an_arrow)
{
	says("shared d = dict(n=1)\nnumbers -> swallow\njoin j after d\nd -> swallow\n",
	     "4:1 'd' is shared state: arrows join stages and queues\n  1:8 'd' is declared "
	     "here\n"
	     "3:14 'd' is shared state, which never ends: no join can wait for it\n"
	     "  1:8 'd' is declared here\n");
}

Test(names, an_empty_graph)
{
	says("", "1:1 there is no stage in this graph\n");
	says("param n = 3\n# nothing\n", "1:1 there is no stage in this graph\n");
}
