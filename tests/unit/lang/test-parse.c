/* The tree of right texts: every rule of the grammar, and every way to break a line. */
#include "lang/parsed.h"

#include <criterion/criterion.h>

static void tree_is(const char *text, const char *want)
{
	struct parsed p;

	parsed_init(&p, text, strlen(text), NULL, 0, NULL);
	cr_assert(p.ok);
	cr_assert_str_eq(p.shown.text, "", "%s", p.shown.text);
	cr_assert_str_eq(p.tree_text.text, want, "got:\n%swanted:\n%s", p.tree_text.text, want);
	parsed_fini(&p);
}

Test(parse, nothing)
{
	tree_is("", "");
	tree_is("\n\n  \n# only a comment\n;;\n", "");
	tree_is("# no newline at the end", "");
}

Test(parse, stages)
{
	tree_is("stage a = plug", "stage a: plug\n");
	tree_is("stage a = plug()", "stage a: plug()\n");
	tree_is("stage a-b_1=plug(1,x=two,\"three\")",
	        "stage a-b_1: plug(=1:1, x=3:two, =\"5:three\")\n");
	tree_is("stage a = plug(x = 1) daemon until=eaten replicas = 4 on_error=retry=3 "
	        "by=word",
	        "stage a: plug(x=1:1) daemon until=5:eaten replicas=1:4 on_error=7:retry=3 "
	        "by=4:word\n");
	tree_is("stage a = ./dir/mine.c(x=1)", "stage a: file ./dir/mine.c(x=1:1)\n");
	tree_is("stage a = /lib/x.so", "stage a: file /lib/x.so\n");
	tree_is("shared db = dict(size=4k) critical", "shared db: dict(size=2:4k) critical\n");
}

Test(parse, queues_and_joins)
{
	tree_is("queue q\nqueue basket capacity=3 full=drop-new",
	        "queue q:\nqueue basket: capacity=1:3 full=8:drop-new\n");
	tree_is("join baked after egon\njoin eaten after baked , basket,\n  more",
	        "join baked: egon\njoin eaten: baked basket more\n");
}

Test(parse, wires)
{
	tree_is("a -> b", "a -> b\n");
	tree_is("a->b", "a -> b\n");
	tree_is("a-b->c-d", "a-b -> c-d\n");
	tree_is("alone", "alone\n");
	tree_is("a, b -> q -> c, d [capacity=64, full=block]",
	        "a, b -> q -> c, d capacity=2:64 full=5:block\n");
	tree_is("a.errors -> log; x -> zip.left", "a port errors -> log\nx -> zip port left\n");
	tree_is("lines(path=\"x.log\") -> ./f.so -> print()",
	        "lines(path=\"5:x.log\") -> file ./f.so -> print()\n");
	tree_is("a -> b []", "a -> b\n");
}

Test(parse, where_lines_go_on)
{
	tree_is("stage a = plug(\n  x=1,\n\n  # comment\n  y=\n2\n)\nb",
	        "stage a: plug(x=1:1, y=1:2)\nb\n");
	tree_is("a ->\n\n b,\n c\n  -> d\n# comment\n\n-> e\nf", "a -> b, c -> d -> e\nf\n");
	tree_is("a -> b [\ncapacity\n=\n1\n,\nfull=error\n]",
	        "a -> b capacity=1:1 full=5:error\n");
	tree_is("a\r\n  -> b\r\nc\r\n", "a -> b\nc\n");
}

Test(parse, words_of_the_language_are_no_reserved_words)
{
	tree_is("stage stage = queue\nqueue join\njoin after after join, param",
	        "stage stage: queue\nqueue join:\njoin after: join param\n");
	tree_is("stage -> queue\njoin, param -> include(x)\nshared [capacity=1]",
	        "stage -> queue\njoin, param -> include(=1:x)\nshared capacity=1:1\n");
}

Test(parse, values)
{
	tree_is("a(-, ./x, *.log, 1.5e-3, host:80, -5, 64Ki, ~/x?, a@b, 50%, +1)",
	        "a(=1:-, =3:./x, =5:*.log, =6:1.5e-3, =7:host:80, =2:-5, =4:64Ki, =4:~/x?, "
	        "=3:a@b, "
	        "=3:50%, =2:+1)\n");
	tree_is("a(\"\", \"\\n\\t\\r\\\"\\\\\\$\\x41\\x7f\", \"# ; -> = ()\", \"5$\", \"a$\")",
	        "a(=\"0:\", =\"8:\n\t\r\"\\$A\x7f\", =\"11:# ; -> = ()\", =\"2:5$\", "
	        "=\"2:a$\")\n");
	tree_is("a(\xc3\xa4, \"\xe6\xbc\xa2\")", "a(=2:\xc3\xa4, =\"3:\xe6\xbc\xa2\")\n");
}

