/* base/item.c: see item.h. Any thread, each with its own cache.
 *
 * The depot has two shelves a class, of full magazines and of empty ones. A shelf is an array of
 * places, each NULL or a magazine. Putting is one compare-exchange of NULL, taking one exchange
 * with NULL: no magazine is ever reached through a pointer that may have been reused, so there is no
 * ABA and nothing to reclaim. When all places are taken, magazines go to an overflow list that is only
 * ever emptied whole, for the same reason. So is the list of loose items: those of a cache that has
 * ended, and those for which there was no memory for a magazine.
 *
 * Pairs
 *   I1, I2   in item.h
 *   I3 shelve: release place -> I4 unshelve: acquire place    what the magazine holds
 *   I5 shelve: release overflow -> I6 unshelve: acquire overflow    likewise, and the list's links
 *   I7 add_chunk: release chunks -> I8 item_pool_destroy: acquire chunks    the chunk's link
 *   I9 set_loose: release loose -> I10 gather_loose: acquire loose    the items and their links
 */
#include "base/item.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define SLICE_CREDIT 4096

struct chunk {
	struct chunk *next;
	_Alignas(16) unsigned char bytes[];
};

struct item_magazine {
	struct item_magazine *next; /* in an overflow list */
	struct item *items[];
};

struct shelf {
	_Atomic(struct item_magazine *) places[ITEM_DEPOT];
	_Atomic(struct item_magazine *) overflow;
};

struct depot {
	struct shelf full, empty;
	_Atomic(struct item *) loose;
};

struct item_pool {
	struct depot depots[ITEM_CLASSES];
	_Atomic(struct chunk *) chunks; /* all memory, to be freed with the pool */
};

static _Thread_local struct item_cache *current;

void item_cache_set_current(struct item_cache *cache)
{
	current = cache;
}

struct item_cache *item_cache_current(void)
{
	return current;
}

/* Classes 7 … 17 have 4 KiB … 4 MiB of payload, so that blocks of a round size waste nothing. */
static size_t class_room(unsigned class)
{
	return class < ITEM_SMALL ? ((size_t)64 << class) - sizeof(struct item)
	                          : (size_t)4096 << (class - ITEM_SMALL);
}

static unsigned class_for(size_t size)
{
	unsigned class = ITEM_SMALL;

	if (size <= ITEM_SMALL_MAX)
		return item_small_class(size);
	while (class < ITEM_CLASSES && class_room(class) < size)
		class ++;
	return class;
}

/* As many as the engine hands on at a time, so that a worker that runs both ends goes to the depot
 * for none; but fewer of those with which a thread would hoard megabytes. */
static unsigned magazine_size(unsigned class)
{
	if (class < 3)
		return 256;
	return class < ITEM_SMALL ? 64 : 2;
}

struct item_pool *item_pool_create(void)
{
	return calloc(1, sizeof(struct item_pool));
}

void item_pool_destroy(struct item_pool *pool)
{
	struct chunk *chunk;

	if (!pool)
		return;
	chunk = atomic_load_explicit(&pool->chunks, memory_order_acquire); /* I8 */
	while (chunk) {
		struct chunk *next = chunk->next;

		free(chunk);
		chunk = next;
	}
	free(pool);
}

static void shelve(struct shelf *shelf, struct item_magazine *magazine)
{
	struct item_magazine *head;

	for (unsigned i = 0; i < ITEM_DEPOT; i++) {
		struct item_magazine *none = NULL;

		/* relaxed look: only a hint which place to try */
		if (!atomic_load_explicit(&shelf->places[i], memory_order_relaxed) &&
		    atomic_compare_exchange_strong_explicit(
			    &shelf->places[i], &none, magazine, memory_order_release /* I3 */,
			    memory_order_relaxed /* failure reads nothing */))
			return;
	}
	/* relaxed: the value is only linked to, never followed here */
	head = atomic_load_explicit(&shelf->overflow, memory_order_relaxed);
	do {
		magazine->next = head;
	} while (!atomic_compare_exchange_weak_explicit(&shelf->overflow, &head, magazine,
	                                                memory_order_release /* I5 */,
	                                                memory_order_relaxed /* as above */));
}

