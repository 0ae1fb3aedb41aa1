/* loader/read.c: the reading of read.h.
 *
 * Right because the kind is looked at before the file is opened (opening a pipe or a device can
 * have effects) and again on the open file, and because size and time are compared after the last
 * byte: whoever wrote meanwhile has changed one of them. */
#include "loader/read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SIZE_MAX_BYTES (INT64_C(1) << 30) /* of a plugin's file */

static const char *kind_name(mode_t mode)
{
	if (S_ISDIR(mode))
		return "a directory";
	if (S_ISFIFO(mode))
		return "a named pipe";
	if (S_ISCHR(mode) || S_ISBLK(mode))
		return "a device";
	if (S_ISSOCK(mode))
		return "a socket";
	return "no ordinary file";
}

static int refuse_kind(const struct stat *st, const char *file, struct pc_error **err)
{
	if (!S_ISREG(st->st_mode))
		return error_set(err, PC_WRONG, "%s is not a shared object: it is %s", file,
		                 kind_name(st->st_mode));
	if (st->st_size > SIZE_MAX_BYTES)
		return error_set(err, PC_WRONG, "%s is not a shared object: it has %lld GiB",
		                 file, (long long)(st->st_size >> 30));
	return PC_OK;
}

static int refuse_unreadable(const char *file, struct pc_error **err)
{
	return error_set(err, errno == ENOENT || errno == ENOTDIR ? PC_ERROR : PC_WRONG,
	                 "%s can't be read: %s", file, strerror(errno));
}

static int open_file(const char *path, const char *file, struct stat *st, int *ret_fd,
                     struct pc_error **err)
{
	int fd, r;

	if (stat(path, st) < 0)
		return refuse_unreadable(file, err);
	r = refuse_kind(st, file, err);
	if (r != PC_OK)
		return r;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return refuse_unreadable(file, err);
	r = fstat(fd, st) < 0 ? refuse_unreadable(file, err) : refuse_kind(st, file, err);
	if (r != PC_OK)
		close(fd);
	else
		*ret_fd = fd;
	return r;
}

/* *ret_n: how much of it there was. */
static bool read_bytes(int fd, char *to, size_t size, size_t *ret_n)
{
	size_t have = 0;

	while (have < size) {
		ssize_t n = read(fd, to + have, size - have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		if (n == 0)
			break;
		have += (size_t)n;
	}
	*ret_n = have;
	return true;
}

bool read_is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

int read_whole(struct read_file *ret, const char *path, const char *file, int incomplete,
               struct pc_error **err)
{
	struct read_file f = {0};
	struct stat after;
	int fd = -1, r = open_file(path, file, &f.st, &fd, err);
	size_t n;

	if (r != PC_OK)
		return r;
	f.size = (size_t)f.st.st_size;
	f.bytes = malloc(f.size > 0 ? f.size : 1);
	if (!f.bytes)
		r = error_set(err, PC_NOMEM, "no memory to look at %s", file);
	else if (!read_bytes(fd, f.bytes, f.size, &n) || fstat(fd, &after) < 0)
		r = refuse_unreadable(file, err);
	else if (n < f.size || !read_is_same(&f.st, &after))
		r = error_set(err, incomplete,
		              "%s is still being written: it %s while it was read", file,
		              n < f.size ? "became shorter" : "changed");
	close(fd);
	if (r == PC_OK)
		*ret = f;
	else
		read_free(&f);
	return r;
}

void read_free(struct read_file *f)
{
	free(f->bytes);
	f->bytes = NULL;
}
