/* lines: the lines of files, of a set of files, or of standard input.
 *
 * out     text/line: each line without its newline
 * blocks  text/block: the same bytes in blocks of whole lines, for a stage that would rather be
 *         called once for thousands of lines. Nobody looks for lines that are too long there.
 * Both may be wired.
 *
 * `path` is a file, or names and patterns with white space between them: a.log 'my file' b-*.log.
 * A pattern knows * ? [a-z] {one,two} ~; \ takes the next character as it is, and single quotes
 * all up to the next one. Files are read in the order given, those of a pattern by name.
 *
 * A file that was named must be there and be readable. Of what a pattern found, directories and
 * files that have gone in the meantime are left out with a warning. Bytes are kept as they are,
 * NUL and broken UTF-8 too; the last line counts with or without its newline.
 *
 * How it works: read(2) fills a block, which is an item; lines are slices of it, so that nothing
 * is copied but the unfinished line at the end of a block. A line longer than a block gathers in
 * a block that doubles. The state owns the block it fills; slices keep older ones alive. Bytes
 * behind the last slice are written while readers look at those before: they never overlap.
 *
 * Runs on a thread of its own, for files may be slow and pipes silent; it waits for pipes in the
 * runtime's way, so that it can be stopped at any time. */
#include <pcrun/stage.h>

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINES_OUT, LINES_BLOCKS };

struct lines_file {
	char *name; /* NULL: standard input */
	bool found; /* by a pattern: may have gone since */
};

struct lines {
	const char *path;
	uint64_t block;
	uint64_t max;
	bool nul;
	/* ours */
	struct lines_file *files;
	size_t n_files, next_file;
	int fd; /* the open file is files[next_file - 1]; -1: none */
	bool opened;
	bool waits;      /* it is no regular file: it may have nothing to read yet */
	uint64_t offset; /* of buf's start in the file */
	struct pc_item
		*buf; /* [start, end) is read and not emitted; up to `seen`, no newline */
	size_t start, seen, end;
	uint64_t done, total; /* bytes */
};

static const struct pc_param lines_params[] = {
	PC_PARAM_STRING(struct lines, path, "-",
                        "files and patterns, with white space between; -: standard input"),
	PC_PARAM_BYTES(struct lines, block, "256Ki", "16..1Gi", "how much is read at once"),
	PC_PARAM_BYTES(struct lines, max, "2Gi", "1..", "a longer line is an error"),
	PC_PARAM_BOOL(struct lines, nul, "false", "lines end with a NUL byte, not a newline"),
};

/* ----------------------------------------------------------------- which files to read --- */

static int add_file(struct pc_stage *st, struct lines *s, const char *name, bool found)
{
	struct stat about;
	struct lines_file *files;
	char *copy = NULL;
	bool is_stdin = strcmp(name, "-") == 0 && !found;

	if (is_stdin ? fstat(STDIN_FILENO, &about) != 0 : stat(name, &about) != 0) {
		if (found && errno == ENOENT) {
			pc_log(st, PC_WARN, "%s is gone", name);
			return PC_OK;
		}
		return pc_fail(st, "cannot read %s: %s", is_stdin ? "standard input" : name,
		               strerror(errno));
	}
	if (S_ISDIR(about.st_mode)) {
		if (!found)
			return pc_fail(st, "cannot read %s: it is a directory", name);
		pc_log(st, PC_WARN, "%s is a directory: left out", name);
		return PC_OK;
	}
	if (!is_stdin && eaccess(name, R_OK) != 0)
		return pc_fail(st, "cannot read %s: %s", name, strerror(errno));

	files = reallocarray(s->files, s->n_files + 1, sizeof(*files));
	if (files != NULL)
		s->files = files;
	if (files == NULL || (!is_stdin && (copy = strdup(name)) == NULL))
		return pc_fail(st, "no memory for the names of the files");
	s->files[s->n_files++] = (struct lines_file){copy, found};
	if (S_ISREG(about.st_mode) && about.st_size > 0)
		s->total += (uint64_t)about.st_size;
	return PC_OK;
}

static int add_pattern(struct pc_stage *st, struct lines *s, const char *pattern)
{
	glob_t found;
	int r = glob(pattern, GLOB_BRACE | GLOB_TILDE, NULL, &found);

	if (r == GLOB_NOMATCH)
		return pc_fail(st, "no file matches %s", pattern);
	if (r != 0)
		return pc_fail(st, "cannot look for %s: %s", pattern,
		               r == GLOB_NOSPACE ? "no memory" : strerror(errno));
	for (size_t i = 0; i < found.gl_pathc && r == PC_OK; i++)
		r = add_file(st, s, found.gl_pathv[i], true);
	globfree(&found);
	return r;
}

