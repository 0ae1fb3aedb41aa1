/* loader/cache.c: the compile cache of cache.h.
 *
 * Right because a hit needs the content of every file of the last build to be the same, not its
 * time. (As with make, a new header that would now be found before an old one is not noticed;
 * the compiler's own headers count through the compiler's identity, which is in the key.) */
#include "loader/cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define UNUSED_S (INT64_C(30) * 24 * 3600)

/* FNV-1a, 64 bit (Fowler, Noll, Vo). Guards against accidents; the directory is the user's own. */
uint64_t cache_hash(uint64_t hash, const void *bytes, size_t size)
{
	const unsigned char *b = bytes;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ b[i]) * UINT64_C(0x100000001b3);
	return hash;
}

static bool hash_file(const char *file, uint64_t *ret, struct stat *st)
{
	unsigned char bytes[16384];
	uint64_t hash = CACHE_HASH_INIT;
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n = -1;

	if (fd < 0)
		return false;
	if (fstat(fd, st) == 0 && S_ISREG(st->st_mode)) {
		do {
			n = read(fd, bytes, sizeof(bytes));
			if (n > 0)
				hash = cache_hash(hash, bytes, (size_t)n);
		} while (n > 0 || (n < 0 && errno == EINTR));
	}
	close(fd);
	*ret = hash;
	return n == 0;
}

/* A directory of ours that nobody else may write to. */
static bool is_private(const char *dir)
{
	struct stat st;

	return lstat(dir, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
	       (st.st_mode & (S_IWGRP | S_IWOTH)) == 0 && access(dir, W_OK | X_OK) == 0;
}

static bool make_dirs(const char *dir)
{
	char *copy = strdup(dir);

	if (!copy)
		return false;
	for (char *c = copy + 1; *c; c++) {
		if (*c != '/')
			continue;
		*c = '\0';
		mkdir(copy, 0700);
		*c = '/';
	}
	mkdir(copy, 0700);
	free(copy);
	return is_private(dir);
}

int cache_dir(struct buf *dir, struct pc_error **err)
{
	const char *cache = secure_getenv("XDG_CACHE_HOME");
	const char *home = secure_getenv("HOME");

	if (cache && cache[0] == '/') {
		buf_addf(dir, "%s/pcrun", cache);
		if (!dir->failed && make_dirs(dir->text))
			return PC_OK;
		buf_fini(dir);
	} else if (home && home[0] == '/') {
		buf_addf(dir, "%s/.cache/pcrun", home);
		if (!dir->failed && make_dirs(dir->text))
			return PC_OK;
		buf_fini(dir);
	}
	buf_addf(dir, "/tmp/pcrun-cache-%u", (unsigned)geteuid());
	if (!dir->failed && make_dirs(dir->text))
		return PC_OK;
	return error_set(
		err, PC_ERROR,
		"there is no place for compiled stages: neither $XDG_CACHE_HOME/pcrun, "
		"~/.cache/pcrun nor %s can be made and written by this user alone",
		dir->text ? dir->text : "/tmp");
}

static char *read_text(const char *file)
{
	FILE *in = fopen(file, "re");
	struct buf text = {0};
	char part[4096];
	size_t n;
	bool bad;

	if (!in)
		return NULL;
	while ((n = fread(part, 1, sizeof(part), in)) > 0)
		buf_add(&text, part, n);
	bad = ferror(in) != 0;
	fclose(in);
	if (bad) {
		buf_fini(&text);
		return NULL;
	}
	return buf_take(&text);
}

/* A record's lines: "SIZE OBJECT", then "HASH FILE" for each file. */
static bool is_unchanged(char *record, struct buf *object)
{
	char *line, *save = NULL, *name;
	struct stat st;

	line = strtok_r(record, "\n", &save);
	name = line ? strchr(line, ' ') : NULL;
	if (!name || stat(name + 1, &st) < 0 || st.st_size != strtoll(line, NULL, 10))
		return false;
	buf_adds(object, name + 1);
	while ((line = strtok_r(NULL, "\n", &save))) {
		uint64_t hash;

		name = strchr(line, ' ');
		if (!name || !hash_file(name + 1, &hash, &st) ||
		    hash != strtoull(line, NULL, 16))
			return false;
	}
	return !object->failed;
}

/* For cache_sweep(). Not the time of its content: whoever loads it just now, in this process or another,
 * would take it for changed. */
static void note_use(const char *file)
{
	const struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_OMIT}};

	utimensat(AT_FDCWD, file, times, 0);
}

