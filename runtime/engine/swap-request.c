/* engine/swap-request.c: all that a probe must know of a stage, as bytes.
 *
 * Called by the thread that asked for the swap, while the stage runs. Builds are looked at inside
 * a read section, as everywhere outside of the control thread, and the plan under `shape`.
 * probe-read.c reads the same in the same order.
 *
 * A state goes along only if no word of it points to memory of this process, parameters left
 * aside, for in another process such a word leads nowhere. (A number that looks like an address
 * which is in use does the same; then the probe does without the state.)
 */
#include "engine/swap-probe.h"

#include "loader/param.h"
#include "loader/peek.h"
#include "queue/rcu.h"

#include <stdlib.h>
#include <string.h>

#define SHARED_ROOM ((size_t)1 << 20) /* bytes of shared state that go along */

void put_number(struct buf *out, uint64_t n)
{
	buf_add(out, (const char *)&n, sizeof(n));
}

void put_bytes(struct buf *out, const void *bytes, size_t size)
{
	put_number(out, size);
	if (size > 0)
		buf_add(out, bytes, size);
}

void put_text(struct buf *out, const char *text)
{
	put_number(out, text != NULL);
	if (text)
		put_bytes(out, text, strlen(text) + 1);
}

/* ------------------------------------------------------------------------ the tables --- */

static void put_ports(struct buf *out, const struct pc_port *ports, uint32_t n)
{
	put_number(out, n);
	for (uint32_t i = 0; i < n; i++) {
		put_text(out, ports[i].name);
		put_text(out, ports[i].type);
		put_number(out, ports[i].flags);
	}
}

static void put_params(struct buf *out, const struct pc_stage_desc *d)
{
	put_number(out, d->n_params);
	for (uint32_t i = 0; i < d->n_params; i++) {
		const struct pc_param *row = &d->params[i];
		uint64_t n = 0;

		put_text(out, row->name);
		put_number(out, row->type);
		put_number(out, row->flags);
		put_number(out, row->offset);
		put_text(out, row->def);
		put_text(out, row->range);
		while (row->names && row->names[n])
			n++;
		put_number(out, row->names ? n + 1 : 0);
		for (uint64_t k = 0; k < n; k++)
			put_text(out, row->names[k]);
	}
}

static void put_fields(struct buf *out, const struct pc_stage_desc *d)
{
	put_number(out, d->n_fields);
	for (uint32_t i = 0; i < d->n_fields; i++) {
		put_text(out, d->fields[i].name);
		put_number(out, d->fields[i].kind);
		put_number(out, d->fields[i].count);
		put_number(out, d->fields[i].offset);
		put_number(out, d->fields[i].size);
	}
}

static bool is_text(const struct pc_param *row)
{
	return row->type == PC_T_STRING || row->type == PC_T_PATH;
}

static const char *text_at(const void *state, size_t offset)
{
	const char *text;

	memcpy(&text, (const char *)state + offset, sizeof(text));
	return text;
}

/* The parameters as the build has them. Texts are kept until the engine's end. */
static void put_values(struct buf *out, const struct build *b)
{
	const struct pc_stage_desc *d = b->desc;

	for (uint32_t i = 0; i < d->n_params; i++) {
		const struct pc_param *row = &d->params[i];

		if (is_text(row))
			put_text(out, text_at(b->params, row->offset));
		else
			put_bytes(out, (const char *)b->params + row->offset,
			          loader_param_size(row->type));
	}
}

/* ------------------------------------------------------------------------- the state --- */

/* The same text, wherever it lies: each build has a copy of its own, and an adopted state has the
 * pointer of the build before. The state's is the author's to spoil, so it is not followed blindly. */
static bool is_same_text(const char *a, const char *given)
{
	size_t size = given ? strlen(given) + 1 : 0;
	char *copy = size > 0 ? malloc(size) : NULL;
	bool same = copy && peek(a, copy, size) && memcmp(copy, given, size) == 0;

	free(copy);
	return same;
}

/* Whether a word of the state is a text parameter, as it was given. */
static bool is_given_text(const struct build *b, const char *state, size_t offset)
{
	for (uint32_t i = 0; i < b->desc->n_params; i++) {
		const struct pc_param *row = &b->desc->params[i];

		if (row->offset == offset && is_text(row))
			return is_same_text(text_at(state, offset), text_at(b->params, offset));
	}
	return false;
}

static bool has_pointers(const struct build *b, const char *state)
{
	size_t size = b->desc->state_size;

	for (size_t i = 0; i + sizeof(uintptr_t) <= size; i += sizeof(uintptr_t)) {
		uintptr_t word;

		memcpy(&word, state + i, sizeof(word));
		if (swap_is_mapped(word) && !is_given_text(b, state, i))
			return true;
	}
	return false;
}

