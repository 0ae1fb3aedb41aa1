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
#define ITEM_INLINE  32 /* bytes of payload in the smallest class */
#define ITEM_DEPOT   64 /* places for full magazines, per class */

struct item {
	struct pc_item pub;
	_Atomic uint32_t refs;
	union {
		struct {
			uint16_t class; /* ITEM_CLASSES: from malloc */
			uint16_t is_slice;
		};
		uint32_t kind; /* both at once; a whole item's is its class */
	};
	struct item *parent; /* slice: whose bytes; free and loose: the next one; else unused */
	_Alignas(16) unsigned char room[];
};

struct item_magazine;
struct item_pool;

struct item_class {
	/* The loaded magazine: its first place, the first without an item, its end; or NULL. */
	struct item **first, **top, **end;
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

/* The class of a whole item, as `kind` holds it. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define ITEM_KIND(class) ((uint32_t)(class))
#define ITEM_CLASS(kind) (kind)
#else
#define ITEM_KIND(class) ((uint32_t)(class) << 16)
#define ITEM_CLASS(kind) ((kind) >> 16)
#endif

static inline void item_init(struct item *item, size_t size, unsigned class)
{
	item->pub.data = item->room;
	item->pub.size = size;
	/* relaxed: nobody else knows the item yet */
	atomic_store_explicit(&item->refs, 1, memory_order_relaxed);
	item->kind = ITEM_KIND(class);
}

static inline struct item *item_new(struct item_cache *cache, size_t size)
{
	struct item_class *class;
	struct item **top, *item;

	if (ITEM_BY_MALLOC || size > ITEM_SMALL_MAX)
		return item_new_slow(cache, size);
	class = &cache->classes[item_small_class(size)];
	top = class->top;
	if (top == class->first)
		return item_new_slow(cache, size);
	item = *--top;
	class->top = top;
	item->pub.data = item->room;
	item->pub.size = size;
	return item;
}

/* The last reference is gone; `refs` is 1. */
static inline void item_free(struct item_cache *cache, struct item *item)
{
	struct item_class *class;
	uint32_t kind = item->kind;
	struct item **top;

	if (ITEM_BY_MALLOC || kind >= ITEM_KIND(ITEM_SMALL)) {
		item_free_slow(cache, item);
		return;
	}
	class = &cache->classes[ITEM_CLASS(kind)];
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
	atomic_fetch_add_explicit(&item->refs, n, memory_order_relaxed);
}

/* Pairs (base/item.h, base/item.c)
 *   I1 unref: release refs -> I2 unref: acquire refs    all uses of the item, before it is reused
 */
static inline void item_unref(struct item_cache *cache, struct item *item)
{
	/* The sole owner needs no read-modify-write: nobody else can add a reference. */
	if (atomic_load_explicit(&item->refs, memory_order_acquire) == 1) /* I2 */
		item_free(cache, item);
	else
		item_drop(cache, item, 1);
}

#endif
