/* base/buf.h: a growing string, for messages and canonical text. One thread. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct buf {
	char *text;  /* ends with NUL once anything was added; NULL before */
	size_t size; /* without the NUL */
	size_t room;
	bool failed; /* out of memory: what came after is lost */
};

void buf_fini(struct buf *b);
void buf_add(struct buf *b, const char *bytes, size_t size);
void buf_adds(struct buf *b, const char *string);
void buf_addc(struct buf *b, char c);
__attribute__((format(printf, 2, 3))) void buf_addf(struct buf *b, const char *format, ...);
__attribute__((format(printf, 2, 0))) void buf_addv(struct buf *b, const char *format,
                                                    va_list ap);
/* Hands over the malloc'd text ("" rather than NULL when empty); NULL when memory ran out. */
char *buf_take(struct buf *b);

#endif
