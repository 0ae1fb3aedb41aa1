/* test-compile.c: a stage given as source is compiled once, again when anything that went into it
 * has changed, and the compiler's own words are what the author reads. */
#include "scratch.h"

#include "loader/compile.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <time.h>

TestSuite(compile, .init = scratch_init, .fini = scratch_fini, .timeout = 60);

/* Files of this age are settled: a result made of them may be kept. */
static void age(const char *file)
{
	struct timespec times[2];

	clock_gettime(CLOCK_REALTIME, &times[0]);
	times[0].tv_sec -= 10;
	times[1] = times[0];
	cr_assert(utimensat(AT_FDCWD, file, times, 0) == 0);
}

static void write_old(const char *file, const char *text)
{
	scratch_write(file, text, strlen(text));
	age(file);
}

static char *compile(const char *source)
{
	struct pc_error *err = NULL;
	char *built = NULL;

	cr_assert(compile_stage(source, &built, &err) == PC_OK, "%s", pc_error_text(err));
	return built;
}

/* Whether a second compilation runs is seen by a compiler that counts its runs. */
static void counting_compiler(void)
{
	char cc[PATH_MAX + 8];

	write_old("cc.sh", "#!/bin/sh\necho run >>\"$XDG_CACHE_HOME/runs\"\nexec cc \"$@\"\n");
	cr_assert(chmod("cc.sh", 0700) == 0);
	snprintf(cc, sizeof(cc), "%s/cc.sh", scratch_dir);
	setenv("CC", cc, 1);
}

static unsigned runs(void)
{
	struct stat st;

	return stat("runs", &st) == 0 ? (unsigned)st.st_size / 4 : 0;
}

Test(compile, a_source_is_a_stage)
{
	struct loader_plugin *p;

	scratch_stage("drop.c", "drop",
	              "#include <math.h>\ndouble f(double x);\n"
	              "double f(double x) { return sin(x); }");
	p = scratch_open(NULL, "./drop.c");
	cr_expect_str_eq(p->file, "./drop.c");
	cr_expect_str_eq(p->desc->name, "drop");
	cr_expect(strstr(p->loaded, "/pcrun/drop-") != NULL, "%s", p->loaded);
	loader_close(p);
}

Test(compile, nothing_is_compiled_twice)
{
	const struct timespec moment = {0, 20000000};
	struct stat first, second;
	char *a, *b;

	counting_compiler();
	scratch_stage("drop.c", "drop", "#include \"mine.h\"");
	age("drop.c");
	write_old("mine.h", "enum { MINE = 1 };\n");
	a = compile("./drop.c");
	cr_expect(runs() == 1, "%u runs", runs());
	cr_assert(stat(a, &first) == 0);
	nanosleep(&moment, NULL);
	b = compile("./drop.c");
	cr_expect(runs() == 1, "%u runs", runs());
	cr_expect_str_eq(a, b);
	/* who loads it at this moment compares that */
	cr_assert(stat(b, &second) == 0);
	cr_expect(first.st_mtim.tv_sec == second.st_mtim.tv_sec &&
	          first.st_mtim.tv_nsec == second.st_mtim.tv_nsec);
	free(a);
	free(b);
}

#define RECOMPILED(change, what)                                                               \
	do {                                                                                   \
		unsigned before = runs();                                                      \
		char *old = compile("./drop.c"), *new;                                         \
		cr_expect(runs() == before, "compiled for nothing before: %s", what);          \
		change;                                                                        \
		new = compile("./drop.c");                                                     \
		cr_expect(runs() == before + 1, "%u runs after: %s", runs() - before, what);   \
		cr_expect(strcmp(old, new) != 0, "same name after: %s", what);                 \
		cr_expect(access(old, F_OK) == 0, "the old one is gone after: %s", what);      \
		free(old);                                                                     \
		free(new);                                                                     \
	} while (0)

