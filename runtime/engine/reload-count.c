/* engine/reload-count.c: who keeps a queue open, after a reload, and who reads it.
 *
 * Control thread, while all who write a queue that changes rest or have ended. A queue is kept
 * open by references: one per lane of a writer that counts (a worker; a daemon only where there
 * are none but daemons). Each lane gives its own back when its replica ends, so how many are there
 * now, and how many there must be, both follow from the lanes. First those that are missing are
 * added, for a queue that has lost its last one is closed for ever; what is too many goes at the
 * end, when all else is in its place.
 */
#include "engine/engine.h"

#include "base/error.h"

#include <stdlib.h>

static bool has_ended(const struct replica *r)
{
	/* acquire, as it ended: T2 of task.c */
	return r->reported || atomic_load_explicit((_Atomic uint32_t *)(uintptr_t)&r->sched,
	                                           memory_order_acquire) == TASK_ENDED; /* T7 */
}

/* It keeps a circle open that the queue is part of: see loop.c. */
static bool is_outside(const struct place *p, const struct stage *s, bool daemon)
{
	return p->loop && p->loop != s->loop && !daemon;
}

static void count_now(struct place *p, const struct stage *s, bool daemon)
{
	p->counts.tally->refs_now += !daemon || p->daemon_only;
	p->counts.tally->workers_now += !daemon;
	p->counts.tally->outside_now += is_outside(p, s, daemon);
}

static void count_then(struct place *p, const struct stage *s, bool daemon)
{
	p->counts.tally->refs_then += !daemon || p->counts.tally->daemon_only;
	p->counts.tally->workers_then += !daemon;
	p->counts.tally->outside_then += is_outside(p, s, daemon);
}

static void count_lanes(const struct lane *lanes, uint32_t n, const struct stage *s,
                        bool daemon, void (*count)(struct place *, const struct stage *, bool))
{
	for (uint32_t i = 0; i < n; i++)
		count(lanes[i].place, s, daemon);
}

static const struct rewire *rewire_of(const struct reload *now, const struct replica *r,
                                      uint32_t port)
{
	const struct rewire *w = now->rewires;

	while (w && (w->replica != r || w->port != port))
		w = w->next;
	return w;
}

static void count_replica(const struct reload *now, const struct replica *r, bool was, bool is)
{
	uint32_t n = r->stage->desc->n_outputs + 1;

	if (has_ended(r))
		return;
	for (uint32_t i = 0; i < n; i++) {
		const struct rewire *w = rewire_of(now, r, i);
		const struct output none = {0};
		const struct output *o = i < r->room_outputs ? &r->outputs[i] : &none;

		count_lanes(o->lanes, o->n_lanes, r->stage, was, count_now);
		count_lanes(w ? w->lanes : o->lanes, w ? w->n_lanes : o->n_lanes, r->stage, is,
		            count_then);
	}
}

static void count_new(const struct replica *r, bool daemon)
{
	for (uint32_t i = 0; i < r->n_outputs; i++)
		count_lanes(r->outputs[i].lanes, r->outputs[i].n_lanes, r->stage, daemon,
		            count_then);
}

static bool has_worker(const struct plan *plan, const struct plan_queue *q)
{
	for (uint32_t i = 0; i < q->n_writers; i++)
		if (!plan->stages[q->writers[i]].daemon)
			return true;
	return false;
}

static void tally(const struct reload *now)
{
	const struct plan *plan = now->plan;

	for (uint32_t i = 0; i < plan->n_queues; i++)
		for (struct place *p = now->places[i]; p; p = p->next_part) {
			*p->counts.tally = (struct tally){.daemon_only = p->daemon_only};
			if (!plan->queues[i].gone)
				p->counts.tally->daemon_only =
					!has_worker(plan, &plan->queues[i]);
		}
	for (uint32_t i = 0; i < plan->n_stages; i++) {
		const struct stage *s = now->stages[i];

		for (uint32_t k = 0; k < s->n_replicas; k++)
			if (!reload_adds_stage(now, i))
				count_replica(now, s->replicas[k], s->plan->daemon,
				              plan->stages[i].daemon);
			else
				count_new(s->replicas[k], s->plan->daemon);
	}
	for (const struct recruit *r = now->recruits; r; r = r->next)
		count_new(r->replica, r->replica->stage->plan->daemon);
}

static int refuse_closed(const struct place *p, struct pc_error **err)
{
	return error_set(
		err, PC_WRONG,
		"queue '%s' has come to its end: all who wrote it, or all who read it, "
		"have ended; give the new one another name",
		p->plan->name);
}

/* As many as missing. Only the first may fail: nobody who writes it runs. */
static bool add_writers(struct place *p)
{
	for (uint32_t n = p->counts.tally->refs_now; n < p->counts.tally->refs_then; n++)
		if (pc_queue_writer_add(p->queue) != PC_OK)
			return false;
		else
			p->counts.tally->added++;
	return true;
}

static bool add_reader(struct place *p)
{
	if (!place_reader_begin(p))
		return false;
	p->counts.tally->readers++;
	return true;
}

/* Inputs that are new, or take from another queue from now on. */
static struct place *add_readers(const struct reload *now, struct replica *r)
{
	const struct plan_stage *to = &now->plan->stages[r->stage->index];

