/* engine/create-stage.c: the parts of a graph at run time: stages, replicas, places, sections.
 *
 * Called by create.c before any other thread exists, and by reload-make.c on the control thread
 * for what is new in a running graph. Nobody else knows of what is made here until it is wired
 * into the rest; so who writes and reads a queue is counted later, by whoever does that. Objects
 * never move. Those of the start lie in the engine's arena; those that a reload makes may go before
 * the engine does, and are malloc'd, as are lists that may be exchanged. Half-built ones are taken
 * apart by create_undo().
 */
#include "engine/engine.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *array(size_t n, size_t size)
{
	return calloc(n ? n : 1, size);
}

static void *objects(struct engine *e, size_t n, size_t size)
{
	return e->making ? array(n, size) : arena_alloc(&e->arena, n * size);
}

static struct place *place_at(const struct engine *e, uint32_t queue)
{
	return (e->making ? e->making->places : e->places)[queue];
}

/* --------------------------------------------------------------------------------- lanes --- */

static uint32_t parts(const struct place *p)
{
	uint32_t n = 0;

	for (; p; p = p->next_part)
		n++;
	return n;
}

static struct split *create_split(const struct place *p)
{
	struct split *split = calloc(1, sizeof(*split));

	if (!split)
		return NULL;
	by_parse(p->by, &split->by);
	split->n_parts = parts(p);
	return split;
}

/* A graph may have very many replicas, most of them with one output to one queue. So behind each lie
 * its inputs, a lane for the first output, and the outputs: one piece, which who knows where the
 * replica is may ask for before it is needed. */
static struct input *inputs_within(struct replica *r)
{
	return (struct input *)(void *)(r + 1);
}

static struct lane *lane_within(const struct replica *r)
{
	return (struct lane *)(void *)(r->inputs + r->stage->desc->n_inputs);
}

static struct output *outputs_within(const struct replica *r)
{
	return (struct output *)(void *)(lane_within(r) +
	                                 (r->stage->desc->n_outputs > 0 ? 1 : 0));
}

/* The plan's stage may be of another build by now; what ports there are tells the stage. */
static uint32_t n_outputs_of(const struct stage *s, const struct plan_stage *plan)
{
	return s->desc->n_outputs + (plan->on_error == PLAN_DEAD ? 1 : 0);
}

size_t create_replica_bytes(const struct stage *s, const struct plan_stage *plan)
{
	return sizeof(struct replica) + s->desc->n_inputs * sizeof(struct input) +
	       (s->desc->n_outputs > 0 ? sizeof(struct lane) : 0) +
	       n_outputs_of(s, plan) * sizeof(struct output);
}

static void free_outputs(struct replica *r)
{
	if (r->outputs != outputs_within(r))
		free(r->outputs);
}

void create_more_outputs(struct replica *r, struct output *outputs)
{
	memcpy(outputs, r->outputs, r->room_outputs * sizeof(*outputs));
	free_outputs(r);
	r->outputs = outputs;
	r->room_outputs = r->stage->desc->n_outputs + 1;
	replica_set_ports(r, r->n_ports); /* where the stage puts what it emits has moved */
}

void create_lanes_free(struct replica *r, struct lane *lanes)
{
	if (lanes != lane_within(r))
		free(lanes);
}

int create_lanes(struct replica *r, struct output *o, const uint32_t *queues, uint32_t n)
{
	uint32_t n_lanes = 0;

	for (uint32_t i = 0; i < n; i++)
		n_lanes += parts(place_at(r->engine, queues[i]));
	o->n_queues = n;
	o->lanes = o == r->outputs && r->stage->desc->n_outputs > 0 && n_lanes == 1
	                   ? lane_within(r)
	                   : array(n_lanes, sizeof(*o->lanes));
	if (!o->lanes)
		return PC_NOMEM;
	for (uint32_t i = 0; i < n; i++) {
		struct place *p = place_at(r->engine, queues[i]);
		struct split *split = NULL;

		if (p->next_part) {
			split = create_split(p);
			if (!split)
				return PC_NOMEM;
			split->next = o->splits;
			o->splits = split;
		}
		for (uint32_t part = 0; p; p = p->next_part, part++) {
			struct lane *lane = &o->lanes[o->n_lanes++];

			lane->waiting.replica = r;
			lane->place = p;
			lane->split = split;
			lane->part = part;
		}
	}
	return PC_OK;
}

