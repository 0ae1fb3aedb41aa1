/* The canonical form: what it looks like, that it changes nothing twice, and that it means the
 * same as before; the last two for every right graph file that the project has. */
#include "lang/paths.h"

#include "lang/parsed.h"

#include <criterion/criterion.h>
#include <glob.h>
#include <stdio.h>

static void format_is(const char *text, const char *want)
{
	size_t size;
	char *got = parsed_format(text, strlen(text), &size);

	cr_assert_not_null(got, "'%s' is wrong", text);
	cr_assert_str_eq(got, want, "got:\n%swanted:\n%s", got, want);
	free(got);
}

/* Formats twice, and parses before and after. */
static void format_is_stable(const char *name, const char *text, size_t text_size)
{
	struct parsed before, after;
	size_t size, again_size;
	char *once = parsed_format(text, text_size, &size), *twice;

	cr_assert_not_null(once, "%s is wrong", name);
	twice = parsed_format(once, size, &again_size);
	cr_assert_not_null(twice, "%s became wrong:\n%s", name, once);
	cr_assert(size == again_size && memcmp(once, twice, size) == 0,
	          "%s: once:\n%stwice:\n%s", name, once, twice);
	parsed_init(&before, text, text_size, NULL, 0, NULL);
	parsed_init(&after, once, size, NULL, 0, NULL);
	cr_assert_str_eq(before.tree_text.text, after.tree_text.text, "%s", name);
	parsed_fini(&before);
	parsed_fini(&after);
	free(once);
	free(twice);
}

Test(format, blanks)
{
	format_is("", "");
	format_is("\n\n", "");
	format_is("stage  a=plug ( x = 1 ,y=2 )replicas = 4 on_error = retry = 3",
	          "stage a = plug(x=1, y=2) replicas=4 on_error=retry=3\n");
	format_is("a,b->q->c ,d[capacity = 64,full=block]",
	          "a, b -> q -> c, d [capacity=64, full=block]\n");
	format_is("\t a(  )->b.x [ ]  ", "a() -> b.x []\n");
	format_is("join j  after a ,b", "join j after a, b\n");
	format_is("param  p=$q", "param p = $q\n");
	format_is("param p=\"a  ${q}\\n\"", "param p = \"a  ${q}\\n\"\n");
	format_is("include   \"x y\"", "include \"x y\"\n");
	format_is("a($x,${y})", "a($x, ${y})\n");
}

Test(format, line_ends_and_marks_of_editors)
{
	format_is("\xef\xbb\xbf"
	          "a\r\nb # c\r\n",
	          "a\nb  # c\n");
	format_is("a;b;;c # d\n;\n", "a\nb\nc  # d\n");
	format_is("a; # d", "a  # d\n");
	format_is("; # d", "# d\n");
}

Test(format, empty_lines)
{
	format_is("\n\n# a\n\n\n\nb\n\n", "# a\n\nb\n");
	format_is("a(\n\n x,\n\n\n y)", "a(\n    x,\n    y)\n");
}

Test(format, blocks_of_declarations)
{
	format_is("param a=1\nparam longer=2\nstage b=x\nstage cc=y",
	          "param a      = 1\nparam longer = 2\nstage b  = x\nstage cc = y\n");
	format_is("stage a=x\n\nstage longer=y", "stage a = x\n\nstage longer = y\n");
	format_is("stage a=x\n# c\nstage longer=y", "stage a = x\n# c\nstage longer = y\n");
	format_is("queue q\nqueue longer\nqueue abc capacity=1\nqueue de capacity=2",
	          "queue q\nqueue longer\nqueue abc capacity=1\nqueue de  capacity=2\n");
	format_is("join a after b\njoin longer after c",
	          "join a      after b\njoin longer after c\n");
	format_is("stage a=x(1,\n2)\nstage longer=y",
	          "stage a      = x(1,\n    2)\nstage longer = y\n");
}

Test(format, one_long_name_moves_nobody)
{
	format_is("param a=1\nparam a2345678901234567890123456789012345=2",
	          "param a = 1\nparam a2345678901234567890123456789012345 = 2\n");
}

