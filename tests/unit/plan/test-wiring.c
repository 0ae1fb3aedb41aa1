/* test-wiring.c: arrows become queues and ports. */
#include "graph.h"

/* Whether the queue has these writers and readers, named in order: "a b > c". */
static void has(const struct graph *g, const char *queue, const char *expected)
{
	const struct plan_queue *q = &g->plan.queues[queue_of(g, queue)];
	struct buf b = {0};

	for (uint32_t i = 0; i < q->n_writers; i++)
		buf_addf(&b, "%s ", g->plan.stages[q->writers[i]].name);
	buf_adds(&b, ">");
	for (uint32_t i = 0; i < q->n_readers; i++)
		buf_addf(&b, " %s", g->plan.stages[q->readers[i]].name);
	cr_expect_str_eq(b.text, expected, "%s: %s, not %s", queue, b.text, expected);
	buf_fini(&b);
}

static const struct plan_stage *stage(const struct graph *g, const char *name)
{
	return &g->plan.stages[stage_of(g, name)];
}

Test(wiring, a_queue_is_a_place)
{
	struct graph g;

	graph_make(&g,
	           "queue q\nstage a = numbers()\nstage b = numbers()\nstage c = swallow()\n"
	           "stage d = swallow()\na, b -> q -> c, d\n");
	cr_assert_eq(g.result, PC_OK, "%s", g.said.text);
	cr_assert_eq(g.plan.n_queues, 1);
	has(&g, "q", "a b > c d");
	cr_expect_eq(stage(&g, "c")->inputs[0].queue, 0);
	cr_expect(stage(&g, "a")->outputs[0].n_queues == 1 &&
	          stage(&g, "a")->outputs[0].queues[0] == 0);
	graph_fini(&g);
}

Test(wiring, an_arrow_between_stages_makes_one_queue_for_all)
{
	struct graph g;

	graph_make(&g, "stage a = numbers()\nstage b = numbers()\nstage c = swallow()\n"
	               "stage d = swallow()\na, b -> c, d\n");
	cr_assert_eq(g.result, PC_OK, "%s", g.said.text);
	cr_assert_eq(g.plan.n_queues, 1);
	has(&g, "a, b -> c, d", "a b > c d");
	graph_fini(&g);
}

Test(wiring, each_statement_makes_its_own_queue)
{
	struct graph g;

	graph_make(&g, "stage a = numbers()\nstage c = swallow()\nstage d = swallow()\n"
	               "a -> c\na -> d\n");
	cr_assert_eq(g.result, PC_OK, "%s", g.said.text);
	cr_assert_eq(g.plan.n_queues, 2);
	has(&g, "a -> c", "a > c");
	has(&g, "a -> d", "a > d");
	cr_expect_eq(stage(&g, "a")->outputs[0].n_queues, 2);
	graph_fini(&g);
}

Test(wiring, an_input_has_one_queue_that_later_arrows_join)
{
	struct graph g;

	graph_make(&g, "stage a = numbers()\nstage b = numbers()\nstage c = swallow()\n"
	               "stage d = swallow()\n"
	               "a -> c\nb -> c [capacity=7]\na -> d, swallow\n");
	cr_assert_eq(g.result, PC_OK, "%s", g.said.text);
	cr_assert_eq(g.plan.n_queues, 2);
	has(&g, "a, b -> c", "a b > c");
	cr_expect_eq(g.plan.queues[0].capacity, 7);
	cr_expect_eq(g.plan.queues[0].line, 5);
	has(&g, "a -> d, swallow", "a > d swallow");
	graph_fini(&g);
	graph_make(&g, "stage c = swallow()\nstage d = swallow()\n"
	               "numbers -> c, d\nnumbers -> d, c\n");
	cr_assert_eq(g.result, PC_OK, "%s", g.said.text);
	has(&g, "numbers, numbers#2 -> c, d", "numbers numbers#2 > c d");
	graph_fini(&g);
}

Test(wiring, long_names_are_cut)
{
	struct graph g;

	graph_make(&g, "stage z = swallow()\nnumbers, numbers, numbers, numbers -> z\n");
	cr_assert_eq(g.result, PC_OK, "%s", g.said.text);
	cr_expect_str_eq(g.plan.queues[0].name, "numbers, numbers#2, numbers#3, … -> z");
	graph_fini(&g);
}

