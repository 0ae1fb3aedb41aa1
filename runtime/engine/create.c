/* engine/create.c: from a plan to replicas, places, joins and sections; and back.
 *
 * Called by the thread that loads and starts the graph, before any other exists; engine_destroy()
 * after all have gone. Accepts half-built engines. One allocation per kind and stage: a graph of
 * 10,000 stages starts in milliseconds.
 */
#include "engine/engine.h"

#include "base/error.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static int nomem(struct pc_error **err)
{
	return error_set(err, PC_NOMEM, "out of memory while the graph was set up");
}

/* calloc that takes 0 for an answer: arrays of nothing are fine. */
static void *array(size_t n, size_t size)
{
	return calloc(n ? n : 1, size);
}

static void create_lane(struct replica *r, struct lane *lane, struct place *p)
{
	lane->waiting.replica = r;
	lane->place = p;
	/* relaxed: no other thread yet */
	if (!r->stage->plan->daemon)
		atomic_fetch_add_explicit(&p->writers, 1, memory_order_relaxed);
}

/* Who keeps a queue open: its non-daemon writers, else its daemons; of a feedback queue, those
 * outside the cycle and the cycle as a whole (loop.c). */
static void count_writers(const struct replica *r)
{
	for (uint32_t o = 0; o < r->n_outputs; o++)
		for (uint32_t l = 0; l < r->outputs[o].n_lanes; l++) {
			struct place *p = r->outputs[o].lanes[l].place;
			struct writers *w = &p->count;

			if (r->stage->plan->daemon)
				w->daemons++;
			else if (loop_inside(r->stage, p))
				w->inside++;
			else
				w->workers++;
			/* relaxed: no other thread yet */
			if (p->loop && p->loop != r->stage->loop && !r->stage->plan->daemon)
				atomic_fetch_add_explicit(&p->loop->outside, 1,
				                          memory_order_relaxed);
		}
}

static uint32_t parts(const struct place *p)
{
	uint32_t n = 0;

	for (; p; p = p->next_part)
		n++;
	return n;
}

/* The by= of the one stage that reads the queue. */
static struct split *create_split(const struct place *p)
{
	const struct engine *e = p->engine;
	struct split *split = calloc(1, sizeof(*split));

	if (!split)
		return NULL;
	by_parse(e->plan->stages[p->plan->readers[0]].by, &split->by);
	split->n_parts = parts(p);
	return split;
}

static int create_output(struct replica *r, struct output *o, const uint32_t *queues,
                         uint32_t n)
{
	uint32_t n_lanes = 0;

	for (uint32_t i = 0; i < n; i++)
		n_lanes += parts(r->engine->places[queues[i]]);
	o->n_queues = n;
	o->lanes = array(n_lanes, sizeof(*o->lanes));
	if (!o->lanes)
		return PC_NOMEM;
	for (uint32_t i = 0; i < n; i++) {
		struct place *p = r->engine->places[queues[i]];
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

			create_lane(r, lane, p);
			lane->split = split;
			lane->part = part;
		}
	}
	return PC_OK;
}

static int create_replica(struct stage *s, struct replica *r, uint32_t index)
{
	const struct plan_stage *plan = s->plan;
	bool dead = plan->on_error == PLAN_DEAD;

	r->pub = (struct pc_stage){.host = &host_table,
	                           .name = plan->name,
	                           .replica = index,
	                           .replicas = plan->replicas};
	r->stage = s;
	r->engine = s->engine;
	/* relaxed: no other thread yet */
	atomic_store_explicit(&r->kick_fd, -1, memory_order_relaxed);
	r->wake_fd = -1;
	r->wake_ns = INT64_MAX;
	r->batch_size = 1;
	r->ended.kind = MESSAGE_ENDED;
	r->wake.kind = MESSAGE_WAKE;
	r->n_ports = s->desc->n_outputs;
	r->n_outputs = s->desc->n_outputs + (dead ? 1 : 0);
	/* One block: a graph may have very many of them. */
	r->inputs = calloc(1, s->desc->n_inputs * sizeof(*r->inputs) +
	                              r->n_outputs * sizeof(*r->outputs) + 1);
	r->state = array(1, s->desc->state_size);
	if (!r->inputs || !r->state)
		return PC_NOMEM;
	r->outputs = (struct output *)(void *)(r->inputs + s->desc->n_inputs);
	if (s->desc->state_size > 0)
		memcpy(r->state, plan->params, s->desc->state_size);
	swap_create_replica(r);
	for (uint32_t i = 0; i < s->desc->n_inputs; i++) {
		struct place *p = s->engine->places[plan->inputs[i].queue];

		for (uint32_t part = 0; p->next_part && part < index; part++)
			p = p->next_part;
		r->inputs[i].waiting.replica = r;
		r->inputs[i].place = p;
		/* relaxed: no other thread yet */
		atomic_fetch_add_explicit(&p->readers, 1, memory_order_relaxed);
	}
	for (uint32_t i = 0; i < s->desc->n_outputs; i++)
		if (create_output(r, &r->outputs[i], plan->outputs[i].queues,
		                  plan->outputs[i].n_queues))
			return PC_NOMEM;
	if (dead)
		return create_output(r, &r->outputs[s->desc->n_outputs], &plan->dead_queue, 1);
	return PC_OK;
}

