/* base/arena.c: the arena of arena.h.
 *
 * Called by the parser, the list of diagnostics and the plan, on one thread each. Memory is cut
 * from the front of the newest block. A request that would waste much of a fresh block gets a
 * block of its own behind the newest, so that the newest can still be filled up. Blocks come from
 * calloc(), whose fresh pages are zero without being touched. */
#include "base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_MIN = 4096, BLOCK_MAX = 256 * 1024, LARGE = 4 }; /* bytes; 1/LARGE of a block */

struct arena_block {
	struct arena_block *next; /* older */
	size_t room;
	max_align_t bytes[];
};

void arena_fini(struct arena *a)
{
	struct arena_block *b, *next;

	if (!a)
		return;
	for (b = a->blocks; b; b = next) {
		next = b->next;
		free(b);
	}
	*a = (struct arena){0};
}

static struct arena_block *block_new(struct arena *a, size_t room)
{
	struct arena_block *b = NULL;

	if (room <= PTRDIFF_MAX - sizeof(*b))
		b = calloc(1, sizeof(*b) + room);
	if (b)
		b->room = room;
	else
		a->failed = true;
	return b;
}

void *arena_alloc(struct arena *a, size_t size)
{
	const size_t align = _Alignof(max_align_t);
	struct arena_block *b;
	size_t room = BLOCK_MIN;
	void *p;

	if (a->failed)
		return NULL;
	if (size > SIZE_MAX / 2) {
		a->failed = true;
		return NULL;
	}
	size = (size + align - 1) / align * align;
	if (a->at && size <= (size_t)(a->end - a->at)) {
		p = a->at;
		a->at += size;
		return p;
	}
	if (a->blocks) {
		room = a->blocks->room * 2;
		room = room < BLOCK_MIN ? BLOCK_MIN : room > BLOCK_MAX ? BLOCK_MAX : room;
	}
	if (a->blocks && size > room / LARGE) {
		b = block_new(a, size);
		if (!b)
			return NULL;
		b->next = a->blocks->next;
		a->blocks->next = b;
		return b->bytes;
	}
	b = block_new(a, size > room ? size : room);
	if (!b)
		return NULL;
	b->next = a->blocks;
	a->blocks = b;
	a->at = (char *)b->bytes + size;
	a->end = (char *)b->bytes + b->room;
	return b->bytes;
}

char *arena_text(struct arena *a, const char *bytes, size_t size)
{
	char *text = size < SIZE_MAX ? arena_alloc(a, size + 1) : NULL;

	if (text && size > 0)
		memcpy(text, bytes, size);
	return text;
}

char *arena_string(struct arena *a, const char *string)
{
	return arena_text(a, string, strlen(string));
}

char *arena_format(struct arena *a, const char *format, ...)
{
	va_list ap;
	char *text;
	int size;

	va_start(ap, format);
	size = vsnprintf(NULL, 0, format, ap);
	va_end(ap);
	if (size < 0) {
		a->failed = true;
		return NULL;
	}
	text = arena_alloc(a, (size_t)size + 1);
	if (!text)
		return NULL;
	va_start(ap, format);
	vsnprintf(text, (size_t)size + 1, format, ap);
	va_end(ap);
	return text;
}

void *arena_grow(struct arena *a, void *array, size_t n, size_t element_size)
{
	size_t size;
	void *grown;

	if (n & (n - 1)) /* 0 and the powers of two are full */
		return a->failed ? NULL : array;
	if (__builtin_mul_overflow(n ? 2 * n : 1, element_size, &size)) {
		a->failed = true;
		return NULL;
	}
	grown = arena_alloc(a, size);
	if (grown && n > 0)
		memcpy(grown, array, n * element_size);
	return grown;
}
