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

/* Lanes into a queue; only while it is made. */
struct writers {
	uint32_t workers, daemons, inside;
};

/* Who keeps a queue open: its non-daemon writers, else its daemons; of a feedback queue, those
 * outside the cycle and the cycle as a whole (loop.c). */
static void count_writers(const struct replica *r)
{
	for (uint32_t o = 0; o < r->n_outputs; o++)
		for (uint32_t l = 0; l < r->outputs[o].n_lanes; l++) {
			struct place *p = r->outputs[o].lanes[l].place;
			struct writers *w = p->counts.writers;

			if (r->stage->plan->daemon)
				w->daemons++;
			else if (loop_inside(r->stage, p))
				w->inside++;
			else
				w->workers++;
			/* relaxed, both: no other thread yet */
			if (!r->stage->plan->daemon)
				atomic_fetch_add_explicit(&p->writers, 1, memory_order_relaxed);
			if (p->loop && p->loop != r->stage->loop && !r->stage->plan->daemon)
				atomic_fetch_add_explicit(&p->loop->outside, 1, /* so */
				                          memory_order_relaxed);
		}
}

static void count_reader(struct replica *r)
{
	for (uint32_t i = 0; i < r->stage->desc->n_inputs; i++) {
		struct input *in = &r->inputs[i];

		/* relaxed: no other thread yet */
		atomic_fetch_add_explicit(&in->place->readers, 1, memory_order_relaxed);
		in->next_reading = in->place->reading;
		in->place->reading = in;
	}
}

static int create_stages(struct engine *e)
{
	e->stages = array(e->plan->n_stages, sizeof(struct stage *));
	if (!e->stages)
		return PC_NOMEM;
	for (uint32_t i = 0; i < e->plan->n_stages; i++) {
		struct stage *s = arena_alloc(&e->arena, sizeof(*s));

		e->stages[i] = s;
		if (!s || create_stage(e, s, &e->plan->stages[i], i))
			return PC_NOMEM;
	}
	e->live = e->plan->n_stages;
	return PC_OK;
}

/* Who writes and reads is known. */
static int create_queue(struct place *p)
{
	const struct writers *w = p->counts.writers;
	uint32_t writers;

	p->daemon_only = w->workers + w->inside == 0;
	writers = p->daemon_only ? w->daemons : w->workers + (w->inside ? 1 : 0);
	return create_place_queue(p, writers,
	                          /* relaxed: no other thread yet */
	                          atomic_load_explicit(&p->readers, memory_order_relaxed));
}

/* NULL: no memory. */
static struct writers *create_counts(struct engine *e)
{
	struct writers *counts, *next;
	size_t n = 0;

	for (uint32_t i = 0; i < e->plan->n_queues; i++)
		for (const struct place *p = e->places[i]; p; p = p->next_part)
			n++;
	counts = next = array(n, sizeof(*counts));
	for (uint32_t i = 0; counts && i < e->plan->n_queues; i++)
		for (struct place *p = e->places[i]; p; p = p->next_part)
			p->counts.writers = next++;
	return counts;
}

/* A hint: see activate.c. */
static void set_ahead(struct place *p)
{
	if (p->reading && !p->reading->next_reading)
		p->ahead = p->reading->waiting.replica;
}

static int create_queues(struct engine *e)
{
	struct writers *counts = create_counts(e);
	int rc = counts ? loop_find(e) : PC_NOMEM;

	for (uint32_t i = 0; i < e->plan->n_stages && !rc; i++)
		for (uint32_t k = 0; k < e->plan->stages[i].replicas; k++) {
			count_writers(e->stages[i]->replicas[k]);
			count_reader(e->stages[i]->replicas[k]);
		}
	for (uint32_t i = 0; i < e->plan->n_queues && !rc; i++)
		for (struct place *p = e->places[i]; p && !rc; p = p->next_part)
			rc = create_queue(p);
	for (uint32_t i = 0; i < e->plan->n_stages && !rc; i++)
		for (uint32_t k = 0; k < e->plan->stages[i].replicas; k++)
			create_points(e->stages[i]->replicas[k]);
	for (uint32_t i = 0; i < e->plan->n_queues && !rc; i++)
		set_ahead(e->places[i]);
	free(counts);
	return rc;
}

