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

static void undo_stage(struct stage *s)
{
	for (uint32_t k = 0; k < s->n_replicas; k++) {
		undo_thread(s->replicas[k]);
		replica_close(s->replicas[k]);
	}
	swap_undo_stage(s);
	create_undo(s);
}

static void undo_lists(struct engine *e, struct reload *now)
{
	if (!now->old_stages)
		return;
	pthread_mutex_lock(&e->shape);
	e->stages = now->old_stages;
	e->places = now->old_places;
	e->sections = now->old_sections;
	pthread_mutex_unlock(&e->shape);
}

void reload_undo(struct engine *e, struct reload *now)
{
	uint32_t n_stages = e->plan->n_stages, n_queues = e->plan->n_queues;

	for (struct recruit *r = now->recruits; r; r = r->next) {
		undo_thread(r->replica);
		replica_close(r->replica);
		create_undo_replica(r->replica);
	}
	for (uint32_t i = n_stages; now->stages && i < now->plan->n_stages; i++)
		if (now->stages[i])
			undo_stage(now->stages[i]);
	for (uint32_t i = n_queues; now->places && i < now->plan->n_queues; i++)
		for (struct place *p = now->places[i]; p; p = p->next_part)
			pc_queue_destroy(p->queue);
	for (uint32_t i = e->plan->n_sections; now->sections && i < now->plan->n_sections; i++)
		if (now->sections[i]) {
			pc_queue_destroy(now->sections[i]->waiting);
			free(now->sections[i]);
		}
	for (struct rewire *w = now->rewires; w; w = w->next) {
		free(w->lanes);
		output_splits_free(w->splits);
	}
	for (struct fresh_order *o = now->orders; o; o = o->next)
		free(o->order);
	for (struct fresh_list *l = now->lists; l; l = l->next)
		free(l->replicas);
	undo_lists(e, now);
	free(now->stages);
	free(now->places);
	free(now->sections);
	free(now->joins);
	free(now->touched);
	control_read_messages(e); /* some may be of threads and places that go now */
	arena_fini(&now->arena);
}
