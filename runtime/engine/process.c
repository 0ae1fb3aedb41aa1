/* engine/process.c: calls a stage's callbacks and deals with what they return.
 *
 * Called by activate.c on the thread that runs the replica. An item counts as done when its
 * callback has returned and its output has been published; here it is only noted (`undone`), and
 * activate.c commits after the flush. A failed item's output is cut off at the mark.
 *
 * A callback may be left by a jump (guard.h): then it has failed like one that returned an error,
 * and the rest of the items goes on. How far it has come the counters of the input tell, since no
 * variable of the functions that are left can.
 */
#include "engine/engine.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

static void forget_fail_text(struct replica *r)
{
	free(r->fail_text);
	r->fail_text = NULL;
}

/* What finishing an item takes. Where items are blocks of malloc() each is freed at once, so that a use
 * after that is seen. */
enum finish { FINISH_NO_OUTPUT, FINISH_ONE_OUTPUT, FINISH_ANY };

static enum finish finish_of(const struct replica *r)
{
	if (r->n_outputs > 1)
		return FINISH_ANY;
	if (r->n_outputs == 1)
		return FINISH_ONE_OUTPUT;
	return ITEM_BY_MALLOC ? FINISH_ANY : FINISH_NO_OUTPUT;
}

/* Of a stage in a section: what it has set of shared state so far stays. */
static inline void mark_touched(struct replica *r)
{
	if (__builtin_expect(r->touched != NULL, 0))
		state_mark(r);
}

/* `passed` stays as it is: whoever hands out the next item clears it. */
static inline __attribute__((always_inline)) void
finish_item(struct replica *r, struct input *in, struct item *item, enum finish finish)
{
	if (finish == FINISH_ONE_OUTPUT) {
		mark_touched(r);
		r->outputs->mark = r->outputs->n;
	} else if (finish == FINISH_ANY) {
		output_mark(r);
	}
	if (!r->pub.passed)
		item_unref(r->cache, item);
	in->undone++;
}

static void item_finished(struct replica *r, struct input *in, struct item *item)
{
	finish_item(r, in, item, FINISH_ANY);
}

/* The item stays ours: hand it to the dead-letter port, or give up the graph. */
static void item_dead(struct replica *r, struct input *in, struct item *item)
{
	unsigned port = r->stage->desc->n_outputs;

	r->pub.current = NULL;
	output_add(r, port, item);
	output_mark(r);
	in->undone++;
	in->undead++;
}

/* Items that were taken and will not be processed any more. */
static void items_abandoned(struct replica *r, struct input *in, struct item **items, size_t n)
{
	for (size_t i = 0; i < n; i++)
		item_unref(r->cache, items[i]);
	count_add(&in->abandoned, n);
	place_done(in->place, n);
}

/* How many of the batch are over, one way or the other. */
static size_t dealt_with(const struct guard *guard)
{
	return (size_t)(input_item_number(guard->input) - guard->first);
}

static bool may_try_again(struct replica *r, uint64_t number)
{
	if (r->tried != number)
		r->tries = 0;
	r->tried = number;
	return r->tries++ < r->stage->plan->retries;
}

/* What becomes of an item that failed. True: it has been dealt with. */
static bool decide(struct replica *r, struct input *in, struct item *item, int rc)
{
	const struct plan_stage *plan = r->stage->plan;
	uint64_t number = input_item_number(in);

	output_discard(r);
	if (r->probation > 0 && swap_item_failed(r, rc)) {
		count_add(&r->retried, 1);
		return false;
	}
	/* The runtime itself said "stopped" in the middle of the item: nobody's failure. */
	if (rc == PC_STOPPED && pc_stopping(&r->pub)) {
		forget_fail_text(r);
		items_abandoned(r, in, &item, 1);
		r->phase = PHASE_LAST;
		return true;
	}
	count_add(&r->failed, 1);
	switch (plan->on_error) {
	case PLAN_SKIP:
		if (count_read(&r->skipped) == 0)
			engine_log(r->engine, PC_WARN, plan->name, "item skipped: %s%s",
			           r->fail_text ? r->fail_text : "it gave no reason",
			           " (further ones are only counted)");
		count_add(&r->skipped, 1);
		forget_fail_text(r);
		item_finished(r, in, item);
		return true;
	case PLAN_DEAD:
		forget_fail_text(r);
		item_dead(r, in, item);
		return true;
	case PLAN_RETRY:
		if (may_try_again(r, number)) {
			count_add(&r->retried, 1);
			forget_fail_text(r);
			return false;
		}
		break;
	case PLAN_FAIL:
		break;
	}
	engine_fail_replica(r, "an item", item, number);
	forget_fail_text(r);
	items_abandoned(r, in, &item, 1);
	r->phase = PHASE_LAST;
	return true;
}

