/* engine/control.c: the control thread: what changes as a whole, changes here.
 *
 * A libuv loop that sleeps until somebody posts a message (a replica has ended, a queue is
 * drained, a source wants to be woken), asks to stop, or a timer fires. Workers post and go on;
 * nothing of this is on the way of an item.
 *
 * Pairs
 *   C1 control_post: release messages -> C2 control_read_messages: acquire messages   what is told
 *   C3 control_read_messages: acq_rel posted -> C4 control_post: acq_rel posted       may be posted anew
 *   C5 pc_graph_stop: acq_rel stop_asked -> C6 apply_stop: acquire stop_asked  the request
 *   C7 look_for_deadlock: acquire awake, with T3 of task.c                      all is asleep
 */
#include "engine/engine.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/futex.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

void control_nudge(struct engine *e)
{
	uv_async_send(&e->async);
}

void control_post(struct engine *e, struct message *m)
{
	if (atomic_exchange_explicit(&m->posted, true, memory_order_acq_rel) /* C4 */)
		return;
	/* relaxed: only linked to */
	m->next = atomic_load_explicit(&e->messages, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(
		&e->messages, &m->next, m, memory_order_release /* C1 */,
		memory_order_relaxed /* only linked to */))
		continue;
	control_nudge(e);
}

static void place_drained(struct place *p)
{
	/* It was so when it was posted; it is so for ever once no writer is left. But a reload may have
	 * brought one in between: then it will be posted again.
	 * relaxed, both: the last one to end has posted this */
	if (flag_is(&p->drained) ||
	    (atomic_load_explicit(&p->writers, memory_order_relaxed) > 0 &&
	     atomic_load_explicit(&p->readers, memory_order_relaxed) > 0))
		return;
	flag_set(&p->drained);
	join_place_drained(p->engine, p);
}

static void handle(struct message *m)
{
	switch (m->kind) {
	case MESSAGE_ENDED:
		replica_ended((struct replica *)(void *)((char *)m -
		                                         offsetof(struct replica, ended)));
		break;
	case MESSAGE_DRAINED:
		place_drained(
			(struct place *)(void *)((char *)m - offsetof(struct place, message)));
		break;
	case MESSAGE_QUIET:
		loop_quiet((struct loop *)(void *)((char *)m - offsetof(struct loop, message)));
		break;
	case MESSAGE_SWAPPED:
		swap_told((struct replica *)(void *)((char *)m -
		                                     offsetof(struct replica, swapped)));
		break;
	case MESSAGE_PARKED:
		reload_parked((struct replica *)(void *)((char *)m -
		                                         offsetof(struct replica, parked)));
		break;
	case MESSAGE_CLOSED:
		closing_over(((struct stage_closing *)(void *)((char *)m -
		                                               offsetof(struct stage_closing,
		                                                        closed)))
		                     ->stage);
		break;
	case MESSAGE_WAKE:
		wake_arm(
			(struct replica *)(void *)((char *)m - offsetof(struct replica, wake)));
		break;
	}
}

bool control_read_messages(struct engine *e)
{
	struct message *list, *in_order = NULL;

	list = atomic_exchange_explicit(&e->messages, NULL, memory_order_acquire); /* C2 */
	if (!list)
		return false;
	while (list) {
		struct message *next = list->next;

		list->next = in_order;
		in_order = list;
		list = next;
	}
	while (in_order) {
		struct message *m = in_order;

		in_order = m->next;
		/* an exchange: a post that found it still posted is seen by this handling */
		atomic_exchange_explicit(&m->posted, false, memory_order_acq_rel); /* C3 */
		handle(m);
	}
	return true;
}

static void start_grace(struct engine *e, int64_t ns);

/* Stopped threads that do not come back: say so, leave them, and end without them. A close() may
 * have begun later than the others were stopped: it has its own time. */
static void on_grace(uv_timer_t *timer)
{
	struct engine *e = timer->data;
	int64_t left;

	for (uint32_t i = 0; i < e->plan->n_stages; i++) {
		struct stage *s = e->stages[i];

		if (!s->stopping || flag_is(&s->ended))
			continue;
		for (uint32_t k = 0; k < s->n_replicas; k++) {
			struct replica *r = s->replicas[k];

			if (r->reported)
				continue;
			e->stuck = r->abandoned = true;
			engine_log(e, PC_WARN, s->plan->name,
			           "replica %u did not come back from its code within %.3g s; "
			           "it is abandoned",
			           k, (double)e->grace_ns / 1e9);
			r->opened = false; /* close() must not run beside it */
			replica_ended(r);
		}
	}
	left = e->stopping ? closing_late(e) : 0;
	if (left > 0)
		start_grace(e, left);
	control_nudge(e);
}

