/* base/arena.h: memory that is freed all at once: a parsed graph, a plan. One thread.
 *
 * Out of memory is remembered and reported once: after the first failure every call returns
 * NULL, and arena_failed() is true. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

struct arena_block;
struct arena {
	struct arena_block *blocks;
	char *at, *end;
	bool failed;
};

void arena_fini(struct arena *a);
/* Zeroed, aligned for any type. */
void *arena_alloc(struct arena *a, size_t size);
char *arena_text(struct arena *a, const char *bytes, size_t size); /* NUL is added */
char *arena_string(struct arena *a, const char *string);
__attribute__((format(printf, 2, 3))) char *arena_format(struct arena *a, const char *format,
                                                         ...);
/* Room for n+1 elements in a growing array: doubles at powers of two; old arrays stay garbage. */
void *arena_grow(struct arena *a, void *array, size_t n, size_t element_size);
static inline bool arena_failed(const struct arena *a)
{
	return a->failed;
}

#endif
