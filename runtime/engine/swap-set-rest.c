/* engine/swap-set-rest.c: the stages of a set come to rest one after the other, and go on.
 *
 * Control thread. They park as for a reload (reload-park.c), but not before what they have emitted
 * has left: those behind them run on, and take it. When the ones that fill a queue have parked,
 * what is in it only gets less, so one look that finds it empty is enough.
 */
#include "engine/engine.h"

static bool all_parked(const struct stage *s)
{
	for (uint32_t i = 0; i < s->n_replicas; i++)
		if (!s->replicas[i]->reported && !reload_is_parked(s->replicas[i]))
			return false;
	return true;
}

/* A stage that a reload has removed fills its queues until it has ended. */
static bool has_left(const struct engine *e, uint32_t queue)
{
	for (uint32_t i = 0; i < e->plan->n_stages; i++) {
		const struct plan_stage *s = &e->plan->stages[i];

		for (uint32_t k = 0; s->gone && !s->vacant && k < s->desc->n_outputs; k++)
			if (plan_writes(s, k, queue) && e->stages[i] &&
			    !flag_is(&e->stages[i]->ended))
				return false;
	}
	return true;
}

static size_t held(const struct engine *e, uint32_t queue)
{
	size_t n = 0;

	for (const struct place *p = e->places[queue]; p; p = p->next_part)
		n += queue_held(p->queue);
	return n;
}

static bool is_its_turn(const struct engine *e, const struct swap_set *set,
                        const struct swap_hold *h)
{
	const struct plan_stage *s = h->stage->plan;

	for (uint32_t i = 0; i < set->n_holds; i++)
		if (h->after[i] && (!set->holds[i].told || !all_parked(set->holds[i].stage)))
			return false;
	for (uint32_t i = 0; i < s->desc->n_inputs; i++)
		if (h->drains[i] && !LEFT_OUT(FAULT_DRAIN) &&
		    (!has_left(e, s->inputs[i].queue) || held(e, s->inputs[i].queue) > 0))
			return false;
	/* An input that still takes from a queue it had before a reload. */
	for (uint32_t i = 0; i < h->stage->n_replicas; i++)
		if (h->stage->replicas[i]->n_moves > 0 && !h->stage->replicas[i]->reported)
			return false;
	return true;
}

bool swap_set_rest(struct engine *e, struct swap_set *set)
{
	bool news = false;

	for (uint32_t i = 0; i < set->n_holds; i++) {
		struct swap_hold *h = &set->holds[i];

		if (h->told || !is_its_turn(e, set, h))
			continue;
		h->told = news = true;
		for (uint32_t k = 0; k < h->stage->n_replicas; k++)
			if (!h->stage->replicas[k]->reported)
				reload_fence(h->stage->replicas[k]);
	}
	return news;
}

bool swap_set_all_rest(const struct swap_set *set)
{
	for (uint32_t i = 0; i < set->n_holds; i++)
		if (!set->holds[i].told || !all_parked(set->holds[i].stage))
			return false;
	return true;
}

void swap_set_go_on(const struct swap_set *set, const struct stage *only)
{
	for (uint32_t i = 0; i < set->n_holds; i++) {
		struct swap_hold *h = &set->holds[i];

		if (!h->told || (only && h->stage != only))
			continue;
		h->told = false;
		for (uint32_t k = 0; k < h->stage->n_replicas; k++)
			if (!h->stage->replicas[k]->reported)
				reload_unpark(h->stage->replicas[k]);
	}
}

static bool is_awaited(const struct replica *r)
{
	return !r->reported && !reload_is_parked(r);
}

static bool is_in_its_code(const struct replica *r)
{
	/* relaxed: for the message only */
	return atomic_load_explicit((_Atomic int *)(uintptr_t)&r->doing,
	                            memory_order_relaxed) == DOING_CALLBACK;
}

/* Who is in his own code is probably what all others wait for. */
static void name_replicas(const struct swap_set *set, bool in_code, struct buf *out)
{
	for (uint32_t i = 0; i < set->n_holds; i++) {
		const struct stage *s = set->holds[i].stage;

		for (uint32_t k = 0; k < s->n_replicas; k++)
			if (is_awaited(s->replicas[k]) &&
			    (in_code ? is_in_its_code(s->replicas[k]) : set->holds[i].told))
				buf_addf(out, "%s'%s' (replica %u)%s", out->text ? "; " : "",
				         s->plan->name, k,
				         in_code ? " has not come back from its own code" : "");
	}
}

void swap_set_late(const struct engine *e, const struct swap_set *set, struct buf *out)
{
	name_replicas(set, true, out);
	if (!out->text)
		name_replicas(set, false, out);
	for (uint32_t i = 0; i < set->n_holds; i++) {
		const struct swap_hold *h = &set->holds[i];
		const struct plan_stage *s = h->stage->plan;

		for (uint32_t k = 0; !h->told && k < s->desc->n_inputs; k++)
			if (h->drains[k] && held(e, s->inputs[k].queue) > 0)
				buf_addf(out, "%squeue '%s' holds %zu items for '%s'",
				         out->text ? "; " : "",
				         e->plan->queues[s->inputs[k].queue].name,
				         held(e, s->inputs[k].queue), s->name);
	}
}
