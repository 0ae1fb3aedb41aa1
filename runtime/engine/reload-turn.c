/* engine/reload-turn.c: a reload from the request to the answer, step by step.
 *
 * Control thread. One reload at a time, and none while a swap is in flight: both move what
 * replicas hold; a swap that is asked for meanwhile waits (swap-turn.c). Every request is answered.
 *
 * Pairs
 *   RL1 of reload-ask.c: release news -> RL2 collect: acq_rel news
 */
#include "engine/engine.h"

#include "base/clock.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>

static void answer(struct engine *e, struct reload_request *request, int result,
                   struct pc_error *error)
{
	pthread_mutex_lock(&e->lock);
	request->result = result;
	request->error = error;
	request->answered = true;
	pthread_cond_broadcast(&e->reload.answered);
	pthread_mutex_unlock(&e->lock);
}

static void for_touched(struct engine *e, const struct reload *now,
                        void (*what)(struct replica *r))
{
	for (uint32_t i = 0; i < e->plan->n_stages; i++)
		for (uint32_t k = 0; now->touched[i] && k < e->stages[i]->n_replicas; k++)
			what(e->stages[i]->replicas[k]);
}

static void give_up(struct engine *e, int result, struct pc_error *error)
{
	struct reload *now = e->reload.now;

	e->reload.now = NULL;
	if (now->parking)
		for_touched(e, now, reload_unpark);
	reload_undo(e, now);
	reload_open_let_go(e);
	pc_error_free(now->opening.error);
	answer(e, now->request, result, error);
	free(now);
}

static bool swap_in_flight(const struct engine *e)
{
	for (const struct stage *s = e->swap.active; s; s = s->swap.next_active)
		if (s->swap.in_flight)
			return true;
	return false;
}

/* A slot that shall be used again is free when the replica that left it has ended. Nor are there
 * others for a stage of which something is being closed: they would be opened beside it. */
static bool slots_are_free(const struct engine *e, const struct plan_difference *d)
{
	for (uint32_t i = 0; i < e->plan->n_stages; i++) {
		const struct stage *s = e->stages[i];
		uint32_t n = d->merged.stages[i].replicas;

		if ((d->stages[i] & CHANGE_REPLICAS) && stage_closings(s) > 0)
			return false;

		for (uint32_t k = 0;
		     (d->stages[i] & CHANGE_REPLICAS) && k < n && k < s->n_replicas; k++)
			if (s->replicas[k]->leaving && !s->replicas[k]->reported)
				return false;
	}
	return true;
}

/* The number of a stage's replicas is that of its passages: it is not changed while some of them are on
 * their way back. */
static bool comes_apart(const struct engine *e, const struct plan_difference *d)
{
	for (uint32_t i = 0; i < e->plan->n_stages; i++)
		if ((d->stages[i] & CHANGE_REPLICAS) && swap_comes_apart(e->stages[i]))
			return true;
	return false;
}

static void late(struct engine *e)
{
	struct reload *now = e->reload.now;
	struct pc_error *error = NULL;
	struct buf who = {0};

	for (uint32_t i = 0; now->parking && i < e->plan->n_stages; i++)
		for (uint32_t k = 0; now->touched[i] && k < e->stages[i]->n_replicas; k++)
			if (!reload_is_parked(e->stages[i]->replicas[k]))
				buf_addf(&who, "%s'%s' (replica %u)", who.text ? ", " : "",
				         e->stages[i]->plan->name, k);
	if (who.text)
		error_set(&error, PC_TIMEOUT,
		          "not back from their own code in time: %s; nothing was changed",
		          who.text);
	else
		error_set(&error, PC_TIMEOUT,
		          "a swap, replicas that leave, or their close(), did not end in "
		          "time; nothing was changed");
	buf_fini(&who);
	give_up(e, PC_TIMEOUT, error);
}

static bool all_parked(const struct engine *e, const struct reload *now)
{
	for (uint32_t i = 0; i < e->plan->n_stages; i++)
		for (uint32_t k = 0; now->touched[i] && k < e->stages[i]->n_replicas; k++)
			if (!reload_is_parked(e->stages[i]->replicas[k]))
				return false;
	return true;
}

static void make(struct engine *e)
{
	struct reload *now = e->reload.now;
	struct pc_error *error = NULL;
	int rc = reload_make(e, now, &error);

	if (rc) {
		/* Nor could it be said what else is wrong, if anything is. */
		if (pc_error_code(error) == PC_NOMEM)
			rc = PC_NOMEM;
		give_up(e, rc == PC_NOMEM ? PC_NOMEM : PC_WRONG, error);
		return;
	}
	now->made = true;
	now->generations = e->swap.generations;
	reload_open(e, now);
}