	for (uint32_t i = 0; i < r->stage->desc->n_inputs; i++) {
		struct place *p = reload_input_place(now->places, r, to->inputs[i].queue);

		if (reload_input_end(&r->inputs[i]) != p && !add_reader(p))
			return p;
	}
	return NULL;
}

static struct place *add_new_reader(struct replica *r)
{
	for (uint32_t i = 0; i < r->stage->desc->n_inputs; i++)
		if (!add_reader(r->inputs[i].place))
			return r->inputs[i].place;
	return NULL;
}

static struct place *add_all_readers(const struct reload *now)
{
	const struct plan *plan = now->plan;
	struct place *closed = NULL;

	for (uint32_t i = 0; i < plan->n_stages && !closed; i++)
		for (uint32_t k = 0; k < now->stages[i]->n_replicas && !closed; k++) {
			struct replica *r = now->stages[i]->replicas[k];

			if (reload_adds_stage(now, i))
				closed = add_new_reader(r);
			else if (now->touched[i] && !plan->stages[i].gone && !has_ended(r))
				closed = add_readers(now, r);
		}
	for (const struct recruit *r = now->recruits; r && !closed; r = r->next)
		closed = add_new_reader(r->replica);
	return closed;
}

void reload_count_back(struct reload *now)
{
	for (uint32_t i = 0; i < now->plan->n_queues; i++)
		for (struct place *p = now->places[i]; p; p = p->next_part) {
			for (; p->counts.tally->added > 0; p->counts.tally->added--)
				pc_queue_writer_end(p->queue);
			for (; p->counts.tally->readers > 0; p->counts.tally->readers--)
				place_reader_end(p);
		}
}

int reload_count_in(struct reload *now, struct pc_error **err)
{
	struct place *closed = NULL;

	tally(now);
	for (uint32_t i = 0; i < now->plan->n_queues && !closed; i++)
		for (struct place *p = now->places[i]; p && !closed; p = p->next_part)
			if (!add_writers(p))
				closed = p;
	closed = closed ? closed : add_all_readers(now);
	if (!closed)
		return PC_OK;
	refuse_closed(closed, err);
	reload_count_back(now);
	return PC_WRONG;
}

/* Nobody looked at the count before: it begins with what is there. */
static void begin_tracking(struct place *p)
{
	uint64_t n = queue_held(p->queue);

	for (const struct input *in = p->reading; in; in = in->next_reading)
		n += in->undone;
	/* relaxed: all who read or write it rest */
	atomic_store_explicit(&p->unfinished, n, memory_order_relaxed);
	p->tracked = true;
}

void reload_count_set(struct engine *e, struct reload *now)
{
	for (uint32_t i = 0; i < now->plan->n_queues; i++)
		for (struct place *p = e->places[i]; p; p = p->next_part) {
			const struct tally *t = p->counts.tally;

			if (!p->tracked && now->plan->queues[i].joined)
				begin_tracking(p);
			if (p->daemon_only != t->daemon_only)
				p->daemon_only = t->daemon_only;
			if (t->outside_then > t->outside_now)
				/* relaxed: as the next */
				atomic_fetch_add_explicit(&p->loop->outside,
				                          t->outside_then - t->outside_now,
				                          memory_order_relaxed);
			if (t->workers_then > t->workers_now) {
				/* relaxed, both: only an end looks whether it is the last; this
				 * thread writes the other */
				atomic_fetch_add_explicit(&p->writers,
				                          t->workers_then - t->workers_now,
				                          memory_order_relaxed);
				atomic_store_explicit(&p->drained, false, memory_order_relaxed);
			}
		}
}

/* Drained already, and nobody will come by who says so: its last writer or item went before somebody
 * asked, or with what this reload has taken away. */
static bool is_drained(const struct place *p)
{
	return p->tracked && !flag_is(&p->drained) &&
	       atomic_load_explicit((_Atomic uint32_t *)(uintptr_t)&p->writers,
	                            memory_order_seq_cst) == 0 && /* P4 */
	       atomic_load_explicit((_Atomic uint64_t *)(uintptr_t)&p->unfinished,
	                            memory_order_seq_cst) == 0; /* P2 */
}

void reload_count_out(struct engine *e, struct reload *now)
{
	for (uint32_t i = 0; i < now->plan->n_queues; i++)
		for (struct place *p = e->places[i]; p; p = p->next_part) {
			const struct tally *t = p->counts.tally;

			if (t->workers_now > t->workers_then)
				/* seq_cst: as in place.c, where the last one may have to tell */
				atomic_fetch_sub_explicit(&p->writers,
				                          t->workers_now - t->workers_then,
				                          memory_order_seq_cst); /* P3 */
			if (is_drained(p))
				control_post(e, &p->message);
			for (uint32_t n = t->refs_then; n < t->refs_now; n++)
				pc_queue_writer_end(p->queue);
			for (uint32_t n = t->outside_then; n < t->outside_now; n++)
				loop_outside_end(p->loop);
			if (reload_adds_queue(now, i)) {
				pc_queue_writer_end(p->queue);
				pc_queue_reader_end(p->queue);
			}
		}
}
