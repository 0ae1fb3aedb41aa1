/* test-open.c: which file a name leads to, what is said when it leads nowhere, and that two graphs
 * share one build. */
#include "scratch.h"

TestSuite(open, .init = scratch_init, .fini = scratch_fini, .timeout = 60);

/* DIR/NAME.so, a stage called `stage`. */
static void plugin(const char *dir, const char *name, const char *stage)
{
	char file[PATH_MAX];

	mkdir(dir, 0700);
	snprintf(file, sizeof(file), "%s/%s.so", dir, name);
	scratch_stage("plugin.c", stage, "");
	scratch_build("plugin.c", file, "");
}

static void is_file(const struct loader_path *path, const char *name, const char *file)
{
	struct loader_plugin *p = scratch_open(path, name);

	cr_expect_str_eq(p->file, file);
	cr_expect_str_eq(p->desc->name, strchr(name, '/') ? "drop" : name);
	loader_close(p);
}

Test(open, the_first_directory_counts)
{
	static const char *const extra[] = {"dirL"};
	struct loader_path path;

	plugin("built", "drop", "drop");
	setenv("PCRUN_PLUGIN_DIR", "built", 1);
	setenv("PCRUN_PLUGIN_PATH", ":none:env1:env2/:built", 1);
#define FIND(file)                                                                             \
	do {                                                                                   \
		cr_assert(loader_path_init(&path, "graph", extra, 1));                         \
		for (size_t i = 0; i < path.n_dirs; i++)                                       \
			cr_expect(*path.dirs[i], "an empty directory");                        \
		is_file(&path, "drop", file);                                                  \
		loader_path_fini(&path);                                                       \
	} while (0)
	FIND("built/drop.so");
	plugin("env2", "drop", "drop");
	FIND("env2/drop.so");
	plugin("env1", "drop", "drop");
	FIND("env1/drop.so");
	plugin("dirL", "drop", "drop");
	FIND("dirL/drop.so");
	plugin("graph", "drop", "drop");
	FIND("graph/drop.so");
#undef FIND
	/* Not the working directory, unless it is the graph's. */
	cr_assert(rename("graph/drop.so", "drop.so") == 0);
	cr_assert(loader_path_init(&path, "graph", NULL, 0));
	is_file(&path, "drop", "env1/drop.so");
	loader_path_fini(&path);
	cr_assert(loader_path_init(&path, ".", NULL, 0));
	is_file(&path, "drop", "./drop.so");
	loader_path_fini(&path);
}

Test(open, a_directory_counts_once)
{
	static const char *const extra[] = {"a", "b/../a", "a/"};
	struct loader_path path;

	mkdir("a", 0700);
	mkdir("b", 0700);
	cr_assert(loader_path_init(&path, "./a", extra, 3));
	cr_expect(path.n_dirs == 2, "%zu directories", path.n_dirs);
	cr_expect_str_eq(path.dirs[0], "./a");
	cr_expect_str_eq(path.dirs[1], "/nowhere");
	loader_path_fini(&path);
}

Test(open, unknown_names_say_where_and_what_else)
{
	struct loader_path path;

	plugin("d", "drop", "drop");
	scratch_stage("d/mine.c", "mine", "");
	cr_assert(loader_path_init(&path, "d", NULL, 0));
	scratch_refused_as(PC_ERROR, &path, "drpo", "no plugin 'drpo'; did you mean 'drop'?");
	scratch_refused_as(PC_ERROR, &path, "drpo", "there is no drpo.so in d, /nowhere");
	scratch_refused_as(PC_ERROR, &path, "entirely", "no plugin 'entirely'\n");
	scratch_refused_as(PC_ERROR, &path, "mine",
	                   "its source is given as a file: ./d/mine.c");
	scratch_refused_as(PC_ERROR, &path, "", "no plugin ''");
	loader_path_fini(&path);
}

Test(open, the_first_file_counts_even_when_broken)
{
	static const char *const extra[] = {"second"};
	struct loader_path path;

	mkdir("first", 0700);
	plugin("second", "drop", "drop");
	scratch_write("first/drop.so", "", 0);
	cr_assert(loader_path_init(&path, "first", extra, 1));
	scratch_refused_as(PC_WRONG, &path, "drop",
	                   "first/drop.so is not a shared object: it is empty");
	cr_assert(unlink("first/drop.so") == 0 && symlink("gone", "first/drop.so") == 0);
	scratch_refused_as(PC_WRONG, &path, "drop",
	                   "first/drop.so can't be read: No such file");
	loader_path_fini(&path);
}

Test(open, file_and_stage_have_one_name)
{
	struct loader_path path;

	plugin("d", "filter", "drop");
	cr_assert(loader_path_init(&path, "d", NULL, 0));
	scratch_refused_as(PC_WRONG, &path, "filter",
	                   "d/filter.so is not the stage 'filter': it says that it is 'drop'");
	is_file(&path, "./d/filter.so", "./d/filter.so"); /* by file any name will do */
	loader_path_fini(&path);
}

Test(open, two_files_may_not_claim_one_name)
{
	struct loader_path path, other;

	plugin("d", "drop", "drop");
	plugin("e", "drop", "drop");
	cr_assert(loader_path_init(&path, "d", NULL, 0));
	is_file(&path, "drop", "d/drop.so");
	scratch_refused_as(PC_WRONG, &path, "./e/drop.so",
	                   "duplicate stage name 'drop': both d/drop.so and ./e/drop.so");
	is_file(&path, "./d/drop.so", "d/drop.so"); /* the same file under another name */
	/* Another graph is another matter. */
	cr_assert(loader_path_init(&other, "e", NULL, 0));
	is_file(&other, "drop", "e/drop.so");
	loader_path_fini(&other);
	loader_path_fini(&path);
}