static void start_grace(struct engine *e, int64_t ns)
{
	/* libuv counts milliseconds: never too early */
	uv_timer_start(&e->grace, on_grace, (uint64_t)((ns + PC_MS - 1) / PC_MS), 0);
}

void control_grace(struct engine *e)
{
	if (e->stopping && !uv_is_active((uv_handle_t *)&e->grace))
		start_grace(e, e->grace_ns);
}

/* Wakes the replicas out of whatever the runtime makes them wait for. */
void stage_stop(struct stage *s, enum stop how)
{
	if (flag_is(&s->ended))
		return;
	if (how == STOP_HARD && !s->stopping) {
		s->stopping = true;
		start_grace(s->engine, s->engine->grace_ns);
	}
	for (uint32_t i = 0; i < s->n_replicas; i++) {
		struct replica *r = s->replicas[i];
		int kick_fd;

		if (r->reported)
			continue;
		atomic_store_explicit(&r->stop, how, memory_order_release); /* A3 */
		/* relaxed: the stage only asks whether to hurry */
		__atomic_store_n(&r->pub.stopping, 1, __ATOMIC_RELAXED);
		atomic_fetch_or_explicit(&r->kick, KICK_STOP,
		                         memory_order_seq_cst); /* H2 H3 SW7 */
		futex_wake(&r->kick, 1);
		kick_fd = atomic_load_explicit(&r->kick_fd, memory_order_seq_cst); /* H1 */
		if (kick_fd >= 0)
			eventfd_write(kick_fd, 1);
		if (r->opened)
			swap_stopped(r);
		task_notify(r);
	}
}

static void stop_now(struct engine *e)
{
	if (e->stopping)
		return;
	e->stopping = true;
	reload_abort(e);
	swap_set_abort(e);
	for (uint32_t i = 0; i < e->plan->n_stages; i++)
		stage_stop(e->stages[i], STOP_HARD);
	control_grace(e); /* for what is being closed */
}

static void on_drain(uv_timer_t *timer)
{
	struct engine *e = timer->data;

	engine_log(e, PC_WARN, NULL, "not drained within %.3g s; what is left is abandoned",
	           (double)e->drain_ns / 1e9);
	stop_now(e);
	control_nudge(e);
}

static void apply_stop(struct engine *e)
{
	uint32_t asked = atomic_load_explicit(&e->stop_asked, memory_order_acquire); /* C6 */

	if (asked == PC_STOP_NOW) {
		stop_now(e);
	} else if (asked == PC_STOP_DRAIN && !e->draining) {
		e->draining = true;
		reload_abort(e);
		swap_set_abort(e);
		for (uint32_t i = 0; i < e->plan->n_stages; i++)
			if (e->stages[i]->desc->n_inputs == 0 && !e->stages[i]->plan->daemon)
				stage_stop(e->stages[i], STOP_SOFT);
		uv_timer_start(&e->drain, on_drain, (uint64_t)(e->drain_ns / PC_MS), 0);
	}
}

static bool lane_waits_for_memory(const struct lane *lane)
{
	/* acquire, as the replica that sleeps: N2 of waiting.c */
	return atomic_load_explicit((_Atomic uint32_t *)(uintptr_t)&lane->waiting.state,
	                            memory_order_acquire) == WAITING_ARMED && /* N2 */
	       queue_waits_for_memory(lane->waiting.queue);
}

static bool waits_for_memory(const struct engine *e)
{
	for (uint32_t i = 0; i < e->plan->n_stages; i++)
		for (uint32_t k = 0; k < e->stages[i]->n_replicas; k++) {
			const struct replica *r = e->stages[i]->replicas[k];

			for (uint32_t o = 0; o < r->n_outputs && !r->reported; o++)
				for (uint32_t l = 0; l < r->outputs[o].n_lanes; l++)
					if (lane_waits_for_memory(&r->outputs[o].lanes[l]))
						return true;
		}
	return false;
}

/* True: look again at once. False: sleep, somebody moves, or time will bring something; we hear of it:
 * who falls asleep last nudges us, and so does who posts. */
