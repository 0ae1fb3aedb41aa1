/* loader/held.h: the builds that are loaded in this process. Any thread (a lock inside). */
#ifndef LOADER_HELD_H
#define LOADER_HELD_H

#include "loader/loader.h"

/* Opens `loaded`, a shared object, as it lies there, or finds it open. `file` is what messages
 * name. PC_OK; PC_WRONG: refused, with the cause; PC_ERROR: not there; PC_NOMEM. */
int held_open(struct loader_plugin **ret, const char *loaded, const char *file,
              struct pc_error **err);

/* Opens a private copy whose bytes have been checked. When it succeeds, path and findings are the
 * plugin's. */
int held_open_copy(struct loader_plugin **ret, struct loader_copy *copy, struct pc_error **err);

/* One more reference; returns the plugin. */
struct loader_plugin *held_ref(struct loader_plugin *plugin);

#endif