static struct item_magazine *unshelve(struct shelf *shelf)
{
	struct item_magazine *magazine, *rest;

	for (unsigned i = 0; i < ITEM_DEPOT; i++) {
		/* relaxed look: only a hint which place to try */
		if (!atomic_load_explicit(&shelf->places[i], memory_order_relaxed))
			continue;
		magazine = atomic_exchange_explicit(&shelf->places[i], NULL,
		                                    memory_order_acquire /* I4 */);
		if (magazine)
			return magazine;
	}
	/* relaxed look: an empty list costs no exchange */
	if (!atomic_load_explicit(&shelf->overflow, memory_order_relaxed))
		return NULL;
	magazine =
		atomic_exchange_explicit(&shelf->overflow, NULL, memory_order_acquire /* I6 */);
	if (!magazine)
		return NULL;
	rest = magazine->next;
	while (rest) {
		struct item_magazine *next = rest->next;

		shelve(shelf, rest);
		rest = next;
	}
	return magazine;
}

static void set_loose(struct depot *depot, struct item *item)
{
	/* relaxed: the value is only linked to */
	item->parent = atomic_load_explicit(&depot->loose, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&depot->loose, &item->parent, item,
	                                              memory_order_release /* I9 */,
	                                              memory_order_relaxed /* as above */))
		continue;
}

/* Into the loaded magazine, which is empty. False: there were none. */
static bool gather_loose(struct depot *depot, struct item_class *class)
{
	struct item *item;

	/* relaxed look: an empty list costs no exchange */
	if (!atomic_load_explicit(&depot->loose, memory_order_relaxed))
		return false;
	item = atomic_exchange_explicit(&depot->loose, NULL, memory_order_acquire /* I10 */);
	while (item) {
		struct item *next = item->parent;

		if (class->top < class->end)
			*class->top++ = item;
		else
			set_loose(depot, item);
		item = next;
	}
	return class->top > class->first;
}

static unsigned char *add_chunk(struct item_pool *pool, size_t size)
{
	struct chunk *chunk = malloc(sizeof(*chunk) + size);

	if (!chunk)
		return NULL;
	/* relaxed: the value is only linked to */
	chunk->next = atomic_load_explicit(&pool->chunks, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(
		&pool->chunks, &chunk->next, chunk, memory_order_release /* I7 */,
		memory_order_relaxed /* only linked to */))
		continue;
	return chunk->bytes;
}

static struct item_magazine *new_magazine(struct item_pool *pool, unsigned number)
{
	size_t size = magazine_size(number) * sizeof(struct item *);

	return (struct item_magazine *)(void *)add_chunk(pool,
	                                                 sizeof(struct item_magazine) + size);
}

/* Into the loaded magazine, which is empty. */
static bool new_items(struct item_pool *pool, struct item_class *class, unsigned number)
{
	size_t stride = sizeof(struct item) + class_room(number);
	unsigned n = magazine_size(number);
	unsigned char *bytes = add_chunk(pool, n * stride);

	if (!bytes)
		return false;
	/* the first one made is the first one out */
	for (unsigned i = n; i-- > 0;) {
		struct item *item = (struct item *)(void *)(bytes + i * stride);

		item_init(item, 0, number);
		*class->top++ = item;
	}
	return true;
}

static struct item_magazine *loaded(const struct item_class *class)
{
	char *items = (char *)class->first;

	return items ? (struct item_magazine *)(void *)(items -
	                                                offsetof(struct item_magazine, items))
	             : NULL;
}

static void load(struct item_class *class, unsigned number, struct item_magazine *magazine,
                 bool full)
{
	class->first = magazine->items;
	class->end = class->first + magazine_size(number);
	class->top = full ? class->end : class->first;
}

