/* queue/take.c: moving the head. The algorithm is told in layout.h.
 *
 * Any thread. Every function here takes its own read section and none of them waits; a taker
 * that meets a late batch gives its owner a moment (LATE_POLLS, one sched_yield) and then goes on
 * without it. pc_queue_take() stands here because a single take, when an item is there, is one
 * straight function.
 */
#include "queue/linger.h"
#include "queue/segment.h"
#include "queue/wait.h"

#include <sched.h>

#define LATE_POLLS 200 /* about 2 us */
#define PATIENT_FROM                                                                           \
	8 /* a take of so many is worth a moment; one of fewer wants its item now */
#define WORTH_IT 8

struct cursor {
	struct segment *segment;
	uint64_t position;
	uint64_t head; /* the word that says so */
};

enum found { FOUND_ITEM, FOUND_NOTHING, FOUND_SEAL, FOUND_AGAIN };

/* head_segment is used up: move it on, and retire the old one if it was us who moved it. The tail
 * must be past it first (I5); it may lag by several segments, when others stopped here. */
static enum found forward(struct pc_queue *queue, struct segment *segment)
{
	struct segment *next =
		atomic_load_explicit(&segment->next, memory_order_seq_cst); /* S4, W1 */
	struct segment *head = segment;
	struct segment *tail;

	if (!next)
		return FOUND_NOTHING;
	if (next == &queue_sealed)
		return FOUND_SEAL;
	QUEUE_STEP(STEP_TAKE_ADVANCE);
	/* relaxed on failure: somebody else has moved it */
	if (!atomic_compare_exchange_strong_explicit(&queue->head_segment, &head, next, /* S4 */
	                                             memory_order_acq_rel,
	                                             memory_order_relaxed))
		return FOUND_AGAIN;
	QUEUE_STEP(STEP_TAKE_RETIRE);
	tail = atomic_load_explicit(&queue->tail_segment, memory_order_acquire); /* S4 */
	while (tail->base + tail->size < next->base + next->size) {
		struct segment *after =
			atomic_load_explicit(&tail->next, memory_order_acquire); /* S4 */

		if (atomic_compare_exchange_strong_explicit(&queue->tail_segment, &tail, after,
		                                            memory_order_acq_rel, /* S4 */
		                                            memory_order_acquire))
			tail = after;
	}
	segment_retire(queue, segment);
	return FOUND_AGAIN;
}

/* Find the head: its segment, and the word that stands there. */
static inline enum found find_head(struct pc_queue *queue, struct cursor *at,
                                   uintptr_t *ret_word)
{
	uint64_t offset;

	at->head = atomic_load_explicit(&queue->head, memory_order_acquire);            /* S2 */
	at->segment = atomic_load_explicit(&queue->head_segment, memory_order_acquire); /* S4 */
	at->position = at->head >> 1;
	if (UNLIKELY(at->position < at->segment->base))
		return FOUND_AGAIN; /* both have moved since we read the first */
	offset = at->position - at->segment->base;
	if (UNLIKELY(offset >= at->segment->size))
		return forward(queue, at->segment);
	*ret_word = atomic_load_explicit(segment_slot(at->segment, offset), /* S1, W1 */
	                                 memory_order_seq_cst);
	if (*ret_word == WORD_SEAL)
		return FOUND_SEAL;
	return *ret_word ? FOUND_ITEM : FOUND_NOTHING;
}

/* Does a finished item stand behind the late batch? Only then is it worth a poisoning, and only
 * then does somebody get on by it. */
static bool item_behind(struct segment *segment, uint64_t position)
{
	for (;;) {
		uint64_t offset = position - segment->base;
		uintptr_t word;

		if (offset >= segment->size) {
			segment = atomic_load_explicit(&segment->next, /* S4, W1 */
			                               memory_order_seq_cst);
			if (!segment || segment == &queue_sealed)
				return false;
			continue;
		}
		word = atomic_load_explicit(segment_slot(segment, offset), /* S1, W1 */
		                            memory_order_seq_cst);
		if (word == 0 || word == WORD_SEAL)
			return false;
		if (!(word & 1))
			return true;
		position += WORD_STEP(word);
	}
}

/* A batch at the head is not published: its owner gets a moment, then it is poisoned. */
static void poison_late(struct pc_queue *queue, const struct cursor *at, uintptr_t word)
{
	queue_slot *slot = segment_slot(at->segment, at->position - at->segment->base);
	uintptr_t busy = word;

	for (unsigned i = 0; i <= LATE_POLLS; i++) {
		/* relaxed: find_head() reads it again, with order */
		if (atomic_load_explicit(slot, memory_order_relaxed) != word)
			return;
		if (i < LATE_POLLS)
			caa_cpu_relax();
		else
			sched_yield();
	}
	QUEUE_STEP(STEP_TAKE_POISON);
	/* relaxed on failure: find_head() reads it again */
	if (atomic_compare_exchange_strong_explicit(slot, &busy, busy - WORD_BUSY + WORD_POISON,
	                                            memory_order_seq_cst, /* S1 */
	                                            memory_order_relaxed)) {
		atomic_fetch_add_explicit(&queue->poisoned, WORD_STEP(word), /* J1 */
		                          memory_order_seq_cst);
		account_changed(queue);
	}
}

