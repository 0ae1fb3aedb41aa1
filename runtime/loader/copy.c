/* loader/copy.c: the private copies of copy.h.
 *
 * Under one lock: places that were tried, names that were given. Right because a copy that could
 * not be written whole is removed again before another place is tried, and because a place that
 * holds no copy any more is given up: so a graph leaves nothing, and what a process leaves that
 * is killed has a lock that nobody holds (owned.h). A process that ends in order, but with builds
 * that it could not unload, removes the rest as it ends. */
#include "loader/copy.h"

#include "loader/owned.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PLACES = 3, STAGE_MAX = 64 };

struct place {
	char *base; /* NULL: not given, or the same as an earlier one */
	struct owned dir;
	size_t copies;
};

/* The highest number that a name was given with. */
struct given {
	struct given *next;
	unsigned number;
	char stage[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct place places[PLACES]; /* under lock, all of these */
static struct given *given;
static unsigned given_twice;
static bool places_known;
static pid_t owner;

static void add_place(size_t i, const char *base)
{
	if (!base || base[0] != '/')
		return;
	for (size_t k = 0; k < i; k++)
		if (places[k].base && strcmp(places[k].base, base) == 0)
			return;
	places[i].base = strdup(base);
}

static void know_places(void)
{
	/* A child of fork() begins anew: the directories are its parent's. */
	if (places_known && owner == getpid())
		return;
	for (size_t i = 0; i < PLACES; i++) {
		if (places[i].dir.path && places[i].dir.fd >= 0)
			close(places[i].dir.fd);
		free(places[i].dir.path);
		free(places[i].base);
		places[i] = (struct place){.dir.fd = -1};
	}
	add_place(0, secure_getenv("XDG_RUNTIME_DIR"));
	add_place(1, secure_getenv("TMPDIR"));
	add_place(2, "/tmp");
	places_known = true;
	owner = getpid();
}

static void sweep(void)
{
	static bool swept;

	if (swept)
		return;
	swept = true;
	for (size_t i = 0; i < PLACES; i++)
		if (places[i].base)
			owned_sweep(places[i].base);
}

void copy_sweep(void)
{
	pthread_mutex_lock(&lock);
	know_places();
	sweep();
	pthread_mutex_unlock(&lock);
}

/* ------------------------------------------------------------------------------- names --- */

static bool is_plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-';
}

/* Whether this number is the stage's highest so far; then it is noted. */
static bool is_new(const char *stage, unsigned number)
{
	struct given *g = given;

	while (g && strcmp(g->stage, stage) != 0)
		g = g->next;
	if (!g) {
		g = malloc(sizeof(*g) + strlen(stage) + 1);
		if (!g)
			return false;
		strcpy(g->stage, stage);
		g->next = given;
		given = g;
	} else if (number <= g->number) {
		return false;
	}
	g->number = number;
	return true;
}

/* Two graphs of one process may have stages of one name: then a further number tells the files
 * apart. */
static void make_name(char name[static 128], const char *stage, unsigned number, uint64_t code)
{
	char plain[STAGE_MAX];
	size_t n = 0;

	for (; stage[n] && n < sizeof(plain) - 1; n++)
		plain[n] = stage[n];
	for (size_t i = 0; i < n; i++)
		if (!is_plain(plain[i]))
			plain[i] = '_';
	plain[n] = '\0';
	if (is_new(plain, number))
		snprintf(name, 128, "%s.v%04u.%08" PRIx32 ".so", plain, number,
		         (uint32_t)(code ^ code >> 32));
	else
		snprintf(name, 128, "%s.v%04u.%08" PRIx32 "-%u.so", plain, number,
		         (uint32_t)(code ^ code >> 32), ++given_twice);
}

/* ------------------------------------------------------------------------------ copying --- */

static bool write_bytes(int fd, const char *bytes, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, bytes, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		bytes += n;
		size -= (size_t)n;
	}
	return true;
}

/* What dlopen() will do: a file system that is mounted noexec says no. */
static bool may_run(int fd)
{
	void *at = mmap(NULL, 1, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);

	if (at == MAP_FAILED)
		return false;
	munmap(at, 1);
	return true;
}

static bool write_copy(int dir, const char *name, const char *bytes, size_t size,
                       struct buf *why)
{
	int fd = openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	bool ok = fd >= 0 && write_bytes(fd, bytes, size);

	if (!ok) {
		buf_addf(why, "%s", strerror(errno));
	} else if (!may_run(fd)) {
		ok = false;
		buf_addf(why, "nothing in it may be run (%s): it is mounted noexec",
		         strerror(errno));
	}
	if (fd >= 0 && close(fd) < 0 && ok) {
		ok = false;
		buf_addf(why, "%s", strerror(errno));
	}
	if (!ok && fd >= 0)
		unlinkat(dir, name, 0);
	return ok;
}