static bool add_join(struct arena *a, struct joins *joins, uint32_t join)
{
	uint32_t n = joins->n;

	if (n == 0) {
		joins->one = join;
		joins->n = 1;
		return true;
	}
	if (n == 1) {
		joins->many = arena_grow(a, NULL, 0, sizeof(*joins->many));
		if (!joins->many)
			return false;
		joins->many[0] = joins->one;
	}
	joins->many = arena_grow(a, joins->many, n, sizeof(*joins->many));
	if (!joins->many)
		return false;
	joins->many[joins->n++] = join;
	return true;
}

int create_join_lists(const struct plan *plan, struct arena *a, struct joins *stages,
                      struct joins *queues, struct joins *joins)
{
	bool ok = true;

	for (uint32_t i = 0; i < plan->n_joins; i++) {
		const struct plan_join *j = &plan->joins[i];

		for (uint32_t k = 0; k < j->n_stages && ok; k++)
			ok = add_join(a, &stages[j->stages[k]], i);
		for (uint32_t k = 0; k < j->n_queues && ok; k++)
			ok = add_join(a, &queues[j->queues[k]], i);
		for (uint32_t k = 0; k < j->n_joins && ok; k++)
			ok = add_join(a, &joins[j->joins[k]], i);
	}
	return ok ? PC_OK : PC_NOMEM;
}

static int create_joins(struct engine *e)
{
	const struct plan *plan = e->plan;
	/* Each goes into its stage, place or join. */
	struct joins *stages = array(plan->n_stages, sizeof(*stages));
	struct joins *queues = array(plan->n_queues, sizeof(*queues));
	struct joins *joins = array(plan->n_joins, sizeof(*joins));
	int rc = PC_NOMEM;

	e->joins = array(plan->n_joins, sizeof(*e->joins));
	if (!e->joins || !stages || !queues || !joins ||
	    create_join_lists(plan, &e->arena, stages, queues, joins))
		goto out;
	for (uint32_t i = 0; i < plan->n_stages; i++)
		e->stages[i]->joins = stages[i];
	for (uint32_t i = 0; i < plan->n_queues; i++)
		for (struct place *p = e->places[i]; p; p = p->next_part)
			p->joins = queues[i];
	for (uint32_t i = 0; i < plan->n_joins; i++) {
		const struct plan_join *j = &plan->joins[i];

		e->joins[i].plan = j;
		e->joins[i].joins = joins[i];
		e->joins[i].remaining = j->n_stages + j->n_joins;
		for (uint32_t k = 0; k < j->n_queues; k++)
			for (struct place *p = e->places[j->queues[k]]; p; p = p->next_part)
				e->joins[i].remaining++;
	}
	rc = PC_OK;
out:
	free(stages);
	free(queues);
	free(joins);
	return rc;
}

static int create_sections(struct engine *e)
{
	int rc = PC_OK;

	e->sections = array(e->plan->n_sections, sizeof(struct section *));
	if (!e->sections)
		return PC_NOMEM;
	for (uint32_t i = 0; i < e->plan->n_sections && !rc; i++)
		rc = create_section(&e->sections[i], e->plan, i);
	return rc;
}

static unsigned cores(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		return (unsigned)CPU_COUNT(&set);
	return 1;
}

int create_worker(struct engine *e)
{
	struct pool *pool = &e->pool;
	struct pc_queue_options options = {.size = sizeof(options), .capacity = pool->n_tasks};
	unsigned index = pool_size(pool);
	struct worker *w = &pool->workers[index];

	memset((void *)w, 0, sizeof(*w));
	w->engine = e;
	w->index = index;
	w->random = index + 1;
	w->seen = array(pool->n_asked + POOL_RELIEF, sizeof(*w->seen));
	if (!w->seen || pc_queue_create(&w->ready, &options)) {
		free(w->seen);
		return PC_NOMEM;
	}
	scratch_init(&w->scratch, e->items);
	return PC_OK;
}

