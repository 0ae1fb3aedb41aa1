/* cli/crash-file.c: the file of a saved item: what stands ready for it, and how it is written.
 *
 * crash_file_prepare() and crash_file_open() on the main thread or that of a job;
 * crash_file_save() there, too, and in the handler of a crash, for which all that needs memory, a
 * path or a free descriptor has been done by then: a descriptor of a file without a name in the
 * directory (or, where the file system knows none, of the directory and one more to be given up for
 * the file), and the lines that do not depend on the item, in pages that nobody can write to. What
 * is left are write(), linkat(), openat(), close().
 *
 * The item's bytes are read by write() alone: where a damaged heap has made of their address
 * nonsense, that fails with EFAULT instead of a second crash. A file that holds nothing of the item
 * gets no name, so a full disk leaves nothing behind. */
#include "cli/crash-item.h"

#include "cli/say.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const char *lines; /* of each file; NULL: nothing is ready */
static size_t lines_size;

/* ------------------------------------------------------------------------- beforehand --- */

static void put_line(FILE *out, const char *key, const char *value)
{
	fprintf(out, "%s: ", key);
	for (; *value; value++)
		if (*value == '\n')
			fputs("\\n", out);
		else if (*value == '\\')
			fputs("\\\\", out);
		else
			putc(*value, out);
	putc('\n', out);
}

static void put_lines(FILE *out, const struct args *args)
{
	char *here = getcwd(NULL, 0);

	if (here)
		put_line(out, "directory", here);
	free(here);
	put_line(out, args->text ? "text" : "graph", args->text ? args->text : args->files[0]);
	for (size_t i = 0; i < args->n_defines; i++)
		put_line(out, "define", args->defines[i]);
	for (size_t i = 0; i < args->n_dirs; i++)
		put_line(out, "path", args->dirs[i]);
	putc('\n', out);
}

/* Where nothing that a stage does can change them. */
static bool lock_away(const char *bytes, size_t size)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		return false;
	memcpy(at, bytes, size);
	if (mprotect(at, size, PROT_READ) < 0) {
		munmap(at, size);
		return false;
	}
	lines = at;
	lines_size = size;
	return true;
}

bool crash_file_prepare(const struct args *args)
{
	struct say_text text;

	if (!say_text_open(&text))
		return false;
	put_lines(text.stream, args);
	if (say_text_end(&text))
		lock_away(text.bytes, text.size);
	free(text.bytes);
	return lines != NULL;
}

void crash_file_open(struct crash_file *f)
{
	f->fd = f->reserve = -1;
	crash_dir_open(&f->dir);
	if (f->dir.fd < 0)
		return;
	crash_dir_prune(&f->dir);
	f->fd = openat(f->dir.fd, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600);
	if (f->fd < 0)
		f->reserve = fcntl(f->dir.fd, F_DUPFD_CLOEXEC, 0);
}

void crash_file_close(struct crash_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	if (f->reserve >= 0)
		close(f->reserve);
	if (f->dir.fd >= 0)
		close(f->dir.fd);
}

/* -------------------------------------------------------------------------- writing it --- */

/* How many of the bytes it could write; fewer: errno. */
static size_t write_all(int fd, const void *bytes, size_t size)
{
	const char *at = bytes;
	size_t done = 0;

	while (done < size) {
		ssize_t n = write(fd, at + done, size - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			errno = n < 0 ? errno : ENOSPC;
			break;
		}
		done += (size_t)n;
	}
	return done;
}

/* The file that has no name yet gets one. False: errno. */
static bool give_name(struct crash_file *f, const char *name)
{
	char path[40] = {0};
	struct crash_text t = {path, sizeof(path) - 1, 0};

	crash_add(&t, "/proc/self/fd/");
	crash_add_number(&t, (uint64_t)f->fd);
	return linkat(AT_FDCWD, path, f->dir.fd, name, AT_SYMLINK_FOLLOW) == 0;
}

static bool make_file(struct crash_file *f, const char *name)
{
	if (f->reserve >= 0)
		close(f->reserve);
	f->reserve = -1;
	f->fd = openat(f->dir.fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
	               0600);
	return f->fd >= 0;
}

enum { TRIES = 100 };

/* "grep-v2-4711.item", and the next when there is one from a process that had our number. False:
 * errno. */
static bool name_it(bool (*how)(struct crash_file *f, const char *name), struct crash_file *f,
                    char name[NAME_MAX + 1], const struct pc_crash_item *item)
{
	for (unsigned i = 0; i < TRIES; i++) {
		struct crash_text t = {name, NAME_MAX, 0};

		crash_add_name(&t, item, i);
		name[t.n] = '\0';
		if (how(f, name))
			return true;
		if (errno != EEXIST)
			return false;
	}
	return false;
}

bool crash_file_save(struct crash_file *f, const struct pc_crash_item *item, bool refused,
                     char name[NAME_MAX + 1], size_t *ret_size)
{
	size_t wanted = item->size < CRASH_ITEM_BYTES ? item->size : CRASH_ITEM_BYTES;
	bool named = f->fd < 0;
	char bytes[PATH_MAX + 1024];
	struct crash_text head = {bytes, sizeof(bytes), 0};
	int error;

	if (named && !name_it(make_file, f, name, item))
		return false;
	crash_add_head(&head, item, refused);
	if (write_all(f->fd, head.bytes, head.n) == head.n &&
	    write_all(f->fd, lines, lines_size) == lines_size) {
		*ret_size = write_all(f->fd, item->data, wanted);
		if ((*ret_size == wanted || (errno == EFAULT && *ret_size > 0)) &&
		    (named || name_it(give_name, f, name, item)))
			return true;
	}
	error = errno;
	if (named)
		unlinkat(f->dir.fd, name, 0);
	errno = error;
	return false;
}
