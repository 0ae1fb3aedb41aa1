/* engine/host.c: the functions behind <pcrun/stage.h>.
 *
 * Called from a stage's callbacks, on the thread that runs the replica; pc_log() on any thread.
 * Thin: each checks its arguments and hands on.
 *
 * Pairs
 *   H1 wait_fd: seq_cst kick_fd -> stage_stop: seq_cst kick_fd    the descriptor, or the kick
 *   H2 stage_stop: seq_cst kick -> wait_fd: seq_cst kick          one of the two is seen
 *   H3 stage_stop: release kick -> sleep: acquire kick            what the stopper did before
 */
#include "engine/engine.h"

#include "base/clock.h"
#include "base/futex.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

struct pc_outbox engine_no_outbox;

static struct pc_item *new_item(struct pc_stage *st, size_t size)
{
	return (struct pc_item *)item_new(replica_of(st)->cache, size);
}

static struct pc_item *slice(struct pc_stage *st, struct pc_item *parent, size_t offset,
                             size_t size)
{
	return (struct pc_item *)item_slice(replica_of(st)->cache, item_of(parent), offset,
	                                    size);
}

static struct pc_item *ref(struct pc_item *item)
{
	item_ref(item_of(item), 1);
	return item;
}

static void unref(struct pc_stage *st, struct pc_item *item)
{
	if (item)
		item_unref(replica_of(st)->cache, item_of(item));
}

static struct pc_item *writable(struct pc_stage *st, struct pc_item *item)
{
	return (struct pc_item *)item_writable(replica_of(st)->cache, item_of(item));
}

static int emit(struct pc_stage *st, unsigned port, struct pc_item *item)
{
	struct replica *r = replica_of(st);

	if (!item)
		return PC_INVALID;
	if (port >= r->n_ports)
		return swap_emit(r, port, item_of(item));
	return output_add(r, port, item_of(item));
}

static int emit_copy(struct pc_stage *st, unsigned port, const void *data, size_t size)
{
	struct item *item = item_new(replica_of(st)->cache, size);

	if (!item)
		return PC_NOMEM;
	if (size > 0)
		memcpy(item->pub.data, data, size);
	return emit(st, port, &item->pub);
}

static int emit_slice(struct pc_stage *st, unsigned port, struct pc_item *parent, size_t offset,
                      size_t size)
{
	struct item *item;

	if (offset > parent->size || size > parent->size - offset)
		return PC_INVALID;
	item = item_slice(replica_of(st)->cache, item_of(parent), offset, size);
	if (!item)
		return PC_NOMEM;
	return emit(st, port, &item->pub);
}

/* The first time, the engine's own reference travels: no counting at all. Not to a port that is not
 * wired, which would swallow it at once: it may be wanted again. */
static int pass(struct pc_stage *st, unsigned port, struct pc_item *pub)
{
	struct replica *r = replica_of(st);
	struct item *item = item_of(pub);
	struct output *o = port < r->n_ports ? &r->outputs[port] : NULL;
	bool lent = o && pub == r->pub.current && !r->pub.passed && o->n_lanes > 0;
	int rc;

	if (lent && o->n < o->room) {
		r->pub.passed = true;
		return output_add(r, port, item);
	}
	/* Without memory the reference that was sent is gone: it must not be ours. */
	item_ref(item, 1);
	if (!o)
		return swap_emit(r, port, item);
	rc = output_add(r, port, item);
	if (lent && rc == PC_OK) {
		item_unref(r->cache, item);
		r->pub.passed = true;
	}
	return rc;
}

/* In a batch: the item at batch_done is finished. Outside one it means nothing. */
static void done(struct pc_stage *st)
{
	struct replica *r = replica_of(st);

	if (r->batch_done >= r->batch_n)
		return;
	output_mark(r);
	if (!r->pub.passed)
		item_unref(r->cache, item_of(r->pub.current));
	r->pub.passed = false;
	r->batch_done++;
	r->pub.current = r->batch_done < r->batch_n ? &r->batch[r->batch_done]->pub : NULL;
}

__attribute__((format(printf, 2, 0))) static int fail(struct pc_stage *st, const char *format,
                                                      va_list ap)
{
	struct replica *r = replica_of(st);

	if (!r->fail_text && vasprintf(&r->fail_text, format, ap) < 0)
		r->fail_text = NULL;
	return PC_ERROR;
}

__attribute__((format(printf, 3, 0))) static void log_line(struct pc_stage *st, int level,
                                                           const char *format, va_list ap)
{
	struct replica *r = replica_of(st);
	char *text;

	if (level < r->engine->log_level || vasprintf(&text, format, ap) < 0)
		return;
	engine_log(r->engine, level, st->name, "%s", text);
	free(text);
}

/* Not inside of a read section: the whole process would keep its memory until it ends. */
static bool may_block(const struct replica *r)
{
	return r->stage->plan->own_thread && r->reading == 0;
}

/* Why a runtime wait returns before its time. */
static int kicked(struct replica *r, uint32_t kick)
{
	if (kick & KICK_STOP)
		return PC_STOPPED;
	/* relaxed: only this thread waits on it, and what is asked for is not told by it */
	atomic_fetch_and_explicit(&r->kick, ~(uint32_t)KICK_WATCH, memory_order_relaxed);
	return PC_AGAIN;
}

