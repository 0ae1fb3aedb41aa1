/* queue/put.c: claiming slots at the tail. The algorithm is told in layout.h.
 *
 * Any thread. Every function here takes its own read section and none of them waits.
 */
#include "queue/segment.h"

#define SINGLES_AFTER 2 /* poisonings of one call, after which it puts one by one */

struct cursor {
	struct segment *segment;
	uint64_t position;
};

/* The one step that decides who owns a slot. A machine on which many cores fight for the tail
 * may want a ticket here (fetch_add on a segment's counter) and a CAS on the slot so won. */
static inline bool claim(queue_slot *slot, uintptr_t word)
{
	uintptr_t empty = 0;

	return atomic_compare_exchange_strong_explicit(slot, &empty, word, /* S1, W1 */
	                                               memory_order_seq_cst,
	                                               memory_order_acquire);
}

static inline struct cursor start(struct pc_queue *queue)
{
	struct cursor at;

	at.segment = atomic_load_explicit(&queue->tail_segment, memory_order_acquire); /* S4 */
	at.position = atomic_load_explicit(&queue->tail_hint, memory_order_acquire);   /* S3 */
	if (at.position < at.segment->base)
		at.position = at.segment->base;
	return at;
}

/* Move on within the segment to the first slot that is free or sealed. Returns what it holds;
 * at the segment's end 0 as well. */
static inline uintptr_t walk(struct cursor *at)
{
	uint64_t offset = at->position - at->segment->base;
	uintptr_t word = 0;

	while (offset < at->segment->size) {
		word = atomic_load_explicit(segment_slot(at->segment, offset), /* S1 */
		                            memory_order_acquire);
		if (word == 0 || word == WORD_SEAL)
			break;
		offset += word & 1 ? WORD_STEP(word) : 1;
		word = 0;
	}
	at->position = at->segment->base + offset;
	return word;
}

static inline bool at_end(const struct cursor *at)
{
	return at->position - at->segment->base >= at->segment->size;
}

/* The next segment, if there is one; the tail is moved along for those who come after. */
static struct segment *follow(struct pc_queue *queue, struct segment *segment)
{
	struct segment *next =
		atomic_load_explicit(&segment->next, memory_order_acquire); /* S4 */

	if (next && next != &queue_sealed) {
		struct segment *tail = segment;

		/* relaxed on failure: somebody else has moved it, at least as far */
		atomic_compare_exchange_strong_explicit(
			&queue->tail_segment, &tail, next, /* S4 */
			memory_order_release, memory_order_relaxed);
	}
	return next;
}

static int append(struct pc_queue *queue, struct segment *segment)
{
	struct segment *made, *none = NULL;
	int rc = segment_make(queue, segment, &made);

	if (rc != PC_OK)
		return rc;
	QUEUE_STEP(STEP_PUT_ALLOCATED);
	/* relaxed: a figure; first, so that retiring never takes it below zero */
	atomic_fetch_add_explicit(&queue->live, sizeof(*made) + made->size * sizeof(queue_slot),
	                          memory_order_relaxed);
	if (!atomic_compare_exchange_strong_explicit(&segment->next, &none, made, /* S4, W1 */
	                                             memory_order_seq_cst,
	                                             memory_order_acquire)) {
		/* relaxed: a figure */
		atomic_fetch_sub_explicit(&queue->live,
		                          sizeof(*made) + made->size * sizeof(queue_slot),
		                          memory_order_relaxed);
		segment_unmake(made);
	}
	QUEUE_STEP(STEP_PUT_LINKED);
	return PC_OK;
}

/* Free places behind position p, as far as is known; looks at the takers' line only when that
 * would be fewer than wanted. */
