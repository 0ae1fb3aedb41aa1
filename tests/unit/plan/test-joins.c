/* test-joins.c: what joins wait for. */
#include "graph.h"

Test(joins, lists)
{
	struct graph g;
	const struct plan_join *j;

	graph_make(&g, "stage a = numbers()\nstage b = numbers()\nqueue q\nstage c = swallow() "
	               "daemon\n"
	               "a -> q -> c\njoin one after a, b\njoin two after q, one, start\n");
	cr_assert_eq(g.result, PC_OK, "%s", g.said.text);
	cr_assert_eq(g.plan.n_joins, 4);
	cr_expect_str_eq(g.plan.joins[PLAN_JOIN_START].name, "start");
	cr_expect_str_eq(g.plan.joins[PLAN_JOIN_END].name, "end");
	j = &g.plan.joins[2];
	cr_expect_str_eq(j->name, "one");
	cr_assert(j->n_stages == 2 && j->n_queues == 0 && j->n_joins == 0);
	cr_expect(j->stages[0] == 0 && j->stages[1] == 1);
	j = &g.plan.joins[3];
	cr_assert(j->n_stages == 0 && j->n_queues == 1 && j->n_joins == 2);
	cr_expect(j->queues[0] == 0 && j->joins[0] == 2 && j->joins[1] == PLAN_JOIN_START);
	cr_expect(g.plan.queues[0].joined);
	graph_fini(&g);
}

Test(joins, the_end)
{
	struct graph g;
	const struct plan_join *j;

	graph_make(&g, "stage a = numbers()\nstage d = numbers() daemon\nqueue p\nqueue q\n"
	               "stage s = swallow() daemon\na, d -> p -> s\nd -> q\nstage t = "
	               "swallow() daemon\n"
	               "q -> t\n");
	cr_assert_eq(g.result, PC_OK, "%s", g.said.text);
	j = &g.plan.joins[PLAN_JOIN_END];
	cr_assert(j->n_stages == 1 && j->n_queues == 1 && j->n_joins == 0);
	cr_expect_eq(j->stages[0], stage_of(&g, "a"));
	cr_expect_eq(j->queues[0], queue_of(&g, "p"));
	cr_expect(g.plan.queues[0].joined && !g.plan.queues[1].joined);
	j = &g.plan.joins[PLAN_JOIN_START];
	cr_expect(j->n_stages == 0 && j->n_queues == 0 && j->n_joins == 0);
	graph_fini(&g);
}

Test(joins, a_queue_that_only_daemons_write)
{
	struct graph g;

	graph_make(
		&g,
		"stage d = numbers() daemon until=start\nstage s = swallow() daemon\nqueue q\n"
		"d -> q -> s\njoin j after q\n");
	cr_assert_eq(g.result, PC_OK, "%s", g.said.text);
	cr_expect(g.plan.queues[0].joined);
	cr_expect_eq(g.plan.joins[PLAN_JOIN_END].n_queues, 0);
	graph_fini(&g);
}

Test(joins, unknown)
{
	says("stage baker = numbers()\njoin j after bakr, strat\n",
	     "2:14 there is no stage, queue or join 'bakr' | did you mean 'baker'?\n"
	     "2:20 there is no stage, queue or join 'strat' | did you mean 'start'?\n");
	says("numbers -> swallow\njoin j after swallow\n",
	     "2:14 there is no stage, queue or join 'swallow'\n"
	     "  1:12 the stage here has no name: declare it to wait for it\n");
}

Test(joins, endless_daemons)
{
	says("stage d = numbers() daemon\nstage e = numbers() daemon until=start\njoin j after "
	     "d, e\n",
	     "3:14 'd' is a daemon that goes on until the end: no join can wait for it\n"
	     "  1:21 it is made one here\n");
}

Test(joins, twice_in_a_list)
{
	says("stage a = numbers()\nqueue q\na -> q -> swallow\njoin i after a\njoin j after a, "
	     "q, i, a, q, i\n",
	     "5:23 warning: 'a' stands in this list twice\n  5:14 the first time is here\n"
	     "5:26 warning: 'q' stands in this list twice\n  5:17 the first time is here\n"
	     "5:29 warning: 'i' stands in this list twice\n  5:20 the first time is here\n");
}
