/* engine/activate.c: one activation of a replica, from "what is left to send" to "asleep".
 *
 * Called by a worker, or by the replica's own thread; never by two at a time (task.c). Never
 * blocks: it returns ACT_SLEEP when waiters are armed that will make the replica ready again.
 *
 * The order matters: what was emitted before leaves first (nothing else may happen until it has,
 * so memory is bounded), then what it was made from counts as done, and only then new work is
 * taken, no more than the outputs have room for.
 *
 * Pairs
 *   A3 stage_stop: release stop -> A4 activate: acquire stop        what led to the stop
 *   A5 join_begin: release started -> A6 activate: acquire started  what the join waited for
 *   A7 wake_fired: release waiting -> A8 work: acquire waiting      the wake fields are ours again
 */
#include "engine/engine.h"

#include "base/clock.h"

#define EXPECT_FROM 16 /* a take of so many lasts long enough to expect something meanwhile */

/* True: every open input is empty and will wake us. */
static bool arm_inputs(struct replica *r)
{
	for (uint32_t i = 0; i < r->stage->desc->n_inputs; i++)
		if (!r->inputs[i].closed && !r->inputs[i].unwanted &&
		    !waiting_arm_take(&r->inputs[i].waiting))
			return false;
	return true;
}

/* Everything that the finished items emitted is in the queues: now they are done. */
static void commit(struct replica *r)
{
	for (uint32_t i = 0; i < r->stage->desc->n_inputs; i++) {
		struct input *in = &r->inputs[i];

		if (in->undone == 0)
			continue;
		count_add(&in->done, in->undone - in->undead);
		count_add(&in->dead, in->undead);
		place_done(in->place, in->undone);
		in->undone = in->undead = 0;
	}
}

/* What makes queues close. A replica that failed keeps quiet: those behind it would take its end
 * for the end of the stream, and finish() as if all had come; they are being stopped instead. */
static void say_end(struct replica *r)
{
	order_next(r);
	for (uint32_t i = 0; i < r->n_outputs; i++)
		for (uint32_t k = 0; k < r->outputs[i].n_lanes; k++)
			place_writer_end(r->outputs[i].lanes[k].place, r->stage);
	for (uint32_t i = 0; i < r->stage->desc->n_inputs; i++) {
		place_reader_end(r->inputs[i].place);
		for (struct move *m = r->inputs[i].moves; m; m = m->next)
			place_reader_end(m->to);
	}
}

static enum act end(struct replica *r)
{
	if (r->swap.record)
		swap_record_give(r);
	/* What nobody took is abandoned, and so are the items it came from. */
	output_abandon(r);
	commit(r);
	item_cache_settle(r->cache);
	waiting_cancel(r);
	if (!r->broken)
		say_end(r);
	r->phase = PHASE_ENDED;
	doing_set(r, DOING_ENDED);
	return ACT_ENDED;
}

/* The size of a take follows the time per item, so that an activation lasts about the budget. */
static void learn(struct replica *r, size_t n, int64_t elapsed_ns)
{
	/* relaxed: it is 256 or 1024 */
	uint32_t most = atomic_load_explicit(&r->stage->engine->batch, memory_order_relaxed);
	int64_t each_ns = elapsed_ns / (int64_t)n;
	int64_t fits = each_ns > 0 ? ENGINE_BUDGET_NS / each_ns : most;

	if (fits > r->batch_size * 2)
		fits = r->batch_size * 2;
	r->batch_size = fits < 1 ? 1 : fits > most ? most : (uint32_t)fits;
}

/* What one look at the inputs found. */
struct taken {
	struct input *in; /* NULL: nothing */
	size_t n;
	bool open; /* some input may still bring items */
	unsigned version;
};

static struct taken look(struct replica *r, size_t max)
{
	uint32_t n_inputs = r->stage->desc->n_inputs;
	struct taken taken = {0};

	for (uint32_t k = 0; k < n_inputs && !taken.in; k++) {
		uint32_t at = (r->next_input + k) % n_inputs;
		struct input *in = &r->inputs[at];
		int rc;

		if (in->closed || in->unwanted)
			continue;
		rc = queue_take_batch_version(in->place->queue, r->scratch->batch, max,
		                              &taken.n, &taken.version);
		in->closed = rc == PC_CLOSED;
		if (rc == PC_OK) {
			r->next_input = (at + 1) % n_inputs;
			taken.in = in;
		}
	}
	for (uint32_t i = 0; i < n_inputs; i++)
		taken.open |= !r->inputs[i].closed;
	return taken;
}