static bool look_for_deadlock(struct engine *e, uint64_t awake, uint32_t wakes)
{
	struct pc_error *error = NULL;
	struct buf text = {0};

	/* Swaps and reloads have their ticks, and whoever ends one looks again; of what is being closed
	 * the end is told. */
	if (awake_count(awake) > 0 || e->stopping || reload_is_under_way(e) ||
	    swap_set_is_under_way(e) || swap_rests(e) || e->closing.n > 0 ||
	    waits_for_memory(e))
		return false;
	/* Somebody was woken meanwhile by a thread that is not counted in `awake`. */
	if (queue_wakes_over() != wakes)
		return true;
	/* The turns above may have woken somebody after the first look; and who was may be asleep again,
	 * and have left us something to do. relaxed: what comes later nudges us */
	if (atomic_load_explicit(&e->awake, memory_order_acquire) != awake || /* C7 */
	    atomic_load_explicit(&e->messages, memory_order_relaxed))
		return false;
	buf_adds(&text, "nothing in the graph can move any more:\n");
	explain(e, &text);
	error_set_text(&error, PC_DEADLOCK, buf_take(&text));
	engine_fail(e, PC_DEADLOCK, error);
	return true;
}

static void on_async(uv_async_t *async)
{
	struct engine *e = async->data;

	relief_turn(e);
	while (!e->finished) {
		uint32_t wakes = queue_wakes_over();
		uint64_t awake = atomic_load_explicit(&e->awake, memory_order_acquire); /* C7 */
		bool news = control_read_messages(e);

		news |= swap_turn(e);
		news |= swap_set_turn(e);
		news |= reload_turn(e);
		apply_stop(e);
		if (e->live == 0)
			finish(e);
		else if (!news && !look_for_deadlock(e, awake, wakes))
			break;
	}
}

static void *control_main(void *arg)
{
	struct engine *e = arg;
	struct crash_stack stack;

	crash_stack_begin(&stack);
	item_cache_set_current(&e->control_cache);
	join_begin(e);
	control_nudge(e);
	uv_run(&e->loop, UV_RUN_DEFAULT);
	crash_stack_end(&stack);
	return NULL;
}

/* The first loop of a process takes a descriptor and makes a pipe, and libuv calls abort() when it
 * can not: so it is tried before. 0, or a libuv error. */
static int init_loop(uv_loop_t *loop)
{
	int fds[3] = {-1, -1, -1}, rc = 0;

	if (pipe2(fds, O_CLOEXEC) < 0 || (fds[2] = fcntl(fds[0], F_DUPFD_CLOEXEC, 0)) < 0)
		rc = uv_translate_sys_error(errno);
	for (int i = 0; i < 3; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	return rc ? rc : uv_loop_init(loop);
}

/* The loop must stand before any thread may post to it. */
int control_prepare(struct engine *e, struct pc_error **err)
{
	int rc = init_loop(&e->loop);

	if (rc)
		return error_set(err, PC_ERROR, "can not make the control loop: %s",
		                 uv_strerror(rc));
	e->loop_ready = true;
	e->async.data = e->drain.data = e->grace.data = e->swap.timer.data = e->relief.data =
		e->closing.timer.data = e;
	rc = uv_async_init(&e->loop, &e->async, on_async);
	if (rc)
		return error_set(err, PC_ERROR, "can not make the control loop: %s",
		                 uv_strerror(rc));
	uv_timer_init(&e->loop, &e->drain);
	uv_timer_init(&e->loop, &e->grace);
	uv_timer_init(&e->loop, &e->relief);
	uv_timer_init(&e->loop, &e->swap.timer);
	uv_timer_init(&e->loop, &e->closing.timer);
	return PC_OK;
}

int control_start(struct engine *e, struct pc_error **err)
{
	int rc = pthread_create(&e->thread, NULL, control_main, e);

	if (rc)
		return error_set(err, PC_ERROR, "can not start the control thread: %s",
		                 strerror(rc));
	e->has_thread = true;
	pthread_setname_np(e->thread, "pcrun-control");
	return PC_OK;
}

static void close_handle(uv_handle_t *handle, void *unused)
{
	(void)unused;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

/* With nothing open the loop ends by itself, once the handles' own closing is done. */
void control_close_handles(struct engine *e)
{
	uv_walk(&e->loop, close_handle, NULL);
}

void control_undo(struct engine *e)
{
	if (!e->loop_ready)
		return;
	control_close_handles(e);
	uv_run(&e->loop, UV_RUN_DEFAULT);
}
