/* The growing string, the arena, characters, and chains of causes. */
#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/utf8.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

Test(buf, grows_and_ends_with_nul)
{
	struct buf b = {0};
	char *text;

	for (int i = 0; i < 1000; i++)
		buf_addf(&b, "%d,", i);
	cr_assert_eq(b.size, 3890);
	cr_assert_eq(strlen(b.text), b.size);
	cr_assert_str_eq(b.text + b.size - 8, "998,999,");
	buf_add(&b, "a\0b", 3);
	cr_assert_eq(b.size, 3893);
	text = buf_take(&b);
	cr_assert_eq(memcmp(text + 3890, "a\0b\0", 4), 0);
	cr_assert_null(b.text);
	free(text);
	text = buf_take(&b);
	cr_assert_str_eq(text, "");
	free(text);
	buf_fini(NULL);
}

Test(buf, a_failure_is_remembered)
{
	struct buf b = {0};

	buf_adds(&b, "x");
	buf_add(&b, "y", SIZE_MAX - 8);
	cr_assert(b.failed);
	buf_adds(&b, "z");
	cr_assert_null(buf_take(&b));
	cr_assert(!b.failed && !b.text);
}

Test(arena, memory_is_zero_aligned_and_apart)
{
	static const size_t sizes[] = {1, 0, 7, 16, 100, 5000, 3, 70000, 9, 200000, 40000, 1};
	struct arena a = {0};
	unsigned char *p[1000];

	for (size_t i = 0; i < 1000; i++) {
		size_t size = sizes[i % (sizeof(sizes) / sizeof(sizes[0]))];

		p[i] = arena_alloc(&a, size);
		cr_assert_not_null(p[i]);
		cr_assert_eq((uintptr_t)p[i] % _Alignof(max_align_t), 0);
		for (size_t j = 0; j < size; j++)
			cr_assert_eq(p[i][j], 0);
		if (size > 0)
			memset(p[i], (int)(i % 251 + 1), size);
	}
	for (size_t i = 0; i < 1000; i++) {
		size_t size = sizes[i % (sizeof(sizes) / sizeof(sizes[0]))];

		for (size_t j = 0; j < size; j++)
			cr_assert_eq(p[i][j], i % 251 + 1);
	}
	arena_fini(&a);
	cr_assert_null(a.blocks);
}

Test(arena, texts_and_growing_arrays)
{
	struct arena a = {0};
	int *list = NULL;

	cr_assert_str_eq(arena_text(&a, "abc", 2), "ab");
	cr_assert_str_eq(arena_text(&a, NULL, 0), "");
	cr_assert_str_eq(arena_string(&a, "abc"), "abc");
	cr_assert_str_eq(arena_format(&a, "%d-%s", 7, "x"), "7-x");
	for (int i = 0; i < 1000; i++) {
		list = arena_grow(&a, list, (size_t)i, sizeof(*list));
		list[i] = i;
	}
	for (int i = 0; i < 1000; i++)
		cr_assert_eq(list[i], i);
	cr_assert(!arena_failed(&a));
	arena_fini(&a);
}

Test(arena, a_failure_is_remembered)
{
	struct arena a = {0};
	int one = 1;

	cr_assert_not_null(arena_alloc(&a, 1));
	cr_assert_null(arena_grow(&a, &one, (size_t)1 << 62, 16));
	cr_assert(arena_failed(&a));
	cr_assert_null(arena_alloc(&a, 1));
	cr_assert_null(arena_string(&a, "x"));
	arena_fini(&a);
	cr_assert_null(arena_alloc(&a, SIZE_MAX - 3));
	cr_assert(arena_failed(&a));
	arena_fini(&a);
}

static size_t decoded(const char *text, uint32_t *ret)
{
	*ret = 0;
	return utf8_decode(text, strlen(text), ret);
}

Test(utf8, decodes_what_is_right)
{
	uint32_t c;

	cr_assert(decoded("a", &c) == 1 && c == 'a');
	cr_assert(decoded("\xc3\xa4x", &c) == 2 && c == 0xe4);
	cr_assert(decoded("\xe2\x82\xac", &c) == 3 && c == 0x20ac);
	cr_assert(decoded("\xf0\x9f\x98\x80", &c) == 4 && c == 0x1f600);
	cr_assert(decoded("\xf4\x8f\xbf\xbf", &c) == 4 && c == 0x10ffff);
	cr_assert(utf8_decode("", 1, &c) == 1 && c == 0);
}

