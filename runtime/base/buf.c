/* base/buf.c: the growing string of buf.h.
 *
 * Called by whoever makes text, on one thread. The room doubles, so that adding n bytes costs
 * O(n) altogether. A failed allocation is remembered instead of returned: makers of messages add
 * in dozens of places, and only buf_take() needs to know. */
#include "base/buf.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buf_fini(struct buf *b)
{
	if (!b)
		return;
	free(b->text);
	*b = (struct buf){0};
}

/* Makes room for `more` bytes and the NUL. */
static bool reserve(struct buf *b, size_t more)
{
	size_t room = b->room ? b->room : 64;
	char *text;

	if (b->failed)
		return false;
	if (more >= SIZE_MAX / 2 - b->size)
		goto fail;
	while (room < b->size + more + 1)
		room *= 2;
	if (room != b->room) {
		text = realloc(b->text, room);
		if (!text)
			goto fail;
		b->text = text;
		b->room = room;
	}
	return true;
fail:
	b->failed = true;
	return false;
}

void buf_add(struct buf *b, const char *bytes, size_t size)
{
	if (!reserve(b, size))
		return;
	if (size > 0)
		memcpy(b->text + b->size, bytes, size);
	b->size += size;
	b->text[b->size] = '\0';
}

void buf_adds(struct buf *b, const char *string)
{
	buf_add(b, string, strlen(string));
}

void buf_addc(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

void buf_addv(struct buf *b, const char *format, va_list ap)
{
	va_list again;
	int size;

	va_copy(again, ap);
	size = vsnprintf(NULL, 0, format, again);
	va_end(again);
	if (size < 0) {
		b->failed = true;
		return;
	}
	if (!reserve(b, (size_t)size))
		return;
	vsnprintf(b->text + b->size, (size_t)size + 1, format, ap);
	b->size += (size_t)size;
}

void buf_addf(struct buf *b, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	buf_addv(b, format, ap);
	va_end(ap);
}

char *buf_take(struct buf *b)
{
	char *text;

	reserve(b, 0);
	if (b->failed) {
		buf_fini(b);
		return NULL;
	}
	b->text[b->size] = '\0';
	text = b->text;
	*b = (struct buf){0};
	return text;
}
