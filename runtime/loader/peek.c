/* loader/peek.c: the reading of peek.h, by process_vm_readv(2) on this very process. Where a
 * sandbox forbids the call there is no safe way, and the pointer is trusted. */
#include "loader/peek.h"

#include <errno.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

bool peek_strict(const void *from, void *to, size_t size)
{
	struct iovec here = {.iov_base = to, .iov_len = size};
	struct iovec there = {.iov_len = size};
	ssize_t n;

	errno = EFAULT;
	if (!from)
		return false;
	memcpy(&there.iov_base, &from, sizeof(from)); /* the call's type has no const */
	n = process_vm_readv(getpid(), &here, 1, &there, 1, 0);
	return n >= 0 && (size_t)n == size;
}

bool peek(const void *from, void *to, size_t size)
{
	if (peek_strict(from, to, size))
		return true;
	if (errno != ENOSYS && errno != EPERM)
		return false;
	memcpy(to, from, size);
	return true;
}
