/* loader/held.c: from a file that is there to a build that is loaded, and back.
 *
 * Right because nothing is mapped before elf_check() has seen the whole file, and because one
 * file is loaded once: dlopen() of a path that is loaded answers with what is there, though the
 * file behind it be new. A private copy has a name of its own, and is never shared. The list and
 * the counts stand under one lock, since two graphs may be loaded by two threads. A build that is
 * dropped by the last graph is unloaded, except in sanitizer builds, whose reports would lose
 * their names (there, a file that is built anew under an old name and loaded again is the old
 * code: dlopen() knows the name). */
#include "loader/held.h"

#include "base/arena.h"
#include "base/error.h"
#include "loader/copy.h"
#include "loader/descriptor.h"
#include "loader/dl.h"
#include "loader/elf.h"
#include "loader/left.h"
#include "loader/lint.h"
#include "loader/read.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>

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

struct held {
	struct loader_plugin plugin; /* first: what callers have is this */
	struct arena arena;          /* the descriptor and the names */
	struct arena found;          /* what the lint has found */
	struct held *next;
	struct left_before before; /* it was loaded */
	struct stat st; /* of the file when it was loaded, for telling a rebuilt one */
	char *copy;     /* private: its own file, which nobody else opens; or NULL */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct held *all; /* under lock */

/* What the file told about it, of what keeps it loaded. */
static void add_reasons(const struct loader_lint *lint, struct buf *why)
{
	bool any = false;

	for (size_t i = 0; i < lint->n; i++) {
		const struct loader_finding *f = &lint->findings[i];

		if (f->weight != LOADER_STAYS)
			continue;
		buf_addf(why, "%s%s (%s)", any ? "; " : "", f->text, f->fix);
		any = true;
	}
	if (!any)
		buf_adds(why, "something else in the process uses it");
}

/* Nobody has it any more. What is left of it needs its code: then it stays as it is. */
static enum loader_end release(struct held *h, struct buf *why)
{
	struct loader_plugin *p = &h->plugin;
	enum loader_end end = LOADER_GONE;

	if (p->handle && KEEP)
		end = LOADER_LOADED;
	else if (p->handle && !left_behind(&h->before, p->image, p->lint.traits, why))
		dl_close(p);
	if (p->handle && !KEEP && image_is_loaded(p->image, p->loaded)) {
		end = LOADER_LOADED;
		if (why && !why->text)
			add_reasons(&p->lint, why);
	}
	if (end == LOADER_GONE)
		copy_remove(h->copy);
	else
		copy_keep(h->copy);
	left_fini(&h->before);
	arena_fini(&h->arena);
	arena_fini(&h->found);
	free(h);
	return end;
}

static struct held *make(const char *loaded, const char *file, struct pc_error **err)
{
	struct held *h = calloc(1, sizeof(*h));

	if (h) {
		h->plugin.file = arena_string(&h->arena, file);
		h->plugin.loaded = arena_string(&h->arena, loaded);
		if (h->plugin.file && h->plugin.loaded)
			return h;
		release(h, NULL);
	}
	error_set(err, PC_NOMEM, "no memory to load %s", file);
	return NULL;
}

static int open_object(struct held *h, struct pc_error **err)
{
	int r;

	left_note(&h->before);
	r = dl_open(&h->plugin, err);

	h->plugin.image = image_of(h->plugin.handle);
	return r;
}

/* Under the lock: dlopen() has found the name loaded, though the file is another. */
static int refuse_old(const struct held *h, struct pc_error **err)
{
	for (const struct held *other = all; other; other = other->next)
		if (other->plugin.handle == h->plugin.handle)
			return error_set(err, PC_WRONG,
			                 "%s was rebuilt, and its old build is still in use in "
			                 "this process",
			                 h->plugin.file);
	return PC_OK;
}

static int read_descriptor(struct held *h, struct pc_error **err)
{
	const char *file = h->plugin.file;
	void *theirs = dlsym(h->plugin.handle, "pc_stage_v1");
	struct pc_stage_desc *desc;
	int r;

	if (!theirs)
		return error_set(err, PC_WRONG,
		                 "%s is not a stage: it does not export pc_stage_v1", file);
	r = descriptor_copy(&h->arena, theirs, file, &desc, err);
	if (r == PC_OK)
		r = descriptor_rules(desc, file, err);
	h->plugin.desc = desc;
	return r;
}

/* Under the lock. */
static void add(struct held *h, struct loader_plugin **ret)
{
	h->next = all;
	all = h;
	h->plugin.refs = 1;
	*ret = &h->plugin;
}

/* The file was read and checked as `f`. The path itself is loaded: so it must not have changed. */
static int load(struct loader_plugin **ret, const char *loaded, const char *file,
                const struct read_file *f, struct pc_error **err)
{
	struct held *h = make(loaded, file, err);
	struct stat now;
	int r;

	if (!h)
		return PC_NOMEM;
	h->st = f->st;
	h->plugin.code = elf_code(f->bytes, f->size);
	h->plugin.lines = elf_lines(f->bytes, f->size);
	r = lint_file(&h->plugin.lint, &h->found, f->bytes, f->size, file, err);
	if (r == PC_OK)
		r = open_object(h, err);
	if (r == PC_OK)
		r = refuse_old(h, err);
	if (r == PC_OK && (stat(loaded, &now) < 0 || !read_is_same(&h->st, &now)))
		r = error_set(err, PC_WRONG, "%s changed while it was loaded", file);
	if (r == PC_OK)
		r = read_descriptor(h, err);
	if (r == PC_OK)
		add(h, ret);
	else
		release(h, NULL);
	return r;
}

static struct held *find(const struct stat *st)
{
	struct held *h = all;