/* True: the item has been dealt with and the next may come. */
static bool item_failed(struct replica *r, struct guard *guard, struct item *item, int rc)
{
	bool open = guard->open, dealt;

	guard->open = false; /* the user's log is called */
	dealt = decide(r, guard->input, item, rc);
	guard->open = open;
	return dealt;
}

static bool stopped_hard(const struct replica *r)
{
	/* relaxed: a late look only means one more item */
	return atomic_load_explicit(&r->stop, memory_order_relaxed) == STOP_HARD;
}

static int process_one(struct replica *r, struct item *item)
{
	r->pub.current = &item->pub;
	r->pub.passed = false;
	return r->build->desc->process(&r->pub, r->state, &item->pub);
}

/* An answer other than PC_OK. False: no more items. */
__attribute__((noinline)) static bool answered(struct replica *r, struct guard *guard,
                                               struct item *item, int rc)
{
	while (rc < 0 && !item_failed(r, guard, item, rc))
		rc = process_one(r, item);
	if (rc >= 0)
		item_finished(r, guard->input, item);
	if (rc == PC_END)
		r->phase = PHASE_LAST;
	return r->phase != PHASE_LAST;
}

/* From `next` up to `until`, one item at a time. Returns how far it came: up to `until` unless the
 * rest is not to be processed. Made once for each way to finish, with few variables: what lives
 * across the callback should stay in registers. */
static inline __attribute__((always_inline)) struct item **
run_of(struct replica *r, struct guard *guard, struct item **next, struct item **until,
       enum finish finish)
{
	int (*process)(struct pc_stage *, void *, struct pc_item *) = r->build->desc->process;
	struct input *in = guard->input;

	while (next < until) {
		struct item *item = *next++;
		int rc;

		r->pub.current = &item->pub;
		r->pub.passed = false;
		rc = process(&r->pub, r->state, &item->pub);
		if (__builtin_expect(rc == PC_OK, 1))
			finish_item(r, in, item, finish);
		else if (!answered(r, guard, item, rc))
			break;
	}
	return next;
}

/* What run_to_sink() has kept. */
__attribute__((noinline)) static void give_back_kept(struct replica *r, struct guard *guard)
{
	size_t n;

	if (!guard->kept)
		return;
	n = (size_t)(input_item_number(guard->input) - guard->kept_from);
	item_unref_all(r->cache, guard->kept, n);
	guard->kept = NULL;
}

/* Nothing is passed on and nothing emitted: all that happens between two callbacks is a count. The items
 * are given back together, by who comes out of here: this function, or the way out of a callback. */
__attribute__((noinline)) static struct item **
run_to_sink(struct replica *r, struct guard *guard, struct item **next, struct item **until)
{
	int (*process)(struct pc_stage *, void *, struct pc_item *) = r->build->desc->process;
	struct input *in = guard->input;
	bool more = true;

	while (more && next < until) {
		int rc = PC_OK;

		guard->kept = next;
		guard->kept_from = input_item_number(in);
		while (next < until) {
			struct item *item = *next++;

			r->pub.current = &item->pub;
			rc = process(&r->pub, r->state, &item->pub);
			if (__builtin_expect(rc != PC_OK, 0))
				break;
			mark_touched(r);
			in->undone++;
		}
		give_back_kept(r, guard);
		if (rc != PC_OK)
			more = answered(r, guard, next[-1], rc);
	}
	return next;
}