/* When the queues are there. */
void create_points(struct replica *r)
{
	for (uint32_t i = 0; i < r->stage->desc->n_inputs; i++)
		r->inputs[i].waiting.queue = r->inputs[i].place->queue;
	for (uint32_t i = 0; i < r->n_outputs; i++)
		for (uint32_t k = 0; k < r->outputs[i].n_lanes; k++)
			r->outputs[i].lanes[k].waiting.queue =
				r->outputs[i].lanes[k].place->queue;
}

/* ---------------------------------------------------------------------- replicas, stages --- */

int create_replica(struct stage *s, const struct plan_stage *plan, struct replica *r,
                   uint32_t index)
{
	r->pub = (struct pc_stage){.host = &host_table,
	                           .name = plan->name,
	                           .replica = index,
	                           .replicas = plan->replicas};
	r->stage = s;
	r->engine = s->engine;
	/* relaxed: no other thread knows of it */
	atomic_store_explicit(&r->kick_fd, -1, memory_order_relaxed);
	r->wake_fd = -1;
	r->wake_ns = INT64_MAX;
	r->batch_size = 1;
	r->ended.kind = MESSAGE_ENDED;
	r->wake.kind = MESSAGE_WAKE;
	r->parked.kind = MESSAGE_PARKED;
	r->n_outputs = r->room_outputs = n_outputs_of(s, plan);
	r->inputs = inputs_within(r);
	r->outputs = outputs_within(r);
	replica_set_ports(r, s->desc->n_outputs);
	replica_set_cache(r, &r->engine->control_cache);
	r->state = array(1, s->desc->state_size);
	if (!r->state)
		return PC_NOMEM;
	if (s->desc->state_size > 0)
		memcpy(r->state, s->swap.first.params, s->desc->state_size);
	swap_create_replica(r);
	for (uint32_t i = 0; i < s->desc->n_inputs; i++) {
		struct place *p = place_at(s->engine, plan->inputs[i].queue);

		for (uint32_t part = 0; p->next_part && part < index; part++)
			p = p->next_part;
		r->inputs[i].waiting.replica = r;
		r->inputs[i].place = p;
	}
	for (uint32_t i = 0; i < s->desc->n_outputs; i++)
		if (create_lanes(r, &r->outputs[i], plan->outputs[i].queues,
		                 plan->outputs[i].n_queues))
			return PC_NOMEM;
	if (r->n_outputs > s->desc->n_outputs)
		return create_lanes(r, &r->outputs[s->desc->n_outputs], &plan->dead_queue, 1);
	return PC_OK;
}

int create_stage(struct engine *e, struct stage *s, const struct plan_stage *plan,
                 uint32_t index)
{
	struct section **sections = e->making ? e->making->sections : e->sections;
	size_t size;
	char *replicas;

	s->plan = plan;
	s->desc = plan->desc;
	size = create_replica_bytes(s, plan);
	replicas = objects(e, plan->replicas, size);
	s->loose = e->making ? replicas : NULL;
	s->engine = e;
	s->index = index;
	s->live = plan->replicas;
	swap_create_stage(s);
	s->section = plan->section == PLAN_NONE ? NULL : sections[plan->section];
	s->replicas = plan->replicas == 1 ? &s->only
	                                  : array(plan->replicas, sizeof(struct replica *));
	if (plan->ordered && plan->replicas > 1)
		s->order = calloc(1, sizeof(*s->order));
	if (!replicas || !s->replicas || (plan->ordered && plan->replicas > 1 && !s->order))
		return PC_NOMEM;
	for (uint32_t k = 0; k < plan->replicas; k++) {
		struct replica *r = (struct replica *)(void *)(replicas + k * size);

		s->replicas[s->n_replicas++] = r;
		if (create_replica(s, plan, r, k))
			return PC_NOMEM;
	}
	return PC_OK;
}

