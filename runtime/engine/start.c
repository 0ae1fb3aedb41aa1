/* engine/start.c: stages are opened, threads are started; or everything is undone.
 *
 * Called once, by the thread that starts the graph; open_replica() by a reload's opener, too.
 */
#include "engine/engine.h"

#include "base/error.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

int open_replica(struct replica *r, struct item_cache *cache, struct pc_error **err)
{
	const struct plan_stage *plan = r->stage->plan;
	int rc;

	replica_set_cache(r, cache);
	r->opened = true; /* close() follows even when open() fails */
	if (!r->build->desc->open)
		return PC_OK;
	rc = guard_call(r, r->build, "open", r->build->desc->open, r->state);
	if (state_leave(r))
		rc = PC_ERROR;
	if (rc >= 0) {
		/* What it tried and did without is no reason for a later failure. */
		free(r->fail_text);
		r->fail_text = NULL;
		return PC_OK;
	}
	error_set(err, PC_ERROR, "%s", r->fail_text ? r->fail_text : "it gave no reason");
	error_add(err, "stage '%s' can not start (%s:%u)", plan->name, plan->file, plan->line);
	died_tell(&r->engine->died, err);
	return PC_ERROR;
}

static int open_all(struct engine *e, struct pc_error **err)
{
	for (uint32_t i = 0; i < e->plan->n_stages; i++)
		for (uint32_t k = 0; k < e->stages[i]->n_replicas; k++)
			if (open_replica(e->stages[i]->replicas[k], &e->control_cache, err))
				return PC_ERROR;
	return PC_OK;
}

static void close_all(struct engine *e)
{
	for (uint32_t i = 0; i < e->plan->n_stages; i++)
		for (uint32_t k = 0; k < e->stages[i]->n_replicas; k++)
			closing_replica_now(e->stages[i]->replicas[k]);
}

/* Threads of stages that block: they wait at once, since nothing has been notified yet. */
static int start_own_threads(struct engine *e, struct pc_error **err)
{
	for (uint32_t i = 0; i < e->plan->n_stages; i++)
		for (uint32_t k = 0; k < e->stages[i]->n_replicas; k++) {
			int rc = 0;

			if (e->stages[i]->plan->own_thread)
				rc = own_start(e->stages[i]->replicas[k]);
			if (rc)
				return error_set(err, PC_ERROR,
				                 "can not start a thread for stage '%s': %s",
				                 e->stages[i]->plan->name, strerror(rc));
		}
	return PC_OK;
}

/* A start that failed half-way: threads exist, but no replica has been started, so each ends at
 * its first activation. */
static void undo_threads(struct engine *e)
{
	for (uint32_t i = 0; i < e->plan->n_stages; i++)
		for (uint32_t k = 0; k < e->stages[i]->n_replicas; k++) {
			struct replica *r = e->stages[i]->replicas[k];

			if (!r->has_thread)
				continue;
			atomic_store_explicit(&r->stop, STOP_HARD,
			                      memory_order_release); /* A3 */
			task_notify(r);
			pthread_join(r->thread, NULL);
			r->has_thread = false;
		}
	pool_quit(e);
}

int engine_start(struct engine *e, struct pc_error **err)
{
	static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS};
	sigset_t all, before;
	int rc;

	rc = open_all(e, err);
	if (rc) {
		close_all(e);
		return rc;
	}
	/* Signals are the embedding program's: none may arrive on our threads, but for those that a
	 * thread gives itself. The kernel ends a process at once for a fault that is blocked. */
	sigfillset(&all);
	for (size_t i = 0; i < PC_COUNT(faults); i++)
		sigdelset(&all, faults[i]);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = control_prepare(e, err);
	rc = rc ? rc : start_own_threads(e, err);
	rc = rc ? rc : pool_start(e, pool_size(&e->pool), err);
	rc = rc ? rc : control_start(e, err);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc) {
		undo_threads(e);
		close_all(e);
		control_undo(e);
	}
	return rc;
}
