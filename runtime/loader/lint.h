/* loader/lint.h: what a plugin file tells about swapping it, before anything of it is loaded.
 *
 * Each trap of glibc's dlopen() and dlclose() shows in the ELF file (measured one by one,
 * research/hotswap.md 2.4, 2.5); a finding names it in a sentence, and says what to do. Any
 * thread. */
#ifndef LOADER_LINT_H
#define LOADER_LINT_H

#include "base/arena.h"
#include "base/error.h"
#include "loader/loader.h"

#include <stddef.h>

/* Of a file that elf_check() has accepted. `file` is where the developer has it: what messages
 * name, and what $ORIGIN stands for. All that is found is in the arena. PC_OK; PC_NOMEM. */
int lint_file(struct loader_lint *ret, struct arena *arena, const char *bytes, size_t size,
              const char *file, struct pc_error **err);

/* May it stand in for a build that runs? PC_OK; PC_WRONG: no, and why. */
int lint_refuse(const struct loader_lint *lint, const char *file, struct pc_error **err);

/* helper.c: the libraries that the file needs. Adds a finding for each that is the author's own
 * (found by the file's own search path), and one that refuses if this process has loaded another
 * file of that name: then a swap would run the new code with the old library. */
void helper_look(struct loader_lint *lint, struct arena *arena, const char *const *needed,
                 size_t n_needed, const char *search, bool before_environment,
                 const char *file);

void lint_add(struct loader_lint *lint, struct arena *arena, struct loader_finding finding);

#endif
