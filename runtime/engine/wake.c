/* engine/wake.c: PC_AGAIN's conditions: a timer or a ready descriptor wakes a source.
 *
 * The replica asks just before it falls asleep; the control thread's loop waits, and notifies.
 * Between wake_request() and wake_fired() the three wake fields are the control thread's.
 *
 * Pairs
 *   A7 wake_fired: release waiting -> A8 in activate.c
 *   C1, C2 of control.c: the fields, from the replica to the control thread
 */
#include "engine/engine.h"

#include "base/clock.h"

#include <stdlib.h>

void wake_request(struct replica *r)
{
	r->wake_asked = true;
	r->external = true;
	/* relaxed: control_post() publishes it */
	atomic_store_explicit(&r->waiting, true, memory_order_relaxed);
	control_post(r->engine, &r->wake);
}

static void wake_fired(struct replica *r)
{
	if (r->timer)
		uv_timer_stop(r->timer);
	if (r->poll)
		uv_poll_stop(r->poll);
	atomic_store_explicit(&r->waiting, false, memory_order_release); /* A7 */
	task_notify(r);
}

static bool arm_timer(struct replica *r);

/* The loop's clock has whole milliseconds and may be behind by nearly one: so may the timer be early. */
static void on_timer(uv_timer_t *timer)
{
	struct replica *r = timer->data;

	if (clock_now_ns() < r->wake_ns && arm_timer(r))
		return;
	wake_fired(r);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events; /* the stage finds out by itself what is the matter */
	wake_fired(poll->data);
}

static void free_handle(uv_handle_t *handle)
{
	free(handle);
}

/* A descriptor may be another one each time. False: it can't be polled (a plain file, say, is
 * always ready), so the source is woken at once. */
static bool arm_poll(struct replica *r)
{
	int events = (r->wake_events & PC_FD_READ ? UV_READABLE : 0) |
	             (r->wake_events & PC_FD_WRITE ? UV_WRITABLE : 0);

	if (r->poll) {
		uv_close((uv_handle_t *)r->poll, free_handle);
		r->poll = NULL;
	}
	r->poll = malloc(sizeof(*r->poll));
	if (!r->poll)
		return false;
	if (uv_poll_init(&r->engine->loop, r->poll, r->wake_fd)) {
		free(r->poll);
		r->poll = NULL;
		return false;
	}
	r->poll->data = r;
	return uv_poll_start(r->poll, events, on_poll) == 0;
}

static bool arm_timer(struct replica *r)
{
	int64_t left = r->wake_ns - clock_now_ns();

	if (!r->timer) {
		r->timer = malloc(sizeof(*r->timer));
		if (!r->timer)
			return false;
		uv_timer_init(&r->engine->loop, r->timer);
		r->timer->data = r;
	}
	uv_update_time(&r->engine->loop);
	return uv_timer_start(r->timer, on_timer,
	                      left <= 0 ? 0 : (uint64_t)((left + PC_MS - 1) / PC_MS), 0) == 0;
}

void wake_arm(struct replica *r)
{
	bool armed = true;

	if (r->reported)
		return;
	if (r->wake_fd >= 0)
		armed = arm_poll(r);
	if (armed && r->wake_ns != INT64_MAX)
		armed = arm_timer(r);
	if (!armed)
		wake_fired(r);
}

void wake_close(struct replica *r)
{
	if (r->timer)
		uv_close((uv_handle_t *)r->timer, free_handle);
	if (r->poll)
		uv_close((uv_handle_t *)r->poll, free_handle);
	r->timer = NULL;
	r->poll = NULL;
}
