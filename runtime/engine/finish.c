/* engine/finish.c: the end, of replicas, of stages, and of the graph: all is closed, threads come home,
 * the result is made known.
 *
 * Control thread only. A stage has ended when all its replicas have, and the last close() is over,
 * which is called by another thread (closing.h): until then neither joins nor reports take it for
 * an end.
 */
#include "engine/engine.h"

#include <sys/eventfd.h>
#include <unistd.h>

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

/* Another may come in its place: then nobody finds it any more who could do this at the end. Its
 * thread has told its end as its last deed but one. */
static void has_left(struct replica *r)
{
	wake_close(r);
	if (r->has_thread && thread_join(r->engine, r->thread))
		r->joined = true;
	closing_replica(r);
}

static void all_have_ended(struct stage *s)
{
	for (uint32_t i = 0; i < s->n_replicas; i++)
		closing_replica(s->replicas[i]);
	swap_stage_ended(s);
	stage_closed(s);
}

void replica_ended(struct replica *r)
{
	struct stage *s = r->stage;

	if (r->reported)
		return;
	r->reported = true;
	wake_close(r); /* its descriptor may soon be somebody else's */
	if (--s->live == 0)
		all_have_ended(s);
	else if (r->leaving && !r->abandoned)
		has_left(r);
}

void stage_closed(struct stage *s)
{
	if (s->live > 0 || stage_closings(s) > 0 || flag_is(&s->ended))
		return;
	flag_set(&s->ended);
	s->engine->live--;
	join_stage_ended(s->engine, s);
}

void finish(struct engine *e)
{
	e->finished = true;
	for (uint32_t i = 0; i < e->plan->n_stages; i++)
		for (uint32_t k = 0; k < e->stages[i]->n_replicas; k++)
			wake_close(e->stages[i]->replicas[k]);
	join_own_threads(e);
	closing_end(e);
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