static int create_stages(struct engine *e)
{
	struct stage *stages = arena_alloc(&e->arena, e->plan->n_stages * sizeof(*stages));

	e->stages = array(e->plan->n_stages, sizeof(struct stage *));
	if (!e->stages || !stages)
		return PC_NOMEM;
	for (uint32_t i = 0; i < e->plan->n_stages; i++) {
		const struct plan_stage *plan = &e->plan->stages[i];
		struct stage *s = e->stages[i] = &stages[i];
		struct replica *replicas;

		s->plan = plan;
		s->desc = plan->desc;
		s->engine = e;
		s->live = plan->replicas;
		swap_create_stage(s);
		s->section = plan->section == PLAN_NONE ? NULL : &e->sections[plan->section];
		replicas = arena_alloc(&e->arena, plan->replicas * sizeof(*replicas));
		s->replicas = array(plan->replicas, sizeof(struct replica *));
		if (plan->ordered && plan->replicas > 1)
			s->order = calloc(1, sizeof(*s->order));
		if (!replicas || !s->replicas ||
		    (plan->ordered && plan->replicas > 1 && !s->order))
			return PC_NOMEM;
		for (uint32_t k = 0; k < plan->replicas; k++) {
			s->replicas[s->n_replicas++] = &replicas[k];
			if (create_replica(s, &replicas[k], k))
				return PC_NOMEM;
		}
	}
	e->live = e->plan->n_stages;
	return PC_OK;
}

/* After the stages: they have counted themselves as readers. */
static int create_queue(struct place *p)
{
	const struct writers *w = &p->count;
	struct pc_queue_options options = {
		.size = sizeof(options),
		.capacity = p->plan->capacity,
		.full = p->plan->full,
		/* relaxed: no other thread yet */
		.readers = atomic_load_explicit(&p->readers, memory_order_relaxed),
		.drop = place_drop,
		.drop_user = p,
	};

	p->daemon_only = w->workers + w->inside == 0;
	options.writers = p->daemon_only ? w->daemons : w->workers + (w->inside ? 1 : 0);
	return pc_queue_create(&p->queue, &options);
}

static void point_at_queues(struct replica *r)
{
	for (uint32_t i = 0; i < r->stage->desc->n_inputs; i++)
		r->inputs[i].waiting.queue = r->inputs[i].place->queue;
	for (uint32_t i = 0; i < r->n_outputs; i++)
		for (uint32_t k = 0; k < r->outputs[i].n_lanes; k++)
			r->outputs[i].lanes[k].waiting.queue =
				r->outputs[i].lanes[k].place->queue;
}

static int create_queues(struct engine *e)
{
	int rc = loop_find(e);

	for (uint32_t i = 0; i < e->plan->n_stages && !rc; i++)
		for (uint32_t k = 0; k < e->plan->stages[i].replicas; k++)
			count_writers(e->stages[i]->replicas[k]);
	for (uint32_t i = 0; i < e->plan->n_queues && !rc; i++)
		for (struct place *p = e->places[i]; p && !rc; p = p->next_part)
			rc = create_queue(p);
	for (uint32_t i = 0; i < e->plan->n_stages && !rc; i++)
		for (uint32_t k = 0; k < e->plan->stages[i].replicas; k++)
			point_at_queues(e->stages[i]->replicas[k]);
	return rc;
}

static int add_join(struct joins *joins, uint32_t join)
{
	uint32_t n = joins->n, *many = joins->many;

	if (n > 0 && (n & (n - 1)) == 0) {
		many = realloc(many, n * 2 * sizeof(*many));
		if (!many)
			return PC_NOMEM;
		if (n == 1)
			many[0] = joins->one;
		joins->many = many;
	}
	if (n == 0)
		joins->one = join;
	else
		many[n] = join;
	joins->n++;
	return PC_OK;
}