static enum found late(struct pc_queue *queue, const struct cursor *at, uintptr_t word)
{
	if (!item_behind(at->segment, at->position + WORD_STEP(word)))
		return FOUND_NOTHING;
	poison_late(queue, at, word);
	return FOUND_AGAIN;
}

/* Head stands on a poisoned batch: step over it. */
static void step_over(struct pc_queue *queue, const struct cursor *at, uintptr_t word)
{
	uint64_t head = at->head;

	QUEUE_STEP(STEP_TAKE_POISONED);
	if (atomic_compare_exchange_strong_explicit(&queue->head, &head, /* S2, W1 */
	                                            head + 2 * WORD_STEP(word),
	                                            memory_order_seq_cst, memory_order_acquire))
		/* relaxed: a figure */
		atomic_fetch_add_explicit(&queue->skipped, WORD_STEP(word),
		                          memory_order_relaxed);
}

/* Even and not 0: turned right by one bit, an odd word is huge, and 0 becomes huge below. */
static inline bool is_item(uintptr_t word)
{
	return (word >> 1 | word << (8 * sizeof(word) - 1)) - 1 < UINTPTR_MAX / 2;
}

/* How many of `max` may stand in this segment. */
static inline size_t most(const struct cursor *at, size_t max)
{
	uint64_t rest = at->segment->base + at->segment->size - at->position;

	return max < rest ? max : (size_t)rest;
}

/* Read what follows in the segment, up to max items in all. */
static inline size_t gather(const struct cursor *at, uintptr_t first, void **items, size_t max)
{
	queue_slot *slot = segment_slot(at->segment, at->position - at->segment->base);
	size_t n = 1;

	items[0] = (void *)first;
	/* one comparison of n for four items */
	while (max - n >= 4) {
		UNROLL4
		for (unsigned i = 0; i < 4; i++) {
			uintptr_t word = atomic_load_explicit(slot + n + i,
			                                      memory_order_acquire); /* S1 */

			if (!is_item(word))
				return n + i;
			items[n + i] = (void *)word;
		}
		n += 4;
	}
	for (; n < max; n++) {
		uintptr_t word = atomic_load_explicit(slot + n, memory_order_acquire); /* S1 */

		if (!is_item(word))
			break;
		items[n] = (void *)word;
	}
	return n;
}

/* A take of many has found n items of `wanted`, and n_before when it looked first. True: look again. */
static bool look_again(struct pc_queue *queue, size_t n, size_t n_before, size_t wanted,
                       enum patience *patience)
{
	if (*patience == LINGERED && n - n_before < WORTH_IT && n < wanted)
		linger_in_vain(&queue->side[SIDE_TAKE].no_linger);
	if (*patience != PATIENT || n >= wanted / 2)
		return false;
	*patience = linger(&queue->side[SIDE_TAKE].no_linger) ? LINGERED : HASTY;
	return *patience == LINGERED;
}

__attribute__((noinline)) static int take_in(struct pc_queue *queue, void **items, size_t max,
                                             size_t *ret_taken, unsigned *ret_version,
                                             enum patience patience)
{
	size_t n_before = 0;

	for (;;) {
		struct cursor at;
		uintptr_t word = 0;
		enum found found = find_head(queue, &at, &word);
		uint64_t head;
		size_t n = 0, wanted = max;

		QUEUE_STEP(STEP_TAKE_START);
		if (UNLIKELY(found == FOUND_ITEM && (word & 1))) {
			if (WORD_TAG(word) == WORD_POISON) {
				step_over(queue, &at, word);
				continue;
			}
			found = late(queue, &at, word);
		}
		if (found == FOUND_AGAIN)
			continue;
		if (found == FOUND_SEAL)
			return PC_CLOSED;
		if (found == FOUND_ITEM) {
			wanted = most(&at, max);
			n = gather(&at, word, items, wanted);
		}
		if (look_again(queue, n, n_before, wanted, &patience)) {
			n_before = n;
			continue;
		}
		if (n == 0)
			return PC_EMPTY;
		QUEUE_STEP(STEP_TAKE_CLAIM);
		head = at.head;
		if (atomic_compare_exchange_strong_explicit(&queue->head, &head, /* S2, W1 */
		                                            head + 2 * n, memory_order_seq_cst,
		                                            memory_order_acquire)) {
			*ret_taken = n;
			*ret_version = (unsigned)(head & 1);
			return PC_OK;
		}
	}
}

int take_some(struct pc_queue *queue, void **items, size_t max, size_t *ret_taken,
              unsigned *ret_version, enum patience patience)
{
	int rc;

	*ret_taken = 0;
	if (max < PATIENT_FROM)
		patience = HASTY;
	queue_rcu_lock();
	rc = take_in(queue, items, max, ret_taken, ret_version, patience);
	queue_rcu_unlock();
	if (rc == PC_OK)
		QUEUE_STEP(STEP_TAKE_CLAIMED);
	return rc;
}

