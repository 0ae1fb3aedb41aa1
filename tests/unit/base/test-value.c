/* Numbers, durations and sizes as people write them; above all what lies at the edges. */
#include "base/value.h"

#include <criterion/criterion.h>
#include <pcrun/stage.h>
#include <string.h>

static void i64_is(const char *text, int64_t want)
{
	int64_t v = 77;
	enum value_result r = value_i64(text, strlen(text), &v);

	cr_assert(r == VALUE_OK && v == want, "%s: result %d, %lld", text, r, (long long)v);
}

static void u64_is(const char *text, uint64_t want)
{
	uint64_t v = 77;
	enum value_result r = value_u64(text, strlen(text), &v);

	cr_assert(r == VALUE_OK && v == want, "%s: result %d, %llu", text, r,
	          (unsigned long long)v);
}

static void bytes_are(const char *text, uint64_t want)
{
	uint64_t v = 77;
	enum value_result r = value_bytes(text, strlen(text), &v);

	cr_assert(r == VALUE_OK && v == want, "%s: result %d, %llu", text, r,
	          (unsigned long long)v);
}

static void f64_is(const char *text, double want)
{
	double v = 77;
	enum value_result r = value_f64(text, strlen(text), &v);

	cr_assert(r == VALUE_OK && !(v < want) && !(v > want), "%s: result %d, %g", text, r, v);
}

static void duration_is(const char *text, int64_t want)
{
	int64_t v = 77;
	enum value_result r = value_duration(text, strlen(text), &v);

	cr_assert(r == VALUE_OK && v == want, "%s: result %d, %lld", text, r, (long long)v);
}

/* Every kind of value refuses the text in the same way, and leaves the result alone. */
static void whole_refused(const char *text, enum value_result want)
{
	int64_t i = 77;
	uint64_t u = 77, b = 77;

	cr_assert_eq(value_i64(text, strlen(text), &i), want, "i64 %s", text);
	cr_assert_eq(value_u64(text, strlen(text), &u), want, "u64 %s", text);
	cr_assert_eq(value_bytes(text, strlen(text), &b), want, "bytes %s", text);
	cr_assert(i == 77 && u == 77 && b == 77, "%s wrote a result", text);
}

Test(value, whole_numbers)
{
	i64_is("0", 0);
	i64_is("-0", 0);
	i64_is("+7", 7);
	i64_is("007", 7);
	i64_is("1_000_000", 1000000);
	i64_is("0x1f", 31);
	i64_is("-0xFF", -255);
	i64_is("4k", 4000);
	i64_is("4K", 4000);
	i64_is("-2M", -2000000);
	i64_is("3G", INT64_C(3000000000));
	i64_is("1T", INT64_C(1000000000000));
	i64_is("64Ki", 65536);
	i64_is("1Mi", 1048576);
	i64_is("1Gi", INT64_C(1) << 30);
	i64_is("1Ti", INT64_C(1) << 40);
	u64_is("-0", 0);
}

Test(value, whole_number_limits)
{
	int64_t i;
	uint64_t u;

	i64_is("9223372036854775807", INT64_MAX);
	i64_is("-9223372036854775808", INT64_MIN);
	i64_is("0x7fffffffffffffff", INT64_MAX);
	i64_is("-0x8000000000000000", INT64_MIN);
	cr_assert_eq(value_i64("9223372036854775808", 19, &i), VALUE_TOO_BIG);
	cr_assert_eq(value_i64("-9223372036854775809", 20, &i), VALUE_TOO_BIG);
	u64_is("18446744073709551615", UINT64_MAX);
	u64_is("0xffff_ffff_ffff_ffff", UINT64_MAX);
	u64_is("16777215Ti", UINT64_C(16777215) << 40);
	cr_assert_eq(value_u64("18446744073709551616", 20, &u), VALUE_TOO_BIG);
	cr_assert_eq(value_u64("99999999999999999999999999", 26, &u), VALUE_TOO_BIG);
	cr_assert_eq(value_u64("16777216Ti", 10, &u), VALUE_TOO_BIG);
	cr_assert_eq(value_u64("-1", 2, &u), VALUE_NEGATIVE);
	cr_assert_eq(value_u64("-99999999999999999999", 21, &u), VALUE_NEGATIVE);
	cr_assert_eq(value_bytes("-1k", 3, &u), VALUE_NEGATIVE);
}

