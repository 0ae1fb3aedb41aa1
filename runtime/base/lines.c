/* base/lines.c: see lines.h. Called by whoever tells of a failure, on any thread.
 *
 * addr2line is a process of its own, so that nothing it does to read a file that may be anything
 * can harm this one. It is given that file and numbers, and is ended when its time is over. */
#include "base/lines.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* Zero, or why not: an errno. */
static int spawn_addr2line(pid_t *ret, const char *object, const uint64_t *offsets, unsigned n,
                           int out)
{
	char file[] = "-e", names[] = "-fC", command[] = "addr2line", *copy = strdup(object);
	char *words[LINES_MAX + 6] = {command, names, file, copy};
	char texts[LINES_MAX][24];
	posix_spawn_file_actions_t files;
	int rc;

	for (unsigned i = 0; i < n; i++) {
		snprintf(texts[i], sizeof(texts[i]), "0x%" PRIx64, offsets[i]);
		words[4 + i] = texts[i];
	}
	posix_spawn_file_actions_init(&files);
	rc = posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	rc = rc ? rc : posix_spawn_file_actions_adddup2(&files, out, 1);
	rc = rc ? rc : posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
	rc = rc ? rc : copy ? posix_spawnp(ret, command, &files, NULL, words, environ) : ENOMEM;
	posix_spawn_file_actions_destroy(&files);
	free(copy);
	return rc;
}

/* Reads until its end, or until the time is over. */
static size_t read_some(int fd, char *to, size_t room)
{
	int64_t until = clock_now_ns() + LINES_NS;
	size_t size = 0;

	while (size < room - 1) {
		struct pollfd readable = {.fd = fd, .events = POLLIN};
		int64_t left = until - clock_now_ns();
		ssize_t n = 0;

		if (left > 0 && poll(&readable, 1, (int)(left / PC_MS) + 1) > 0)
			n = read(fd, to + size, room - 1 - size);
		if (n <= 0)
			break;
		size += (size_t)n;
	}
	to[size] = '\0';
	return size;
}

static enum lines_end ask(char *text, size_t room, const char *object, const uint64_t *offsets,
                          unsigned n)
{
	enum lines_end end = LINES_NONE;
	int ends[2], status, rc;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return LINES_NONE;
	rc = spawn_addr2line(&pid, object, offsets, n, ends[1]);
	close(ends[1]);
	if (rc == 0) {
		end = read_some(ends[0], text, room) > 0 ? LINES_FOUND : LINES_NONE;
		kill(pid, SIGKILL);
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			continue;
	} else if (rc == ENOENT || rc == EACCES) {
		end = LINES_NO_TOOL;
	}
	close(ends[0]);
	return end;
}

static char *cut_line(char **text)
{
	char *line = *text;
	size_t n = strcspn(line, "\n");

	if (!*line)
		return NULL;
	*text = line[n] ? line + n + 1 : line + n;
	line[n] = '\0';
	return line;
}

enum lines_end lines_find(struct lines *ret, const char *object, const uint64_t *offsets,
                          unsigned n)
{
	enum lines_end end;
	char *at = ret->text;

	memset(ret, 0, sizeof(*ret));
	n = n < LINES_MAX ? n : LINES_MAX;
	end = n > 0 ? ask(ret->text, sizeof(ret->text), object, offsets, n) : LINES_NONE;
	/* Two lines for each: the function, and file:line; "??" where it knows nothing. */
	for (unsigned i = 0; i < n && end == LINES_FOUND; i++) {
		char *function = cut_line(&at), *place = cut_line(&at);

		if (function && function[0] != '?')
			ret->of[i].function = function;
		if (place && strstr(place, " (discriminator"))
			*strstr(place, " (discriminator") = '\0';
		if (place && !strchr(place, '?'))
			ret->of[i].place = place;
	}
	return end;
}
