/* plan/difference-param.c: which parameters of a stage another text gives other values.
 *
 * Called by difference.c. Values are compared as they lie in the state, by the name of their
 * parameter; texts as texts. When the plugin has been built anew, its new parameters and new
 * defaults are the swap's business (engine/swap-param.c): only what the text says otherwise counts. */
#include "plan/match.h"

#include "loader/param.h"

#include <string.h>

static const struct pc_param *param_named(const struct pc_stage_desc *desc, const char *name)
{
	for (uint32_t i = 0; i < desc->n_params; i++)
		if (strcmp(desc->params[i].name, name) == 0)
			return &desc->params[i];
	return NULL;
}

static bool is_default(const struct pc_param *row, const char *value)
{
	struct buf text = {0};
	uint64_t def[2] = {0};
	struct pc_param at_zero = *row;
	bool same = false;

	at_zero.offset = 0;
	if (row->def && loader_param_parse(row, row->def, strlen(row->def), def, &text)) {
		buf_fini(&text);
		loader_param_text(&text, &at_zero, def);
		same = strcmp(text.text ? text.text : "", value) == 0;
	}
	buf_fini(&text);
	return same;
}

unsigned difference_params(const struct plan_stage *old, const struct plan_stage *new,
                           struct buf *text, size_t *n_lines, const char **ret_name)
{
	const struct pc_stage_desc *before = plan_params_desc(old);
	unsigned changes = 0;

	for (uint32_t i = 0; i < new->desc->n_params; i++) {
		const struct pc_param *row = &new->desc->params[i];
		const struct pc_param *was = param_named(before, row->name);
		struct buf a = {0}, b = {0};
		bool same;

		if (!was || was->type != row->type)
			continue;
		loader_param_text(&a, was, old->params);
		loader_param_text(&b, row, new->params);
		same = strcmp(a.text ? a.text : "", b.text ? b.text : "") == 0;
		if (!same && before != new->desc)
			same = is_default(was, a.text ? a.text : "") &&
			       is_default(row, b.text ? b.text : "");
		if (!same && (row->flags & PC_LIVE)) {
			changes |= CHANGE_LIVE;
			buf_addf(text, "stage '%s': %s is %s now, and was %s\n", new->name,
			         row->name, b.text ? b.text : "\"\"", a.text ? a.text : "\"\"");
			(*n_lines)++;
		} else if (!same && !*ret_name) {
			*ret_name = row->name;
		}
		buf_fini(&a);
		buf_fini(&b);
	}
	return changes;
}