/* Take one name or pattern from *text. Into `name` goes the text without its quotes, into
 * `pattern` the same with glob's own quotes; each has room for twice the text. */
static bool next_name(const char **text, char *name, char *pattern, bool *ret_magic)
{
	const char *p = *text + strspn(*text, " \t\n\v\f\r");
	bool quoted = false;

	if (*p == '\0')
		return false;
	*ret_magic = *p == '~';
	for (; *p != '\0' && (quoted || strchr(" \t\n\v\f\r", *p) == NULL); p++) {
		if (*p == '\'') {
			quoted = !quoted;
			continue;
		}
		if (quoted || *p == '\\') {
			if (!quoted && p[1] != '\0')
				p++;
			*pattern++ = '\\';
		} else if (strchr("*?[{", *p) != NULL) {
			*ret_magic = true;
		}
		*pattern++ = *p;
		*name++ = *p;
	}
	*name = *pattern = '\0';
	*text = p;
	return true;
}

static int find_files(struct pc_stage *st, struct lines *s)
{
	const char *text = s->path;
	size_t room = 2 * strlen(text) + 1;
	char *name, *pattern;
	bool magic;
	int r = PC_OK;

	/* What is the name of a file is meant as that, with all its blanks and brackets. */
	if (*text == '\0' || access(text, F_OK) == 0)
		return add_file(st, s, *text == '\0' ? "-" : text, false);
	name = malloc(room);
	pattern = malloc(room);
	if (name == NULL || pattern == NULL)
		r = pc_fail(st, "no memory for the names of the files");
	while (r == PC_OK && next_name(&text, name, pattern, &magic))
		r = magic && access(name, F_OK) != 0 ? add_pattern(st, s, pattern)
		                                     : add_file(st, s, name, false);
	free(name);
	free(pattern);
	return r;
}

static int lines_open(struct pc_stage *st, void *state)
{
	struct lines *s = state;

	s->fd = -1;
	s->opened = true;
	return find_files(st, s);
}

/* ----------------------------------------------------------------------------- reading --- */

static const char *file_name(const struct lines *s)
{
	const char *name = s->files[s->next_file - 1].name;

	return name != NULL ? name : "standard input";
}

/* Standard input belongs to the process and stays open. What is unfinished is dropped. */
static void close_file(struct lines *s)
{
	if (s->fd >= 0 && s->files[s->next_file - 1].name != NULL)
		close(s->fd);
	s->fd = -1;
	s->start = s->seen = s->end;
}

