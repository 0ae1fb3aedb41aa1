/* test-attrs.c: attributes of stages and of queues. */
#include "graph.h"

Test(attrs, all_of_a_stage)
{
	struct graph g;
	const struct plan_stage *s;

	graph_make(&g,
	           "queue d\n"
	           "join j after src\n"
	           "stage src = numbers()\n"
	           "stage a = swallow() replicas=4 ordered by=2 thread=own critical "
	           "on_error=retry=3\n"
	           "stage b = swallow() daemon critical=money on_error=skip\n"
	           "stage c = swallow() daemon until=j start=j critical=money on_error=dead=d\n"
	           "stage e = lower() on_error=fail critical=a\n"
	           "stage z = swallow() daemon\n"
	           "src -> a\nsrc -> b\nsrc -> c\nd -> z\ntext -> e\n");
	cr_assert_eq(g.result, PC_OK, "%s", g.said.text);
	s = g.plan.stages;
	cr_expect(s[0].replicas == 1 && !s[0].ordered && !s[0].by && !s[0].daemon);
	cr_expect(s[0].until == PLAN_NONE && s[0].start == PLAN_JOIN_START);
	cr_expect(s[0].section == PLAN_NONE && !s[0].own_thread && s[0].on_error == PLAN_FAIL);
	cr_expect(s[0].dead_queue == PLAN_NONE);
	cr_expect(s[1].replicas == 4 && s[1].ordered && s[1].own_thread);
	cr_expect_str_eq(s[1].by, "2");
	cr_expect(s[1].on_error == PLAN_RETRY && s[1].retries == 3);
	cr_expect(s[2].daemon && s[2].until == PLAN_JOIN_END && s[2].on_error == PLAN_SKIP);
	cr_expect(s[3].daemon && s[3].until == 2 && s[3].start == 2);
	cr_expect(s[3].on_error == PLAN_DEAD && s[3].dead_queue == queue_of(&g, "d"));
	cr_expect(s[4].on_error == PLAN_FAIL);
	cr_expect(s[4].own_thread, "it is PC_BLOCKING");
	cr_assert_eq(g.plan.n_sections, 2);
	cr_expect_str_eq(g.plan.sections[s[1].section].name, "a");
	cr_expect_str_eq(g.plan.sections[s[2].section].name, "money");
	cr_expect_eq(s[2].section, s[3].section);
	cr_expect_eq(s[4].section, s[1].section);
	cr_expect_eq(g.plan.sections[s[2].section].n_stages, 2);
	cr_expect_eq(g.plan.sections[s[1].section].n_stages, 2);
	graph_fini(&g);
}

Test(attrs, all_of_a_queue)
{
	struct graph g;

	graph_make(&g, "queue p capacity=1 full=drop-old\n"
	               "queue q capacity=1048576 full=error feedback\n"
	               "numbers -> p -> swallow\n"
	               "numbers -> q -> swallow\n"
	               "numbers -> same -> swallow [capacity=3, full=drop-new]\n"
	               "numbers -> swallow\n");
	cr_assert_eq(g.result, PC_OK, "%s", g.said.text);
	cr_expect(g.plan.queues[0].capacity == 1 && g.plan.queues[0].full == PC_FULL_DROP_OLD);
	cr_expect(g.plan.queues[0].declared && !g.plan.queues[0].feedback);
	cr_expect(g.plan.queues[1].capacity == 1 << 20 &&
	          g.plan.queues[1].full == PC_FULL_ERROR && g.plan.queues[1].feedback);
	for (uint32_t i = 2; i < 4; i++)
		cr_expect(g.plan.queues[i].capacity == 3 &&
		          g.plan.queues[i].full == PC_FULL_DROP_NEW &&
		          !g.plan.queues[i].declared);
	cr_expect(g.plan.queues[4].capacity == 1024 && g.plan.queues[4].full == PC_FULL_BLOCK);
	cr_expect_eq(g.plan.queues[4].line, 6);
	graph_fini(&g);
}

Test(attrs, values)
{
	says("stage a = swallow() replicas=0 by=item\nnumbers -> a\nstage b = numbers() "
	     "replicas by\n",
	     "1:30 'replicas' wants a whole number from 1 to 65536, not '0'\n"
	     "3:21 'replicas' wants a value: a whole number from 1 to 65536\n"
	     "3:30 'by' wants a value: 'item' or the number of a field from 1 to 1000000\n");
	says("stage a = numbers() replicas=65537 ordered=yes daemon=no thread=mine\n",
	     "1:30 'replicas' wants a whole number from 1 to 65536, not '65537'\n"
	     "1:44 'ordered' takes no value\n"
	     "1:55 'daemon' takes no value\n"
	     "1:65 'thread' wants own, not 'mine'\n");
	says("param r = many\nstage a = numbers() replicas=$r\n",
	     "2:30 'replicas' wants a whole number from 1 to 65536, not 'many'\n"
	     "  1:11 the value comes from here\n");
	says("queue q capacity=0 full=blok feedback=1\nnumbers -> q -> swallow\n",
	     "1:18 'capacity' wants a whole number from 1 to 1048576, not '0'\n"
	     "1:25 'full' wants block, drop-new, drop-old or error, not 'blok' | did you mean "
	     "'block'?\n"
	     "1:39 'feedback' takes no value\n");
	says("numbers -> swallow [capacity=1048577]\n",
	     "1:30 'capacity' wants a whole number from 1 to 1048576, not '1048577'\n");
}

