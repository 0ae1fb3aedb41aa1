/* loader/owned.h: a directory that belongs to this process as long as it lives.
 *
 * BASE/pcrun-copies-PID, mode 0700, for private copies and for what a compiler writes. A lock on
 * it, which the kernel drops however the process ends, tells a living owner from a dead one: the
 * number in the name may long be another process's, or one of another container. Any thread. */
#ifndef LOADER_OWNED_H
#define LOADER_OWNED_H

#include "base/buf.h"

#include <stdbool.h>

struct owned {
	char *path;
	int fd; /* of the directory; holds the lock */
};

/* False: `why` says what is the matter with BASE. */
bool owned_make(struct owned *ret, const char *base, struct buf *why);

/* With all files in it. Nothing when `path` is NULL. */
void owned_remove(struct owned *o);

/* Remove those in BASE whose owners are dead. */
void owned_sweep(const char *base);

#endif
