/* engine/worker.c: the threads that run replicas which do not block.
 *
 * Each worker has a FIFO of ready replicas (pcrun's own queue, so that others may take from it)
 * and a place for one more, `next`: the replica that the activation just run made ready; its
 * input is in this core's cache, so it goes first, a limited number of times in a row. What a worker
 * does that has neither is told in search.c.
 *
 * When a second core helps. Moving an item to another core costs more than a small stage spends
 * on it. So short activations stay on the worker that made them ready, and another worker is
 * woken only for work that lasts (WORTH_NS, a few times the price of a wake-up) or when much is
 * waiting (POOL_MANY). A long one that is to go on itself is no such work before it has to wait: behind
 * another long one, or for WORTH_NS. The estimate may be wrong: then who watches (search.c) takes what
 * waits. So whoever begins to work, or makes more work ready in the middle of it, and leaves some
 * waiting, wakes one if nobody watches.
 *
 * Pairs
 *   K5 pool_quit: release quit -> K6 pool_quitting of worker.h: acquire quit
 *   K7 keep: release next -> K8 worker_take_next of worker.h: acquire next      the replica's fields
 *   K9 begin_tick: seq_cst ticks -> K10 of search.c: that it works
 */
#include "engine/worker.h"

#include "base/clock.h"
#include "base/error.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NEXT_BUDGET 64    /* activations in a row that `next` may go first */
#define WORTH_NS    10000 /* activations that last this long are worth another core */

static _Thread_local struct worker *self;

static void append(struct worker *w, struct replica *r)
{
	/* Capacity is the number of replicas, each at most once in any FIFO: there is room. No
	 * memory for a segment passes: the grace period that it waits for ends. */
	while (pc_queue_put(w->ready, r, 0) != PC_OK)
		sched_yield();
}

static bool lasts(const struct replica *r)
{
	/* relaxed: an estimate */
	return atomic_load_explicit((_Atomic uint32_t *)(uintptr_t)&r->activation_ns,
	                            memory_order_relaxed) > WORTH_NS;
}

static bool keep(struct worker *w, struct replica *r)
{
	struct replica *none = NULL;
	bool long_one = lasts(r); /* afterwards it may be run, end and be gone */

	if (!atomic_compare_exchange_strong_explicit(&w->next, &none, r,
	                                             memory_order_release /* K7 */,
	                                             memory_order_relaxed /* not followed */))
		return false;
	w->next_lasts = long_one;
	return true;
}

/* One that lasts waits in our FIFO, or in front of it. */
static bool long_one_waits(struct worker *w)
{
	/* relaxed: only whether there is one */
	if (atomic_load_explicit(&w->next, memory_order_relaxed) && w->next_lasts)
		return true;
	return queue_position(w->ready) < w->long_until;
}

/* Returns whether it lasts. Then it is noted where it stands. */
static bool append_own(struct worker *w, struct replica *r)
{
	bool long_one = lasts(r);

	append(w, r); /* it may be run, end and be gone from here on */
	if (long_one)
		w->long_until = queue_position(w->ready) + queue_fill(w->ready);
	return long_one;
}

/* Whoever searches may take what waits here, also while we are at work. */
static void say_overdue(struct worker *w)
{
	/* relaxed: only we write it; who sees it late comes to it by another way */
	atomic_store_explicit(&w->overdue, true, memory_order_relaxed);
	pool_wake(&w->engine->pool);
}

/* The one that has just run is to go on. */
static void append_again(struct worker *w, struct replica *r)
{
	bool others = long_one_waits(w);

	if (!append_own(w, r))
		return;
	if (others)
		say_overdue(w);
	if (w->long_since_ns == 0)
		w->long_since_ns = w->scratch.now_ns ? w->scratch.now_ns : clock_now_ns();
}

/* About to run another. The time is not always known. */
static void see_to_the_long(struct worker *w)
{
	/* relaxed, all here: ours */
	bool overdue = atomic_load_explicit(&w->overdue, memory_order_relaxed);

	if (w->long_since_ns == 0)
		return;
	if (queue_position(w->ready) >= w->long_until) {
		w->long_since_ns = 0;
		if (overdue)
			/* relaxed: as above */
			atomic_store_explicit(&w->overdue, false, memory_order_relaxed);
	} else if (!overdue && w->scratch.now_ns - w->long_since_ns >= WORTH_NS) {
		say_overdue(w);
	}
}

/* Work waits. With nobody parked nobody will look whether those who work come back: the control thread
 * does, now and then. */
static void see_to_relief(struct engine *e)
{
	if (!pool_any_parked(&e->pool))
		relief_ask(e);
}

void pool_ready(struct engine *e, struct replica *r)
{
	struct pool *pool = &e->pool;
	struct worker *w = self;
	bool long_one;

	if (!w || w->engine != e) {
		/* relaxed: only spreads the load */
		uint32_t turn = atomic_fetch_add_explicit(&pool->turn, 1, memory_order_relaxed);

		append(&pool->workers[turn % pool_size(pool)], r);
		pool_wake(pool);
		see_to_relief(e);
		return;
	}
	if ((w->scratch.final || !lasts(r)) && keep(w, r)) {
		w->scratch.unseen |= w->scratch.final;
		if (w->scratch.final || pool_watched(pool))
			return;
		if (pool_any_parked(pool))
			pool_wake(pool);
		see_to_relief(e);
		return;
	}
	long_one = append_own(w, r);
	if (long_one || queue_fill(w->ready) > POOL_MANY || !pool_watched(pool))
		pool_wake(pool);
	see_to_relief(e);
}

