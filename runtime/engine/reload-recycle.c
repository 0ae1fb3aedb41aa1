/* engine/reload-recycle.c: what is left of stages, replicas and queues that went is freed.
 *
 * Control thread, at the end of a reload that has been carried out; swap-retire.c waits for them, as
 * for builds. So a graph that is reloaded very often grows no longer than
 * what runs in it, and what went with its last reload.
 *   1 A stage is let go when it has gone and ended, no swap is at it and nobody looks at it outside
 *     of `shape`; a replica, when its place has been given to another one; a queue, when no input
 *     and no lane of what is left leads to it.
 *   2 What they did goes into sums, so that the figures of the graph still add up. Their rows in
 *     the plan become vacant, and `nobody` stands for the stage: a stage without replicas, so that
 *     whoever walks over all stages needs no exception. Where the queue was there is NULL.
 *   3 A grace period, and rcu_barrier: a thread that wakes a replica may still have it in its hands
 *     (waiting.c), and callbacks that the stage's code has left may not have run.
 *   4 Then builds, states, threads' memory and queues are freed.
 * A thread that was abandoned may look at anything: then nothing goes any more.
 */
#include "engine/engine.h"

#include "queue/rcu.h"

#include <stdlib.h>

/* By what they did in the graph. */
enum removed { SOURCES, STAGES, SINKS, KINDS };

struct recycle {
	struct stage nobody;
	struct plan_stage nobody_row;
	struct pc_stage_desc nobody_desc;
	struct stage_sums removed[KINDS];
	uint32_t n_removed[KINDS];
	struct pc_queue_row removed_queues;
	uint32_t n_removed_queues;
	struct stage *dead_stages, *going_stages; /* to be waited for; being waited for */
	struct replica *dead_replicas, *going_replicas;
	struct place *dead_places, *going_places;
};

bool recycle_create(struct engine *e)
{
	struct recycle *re = e->reload.recycle;

	if (re)
		return true;
	re = calloc(1, sizeof(*re));
	if (!re)
		return false;
	re->nobody_row = (struct plan_stage){.name = "",
	                                     .desc = &re->nobody_desc,
	                                     .until = PLAN_NONE,
	                                     .start = PLAN_NONE,
	                                     .section = PLAN_NONE,
	                                     .dead_queue = PLAN_NONE,
	                                     .gone = true,
	                                     .vacant = true};
	re->nobody.plan = &re->nobody_row;
	re->nobody.desc = &re->nobody_desc;
	re->nobody.engine = e;
	flag_set(&re->nobody.ended);
	e->reload.recycle = re;
	return true;
}

void recycle_destroy(struct engine *e)
{
	free(e->reload.recycle);
}

/* ---------------------------------------------------------------------------------- sums --- */

static void add_replica(struct stage_sums *sums, const struct replica *r)
{
	sums->taken += r->taken_before;
	for (uint32_t i = 0; i < r->stage->desc->n_inputs; i++)
		sums->taken += count_read(&r->inputs[i].taken);
	sums->emitted += count_read(&r->emitted);
	sums->failed += count_read(&r->failed);
	sums->skipped += count_read(&r->skipped);
	sums->retried += count_read(&r->retried);
	sums->activations += count_read(&r->activations);
	sums->busy_ns += (int64_t)count_read(&r->busy_ns);
	sums->progress += count_read(&r->progress);
	sums->progress_total += count_read(&r->progress_total);
}

static void add_sums(struct stage_sums *sums, const struct stage_sums *more)
{
	sums->taken += more->taken;
	sums->emitted += more->emitted;
	sums->failed += more->failed;
	sums->skipped += more->skipped;
	sums->retried += more->retried;
	sums->activations += more->activations;
	sums->busy_ns += more->busy_ns;
	sums->progress += more->progress;
	sums->progress_total += more->progress_total;
}

void recycle_show(const struct stage_sums *sums, struct pc_stage_row *row)
{
	row->taken = sums->taken;
	row->emitted = sums->emitted;
	row->failed = sums->failed;
	row->skipped = sums->skipped;
	row->retried = sums->retried;
	row->activations = sums->activations;
	row->busy_ns = sums->busy_ns;
	row->progress = sums->progress;
	row->progress_total = sums->progress_total;
}

void recycle_sum_stage(const struct stage *s, struct stage_sums *ret)
{
	*ret = s->left ? *s->left : (struct stage_sums){0};
	for (uint32_t i = 0; i < s->n_replicas; i++)
		add_replica(ret, s->replicas[i]);
	for (const struct replica *r = s->retired; r; r = r->retired)
		add_replica(ret, r);
}

