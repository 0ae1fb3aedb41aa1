/* base/value.c: see value.h.
 *
 * Pure functions, called for every parameter and attribute. Texts need not end with NUL. Whole
 * numbers and durations are computed in integers, so that what is written is what is meant;
 * only value_f64() uses the C library, in the "C" locale whatever the program has set. */
#include "base/value.h"

#include <pcrun/stage.h>

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Room for the product of any two 64-bit numbers. */
__extension__ typedef unsigned __int128 wide;

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit multiples[] = {{"k", 1000},
                                        {"K", 1000},
                                        {"M", 1000000},
                                        {"G", 1000000000},
                                        {"T", 1000000000000},
                                        {"Ki", UINT64_C(1) << 10},
                                        {"Mi", UINT64_C(1) << 20},
                                        {"Gi", UINT64_C(1) << 30},
                                        {"Ti", UINT64_C(1) << 40},
                                        {NULL, 0}};
static const struct unit times[] = {{"ns", 1},
                                    {"us", 1000},
                                    {"ms", 1000000},
                                    {"s", 1000000000},
                                    {"m", UINT64_C(60) * 1000000000},
                                    {"h", UINT64_C(3600) * 1000000000},
                                    {NULL, 0}};

/* The factor of a unit; 0: no such unit. */
static uint64_t unit_find(const struct unit *units, const char *text, size_t size)
{
	for (; units->name; units++)
		if (strlen(units->name) == size && memcmp(units->name, text, size) == 0)
			return units->factor;
	return 0;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static int digit_value(char c, unsigned base)
{
	if (is_digit(c))
		return c - '0';
	if (base == 16 && ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')))
		return (c | 0x20) - 'a' + 10;
	return -1;
}

/* Reads digits, with a "_" between two of them where it helps. Returns how many bytes, 0: no
 * digits here. */
static size_t digits(const char *text, size_t size, unsigned base, uint64_t *ret, bool *ret_big)
{
	uint64_t v = 0;
	size_t i = 0;
	int d;

	while (i < size) {
		if (text[i] == '_' && i > 0 && i + 1 < size)
			d = digit_value(text[++i], base);
		else
			d = digit_value(text[i], base);
		if (d < 0)
			break;
		if (__builtin_mul_overflow(v, base, &v) ||
		    __builtin_add_overflow(v, (uint64_t)d, &v))
			*ret_big = true;
		i++;
	}
	if (i > 0 && text[i - 1] == '_')
		return 0;
	*ret = v;
	return i;
}

/* A whole number without its sign. bytes: a "B" may stand behind it. */
static enum value_result magnitude(const char *text, size_t size, bool bytes, uint64_t *ret)
{
	bool big = false, hex = size > 2 && text[0] == '0' && (text[1] | 0x20) == 'x';
	size_t n;
	uint64_t v, factor = 1;

	if (hex) {
		n = digits(text + 2, size - 2, 16, &v, &big);
		if (n == 0 || n != size - 2)
			return VALUE_SYNTAX;
	} else {
		n = digits(text, size, 10, &v, &big);
		if (n == 0)
			return VALUE_SYNTAX;
		if (bytes && n < size && text[size - 1] == 'B')
			size--;
		if (n < size)
			factor = unit_find(multiples, text + n, size - n);
		if (factor == 0)
			return VALUE_SYNTAX;
	}
	if (big || __builtin_mul_overflow(v, factor, &v))
		return VALUE_TOO_BIG;
	*ret = v;
	return VALUE_OK;
}

/* Skips a sign; true: it was a minus. */
static bool sign(const char **text, size_t *size)
{
	bool minus = *size > 0 && **text == '-';

	if (minus || (*size > 0 && **text == '+')) {
		(*text)++;
		(*size)--;
	}
	return minus;
}

enum value_result value_i64(const char *text, size_t size, int64_t *ret)
{
	bool minus = sign(&text, &size);
	uint64_t v;
	enum value_result r = magnitude(text, size, false, &v);

	if (r != VALUE_OK)
		return r;
	if (v > (uint64_t)INT64_MAX + minus)
		return VALUE_TOO_BIG;
	*ret = minus ? (int64_t)(0 - v) : (int64_t)v;
	return VALUE_OK;
}

static enum value_result not_negative(const char *text, size_t size, bool bytes, uint64_t *ret)
{
	bool minus = sign(&text, &size);
	uint64_t v;
	enum value_result r = magnitude(text, size, bytes, &v);

	if (minus && (r == VALUE_TOO_BIG || (r == VALUE_OK && v > 0)))
		return VALUE_NEGATIVE;
	if (r == VALUE_OK)
		*ret = v;
	return r;
}

enum value_result value_u64(const char *text, size_t size, uint64_t *ret)
{
	return not_negative(text, size, false, ret);
}

enum value_result value_bytes(const char *text, size_t size, uint64_t *ret)
{
	return not_negative(text, size, true, ret);
}

enum value_result value_f64(const char *text, size_t size, double *ret)
{
	char copy[256];
	size_t n = 0, i = 0, mantissa = 0, exponent = 0;
	uint64_t factor = 1;
	locale_t c_locale;
	double v;

	if (sign(&text, &size))
		copy[n++] = '-';
	if (size > sizeof(copy) - 2)
		return VALUE_SYNTAX;
	for (; i < size && (is_digit(text[i]) || text[i] == '_'); i++) {
		if (text[i] == '_') {
			if (i == 0 || i + 1 == size || !is_digit(text[i - 1]) ||
			    !is_digit(text[i + 1]))
				return VALUE_SYNTAX;
			continue;
		}
		copy[n++] = text[i];
		mantissa++;
	}
	if (i < size && text[i] == '.') {
		copy[n++] = text[i++];
		for (; i < size && is_digit(text[i]); i++, mantissa++)
			copy[n++] = text[i];
	}
	if (mantissa == 0)
		return VALUE_SYNTAX;
	if (i < size && (text[i] | 0x20) == 'e') {
		copy[n++] = text[i++];
		if (i < size && (text[i] == '-' || text[i] == '+'))
			copy[n++] = text[i++];
		for (; i < size && is_digit(text[i]); i++, exponent++)
			copy[n++] = text[i];
		if (exponent == 0)
			return VALUE_SYNTAX;
	}
	if (i < size)
		factor = unit_find(multiples, text + i, size - i);
	if (factor == 0)
		return VALUE_SYNTAX;
	copy[n] = '\0';
	c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
	if (c_locale == (locale_t)0)
		return VALUE_SYNTAX;
	v = strtod_l(copy, NULL, c_locale) * (double)factor;
	freelocale(c_locale);
	if (!isfinite(v))
		return VALUE_TOO_BIG;
	*ret = v;
	return VALUE_OK;
}

enum value_result value_duration(const char *text, size_t size, int64_t *ret_ns)
{
	bool minus = sign(&text, &size), big = false;
	uint64_t whole = 0, unit;
	wide ns, fraction = 0, scale = 1;
	size_t n = digits(text, size, 10, &whole, &big), i;

	if (n == 0)
		return VALUE_SYNTAX;
	i = n;
	if (i < size && text[i] == '.') {
		if (++i == size || !is_digit(text[i]))
			return VALUE_SYNTAX;
		/* Digits beyond 1e-18 of the unit can't reach a nanosecond. */
		for (; i < size && is_digit(text[i]); i++)
			if (scale < UINT64_C(1000000000000000000)) {
				fraction = fraction * 10 + (unsigned)(text[i] - '0');
				scale *= 10;
			}
	}
	if (i == size) {
		if (i > n || whole != 0 || big)
			return VALUE_SYNTAX;
		*ret_ns = 0;
		return VALUE_OK;
	}
	unit = unit_find(times, text + i, size - i);
	if (unit == 0)
		return VALUE_SYNTAX;
	ns = (wide)whole * unit + (fraction * unit + scale / 2) / scale;
	if (minus && (big || ns > 0))
		return VALUE_NEGATIVE;
	if (big || ns > INT64_MAX)
		return VALUE_TOO_BIG;
	*ret_ns = (int64_t)ns;
	return VALUE_OK;
}

enum value_result value_bool(const char *text, size_t size, bool *ret)
{
	static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strlen(words[i]) == size && memcmp(words[i], text, size) == 0) {
			*ret = i % 2 != 0;
			return VALUE_OK;
		}
	return VALUE_SYNTAX;
}

static const struct {
	const char *name, *article;
} types[] = {
	[0] = {"?", "a value"},
	[PC_T_BOOL] = {"bool", "true or false"},
	[PC_T_I64] = {"i64", "a whole number"},
	[PC_T_U64] = {"u64", "a whole number from 0 up"},
	[PC_T_F64] = {"f64", "a number such as 1.5"},
	[PC_T_STRING] = {"string", "a text"},
	[PC_T_ENUM] = {"enum", "one of its words"},
	[PC_T_DURATION] = {"duration", "a duration such as 250ms"},
	[PC_T_BYTES] = {"bytes", "a size such as 64Ki"},
	[PC_T_PATH] = {"path", "a path"},
};

const char *value_type_name(uint32_t type)
{
	return types[type < sizeof(types) / sizeof(types[0]) ? type : 0].name;
}

const char *value_type_article(uint32_t type)
{
	return types[type < sizeof(types) / sizeof(types[0]) ? type : 0].article;
}

void value_duration_text(struct buf *out, int64_t ns)
{
	uint64_t left = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns, fraction;
	char best[64] = "0", text[64];
	size_t best_size = SIZE_MAX, n;
	int places;

	if (ns < 0)
		buf_addc(out, '-');
	for (const struct unit *u = times; left > 0 && u->name; u++) {
		fraction = left % u->factor;
		if (fraction > 0 && u->factor > 1000000000)
			break; /* parts of minutes and hours are not decimal */
		places = 0;
		for (uint64_t f = u->factor; f > 1; f /= 10)
			places += f <= 1000000000;
		n = (size_t)snprintf(text, sizeof(text), "%llu",
		                     (unsigned long long)(left / u->factor));
		if (fraction > 0) {
			n += (size_t)snprintf(text + n, sizeof(text) - n, ".%0*llu", places,
			                      (unsigned long long)fraction);
			while (text[n - 1] == '0')
				n--;
		}
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s", u->name);
		if (n < best_size) {
			best_size = n;
			memcpy(best, text, sizeof(best));
		}
	}
	buf_adds(out, best);
}
