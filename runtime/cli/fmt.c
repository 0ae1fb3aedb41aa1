/* cli/fmt.c: `pcrun fmt`: the canonical form of graph files.
 *
 * -w replaces a file as a whole, by rename, and only when it changes: whoever reads it meanwhile
 * sees the old text or the new one, and a full disk costs nothing. */
#include "cli/cli.h"
#include "cli/say.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* malloc'd; NULL: said. */
static char *read_all(const char *file, size_t *ret_size)
{
	bool is_stdin = strcmp(file, "-") == 0;
	FILE *in = is_stdin ? stdin : fopen(file, "re");
	struct say_text text;
	char part[16384];
	size_t n;
	int why = 0;

	if (!in) {
		say("%s: %s", file, strerror(errno));
		return NULL;
	}
	if (!say_text_open(&text)) {
		if (!is_stdin)
			fclose(in);
		return NULL;
	}
	errno = 0;
	while ((n = fread(part, 1, sizeof(part), in)) > 0)
		fwrite(part, 1, n, text.stream);
	if (ferror(in))
		why = errno != 0 ? errno : EIO;
	if (!is_stdin)
		fclose(in);
	if (fclose(text.stream) != 0 && why == 0)
		why = ENOMEM;
	if (why != 0) {
		say("%s: %s", file, strerror(why));
		free(text.bytes);
		return NULL;
	}
	*ret_size = text.size;
	return text.bytes;
}

static bool write_all(int fd, const char *text, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, text, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		text += n;
		size -= (size_t)n;
	}
	return true;
}

/* The file that a symbolic link leads to is replaced, not the link. */
static bool replace(const char *file, const char *text, size_t size)
{
	char *target = realpath(file, NULL), *temp = NULL;
	struct stat st;
	bool ok = false;
	int fd = -1;

	if (!target || stat(target, &st) < 0 ||
	    asprintf(&temp, "%s.pcrun-XXXXXX", target) < 0) {
		temp = NULL;
		goto done;
	}
	fd = mkostemp(temp, O_CLOEXEC);
	if (fd < 0)
		goto done;
	ok = write_all(fd, text, size) && fchmod(fd, st.st_mode & 07777) == 0;
	/* Whoever may not give files away owns what he writes. */
	if (ok && (st.st_uid != geteuid() || st.st_gid != getegid()) &&
	    fchown(fd, st.st_uid, st.st_gid) < 0 && errno != EPERM)
		ok = false;
	ok = ok && fsync(fd) == 0 && rename(temp, target) == 0;
	if (!ok) {
		int why = errno;

		unlink(temp);
		errno = why;
	}
done:
	if (!ok)
		say("%s can't be written: %s", file, strerror(errno));
	if (fd >= 0)
		close(fd);
	free(temp);
	free(target);
	return ok;
}

static int format_one(const struct args *args, const char *file)
{
	struct pc_error *err = NULL;
	char *text, *made = NULL;
	size_t size = 0, made_size;
	int status = STATUS_OK, r;

	text = read_all(file, &size);
	if (!text)
		return STATUS_USAGE;
	r = pc_format_text(&made, strcmp(file, "-") == 0 ? "<stdin>" : file, text, size, &err);
	if (r != PC_OK) {
		say_error(err);
		status = r == PC_WRONG ? STATUS_WRONG : STATUS_FAILED;
		goto done;
	}
	made_size = strlen(made);
	if (!args->write && !args->check) {
		fwrite(made, 1, made_size, stdout);
	} else if (made_size != size || memcmp(made, text, size) != 0) {
		if (args->check) {
			say("%s is not in the canonical form", file);
			status = STATUS_FAILED;
		} else if (!replace(file, made, made_size)) {
			status = STATUS_USAGE;
		}
	}
done:
	pc_error_free(err);
	free(made);
	free(text);
	return status;
}

int fmt_command(const struct args *args)
{
	int status = STATUS_OK;

	for (size_t i = 0; i < args->n_files; i++) {
		int one;

		if (args->write && strcmp(args->files[i], "-") == 0) {
			say("standard input can't be changed in place: leave -w out");
			return STATUS_USAGE;
		}
		one = format_one(args, args->files[i]);
		status = one > status ? one : status;
	}
	return status;
}
