/* cli/crash-item.h: the item that crashed a stage, or a new build of it in its probe, is saved for
 * `pcrun replay`.
 *
 * The file. Lines `key: value` with \\ and \n for what would break a line, an empty line, the item's
 * bytes. The first line is the magic; keys that a reader does not know it passes over:
 *   stage, port     which stage, and at which of its inputs
 *   queue, number   the queue that it was taken from, and its number there
 *   build, file     the number of the build, and the file that it was swapped in from, if it was
 *   refused         why that build never ran: a replay swaps it in, since the graph does not name it
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

/* crash-dir.c. Main thread, and that of a job. */
struct crash_dir {
	int fd; /* -1: there is none, because of */
	char reason[PATH_MAX + 64];
	char path[PATH_MAX];
};
void crash_dir_open(struct crash_dir *dir);
void crash_dir_prune(const struct crash_dir *dir);

/* crash-text.c. [any], async-signal-safe. What does not fit is cut off. */
struct crash_text {
	char *bytes;
	size_t room, n;
};
void crash_add(struct crash_text *t, const char *string); /* NULL is fine */
void crash_add_number(struct crash_text *t, uint64_t number);
/* The file's first lines. `refused`: in its probe. */
void crash_add_head(struct crash_text *t, const struct pc_crash_item *item, bool refused);
/* Of the file; `again`: there are that many of them. */
void crash_add_name(struct crash_text *t, const struct pc_crash_item *item, unsigned again);
/* " is saved, …", and by what command it comes again; `size` bytes of it are. */
void crash_add_saved(struct crash_text *t, const struct pc_crash_item *item, const char *dir,
                     const char *name, size_t size);
/* " could not be saved: …". `error`: 0 when there is no directory. */
void crash_add_lost(struct crash_text *t, const struct crash_dir *dir, int error);

/* crash-file.c */
struct crash_file {
	struct crash_dir dir;
	int fd;      /* without a name yet; -1: it is made when it is written */
	int reserve; /* given up for it then */
};
/* Main thread, before the graph starts. False: no memory (said): nothing can be saved. */
bool crash_file_prepare(const struct args *args);
void crash_file_open(struct crash_file *f);
void crash_file_close(struct crash_file *f);
/* Once. Async-signal-safe. The file has its name, and so many bytes of the item. False: errno;
 * EFAULT: of the item. */
bool crash_file_save(struct crash_file *f, const struct pc_crash_item *item, bool refused,
                     char name[NAME_MAX + 1], size_t *ret_size);

/* crash-item.c */
void crash_item_prepare(const struct args *args); /* main thread, before the graph starts */
void crash_item_save(void); /* in the handler of a crash; says what became of it */

/* crash-probe.c. The thread of a job. The file's path, malloc'd; NULL: it was not saved. `said`
 * gets a line about it. */
char *crash_probe_save(const struct pc_crash_item *item, struct crash_text *said);

#endif
