/* base/symbol.h: what an address of this process is: file, offset in it, function. Any thread,
 * also in a signal handler: only open, read, pread and close, no memory, no locks. */
#ifndef BASE_SYMBOL_H
#define BASE_SYMBOL_H

#include <stdbool.h>
#include <stdint.h>

struct symbol {
	char file[256]; /* as /proc/self/maps has it; "": memory of no file */
	uint64_t
		offset; /* as the file's own tables count: what addr2line wants; 0 without a file */
	char name[96]; /* of the function, mangled; "": not known */
	uint64_t into; /* offset in the function */
	bool writable;
};

/* False: nothing is mapped there. */
bool symbol_find(struct symbol *ret, const void *address);
/* Without the folder. */
const char *symbol_file_name(const struct symbol *s);

#endif
