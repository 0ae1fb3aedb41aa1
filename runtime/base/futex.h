/* base/futex.h: sleep on a word, wake who sleeps there. Any thread.
 *
 * glibc has no wrapper for futex(2). Private to the process. */
#ifndef BASE_FUTEX_H
#define BASE_FUTEX_H

#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Sleeps while *word == seen, until woken, until `until_ns` of the monotonic clock (INT64_MAX: no
 * limit), or for no reason: the caller looks again. */
static inline void futex_wait(_Atomic uint32_t *word, uint32_t seen, int64_t until_ns)
{
	struct timespec t = {.tv_sec = (time_t)(until_ns / 1000000000),
	                     .tv_nsec = (long)(until_ns % 1000000000)};

	syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, seen,
	        until_ns == INT64_MAX ? NULL : &t, NULL, FUTEX_BITSET_MATCH_ANY);
}

static inline void futex_wake(_Atomic uint32_t *word, int how_many)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, how_many, NULL, NULL, 0);
}

static inline void cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

#endif
