/* loader/compile.h: a stage given as source: `./mine.c` becomes a shared object in the user's cache.
 *
 * Control thread; runs the C compiler and waits for it. */
#ifndef LOADER_COMPILE_H
#define LOADER_COMPILE_H

#include "base/buf.h"
#include "base/error.h"

/* *ret_built: malloc'd name of a shared object of this very source, these headers, this compiler
 * and this pcrun; made only when there is none yet.
 * PC_OK; PC_WRONG: it does not compile (the compiler's words are in the text); PC_ERROR: no such
 * file, no compiler, no place; PC_NOMEM. */
int compile_stage(const char *source, char **ret_built, struct pc_error **err);

/* What it included when it was last compiled with success: names as the compiler has them, each ended
 * by a newline. False: nobody knows. Any thread. */
bool compile_headers(const char *source, struct buf *names);

#endif
