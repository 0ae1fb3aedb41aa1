/* base/item.c: see item.h. Any thread, each with its own cache.
 *
 * The depot is an array of places, each NULL or the first item of a full magazine. Putting is one
 * compare-exchange of NULL, taking one exchange with NULL: no magazine is ever reached through a
 * pointer that may have been reused, so there is no ABA and nothing to reclaim. When all places
 * are taken, magazines go to an overflow list that is only ever emptied whole, for the same reason.
 * What a thread that ends has left in magazines that are not full is gathered until one is: in a
 * graph that is reloaded, threads come and go.
 *
 * Pairs
 *   I1, I2   in item.h
 *   I3 give_magazine: release place -> I4 take_magazine: acquire place    the list's links
 *   I5 give_magazine: release overflow -> I6 take_magazine: acquire overflow    likewise
 *   I7 add_chunk: release chunks -> I8 item_pool_destroy: acquire chunks    the chunk's link
 */
#include "base/item.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define SLICE_CREDIT 4096

struct chunk {
	struct chunk *next;
	_Alignas(16) unsigned char bytes[];
};

struct depot {
	_Atomic(struct item *) places[ITEM_DEPOT];
	_Atomic(struct item *)
		overflow; /* magazines, linked through room[] of their first items */
};

struct item_pool {
	struct depot depots[ITEM_CLASSES];
	_Atomic(struct chunk *) chunks; /* all memory, to be freed with the pool */
	pthread_mutex_t lock;
	struct item_magazine rests[ITEM_CLASSES]; /* under lock */
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

/* Large classes travel in small magazines, or a thread would hoard megabytes. */
static unsigned magazine_size(unsigned class)
{
	return class < ITEM_SMALL ? ITEM_MAGAZINE : 2;
}

struct item_pool *item_pool_create(void)
{
	struct item_pool *pool = calloc(1, sizeof(*pool));

	if (pool)
		pthread_mutex_init(&pool->lock, NULL);
	return pool;
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
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

static struct item **magazine_link(struct item *first)
{
	return (struct item **)(void *)first->room;
}

static void give_magazine(struct depot *depot, struct item *first)
{
	struct item *head;

	for (unsigned i = 0; i < ITEM_DEPOT; i++) {
		struct item *empty = NULL;

		/* relaxed look: only a hint which place to try */
		if (!atomic_load_explicit(&depot->places[i], memory_order_relaxed) &&
		    atomic_compare_exchange_strong_explicit(
			    &depot->places[i], &empty, first, memory_order_release /* I3 */,
			    memory_order_relaxed /* failure reads nothing */))
			return;
	}
	/* relaxed: the value is only linked to, never followed here */
	head = atomic_load_explicit(&depot->overflow, memory_order_relaxed);
	do {
		*magazine_link(first) = head;
	} while (!atomic_compare_exchange_weak_explicit(&depot->overflow, &head, first,
	                                                memory_order_release /* I5 */,
	                                                memory_order_relaxed /* as above */));
}

static struct item *take_magazine(struct depot *depot)
{
	struct item *first, *rest;

	for (unsigned i = 0; i < ITEM_DEPOT; i++) {
		/* relaxed look: only a hint which place to try */
		if (!atomic_load_explicit(&depot->places[i], memory_order_relaxed))
			continue;
		first = atomic_exchange_explicit(&depot->places[i], NULL,
		                                 memory_order_acquire /* I4 */);
		if (first)
			return first;
	}
	/* relaxed look: an empty list costs no exchange */
	if (!atomic_load_explicit(&depot->overflow, memory_order_relaxed))
		return NULL;
	first = atomic_exchange_explicit(&depot->overflow, NULL, memory_order_acquire /* I6 */);
	if (!first)
		return NULL;
	rest = *magazine_link(first);
	while (rest) {
		struct item *next = *magazine_link(rest);

		give_magazine(depot, rest);
		rest = next;
	}
	return first;
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

/* Fill an empty magazine: from the depot, else with new memory. */
static bool refill(struct item_cache *cache, unsigned class, struct item_magazine *magazine)
{
	size_t stride = sizeof(struct item) + class_room(class);
	unsigned n = magazine_size(class);
	unsigned char *bytes;

	magazine->first = take_magazine(&cache->pool->depots[class]);
	if (!magazine->first) {
		bytes = add_chunk(cache->pool, n * stride);
		if (!bytes)
			return false;
		for (unsigned i = n; i-- > 0;) {
			struct item *item = (struct item *)(void *)(bytes + i * stride);

			item->parent = magazine->first;
			magazine->first = item;
		}
	}
	magazine->n = n;
	return true;
}

static struct item *take_item(struct item_cache *cache, unsigned class)
{
	struct item_magazine *loaded = &cache->classes[class].loaded;
	struct item_magazine *spare = &cache->classes[class].spare;
	struct item *item;

