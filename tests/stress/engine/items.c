/* stress/engine/items.c: items that are made by some threads and freed by others are each one's own
 * while they live, and their memory goes round: nothing is allocated once enough is there, not for
 * threads that only make or only free, nor for threads that come and go, nor after memory ran out.
 *
 * A plain program that prints TAP. Unless a sanitizer does so, it puts itself before the C library's
 * malloc: to count, and to refuse. */
#include "base/item.h"
#include "queue/queue.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAIRS 4
#define ITEMS 100000 /* of each maker, a round */

static _Atomic uint64_t allocated;
static _Atomic bool refusing;

#ifdef ITEMS_COUNTED
void *__libc_malloc(size_t size);

__attribute__((visibility("default"))) void *malloc(size_t size)
{
	/* relaxed, both: one thread sets the flag and does the allocating; a figure */
	if (atomic_load_explicit(&refusing, memory_order_relaxed))
		return NULL;
	atomic_fetch_add_explicit(&allocated, 1, memory_order_relaxed); /* relaxed: so */
	return __libc_malloc(size);
}
#endif

static int n_tests, n_failed;

static void report(bool ok, const char *what)
{
	n_failed += !ok;
	printf("%sok %d - %s\n", ok ? "" : "not ", ++n_tests, what);
	fflush(stdout);
}

static uint64_t allocations(void)
{
	return atomic_load_explicit(&allocated, memory_order_relaxed); /* relaxed: a figure */
}

static struct item_pool *pool;
static struct pc_queue *queue;
static _Atomic uint64_t wrong;

static const size_t sizes[] = {8, 8, 8, 33, 100, 500, 4000, 5000};

static size_t size_of(uint64_t n)
{
	return sizes[n % (sizeof(sizes) / sizeof(*sizes))];
}

/* Both ends say whose it is: an item that two have shows. */
static void mark(struct item *item, uint64_t n)
{
	memcpy(item->pub.data, &n, sizeof(n));
	memcpy((char *)item->pub.data + item->pub.size - sizeof(n), &n, sizeof(n));
}

static bool is_marked(const struct item *item)
{
	uint64_t first, last;

	memcpy(&first, item->pub.data, sizeof(first));
	memcpy(&last, (const char *)item->pub.data + item->pub.size - sizeof(last),
	       sizeof(last));
	return first == last && item->pub.size == size_of(first);
}

static void *make(void *number)
{
	struct item_cache cache;

	item_cache_init(&cache, pool);
	for (uint64_t i = 0; i < ITEMS; i++) {
		uint64_t n = i * PAIRS + (uint64_t)(uintptr_t)number;
		struct item *item = item_new(&cache, size_of(n));

		mark(item, n);
		if (i % 16 == 0) {
			/* the whole item goes, and a slice that keeps it */
			struct item *slice = item_slice(&cache, item, 0, item->pub.size);

			if (!is_marked(slice))
				atomic_fetch_add_explicit(&wrong, 1,
				                          memory_order_relaxed); /* a figure */
			item_unref(&cache, slice);
		}
		while (pc_queue_put(queue, item, PC_FOREVER) != PC_OK)
			continue;
	}
	item_cache_fini(&cache);
	pc_queue_writer_end(queue);
	return NULL;
}

static void *drop(void *unused)
{
	struct item_cache cache;
	void *item;

	(void)unused;
	item_cache_init(&cache, pool);
	while (pc_queue_take(queue, &item, PC_FOREVER) == PC_OK) {
		if (!is_marked(item))
			atomic_fetch_add_explicit(&wrong, 1,
			                          memory_order_relaxed); /* a figure */
		item_unref(&cache, item);
	}
	item_cache_fini(&cache);
	return NULL;
}

static void round_of_threads(void)
{
	struct pc_queue_options options = {
		.size = sizeof(options), .capacity = 500, .writers = PAIRS};
	pthread_t makers[PAIRS], droppers[PAIRS];

	if (pc_queue_create(&queue, &options) != PC_OK)
		exit(1);
	for (uintptr_t i = 0; i < PAIRS; i++)
		if (pthread_create(&makers[i], NULL, make, (void *)i) ||
		    pthread_create(&droppers[i], NULL, drop, NULL))
			exit(1);
	for (int i = 0; i < PAIRS; i++) {
		pthread_join(makers[i], NULL);
		pthread_join(droppers[i], NULL);
	}
	pc_queue_destroy(queue);
}

/* Each round begins with new caches. What it allocates beside items: a queue and its segments,
 * threads. */
static void pairs(void)
{
	uint64_t before, most = 0;

	for (int i = 0; i < 6; i++) {
		before = allocations();
		round_of_threads();
		if (i >= 3 && allocations() - before > most)
			most = allocations() - before;
	}
	printf("# at most %llu allocations in one of the last rounds\n",
	       (unsigned long long)most);
	report(atomic_load_explicit(&wrong, memory_order_relaxed) == 0, /* joined */
	       "an item is its owner's alone");
	/* 400,000 items of up to 5,000 bytes; all that were ever alive at a time are 500 and a few */
	report(most < 100, "makers and droppers: the memory of items goes round");
}

static void caches_end(void)
{
	struct item *items[300];
	uint64_t before = 0;

	for (int i = 0; i < 1000; i++) {
		struct item_cache cache;

		if (i == 10)
			before = allocations();
		item_cache_init(&cache, pool);
		for (int k = 0; k < 300; k++)
			items[k] = item_new(&cache, 20);
		for (int k = 0; k < 300; k++)
			item_unref(&cache, items[k]);
		item_cache_fini(&cache);
	}
	report(ITEM_BY_MALLOC || allocations() == before,
	       "a cache that ends leaves its items and magazines to the others");
}

static int compare(const void *a, const void *b)
{
	const struct item *const *x = a, *const *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* A thread frees and has no magazine, and there is no memory for one. */
static void no_memory(void)
{
	struct item *first[300], *second[300];
	struct item_pool *own = item_pool_create();
	struct item_cache maker, dropper;
	int again = 0;

	item_cache_init(&maker, own);
	item_cache_init(&dropper, own);
	for (int i = 0; i < 300; i++)
		first[i] = item_new(&maker, 1000);
	atomic_store_explicit(&refusing, true, memory_order_relaxed); /* relaxed: our own */
	for (int i = 0; i < 300; i++)
		item_unref(&dropper, first[i]);
	atomic_store_explicit(&refusing, false, memory_order_relaxed); /* relaxed: our own */
	item_cache_fini(&maker);
	for (int i = 0; i < 300; i++)
		second[i] = item_new(&dropper, 1000);
	qsort(first, 300, sizeof(*first), compare);
	for (int i = 0; i < 300; i++)
		again += bsearch(&second[i], first, 300, sizeof(*first), compare) != NULL;
	for (int i = 0; i < 300; i++)
		item_unref(&dropper, second[i]);
	item_cache_fini(&dropper);
	item_pool_destroy(own);
	/* what was left in the maker's magazine comes out as well */
	report(ITEM_BY_MALLOC || again > 300 - 64,
	       "items freed while there is no memory are used again");
}

int main(void)
{
	pool = item_pool_create();
	if (!pool)
		return 1;
	pairs();
	caches_end();
	no_memory();
	item_pool_destroy(pool);
	printf("1..%d\n", n_tests);
	return n_failed > 0;
}
