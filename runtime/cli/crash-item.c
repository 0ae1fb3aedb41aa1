/* cli/crash-item.c: what stands ready for a crash, and what is written then.
 *
 * Ready before the graph starts: a descriptor of a file without a name in the directory (or, where
 * the file system knows none, of the directory and one more to be given up for the file), and the
 * lines that do not depend on the item, in pages that nobody can write to. So the handler needs no
 * memory, no free descriptor and no path; it calls write(), linkat(), openat(), close() only.
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

static struct crash_dir dir;
static int file = -1;     /* without a name yet */
static int reserve = -1;  /* given up for the file, where there are none without a name */
static const char *lines; /* of the file; NULL: nothing is ready */
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

void crash_item_prepare(const struct args *args)
{
	struct say_text text;

	crash_dir_open(&dir);
	if (dir.fd >= 0) {
		crash_dir_prune(&dir);
		file = openat(dir.fd, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600);
		if (file < 0)
			reserve = fcntl(dir.fd, F_DUPFD_CLOEXEC, 0);
	}
	if (!say_text_open(&text))
		return;
	put_lines(text.stream, args);
	if (say_text_end(&text))
		lock_away(text.bytes, text.size);
	free(text.bytes);
}

/* -------------------------------------------------------------------------- the crash --- */

/* In memory of the caller's: the stack of the handler is small. */
struct text {
	char *bytes;
	size_t room, n;
};

static void add_char(struct text *t, char c)
{
	if (t->n < t->room)
		t->bytes[t->n++] = c;
}

static void add(struct text *t, const char *string)
{
	for (; string && *string; string++)
		add_char(t, *string);
}

static void add_number(struct text *t, uint64_t number)
{
	char digits[24];
	size_t at = sizeof(digits) - 1;

	digits[at] = '\0';
	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	add(t, digits + at);
}

static void add_line(struct text *t, const char *key, const char *value)
{
	if (!value)
		return;
	add(t, key);
	add(t, ": ");
	for (; *value; value++) {
		if (*value == '\n' || *value == '\\')
			add_char(t, '\\');
		add_char(t, *value == '\n' ? 'n' : *value);
	}
	add_char(t, '\n');
}

static void add_number_line(struct text *t, const char *key, uint64_t number)
{
	add(t, key);
	add(t, ": ");
	add_number(t, number);
	add_char(t, '\n');
}

static bool is_plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-' || c == '.';
}

/* As one word for the shell; a name needs no quotes. */
static void add_path(struct text *t, const char *in, const char *name)
{
	bool plain = true;

	for (const char *c = in; *c; c++)
		plain = plain && (is_plain(*c) || *c == '/');
	add(t, plain ? "" : "'");
	for (; *in; in++)
		if (*in == '\'')
			add(t, "'\\''");
		else
			add_char(t, *in);
	add(t, plain ? "/" : "'/");
	add(t, name);
}

static void make_head(struct text *t, const struct pc_crash_item *item)
{
	add(t, CRASH_ITEM_MAGIC "\n");
	add_line(t, "stage", item->stage);
	add_line(t, "port", item->port);
	add_line(t, "queue", item->queue);
	add_number_line(t, "number", item->number);
	add_number_line(t, "build", item->build);
	add_line(t, "file", item->file);
	add_number_line(t, "size", item->size);
}

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

/* "grep-v2-4711.item", and the next when there is one from a process that had our number. */
static void make_name(char name[NAME_MAX + 1], const struct pc_crash_item *item, unsigned again)
{
	struct text t = {name, NAME_MAX, 0};

	for (const char *c = item->stage; *c && t.n < 64; c++)
		add_char(&t, is_plain(*c) ? *c : '_');
	add(&t, "-v");
	add_number(&t, item->build);
	add_char(&t, '-');
	add_number(&t, (uint64_t)getpid());
	if (again > 0) {
		add_char(&t, '-');
		add_number(&t, again);
	}
	add(&t, ".item");
	name[t.n] = '\0';
}

/* The file that has no name yet gets one. False: errno. */
static bool give_name(const char *name)
{
	char path[40] = {0};
	struct text t = {path, sizeof(path) - 1, 0};

	add(&t, "/proc/self/fd/");
	add_number(&t, (uint64_t)file);
	return linkat(AT_FDCWD, path, dir.fd, name, AT_SYMLINK_FOLLOW) == 0;
}

static bool make_file(const char *name)
{
	if (reserve >= 0)
		close(reserve);
	reserve = -1;
	file = openat(dir.fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	return file >= 0;
}

enum { TRIES = 100 };

/* False: errno. */
static bool name_it(bool (*how)(const char *name), char name[NAME_MAX + 1],
                    const struct pc_crash_item *item)
{
	for (unsigned i = 0; i < TRIES; i++) {
		make_name(name, item, i);
		if (how(name))
			return true;
		if (errno != EEXIST)
			return false;
	}
	return false;
}

/* The file has its name, and so many bytes of the item. False: errno; EFAULT: of the item. */
static bool save(const struct pc_crash_item *item, char name[NAME_MAX + 1], size_t *ret_size)
{
	size_t wanted = item->size < CRASH_ITEM_BYTES ? item->size : CRASH_ITEM_BYTES;
	bool named = file < 0;
	char bytes[PATH_MAX + 1024];
	struct text head = {bytes, sizeof(bytes), 0};
	int error;

	if (named && !name_it(make_file, name, item))
		return false;
	make_head(&head, item);
	if (write_all(file, head.bytes, head.n) == head.n &&
	    write_all(file, lines, lines_size) == lines_size) {
		*ret_size = write_all(file, item->data, wanted);
		if ((*ret_size == wanted || (errno == EFAULT && *ret_size > 0)) &&
		    (named || name_it(give_name, name, item)))
			return true;
	}
	error = errno;
	if (named)
		unlinkat(dir.fd, name, 0);
	errno = error;
	return false;
}

static void tell_saved(struct text *t, const struct pc_crash_item *item, const char *name,
                       size_t size)
{
	add(t, "  the item is saved, ");
	if (size < item->size) {
		add_number(t, size);
		add(t, size == CRASH_ITEM_BYTES ? " (the most that is kept) of "
		                                : " (the rest can not be read) of ");
	}
	add_number(t, item->size);
	add(t, item->size == 1 ? " byte; do it again: pcrun replay "
	                       : " bytes; do it again: pcrun replay ");
	add_path(t, dir.path, name);
	add_char(t, '\n');
}

/* `error`: 0 when there is no directory. */
static void tell_lost(struct text *t, int error)
{
	add(t, "  the item could not be saved: ");
	if (error == EFAULT) {
		add(t, "the memory where it should be can not be read");
	} else if (error == 0) {
		add(t, dir.reason);
	} else {
		add(t, dir.path);
		add(t, ": ");
		add(t, strerrordesc_np(error)); /* safe here: a table of constants */
	}
	add_char(t, '\n');
}

void crash_item_save(void)
{
	struct pc_crash_item item;
	char name[NAME_MAX + 1], bytes[4 * PATH_MAX];
	struct text said = {bytes, sizeof(bytes), 0};
	size_t size;

	if (!lines || !pc_crash_item(&item, sizeof(item)))
		return;
	if (dir.fd < 0)
		tell_lost(&said, 0);
	else if (save(&item, name, &size))
		tell_saved(&said, &item, name, size);
	else
		tell_lost(&said, errno);
	say_bytes(said.bytes, said.n);
}