/* An ordered stage looks and numbers what it found in one step. False: somebody else is at it. */
static bool look_in_order(struct replica *r, size_t max, struct taken *ret)
{
	struct order *o = r->stage->order;

	if (o && !order_try(o))
		return false;
	*ret = look(r, max);
	if (o && (ret->in || !ret->open))
		order_ticket(o, r);
	if (o)
		order_release(o);
	return true;
}

/* An input has had all that comes from its queue, and shall go on with another (reload.h). */
static bool moves_on(const struct replica *r)
{
	for (uint32_t i = 0; i < r->stage->desc->n_inputs; i++)
		if (r->inputs[i].closed && r->inputs[i].moves)
			return true;
	return false;
}

static enum act take(struct replica *r, size_t room)
{
	size_t max = r->batch_size < room ? r->batch_size : room;
	struct taken taken;

	if (r->n_moves > 0 && moves_on(r))
		return ACT_PARKED;
	if (!look_in_order(r, max, &taken))
		return ACT_AGAIN;
	if (taken.in) {
		swap_taken(r, taken.in, taken.version);
		waiting_pass_others(r, taken.in);
		if (taken.n >= EXPECT_FROM)
			expect_next(r);
		process_items(r, taken.in, (struct item **)r->scratch->batch, taken.n);
		expect_cut(r);
		r->scratch->final = taken.n < max;
		r->took = (uint32_t)taken.n;
		return ACT_AGAIN;
	}
	if (r->n_moves > 0 && moves_on(r))
		return ACT_AGAIN;
	if (!taken.open) {
		r->phase = PHASE_FINISH;
		return ACT_AGAIN;
	}
	waiting_pass_others(r, NULL);
	if (process_closed(r))
		return ACT_AGAIN;
	doing_set(r, DOING_INPUT);
	return arm_inputs(r) ? ACT_SLEEP : ACT_AGAIN;
}

/* Send what is there. ACT_ENDED here means: all sent, go on. */
static enum act publish(struct replica *r)
{
	if (output_flush(r)) {
		commit(r);
		if (r->phase != PHASE_FINISH)
			order_next(r);
		return ACT_ENDED;
	}
	if (!order_mine(r)) {
		doing_set(r, DOING_TURN);
		return order_wait(r) ? ACT_SLEEP : ACT_AGAIN;
	}
	doing_set(r, DOING_OUTPUT);
	return output_arm(r) ? ACT_SLEEP : ACT_AGAIN;
}

static enum act work(struct replica *r, int64_t start_ns)
{
	bool source = r->stage->desc->n_inputs == 0;
	enum act act;
	size_t room;

	/* What it had emitted had to leave first. */
	if (source && r->wants_wake && !r->wake_asked) {
		doing_set(r, DOING_WAKE);
		wake_request(r);
		return ACT_SLEEP;
	}
	if (source && r->wants_wake) {
		/* Woken for another reason: the condition still has to come. */
		if (atomic_load_explicit(&r->waiting, memory_order_acquire) /* A8 */) {
			r->external = true;
			return ACT_SLEEP;
		}
		r->wants_wake = false;
	}
	room = output_room(r);
	if (room == 0) {
		doing_set(r, DOING_OUTPUT);
		return output_arm(r) ? ACT_SLEEP : ACT_AGAIN;
	}
	if (r->phase == PHASE_FINISH) {
		waiting_pass_others(r, NULL);
		process_finish(r);
		act = ACT_AGAIN;
	} else if (source) {
		waiting_pass_others(r, NULL);
		process_produce(r, room, start_ns + ENGINE_BUDGET_NS);
		act = ACT_AGAIN;
	} else {
		act = take(r, room);
	}
	item_cache_settle(r->cache);
	if (act == ACT_AGAIN && (r->phase == PHASE_RUN || r->phase == PHASE_FINISH)) {
		enum act sent = publish(r);

		if (sent != ACT_ENDED)
			return sent;
		if (r->wants_wake) {
			doing_set(r, DOING_WAKE);
			wake_request(r);
			return ACT_SLEEP;
		}
	}
	return act;
}

/* What the next activation will probably cost: worker.c decides by it whether another core pays. */
static void remember_time(struct replica *r, int64_t elapsed_ns)
{
	/* relaxed: one writer, an estimate */
	uint32_t old = atomic_load_explicit(&r->activation_ns, memory_order_relaxed);
	uint32_t new = elapsed_ns < UINT32_MAX ? (uint32_t)elapsed_ns : UINT32_MAX;

	count_add(&r->busy_ns, (uint64_t)elapsed_ns);
	/* relaxed: as above */
	atomic_store_explicit(&r->activation_ns, old - old / 4 + new / 4, memory_order_relaxed);
}

