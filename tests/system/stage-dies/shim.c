/* shim.c: loaded by LD_PRELOAD: a machine on which some calls fail.
 * NO_TMPFILE=1: the file system knows no files without a name.
 * FULL=DIRECTORY: there is no room for what is in it.
 * THREADS=N: no more than N can be started.
 * NO_INOTIFY=1: there is none to be had. NO_WATCH=DIRECTORY: there are no watches left for it.
 * Either makes the file shim-refused when it happens. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

static const char *given(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

/* What openat() is called where files are large. */
int openat64(int dir, const char *path, int flags, ...)
{
	int (*real)(int, const char *, int, ...) =
		(int (*)(int, const char *, int, ...))dlsym(RTLD_NEXT, "openat64");
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	if ((flags & O_TMPFILE) == O_TMPFILE && given("NO_TMPFILE")) {
		errno = EOPNOTSUPP;
		return -1;
	}
	return real(dir, path, flags, mode);
}

ssize_t write(int fd, const void *bytes, size_t size)
{
	ssize_t (*real)(int, const void *, size_t) =
		(ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
	const char *full = given("FULL");
	char link[40], to[4096] = "";

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (full && readlink(link, to, sizeof(to) - 1) > 0 &&
	    strncmp(to, full, strlen(full)) == 0) {
		errno = ENOSPC;
		return -1;
	}
	return real(fd, bytes, size);
}

int inotify_init1(int flags)
{
	int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "inotify_init1");

	if (given("NO_INOTIFY")) {
		close(creat("shim-refused", 0600));
		errno = EMFILE;
		return -1;
	}
	return real(flags);
}

int inotify_add_watch(int fd, const char *path, uint32_t mask)
{
	int (*real)(int, const char *, uint32_t) =
		(int (*)(int, const char *, uint32_t))dlsym(RTLD_NEXT, "inotify_add_watch");
	const char *none = given("NO_WATCH"), *name = strrchr(path, '/');

	if (none && strcmp(name ? name + 1 : path, none) == 0) {
		close(creat("shim-refused", 0600));
		errno = ENOSPC;
		return -1;
	}
	return real(fd, path, mask);
}

int pthread_create(pthread_t *ret, const pthread_attr_t *attributes, void *(*start)(void *),
                   void *arg)
{
	int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) =
		(int (*)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *))dlsym(
			RTLD_NEXT, "pthread_create");
	static atomic_int started;

	if (getenv("THREADS") && atomic_fetch_add(&started, 1) >= atoi(getenv("THREADS")))
		return EAGAIN;
	return real(ret, attributes, start, arg);
}
