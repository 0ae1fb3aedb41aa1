/* engine/swap-param.c: what becomes of parameters when a stage gets another build.
 *
 * Control thread. Parameters go by name, always: the name of a parameter is its identity. The
 * value that the graph gave stays; a value that was only the old default follows the new default
 * when the parameter is PC_LIVE or the state is fresh, because else open() has already made
 * something of the old one (an array of that length, say) and would not be told. A value that the
 * new build would not take refuses the build; nothing is clamped in silence.
 *
 * Texts are copied into the engine and stay until its end: a state may point to one of them longer
 * than the build lives from which it came. Equal texts are kept once, so nothing grows by swapping
 * to and fro.
 */
#include "engine/engine.h"

#include "base/error.h"
#include "base/value.h"
#include "loader/param.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum fate {
	FATE_KEPT,        /* the value goes over */
	FATE_ADDED,       /* new: the default */
	FATE_RETYPED,     /* another type: the default, if the graph had not set it */
	FATE_NEW_DEFAULT, /* it was the old default: the new one */
	FATE_OLD_DEFAULT  /* it was the old default, and stays, although that is another now */
};

static bool is_text(uint32_t type)
{
	return type == PC_T_STRING || type == PC_T_PATH;
}

const struct pc_param *swap_param_named(const struct pc_stage_desc *desc, const char *name)
{
	for (uint32_t i = 0; i < desc->n_params; i++)
		if (strcmp(desc->params[i].name, name) == 0)
			return &desc->params[i];
	return NULL;
}

bool swap_param_like(const struct pc_param *a, const struct pc_param *b)
{
	return a->type == b->type || (is_text(a->type) && is_text(b->type));
}

static const char *text_at(const void *params, size_t offset)
{
	const char *text;

	memcpy(&text, (const char *)params + offset, sizeof(text));
	return text;
}

static bool holds_default(const struct pc_param *row, const void *params)
{
	const char *at = (const char *)params + row->offset;
	uint64_t value = 0;
	struct buf why = {0};
	bool same;

	if (!row->def)
		return false;
	if (is_text(row->type)) {
		const char *text = text_at(params, row->offset);

		return text && strcmp(text, row->def) == 0;
	}
	same = loader_param_parse(row, row->def, strlen(row->def), &value, &why) &&
	       memcmp(&value, at, loader_param_size(row->type)) == 0;
	buf_fini(&why);
	return same;
}

static enum fate fate_of(const struct pc_param *row, const struct build *from, unsigned how,
                         const struct pc_param **ret_old)
{
	const struct pc_param *old = swap_param_named(from->desc, row->name);

	*ret_old = old;
	if (!old)
		return FATE_ADDED;
	if (!swap_param_like(old, row))
		return FATE_RETYPED;
	if (!old->def || !row->def || strcmp(old->def, row->def) == 0 ||
	    !holds_default(old, from->params))
		return FATE_KEPT;
	return (row->flags & PC_LIVE) || (how & SWAP_RESET) ? FATE_NEW_DEFAULT
	                                                    : FATE_OLD_DEFAULT;
}

const char *swap_keep_text(struct engine *e, const char *text)
{
	struct swap_engine *sw = &e->swap;
	char **more, *copy;

	for (size_t i = 0; i < sw->n_texts; i++)
		if (strcmp(sw->texts[i], text) == 0)
			return sw->texts[i];
	copy = strdup(text);
	more = copy ? realloc(sw->texts, (sw->n_texts + 1) * sizeof(*more)) : NULL;
	if (!more) {
		free(copy);
		return NULL;
	}
	sw->texts = more;
	sw->texts[sw->n_texts++] = copy;
	return copy;
}

/* Write a value, given as text, into to->params. */
static int set_value(struct stage *s, struct build *to, const struct pc_param *row,
                     const char *text, struct pc_error **err)
{
	struct buf why = {0};
	int rc = PC_OK;

	text = swap_keep_text(s->engine, text);
	if (!text)
		return error_set(err, PC_NOMEM, "out of memory");
	if (!loader_param_parse(row, text, strlen(text), (char *)to->own_params + row->offset,
	                        &why))
		rc = error_set(err, PC_WRONG, "parameter '%s': %s", row->name,
		               why.text ? why.text : "");
	buf_fini(&why);
	return rc;
}

static int set_default(struct stage *s, struct build *to, const struct pc_param *row,
                       struct pc_error **err)
{
	if (row->def)
		return set_value(s, to, row, row->def, err);
	return error_set(err, PC_WRONG,
	                 "parameter '%s' is new and must be given: add it to the graph, or a "
	                 "default to its row",
	                 row->name);
}