/* The common cases, straight on: an item is there and nobody is faster; or nothing is there. */
static inline enum found take_fast(struct pc_queue *queue, void **ret_item)
{
	uint64_t head = atomic_load_explicit(&queue->head, memory_order_acquire); /* S2 */
	struct segment *segment =
		atomic_load_explicit(&queue->head_segment, memory_order_acquire); /* S4 */
	uint64_t offset =
		(head >> 1) - segment->base; /* huge when the segment is a later one */
	uintptr_t word;

	if (UNLIKELY(offset >= segment->size))
		return FOUND_AGAIN;
	word = atomic_load_explicit(segment_slot(segment, offset), /* S1, W1 */
	                            memory_order_seq_cst);
	if (word == 0)
		return FOUND_NOTHING;
	if (UNLIKELY(word & 1))
		return FOUND_AGAIN;
	QUEUE_STEP(STEP_TAKE_CLAIM);
	if (UNLIKELY(!atomic_compare_exchange_strong_explicit(&queue->head, &head, /* S2, W1 */
	                                                      head + 2, memory_order_seq_cst,
	                                                      memory_order_acquire)))
		return FOUND_AGAIN;
	*ret_item = (void *)word;
	return FOUND_ITEM;
}

/* Nothing was there. *ret_item stays as it is unless something comes. */
__attribute__((noinline)) static int take_late(struct pc_queue *queue, void **ret_item,
                                               int64_t timeout_ns)
{
	void *item;
	size_t n;
	int rc = queue_take_slowly(queue, &item, 1, &n, timeout_ns);

	if (rc == PC_OK)
		*ret_item = item;
	return rc;
}

/* None of the common cases; ends the read section. */
__attribute__((noinline)) static int take_otherwise(struct pc_queue *queue, void **ret_item,
                                                    int64_t timeout_ns)
{
	unsigned version;
	void *item;
	size_t n;
	int rc = take_in(queue, &item, 1, &n, &version, HASTY);

	queue_rcu_unlock();
	if (rc == PC_OK)
		QUEUE_STEP(STEP_TAKE_CLAIMED);
	rc = queue_took(queue, rc);
	if (rc == PC_OK)
		*ret_item = item;
	return rc == PC_EMPTY ? take_late(queue, ret_item, timeout_ns) : rc;
}

int pc_queue_take(struct pc_queue *queue, void **ret_item, int64_t timeout_ns)
{
	enum found found;

	queue_rcu_lock();
	found = take_fast(queue, ret_item);
	if (UNLIKELY(found == FOUND_AGAIN))
		return take_otherwise(queue, ret_item, timeout_ns);
	queue_rcu_unlock();
	if (found == FOUND_NOTHING)
		return timeout_ns <= 0 ? PC_EMPTY : take_late(queue, ret_item, timeout_ns);
	QUEUE_STEP(STEP_TAKE_CLAIMED);
	wait_after(queue, SIDE_TAKE);
	return PC_OK;
}

void queue_expect_take(const struct pc_queue *queue)
{
	prefetch_to_write(&queue->head);
}

bool take_ready(struct pc_queue *queue)
{
	struct cursor at;
	uintptr_t word = 0;
	enum found found;

	queue_rcu_lock();
	do
		found = find_head(queue, &at, &word);
	while (found == FOUND_AGAIN);
	if (found == FOUND_ITEM && WORD_TAG(word) == WORD_BUSY)
		found = item_behind(at.segment, at.position + WORD_STEP(word)) ? FOUND_ITEM
		                                                               : FOUND_NOTHING;
	queue_rcu_unlock();
	return found != FOUND_NOTHING;
}

bool take_skip(struct pc_queue *queue)
{
	struct cursor at;
	uintptr_t word = 0;
	enum found found;

	queue_rcu_lock();
	do
		found = find_head(queue, &at, &word);
	while (found == FOUND_AGAIN);
	found = found == FOUND_ITEM && WORD_TAG(word) == WORD_POISON ? FOUND_AGAIN : found;
	if (found == FOUND_AGAIN)
		step_over(queue, &at, word);
	queue_rcu_unlock();
	return found == FOUND_AGAIN;
}

void take_poison(struct pc_queue *queue)
{
	struct cursor at;
	uintptr_t word = 0;

	queue_rcu_lock();
	if (find_head(queue, &at, &word) == FOUND_ITEM && WORD_TAG(word) == WORD_BUSY)
		poison_late(queue, &at, word);
	queue_rcu_unlock();
}

bool take_is_closed(struct pc_queue *queue)
{
	struct cursor at;
	uintptr_t word = 0;
	enum found found;

	queue_rcu_lock();
	do
		found = find_head(queue, &at, &word);
	while (found == FOUND_AGAIN);
	queue_rcu_unlock();
	return found == FOUND_SEAL;
}
