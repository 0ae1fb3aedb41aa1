/* test-flow.c: unwired ports and queues, circles of arrows, and stages that could never end. */
#include "graph.h"

Test(flow, unwired)
{
	says("stage a = swallow()\nstage p = pair()\ntext\nswallow\n",
	     "1:7 no arrow leads to 'a': nothing would arrive | write '… -> a'\n"
	     "2:7 no arrow leads to input 'left' of 'p': nothing would arrive | write '… -> "
	     "p.left'\n"
	     "2:7 no arrow leads to input 'right' of 'p': nothing would arrive | write '… -> "
	     "p.right'\n"
	     "3:1 no arrow leads from output 'out' of 'text', which must be wired\n"
	     "4:1 no arrow leads to 'swallow': nothing would arrive\n");
}

Test(flow, a_producer_may_stand_alone)
{
	says("numbers\nstage n = numbers()\n", "");
}

Test(flow, queues)
{
	says("queue a\nqueue b\nqueue c\nnumbers -> b\nc -> swallow\n",
	     "1:7 queue 'a' is not wired\n"
	     "2:7 no arrow leads from queue 'b': it would fill up\n"
	     "3:7 no arrow leads to queue 'c': it would stay empty\n");
}

Test(flow, a_wrong_arrow_is_one_mistake)
{
	/* Nobody is called unwired because the other end is wrong. */
	says("stage a = swallow()\nqueue q\nnubmers -> a\nnumbers -> q -> swalow\n",
	     "3:1 there is no stage, queue or plugin 'nubmers' | did you mean 'numbers'?\n"
	     "4:17 there is no stage, queue or plugin 'swalow' | did you mean 'swallow'?\n");
}

Test(flow, what_a_lost_line_may_have_wired_is_not_called_unwired)
{
	struct graph g;

	graph_make(&g, "stage a = swallow()\nqueue q\nnumbers -> , a\n");
	cr_expect_eq(g.diags.n_errors, 1, "%s", g.said.text);
	graph_fini(&g);
	graph_make(&g, "stage t = text()\nstage a = swallow()\nt => a\n");
	cr_expect_eq(g.diags.n_errors, 1, "%s", g.said.text);
	graph_fini(&g);
}

Test(flow, circles)
{
	says("stage a = same()\nstage b = same()\nnumbers -> a -> b -> swallow\nb -> a\n",
	     "4:3 this closes a circle that can fill up and stop: a -> b -> a | end the line "
	     "with "
	     "[feedback]\n");
	says("stage a = same()\nqueue q\nnumbers -> q\nq -> a -> swallow\na -> q\n",
	     "5:3 this closes a circle that can fill up and stop: a -> q -> a | declare 'q' "
	     "with "
	     "'feedback'\n");
	says("stage a = same()\nnumbers -> a\na -> a\n",
	     "3:3 this closes a circle that can fill up and stop: a -> a | end the line with "
	     "[feedback]\n");
	says("stage a = same() on_error=dead=q\nqueue q\nnumbers -> q -> a -> swallow\n",
	     "1:18 this closes a circle that can fill up and stop: a -> q -> a | declare 'q' "
	     "with "
	     "'feedback'\n");
}

Test(flow, feedback)
{
	says("stage a = same()\nstage b = same()\nnumbers -> a -> b -> swallow\nb -> a "
	     "[feedback]\n",
	     "");
	says("stage a = same()\nqueue q feedback\nnumbers -> q\nq -> a -> swallow\na -> q\n",
	     "");
}

Test(flow, two_circles_are_two_mistakes)
{
	says("stage a = same()\nstage b = same()\nstage c = same()\nnumbers -> a -> b -> c -> "
	     "swallow\n"
	     "b -> a\nc -> b\n",
	     "5:3 this closes a circle that can fill up and stop: a -> b -> a | end the line "
	     "with "
	     "[feedback]\n"
	     "6:3 this closes a circle that can fill up and stop: b -> c -> b | end the line "
	     "with "
	     "[feedback]\n");
}

Test(flow, one_queue_is_one_mistake)
{
	says("stage a = same()\nstage b = same()\nqueue q\nnumbers -> q -> a, b\na, b -> q\n",
	     "5:6 this closes a circle that can fill up and stop: a -> q -> a | declare 'q' "
	     "with "
	     "'feedback'\n");
}

Test(flow, a_circle_is_no_reason_to_complain_of_joins)
{
	says("stage a = same()\nnumbers -> a -> swallow\na -> a\njoin j after a\n"
	     "stage n = numbers() start=j\n",
	     "3:3 this closes a circle that can fill up and stop: a -> a | end the line with "
	     "[feedback]\n");
}

Test(flow, branches_that_meet_again_are_no_circle)
{
	says("stage a = same()\nstage b = same()\nstage c = same()\nstage z = swallow()\n"
	     "numbers -> a\na -> b\na -> c\nb -> z\nc -> z\n",
	     "");
}

Test(flow, nothing_can_arrive)
{
	says("stage a = same()\nstage b = same()\nstage c = same()\na -> b\nb -> a "
	     "[feedback]\nb -> c\n",
	     "1:7 no producer leads to 'a': nothing would ever arrive\n");
}

Test(flow, only_daemons)
{
	says("stage d = numbers() daemon\nd -> swallow\n",
	     "2:6 'swallow' could never end: only daemons feed it, and it is no daemon itself\n"
	     "  1:21 'd' is made a daemon here\n");
	says("stage d = numbers() daemon\nstage s = swallow() daemon\nd -> s\n", "");
	says("stage d = numbers() daemon\nstage s = swallow()\nd -> s\nnumbers -> s\n", "");
	says("stage d = numbers() daemon\nstage p = pair()\nd -> p.left\ntext -> p.right\n",
	     "2:7 'p' could never end: only daemons feed it, and it is no daemon itself\n"
	     "  1:21 'd' is made a daemon here\n");
}