__attribute__((noinline)) static struct item **
run_to_one(struct replica *r, struct guard *guard, struct item **next, struct item **until)
{
	return run_of(r, guard, next, until, FINISH_ONE_OUTPUT);
}

__attribute__((noinline)) static struct item **
run_to_any(struct replica *r, struct guard *guard, struct item **next, struct item **until)
{
	return run_of(r, guard, next, until, FINISH_ANY);
}

/* Item by item. Publishes on the way when the items turn out to be slow. */
static void each(struct replica *r, struct guard *guard, struct item **items, size_t n)
{
	enum finish finish = finish_of(r);
	bool own_thread = r->stage->plan->own_thread;
	/* A batch should last the budget: looking at the clock at its half is enough. */
	size_t half = r->batch_size < ENGINE_BATCH ? r->batch_size / 2 : ENGINE_BATCH / 2;
	size_t stride = own_thread || half < 4 ? 1 : half;
	int64_t until_ns = n > 1 ? r->begun_ns + ENGINE_BUDGET_NS : 0;
	struct item **next = items + dealt_with(guard), **end = items + n, **until;

	guard->open = true;
	while (next < end) {
		until = (size_t)(end - next) > stride ? next + stride : end;
		next = finish == FINISH_NO_OUTPUT    ? run_to_sink(r, guard, next, until)
		       : finish == FINISH_ONE_OUTPUT ? run_to_one(r, guard, next, until)
		                                     : run_to_any(r, guard, next, until);
		if (next < until || r->phase == PHASE_LAST || stopped_hard(r))
			break;
		if (own_thread) {
			output_flush(r); /* the next item may block for ever */
		} else if (next < end && clock_now_ns() > until_ns) {
			output_flush(r);
			until_ns = clock_now_ns() + ENGINE_BUDGET_NS;
		}
	}
	guard->open = false;
	items_abandoned(r, guard->input, next, (size_t)(end - next));
}

/* False: nothing more of this batch. */
static bool batch_returned(struct replica *r, struct guard *guard, struct item **items,
                           size_t n, int rc)
{
	size_t i;

	guard->open = false;
	guard->input->undone += r->batch_done;
	r->batch_n = r->batch_done = 0;
	i = dealt_with(guard);
	/* What came after the last pc_done() belongs to the batch. */
	if (rc >= 0)
		output_mark(r);
	if (rc == PC_END)
		r->phase = PHASE_LAST;
	if (rc == PC_END || (rc >= 0 && i == n))
		return false;
	if (rc < 0 && i < n) {
		r->pub.current = &items[i]->pub;
		item_failed(r, guard, items[i], rc);
	} else if (rc < 0) {
		engine_fail_replica(r, "a batch", NULL, 0);
		r->phase = PHASE_LAST;
	} else {
		for (; i < n; i++) {
			r->pub.current = &items[i]->pub;
			item_finished(r, guard->input, items[i]);
			r->pub.passed = false;
		}
	}
	return true;
}

/* The stage's own loop; pc_done() moves batch_done. */
static void whole(struct replica *r, struct guard *guard, struct item **items, size_t n)
{
	const struct pc_stage_desc *desc = r->build->desc;
	size_t i = dealt_with(guard);
	bool more = true;
	int rc;

	while (more && i < n && r->phase != PHASE_LAST && !stopped_hard(r)) {
		r->batch = items + i;
		r->batch_n = (uint32_t)(n - i);
		r->batch_done = 0;
		r->pub.current = &items[i]->pub;
		r->pub.passed = false;
		guard->open = true;
		rc = desc->process_batch(&r->pub, r->state, (struct pc_item *const *)r->batch,
		                         r->batch_n);
		more = batch_returned(r, guard, items, n, rc);
		i = dealt_with(guard);
	}
	items_abandoned(r, guard->input, items + i, n - i);
}