static void give_up_for_the_end(struct engine *e)
{
	struct pc_error *error = NULL;

	error_set(&error, PC_STOPPED, "the graph is ending; nothing was changed");
	give_up(e, PC_STOPPED, error);
}

static void park(struct engine *e)
{
	struct reload *now = e->reload.now;
	struct pc_error *error = NULL;
	int rc = reload_open_result(e, now, &error);

	if (rc) {
		give_up(e, rc, error);
		return;
	}
	now->parking = true;
	for_touched(e, now, reload_park);
}

/* Before all were parked an item has failed on probation: what was made knows the builds as they were.
 * All go on, back to the old build, and it is made anew. */
static void start_again(struct engine *e)
{
	struct reload *now = e->reload.now;
	struct reload_request *request = now->request;

	for_touched(e, now, reload_unpark);
	reload_undo(e, now);
	memset(now, 0, sizeof(*now));
	now->request = request;
}

static void apply(struct engine *e)
{
	struct reload *now = e->reload.now;
	struct pc_error *error = NULL;
	uint32_t n = e->plan->n_stages;
	int rc = reload_apply(e, now, &error);

	if (rc) {
		give_up(e, rc, error);
		return;
	}
	e->reload.now = NULL;
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t k = 0; now->touched[i] && k < e->stages[i]->n_replicas; k++)
			reload_unpark(e->stages[i]->replicas[k]);
	reload_spares_free(now);
	answer(e, now->request, PC_OK, NULL);
	free(now);
}

static bool collect(struct engine *e)
{
	struct reload_request *request;

	if (!atomic_exchange_explicit(&e->reload.news, false, memory_order_acq_rel)) /* RL2 */
		return false;
	pthread_mutex_lock(&e->lock);
	request = e->reload.asked;
	e->reload.asked = NULL;
	pthread_mutex_unlock(&e->lock);
	if (!request)
		return false;
	e->reload.now = calloc(1, sizeof(*e->reload.now));
	if (e->reload.now)
		e->reload.now->request = request;
	else
		answer(e, request, PC_NOMEM, NULL);
	return true;
}

bool reload_turn(struct engine *e)
{
	struct reload *now;
	bool news = !e->reload.now && collect(e);

	now = e->reload.now;
	if (!now)
		return news;
	/* Again, for the array of replicas, which a close() may look at. */
	if (now->parking && all_parked(e, now) && slots_are_free(e, now->request->difference)) {
		if (now->generations != e->swap.generations ||
		    comes_apart(e, now->request->difference))
			start_again(e);
		else
			apply(e);
		return true;
	}
	if (now->made && !now->parking) {
		if (!reload_open_over(now)) {
			reload_open_look_at_time(now);
			return news;
		}
		if (now->opening.ending_ns)
			give_up_for_the_end(e);
		else
			park(e);
		return true;
	}
	if (!now->made && !swap_in_flight(e) && !swap_set_is_under_way(e) &&
	    !comes_apart(e, now->request->difference) &&
	    slots_are_free(e, now->request->difference)) {
		make(e);
		return true;
	}
	if (clock_now_ns() >= now->request->until_ns) {
		late(e);
		return true;
	}
	return news;
}

bool reload_is_under_way(const struct engine *e)
{
	return e->reload.now != NULL;
}

void reload_parked(struct replica *r)
{
	/* relaxed: this thread writes it */
	bool wanted = atomic_load_explicit(&r->stop, memory_order_relaxed) >= STOP_PARK;

	if (!reload_is_parked(r) || r->reported)
		return;
	if (!wanted) {
		reload_input_moves(r);
		reload_unpark(r);
	}
}

static void close_door(struct engine *e)
{
	pthread_mutex_lock(&e->lock);
	e->reload.closed = true;
	pthread_mutex_unlock(&e->lock);
	if (!e->reload.now)
		collect(e);
}

/* What is being opened is told to hurry, and the rest of the graph stops meanwhile. */
void reload_abort(struct engine *e)
{
	close_door(e);
	if (e->reload.now && !reload_open_hurry(e->reload.now))
		give_up_for_the_end(e);
}

void reload_finish(struct engine *e)
{
	close_door(e);
	if (!e->reload.now)
		return;
	if (reload_open_hurry(e->reload.now))
		reload_open_wait(e->reload.now);
	give_up_for_the_end(e);
}
