/* test-copy.c: what is loaded to be swapped is a private copy: where it lies, what it is called, how
 * long it stays, that a killed process leaves none, and that nothing that happens to the
 * developer's file reaches what runs. */
#include "scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

static void init(void)
{
	char path[PATH_MAX + 8];

	scratch_init();
	cr_assert(mkdir("run", 0700) == 0 && mkdir("tmp", 0700) == 0);
	snprintf(path, sizeof(path), "%s/run", scratch_dir);
	setenv("XDG_RUNTIME_DIR", path, 1);
	snprintf(path, sizeof(path), "%s/tmp", scratch_dir);
	setenv("TMPDIR", path, 1);
	scratch_stage("drop.c", "drop", "");
	scratch_build("drop.c", "drop.so", "");
}

TestSuite(copy, .init = init, .fini = scratch_fini, .timeout = 60);

static struct loader_copy copy_of(const char *file, const char *stage, unsigned number)
{
	struct loader_copy copy;
	struct pc_error *err = NULL;
	int r = loader_copy_make(&copy, file, stage, number, &err);

	cr_assert(r == PC_OK, "%d: %s", r, pc_error_text(err));
	return copy;
}

static struct loader_plugin *open_copy(const char *file, unsigned number)
{
	struct loader_copy copy = copy_of(file, "drop", number);
	struct loader_plugin *plugin = NULL;
	struct pc_error *err = NULL;
	int r = loader_copy_open(&plugin, &copy, &err);

	cr_assert(r == PC_OK, "%d: %s", r, pc_error_text(err));
	return plugin;
}

static unsigned entries(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	unsigned n = 0;

	while (d && (entry = readdir(d)))
		n += entry->d_name[0] != '.';
	if (d)
		closedir(d);
	return n;
}

static char *own_dir(const char *place, long pid)
{
	char *path = NULL;

	cr_assert(asprintf(&path, "%s/pcrun-copies-%ld", place, pid) > 0);
	return path;
}

Test(copy, has_a_name_and_a_place_of_its_own)
{
	struct loader_plugin *plugin = open_copy("./drop.so", 7);
	char *dir = own_dir("run", getpid());
	struct stat st;

	cr_assert(stat(dir, &st) == 0);
	cr_expect((st.st_mode & 0777) == 0700);
	cr_expect(fnmatch("*/run/pcrun-copies-*/drop.v0007.????????.so", plugin->loaded, 0) ==
	                  0,
	          "%s", plugin->loaded);
	cr_expect(strcmp(plugin->file, "./drop.so") == 0, "messages name the developer's file");
	cr_expect(strcmp(plugin->desc->name, "drop") == 0);
	cr_assert(stat(plugin->loaded, &st) == 0 && (st.st_mode & 0777) == 0600);
	loader_close(plugin);
	if (!SCRATCH_KEEPS)
		cr_expect(entries("run") == 0,
		          "it goes with the build, and the folder with it");
	free(dir);
}

Test(copy, no_name_is_given_twice)
{
	struct loader_copy copies[6];
	char *seen[6];

	/* The same file, stage and number; also when the earlier one is gone again. */
	for (int i = 0; i < 6; i++) {
		copies[i] = copy_of("./drop.so", i < 5 ? "drop" : "../dr op", 3);
		seen[i] = strdup(copies[i].path);
		for (int k = 0; k < i; k++)
			cr_expect(strcmp(seen[k], seen[i]) != 0, "%s", seen[i]);
		if (i % 2) {
			loader_copy_drop(&copies[i]);
			cr_expect(access(seen[i], F_OK) != 0, "it goes before the others");
		}
	}
	cr_expect(strstr(seen[5], "/___dr_op.v0003."), "%s", seen[5]);
	for (int i = 0; i < 6; i++) {
		if (i % 2 == 0)
			loader_copy_drop(&copies[i]);
		free(seen[i]);
	}
	cr_expect(entries("run") == 0);
}