static int call(struct replica *r, struct guard *guard, struct item *item)
{
	const struct pc_stage_desc *desc = r->build->desc;
	struct pc_item *pub = &item->pub;
	int rc;

	r->pub.current = &item->pub;
	r->pub.passed = false;
	guard->build = r->build; /* a failed item changes it */
	guard->open = true;
	/* pc_done() means nothing for a batch of one: batch_n is 0 */
	rc = desc->process_batch ? desc->process_batch(&r->pub, r->state, &pub, 1)
	                         : desc->process(&r->pub, r->state, pub);
	guard->open = false;
	return rc;
}

/* While a build is on probation (swap-probation.c) each item is done so that it can be undone;
 * while what it does is recorded (swap-record.c), so that it can be noted. */
static void on_trial(struct replica *r, struct guard *guard, struct item *item)
{
	int rc;

	do {
		swap_before_item(r);
		if (r->swap.record)
			swap_record_item(r, guard->input, item);
		rc = call(r, guard, item);
		if (r->swap.record)
			swap_record_result(r, rc);
	} while ((rc < 0 || !swap_item_passed(r)) && !item_failed(r, guard, item, rc));
	if (rc >= 0)
		item_finished(r, guard->input, item);
	if (rc == PC_END)
		r->phase = PHASE_LAST;
}

/* Not part of a function with a way back in: no variable of its loops could stay in a register. */
__attribute__((noinline)) static void process_rest(struct replica *r, struct guard *guard,
                                                   struct item **items, size_t n)
{
	size_t i = dealt_with(guard);

	while (i < n && (r->probation > 0 || r->swap.record) && r->phase != PHASE_LAST &&
	       !stopped_hard(r))
		on_trial(r, guard, items[i++]);
	guard->build = r->build;
	guard->callback = r->build->desc->process_batch ? "process_batch" : "process";
	if (i > 0 && (r->phase == PHASE_LAST || stopped_hard(r)))
		items_abandoned(r, guard->input, items + i, n - i);
	else if (r->build->desc->process_batch)
		whole(r, guard, items, n);
	else
		each(r, guard, items, n);
}

/* The callback has been left in the middle of an item. */
static void process_left(struct replica *r, struct guard *guard, struct item **items, size_t n)
{
	int rc = guard_failed(guard);

	give_back_kept(r, guard);
	if (r->batch_n == 0 && r->swap.record)
		swap_record_result(r, rc);
	if (r->batch_n > 0)
		batch_returned(r, guard, items, n, rc);
	else
		item_failed(r, guard, items[dealt_with(guard)], rc);
}

void process_items(struct replica *r, struct input *in, struct item **items, size_t n)
{
	struct guard guard;

	count_add(&in->taken, n);
	r->pub.in_port = swap_in_port(r, (uint32_t)(in - r->inputs));
	doing_set(r, DOING_CALLBACK);
	guard_begin(&guard, r, r->build,
	            r->build->desc->process_batch ? "process_batch" : "process");
	guard.input = in;
	guard.first = input_item_number(in);
	if (GUARD_LEFT(&guard))
		process_left(r, &guard, items, n);
	process_rest(r, &guard, items, n);
	guard_end(&guard);
	r->pub.current = NULL;
	r->pub.passed = false;
}

static size_t emitted(const struct replica *r)
{
	size_t most = 0;

	for (uint32_t i = 0; i < r->n_outputs; i++)
		if (r->outputs[i].n > most)
			most = r->outputs[i].n;
	return most;
}

/* A call on probation failed, and the old build is back to do it again. */
static bool undone(struct replica *r, int rc)
{
	if (rc >= 0 && swap_item_passed(r))
		return false;
	output_discard(r);
	return swap_item_failed(r, rc);
}

/* True: it has been undone, and produce() is to be called again. */
static bool produce_failed(struct replica *r, struct guard *guard, int rc)
{
	guard->open = false;
	if (r->probation > 0 && undone(r, rc)) {
		guard->build = r->build;
		return true;
	}
	if (rc >= 0)
		return false;
	output_discard(r);
	count_add(&r->failed, 1);
	/* The runtime itself said "stopped" and the stage passed it on. */
	if (rc != PC_STOPPED || !pc_stopping(&r->pub))
		engine_fail_replica(r, "producing", NULL, 0);
	forget_fail_text(r);
	r->phase = PHASE_LAST;
	return false;
}

