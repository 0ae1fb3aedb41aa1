/* engine/worker.h: what worker.c, which runs replicas, and search.c, which looks for them, share.
 *
 * Workers only, but for what engine.h has. */
#ifndef ENGINE_WORKER_H
#define ENGINE_WORKER_H

#include "engine/engine.h"

#define POOL_MANY 16 /* so many ready replicas are worth another core */

/* search.c */
void pool_wake(struct pool *pool); /* [any] work has been appended: see that somebody looks */
void pool_permit(struct pool *pool, uint32_t n); /* [any] n that are parked wake up */
/* Returns work, or NULL when the pool quits. */
struct replica *worker_search(struct worker *w);

/* Somebody looks after those who work. */
static inline bool pool_watched(const struct pool *pool)
{
	return atomic_load_explicit((_Atomic uint32_t *)(uintptr_t)&pool->watching,
	                            memory_order_seq_cst) > 0; /* K12 */
}

static inline bool pool_quitting(const struct pool *pool)
{
	return atomic_load_explicit((_Atomic uint32_t *)(uintptr_t)&pool->quit,
	                            memory_order_acquire) != 0; /* K6 */
}

static inline struct replica *worker_take_next(struct worker *w)
{
	/* relaxed look: an empty place costs no exchange */
	if (!atomic_load_explicit(&w->next, memory_order_relaxed))
		return NULL;
	return atomic_exchange_explicit(&w->next, NULL, memory_order_acquire); /* K8 */
}

static inline struct replica *worker_take_from(struct worker *w)
{
	void *r = NULL;

	return pc_queue_take(w->ready, &r, 0) == PC_OK ? r : NULL;
}

static inline bool worker_has_more(struct worker *w)
{
	/* relaxed: only whether there is something. The queue must say it exactly: an estimate that two
	 * who append at once have set back may stay so, and nobody look after what is there. */
	return atomic_load_explicit(&w->next, memory_order_relaxed) || queue_has_item(w->ready);
}

#endif
