/* Params, -D, ${name} in strings, and includes. */
#include "lang/parsed.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct parsed p;
static const struct lang_define *defines;
static size_t n_defines;
static const struct parsed_file *files;

static void finish(void)
{
	parsed_fini(&p);
}

TestSuite(params, .fini = finish);

static void result_is(const char *text, const char *tree, const char *shown)
{
	parsed_fini(&p);
	parsed_init(&p, text, strlen(text), defines, n_defines, files);
	cr_assert(p.ok);
	cr_assert_str_eq(p.shown.text, shown, "got:\n%swanted:\n%s", p.shown.text, shown);
	if (tree)
		cr_assert_str_eq(p.tree_text.text, tree, "got:\n%swanted:\n%s",
		                 p.tree_text.text, tree);
}

Test(params, are_replaced)
{
	result_is("param n = 3\nparam s = \"x y\"\nparam m = $n\n"
	          "a($n, ${n}, \"${n}-${s}.$\", k=$s) -> b [capacity=$m]",
	          "param n used=1:3\nparam s used=\"3:x y\"\nparam m used=1:3\n"
	          "a(=1:3, =1:3, =\"7:3-x y.$\", k=\"3:x y\") -> b capacity=1:3\n",
	          "");
	result_is("param n = 3\nstage a = b on_error=retry=$n",
	          "param n used=1:3\nstage a: b on_error=7:retry=3\n", "");
	result_is("param n = 3", "param n=1:3\n", "");
	result_is("param a-b = 3\na($a-b)", "param a-b used=1:3\na(=1:3)\n", "");
}

Test(params, know_where_they_come_from)
{
	static const char text[] = "param n = 3\nparam m = $n\na($n, $m, 4, \"${n}\")";
	const struct lang_arg *args;

	result_is(text, NULL, "");
	args = p.tree.wires[0].groups[0].ends[0].call.args;
	cr_assert_str_eq(args[0].value.param, "n");
	cr_assert_eq(args[0].value.origin.begin, strstr(text, "3") - text);
	cr_assert_eq(args[0].value.span.begin, strstr(text, "$n, ") - text);
	cr_assert_str_eq(args[1].value.param, "m");
	cr_assert_eq(args[1].value.origin.begin, strstr(text, "$n\na") - text);
	cr_assert_null(args[2].value.param);
	cr_assert_eq(args[2].value.origin.source, 0);
	cr_assert_null(args[3].value.param);
}

Test(params, defines_win)
{
	static const struct lang_define d[] = {{"n", "5 $x \"${y}\\n"}, {"n", "7"}, {"s", "w"}};

	defines = d;
	n_defines = 1;
	result_is("param n = 3\nparam m = \"${n}!\"\na($n)",
	          "param n used=12:5 $x \"${y}\\n\nparam m=\"13:5 $x \"${y}\\n!\"\n"
	          "a(=12:5 $x \"${y}\\n)\n",
	          "");
	cr_assert_eq(p.tree.wires[0].groups[0].ends[0].call.args[0].value.origin.source, 0);
	cr_assert_str_eq(p.tree.wires[0].groups[0].ends[0].call.args[0].value.param, "n");
	n_defines = 3;
	result_is("param n = 3\nparam s = \"was quoted\"\na($n, $s)",
	          "param n used=1:7\nparam s used=1:w\na(=1:7, =1:w)\n", "");
}

Test(params, defines_that_nobody_declares)
{
	static const struct lang_define d[] = {{"loavs", "5"}, {"zzz", "1"}, {"", ""}};

	defines = d;
	n_defines = 3;
	result_is("param loaves = 3", "param loaves=1:3\n",
	          "error: -D loavs: there is no param of this name\n  did you mean 'loaves'?\n"
	          "error: -D zzz: there is no param of this name\n"
	          "error: -D : there is no param of this name\n");
}

Test(params, a_define_does_not_replace_the_line)
{
	static const struct lang_define d[] = {{"n", "5"}};

	defines = d;
	n_defines = 1;
	result_is("a($n)", NULL,
	          "t:1:3: error: there is no param 'n'\n    1 | a($n)\n"
	          "      |   ^~ -D needs a line 'param n = ...' in the file\n");
}

