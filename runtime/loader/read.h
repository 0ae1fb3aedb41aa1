/* loader/read.h: a plugin file, read once into memory. Any thread.
 *
 * Everything that is found out about a file, and the copy that is loaded, comes from these bytes:
 * so what is loaded is what was checked, though a linker may write to the file meanwhile. */
#ifndef LOADER_READ_H
#define LOADER_READ_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

struct read_file {
	char *bytes;
	size_t size;
	struct stat st; /* of the file as it was read */
};

/* `file` is what messages name; `incomplete` the code for what may be whole a moment later
 * (PC_WRONG or PC_AGAIN). PC_OK; PC_ERROR: not there; PC_WRONG: no ordinary file, or not readable;
 * PC_NOMEM. */
int read_whole(struct read_file *ret, const char *path, const char *file, int incomplete,
               struct pc_error **err);
void read_free(struct read_file *f); /* zeros are fine */

/* Same inode, size and time of change. */
bool read_is_same(const struct stat *a, const struct stat *b);

#endif