bool cache_find(const char *record, struct buf *object)
{
	char *text = read_text(record);
	bool found = text && is_unchanged(text, object);

	free(text);
	if (!found) {
		buf_fini(object);
		return false;
	}
	note_use(record);
	note_use(object->text);
	return true;
}

bool cache_files(const char *record, struct buf *names)
{
	char *text = read_text(record), *line, *save = NULL;
	bool found = text && strtok_r(text, "\n", &save);

	while (found && (line = strtok_r(NULL, "\n", &save))) {
		char *name = strchr(line, ' ');

		if (name)
			buf_addf(names, "%s\n", name + 1);
	}
	free(text);
	return found && !names->failed;
}

static bool is_before(struct timespec a, struct timespec b)
{
	return a.tv_sec != b.tv_sec ? a.tv_sec < b.tv_sec : a.tv_nsec < b.tv_nsec;
}

/* The next file name of a make rule: `\ ` and `\#` and `$$` are escapes, `\` before a newline is
 * nothing. NULL at the end. */
static char *next_name(char **at)
{
	char *c = *at, *to, *name;

	while (*c == ' ' || *c == '\n' || (*c == '\\' && c[1] == '\n'))
		c++;
	if (*c == '\0')
		return NULL;
	name = to = c;
	while (*c && *c != ' ' && *c != '\n') {
		if ((*c == '\\' && (c[1] == ' ' || c[1] == '#')) || (*c == '$' && c[1] == '$'))
			c++;
		*to++ = *c++;
	}
	if (*c)
		c++;
	*to = '\0';
	*at = c;
	return name;
}

/* Writes the lines of a record behind what is in it, and hashes them into *hash. False when
 * a file can't be read or is as young as the build, so that nobody knows what was compiled; or was
 * moved there since, whatever its age. */
static bool list_files(char *rule, const struct cache_time *started, struct buf *lines,
                       uint64_t *hash)
{
	char *name, *at = strchr(rule, ':');
	bool settled = at != NULL;

	if (!at)
		return false;
	at++;
	while ((name = next_name(&at))) {
		struct stat st;
		uint64_t content;

		if (!hash_file(name, &content, &st) || strchr(name, '\n'))
			return false;
		if (!is_before(st.st_mtim, started->stamped) ||
		    is_before(started->exact, st.st_ctim))
			settled = false;
		*hash = cache_hash(*hash, &content, sizeof(content));
		buf_addf(lines, "%016" PRIx64 " %s\n", content, name);
	}
	return settled && !lines->failed;
}

static bool write_record(const char *record, const char *object, const char *lines,
                         const char *beside)
{
	struct buf temp = {0};
	struct stat st;
	FILE *out = NULL;
	bool ok;

	buf_addf(&temp, "%s.record", beside);
	if (!temp.failed && stat(object, &st) == 0)
		out = fopen(temp.text, "we");
	ok = out != NULL;
	if (ok) {
		ok = fprintf(out, "%lld %s\n%s", (long long)st.st_size, object, lines) > 0;
		ok = fclose(out) == 0 && ok;
		ok = ok && rename(temp.text, record) == 0;
		if (!ok)
			unlink(temp.text);
	}
	buf_fini(&temp);
	return ok;
}

int cache_add(const char *dir, const char *stem, const char *record, uint64_t key,
              const char *made, const char *depfile, const struct cache_time *started,
              struct buf *object, struct pc_error **err)
{
	char *rule = read_text(depfile);
	struct buf lines = {0};
	bool settled = rule && list_files(rule, started, &lines, &key);
	int r = PC_OK;

	if (!settled) /* a name that nobody else gets */
		key = cache_hash(key, made, strlen(made));
	buf_addf(object, "%s/%s-%016" PRIx64 ".so", dir, stem, key);
	if (object->failed)
		r = error_set(err, PC_NOMEM, "no memory to compile");
	else if (rename(made, object->text) < 0)
		r = error_set(err, PC_ERROR, "can't write %s: %s", object->text,
		              strerror(errno));
	else if (settled)
		write_record(record, object->text, lines.text,
		             made); /* without it: compiled again */
	buf_fini(&lines);
	free(rule);
	return r;
}

void cache_sweep(const char *dir)
{
	DIR *entries = opendir(dir);
	struct dirent *entry;
	time_t now = time(NULL);

	if (!entries)
		return;
	while ((entry = readdir(entries))) {
		struct stat st;

		if (fstatat(dirfd(entries), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode) && now - st.st_mtime > UNUSED_S &&
		    now - st.st_atime > UNUSED_S)
			unlinkat(dirfd(entries), entry->d_name, 0);
	}
	closedir(entries);
}
