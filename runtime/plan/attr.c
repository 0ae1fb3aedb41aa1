/* plan/attr.c: one attribute, NAME or NAME=VALUE: is its value of the kind that is wanted?
 *
 * Used by attrs.c for stages and by queues.c for queues, on the control thread. Each reports what
 * is wrong: what was found, what was expected, and where the value came from. */
#include "plan/make.h"

#include "base/value.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void plan_value_origin(struct make *m, struct diag *error, const struct lang_value *value)
{
	if (!value->param)
		return;
	if (value->origin.source)
		diag_note(m->diags, error, value->origin, "the value comes from here");
	else
		diag_note(m->diags, error, value->origin, "the value comes from -D %s",
		          value->param);
}

struct diag *plan_attr_error(struct make *m, const struct lang_attr *attr, const char *wanted)
{
	const struct lang_value *v = &attr->value;
	struct diag *e;

	if (!v->text)
		return diag_error(m->diags, attr->name.span, "'%s' wants a value: %s",
		                  attr->name.text, wanted);
	e = diag_error(m->diags, v->span, "'%s' wants %s, not '%s'", attr->name.text, wanted,
	               v->text);
	plan_value_origin(m, e, v);
	return e;
}

bool plan_attr_number(struct make *m, const struct lang_attr *attr, uint64_t low, uint64_t high,
                      uint32_t *ret)
{
	char wanted[96];
	uint64_t n;

	if (attr->value.text && value_u64(attr->value.text, attr->value.size, &n) == VALUE_OK &&
	    n >= low && n <= high) {
		*ret = (uint32_t)n;
		return true;
	}
	snprintf(wanted, sizeof(wanted), "a whole number from %" PRIu64 " to %" PRIu64, low,
	         high);
	plan_attr_error(m, attr, wanted);
	return false;
}

int plan_attr_word(struct make *m, const struct lang_attr *attr, const char *const *words)
{
	const struct lang_value *v = &attr->value;
	struct near near = NEAR_INIT(v->text, v->size);
	struct buf wanted = {0};
	struct diag *e;
	int i;

	for (i = 0; v->text && words[i]; i++)
		if (strcmp(words[i], v->text) == 0)
			return i;
	for (i = 0; words[i]; i++) {
		if (v->text)
			near_offer(&near, words[i]);
		buf_addf(&wanted, "%s%s", i == 0 ? "" : words[i + 1] ? ", " : " or ", words[i]);
	}
	e = plan_attr_error(m, attr, wanted.text ? wanted.text : "");
	plan_hint_near(m, e, &near);
	buf_fini(&wanted);
	return -1;
}

bool plan_attr_is_flag(struct make *m, const struct lang_attr *attr)
{
	if (!attr->value.text)
		return true;
	diag_error(m->diags, attr->value.span, "'%s' takes no value", attr->name.text);
	return false;
}

bool plan_attr_has_value(struct make *m, const struct lang_attr *attr, const char *wanted)
{
	if (attr->value.text && attr->value.size > 0)
		return true;
	plan_attr_error(m, attr, wanted);
	return false;
}

bool plan_attr_twice(struct make *m, const struct lang_attr *attrs,
                     const struct lang_attr *attr)
{
	struct diag *e;

	for (; attrs < attr; attrs++)
		if (strcmp(attrs->name.text, attr->name.text) == 0) {
			e = diag_error(m->diags, attr->name.span, "'%s' stands here twice",
			               attr->name.text);
			diag_note(m->diags, e, attrs->name.span, "the first time is here");
			return true;
		}
	return false;
}
