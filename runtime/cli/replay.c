/* cli/replay.c: `pcrun replay ITEM`: a saved item (crash-item.h) comes to its stage again.
 *
 * The graph is read anew, with what was given on the command line then, so that a stage that has
 * been mended is tried by the same words. All of it runs in this process, where a debugger finds it;
 * with --gdb this process becomes gdb, which starts it again. */
#include "cli/cli.h"
#include "cli/crash-item.h"
#include "cli/say.h"

#include <pcrun/stage.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES (CRASH_ITEM_BYTES + ((size_t)1 << 20))

struct saved {
	char *bytes; /* of the file; what stands below points into it */
	const char *stage, *port, *queue, *number, *build, *file, *refused, *directory, *graph;
	const char *text;
	const char **defines, **paths;
	size_t n_defines, n_paths;
	uint64_t size; /* of the item as it was */
	const char *item;
	size_t item_size; /* as it was saved */
	_Atomic uint64_t emitted;
};

/* ------------------------------------------------------------------------ reading it --- */

static const char *look_at(int fd, size_t *ret_size)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return strerror(errno);
	if (!S_ISREG(st.st_mode))
		return "it is no file";
	if ((uint64_t)st.st_size > FILE_BYTES)
		return "it is too large for an item that pcrun has saved";
	*ret_size = (size_t)st.st_size;
	return NULL;
}

/* A reason, or NULL. A file that becomes shorter meanwhile is a short one. */
static const char *read_all(int fd, char **ret, size_t *ret_size)
{
	size_t room = 0, size = 0;
	const char *reason = look_at(fd, &room);
	ssize_t n = 0;

	if (reason)
		return reason;
	*ret = malloc(room + 1);
	if (!*ret)
		return "out of memory";
	while (size < room &&
	       ((n = read(fd, *ret + size, room - size)) > 0 || (n < 0 && errno == EINTR)))
		size += n > 0 ? (size_t)n : 0;
	(*ret)[size] = '\0';
	*ret_size = size;
	return n < 0 ? strerror(errno) : NULL;
}

static const char *read_file(const char *path, char **ret, size_t *ret_size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	const char *reason;

	if (fd < 0)
		return strerror(errno);
	reason = read_all(fd, ret, ret_size);
	close(fd);
	return reason;
}

static void unescape(char *line)
{
	char *to = line;

	for (; *line; line++)
		if (*line == '\\' && line[1])
			*to++ = *++line == 'n' ? '\n' : *line;
		else
			*to++ = *line;
	*to = '\0';
}

static void take_line(struct saved *s, const char *key, char *value)
{
	const struct {
		const char *key, **to;
	} texts[] = {{"stage", &s->stage},         {"port", &s->port},
	             {"queue", &s->queue},         {"number", &s->number},
	             {"build", &s->build},         {"file", &s->file},
	             {"graph", &s->graph},         {"text", &s->text},
	             {"directory", &s->directory}, {"refused", &s->refused}};

	unescape(value);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (strcmp(key, texts[i].key) == 0)
			*texts[i].to = value;
	if (strcmp(key, "define") == 0)
		s->defines[s->n_defines++] = value;
	else if (strcmp(key, "path") == 0)
		s->paths[s->n_paths++] = value;
	else if (strcmp(key, "size") == 0)
		s->size = strtoull(value, NULL, 10);
}

static size_t count_lines(const char *bytes, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < size; i++)
		n += bytes[i] == '\n';
	return n;
}

