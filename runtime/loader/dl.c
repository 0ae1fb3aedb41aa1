/* loader/dl.c: the one place that calls dlopen(), and dlclose() for plugins.
 *
 * RTLD_NOW, because a symbol that is missing later ends the process with status 127; RTLD_LOCAL,
 * so that plugins do not see each other's symbols. A plugin linked with -ffast-math sets
 * flush-to-zero in its constructor for the thread that loads it: the control word is put back.
 *
 * What a thread is at is read in signal handlers, so it is of a kind that needs no memory at its
 * first use (initial-exec; two words). */
#include "loader/dl.h"

#include "base/error.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#ifdef __SSE__
#include <xmmintrin.h>
static unsigned float_mode(void)
{
	return _mm_getcsr();
}
static void float_mode_set(unsigned mode)
{
	_mm_setcsr(mode);
}
#else
static unsigned float_mode(void)
{
	return 0;
}
static void float_mode_set(unsigned mode)
{
	(void)mode;
}
#endif

static _Thread_local struct dl_work work __attribute__((tls_model("initial-exec")));

struct dl_work dl_now(void)
{
	return work;
}

/* What stands in `text` between `before` and one of the characters in `until`; malloc'd. */
static char *between(const char *text, const char *before, const char *until)
{
	const char *start = strstr(text, before);

	if (!start)
		return NULL;
	start += strlen(before);
	return strndup(start, strcspn(start, until));
}

/* ld.so's sentences (elf/dl-lookup.c, dl-load.c, dl-version.c of glibc); one that is not known is
 * passed on as it is. */
static void explain(const char *said, const char *file, struct pc_error **err)
{
	static const char missing[] = ": cannot open shared object file";
	char *name;

	name = between(said, "undefined symbol: ", ", ");
	if (name) {
		error_set(err, PC_WRONG, "%s needs symbol '%s', which no library provides",
		          file, name);
		goto done;
	}
	name = between(said, "symbol ", ",");
	if (name && strstr(said, "not defined in file")) {
		char *library = between(said, "not defined in file ", " ");

		error_set(err, PC_WRONG, "%s needs symbol '%s', which %s here does not have",
		          file, name, library ? library : "the library");
		free(library);
		goto done;
	}
	free(name);
	name = between(said, "version `", "'");
	if (name && strstr(said, "not found")) {
		char *library = strndup(said, strcspn(said, ":"));

		error_set(err, PC_WRONG, "%s needs version %s of %s, which is older here", file,
		          name, library ? library : "a library");
		free(library);
		goto done;
	}
	free(name);
	name = NULL;
	if (strstr(said, missing)) {
		name = strndup(said, strcspn(said, ":"));
		error_set(err, PC_WRONG, "%s needs the library %s, which is not there", file,
		          name ? name : "");
	} else if (strstr(said, "static TLS block")) {
		error_set(err, PC_WRONG,
		          "%s wants static thread-local memory and none is left (build it with "
		          "-ftls-model=global-dynamic)",
		          file);
	} else if (strstr(said, "failed to map segment")) {
		error_set(err, PC_WRONG,
		          "%s can't be mapped for running: is its file system mounted noexec?",
		          file);
	} else {
		error_set(err, PC_WRONG, "%s can't be loaded: %s", file, said);
	}
done:
	free(name);
}

/* A private copy does not stand where its search path begins: see helper.c. What is missing all the
 * same is missed by the plugin, and named then. */
static void open_first(const struct loader_lint *lint, void *handles[static LOADER_FIRST_MAX])
{
	for (size_t i = 0; i < lint->n_first; i++)
		handles[i] = dlopen(lint->first[i], RTLD_NOW | RTLD_LOCAL);
}

/* The plugin holds those that it needs. */
static void close_first(const struct loader_lint *lint, void *const handles[LOADER_FIRST_MAX])
{
	for (size_t i = 0; i < lint->n_first; i++)
		if (handles[i])
			dlclose(handles[i]);
}

int dl_open(struct loader_plugin *plugin, struct pc_error **err)
{
	void *first[LOADER_FIRST_MAX];
	unsigned mode = float_mode();
	const struct dl_work before = work;
	const char *said;

	work = (struct dl_work){plugin->file, true};
	open_first(&plugin->lint, first);
	plugin->handle = dlopen(plugin->loaded, RTLD_NOW | RTLD_LOCAL);
	if (!plugin->handle) {
		said = dlerror();
		explain(said ? said : "no reason given", plugin->file, err);
	}
	close_first(&plugin->lint, first);
	work = before;
	float_mode_set(mode);
	return plugin->handle ? PC_OK : PC_WRONG;
}

void dl_close(struct loader_plugin *plugin)
{
	const struct dl_work before = work;

	work = (struct dl_work){plugin->file, false};
	dlclose(plugin->handle);
	work = before;
}
