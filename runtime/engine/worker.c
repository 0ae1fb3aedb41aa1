/* engine/worker.c: the threads that run replicas which do not block.
 *
 * Each worker has a FIFO of ready replicas (pcrun's own queue, so that others may take from it)
 * and a place for one more, `next`: the replica that the activation just run made ready as its
 * last act; its input is in this core's cache, so it goes first, a limited number of times in a
 * row. A worker with nothing to do searches the others' FIFOs for a while and then parks.
 *
 * Waking: one parked worker is woken when work appears and nobody searches. A searcher that finds
 * something wakes the next one when it was the last searcher, so work spreads without a stampede
 * (the scheme of Go's scheduler: Vyukov, "Scalable Go Scheduler Design Doc", 2012).
 *
 * `idle` holds both counts in one word, and whoever appends work changes that word too (by 0):
 * either the appender sees the parked worker, or the worker's search sees the work.
 *
 * Pairs
 *   K1 pool_wake: acq_rel idle -> K2 park: acq_rel idle      work appended before
 *   K2 park: acq_rel idle -> K1 pool_wake: acq_rel idle      that somebody is parked
 *   K3 permit_give: release permits -> K4 permit_take: acquire permits    the wake-up
 *   K5 pool_quit: release quit -> K6 worker_main: acquire quit
 *   K7 pool_ready: relaxed turn    only spreads
 */
#include "engine/engine.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/futex.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define SEARCHING    (UINT32_C(1) << 16)
#define PARKED(idle) ((idle) & (SEARCHING - 1))
#define NEXT_BUDGET  16   /* activations in a row that `next` may go first */
#define SEARCH_NS    8000 /* about a third of what a wake-up costs */
#define FAIR_TICK    61   /* every so often the FIFO goes before `next` */

static _Thread_local struct worker *self;

static void permit_give(struct pool *pool, uint32_t n)
{
	atomic_fetch_add_explicit(&pool->permits, n, memory_order_release); /* K3 */
	futex_wake(&pool->permits, (int)n);
}

static void permit_take(struct pool *pool)
{
	/* relaxed: the exchange orders */
	uint32_t have = atomic_load_explicit(&pool->permits, memory_order_relaxed);

	for (;;) {
		if (have == 0) {
			futex_wait(&pool->permits, 0, INT64_MAX);
			/* relaxed: as above */
			have = atomic_load_explicit(&pool->permits, memory_order_relaxed);
		} else if (atomic_compare_exchange_weak_explicit(
				   &pool->permits, &have, have - 1,
				   memory_order_acquire /* K4 */,
				   memory_order_relaxed /* tried again */)) {
			return;
		}
	}
}

/* Work has been appended: see that somebody looks. The woken one counts as searching already. */
static void pool_wake(struct pool *pool)
{
	uint32_t idle =
		atomic_fetch_add_explicit(&pool->idle, 0, memory_order_acq_rel); /* K1 */

	while (PARKED(idle) > 0 && idle < SEARCHING)
		if (atomic_compare_exchange_weak_explicit(
			    &pool->idle, &idle, idle - 1 + SEARCHING,
			    memory_order_acq_rel /* K1 */, memory_order_relaxed /* again */)) {
			permit_give(pool, 1);
			return;
		}
}

static void append(struct worker *w, struct replica *r)
{
	/* Capacity is the number of replicas, each at most once in any FIFO: there is room. No
	 * memory for a segment passes: the grace period that it waits for ends. */
	while (pc_queue_put(w->ready, r, 0) != PC_OK)
		sched_yield();
}

void pool_ready(struct engine *e, struct replica *r)
{
	struct pool *pool = &e->pool;
	struct worker *w = self;

	if (w && w->engine == e) {
		if (w->scratch.final && !w->next) {
			w->next = r;
			return;
		}
		append(w, r);
	} else {
		/* relaxed: only spreads the load */
		uint32_t turn = atomic_fetch_add_explicit(&pool->turn, 1,
		                                          memory_order_relaxed); /* K7 */

		append(&pool->workers[turn % pool->n_workers], r);
	}
	pool_wake(pool);
}

static struct replica *take_from(struct worker *w)
{
	void *r = NULL;

	return pc_queue_take(w->ready, &r, 0) == PC_OK ? r : NULL;
}

static struct replica *own_work(struct worker *w)
{
	struct replica *r = NULL;

	if (w->next && w->next_budget > 0) {
		w->next_budget--;
		r = w->next;
		w->next = NULL;
		return r;
	}
	w->next_budget = NEXT_BUDGET;
	r = take_from(w);
	if (!r) {
		r = w->next;
		w->next = NULL;
	}
	return r;
}

