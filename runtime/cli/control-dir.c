/* cli/control-dir.c: where control sockets are, how one gets there, and which of them are alive.
 *
 * $PCRUN_CONTROL_DIR, if it is set, and no other; else $XDG_RUNTIME_DIR/pcrun, /run/user/UID/pcrun,
 * /tmp/pcrun-UID: the first that is the user's own and that nobody else may write to. A server
 * takes that one; who looks for servers looks into all, since the other one may have been started
 * with another environment.
 *
 * A name appears by rename(), when somebody listens behind it: so a socket that refuses a
 * connection belongs to a process that is gone, and whoever finds it removes it. Addresses go
 * through /proc/self/fd, because a path may be longer than an address has room for. */
#include "cli/control.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { N_PLACES = 3, BACKLOG = 64, HALF_MADE_S = 60 };

static bool is_ours(const struct stat *st)
{
	return S_ISDIR(st->st_mode) && st->st_uid == geteuid() && (st->st_mode & 022) == 0;
}

/* A runtime directory that sudo has left behind is another user's. */
static bool is_runtime_dir(const char *dir)
{
	struct stat st;

	return dir && *dir == '/' && stat(dir, &st) == 0 && is_ours(&st);
}

/* False: this place does not exist for the user. */
static bool place(int n, char path[PATH_MAX])
{
	const char *only = getenv("PCRUN_CONTROL_DIR"), *runtime = getenv("XDG_RUNTIME_DIR");
	unsigned uid = (unsigned)geteuid();
	char standard[48];

	snprintf(standard, sizeof(standard), "/run/user/%u", uid);
	if (only && *only)
		return n == 0 && snprintf(path, PATH_MAX, "%s", only) < PATH_MAX;
	if (n == 0)
		return is_runtime_dir(runtime) &&
		       snprintf(path, PATH_MAX, "%s/pcrun", runtime) < PATH_MAX;
	if (n == 1)
		return is_runtime_dir(standard) &&
		       snprintf(path, PATH_MAX, "%s/pcrun", standard) < PATH_MAX;
	return snprintf(path, PATH_MAX, "/tmp/pcrun-%u", uid) < PATH_MAX;
}

/* A descriptor of the directory, or -1 with *ret_reason. */
static int open_place(int n, bool make, char path[PATH_MAX], const char **ret_reason)
{
	struct stat st;
	int fd;

	*ret_reason = NULL;
	errno = 0;
	if (!place(n, path))
		return -1;
	if (make && mkdir(path, 0700) < 0 && errno != EEXIST) {
		*ret_reason = strerror(errno);
		return -1;
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		*ret_reason = strerror(errno);
		return -1;
	}
	if (fstat(fd, &st) == 0 && is_ours(&st))
		return fd;
	*ret_reason = "somebody else owns it, or may write to it";
	close(fd);
	errno = EACCES;
	return -1;
}

static bool set_address(struct sockaddr_un *address, int dir_fd, const char *name)
{
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	return (size_t)snprintf(address->sun_path, sizeof(address->sun_path),
	                        "/proc/self/fd/%d/%s", dir_fd,
	                        name) < sizeof(address->sun_path);
}

void control_graph_name(const char *file, char *name, size_t size)
{
	const char *base = strrchr(file, '/');
	const char *dot;
	size_t n;

	base = base ? base + 1 : file;
	if (strcmp(file, "-e") == 0)
		base = "text";
	else if (strcmp(file, "<stdin>") == 0 || strcmp(file, "-") == 0)
		base = "stdin";
	dot = strrchr(base, '.');
	n = dot && dot > base ? (size_t)(dot - base) : strlen(base);
	n = n < size ? n : size - 1;
	memcpy(name, base, n);
	name[n] = '\0';
}

/* A name of a file that needs no quotes anywhere. */
static void socket_name(const char *file, char *name, size_t size)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
	char graph[64];

	control_graph_name(file, graph, sizeof(graph) - 16);
	for (char *c = graph; *c; c++)
		if (!strchr(plain, *c) && (c == graph || (*c != '-' && *c != '.')))
			*c = '_';
	snprintf(name, size, "%s-%d.sock", graph, (int)getpid());
}

