/* "Did you mean": near names are found, far ones are not offered. */
#include "base/near.h"

#include <criterion/criterion.h>
#include <string.h>

static const char *nearest(const char *wanted, const char *const *names)
{
	struct near n = NEAR_INIT(wanted, strlen(wanted));

	for (; *names; names++)
		near_offer(&n, *names);
	return n.best ? n.best : "";
}

#define NEAREST(wanted, ...) nearest(wanted, (const char *const[]){__VA_ARGS__, NULL})

Test(near, one_edit_of_each_kind)
{
	cr_assert_str_eq(NEAREST("windw", "count", "window"), "window");
	cr_assert_str_eq(NEAREST("winddow", "window"), "window");
	cr_assert_str_eq(NEAREST("wintow", "window"), "window");
	cr_assert_str_eq(NEAREST("wnidow", "window"), "window");
}

Test(near, a_swap_is_one_edit)
{
	/* "ab" is two letters: one edit is allowed, and two replacements would be too many. */
	cr_assert_str_eq(NEAREST("ab", "ba"), "ba");
	cr_assert_str_eq(NEAREST("ab", "cd"), "");
}

Test(near, the_nearest_wins_and_the_first_of_equals)
{
	cr_assert_str_eq(NEAREST("stage", "stagger", "stages", "stagex"), "stages");
	cr_assert_str_eq(NEAREST("stag", "stab", "stay"), "stab");
}

Test(near, case_counts_half)
{
	cr_assert_str_eq(NEAREST("GREP", "grep"), "", "four halves are more than one edit");
	cr_assert_str_eq(NEAREST("Grep", "grew", "grep"), "grep");
	cr_assert_str_eq(NEAREST("A", "a"), "a");
}

Test(near, a_third_of_the_letters)
{
	cr_assert_str_eq(NEAREST("abcdef", "abcdxy"), "abcdxy", "two of six");
	cr_assert_str_eq(NEAREST("abcdef", "abcxyz"), "", "three of six");
	cr_assert_str_eq(NEAREST("abcde", "abcxy"), "", "two of five");
}

Test(near, no_nonsense)
{
	cr_assert_str_eq(NEAREST("a", "b"), "", "another letter is no suggestion");
	cr_assert_str_eq(NEAREST("a", "ab"), "ab");
	cr_assert_str_eq(NEAREST("", "a"), "");
	cr_assert_str_eq(NEAREST("count", "grep", "lines"), "");
}

Test(near, long_names_are_left_alone)
{
	char a[200], b[200];
	struct near n;

	memset(a, 'x', sizeof(a));
	memset(b, 'x', sizeof(b));
	b[198] = '\0';
	n = (struct near)NEAR_INIT(a, sizeof(a));
	near_offer(&n, b);
	near_offer(&n, "x");
	cr_assert_null(n.best);
	n = (struct near)NEAR_INIT(a, 64);
	b[64] = '\0';
	b[63] = 'y';
	near_offer(&n, b);
	cr_assert_not_null(n.best);
}