static struct replica *own_work(struct worker *w)
{
	struct replica *r = NULL;

	if (w->next_budget > 0) {
		w->next_budget--;
		r = worker_take_next(w);
		if (r)
			return r;
	}
	w->next_budget = NEXT_BUDGET;
	r = worker_take_from(w);
	return r ? r : worker_take_next(w);
}

/* Something moves; odd as long as there is work, also between two activations, or who happened to look
 * there would believe that nobody works, and sleep unwatched. Only this thread writes it. */
static void begin_tick(struct worker *w)
{
	/* relaxed: ours */
	uint32_t ticks = atomic_load_explicit(&w->ticks, memory_order_relaxed);

	if (ticks & 1)
		/* relaxed: that it works has been said */
		atomic_store_explicit(&w->ticks, ticks + 2, memory_order_relaxed);
	else
		atomic_fetch_add_explicit(&w->ticks, 1, memory_order_seq_cst); /* K9 */
}

static void end_ticks(struct worker *w)
{
	/* relaxed, both: as above; who sees the end late looks once more */
	uint32_t ticks = atomic_load_explicit(&w->ticks, memory_order_relaxed);

	atomic_store_explicit(&w->ticks, ticks + (ticks & 1),
	                      memory_order_relaxed); /* relaxed: as above */
}

/* For one that comes from a search. `watched`: only those who have nothing to run are not looked after at
 * once. */
static bool any_has_more(struct pool *pool, bool watched)
{
	for (unsigned i = 0; i < pool_size(pool); i++) {
		struct worker *w = &pool->workers[i];

		/* relaxed: one that begins to work sees to the rest itself */
		if ((!watched || atomic_load_explicit(&w->searching, memory_order_relaxed)) &&
		    worker_has_more(w))
			return true;
	}
	return false;
}

/* About to work: does anything wait that nobody would look after? A searcher answers for what has come
 * while it searched, for nobody else was woken then; while somebody watches, not for what busy workers
 * have. */
static void see_to_the_rest(struct worker *w)
{
	struct pool *pool = &w->engine->pool;
	bool found = w->found, watched = pool_watched(pool), parked = pool_any_parked(pool);

	w->found = false;
	/* relaxed, `unwatched`: it is lowered before its last look at what waits */
	if (!found && (watched || (!parked && atomic_load_explicit(&pool->unwatched,
	                                                           memory_order_relaxed))))
		return;
	if ((watched || !worker_has_more(w)) && (!found || !any_has_more(pool, watched)))
		return;
	if (parked)
		pool_wake(pool);
	else
		relief_ask(w->engine);
}

static void run(struct worker *w, struct replica *r)
{
	struct section *section = r->stage->section;
	enum act act;

	if (section && !section_enter(section, r))
		return;
	task_begin(r);
	begin_tick(w);
	see_to_the_rest(w);
	see_to_the_long(w);
	act = activate(r, &w->scratch);
	w->scratch.final = false;
	if (section)
		section_leave(section);
	if (task_settle(r, act))
		append_again(w, r);
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct crash_stack stack;
	struct replica *r;

	self = w;
	crash_stack_begin(&stack);
	item_cache_set_current(&w->scratch.cache);
	while (!pool_quitting(&w->engine->pool)) {
		r = own_work(w);
		if (!r) {
			w->scratch.now_ns = 0;
			end_ticks(w);
			r = worker_search(w);
		}
		if (r)
			run(w, r);
	}
	item_cache_set_current(NULL);
	crash_stack_end(&stack);
	return NULL;
}

bool pool_has_work(struct pool *pool)
{
	for (unsigned i = 0; i < pool_size(pool); i++)
		if (worker_has_more(&pool->workers[i]))
			return true;
	return false;
}

int pool_start_worker(struct worker *w)
{
	char name[16];
	int rc = pthread_create(&w->thread, NULL, worker_main, w);

	if (rc)
		return rc;
	w->has_thread = true;
	snprintf(name, sizeof(name), "worker-%hu", (unsigned short)w->index);
	pthread_setname_np(w->thread, name);
	return 0;
}

int pool_start(struct engine *e, unsigned n, struct pc_error **err)
{
	for (unsigned i = 0; i < n; i++) {
		int rc = pool_start_worker(&e->pool.workers[i]);

		if (rc)
			return error_set(err, PC_ERROR, "can not start worker %u of %u: %s",
			                 i + 1, n, strerror(rc));
	}
	return PC_OK;
}

void pool_quit(struct engine *e)
{
	struct pool *pool = &e->pool;

	atomic_store_explicit(&pool->quit, 1, memory_order_release); /* K5 */
	if (pool_size(pool) > 0)
		pool_permit(pool, pool_size(pool));
	for (unsigned i = 0; i < pool_size(pool); i++) {
		struct worker *w = &pool->workers[i];

		if (w->has_thread && thread_join(e, w->thread))
			w->has_thread = false;
	}
}
