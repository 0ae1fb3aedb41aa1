/* loader/compile.c: runs the C compiler on a stage's source, unless the cache has the result.
 *
 * The flags are those that a plugin needs to be swappable (research/hotswap.md, 3.11); with -z
 * defs a missing symbol is the compiler's message and not the loader's. posix_spawn, never
 * fork(): the process may be large and have threads. The child gets the signals as a shell would
 * give them to it, whatever the host has blocked or ignored. */
#include "loader/compile.h"

#include "base/arena.h"
#include "loader/cache.h"
#include "loader/owned.h"
#include "loader/read.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum { WORDS_MAX = 64, OUTPUT_MAX = 256 * 1024 };

struct command {
	struct arena arena;
	char *words[WORDS_MAX + 1]; /* NULL at the end */
	size_t n;
};

static void add_word(struct command *c, const char *text, size_t size)
{
	if (c->n < WORDS_MAX)
		c->words[c->n++] = arena_text(&c->arena, text, size);
}

/* $CC may hold words: "ccache gcc". */
static void add_compiler(struct command *c)
{
	const char *cc = secure_getenv("CC");

	if (!cc || cc[strspn(cc, " \t")] == '\0')
		cc = "cc";
	while (*cc && c->n < WORDS_MAX / 2) {
		size_t n;

		cc += strspn(cc, " \t");
		n = strcspn(cc, " \t");
		if (n > 0)
			add_word(c, cc, n);
		cc += n;
	}
}

static void add_flags(struct command *c)
{
	static const char *const flags[] = {
		"-pipe",
		"-O2",
		"-g",
		"-Wall",
		"-fPIC",
		"-shared",
		"-fvisibility=hidden",
		"-fno-omit-frame-pointer",
		"-ftls-model=global-dynamic",
		"-Wl,-z,now",
		"-Wl,-z,defs",
		"-Wl,-z,noexecstack",
		"-Wl,--build-id",
		"-Wl,-Bsymbolic",
		"-Wl,--as-needed",
	};
	const char *include = secure_getenv("PCRUN_INCLUDE_DIR");

	if (!include || *include == '\0')
		include = PCRUN_INCLUDE_DIR_BUILTIN;
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		add_word(c, flags[i], strlen(flags[i]));
	add_word(c, "-I", 2);
	add_word(c, include, strlen(include));
}

/* Where the compiler is and how old: a new one makes everything new. */
static uint64_t hash_compiler(uint64_t key, const char *name)
{
	const char *path = secure_getenv("PATH");
	struct buf file = {0};
	struct stat st;

	if (strchr(name, '/') || !path)
		path = "";
	do {
		size_t n = strcspn(path, ":");

		buf_fini(&file);
		buf_addf(&file, "%.*s%s%s", (int)n, path, n > 0 ? "/" : "", name);
		if (!file.failed && stat(file.text, &st) == 0 && S_ISREG(st.st_mode)) {
			key = cache_hash(key, file.text, file.size);
			key = cache_hash(key, &st.st_size, sizeof(st.st_size));
			key = cache_hash(key, &st.st_mtim, sizeof(st.st_mtim));
			break;
		}
		path += n;
	} while (*path++ == ':');
	buf_fini(&file);
	return key;
}

/* Everything that the result depends on and that is not the content of a file. */
static uint64_t hash_command(const struct command *c, const char *source)
{
	uint64_t key = cache_hash(CACHE_HASH_INIT, PCRUN_VERSION, sizeof(PCRUN_VERSION));
	char *where = realpath(source, NULL);

	for (size_t i = 0; i < c->n; i++)
		key = cache_hash(key, c->words[i], strlen(c->words[i]) + 1);
	/* The name as given counts too: it stands in the debug information and in messages. */
	key = cache_hash(key, source, strlen(source) + 1);
	if (where)
		key = cache_hash(key, where, strlen(where));
	free(where);
	return hash_compiler(key, c->words[0]);
}

/* All that the child says, up to a limit. */
static void read_output(int fd, struct buf *output)
{
	char part[4096];
	ssize_t n;

	for (;;) {
		n = read(fd, part, sizeof(part));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		if (output->size < OUTPUT_MAX)
			buf_add(output, part, (size_t)n);
	}
}

/* posix_spawn's numbers, not errno. */
static int spawn(char *const *words, int output, pid_t *ret_pid)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, usual;
	int r = posix_spawn_file_actions_init(&files);

	if (r != 0)
		return r;
	r = posix_spawnattr_init(&attr);
	if (r != 0)
		goto files_done;
	sigemptyset(&none);
	sigfillset(&usual);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &usual);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	r = posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(&files, output, 1);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(&files, output, 2);
	if (r == 0)
		r = posix_spawnp(ret_pid, words[0], &files, &attr, words, environ);
	posix_spawnattr_destroy(&attr);
files_done:
	posix_spawn_file_actions_destroy(&files);
	return r;
}

