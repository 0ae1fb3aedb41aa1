/* engine/probe-read.c: the helper reads what swap-request.c has written, and makes of it the plan of
 * a graph around the one stage: something that writes into each of its inputs, and something that
 * reads each output that is wired.
 *
 * Main thread of pcrun-probe, before the build is loaded. What is made here lives until the
 * helper's end. The request comes from pcrun itself; it is checked all the same, for a helper
 * of another version may be installed.
 */
#include "engine/swap-probe.h"

#include "loader/param.h"

#include <stdlib.h>
#include <string.h>

static void *room(struct probe *p, size_t n, size_t size)
{
	void *at = n < (size_t)1 << 20 ? calloc(n ? n : 1, size ? size : 1) : NULL;

	if (!at)
		probe_end(p, PROBE_BROKEN, "out of memory");
	return at;
}

uint64_t get_number(struct probe *p)
{
	uint64_t n = 0;

	if ((size_t)(p->end - p->at) < sizeof(n)) {
		p->broken = true;
		return 0;
	}
	memcpy(&n, p->at, sizeof(n));
	p->at += sizeof(n);
	return n;
}

const void *get_bytes(struct probe *p, size_t *ret_size)
{
	uint64_t size = get_number(p);
	const char *at = p->at;

	if ((uint64_t)(p->end - p->at) < size) {
		p->broken = true;
		size = 0;
	}
	p->at += size;
	*ret_size = (size_t)size;
	return at;
}

const char *get_text(struct probe *p)
{
	size_t size;
	const char *text;

	if (!get_number(p))
		return NULL;
	text = get_bytes(p, &size);
	if (size > 0 && text[size - 1] == '\0')
		return text;
	p->broken = true;
	return "";
}

/* A count, of things that take at least a number each. */
static uint32_t get_count(struct probe *p)
{
	uint64_t n = get_number(p);

	if (n > (uint64_t)(p->end - p->at) / sizeof(n)) {
		p->broken = true;
		return 0;
	}
	return (uint32_t)n;
}

/* ------------------------------------------------------------------------ the tables --- */

static const struct pc_port *read_ports(struct probe *p, uint32_t *ret_n)
{
	struct pc_port *ports;

	*ret_n = get_count(p);
	ports = room(p, *ret_n, sizeof(*ports));
	for (uint32_t i = 0; i < *ret_n; i++) {
		ports[i].name = get_text(p);
		ports[i].type = get_text(p);
		ports[i].flags = (uint32_t)get_number(p);
		ports[i].doc = "";
	}
	return ports;
}

static const char *const *read_names(struct probe *p)
{
	uint32_t n = get_count(p);
	const char **names = n ? room(p, n, sizeof(*names)) : NULL;

	for (uint32_t i = 0; i + 1 < n; i++)
		names[i] = get_text(p);
	return names;
}

static void read_params(struct probe *p, struct pc_stage_desc *d)
{
	struct pc_param *params;

	d->n_params = get_count(p);
	d->param_size = sizeof(*params);
	d->params = params = room(p, d->n_params, sizeof(*params));
	for (uint32_t i = 0; i < d->n_params; i++) {
		params[i].name = get_text(p);
		params[i].type = (uint32_t)get_number(p);
		params[i].flags = (uint32_t)get_number(p);
		params[i].offset = get_number(p);
		params[i].def = get_text(p);
		params[i].range = get_text(p);
		params[i].names = read_names(p);
		params[i].doc = "";
	}
}

static void read_fields(struct probe *p, struct pc_stage_desc *d)
{
	struct pc_field *fields;

	d->n_fields = get_count(p);
	d->field_size = sizeof(*fields);
	d->fields = fields = room(p, d->n_fields, sizeof(*fields));
	for (uint32_t i = 0; i < d->n_fields; i++) {
		fields[i].name = get_text(p);
		fields[i].kind = (uint32_t)get_number(p);
		fields[i].count = (uint32_t)get_number(p);
		fields[i].offset = get_number(p);
		fields[i].size = get_number(p);
	}
}

/* A state of the old build, as it lay there. NULL: of another size. */
static char *read_state(struct probe *p, const struct pc_stage_desc *d)
{
	size_t size;
	const void *bytes = get_bytes(p, &size);
	char *state;

	if (size != d->state_size) {
		p->broken = true;
		return NULL;
	}
	state = malloc(size ? size : 1);
	if (!state)
		probe_end(p, PROBE_BROKEN, "out of memory");
	if (size > 0)
		memcpy(state, bytes, size);
	return state;
}

static bool is_text(const struct pc_param *row)
{
	return row->type == PC_T_STRING || row->type == PC_T_PATH;
}

/* Zeros, and the parameters. */
static char *read_values(struct probe *p, const struct pc_stage_desc *d)
{
	char *params = calloc(1, d->state_size ? d->state_size : 1);

	if (!params)
		probe_end(p, PROBE_BROKEN, "out of memory");
	for (uint32_t i = 0; i < d->n_params && !p->broken; i++) {
		const struct pc_param *row = &d->params[i];
		size_t size = loader_param_size(row->type);
		const void *value;
		const char *text;

		if (is_text(row)) {
			text = get_text(p);
			value = &text;
		} else {
			size_t got;

			value = get_bytes(p, &got);
			p->broken = p->broken || got != size;
		}
		if (!p->broken && row->offset + size <= d->state_size)
			memcpy(params + row->offset, value, size);
	}
	return params;
}

