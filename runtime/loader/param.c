/* loader/param.c: typed values from text, through a row of a parameter table.
 *
 * The notation is base/value.h's, for values, defaults and ranges alike. */
#include "loader/param.h"

#include "base/near.h"
#include "base/value.h"

#include <inttypes.h>
#include <string.h>

union value {
	bool b;
	int64_t i;
	uint64_t u;
	double f;
	const char *s;
	uint32_t e;
};

size_t loader_param_size(uint32_t type)
{
	switch (type) {
	case PC_T_BOOL:
		return sizeof(bool);
	case PC_T_I64:
	case PC_T_U64:
	case PC_T_F64:
	case PC_T_DURATION:
	case PC_T_BYTES:
		return sizeof(uint64_t);
	case PC_T_STRING:
	case PC_T_PATH:
		return sizeof(const char *);
	case PC_T_ENUM:
		return sizeof(uint32_t);
	default:
		return 0;
	}
}

static enum value_result parse_number(uint32_t type, const char *text, size_t size,
                                      union value *v)
{
	switch (type) {
	case PC_T_BOOL:
		return value_bool(text, size, &v->b);
	case PC_T_I64:
		return value_i64(text, size, &v->i);
	case PC_T_U64:
		return value_u64(text, size, &v->u);
	case PC_T_F64:
		return value_f64(text, size, &v->f);
	case PC_T_DURATION:
		return value_duration(text, size, &v->i);
	case PC_T_BYTES:
		return value_bytes(text, size, &v->u);
	default:
		return VALUE_SYNTAX;
	}
}

static bool is_ordered(uint32_t type)
{
	return type == PC_T_I64 || type == PC_T_U64 || type == PC_T_F64 ||
	       type == PC_T_DURATION || type == PC_T_BYTES;
}

static bool is_less(uint32_t type, const union value *a, const union value *b)
{
	if (type == PC_T_F64)
		return a->f < b->f;
	if (type == PC_T_U64 || type == PC_T_BYTES)
		return a->u < b->u;
	return a->i < b->i;
}

struct range {
	bool has_low, has_high;
	union value low, high;
};

/* "1..64", "1..", "..0.5" */
static bool parse_range(const struct pc_param *row, struct range *ret)
{
	const char *dots = strstr(row->range, "..");
	const char *high;

	*ret = (struct range){0};
	if (!dots)
		return false;
	high = dots + 2;
	ret->has_low = dots != row->range;
	ret->has_high = *high != '\0';
	if (ret->has_low && parse_number(row->type, row->range, (size_t)(dots - row->range),
	                                 &ret->low) != VALUE_OK)
		return false;
	if (ret->has_high &&
	    parse_number(row->type, high, strlen(high), &ret->high) != VALUE_OK)
		return false;
	return ret->has_low || ret->has_high;
}

bool loader_param_range(const struct pc_param *row, struct buf *why)
{
	struct range range;

	if (!is_ordered(row->type)) {
		buf_addf(why, "a %s has no range", value_type_name(row->type));
		return false;
	}
	if (!parse_range(row, &range)) {
		buf_addf(why, "'%s' is not a range of %s: write 1..64, 1.. or ..64", row->range,
		         value_type_name(row->type));
		return false;
	}
	if (range.has_low && range.has_high && is_less(row->type, &range.high, &range.low)) {
		buf_addf(why, "the range %s is empty", row->range);
		return false;
	}
	return true;
}

static bool parse_enum(const struct pc_param *row, const char *text, size_t size, uint32_t *ret,
                       struct buf *why)
{
	struct near near = NEAR_INIT(text, size);

	for (uint32_t i = 0; row->names && row->names[i]; i++) {
		if (strlen(row->names[i]) == size && memcmp(row->names[i], text, size) == 0) {
			*ret = i;
			return true;
		}
		near_offer(&near, row->names[i]);
	}
	buf_addf(why, "'%.*s' is none of", (int)size, text);
	for (uint32_t i = 0; row->names && row->names[i]; i++)
		buf_addf(why, "%s %s", i > 0 ? "," : "", row->names[i]);
	if (near.best)
		buf_addf(why, "; did you mean '%s'?", near.best);
	return false;
}

static bool in_range(const struct pc_param *row, const union value *v)
{
	struct range range;

	if (!row->range || !is_ordered(row->type) || !parse_range(row, &range))
		return true;
	return !(range.has_low && is_less(row->type, v, &range.low)) &&
	       !(range.has_high && is_less(row->type, &range.high, v));
}

bool loader_param_parse(const struct pc_param *row, const char *text, size_t size, void *value,
                        struct buf *why)
{
	union value v = {.u = 0};

	if (row->type == PC_T_STRING || row->type == PC_T_PATH) {
		if (memchr(text, '\0', size)) {
			buf_adds(why, "a text with a NUL byte in it can't be given");
			return false;
		}
		v.s = text;
	} else if (row->type == PC_T_ENUM) {
		if (!parse_enum(row, text, size, &v.e, why))
			return false;
	} else {
		switch (parse_number(row->type, text, size, &v)) {
		case VALUE_OK:
			break;
		case VALUE_TOO_BIG:
			buf_addf(why, "'%.*s' does not fit a %s", (int)size, text,
			         value_type_name(row->type));
			return false;
		case VALUE_NEGATIVE:
			buf_addf(why, "'%.*s' is negative; %s is wanted", (int)size, text,
			         value_type_article(row->type));
			return false;
		case VALUE_SYNTAX:
			buf_addf(why, "'%.*s' is not %s", (int)size, text,
			         value_type_article(row->type));
			return false;
		}
		if (!in_range(row, &v)) {
			buf_addf(why, "%.*s is outside %s%s%s", (int)size, text, row->range,
			         row->unit ? " " : "", row->unit ? row->unit : "");
			return false;
		}
	}
	memcpy(value, &v, loader_param_size(row->type));
	return true;
}

void loader_param_text(struct buf *out, const struct pc_param *row, const void *params)
{
	const char *at = (const char *)params + row->offset;
	union value v = {.u = 0};

	memcpy(&v, at, loader_param_size(row->type));
	switch ((enum pc_type)row->type) {
	case PC_T_BOOL:
		buf_adds(out, v.b ? "true" : "false");
		break;
	case PC_T_I64:
		buf_addf(out, "%" PRId64, v.i);
		break;
	case PC_T_U64:
	case PC_T_BYTES:
		buf_addf(out, "%" PRIu64, v.u);
		break;
	case PC_T_F64:
		buf_addf(out, "%.17g", v.f);
		break;
	case PC_T_DURATION:
		value_duration_text(out, v.i);
		break;
	case PC_T_ENUM:
		for (uint32_t i = 0; row->names && row->names[i]; i++)
			if (i == v.e)
				buf_adds(out, row->names[i]);
		break;
	case PC_T_STRING:
	case PC_T_PATH:
		buf_adds(out, v.s ? v.s : "");
		break;
	}
}
