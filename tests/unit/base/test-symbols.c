/* base/symbols.c: what is read from a file names the addresses of its image. */
#include "base/symbols.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

static struct symbols symbols;
static const char some_text[] = "a text that is long enough to be pointed into";
static __thread int of_each_thread;

static __attribute__((noinline)) int some_function(int n)
{
	return n * 7 + (int)strlen(some_text);
}

static bool find(const void *address, struct symbols_hit *ret)
{
	Dl_info info;

	cr_assert(symbols_read(&symbols, "/proc/self/exe"));
	cr_assert(dladdr(address, &info) != 0);
	return symbols_find(&symbols, (uintptr_t)address - (uintptr_t)info.dli_fbase, ret);
}

Test(symbols, names_a_function)
{
	int (*function)(int) = some_function;
	struct symbols_hit hit;
	const char *at;

	memcpy(&at, &function, sizeof(at));
	cr_assert(function(1) > 7);
	cr_assert(find(at + 2, &hit));
	cr_assert_str_eq(hit.name, "some_function");
	cr_assert(hit.inside);
	cr_assert_eq(hit.into, 2);
}

Test(symbols, names_data)
{
	struct symbols_hit hit;

	of_each_thread = 1; /* its value is no address */
	cr_assert(find(some_text + 5, &hit));
	cr_assert_str_eq(hit.name, "some_text");
	cr_assert(hit.inside);
	cr_assert_eq(hit.into, 5);
}

/* Without a symbol of its own: the one before it, or the section. */
Test(symbols, says_near_between_symbols)
{
	struct symbols_hit hit;

	symbols = (struct symbols){.n = 3, .names = ".rodata\0first\0second"};
	symbols.list[0].at = 0x100;
	symbols.list[0].size = 0x100;
	symbols.list[1].at = 0x110;
	symbols.list[1].size = 4;
	symbols.list[1].name = 8;
	symbols.list[2].at = 0x112;
	symbols.list[2].size = 1;
	symbols.list[2].name = 14;
	cr_assert(symbols_find(&symbols, 0x108, &hit));
	cr_assert_str_eq(hit.name, ".rodata");
	cr_assert(hit.inside);
	cr_assert_eq(hit.into, 8);
	cr_assert(symbols_find(&symbols, 0x112, &hit));
	cr_assert_str_eq(hit.name, "second");
	cr_assert(symbols_find(&symbols, 0x113, &hit));
	cr_assert_str_eq(hit.name, "first");
	cr_assert(hit.inside);
	cr_assert(symbols_find(&symbols, 0x180, &hit));
	cr_assert_str_eq(hit.name, "second");
	cr_assert_not(hit.inside);
	cr_assert_not(symbols_find(&symbols, 0x200, &hit));
	cr_assert_not(symbols_find(&symbols, 0xff, &hit));
}

/* As when it is read anew meanwhile. */
Test(symbols, follows_no_number_that_leads_out)
{
	struct symbols_hit hit;

	memset(&symbols, 0xff, sizeof(symbols));
	symbols.names[sizeof(symbols.names) - 1] = '\0';
	symbols.list[SYMBOLS_MAX - 1].at = 0;
	symbols_find(&symbols, 5, &hit);
	symbols.list[0].at = 0;
	cr_assert(symbols_find(&symbols, 5, &hit));
	cr_assert_str_eq(hit.name, "");
}

Test(symbols, is_empty_for_what_is_no_such_file)
{
	struct symbols_hit hit;

	cr_assert_not(symbols_read(&symbols, "/proc/self/cmdline"));
	cr_assert_not(symbols_find(&symbols, 0, &hit));
	cr_assert_not(symbols_read(&symbols, "/nowhere"));
}
