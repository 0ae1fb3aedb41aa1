/* engine/swap-record.c: a copy of one replica's state, and what the old code makes of the items
 * that come next, for a probe to start from.
 *
 * Nothing is recorded before somebody asks: an activation looks at one word, `watch`, which then
 * is 0. Whoever asks (any thread) gets what passes within a few milliseconds. The first replica
 * that comes by takes the request, copies its state between two items, and from then on does its
 * items one at a time and notes each and what came of it. So state and items belong together:
 * from this state, with these items, the old build gave these outputs.
 *
 * `watch` says whose the stage's `record` is. Every change of it is one exchange, so each record
 * has one owner at any time; nobody waits for a replica that does not come back: the record is
 * left to it, and freed by it.
 *
 *   NOT -> MAKING -> ASKED -> TAKEN -> GIVEN -> NOT      the way, with a replica's part in the middle
 *                    ASKED -> MAKING -> NOT              none came
 *                             TAKEN -> LEFT -> NOT       it is busy for longer: it frees the record
 *
 * Pairs
 *   SR1 ask: release watch -> SR3 swap_watch: acq_rel watch          the empty record
 *   SR3 give: acq_rel watch -> SR4 ask: acquire watch                what is in it
 *   SR5 ask: acq_rel watch -> SR3 give: acq_rel watch                that it was left to it
 */
#include "engine/swap-probe.h"

#include "base/clock.h"
#include "base/futex.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#define WAIT_NS (10 * PC_MS) /* for a replica and its items, and again until it lets go */

enum watch { WATCH_NOT, WATCH_MAKING, WATCH_ASKED, WATCH_TAKEN, WATCH_GIVEN, WATCH_LEFT };

void swap_record_free(struct record *record)
{
	if (!record)
		return;
	free(record->state);
	free(record->bytes);
	free(record);
}

static bool change(struct stage *s, enum watch from, enum watch to)
{
	uint32_t seen = from;

	return atomic_compare_exchange_strong_explicit(&s->swap.watch, &seen, to,
	                                               memory_order_acq_rel /* SR3 SR5 */,
	                                               memory_order_acquire /* SR4 */);
}

/* -------------------------------------------------------------------------- asking --- */

/* A source that waits comes back, and is called again for the rest of its wait. */
static void wake(struct stage *s)
{
	bool waits;

	pthread_mutex_lock(&s->engine->shape);
	waits = s->desc->n_inputs == 0 && s->plan->own_thread;
	for (uint32_t i = 0; i < s->n_replicas; i++) {
		struct replica *r = s->replicas[i];
		int fd;

		if (waits) {
			atomic_fetch_or_explicit(&r->kick, KICK_WATCH,
			                         memory_order_seq_cst); /* H2 */
			futex_wake(&r->kick, 1);
			fd = atomic_load_explicit(&r->kick_fd, memory_order_seq_cst); /* H1 */
			if (fd >= 0)
				eventfd_write(fd, 1);
		}
		task_notify(r);
	}
	pthread_mutex_unlock(&s->engine->shape);
}

/* True: it is given. */
static bool wait_for(struct stage *s, int64_t until)
{
	for (;;) {
		uint32_t watch =
			atomic_load_explicit(&s->swap.watch, memory_order_acquire); /* SR4 */

		if (watch == WATCH_GIVEN)
			return true;
		if (clock_now_ns() >= until)
			return false;
		futex_wait(&s->swap.watch, watch, until);
	}
}

/* The record, back from whoever has it; NULL: it is left to the replica. */
static struct record *take_back(struct stage *s, struct record *record)
{
	if (change(s, WATCH_ASKED, WATCH_MAKING) || change(s, WATCH_GIVEN, WATCH_MAKING))
		return record;
	/* relaxed: read as a wish, by who has the record */
	atomic_store_explicit(&record->hurry, true, memory_order_relaxed);
	wake(s);
	wait_for(s, clock_now_ns() + WAIT_NS);
	if (change(s, WATCH_GIVEN, WATCH_MAKING))
		return record;
	return change(s, WATCH_TAKEN, WATCH_LEFT)     ? NULL
	       : change(s, WATCH_GIVEN, WATCH_MAKING) ? record
	                                              : NULL;
}

struct record *swap_record(struct stage *s)
{
	struct record *record;

	if (!change(s, WATCH_NOT, WATCH_MAKING))
		return NULL; /* somebody else asks, or a replica has not let go yet */
	record = calloc(1, sizeof(*record));
	if (record) {
		s->swap.record = record;
		atomic_store_explicit(&s->swap.watch, WATCH_ASKED,
		                      memory_order_release); /* SR1 */
		wake(s);
		wait_for(s, clock_now_ns() + WAIT_NS);
		record = take_back(s, record);
		if (!record)
			return NULL;
		s->swap.record = NULL;
	}
	atomic_store_explicit(&s->swap.watch, WATCH_NOT, memory_order_release); /* SR1 */
	if (record && record->build == 0) {
		swap_record_free(record);
		return NULL;
	}
	return record;
}

