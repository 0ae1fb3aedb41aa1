/* engine/closing.c: see closing.h. The control thread hands over and hears; closers call.
 *
 * Why it is right
 *   - A replica is handed over when its thread has told its end, a state when no replica uses it:
 *     the mutex takes both to the closer, and back. In between the control thread leaves them
 *     alone: such a replica is `reported`, and a build that is to be called counts its `closings`.
 *   - The stage has not ended before the last of them is over (finish.c). No swap and no reload
 *     opens something of a stage meanwhile: all that its author knows as [control] stays one call
 *     at a time.
 *   - What a close() left as its reason is looked at by the control thread alone, which also
 *     changes the rows that messages name.
 */
#include "engine/engine.h"

#include <stdlib.h>

void closing_init(struct engine *e)
{
	pthread_mutex_init(&e->closing.lock, NULL);
	pthread_cond_init(&e->closing.work, NULL);
}

void closing_fini(struct engine *e)
{
	pthread_cond_destroy(&e->closing.work);
	pthread_mutex_destroy(&e->closing.lock);
}

/* ------------------------------------------------------------------------------ the call --- */

/* What it said, [control]. */
static void settle(const struct closing *c)
{
	struct replica *r = c->handle;

	if (c->result < 0 && c->of_replica)
		engine_fail_replica(r, "closing", NULL, 0);
	else if (c->result < 0)
		engine_log(r->engine, PC_WARN, r->pub.name, "closing a state of v%u: %s",
		           c->what.build->number,
		           r->fail_text ? r->fail_text : "it gave no reason");
	free(r->fail_text);
	r->fail_text = NULL;
}

static void settle_and_free(struct closing *c)
{
	settle(c);
	if (!c->of_replica)
		free(c->what.state);
	free(c);
}

static void call_now(struct closing *c)
{
	closing_call(c, &c->handle->engine->control_cache);
	settle_and_free(c);
}

/* False: no memory. */
static bool make_room(struct stage *s)
{
	if (s->closing)
		return true;
	s->closing = calloc(1, sizeof(*s->closing));
	if (!s->closing)
		return false;
	s->closing->stage = s;
	s->closing->closed.kind = MESSAGE_CLOSED;
	return true;
}

static void hand_over(struct closing *c)
{
	struct stage *s = c->handle->stage;
	struct engine *e = s->engine;

	/* Without the first of them nothing is under way: it can not be beside another of the stage. */
	if (!make_room(s) ||
	    (!s->closing->held && !e->closing.closers && !closing_add_closer(e))) {
		call_now(c);
		return;
	}
	c->what.build->closings++;
	s->closing->n++;
	e->closing.n++;
	c->next = NULL;
	pthread_mutex_lock(&e->closing.lock);
	if (s->closing->first)
		s->closing->last->next = c;
	else
		s->closing->first = c;
	s->closing->last = c;
	if (!s->closing->in_line && !s->closing->now && !s->closing->held)
		closing_stand_in_line(s);
	pthread_mutex_unlock(&e->closing.lock);
	closing_watch_line(e);
	control_grace(e);
}

bool closing_hold(struct stage *s)
{
	if (!make_room(s))
		return false;
	s->closing->held = true;
	return true;
}

void closing_let_go(struct stage *s)
{
	struct engine *e = s->engine;

	if (!s->closing || !s->closing->held)
		return;
	s->closing->held = false;
	pthread_mutex_lock(&e->closing.lock);
	if (s->closing->first && !s->closing->in_line && !s->closing->now)
		closing_stand_in_line(s);
	pthread_mutex_unlock(&e->closing.lock);
	closing_watch_line(e);
	control_grace(e);
}

struct closing *closing_create(struct replica *r)
{
	struct {
		struct closing closing; /* first: freed as that */
		struct replica handle;
	} *made = calloc(1, sizeof(*made));

	if (!made)
		return NULL;
	made->handle.pub = (struct pc_stage){.host = r->pub.host,
	                                     .name = r->pub.name,
	                                     .replica = r->pub.replica,
	                                     .replicas = r->pub.replicas};
	made->handle.stage = r->stage;
	made->handle.engine = r->engine;
	replica_set_ports(&made->handle, 0);
	replica_set_cache(&made->handle, &r->engine->control_cache);
	/* relaxed: nobody else sees it */
	atomic_store_explicit(&made->handle.kick_fd, -1, memory_order_relaxed);
	made->closing.handle = &made->handle;
	return &made->closing;
}

/* False: there is nothing to be called. */
static bool is_to_be_closed(struct replica *r, struct closing *ret)
{
	if (!r->opened)
		return false;
	r->opened = false;
	*ret = (struct closing){
		.handle = r, .what = (struct instance){r->build, r->state}, .of_replica = true};
	if (r->build->desc->close)
		return true;
	free(r->fail_text);
	r->fail_text = NULL;
	return false;
}

static void close_now(struct closing *c)
{
	closing_call(c, &c->handle->engine->control_cache);
	settle(c);
}

void closing_replica(struct replica *r)
{
	struct closing last, *c;

	if (!is_to_be_closed(r, &last))
		return;
	c = malloc(sizeof(*c));
	if (!c) {
		/* Not even that much memory: then now, though another of the stage may be under way. */
		close_now(&last);
		return;
	}
	*c = last;
	doing_set(r, DOING_CLOSE_NEXT);
	hand_over(c);
}

void closing_replica_now(struct replica *r)
{
	struct closing last;

	if (is_to_be_closed(r, &last))
		close_now(&last);
}

static void take_state(struct closing *c, struct instance what, void (*then)(struct closing *c))
{
	c->what = what;
	c->handle->build = what.build;
	if (what.build->desc->close)
		then(c);
	else
		settle_and_free(c);
}

void closing_state(struct closing *c, struct instance what)
{
	take_state(c, what, hand_over);
}

void closing_state_now(struct closing *c, struct instance what)
{
	take_state(c, what, call_now);
}

static void count_out(struct stage *s, const struct closing *c)
{
	c->what.build->closings--;
	s->closing->n--;
	s->engine->closing.n--;
}

void closing_over(struct stage *s)
{
	struct closing *list, *in_order = NULL;

	pthread_mutex_lock(&s->engine->closing.lock);
	list = s->closing->done;
	s->closing->done = NULL;
	pthread_mutex_unlock(&s->engine->closing.lock);
	while (list) {
		struct closing *next = list->next;

		list->next = in_order;
		in_order = list;
		list = next;
	}
	while (in_order) {
		struct closing *c = in_order;

		in_order = c->next;
		count_out(s, c);
		settle_and_free(c);
	}
	swap_closed(s);
	stage_closed(s);
}