Test(params, unknown_late_and_twice)
{
	result_is("param loaves = 3\na($loavs)", "param loaves=1:3\na(=0:) broken\n",
	          "t:2:3: error: there is no param 'loavs'\n    2 | a($loavs)\n"
	          "      |   ^~~~~~ did you mean 'loaves'?\n");
	result_is(
		"a(\"${n}\")\nparam n = 1", NULL,
		"t:1:4: error: param 'n' is used before its declaration\n    1 | a(\"${n}\")\n"
		"      |    ^~~~\n"
		"t:2:7: note: it is declared here, which is too late\n    2 | param n = 1\n"
		"      |       ^\n");
	result_is("param n = $n", NULL,
	          "t:1:11: error: param 'n' is used before its declaration\n    1 | param n = "
	          "$n\n"
	          "      |           ^~\n"
	          "t:1:7: note: it is declared here, which is too late\n    1 | param n = $n\n"
	          "      |       ^\n");
	result_is("param n = 1\nparam n = 2\na($n)", "param n used=1:1\na(=1:1)\n",
	          "t:2:7: error: param 'n' is declared twice\n    2 | param n = 2\n"
	          "      |       ^\n"
	          "t:1:7: note: it is declared here already\n    1 | param n = 1\n"
	          "      |       ^\n");
}

Test(params, a_dollar_that_looks_like_a_param)
{
	result_is("param n = 1\na(\"$n\", \"$m\", \"\\$n\")",
	          "param n=1:1\na(=\"2:$n\", =\"2:$m\", =\"2:$n\")\n",
	          "t:2:4: warning: '$n' in a string is not replaced\n"
	          "    2 | a(\"$n\", \"$m\", \"\\$n\")\n"
	          "      |    ^~ write '${n}' for the param's value, '\\$n' for the text\n");
}

/* Ten times the text in each line: 100 lines of this would fill any memory. */
Test(params, do_not_explode)
{
	struct buf text = {0};

	buf_adds(&text, "param p0 = \"0123456789\"\n");
	for (int i = 1; i < 100; i++) {
		buf_addf(&text, "param p%d = \"", i);
		for (int j = 0; j < 10; j++)
			buf_addf(&text, "${p%d}", i - 1);
		buf_adds(&text, "\"\n");
	}
	parsed_init(&p, text.text, text.size, NULL, 0, NULL);
	cr_assert(p.ok);
	cr_assert_geq(p.diags.n_errors, 1);
	cr_assert_not_null(
		strstr(p.shown.text, "this text becomes too long with its params in it"));
	buf_fini(&text);
}

Test(params, many_are_found)
{
	struct buf text = {0};

	for (int i = 0; i < 10000; i++)
		buf_addf(&text, "param p%d = %d\nparam q%d = $p%d\n", i, i, i, i);
	parsed_init(&p, text.text, text.size, NULL, 0, NULL);
	cr_assert_eq(p.diags.n_errors, 0);
	for (size_t i = 0; i < 10000; i++)
		cr_assert_str_eq(p.tree.params[2 * i].value.text,
		                 p.tree.params[2 * i + 1].value.text);
	buf_fini(&text);
}

Test(params, that_begin_alike_are_told_apart)
{
	struct buf text = {0}, name = {0};
	char want[16];

	for (int i = 0; i < 300; i++)
		buf_addc(&name, (char)('a' + i * i % 23));
	for (size_t i = 300; i > 0; i--)
		buf_addf(&text, "param %.*s = %zu\n", (int)i, name.text, i);
	for (size_t i = 1; i <= 300; i++)
		buf_addf(&text, "x($%.*s)\n", (int)i, name.text);
	parsed_init(&p, text.text, text.size, NULL, 0, NULL);
	cr_assert_eq(p.diags.n_errors, 0);
	for (size_t i = 0; i < 300; i++) {
		snprintf(want, sizeof(want), "%zu", i + 1);
		cr_assert_str_eq(p.tree.wires[i].groups[0].ends[0].call.args[0].value.text,
		                 want);
	}
	buf_fini(&text);
	buf_fini(&name);
}

