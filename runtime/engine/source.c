/* engine/source.c: see source.h. A graph is text written by people: more than 64 MiB of it is
 * taken for a mistake (a data file given as a graph), and said so instead of read. */
#include "engine/source.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SOURCE_MAX ((size_t)64 << 20)

static const char no_memory[] = "out of memory";

/* Grows the text until the end of the file. A reason, or NULL when all went well. */
static const char *read_all(int fd, char **ret_text, size_t *ret_size)
{
	size_t room = 65536, size = 0;
	char *text = malloc(room);

	for (;;) {
		ssize_t n;

		if (!text)
			return no_memory;
		n = read(fd, text + size, room - size - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			free(text);
			return strerror(errno);
		}
		if (n == 0)
			break;
		size += (size_t)n;
		if (size > SOURCE_MAX) {
			free(text);
			return "it is larger than 64 MiB, too large for a graph file";
		}
		if (room - size < 2) {
			char *more = realloc(text, room *= 2);

			if (!more)
				free(text);
			text = more;
		}
	}
	text[size] = '\0';
	*ret_text = text;
	*ret_size = size;
	return NULL;
}

static const char *read_path(const char *path, char **ret_text, size_t *ret_size)
{
	const char *reason;
	struct stat st;
	int fd;

	if (strcmp(path, "-") == 0)
		return read_all(STDIN_FILENO, ret_text, ret_size);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return strerror(errno);
	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
		reason = "it is a directory";
	else
		reason = read_all(fd, ret_text, ret_size);
	close(fd);
	return reason;
}

int source_read(const char *path, char **ret_text, size_t *ret_size, struct pc_error **err)
{
	const char *reason = read_path(path, ret_text, ret_size);

	if (!reason)
		return PC_OK;
	return error_set(err, reason == no_memory ? PC_NOMEM : PC_ERROR, "can not read %s: %s",
	                 strcmp(path, "-") == 0 ? "standard input" : path, reason);
}

char *source_dir(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return strdup(".");
	return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

bool source_include(void *user, const char *from, const char *path, char **ret_name,
                    char **ret_text, size_t *ret_size, char **ret_reason)
{
	const char *slash = strrchr(from, '/');
	const char *reason = no_memory;

	(void)user;
	*ret_text = NULL;
	if (path[0] == '/' || !slash)
		*ret_name = strdup(path);
	else if (asprintf(ret_name, "%.*s/%s", (int)(slash - from), from, path) < 0)
		*ret_name = NULL;
	if (*ret_name)
		reason = strcmp(path, "-") == 0 ? "standard input can not be included"
		                                : read_path(*ret_name, ret_text, ret_size);
	if (!reason)
		return true;
	free(*ret_name);
	*ret_name = NULL;
	*ret_reason = strdup(reason);
	return false;
}