void create_undo_replica(struct replica *r)
{
	/* relaxed: no other thread any more */
	int kick_fd = atomic_load_explicit(&r->kick_fd, memory_order_relaxed);

	for (uint32_t i = 0; r->outputs && i < r->n_outputs; i++) {
		free(r->outputs[i].items);
		create_lanes_free(r, r->outputs[i].lanes);
		output_splits_free(r->outputs[i].splits);
	}
	for (uint32_t i = 0; r->inputs && i < r->stage->desc->n_inputs; i++)
		while (r->inputs[i].moves) {
			struct move *m = r->inputs[i].moves;

			r->inputs[i].moves = m->next;
			free(m);
		}
	if (r->outputs)
		free_outputs(r);
	free(r->state);
	free(r->fail_text);
	/* 0: it was not even begun */
	if (r->engine && kick_fd >= 0)
		close(kick_fd);
}

void create_undo(struct stage *s)
{
	for (uint32_t k = 0; k < s->n_replicas; k++)
		create_undo_replica(s->replicas[k]);
	while (s->retired) {
		struct replica *r = s->retired;

		s->retired = r->retired;
		create_undo_replica(r);
		if (r->loose)
			free(r);
	}
	for (uint32_t k = 0; k < s->n_replicas; k++)
		if (s->replicas[k]->loose)
			free(s->replicas[k]);
	free(s->loose);
	if (s->replicas != &s->only)
		free(s->replicas);
	free(s->left);
	free(s->closing);
	free(s->order);
	reload_rows_free(s);
}

/* --------------------------------------------------------------------- places, sections --- */

struct place *create_place(struct engine *e, const struct plan *plan,
                           const struct plan_queue *q)
{
	const struct plan_stage *reader =
		q->n_readers == 1 ? &plan->stages[q->readers[0]] : NULL;
	/* The replicas of a by= stage have a queue each. */
	uint32_t n = reader && reader->by ? reader->replicas : 1;
	struct place *p = objects(e, n, sizeof(*p));

	for (uint32_t part = 0; p && part < n; part++) {
		p[part].plan = q;
		p[part].engine = e;
		p[part].index = (uint32_t)(q - plan->queues);
		p[part].loose = e->making != NULL;
		p[part].by = reader ? reader->by : NULL;
		p[part].tracked = q->joined;
		p[part].message.kind = MESSAGE_DRAINED;
		p[part].next_part = part + 1 < n ? &p[part + 1] : NULL;
	}
	return p;
}

int create_place_queue(struct place *p, uint32_t writers, uint32_t readers)
{
	struct pc_queue_options options = {
		.size = sizeof(options),
		.capacity = p->plan->capacity,
		.full = p->plan->full,
		.writers = writers,
		.readers = readers,
		.drop = place_drop,
		.drop_user = p,
	};

	return pc_queue_create(&p->queue, &options);
}

int create_section(struct section **ret, const struct plan *plan, uint32_t index)
{
	struct pc_queue_options options = {.size = sizeof(options)};
	struct section *s = calloc(1, sizeof(*s));

	*ret = s;
	if (!s)
		return PC_NOMEM;
	for (uint32_t k = 0; k < plan->n_stages; k++)
		if (plan->stages[k].section == index)
			options.capacity += plan->stages[k].replicas;
	s->plan = &plan->sections[index];
	return pc_queue_create(&s->waiting, &options);
}