static int create_joins(struct engine *e)
{
	int rc = PC_OK;

	e->joins = array(e->plan->n_joins, sizeof(*e->joins));
	if (!e->joins)
		return PC_NOMEM;
	for (uint32_t i = 0; i < e->plan->n_joins && !rc; i++) {
		const struct plan_join *plan = &e->plan->joins[i];

		e->joins[i].plan = plan;
		e->joins[i].remaining = plan->n_stages + plan->n_queues + plan->n_joins;
		for (uint32_t k = 0; k < plan->n_stages && !rc; k++)
			rc = add_join(&e->stages[plan->stages[k]]->joins, i);
		for (uint32_t k = 0; k < plan->n_queues && !rc; k++) {
			struct place *p = e->places[plan->queues[k]];

			e->joins[i].remaining += parts(p) - 1;
			for (; p && !rc; p = p->next_part) {
				p->tracked = true;
				rc = add_join(&p->joins, i);
			}
		}
		for (uint32_t k = 0; k < plan->n_joins && !rc; k++)
			rc = add_join(&e->joins[plan->joins[k]].joins, i);
	}
	return rc;
}

static int create_sections(struct engine *e)
{
	e->sections = array(e->plan->n_sections, sizeof(*e->sections));
	if (!e->sections)
		return PC_NOMEM;
	for (uint32_t i = 0; i < e->plan->n_sections; i++) {
		struct pc_queue_options options = {.size = sizeof(options)};

		for (uint32_t k = 0; k < e->plan->n_stages; k++)
			if (e->plan->stages[k].section == i)
				options.capacity += e->plan->stages[k].replicas;
		e->sections[i].plan = &e->plan->sections[i];
		if (pc_queue_create(&e->sections[i].waiting, &options))
			return PC_NOMEM;
	}
	return PC_OK;
}

static unsigned cores(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		return (unsigned)CPU_COUNT(&set);
	return 1;
}

static int create_pool(struct engine *e, unsigned n)
{
	struct pc_queue_options options = {.size = sizeof(options)};
	uint64_t tasks = 0;

	for (uint32_t i = 0; i < e->plan->n_stages; i++)
		tasks += e->plan->stages[i].replicas;
	if (tasks > PC_QUEUE_CAPACITY_MAX)
		return PC_INVALID;
	options.capacity = (uint32_t)tasks + 1;
	e->pool.workers = aligned_alloc(64, (n * sizeof(*e->pool.workers) + 63) / 64 * 64);
	if (!e->pool.workers)
		return PC_NOMEM;
	memset(e->pool.workers, 0, n * sizeof(*e->pool.workers));
	for (unsigned i = 0; i < n; i++) {
		struct worker *w = &e->pool.workers[i];

		w->engine = e;
		w->index = i;
		w->random = i + 1;
		scratch_init(&w->scratch, e->items);
		e->pool.n_workers = i + 1;
		w->seen_ticks = array(n, sizeof(*w->seen_ticks));
		if (!w->seen_ticks || pc_queue_create(&w->ready, &options))
			return PC_NOMEM;
	}
	return PC_OK;
}

/* The replicas of a by= stage have a queue each. */
static uint32_t parts_wanted(const struct plan *plan, const struct plan_queue *q)
{
	const struct plan_stage *reader;

	if (q->n_readers != 1)
		return 1;
	reader = &plan->stages[q->readers[0]];
	return reader->by ? reader->replicas : 1;
}

static struct place *create_place(struct engine *e, const struct plan_queue *q)
{
	uint32_t n = parts_wanted(e->plan, q);
	struct place *p = arena_alloc(&e->arena, n * sizeof(*p));

	for (uint32_t part = 0; p && part < n; part++) {
		p[part].plan = q;
		p[part].engine = e;
		p[part].message.kind = MESSAGE_DRAINED;
		p[part].next_part = part + 1 < n ? &p[part + 1] : NULL;
	}
	return p;
}

static int create_places(struct engine *e)
{
	e->places = array(e->plan->n_queues, sizeof(struct place *));
	for (uint32_t i = 0; e->places && i < e->plan->n_queues; i++) {
		e->places[i] = create_place(e, &e->plan->queues[i]);
		if (!e->places[i])
			return PC_NOMEM;
	}
	return e->places ? PC_OK : PC_NOMEM;
}

