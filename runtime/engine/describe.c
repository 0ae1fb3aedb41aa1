/* engine/describe.c: a checked graph, as people and programs read it.
 *
 * Called by the embedding program before or after the start: only the plan is read, which never
 * changes. Text is indented lines, a line per thing; JSON is one line.
 */
#include "engine/engine.h"

#include "loader/param.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------------- writing --- */

/* Bytes of strings may be anything: what is no ASCII text is escaped. */
static void add_string(struct buf *out, const char *string)
{
	if (!string) {
		buf_adds(out, "null");
		return;
	}
	buf_addc(out, '"');
	for (const unsigned char *c = (const unsigned char *)string; *c; c++)
		if (*c == '"' || *c == '\\')
			buf_addf(out, "\\%c", *c);
		else if (*c < 0x20 || *c == 0x7f)
			buf_addf(out, "\\u%04x", *c);
		else
			buf_addc(out, (char)*c);
	buf_addc(out, '"');
}

static void add_pair(struct buf *out, const char *before, const char *key, const char *value)
{
	buf_addf(out, "%s\"%s\":", before, key);
	add_string(out, value);
}

static void add_flag(struct buf *out, const char *key, bool value)
{
	buf_addf(out, ",\"%s\":%s", key, value ? "true" : "false");
}

typedef const char *name_fn(const struct plan *plan, uint32_t index);

static const char *stage_name(const struct plan *plan, uint32_t index)
{
	return plan->stages[index].name;
}

static const char *queue_name(const struct plan *plan, uint32_t index)
{
	return plan->queues[index].name;
}

static const char *join_name(const struct plan *plan, uint32_t index)
{
	return index == PLAN_NONE ? NULL : plan->joins[index].name;
}

/* JSON: `,"key":["a","b"]`; text: "a, b", after ", " when something stands there already. */
static void add_names(struct buf *out, const char *key, const struct plan *plan, name_fn *name,
                      const uint32_t *list, uint32_t n, bool *more)
{
	if (key)
		buf_addf(out, ",\"%s\":[", key);
	for (uint32_t i = 0; i < n; i++) {
		if (key) {
			buf_adds(out, i ? "," : "");
			add_string(out, name(plan, list[i]));
		} else {
			buf_addf(out, "%s%s", *more ? ", " : "", name(plan, list[i]));
			*more = true;
		}
	}
	if (key)
		buf_addc(out, ']');
}

/* ------------------------------------------------------------------------------- stages --- */

static const char *const on_error_words[] = {[PLAN_FAIL] = "fail",
                                             [PLAN_SKIP] = "skip",
                                             [PLAN_RETRY] = "retry",
                                             [PLAN_DEAD] = "dead"};

static const char *section_name(const struct plan *plan, uint32_t section)
{
	return section == PLAN_NONE ? NULL : plan->sections[section].name;
}

static void add_params(struct buf *out, const struct plan_stage *s, bool json)
{
	buf_adds(out, json ? ",\"parameters\":{" : "(");
	for (uint32_t i = 0; i < s->desc->n_params; i++) {
		const struct pc_param *row = &s->desc->params[i];
		bool is_text = row->type == PC_T_STRING || row->type == PC_T_PATH;
		struct buf value = {0};
		char *text;

		loader_param_text(&value, row, s->params);
		text = buf_take(&value);
		buf_adds(out, i == 0 ? "" : json ? "," : ", ");
		if (json)
			add_pair(out, "", row->name, text);
		else
			buf_addf(out, "%s=", row->name);
		if (!json && is_text)
			add_string(out, text);
		else if (!json)
			buf_adds(out, text ? text : "?");
		free(text);
	}
	buf_adds(out, json ? "}" : ")");
}

static void text_stage(struct buf *out, const struct plan *plan, const struct plan_stage *s)
{
	buf_addf(out, "  %s = %s", s->name, s->plugin_name);
	add_params(out, s, false);
	if (s->replicas > 1)
		buf_addf(out, " replicas=%u", s->replicas);
	if (s->ordered)
		buf_adds(out, " ordered");
	if (s->by)
		buf_addf(out, " by=%s", s->by);
	if (s->daemon)
		buf_addf(out, " daemon until=%s", join_name(plan, s->until));
	if (s->start != PLAN_JOIN_START)
		buf_addf(out, " start=%s", join_name(plan, s->start));
	if (s->section != PLAN_NONE)
		buf_addf(out, " critical=%s", section_name(plan, s->section));
	if (s->own_thread)
		buf_adds(out, " thread=own");
	if (s->on_error == PLAN_RETRY)
		buf_addf(out, " on_error=retry=%u", s->retries);
	else if (s->on_error == PLAN_DEAD)
		buf_addf(out, " on_error=dead=%s", queue_name(plan, s->dead_queue));
	else if (s->on_error != PLAN_FAIL)
		buf_addf(out, " on_error=%s", on_error_words[s->on_error]);
	buf_addf(out, "  (%s)\n", s->plugin->file);
	for (uint32_t i = 0; i < s->desc->n_inputs; i++)
		buf_addf(out, "    %s: %s from '%s'\n", s->desc->inputs[i].name,
		         s->inputs[i].type, queue_name(plan, s->inputs[i].queue));
	for (uint32_t i = 0; i < s->desc->n_outputs; i++) {
		const struct plan_output *o = &s->outputs[i];

		buf_addf(out, "    %s: %s to", s->desc->outputs[i].name, o->type);
		for (uint32_t k = 0; k < o->n_queues; k++)
			buf_addf(out, "%s '%s'", k ? "," : "", queue_name(plan, o->queues[k]));
		buf_adds(out, o->n_queues ? "\n" : " nobody\n");
	}
}