Test(wiring, an_output_into_several_places)
{
	struct graph g;

	graph_make(&g, "queue p\nqueue q\nstage a = numbers()\nstage b = swallow()\n"
	               "a -> p, q, b\np -> swallow\nq -> swallow\na -> q\n");
	cr_assert_eq(g.result, PC_OK, "%s", g.said.text);
	cr_assert_eq(g.plan.n_queues, 3);
	has(&g, "p", "a > swallow");
	has(&g, "q", "a > swallow#2");
	has(&g, "a -> b", "a > b");
	cr_expect_eq(stage(&g, "a")->outputs[0].n_queues, 3);
	graph_fini(&g);
}

Test(wiring, ports)
{
	struct graph g;

	graph_make(&g, "stage l = lower()\nstage p = pair()\n"
	               "text -> l -> p.left -> swallow\n"
	               "l.errors -> p.right\np.second -> swallow\n");
	cr_assert_eq(g.result, PC_WRONG);
	cr_expect_str_eq(g.said.text,
	                 "3:14 'p' has several outputs: name the one that is meant | p.first\n"
	                 "  - the outputs of 'p': first, second\n");
	graph_fini(&g);
	graph_make(&g, "stage l = lower()\nstage p = pair()\n"
	               "text -> l -> p.left\nl.errors -> p.right\n"
	               "p.first -> swallow\np.second -> swallow\n");
	cr_assert_eq(g.result, PC_OK, "%s", g.said.text);
	has(&g, "l -> p.left", "l > p");
	has(&g, "l.errors -> p.right", "l > p");
	has(&g, "p.first -> swallow", "p > swallow");
	has(&g, "p.second -> swallow#2", "p > swallow#2");
	cr_expect_eq(stage(&g, "p")->inputs[1].queue, queue_of(&g, "l.errors -> p.right"));
	cr_expect_eq(stage(&g, "l")->outputs[1].queues[0], queue_of(&g, "l.errors -> p.right"));
	graph_fini(&g);
}

Test(wiring, the_only_port_needs_no_name)
{
	struct graph g;

	graph_make(&g, "typed(1) -> swallow\n");
	cr_assert_eq(g.result, PC_OK, "%s", g.said.text);
	has(&g, "typed -> swallow", "typed > swallow");
	graph_fini(&g);
}

Test(wiring, the_same_arrow_from_or_to_a_named_queue_again)
{
	struct graph g;

	graph_make(&g,
	           "queue q\nstage a = numbers()\nstage b = swallow()\nstage c = swallow()\n"
	           "a -> q -> b\na -> q -> c\nq -> b\n");
	cr_assert_eq(g.result, PC_OK, "%s", g.said.text);
	has(&g, "q", "a > b c");
	cr_expect_eq(stage(&g, "a")->outputs[0].n_queues, 1);
	graph_fini(&g);
}

Test(wiring, a_port_in_the_middle_counts_for_the_side_that_has_it)
{
	struct graph g;

	graph_make(&g, "stage l = lower()\ntext -> l.errors -> swallow\n");
	cr_assert_eq(g.result, PC_OK, "%s", g.said.text);
	cr_expect_eq(stage(&g, "l")->outputs[1].n_queues, 1);
	cr_expect_eq(stage(&g, "l")->outputs[0].n_queues, 0);
	graph_fini(&g);
	says("stage l = lower()\ntext -> l.erors -> swallow\n",
	     "2:11 'l' has no input 'erors'\n  - the inputs of 'l': in\n");
}

Test(wiring, both_outputs_of_a_stage_into_one_queue)
{
	struct graph g;

	graph_make(&g, "stage l = lower()\nstage s = swallow()\ntext -> l\nl, l.errors -> s\n");
	cr_assert_eq(g.result, PC_OK, "%s", g.said.text);
	has(&g, "l, l.errors -> s", "l > s");
	cr_expect(stage(&g, "l")->outputs[0].queues[0] == stage(&g, "l")->outputs[1].queues[0]);
	graph_fini(&g);
}

Test(wiring, dead_queues_are_written)
{
	struct graph g;

	graph_make(
		&g,
		"queue q\nstage a = swallow() on_error=dead=q\nnumbers -> a\nq -> swallow\n");
	cr_assert_eq(g.result, PC_OK, "%s", g.said.text);
	has(&g, "q", "a > swallow");
	graph_fini(&g);
	graph_make(&g,
	           "queue q\nstage a = same() on_error=dead=q\nnumbers -> a -> q -> swallow\n");
	cr_assert_eq(g.result, PC_OK, "%s", g.said.text);
	has(&g, "q", "a > swallow");
	graph_fini(&g);
}