static void copy_texts(const struct pc_stage_desc *d, const char *params, char *state)
{
	for (uint32_t i = 0; i < d->n_params; i++)
		if (is_text(&d->params[i]))
			memcpy(state + d->params[i].offset, params + d->params[i].offset,
			       loader_param_size(d->params[i].type));
}

static void read_items(struct probe *p)
{
	uint32_t n = get_count(p);

	for (uint32_t i = 0; i < n && i < PROBE_ITEMS && !p->broken; i++) {
		struct probe_item *item = &p->items[i];

		item->port = (uint32_t)get_number(p);
		item->bytes = get_bytes(p, &item->size);
		item->n_outputs = get_count(p);
		item->outputs = p->at;
		for (uint32_t k = 0; k < item->n_outputs; k++) {
			size_t size;

			get_number(p);
			get_bytes(p, &size);
		}
		p->n_items = i + 1;
	}
}

static void read_old(struct probe *p)
{
	struct pc_stage_desc *d = room(p, 1, sizeof(*d));
	char *params;

	get_number(p); /* the build's number */
	*d = (struct pc_stage_desc){.magic = PC_STAGE_MAGIC,
	                            .abi_major = PC_ABI_MAJOR,
	                            .abi_minor = PC_ABI_MINOR,
	                            .size = sizeof(*d),
	                            .name = get_text(p),
	                            .doc = "",
	                            .input_size = sizeof(struct pc_port),
	                            .output_size = sizeof(struct pc_port)};
	d->flags = get_number(p);
	d->state_size = get_number(p);
	d->state_version = (uint32_t)get_number(p);
	d->inputs = read_ports(p, &d->n_inputs);
	d->outputs = read_ports(p, &d->n_outputs);
	read_params(p, d);
	read_fields(p, d);
	params = read_values(p, d);
	if (get_number(p)) {
		char *state = read_state(p, d);

		if (state && !p->broken)
			copy_texts(d, params, state);
		p->state = state;
	}
	read_items(p);
	p->old = d;
	p->stage->desc = d;
	p->stage->plugin_name = d->name;
	p->stage->params = params;
}

/* -------------------------------------------------------------------------- the plan --- */

static void read_shared(struct probe *p, struct plan_shared *s)
{
	uint32_t room_for = 0;
	const char *key;

	s->name = get_text(p);
	s->kind = (enum shared_kind)get_number(p);
	s->size_bytes = get_number(p);
	s->file = p->stage->file;
	s->section = s->updater = PLAN_NONE;
	while ((key = get_text(p)) && !p->broken) {
		struct plan_value *v;

		if (s->n_values == room_for) {
			room_for = room_for ? room_for * 2 : 16;
			s->values = realloc(s->values, room_for * sizeof(*s->values));
			if (!s->values)
				probe_end(p, PROBE_BROKEN, "out of memory");
		}
		v = &s->values[s->n_values++];
		*v = (struct plan_value){.key = key, .is_number = get_number(p)};
		v->number = (int64_t)get_number(p);
		v->text = get_bytes(p, &v->size);
	}
}

static void read_stage(struct probe *p)
{
	struct plan_stage *s = p->stage;
	uint32_t n;

	s->name = get_text(p);
	s->file = get_text(p);
	s->line = (unsigned)get_number(p);
	s->replicas = 1;
	p->replicas = (uint32_t)get_number(p);
	s->until = s->dead_queue = PLAN_NONE;
	s->own_thread = get_number(p);
	s->section = get_number(p) ? 0 : PLAN_NONE;
	n = get_count(p);
	s->inputs = room(p, n, sizeof(*s->inputs));
	for (uint32_t i = 0; i < n; i++)
		s->inputs[i].type = get_text(p);
	n = get_count(p);
	s->outputs = room(p, n, sizeof(*s->outputs));
	for (uint32_t i = 0; i < n; i++) {
		s->outputs[i].n_queues = get_number(p) ? 1 : 0;
		s->outputs[i].type = get_text(p);
	}
}

/* The joins `start` and `end`, and a section for a critical stage. */
static void make_frame(struct probe *p)
{
	struct plan *plan = &p->plan;

	plan->joins = room(p, 2, sizeof(*plan->joins));
	plan->n_joins = 2;
	plan->joins[PLAN_JOIN_START].name = "start";
	plan->joins[PLAN_JOIN_END].name = "end";
	plan->sections = room(p, 1, sizeof(*plan->sections));
	plan->sections[0] = (struct plan_section){p->stage->name, 1};
	plan->n_sections = p->stage->section == PLAN_NONE ? 0 : 1;
}

static void read_shareds(struct probe *p)
{
	struct plan *plan = &p->plan;

	plan->n_shareds = get_count(p);
	plan->shareds = room(p, plan->n_shareds, sizeof(*plan->shareds));
	for (uint32_t i = 0; i < plan->n_shareds; i++)
		read_shared(p, &plan->shareds[i]);
}

bool probe_read(struct probe *p)
{
	const char *version = get_text(p);

	if (p->broken || !version || strcmp(version, PCRUN_VERSION) != 0 ||
	    get_number(p) != sizeof(struct probe_report))
		return false;
	p->loaded = get_text(p);
	p->file = get_text(p);
	p->how = (unsigned)get_number(p);
	/* The stage, one that writes into each input, one that reads each output. */
	p->stage = p->plan.stages = room(p, 4096, sizeof(*p->stage));
	p->plan.n_stages = 1;
	read_stage(p);
	make_frame(p);
	read_shareds(p);
	read_old(p);
	return !p->broken;
}
