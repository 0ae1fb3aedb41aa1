/* test-order.c: joins that can pass, and those that never could. */
#include "graph.h"

Test(order, what_can_pass)
{
	/* The bakery of the lesson. */
	says("stage egon = numbers()\nstage alex = swallow() daemon until=eaten\nqueue basket "
	     "capacity=3\n"
	     "egon -> basket -> alex\njoin baked after egon\njoin eaten after baked, basket\n",
	     "");
	/* One after another. */
	says("stage a = numbers()\nstage b = numbers() start=ja\nstage c = numbers() start=jb\n"
	     "join ja after a\njoin jb after b\na, b, c -> swallow\n",
	     "");
	/* A consumer that is held back until its producers have ended. */
	says("stage a = numbers()\nstage b = swallow() start=ja\na -> b\njoin ja after a\n",
	     "");
	/* One of two readers is enough to empty a queue. */
	says("stage a = numbers()\nqueue q\nstage b = swallow() start=jq\na -> q -> b, "
	     "swallow\njoin jq after q\n",
	     "");
	/* A daemon that ends at the start. */
	says("stage d = numbers() daemon until=start\njoin j after d\nstage n = numbers() "
	     "start=j\n",
	     "");
	/* A daemon does not keep the queue that it writes from being closed. */
	says("stage a = numbers()\nstage d = numbers() daemon\nqueue q\na, d -> q -> swallow\n"
	     "join j after q\nstage n = numbers() start=j\n",
	     "");
	/* A stage that a circle feeds, by intent, ends when the way in does. */
	says("stage a = same()\nnumbers -> a -> swallow\na -> a [feedback]\njoin j after a\n"
	     "stage n = numbers() start=j\n",
	     "");
}

Test(order, joins_that_wait_for_each_other)
{
	says("numbers -> swallow\njoin x after y\njoin y after z\njoin z after x\n",
	     "2:6 these joins wait for each other: x -> y -> z -> x\n");
	says("numbers -> swallow\njoin x after x\n", "2:6 join 'x' waits for itself\n");
	/* What waits for the circle is not told: it will pass when the circle is gone. */
	says("numbers -> swallow\njoin w after x\njoin x after x\njoin v after w\nstage n = "
	     "numbers() start=v\n",
	     "3:6 join 'x' waits for itself\n");
	/* It is told from its first join on, wherever it is entered. */
	says("numbers -> swallow\njoin w after y\njoin x after y\njoin y after x\n",
	     "3:6 these joins wait for each other: x -> y -> x\n");
	says("numbers -> swallow\njoin x after x\njoin y after y\n",
	     "2:6 join 'x' waits for itself\n3:6 join 'y' waits for itself\n");
}

Test(order, a_stage_that_starts_after_its_own_end)
{
	says("stage a = numbers() start=late\njoin late after a\n",
	     "2:6 join 'late' could never pass\n"
	     "  2:17 'late' waits for 'a'\n"
	     "  1:21 'a' starts after 'late'\n");
}

Test(order, through_queues)
{
	says("stage a = numbers() start=late\nstage b = same()\nstage c = swallow()\na -> b -> "
	     "c\n"
	     "join late after c\n",
	     "5:6 join 'late' could never pass\n"
	     "  5:17 'late' waits for 'c'\n"
	     "  3:7 'c' ends after 'b', which feeds it\n"
	     "  2:7 'b' ends after 'a', which feeds it\n"
	     "  1:21 'a' starts after 'late'\n");
	says("stage a = numbers() start=late\nqueue q\na -> q -> swallow\njoin late after q\n",
	     "4:6 join 'late' could never pass\n"
	     "  4:17 'late' waits for 'q'\n"
	     "  2:7 'q' is filled by 'a', which must have ended\n"
	     "  1:21 'a' starts after 'late'\n");
	says("stage b = swallow() start=late\nqueue q\nnumbers -> q -> b\njoin late after q\n",
	     "4:6 join 'late' could never pass\n"
	     "  4:17 'late' waits for 'q'\n"
	     "  2:7 'q' is emptied by 'b', which must have started\n"
	     "  1:21 'b' starts after 'late'\n");
}

Test(order, daemons)
{
	says("stage d = numbers() daemon until=late\njoin late after d\n",
	     "2:6 join 'late' could never pass\n"
	     "  2:17 'late' waits for 'd'\n"
	     "  1:28 'd' goes on until 'late'\n");
	says("stage d = numbers() daemon until=x\njoin x after y\njoin y after d\n",
	     "2:6 join 'x' could never pass\n"
	     "  2:14 'x' waits for 'y'\n"
	     "  3:14 'y' waits for 'd'\n"
	     "  1:28 'd' goes on until 'x'\n");
}

Test(order, after_the_end)
{
	says("stage a = numbers() start=end\n",
	     "1:21 'a' could never start\n"
	     "  1:21 'a' starts after 'end'\n"
	     "  - 'end' waits for 'a', as for every stage that is no daemon\n");
	says("stage a = numbers() start=x\njoin x after end\n",
	     "2:6 join 'x' could never pass\n"
	     "  2:14 'x' waits for 'end'\n"
	     "  - 'end' waits for 'a', as for every stage that is no daemon\n"
	     "  1:21 'a' starts after 'x'\n");
	says("stage a = swallow() daemon start=end\nqueue q\nnumbers -> q -> a\n",
	     "1:28 'a' could never start\n"
	     "  1:28 'a' starts after 'end'\n"
	     "  - 'end' waits for 'q', as for every queue that such a stage writes\n"
	     "  2:7 'q' is emptied by 'a', which must have started\n");
	says("stage d = numbers() daemon start=end\nnumbers -> swallow\n", "");
}
