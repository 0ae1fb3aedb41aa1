/* cli/crash-probe.c: the item at which a new build crashed in its probe is saved.
 *
 * Called by the thread of the job that asked for the swap; the graph runs on and nothing is broken,
 * so the directory is looked for anew (somebody may have removed it, or made room), and another
 * file is used than the one that stands ready for a crash of the graph itself. */
#include "cli/crash-item.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* A limit on the size of files is an error of the write then, and no end of the graph. For as long
 * as the thread lives, since one that has come stays pending. */
static void block_limit(void)
{
	sigset_t limit;

	sigemptyset(&limit);
	sigaddset(&limit, SIGXFSZ);
	pthread_sigmask(SIG_BLOCK, &limit, NULL);
}

static char *path_of(const struct crash_dir *dir, const char *name)
{
	size_t n = strlen(dir->path), size = n + strlen(name) + 2;
	char *path = malloc(size);

	if (path) {
		memcpy(path, dir->path, n);
		path[n] = '/';
		memcpy(path + n + 1, name, size - n - 1);
	}
	return path;
}

char *crash_probe_save(const struct pc_crash_item *item, struct crash_text *said)
{
	struct crash_file *f = malloc(sizeof(*f));
	char name[NAME_MAX + 1], *path = NULL;
	size_t size;

	crash_add(said, "  item ");
	crash_add_number(said, item->number);
	crash_add(said, " of '");
	crash_add(said, item->queue);
	crash_add(said, "'");
	if (!f) {
		crash_add(said, " could not be saved: out of memory\n");
		return NULL;
	}
	block_limit();
	crash_file_open(f);
	if (f->dir.fd < 0) {
		crash_add_lost(said, &f->dir, 0);
	} else if (crash_file_save(f, item, true, name, &size)) {
		crash_add_saved(said, item, f->dir.path, name, size);
		path = path_of(&f->dir, name);
		/* With room for one more, in case that the graph crashes. */
		crash_dir_prune(&f->dir);
	} else {
		crash_add_lost(said, &f->dir, errno);
	}
	crash_add(said, "\n");
	crash_file_close(f);
	free(f);
	return path;
}