	while (h && (h->copy || !read_is_same(&h->st, st)))
		h = h->next;
	return h;
}

int held_open(struct loader_plugin **ret, const char *loaded, const char *file,
              struct pc_error **err)
{
	struct read_file f = {0};
	struct held *h;
	int r = read_whole(&f, loaded, file, PC_WRONG, err);

	if (r != PC_OK)
		return r;
	pthread_mutex_lock(&lock);
	h = find(&f.st);
	if (h) {
		h->plugin.refs++;
		*ret = &h->plugin;
	} else {
		r = elf_check(f.bytes, f.size, file, PC_WRONG, err);
		if (r == PC_OK)
			r = load(ret, loaded, file, &f, err);
	}
	pthread_mutex_unlock(&lock);
	read_free(&f);
	return r;
}

int held_open_copy(struct loader_plugin **ret, struct loader_copy *copy, struct pc_error **err)
{
	struct held *h = make(copy->path, copy->file, err);
	int r;

	if (!h)
		return PC_NOMEM;
	h->plugin.code = copy->code;
	h->plugin.lines = copy->lines;
	h->plugin.lint = copy->lint;
	/* Without the lock: its constructors may take long. Nobody else opens this file. */
	r = open_object(h, err);
	if (r == PC_OK)
		r = read_descriptor(h, err);
	if (r != PC_OK) {
		release(h, NULL);
		return r;
	}
	h->copy = copy->path;
	h->found = copy->arena;
	copy->path = NULL;
	copy->arena = (struct arena){0};
	pthread_mutex_lock(&lock);
	add(h, ret);
	pthread_mutex_unlock(&lock);
	return PC_OK;
}

struct loader_plugin *held_ref(struct loader_plugin *plugin)
{
	pthread_mutex_lock(&lock);
	plugin->refs++;
	pthread_mutex_unlock(&lock);
	return plugin;
}

static void unlist(struct held *h)
{
	struct held **at = &all;

	while (*at != h)
		at = &(*at)->next;
	*at = h->next;
}

/* The last reference is the caller's, who then owns it alone. */
static bool give_back(struct held *h)
{
	bool last;

	pthread_mutex_lock(&lock);
	last = --h->plugin.refs == 0;
	if (last)
		unlist(h);
	pthread_mutex_unlock(&lock);
	return last;
}

void loader_close(struct loader_plugin *plugin)
{
	struct held *h = (struct held *)plugin;

	if (h && give_back(h))
		release(h, NULL);
}

enum loader_end loader_unload(struct loader_plugin *plugin, struct buf *why)
{
	struct held *h = (struct held *)plugin;

	/* A private copy has one owner: nobody else gives it back meanwhile. */
	if (!KEEP && h->copy &&
	    left_behind(&h->before, plugin->image, plugin->lint.traits, why))
		return LOADER_LEFT;
	return give_back(h) ? release(h, why) : LOADER_GONE;
}

bool loader_refresh(struct loader_plugin *plugin, const struct loader_plugin *other)
{
	const struct held *h = (const struct held *)plugin;
	const struct held *with = (const struct held *)other;

	if (!h || !with || !h->copy || !with->copy || plugin->code != other->code ||
	    other->lines == 0 || other->lines == plugin->lines ||
	    !copy_refresh(h->copy, with->copy))
		return false;
	plugin->lines = other->lines;
	return true;
}