Test(compile, every_change_counts)
{
	char include[PATH_MAX + 32];

	counting_compiler();
	scratch_stage("drop.c", "drop", "#include \"mine.h\"");
	age("drop.c");
	mkdir("a b", 0700);
	write_old("mine.h", "#include \"a b/$x#y.h\"\n");
	write_old("a b/$x#y.h", "enum { INNER = 1 };\n");
	free(compile("./drop.c"));
	RECOMPILED(scratch_stage("drop.c", "drop", "#include \"mine.h\"\n");
	           age("drop.c"), "the source");
	RECOMPILED(write_old("mine.h", "#include \"a b/$x#y.h\"\n\n"), "a header");
	RECOMPILED(write_old("a b/$x#y.h", "enum { INNER = 2 };\n"), "a header's header");
	RECOMPILED(write_old("cc.sh", "#!/bin/sh\necho run >>\"$XDG_CACHE_HOME/runs\"\n"
	                              "exec  cc \"$@\"\n"),
	           "the compiler");
	snprintf(include, sizeof(include), "%s/.", getenv("PCRUN_INCLUDE_DIR"));
	RECOMPILED(setenv("PCRUN_INCLUDE_DIR", include, 1), "the include directory");
}

/* Only the time differs: not a change. */
Test(compile, touching_is_no_change)
{
	counting_compiler();
	scratch_stage("drop.c", "drop", "");
	age("drop.c");
	free(compile("./drop.c"));
	cr_assert(utimensat(AT_FDCWD, "drop.c", NULL, 0) == 0);
	free(compile("./drop.c"));
	cr_expect(runs() == 1, "%u runs", runs());
}

/* What was written while the compiler ran may be in the result, or not: nobody knows. */
Test(compile, a_source_as_young_as_its_result_is_not_trusted)
{
	struct timespec soon[2];

	counting_compiler();
	scratch_stage("drop.c", "drop", "");
	clock_gettime(CLOCK_REALTIME, &soon[0]);
	soon[0].tv_sec += 5;
	soon[1] = soon[0];
	cr_assert(utimensat(AT_FDCWD, "drop.c", soon, 0) == 0);
	free(compile("./drop.c"));
	free(compile("./drop.c"));
	cr_expect(runs() == 2, "%u runs", runs());
}

/* An older file that is moved there while the compiler runs would be taken for what was compiled. */
Test(compile, a_source_that_is_replaced_meanwhile_is_not_trusted)
{
	char cc[PATH_MAX + 8];

	scratch_stage("drop.c", "drop", "");
	scratch_stage("other.c", "other", "");
	age("drop.c");
	age("other.c");
	write_old("cc.sh",
	          "#!/bin/sh\necho run >>\"$XDG_CACHE_HOME/runs\"\ncc \"$@\" || exit 1\n"
	          "sleep 0.1\n[ ! -e other.c ] || mv other.c drop.c\n");
	cr_assert(chmod("cc.sh", 0700) == 0);
	snprintf(cc, sizeof(cc), "%s/cc.sh", scratch_dir);
	setenv("CC", cc, 1);
	free(compile("./drop.c"));
	cr_assert(access("other.c", F_OK) < 0);
	free(compile("./drop.c"));
	cr_expect(runs() == 2, "%u runs", runs());
}

Test(compile, a_damaged_cache_is_made_anew)
{
	char *built;

	counting_compiler();
	scratch_stage("drop.c", "drop", "");
	age("drop.c");
	built = compile("./drop.c");
	cr_assert(truncate(built, 100) == 0);
	free(built);
	loader_close(scratch_open(NULL, "./drop.c"));
	cr_expect(runs() == 2, "%u runs", runs());
	built = compile("./drop.c");
	cr_assert(unlink(built) == 0);
	free(built);
	loader_close(scratch_open(NULL, "./drop.c"));
	cr_expect(runs() == 3, "%u runs", runs());
}

Test(compile, the_compiler_has_the_word)
{
	write_old("bad.c", "int f(void) { return undeclared_thing; }\n");
	scratch_refused("./bad.c", "./bad.c does not compile");
	scratch_refused("./bad.c", "./bad.c:1:22: error: ");
	scratch_refused("./bad.c", "undeclared_thing");
	scratch_stage("link.c", "link",
	              "int g(void); int f(void); int f(void) { return g(); }");
	scratch_refused("./link.c", "undefined reference to `g'");
}