Test(value, no_whole_numbers)
{
	static const char *const texts[] = {
		"",   "-",   "+",    "--1", "x",  "1x",   "0x",  "0xg",     "1__0", "_1",
		"1_", "1_k", "1.5",  "1e3", " 1", "1 ",   "1 k", "k",       "1kk",  "1ki",
		"1m", "+-1", "0x1k", "1Ei", "1-", "0x_1", "1,5", "\xc2\xb2"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		whole_refused(texts[i], VALUE_SYNTAX);
}

Test(value, reads_only_its_bytes)
{
	int64_t i;
	uint64_t u;
	double d;

	cr_assert(value_i64("123456", 3, &i) == VALUE_OK && i == 123);
	cr_assert(value_bytes("64KiB", 3, &u) == VALUE_OK && u == 64000);
	cr_assert(value_f64("1.55", 3, &d) == VALUE_OK && d > 1.49 && d < 1.51);
	cr_assert(value_duration("1ms", 2, &i) == VALUE_OK && i == 60 * PC_SEC);
	cr_assert_eq(value_i64("1\0", 2, &i), VALUE_SYNTAX);
}

Test(value, sizes)
{
	uint64_t u;

	bytes_are("17", 17);
	bytes_are("17B", 17);
	bytes_are("4k", 4000);
	bytes_are("1MB", 1000000);
	bytes_are("64Ki", 65536);
	bytes_are("64KiB", 65536);
	bytes_are("0x10", 16);
	cr_assert_eq(value_bytes("B", 1, &u), VALUE_SYNTAX);
	cr_assert_eq(value_bytes("1BB", 3, &u), VALUE_SYNTAX);
	cr_assert_eq(value_bytes("1b", 2, &u), VALUE_SYNTAX);
	cr_assert_eq(value_u64("1kB", 3, &u), VALUE_SYNTAX, "only sizes have a B");
}

Test(value, numbers)
{
	double d;

	f64_is("1.5", 1.5);
	f64_is("-0.25", -0.25);
	f64_is(".5", 0.5);
	f64_is("5.", 5);
	f64_is("1e3", 1000);
	f64_is("1E-3", 0.001);
	f64_is("1_000.5", 1000.5);
	f64_is("2k", 2000);
	f64_is("1.5Ki", 1536);
	f64_is("1.7976931348623157e308", 1.7976931348623157e308);
	cr_assert_eq(value_f64("1e309", 5, &d), VALUE_TOO_BIG);
	cr_assert_eq(value_f64("1e308k", 6, &d), VALUE_TOO_BIG);
	for (const char *const *t =
	             (const char *const[]){"", ".", "-", "e3", "1e", "1e+", "25%", "nan", "inf",
	                                   "0x1p3", "1.5.5", "1_", "_1.0", "1._5", "1__0", " 1",
	                                   NULL};
	     *t; t++)
		cr_assert_eq(value_f64(*t, strlen(*t), &d), VALUE_SYNTAX, "%s", *t);
}

Test(value, durations)
{
	int64_t ns;

	duration_is("0", 0);
	duration_is("-0", 0);
	duration_is("5ns", 5);
	duration_is("10us", 10 * PC_US);
	duration_is("250ms", 250 * PC_MS);
	duration_is("90s", 90 * PC_SEC);
	duration_is("1.5s", 1500 * PC_MS);
	duration_is("0.000000001s", 1);
	duration_is("2m", 120 * PC_SEC);
	duration_is("1h", 3600 * PC_SEC);
	duration_is("0.5h", 1800 * PC_SEC);
	duration_is("1_000ms", PC_SEC);
	duration_is("1.99999999999999999999999999999s", 2 * PC_SEC);
	duration_is("9223372036854775807ns", INT64_MAX);
	duration_is("2562047h", INT64_C(2562047) * 3600 * PC_SEC);
	cr_assert_eq(value_duration("9223372036854775808ns", 21, &ns), VALUE_TOO_BIG);
	cr_assert_eq(value_duration("2562048h", 8, &ns), VALUE_TOO_BIG);
	cr_assert_eq(value_duration("99999999999999999999s", 21, &ns), VALUE_TOO_BIG);
	cr_assert_eq(value_duration("-1s", 3, &ns), VALUE_NEGATIVE);
	for (const char *const *t =
	             (const char *const[]){"", "1", "s", "1.s", ".5s", "1 s", "1sec", "1S",
	                                   "1d", "0.0", "1.5", "1h30m", "s1", NULL};
	     *t; t++)
		cr_assert_eq(value_duration(*t, strlen(*t), &ns), VALUE_SYNTAX, "%s", *t);
}

static void duration_text_is(int64_t ns, const char *want)
{
	struct buf text = {0};
	int64_t back = -1;

	value_duration_text(&text, ns);
	cr_assert_str_eq(text.text, want);
	if (ns >= 0) {
		cr_assert_eq(value_duration(text.text, text.size, &back), VALUE_OK, "%s", want);
		cr_assert_eq(back, ns, "%s", want);
	}
	buf_fini(&text);
}

Test(value, duration_texts_are_short_and_exact)
{
	duration_text_is(0, "0");
	duration_text_is(1, "1ns");
	duration_text_is(PC_US, "1us");
	duration_text_is(1500, "1.5us");
	duration_text_is(250 * PC_MS, "250ms");
	duration_text_is(1500 * PC_MS, "1.5s");
	duration_text_is(PC_SEC, "1s");
	duration_text_is(90 * PC_SEC, "90s");
	duration_text_is(120 * PC_SEC, "2m");
	duration_text_is(3600 * PC_SEC, "1h");
	duration_text_is(1050 * PC_MS, "1.05s");
	duration_text_is(3600 * PC_SEC + PC_MS, "3600001ms");
	duration_text_is(INT64_MAX, "9223372036854775807ns");
	duration_text_is(-PC_SEC, "-1s");
	duration_text_is(INT64_MIN, "-9223372036854775808ns");
}

Test(value, truth)
{
	bool b = false;

	cr_assert(value_bool("true", 4, &b) == VALUE_OK && b);
	cr_assert(value_bool("no", 2, &b) == VALUE_OK && !b);
	cr_assert(value_bool("yes", 3, &b) == VALUE_OK && b);
	cr_assert(value_bool("off", 3, &b) == VALUE_OK && !b);
	cr_assert(value_bool("on", 2, &b) == VALUE_OK && b);
	cr_assert(value_bool("false", 5, &b) == VALUE_OK && !b);
	cr_assert_eq(value_bool("True", 4, &b), VALUE_SYNTAX);
	cr_assert_eq(value_bool("1", 1, &b), VALUE_SYNTAX);
	cr_assert_eq(value_bool("", 0, &b), VALUE_SYNTAX);
}

Test(value, types_have_names)
{
	cr_assert_str_eq(value_type_name(PC_T_U64), "u64");
	cr_assert_str_eq(value_type_name(PC_T_PATH), "path");
	cr_assert_str_eq(value_type_article(PC_T_DURATION), "a duration such as 250ms");
	cr_assert_str_eq(value_type_name(1000), "?");
	for (uint32_t t = PC_T_BOOL; t <= PC_T_PATH; t++)
		cr_assert_str_neq(value_type_name(t), "?", "type %u", t);
}