/* Two builds from one path are two builds, whatever name leads to the file. */
Test(copy, every_name_of_a_file_is_loaded_anew)
{
	static const char *const names[] = {"./drop.so", "./hard.so", "./soft.so",
	                                    "./moved.so"};
	struct loader_plugin *first = scratch_open(NULL, "./drop.so"), *plugins[4];

	cr_assert(link("drop.so", "hard.so") == 0 && symlink("drop.so", "soft.so") == 0);
	for (unsigned i = 0; i < 4; i++) {
		if (i == 3)
			cr_assert(rename("hard.so", "moved.so") == 0);
		plugins[i] = open_copy(names[i], i + 2);
		cr_expect(plugins[i]->handle != first->handle);
		cr_expect(plugins[i]->code == first->code);
		for (unsigned k = 0; k < i; k++)
			cr_expect(plugins[i]->handle != plugins[k]->handle);
	}
	for (unsigned i = 0; i < 4; i++)
		loader_close(plugins[i]);
	loader_close(first);
}

/* The first build too, when the graph may be swapped: its file is cut to nothing and written over
 * while its code runs. (Of the file itself, that is SIGBUS.) */
Test(copy, what_happens_to_the_file_does_not_reach_it)
{
	struct loader_path path;
	struct loader_plugin *plugin;
	struct pc_stage st = {0};
	struct pc_item item = {0};
	char zeros[8192] = {0};

	cr_assert(loader_path_init(&path, NULL, NULL, 0));
	path.private_copies = true;
	plugin = scratch_open(&path, "./drop.so");
	cr_expect(plugin->desc->process(&st, NULL, &item) == PC_OK);
	cr_assert(truncate("drop.so", 0) == 0);
	cr_expect(plugin->desc->process(&st, NULL, &item) == PC_OK);
	scratch_write("drop.so", zeros, sizeof(zeros));
	cr_expect(plugin->desc->process(&st, NULL, &item) == PC_OK);
	scratch_build("drop.c", "drop.so", "");
	cr_assert(scratch_run("strip drop.so && objcopy --add-section .x=drop.c drop.so") == 0);
	cr_expect(plugin->desc->process(&st, NULL, &item) == PC_OK);
	loader_path_fini(&path);
	loader_close(plugin);
	if (!SCRATCH_KEEPS)
		cr_expect(entries("run") == 0);
}

/* ---- places ---- */

Test(copy, a_place_that_does_not_do_is_passed_over)
{
	struct loader_copy copy;

	cr_assert(rmdir("run") == 0); /* not there */
	copy = copy_of("./drop.so", "drop", 1);
	cr_expect(strstr(copy.path, "/tmp/pcrun-"), "%s", copy.path);
	cr_expect(entries("tmp") == 1);
	loader_copy_drop(&copy);

	scratch_write("run", "", 0); /* no directory */
	copy = copy_of("./drop.so", "drop", 2);
	cr_expect(entries("tmp") == 1);
	loader_copy_drop(&copy);

	cr_assert(unlink("run") == 0 && mkdir("run", 0700) == 0 && chmod("run", 0777) == 0);
	copy = copy_of("./drop.so", "drop", 3); /* others may write to it */
	cr_expect(entries("run") == 0 && entries("tmp") == 1);
	loader_copy_drop(&copy);
}

static bool mount_on(const char *dir, const char *options, unsigned long flags)
{
	return mount("tmpfs", dir, "tmpfs", flags, options) == 0;
}

