/* loader/helper.c: libraries that a plugin needs and that are its author's own.
 *
 * A process loads one library of a name: a plugin's second build that needs libhelp.so.1 of
 * another folder, or a rebuilt one, quietly runs with the first (measured: research/hotswap.md
 * 2.1). And $ORIGIN in a plugin's search path means the folder of the file that is loaded: a
 * private copy would not find what stands beside the developer's file. So the file that ld.so
 * would take for the developer's own is sought here; where it is found by $ORIGIN it is loaded
 * first, by its whole name; and if another one of the name is loaded, a swap is refused. What
 * only the system's own folders have is not looked at. */
#include "loader/lint.h"

#include "base/buf.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* One folder of a search path: $ORIGIN and ${ORIGIN} are the plugin's. */
static void add_dir(struct buf *to, const char *dir, size_t size, const char *origin)
{
	while (size > 0) {
		size_t n = 1;

		if (size >= 7 && strncmp(dir, "$ORIGIN", 7) == 0)
			n = 7;
		else if (size >= 9 && strncmp(dir, "${ORIGIN}", 9) == 0)
			n = 9;
		if (n > 1)
			buf_adds(to, origin);
		else
			buf_addc(to, *dir);
		dir += n;
		size -= n;
	}
}

/* The first NAME in the folders of `search`; whole name, malloc'd; or NULL. */
static char *find_in(const char *search, const char *name, const char *origin)
{
	char *found = NULL;

	while (*search && !found) {
		size_t n = strcspn(search, ":");
		struct buf path = {0};

		if (n > 0) {
			add_dir(&path, search, n, origin);
			buf_addf(&path, "/%s", name);
			found = path.failed ? NULL : realpath(path.text, NULL);
			buf_fini(&path);
		}
		search += n + (search[n] == ':');
	}
	return found;
}

/* The file behind an address, as the kernel has mapped it; malloc'd. *ret_gone: another one stands
 * under its name now, or none. */
static char *mapped_file(uintptr_t address, bool *ret_gone)
{
	static const char gone[] = " (deleted)";
	FILE *maps = fopen("/proc/self/maps", "re");
	char *line = NULL, *file = NULL;
	size_t room = 0;

	*ret_gone = false;
	while (maps && !file && getline(&line, &room, maps) > 0) {
		uintptr_t from, to;
		char *name = strchr(line, '/');

		if (!name || sscanf(line, "%" SCNxPTR "-%" SCNxPTR, &from, &to) != 2 ||
		    address < from || address >= to)
			continue;
		name[strcspn(name, "\n")] = '\0';
		if (strlen(name) > sizeof(gone) &&
		    strcmp(name + strlen(name) - (sizeof(gone) - 1), gone) == 0) {
			name[strlen(name) - (sizeof(gone) - 1)] = '\0';
			*ret_gone = true;
		}
		file = strdup(name);
	}
	free(line);
	if (maps)
		fclose(maps);
	return file;
}

static bool is_one_file(const char *a, const char *b)
{
	struct stat x, y;

	return strcmp(a, b) == 0 || (stat(a, &x) == 0 && stat(b, &y) == 0 &&
	                             x.st_dev == y.st_dev && x.st_ino == y.st_ino);
}

/* By ld.so's own rule for what it takes for loaded. */
static bool find_loaded(const char *name, char **ret_file, bool *ret_gone)
{
	void *handle = dlopen(name, RTLD_NOLOAD | RTLD_LAZY);
	struct link_map *map = NULL;

	*ret_file = NULL;
	if (!handle)
		return false;
	if (dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0)
		*ret_file = mapped_file((uintptr_t)map->l_ld, ret_gone);
	dlclose(handle);
	return *ret_file != NULL;
}

static void look_at(struct loader_lint *lint, struct arena *arena, const char *name,
                    const char *wanted, bool by_origin)
{
	char *loaded = NULL;
	bool gone = false, is_loaded = find_loaded(name, &loaded, &gone);

	lint_add(lint, arena,
	         (struct loader_finding){
			 LOADER_CARE, 0, "helper-library",
			 arena_format(arena,
	                              "it needs %s, which a process loads once: when that "
	                              "library changes, swapping the stage does not do",
	                              wanted),
			 "restart the graph when the library has changed"});
	if (is_loaded && (gone || !is_one_file(loaded, wanted)))
		lint_add(lint, arena,
		         (struct loader_finding){
				 LOADER_REFUSED, 0, "helper-library-changed",
				 arena_format(arena,
		                              "it needs %s, and this process has loaded %s%s",
		                              wanted, loaded, gone ? ", as it was before" : ""),
				 "restart the graph"});
	else if (!is_loaded && by_origin && lint->n_first < LOADER_FIRST_MAX)
		lint->first[lint->n_first++] = arena_string(arena, wanted);
	free(loaded);
}

void helper_look(struct loader_lint *lint, struct arena *arena, const char *const *needed,
                 size_t n_needed, const char *search, bool before_environment, const char *file)
{
	const char *environment = secure_getenv("LD_LIBRARY_PATH");
	const char *slash = strrchr(file, '/');
	char *dir =
		slash ? strndup(file, slash == file ? 1 : (size_t)(slash - file)) : strdup(".");
	char *origin = dir ? realpath(dir, NULL) : NULL;

	environment = environment ? environment : "";
	for (size_t i = 0; i < n_needed && origin; i++) {
		char *own = find_in(search, needed[i], origin);
		char *given = find_in(environment, needed[i], origin);
		char *wanted = own && (before_environment || !given) ? own : given;

		if (wanted)
			look_at(lint, arena, needed[i], wanted, wanted == own);
		free(own);
		free(given);
	}
	free(origin);
	free(dir);
}