bool recycle_stage_row(const struct engine *e, uint32_t index, struct pc_stage_row *ret)
{
	static const char *const names[] = {"(removed sources)", "(removed stages)",
	                                    "(removed sinks)"};
	const struct recycle *re = e->reload.recycle;

	for (unsigned kind = 0; re && kind < KINDS; kind++) {
		if (re->n_removed[kind] == 0 || index-- > 0)
			continue;
		*ret = (struct pc_stage_row){.name = names[kind],
		                             .plugin = "",
		                             .state = "removed",
		                             .inputs = kind != SOURCES,
		                             .outputs = kind != SINKS};
		recycle_show(&re->removed[kind], ret);
		return true;
	}
	return false;
}

bool recycle_queue_row(const struct engine *e, uint32_t index, struct pc_queue_row *ret)
{
	const struct recycle *re = e->reload.recycle;

	if (!re || re->n_removed_queues == 0 || index > 0)
		return false;
	*ret = re->removed_queues;
	ret->name = "(removed queues)";
	return true;
}

/* ------------------------------------------------------------------------ who may be let go --- */

static bool posted(const struct message *m)
{
	/* relaxed: what was posted by one that has ended has been read before its end was */
	return atomic_load_explicit((_Atomic bool *)(uintptr_t)&m->posted,
	                            memory_order_relaxed);
}

static bool is_quiet(const struct replica *r)
{
	return r->reported && !posted(&r->ended) && !posted(&r->wake) && !posted(&r->swapped) &&
	       !posted(&r->parked);
}

static bool has_build_in(const struct build *list, const struct stage *s)
{
	for (; list; list = list->next)
		if (list->stage == s)
			return true;
	return false;
}

static bool is_awaited(const struct engine *e, const struct stage *s)
{
	for (uint32_t i = 0; i < e->plan->n_stages; i++)
		if (e->stages[i]->after == s)
			return true;
	return false;
}

static bool may_go(const struct engine *e, uint32_t index)
{
	const struct stage *s = e->stages[index];
	const struct swap_stage *sw = &s->swap;

	if (!e->plan->stages[index].gone || !flag_is(&s->ended) || stage_closings(s) > 0 ||
	    (s->closing && posted(&s->closing->closed)) || s->pins > 0 || sw->active ||
	    sw->in_flight || sw->pending || sw->answering || is_awaited(e, s) ||
	    has_build_in(e->swap.retired, s) || has_build_in(e->swap.retiring, s))
		return false;
	for (uint32_t i = 0; i < s->n_replicas; i++)
		if (!is_quiet(s->replicas[i]))
			return false;
	for (const struct replica *r = s->retired; r; r = r->retired)
		if (!is_quiet(r))
			return false;
	return true;
}

/* ------------------------------------------------------------------------------ letting go --- */

/* Nothing of the engine leads to it any more, but for those who have it in their hands. */
static void part_from(struct replica *r)
{
	for (uint32_t i = 0; i < r->stage->desc->n_inputs; i++)
		reload_detach(&r->inputs[i]);
	wake_close(r);
	if (r->has_thread && !r->joined)
		pthread_join(r->thread, NULL);
	r->joined = true;
}

static unsigned sums_of(const struct stage *s)
{
	return s->desc->n_inputs == 0 ? SOURCES : s->desc->n_outputs == 0 ? SINKS : STAGES;
}

static void let_stage_go(struct engine *e, uint32_t index)
{
	struct recycle *re = e->reload.recycle;
	struct plan_stage *row = &e->reload.past->plan->stages[index];
	struct stage *s = e->stages[index];
	struct stage_sums sums;

	for (uint32_t i = 0; i < s->n_replicas; i++)
		part_from(s->replicas[i]);
	for (struct replica *r = s->retired; r; r = r->retired)
		part_from(r);
	recycle_sum_stage(s, &sums);
	add_sums(&re->removed[sums_of(s)], &sums);
	re->n_removed[sums_of(s)]++;
	*row = re->nobody_row;
	e->stages[index] = &re->nobody;
	s->buried = re->dead_stages;
	re->dead_stages = s;
}

/* Those whose index another has now. */
static void let_retired_go(struct engine *e, struct stage *s)
{
	struct replica **at = &s->retired;

	while (*at) {
		struct replica *r = *at;

		if (!is_quiet(r)) {
			at = &r->retired;
			continue;
		}
		*at = r->retired;
		part_from(r);
		add_replica(s->left, r);
		r->retired = e->reload.recycle->dead_replicas;
		e->reload.recycle->dead_replicas = r;
	}
}

static void mark(const struct engine *e, struct place *p)
{
	e->places[p->index]->marked = true;
}

static void mark_replica(const struct engine *e, const struct replica *r)
{
	for (uint32_t i = 0; i < r->stage->desc->n_inputs; i++) {
		mark(e, r->inputs[i].place);
		for (const struct move *m = r->inputs[i].moves; m; m = m->next)
			mark(e, m->to);
	}
	for (uint32_t i = 0; i < r->n_outputs; i++)
		for (uint32_t k = 0; k < r->outputs[i].n_lanes; k++)
			mark(e, r->outputs[i].lanes[k].place);
}