int engine_create(struct engine **ret, const struct plan *plan,
                  const struct pc_run_options *options, struct pc_error **err)
{
	struct engine *e = calloc(1, sizeof(*e));
	int rc;

	*ret = NULL;
	if (!e)
		return nomem(err);
	e->plan = plan;
	e->pid = getpid();
	e->ended_fd = -1;
	e->drain_ns = options->drain_ns > 0 ? options->drain_ns : 10 * PC_SEC;
	e->grace_ns = options->grace_ns > 0 ? options->grace_ns : 2 * PC_SEC;
	e->log = options->log;
	e->log_user = options->log_user;
	e->log_level = options->log_level;
	e->swapped = options->swap;
	e->swapped_user = options->swap_user;
	pthread_mutex_init(&e->lock, NULL);
	pthread_mutex_init(&e->log_lock, NULL);
	pthread_cond_init(&e->ended_cond, NULL);
	swap_create(e);
	e->ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (e->ended_fd < 0) {
		rc = error_set(err, PC_ERROR, "can not make an event descriptor: %s",
		               strerror(errno));
		goto fail;
	}
	e->items = item_pool_create();
	rc = e->items ? PC_OK : PC_NOMEM;
	if (rc)
		goto fail;
	item_cache_init(&e->control_cache, e->items);
	rc = create_places(e);
	rc = rc ? rc : create_sections(e);
	rc = rc ? rc : state_create(e);
	rc = rc ? rc : create_stages(e);
	rc = rc ? rc : create_queues(e);
	rc = rc ? rc : create_joins(e);
	rc = rc ? rc : create_pool(e, options->workers ? options->workers : cores());
	if (rc)
		goto fail;
	crash_watch(e, true);
	*ret = e;
	return PC_OK;
fail:
	engine_destroy(e);
	if (rc == PC_INVALID)
		return error_set(err, rc, "more than %u replicas in all",
		                 (unsigned)PC_QUEUE_CAPACITY_MAX);
	return rc == PC_NOMEM ? nomem(err) : rc;
}

static void destroy_splits(struct split *split)
{
	while (split) {
		struct split *next = split->next;

		free(split->keys);
		free(split);
		split = next;
	}
}

static void destroy_stage(struct stage *s)
{
	for (uint32_t k = 0; k < s->n_replicas; k++) {
		struct replica *r = s->replicas[k];
		/* relaxed: no other thread any more */
		int kick_fd = atomic_load_explicit(&r->kick_fd, memory_order_relaxed);

		for (uint32_t i = 0; r->outputs && i < r->n_outputs; i++) {
			free(r->outputs[i].items);
			free(r->outputs[i].lanes);
			destroy_splits(r->outputs[i].splits);
		}
		free(r->inputs);
		free(r->state);
		free(r->fail_text);
		if (kick_fd >= 0)
			close(kick_fd);
	}
	free(s->replicas);
	free(s->order);
	free(s->joins.many);
}

void engine_destroy(struct engine *e)
{
	if (!e)
		return;
	if (e->has_thread)
		pthread_join(e->thread, NULL);
	if (e->stuck)
		return; /* abandoned threads may still look: the memory stays until the process ends */
	crash_watch(e, false);
	if (e->loop_ready)
		uv_loop_close(&e->loop);
	item_cache_set_current(&e->control_cache);
	swap_destroy(e);
	for (uint32_t i = 0; e->stages && i < e->plan->n_stages && e->stages[i]; i++)
		destroy_stage(e->stages[i]);
	for (uint32_t i = 0; e->places && i < e->plan->n_queues; i++)
		for (struct place *p = e->places[i]; p; p = p->next_part) {
			pc_queue_destroy(p->queue);
			free(p->joins.many);
		}
	for (uint32_t i = 0; e->joins && i < e->plan->n_joins; i++)
		free(e->joins[i].joins.many);
	for (uint32_t i = 0; e->sections && i < e->plan->n_sections; i++)
		pc_queue_destroy(e->sections[i].waiting);
	for (unsigned i = 0; i < e->pool.n_workers; i++) {
		scratch_fini(&e->pool.workers[i].scratch);
		free(e->pool.workers[i].seen_ticks);
		pc_queue_destroy(e->pool.workers[i].ready);
	}
	free(e->pool.workers);
	free(e->stages);
	free(e->places);
	free(e->joins);
	free(e->sections);
	state_destroy(e);
	while (e->loops) {
		struct loop *next = e->loops->next;

		free(e->loops);
		e->loops = next;
	}
	arena_fini(&e->arena);
	item_cache_set_current(NULL);
	if (e->items) {
		item_cache_fini(&e->control_cache);
		item_pool_destroy(e->items);
	}
	if (e->ended_fd >= 0)
		close(e->ended_fd);
	pc_error_free(e->error);
	pthread_cond_destroy(&e->ended_cond);
	pthread_mutex_destroy(&e->log_lock);
	pthread_mutex_destroy(&e->lock);
	free(e);
}
