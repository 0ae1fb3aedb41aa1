/* engine/reload-ask.c: somebody asks for another shape, and waits for the answer.
 *
 * reload_ask() on any thread, one at a time (reload-embed.c sees to that); the rest by the control
 * thread, or before and after all others.
 *
 * Pairs
 *   RL1 reload_ask: release news -> RL2 collect of reload-turn.c: acq_rel news    that there is a request
 */
#include "engine/engine.h"

#include "base/clock.h"
#include "base/error.h"

#include <stdlib.h>

void reload_create(struct engine *e)
{
	pthread_cond_init(&e->reload.answered, NULL);
}

void reload_past_free(struct reload_past *past)
{
	if (!past)
		return;
	arena_fini(&past->arena);
	arena_fini(&past->plan->arena);
	free(past->plan);
	free(past);
}

void reload_destroy(struct engine *e)
{
	reload_past_free(e->reload.past);
	recycle_destroy(e);
	arena_fini(&e->reload.texts);
	arena_fini(&e->reload.table);
	pthread_cond_destroy(&e->reload.answered);
}

int reload_ask(struct engine *e, struct plan_difference *difference, int64_t timeout_ns,
               struct pc_error **err)
{
	struct reload_request request = {
		.difference = difference,
		.until_ns = clock_after_ns(clock_now_ns(), timeout_ns),
	};

	pthread_mutex_lock(&e->lock);
	if (e->reload.closed) {
		pthread_mutex_unlock(&e->lock);
		return error_set(err, PC_STOPPED, "the graph is ending");
	}
	e->reload.asked = &request;
	atomic_store_explicit(&e->reload.news, true, memory_order_release); /* RL1 */
	control_nudge(e);
	while (!request.answered)
		pthread_cond_wait(&e->reload.answered, &e->lock);
	pthread_mutex_unlock(&e->lock);
	if (err && !*err)
		*err = request.error;
	else
		pc_error_free(request.error);
	return request.result;
}
