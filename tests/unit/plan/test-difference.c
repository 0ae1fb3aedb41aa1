/* test-difference.c: what has to be done to make one graph of another. */
#include "graph.h"

#include "plan/difference.h"

struct pair {
	struct graph a, b;
	struct plan_difference d;
	int result;
};

static void compare(struct pair *p, const char *a, const char *b)
{
	graph_make(&p->a, a);
	graph_make(&p->b, b);
	cr_assert_eq(p->a.result, PC_OK, "%s", p->a.said.text);
	cr_assert_eq(p->b.result, PC_OK, "%s", p->b.said.text);
	p->result = plan_difference(&p->d, &p->a.plan, &p->b.plan, &p->b.diags);
}

static void pair_fini(struct pair *p)
{
	plan_difference_fini(&p->d);
	graph_fini(&p->a);
	graph_fini(&p->b);
}

/* The lines, all of them. */
static void becomes(const char *a, const char *b, const char *lines)
{
	struct pair p;

	compare(&p, a, b);
	cr_expect_eq(p.result, PC_OK);
	cr_expect_str_eq(p.d.text.text ? p.d.text.text : "", lines, "\n%s\nto\n%s\nis:\n%s", a,
	                 b, p.d.text.text ? p.d.text.text : "");
	pair_fini(&p);
}

static void refused(const char *a, const char *b, const char *message)
{
	struct pair p;

	compare(&p, a, b);
	cr_expect_eq(p.result, PC_WRONG);
	cr_assert(p.b.diags.first);
	cr_expect(strstr(p.b.diags.first->message, message), "%s", p.b.diags.first->message);
	pair_fini(&p);
}

Test(difference, nothing)
{
	becomes("stage a = numbers()\nstage b = swallow()\na -> b\n",
	        "# other\n\nstage b = swallow()\nstage a = numbers()\na -> b\n", "");
}

Test(difference, attributes)
{
	becomes("stage a = numbers()\nstage b = swallow()\na -> b\n",
	        "stage a = numbers()\nstage b = swallow() replicas=3 on_error=skip\n"
	        "a -> b [capacity=7, full=drop-new]\n",
	        "stage 'b': 3 replicas, and had 1\nstage 'b': on_error has changed\n"
	        "queue 'a -> b': capacity 7, and had 1024\n"
	        "queue 'a -> b': full=drop-new, and was block\n");
	becomes("stage a = numbers()\nstage b = swallow()\na -> b\n",
	        "stage a = numbers()\nstage b = swallow() daemon\na -> b\n",
	        "stage 'b': it is a daemon now\n");
}

Test(difference, replaced)
{
	becomes("stage a = numbers()\nstage b = swallow()\na -> b\n",
	        "stage a = numbers()\nstage b = swallow() thread=own\na -> b\n",
	        "stage 'b' is replaced, since it runs on another kind of thread: the old one "
	        "drains and ends, then the new one begins\n");
	becomes("stage a = typed(must=1)\nstage b = swallow()\na -> b\n",
	        "stage a = typed(must=2)\nstage b = swallow()\na -> b\n",
	        "stage 'a' is replaced, since 'must' has another value, which only a fresh "
	        "start "
	        "takes in: the old one drains and ends, then the new one begins\n");
	becomes("stage a = numbers()\nstage b = swallow()\na -> b\n",
	        "stage a = numbers() replicas=2\nstage b = swallow()\na -> b\n",
	        "stage 'a' is replaced, since a source divides its work by the number of its "
	        "replicas: the old one drains and ends, then the new one begins\n");
}