static inline uint64_t room(struct pc_queue *queue, uint64_t position, uint64_t wanted)
{
	/* relaxed: any value it ever had is a head of the past, which errs towards full (I2) */
	uint64_t seen = atomic_load_explicit(&queue->head_seen, memory_order_relaxed);

	if (position + wanted - seen > queue->capacity) {
		seen = atomic_load_explicit(&queue->head, memory_order_seq_cst) >>
		       1; /* S2, W1 */
		/* relaxed: see above */
		atomic_store_explicit(&queue->head_seen, seen, memory_order_relaxed);
		/* Others may have filled, and takers emptied, our position meanwhile. */
		if (seen > position)
			return queue->capacity;
	}
	return position - seen >= queue->capacity ? 0 : queue->capacity - (position - seen);
}

/* The queue may never have been so deep. Looking at head costs a cache line from the takers, so
 * a look that finds nothing new raises the depth at which to look again, by 64 at the most. */
static void note_depth(struct pc_queue *queue, uint64_t end)
{
	uint64_t head = atomic_load_explicit(&queue->head, memory_order_acquire) >> 1; /* S2 */
	uint64_t depth = end > head ? end - head : 0;
	/* relaxed, here and below: figures */
	uint64_t high = atomic_load_explicit(&queue->high_water, memory_order_relaxed);
	/* relaxed: see above */
	uint64_t check = atomic_load_explicit(&queue->high_check, memory_order_relaxed);

	if (depth > high) {
		/* relaxed: see above */
		while (depth > high && !atomic_compare_exchange_weak_explicit(
					       &queue->high_water, &high, depth,
					       memory_order_relaxed, /* relaxed: see above */
					       memory_order_relaxed))
			;
		check = depth;
	} else {
		check = check < 4 ? 8 : 2 * check;
		check = check < high + 64 ? check : high + 64;
	}
	/* relaxed: see above */
	atomic_store_explicit(&queue->high_check, check, memory_order_relaxed);
	/* relaxed: a head of the past (I2) */
	atomic_store_explicit(&queue->head_seen, head, memory_order_relaxed);
}

static inline void claimed(struct pc_queue *queue, uint64_t end)
{
	QUEUE_STEP(STEP_PUT_CLAIMED);
	atomic_store_explicit(&queue->tail_hint, end, memory_order_release); /* S3 */
	/* relaxed, both: figures, and a head of the past */
	if (UNLIKELY(end - atomic_load_explicit(&queue->head_seen, memory_order_relaxed) >
	             /* relaxed: a figure */
	             atomic_load_explicit(&queue->high_check, memory_order_relaxed)))
		note_depth(queue, end);
}

/* Claim k slots at once, fill them, make them all visible together. False: not claimed, or
 * claimed and then poisoned (*poisoned grows). */
static bool put_together(struct pc_queue *queue, const struct cursor *at, void *const *items,
                         uint64_t k, unsigned *poisoned)
{
	queue_slot *slot = segment_slot(at->segment, at->position - at->segment->base);
	uintptr_t busy = (uintptr_t)(k << 3) | WORD_BUSY;

	if (!claim(slot, busy))
		return false;
	claimed(queue, at->position + k);
	for (uint64_t i = 1; i < k; i++) {
		if (i == k / 2)
			QUEUE_STEP(STEP_PUT_FILLING);
		/* relaxed: nobody looks at it before the publication below, or ever */
		atomic_store_explicit(slot + i, (uintptr_t)items[i], memory_order_relaxed);
	}
	QUEUE_STEP(STEP_PUT_PUBLISH);
	if (atomic_compare_exchange_strong_explicit(slot, &busy,
	                                            (uintptr_t)items[0], /* S1, W1 */
	                                            memory_order_seq_cst, memory_order_acquire))
		return true;
	(*poisoned)++;
	return false;
}

/* The cursor stands at a segment's end: take it into the next one. */
static int cross(struct pc_queue *queue, struct cursor *at)
{
	struct segment *next;

	while (!(next = follow(queue, at->segment))) {
		int rc;

		if (room(queue, at->position, 1) == 0)
			return PC_FULL;
		rc = append(queue, at->segment);
		if (rc != PC_OK)
			return rc;
	}
	if (next == &queue_sealed)
		return PC_CLOSED;
	at->segment = next;
	if (at->position < next->base)
		at->position = next->base;
	return PC_OK;
}