/* The loaded magazine is empty, or there is none: have one with items. */
static bool more_items(struct item_cache *cache, unsigned number)
{
	struct item_class *class = &cache->classes[number];
	struct depot *depot = &cache->pool->depots[number];
	struct item_magazine *empty = loaded(class), *full;

	if (cache->spare_full & UINT32_C(1) << number) {
		cache->spare_full &= ~(UINT32_C(1) << number);
		load(class, number, class->spare, true);
		class->spare = empty;
		return true;
	}
	full = unshelve(&depot->full);
	if (full) {
		if (empty)
			shelve(&depot->empty, empty);
		load(class, number, full, true);
		return true;
	}
	if (!empty) {
		empty = unshelve(&depot->empty);
		if (!empty)
			empty = new_magazine(cache->pool, number);
		if (!empty)
			return false;
		load(class, number, empty, false);
	}
	return gather_loose(depot, class) || new_items(cache->pool, class, number);
}

/* The loaded magazine is full, or there is none: have one with a place. */
static bool more_places(struct item_cache *cache, unsigned number)
{
	struct item_class *class = &cache->classes[number];
	struct depot *depot = &cache->pool->depots[number];
	struct item_magazine *full = loaded(class), *empty = NULL;

	if (!(cache->spare_full & UINT32_C(1) << number)) {
		empty = class->spare;
		class->spare = NULL;
	}
	if (!empty)
		empty = unshelve(&depot->empty);
	if (!empty)
		empty = new_magazine(cache->pool, number);
	if (!empty)
		return false;
	if (full) {
		if (class->spare)
			shelve(&depot->full, class->spare);
		class->spare = full;
		cache->spare_full |= UINT32_C(1) << number;
	}
	load(class, number, empty, false);
	return true;
}

static struct item *take_item(struct item_cache *cache, unsigned number, size_t size)
{
	struct item_class *class = &cache->classes[number];
	struct item *item;

	if (class->top == class->first && !more_items(cache, number))
		return NULL;
	item = *--class->top;
	item->pub.data = item->room;
	item->pub.size = size;
	return item;
}

static void give_item(struct item_cache *cache, struct item *item)
{
	/* relaxed: nobody else knows the item any more */
	unsigned number = (unsigned)(atomic_load_explicit(&item->word, memory_order_relaxed) &
	                             ITEM_CLASS);
	struct item_class *class = &cache->classes[number];

	if (class->top == class->end && !more_places(cache, number))
		set_loose(&cache->pool->depots[number], item);
	else
		*class->top++ = item;
}

void item_cache_init(struct item_cache *cache, struct item_pool *pool)
{
	memset(cache, 0, sizeof(*cache));
	cache->pool = pool;
}

void item_cache_fini(struct item_cache *cache)
{
	item_cache_settle(cache);
	for (unsigned c = 0; c < ITEM_CLASSES; c++) {
		struct item_class *class = &cache->classes[c];
		struct depot *depot = &cache->pool->depots[c];

		while (class->top > class->first)
			set_loose(depot, *--class->top);
		if (class->first)
			shelve(&depot->empty, loaded(class));
		if (class->spare)
			shelve(cache->spare_full & UINT32_C(1) << c ? &depot->full
			                                            : &depot->empty,
			       class->spare);
	}
	memset(cache->classes, 0, sizeof(cache->classes));
	cache->spare_full = 0;
}

struct item *item_new_slow(struct item_cache *cache, size_t size)
{
	unsigned number = ITEM_BY_MALLOC ? ITEM_CLASSES : class_for(size);
	struct item *item = NULL;

	if (number < ITEM_CLASSES)
		return take_item(cache, number, size);
	if (size <= SIZE_MAX - sizeof(*item))
		item = malloc(sizeof(*item) + size);
	if (item)
		item_init(item, size, number);
	return item;
}

