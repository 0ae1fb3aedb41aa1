/* engine/worker.c: the threads that run replicas which do not block.
 *
 * Each worker has a FIFO of ready replicas (pcrun's own queue, so that others may take from it)
 * and a place for one more, `next`: the replica that the activation just run made ready; its
 * input is in this core's cache, so it goes first, a limited number of times in a row.
 *
 * When a second core helps. Moving an item to another core costs more than a small stage spends
 * on it. So short activations stay on the worker that made them ready, and another worker is
 * woken only for work that lasts (WORTH_NS, a few times the price of a wake-up) or when much is
 * waiting (MANY). A long one that is to go on, with only a FEW short ones before it, comes to its turn
 * here sooner than another core would have its lines. The estimate may be wrong: while anybody works, parked workers look every
 * RESCUE_NS whether a worker that has work waiting is stuck in one activation, and then take it.
 * When nobody works all sleep without a time. So whoever begins to work, or makes more work ready
 * in the middle of it, and leaves some waiting, wakes one if nobody watches like that: it is
 * counted in `watching`, and looks once more whether somebody works after it has taken itself off.
 *
 * A worker with nothing to do searches the others' FIFOs for a while and then parks. From a busy worker
 * it takes only what that one will not come to soon: much is waiting there, or it has been in one
 * activation for STEAL_NS. One parked
 * worker is woken at a time, when nobody searches; a searcher that finds something wakes the next
 * one when it was the last searcher and more is waiting (the scheme of Go's scheduler: Vyukov,
 * "Scalable Go Scheduler Design Doc", 2012).
 *
 * `idle` holds both counts in one word, and whoever appends work changes that word too (by 0):
 * either the appender sees the parked worker, or the worker's last look sees the work.
 *
 * Pairs
 *   K1 pool_wake: acq_rel idle -> K2 park: acq_rel idle      work appended before
 *   K2 park: acq_rel idle -> K1 pool_wake: acq_rel idle      that somebody is parked
 *   K3 permit_give: release permits -> K4 permit_take: acquire permits    the wake-up
 *   K5 pool_quit: release quit -> K6 worker_main: acquire quit
 *   K7 keep: release next -> K8 take_next: acquire next      the replica's fields
 *   K9 begin_tick: seq_cst ticks -> K10 rescue, works: seq_cst ticks       that it works
 *   K11 park: seq_cst watching -> K12 watched: seq_cst watching     who looks at the ticks after it
 */
#include "engine/engine.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/futex.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEARCHING    (UINT32_C(1) << 16)
#define PARKED(idle) ((idle) & (SEARCHING - 1))
#define NEXT_BUDGET  64    /* activations in a row that `next` may go first */
#define SEARCH_NS    8000  /* about a third of what a wake-up costs */
#define WORTH_NS     10000 /* activations that last this long are worth another core */
#define MANY         16    /* so are so many ready replicas */
#define FEW          2     /* so many short ones do not make a long one wait */
#define RESCUE_NS    (2 * PC_MS)
#define STEAL_NS     4000 /* in one activation so long: what waits behind it may be taken away */

static _Thread_local struct worker *self;

static void permit_give(struct pool *pool, uint32_t n)
{
	atomic_fetch_add_explicit(&pool->permits, n, memory_order_release); /* K3 */
	futex_wake(&pool->permits, (int)n);
}

