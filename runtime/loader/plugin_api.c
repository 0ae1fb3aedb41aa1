/* loader/plugin_api.c: the pc_plugin_… calls of pcrun.h, and pc_version().
 *
 * For programs that want to look at plugins without running them: `pcrun inspect`, `pcrun list`. */
#include "base/error.h"
#include "loader/loader.h"

#include <stdlib.h>
#include <string.h>

struct pc_plugin {
	struct loader_plugin *loaded;
};

/* The caller's struct may be an older, shorter one. */
static bool path_from_options(struct loader_path *path, const struct pc_load_options *options)
{
	if (!options || options->size < offsetof(struct pc_load_options, n_plugin_dirs) +
	                                        sizeof(options->n_plugin_dirs))
		return loader_path_init(path, NULL, NULL, 0);
	return loader_path_init(path, NULL, options->plugin_dirs, options->n_plugin_dirs);
}

int pc_plugin_open(struct pc_plugin **ret_plugin, const char *name_or_file,
                   const struct pc_load_options *options, struct pc_error **ret_err)
{
	struct pc_plugin *plugin = calloc(1, sizeof(*plugin));
	struct loader_path path;
	int r;

	*ret_plugin = NULL;
	if (!plugin || !path_from_options(&path, options)) {
		free(plugin);
		return error_set(ret_err, PC_NOMEM, "no memory to load %s", name_or_file);
	}
	r = loader_open(&plugin->loaded, &path, name_or_file, NULL, ret_err);
	loader_path_fini(&path);
	if (r == PC_OK)
		*ret_plugin = plugin;
	else
		free(plugin);
	return r;
}

void pc_plugin_close(struct pc_plugin *plugin)
{
	if (!plugin)
		return;
	loader_close(plugin->loaded);
	free(plugin);
}

const struct pc_stage_desc *pc_plugin_desc(const struct pc_plugin *plugin)
{
	return plugin->loaded->desc;
}

const char *pc_plugin_file(const struct pc_plugin *plugin)
{
	return plugin->loaded->file;
}

bool pc_plugin_finding(const struct pc_plugin *plugin, size_t index,
                       struct pc_finding_row *ret_row, size_t size)
{
	const struct loader_lint *lint = &plugin->loaded->lint;
	struct pc_finding_row row;

	if (index >= lint->n)
		return false;
	row = (struct pc_finding_row){.weight = lint->findings[index].weight - LOADER_REFUSED +
	                                        PC_FINDING_REFUSED,
	                              .name = lint->findings[index].name,
	                              .text = lint->findings[index].text,
	                              .fix = lint->findings[index].fix};
	memcpy(ret_row, &row, size < sizeof(row) ? size : sizeof(row));
	return true;
}

struct listing {
	pc_plugin_fn *each;
	void *user;
	char **seen; /* names */
	size_t n_seen, room;
	bool failed; /* no memory */
};

static bool is_seen(struct listing *l, const char *name)
{
	for (size_t i = 0; i < l->n_seen; i++)
		if (strcmp(l->seen[i], name) == 0)
			return true;
	if (l->n_seen == l->room) {
		size_t room = l->room ? 2 * l->room : 64;
		char **seen = realloc(l->seen, room * sizeof(*seen));

		if (!seen) {
			l->failed = true;
			return false;
		}
		l->seen = seen;
		l->room = room;
	}
	l->seen[l->n_seen] = strdup(name);
	if (l->seen[l->n_seen])
		l->n_seen++;
	else
		l->failed = true;
	return false;
}

/* Each file is opened as it would be by its name, were its directory the only one. */
static void list_one(void *user, const char *dir, const char *name, const char *file)
{
	const char *dirs[] = {dir};
	const struct loader_path only = {.dirs = dirs, .n_dirs = 1};
	struct listing *l = user;
	struct pc_plugin plugin = {NULL};
	struct pc_error *err = NULL;
	bool shadowed = is_seen(l, name);

	if (l->failed)
		return;
	if (loader_open(&plugin.loaded, &only, name, NULL, &err) == PC_OK)
		l->each(l->user, file, &plugin, shadowed, NULL);
	else
		l->each(l->user, file, NULL, shadowed, err);
	loader_close(plugin.loaded);
	pc_error_free(err);
}

int pc_plugin_list(const struct pc_load_options *options, pc_plugin_fn *each, void *user,
                   struct pc_error **ret_err)
{
	struct listing l = {.each = each, .user = user};
	struct loader_path path;

	if (!path_from_options(&path, options))
		return error_set(ret_err, PC_NOMEM, "no memory to list plugins");
	loader_each(&path, list_one, &l);
	loader_path_fini(&path);
	for (size_t i = 0; i < l.n_seen; i++)
		free(l.seen[i]);
	free(l.seen);
	return l.failed ? error_set(ret_err, PC_NOMEM, "no memory to list plugins") : PC_OK;
}

const char *pc_version(void)
{
	return PCRUN_VERSION;
}
