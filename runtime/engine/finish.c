/* engine/finish.c: the end: stages are closed, threads come home, the result is made known.
 *
 * Control thread only.
 */
#include "engine/engine.h"

#include "base/error.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

void replica_close(struct replica *r)
{
	int rc;

	if (!r->opened)
		return;
	r->opened = false;
	r->cache = &r->engine->control_cache;
	r->scratch = NULL;
	doing_set(r, DOING_CLOSE);
	rc = r->build->desc->close
	             ? guard_call(r, r->build, "close", r->build->desc->close, r->state)
	             : PC_OK;
	doing_set(r, DOING_ENDED);
	if (state_leave(r))
		rc = PC_ERROR;
	if (rc < 0)
		engine_fail_replica(r, "closing", NULL, 0);
	item_cache_settle(r->cache);
	free(r->fail_text);
	r->fail_text = NULL;
}

void stage_close(struct stage *s)
{
	for (uint32_t i = 0; i < s->n_replicas; i++)
		replica_close(s->replicas[i]);
}

/* Threads that were abandoned may never come: they get a moment, then stay behind. */
bool thread_join(struct engine *e, pthread_t thread)
{
	struct timespec until;

	if (!e->stuck)
		return pthread_join(thread, NULL) == 0;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 1;
	if (pthread_timedjoin_np(thread, NULL, &until) == 0)
		return true;
	pthread_detach(thread);
	return false;
}

static void join_own_thread(struct engine *e, const struct replica *r)
{
	if (r->has_thread && !r->joined)
		thread_join(e, r->thread);
}

static void join_own_threads(struct engine *e)
{
	for (uint32_t i = 0; i < e->plan->n_stages; i++) {
		const struct stage *s = e->stages[i];

		for (uint32_t k = 0; k < s->n_replicas; k++)
			join_own_thread(e, s->replicas[k]);
		for (const struct replica *r = s->retired; r; r = r->retired)
			join_own_thread(e, r);
	}
}

void finish(struct engine *e)
{
	e->finished = true;
	for (uint32_t i = 0; i < e->plan->n_stages; i++)
		for (uint32_t k = 0; k < e->stages[i]->n_replicas; k++)
			wake_close(e->stages[i]->replicas[k]);
	join_own_threads(e);
	pool_quit(e);
	reload_finish(e);
	ledger_settle(e);
	swap_finish(e);
	control_close_handles(e);
	pthread_mutex_lock(&e->lock);
	if (e->result == PC_OK && (e->draining || e->stopping))
		e->result = PC_STOPPED;
	e->ended = true;
	pthread_cond_broadcast(&e->ended_cond);
	eventfd_write(e->ended_fd, 1);
	pthread_mutex_unlock(&e->lock);
}