/* The end of the last activation is the start of this one, when nothing lies between: reading the
 * clock twice costs as much as three items. */
static int64_t start_of(const struct scratch *scratch)
{
	return scratch->now_ns ? scratch->now_ns : clock_now_ns();
}

/* Before a set is swapped what it has emitted leaves first, for those who run on. Whoever is about
 * to end does that: of an ordered stage, he may have the turn that others wait for. */
static bool may_park(struct replica *r, uint32_t stop, enum act *ret)
{
	*ret = ACT_PARKED;
	if (stop & STOP_PARK)
		return true;
	if (r->phase >= PHASE_FINISH)
		return false;
	*ret = publish(r);
	if (*ret == ACT_ENDED)
		*ret = ACT_PARKED;
	return true;
}

static enum act step(struct replica *r)
{
	int64_t start_ns = start_of(r->scratch);
	uint32_t stop = atomic_load_explicit(&r->stop, memory_order_acquire); /* A4 */
	struct cut *cut = LEFT_OUT(FAULT_SWAP)
	                          ? NULL
	                          : atomic_load_explicit(&r->stage->swap.target,
	                                                 memory_order_acquire); /* SW2 */
	int64_t elapsed_ns;
	enum act act;

	r->scratch->now_ns = 0;
	count_add(&r->activations, 1);
	if (stop >= STOP_PARK && may_park(r, stop, &act))
		return act;
	stop &= ~(uint32_t)STOP_FENCE;
	/* NULL: there was none yet, or the next is about to come */
	if (cut && cut != r->swap.cut)
		swap_pass(r, cut);
	if (cut && swap_is_ahead(r, cut) && stop != STOP_HARD && r->phase < PHASE_LAST)
		return ACT_SLEEP; /* the replicas of the stage rest before a cut */
	/* relaxed: nobody asks, mostly; swap_watch() looks again */
	if (atomic_load_explicit(&r->stage->swap.watch, memory_order_relaxed))
		swap_watch(r);
	if (r->phase == PHASE_HELD) {
		if (stop != STOP_NONE)
			return end(r);
		if (!atomic_load_explicit(&r->started, memory_order_acquire) /* A6 */)
			return ACT_SLEEP;
		r->phase = PHASE_RUN;
	}
	r->scratch->final = false;
	if (stop == STOP_HARD) {
		output_flush(r);
		return end(r);
	}
	act = publish(r);
	if (act != ACT_ENDED)
		return act;
	if (r->phase == PHASE_LAST || stop == STOP_SOFT || output_all_closed(r))
		return end(r);
	r->begun_ns = start_ns;
	r->took = 0;
	act = work(r, start_ns);
	r->scratch->now_ns = clock_now_ns();
	elapsed_ns = r->scratch->now_ns - start_ns;
	remember_time(r, elapsed_ns);
	if (r->took > 0)
		learn(r, r->took, elapsed_ns);
	if (act == ACT_AGAIN)
		doing_set(r, DOING_READY);
	return act;
}

static enum act step_to_its_end(struct replica *r)
{
	enum act act = step(r);

	if (!LEFT_OUT(FAULT_SWAP) && r->untold)
		swap_tell(r);
	state_settle(r);
	return act;
}

static bool items_wait(const struct replica *r)
{
	for (uint32_t i = 0; i < r->stage->desc->n_inputs; i++)
		if (!r->inputs[i].closed && !r->inputs[i].unwanted &&
		    queue_has_item(r->inputs[i].place->queue))
			return true;
	return false;
}

enum act activate(struct replica *r, struct scratch *scratch)
{
	const struct cut *cut;
	enum act act;

	r->scratch = scratch;
	replica_set_cache(r, &scratch->cache);
	scratch->unseen = false;
	act = step_to_its_end(r);
	/* A cut that has come meanwhile is passed at once: its items wait for no other stage's turn. If
	 * there are some; else it would be told at once as well, and the items to come wait for that. Not
	 * when one waits for our end whom nobody else looks after. */
	cut = act == ACT_AGAIN && !scratch->unseen ? cut_that_waits(r) : NULL;
	if (cut && swap_is_ahead(r, cut)) {
		expect_build(r, cut);
		if (items_wait(r))
			act = step_to_its_end(r);
	}
	if (act == ACT_SLEEP)
		waiting_pass(r);
	else if (act == ACT_PARKED)
		reload_parking(r);
	return act;
}