Test(compile, what_is_not_there_is_said)
{
	scratch_refused_as(PC_ERROR, NULL, "./none.c", "./none.c can't be read: No such file");
	mkdir("dir.c", 0700);
	scratch_refused("./dir.c", "./dir.c is not a source file");
	scratch_stage("drop.c", "drop", "");
	setenv("CC", "/no/such/cc", 1);
	scratch_refused_as(PC_ERROR, NULL, "./drop.c",
	                   "the compiler '/no/such/cc' can't be run");
	setenv("CC", "false", 1);
	scratch_refused("./drop.c", "false ended with status 1");
	write_old("killed", "#!/bin/sh\nkill -9 $$\n");
	cr_assert(chmod("killed", 0700) == 0);
	setenv("CC", "./killed", 1);
	scratch_refused("./drop.c", "signal 9 ended ./killed");
}

Test(compile, the_compiler_may_be_several_words)
{
	scratch_stage("drop.c", "drop", "#ifndef WANTED\n#error no WANTED\n#endif");
	setenv("CC", "  cc\t-DWANTED ", 1);
	loader_close(scratch_open(NULL, "./drop.c"));
	setenv("CC", " ", 1);
	scratch_refused("./drop.c", "no WANTED");
}

static unsigned count_files(const char *dir)
{
	DIR *entries = opendir(dir);
	unsigned n = 0;

	cr_assert(entries);
	while (readdir(entries))
		n++;
	closedir(entries);
	return n - 2;
}

Test(compile, nothing_half_made_stays_and_old_things_go)
{
	struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};

	scratch_stage("drop.c", "drop", "");
	age("drop.c");
	free(compile("./drop.c"));
	cr_expect(count_files("pcrun") == 2, "%u files", count_files("pcrun"));
	write_old("bad.c", "int f(\n");
	scratch_refused("./bad.c", "does not compile");
	cr_expect(count_files("pcrun") == 2, "%u files", count_files("pcrun"));
	scratch_write("pcrun/forgotten.so", "", 0);
	cr_assert(utimensat(AT_FDCWD, "pcrun/forgotten.so", old, 0) == 0);
	scratch_stage("drop.c", "drop", "\n");
	free(compile("./drop.c"));
	cr_expect(access("pcrun/forgotten.so", F_OK) != 0);
}

/* Whoever can write to the directory can have any code run. */
Test(compile, a_directory_of_others_is_not_used)
{
	char *built, fallback[64];

	snprintf(fallback, sizeof(fallback), "/tmp/pcrun-cache-%u/", (unsigned)geteuid());
	scratch_stage("drop.c", "drop", "");
	mkdir("pcrun", 0700);
	cr_assert(chmod("pcrun", 0777) == 0);
	built = compile("./drop.c");
	cr_expect(strncmp(built, fallback, strlen(fallback)) == 0, "%s", built);
	unlink(built);
	free(built);
	unsetenv("XDG_CACHE_HOME");
	setenv("HOME", scratch_dir, 1);
	built = compile("./drop.c");
	cr_expect(strstr(built, "/.cache/pcrun/") != NULL, "%s", built);
	free(built);
}

/* A host that blocks signals (pcrun does) must not make the compiler deaf. */
Test(compile, the_compiler_gets_the_usual_signals)
{
	sigset_t all;

	scratch_stage("drop.c", "drop", "");
	write_old("cc.sh", "#!/bin/sh\n(kill -TERM $$)\nexit 0\n");
	cr_assert(chmod("cc.sh", 0700) == 0);
	setenv("CC", "./cc.sh", 1);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	signal(SIGTERM, SIG_IGN);
	scratch_refused("./drop.c", "signal 15 ended ./cc.sh");
}

Test(compile, what_it_includes_is_known)
{
	char *names;

	scratch_stage("drop.c", "drop", "#include \"mine.h\"");
	age("drop.c");
	mkdir("a b", 0700);
	write_old("mine.h", "#include \"a b/$x#y.h\"\n");
	write_old("a b/$x#y.h", "enum { INNER = 1 };\n");
	cr_expect(!pc_plugin_headers("./drop.c"), "not compiled yet");
	free(compile("./drop.c"));
	names = pc_plugin_headers("./drop.c");
	cr_assert(names);
	cr_expect(strstr(names, "\nmine.h\na b/$x#y.h\n"), "%s", names);
	cr_expect(!strstr(names, "drop.c"), "the source itself: %s", names);
	cr_expect(!strstr(names, "stdlib.h"), "the compiler's own: %s", names);
	free(names);
	cr_expect(!pc_plugin_headers("drop.so") && !pc_plugin_headers("none.c"));
}