void create_undo_worker(struct worker *w)
{
	scratch_fini(&w->scratch);
	free(w->seen);
	pc_queue_destroy(w->ready);
}

void create_batch(struct engine *e, uint32_t replicas)
{
	bool many = replicas / e->pool.n_asked >= ENGINE_MANY;

	/* relaxed: any of the two will do at any time */
	atomic_store_explicit(&e->batch, many ? ENGINE_BATCH_MANY : ENGINE_BATCH,
	                      memory_order_relaxed);
}

static int create_pool(struct engine *e, unsigned n)
{
	struct pool *pool = &e->pool;
	uint64_t tasks = 0;

	for (uint32_t i = 0; i < e->plan->n_stages; i++)
		tasks += e->plan->stages[i].replicas;
	if (tasks > PC_QUEUE_CAPACITY_MAX)
		return PC_INVALID;
	pool->n_asked = n;
	pool->n_tasks = (uint32_t)tasks + 1;
	create_batch(e, (uint32_t)tasks);
	pool->workers =
		aligned_alloc(64, ((n + POOL_RELIEF) * sizeof(*pool->workers) + 63) / 64 * 64);
	if (!pool->workers)
		return PC_NOMEM;
	for (unsigned i = 0; i < n; i++) {
		int rc = create_worker(e);

		if (rc)
			return rc;
		/* relaxed: no other thread yet */
		atomic_store_explicit(&pool->n_workers, i + 1, memory_order_relaxed);
	}
	return PC_OK;
}

static int create_places(struct engine *e)
{
	e->places = array(e->plan->n_queues, sizeof(struct place *));
	for (uint32_t i = 0; e->places && i < e->plan->n_queues; i++) {
		e->places[i] = create_place(e, e->plan, &e->plan->queues[i]);
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
	pthread_mutex_init(&e->shape, NULL);
	pthread_mutex_init(&e->log_lock, NULL);
	pthread_cond_init(&e->ended_cond, NULL);
	died_init(&e->died);
	swap_create(e);
	reload_create(e);
	closing_init(e);
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

void engine_destroy(struct engine *e)
{
	if (!e)
		return;
	if (e->has_thread)
		pthread_join(e->thread, NULL);
	if (e->stuck)
		return; /* abandoned threads may still look: the memory stays until the process ends */
	crash_watch(e, false);
	/* The last thread that may have a replica in its hands, and is not the engine's. */
	queue_wakes_over();
	if (e->loop_ready)
		uv_loop_close(&e->loop);
	item_cache_set_current(&e->control_cache);
	recycle_rest(e);
	swap_destroy(e);
	for (uint32_t i = 0; e->stages && i < e->plan->n_stages && e->stages[i]; i++)
		recycle_stage_free(e->stages[i]);
	for (uint32_t i = 0; e->places && i < e->plan->n_queues; i++)
		recycle_place_free(e->places[i]);
	for (uint32_t i = 0; e->sections && i < e->plan->n_sections && e->sections[i]; i++) {
		pc_queue_destroy(e->sections[i]->waiting);
		free(e->sections[i]);
	}
	for (unsigned i = 0; i < pool_size(&e->pool); i++)
		create_undo_worker(&e->pool.workers[i]);
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
	reload_destroy(e);
	arena_fini(&e->arena);
	item_cache_set_current(NULL);
	if (e->items) {
		item_cache_fini(&e->control_cache);
		item_pool_destroy(e->items);
	}
	if (e->ended_fd >= 0)
		close(e->ended_fd);
	pc_error_free(e->error);
	died_fini(&e->died);
	closing_fini(e);
	pthread_cond_destroy(&e->ended_cond);
	pthread_mutex_destroy(&e->log_lock);
	pthread_mutex_destroy(&e->shape);
	pthread_mutex_destroy(&e->lock);
	free(e);
}
