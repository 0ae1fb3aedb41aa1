/* base/utf8.h: characters in bytes, and bytes that are fit for a terminal. Pure functions. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "base/buf.h"

#include <stddef.h>
#include <stdint.h>

/* The bytes of the character at `text`, 1 … 4; 0: not UTF-8 (too long a form, a surrogate, cut
 * off, beyond U+10FFFF). size must not be 0. */
size_t utf8_decode(const char *text, size_t size, uint32_t *ret_char);
/* Columns that it takes on a terminal: 0, 1 or 2. */
unsigned utf8_columns(uint32_t c);
/* True for what a terminal must not get: controls, and marks that turn the writing direction. */
bool utf8_hostile(uint32_t c);
/* Adds one character as it may be shown, escaped as \x1b or <U+202E> where it may not; returns
 * its bytes in `text` (at least one), and its columns. Tabs are escaped like any control. */
size_t utf8_show_char(struct buf *out, const char *text, size_t size, unsigned *ret_columns);
/* A whole text, escaped likewise; newlines and tabs stay. */
void utf8_show(struct buf *out, const char *text, size_t size);

#endif
