/* queue/put.c: claiming slots at the tail. The algorithm is told in layout.h.
 *
 * Any thread. Every function here takes its own read section. None of them waits; pc_queue_put()
 * stands here because a single put, when nothing is in its way, is one straight function.
 */
#include "queue/segment.h"
#include "queue/wait.h"

#define SINGLES_AFTER  2 /* poisonings of one call, after which it puts one by one */
#define SLOTS_PER_LINE (QUEUE_LINE / sizeof(queue_slot))
#define EXPECTED_LINES 4
#define PREFETCH_SLOTS 64 /* more lines at once than a core can ask for help nobody */

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

/* How many of `wanted` places behind `position` are free. */
static inline uint64_t room(struct pc_queue *queue, uint64_t position, uint64_t wanted)
{
	/* relaxed: any limit that ever was is right (I2) */
	if (LIKELY(position + wanted <=
	           atomic_load_explicit(&queue->limit, memory_order_relaxed)))
		return wanted;
	return room_look(queue, position, wanted);
}

/* `slot` is the one behind what was claimed. */
static inline void claimed(struct pc_queue *queue, uint64_t end, queue_slot *slot)
{
	QUEUE_STEP(STEP_PUT_CLAIMED);
	atomic_store_explicit(&queue->tail_hint, end, memory_order_release); /* S3 */
	/* relaxed: nobody reads through it */
	atomic_store_explicit(&queue->tail_slot, slot, memory_order_relaxed);
}

/* Claim k slots at once, fill them, make them all visible together. False: not claimed, or
 * claimed and then poisoned (*poisoned grows). */