	if (loaded->n == 0) {
		struct item_magazine swap = *loaded;

		*loaded = *spare;
		*spare = swap;
		if (loaded->n == 0 && !refill(cache, class, loaded))
			return NULL;
	}
	item = loaded->first;
	loaded->first = item->parent;
	loaded->n--;
	return item;
}

static void give_item(struct item_cache *cache, unsigned class, struct item *item)
{
	struct item_magazine *loaded = &cache->classes[class].loaded;
	struct item_magazine *spare = &cache->classes[class].spare;

	if (loaded->n == magazine_size(class)) {
		if (spare->n > 0)
			give_magazine(&cache->pool->depots[class], spare->first);
		*spare = *loaded;
		*loaded = (struct item_magazine){0};
	}
	item->parent = loaded->first;
	loaded->first = item;
	loaded->n++;
}

void item_cache_init(struct item_cache *cache, struct item_pool *pool)
{
	memset(cache, 0, sizeof(*cache));
	cache->pool = pool;
}

static void give_rest(struct item_pool *pool, unsigned class, struct item_magazine *from)
{
	struct item_magazine *rest = &pool->rests[class];

	while (from->n > 0) {
		struct item *item = from->first;

		from->first = item->parent;
		from->n--;
		item->parent = rest->first;
		rest->first = item;
		rest->n++;
		if (rest->n < magazine_size(class))
			continue;
		give_magazine(&pool->depots[class], rest->first);
		*rest = (struct item_magazine){0};
	}
}

void item_cache_fini(struct item_cache *cache)
{
	item_cache_settle(cache);
	pthread_mutex_lock(&cache->pool->lock);
	for (unsigned c = 0; c < ITEM_CLASSES; c++) {
		give_rest(cache->pool, c, &cache->classes[c].loaded);
		give_rest(cache->pool, c, &cache->classes[c].spare);
	}
	pthread_mutex_unlock(&cache->pool->lock);
	memset(cache->classes, 0, sizeof(cache->classes));
}

struct item *item_new_slow(struct item_cache *cache, size_t size)
{
	unsigned class = ITEM_BY_MALLOC ? ITEM_CLASSES : class_for(size);
	struct item *item;

	if (class < ITEM_CLASSES)
		item = take_item(cache, class);
	else if (size <= SIZE_MAX - sizeof(*item))
		item = malloc(sizeof(*item) + size);
	else
		item = NULL;
	if (item)
		item_init(item, size, class);
	return item;
}

static void drop_refs(struct item_cache *cache, struct item *item, uint32_t n)
{
	if (n > 0 &&
	    atomic_fetch_sub_explicit(&item->refs, n, memory_order_acq_rel) == n /* I1 I2 */)
		item_free(cache, item);
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
		drop_refs(cache, slicing, credit);
	if (dropping)
		drop_refs(cache, dropping, debt);
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
	if (parent->is_slice)
		parent = parent->parent; /* slices refer to whole items only */
	if (cache->slicing != parent || cache->credit == 0) {
		struct item *before = cache->slicing;
		uint32_t credit = cache->credit;

		item_ref(parent, SLICE_CREDIT);
		cache->slicing = parent;
		cache->credit = SLICE_CREDIT;
		if (before)
			drop_refs(cache, before, credit);
	}
	cache->credit--;
	item->pub.data = bytes + offset;
	item->pub.size = size;
	item->is_slice = 1;
	item->parent = parent;
	return item;
}

struct item *item_writable(struct item_cache *cache, struct item *item)
{
	struct item *copy;

	/* A slice's bytes are its parent's, which others may see. */
	if (!item->is_slice &&
	    atomic_load_explicit(&item->refs, memory_order_acquire) == 1 /* I2 */)
		return item;
	copy = item_new(cache, item->pub.size);
	if (copy)
		memcpy(copy->pub.data, item->pub.data, item->pub.size);
	item_unref(cache, item);
	return copy;
}

void item_free_slow(struct item_cache *cache, struct item *item)
{
	struct item *parent = item->is_slice ? item->parent : NULL;

	if (item->class < ITEM_CLASSES)
		give_item(cache, item->class, item);
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
			drop_refs(cache, before, debt);
	}
	cache->debt++;
}