static void json_stage(struct buf *out, const struct plan *plan, const struct plan_stage *s)
{
	bool dead = s->on_error == PLAN_DEAD;

	add_pair(out, "{", "name", s->name);
	add_pair(out, ",", "plugin", s->plugin_name);
	add_pair(out, ",", "plugin_file", s->plugin->file);
	add_pair(out, ",", "file", s->file);
	buf_addf(out, ",\"line\":%u,\"replicas\":%u", s->line, s->replicas);
	add_flag(out, "ordered", s->ordered);
	add_pair(out, ",", "by", s->by);
	add_flag(out, "daemon", s->daemon);
	add_pair(out, ",", "until", s->daemon ? join_name(plan, s->until) : NULL);
	add_pair(out, ",", "start", join_name(plan, s->start));
	add_pair(out, ",", "section", section_name(plan, s->section));
	add_flag(out, "own_thread", s->own_thread);
	add_pair(out, ",", "on_error", on_error_words[s->on_error]);
	buf_addf(out, ",\"retries\":%u", s->on_error == PLAN_RETRY ? s->retries : 0);
	add_pair(out, ",", "dead", dead ? queue_name(plan, s->dead_queue) : NULL);
	add_params(out, s, true);
	buf_adds(out, ",\"inputs\":[");
	for (uint32_t i = 0; i < s->desc->n_inputs; i++) {
		add_pair(out, i ? ",{" : "{", "port", s->desc->inputs[i].name);
		add_pair(out, ",", "type", s->inputs[i].type);
		add_pair(out, ",", "queue", queue_name(plan, s->inputs[i].queue));
		buf_addc(out, '}');
	}
	buf_adds(out, "],\"outputs\":[");
	for (uint32_t i = 0; i < s->desc->n_outputs; i++) {
		const struct plan_output *o = &s->outputs[i];

		add_pair(out, i ? ",{" : "{", "port", s->desc->outputs[i].name);
		add_pair(out, ",", "type", o->type);
		add_names(out, "queues", plan, queue_name, o->queues, o->n_queues, NULL);
		buf_addc(out, '}');
	}
	buf_adds(out, "]}");
}

/* ------------------------------------------------------------- queues, joins, sections --- */

static const char *const full_words[] = {[PC_FULL_BLOCK] = "block",
                                         [PC_FULL_DROP_NEW] = "drop-new",
                                         [PC_FULL_DROP_OLD] = "drop-old",
                                         [PC_FULL_ERROR] = "error"};

static void queue(struct buf *out, const struct plan *plan, const struct plan_queue *q,
                  bool json)
{
	bool more = false;

	if (json) {
		add_pair(out, "{", "name", q->name);
		add_pair(out, ",", "file", q->file);
		buf_addf(out, ",\"line\":%u,\"capacity\":%u", q->line, q->capacity);
		add_pair(out, ",", "full", full_words[q->full]);
		add_flag(out, "feedback", q->feedback);
		add_names(out, "writers", plan, stage_name, q->writers, q->n_writers, NULL);
		add_names(out, "readers", plan, stage_name, q->readers, q->n_readers, NULL);
		buf_addc(out, '}');
		return;
	}
	buf_addf(out, "  %s  capacity=%u", q->name, q->capacity);
	if (q->full != PC_FULL_BLOCK)
		buf_addf(out, " full=%s", full_words[q->full]);
	buf_adds(out, q->feedback ? " feedback" : "");
	if (!q->declared) { /* its name says the rest */
		buf_addc(out, '\n');
		return;
	}
	buf_adds(out, ": ");
	add_names(out, NULL, plan, stage_name, q->writers, q->n_writers, &more);
	buf_adds(out, " -> ");
	more = false;
	add_names(out, NULL, plan, stage_name, q->readers, q->n_readers, &more);
	buf_addc(out, '\n');
}