Test(include, in_place_and_shares_params)
{
	static const struct parsed_file f[] = {
		{"one.txt", "param b = $a\nstage s1 = x\ninclude \"two\""},
		{"two", "stage s2 = y($b)"},
		{NULL, NULL}};

	files = f;
	result_is("param a = 1\nparam name = one\nstage s0 = w\ninclude \"${name}.txt\"\n"
	          "stage s3 = z($b)",
	          "param a used=1:1\nparam name used=3:one\nparam b used=1:1\n"
	          "stage s0: w\nstage s1: x\nstage s2: y(=1:1)\nstage s3: z(=1:1)\n",
	          "");
	cr_assert(!p.tree.incomplete);
	finish();
}

Test(include, mistakes_name_both_files)
{
	static const struct parsed_file f[] = {{"one", "param a = 1\nqueue ="}, {NULL, NULL}};

	files = f;
	result_is("param a = 1\ninclude \"one\"\nb(", NULL,
	          "t:3:2: error: this '(' has no ')'\n    3 | b(\n      |  ^\n"
	          "one:1:7: error: param 'a' is declared twice\n    1 | param a = 1\n"
	          "      |       ^\n"
	          "t:1:7: note: it is declared here already\n    1 | param a = 1\n"
	          "      |       ^\n"
	          "t:2:9: note: included from here\n    2 | include \"one\"\n"
	          "      |         ^~~~~\n"
	          "one:2:7: error: expected a name after 'queue', found '='\n    2 | queue =\n"
	          "      |       ^\n");
	finish();
}

/* What the missing file would have declared is no further mistake. */
Test(include, a_missing_file_is_one_mistake)
{
	static const struct lang_define d[] = {{"b", "1"}};

	defines = d;
	n_defines = 1;
	files = NULL;
	result_is("include \"nope\"\na($x)", NULL,
	          "t:1:9: error: can't include 'nope': No such file or directory\n"
	          "    1 | include \"nope\"\n      |         ^~~~~~\n");
	cr_assert(p.tree.incomplete);
	finish();
}

Test(include, circles_and_depth)
{
	static struct parsed_file f[201];
	static const struct parsed_file circle[] = {
		{"one", "include \"two\""}, {"two", "\ninclude \"one\""}, {NULL, NULL}};
	static const struct parsed_file self[] = {{"t", ""}, {NULL, NULL}};
	static char texts[200][32], names[200][16];

	files = circle;
	result_is("include \"one\"", NULL,
	          "two:2:9: error: 'one' includes itself\n    2 | include \"one\"\n"
	          "      |         ^~~~~\n"
	          "one:1:9: note: included from here\n    1 | include \"two\"\n"
	          "      |         ^~~~~\n"
	          "t:1:9: note: included from here\n    1 | include \"one\"\n"
	          "      |         ^~~~~\n");
	files = self;
	result_is("include \"t\"", NULL,
	          "t:1:9: error: 't' includes itself\n    1 | include \"t\"\n      |         "
	          "^~~\n");
	for (int i = 0; i < 200; i++) {
		snprintf(names[i], sizeof(names[i]), "%d", i);
		snprintf(texts[i], sizeof(texts[i]), "include \"%d\"", i + 1);
		f[i] = (struct parsed_file){names[i], texts[i]};
	}
	files = f;
	parsed_fini(&p);
	parsed_init(&p, "include \"0\"", 11, NULL, 0, files);
	cr_assert_eq(p.diags.n_errors, 1);
	cr_assert_not_null(
		strstr(p.shown.text, "error: includes are nested more than 64 deep"));
	finish();
}

/* Two includes of each level: without a limit this reads 2^60 files. */
Test(include, the_number_is_limited)
{
	static struct parsed_file f[61];
	static char texts[60][64], names[60][16];

	for (int i = 0; i < 60; i++) {
		snprintf(names[i], sizeof(names[i]), "%d", i);
		snprintf(texts[i], sizeof(texts[i]), "include \"%d\"\ninclude \"%d\"", i + 1,
		         i + 1);
		f[i] = (struct parsed_file){names[i], texts[i]};
	}
	f[59].text = "";
	parsed_init(&p, "include \"0\"", 11, NULL, 0, f);
	cr_assert(p.ok);
	cr_assert_not_null(strstr(p.shown.text, "error: there are more than 1000 includes"));
	finish();
}
