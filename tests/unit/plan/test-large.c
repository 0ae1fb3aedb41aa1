/* test-large.c: graphs that programs write: right whatever their size, and nothing quadratic.
 *
 * No time is asserted; but a search through all names for each name, or a stack frame for each
 * stage, would be noticed in the time-out of the test or at the end of the stack. */
#include "graph.h"

enum { N = 20000 };

static void large(const char *text, uint32_t n_stages, uint32_t n_queues)
{
	struct graph g;

	graph_make(&g, text);
	cr_assert_eq(g.result, PC_OK, "%.2000s", g.said.text);
	cr_expect_eq(g.plan.n_stages, n_stages);
	cr_expect_eq(g.plan.n_queues, n_queues);
	graph_fini(&g);
}

Test(large, a_chain_of_declared_stages, .timeout = 60)
{
	struct buf b = {0};

	/* From the back, so that types and ends must travel against the order of the text. */
	for (int i = N - 1; i > 0; i--)
		buf_addf(&b, "stage s%d = same()\n", i);
	buf_adds(&b, "stage s0 = numbers()\n");
	for (int i = N - 1; i > 0; i--)
		buf_addf(&b, "s%d -> s%d\n", i - 1, i);
	large(b.text, N, N - 1);
	buf_fini(&b);
}

Test(large, a_chain_in_one_line, .timeout = 60)
{
	struct buf b = {0};

	buf_adds(&b, "numbers");
	for (int i = 1; i < N; i++)
		buf_adds(&b, " -> same");
	large(b.text, N, N - 1);
	buf_fini(&b);
}

Test(large, many_into_one_and_one_into_many, .timeout = 60)
{
	struct buf b = {0};

	buf_adds(&b, "queue q\nstage n = numbers()\nstage z = swallow()\nq -> z\n");
	for (int i = 0; i < N; i++)
		buf_addf(&b, "stage s%d = same() critical=c%d\nn -> s%d -> q\n", i, i, i);
	buf_adds(&b, "join all after s0");
	for (int i = 1; i < N; i++)
		buf_addf(&b, ", s%d", i);
	buf_adds(&b, "\njoin after-all after all, q\n");
	large(b.text, N + 2, N + 1);
	buf_fini(&b);
}

Test(large, one_arrow_between_many, .timeout = 60)
{
	struct buf b = {0};

	for (int i = 0; i < N; i++)
		buf_addf(&b, "%snumbers", i ? ", " : "");
	for (int i = 0; i < N; i++)
		buf_addf(&b, "%sswallow", i ? ", " : " -> ");
	large(b.text, 2 * N, 1);
	buf_fini(&b);
}

Test(large, stages_one_after_another, .timeout = 60)
{
	struct buf b = {0};

	buf_adds(&b, "stage s0 = numbers()\njoin j0 after s0\n");
	for (int i = 1; i < N; i++)
		buf_addf(&b, "stage s%d = numbers() start=j%d\njoin j%d after s%d\n", i, i - 1,
		         i, i);
	large(b.text, N, 0);
	buf_fini(&b);
}

Test(large, a_circle_of_all, .timeout = 60)
{
	struct buf b = {0};
	struct graph g;

	for (int i = 0; i < N; i++)
		buf_addf(&b, "stage s%d = same() start=j%d\njoin j%d after s%d\n", i, i, i,
		         (i + 1) % N);
	for (int i = 0; i < N; i++)
		buf_addf(&b, "s%d -> s%d\n", i, (i + 1) % N);
	buf_adds(&b, "numbers -> s0\n");
	graph_make(&g, b.text);
	cr_expect_eq(g.result, PC_WRONG);
	/* one circle of arrows, one of joins */
	cr_expect_eq(g.diags.n_errors, 2, "%.2000s", g.said.text);
	cr_expect_lt(g.said.size, 4000, "nobody reads %zu bytes about it", g.said.size);
	graph_fini(&g);
	buf_fini(&b);
}

Test(large, many_mistakes, .timeout = 60)
{
	struct buf b = {0};
	struct graph g;

	for (int i = 0; i < N; i++)
		buf_addf(&b, "stage s%d = same(x=%d)\nunknown%d -> s%d\n", i, i, i, i);
	graph_make(&g, b.text);
	cr_expect_eq(g.result, PC_WRONG);
	cr_expect_eq(g.diags.n_errors, 2 * N);
	graph_fini(&g);
	buf_fini(&b);
}
