/* loader/swap.c: loading a build that is to take the place of another: loader_copy_…() of loader.h,
 * and what watching a file needs, pc_plugin_whole() and pc_plugin_headers().
 *
 * Any thread. Right because the bytes that are checked are those that are copied and loaded: what
 * a linker does to the developer's file after they were read concerns nobody. */
#include "loader/loader.h"

#include "base/clock.h"
#include "base/error.h"
#include "loader/cache.h"
#include "loader/compile.h"
#include "loader/copy.h"
#include "loader/elf.h"
#include "loader/held.h"
#include "loader/lint.h"
#include "loader/read.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* A source that is to go live has been quiet for so long when --watch gives it to us, and must be for
 * so long again; mostly that passes while it is compiled. */
#define SETTLE_NS (10 * PC_MS)
/* Whoever writes to it all the time gets some version of it. */
#define TRIES 3

static bool is_source(const char *file)
{
	size_t n = strlen(file);

	return n > 2 && strcmp(file + n - 2, ".c") == 0;
}

static void wait_until(int64_t ns)
{
	int64_t left = ns - clock_now_ns();

	if (left > 0)
		nanosleep(&(struct timespec){0, (long)left}, NULL);
}

/* One that was written to meanwhile is compiled anew, also when it did not compile: nobody knows
 * what the compiler has seen. */
static int compile(const char *file, bool settle, char **ret_built, struct pc_error **err)
{
	for (unsigned tries = TRIES;; tries--) {
		int64_t begun_ns = clock_now_ns();
		struct stat before, after;
		bool there = stat(file, &before) == 0;
		int r = compile_stage(file, ret_built, err);

		if (settle)
			wait_until(begun_ns + SETTLE_NS);
		if (!there || stat(file, &after) < 0 || read_is_same(&before, &after) ||
		    tries == 1)
			return r;
		free(*ret_built);
		*ret_built = NULL;
		if (err) {
			pc_error_free(*err);
			*err = NULL;
		}
	}
}

int loader_copy_make(struct loader_copy *ret, const char *file, const char *stage,
                     unsigned number, struct pc_error **err)
{
	struct loader_copy copy = {.file = strdup(file)};
	struct read_file f = {0};
	char *built = NULL;
	int r = copy.file ? PC_OK : error_set(err, PC_NOMEM, "no memory to load %s", file);

	*ret = (struct loader_copy){0};
	if (r == PC_OK && is_source(file))
		r = compile(file, number > 1, &built, err);
	if (r == PC_OK)
		r = read_whole(&f, built ? built : file, file, PC_WRONG, err);
	if (r == PC_OK)
		r = elf_check(f.bytes, f.size, file, PC_WRONG, err);
	if (r == PC_OK)
		r = lint_file(&copy.lint, &copy.arena, f.bytes, f.size, file, err);
	if (r == PC_OK) {
		copy.code = elf_code(f.bytes, f.size);
		copy.lines = elf_lines(f.bytes, f.size);
		r = copy_make(&copy.path, stage, number, copy.code, f.bytes, f.size, file, err);
	}
	free(built);
	read_free(&f);
	if (r == PC_OK)
		*ret = copy;
	else
		loader_copy_drop(&copy);
	return r;
}

int loader_copy_open(struct loader_plugin **ret, struct loader_copy *copy,
                     struct pc_error **err)
{
	int r = held_open_copy(ret, copy, err);

	loader_copy_drop(copy);
	return r;
}

int loader_copy_check(const struct loader_copy *copy, struct pc_error **err)
{
	return lint_refuse(&copy->lint, copy->file, err);
}

void loader_copy_drop(struct loader_copy *copy)
{
	copy_remove(copy->path);
	free(copy->file);
	arena_fini(&copy->arena);
	*copy = (struct loader_copy){0};
}

int loader_open_as(struct loader_plugin **ret, const char *path, const char *file,
                   struct pc_error **err)
{
	return held_open(ret, path, file, err);
}

void loader_sweep(void)
{
	copy_sweep();
}

PC_API int pc_plugin_whole(const char *file, uint64_t *ret_code, struct pc_error **ret_err)
{
	struct read_file f = {0};
	int r;

	if (ret_err)
		*ret_err = NULL;
	r = read_whole(&f, file, file, PC_AGAIN, ret_err);
	if (r == PC_OK && is_source(file) && f.size == 0)
		r = error_set(ret_err, PC_AGAIN, "%s is empty", file);
	else if (r == PC_OK && !is_source(file))
		r = elf_check(f.bytes, f.size, file, PC_AGAIN, ret_err);
	if (r == PC_OK && ret_code)
		*ret_code = is_source(file) ? cache_hash(CACHE_HASH_INIT, f.bytes, f.size)
		                            : elf_code(f.bytes, f.size);
	read_free(&f);
	return r;
}

PC_API char *pc_plugin_headers(const char *file)
{
	struct buf names = {0};

	if (is_source(file) && compile_headers(file, &names) && names.size > 0)
		return buf_take(&names);
	buf_fini(&names);
	return NULL;
}
