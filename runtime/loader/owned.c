/* loader/owned.c: the directories of owned.h.
 *
 * Right because whoever removes a directory holds its lock and whoever makes one looks, with the
 * lock in hand, whether it is still there: between mkdir() and flock() another process may take
 * it for a dead one's. Only what this user owns, alone, and nobody else can have put there is
 * touched; links are not followed. */
#include "loader/owned.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAMES = 16, TRIES = 16 };

#define PREFIX "pcrun-copies-" /* pcrun-UID is where the command has its sockets */

/* Nobody else can rename what we make in it. */
static bool is_safe(const char *base, struct buf *why)
{
	struct stat st;

	if (stat(base, &st) < 0) {
		buf_addf(why, "%s", strerror(errno));
		return false;
	}
	if (!S_ISDIR(st.st_mode)) {
		buf_adds(why, "it is no directory");
		return false;
	}
	if ((st.st_uid != 0 && st.st_uid != geteuid()) ||
	    ((st.st_mode & (S_IWGRP | S_IWOTH)) && !(st.st_mode & S_ISVTX))) {
		buf_adds(why, "other users may change it");
		return false;
	}
	return true;
}

static bool is_ours(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_uid == geteuid() && (st.st_mode & 0777) == 0700;
}

/* The open directory is still the one of this name. */
static bool is_there(int fd, int in, const char *name)
{
	struct stat st, now;

	return fstat(fd, &st) == 0 && fstatat(in, name, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
	       st.st_dev == now.st_dev && st.st_ino == now.st_ino;
}

static int open_dir(int in, const char *name)
{
	return openat(in, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* -1: another process has it, or errno says what is wrong. */
static int make_one(const char *path)
{
	for (int i = 0; i < TRIES; i++) {
		int fd;

		if (mkdir(path, 0700) < 0)
			return -1;
		fd = open_dir(AT_FDCWD, path);
		if (fd < 0 && errno != ENOENT)
			return -1;
		if (fd < 0)
			continue;
		if (flock(fd, LOCK_EX | LOCK_NB) == 0 && is_there(fd, AT_FDCWD, path) &&
		    is_ours(fd))
			return fd;
		/* Somebody is sweeping: it goes, and we try again. */
		close(fd);
	}
	errno = EAGAIN;
	return -1;
}

bool owned_make(struct owned *ret, const char *base, struct buf *why)
{
	struct buf path = {0};
	int fd = -1;

	if (!is_safe(base, why))
		return false;
	errno = EEXIST;
	/* The first name may be that of one who had this number, or has it elsewhere. */
	for (int i = 0; i < NAMES && fd < 0 && errno == EEXIST; i++) {
		buf_fini(&path);
		buf_addf(&path, "%s/" PREFIX "%ld", base, (long)getpid());
		if (i > 0)
			buf_addf(&path, "-%d", i);
		if (path.failed)
			errno = ENOMEM;
		else
			fd = make_one(path.text);
	}
	if (fd < 0) {
		buf_addf(why, "%s", strerror(errno));
		buf_fini(&path);
		return false;
	}
	ret->path = buf_take(&path);
	ret->fd = fd;
	return true;
}

/* It is locked by us. Sub-directories are not ours: then it stays. */
static void empty(int dir)
{
	int fd = dup(dir);
	DIR *entries = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!entries) {
		if (fd >= 0)
			close(fd);
		return;
	}
	rewinddir(entries);
	while ((entry = readdir(entries)))
		unlinkat(dir, entry->d_name, 0);
	closedir(entries);
}

void owned_remove(struct owned *o)
{
	if (!o->path)
		return;
	empty(o->fd);
	rmdir(o->path);
	close(o->fd);
	free(o->path);
	*o = (struct owned){.fd = -1};
}

/* "pcrun-copies-123" and "pcrun-copies-123-1", and nothing else. */
static bool is_name(const char *name)
{
	if (strncmp(name, PREFIX, sizeof(PREFIX) - 1) != 0)
		return false;
	name += sizeof(PREFIX) - 1;
	return name[0] >= '0' && name[0] <= '9' && name[strspn(name, "0123456789-")] == '\0';
}

void owned_sweep(const char *base)
{
	DIR *entries = opendir(base);
	struct dirent *entry;

	if (!entries)
		return;
	while ((entry = readdir(entries))) {
		int fd;

		if (!is_name(entry->d_name))
			continue;
		fd = open_dir(dirfd(entries), entry->d_name);
		if (fd < 0)
			continue;
		if (is_ours(fd) && flock(fd, LOCK_EX | LOCK_NB) == 0 &&
		    is_there(fd, dirfd(entries), entry->d_name)) {
			empty(fd);
			unlinkat(dirfd(entries), entry->d_name, AT_REMOVEDIR);
		}
		close(fd);
	}
	closedir(entries);
}