static inline int put_at(struct pc_queue *queue, struct cursor *at, void *const *items,
                         size_t n, size_t *ret_put)
{
	unsigned poisoned = 0;
	size_t put = 0;
	int rc = PC_OK;

	while (put < n) {
		uint64_t k = n - put;
		uint64_t free_places, rest;

		if (UNLIKELY(walk(at) == WORD_SEAL)) {
			rc = PC_CLOSED;
			break;
		}
		if (UNLIKELY(at_end(at))) {
			rc = cross(queue, at);
			if (rc != PC_OK)
				break;
			continue;
		}
		free_places = room(queue, at->position, k);
		if (UNLIKELY(free_places == 0)) {
			rc = PC_FULL;
			break;
		}
		rest = at->segment->base + at->segment->size - at->position;
		k = k < free_places ? k : free_places;
		k = k < rest ? k : rest;
		QUEUE_STEP(STEP_PUT_CLAIM);
		if (k >= 3 && poisoned < SINGLES_AFTER) {
			if (!put_together(queue, at, items + put, k, &poisoned))
				continue;
		} else {
			k = 1;
			if (!claim(segment_slot(at->segment, at->position - at->segment->base),
			           (uintptr_t)items[put]))
				continue;
			claimed(queue, at->position + 1);
		}
		put += k;
		at->position += k;
	}
	*ret_put = put;
	return rc;
}

int put_some(struct pc_queue *queue, void *const *items, size_t n, size_t *ret_put)
{
	struct cursor at;
	int rc;

	queue_rcu_lock();
	at = start(queue);
	QUEUE_STEP(STEP_PUT_START);
	rc = put_at(queue, &at, items, n, ret_put);
	queue_rcu_unlock();
	if (*ret_put)
		QUEUE_STEP(STEP_PUT_DONE);
	return rc;
}

/* The first free position, or a position at the seal or before a segment to come. */
static uintptr_t find_tail(struct pc_queue *queue, struct cursor *at)
{
	uintptr_t word;

	*at = start(queue);
	while ((word = walk(at)) == 0 && at_end(at)) {
		struct segment *next = follow(queue, at->segment);

		if (!next)
			return 0;
		if (next == &queue_sealed)
			return WORD_SEAL;
		at->segment = next;
		if (at->position < next->base)
			at->position = next->base;
	}
	return word;
}

uint64_t put_position(struct pc_queue *queue)
{
	struct cursor at;

	queue_rcu_lock();
	find_tail(queue, &at);
	queue_rcu_unlock();
	return at.position;
}

bool put_ready(struct pc_queue *queue)
{
	struct cursor at;
	bool ready;

	queue_rcu_lock();
	if (find_tail(queue, &at) == WORD_SEAL)
		ready = true;
	else if (at_end(&at) &&
	         atomic_load_explicit(&queue->starved, memory_order_seq_cst)) /* W1 */
		ready = false;
	else
		ready = room(queue, at.position, 1) > 0;
	queue_rcu_unlock();
	return ready;
}

void put_seal(struct pc_queue *queue)
{
	struct cursor at;

	queue_rcu_lock();
	for (;;) {
		struct segment *none = NULL;

		QUEUE_STEP(STEP_SEAL);
		if (find_tail(queue, &at) == WORD_SEAL)
			break;
		if (!at_end(&at)) {
			if (claim(segment_slot(at.segment, at.position - at.segment->base),
			          WORD_SEAL))
				break;
		} else if (atomic_compare_exchange_strong_explicit(
				   &at.segment->next, &none, &queue_sealed, /* S4, W1 */
				   memory_order_seq_cst, memory_order_acquire)) {
			break;
		}
	}
	queue_rcu_unlock();
}
