/* engine/relief.c: one more worker when none comes back from its stage.
 *
 * A stage of the pool should not block, but a mistake in one, or a library that it calls, must
 * not stop the rest of the graph: with as many such replicas as workers nobody would be left, and
 * the graph could not even end. While some worker is parked it looks after the others (search.c).
 * When work waits and none is, whoever sees that raises `unwatched`, and the control thread looks
 * at the workers every TICK_MS until one is parked. When all have been in the same activation for
 * STUCK_TICKS looks it starts another one, up to POOL_RELIEF in all, and says whose stages they
 * are in. It stays: when the others come back there are more workers than cores for a while, of
 * whom those that find nothing to do are parked.
 *
 * Pairs
 *   RL1 relieve: release n_workers -> RL2 pool_size: acquire n_workers    the new worker
 *   RL3 store-then-look, seq_cst: work waits, then look at `unwatched` | lower it, then look for work;
 *       and at who is parked (search.c)
 *   K1, K2 of search.c: who is parked
 */
#include "engine/worker.h"

#include <string.h>

#define TICK_MS     100
#define STUCK_TICKS 10

void relief_ask(struct engine *e)
{
	_Atomic bool *unwatched = &e->pool.unwatched;

	if (!atomic_load_explicit(unwatched, memory_order_seq_cst) /* RL3 */ &&
	    !atomic_exchange_explicit(unwatched, true, memory_order_seq_cst) /* RL3 */)
		control_nudge(e);
}

static bool all_are_stuck(struct pool *pool)
{
	bool all = true;

	for (unsigned i = 0; i < pool_size(pool); i++) {
		struct worker *w = &pool->workers[i];
		/* relaxed: it is looked at again and again */
		uint32_t ticks = atomic_load_explicit(&w->ticks, memory_order_relaxed);

		w->watched_times = ticks == w->watched_ticks ? w->watched_times + 1 : 0;
		w->watched_ticks = ticks;
		all &= (ticks & 1) && w->watched_times >= STUCK_TICKS;
	}
	return all;
}

/* Those that are in a callback now: one of them may just have begun. */
static void name_stages(const struct engine *e, struct buf *out)
{
	for (uint32_t i = 0; i < e->plan->n_stages; i++) {
		const struct stage *s = e->stages[i];
		bool inside = false;

		for (uint32_t k = 0; k < s->n_replicas && !s->plan->own_thread; k++)
			/* relaxed: for people */
			inside |= atomic_load_explicit(&s->replicas[k]->doing,
			                               memory_order_relaxed) == DOING_CALLBACK;
		if (inside)
			buf_addf(out, "%s'%s'", out->text ? ", " : "", s->plan->name);
	}
}

static void say(struct engine *e)
{
	unsigned n = pool_size(&e->pool);
	struct buf stages = {0};

	name_stages(e, &stages);
	engine_log(e, PC_WARN, NULL,
	           "%s been inside %s for a second; one more takes what waits (a stage that "
	           "blocks should say so: PC_BLOCKING, or thread=own)",
	           n == 1 ? "the only worker has" : "all workers have",
	           stages.text ? stages.text : "a stage");
	buf_fini(&stages);
}

/* Without memory, or another thread, it is tried again at the next look. */
static void relieve(struct engine *e)
{
	struct pool *pool = &e->pool;
	unsigned n = pool_size(pool);

	if (n == pool->n_asked + POOL_RELIEF || create_worker(e))
		return;
	if (pool_start_worker(&pool->workers[n])) {
		create_undo_worker(&pool->workers[n]);
		return;
	}
	/* Others search it, and see that it works, from now on; who has parked before that looks again. */
	atomic_store_explicit(&pool->n_workers, n + 1, memory_order_release); /* RL1 */
	pool_wake(pool);
	if (n == pool->n_asked)
		say(e);
}

static void on_tick(uv_timer_t *timer)
{
	struct engine *e = timer->data;
	struct pool *pool = &e->pool;

	if (pool_any_parked(pool) || !pool_has_work(pool)) {
		uv_timer_stop(timer);
		atomic_store_explicit(&pool->unwatched, false, memory_order_seq_cst); /* RL3 */
		if (!pool_any_parked(pool) && pool_has_work(pool))
			relief_ask(e);
		return;
	}
	if (all_are_stuck(pool))
		relieve(e);
}

void relief_turn(struct engine *e)
{
	if (e->finished || uv_is_active((const uv_handle_t *)&e->relief) ||
	    !atomic_load_explicit(&e->pool.unwatched, memory_order_seq_cst) /* RL3 */)
		return;
	for (unsigned i = 0; i < pool_size(&e->pool); i++)
		e->pool.workers[i].watched_times = 0;
	uv_timer_start(&e->relief, on_tick, TICK_MS, TICK_MS);
}