static bool put_together(struct pc_queue *queue, const struct cursor *at, void *const *items,
                         uint64_t k, unsigned *poisoned)
{
	queue_slot *slot = segment_slot(at->segment, at->position - at->segment->base);
	uintptr_t busy = (uintptr_t)(k << 3) | WORD_BUSY;

	for (uint64_t i = 0; i < k && i < PREFETCH_SLOTS; i += SLOTS_PER_LINE)
		prefetch_to_write(slot + i);
	if (!claim(slot, busy))
		return false;
	claimed(queue, at->position + k, slot + k);
	UNROLL4
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

__attribute__((noinline)) static int put_at(struct pc_queue *queue, struct cursor at,
                                            void *const *items, size_t n, size_t *ret_put)
{
	unsigned poisoned = 0;
	size_t put = 0;
	int rc = PC_OK;

	while (put < n) {
		uint64_t k, rest;

		if (UNLIKELY(walk(&at) == WORD_SEAL)) {
			rc = PC_CLOSED;
			break;
		}
		if (UNLIKELY(at_end(&at))) {
			rc = cross(queue, &at);
			if (rc != PC_OK)
				break;
			continue;
		}
		k = room(queue, at.position, n - put);
		if (UNLIKELY(k == 0)) {
			rc = PC_FULL;
			break;
		}
		rest = at.segment->base + at.segment->size - at.position;
		k = k < rest ? k : rest;
		QUEUE_STEP(STEP_PUT_CLAIM);
		if (k >= 3 && poisoned < SINGLES_AFTER) {
			if (!put_together(queue, &at, items + put, k, &poisoned))
				continue;
		} else {
			queue_slot *slot =
				segment_slot(at.segment, at.position - at.segment->base);

			k = 1;
			if (!claim(slot, (uintptr_t)items[put]))
				continue;
			claimed(queue, at.position + 1, slot + 1);
		}
		put += k;
		at.position += k;
	}
	/* A putter that was held up between its claim and its hint has set the hint back, for good if
	 * nobody puts: then estimates would show room, and be asked again and again. Relaxed look: it
	 * only saves the store. */
	if (rc == PC_FULL &&
	    atomic_load_explicit(&queue->tail_hint, memory_order_relaxed) < at.position)
		atomic_store_explicit(&queue->tail_hint, at.position,
		                      memory_order_release); /* S3 */
	*ret_put = put;
	return rc;
}

int put_some(struct pc_queue *queue, void *const *items, size_t n, size_t *ret_put)
{
	int rc;

	queue_rcu_lock();
	QUEUE_STEP(STEP_PUT_START);
	rc = put_at(queue, start(queue), items, n, ret_put);
	queue_rcu_unlock();
	if (*ret_put)
		QUEUE_STEP(STEP_PUT_DONE);
	return rc;
}

void queue_expect_put(const struct pc_queue *queue)
{
	struct pc_queue *q = (struct pc_queue *)(uintptr_t)queue;
	/* relaxed, both: guesses, and only asked for */
	queue_slot *slot = atomic_load_explicit(&q->tail_slot, memory_order_relaxed);
	/* relaxed: as above */
	struct segment *segment = atomic_load_explicit(&q->tail_segment, memory_order_relaxed);

	__builtin_prefetch(segment);
	for (unsigned i = 0; i < EXPECTED_LINES; i++)
		prefetch_to_write(slot + i * SLOTS_PER_LINE);
	prefetch_to_write(&q->side[SIDE_TAKE]);
}

/* The common case, straight on: the hint is right, there is room, nobody is faster. */
static inline bool put_fast(struct pc_queue *queue, struct cursor at, void *item)
{
	uint64_t offset = at.position - at.segment->base;
	queue_slot *slot = segment_slot(at.segment, offset);

	/* relaxed, the slot: only the claim counts; the limit: any that ever was is right (I2) */
	if (UNLIKELY(offset >= at.segment->size) ||
	    UNLIKELY(atomic_load_explicit(slot, memory_order_relaxed) != 0) ||
	    /* relaxed: see above */
	    UNLIKELY(at.position >= atomic_load_explicit(&queue->limit, memory_order_relaxed)))
		return false;
	if (UNLIKELY(offset % SLOTS_PER_LINE == 0))
		prefetch_to_write(slot + SLOTS_PER_LINE);
	QUEUE_STEP(STEP_PUT_CLAIM);
	if (UNLIKELY(!claim(slot, (uintptr_t)item)))
		return false;
	claimed(queue, at.position + 1, slot + 1);
	return true;
}

/* Anything else than the common case; ends the read section. */
__attribute__((noinline)) static int put_otherwise(struct pc_queue *queue, struct cursor at,
                                                   void *item, int64_t timeout_ns)
{
	size_t n;
	int rc = put_at(queue, at, &item, 1, &n);

	queue_rcu_unlock();
	if (rc == PC_OK) {
		QUEUE_STEP(STEP_PUT_DONE);
		wait_after(queue, SIDE_PUT);
		return rc;
	}
	return queue_put_slowly(queue, &item, 1, &n, timeout_ns, rc);
}

int pc_queue_put(struct pc_queue *queue, void *item, int64_t timeout_ns)
{
	struct cursor at;

	if (UNLIKELY(!queue_is_item(item)))
		return PC_INVALID;
	/* A taker who waits has read the slot. Asked for before anything is looked at, it costs 20 ns
	 * less than asked for when the tail is known. A slot of the past, even of freed memory, may be
	 * asked for. Relaxed: it is a guess. */
	prefetch_to_write(atomic_load_explicit(&queue->tail_slot, memory_order_relaxed));
	queue_rcu_lock();
	at = start(queue);
	QUEUE_STEP(STEP_PUT_START);
	if (UNLIKELY(!put_fast(queue, at, item)))
		return put_otherwise(queue, at, item, timeout_ns);
	queue_rcu_unlock();
	QUEUE_STEP(STEP_PUT_DONE);
	wait_after(queue, SIDE_PUT);
	return PC_OK;
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

/* For those who wait, and for takers who wake them. So it must write nothing: a taker may still have
 * the old capacity when queue_set_policy() has made `limit` 0, and would raise it again. */
static bool has_room(struct pc_queue *queue, uint64_t position)
{
	uint64_t head =
		atomic_load_explicit(&queue->head, memory_order_seq_cst) >> 1; /* S2, W1 */
	uint64_t capacity =
		atomic_load_explicit(&queue->capacity, memory_order_seq_cst); /* W1 */

	return head > position || position - head < capacity;
}

static bool is_starved(struct pc_queue *queue)
{
	return atomic_load_explicit(&queue->starved, memory_order_seq_cst); /* W1 */
}

bool put_ready(struct pc_queue *queue)
{
	struct cursor at;
	bool ready;

	queue_rcu_lock();
	if (find_tail(queue, &at) == WORD_SEAL)
		ready = true;
	else if (at_end(&at) && is_starved(queue))
		ready = false;
	else
		/* drop-old makes its own room, as no_room() in queue.c has it */
		ready = has_room(queue, at.position) ||
		        (queue_full(queue) == PC_FULL_DROP_OLD && !is_starved(queue));
	queue_rcu_unlock();
	return ready;
}

bool put_waits_for_memory(struct pc_queue *queue)
{
	struct cursor at;
	bool waits;

	queue_rcu_lock();
	waits = find_tail(queue, &at) != WORD_SEAL && at_end(&at) && is_starved(queue) &&
	        has_room(queue, at.position);
	queue_rcu_unlock();
	return waits;
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