/* False: the time was over first. */
static bool permit_take(struct pool *pool, int64_t until_ns)
{
	/* relaxed: the exchange orders */
	uint32_t have = atomic_load_explicit(&pool->permits, memory_order_relaxed);

	for (;;) {
		if (have > 0 &&
		    atomic_compare_exchange_weak_explicit(
			    &pool->permits, &have, have - 1, memory_order_acquire /* K4 */,
			    memory_order_relaxed /* tried again */))
			return true;
		if (have > 0)
			continue;
		if (until_ns != INT64_MAX && clock_now_ns() >= until_ns)
			return false;
		futex_wait(&pool->permits, 0, until_ns);
		/* relaxed: as above */
		have = atomic_load_explicit(&pool->permits, memory_order_relaxed);
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

static bool watched(const struct pool *pool)
{
	return atomic_load_explicit((_Atomic uint32_t *)(uintptr_t)&pool->watching,
	                            memory_order_seq_cst) > 0; /* K12 */
}

/* Is there anybody who could watch? */
bool pool_any_parked(const struct pool *pool)
{
	/* relaxed: who parks after the look at `watching` sees that we work */
	return PARKED(atomic_load_explicit((_Atomic uint32_t *)(uintptr_t)&pool->idle,
	                                   memory_order_relaxed)) > 0;
}

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

	w->next_lasts = lasts(r); /* afterwards it may be run, end and be gone */
	return atomic_compare_exchange_strong_explicit(&w->next, &none, r,
	                                               memory_order_release /* K7 */,
	                                               memory_order_relaxed /* not followed */);
}

static struct replica *take_next(struct worker *w)
{
	/* relaxed look: an empty place costs no exchange */
	if (!atomic_load_explicit(&w->next, memory_order_relaxed))
		return NULL;
	return atomic_exchange_explicit(&w->next, NULL, memory_order_acquire); /* K8 */
}

/* Returns whether it lasts. Where the last one that does stands is noted: see long_wait(). */
static bool append_own(struct worker *w, struct replica *r)
{
	bool long_one = lasts(r);

	append(w, r); /* it may be run, end and be gone from here on */
	if (long_one)
		w->long_until = queue_position(w->ready) + queue_fill(w->ready);
	return long_one;
}

/* What is appended now will have to wait: for one that lasts, or for more than a few. */
static bool long_wait(struct worker *w)
{
	/* relaxed: only whether there is one */
	if (atomic_load_explicit(&w->next, memory_order_relaxed) && w->next_lasts)
		return true;
	return queue_position(w->ready) < w->long_until || queue_fill(w->ready) > FEW;
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
		if (w->scratch.final || watched(pool))
			return;
		if (pool_any_parked(pool))
			pool_wake(pool);
		see_to_relief(e);
		return;
	}
	long_one = append_own(w, r);
	if (long_one || queue_fill(w->ready) > MANY || !watched(pool))
		pool_wake(pool);
	see_to_relief(e);
}

static struct replica *take_from(struct worker *w)
{
	void *r = NULL;

	return pc_queue_take(w->ready, &r, 0) == PC_OK ? r : NULL;
}

static struct replica *own_work(struct worker *w)
{
	struct replica *r = NULL;

	if (w->next_budget > 0) {
		w->next_budget--;
		r = take_next(w);
		if (r)
			return r;
	}
	w->next_budget = NEXT_BUDGET;
	r = take_from(w);
	return r ? r : take_next(w);
}

/* Otherwise two workers that share a few short stages would take them from each other all the time,
 * and the items with them, which cost more to move than to process: three stages 21.5 ns an item
 * instead of 19 on one core. (Go's scheduler is as reluctant to steal what it keeps in runnext.) */
static bool may_steal(struct worker *w, unsigned index, int64_t now_ns)
{
	struct worker *victim = &w->engine->pool.workers[index];
	struct worker_seen *seen = &w->seen[index];
	uint32_t ticks;

	/* relaxed, both: a busy worker comes to its work itself, or is rescued */
	if (victim == w || atomic_load_explicit(&victim->searching, memory_order_relaxed) ||
	    queue_fill(victim->ready) > MANY)
		return true;
	/* relaxed: as above */
	ticks = atomic_load_explicit(&victim->ticks, memory_order_relaxed);
	if (ticks != seen->steal_ticks) {
		seen->steal_ticks = ticks;
		seen->since_ns = now_ns;
	}
	return now_ns - seen->since_ns >= STEAL_NS;
}

static struct replica *steal(struct worker *w, int64_t now_ns)
{
	struct pool *pool = &w->engine->pool;
	unsigned n = pool_size(pool);
	struct replica *r;