static int sleep_ns(struct pc_stage *st, int64_t ns)
{
	struct replica *r = replica_of(st);
	int64_t until = clock_after_ns(clock_now_ns(), ns);
	int rc = PC_OK;

	if (!may_block(r))
		return PC_INVALID;
	/* Cut short by a swap: the same sleep again means the rest of it. */
	if (ns == r->swap.sleep_ns && ns > 0)
		until = r->swap.sleep_until_ns;
	r->swap.sleep_ns = 0;
	doing_set(r, DOING_SLEEP);
	for (;;) {
		uint32_t kick = atomic_load_explicit(&r->kick, memory_order_acquire); /* H3 */

		if (kick & KICK_STOP) {
			rc = PC_STOPPED;
			break;
		}
		if (clock_now_ns() >= until)
			break;
		if (kick & (KICK_SWAP | KICK_WATCH)) {
			r->swap.sleep_until_ns = until;
			r->swap.sleep_ns = ns;
			rc = kicked(r, kick);
			break;
		}
		futex_wait(&r->kick, kick, until);
	}
	doing_set(r, DOING_CALLBACK);
	return rc;
}

static int wait_fd(struct pc_stage *st, int fd, unsigned events, int64_t timeout_ns)
{
	struct replica *r = replica_of(st);
	struct pollfd fds[2];
	int64_t until = clock_after_ns(clock_now_ns(), timeout_ns);
	/* relaxed: only this thread creates it */
	int kick_fd = atomic_load_explicit(&r->kick_fd, memory_order_relaxed);

	if (!may_block(r))
		return PC_INVALID;
	if (kick_fd < 0) {
		kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (kick_fd < 0)
			return PC_ERROR;
		atomic_store_explicit(&r->kick_fd, kick_fd, memory_order_seq_cst); /* H1 */
	}
	fds[0] = (struct pollfd){.fd = fd,
	                         .events = (short)((events & PC_FD_READ ? POLLIN : 0) |
	                                           (events & PC_FD_WRITE ? POLLOUT : 0))};
	fds[1] = (struct pollfd){.fd = kick_fd, .events = POLLIN};
	for (;;) {
		uint32_t kick = atomic_load_explicit(&r->kick, memory_order_seq_cst); /* H2 */
		struct timespec left, *limit = NULL;
		eventfd_t unused;
		int n;

		if (kick)
			return kicked(r, kick);
		if (until != INT64_MAX) {
			int64_t ns = until - clock_now_ns();

			ns = ns < 0 ? 0 : ns;
			left = (struct timespec){.tv_sec = (time_t)(ns / PC_SEC),
			                         .tv_nsec = (long)(ns % PC_SEC)};
			limit = &left;
		}
		doing_set(r, DOING_SLEEP);
		n = ppoll(fds, 2, limit, NULL);
		doing_set(r, DOING_CALLBACK);
		if (n < 0 && errno != EINTR)
			return PC_ERROR;
		if (n > 0 && fds[0].revents & POLLNVAL)
			return PC_ERROR;
		if (n > 0 && fds[0].revents)
			return PC_OK;
		if (n == 0 && limit)
			return PC_TIMEOUT;
		if (n > 0)
			eventfd_read(kick_fd, &unused); /* the bits of kick say what for */
	}
}

static void wake_after(struct pc_stage *st, int64_t ns)
{
	struct replica *r = replica_of(st);

	r->wake_ns = clock_after_ns(clock_now_ns(), ns < 0 ? 0 : ns);
	r->wants_wake = true;
}

static void wake_on_fd(struct pc_stage *st, int fd, unsigned events)
{
	struct replica *r = replica_of(st);

	r->wake_fd = fd;
	r->wake_events = events;
	r->wants_wake = true;
}

static void progress(struct pc_stage *st, uint64_t now, uint64_t total)
{
	struct replica *r = replica_of(st);

	/* relaxed, both: figures for the user */
	atomic_store_explicit(&r->progress, now, memory_order_relaxed);
	atomic_store_explicit(&r->progress_total, total, memory_order_relaxed); /* likewise */
}

static const char *in_type(struct pc_stage *st, unsigned port)
{
	const struct stage *s = replica_of(st)->stage;

	port = swap_graph_port(replica_of(st), port);
	return port < s->desc->n_inputs ? s->plan->inputs[port].type : "*";
}

static bool out_wired(struct pc_stage *st, unsigned port)
{
	const struct stage *s = replica_of(st)->stage;

	/* All replicas are wired alike. */
	port = swap_out_port(replica_of(st), port);
	return port < s->desc->n_outputs && s->replicas[0]->outputs[port].n_lanes > 0;
}

static void want(struct pc_stage *st, unsigned port, bool wanted)
{
	struct replica *r = replica_of(st);

	port = swap_graph_port(r, port);
	if (port < r->stage->desc->n_inputs && r->inputs)
		r->inputs[port].unwanted = !wanted;
}

const struct pc_host host_table = {
	.magic = PC_STAGE_MAGIC,
	.abi_major = PC_ABI_MAJOR,
	.abi_minor = PC_ABI_MINOR,
	.size = sizeof(struct pc_host),
	.item_new = new_item,
	.item_slice = slice,
	.item_ref = ref,
	.item_unref = unref,
	.item_writable = writable,
	.emit = emit,
	.emit_copy = emit_copy,
	.emit_slice = emit_slice,
	.pass = pass,
	.done = done,
	.fail = fail,
	.log = log_line,
	.sleep = sleep_ns,
	.wait_fd = wait_fd,
	.wake_after = wake_after,
	.wake_fd = wake_on_fd,
	.progress = progress,
	.in_type = in_type,
	.out_wired = out_wired,
	.want = want,
	.shared_find = state_find,
	.shared_set = state_set,
	.shared_add = state_add,
	.shared_delete = state_delete,
	.snapshot_begin = state_begin,
	.snapshot_get = state_get,
	.snapshot_next = state_next,
	.snapshot_end = state_end,
};
