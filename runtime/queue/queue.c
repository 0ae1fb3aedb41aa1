/* queue/queue.c: the calls of <pcrun/queue.h> that put and take, and the life of a queue.
 *
 * Any thread. A put or take first tries, inline as far as possible; only what fails goes on to
 * the policies and to waiting. The algorithm is told in layout.h.
 */
#include "queue/reclaim.h"
#include "queue/segment.h"
#include "queue/wait.h"

#include <stdlib.h>
#include <string.h>

#define CAPACITY_DEFAULT 1024

int pc_queue_create(struct pc_queue **ret_queue, const struct pc_queue_options *options)
{
	struct pc_queue_options given = {0};
	struct pc_queue *queue;
	void *memory;

	if (options)
		memcpy(&given, options,
		       options->size < sizeof(given) ? options->size : sizeof(given));
	if (given.capacity > PC_QUEUE_CAPACITY_MAX || given.full > PC_FULL_ERROR)
		return PC_INVALID;
	if (!reclaim_start())
		return PC_NOMEM;
	/* Not aligned_alloc(): the size is no multiple of the alignment. Two lines, because then what
	 * glibc cuts off behind is large enough that it does not keep it apart: 96 bytes a queue. */
	if (posix_memalign(&memory, 2 * QUEUE_LINE, QUEUE_BYTES))
		return PC_NOMEM;
	queue = memory;
	memset(memory, 0, QUEUE_BYTES);
	atomic_init(&queue->capacity, given.capacity ? given.capacity : CAPACITY_DEFAULT);
	atomic_init(&queue->full, given.full);
	queue->drop = given.drop;
	queue->drop_user = given.drop_user;
	atomic_init(&queue->writers, given.writers ? given.writers : 1);
	atomic_init(&queue->readers, given.readers ? given.readers : 1);
	atomic_init(&queue->retired, QUEUE_ALIVE);
	atomic_init(&queue->tail_segment, &queue->first);
	atomic_init(&queue->head_segment, &queue->first);
	*ret_queue = queue;
	return PC_OK;
}

static void drop(struct pc_queue *queue, void *item)
{
	if (queue->drop)
		queue->drop(queue->drop_user, item);
}

void pc_queue_destroy(struct pc_queue *queue)
{
	struct segment *segment;
	size_t n;
	unsigned version;
	void *item;

	if (!queue)
		return;
	while (take_some(queue, &item, 1, &n, &version, HASTY) == PC_OK)
		drop(queue, item);
	/* relaxed: nobody else is left, the caller says */
	segment = atomic_load_explicit(&queue->head_segment, memory_order_relaxed);
	while (segment && segment != &queue_sealed) {
		/* relaxed: see above */
		struct segment *next =
			atomic_load_explicit(&segment->next, memory_order_relaxed);

		segment_retire(queue, segment);
		segment = next;
	}
	segment_queue_gone(queue);
}

/* One wait of a call that has found no room or nothing. */
static int wait_once(struct pc_queue *queue, enum side side, int64_t timeout_ns,
                     int64_t *deadline_ns)
{
	if (*deadline_ns == 0) {
		*deadline_ns = wait_deadline(timeout_ns);
		/* relaxed: a figure */
		atomic_fetch_add_explicit(&queue->side[side].waits, 1, memory_order_relaxed);
	}
	return wait_for(queue, side, *deadline_ns);
}

/* The policy of a queue that found no room. PC_OK: try again. */
static int no_room(struct pc_queue *queue, int64_t timeout_ns, int64_t *deadline_ns)
{
	void *oldest;
	unsigned version;
	size_t n;

	/* A poisoned batch may be what fills it: nobody has taken since. */
	if (take_skip(queue))
		return PC_OK;
	if (queue_full(queue) == PC_FULL_DROP_OLD &&
	    /* relaxed: dropping would make room, but no memory; either answer is right */
	    !atomic_load_explicit(&queue->starved, memory_order_relaxed)) {
		if (take_some(queue, &oldest, 1, &n, &version, HASTY) == PC_OK) {
			atomic_fetch_add_explicit(&queue->dropped_old, 1, /* J1 */
			                          memory_order_seq_cst);
			account_changed(queue);
			drop(queue, oldest);
		} else {
			/* Batches on their way may hold all the places, and their owners be stopped. */
			take_poison(queue);
		}
		return PC_OK;
	}
	if (queue_full(queue) == PC_FULL_ERROR || timeout_ns <= 0)
		return PC_FULL;
	return wait_once(queue, SIDE_PUT, timeout_ns, deadline_ns);
}

int queue_put_slowly(struct pc_queue *queue, void *const *items, size_t n, size_t *ret_put,
                     int64_t timeout_ns, int rc)
{
	int64_t deadline_ns = 0;

	while (rc == PC_FULL) {
		size_t more;

		if (queue_full(queue) == PC_FULL_DROP_NEW && !take_skip(queue)) {
			/* relaxed: a figure */
			atomic_fetch_add_explicit(&queue->dropped_new, n - *ret_put,
			                          memory_order_relaxed);
			for (; *ret_put < n; (*ret_put)++)
				drop(queue, items[*ret_put]);
			return PC_OK;
		}
		if (queue_full(queue) != PC_FULL_DROP_NEW) {
			rc = no_room(queue, timeout_ns, &deadline_ns);
			if (rc != PC_OK)
				break;
		}
		rc = put_some(queue, items + *ret_put, n - *ret_put, &more);
		*ret_put += more;
		if (more)
			wait_after(queue, SIDE_PUT);
	}
	/* We may have been woken for room that we do not use: others can, perhaps. */
	if (rc == PC_NOMEM)
		wait_pass_on(queue, SIDE_PUT);
	return rc;
}

