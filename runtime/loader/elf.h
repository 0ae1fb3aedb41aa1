/* loader/elf.h: is this file a whole shared object, for this machine, with a stage in it?
 *
 * Looked at as bytes, before anything of it is mapped or run: dlopen() of a half-written file
 * ends in SIGBUS three times out of four, and the constructors of a foreign library would run
 * before dlsym() could say that there is no stage in it. Control thread; touches only the
 * descriptor that it is given, by pread(), so that a file which shrinks meanwhile is an error
 * and not a signal. */
#ifndef LOADER_ELF_H
#define LOADER_ELF_H

#include "base/error.h"

#include <stdint.h>

/* `file` is the name for messages. PC_OK; PC_WRONG with the cause; PC_NOMEM. */
int elf_check(int fd, uint64_t size_bytes, const char *file, struct pc_error **err);

#endif
