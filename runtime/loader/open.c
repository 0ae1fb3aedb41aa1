/* loader/open.c: loader_open(): from what a graph says to a loaded build.
 *
 * Control thread. A name is sought as DIR/NAME.so in the order of the path, and the first file of
 * that name counts, also when it is broken: a plugin further down that quietly stands in for it
 * would be the harder surprise. A file is what it says it is; .c means "compile it first". */
#include "loader/loader.h"

#include "base/error.h"
#include "base/near.h"
#include "loader/claim.h"
#include "loader/compile.h"
#include "loader/held.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool ends_in(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n > m && strcmp(text + n - m, end) == 0;
}

struct nearest {
	struct near near;
	char best
		[256]; /* near keeps pointers; a name from loader_each() lives for the call only */
};

static void offer(void *user, const char *dir, const char *name, const char *file)
{
	struct nearest *n = user;
	const char *before = n->near.best;

	(void)dir;
	(void)file;
	near_offer(&n->near, name);
	if (n->near.best != before) {
		snprintf(n->best, sizeof(n->best), "%s", name);
		n->near.best = n->best;
	}
}

static int refuse_unknown(const struct loader_path *path, const char *name,
                          struct pc_error **err)
{
	struct nearest nearest = {.near = NEAR_INIT(name, strlen(name))};
	struct buf places = {0};

	loader_each(path, offer, &nearest);
	for (size_t i = 0; i < path->n_dirs; i++)
		buf_addf(&places, "%s%s", i > 0 ? ", " : "", path->dirs[i]);
	error_set(err, PC_ERROR, "there is no %s.so in %s", name, places.text);
	buf_fini(&places);
	for (size_t i = 0; i < path->n_dirs && !nearest.near.best; i++) {
		struct buf source = {0};

		buf_addf(&source, "%s/%s.c", path->dirs[i], name);
		if (!source.failed && access(source.text, R_OK) == 0) {
			error_add(err, "no plugin '%s'; its source is given as a file: %s%s",
			          name,
			          source.text[0] == '/' || source.text[0] == '.' ? "" : "./",
			          source.text);
			buf_fini(&source);
			return PC_ERROR;
		}
		buf_fini(&source);
	}
	if (nearest.near.best)
		error_add(err, "no plugin '%s'; did you mean '%s'?", name, nearest.near.best);
	else
		error_add(err, "no plugin '%s'", name);
	return PC_ERROR;
}

/* The first DIR/NAME.so that is there in any form, malloc'd in `file`. */
static int find(const struct loader_path *path, const char *name, struct buf *file,
                struct pc_error **err)
{
	for (size_t i = 0; path && i < path->n_dirs; i++) {
		struct stat st;

		buf_fini(file);
		buf_addf(file, "%s/%s.so", path->dirs[i], name);
		if (file->failed)
			return error_set(err, PC_NOMEM, "no memory to find plugin '%s'", name);
		if (lstat(file->text, &st) == 0)
			return PC_OK;
	}
	return path ? refuse_unknown(path, name, err)
	            : error_set(err, PC_ERROR, "no plugin '%s'", name);
}

/* A copy of the first build that a graph loads is named after the file: several stages may share
 * it. */
static int open_private(struct loader_plugin **ret, const char *file, struct pc_error **err)
{
	struct loader_copy copy;
	const char *name = strrchr(file, '/');
	char stem[64];
	int r;

	snprintf(stem, sizeof(stem), "%s", name ? name + 1 : file);
	stem[strcspn(stem, ".")] = '\0';
	r = loader_copy_make(&copy, file, stem, 1, err);
	return r == PC_OK ? loader_copy_open(ret, &copy, err) : r;
}

static int open_as_it_is(struct loader_plugin **ret, const char *file, struct pc_error **err)
{
	char *built = NULL;
	int r = PC_OK;

	if (ends_in(file, ".c"))
		r = compile_stage(file, &built, err);
	if (r == PC_OK)
		r = held_open(ret, built ? built : file, file, err);
	free(built);
	return r;
}

static int open_found(struct loader_plugin **ret, const struct loader_path *path,
                      const char *file, const char *name, struct pc_error **err)
{
	int r = path && path->private_copies ? open_private(ret, file, err)
	                                     : open_as_it_is(ret, file, err);

	if (r == PC_OK && name && strcmp((*ret)->desc->name, name) != 0) {
		r = error_set(
			err, PC_WRONG,
			"%s is not the stage '%s': it says that it is '%s' (the file and the "
			"stage must have one name)",
			file, name, (*ret)->desc->name);
		loader_close(*ret);
	} else if (r == PC_ERROR && name) {
		r = PC_WRONG; /* a name in a directory that leads to no file */
	}
	return r;
}

int loader_open(struct loader_plugin **ret, const struct loader_path *path,
                const char *name_or_file, const char *relative_to, struct pc_error **err)
{
	bool by_file = strchr(name_or_file, '/') != NULL;
	struct loader_plugin *plugin = NULL;
	struct buf file = {0};
	const char *key = name_or_file;
	int r = PC_OK;

	if (by_file) {
		if (name_or_file[0] != '/' && relative_to && strcmp(relative_to, ".") != 0)
			buf_addf(&file, "%s/", relative_to);
		buf_adds(&file, name_or_file);
		if (file.failed) {
			r = error_set(err, PC_NOMEM, "no memory to find %s", name_or_file);
			goto done;
		}
		key = file.text;
	}
	if (path && path->claims)
		plugin = claim_find(path->claims, key);
	if (plugin)
		goto done;
	if (!by_file)
		r = find(path, name_or_file, &file, err);
	if (r == PC_OK)
		r = open_found(&plugin, path, file.text, by_file ? NULL : name_or_file, err);
	if (r == PC_OK && path && path->claims) {
		r = claim_add(path->claims, key, plugin, err);
		if (r != PC_OK)
			loader_close(plugin);
	}
done:
	if (r == PC_OK)
		*ret = plugin;
	buf_fini(&file);
	return r;
}
