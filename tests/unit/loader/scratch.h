/* scratch.h: what the loader's unit tests share: a folder that goes away, files in it, and stages
 * compiled from a few lines. Each Criterion test is a process of its own, so statics are fresh. */
#ifndef LOADER_SCRATCH_H
#define LOADER_SCRATCH_H

#include "base/buf.h"
#include "loader/loader.h"

#include <criterion/criterion.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Builds for the sanitizers never unload a plugin: held.c. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SCRATCH_KEEPS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SCRATCH_KEEPS 1
#endif
#endif
#ifndef SCRATCH_KEEPS
#define SCRATCH_KEEPS 0
#endif

static char scratch_dir[PATH_MAX];

static inline int scratch_unlink(const char *path, const struct stat *st, int kind,
                                 struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	return remove(path);
}

static inline void scratch_fini(void)
{
	nftw(scratch_dir, scratch_unlink, 16, FTW_DEPTH | FTW_PHYS);
}

/* The test stands in the folder afterwards; nothing of the user's environment counts. */
static inline void scratch_init(void)
{
	char include[PATH_MAX];

	/* __FILE__ is relative to the build folder, where Meson starts tests. */
	snprintf(include, sizeof(include), "%.*s/../../../include",
	         (int)(strrchr(__FILE__, '/') - __FILE__), __FILE__);
	cr_assert(realpath(include, scratch_dir), "no %s", include);
	setenv("PCRUN_INCLUDE_DIR", scratch_dir, 1);
	snprintf(scratch_dir, sizeof(scratch_dir), "/tmp/pcrun-unit.XXXXXX");
	cr_assert(mkdtemp(scratch_dir));
	cr_assert(chdir(scratch_dir) == 0);
	setenv("XDG_CACHE_HOME", scratch_dir, 1);
	setenv("PCRUN_PLUGIN_DIR", "/nowhere", 1);
	unsetenv("PCRUN_PLUGIN_PATH");
	unsetenv("CC");
}

static inline void scratch_write(const char *name, const void *bytes, size_t size)
{
	FILE *out = fopen(name, "w");

	cr_assert(out, "can't write %s", name);
	cr_assert(fwrite(bytes, 1, size, out) == size);
	cr_assert(fclose(out) == 0);
}

static inline char *scratch_read(const char *name, size_t *ret_size)
{
	FILE *in = fopen(name, "r");
	struct buf bytes = {0};
	char part[4096];
	size_t n;

	cr_assert(in, "can't read %s", name);
	while ((n = fread(part, 1, sizeof(part), in)) > 0)
		buf_add(&bytes, part, n);
	fclose(in);
	*ret_size = bytes.size;
	return bytes.text;
}

/* A stage that drops what it gets. `extra` stands at the top of the source. */
static inline void scratch_stage(const char *file, const char *name, const char *extra)
{
	struct buf source = {0};

	buf_addf(&source,
	         "#include <pcrun/stage.h>\n%s\n"
	         "static int drop(struct pc_stage *st, void *s, struct pc_item *item)\n"
	         "{ (void)st; (void)s; (void)item; return PC_OK; }\n"
	         "static const struct pc_port in[] = {{\"in\", \"*\", 0, \"anything\"}};\n"
	         "PC_STAGE(.name = \"%s\", .doc = \"drop\", PC_INPUTS(in), .process = "
	         "drop)\n;\n",
	         extra, name);
	scratch_write(file, source.text, source.size);
	buf_fini(&source);
}

static inline int scratch_run(const char *command)
{
	return system(command); /* NOLINT(cert-env33-c): a test's own command */
}

/* Compiled as `cc` alone does it, away from the loader's own way. */
static inline void scratch_build(const char *source, const char *object, const char *flags)
{
	struct buf command = {0};

	buf_addf(&command, "cc -w -g -O1 -fPIC -shared -I\"$PCRUN_INCLUDE_DIR\" -o %s %s %s",
	         object, source, flags);
	cr_assert(scratch_run(command.text) == 0, "%s", command.text);
	buf_fini(&command);
}

/* Opens by file, expects the refusal, and closes when there was none. */
static inline void scratch_refused_as(int code, const struct loader_path *path,
                                      const char *name, const char *text)
{
	struct loader_plugin *plugin = NULL;
	struct pc_error *err = NULL;
	int r = loader_open(&plugin, path, name, NULL, &err);

	cr_expect(r == code, "%s: code %d, expected %d: %s", name, r, code, pc_error_text(err));
	cr_expect(strstr(pc_error_text(err), text), "%s: expected '%s' in: %s", name, text,
	          pc_error_text(err));
	if (r == PC_OK)
		loader_close(plugin);
	pc_error_free(err);
}

static inline void scratch_refused(const char *file, const char *text)
{
	scratch_refused_as(PC_WRONG, NULL, file, text);
}

static inline struct loader_plugin *scratch_open(const struct loader_path *path,
                                                 const char *name)
{
	struct loader_plugin *plugin = NULL;
	struct pc_error *err = NULL;
	int r = loader_open(&plugin, path, name, NULL, &err);

	cr_assert(r == PC_OK, "%s: %d: %s", name, r, pc_error_text(err));
	return plugin;
}

#endif