/* A reason, or NULL. */
static const char *parse(struct saved *s, size_t size, const struct args *args)
{
	static const char magic[] = CRASH_ITEM_MAGIC "\n";
	const char *bytes_end = s->bytes + size;
	char *at = s->bytes + sizeof(magic) - 1, *end = NULL, *colon;
	size_t most;

	if (size < sizeof(magic) - 1 || memcmp(s->bytes, magic, sizeof(magic) - 1) != 0)
		return "it is no item that this pcrun has saved";
	end = memmem(at, (size_t)(bytes_end - at), "\n\n", 2);
	if (!end || memchr(at, '\0', (size_t)(end - at)))
		return "its beginning is damaged, or was cut off";
	most = count_lines(at, (size_t)(end - at)) + 1;
	s->defines = calloc(2 * most + args->n_defines + args->n_dirs, sizeof(*s->defines));
	if (!s->defines)
		return "out of memory";
	s->paths = s->defines + most + args->n_defines;
	while (at < end + 1) {
		char *line = at;

		at = memchr(at, '\n', (size_t)(end + 1 - at));
		*at++ = '\0';
		colon = strstr(line, ": ");
		if (!colon)
			return "its beginning is damaged";
		*colon = '\0';
		take_line(s, line, colon + 2);
	}
	s->item = end + 2;
	s->item_size = (size_t)(bytes_end - s->item);
	if (!s->stage || !s->port || (!s->graph && !s->text) || s->item_size > s->size)
		return "its beginning is damaged";
	/* What is given now has the last word. */
	for (size_t i = 0; i < args->n_defines; i++)
		s->defines[s->n_defines++] = args->defines[i];
	for (size_t i = 0; i < args->n_dirs; i++)
		s->paths[s->n_paths++] = args->dirs[i];
	return NULL;
}

static bool open_saved(struct saved *s, const struct args *args)
{
	const char *path = args->files[0];
	size_t size = 0;
	const char *reason = read_file(path, &s->bytes, &size);

	reason = reason ? reason : parse(s, size, args);
	if (reason)
		say("can't use %s: %s", path, reason);
	else if (s->item_size < s->size)
		say("only %zu of the item's %llu bytes were saved", s->item_size,
		    (unsigned long long)s->size);
	return !reason;
}

/* ------------------------------------------------------------------------ doing it --- */

/* One sink at a time prints, but several may have something; a line is whole all the same. */
static void print(void *user, const char *port, const void *data, size_t size)
{
	struct saved *s = user;

	(void)port;
	flockfile(stdout);
	fwrite(data, 1, size, stdout);
	putc_unlocked('\n', stdout);
	funlockfile(stdout);
	/* relaxed: read when all threads have ended */
	atomic_fetch_add_explicit(&s->emitted, 1, memory_order_relaxed);
}

/* Relative to where pcrun ran; that is not gone to for another graph. NULL: no memory. */
static char *refused_file(const struct saved *s, const struct args *args)
{
	bool here = args->n_files < 2 || s->file[0] == '/' || !s->directory;
	char *path;

	return asprintf(&path, "%s%s%s", here ? "" : s->directory, here ? "" : "/", s->file) < 0
	               ? NULL
	               : path;
}

static int load(struct pc_graph **ret, const struct saved *s, const struct args *args,
                struct pc_error **err)
{
	struct pc_load_options options = {.size = sizeof(options),
	                                  .defines = s->defines,
	                                  .n_defines = s->n_defines,
	                                  .plugin_dirs = s->paths,
	                                  .n_plugin_dirs = s->n_paths};

	if (args->n_files > 1)
		return pc_graph_load_file(ret, args->files[1], &options, err);
	if (s->directory && chdir(s->directory) < 0)
		say("warning: can't go to %s, where it ran: %s", s->directory, strerror(errno));
	if (s->text)
		return pc_graph_load_text(ret, "-e", s->text, strlen(s->text), &options, err);
	return pc_graph_load_file(ret, s->graph, &options, err);
}

static bool is_one_file(const char *a, const char *b)
{
	struct stat x, y;

	return strcmp(a, b) == 0 || (stat(a, &x) == 0 && stat(b, &y) == 0 &&
	                             x.st_dev == y.st_dev && x.st_ino == y.st_ino);
}

/* A build that was refused is brought back. Of one that ran the graph has the last word: it may
 * name a newer one. */
static void tell_build(struct pc_graph *graph, const struct saved *s, const struct args *args)
{
	struct pc_stage_row row;

	for (size_t i = 0; s->file && pc_graph_stage(graph, i, &row, sizeof(row)); i++) {
		if (strcmp(row.name, s->stage) != 0 || !row.file ||
		    is_one_file(s->file, row.file))
			continue;
		if (!s->refused)
			say("warning: what crashed was v%s of '%s', a build of %s; this is %s, "
			    "as "
			    "the graph has it",
			    s->build ? s->build : "?", s->stage, s->file, row.file);
		else if (!args->quiet)
			say("'%s' gets the build that was refused, of %s, in place of %s",
			    s->stage, s->file, row.file);
	}
}

