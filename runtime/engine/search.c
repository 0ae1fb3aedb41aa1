/* engine/search.c: a worker without work: it searches, takes from others, parks, and watches.
 *
 * A worker with nothing to do searches the others' FIFOs for a while and then parks. From a busy worker
 * it takes only what that one will not come to soon: much is waiting there, something has waited long,
 * or it has been in one activation for STEAL_NS. One parked worker is woken at a time, when nobody
 * searches; for what else has come meanwhile a searcher that finds something wakes the next one (the
 * scheme of Go's scheduler: Vyukov, "Scalable Go Scheduler Design Doc", 2012).
 *
 * Watching. Who parks while anybody works looks every RESCUE_NS whether a worker that has work waiting
 * is stuck in one activation, or has none to run and yet some in its FIFO, and then takes it. One such
 * is enough: the others, and when nobody works all, sleep without a time. Who watches is counted in
 * `watching`, and looks once more whether somebody works after it has taken itself off: whoever works
 * either sees that nobody watches, and wakes one where something waits (worker.c), or is seen.
 *
 * `idle` holds both counts in one word, and whoever appends work changes that word too (by 0):
 * either the appender sees the parked worker, or the worker's last look sees the work.
 *
 * Pairs
 *   K1 pool_wake: acq_rel idle -> K2 park: acq_rel idle      work appended before
 *   K2 park: acq_rel idle -> K1 pool_wake: acq_rel idle      that somebody is parked
 *   K3 pool_permit: release permits -> K4 permit_take: acquire permits    the wake-up
 *   K5 pool_quit of worker.c: release quit -> K6 pool_quitting of worker.h: acquire quit
 *   K9 begin_tick of worker.c: seq_cst ticks -> K10 rescue, works: seq_cst ticks       that it works
 *   K11 park: seq_cst watching -> K12 pool_watched of worker.h: seq_cst watching    who looks at the
 *                                                                                   ticks after it
 */
#include "engine/worker.h"

#include "base/clock.h"
#include "base/futex.h"

#define SEARCHING    (UINT32_C(1) << 16)
#define PARKED(idle) ((idle) & (SEARCHING - 1))
#define SEARCH_NS    8000 /* about a third of what a wake-up costs */
#define RESCUE_NS    (2 * PC_MS)
#define STEAL_NS     4000 /* in one activation so long: what waits behind it may be taken away */

void pool_permit(struct pool *pool, uint32_t n)
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

/* The woken one counts as searching already. */
void pool_wake(struct pool *pool)
{
	uint32_t idle =
		atomic_fetch_add_explicit(&pool->idle, 0, memory_order_acq_rel); /* K1 */

	while (PARKED(idle) > 0 && idle < SEARCHING)
		if (atomic_compare_exchange_weak_explicit(
			    &pool->idle, &idle, idle - 1 + SEARCHING,
			    memory_order_acq_rel /* K1 */, memory_order_relaxed /* again */)) {
			pool_permit(pool, 1);
			return;
		}
}

/* Is there anybody who could watch? */
bool pool_any_parked(const struct pool *pool)
{
	/* Who parks after the look at `watching` sees that we work. Ordered after `unwatched` in relief.c. */
	return PARKED(atomic_load_explicit((_Atomic uint32_t *)(uintptr_t)&pool->idle,
	                                   memory_order_seq_cst)) > 0; /* RL3 */
}

/* Otherwise two workers that share a few short stages would take them from each other all the time,
 * and the items with them, which cost more to move than to process: three stages 21.5 ns an item
 * instead of 19 on one core. (Go's scheduler is as reluctant to steal what it keeps in runnext.) */
static bool may_steal(struct worker *w, unsigned index, int64_t now_ns)
{
	struct worker *victim = &w->engine->pool.workers[index];
	struct worker_seen *seen = &w->seen[index];
	uint32_t ticks;

	/* relaxed, all: a busy worker comes to its work itself, or is rescued */
	if (victim == w || atomic_load_explicit(&victim->searching, memory_order_relaxed) ||
	    /* relaxed: as above */
	    atomic_load_explicit(&victim->overdue, memory_order_relaxed) ||
	    queue_fill(victim->ready) > POOL_MANY)
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

		r = may_steal(w, victim, now_ns) ? worker_take_from(&pool->workers[victim])
		                                 : NULL;
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
			struct replica *r = worker_take_from(other);

			r = r ? r : worker_take_next(other);
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

	/* relaxed: who is alone with that looks again */
	if (busy && atomic_load_explicit(&pool->watching, memory_order_relaxed) == 1)
		return permit_take(pool, clock_now_ns() + RESCUE_NS);
	if (atomic_fetch_sub_explicit(&pool->watching, 1, memory_order_seq_cst) > 1 /* K11 */ ||
	    !works(w))
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
	while (!r && !permit && !pool_quitting(pool)) {
		r = rescue(w, &busy);
		if (!r)
			permit = sleep_parked(w, busy);
		/* what has come to one that is parked, when its waker found a searcher: ourselves, say */
		if (!r && !permit)
			r = steal(w, clock_now_ns());
	}
	atomic_fetch_sub_explicit(&pool->watching, 1, memory_order_seq_cst); /* K11 */
	if (!permit)
		unpark(pool);
	return r;
}

struct replica *worker_search(struct worker *w)
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
		if (pool_quitting(pool))
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
	    queue_fill(w->ready) > POOL_MANY)
		pool_wake(pool);
	w->found = true;
	return r;
}