static void produce_on(struct replica *r, struct guard *guard, size_t limit, int64_t until_ns)
{
	int rc;

	do {
		size_t before = emitted(r);

		r->wants_wake = r->wake_asked = false;
		r->wake_ns = INT64_MAX;
		r->wake_fd = -1;
		if (r->probation > 0)
			swap_before_item(r);
		guard->open = true;
		rc = r->build->desc->produce(&r->pub, r->state);
		if ((rc < 0 || r->probation > 0) && produce_failed(r, guard, rc))
			continue;
		if (rc < 0)
			return;
		output_mark(r);
		if (rc == PC_END)
			r->phase = PHASE_LAST;
		if (rc == PC_AGAIN && !r->wants_wake && !r->stage->plan->own_thread) {
			r->fail_text = r->fail_text
			                       ? r->fail_text
			                       : strdup("produce() returned PC_AGAIN without "
			                                "pc_wake_after() or pc_wake_fd()");
			engine_fail_replica(r, "producing", NULL, 0);
			forget_fail_text(r);
			r->phase = PHASE_LAST;
		}
		if (rc != PC_OK)
			break;
		r->wants_wake = false;
		/* The next call may block for ever: what there is must be out before. */
		if (r->stage->plan->own_thread && !output_flush(r))
			break;
		if (emitted(r) == before && pc_stopping(&r->pub))
			break;
	} while (emitted(r) < limit && clock_now_ns() < until_ns && !pc_stopping(&r->pub));
	guard->open = false;
	r->scratch->final = rc != PC_OK;
}

void process_produce(struct replica *r, size_t room, int64_t until_ns)
{
	/* relaxed: as in learn() of activate.c */
	uint32_t most = atomic_load_explicit(&r->stage->engine->batch, memory_order_relaxed);
	size_t limit = room < most ? room : most;
	struct guard guard;

	doing_set(r, DOING_CALLBACK);
	r->pub.batch_hint = (uint32_t)limit;
	guard_begin(&guard, r, r->build, "produce");
	if (!GUARD_LEFT(&guard) || produce_failed(r, &guard, guard_failed(&guard)))
		produce_on(r, &guard, limit, until_ns);
	guard_end(&guard);
}

/* True: it was called. When a call on probation has been undone, the old build is told, unless it
 * was before: its own state, if that is back, knows. */
static bool tell_closed(struct replica *r, uint32_t index)
{
	struct input *in = &r->inputs[index];
	bool called = false;

	while (in->closed && !in->told && r->build->desc->closed) {
		int rc;

		called = true;
		doing_set(r, DOING_CALLBACK);
		if (r->probation > 0)
			swap_before_item(r);
		rc = guard_closed(r, swap_in_port(r, index));
		if (r->probation > 0 && undone(r, rc))
			continue;
		in->told = true;
		if (rc < 0) {
			output_discard(r);
			count_add(&r->failed, 1);
			engine_fail_replica(r, "the end of an input", NULL, 0);
			forget_fail_text(r);
		}
		output_mark(r);
		if (rc != PC_OK)
			r->phase = PHASE_LAST;
	}
	return called;
}

bool process_closed(struct replica *r)
{
	bool called = false;

	for (uint32_t i = 0; i < r->stage->desc->n_inputs; i++)
		called |= tell_closed(r, i);
	return called;
}

void process_finish(struct replica *r)
{
	int rc;

	doing_set(r, DOING_CALLBACK);
	do {
		int (*callback)(struct pc_stage *, void *) = r->build->desc->finish;

		if (r->probation > 0)
			swap_before_item(r);
		rc = callback ? guard_call(r, r->build, "finish", callback, r->state) : PC_OK;
	} while (r->probation > 0 && undone(r, rc));
	if (rc < 0) {
		output_discard(r);
		count_add(&r->failed, 1);
		if (rc != PC_STOPPED || !pc_stopping(&r->pub))
			engine_fail_replica(r, "finishing", NULL, 0);
		forget_fail_text(r);
	} else {
		output_mark(r);
	}
	if (rc != PC_AGAIN)
		r->phase = PHASE_LAST;
}