/* What was understood of a wrong statement stays, so that its name is known. */
Test(parse, wrong_statements_are_kept_and_marked)
{
	static const char text[] = "stage a = \nstage b = x(y=\nshared c = \nqueue d e=\n"
				   "join f after g h\nstag j = k()\nl = m()\nh -> i -> \n"
				   "stage n = o x=\"\\q\"\nstage = p()\nstage fine = q()";
	struct parsed p;

	parsed_init(&p, text, sizeof(text) - 1, NULL, 0, NULL);
	cr_assert_str_eq(p.tree_text.text,
	                 "stage a:  broken\nstage b: x() broken\nstage j: k() broken\n"
	                 "stage l: m() broken\nstage n: o x=\"0:\" broken\nstage fine: q()\n"
	                 "shared c:  broken\nqueue d: broken\njoin f: g broken\n"
	                 "h -> i broken\n",
	                 "%s", p.tree_text.text);
	cr_assert_eq(p.diags.n_errors, 10);
	parsed_fini(&p);
}

/* One bit of a table for each character of a word: all must be right. */
Test(parse, characters_of_words)
{
	for (int c = 1; c < 0x80; c++) {
		bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		            (c >= '0' && c <= '9') || strchr("_+-./:%@*?~^", c);
		char text[] = "a(x?y)", want[] = "a(=3:x?y)\n";
		struct parsed p;

		text[3] = (char)c;
		want[6] = (char)c;
		parsed_init(&p, text, strlen(text), NULL, 0, NULL);
		cr_assert_eq(strcmp(p.tree_text.text, want) == 0, word, "character %d", c);
		parsed_fini(&p);
	}
}

Test(parse, marks_that_editors_leave)
{
	tree_is("\xef\xbb\xbfstage a = b\r\n", "stage a: b\n");
	tree_is("#!/usr/bin/env pcrun\na", "a\n");
	tree_is("\ta\t->\tb\t", "a -> b\n");
	tree_is("# latin-1 in a comment: \xe4\na", "a\n");
}

Test(parse, ten_thousand_stages)
{
	struct buf text = {0};
	struct parsed p;

	for (int i = 0; i < 10000; i++)
		buf_addf(&text, "stage s%d = plug(x=%d)\ns%d -> s%d\n", i, i, i, i + 1);
	parsed_init(&p, text.text, text.size, NULL, 0, NULL);
	cr_assert_eq(p.diags.n_errors, 0);
	cr_assert(p.tree.n_stages == 10000 && p.tree.n_wires == 10000);
	cr_assert_str_eq(p.tree.stages[9999].name.text, "s9999");
	cr_assert_str_eq(p.tree.wires[9999].groups[1].ends[0].call.plugin.text, "s10000");
	parsed_fini(&p);
	buf_fini(&text);
}

Test(parse, spans)
{
	static const char text[] = "stage abc = plug(x=\"1\") daemon # c\na.out -> b";
	struct parsed p;
	const struct lang_stage *s;
	const struct lang_wire *w;

	parsed_init(&p, text, sizeof(text) - 1, NULL, 0, NULL);
	s = &p.tree.stages[0];
	w = &p.tree.wires[0];
#define SPAN_IS(s, part)                                                                       \
	cr_assert((s).source == 1 && (s).end - (s).begin == strlen(part) &&                    \
	                  memcmp(text + (s).begin, part, strlen(part)) == 0,                   \
	          "%s: %u to %u", part, (s).begin, (s).end)
	SPAN_IS(s->span, "stage abc = plug(x=\"1\") daemon");
	SPAN_IS(s->name.span, "abc");
	SPAN_IS(s->call.span, "plug(x=\"1\")");
	SPAN_IS(s->call.plugin.span, "plug");
	SPAN_IS(s->call.args[0].name.span, "x");
	SPAN_IS(s->call.args[0].value.span, "\"1\"");
	SPAN_IS(s->attrs[0].name.span, "daemon");
	SPAN_IS(w->span, "a.out -> b");
	SPAN_IS(w->arrows[0], "->");
	SPAN_IS(w->groups[0].ends[0].span, "a.out");
	SPAN_IS(w->groups[0].ends[0].call.plugin.span, "a");
	SPAN_IS(w->groups[0].ends[0].port.span, "out");
	parsed_fini(&p);
}
