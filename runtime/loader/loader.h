/* loader/loader.h: finds plugin files, refuses the broken ones with their true cause, loads the rest.
 *
 * Control thread only. Files are looked at as bytes first (ELF header, segments and sections
 * inside the file, machine, type, the symbol pc_stage_v1, undefined symbols nobody has), so that
 * a truncated or foreign file is a message and not a signal; dlopen comes last, always
 * RTLD_NOW|RTLD_LOCAL, mxcsr saved. Knows nothing of graphs and threads.
 */
#ifndef LOADER_LOADER_H
#define LOADER_LOADER_H

#include "base/buf.h"

#include <pcrun/pcrun.h>
#include <pcrun/stage.h>

/* Where to look, in order: the graph's directory (may be NULL), -L, PCRUN_PLUGIN_PATH, the
 * directory built in (<libdir>/pcrun; in the build tree PCRUN_PLUGIN_DIR of the environment wins). */
struct loader_path {
	const char **dirs;
	size_t n_dirs;
};

bool loader_path_init(struct loader_path *path, const char *graph_dir, const char *const *extra,
                      size_t n_extra);
void loader_path_fini(struct loader_path *path);

/* One loaded build. `desc` is the loader's own normalised copy: sized to this host's struct,
 * tables copied row by row with this host's row size, NULL docs turned into "", so that readers
 * need no ABI checks. Reference counted. */
struct loader_plugin {
	const struct pc_stage_desc *desc;
	const char *file;   /* as found: what messages name */
	const char *loaded; /* what was dlopened (the compiled .so of a .c) */
	void *handle;
	unsigned refs;
};

/* By name: DIR/NAME.so on the path; the descriptor must say NAME. By file (contains a slash): .so,
 * or .c, compiled by the system's compiler ($CC, else cc) into $XDG_CACHE_HOME/pcrun.
 * PC_OK; PC_ERROR: no such file (places searched are in the text, and near names as a hint);
 * PC_WRONG: refused, with the cause. */
int loader_open(struct loader_plugin **ret, const struct loader_path *path,
                const char *name_or_file, const char *relative_to, struct pc_error **err);
void loader_close(struct loader_plugin *plugin);

/* Names of all plugins on the path, for "did you mean" and `pcrun list`: files, unopened. */
typedef void loader_each_fn(void *user, const char *dir, const char *name, const char *file);
void loader_each(const struct loader_path *path, loader_each_fn *each, void *user);

#endif
