/* base/prefetch.h: lines of memory that will be needed are asked for, and come meanwhile.
 *
 * Any thread. Nothing is read or written: an address may be of the past, even of freed memory. */
#ifndef BASE_PREFETCH_H
#define BASE_PREFETCH_H

#include <stddef.h>

#define PREFETCH_LINE 64

/* We are about to write there: have the line by then. A line that others have read costs the writer
 * 70 ns otherwise, and lines asked for together cost no more than one. */
static inline void prefetch_to_write(const void *address)
{
#if defined(__x86_64__) || defined(__i386__)
	/* The builtin asks for a copy to read unless built for newer processors; those that do not
	 * know the instruction take it for nothing. */
	__asm__ volatile("prefetchw %0" : : "m"(*(const char *)address));
#else
	__builtin_prefetch(address, 1);
#endif
}

static inline void prefetch_bytes(const void *at, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += PREFETCH_LINE)
		__builtin_prefetch((const char *)at + i);
}

static inline void prefetch_bytes_to_write(const void *at, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += PREFETCH_LINE)
		prefetch_to_write((const char *)at + i);
}

#endif