static int set_one(struct stage *s, const struct build *from, struct build *to,
                   const struct pc_param *row, unsigned how, struct pc_error **err)
{
	const struct pc_param *old;
	enum fate fate = fate_of(row, from, how, &old);
	struct buf text = {0};
	int rc;

	if (fate == FATE_RETYPED && !holds_default(old, from->params))
		return error_set(err, PC_WRONG,
		                 "parameter '%s' changed from %s to %s, and the graph gives it",
		                 row->name, value_type_name(old->type),
		                 value_type_name(row->type));
	if (fate != FATE_KEPT && fate != FATE_OLD_DEFAULT)
		return set_default(s, to, row, err);
	loader_param_text(&text, old, from->params);
	rc = text.failed ? error_set(err, PC_NOMEM, "out of memory")
	                 : set_value(s, to, row, text.text ? text.text : "", err);
	buf_fini(&text);
	return rc;
}

int swap_params(struct stage *s, const struct build *from, struct build *to, unsigned how,
                struct pc_error **err)
{
	size_t size = to->desc->state_size;

	to->own_params = calloc(1, size ? size : 1);
	if (!to->own_params)
		return error_set(err, PC_NOMEM, "out of memory");
	to->params = to->own_params;
	for (uint32_t i = 0; i < to->desc->n_params; i++) {
		int rc = set_one(s, from, to, &to->desc->params[i], how, err);

		if (rc)
			return rc;
	}
	return PC_OK;
}

static uint32_t count_names(const struct pc_param *row)
{
	uint32_t n = 0;

	while (row->names && row->names[n])
		n++;
	return n;
}

/* For enums whose words stand in another order. False: no memory. */
static bool renumber(struct copy *copy, const struct pc_param *old, const struct pc_param *row)
{
	uint32_t n = count_names(old), m = count_names(row);
	bool same = n <= m;

	for (uint32_t i = 0; i < n && same; i++)
		same = strcmp(old->names[i], row->names[i]) == 0;
	if (same)
		return true;
	copy->numbers = malloc(n * sizeof(*copy->numbers));
	if (!copy->numbers)
		return false;
	copy->n_numbers = n;
	for (uint32_t i = 0; i < n; i++) {
		copy->numbers[i] = PLAN_NONE;
		for (uint32_t k = 0; k < m; k++)
			if (strcmp(old->names[i], row->names[k]) == 0)
				copy->numbers[i] = k;
	}
	return true;
}

static bool append(struct copy **list, uint32_t *n, struct copy copy)
{
	struct copy *more = realloc(*list, (*n + 1) * sizeof(*more));

	if (!more) {
		free(copy.numbers);
		return false;
	}
	*list = more;
	more[(*n)++] = copy;
	return true;
}

/* What of the parameters the replicas have to do at the cut. */
bool swap_param_copies(struct route *route, unsigned how)
{
	bool in_place = route->way == WAY_ADOPT;

	for (uint32_t i = 0; i < route->to->desc->n_params; i++) {
		const struct pc_param *row = &route->to->desc->params[i], *old;
		enum fate fate = fate_of(row, route->from, how, &old);
		struct copy copy = {.to = row->offset, .size = loader_param_size(row->type)};

		if ((how & SWAP_BACK) && fate == FATE_NEW_DEFAULT)
			fate = FATE_KEPT;
		if (fate == FATE_NEW_DEFAULT && in_place) {
			copy.from = row->offset;
			if (!append(&route->sets, &route->n_sets, copy))
				return false;
		}
		if (fate != FATE_KEPT && fate != FATE_OLD_DEFAULT)
			continue;
		copy.from = old->offset;
		if (row->type == PC_T_ENUM && !renumber(&copy, old, row))
			return false;
		if ((!in_place || copy.numbers) &&
		    !append(&route->copies, &route->n_copies, copy))
			return false;
	}
	return true;
}

void swap_param_words(const struct build *from, const struct build *to, unsigned how,
                      struct buf *words)
{
	const char *comma = " | params: ";

	for (uint32_t i = 0; i < to->desc->n_params; i++) {
		const struct pc_param *row = &to->desc->params[i], *old;
		enum fate fate = fate_of(row, from, how, &old);
		struct buf value = {0};

		loader_param_text(&value, row, to->params);
		buf_addf(words, "%s%s %s", comma, row->name, value.text ? value.text : "''");
		comma = ", ";
		if (fate == FATE_KEPT)
			buf_adds(words, " kept");
		else if (fate == FATE_OLD_DEFAULT)
			buf_addf(words, " kept (the new default %s needs a fresh state)",
			         row->def);
		else
			buf_adds(words, fate == FATE_ADDED ? " added" : " by the new default");
		buf_fini(&value);
	}
	for (uint32_t i = 0; i < from->desc->n_params; i++) {
		const struct pc_param *row = &from->desc->params[i];

		if (swap_param_named(to->desc, row->name))
			continue;
		buf_addf(words, "%s%s removed", comma, row->name);
		comma = ", ";
		if (!holds_default(row, from->params))
			buf_adds(words, " though the graph gives it");
	}
}