Test(wiring, wrong_ports)
{
	says("numbers.zz -> swallow\n", "1:9 'numbers' has no output 'zz'\n"
	                                "  - the outputs of 'numbers': out\n");
	says("stage l = lower()\ntext -> l\nl.erorrs -> swallow\n",
	     "3:3 'l' has no output 'erorrs' | did you mean 'errors'?\n");
	says("stage p = pair()\nnumbers -> p.first\n",
	     "2:14 'first' is an output of 'p': an arrow can't end there\n"
	     "  - the inputs of 'p': left, right\n");
	says("stage p = pair()\nnumbers -> p.left\np.left -> swallow\ntext -> p.right\n",
	     "3:3 'left' is an input of 'p': an arrow can't begin there\n"
	     "  - the outputs of 'p': first, second\n");
	says("stage p = pair()\nnumbers -> p\n",
	     "2:12 'p' has several inputs: name the one that is meant | p.left\n"
	     "  - the inputs of 'p': left, right\n");
	says("queue q\nnumbers -> q.in\nq -> swallow\n",
	     "2:14 'q' is a queue, and queues have no ports\n");
	says("numbers.out\n", "1:9 a port without an arrow wires nothing\n");
}

Test(wiring, wrong_directions)
{
	says("numbers -> numbers -> swallow -> swallow\n",
	     "1:12 'numbers' has no input: no arrow can end at it\n"
	     "1:23 'swallow' has no output: no arrow can begin at it\n");
	says("queue p\nqueue q\nnumbers -> p -> q -> swallow\n",
	     "3:14 an arrow can't lead from a queue to a queue | a stage must stand between "
	     "them\n");
}

Test(wiring, two_queues_into_one_input)
{
	says("queue p\nqueue q\nstage s = swallow()\nnumbers -> p -> s\nnumbers -> q -> s\n",
	     "5:17 input 'in' of 's' takes from queue 'p': it can't take from 'q' too\n"
	     "  4:14 it is wired here\n");
	says("queue p\nstage s = swallow()\nnumbers -> p -> s\nnumbers -> s\n",
	     "4:12 input 'in' of 's' takes from queue 'p': arrows must lead there | write '-> "
	     "p'\n"
	     "  3:14 it is wired here\n");
	says("queue p\nstage s = swallow()\nnumbers -> s\nnumbers -> p -> s\n",
	     "4:17 input 'in' of 's' is fed by other arrows: it can't take from 'p' too\n"
	     "  3:9 it is wired here\n");
	says("stage s = swallow()\nnumbers -> s, swallow\nnumbers -> s\n",
	     "3:12 input 'in' of 's' shares its queue with others, which this arrow would feed "
	     "too | "
	     "wire both through a declared queue\n  2:9 it is wired here\n");
	says("queue p\nqueue q\nnumbers -> p\nnumbers -> q\np, q -> swallow\n",
	     "5:9 input 'in' of 'swallow' takes from queue 'p': it can't take from 'q' too\n"
	     "  5:6 it is wired here\n");
}

Test(wiring, two_inputs_from_one_queue)
{
	says("stage p = pair()\nqueue q\ntext -> q -> p.left\nq -> p.right\n",
	     "4:6 the inputs 'left' and 'right' of 'p' can't take from one queue\n"
	     "  3:11 'left' is wired here\n");
	says("stage p = pair()\ntext -> p.left, p.right\n",
	     "2:17 the inputs 'left' and 'right' of 'p' can't take from one queue\n"
	     "  2:6 'left' is wired here\n");
}

Test(wiring, twice)
{
	says("stage a = numbers()\nstage s = swallow()\na -> s\na -> s\n",
	     "4:3 'a' is wired like this already\n  3:3 the first time is here\n");
	says("stage s = swallow()\nnumbers -> s, s\n", "2:15 this arrow leads to 's' twice\n");
	says("stage a = numbers()\na, a -> swallow\n",
	     "2:6 'a' is wired like this already\n  2:6 the first time is here\n");
}

Test(wiring, brackets_that_differ)
{
	says("stage s = swallow()\nnumbers -> s [capacity=3, full=error]\nnumbers -> s "
	     "[capacity=4, "
	     "full=error]\nnumbers -> s [capacity=3, full=block]\n",
	     "3:15 the queue of this arrow has another 'capacity' already\n  2:15 it is set "
	     "here\n"
	     "4:15 the queue of this arrow has another 'capacity' already\n  3:15 it is set "
	     "here\n"
	     "4:27 the queue of this arrow has another 'full' already\n  3:27 it is set "
	     "here\n");
}