static void leave_if_empty(struct place *p)
{
	if (p->copies == 0)
		owned_remove(&p->dir);
}

static char *copy_to(struct place *p, const char *name, const char *bytes, size_t size,
                     struct buf *why)
{
	char *path = NULL;

	if (!p->dir.path && !owned_make(&p->dir, p->base, why))
		return NULL;
	if (asprintf(&path, "%s/%s", p->dir.path, name) < 0) {
		path = NULL;
		buf_adds(why, strerror(ENOMEM));
	} else if (!write_copy(p->dir.fd, name, bytes, size, why)) {
		free(path);
		path = NULL;
	} else {
		p->copies++;
	}
	leave_if_empty(p);
	return path;
}

int copy_make(char **ret_path, const char *stage, unsigned number, uint64_t code,
              const char *bytes, size_t size, const char *file, struct pc_error **err)
{
	struct buf causes = {0};
	char name[128], *path = NULL;
	int r = PC_OK;

	pthread_mutex_lock(&lock);
	know_places();
	sweep();
	make_name(name, stage, number, code);
	for (size_t i = 0; i < PLACES && !path; i++) {
		struct buf why = {0};

		if (!places[i].base)
			continue;
		path = copy_to(&places[i], name, bytes, size, &why);
		if (!path)
			buf_addf(&causes, "%s%s: %s", causes.text ? "; " : "", places[i].base,
			         why.text ? why.text : strerror(ENOMEM));
		buf_fini(&why);
	}
	pthread_mutex_unlock(&lock);
	if (!path)
		r = error_set(err, PC_ERROR,
		              "there is no place for a private copy of %s: %s (TMPDIR names "
		              "another one)",
		              file, causes.text ? causes.text : strerror(ENOMEM));
	buf_fini(&causes);
	*ret_path = path;
	return r;
}

static struct place *place_of(const char *path)
{
	for (size_t i = 0; i < PLACES; i++) {
		size_t n = places[i].dir.path ? strlen(places[i].dir.path) : 0;

		if (n > 0 && strncmp(path, places[i].dir.path, n) == 0 && path[n] == '/')
			return &places[i];
	}
	return NULL;
}

/* Where a file is that was refreshed while it was mapped; malloc'd, or NULL. */
static char *mapped_name(const char *path)
{
	char *name;

	if (asprintf(&name, "%.*s.mapped.so", (int)(strlen(path) - strlen(".so")), path) < 0)
		return NULL;
	return name;
}

/* The second name of `other` changes places with `path`. The next time nobody has `path` mapped. */
static bool take_name(const char *path, const char *mapped, const char *other)
{
	char *fresh;
	bool ok;

	if (link(other, mapped) == 0) {
		ok = renameat2(AT_FDCWD, mapped, AT_FDCWD, path, RENAME_EXCHANGE) == 0;
		if (!ok)
			unlink(mapped);
		return ok;
	}
	if (errno != EEXIST || asprintf(&fresh, "%s.new", path) < 0)
		return false;
	ok = link(other, fresh) == 0;
	if (ok && rename(fresh, path) < 0) {
		ok = false;
		unlink(fresh);
	}
	free(fresh);
	return ok;
}

bool copy_refresh(const char *path, const char *other)
{
	char *mapped = mapped_name(path);
	bool ok;

	pthread_mutex_lock(&lock);
	ok = mapped && owner == getpid() && place_of(path) && take_name(path, mapped, other);
	pthread_mutex_unlock(&lock);
	free(mapped);
	return ok;
}

void copy_remove(char *path)
{
	struct place *p;
	char *mapped;

	if (!path)
		return;
	pthread_mutex_lock(&lock);
	p = owner == getpid() ? place_of(path) : NULL;
	if (p) {
		unlink(path);
		mapped = mapped_name(path);
		if (mapped)
			unlink(mapped);
		free(mapped);
		p->copies--;
		leave_if_empty(p);
	}
	pthread_mutex_unlock(&lock);
	free(path);
}

void copy_keep(char *path)
{
	free(path);
}

__attribute__((destructor)) static void at_end(void)
{
	if (owner != getpid())
		return;
	for (size_t i = 0; i < PLACES; i++) {
		owned_remove(&places[i].dir);
		free(places[i].base);
		places[i].base = NULL;
	}
	places_known = false;
	while (given) {
		struct given *next = given->next;

		free(given);
		given = next;
	}
}
