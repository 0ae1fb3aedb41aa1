/* loader/copy.h: private copies of plugin files: what is really loaded of a build that may be
 * replaced.
 *
 * The file that a developer builds is never loaded itself when it may change meanwhile: strip(1)
 * and objcopy(1) rewrite it in place, under the mapping, and dlopen() takes a second file of the
 * same name for the first. A copy is named STAGE.v0007.HASH.so, for debuggers and profilers, in a
 * directory of this process alone (owned.h); no name is given twice in the life of a process. It
 * stays as long as the build is loaded. Any thread (a lock inside). */
#ifndef LOADER_COPY_H
#define LOADER_COPY_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where it is: malloc'd. Tried in this order, and the first that takes it and lets it be run is
 * taken: $XDG_RUNTIME_DIR, $TMPDIR, /tmp. `file` is what messages name. PC_OK; PC_ERROR: no place,
 * each with its cause; PC_NOMEM. */
int copy_make(char **ret_path, const char *stage, unsigned number, uint64_t code,
              const char *bytes, size_t size, const char *file, struct pc_error **err);

/* Another copy, of the same code with other debug information, gets the name `path` as well; what had
 * it, and is mapped, becomes STAGE.v0007.HASH.mapped.so. Both are names of a file at any moment: a
 * debugger goes by the name that was loaded, a profiler by the file that is mapped, and to write
 * into that one would change its build id under them. False: it can not be done here. */
bool copy_refresh(const char *path, const char *other);

/* The build is unloaded: removes the copy, and frees `path`. NULL is fine. */
void copy_remove(char *path);

/* The build stays loaded: so does the copy, until the process ends. Frees `path`. */
void copy_keep(char *path);

/* Once in a process: removes what processes have left that were killed. */
void copy_sweep(void);

#endif