	w->random = w->random * 1664525u + 1013904223u;
	for (unsigned i = 0; i < n; i++) {
		unsigned victim = (w->random / 65536u + i) % n;

		r = may_steal(w, victim, now_ns) ? take_from(&pool->workers[victim]) : NULL;
		if (r)
			return r;
	}
	return NULL;
}

/* A worker that has not begun an activation since we last looked may be stuck in a long one,
 * with work kept for itself. *ret_busy: somebody works at all. */
static struct replica *rescue(struct worker *w, bool *ret_busy)
{
	struct pool *pool = &w->engine->pool;

	*ret_busy = false;
	for (unsigned i = 0; i < pool_size(pool); i++) {
		struct worker *other = &pool->workers[i];
		uint32_t ticks =
			atomic_load_explicit(&other->ticks, memory_order_seq_cst); /* K10 */
		bool stuck = (ticks & 1) && ticks == w->seen[i].rescue_ticks;

		if (other == w)
			continue;
		*ret_busy |= ticks & 1;
		w->seen[i].rescue_ticks = ticks;
		if (stuck) {
			struct replica *r = take_from(other);

			r = r ? r : take_next(other);
			if (r)
				return r;
		}
	}
	return NULL;
}

static bool works(const struct worker *w)
{
	const struct pool *pool = &w->engine->pool;

	for (unsigned i = 0; i < pool_size(pool); i++) {
		struct worker *other = &pool->workers[i];

		if (other != w &&
		    atomic_load_explicit(&other->ticks, memory_order_seq_cst) & 1) /* K10 */
			return true;
	}
	return false;
}

static bool quitting(const struct pool *pool)
{
	return atomic_load_explicit((_Atomic uint32_t *)(uintptr_t)&pool->quit,
	                            memory_order_acquire) != 0; /* K6 */
}

/* From parked back to searching without having slept. Whoever is parked stands for one of the count
 * in `idle`, or for one permit that a waker has made of it; but not for a certain one: another
 * worker may come, park, and take the permit. So both are tried in turn; waiting for a permit
 * alone could be for ever, with work in our hands. */
static void unpark(struct pool *pool)
{
	/* relaxed, here and below: the exchanges decide */
	uint32_t idle = atomic_load_explicit(&pool->idle, memory_order_relaxed);

	for (;;) {
		/* relaxed: as above */
		uint32_t have = atomic_load_explicit(&pool->permits, memory_order_relaxed);

		if (PARKED(idle) > 0) {
			if (atomic_compare_exchange_weak_explicit(
				    &pool->idle, &idle, idle - 1 + SEARCHING,
				    memory_order_acq_rel /* K2 */,
				    memory_order_relaxed /* again */))
				return;
			continue;
		}
		if (have > 0 &&
		    atomic_compare_exchange_weak_explicit(&pool->permits, &have, have - 1,
		                                          memory_order_acquire /* K4 */,
		                                          memory_order_relaxed /* again */))
			return;
		cpu_relax();
		/* relaxed: as above */
		idle = atomic_load_explicit(&pool->idle, memory_order_relaxed);
	}
}

/* True: a permit came. Counted as watching before and after. */
static bool sleep_parked(struct worker *w, bool busy)
{
	struct pool *pool = &w->engine->pool;
	bool permit = false;

	if (busy)
		return permit_take(pool, clock_now_ns() + RESCUE_NS);
	atomic_fetch_sub_explicit(&pool->watching, 1, memory_order_seq_cst); /* K11 */
	if (!works(w))
		permit = permit_take(pool, INT64_MAX);
	atomic_fetch_add_explicit(&pool->watching, 1, memory_order_seq_cst); /* K11 */
	return permit;
}

/* Sleep until there is a permit, or until a rescue finds work. Returns counted as searching. */
static struct replica *park(struct worker *w)
{
	struct pool *pool = &w->engine->pool;
	struct replica *r;
	bool busy, permit = false;

