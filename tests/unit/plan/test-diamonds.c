/* test-diamonds.c: ways that part and meet again, which could fill up: warned of, where nobody has
 * thought of it. */
#include "graph.h"

Test(diamonds, warned_of)
{
	says("stage s = text()\nstage x = lower()\nstage z = pair()\ns -> z.left\ns -> x -> "
	     "z.right\n",
	     "3:7 warning: if 'z' waits for all its inputs, ways that part at 's' could fill "
	     "up and "
	     "stop | give a queue on the way a capacity\n"
	     "  4:3 one way: s -> z.left\n"
	     "  5:8 the other: s -> x -> z.right\n");
	/* Where they part last, through queues with names, and only once a stage. */
	says("stage s = text()\nstage t = same()\nstage x = lower()\nstage y = same()\nqueue "
	     "q\n"
	     "stage z = pair()\ns -> t\nt -> q -> x -> z.left\nt -> y -> z.right\n",
	     "6:7 warning: if 'z' waits for all its inputs, ways that part at 't' could fill "
	     "up and "
	     "stop | give a queue on the way a capacity\n"
	     "  8:13 one way: t -> q -> x -> z.left\n"
	     "  9:8 the other: t -> y -> z.right\n");
}

Test(diamonds, not_warned_of)
{
	/* Nothing on the way holds anything back. */
	says("stage s = text()\nstage z = pair()\ns -> z.left\ns -> z.right\n", "");
	/* The ways do not part. */
	says("stage z = pair()\ntext -> same -> z.left\ntext -> same -> z.right\n", "");
	/* They meet before an input, not at two. */
	says("stage s = text()\nstage x = lower()\nstage y = lower()\nstage c = same()\n"
	     "stage z = pair()\ns -> x -> c\ns -> y -> c\nc -> z.left\ntext -> z.right\n",
	     "");
	/* Somebody has thought of it. */
	says("stage s = text()\nstage x = lower()\nstage z = pair()\n"
	     "s -> z.left [capacity=100k]\ns -> x -> z.right\n",
	     "");
	says("stage s = text()\nstage x = lower()\nstage z = pair()\nqueue q full=drop-old\n"
	     "s -> z.left\ns -> q -> x -> z.right\n",
	     "");
	/* What comes back is no way of its own. */
	says("stage w = lower()\nstage x = lower()\nstage z = pair()\ntext -> w -> z.right\n"
	     "text -> x -> z.left\nw -> x [feedback]\n",
	     "");
}
