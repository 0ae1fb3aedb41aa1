/* base/item.h: the memory of items: made, shared and given back without malloc or lock.
 *
 * Who: every thread that runs stages has one item_cache; the engine passes it along with the
 * replica that runs. A cache is used by one thread at a time. Threads without one (a drop
 * callback, say) use item_cache_current(), which the engine sets per thread.
 *
 * How: sizes are rounded up to classes; each cache holds two magazines of free items a class, one
 * loaded and one spare, which is full or empty; full and empty magazines go to and come from the
 * pool's depot, so that a thread that only makes items and one that only frees them exchange 64 at
 * a time. A magazine is an array, not a list: the items lie in the cache of whoever freed them, and
 * the addresses of all are known without reading any. The idea is Bonwick and Adams, "Magazines and
 * Vmem" (USENIX 2001).
 *
 * A free item is ready but for its size: one reference, whole, of its class.
 *
 * Slices. A slice holds a reference to its parent. Counting each would make the parent's line
 * travel between the core that slices and the core that frees, once per item: so a cache buys
 * references in bulk for the parent it slices, and collects those that it frees; both are settled
 * when another parent comes, and by item_cache_settle() at the end of each activation. Slices
 * that fit into an item's own room are copied: that is cheaper than any reference.
 */
#ifndef BASE_ITEM_H
#define BASE_ITEM_H

#include <pcrun/stage.h>

#include <stdatomic.h>

/* 1: every item is its own malloc block, so that AddressSanitizer sees each use after free. */
#if defined(__SANITIZE_ADDRESS__)
#define ITEM_BY_MALLOC 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ITEM_BY_MALLOC 1
#endif
#endif
#ifndef ITEM_BY_MALLOC
#define ITEM_BY_MALLOC 0
#endif

#define ITEM_CLASSES 18
#define ITEM_INLINE  PC_STOCK_ROOM /* bytes of payload in the smallest class */
#define ITEM_DEPOT   64            /* places for full magazines, per class */

struct item {
	struct pc_item pub;
	/* References, whether it is a slice, class: one word, so that one look tells an item that nobody else
	 * has, and that is of the usual kind. */
	_Atomic uint64_t word;
	struct item *parent; /* slice: whose bytes; free and loose: the next one; else unused */
	_Alignas(16) unsigned char room[];
};

/* Of the word. Only the references change while others know the item. */
#define ITEM_REF   (UINT64_C(1) << 32)
#define ITEM_SLICE (UINT64_C(1) << 16)
#define ITEM_CLASS (ITEM_SLICE - 1) /* ITEM_CLASSES: from malloc */

/* Stages take items out of a stock by themselves. */
_Static_assert(sizeof(struct item) == PC_STOCK_HEAD && PC_STOCK_ROOM == 64 - PC_STOCK_HEAD,
               "the smallest class is what stage.h says");

struct item_magazine;
struct item_pool;

struct item_class {
	union { /* the loaded magazine: its first place, the first without an item, its end; or NULL */
		struct {
			struct item **first, **top;
		};
		struct pc_stock stock; /* the same, for stages */
	};
	struct item **end;
	struct item_magazine *spare; /* or NULL */
};

struct item_cache {
	struct item_pool *pool;
	struct item_class classes[ITEM_CLASSES];
	uint32_t spare_full;  /* a bit a class: its spare is full, else empty */
	uint32_t credit;      /* how many references of `slicing` are left */
	struct item *slicing; /* the parent whose references were bought */
	struct item *dropping;
	uint32_t debt; /* references to `dropping` to give back */
};

struct item_pool *item_pool_create(void);
/* All caches must have been finished. Items still alive die with it. */
void item_pool_destroy(struct item_pool *pool);

void item_cache_init(struct item_cache *cache, struct item_pool *pool);
void item_cache_fini(struct item_cache *cache);
void item_cache_settle(struct item_cache *cache);

/* The cache of the running thread, for code that is called back without one. */
void item_cache_set_current(struct item_cache *cache);
struct item_cache *item_cache_current(void);

struct item *item_slice(struct item_cache *cache, struct item *parent, size_t offset,
                        size_t size);
