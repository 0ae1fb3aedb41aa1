/* base/symbols.h: the symbol table of a shared object, read beforehand, so that an address in it can
 * be named when its file or its mapping is gone: in a signal handler, too.
 *
 * Fixed memory: a table that is read anew while a handler looks at it gives a wrong name at worst,
 * and no pointer into nowhere. */
#ifndef BASE_SYMBOLS_H
#define BASE_SYMBOLS_H

#include <stdbool.h>
#include <stdint.h>

#define SYMBOLS_MAX   2048
#define SYMBOLS_NAMES 40960

struct symbols {
	uint32_t n;
	/* By address, which counts from the first page of the image; a section before the symbols in
	 * it. */
	struct {
		uint32_t at, size, name; /* name: in `names` */
	} list[SYMBOLS_MAX];
	uint32_t n_names;
	char names[SYMBOLS_NAMES]; /* ends with NUL, whatever is in it */
};

/* Functions and data, of the whole table when it fits, else of the dynamic one, else the sections
 * alone: one with holes would name the wrong neighbours. False, and empty: not such a file. Any
 * thread; files, memory. */
bool symbols_read(struct symbols *ret, const char *file);

/* What is at this many bytes from the first page of the image. Any thread, in a signal handler, too.
 * False: nobody knows. */
struct symbols_hit {
	const char *name;
	uint32_t into;
	bool inside; /* else it lies behind that symbol, in the same section */
};
bool symbols_find(const struct symbols *s, uint64_t offset, struct symbols_hit *ret);

#endif
