/* loader/dl.h: dlopen(), with its messages in plain words. Any thread. */
#ifndef LOADER_DL_H
#define LOADER_DL_H

#include "loader/loader.h"

/* plugin->loaded, which has a slash in it, becomes plugin->handle; plugin->file is what messages
 * name. PC_OK, PC_WRONG. */
int dl_open(struct loader_plugin *plugin, struct pc_error **err);
void dl_close(struct loader_plugin *plugin);

/* What the calling thread is at, for a report of its crash: constructors or destructors of a plugin
 * run. In a signal handler, too. */
struct dl_work {
	const char *file; /* NULL: neither */
	bool loading;
};
struct dl_work dl_now(void);

#endif
