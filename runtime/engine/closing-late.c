/* engine/closing-late.c: a close() that does not come back, when the graph is to end at once.
 *
 * Control thread. Without that it is waited for, however long. With it, each call has the grace time
 * from its begin; then it is named and given up: the stage ends without it, and those that are next
 * are called, for what hangs is beyond help anyhow. Its thread may look at anything: e->stuck.
 */
#include "engine/engine.h"

#include "base/clock.h"

/* Under the lock: the one that all others of the stage wait for. */
static struct closing *give_up_first(struct stage *s)
{
	struct closing *c = s->closing->now;

	s->closing->now = NULL;
	if (c) {
		c->given_up = true;
	} else {
		c = s->closing->first;
		s->closing->first = c->next;
	}
	s->closing->since_ns = clock_now_ns();
	if (s->closing->first && !s->closing->in_line)
		closing_stand_in_line(s);
	return c;
}

static void say_given_up(const struct closing *c, bool begun)
{
	const struct engine *e = c->handle->engine;
	struct buf whose = {0};

	if (c->of_replica)
		buf_addf(&whose, "replica %u", c->handle->pub.replica);
	else
		buf_addf(&whose, "a state of v%u", c->what.build->number);
	engine_log(c->handle->engine, PC_WARN, c->handle->pub.name,
	           "close() of %s %s within %.3g s; it is abandoned",
	           whose.text ? whose.text : "?",
	           begun ? "did not come back" : "found no thread to call it",
	           (double)e->grace_ns / 1e9);
	buf_fini(&whose);
}

/* How long it still has; 0: nothing is under way. Who is still in line has not had his time. */
static int64_t look_at(struct stage *s)
{
	struct engine *e = s->engine;
	struct closing *c = NULL;
	int64_t left = 0;
	bool begun, any;

	pthread_mutex_lock(&e->closing.lock);
	begun = s->closing->now;
	any = s->closing->now || (s->closing->first && !s->closing->held);
	if (any) {
		left = e->grace_ns - (clock_now_ns() - s->closing->since_ns);
		if (left <= 0 && !begun && closing_add_closer(e)) {
			left = e->grace_ns;
			s->closing->since_ns = clock_now_ns();
		} else if (left <= 0) {
			c = give_up_first(s);
			left = s->closing->first ? e->grace_ns : 0;
		}
	}
	pthread_mutex_unlock(&e->closing.lock);
	if (!c)
		return left;
	e->stuck = true;
	say_given_up(c, begun);
	c->next = e->closing.given_up;
	e->closing.given_up = c;
	s->closing->n--;
	e->closing.n--;
	if (left > 0)
		closing_watch_line(e);
	stage_closed(s);
	return left;
}

int64_t closing_late(struct engine *e)
{
	int64_t first = 0;

	for (uint32_t i = 0; i < e->plan->n_stages && e->closing.n > 0; i++) {
		struct stage *s = e->stages[i];
		int64_t left = stage_closings(s) > 0 ? look_at(s) : 0;

		if (left > 0 && (first == 0 || left < first))
			first = left;
	}
	return first;
}