/* That is told above; a swap that fails is told by the graph's end. */
static void on_swap(void *user, const struct pc_swap_event *event)
{
	(void)user;
	(void)event;
}

static int run(struct pc_graph *graph, struct saved *s, const struct args *args)
{
	const struct pc_run_options options = {.size = sizeof(options),
	                                       .workers = 1,
	                                       .log = say_log,
	                                       .log_level = args->quiet ? PC_WARN : PC_INFO,
	                                       .swap = on_swap};
	struct pc_error *err = NULL;
	int rc = pc_graph_start(graph, &options, &err);

	if (rc == PC_OK) {
		tell_build(graph, s, args);
		rc = pc_graph_wait(graph, PC_FOREVER, &err);
	}
	if (rc != PC_OK) {
		say_error(err);
		pc_error_free(err);
		return STATUS_FAILED;
	}
	if (!args->quiet) {
		/* relaxed: all threads have ended */
		uint64_t n = atomic_load_explicit(&s->emitted, memory_order_relaxed);

		say("stage '%s' has done the item, and emitted %llu", s->stage,
		    (unsigned long long)n);
	}
	return STATUS_OK;
}

static int replay(struct saved *s, const struct args *args)
{
	struct pc_replay item = {.size = sizeof(item),
	                         .stage = s->stage,
	                         .port = s->port,
	                         .data = s->item,
	                         .data_size = s->item_size,
	                         .output = print,
	                         .user = s};
	struct pc_graph *graph = NULL;
	struct pc_error *err = NULL;
	char *build = NULL;
	int rc, status;

	if (args->n_files < 2 && s->graph && strcmp(s->graph, "-") == 0) {
		say("the graph came through standard input; give it: pcrun replay %s GRAPH",
		    args->files[0]);
		return STATUS_USAGE;
	}
	if (s->file && s->refused) {
		item.file = s->file = build = refused_file(s, args);
		if (!build) {
			say("out of memory");
			return STATUS_FAILED;
		}
	}
	rc = load(&graph, s, args, &err);
	if (rc == PC_OK) {
		pc_error_free(err);
		rc = pc_graph_replay(graph, &item, &err);
	}
	if (rc == PC_OK) {
		status = run(graph, s, args);
	} else {
		say_error(err);
		status = rc == PC_WRONG   ? STATUS_WRONG
		         : rc == PC_NOMEM ? STATUS_FAILED
		                          : STATUS_USAGE;
	}
	pc_error_free(err);
	pc_graph_free(graph);
	free(build);
	return status;
}

/* Only returns when there is no gdb. */
static int become_gdb(const struct args *args)
{
	size_t room = 8 + args->n_files + 2 * (args->n_defines + args->n_dirs), n = 0;
	const char **words = calloc(room, sizeof(*words));
	char self[PATH_MAX] = {0};

	if (!words) {
		say("out of memory");
		return STATUS_FAILED;
	}
	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0) {
		say("can't tell where pcrun is: %s", strerror(errno));
		free(words);
		return STATUS_FAILED;
	}
	words[n++] = "gdb";
	words[n++] = "-q";
	words[n++] = "-ex=run";
	words[n++] = "--args";
	words[n++] = self;
	words[n++] = "replay";
	for (size_t i = 0; i < args->n_defines; i++) {
		words[n++] = "-D";
		words[n++] = args->defines[i];
	}
	for (size_t i = 0; i < args->n_dirs; i++) {
		words[n++] = "-L";
		words[n++] = args->dirs[i];
	}
	for (size_t i = 0; i < args->n_files; i++)
		words[n++] = args->files[i];
	execvp("gdb", (char *const *)(uintptr_t)words);
	say("can't start gdb: %s", strerror(errno));
	free(words);
	return STATUS_USAGE;
}

int replay_command(const struct args *args)
{
	struct saved saved = {0};
	int status;

	if (args->gdb)
		return become_gdb(args);
	/* A reader that goes away is an error of the write: see say_fini(). */
	signal(SIGPIPE, SIG_IGN);
	status = open_saved(&saved, args) ? replay(&saved, args) : STATUS_USAGE;
	free(saved.defines);
	free(saved.bytes);
	return status;
}