void item_drop(struct item_cache *cache, struct item *item, uint32_t n)
{
	uint64_t word;

	if (n == 0)
		return;
	word = atomic_fetch_sub_explicit(&item->word, n * ITEM_REF, /* I1 I2 */
	                                 memory_order_acq_rel);
	if (word / ITEM_REF != n)
		return;
	word = word % ITEM_REF + ITEM_REF;
	/* relaxed: nobody else knows the item any more */
	atomic_store_explicit(&item->word, word, memory_order_relaxed);
	item_free(cache, item, word);
}

void item_cache_settle(struct item_cache *cache)
{
	struct item *slicing = cache->slicing;
	struct item *dropping = cache->dropping;
	uint32_t credit = cache->credit;
	uint32_t debt = cache->debt;

	cache->slicing = cache->dropping = NULL;
	cache->credit = cache->debt = 0;
	if (slicing)
		item_drop(cache, slicing, credit);
	if (dropping)
		item_drop(cache, dropping, debt);
}

/* It has been one since it was made: whoever knows the item knows that. */
static bool is_slice(const struct item *item)
{
	_Atomic uint64_t *word = (_Atomic uint64_t *)(uintptr_t)&item->word;

	return (atomic_load_explicit(word, memory_order_relaxed) & ITEM_SLICE) !=
	       0; /* relaxed: see above */
}

/* Of an item with one reference, the caller's. */
static void set_slice(struct item *item, bool slice)
{
	/* relaxed, both: nobody else knows the item */
	uint64_t word = atomic_load_explicit(&item->word, memory_order_relaxed) & ~ITEM_SLICE;

	/* relaxed: see above */
	atomic_store_explicit(&item->word, slice ? word | ITEM_SLICE : word,
	                      memory_order_relaxed);
}

struct item *item_slice(struct item_cache *cache, struct item *parent, size_t offset,
                        size_t size)
{
	unsigned char *bytes = parent->pub.data;
	struct item *item;

	if (offset > parent->pub.size || size > parent->pub.size - offset)
		return NULL;
	if (size <= ITEM_INLINE) {
		item = item_new(cache, size);
		if (item)
			memcpy(item->room, bytes + offset, size);
		return item;
	}
	item = item_new(cache, 0);
	if (!item)
		return NULL;
	if (is_slice(parent))
		parent = parent->parent; /* slices refer to whole items only */
	if (cache->slicing != parent || cache->credit == 0) {
		struct item *before = cache->slicing;
		uint32_t credit = cache->credit;

		item_ref(parent, SLICE_CREDIT);
		cache->slicing = parent;
		cache->credit = SLICE_CREDIT;
		if (before)
			item_drop(cache, before, credit);
	}
	cache->credit--;
	item->pub.data = bytes + offset;
	item->pub.size = size;
	set_slice(item, true);
	item->parent = parent;
	return item;
}

struct item *item_writable(struct item_cache *cache, struct item *item)
{
	struct item *copy;

	/* A slice's bytes are its parent's, which others may see. */
	if ((atomic_load_explicit(&item->word, memory_order_acquire) & ~ITEM_CLASS) ==
	    ITEM_REF) /* I2 */
		return item;
	copy = item_new(cache, item->pub.size);
	if (copy)
		memcpy(copy->pub.data, item->pub.data, item->pub.size);
	item_unref(cache, item);
	return copy;
}

void item_free_slow(struct item_cache *cache, struct item *item)
{
	struct item *parent = is_slice(item) ? item->parent : NULL;

	set_slice(item, false);
	/* relaxed: nobody else knows the item any more */
	if ((atomic_load_explicit(&item->word, memory_order_relaxed) & ITEM_CLASS) <
	    ITEM_CLASSES)
		give_item(cache, item);
	else
		free(item);
	if (!parent)
		return;
	if (cache->dropping != parent) {
		struct item *before = cache->dropping;
		uint32_t debt = cache->debt;

		cache->dropping = parent;
		cache->debt = 0;
		if (before)
			item_drop(cache, before, debt);
	}
	cache->debt++;
}
