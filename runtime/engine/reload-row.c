/* engine/reload-row.c: rows of a plan that outlive it.
 *
 * A stage may run through very many reloads that do not concern it, each with a text and a plan of
 * its own. So that these can be freed, whatever a reload makes or changes gets a copy of its row, in
 * which nothing points into plan or text: names are kept once for ever, and a reference keeps the
 * plugin loaded. The first row of a stage stays as long as the stage does: its first build has its
 * parameters and its descriptor from there. What comes from the graph's first plan, which stays,
 * needs no copy.
 *
 * Control thread; reload_keep_text() on the thread of the reload, too, which waits meanwhile, or is not
 * there.
 */
#include "engine/engine.h"

#include "lang/names.h"
#include "loader/held.h"

#include <stdlib.h>
#include <string.h>

const char *reload_keep_text(struct engine *e, const char *text)
{
	struct reload_engine *re = &e->reload;
	size_t size = strlen(text);
	const char *copy = NULL;
	uint32_t at;

	pthread_mutex_lock(&e->shape);
	/* What failed once, may work now. */
	re->texts.failed = re->table.failed = false;
	at = names_find(&re->names, text, size);
	if (at != NAMES_NONE) {
		copy = re->list[at];
	} else if (re->names.n < NAMES_NONE) {
		const char **list;

		at = (uint32_t)re->names.n;
		list = arena_grow(&re->table, re->list, at, sizeof(*list));
		if (list)
			re->list = list;
		copy = list ? arena_text(&re->texts, text, size) : NULL;
		if (copy) {
			list[at] = copy;
			if (!names_add(&re->names, &re->table, copy, size, at))
				copy = NULL;
		}
	}
	pthread_mutex_unlock(&e->shape);
	return copy;
}

const char *reload_kept_text(const struct engine *e, const char *text)
{
	uint32_t at = names_find(&e->reload.names, text, strlen(text));

	return at == NAMES_NONE ? NULL : e->reload.list[at];
}

/* ---------------------------------------------------------------------------------- rows --- */

struct copier {
	struct engine *e;
	char *at; /* room for lists, behind the row */
	bool failed;
};

static const char *text(struct copier *c, const char *text)
{
	const char *copy = text ? reload_keep_text(c->e, text) : NULL;

	c->failed |= text && !copy;
	return copy;
}

static size_t rounded(size_t size)
{
	const size_t align = _Alignof(max_align_t);

	return (size + align - 1) / align * align;
}

static void *bytes(struct copier *c, const void *from, size_t size)
{
	void *at = c->at;

	if (size > 0)
		memcpy(at, from, size);
	c->at += rounded(size);
	return at;
}

static size_t room_for(const struct plan_stage *s)
{
	size_t size = rounded(s->desc->n_inputs * sizeof(*s->inputs)) +
	              rounded(s->desc->n_outputs * sizeof(*s->outputs)) +
	              rounded(plan_params_desc(s)->state_size);

	for (uint32_t i = 0; i < s->desc->n_outputs; i++)
		size += rounded(s->outputs[i].n_queues * sizeof(uint32_t));
	return size;
}

/* Strings among them are kept, too: states point to them. */
static void copy_params(struct copier *c, struct plan_stage *s,
                        const struct pc_stage_desc *desc)
{
	char *params = bytes(c, s->params, desc->state_size);

	for (uint32_t i = 0; i < desc->n_params; i++) {
		const struct pc_param *row = &desc->params[i];
		const char *string;

		if (row->type != PC_T_STRING && row->type != PC_T_PATH)
			continue;
		memcpy(&string, params + row->offset, sizeof(string));
		string = text(c, string);
		memcpy(params + row->offset, &string, sizeof(string));
	}
	s->params = params;
}

static void copy_ports(struct copier *c, struct plan_stage *s)
{
	s->inputs = bytes(c, s->inputs, s->desc->n_inputs * sizeof(*s->inputs));
	s->outputs = bytes(c, s->outputs, s->desc->n_outputs * sizeof(*s->outputs));
	for (uint32_t i = 0; i < s->desc->n_inputs; i++)
		s->inputs[i].type = text(c, s->inputs[i].type);
	for (uint32_t i = 0; i < s->desc->n_outputs; i++) {
		s->outputs[i].type = text(c, s->outputs[i].type);
		s->outputs[i].queues = bytes(c, s->outputs[i].queues,
		                             s->outputs[i].n_queues * sizeof(uint32_t));
	}
}

struct stage_row *reload_stage_row(struct engine *e, const struct plan_stage *from)
{
	struct stage_row *row = calloc(1, rounded(sizeof(*row)) + room_for(from));
	struct copier c = {.e = e, .at = (char *)row + rounded(sizeof(*row))};
	struct plan_stage *s;

	if (!row)
		return NULL;
	s = &row->plan;
	*s = *from;
	s->plugin = from->plugin ? held_ref(from->plugin) : NULL;
	s->name = text(&c, s->name);
	s->plugin_name = text(&c, s->plugin_name);
	s->file = text(&c, s->file);
	s->by = text(&c, s->by);
	row->plugin = text(&c, s->desc->name);
	row->file = s->plugin ? text(&c, s->plugin->file) : NULL;
	copy_params(&c, s, plan_params_desc(from));
	copy_ports(&c, s);
	if (!c.failed)
		return row;
	reload_row_free(row);
	return NULL;
}

void reload_row_free(struct stage_row *row)
{
	if (!row)
		return;
	loader_close(row->plan.plugin);
	free(row);
}

void reload_rows_free(struct stage *s)
{
	while (s->rows) {
		struct stage_row *row = s->rows;

		s->rows = row->older;
		reload_row_free(row);
	}
}

void reload_rows_trim(struct stage *s)
{
	while (s->pins == 0 && s->rows && s->rows->older &&
	       (s->rows->older->older || !s->loose)) {
		struct stage_row *row = s->rows->older;

		s->rows->older = row->older;
		reload_row_free(row);
	}
}

/* Who writes and reads it stands in the plan alone. */
struct plan_queue *reload_queue_row(struct engine *e, const struct plan_queue *from)
{
	struct plan_queue *row = malloc(sizeof(*row));
	struct copier c = {.e = e};

	if (!row)
		return NULL;
	*row = *from;
	row->writers = row->readers = NULL;
	row->n_writers = row->n_readers = 0;
	row->name = text(&c, from->name);
	row->file = text(&c, from->file);
	if (!c.failed)
		return row;
	free(row);
	return NULL;
}

/* Rows of what goes are those that it has itself by now: the plan before is freed. */
void reload_rows_settle(struct engine *e, struct plan *plan)
{
	for (uint32_t i = 0; i < plan->n_stages; i++)
		if (plan->stages[i].gone && !plan->stages[i].vacant) {
			plan->stages[i] = *e->stages[i]->plan;
			plan->stages[i].gone = true;
		}
	for (uint32_t i = 0; i < plan->n_queues; i++)
		if (plan->queues[i].gone && !plan->queues[i].vacant) {
			plan->queues[i] = *e->places[i]->plan;
			plan->queues[i].n_writers = plan->queues[i].n_readers = 0;
			plan->queues[i].gone = true;
		}
	for (uint32_t i = 0; i < plan->n_joins; i++)
		if (plan->joins[i].gone)
			plan->joins[i].name = "(removed)";
	for (uint32_t i = 0; i < plan->n_sections; i++)
		plan->sections[i].name = e->sections[i]->plan->name;
}