static struct replica *steal(struct worker *w)
{
	struct pool *pool = &w->engine->pool;
	unsigned n = pool->n_workers;
	struct replica *r;

	w->random = w->random * 1664525u + 1013904223u;
	for (unsigned i = 0; i < n; i++) {
		struct worker *victim = &pool->workers[(w->random / 65536u + i) % n];

		r = take_from(victim);
		if (r)
			return r;
	}
	return NULL;
}

static bool quitting(const struct pool *pool)
{
	return atomic_load_explicit((_Atomic uint32_t *)(uintptr_t)&pool->quit,
	                            memory_order_acquire) != 0; /* K6 */
}

/* Searching: look for a while, then park. Returns work, or NULL when the pool quits. */
static struct replica *search(struct worker *w)
{
	struct pool *pool = &w->engine->pool;
	int64_t until = clock_now_ns() + SEARCH_NS;
	uint32_t idle;
	struct replica *r;

	/* relaxed: entering the search promises nothing yet */
	atomic_fetch_add_explicit(&pool->idle, SEARCHING, memory_order_relaxed);
	for (;;) {
		r = steal(w);
		if (r)
			break;
		if (quitting(pool))
			return NULL;
		if (clock_now_ns() < until) {
			cpu_relax();
			continue;
		}
		atomic_fetch_sub_explicit(&pool->idle, SEARCHING - 1,
		                          memory_order_acq_rel); /* K2 */
		r = steal(w);
		if (!r && !quitting(pool)) {
			permit_take(pool);
			until = clock_now_ns() + SEARCH_NS;
			continue;
		}
		/* Not parked after all: be counted as searching again, or take the permit that
		 * somebody has given us meanwhile. */
		/* relaxed: the exchange decides */
		idle = atomic_load_explicit(&pool->idle, memory_order_relaxed);
		for (;;) {
			if (PARKED(idle) == 0) {
				permit_take(pool);
				break;
			}
			if (atomic_compare_exchange_weak_explicit(
				    &pool->idle, &idle, idle - 1 + SEARCHING,
				    memory_order_acq_rel /* K2 */,
				    memory_order_relaxed /* again */))
				break;
		}
		if (r)
			break;
		return NULL;
	}
	/* The last searcher to find something sends the next one: there may be more. */
	if (atomic_fetch_sub_explicit(&pool->idle, SEARCHING, memory_order_acq_rel) /* K2 */ <
	    2 * SEARCHING)
		pool_wake(pool);
	return r;
}

static void run(struct worker *w, struct replica *r)
{
	struct section *section = r->stage->section;
	enum act act;

	if (section && !section_enter(section, r))
		return;
	/* relaxed: QUEUED is ours alone; the FIFO ordered what came before */
	atomic_store_explicit(&r->sched, TASK_RUNNING, memory_order_relaxed);
	act = activate(r, &w->scratch);
	w->scratch.final = false;
	if (section)
		section_leave(section);
	if (task_settle(r, act)) {
		append(w, r);
		if (w->next)
			pool_wake(&w->engine->pool);
	}
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct replica *r;
	unsigned tick = 0;

	self = w;
	item_cache_set_current(&w->scratch.cache);
	while (!quitting(&w->engine->pool)) {
		r = ++tick % FAIR_TICK == 0 ? take_from(w) : NULL;
		if (!r)
			r = own_work(w);
		if (!r)
			r = search(w);
		if (r)
			run(w, r);
	}
	item_cache_set_current(NULL);
	return NULL;
}

int pool_start(struct engine *e, unsigned n, struct pc_error **err)
{
	struct pool *pool = &e->pool;
	int rc;

	for (unsigned i = 0; i < n; i++) {
		struct worker *w = &pool->workers[i];
		char name[16];

		rc = pthread_create(&w->thread, NULL, worker_main, w);
		if (rc)
			return error_set(err, PC_ERROR, "can not start worker %u of %u: %s",
			                 i + 1, n, strerror(rc));
		w->has_thread = true;
		snprintf(name, sizeof(name), "worker-%hu", (unsigned short)i);
		pthread_setname_np(w->thread, name);
	}
	return PC_OK;
}

void pool_quit(struct engine *e)
{
	struct pool *pool = &e->pool;

	atomic_store_explicit(&pool->quit, 1, memory_order_release); /* K5 */
	if (pool->n_workers > 0)
		permit_give(pool, pool->n_workers);
	for (unsigned i = 0; i < pool->n_workers; i++) {
		struct worker *w = &pool->workers[i];

		if (w->has_thread && thread_join(e, w->thread))
			w->has_thread = false;
	}
}