Test(open, relative_files_and_their_directory)
{
	struct loader_plugin *p = NULL;
	char *whole = realpath(".", NULL);
	struct buf file = {0};

	plugin("d", "drop", "drop");
	cr_assert(loader_open(&p, NULL, "./drop.so", "d", NULL) == PC_OK);
	cr_expect_str_eq(p->file, "d/./drop.so");
	loader_close(p);
	buf_addf(&file, "%s/d/drop.so", whole);
	cr_assert(loader_open(&p, NULL, file.text, "elsewhere", NULL) == PC_OK);
	loader_close(p);
	buf_fini(&file);
	free(whole);
}

Test(open, one_file_is_loaded_once)
{
	struct loader_path path;
	struct loader_plugin *a, *b, *c;

	plugin("d", "drop", "drop");
	cr_assert(symlink("d", "same") == 0);
	cr_assert(loader_path_init(&path, "d", NULL, 0));
	a = scratch_open(&path, "drop");
	b = scratch_open(&path, "drop");
	c = scratch_open(NULL, "same/drop.so");
	cr_expect(a == b && a == c);
	cr_expect(a->refs == 4, "%u references", a->refs); /* and the path's */
	loader_path_fini(&path);
	loader_close(b);
	loader_close(c);
	cr_expect(a->refs == 1);
	cr_expect_str_eq(a->desc->name, "drop");
	loader_close(a);
	loader_close(NULL);
}

/* Reloading comes with private copies; until then a rebuilt file is refused, not mistaken. */
Test(open, a_rebuilt_file_is_not_taken_for_the_old_one)
{
	struct loader_plugin *a;

	plugin("d", "drop", "drop");
	a = scratch_open(NULL, "d/drop.so");
	scratch_stage("plugin.c", "drop", "int more[100];");
	scratch_build("plugin.c", "new.so", "");
	cr_assert(rename("new.so", "d/drop.so") == 0);
	scratch_refused("d/drop.so", "d/drop.so was rebuilt");
	loader_close(a);
}

struct seen {
	char text[512];
};

static void note(void *user, const char *dir, const char *name, const char *file)
{
	struct seen *s = user;
	size_t n = strlen(s->text);

	(void)dir;
	snprintf(s->text + n, sizeof(s->text) - n, "%s=%s ", name, file);
}

Test(open, listing_is_in_order_and_opens_nothing)
{
	static const char *const extra[] = {"b", "none"};
	struct seen seen = {{0}};
	struct loader_path path;

	mkdir("a", 0700);
	mkdir("b", 0700);
	scratch_write("a/z.so", "", 0);
	scratch_write("a/B.so", "", 0);
	scratch_write("a/a.so", "", 0);
	scratch_write("a/.hidden.so", "", 0);
	scratch_write("a/libx.so.1", "", 0);
	scratch_write("a/.so", "", 0);
	scratch_write("b/a.so", "", 0);
	cr_assert(loader_path_init(&path, "a", extra, 2));
	loader_each(&path, note, &seen);
	cr_expect_str_eq(seen.text, "B=a/B.so a=a/a.so z=a/z.so a=b/a.so ");
	loader_path_fini(&path);
}

static void count(void *user, const char *file, const struct pc_plugin *p, bool shadowed,
                  const struct pc_error *error)
{
	struct seen *s = user;
	size_t n = strlen(s->text);

	snprintf(s->text + n, sizeof(s->text) - n, "%s:%s%s%s ", file, p ? "usable" : "",
	         error ? "unusable" : "", shadowed ? "+shadowed" : "");
	cr_expect(!p || strcmp(pc_plugin_desc(p)->name, "drop") == 0);
	cr_expect(!p || strcmp(pc_plugin_file(p), file) == 0);
}

Test(open, the_public_calls)
{
	static const char *const dirs[] = {"a", "b"};
	struct pc_load_options options = {
		.size = sizeof(options), .plugin_dirs = dirs, .n_plugin_dirs = 2};
	struct pc_plugin *p = NULL;
	struct pc_error *err = NULL;
	struct seen seen = {{0}};

	plugin("a", "drop", "drop");
	plugin("b", "drop", "drop");
	scratch_write("b/bad.so", "", 0);
	cr_assert(pc_plugin_list(&options, count, &seen, NULL) == PC_OK);
	cr_expect_str_eq(seen.text,
	                 "a/drop.so:usable b/bad.so:unusable b/drop.so:usable+shadowed ");
	cr_assert(pc_plugin_open(&p, "drop", &options, NULL) == PC_OK);
	cr_expect_str_eq(pc_plugin_file(p), "a/drop.so");
	pc_plugin_close(p);
	cr_expect(pc_plugin_open(&p, "drop", NULL, &err) == PC_ERROR && p == NULL);
	cr_expect(pc_error_code(err) == PC_ERROR);
	pc_error_free(err);
	pc_plugin_close(NULL);
	cr_expect(strchr(pc_version(), '.') != NULL);
}

/* A plugin linked with -ffast-math asks for flush-to-zero; the host's arithmetic must not change. */
Test(open, arithmetic_stays_as_it_was)
{
	volatile double tiny = 1e-308;

	scratch_stage("fast.c", "drop", "");
	scratch_build("fast.c", "fast.so", "-ffast-math");
	loader_close(scratch_open(NULL, "./fast.so"));
	cr_expect(tiny / 10 > 0, "denormal numbers are gone");
}