void swap_record_destroy(struct stage *s)
{
	swap_record_free(s->swap.record);
	s->swap.record = NULL;
}

/* ----------------------------------------------------------------------- recording --- */

void swap_record_give(struct replica *r)
{
	struct stage *s = r->stage;
	struct record *record = r->swap.record;

	r->swap.record = NULL;
	if (change(s, WATCH_TAKEN, WATCH_GIVEN)) {
		futex_wake(&s->swap.watch, 1);
		return;
	}
	s->swap.record = NULL;
	swap_record_free(record);
	atomic_store_explicit(&s->swap.watch, WATCH_NOT, memory_order_release); /* SR1 */
}

static void copy_state(struct replica *r, struct record *record)
{
	size_t size = r->build->desc->state_size;

	record->build = r->build->number;
	record->replica = r->pub.replica;
	record->state_size = size;
	if (size > SWAP_SNAPSHOT_ONCE)
		return;
	record->state = malloc(size ? size : 1);
	if (!record->state)
		return;
	if (size > 0)
		memcpy(record->state, r->state, size);
	record->has_state = true;
}

/* Between two items, while somebody asks. */
void swap_watch(struct replica *r)
{
	struct stage *s = r->stage;
	struct record *record = r->swap.record;

	if (record) {
		/* relaxed: a wish; a late look means one more item */
		if (atomic_load_explicit(&record->hurry, memory_order_relaxed) ||
		    record->build != r->build->number)
			swap_record_give(r);
		return;
	}
	if (r->phase >= PHASE_FINISH || !change(s, WATCH_ASKED, WATCH_TAKEN))
		return;
	r->swap.record = record = s->swap.record;
	copy_state(r, record);
	/* untouched pages cost nothing */
	if ((r->build->desc->flags & PC_PURE) && s->desc->n_inputs > 0)
		record->bytes = malloc(PROBE_ITEM_BYTES);
	if (!record->bytes)
		swap_record_give(r);
}

/* False: there is no room, so the record ends before this item. */
static bool add(struct record *record, const void *bytes, size_t size)
{
	if (size > PROBE_ITEM_BYTES - record->size)
		return false;
	if (size > 0)
		memcpy(record->bytes + record->size, bytes, size);
	record->size += size;
	return true;
}

static bool add_number(struct record *record, uint64_t n)
{
	return add(record, &n, sizeof(n));
}

static bool add_item(struct record *record, const struct item *item)
{
	return add_number(record, item->pub.size) &&
	       add(record, item->pub.data, item->pub.size);
}

static void give_without(struct replica *r)
{
	r->swap.record->size = r->swap.record->before;
	swap_record_give(r);
}

/* An item is about to be done, maybe once more. */
void swap_record_item(struct replica *r, const struct input *in, const struct item *item)
{
	struct record *record = r->swap.record;
	uint32_t port = (uint32_t)(in - r->inputs);

	record->size = record->before;
	if (record->build != r->build->number || !add_number(record, port) ||
	    !add_item(record, item)) {
		give_without(r);
		return;
	}
	record->at = record->size;
	record->items[record->n_items] = (struct record_item){
		port, input_item_number(in), record->size - item->pub.size, item->pub.size};
}

static bool add_outputs(struct replica *r, struct record *record)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < r->stage->desc->n_outputs; i++)
		n += r->outputs[i].n - r->outputs[i].mark;
	if (!add_number(record, n))
		return false;
	for (uint32_t i = 0; i < r->stage->desc->n_outputs; i++) {
		const struct output *o = &r->outputs[i];

		for (size_t k = o->mark; k < o->n; k++)
			if (!add_number(record, i) || !add_item(record, o->items[k]))
				return false;
	}
	return true;
}

/* It is done, and what it emitted stands behind the marks; or it has failed, and the record ends
 * before it: what a failed item does to the state is not to be relied on. */
void swap_record_result(struct replica *r, int result)
{
	struct record *record = r->swap.record;

	record->size = record->at;
	if (result < 0 || record->build != r->build->number || !add_outputs(r, record)) {
		give_without(r);
		return;
	}
	record->before = record->size;
	/* relaxed: as in swap_watch() */
	if (++record->n_items == PROBE_ITEMS ||
	    atomic_load_explicit(&record->hurry, memory_order_relaxed))
		swap_record_give(r);
}