Test(format, comments)
{
	format_is("#a\n  #b  \n", "#a\n#b\n");
	format_is("a # 1\nlonger -> b # 2\n\nc # 3",
	          "a            # 1\nlonger -> b  # 2\n\nc  # 3\n");
	format_is("param a=1 # 1\nparam longer=2 # 2",
	          "param a      = 1  # 1\nparam longer = 2  # 2\n");
	format_is("a # 1\nb\nlonger # 2", "a  # 1\nb\nlonger  # 2\n");
	format_is("a(\"\xe6\xbc\xa2\xe5\xad\x97\") # 1\nb # 2",
	          "a(\"\xe6\xbc\xa2\xe5\xad\x97\")  # 1\nb          # 2\n");
	format_is("a(\n# own\nx, # trailing\ny)",
	          "a(\n    # own\n    x,  # trailing\n    y)\n");
}

Test(format, one_long_line_moves_no_comment)
{
	format_is("a # 1\n"
	          "b234567890123456789012345678901234567890123456789012345678901234567890123456"
	          "7890x "
	          "# 2",
	          "a  # 1\n"
	          "b234567890123456789012345678901234567890123456789012345678901234567890123456"
	          "7890x  "
	          "# 2\n");
}

Test(format, lines_that_go_on)
{
	format_is("a ->\n b,\n  c\n-> d", "a ->\n    b,\n    c\n    -> d\n");
	format_is("a # 1\n# 2\n\n -> b", "a  # 1\n    # 2\n    -> b\n");
	format_is("stage a=x(\n  k=1,\n  l=2\n  ) daemon",
	          "stage a = x(\n    k=1,\n    l=2\n) daemon\n");
}

Test(format, wrong_texts_are_refused_with_the_reason)
{
	static const char text[] = "a -> \nb";
	struct diag_list diags = {0};
	struct buf out = {0};

	diag_source_add(&diags, "t", "stage =", 7, (struct diag_span){0});
	cr_assert(!lang_format(&out, &diags, 1));
	cr_assert_eq(out.size, 0);
	cr_assert_eq(diags.n_errors, 1);
	diag_list_fini(&diags);
	/* Params and includes are not its business. */
	format_is("a($nowhere, \"${x}\")\ninclude \"none\"\nparam a=1\nparam a=2",
	          "a($nowhere, \"${x}\")\ninclude \"none\"\nparam a = 1\nparam a = 2\n");
	format_is_stable("text", text, sizeof(text) - 1);
}

static unsigned files_are_stable(const char *pattern, bool must_be_right)
{
	static char text[1 << 20];
	unsigned n = 0;
	glob_t found;

	cr_assert_eq(glob(pattern, 0, NULL, &found), 0, "%s", pattern);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		FILE *f = fopen(found.gl_pathv[i], "rb");
		size_t size = fread(text, 1, sizeof(text), f), formatted;
		char *right;

		fclose(f);
		right = parsed_format(text, size, &formatted);
		cr_assert(right || !must_be_right, "%s is wrong", found.gl_pathv[i]);
		if (right) {
			format_is_stable(found.gl_pathv[i], text, size);
			n++;
		}
		free(right);
	}
	globfree(&found);
	return n;
}

Test(format, every_file_stays_the_same_graph)
{
	cr_assert_geq(files_are_stable(TEST_SOURCE_ROOT "/graphs/*.txt", true), 10);
	cr_assert_geq(files_are_stable(TEST_SOURCE_ROOT "/tests/fuzz/corpus-lang/*", false),
	              10);
}

/* pcrun-graph(5) shows graphs between lines of ```. */
Test(format, the_examples_of_the_manual_are_right)
{
	static char page[1 << 16];
	FILE *f = fopen(TEST_SOURCE_ROOT "/runtime/lang/pcrun-graph.5.scd", "rb");
	char *begin = page, *end;
	unsigned n = 0;

	cr_assert_not_null(f);
	page[fread(page, 1, sizeof(page) - 1, f)] = '\0';
	fclose(f);
	while ((begin = strstr(begin, "```\n")) != NULL) {
		begin += 4;
		end = strstr(begin, "```");
		cr_assert_not_null(end);
		if (strncmp(begin, "file ", 5) != 0) { /* the grammar */
			format_is_stable("an example", begin, (size_t)(end - begin));
			n++;
		}
		begin = end + 3;
	}
	cr_assert_geq(n, 4);
}