	atomic_fetch_sub_explicit(&pool->idle, SEARCHING - 1, memory_order_acq_rel); /* K2 */
	atomic_fetch_add_explicit(&pool->watching, 1, memory_order_seq_cst);         /* K11 */
	r = steal(w, clock_now_ns());
	while (!r && !permit && !quitting(pool)) {
		r = rescue(w, &busy);
		if (!r)
			permit = sleep_parked(w, busy);
	}
	atomic_fetch_sub_explicit(&pool->watching, 1, memory_order_seq_cst); /* K11 */
	if (!permit)
		unpark(pool);
	return r;
}

/* Returns work, or NULL when the pool quits. */
static struct replica *search(struct worker *w)
{
	struct pool *pool = &w->engine->pool;
	int64_t now = clock_now_ns(), until = now + SEARCH_NS;
	struct replica *r;

	/* relaxed: others may take what is in our FIFO a little later, too */
	atomic_store_explicit(&w->searching, true, memory_order_relaxed);
	/* relaxed: entering the search promises nothing yet */
	atomic_fetch_add_explicit(&pool->idle, SEARCHING, memory_order_relaxed);
	for (;;) {
		r = steal(w, now);
		if (r)
			break;
		if (quitting(pool))
			return NULL;
		now = clock_now_ns();
		if (now < until) {
			cpu_relax();
			continue;
		}
		r = park(w);
		if (r)
			break;
		now = clock_now_ns();
		until = now + SEARCH_NS;
	}
	/* relaxed: as above */
	atomic_store_explicit(&w->searching, false, memory_order_relaxed);
	/* The last searcher to find something sends the next one when more is waiting. */
	if (atomic_fetch_sub_explicit(&pool->idle, SEARCHING, memory_order_acq_rel) /* K2 */ <
	            2 * SEARCHING &&
	    queue_fill(w->ready) > MANY)
		pool_wake(pool);
	w->found = true;
	return r;
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

static bool has_more(struct worker *w)
{
	/* relaxed: only whether there is something. The queue must say it exactly: an estimate that two
	 * who append at once have set back may stay so, and nobody look after what is there. */
	return atomic_load_explicit(&w->next, memory_order_relaxed) || queue_has_item(w->ready);
}

/* About to work: does anything wait that nobody would look after? A searcher answers for all that
 * has come while it searched, for nobody else was woken then. */
static void see_to_the_rest(struct worker *w)
{
	struct pool *pool = &w->engine->pool;
	bool found = w->found, more;

	w->found = false;
	if (watched(pool))
		return;
	if (!pool_any_parked(pool)) {
		/* relaxed: whoever appends asks as well; this only saves the look */
		if (!atomic_load_explicit(&pool->unwatched, memory_order_relaxed) &&
		    has_more(w))
			relief_ask(w->engine);
		return;
	}
	more = has_more(w);
	for (unsigned i = 0; i < pool_size(pool) && found && !more; i++)
		more = has_more(&pool->workers[i]);
	if (more)
		pool_wake(pool);
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
	act = activate(r, &w->scratch);
	w->scratch.final = false;
	if (section)
		section_leave(section);
	if (task_settle(r, act)) {
		bool wait = long_wait(w);

		if (append_own(w, r) && wait)
			pool_wake(&w->engine->pool);
	}
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct crash_stack stack;
	struct replica *r;

	self = w;
	crash_stack_begin(&stack);
	item_cache_set_current(&w->scratch.cache);
	while (!quitting(&w->engine->pool)) {
		r = own_work(w);
		if (!r) {
			w->scratch.now_ns = 0;
			end_ticks(w);
			r = search(w);
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
		if (has_more(&pool->workers[i]))
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
		permit_give(pool, pool_size(pool));
	for (unsigned i = 0; i < pool_size(pool); i++) {
		struct worker *w = &pool->workers[i];

		if (w->has_thread && thread_join(e, w->thread))
			w->has_thread = false;
	}
}