/* False: errno. */
static bool listen_at(struct control_socket *s)
{
	struct sockaddr_un address;
	char half[160];

	/* Nothing connects to a name that begins with a dot, and nobody before it listens. */
	snprintf(half, sizeof(half), ".%s", s->name);
	if (!set_address(&address, s->dir_fd, half)) {
		errno = ENAMETOOLONG;
		return false;
	}
	unlinkat(s->dir_fd, half, 0);
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd < 0)
		return false;
	if (bind(s->fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
	    fchmodat(s->dir_fd, half, 0600, 0) == 0 && listen(s->fd, BACKLOG) == 0 &&
	    renameat(s->dir_fd, half, s->dir_fd, s->name) == 0)
		return true;
	int saved = errno;
	close(s->fd);
	unlinkat(s->dir_fd, half, 0);
	errno = saved;
	return false;
}

/* ------------------------------------------------------------------------------ looking --- */

static bool ends_in(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n > m && strcmp(text + n - m, end) == 0;
}

/* A connection, or -1; what nobody listens on is removed. */
static int connect_or_remove(int dir_fd, const char *name, int *error)
{
	struct timespec now;
	struct sockaddr_un address;
	struct stat st;
	int fd;

	if (!set_address(&address, dir_fd, name) ||
	    fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISSOCK(st.st_mode))
		return -1;
	if (name[0] == '.') {
		/* Half made: by somebody who is at it, or has died at it. */
		clock_gettime(CLOCK_REALTIME, &now);
		if (now.tv_sec - st.st_mtim.tv_sec > HALF_MADE_S)
			unlinkat(dir_fd, name, 0);
		return -1;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		*error = errno;
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	if (fd >= 0 && errno == ECONNREFUSED)
		unlinkat(dir_fd, name, 0);
	if (fd >= 0)
		close(fd);
	return -1;
}

static void each_in(int dir_fd, const char *dir, void (*each)(void *, int, const char *),
                    void *user, int *error)
{
	int again = fcntl(dir_fd, F_DUPFD_CLOEXEC, 0);
	DIR *entries = again < 0 ? NULL : fdopendir(again);
	const struct dirent *entry;

	if (!entries) {
		*error = errno;
		if (again >= 0)
			close(again);
	}
	while (entries && (entry = readdir(entries))) {
		char path[PATH_MAX + sizeof(entry->d_name) + 1];
		int fd;

		if (!ends_in(entry->d_name, ".sock"))
			continue;
		fd = connect_or_remove(dir_fd, entry->d_name, error);
		if (fd < 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		each(user, fd, path);
	}
	if (entries)
		closedir(entries);
}

int control_each(void (*each)(void *user, int fd, const char *path), void *user)
{
	struct stat seen[N_PLACES];
	const char *reason;
	char dir[PATH_MAX];
	int n_seen = 0, error = 0;

	for (int n = 0; n < N_PLACES; n++) {
		int fd = open_place(n, false, dir, &reason);
		bool again = false;

		/* Where there is none, or it is nobody's business, there are no graphs of ours. */
		if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM))
			error = errno;
		if (fd < 0)
			continue;
		if (fstat(fd, &seen[n_seen]) == 0) {
			for (int i = 0; i < n_seen; i++)
				again |= seen[i].st_dev == seen[n_seen].st_dev &&
				         seen[i].st_ino == seen[n_seen].st_ino;
			if (!again) {
				n_seen++;
				each_in(fd, dir, each, user, &error);
			}
		}
		close(fd);
	}
	return error;
}

/* ----------------------------------------------------------------------------- listening --- */

static void hang_up(void *user, int fd, const char *path)
{
	(void)user;
	(void)path;
	close(fd);
}

bool control_bind(struct control_socket *s, const char *file, const char **ret_reason)
{
	const char *reason;

	*ret_reason = "there is no directory for it";
	(void)control_each(hang_up, NULL); /* removes what others have left behind */
	socket_name(file, s->name, sizeof(s->name));
	for (int n = 0; n < N_PLACES; n++) {
		s->dir_fd = open_place(n, true, s->dir, &reason);
		if (s->dir_fd >= 0) {
			if (listen_at(s))
				return true;
			reason = strerror(errno);
			close(s->dir_fd);
		}
		if (reason)
			*ret_reason = reason;
	}
	s->fd = s->dir_fd = -1;
	return false;
}

void control_unbind(struct control_socket *s)
{
	if (s->fd < 0)
		return;
	unlinkat(s->dir_fd, s->name, 0);
	close(s->fd);
	close(s->dir_fd);
	s->fd = s->dir_fd = -1;
}
