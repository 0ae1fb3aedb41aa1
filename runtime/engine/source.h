/* engine/source.h: reading graph files and what they include, for embed.c. Control thread only. */
#ifndef ENGINE_SOURCE_H
#define ENGINE_SOURCE_H

#include <pcrun/pcrun.h>

#include <stdbool.h>
#include <stddef.h>

/* "-" is standard input. *ret_text is malloc'd. PC_OK, PC_ERROR with the reason, PC_NOMEM. */
int source_read(const char *path, char **ret_text, size_t *ret_size, struct pc_error **err);
/* The folder a file is in, "." for one without; malloc'd. */
char *source_dir(const char *path);
/* A lang_include_fn: relative paths start at the including file's folder. */
bool source_include(void *user, const char *from, const char *path, char **ret_name,
                    char **ret_text, size_t *ret_size, char **ret_reason);

#endif
