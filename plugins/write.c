/* write: each item as a line into a file.
 *
 * in   text, u64 (in decimal), or any bytes
 *
 * mode=replace  Like the shell's >, but the file changes in one step: the lines gather in a
 *               temporary file beside it, which takes its name when the input has come to its
 *               end. Until then, and if anything before it fails, the old file stays. A graph
 *               that is told to end (SIGTERM) finishes what it has begun: then the file has that.
 * mode=append   Like >>: lines are in the file as soon as a call has returned.
 *
 * In mode=replace it goes through symbolic links, keeps the old file's permissions, and forces
 * the data to disk before the name changes. What is no regular file (a pipe, /dev/null) is
 * written to directly in both modes. A killed pcrun leaves its temporary file, NAME.pcrun-PID-N,
 * behind. */
#include "sink.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>

enum write_mode { WRITE_REPLACE, WRITE_APPEND };

static const char *const write_modes[] = {"replace", "append", NULL};

struct write {
	const char *path;
	uint32_t mode;
	const char *end;
	/* ours */
	char *target; /* mode=replace: what gets the new name, links followed */
	char *temp;   /* mode=replace: to be renamed or removed; NULL: nothing to do */
	struct sink sink;
	bool opened;   /* sink.fd is ours */
	bool finished; /* the input has ended */
};

static const struct pc_param write_params[] = {
	PC_PARAM_PATH(struct write, path, NULL, "the file"),
	PC_PARAM_ENUM(struct write, mode, "replace", write_modes,
                      "what happens to a file that is there"),
	PC_PARAM_STRING(struct write, end, "\n", "what stands after each item"),
};

/* Make the temporary file. Its permissions: those of the old file, or what the umask says. */
static int open_temp(struct pc_stage *st, struct write *s, const struct stat *old)
{
	int fd = -1;

	s->target = old != NULL ? realpath(s->path, NULL) : strdup(s->path);
	if (s->target == NULL)
		return pc_fail(st, "cannot write to %s: %s", s->path, strerror(errno));
	for (unsigned n = 0; fd < 0 && n < 1000; n++) {
		free(s->temp);
		if (asprintf(&s->temp, "%s.pcrun-%ld-%u", s->target, (long)getpid(), n) < 0) {
			s->temp = NULL;
			return pc_fail(st, "no memory for a file name");
		}
		fd = open(s->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		if (fd < 0 && errno != EEXIST)
			break;
	}
	if (fd < 0) {
		int why = errno;

		free(s->temp);
		s->temp = NULL;
		return pc_fail(st, "cannot make a file beside %s: %s", s->path, strerror(why));
	}
	if (old != NULL && fchmod(fd, old->st_mode & 07777) != 0)
		pc_log(st, PC_WARN, "cannot keep the permissions of %s: %s", s->path,
		       strerror(errno));
	return fd;
}

static int write_open(struct pc_stage *st, void *state)
{
	struct write *s = state;
	struct stat about;
	bool there = stat(s->path, &about) == 0;
	int fd;

	if (there && S_ISDIR(about.st_mode))
		return pc_fail(st, "cannot write to %s: it is a directory", s->path);
	if (s->mode == WRITE_REPLACE && (!there || S_ISREG(about.st_mode))) {
		if (there && eaccess(s->path, W_OK) != 0)
			return pc_fail(st, "cannot write to %s: %s", s->path, strerror(errno));
		fd = open_temp(st, s, there ? &about : NULL);
		if (fd < 0)
			return fd;
	} else {
		fd = open(s->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
		if (fd < 0)
			return pc_fail(st, "cannot write to %s: %s", s->path, strerror(errno));
	}
	s->opened = true;
	return sink_init(st, &s->sink, fd, s->path, "", s->end);
}

static int write_process_batch(struct pc_stage *st, void *state, struct pc_item *const *items,
                               unsigned n)
{
	struct write *s = state;

	return sink_batch(st, &s->sink, items, n, s->temp == NULL);
}

static int write_finish(struct pc_stage *st, void *state)
{
	struct write *s = state;
	int r = sink_flush(st, &s->sink);

	if (r == PC_OK && s->temp != NULL && fsync(s->sink.fd) != 0)
		return pc_fail(st, "cannot write to %s: %s", s->path, strerror(errno));
	s->finished = r == PC_OK;
	return r;
}

/* Give the temporary file its name, and make the name last. */
static int replace(struct pc_stage *st, struct write *s)
{
	char *slash = strrchr(s->target, '/');
	int dir;

	if (rename(s->temp, s->target) != 0)
		return pc_fail(st, "cannot rename %s to %s: %s", s->temp, s->target,
		               strerror(errno));
	free(s->temp);
	s->temp = NULL;
	if (slash != NULL)
		slash[slash == s->target] = '\0';
	dir = open(slash != NULL ? s->target : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir >= 0) {
		/* Some file systems cannot do this for a directory; the data is safe anyway. */
		fsync(dir);
		close(dir);
	}
	return PC_OK;
}

static int write_close(struct pc_stage *st, void *state)
{
	struct write *s = state;
	int r = PC_OK;

	if (s->opened && close(s->sink.fd) != 0 && errno != EINTR)
		r = pc_fail(st, "cannot write to %s: %s", s->path, strerror(errno));
	if (s->temp != NULL && s->finished && r == PC_OK && !pc_stopping(st))
		r = replace(st, s);
	if (s->temp != NULL) {
		if (s->opened && r == PC_OK)
			pc_log(st, PC_WARN, "%s is left as it was: the input did not end",
			       s->path);
		unlink(s->temp);
	}
	sink_fini(&s->sink);
	free(s->temp);
	free(s->target);
	return r;
}

static const struct pc_port write_in[] = {{"in", "*", 0, "text, numbers (u64), bytes"}};

PC_STAGE(.name = "write", .doc = "write each item as a line to a file",
         .flags = PC_BLOCKING | PC_SINGLE | PC_NO_PROBE, PC_INPUTS(write_in),
         PC_PARAMS(write_params), PC_STATE(struct write), .state_version = 1,
         .open = write_open, .process_batch = write_process_batch, .finish = write_finish,
         .close = write_close);
