/* engine/join.c: joins: who waits for what to end, and what happens then.
 *
 * Control thread only, so plain counters do. A join passes when every stage it lists has ended,
 * every queue it lists is drained, and every join it lists has passed. Then held stages start,
 * daemons stop, and joins that waited for it may pass in turn.
 */
#include "engine/engine.h"

#include <stddef.h>

static void pass(struct engine *e, uint32_t index);

static void count_down(struct engine *e, const struct joins *joins)
{
	const uint32_t *list = joins->n == 1 ? &joins->one : joins->many;

	for (uint32_t i = 0; i < joins->n; i++)
		if (--e->joins[list[i]].remaining == 0)
			pass(e, list[i]);
}

/* Its join has passed; or the stage whose place it takes has ended. */
void join_start(struct stage *s)
{
	if (s->after || (!s->plan->gone && !s->engine->joins[s->plan->start].passed))
		return;
	for (uint32_t i = 0; i < s->n_replicas; i++) {
		atomic_store_explicit(&s->replicas[i]->started, 1,
		                      memory_order_release); /* A5 */
		task_notify(s->replicas[i]);
	}
}

/* Recursion goes as deep as joins wait for joins, which plan/ has checked to be free of cycles. */
static void pass(struct engine *e, uint32_t index)
{
	struct join *j = &e->joins[index];

	j->passed = true;
	for (uint32_t i = 0; i < e->plan->n_stages; i++) {
		struct stage *s = e->stages[i];

		if (s->plan->start == index && !flag_is(&s->ended))
			join_start(s);
		if (s->plan->daemon && s->plan->until == index)
			stage_stop(s, STOP_HARD);
	}
	count_down(e, &j->joins);
}

void join_stage_ended(struct engine *e, struct stage *s)
{
	count_down(e, &s->joins);
	for (uint32_t i = 0; s->plan->gone && i < e->plan->n_stages; i++)
		if (e->stages[i]->after == s) {
			e->stages[i]->after = NULL;
			join_start(e->stages[i]);
		}
}

void join_place_drained(struct engine *e, struct place *p)
{
	count_down(e, &p->joins);
}

/* Joins that wait for nothing pass at once; `start` is one of them. Likewise what is drained, or
 * quiet, because nobody will ever write to it. */
void join_begin(struct engine *e)
{
	for (struct loop *loop = e->loops; loop; loop = loop->next)
		/* relaxed: nothing has been started yet */
		if (atomic_load_explicit(&loop->outside, memory_order_relaxed) == 0)
			loop_quiet(loop);
	for (uint32_t i = 0; i < e->plan->n_queues; i++)
		for (struct place *p = e->places[i]; p; p = p->next_part)
			/* relaxed: as above */
			if (p->tracked &&
			    atomic_load_explicit(&p->writers, memory_order_relaxed) == 0)
				control_post(e, &p->message);
	for (uint32_t i = 0; i < e->plan->n_joins; i++) {
		const struct plan_join *plan = e->joins[i].plan;

		if (plan->n_stages + plan->n_queues + plan->n_joins == 0)
			pass(e, i);
	}
}

void join_look(struct engine *e)
{
	for (uint32_t i = 0; i < e->plan->n_joins; i++)
		if (!e->joins[i].plan->gone && !e->joins[i].passed &&
		    e->joins[i].remaining == 0)
			pass(e, i);
}