/* PC_OK: a file is open, or that one was left out; PC_END: there are no more. */
static int open_next(struct pc_stage *st, struct lines *s)
{
	const struct lines_file *file;
	struct stat about;

	if (s->next_file == s->n_files)
		return PC_END;
	file = &s->files[s->next_file++];
	s->offset = 0 - (uint64_t)s->end;
	/* O_NONBLOCK: opening a FIFO that nobody writes to yet must not block. */
	s->fd = file->name != NULL ? open(file->name, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
	                           : STDIN_FILENO;
	if (s->fd < 0) {
		if (file->found && errno == ENOENT) {
			pc_log(st, PC_WARN, "%s is gone", file->name);
			return PC_OK;
		}
		return pc_fail(st, "cannot read %s: %s", file->name, strerror(errno));
	}
	s->waits = fstat(s->fd, &about) != 0 || !S_ISREG(about.st_mode);
	if (s->waits)
		s->total = 0;
	return PC_OK;
}

static int too_long(struct pc_stage *st, struct lines *s)
{
	int r = pc_fail(st,
	                "%s: the line that starts at byte %" PRIu64
	                " is longer than max=%" PRIu64 " bytes",
	                file_name(s), s->offset + s->start, s->max);

	close_file(s);
	return r;
}

/* See to it that a fair part of a block is free behind what is unfinished, and that a long line
 * which is over does not leave its big block behind. */
static int make_room(struct pc_stage *st, struct lines *s)
{
	size_t rest = s->end - s->start;
	size_t size = s->block;
	struct pc_item *buf;

	if (s->buf != NULL && s->buf->size - s->end >= size / 4 &&
	    (s->buf->size == size || rest >= size / 2))
		return PC_OK;
	if (rest > s->max)
		return too_long(st, s);
	if (rest >= size / 2)
		size = 2 * rest;
	buf = pc_item_new(st, size);
	if (buf == NULL) {
		int r = pc_fail(st, "no memory for a block of %zu bytes of %s", size,
		                file_name(s));

		close_file(s);
		return r;
	}
	if (rest > 0)
		memcpy(buf->data, (const char *)s->buf->data + s->start, rest);
	pc_item_unref(st, s->buf);
	s->buf = buf;
	s->offset += s->start;
	s->seen -= s->start;
	s->start = 0;
	s->end = rest;
	return PC_OK;
}

/* Read once. PC_OK, PC_STOPPED, PC_AGAIN: for a swap, or failed. */
static int fill(struct pc_stage *st, struct lines *s, bool *ret_at_end)
{
	size_t room;
	ssize_t n;
	int r = make_room(st, s);

	if (r != PC_OK)
		return r;
	room = s->buf->size - s->end;
	do {
		if (s->waits) {
			r = pc_wait_fd(st, s->fd, PC_FD_READ, PC_FOREVER);
			if (r == PC_STOPPED || r == PC_AGAIN)
				return r;
		}
		n = read(s->fd, (char *)s->buf->data + s->end,
		         room < s->block ? room : s->block);
	} while (n < 0 && (errno == EINTR || errno == EAGAIN));
	if (n < 0) {
		r = pc_fail(st, "cannot read %s: %s", file_name(s), strerror(errno));
		close_file(s);
		return r;
	}
	s->end += (size_t)n;
	s->done += (size_t)n;
	pc_progress(st, s->done, s->total);
	*ret_at_end = n == 0;
	return PC_OK;
}

/* ---------------------------------------------------------------------------- emitting --- */

static int emit_line(struct pc_stage *st, struct lines *s, size_t size, size_t end_size)
{
	size_t start = s->start;

	if (size > s->max)
		return too_long(st, s);
	s->start = s->seen = start + size + end_size;
	return pc_emit_slice(st, LINES_OUT, s->buf, start, size);
}

/* Emit at most `most` of the lines that have been read; *ret_n tells how many. */
static int emit_lines(struct pc_stage *st, struct lines *s, unsigned most, unsigned *ret_n)
{
	const char *data = s->buf != NULL ? s->buf->data : NULL;
	const int end = s->nul ? '\0' : '\n';
	unsigned n = 0;
	int r = PC_OK;

	while (n < most && s->seen < s->end && r == PC_OK) {
		const char *at = memchr(data + s->seen, end, s->end - s->seen);

		if (at == NULL) {
			s->seen = s->end;
			break;
		}
		r = emit_line(st, s, (size_t)(at - data) - s->start, 1);
		n++;
	}
	*ret_n = n;
	return r;
}

/* Emit as a block what was read and not yet emitted, up to the last newline. `lines`: the same
 * bytes are still to be emitted as lines. */
static int emit_block(struct pc_stage *st, struct lines *s, bool lines, bool at_end)
{
	const char *data = s->buf->data;
	const char *last = memrchr(data + s->seen, s->nul ? '\0' : '\n', s->end - s->seen);
	size_t end = at_end ? s->end : last != NULL ? (size_t)(last - data) + 1 : s->start;
	size_t start = s->start;

	if (!lines) {
		s->start = end;
		s->seen = s->end;
	}
	return end > start ? pc_emit_slice(st, LINES_BLOCKS, s->buf, start, end - start)
	                   : PC_OK;
}

static int lines_produce(struct pc_stage *st, void *state)
{
	struct lines *s = state;
	unsigned most = st->batch_hint > 64 ? st->batch_hint : 64;
	bool lines = pc_out_wired(st, LINES_OUT);
	bool at_end = false;
	unsigned n = 0;
	int r;

	if (lines) {
		r = emit_lines(st, s, most < 1024 ? most : 1024, &n);
		if (r != PC_OK || n > 0)
			return r;
	}
	if (s->fd < 0)
		return open_next(st, s);
	r = fill(st, s, &at_end);
	if (r != PC_OK)
		return r == PC_STOPPED ? PC_END : r;
	if (pc_out_wired(st, LINES_BLOCKS))
		r = emit_block(st, s, lines, at_end);
	if (at_end && r == PC_OK && lines && s->start < s->end)
		r = emit_line(st, s, s->end - s->start, 0);
	if (at_end)
		close_file(s);
	return r;
}

static int lines_close(struct pc_stage *st, void *state)
{
	struct lines *s = state;

	if (s->opened)
		close_file(s);
	pc_item_unref(st, s->buf);
	for (size_t i = 0; i < s->n_files; i++)
		free(s->files[i].name);
	free(s->files);
	return PC_OK;
}

static const struct pc_port lines_out[] = {
	{"out", "text/line", 0, "each line, without its newline"},
	{"blocks", "text/block", 0, "blocks of whole lines, with their newlines"},
};

PC_STAGE(.name = "lines", .doc = "read lines from files or standard input",
         .flags = PC_BLOCKING | PC_SINGLE, PC_OUTPUTS(lines_out), PC_PARAMS(lines_params),
         PC_STATE(struct lines), .state_version = 1, .open = lines_open,
         .produce = lines_produce, .close = lines_close);