struct item *item_writable(struct item_cache *cache, struct item *item);
/* The ways that are not taken every time: another magazine, a large item, a slice's parent. */
struct item *item_new_slow(struct item_cache *cache, size_t size);
void item_free_slow(struct item_cache *cache, struct item *item);
void item_drop(struct item_cache *cache, struct item *item, uint32_t n);

static inline struct item *item_of(struct pc_item *pub)
{
	return (struct item *)(void *)pub;
}

/* Classes 0 … 6: the header and the payload together are 64 … 4096 bytes. */
#define ITEM_SMALL     7
#define ITEM_SMALL_MAX (4096 - sizeof(struct item))

static inline unsigned item_small_class(size_t size)
{
	size_t whole = size + sizeof(struct item);

	return whole <= 64 ? 0 : 58 - (unsigned)__builtin_clzll(whole - 1);
}

static inline void item_init(struct item *item, size_t size, unsigned class)
{
	item->pub.data = item->room;
	item->pub.size = size;
	/* relaxed: nobody else knows the item yet */
	atomic_store_explicit(&item->word, ITEM_REF | class, memory_order_relaxed);
}

static inline struct item *item_new(struct item_cache *cache, size_t size)
{
	struct item_class *class;
	struct item **top, *item;

	if (ITEM_BY_MALLOC || size > ITEM_SMALL_MAX)
		return item_new_slow(cache, size);
	/* the usual one without arithmetic */
	class = size <= ITEM_INLINE ? cache->classes : &cache->classes[item_small_class(size)];
	top = class->top;
	if (top == class->first)
		return item_new_slow(cache, size);
	item = *--top;
	class->top = top;
	item->pub.data = item->room;
	item->pub.size = size;
	return item;
}

/* The last reference is gone. `word`: the item's, with one. */
static inline void item_free(struct item_cache *cache, struct item *item, uint64_t word)
{
	struct item_class *class;
	struct item **top;

	if (ITEM_BY_MALLOC || word - ITEM_REF >= ITEM_SMALL) {
		item_free_slow(cache, item);
		return;
	}
	class = &cache->classes[word - ITEM_REF];
	top = class->top;
	if (top == class->end) {
		item_free_slow(cache, item);
		return;
	}
	*top = item;
	class->top = top + 1;
}

static inline void item_ref(struct item *item, uint32_t n)
{
	/* relaxed: the caller holds a reference, so nothing can be freed meanwhile */
	atomic_fetch_add_explicit(&item->word, n * ITEM_REF, memory_order_relaxed);
}

/* Pairs (base/item.h, base/item.c)
 *   I1 unref: release word -> I2 unref: acquire word    all uses of the item, before it is reused
 */
static inline void item_unref(struct item_cache *cache, struct item *item)
{
	uint64_t word = atomic_load_explicit(&item->word, memory_order_acquire); /* I2 */

	/* The sole owner needs no read-modify-write: nobody else can add a reference. */
	if (word < 2 * ITEM_REF)
		item_free(cache, item, word);
	else
		item_drop(cache, item, 1);
}

/* As many at the begin as nobody else has and are of the same small class, up to a magazine's end. */
static inline size_t item_free_alike(struct item_cache *cache, struct item **items, size_t n)
{
	uint64_t word = atomic_load_explicit(&items[0]->word, memory_order_acquire); /* I2 */
	struct item_class *class;
	struct item **top;
	size_t i = 0;

	if (ITEM_BY_MALLOC || word - ITEM_REF >= ITEM_SMALL)
		return 0;
	class = &cache->classes[word - ITEM_REF];
	top = class->top;
	if ((size_t)(class->end - top) < n)
		n = (size_t)(class->end - top);
	while (i < n &&
	       atomic_load_explicit(&items[i]->word, memory_order_acquire) == word) { /* I2 */
		top[i] = items[i];
		i++;
	}
	class->top = top + i;
	return i;
}

/* One reference of each. An item may be there twice. */
static inline void item_unref_all(struct item_cache *cache, struct item **items, size_t n)
{
	while (n > 0) {
		size_t did = item_free_alike(cache, items, n);

		if (did == 0)
			item_unref(cache, items[did++]);
		items += did;
		n -= did;
	}
}

#endif
