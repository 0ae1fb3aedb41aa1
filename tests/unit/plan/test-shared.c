/* test-shared.c: shared state in a graph: what it begins with, who uses it, what is refused. */
#include "graph.h"

#define COMMON "shared common = dict()\n"

Test(shared, values_are_typed_by_their_notation)
{
	struct graph g;
	const struct plan_value *v;

	graph_make(&g, "param n = 7\n"
	               "shared s = dict(a=10, b=-4k, c=$n, d=\"10\", e=hi, f=1.5, g=\"\")\n"
	               "shared none = dict\n"
	               "numbers\n");
	cr_assert_eq(g.result, PC_OK, "%s", g.said.text);
	cr_assert_eq(g.plan.n_shareds, 2);
	cr_expect_str_eq(g.plan.shareds[0].name, "s");
	cr_expect_str_eq(g.plan.shareds[0].file, "g.txt");
	cr_expect_eq(g.plan.shareds[0].line, 2);
	cr_expect_eq(g.plan.shareds[0].kind, SHARED_DICT);
	cr_assert_eq(g.plan.shareds[0].n_values, 7);
	v = g.plan.shareds[0].values;
	cr_expect(v[0].is_number && v[0].number == 10);
	cr_expect(v[1].is_number && v[1].number == -4000);
	cr_expect(v[2].is_number && v[2].number == 7);
	cr_expect(!v[3].is_number && strcmp(v[3].text, "10") == 0 && v[3].size == 2);
	cr_expect(!v[4].is_number && strcmp(v[4].text, "hi") == 0);
	cr_expect(!v[5].is_number && strcmp(v[5].text, "1.5") == 0);
	cr_expect(!v[6].is_number && v[6].size == 0);
	cr_expect_str_eq(v[6].key, "g");
	cr_expect_eq(g.plan.shareds[1].n_values, 0);
	graph_fini(&g);
}

Test(shared, bytes_have_a_size)
{
	struct graph g;

	graph_make(&g, "shared s = bytes(size=64)\nshared t = bytes(4Ki)\nnumbers\n");
	cr_assert_eq(g.result, PC_OK, "%s", g.said.text);
	cr_expect_eq(g.plan.shareds[0].kind, SHARED_BYTES);
	cr_expect_eq(g.plan.shareds[0].size_bytes, 64);
	cr_expect_eq(g.plan.shareds[1].size_bytes, 4096);
	graph_fini(&g);
}

Test(shared, mistakes_in_declarations)
{
	says("shared s = dct(a=1)\nnumbers\n",
	     "1:12 there is no kind of shared state 'dct' | did you mean 'dict'?\n");
	says("shared s = hash(a=1)\nnumbers\n",
	     "1:12 there is no kind of shared state 'hash'\n"
	     "  - the kinds: dict(KEY=VALUE, …), bytes(size=N)\n");
	says("shared s = dict(a=1, 5, a=2)\nnumbers\n",
	     "1:22 a value without a key | write KEY=VALUE\n"
	     "1:25 key 'a' is given twice\n"
	     "  1:17 the first time is here\n");
	says("shared s = dict(a=9223372036854775808)\nnumbers\n",
	     "1:19 '9223372036854775808' is beyond the range of 64 bits\n");
	says("shared s = dict() critical\nnumbers\n", "1:19 shared state has no attributes\n");
	says("shared s = bytes\nnumbers\n", "1:12 'bytes' needs its 'size' | bytes(size=64)\n");
	says("shared s = bytes(size=0)\nshared t = bytes(2Gi)\nshared u = bytes(size=x, "
	     "length=3)\nnumbers\n",
	     "1:23 'size' wants a size from 1 to 1Gi, not '0'\n"
	     "2:18 'size' wants a size from 1 to 1Gi, not '2Gi'\n"
	     "3:26 'bytes' has only a 'size'\n"
	     "3:23 'size' wants a size from 1 to 1Gi, not 'x'\n");
	says("param n = no\nshared t = bytes(size=$n)\nnumbers\n",
	     "2:23 'size' wants a size from 1 to 1Gi, not 'no'\n"
	     "  1:11 the value comes from here\n");
}

Test(shared, who_uses_it)
{
	struct graph g;

	graph_make(&g, COMMON "shared b = dict()\n"
	                      "stage x = share(common, b) critical\n"
	                      "stage y = share(reads=b)\n");
	cr_assert_eq(g.result, PC_OK, "%s", g.said.text);
	cr_expect_eq(g.plan.shareds[0].section, PLAN_NONE);
	cr_expect_eq(g.plan.shareds[0].updater, PLAN_NONE);
	cr_expect_eq(g.plan.shareds[1].section, 0);
	cr_expect_eq(g.plan.shareds[1].updater, 0);
	graph_fini(&g);
}

Test(shared, names_that_mean_no_shared_state)
{
	says(COMMON "share(reads=comon)\n",
	     "2:13 there is no shared state 'comon' | did you mean 'common'?\n");
	says("param s = other\n" COMMON "share(reads=$s)\n",
	     "3:13 there is no shared state 'other'\n  1:11 the value comes from here\n");
	says(COMMON "queue q\nshare(reads=q) -> q -> swallow\n",
	     "3:13 'q' is a queue, not shared state\n  2:7 'q' is declared here\n");
	/* The default of a parameter. */
	says("shared comon = dict()\nshare\n",
	     "2:1 there is no shared state 'common' | did you mean 'comon'?\n");
	/* It may be the one in the lost line. */
	says(COMMON "shared s dict()\nshare(reads=s)\n",
	     "2:10 expected '=' behind 'shared s', found 'dict'\n");
}

Test(shared, updates_come_from_one_critical_section)
{
	says(COMMON "stage x = share(updates=common)\n",
	     "2:7 'x' updates shared state 'common', and is not critical | write 'critical' "
	     "behind the parentheses\n");
	says(COMMON "share(updates=common)\n",
	     "2:1 'share' updates shared state 'common', and is not critical | declare it as a "
	     "stage, with 'critical' behind it\n");
	says(COMMON "stage x = share(updates=common) critical\n"
	            "stage y = share(updates=common) critical\n",
	     "3:7 'y' updates shared state 'common', which another critical section updates | "
	     "give both stages the same critical=NAME\n"
	     "  2:7 'x' updates it in the section 'x'\n");
	says(COMMON "stage x = share(updates=common) critical=s\n"
	            "stage y = share(updates=common) critical=s\n",
	     "");
}
