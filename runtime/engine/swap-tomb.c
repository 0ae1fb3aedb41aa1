/* engine/swap-tomb.c: where the image of a build was lies a mapping without rights, with its name
 * and its symbols.
 *
 * Control thread, but for swap_tomb_at() and swap_tomb_symbol(), which the report of a crash calls on
 * any thread: what is kept here for it is there before the tomb has a size, and its memory stays
 * until the engine goes, whatever a tomb is given to. A crash at the very moment may read the name
 * of one build and the symbols of another; no more than that.
 */
#include "engine/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct symbols *swap_symbols(const struct build *b)
{
	struct symbols *symbols = NULL;

	if (b->plugin && b->plugin->loaded && b->plugin->image.begin)
		symbols = malloc(sizeof(*symbols));
	if (symbols && !symbols_read(symbols, b->plugin->loaded)) {
		free(symbols);
		symbols = NULL;
	}
	return symbols;
}

/* The slot's own memory: without any, the build is named alone. */
static void keep_symbols(struct tomb *t, const struct symbols *symbols)
{
	if (!t->symbols)
		t->symbols = calloc(1, sizeof(*t->symbols));
	if (!t->symbols)
		return;
	t->symbols->n = 0;
	if (!symbols)
		return;
	memcpy(t->symbols->list, symbols->list, symbols->n * sizeof(symbols->list[0]));
	memcpy(t->symbols->names, symbols->names, symbols->n_names);
	t->symbols->n = symbols->n;
}

/* The oldest of them are given up: address space, mappings and memory are bounded. */
void swap_bury(struct engine *e, struct image image, const char *name,
               const struct symbols *symbols)
{
	struct tomb *t = &e->swap.tombs[e->swap.next_tomb++ % SWAP_TOMBS];
	size_t size = image.end - image.begin;
	void *at;

	if (t->size > 0)
		munmap(t->at, t->size);
	t->size = 0;
	at = mmap((void *)image.begin, size, PROT_NONE,
	          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
	if (at == MAP_FAILED)
		return; /* something else is there already */
	snprintf(t->name, sizeof(t->name), "%s", name);
	keep_symbols(t, symbols);
	t->at = at;
	t->size = size;
}

void swap_tombs_free(struct engine *e)
{
	for (unsigned i = 0; i < SWAP_TOMBS; i++) {
		if (e->swap.tombs[i].size > 0)
			munmap(e->swap.tombs[i].at, e->swap.tombs[i].size);
		free(e->swap.tombs[i].symbols);
	}
}

const struct tomb *swap_tomb_at(const struct engine *e, const void *address)
{
	for (unsigned i = 0; i < SWAP_TOMBS; i++) {
		const struct tomb *t = &e->swap.tombs[i];

		if ((uintptr_t)address - (uintptr_t)t->at < t->size)
			return t;
	}
	return NULL;
}

bool swap_tomb_symbol(const struct tomb *t, const void *address, struct symbols_hit *ret)
{
	return t->symbols &&
	       symbols_find(t->symbols, (uintptr_t)address - (uintptr_t)t->at, ret);
}
