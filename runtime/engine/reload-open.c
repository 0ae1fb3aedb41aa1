/* engine/reload-open.c: open() of what a reload adds, on a thread of its own.
 *
 * An open() may take long (a connection, a large file), and the control thread drives timers,
 * descriptors and stops of the whole graph, which shall not notice a reload. So an *opener* calls
 * all of them, one after the other, and the control thread hears when it is through. What it
 * opens nobody else knows of yet, but for one thing: a stage that gets more replicas may have
 * others that end meanwhile. Their close() waits (closing_hold()) until that is through, or what
 * was opened is closed again: all that its author knows as [control] stays one call at a time.
 * Where no thread is to be had the control thread calls.
 *
 * When the graph is stopped meanwhile it stops without it, but does not end: open() is told to
 * hurry (pc_stopping()). It is waited for, however long: nobody can take back what is being
 * opened. The time-out of the request is for the replicas that shall stand still, and begins when
 * all is open.
 *
 * Pairs
 *   RO1 open_on_own: release over -> RO2 reload_open_over: acquire over    that it can be joined at once
 */
#include "engine/engine.h"

#include "base/clock.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>

static int begin_replica(struct reload_opening *o, struct replica *r, struct item_cache *cache)
{
	struct engine *e = o->engine;
	int rc;

	/* relaxed: it may be one more */
	if (__atomic_load_n(&r->pub.stopping, __ATOMIC_RELAXED))
		return PC_STOPPED;
	/* relaxed: a name for a message */
	atomic_store_explicit(&o->at, r, memory_order_relaxed);
	rc = open_replica(r, cache, &o->error);
	replica_set_cache(r, &e->control_cache);
	if (rc || !r->stage->plan->own_thread)
		return rc;
	rc = own_start(r);
	if (rc)
		return error_set(&o->error, PC_ERROR,
		                 "can not start a thread for stage '%s': %s", r->pub.name,
		                 strerror(rc));
	return PC_OK;
}

/* Each replica that is new. Stops when `what` does not say PC_OK. */
static int for_new(struct reload *now, struct item_cache *cache,
                   int (*what)(struct reload_opening *o, struct replica *r,
                               struct item_cache *cache))
{
	int rc = PC_OK;

	for (uint32_t i = 0; i < now->plan->n_stages; i++)
		for (uint32_t k = 0;
		     reload_adds_stage(now, i) && k < now->stages[i]->n_replicas && !rc; k++)
			rc = what(&now->opening, now->stages[i]->replicas[k], cache);
	for (struct recruit *r = now->recruits; r && !rc; r = r->next)
		rc = what(&now->opening, r->replica, cache);
	return rc;
}

static int has_open(struct reload_opening *o, struct replica *r, struct item_cache *cache)
{
	(void)o;
	(void)cache;
	return r->build->desc->open ? PC_AGAIN : PC_OK;
}

static int hurry(struct reload_opening *o, struct replica *r, struct item_cache *cache)
{
	(void)o;
	(void)cache;
	/* relaxed: the stage only asks whether to hurry */
	__atomic_store_n(&r->pub.stopping, 1, __ATOMIC_RELAXED);
	return PC_OK;
}

static void *open_on_own(void *arg)
{
	struct reload *now = arg;
	struct engine *e = now->opening.engine;
	struct crash_stack stack;
	struct item_cache cache;

	crash_stack_begin(&stack);
	item_cache_init(&cache, e->items);
	item_cache_set_current(&cache);
	now->opening.result = for_new(now, &cache, begin_replica);
	item_cache_set_current(NULL);
	item_cache_fini(&cache);
	crash_stack_end(&stack);
	atomic_store_explicit(&now->opening.over, true, memory_order_release); /* RO1 */
	control_nudge(e);
	return NULL;
}

static bool hold(const struct reload *now)
{
	for (const struct recruit *r = now->recruits; r; r = r->next)
		if (!closing_hold(r->replica->stage))
			return false;
	return true;
}

void reload_open(struct engine *e, struct reload *now)
{
	struct reload_opening *o = &now->opening;

	o->engine = e;
	o->begun_ns = clock_now_ns();
	if (for_new(now, NULL, has_open) == PC_OK || !hold(now) ||
	    pthread_create(&o->thread, NULL, open_on_own, now) != 0) {
		o->result = for_new(now, &e->control_cache, begin_replica);
		return;
	}
	pthread_setname_np(o->thread, "pcrun-open");
	o->runs = true;
}

static void join(struct reload *now)
{
	pthread_join(now->opening.thread, NULL);
	now->opening.runs = false;
	now->request->until_ns =
		clock_after_ns(now->request->until_ns, clock_now_ns() - now->opening.begun_ns);
}

bool reload_open_over(struct reload *now)
{
	if (!now->opening.runs)
		return true;
	if (!atomic_load_explicit(&now->opening.over, memory_order_acquire)) /* RO2 */
		return false;
	join(now);
	return true;
}

static bool has_ended(const struct stage *s)
{
	for (uint32_t i = 0; i < s->n_replicas; i++)
		if (!s->replicas[i]->reported)
			return s->stopping;
	return true;
}

int reload_open_result(struct engine *e, struct reload *now, struct pc_error **err)
{
	if (now->opening.result) {
		*err = now->opening.error;
		now->opening.error = NULL;
		return pc_error_code(*err) == PC_NOMEM ? PC_NOMEM : PC_WRONG;
	}
	for (const struct recruit *r = now->recruits; r; r = r->next)
		if (has_ended(r->replica->stage))
			return error_set(err, PC_WRONG,
			                 "stage '%s' has ended, or was stopped, while another "
			                 "replica of it was opened; nothing was changed",
			                 r->replica->pub.name);
	reload_open_let_go(e);
	return PC_OK;
}

void reload_open_let_go(struct engine *e)
{
	for (uint32_t i = 0; i < e->plan->n_stages; i++)
		closing_let_go(e->stages[i]);
}

bool reload_open_hurry(struct reload *now)
{
	struct reload_opening *o = &now->opening;

	if (!o->runs)
		return false;
	if (!o->ending_ns)
		o->ending_ns = clock_now_ns();
	for_new(now, NULL, hurry);
	return true;
}

static void say_late(struct reload_opening *o)
{
	/* relaxed: a name for a message; the replica stays until the opener is joined */
	const struct replica *r = atomic_load_explicit(&o->at, memory_order_relaxed);

	if (o->late_said || !r)
		return;
	o->late_said = true;
	engine_log(o->engine, PC_WARN, r->pub.name,
	           "open() of replica %u has not come back for %.3g s; %s waits for it",
	           r->pub.replica, (double)(clock_now_ns() - o->begun_ns) / 1e9,
	           o->ending_ns ? "the end of the graph" : "a reload");
}

void reload_open_look_at_time(struct reload *now)
{
	struct reload_opening *o = &now->opening;
	int64_t now_ns = clock_now_ns();

	if (o->ending_ns ? now_ns - o->ending_ns >= o->engine->grace_ns
	                 : now_ns >= now->request->until_ns)
		say_late(o);
}

void reload_open_wait(struct reload *now)
{
	struct reload_opening *o = &now->opening;
	struct timespec until;
	int64_t until_ns;

	clock_gettime(CLOCK_REALTIME, &until);
	until_ns = clock_after_ns(until.tv_sec * PC_SEC + until.tv_nsec, o->engine->grace_ns);
	until = (struct timespec){until_ns / PC_SEC, until_ns % PC_SEC};
	if (pthread_timedjoin_np(o->thread, NULL, &until) != 0) {
		say_late(o);
		pthread_join(o->thread, NULL);
	}
	o->runs = false;
}
