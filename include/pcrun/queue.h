/* queue.h: a bounded, lock-free FIFO between any number of threads that put and take.
 *
 * The queue of pcrun, for use by itself. It carries pointers (never NULL, never odd: items are
 * at least 2-aligned). Capacity is exact. Puts and takes of single items are linearizable; each
 * producer's items come out in the order in which it put them, also across batches. A thread
 * that is stopped anywhere inside a call never keeps other threads from finishing theirs, as
 * long as those do not ask to wait. runtime/queue/ tells how and why.
 *
 * Threads. Every call may be made on any thread at any time between create and destroy, unless
 * it says otherwise. No registration is needed.
 *
 * Memory. Behind a thread that is stopped inside a call, at most 64 MiB of a queue's memory wait
 * for it (retired_bytes); beyond that puts find no room until it goes on: PC_FULL, like any full
 * queue. A put beside a batch that is just going in may also say PC_FULL, for places count as
 * taken from the moment they are claimed.
 *
 * Ordering. What a thread wrote before a put is seen by the thread whose take returns that item.
 */
#ifndef PCRUN_QUEUE_H
#define PCRUN_QUEUE_H

#include <pcrun/codes.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef PC_API
#define PC_API __attribute__((visibility("default")))
#endif

struct pc_queue;

/** What a put does when there is no room. */
enum pc_full {
	PC_FULL_BLOCK = 0,    /* wait as long as the call says, then PC_FULL or PC_TIMEOUT */
	PC_FULL_DROP_NEW = 1, /* the item is given to `drop` and counted; the put says PC_OK */
	PC_FULL_DROP_OLD = 2, /* the oldest item is given to `drop` and counted, then put */
	PC_FULL_ERROR = 3     /* PC_FULL at once, whatever the time-out */
};

#define PC_QUEUE_CAPACITY_MAX (UINT32_C(1) << 20)

/** How to make one. Zero means the default. */
struct pc_queue_options {
	size_t size;       /* sizeof(struct pc_queue_options) */
	uint32_t capacity; /* 1 … PC_QUEUE_CAPACITY_MAX; 0: 1024 */
	uint32_t full;     /* enum pc_full */
	uint32_t writers;  /* references that pc_queue_writer_end() gives back; 0: one */
	uint32_t readers;  /* likewise; 0: one */
	/* Receives items that are dropped by policy, and those still queued at destroy. NULL:
	 * nothing is done with them. Called on the thread whose call dropped them. */
	void (*drop)(void *user, void *item);
	void *drop_user;
};

/** @return PC_OK, PC_NOMEM, PC_INVALID (options out of range). Since 1.0. */
PC_API int pc_queue_create(struct pc_queue **ret_queue, const struct pc_queue_options *options);

/** Nobody may be inside a call, nor call again. Items still queued go to `drop`. NULL is fine. */
PC_API void pc_queue_destroy(struct pc_queue *queue);

/** Put one item.
 * @timeout_ns  0 = do not wait, PC_FOREVER = no limit.
 * @return PC_OK; PC_FULL (timeout 0, or policy `error`); PC_TIMEOUT; PC_CLOSED: all readers or
 *         all writers have ended; PC_STOPPED: pc_queue_stop(); PC_NOMEM; PC_INVALID (NULL or
 *         odd item). On anything but PC_OK the item is still the caller's.
 * A put of up to 32 items into a queue of 128 places or more that has fewer than 32 free may
 * linger for 128 pauses of the processor (2 us here), so that takers get on; one that finds it
 * full does not. */
PC_API int pc_queue_put(struct pc_queue *queue, void *item, int64_t timeout_ns);

/** Take the oldest item.
 * @return PC_OK; PC_EMPTY (timeout 0); PC_TIMEOUT; PC_CLOSED: all writers have ended and
 *         nothing is left; PC_STOPPED. *ret_item is written on PC_OK only. */
PC_API int pc_queue_take(struct pc_queue *queue, void **ret_item, int64_t timeout_ns);

/** Put n items in one claim where there is room for all, else as many as fit, waiting for more
 * room until the time is over. They keep their order; items of others may come between parts
 * (also where a segment of the queue's memory ends).
 * @ret_put  how many of the first items are in (or dropped by policy); written in every case.
 * @return PC_OK when all are; else as pc_queue_put(), and the rest is still the caller's. */
PC_API int pc_queue_put_batch(struct pc_queue *queue, void *const *items, size_t n,
                              size_t *ret_put, int64_t timeout_ns);

/** Take what is there in one claim, at most `max`; waits only for the first. `max` 0: PC_INVALID.
 * A take of 8 or more that finds less than half of them may linger for 128 pauses of the processor (2 us
 * here) and look again; where that was in vain the next 64 do not.
 * @ret_taken  how many; written in every case.
 * @return PC_OK when at least one; else as pc_queue_take(). */
PC_API int pc_queue_take_batch(struct pc_queue *queue, void **items, size_t max,
                               size_t *ret_taken, int64_t timeout_ns);

/** Say that `n` items that were taken have been dealt with (Python's task_done).
 * @return PC_OK; PC_INVALID: more than were taken and not yet done; nothing is changed. */
PC_API int pc_queue_done(struct pc_queue *queue, size_t n);

/** Wait until every item that was put has been done (or dropped).
 * @return PC_OK, PC_TIMEOUT (also with 0), PC_STOPPED. */
PC_API int pc_queue_join(struct pc_queue *queue, int64_t timeout_ns);

/** References of writers: when the last has ended the queue is closed for puts; takers get what
 * is left, then PC_CLOSED. `add` is allowed while at least one is left: PC_OK or PC_CLOSED.
 * `end` more often than there are references: PC_INVALID. */
PC_API int pc_queue_writer_add(struct pc_queue *queue);
PC_API int pc_queue_writer_end(struct pc_queue *queue);

/** References of readers: when the last has ended, puts say PC_CLOSED. */
PC_API int pc_queue_reader_add(struct pc_queue *queue);
PC_API int pc_queue_reader_end(struct pc_queue *queue);

/** Make every waiting call, and every later one that would wait, return PC_STOPPED. Calls that
 * need not wait still work. */
PC_API void pc_queue_stop(struct pc_queue *queue);

/** Figures; a snapshot that is exact when nobody is inside a call. */
struct pc_queue_stats {
	uint64_t put;        /* items that went in */
	uint64_t taken;      /* items that came out */
	uint64_t done;       /* items reported by pc_queue_done() */
	uint64_t dropped;    /* by policy; not in `put` for drop-new, in `put` for drop-old */
	uint64_t queued;     /* in the queue now */
	uint64_t high_water; /* the most ever queued, as seen by puts; may miss a peak by 64 */
	uint64_t full_waits; /* calls that found it full and waited */
	uint64_t empty_waits;
	uint64_t
		memory_bytes; /* header, segments in use and retired; pools are the process's */
	uint64_t retired_bytes; /* of them, waiting for a grace period */
};

/** @size  sizeof the caller's struct. */
PC_API void pc_queue_stats(const struct pc_queue *queue, struct pc_queue_stats *ret_stats,
                           size_t size);

#ifdef __cplusplus
}
#endif
#endif
