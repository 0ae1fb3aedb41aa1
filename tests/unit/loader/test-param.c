/* test-param.c: texts become values of each type, at both ends of their ranges and beyond. */
#include "loader/param.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <string.h>

static struct pc_param row(uint32_t type, const char *range)
{
	static const char *const names[] = {"red", "green", NULL};

	return (struct pc_param){.name = "p", .type = type, .range = range, .names = names};
}

static bool parse(uint32_t type, const char *range, const char *text, void *value)
{
	struct pc_param p = row(type, range);
	struct buf why = {0};
	bool ok = loader_param_parse(&p, text, strlen(text), value, &why);

	cr_expect(ok == (why.size == 0), "'%s': %s", text, why.text ? why.text : "no reason");
	buf_fini(&why);
	return ok;
}

Test(param, values_of_each_type)
{
	int64_t i = 1;
	uint64_t u = 1;
	double f = 1;
	bool b = false;
	uint32_t e = 9;
	const char *s = NULL;

	cr_expect(parse(PC_T_I64, NULL, "-4k", &i) && i == -4000);
	cr_expect(parse(PC_T_U64, NULL, "64Ki", &u) && u == 65536);
	cr_expect(parse(PC_T_F64, NULL, "2.5", &f) && f > 2.4 && f < 2.6);
	cr_expect(parse(PC_T_BOOL, NULL, "yes", &b) && b);
	cr_expect(parse(PC_T_ENUM, NULL, "green", &e) && e == 1);
	cr_expect(parse(PC_T_DURATION, NULL, "250ms", &i) && i == 250 * PC_MS);
	cr_expect(parse(PC_T_BYTES, NULL, "4Ki", &u) && u == 4096);
	cr_expect(parse(PC_T_STRING, NULL, "any text", &s) && strcmp(s, "any text") == 0);
	cr_expect(parse(PC_T_PATH, NULL, "", &s) && *s == '\0');
	cr_expect(!parse(PC_T_I64, NULL, "x", &i));
	cr_expect(!parse(PC_T_ENUM, NULL, "blue", &e));
	cr_expect(!parse(PC_T_BOOL, NULL, "1.5", &b));
}

Test(param, ranges_hold_their_ends)
{
	int64_t i;
	uint64_t u;
	double f;

	cr_expect(parse(PC_T_I64, "-2..3", "-2", &i) && parse(PC_T_I64, "-2..3", "3", &i));
	cr_expect(!parse(PC_T_I64, "-2..3", "-3", &i) && !parse(PC_T_I64, "-2..3", "4", &i));
	cr_expect(parse(PC_T_U64, "1..", "18446744073709551615", &u));
	cr_expect(!parse(PC_T_U64, "1..", "0", &u));
	cr_expect(parse(PC_T_F64, "..0.5", "0.5", &f) && parse(PC_T_F64, "..0.5", "-1e9", &f));
	cr_expect(!parse(PC_T_F64, "..0.5", "0.500001", &f));
	cr_expect(parse(PC_T_DURATION, "1ms..1s", "1000ms", &i));
	cr_expect(!parse(PC_T_DURATION, "1ms..1s", "1001ms", &i));
	cr_expect(parse(PC_T_BYTES, "1k..1M", "1M", &u));
	cr_expect(!parse(PC_T_BYTES, "1k..1M", "1Mi", &u));
}

Test(param, a_refused_value_is_not_written)
{
	int64_t i = 77;

	cr_expect(!parse(PC_T_I64, "1..2", "3", &i) && i == 77);
	cr_expect(!parse(PC_T_I64, NULL, "zzz", &i) && i == 77);
}

Test(param, a_text_holds_no_nul)
{
	struct pc_param p = row(PC_T_STRING, NULL);
	struct buf why = {0};
	const char *s = NULL;

	cr_expect(!loader_param_parse(&p, "a\0b", 3, &s, &why));
	cr_expect(why.size > 0 && strstr(why.text, "NUL"));
	buf_fini(&why);
}