static inline int put(struct pc_queue *queue, void *const *items, size_t n, size_t *ret_put,
                      int64_t timeout_ns)
{
	int rc = put_some(queue, items, n, ret_put);

	if (LIKELY(*ret_put))
		wait_after(queue, SIDE_PUT);
	return LIKELY(rc == PC_OK) ? rc
	                           : queue_put_slowly(queue, items, n, ret_put, timeout_ns, rc);
}

int pc_queue_put_batch(struct pc_queue *queue, void *const *items, size_t n, size_t *ret_put,
                       int64_t timeout_ns)
{
	*ret_put = 0;
	for (size_t i = 0; i < n; i++)
		if (UNLIKELY(!queue_is_item(items[i])))
			return PC_INVALID;
	return put(queue, items, n, ret_put, timeout_ns);
}

int queue_put_batch(struct pc_queue *queue, void *const *items, size_t n, size_t *ret_put)
{
	*ret_put = 0;
	return put(queue, items, n, ret_put, 0);
}

int queue_took(struct pc_queue *queue, int rc)
{
	if (LIKELY(rc == PC_OK)) {
		wait_after(queue, SIDE_TAKE);
	} else if (rc == PC_CLOSED) {
		wait_wake_all(queue, SIDE_TAKE); /* the one who was woken to see it tells all */
	}
	return rc;
}

int queue_take_slowly(struct pc_queue *queue, void **items, size_t max, size_t *ret_taken,
                      int64_t timeout_ns)
{
	int64_t deadline_ns = 0;
	unsigned version;
	int rc;

	if (timeout_ns <= 0)
		return PC_EMPTY;
	do {
		rc = wait_once(queue, SIDE_TAKE, timeout_ns, &deadline_ns);
		if (rc != PC_OK)
			return rc;
		rc = queue_took(queue,
		                take_some(queue, items, max, ret_taken, &version, PATIENT));
	} while (rc == PC_EMPTY);
	return rc;
}

int pc_queue_take_batch(struct pc_queue *queue, void **items, size_t max, size_t *ret_taken,
                        int64_t timeout_ns)
{
	unsigned version;
	int rc;

	*ret_taken = 0;
	if (max == 0)
		return PC_INVALID;
	rc = queue_took(queue, take_some(queue, items, max, ret_taken, &version, PATIENT));
	if (UNLIKELY(rc == PC_EMPTY))
		rc = queue_take_slowly(queue, items, max, ret_taken, timeout_ns);
	return rc;
}

int queue_take_batch_version(struct pc_queue *queue, void **items, size_t max,
                             size_t *ret_taken, unsigned *ret_version)
{
	return queue_took(queue, take_some(queue, items, max, ret_taken, ret_version, HASTY));
}

uint64_t queue_flip_version(struct pc_queue *queue, unsigned *ret_new_version)
{
	uint64_t head = atomic_fetch_xor_explicit(&queue->head, 1, /* S2 */
	                                          memory_order_acq_rel);

	*ret_new_version = (unsigned)(~head & 1);
	return head >> 1;
}

unsigned queue_version(const struct pc_queue *queue)
{
	return (unsigned)(atomic_load_explicit(&queue->head, memory_order_acquire) &
	                  1); /* S2 */
}

uint64_t queue_position(const struct pc_queue *queue)
{
	return atomic_load_explicit(&queue->head, memory_order_acquire) >> 1; /* S2 */
}

void queue_set_policy(struct pc_queue *queue, uint32_t capacity, uint32_t full)
{
	/* relaxed: see queue_full() */
	atomic_store_explicit(&queue->full, full, memory_order_relaxed);
	atomic_store_explicit(&queue->capacity, capacity, memory_order_seq_cst); /* W1 */
	/* relaxed, both: nobody puts now; 0: the next put looks at the head */
	atomic_store_explicit(&queue->limit, 0, memory_order_relaxed); /* relaxed: as above */
	atomic_store_explicit(&queue->high_check, 0,
	                      memory_order_relaxed); /* relaxed: as above */
	wait_wake_all(queue, SIDE_PUT);
}

void queue_raise_capacity(struct pc_queue *queue, uint32_t capacity)
{
	if (capacity <= queue_capacity(queue))
		return;
	/* A put that still sees the old one finds it full a little early, and looks again before it
	 * sleeps. */
	atomic_store_explicit(&queue->capacity, capacity, memory_order_seq_cst); /* W1 */
	wait_wake_all(queue, SIDE_PUT);
}

static size_t fill(const struct pc_queue *queue, uint32_t capacity)
{
	/* relaxed, both: stale at once anyway */
	uint64_t tail = atomic_load_explicit(&queue->tail_hint, memory_order_relaxed);
	/* relaxed: see above */
	uint64_t head = atomic_load_explicit(&queue->head, memory_order_relaxed) >> 1;
	uint64_t n = tail > head ? tail - head : 0;

	return n < capacity ? (size_t)n : capacity;
}

size_t queue_held(const struct pc_queue *queue)
{
	uint64_t head = atomic_load_explicit(&queue->head, memory_order_acquire) >> 1; /* S2 */

	return (size_t)(put_position((struct pc_queue *)(uintptr_t)queue) - head);
}

size_t queue_fill(const struct pc_queue *queue)
{
	return fill(queue, queue_capacity(queue));
}

size_t queue_room(const struct pc_queue *queue)
{
	uint32_t capacity = queue_capacity(queue);

	return capacity - fill(queue, capacity);
}

bool queue_has_item(const struct pc_queue *queue)
{
	return take_ready((struct pc_queue *)(uintptr_t)queue);
}

bool queue_waits_for_memory(const struct pc_queue *queue)
{
	return put_waits_for_memory((struct pc_queue *)(uintptr_t)queue);
}