Test(difference, wires)
{
	becomes("stage a = numbers()\nstage b = swallow()\na -> b\n",
	        "stage a = numbers()\nstage c = numbers()\nstage b = swallow()\na, c -> b\n",
	        "stage 'c' is added\nqueue 'a, c -> b': 'c' writes it now\n");
	/* b would be overtaken by a in the queue that both write: it gets another */
	becomes("stage a = numbers()\nstage b = same()\nstage c = swallow()\na -> b -> c\n",
	        "stage a = numbers()\nstage c = swallow()\na -> c\n",
	        "stage 'b' is removed: it drains and ends\n"
	        "queue 'a -> b' is removed: it is emptied first\n"
	        "queue 'b -> c' is removed: it is emptied first\nqueue 'a -> c' is added\n");
	becomes("stage a = numbers()\nstage c = swallow()\na -> c\n",
	        "stage a = numbers()\nstage b = same()\nstage c = swallow()\na -> b -> c\n",
	        "stage 'b' is added\nqueue 'b -> c': 'b' writes it now\n"
	        "queue 'b -> c': 'a' no longer writes it\nqueue 'a -> b' is added\n");
}

/* A writer of a queue goes, and in a second step another one comes. */
static int in_two_steps(const char *a, const char *b, const char *c, bool has_ended)
{
	struct plan_difference d;
	struct graph last;
	struct pair p;
	int rc;

	compare(&p, a, b);
	cr_assert_eq(p.result, PC_OK);
	for (uint32_t i = 0; i < p.d.merged.n_stages; i++)
		p.d.merged.stages[i].ended = p.d.merged.stages[i].gone && has_ended;
	graph_make(&last, c);
	rc = plan_difference(&d, &p.d.merged, &last.plan, &last.diags);
	if (rc == PC_WRONG) {
		cr_expect(strstr(last.diags.first->message, "given another writer"), "%s",
		          last.diags.first->message);
		cr_expect_null(last.diags.first->next);
	}
	plan_difference_fini(&d);
	graph_fini(&last);
	pair_fini(&p);
	return rc;
}

#define ROUND(sources)                                                                         \
	"stage w = same()\nqueue q feedback\nstage e = swallow()\nq -> w -> e\nw -> "          \
	"q\n" sources
#define A "stage a = numbers()\na -> q\n"
#define B "stage b = numbers()\nb -> q\n"

Test(difference, writers_of_a_circle)
{
	cr_expect_eq(in_two_steps(ROUND(A B), ROUND(B), ROUND(A B), true), PC_OK);
	cr_expect_eq(in_two_steps(ROUND(A B), ROUND(B), ROUND(A B), false), PC_WRONG);
	refused(ROUND(A), ROUND(B), "given another writer");
}

/* Indices keep their meaning. */
Test(difference, merged)
{
	struct pair p;

	compare(&p, "stage a = numbers()\nstage b = swallow()\na -> b\n",
	        "stage n = numbers()\nstage b = swallow()\nn -> b\n");
	cr_assert_eq(p.result, PC_OK);
	cr_assert_eq(p.d.merged.n_stages, 3);
	cr_expect_str_eq(p.d.merged.stages[0].name, "a");
	cr_expect(p.d.merged.stages[0].gone);
	cr_expect_str_eq(p.d.merged.stages[1].name, "b");
	cr_expect(!p.d.merged.stages[1].gone);
	cr_expect_str_eq(p.d.merged.stages[2].name, "n");
	cr_expect_eq(p.d.stages[0], CHANGE_GONE);
	cr_expect_eq(p.d.stages[1], CHANGE_INPUT);
	cr_expect_eq(p.d.stages[2], CHANGE_ADDED);
	cr_assert_eq(p.d.merged.n_queues, 2);
	cr_expect(p.d.merged.queues[0].gone && !p.d.merged.queues[1].gone);
	cr_expect_eq(p.d.merged.stages[1].inputs[0].queue, 1);
	cr_expect_eq(p.d.merged.queues[1].writers[0], 2);
	pair_fini(&p);
}

Test(difference, joins)
{
	becomes("stage a = numbers()\nstage b = swallow()\na -> b\njoin j after a\n",
	        "stage a = numbers()\nstage b = swallow()\na -> b\njoin j after b\njoin k "
	        "after a\n",
	        "join 'j' waits for something else\njoin 'k' is added\n");
}

Test(difference, what_can_not_be)
{
	refused("stage a = numbers()\nstage b = swallow()\na -> b\n",
	        "stage a = numbers()\nstage b = swallow()\na -> b\nshared s = dict()\n",
	        "shared state 's' can not be added");
}
