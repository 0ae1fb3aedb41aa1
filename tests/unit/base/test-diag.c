/* Diagnostics as the user sees them: places, carets, order, and what must not reach a terminal. */
#include "base/diag.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct diag_list list;
static struct buf shown;
static const char *source_text;
static uint32_t source;

static void finish(void)
{
	diag_list_fini(&list);
	buf_fini(&shown);
}

static void begin(const char *name, const char *text)
{
	source_text = text;
	source = diag_source_add(&list, name, text, strlen(text), (struct diag_span){0});
	cr_assert_neq(source, 0);
}

/* The span of the first `part` in the source. */
static struct diag_span at(const char *part)
{
	uint32_t offset = (uint32_t)(strstr(source_text, part) - source_text);

	return (struct diag_span){source, offset, offset + (uint32_t)strlen(part)};
}

static void shows(const char *want)
{
	diag_render(&list, &shown);
	cr_assert_str_eq(shown.text ? shown.text : "", want, "shown:\n%s\nwanted:\n%s",
	                 shown.text ? shown.text : "", want);
}

TestSuite(diag, .fini = finish);

Test(diag, the_example_of_the_header)
{
	struct diag *d;

	begin("graph.txt", "\n\n\nstage count = x\n\n\n\n\nstage count = count(windw=5s)\n");
	d = diag_error(&list, at("windw"), "stage '%s' has no parameter '%s'", "count",
	               "windw");
	diag_hint(&list, d, "did you mean '%s'?", "window");
	diag_note(&list, d, at("stage"), "'%s' is declared here", "count");
	cr_assert_eq(list.n_errors, 1);
	shows("graph.txt:9:21: error: stage 'count' has no parameter 'windw'\n"
	      "    9 | stage count = count(windw=5s)\n"
	      "      |                     ^~~~~ did you mean 'window'?\n"
	      "graph.txt:4:1: note: 'count' is declared here\n"
	      "    4 | stage count = x\n"
	      "      | ^~~~~\n");
}

Test(diag, nothing_gives_nothing)
{
	shows("");
}

Test(diag, tabs_keep_the_caret_below)
{
	begin("a", "\ta\tbc\td\n");
	diag_error(&list, at("bc"), "x");
	shows("a:1:4: error: x\n    1 | \ta\tbc\td\n      | \t \t^~\n");
}

Test(diag, wide_combining_and_escaped_characters_keep_the_caret_below)
{
	begin("a", "\xe6\xbc\xa2\xe5\xad\x97 e\xcc\x81 \x01 here\n");
	diag_error(&list, at("here"), "x");
	shows("a:1:9: error: x\n"
	      "    1 | \xe6\xbc\xa2\xe5\xad\x97 e\xcc\x81 \\x01 here\n"
	      "      |             ^~~~\n");
}

Test(diag, a_wide_character_is_underlined_whole)
{
	begin("a", "x \xe6\xbc\xa2\xe5\xad\x97 y\n");
	diag_error(&list, at("\xe6\xbc\xa2\xe5\xad\x97"), "x");
	shows("a:1:3: error: x\n    1 | x \xe6\xbc\xa2\xe5\xad\x97 y\n      |   ^~~~\n");
}

Test(diag, nothing_raw_reaches_the_terminal)
{
	begin("g\x1b[2J.txt", "a \x1b[31m b \xff\n");
	diag_error(&list, at("b"), "name '%s'", "\x1b]0;x\x07");
	shows("g\\x1b[2J.txt:1:9: error: name '\\x1b]0;x\\x07'\n"
	      "    1 | a \\x1b[31m b \\xff\n"
	      "      |            ^\n");
}

Test(diag, ends_of_lines_and_of_the_text)
{
	struct diag_span span;

	begin("a", "ab\r\n\ncd");
	span = at("ab");
	span.begin = span.end;
	diag_error(&list, span, "end of the first");
	diag_error(&list, at("\r"), "carriage return");
	diag_error(&list, (struct diag_span){source, 4, 4}, "empty line");
	diag_error(&list, (struct diag_span){source, 7, 7}, "end of the text");
	diag_error(&list, (struct diag_span){source, 1000, 2000}, "beyond");
	shows("a:1:3: error: end of the first\n    1 | ab\n      |   ^\n"
	      "a:1:3: error: carriage return\n    1 | ab\n      |   ^\n"
	      "a:2:1: error: empty line\n    2 |\n      | ^\n"
	      "a:3:3: error: end of the text\n    3 | cd\n      |   ^\n"
	      "a:3:3: error: beyond\n    3 | cd\n      |   ^\n");
}