Test(attrs, on_error)
{
	says("stage a = numbers() on_error=retry=0\nstage b = numbers() on_error=retry\n"
	     "stage c = numbers() on_error=stop\nstage d = numbers() on_error\n",
	     "1:36 'retry' wants a whole number from 1 to 1000000, not '0'\n"
	     "2:30 'on_error' wants fail, skip, retry=N or dead=QUEUE, not 'retry'\n"
	     "3:30 'on_error' wants fail, skip, retry=N or dead=QUEUE, not 'stop'\n"
	     "4:21 'on_error' wants a value: fail, skip, retry=N or dead=QUEUE\n");
	says("queue rejects\nnumbers -> rejects -> swallow\nstage a = swallow() "
	     "on_error=dead=rejetcs\n"
	     "stage b = swallow() on_error=dead=a\nnumbers -> a, b\n",
	     "3:35 there is no queue 'rejetcs' | did you mean 'rejects'?\n"
	     "4:35 'a' is a stage, not a queue\n  3:7 'a' is declared here\n");
	says("queue q\nstage a = numbers() on_error=dead=q\nq -> swallow\n",
	     "2:21 'numbers' takes no items, so that none can be put aside\n");
}

Test(attrs, by)
{
	says("stage a = swallow() by=item replicas=2\nstage b = swallow() by=1000000\nnumbers "
	     "-> a\n"
	     "numbers -> b\n",
	     "");
	says("stage a = swallow() by=0\nstage b = swallow() by=name\nstage c = swallow() "
	     "by=1000001\n"
	     "numbers -> a, b, c\n",
	     "1:24 'by' wants 'item' or the number of a field from 1 to 1000000, not '0'\n"
	     "2:24 'by' wants 'item' or the number of a field from 1 to 1000000, not 'name'\n"
	     "3:24 'by' wants 'item' or the number of a field from 1 to 1000000, not "
	     "'1000001'\n");
	says("stage a = numbers() by=1\n",
	     "1:21 'numbers' takes no items that 'by' could look at\n");
	says("stage a = swallow() by=1 replicas=3\nstage b = swallow()\nqueue q\nnumbers -> q "
	     "-> b, a\n",
	     "1:21 'a' has by=, so that no other stage can take from its queue\n"
	     "  2:7 'b' takes from it, too\n");
	says("stage a = swallow() by=1\nnumbers -> a, swallow\n",
	     "1:21 'a' has by=, so that no other stage can take from its queue\n"
	     "  2:15 'swallow' takes from it, too\n");
}

Test(attrs, joins_in_attributes)
{
	says("join done after a\nstage a = numbers() start=doen\nqueue q\nstage b = numbers() "
	     "daemon until=q\n"
	     "numbers -> q -> swallow\n",
	     "2:27 there is no join 'doen' | did you mean 'done'?\n"
	     "4:34 'q' is a queue, not a join\n  3:7 'q' is declared here\n");
	says("stage a = numbers() until=end\n",
	     "1:21 only a daemon has an 'until' | write 'daemon' before it\n");
}

Test(attrs, unknown_and_twice)
{
	says("stage a = numbers() orderd must=3 replicas=2 replicas=3\n",
	     "1:21 stages have no attribute 'orderd' | did you mean 'ordered'?\n"
	     "1:28 stages have no attribute 'must'\n"
	     "  - they have: replicas, ordered, by, daemon, until, start, critical, on_error, "
	     "thread\n"
	     "1:46 'replicas' stands here twice\n  1:35 the first time is here\n");
	says("stage a = typed(3) level=3\n",
	     "1:20 stages have no attribute 'level' | a parameter of 'typed': it stands in the "
	     "parentheses\n");
	says("queue q capcity=3 capacity=3 capacity=4 replicas=2 colour=red\nnumbers -> q -> "
	     "swallow\n",
	     "1:9 queues have no attribute 'capcity' | did you mean 'capacity'?\n"
	     "1:30 'capacity' stands here twice\n  1:19 the first time is here\n"
	     "1:41 queues have no attribute 'replicas' | an attribute of stages\n"
	     "1:52 queues have no attribute 'colour'\n  - they have: capacity, full, "
	     "feedback\n");
}

Test(attrs, single_stages_have_one_replica)
{
	says("stage a = same() replicas=2\nnumbers -> a\n",
	     "1:18 'same' has no meaning with more than one replica\n");
	says("stage a = same() replicas=1 ordered\nnumbers -> a\n", "");
}

Test(attrs, brackets_without_a_queue)
{
	says("queue q\nnumbers -> q -> swallow [capacity=3]\n",
	     "2:26 this statement makes no queue that these could belong to | a declared queue "
	     "has "
	     "its attributes where it is declared\n");
	says("numbers [capacity=3]\n", "1:10 this statement makes no queue that these could "
	                               "belong to | a declared queue has "
	                               "its attributes where it is declared\n");
}
