/* cli/crash-item.h: the item that crashed a stage is saved, for `pcrun replay`.
 *
 * The file. Lines `key: value` with \\ and \n for what would break a line, an empty line, the item's
 * bytes. The first line is the magic; keys that a reader does not know it passes over:
 *   stage, port     which stage, and at which of its inputs
 *   queue, number   the queue that it was taken from, and its number there
 *   build, file     the number of the build, and the file that it was swapped in from, if it was
 *   size            of the item, bytes; fewer follow when not all could be saved
 *   directory       where pcrun ran; relative names are meant from there
 *   graph | text    the graph's file, or the text of -e
 *   define, path    of each -D and -L, in their order
 */
#ifndef CLI_CRASH_ITEM_H
#define CLI_CRASH_ITEM_H

#include "cli/cli.h"

#include <limits.h>
#include <stddef.h>

#define CRASH_ITEM_MAGIC "pcrun-item 1"
#define CRASH_ITEM_BYTES ((size_t)16 << 20) /* of an item, more are not saved */

enum { CRASH_ITEM_FILES = 16 /* are kept */ };

/* crash-dir.c. Main thread. */
struct crash_dir {
	int fd; /* -1: there is none, because of */
	char reason[PATH_MAX + 64];
	char path[PATH_MAX];
};
void crash_dir_open(struct crash_dir *dir);
void crash_dir_prune(const struct crash_dir *dir);

/* crash-item.c */
void crash_item_prepare(const struct args *args); /* main thread, before the graph starts */
void crash_item_save(void); /* in the handler of a crash; says what became of it */

#endif
