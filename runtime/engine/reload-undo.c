/* engine/reload-undo.c: what was made for a reload is taken apart again; the old graph runs on.
 *
 * Control thread. Accepts what is half made. Threads that were started have not been notified:
 * they end at their first activation, and their replicas tell nobody, for nobody has counted them.
 */
#include "engine/engine.h"

#include <stdlib.h>

static void undo_thread(struct replica *r)
{
	if (!r->has_thread)
		return;
	r->broken = r->reported = true; /* it says no ends, and its own is not counted */
	atomic_store_explicit(&r->stop, STOP_HARD, memory_order_release); /* A3 */
	task_notify(r);
	pthread_join(r->thread, NULL);
	r->has_thread = false;
}

static void undo_threads(const struct reload *now)
{
	for (struct recruit *r = now->recruits; r; r = r->next)
		undo_thread(r->replica);
	for (uint32_t i = 0; now->stages && i < now->plan->n_stages; i++)
		for (uint32_t k = 0; reload_adds_stage(now, i) && now->stages[i] &&
		                     k < now->stages[i]->n_replicas;
		     k++)
			undo_thread(now->stages[i]->replicas[k]);
}

static void undo_stage(struct stage *s)
{
	for (uint32_t k = 0; k < s->n_replicas; k++)
		closing_replica_now(s->replicas[k]);
	if (s->plan)
		swap_undo_stage(s, true);
	create_undo(s);
	free(s);
}

static void undo_recruits(const struct reload *now)
{
	for (const struct recruit *r = now->recruits; r; r = r->next) {
		closing_replica_now(r->replica);
		create_undo_replica(r->replica);
		free(r->replica);
	}
}

void reload_spares_free(struct reload *now)
{
	while (now->moves) {
		struct move *m = now->moves;

		now->moves = m->next;
		free(m);
	}
	for (uint32_t i = 0; now->stage_rows && i < now->n_stages; i++)
		reload_row_free(now->stage_rows[i]);
	for (uint32_t i = 0; now->queue_rows && i < now->n_queues; i++)
		free(now->queue_rows[i]);
	free(now->stage_rows);
	free(now->queue_rows);
	free(now->touched);
	free(now->tallies);
}

void reload_undo(struct engine *e, struct reload *now)
{
	undo_threads(now);
	control_read_messages(e); /* some may be of threads and places that go now */
	undo_recruits(now);
	for (uint32_t i = 0; now->stages && i < now->plan->n_stages; i++)
		if (reload_adds_stage(now, i) && now->stages[i])
			undo_stage(now->stages[i]);
	for (uint32_t i = 0; now->places && i < now->plan->n_queues; i++)
		if (reload_adds_queue(now, i))
			recycle_place_free(now->places[i]);
	for (uint32_t i = e->plan->n_sections; now->sections && i < now->plan->n_sections; i++)
		if (now->sections[i]) {
			pc_queue_destroy(now->sections[i]->waiting);
			free(now->sections[i]);
		}
	for (struct rewire *w = now->rewires; w; w = w->next) {
		free(w->lanes);
		free(w->outputs);
		output_splits_free(w->splits);
	}
	for (struct fresh_order *o = now->orders; o; o = o->next)
		free(o->order);
	for (struct fresh_list *l = now->lists; l; l = l->next)
		free(l->replicas);
	reload_spares_free(now);
	free(now->stages);
	free(now->places);
	free(now->sections);
	free(now->joins);
	arena_fini(&now->arena);
}