/* Mounted where nobody else sees it, and gone with this process. */
Test(copy, full_and_noexec_places_are_named)
{
	struct pc_error *err = NULL;
	struct loader_copy copy, many[64];
	unsigned n;
	char *dir;

	if (unshare(CLONE_NEWNS) < 0 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    !mount_on("/mnt", "mode=700", 0))
		cr_skip_test("no file systems may be mounted here");
	cr_assert(mkdir("/mnt/run", 0700) == 0 && mkdir("/mnt/tmp", 0700) == 0);
	cr_assert(mount_on("/mnt/run", "size=4k,mode=700", 0));
	cr_assert(mount_on("/mnt/tmp", "mode=700", MS_NOEXEC));
	setenv("XDG_RUNTIME_DIR", "/mnt/run", 1);
	setenv("TMPDIR", "/mnt/tmp", 1);
	copy = copy_of("./drop.so", "drop", 1);
	cr_expect(strncmp(copy.path, "/tmp/pcrun-", 11) == 0, "%s", copy.path);
	cr_expect(entries("/mnt/run") == 0 && entries("/mnt/tmp") == 0,
	          "what did not do is removed");
	loader_copy_drop(&copy);

	/* Where some are, the half of one that has no room is removed as well. */
	cr_assert(mount_on("/tmp", "size=64k,mode=700", 0));
	for (n = 0; n < 64; n++)
		if (loader_copy_make(&many[n], "./drop.so", "drop", 10 + n, NULL) != PC_OK)
			break;
	cr_expect(n > 0 && n < 64);
	dir = own_dir("/tmp", getpid());
	cr_expect(entries(dir) == n, "%u of %u", entries(dir), n);
	free(dir);
	while (n > 0)
		loader_copy_drop(&many[--n]);
	cr_assert(umount("/tmp") == 0);

	cr_assert(mount_on("/tmp", "size=4k,mode=700", 0));
	cr_expect(loader_copy_make(&copy, "./drop.so", "drop", 2, &err) == PC_ERROR);
	cr_expect(strstr(pc_error_text(err), "/mnt/run: No space left on device; "), "%s",
	          pc_error_text(err));
	cr_expect(strstr(pc_error_text(err), "/mnt/tmp: nothing in it may be run"), "%s",
	          pc_error_text(err));
	cr_expect(strstr(pc_error_text(err), "; /tmp: No space left on device (TMPDIR names"),
	          "%s", pc_error_text(err));
	cr_expect(entries("/tmp") == 0);
	cr_assert(umount("/tmp") == 0);
	pc_error_free(err);
}

Test(copy, out_of_descriptors)
{
	struct rlimit old, none;
	struct pc_error *err = NULL;
	struct loader_copy copy;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	cr_assert(getrlimit(RLIMIT_NOFILE, &old) == 0);
	for (int more = 0; more < 3; more++) {
		none = old;
		none.rlim_cur = (rlim_t)(fd + more);
		cr_assert(setrlimit(RLIMIT_NOFILE, &none) == 0);
		err = NULL;
		cr_expect(loader_copy_make(&copy, "./drop.so", "drop", 1, &err) != PC_OK ||
		          more == 2);
		cr_assert(setrlimit(RLIMIT_NOFILE, &old) == 0);
		if (err)
			cr_expect(strstr(pc_error_text(err), "Too many open files"), "%s",
			          pc_error_text(err));
		pc_error_free(err);
		loader_copy_drop(&copy);
		cr_expect(entries("run") == 0);
	}
	close(fd);
}

/* ---- the dead and the living ---- */