static void join(struct buf *out, const struct plan *plan, const struct plan_join *j, bool json)
{
	bool more = false;

	if (json)
		add_pair(out, "{", "name", j->name);
	else
		buf_addf(out, "  %s after ", j->name);
	add_names(out, json ? "stages" : NULL, plan, stage_name, j->stages, j->n_stages, &more);
	add_names(out, json ? "queues" : NULL, plan, queue_name, j->queues, j->n_queues, &more);
	add_names(out, json ? "joins" : NULL, plan, join_name, j->joins, j->n_joins, &more);
	buf_adds(out, json ? "}" : more ? "\n" : "nothing\n");
}

static void section(struct buf *out, const struct plan *plan, uint32_t index, bool json)
{
	bool more = false;

	if (json) {
		add_pair(out, "{", "name", plan->sections[index].name);
		buf_adds(out, ",\"stages\":[");
	} else {
		buf_addf(out, "  %s: ", plan->sections[index].name);
	}
	for (uint32_t i = 0; i < plan->n_stages; i++) {
		if (plan->stages[i].section != index)
			continue;
		buf_adds(out, !more ? "" : json ? "," : ", ");
		if (json)
			add_string(out, plan->stages[i].name);
		else
			buf_adds(out, plan->stages[i].name);
		more = true;
	}
	buf_adds(out, json ? "]}" : "\n");
}

/* --------------------------------------------------------------------------- shared state --- */

static void add_values(struct buf *out, const struct plan_shared *s, bool json)
{
	for (uint32_t i = 0; i < s->n_values; i++) {
		const struct plan_value *v = &s->values[i];

		buf_adds(out, i == 0 ? "" : json ? "," : ", ");
		if (json)
			add_string(out, v->key);
		else
			buf_adds(out, v->key);
		buf_addc(out, json ? ':' : '=');
		if (v->is_number)
			buf_addf(out, "%" PRId64, v->number);
		else
			add_string(out, v->text);
	}
}

static void shared(struct buf *out, const struct plan *plan, const struct plan_shared *s,
                   bool json)
{
	const char *owner = section_name(plan, s->section);

	if (json) {
		add_pair(out, "{", "name", s->name);
		add_pair(out, ",", "kind", s->kind == SHARED_DICT ? "dict" : "bytes");
		add_pair(out, ",", "file", s->file);
		buf_addf(out, ",\"line\":%u,\"size_bytes\":%zu", s->line, s->size_bytes);
		add_pair(out, ",", "section", owner);
		buf_adds(out, ",\"values\":{");
		add_values(out, s, true);
		buf_adds(out, "}}");
		return;
	}
	buf_addf(out, "  %s = ", s->name);
	if (s->kind == SHARED_DICT) {
		buf_adds(out, "dict(");
		add_values(out, s, false);
		buf_adds(out, ")");
	} else {
		buf_addf(out, "bytes(size=%zu)", s->size_bytes);
	}
	if (owner)
		buf_addf(out, ", updated in the critical section '%s'\n", owner);
	else
		buf_adds(out, ", updated by nobody who says so\n");
}

/* ------------------------------------------------------------------------------- together --- */

static void begin(struct buf *out, const char *what, uint32_t n, bool json)
{
	if (json)
		buf_addf(out, "%s\"%s\":[", out->size > 1 ? "," : "", what);
	else if (n > 0)
		buf_addf(out, "%s\n", what);
}

/* One of several: the comma before it, or nothing. */
static struct buf *next(struct buf *out, uint32_t index, bool json)
{
	if (json && index > 0)
		buf_addc(out, ',');
	return out;
}

void describe_plan(const struct plan *plan, bool json, struct buf *out)
{
	const char *end = json ? "]" : "";

	buf_adds(out, json ? "{" : "");
	begin(out, "stages", plan->n_stages, json);
	for (uint32_t i = 0; i < plan->n_stages; i++)
		(json ? json_stage : text_stage)(next(out, i, json), plan, &plan->stages[i]);
	buf_adds(out, end);
	begin(out, "queues", plan->n_queues, json);
	for (uint32_t i = 0; i < plan->n_queues; i++)
		queue(next(out, i, json), plan, &plan->queues[i], json);
	buf_adds(out, end);
	begin(out, "joins", plan->n_joins, json);
	/* `start` comes first, and there is nothing to be said of it. */
	for (uint32_t i = json ? 0 : PLAN_JOIN_START + 1; i < plan->n_joins; i++)
		join(next(out, i, json), plan, &plan->joins[i], json);
	buf_adds(out, end);
	begin(out, "sections", plan->n_sections, json);
	for (uint32_t i = 0; i < plan->n_sections; i++)
		section(next(out, i, json), plan, i, json);
	buf_adds(out, end);
	begin(out, json ? "shared" : "shared state", plan->n_shareds, json);
	for (uint32_t i = 0; i < plan->n_shareds; i++)
		shared(next(out, i, json), plan, &plan->shareds[i], json);
	buf_adds(out, json ? "]}\n" : "");
}
