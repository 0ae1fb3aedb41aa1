/* engine/swap-crashed.c: the item at which a new build crashed in its probe, so that it can be saved.
 *
 * Called by the thread that asked for the swap, when the build has been refused. The item is still
 * in the record that the probe began from; which one it was tells the report, which the build's
 * code could write to, so its number may be any. A build that has only failed (its process()
 * returned an error) has not crashed: the reason that it gave says more than the item would.
 *
 * The names belong to a graph that may be changed, or gone, before the item is saved. So all of it
 * is copied into one block that its owner frees at once.
 */
#include "engine/swap-probe.h"

#include <stdlib.h>
#include <string.h>

/* In the block, from `at` on. */
static const char *put(char **at, const char *text)
{
	size_t size = strlen(text) + 1;
	char *to = *at;

	memcpy(to, text, size);
	*at += size;
	return to;
}

static const struct record_item *find(const struct record *record,
                                      const struct probe_report *report)
{
	/* relaxed, all: a copy */
	uint32_t verdict = atomic_load_explicit((_Atomic uint32_t *)(uintptr_t)&report->verdict,
	                                        memory_order_relaxed);
	uint32_t step = atomic_load_explicit((_Atomic uint32_t *)(uintptr_t)&report->step,
	                                     memory_order_relaxed); /* relaxed: as above */
	uint32_t item = atomic_load_explicit((_Atomic uint32_t *)(uintptr_t)&report->item,
	                                     memory_order_relaxed); /* relaxed: as above */

	if (!record || verdict == PROBE_FAILED || step != PROBE_ITEM || item == 0 ||
	    item > record->n_items)
		return NULL;
	return &record->items[item - 1];
}

/* Under `shape`. */
static struct pc_crash_item *copy(const struct stage *s, const struct record *record,
                                  const struct record_item *item, const char *file)
{
	const struct engine *e = s->engine;
	const char *port = s->desc->inputs[item->port].name;
	const char *queue = e->plan->queues[s->plan->inputs[item->port].queue].name;
	size_t texts = strlen(s->plan->name) + strlen(port) + strlen(queue) + strlen(file) + 4;
	struct pc_crash_item *ret = malloc(sizeof(*ret) + texts + item->size);
	char *at = (char *)(ret + 1);

	if (!ret)
		return NULL;
	*ret = (struct pc_crash_item){
		.replica = record->replica, .number = item->number, .size = item->size};
	/* relaxed: the number that it would have got */
	ret->build = 1 + atomic_load_explicit((_Atomic uint32_t *)(uintptr_t)&s->swap.numbers,
	                                      memory_order_relaxed);
	ret->stage = put(&at, s->plan->name);
	ret->port = put(&at, port);
	ret->queue = put(&at, queue);
	ret->file = put(&at, file);
	ret->data = at;
	if (item->size > 0)
		memcpy(at, record->bytes + item->at, item->size);
	return ret;
}

struct pc_crash_item *swap_crashed(struct stage *s, const struct record *record,
                                   const struct probe_report *report, const char *file)
{
	const struct record_item *item = find(record, report);
	struct pc_crash_item *ret = NULL;

	if (!item)
		return NULL;
	pthread_mutex_lock(&s->engine->shape);
	ret = copy(s, record, item, file);
	pthread_mutex_unlock(&s->engine->shape);
	return ret;
}
