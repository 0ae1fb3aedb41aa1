/* loader/dl.h: dlopen(), with its messages in plain words. Any thread. */
#ifndef LOADER_DL_H
#define LOADER_DL_H

#include "base/error.h"

/* `path` has a slash in it; `file` is what messages name. PC_OK, PC_WRONG. */
int dl_open(void **ret_handle, const char *path, const char *file, struct pc_error **err);

#endif
