/* engine/text.h: a graph's text, read and checked; and the graph of <pcrun/pcrun.h>.
 *
 * For embed.c and reload-embed.c. The first text stays until the graph is freed: rows of its plan,
 * and strings in states, point into it. Of those that a reload brings, the newest stays.
 */
#ifndef ENGINE_TEXT_H
#define ENGINE_TEXT_H

#include "base/diag.h"
#include "lang/lang.h"
#include "loader/loader.h"
#include "plan/plan.h"

#include <pcrun/pcrun.h>

#include <pthread.h>
#include <stdatomic.h>

struct text {
	struct diag_list diags;
	struct lang_tree tree;
	struct loader_path path;
	struct plan plan;
	bool has_tree, has_path, has_plan;
};

struct pc_graph {
	struct text *text; /* the newest in force; when started under the engine's `shape` */
	struct text *first;
	struct pc_load_options options; /* copies */
	char *file; /* it was read from; NULL: from a text or standard input */
	struct engine *engine;
	bool started;
	pthread_mutex_t reloading;
	_Atomic uint32_t reloads; /* [any] asked for so far */
	struct pc_graph *kept;    /* the one before it that could not be freed: see embed.c */
};

/* Parses and plans. PC_OK: *ret is whole, and *err may have warnings. PC_WRONG: all mistakes are
 * in *err. PC_INVALID, PC_NOMEM. */
int text_load(struct text **ret, const char *name, const char *bytes, size_t size,
              const char *dir, const struct pc_load_options *options, struct pc_error **err);
/* The same from a file, "-" being standard input. Also PC_ERROR: it can't be read. */
int text_load_file(struct text **ret, const char *path, const struct pc_load_options *options,
                   struct pc_error **err);
bool text_wants_copies(const struct pc_load_options *options);
void text_free(struct text *text);

#endif