/* A child with a copy; it says so through a pipe, and then waits. */
static pid_t start_child(int *ret_end)
{
	int ends[2];
	char c;
	pid_t pid;

	cr_assert(pipe(ends) == 0);
	pid = fork();
	cr_assert(pid >= 0);
	if (pid == 0) {
		struct loader_plugin *plugin = open_copy("./drop.so", 5);

		close(ends[0]);
		if (!plugin || write(ends[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ends[1]);
	cr_assert(read(ends[0], &c, 1) == 1);
	*ret_end = ends[0];
	return pid;
}

Test(copy, a_killed_process_leaves_nothing_after_the_next_start)
{
	int end[2];
	pid_t dead = start_child(&end[0]), living = start_child(&end[1]);
	char *its = own_dir("run", living), *gone = own_dir("run", dead);
	int status;

	cr_assert(entries("run") == 2);
	kill(dead, SIGKILL);
	waitpid(dead, &status, 0);
	cr_expect(entries(gone) == 1);
	loader_sweep();
	cr_expect(access(gone, F_OK) != 0, "the dead one's is removed");
	cr_expect(entries(its) == 1, "the living one's is not");
	kill(living, SIGKILL);
	waitpid(living, &status, 0);
	close(end[0]);
	close(end[1]);
	free(its);
	free(gone);
}

/* Also when it dies in the middle: an empty folder, half a file. */
Test(copy, whatever_a_killed_process_was_doing)
{
	cr_assert(mkdir("run/pcrun-copies-999999", 0700) == 0);
	cr_assert(mkdir("run/pcrun-copies-999998-2", 0700) == 0);
	scratch_write("run/pcrun-copies-999998-2/drop.v0003.12345678.so", "half", 4);
	cr_assert(mkdir("run/pcrun-copies-77", 0755) == 0);  /* not as we make them */
	cr_assert(mkdir("run/pcrun-copies-78x", 0700) == 0); /* nor this */
	cr_assert(mkdir("run/pcrun-copies-79", 0700) == 0);  /* … with what we do not make */
	cr_assert(mkdir("run/pcrun-copies-79/dir", 0700) == 0);
	cr_assert(symlink("/etc", "run/pcrun-copies-80") == 0);
	loader_sweep();
	cr_expect(access("run/pcrun-copies-999999", F_OK) != 0);
	cr_expect(access("run/pcrun-copies-999998-2", F_OK) != 0);
	cr_expect(access("run/pcrun-copies-77", F_OK) == 0 &&
	          access("run/pcrun-copies-78x", F_OK) == 0);
	cr_expect(access("run/pcrun-copies-79/dir", F_OK) == 0 &&
	          access("run/pcrun-copies-80", F_OK) == 0);
}

/* Our number may have been another's: a dead one's folder is cleared away, a living one's (of
 * another container, say) is left alone. */
Test(copy, the_number_of_the_process_is_not_trusted)
{
	char *dir = own_dir("run", getpid()), *stale = NULL;
	struct loader_copy copy;
	int fd, ends[2];
	pid_t child;
	char c;

	cr_assert(asprintf(&stale, "%s/old.v0001.00000000.so", dir) > 0);
	cr_assert(mkdir(dir, 0700) == 0);
	scratch_write(stale, "old", 3);
	copy = copy_of("./drop.so", "drop", 1);
	cr_expect(access(stale, F_OK) != 0);
	cr_expect(strncmp(strstr(copy.path, "run/"), dir, strlen(dir)) == 0);
	loader_copy_drop(&copy);

	cr_assert(mkdir(dir, 0700) == 0 && pipe(ends) == 0);
	child = fork();
	if (child == 0) {
		fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		_exit(flock(fd, LOCK_EX) < 0 || write(ends[1], "x", 1) != 1 || pause());
	}
	cr_assert(read(ends[0], &c, 1) == 1);
	copy = copy_of("./drop.so", "drop", 2);
	cr_expect(access(dir, F_OK) == 0);
	cr_expect(fnmatch("*/run/pcrun-copies-*-1/drop.v0002.*.so", copy.path, 0) == 0, "%s",
	          copy.path);
	loader_copy_drop(&copy);
	cr_expect(entries("run") == 1);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	free(stale);
	free(dir);
}

/* ---- whole? ---- */

static void expect_whole(const char *file, int code, const char *text)
{
	struct pc_error *err = NULL;
	uint64_t hash = 1;
	int r = pc_plugin_whole(file, &hash, &err);

	cr_expect(r == code && pc_error_code(err) == code, "%s: %d, not %d: %s", file, r, code,
	          pc_error_text(err));
	cr_expect(strstr(pc_error_text(err), text), "%s", pc_error_text(err));
	cr_expect((r == PC_OK) == (hash != 1));
	pc_error_free(err);
}

Test(copy, whoever_watches_knows_whether_to_wait)
{
	size_t size;
	char *bytes = scratch_read("drop.so", &size), *tail = malloc(size);

	expect_whole("./drop.so", PC_OK, "");
	for (size_t n = 0; n < size; n += 64) {
		scratch_write("part.so", bytes, n);
		expect_whole("./part.so", PC_AGAIN, "");
		if (size - n <= 64)
			continue; /* lacks no more than the last entry of a table: see test-elf */
		memcpy(tail, bytes, size);
		memset(tail + n, 0, size - n);
		scratch_write("part.so", tail, size);
		expect_whole("./part.so", PC_AGAIN, "");
	}
	free(tail);
	free(bytes);
	scratch_write("text.so", "INPUT(libc.so.6)\n", 17);
	expect_whole("./text.so", PC_WRONG, "is a text file");
	expect_whole(".", PC_WRONG, "is a directory");
	expect_whole("/dev/null", PC_WRONG, "is a device");
	expect_whole("./nothing.so", PC_ERROR, "No such file");
	scratch_write("lib.c", "int f(void) { return 1; }\n", 26);
	scratch_build("lib.c", "lib.so", "");
	expect_whole("./lib.so", PC_WRONG, "does not export pc_stage_v1");
	expect_whole("./drop.c", PC_OK, "");
	scratch_write("empty.c", "", 0);
	expect_whole("./empty.c", PC_AGAIN, "is empty");
}

static uint64_t code_of(const char *file)
{
	uint64_t code = 0;

	cr_assert(pc_plugin_whole(file, &code, NULL) == PC_OK, "%s", file);
	return code;
}

Test(copy, the_same_code_is_known_again)
{
	uint64_t code = code_of("./drop.so");

	scratch_build("drop.c", "again.so", "");
	cr_expect(code_of("./again.so") == code, "built again");
	cr_assert(scratch_run("{ echo; echo; cat drop.c; echo '/* a comment */'; } >lines.c") ==
	          0);
	scratch_build("lines.c", "lines.so", "-Wl,--build-id");
	scratch_build("drop.c", "drop.so", "-Wl,--build-id");
	code = code_of("./drop.so");
	cr_expect(code_of("./lines.so") == code, "lines have moved, which only debuggers see");
	cr_assert(scratch_run("cmp -s drop.so lines.so") != 0);
	cr_assert(scratch_run("strip -g -o stripped.so drop.so") == 0);
	cr_expect(code_of("./stripped.so") == code, "without debug information");
	scratch_stage("other.c", "drop", "");
	cr_assert(scratch_run("sed -i 's/return PC_OK/return PC_END/' other.c") == 0);
	scratch_build("other.c", "other.so", "-Wl,--build-id");
	cr_expect(code_of("./other.so") != code, "another body");
	cr_assert(scratch_run("sed -i 's/\"anything\"/\"anythinG\"/' drop.c") == 0);
	scratch_build("drop.c", "text.so", "-Wl,--build-id");
	cr_expect(code_of("./text.so") != code, "another text");
}

static bool same_file(const char *a, const char *b)
{
	char command[2 * PATH_MAX + 16];

	snprintf(command, sizeof(command), "cmp -s '%s' '%s'", a, b);
	return scratch_run(command) == 0;
}

static bool maps_have(const char *path)
{
	char command[PATH_MAX + 64];

	snprintf(command, sizeof(command), "grep -q ' %s$' /proc/%ld/maps", path,
	         (long)getpid());
	return scratch_run(command) == 0;
}

static void move_lines(const char *to)
{
	cr_assert(scratch_run("sed -i '1i\\ ' drop.c") == 0);
	scratch_build("drop.c", to, "-Wl,--build-id");
}

/* Only lines have moved: the name that was loaded leads to the new ones; what is mapped stays as it
 * is, and has a name of its own, so that its build id is the file's for whoever goes by the map. */
Test(copy, new_lines_of_the_same_code_are_shown)
{
	struct loader_plugin *plugin, *other;
	char *mapped;

	scratch_build("drop.c", "drop.so", "-Wl,--build-id");
	plugin = open_copy("./drop.so", 2);
	cr_assert(asprintf(&mapped, "%.*s.mapped.so", (int)strlen(plugin->loaded) - 3,
	                   plugin->loaded) > 0);
	cr_expect(maps_have(plugin->loaded));
	for (unsigned i = 0; i < 3; i++) {
		char name[16];

		snprintf(name, sizeof(name), "lines%u.so", i);
		move_lines(name);
		other = open_copy(name, 3 + i);
		cr_expect(loader_refresh(plugin, other));
		cr_expect(!loader_refresh(plugin, other), "it has these already");
		loader_close(other);
		cr_expect(same_file(plugin->loaded, name), "the new lines");
		cr_expect(same_file(mapped, "drop.so"), "what is mapped is untouched");
		cr_expect(maps_have(mapped) && !maps_have(plugin->loaded));
	}
	cr_assert(scratch_run("strip -g -o stripped.so drop.so") == 0);
	other = open_copy("./stripped.so", 7);
	cr_expect(!loader_refresh(plugin, other), "no lines are no better ones");
	loader_close(other);
	cr_assert(scratch_run("sed -i 's/return PC_OK/return PC_END/' drop.c") == 0);
	scratch_build("drop.c", "other.so", "");
	other = open_copy("./other.so", 8);
	cr_expect(!loader_refresh(plugin, other), "lines of another code");
	loader_close(other);
	other = scratch_open(NULL, "./drop.so");
	cr_expect(!loader_refresh(other, plugin), "the developer's file is not ours to rename");
	loader_close(other);
	cr_expect(same_file(plugin->loaded, "lines2.so"));
	loader_close(plugin);
	if (!SCRATCH_KEEPS)
		cr_expect(entries("run") == 0);
	free(mapped);
}
