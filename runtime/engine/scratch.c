/* engine/scratch.c: what a thread that runs replicas owns. Called by that thread. */
#include "engine/engine.h"

#include <stdlib.h>
#include <string.h>

void scratch_init(struct scratch *s, struct item_pool *items)
{
	memset(s, 0, sizeof(*s));
	item_cache_init(&s->cache, items);
}

void scratch_fini(struct scratch *s)
{
	while (s->n_spares > 0)
		free(s->spares[--s->n_spares]);
	item_cache_fini(&s->cache);
}
