/* engine/closer.c: the threads that call close(): see closing.h.
 *
 * Closers, and the control thread, which starts and joins them. What is shared is under the lock.
 * One closer does for all, as a rule. When nothing was begun for CLOSING_PATIENCE_MS although a
 * stage waits in line, there is one more: whoever does not come back holds up his own stage only.
 * One that finds nothing to do while another waits for work leaves.
 *
 * The control thread is told while the lock is held, and the stage not looked at after that by a
 * closer that has nothing more to do for it: once the message has been handled it may be freed.
 */
#include "engine/engine.h"

#include "base/clock.h"

#include <stdlib.h>

struct closer {
	struct closer *next;
	struct engine *engine;
	pthread_t thread;
	bool leaves; /* under the lock: it ends by itself, and only has to be joined */
};

void closing_call(struct closing *c, struct item_cache *cache)
{
	struct replica *r = c->handle;
	const struct build *b = c->what.build;

	replica_set_cache(r, cache);
	r->scratch = NULL;
	doing_set(r, DOING_CLOSE);
	c->result = guard_call(r, b, "close", b->desc->close, c->what.state);
	if (state_leave(r))
		c->result = PC_ERROR;
	item_cache_settle(cache);
	doing_set(r, DOING_ENDED);
}

void closing_stand_in_line(struct stage *s)
{
	struct engine_closing *all = &s->engine->closing;

	s->closing->in_line = true;
	s->closing->since_ns = clock_now_ns();
	s->closing->behind = NULL;
	if (all->first)
		all->last->closing->behind = s;
	else
		all->first = s;
	all->last = s;
	pthread_cond_signal(&all->work);
}

static struct stage *next_in_line(struct engine_closing *all)
{
	struct stage *s = all->first;

	all->first = s->closing->behind;
	s->closing->in_line = false;
	return s;
}

static struct closing *begin(struct stage *s)
{
	struct closing *c = s->closing->first;

	s->closing->now = c;
	if (!c)
		return NULL;
	s->closing->first = c->next;
	s->closing->since_ns = clock_now_ns();
	s->engine->closing.begun++;
	return c;
}

/* False: it has been given up, and the stage is not this closer's any more. */
static bool tell(struct stage *s, struct closing *c)
{
	if (c->given_up)
		return false;
	c->next = s->closing->done;
	s->closing->done = c;
	control_post(s->engine, &s->closing->closed);
	return true;
}

/* NULL: this closer is not needed any more. */
static struct stage *wait_for_stage(struct engine_closing *all)
{
	while (!all->first && !all->quit && all->idle == 0) {
		all->idle++;
		pthread_cond_wait(&all->work, &all->lock);
		all->idle--;
	}
	return all->first ? next_in_line(all) : NULL;
}

static void *close_states(void *arg)
{
	struct closer *self = arg;
	struct engine *e = self->engine;
	struct engine_closing *all = &e->closing;
	struct crash_stack stack;
	struct item_cache cache;
	struct stage *s;

	crash_stack_begin(&stack);
	item_cache_init(&cache, e->items);
	item_cache_set_current(&cache);
	pthread_mutex_lock(&all->lock);
	while ((s = wait_for_stage(all))) {
		struct closing *c;

		while ((c = begin(s))) {
			pthread_mutex_unlock(&all->lock);
			closing_call(c, &cache);
			pthread_mutex_lock(&all->lock);
			if (!tell(s, c))
				break;
		}
	}
	self->leaves = true;
	pthread_mutex_unlock(&all->lock);
	item_cache_set_current(NULL);
	item_cache_fini(&cache);
	crash_stack_end(&stack);
	return NULL;
}

bool closing_add_closer(struct engine *e)
{
	struct closer *c = calloc(1, sizeof(*c));

	if (!c)
		return false;
	c->engine = e;
	if (pthread_create(&c->thread, NULL, close_states, c) != 0) {
		free(c);
		return false;
	}
	pthread_setname_np(c->thread, "pcrun-close");
	c->next = e->closing.closers;
	e->closing.closers = c;
	return true;
}

/* ------------------------------------------------------------------- the control thread --- */

/* Those that there were too many of. */
static void join_closers(struct engine *e)
{
	struct closer **at = &e->closing.closers, *gone = NULL;

	pthread_mutex_lock(&e->closing.lock);
	while (*at) {
		struct closer *c = *at;

		if (c->leaves) {
			*at = c->next;
			c->next = gone;
			gone = c;
		} else {
			at = &c->next;
		}
	}
	pthread_mutex_unlock(&e->closing.lock);
	while (gone) {
		struct closer *c = gone;

		gone = c->next;
		pthread_join(c->thread, NULL);
		free(c);
	}
}

static void on_patience(uv_timer_t *timer)
{
	struct engine *e = timer->data;
	struct engine_closing *all = &e->closing;
	uint64_t begun;
	bool waits;

	pthread_mutex_lock(&all->lock);
	waits = all->first;
	begun = all->begun;
	pthread_mutex_unlock(&all->lock);
	join_closers(e);
	if (!waits)
		return;
	if (begun == all->seen)
		closing_add_closer(e); /* or later */
	all->seen = begun;
	uv_timer_start(timer, on_patience, CLOSING_PATIENCE_MS, 0);
}

void closing_watch_line(struct engine *e)
{
	if (uv_is_active((uv_handle_t *)&e->closing.timer))
		return;
	pthread_mutex_lock(&e->closing.lock);
	e->closing.seen = e->closing.begun;
	pthread_mutex_unlock(&e->closing.lock);
	uv_timer_start(&e->closing.timer, on_patience, CLOSING_PATIENCE_MS, 0);
}

void closing_end(struct engine *e)
{
	struct closer **at = &e->closing.closers;

	pthread_mutex_lock(&e->closing.lock);
	e->closing.quit = true;
	pthread_cond_broadcast(&e->closing.work);
	pthread_mutex_unlock(&e->closing.lock);
	while (*at) {
		struct closer *c = *at;

		if (thread_join(e, c->thread)) {
			*at = c->next;
			free(c);
		} else {
			at = &c->next; /* it has this in its hands */
		}
	}
}
