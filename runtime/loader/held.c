/* loader/held.c: from a file that is there to a build that is loaded, and back.
 *
 * Right because nothing is mapped before elf_check() has seen the whole file, and because one
 * file is loaded once: dlopen() of a path that is loaded answers with what is there, though the
 * file behind it be new. The list and the counts stand under one lock, since two graphs may be
 * loaded by two threads. A build that is dropped by the last graph is unloaded, except in
 * sanitizer builds, whose reports would lose their names (there, a file that is built anew under
 * an old name and loaded again is the old code: dlopen() knows the name). */
#include "loader/held.h"

#include "base/arena.h"
#include "base/error.h"
#include "loader/descriptor.h"
#include "loader/dl.h"
#include "loader/elf.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define KEEP 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define KEEP 1
#endif
#endif
#ifndef KEEP
#define KEEP 0
#endif

#define SIZE_MAX_BYTES (INT64_C(1) << 30) /* of a plugin's file */

struct held {
	struct loader_plugin plugin; /* first: what callers have is this */
	struct arena arena;          /* the descriptor and the names */
	struct held *next;
	dev_t dev; /* of the file when it was loaded, for telling a rebuilt one */
	ino_t ino;
	off_t size_bytes;
	struct timespec changed;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct held *all; /* under lock */

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

/* Looked at before it is opened: opening a pipe or a device can have effects. */
static int open_file(const char *loaded, const char *file, struct stat *st, int *ret_fd,
                     struct pc_error **err)
{
	int fd = -1, r;

	if (stat(loaded, st) == 0) {
		r = refuse_kind(st, file, err);
		if (r != PC_OK)
			return r;
		fd = open(loaded, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	}
	if (fd < 0 || fstat(fd, st) < 0) {
		r = errno == ENOENT || errno == ENOTDIR ? PC_ERROR : PC_WRONG;
		error_set(err, r, "%s can't be read: %s", file, strerror(errno));
		if (fd >= 0)
			close(fd);
		return r;
	}
	r = refuse_kind(st, file, err);
	if (r != PC_OK)
		close(fd);
	else
		*ret_fd = fd;
	return r;
}

static bool is_same_file(const struct held *h, const struct stat *st)
{
	return h->dev == st->st_dev && h->ino == st->st_ino && h->size_bytes == st->st_size &&
	       h->changed.tv_sec == st->st_mtim.tv_sec &&
	       h->changed.tv_nsec == st->st_mtim.tv_nsec;
}

static void release(struct held *h)
{
	if (!h)
		return;
	if (h->plugin.handle && !KEEP)
		dlclose(h->plugin.handle);
	arena_fini(&h->arena);
	free(h);
}

/* The file was checked as `st`. Under the lock. The path itself is loaded: whoever wants to load
 * a file that a compiler may write to meanwhile copies it first, and gives the copy's name. */
static int load(struct held **ret, const char *loaded, const char *file, const struct stat *st,
                struct pc_error **err)
{
	struct held *h = calloc(1, sizeof(*h));
	struct pc_stage_desc *desc;
	struct stat now;
	void *theirs;
	int r = PC_NOMEM;

	if (!h)
		return error_set(err, PC_NOMEM, "no memory to load %s", file);
	h->dev = st->st_dev;
	h->ino = st->st_ino;
	h->size_bytes = st->st_size;
	h->changed = st->st_mtim;
	h->plugin.file = arena_string(&h->arena, file);
	h->plugin.loaded = arena_string(&h->arena, loaded);
	if (!h->plugin.file || !h->plugin.loaded) {
		error_set(err, PC_NOMEM, "no memory to load %s", file);
		goto fail;
	}
	r = dl_open(&h->plugin.handle, loaded, file, err);
	if (r != PC_OK)
		goto fail;
	r = PC_WRONG;
	for (struct held *other = all; other; other = other->next) {
		if (other->plugin.handle == h->plugin.handle) {
			error_set(err, r,
			          "%s was rebuilt, and its old build is still in use in this "
			          "process",
			          file);
			goto fail;
		}
	}
	if (stat(loaded, &now) < 0 || !is_same_file(h, &now)) {
		error_set(err, r, "%s changed while it was loaded", file);
		goto fail;
	}
	theirs = dlsym(h->plugin.handle, "pc_stage_v1");
	if (!theirs) {
		error_set(err, r, "%s is not a stage: it does not export pc_stage_v1", file);
		goto fail;
	}
	r = descriptor_copy(&h->arena, theirs, file, &desc, err);
	if (r == PC_OK)
		r = descriptor_rules(desc, file, err);
	if (r != PC_OK)
		goto fail;
	h->plugin.desc = desc;
	h->next = all;
	all = h;
	*ret = h;
	return PC_OK;
fail:
	release(h);
	return r;
}

int held_open(struct loader_plugin **ret, const char *loaded, const char *file,
              struct pc_error **err)
{
	struct held *h;
	struct stat st;
	int fd, r;

	r = open_file(loaded, file, &st, &fd, err);
	if (r != PC_OK)
		return r;
	pthread_mutex_lock(&lock);
	for (h = all; h && !is_same_file(h, &st); h = h->next)
		;
	if (!h) {
		r = elf_check(fd, (uint64_t)st.st_size, file, err);
		if (r == PC_OK)
			r = load(&h, loaded, file, &st, err);
	}
	if (r == PC_OK) {
		h->plugin.refs++;
		*ret = &h->plugin;
	}
	pthread_mutex_unlock(&lock);
	close(fd);
	return r;
}

struct loader_plugin *held_ref(struct loader_plugin *plugin)
{
	pthread_mutex_lock(&lock);
	plugin->refs++;
	pthread_mutex_unlock(&lock);
	return plugin;
}

void loader_close(struct loader_plugin *plugin)
{
	struct held *h = (struct held *)plugin;

	if (!plugin)
		return;
	pthread_mutex_lock(&lock);
	if (--plugin->refs == 0) {
		struct held **at = &all;

		while (*at != h)
			at = &(*at)->next;
		*at = h->next;
		release(h);
	}
	pthread_mutex_unlock(&lock);
}