Test(diag, several_lines_are_underlined_to_the_end_of_the_first)
{
	begin("a", "one two\nthree\n");
	diag_error(&list, at("two\nthree"), "x");
	shows("a:1:5: error: x\n    1 | one two\n      |     ^~~\n");
}

Test(diag, long_lines_are_cut_round_the_caret)
{
	static char text[1 << 20];
	char *line, *end;

	memset(text, 'x', sizeof(text) - 1);
	memcpy(text + 500000, "here", 4);
	begin("a", text);
	diag_error(&list, at("here"), "x");
	diag_error(&list, (struct diag_span){source, 0, 5}, "at the front");
	diag_error(&list, (struct diag_span){source, sizeof(text) - 1, sizeof(text)},
	           "at the end");
	diag_render(&list, &shown);
	cr_assert_not_null(strstr(shown.text, "a:1:500001: error: x\n    1 | ...xxx"));
	for (line = shown.text; *line; line = end + 1) {
		end = strchr(line, '\n');
		cr_assert_lt(end - line, 200);
		*end = '\0';
		if (strstr(line, "here"))
			cr_assert_eq(strstr(line, "here") - line,
			             strchr(end + 1, '^') - (end + 1));
	}
}

Test(diag, sorted_by_source_and_place_and_the_placeless_last)
{
	uint32_t first;

	begin("one", "a b c\n");
	first = source;
	begin("two", "d e f\n");
	diag_warning(&list, (struct diag_span){0}, "no place");
	diag_error(&list, at("f"), "5");
	diag_error(&list, at("d"), "3");
	diag_error(&list, at("d"), "4");
	diag_error(&list, (struct diag_span){first, 4, 5}, "2");
	diag_error(&list, (struct diag_span){first, 0, 1}, "1");
	cr_assert_eq(list.n_errors, 5);
	cr_assert_eq(list.n_warnings, 1);
	shows("one:1:1: error: 1\n    1 | a b c\n      | ^\n"
	      "one:1:5: error: 2\n    1 | a b c\n      |     ^\n"
	      "two:1:1: error: 3\n    1 | d e f\n      | ^\n"
	      "two:1:1: error: 4\n    1 | d e f\n      | ^\n"
	      "two:1:5: error: 5\n    1 | d e f\n      |     ^\n"
	      "warning: no place\n");
}

Test(diag, includes_are_named_once_a_source)
{
	uint32_t inner;

	begin("outer", "include \"inner\"\n");
	inner = diag_source_add(&list, "inner", "x y\n", 4, at("\"inner\""));
	diag_error(&list, (struct diag_span){inner, 0, 1}, "1");
	diag_error(&list, (struct diag_span){inner, 2, 3}, "2");
	shows("inner:1:1: error: 1\n    1 | x y\n      | ^\n"
	      "outer:1:9: note: included from here\n"
	      "    1 | include \"inner\"\n"
	      "      |         ^~~~~~~\n"
	      "inner:1:3: error: 2\n    1 | x y\n      |   ^\n");
}

Test(diag, hints_without_a_place)
{
	struct diag *d = diag_error(&list, (struct diag_span){0}, "-D x: unknown");

	diag_hint(&list, d, "did you mean 'y'?");
	cr_assert_str_eq(diag_source_name(&list, d->span), "");
	shows("error: -D x: unknown\n  did you mean 'y'?\n");
}

Test(diag, positions_in_a_large_source)
{
	enum { LINES = 5000 };
	struct buf text = {0};
	unsigned line, column;

	for (int i = 0; i < LINES; i++)
		buf_addf(&text, "\xc3\xa4 %04d\n", i); /* 8 bytes, 7 characters with the end */
	begin("a", text.text);
	for (uint32_t i = 0; i < LINES; i++) {
		diag_position(&list, (struct diag_span){source, i * 8 + 3, 0}, &line, &column);
		cr_assert(line == i + 1 && column == 3, "line %u: %u:%u", i + 1, line, column);
	}
	diag_position(&list, (struct diag_span){source, LINES * 8, 0}, &line, &column);
	cr_assert(line == LINES + 1 && column == 1);
	diag_position(&list, (struct diag_span){99, 0, 0}, &line, &column);
	cr_assert(line == 0 && column == 0);
	buf_fini(&text);
}

/* Ten thousand mistakes in one line of a megabyte: quadratic work would not end here. */
Test(diag, many_mistakes_in_one_line)
{
	static char text[1 << 20];

	memset(text, 'x', sizeof(text) - 1);
	begin("a", text);
	for (uint32_t i = 0; i < 10000; i++)
		diag_error(&list, (struct diag_span){source, i * 100, i * 100 + 1}, "%u", i);
	diag_render(&list, &shown);
	cr_assert_not_null(strstr(shown.text, "a:1:999901: error: 9999\n"));
}