static int run(const struct command *c, const char *source, struct pc_error **err)
{
	struct buf output = {0};
	int ends[2], status = -1, r;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_set(err, PC_ERROR, "can't compile %s: %s", source,
		                 strerror(errno));
	r = spawn(c->words, ends[1], &pid);
	close(ends[1]);
	if (r != 0) {
		close(ends[0]);
		return error_set(
			err, PC_ERROR,
			"can't compile %s: the compiler '%s' can't be run: %s (CC names "
			"another one)",
			source, c->words[0], strerror(r));
	}
	read_output(ends[0], &output);
	close(ends[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		buf_fini(&output);
		return PC_OK;
	}
	if (output.size > 0) {
		error_set_text(err, PC_WRONG, buf_take(&output));
		error_add(err, "%s does not compile:", source);
	} else if (WIFSIGNALED(status)) {
		error_set(err, PC_WRONG, "%s does not compile: signal %d ended %s", source,
		          WTERMSIG(status), c->words[0]);
	} else {
		error_set(err, PC_WRONG, "%s does not compile: %s ended with status %d", source,
		          c->words[0], WIFEXITED(status) ? WEXITSTATUS(status) : -1);
	}
	buf_fini(&output);
	return PC_WRONG;
}

/* The source's name without folders and ".c". */
static char *stem_of(struct arena *arena, const char *source)
{
	const char *name = strrchr(source, '/');

	name = name ? name + 1 : source;
	return arena_text(arena, name, strlen(name) - 2);
}

/* `work` is on the cache's file system, and ours. */
static int build_in(struct command *c, const char *work, const char *dir, const char *source,
                    const char *record, uint64_t key, struct buf *object, struct pc_error **err)
{
	char *stem = stem_of(&c->arena, source);
	char *made = arena_format(&c->arena, "%s/%s.so", work, stem ? stem : "");
	char *depfile = arena_format(&c->arena, "%s.deps", made ? made : "");
	const char *const last[] = {"-MMD", "-MF", depfile, "-o", made, source, "-lm"};
	struct cache_time started;
	struct stat before, after;
	int r;

	for (size_t i = 0; i < sizeof(last) / sizeof(last[0]) && !arena_failed(&c->arena); i++)
		add_word(c, last[i], strlen(last[i]));
	if (arena_failed(&c->arena))
		return error_set(err, PC_NOMEM, "no memory to compile %s", source);
	c->words[c->n] = NULL;
	clock_gettime(CLOCK_REALTIME_COARSE, &started.stamped);
	clock_gettime(CLOCK_REALTIME, &started.exact);
	if (stat(source, &before) < 0)
		before = (struct stat){0};
	r = run(c, source, err);
	/* Another one, however old: no file is older than this. */
	if (stat(source, &after) < 0 || !read_is_same(&before, &after))
		started.stamped = (struct timespec){0};
	if (r == PC_OK)
		r = cache_add(dir, stem, record, key, made, depfile, &started, object, err);
	return r;
}

/* What a compiler leaves whose caller was killed goes with the next build. */
static int build(struct command *c, const char *dir, const char *source, const char *record,
                 uint64_t key, struct buf *object, struct pc_error **err)
{
	struct owned work;
	struct buf why = {0};
	int r;

	owned_sweep(dir);
	if (!owned_make(&work, dir, &why)) {
		r = error_set(err, PC_ERROR,
		              "can't compile %s: nothing can be written to %s: %s", source, dir,
		              why.text ? why.text : "");
		buf_fini(&why);
		return r;
	}
	r = build_in(c, work.path, dir, source, record, key, object, err);
	owned_remove(&work);
	if (r == PC_OK)
		cache_sweep(dir);
	return r;
}

/* The command so far, and the name of its record. */
static int prepare(struct command *c, const char *source, struct buf *dir, uint64_t *key,
                   char **record, struct pc_error **err)
{
	char *stem;
	int r = cache_dir(dir, err);

	if (r != PC_OK)
		return r;
	add_compiler(c);
	add_flags(c);
	stem = stem_of(&c->arena, source);
	if (!arena_failed(&c->arena)) {
		*key = hash_command(c, source);
		*record = arena_format(&c->arena, "%s/%s-%016" PRIx64 ".deps", dir->text, stem,
		                       *key);
	}
	if (arena_failed(&c->arena))
		return error_set(err, PC_NOMEM, "no memory to compile %s", source);
	return PC_OK;
}

int compile_stage(const char *source, char **ret_built, struct pc_error **err)
{
	struct command c = {.n = 0};
	struct buf dir = {0}, object = {0};
	char *record;
	struct stat st;
	uint64_t key;
	int r;

	if (stat(source, &st) < 0) /* before the compiler says it in more words */
		return error_set(err, PC_ERROR, "%s can't be read: %s", source,
		                 strerror(errno));
	if (!S_ISREG(st.st_mode))
		return error_set(err, PC_WRONG, "%s is not a source file", source);
	r = prepare(&c, source, &dir, &key, &record, err);
	if (r == PC_OK && !cache_find(record, &object))
		r = build(&c, dir.text, source, record, key, &object, err);
	if (r == PC_OK) {
		*ret_built = buf_take(&object);
		if (!*ret_built)
			r = error_set(err, PC_NOMEM, "no memory to compile %s", source);
	}
	arena_fini(&c.arena);
	buf_fini(&object);
	buf_fini(&dir);
	return r;
}

/* Of the record's files the first is the source. */
bool compile_headers(const char *source, struct buf *names)
{
	struct command c = {.n = 0};
	struct buf dir = {0}, files = {0};
	const char *second;
	char *record;
	uint64_t key;
	bool known = prepare(&c, source, &dir, &key, &record, NULL) == PC_OK &&
	             cache_files(record, &files);

	second = known && files.text ? strchr(files.text, '\n') : NULL;
	if (second)
		buf_adds(names, second + 1);
	arena_fini(&c.arena);
	buf_fini(&files);
	buf_fini(&dir);
	return known && !names->failed;
}
