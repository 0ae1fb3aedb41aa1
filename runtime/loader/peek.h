/* loader/peek.h: read memory that may not be there.
 *
 * A descriptor is data from a file: a pointer in it may be anything. Reading through the kernel
 * turns a bad one into `false` instead of a SIGSEGV. Any thread. */
#ifndef LOADER_PEEK_H
#define LOADER_PEEK_H

#include <stdbool.h>
#include <stddef.h>

bool peek(const void *from, void *to, size_t size);

/* Never trusts a pointer: where a sandbox forbids the looking, all of them are bad. */
bool peek_strict(const void *from, void *to, size_t size);

#endif
