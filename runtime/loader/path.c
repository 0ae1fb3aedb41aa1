/* loader/path.c: where plugins are sought, and what is there.
 *
 * Control thread. The list of directories is made once per load of a graph; the directories
 * themselves are read only for messages and lists, never to find a plugin whose name is known. */
#include "loader/loader.h"

#include "loader/claim.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool is_same_dir(const char *a, const char *b)
{
	struct stat sa, sb;

	if (strcmp(a, b) == 0)
		return true;
	return stat(a, &sa) == 0 && stat(b, &sb) == 0 && sa.st_dev == sb.st_dev &&
	       sa.st_ino == sb.st_ino;
}

static bool add_dir(struct loader_path *path, const char *dir, size_t size)
{
	char *copy;

	if (size == 0)
		return true; /* "a::b" does not mean the working directory */
	copy = strndup(dir, size);
	if (!copy)
		return false;
	for (size_t n = size; n > 1 && copy[n - 1] == '/'; n--)
		copy[n - 1] = '\0';
	for (size_t i = 0; i < path->n_dirs; i++) {
		if (is_same_dir(path->dirs[i], copy)) {
			free(copy);
			return true;
		}
	}
	path->dirs[path->n_dirs++] = copy;
	return true;
}

bool loader_path_init(struct loader_path *path, const char *graph_dir, const char *const *extra,
                      size_t n_extra)
{
	const char *list = secure_getenv("PCRUN_PLUGIN_PATH");
	const char *builtin = secure_getenv("PCRUN_PLUGIN_DIR");
	size_t most = 3 + n_extra;
	bool ok = true;

	*path = (struct loader_path){0};
	if (!list)
		list = "";
	if (!builtin || *builtin == '\0')
		builtin = PCRUN_PLUGIN_DIR_BUILTIN;
	for (const char *c = list; *c; c++)
		most += *c == ':';
	path->dirs = calloc(most, sizeof(*path->dirs));
	path->claims = calloc(1, sizeof(*path->claims));
	if (!path->dirs || !path->claims)
		goto fail;
	if (graph_dir)
		ok = add_dir(path, graph_dir, strlen(graph_dir));
	for (size_t i = 0; i < n_extra && ok; i++)
		ok = add_dir(path, extra[i], strlen(extra[i]));
	while (*list && ok) {
		size_t n = strcspn(list, ":");

		ok = add_dir(path, list, n);
		list += n + (list[n] == ':');
	}
	if (ok && add_dir(path, builtin, strlen(builtin)))
		return true;
fail:
	loader_path_fini(path);
	return false;
}

void loader_path_fini(struct loader_path *path)
{
	for (size_t i = 0; i < path->n_dirs; i++) {
		char *dir;

		memcpy(&dir, &path->dirs[i], sizeof(dir)); /* it is ours: see add_dir() */
		free(dir);
	}
	free(path->dirs);
	if (path->claims)
		claim_drop_all(path->claims);
	free(path->claims);
	*path = (struct loader_path){0};
}

static int is_plugin_file(const struct dirent *entry)
{
	size_t n = strlen(entry->d_name);

	return entry->d_name[0] != '.' && n > 3 && strcmp(entry->d_name + n - 3, ".so") == 0;
}

/* By bytes, whatever the locale. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

void loader_each(const struct loader_path *path, loader_each_fn *each, void *user)
{
	for (size_t i = 0; i < path->n_dirs; i++) {
		struct dirent **entries;
		int n = scandir(path->dirs[i], &entries, is_plugin_file, by_name);

		if (n < 0)
			continue; /* not there, or not ours to read: nothing can be found in it */
		for (int k = 0; k < n; k++) {
			struct buf file = {0};

			buf_addf(&file, "%s/%s", path->dirs[i], entries[k]->d_name);
			entries[k]->d_name[strlen(entries[k]->d_name) - 3] = '\0';
			if (!file.failed)
				each(user, path->dirs[i], entries[k]->d_name, file.text);
			buf_fini(&file);
			free(entries[k]);
		}
		free(entries);
	}
}
