/* loader/loader.h: finds plugin files, refuses the broken ones with their true cause, loads the rest.
 *
 * Control thread only, where it does not say otherwise. Files are looked at as bytes first (ELF
 * header, segments and sections inside the file, machine, type, the symbol pc_stage_v1, undefined
 * symbols nobody has), so that a truncated or foreign file is a message and not a signal; dlopen
 * comes last, always RTLD_NOW|RTLD_LOCAL, mxcsr saved. Knows nothing of graphs and threads.
 */
#ifndef LOADER_LOADER_H
#define LOADER_LOADER_H

#include "base/arena.h"
#include "base/buf.h"
#include "loader/image.h"

#include <pcrun/pcrun.h>
#include <pcrun/stage.h>

/* Where to look, in order: the graph's directory (may be NULL), -L, PCRUN_PLUGIN_PATH, the
 * directory built in (<libdir>/pcrun; in the build tree PCRUN_PLUGIN_DIR of the environment wins). */
struct loader_claim;
struct loader_path {
	const char **dirs;
	size_t n_dirs;
	/* What was opened through this path, the newest first: asking again costs no system call,
	 * and two files that claim one stage name are found. Holds a reference to each. */
	struct loader_claim **claims;
	/* Load private copies, so that a rebuild in place does not touch what runs. */
	bool private_copies;
};

/* False: no memory (nothing to be finished then). */
bool loader_path_init(struct loader_path *path, const char *graph_dir, const char *const *extra,
                      size_t n_extra);
void loader_path_fini(struct loader_path *path);

/* Which of two plugins comes first on the path, or whether a name is shadowed, is up to the order
 * of `dirs`; a directory that is named twice counts at its first place only. */

/* What the file of a build tells about swapping it (lint.h), the weightiest first. */
enum loader_weight {
	LOADER_REFUSED, /* can not be swapped in */
	LOADER_STAYS,   /* can, but not be unloaded again */
	LOADER_CARE     /* can, if its author takes care */
};

/* What has to be looked for before it is unloaded. */
enum loader_trait {
	LOADER_THREADS = 1 << 0,
	LOADER_KEYS = 1 << 1,
	LOADER_TIMERS = 1 << 2,
	LOADER_ON_EXIT = 1 << 3,
	LOADER_OTHER_RCU = 1 << 4
};

struct loader_finding {
	int weight;       /* enum loader_weight */
	unsigned trait;   /* enum loader_trait, or 0 */
	const char *name; /* "static-tls" */
	const char *text; /* a sentence: what it is, and what comes of it */
	const char *fix;  /* what to do about it */
};

enum { LOADER_FIRST_MAX = 16 };

struct loader_lint {
	struct loader_finding *findings;
	size_t n;
	unsigned traits;
	const char *first[LOADER_FIRST_MAX]; /* libraries to be loaded before it */
	size_t n_first;
};

/* One loaded build. `desc` is the loader's own normalised copy: sized to this host's struct,
 * tables copied row by row with this host's row size, NULL docs turned into "", so that readers
 * need no ABI checks. Reference counted. */
struct loader_plugin {
	const struct pc_stage_desc *desc;
	const char *file;   /* as found: what messages name */
	const char *loaded; /* what was dlopened: the compiled .so of a .c, or a private copy */
	void *handle;
	struct image image;
	uint64_t code;  /* which code it is: elf_code() */
	uint64_t lines; /* and which debug information its file has; 0: none */
	struct loader_lint lint;
	unsigned refs;
};

/* By name: DIR/NAME.so on the path; the descriptor must say NAME. By file (contains a slash): .so,
 * or .c, compiled by the system's compiler ($CC, else cc) into $XDG_CACHE_HOME/pcrun; a relative
 * one is sought from `relative_to`, a directory (NULL: the working directory). `path` may be NULL
 * for a file: then nothing is remembered.
 * PC_OK; PC_ERROR: no such file (places searched are in the text, and near names as a hint);
 * PC_WRONG: refused, with the cause; PC_NOMEM. */
int loader_open(struct loader_plugin **ret, const struct loader_path *path,
                const char *name_or_file, const char *relative_to, struct pc_error **err);
/* Gives a reference back. The last one unloads the build, unless it has left something behind that
 * needs its code: then it stays. NULL is fine. */
void loader_close(struct loader_plugin *plugin);

/* The same for one that waits for its author to clean up, and wants to know. [any] thread. */
enum loader_end {
	LOADER_GONE,   /* unloaded; or in use elsewhere */
	LOADER_LOADED, /* given back, but still there: `why`, or a sanitizer's build: nothing */
	LOADER_LEFT    /* not given back: `why` says what it has left behind; ask again */
};
enum loader_end loader_unload(struct loader_plugin *plugin, struct buf *why);

/* The same in two steps, for a build that is to take the place of another: between them somebody
 * may try it elsewhere. First everything that can be found out about the file without running it,
 * and a private copy, named after the stage and the number of the build; then the loading.
 * [any] thread. Codes as above. */
struct loader_copy {
	char *file;           /* what messages name */
	char *path;           /* of the copy */
	uint64_t code, lines; /* as of a plugin */
	struct arena arena;   /* of the findings */
	struct loader_lint lint;
};
int loader_copy_make(struct loader_copy *ret, const char *file, const char *stage,
                     unsigned number, struct pc_error **err);
/* May it stand in for a build that runs? PC_OK; PC_WRONG: no, for what the lint has found. */
int loader_copy_check(const struct loader_copy *copy, struct pc_error **err);
/* Takes the copy over, in any case. */
int loader_copy_open(struct loader_plugin **ret, struct loader_copy *copy,
                     struct pc_error **err);
void loader_copy_drop(struct loader_copy *copy); /* zeros are fine */

/* `other` is a newer build of the same code, which nobody needs: only lines have moved. From now
 * on whoever opens the file of `plugin` by its name, as a debugger does, finds the debug
 * information of `other`. What is mapped stays untouched, and keeps a name as well (copy.h). False:
 * nothing was done: not the same code, no other lines, not private copies, or the file system can
 * not do it. Control thread. */
bool loader_refresh(struct loader_plugin *plugin, const struct loader_plugin *other);

/* For another process that tries such a copy: loads it as it lies there. */
int loader_open_as(struct loader_plugin **ret, const char *path, const char *file,
                   struct pc_error **err);

/* What killed processes have left; once in a process. */
void loader_sweep(void);

/* Names of all plugins on the path, for "did you mean" and `pcrun list`: files, unopened; by
 * directory, then by name. */
typedef void loader_each_fn(void *user, const char *dir, const char *name, const char *file);
void loader_each(const struct loader_path *path, loader_each_fn *each, void *user);

#endif