static bool is_left(const struct engine *e, uint32_t index)
{
	if (!e->plan->queues[index].gone || e->places[index]->marked)
		return false;
	for (const struct place *p = e->places[index]; p; p = p->next_part)
		if (posted(&p->message) || (p->tracked && !flag_is(&p->drained)))
			return false;
	return true;
}

static void let_places_go(struct engine *e)
{
	struct recycle *re = e->reload.recycle;

	for (uint32_t i = 0; i < e->plan->n_queues; i++)
		if (e->places[i])
			e->places[i]->marked = false;
	for (uint32_t i = 0; i < e->plan->n_stages; i++) {
		const struct stage *s = e->stages[i];

		for (uint32_t k = 0; k < s->n_replicas; k++)
			mark_replica(e, s->replicas[k]);
		for (const struct replica *r = s->retired; r; r = r->retired)
			mark_replica(e, r);
	}
	for (uint32_t i = 0; i < e->plan->n_queues; i++) {
		struct place *p = e->places[i];
		struct pc_queue_row row;

		if (!p || !is_left(e, i))
			continue;
		ledger_settle_place(p);
		ledger_row(p, &row);
		ledger_add(&re->removed_queues, &row);
		re->n_removed_queues++;
		e->reload.past->plan->queues[i] =
			(struct plan_queue){.name = "", .gone = true, .vacant = true};
		e->places[i] = NULL;
		p->buried = re->dead_places;
		re->dead_places = p;
	}
}

/* ------------------------------------------------------------------------------- after it --- */

void recycle_stage_free(struct stage *s)
{
	bool loose = s->loose;

	create_undo(s);
	if (loose)
		free(s);
}

void recycle_place_free(struct place *p)
{
	bool loose = p && p->loose;

	if (p)
		free(p->row);
	for (struct place *part = p; part; part = part->next_part)
		pc_queue_destroy(part->queue);
	if (loose)
		free(p);
}

static void free_all(struct stage *stages, struct replica *replicas, struct place *places,
                     bool last)
{
	/* Before their stages, in whose memory some of them lie. */
	while (replicas) {
		struct replica *r = replicas;

		replicas = r->retired;
		QUEUE_RCU_AFTER_GRACE(r);
		create_undo_replica(r);
		if (r->loose)
			free(r);
	}
	while (stages) {
		struct stage *s = stages;

		stages = s->buried;
		QUEUE_RCU_AFTER_GRACE(s);
		swap_undo_stage(s, last);
		recycle_stage_free(s);
	}
	while (places) {
		struct place *p = places;

		places = p->buried;
		QUEUE_RCU_AFTER_GRACE(p);
		recycle_place_free(p);
	}
}

bool recycle_wanted(const struct engine *e)
{
	const struct recycle *re = e->reload.recycle;

	return re && (re->dead_stages || re->dead_replicas || re->dead_places);
}

void recycle_begin(struct engine *e)
{
	struct recycle *re = e->reload.recycle;

	if (!re)
		return;
	re->going_stages = re->dead_stages;
	re->going_replicas = re->dead_replicas;
	re->going_places = re->dead_places;
	re->dead_stages = NULL;
	re->dead_replicas = NULL;
	re->dead_places = NULL;
}

void recycle_put_off(struct engine *e)
{
	struct recycle *re = e->reload.recycle;

	if (!re)
		return;
	re->dead_stages = re->going_stages;
	re->dead_replicas = re->going_replicas;
	re->dead_places = re->going_places;
	re->going_stages = NULL;
	re->going_replicas = NULL;
	re->going_places = NULL;
}

bool recycle_has_code(const struct engine *e)
{
	return e->reload.recycle && e->reload.recycle->going_stages;
}

void recycle_end(struct engine *e)
{
	struct recycle *re = e->reload.recycle;

	if (!re)
		return;
	free_all(re->going_stages, re->going_replicas, re->going_places, false);
	re->going_stages = NULL;
	re->going_replicas = NULL;
	re->going_places = NULL;
}

void recycle(struct engine *e)
{
	if (e->stuck)
		return;
	pthread_mutex_lock(&e->shape);
	for (uint32_t i = 0; i < e->plan->n_stages; i++) {
		if (e->plan->stages[i].vacant)
			continue;
		if (may_go(e, i)) {
			let_stage_go(e, i);
			continue;
		}
		/* Another thread may look at all that it has. */
		if (stage_closings(e->stages[i]) > 0)
			continue;
		let_retired_go(e, e->stages[i]);
		reload_rows_trim(e->stages[i]);
	}
	let_places_go(e);
	pthread_mutex_unlock(&e->shape);
	swap_retire_start(e);
}

void recycle_rest(struct engine *e)
{
	struct recycle *re = e->reload.recycle;

	if (!re)
		return;
	if (re->dead_stages)
		urcu_memb_barrier();
	free_all(re->dead_stages, re->dead_replicas, re->dead_places, true);
	re->dead_stages = NULL;
	re->dead_replicas = NULL;
	re->dead_places = NULL;
}