static void put_record(struct buf *out, const struct build *b, const struct record *record,
                       const char **ret_left_out)
{
	bool has_state = record && record->has_state && record->build == b->number;

	*ret_left_out = NULL;
	if (has_state && has_pointers(b, record->state)) {
		has_state = false;
		*ret_left_out = "its state holds pointers";
	} else if (!has_state && record && record->state_size > SWAP_SNAPSHOT_ONCE) {
		*ret_left_out = "its state is too large to be copied";
	} else if (!has_state) {
		*ret_left_out = "no replica came by to give its state";
	}
	put_number(out, has_state);
	if (has_state)
		put_bytes(out, record->state, record->state_size);
	put_number(out, record ? record->n_items : 0);
	if (record && record->n_items > 0)
		buf_add(out, record->bytes, record->before);
}

const struct build *swap_build_in_force(const struct stage *s, uint32_t number)
{
	/* relaxed: a number that says which build is in force, nothing is read by it */
	uint32_t shown = atomic_load_explicit((_Atomic uint32_t *)(uintptr_t)&s->swap.shown,
	                                      memory_order_relaxed);
	const struct build *b =
		atomic_load_explicit((_Atomic(struct build *) *)(uintptr_t)&s->swap.builds,
	                             memory_order_acquire); /* SW12 */
	const struct build *in_force = NULL;

	for (; b; b = atomic_load_explicit((_Atomic(struct build *) *)(uintptr_t)&b->older,
	                                   memory_order_acquire)) { /* SW12 */
		if (b->number == number)
			return b;
		if (b->number == shown)
			in_force = b;
	}
	return in_force;
}

/* ------------------------------------------------------------------------- the graph --- */

static void put_wires(struct buf *out, const struct stage *s)
{
	const struct plan_stage *plan = s->plan;

	put_number(out, s->desc->n_inputs);
	for (uint32_t i = 0; i < s->desc->n_inputs; i++)
		put_text(out, swap_flows(s->engine, &plan->inputs[i]));
	put_number(out, s->desc->n_outputs);
	for (uint32_t i = 0; i < s->desc->n_outputs; i++) {
		put_number(out, plan->outputs[i].n_queues > 0);
		put_text(out, plan->outputs[i].type);
	}
}

/* As it is now: keys and values of a dict, the bytes not. */
static void put_shared(struct buf *out, const struct pc_shared *s)
{
	size_t end = out->size + SHARED_ROOM;
	struct pc_snapshot now;
	struct pc_value v;

	put_text(out, s->plan->name);
	put_number(out, s->plan->kind);
	put_number(out, s->plan->size_bytes);
	if (s->plan->kind == SHARED_DICT) {
		queue_rcu_lock();
		shared_snapshot(s->data, false, &now);
		while (out->size < end && shared_next(s->data, &now, &v) == PC_OK) {
			put_text(out, v.key);
			put_number(out, v.type == PC_T_I64);
			put_number(out, (uint64_t)v.number);
			put_bytes(out, v.data, v.size);
		}
		shared_snapshot_end(&now);
		queue_rcu_unlock();
	}
	put_text(out, NULL);
}

bool swap_request_make(struct buf *out, struct stage *s, const struct loader_copy *copy,
                       unsigned how, const struct record *record, const char **ret_left_out)
{
	struct engine *e = s->engine;
	const struct build *b;

	put_text(out, PCRUN_VERSION);
	put_number(out, sizeof(struct probe_report));
	put_text(out, copy->path);
	put_text(out, copy->file);
	put_number(out, how);
	pthread_mutex_lock(&e->shape);
	put_text(out, s->plan->name);
	put_text(out, s->plan->file);
	put_number(out, s->plan->line);
	put_number(out, s->plan->replicas);
	put_number(out, s->plan->own_thread);
	put_number(out, s->plan->section != PLAN_NONE);
	put_wires(out, s);
	put_number(out, e->plan->n_shareds);
	for (uint32_t i = 0; i < e->plan->n_shareds; i++)
		put_shared(out, &e->shareds[i]);
	pthread_mutex_unlock(&e->shape);
	queue_rcu_lock();
	b = swap_build_in_force(s, record ? record->build : 0);
	if (b) {
		put_number(out, b->number);
		put_text(out, b->desc->name);
		put_number(out, b->desc->flags);
		put_number(out, b->desc->state_size);
		put_number(out, b->desc->state_version);
		put_ports(out, b->desc->inputs, b->desc->n_inputs);
		put_ports(out, b->desc->outputs, b->desc->n_outputs);
		put_params(out, b->desc);
		put_fields(out, b->desc);
		put_values(out, b);
		put_record(out, b, record, ret_left_out);
	}
	queue_rcu_unlock();
	return b && !out->failed;
}
