/* cli/crash-dir.c: where the items of crashes are kept, and how many.
 *
 * $PCRUN_CRASH_DIR, if it is set, and no other; else $XDG_STATE_HOME/pcrun/crash,
 * ~/.local/state/pcrun/crash, /tmp/pcrun-crash-UID: the first that can be made, is the user's own,
 * and that nobody else may write to. Items are what users work on, so others may not read them
 * either. The oldest go when a graph starts, and when the item of a probe is saved, never in a
 * crash. Main thread, and that of a job. */
#include "cli/crash-item.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { N_PLACES = 3, MOST_PRUNED = 256 };

/* A home that sudo has left in the environment is another user's. */
static bool is_ours(const char *base)
{
	struct stat st;

	return base && *base == '/' && (stat(base, &st) < 0 || st.st_uid == geteuid());
}

/* False: this place does not exist for the user. */
static bool place(int n, char path[PATH_MAX])
{
	const char *only = secure_getenv("PCRUN_CRASH_DIR");
	const char *state = secure_getenv("XDG_STATE_HOME"), *home = secure_getenv("HOME");

	if (only && *only)
		return n == 0 && snprintf(path, PATH_MAX, "%s", only) < PATH_MAX;
	if (n == 0)
		return is_ours(state) &&
		       snprintf(path, PATH_MAX, "%s/pcrun/crash", state) < PATH_MAX;
	if (n == 1)
		return is_ours(home) &&
		       snprintf(path, PATH_MAX, "%s/.local/state/pcrun/crash", home) < PATH_MAX;
	return snprintf(path, PATH_MAX, "/tmp/pcrun-crash-%u", (unsigned)geteuid()) < PATH_MAX;
}

/* Those on the way as well. What can not be made is found missing by who opens it. */
static void make_dirs(char *path)
{
	for (char *c = path + 1; *c; c++) {
		if (*c != '/')
			continue;
		*c = '\0';
		mkdir(path, 0700);
		*c = '/';
	}
	mkdir(path, 0700);
}

static int try_place(char *path, const char **ret_reason)
{
	struct stat st;
	int fd;

	make_dirs(path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		*ret_reason = strerror(errno);
		return -1;
	}
	if (fstat(fd, &st) < 0)
		*ret_reason = strerror(errno);
	else if (st.st_uid != geteuid() || (st.st_mode & 022) != 0)
		*ret_reason = "somebody else owns it, or may write to it";
	else if (faccessat(fd, ".", W_OK | X_OK, AT_EACCESS) < 0)
		*ret_reason = strerror(errno);
	else
		return fd;
	close(fd);
	return -1;
}

void crash_dir_open(struct crash_dir *dir)
{
	*dir->reason = '\0';
	for (int n = 0; n < N_PLACES; n++) {
		const char *reason;

		if (!place(n, dir->path))
			continue;
		dir->fd = try_place(dir->path, &reason);
		if (dir->fd >= 0)
			return;
		/* The user's own wish is worth more than what is left at last. */
		if (!*dir->reason)
			snprintf(dir->reason, sizeof(dir->reason), "%s: %s", dir->path, reason);
	}
	dir->fd = -1;
}

static bool is_item(const char *name)
{
	size_t n = strlen(name);

	return n > 5 && strcmp(name + n - 5, ".item") == 0;
}

/* How many there are; the oldest of them. */
static size_t look(int fd, char oldest[NAME_MAX + 1])
{
	int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *entries = again < 0 ? NULL : fdopendir(again);
	struct timespec time = {0};
	const struct dirent *entry;
	size_t n = 0;

	while (entries && (entry = readdir(entries))) {
		struct stat st;

		if (!is_item(entry->d_name) ||
		    fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (n++ > 0 &&
		    (st.st_mtim.tv_sec > time.tv_sec ||
		     (st.st_mtim.tv_sec == time.tv_sec && st.st_mtim.tv_nsec >= time.tv_nsec)))
			continue;
		time = st.st_mtim;
		snprintf(oldest, NAME_MAX + 1, "%s", entry->d_name);
	}
	if (entries)
		closedir(entries);
	else if (again >= 0)
		close(again);
	return n;
}

void crash_dir_prune(const struct crash_dir *dir)
{
	char oldest[NAME_MAX + 1];

	/* With room for the one that may come. */
	for (int i = 0; i < MOST_PRUNED; i++)
		if (look(dir->fd, oldest) < CRASH_ITEM_FILES ||
		    unlinkat(dir->fd, oldest, 0) < 0)
			return;
}