Test(utf8, refuses_what_is_wrong)
{
	static const char *const wrong[] = {"\x80",
	                                    "\xc3",
	                                    "\xc3(",
	                                    "\xc0\x80",
	                                    "\xe0\x80\x80",
	                                    "\xed\xa0\x80",
	                                    "\xe2\x82",
	                                    "\xf8\x88\x80\x80\x80",
	                                    "\xf4\x90\x80\x80",
	                                    "\xf0\x80\x80\x80",
	                                    "\xff"};
	uint32_t c;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		cr_assert_eq(decoded(wrong[i], &c), 0, "number %zu", i);
	cr_assert_eq(utf8_decode("\xc3\xa4", 1, &c), 0, "cut off");
}

Test(utf8, nothing_hostile_is_shown)
{
	struct buf b = {0};
	unsigned columns;
	static const char text[] = "a\x1b[31m\x7f\n\t\xc2\x9b\xe2\x80\xae\xff\xc3\xa4";

	utf8_show(&b, text, sizeof(text) - 1);
	cr_assert_str_eq(b.text, "a\\x1b[31m\\x7f\n\t<U+009B><U+202E>\\xff\xc3\xa4");
	buf_fini(&b);
	cr_assert_eq(utf8_show_char(&b, "\xe6\xbc\xa2", 3, &columns), 3);
	cr_assert_eq(columns, 2, "a wide character");
	cr_assert_eq(utf8_show_char(&b, "\xcc\x81", 2, &columns), 2);
	cr_assert_eq(columns, 0, "a combining one");
	buf_fini(&b);
}

Test(error, nothing_is_no_error)
{
	cr_assert_str_eq(pc_error_text(NULL), "");
	cr_assert_str_eq(pc_error_first(NULL), "");
	cr_assert_eq(pc_error_code(NULL), PC_OK);
	pc_error_free(NULL);
	cr_assert_eq(error_set(NULL, PC_ERROR, "nobody listens"), PC_ERROR);
	error_add(NULL, "nobody listens");
}

Test(error, causes_from_the_outermost_to_the_innermost)
{
	struct pc_error *err = NULL;

	cr_assert_eq(error_set(&err, PC_WRONG, "no such file"), PC_WRONG);
	cr_assert_eq(error_set(&err, PC_ERROR, "a later one"), PC_ERROR, "the first stays");
	error_add(&err, "can't open '%s'", "x");
	error_add(&err, "stage 'a' could not be opened");
	cr_assert_eq(pc_error_code(err), PC_WRONG);
	cr_assert_str_eq(pc_error_first(err), "stage 'a' could not be opened");
	cr_assert_str_eq(pc_error_text(err), "stage 'a' could not be opened\n"
	                                     "  because: can't open 'x'\n"
	                                     "  because: no such file\n");
	pc_error_free(err);
}

Test(error, ready_texts_stay_as_they_are)
{
	struct pc_error *err = NULL;

	cr_assert_eq(error_set_text(&err, PC_WRONG, strdup("a:1:1: error: x\n    1 | x")),
	             PC_WRONG);
	cr_assert_str_eq(pc_error_first(err), "a:1:1: error: x");
	cr_assert_str_eq(pc_error_text(err), "a:1:1: error: x\n    1 | x\n");
	error_add(&err, "outside");
	cr_assert_str_eq(pc_error_text(err), "outside\na:1:1: error: x\n    1 | x\n");
	error_set_text(&err, PC_ERROR, strdup("late, and freed"));
	cr_assert_eq(pc_error_code(err), PC_WRONG);
	pc_error_free(err);
}

Test(error, out_of_memory_still_says_so)
{
	struct pc_error *err = NULL;

	error_set_text(&err, PC_ERROR, NULL);
	cr_assert_eq(pc_error_code(err), PC_NOMEM);
	error_add(&err, "more");
	cr_assert_str_eq(pc_error_text(err), "out of memory\n");
	pc_error_free(err);
}
