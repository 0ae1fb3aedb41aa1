/* loader/elf.h: is this file a whole shared object, for this machine, with a stage in it?
 *
 * Looked at as bytes, before anything of it is mapped or run: dlopen() of a half-written file
 * ends in SIGBUS three times out of four, and the constructors of a foreign library would run
 * before dlsym() could say that there is no stage in it. Any thread. */
#ifndef LOADER_ELF_H
#define LOADER_ELF_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

/* `file` is the name for messages; `incomplete` the code for a file that may be whole a moment
 * later, as it lacks something or has zeros there: PC_WRONG or PC_AGAIN. PC_OK; PC_WRONG with the
 * cause; PC_NOMEM. */
int elf_check(const char *bytes, size_t size, const char *file, int incomplete,
              struct pc_error **err);

/* elf_code.c: which code a file that has been checked holds: a hash of what is loaded of it. Two
 * files have one code when nothing that runs, or is read while it runs, differs: build id, debug
 * information and the table of sections are left out. */
uint64_t elf_code(const char *bytes, size_t size);
/* And which debug information: a hash of it; 0: it has none with lines. */
uint64_t elf_lines(const char *bytes, size_t size);

#endif
