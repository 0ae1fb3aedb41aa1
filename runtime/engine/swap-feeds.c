/* engine/swap-feeds.c: whether what one stage sends gets to another, so that a new build of the first
 * may change what the second is given.
 *
 * Any thread, under `shape`. Who asks: a set of swaps, whose builds are not tried with items that
 * others of the set will send in another form; and --watch, by pc_graph_feeds(), about a build that
 * failed with such items. Looked for from the end: from queue to queue through stages that pass on
 * what comes ("=in"), as the graph was planned; each queue is looked at once, so cycles end.
 */
#include "engine/engine.h"

#include <stdlib.h>
#include <string.h>

struct search {
	const struct plan *plan;
	bool *seen;      /* per queue */
	uint32_t *queue; /* still to be looked at */
	uint32_t n;
};

static void add(struct search *x, uint32_t queue)
{
	if (x->seen[queue])
		return;
	x->seen[queue] = true;
	x->queue[x->n++] = queue;
}

static void add_inputs(struct search *x, const struct plan_stage *s)
{
	for (uint32_t i = 0; i < s->desc->n_inputs; i++)
		add(x, s->inputs[i].queue);
}

/* What this stage puts there may have come from elsewhere. */
static void add_passed(struct search *x, const struct plan_stage *s, uint32_t queue)
{
	if (s->dead_queue == queue)
		add_inputs(x, s);
	for (uint32_t i = 0; i < s->desc->n_outputs; i++) {
		const char *type = s->desc->outputs[i].type;

		for (uint32_t k = 0; type[0] == '=' && k < s->desc->n_inputs; k++)
			if (strcmp(s->desc->inputs[k].name, type + 1) == 0 &&
			    plan_writes(s, i, queue))
				add(x, s->inputs[k].queue);
	}
}

static bool search(struct search *x, uint32_t from, uint32_t to)
{
	add_inputs(x, &x->plan->stages[to]);
	while (x->n > 0) {
		uint32_t queue = x->queue[--x->n];
		const struct plan_queue *q = &x->plan->queues[queue];

		for (uint32_t i = 0; i < q->n_writers; i++) {
			if (q->writers[i] == from)
				return true;
			add_passed(x, &x->plan->stages[q->writers[i]], queue);
		}
	}
	return false;
}

bool swap_feeds(const struct engine *e, uint32_t from, uint32_t to)
{
	struct search x = {.plan = e->plan,
	                   .seen = calloc(e->plan->n_queues + 1, 1),
	                   .queue = calloc(e->plan->n_queues + 1, sizeof(uint32_t))};
	bool found = x.seen && x.queue && search(&x, from, to);

	free(x.seen);
	free(x.queue);
	return found;
}

PC_API bool pc_graph_feeds(struct pc_graph *graph, const char *from, const char *to)
{
	struct engine *e = embed_engine(graph);
	uint32_t a = PLAN_NONE, b = PLAN_NONE;
	bool found;

	if (!e)
		return false;
	pthread_mutex_lock(&e->shape);
	for (uint32_t i = 0; i < e->plan->n_stages; i++) {
		const struct plan_stage *s = &e->plan->stages[i];

		if (s->gone)
			continue;
		a = strcmp(s->name, from) == 0 ? i : a;
		b = strcmp(s->name, to) == 0 ? i : b;
	}
	found = a != PLAN_NONE && b != PLAN_NONE && swap_feeds(e, a, b);
	pthread_mutex_unlock(&e->shape);
	return found;
}
