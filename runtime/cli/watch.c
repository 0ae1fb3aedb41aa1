/* cli/watch.c: notices that something has happened to a file.
 *
 * A watch on the file itself dies when a linker or an editor puts another one in its place. So
 * directories are watched, and not only the file's own: on the way to a file, each name is looked
 * up in some directory, and each of these lookups may lead elsewhere after a change: a directory
 * is removed and made again, a symbolic link is turned to another release. A file has all of them
 * as its places (research/hotswap.md, 2.3). Places are found anew before the file is looked at, so
 * that what happens after that look is an event again.
 *
 * When events are lost (IN_Q_OVERFLOW), all files are looked at. Where inotify can not watch, because
 * its limits are reached or a directory can't be read, files are polled. */
#include "cli/watch.h"

#include "cli/say.h"
#include "cli/session.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#define NAMES  (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO)
#define WRITES (IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB)

enum { POLL_MS = 250, LINKS_MAX = 40, SHOWN_MAX = 5 };

static void on_poll_timer(uv_timer_t *timer);

/* ------------------------------------------------------------------------------- places --- */

/* What is compared is what there was when they were first watched: they may have been saved since. */
static void poll_instead(struct watch *w)
{
	if (w->polling)
		return;
	w->polling = true;
	uv_timer_start(&w->timer, on_poll_timer, POLL_MS, POLL_MS);
}

static bool is_used(const struct watch *w, int wd)
{
	for (const struct watched *f = w->files; f; f = f->next)
		for (size_t i = 0; i < f->n_places; i++)
			if (f->places[i].wd == wd)
				return true;
	return false;
}

static void forget_places(struct watch *w, struct place *places, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (places[i].wd >= 0 && w->fd >= 0 && !is_used(w, places[i].wd))
			inotify_rm_watch(w->fd, places[i].wd);
		free(places[i].name);
	}
}

bool watched_is_source(const struct watched *f)
{
	size_t n = strlen(f->file);

	return !f->is_graph && n > 2 && strcmp(f->file + n - 2, ".c") == 0;
}

/* The headers of this directory count. */
static struct place *place_of_headers(struct place *places, size_t n, int wd)
{
	for (size_t i = 0; i < n; i++)
		if (!places[i].name && places[i].wd == wd)
			return &places[i];
	return NULL;
}

/* False: this directory can't be watched. */
static bool add_place(struct watched *f, const char *dir, const char *name, bool leaf)
{
	struct watch *w = f->watch;
	uint32_t mask = NAMES | IN_ONLYDIR | IN_MASK_ADD | (leaf ? WRITES : 0u);
	struct place *place = &f->places[f->n_places];

	if (w->fd < 0 || f->n_places == WATCH_PLACES)
		return false;
	*place = (struct place){.wd = inotify_add_watch(w->fd, dir, mask), .leaf = leaf};
	if (place->wd < 0)
		/* What is gone comes back by way of the directory above. */
		return errno == ENOENT || errno == ENOTDIR;
	if (!name && place_of_headers(f->places, f->n_places, place->wd))
		return true;
	place->name = name ? strdup(name) : NULL;
	if (name && !place->name)
		return false;
	f->n_places++;
	return true;
}

/* Cuts the first name off; false: there is none. */
static bool next_name(char *rest, char name[NAME_MAX + 1])
{
	size_t begin = strspn(rest, "/"), n = strcspn(rest + begin, "/");

	if (n == 0 || n > NAME_MAX)
		return false;
	memcpy(name, rest + begin, n);
	name[n] = '\0';
	begin += n;
	begin += strspn(rest + begin, "/");
	memmove(rest, rest + begin, strlen(rest + begin) + 1);
	return true;
}

static void go_up(char *dir)
{
	char *slash = strrchr(dir, '/');

	slash[slash == dir] = '\0';
}

/* Along the path as the kernel would go it. False: something of it can't be watched. */
static bool walk(struct watched *f, char rest[2 * PATH_MAX], char dir[PATH_MAX])
{
	char name[NAME_MAX + 1], target[PATH_MAX], path[PATH_MAX + NAME_MAX + 2];
	bool all = true;
	int links = 0;

	while (next_name(rest, name)) {
		bool leaf = *rest == '\0';
		struct stat st;
		ssize_t n;

		if (strcmp(name, ".") == 0)
			continue;
		if (strcmp(name, "..") == 0) {
			go_up(dir);
			continue;
		}
		/* Directories above that can't be read seldom change. */
		all &= add_place(f, dir, name, leaf) || !leaf;
		snprintf(path, sizeof(path), "%s/%s", strcmp(dir, "/") == 0 ? "" : dir, name);
		if (lstat(path, &st) < 0)
			return all;
		if (S_ISLNK(st.st_mode)) {
			n = readlink(path, target, sizeof(target) - 1);
			if (n <= 0 || ++links > LINKS_MAX ||
			    (size_t)n + strlen(rest) + 2 > PATH_MAX)
				return all;
			memmove(rest + n + 1, rest, strlen(rest) + 1);
			memcpy(rest, target, (size_t)n);
			rest[n] = '/';
			if (target[0] == '/')
				strcpy(dir, "/");
			continue;
		}
		if (leaf && watched_is_source(f))
			all &= add_place(f, dir, NULL, true); /* headers beside it */
		if (strlen(path) >= PATH_MAX)
			return false;
		strcpy(dir, path);
	}
	return all;
}

/* Where those lie that it included when it was last compiled. False: not all can be watched. */
static bool add_headers(struct watched *f)
{
	char *names = pc_plugin_headers(f->file), *save = NULL;
	bool all = true;

	for (char *name = names ? strtok_r(names, "\n", &save) : NULL; name;
	     name = strtok_r(NULL, "\n", &save)) {
		char *slash = strrchr(name, '/');

		if (slash)
			slash[slash == name] = '\0';
		all &= add_place(f, slash ? name : ".", NULL, true);
	}
	free(names);
	return all;
}

bool watched_find(struct watched *f)
{
	bool more = false;
	struct place old[WATCH_PLACES];
	size_t n_old = f->n_places;
	char dir[PATH_MAX] = "/", rest[2 * PATH_MAX] = "";

	memcpy(old, f->places, n_old * sizeof(*old));
	f->n_places = 0;
	if (f->file[0] != '/' && !getcwd(rest, PATH_MAX))
		rest[0] = '\0';
	if (strlen(rest) + strlen(f->file) + 2 < sizeof(rest)) {
		strcat(rest, "/");
		strcat(rest, f->file);
		if (!walk(f, rest, dir))
			poll_instead(f->watch);
	}
	if (watched_is_source(f) && !add_headers(f))
		poll_instead(f->watch);
	for (size_t i = 0; i < f->n_places; i++)
		more |= !f->places[i].name && !place_of_headers(old, n_old, f->places[i].wd);
	forget_places(f->watch, old, n_old);
	return more;
}

/* ------------------------------------------------------------------------------- events --- */

static bool is_header(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot && (strcmp(dot, ".h") == 0 || strcmp(dot, ".inc") == 0);
}

static void touch_all(struct watch *w)
{
	for (struct watched *f = w->files; f; f = f->next)
		watched_touch(f, watched_is_source(f));
}

static void take_event(struct watch *w, const struct inotify_event *e)
{
	const char *name = e->len > 0 ? e->name : "";

	if (e->mask & IN_Q_OVERFLOW) {
		touch_all(w);
		return;
	}
	for (struct watched *f = w->files; f; f = f->next) {
		for (size_t i = 0; i < f->n_places; i++) {
			const struct place *p = &f->places[i];

			if (p->wd != e->wd)
				continue;
			if (e->mask & (IN_IGNORED | IN_UNMOUNT))
				watched_touch(f, false);
			else if (p->name ? strcmp(p->name, name) == 0 &&
			                           (p->leaf || e->mask & NAMES)
			                 : is_header(name))
				watched_touch(f, !p->name);
		}
	}
}

static void read_events(struct watch *w)
{
	_Alignas(struct inotify_event) char bytes[65536];
	ssize_t n;

	while (w->on && (n = read(w->fd, bytes, sizeof(bytes))) > 0) {
		for (char *at = bytes; at < bytes + n;) {
			struct inotify_event *e = (void *)at;

			take_event(w, e);
			at += sizeof(*e) + e->len;
		}
	}
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	read_events(poll->data);
}

/* By the traces of those that it included when it was last compiled. When it includes others
 * now, that is a change, too: they may have been saved before anybody knew of them. */
static uint64_t headers_of(const struct watched *f)
{
	char *names = watched_is_source(f) ? pc_plugin_headers(f->file) : NULL, *save = NULL;
	uint64_t hash = WATCH_HASH;

	for (char *name = names ? strtok_r(names, "\n", &save) : NULL; name;
	     name = strtok_r(NULL, "\n", &save)) {
		struct trace t = watched_trace(name);
		const uint64_t parts[] = {t.dev, t.ino, (uint64_t)t.size,
		                          (uint64_t)t.changed.tv_sec,
		                          (uint64_t)t.changed.tv_nsec};

		hash = watch_hash(hash, parts, sizeof(parts));
	}
	free(names);
	return hash;
}

static void poll_files(struct watch *w)
{
	for (struct watched *f = w->files; f; f = f->next) {
		struct trace now = watched_trace(f->file);
		uint64_t headers = headers_of(f);

		if (!watched_same(&now, &f->trace) || headers != f->headers)
			watched_touch(f, headers != f->headers);
		f->trace = now;
		f->headers = headers;
	}
}

static void on_poll_timer(uv_timer_t *timer)
{
	poll_files(timer->data);
}

void watch_catch_up(struct watch *w)
{
	if (w->fd >= 0)
		read_events(w);
	if (w->polling)
		poll_files(w);
}

/* ------------------------------------------------------------------------ which files --- */

static void want(struct watch *w, const char *file, bool is_graph)
{
	struct watched **at = &w->files, *f;

	if (!file || !*file)
		return;
	for (; *at; at = &(*at)->next)
		if ((*at)->is_graph == is_graph && strcmp((*at)->file, file) == 0) {
			(*at)->named = true;
			return;
		}
	f = calloc(1, sizeof(*f));
	if (!f || !(f->file = strdup(file))) {
		free(f);
		say("out of memory: %s is not watched", file);
		return;
	}
	f->watch = w;
	f->is_graph = is_graph;
	f->named = true;
	f->timer.data = f;
	uv_timer_init(&w->session->loop, &f->timer);
	*at = f;
	watched_find(f);
	watched_init(f);
	f->headers = headers_of(f);
}

static void on_removed(uv_handle_t *handle)
{
	struct watched *f = handle->data;

	free(f->file);
	free(f);
}

static void remove_file(struct watch *w, struct watched **at)
{
	struct watched *f = *at;

	*at = f->next;
	forget_places(w, f->places, f->n_places);
	f->n_places = 0;
	uv_close((uv_handle_t *)&f->timer, on_removed);
}

void watch_update(struct watch *w)
{
	struct pc_graph *graph;
	struct pc_stage_row row;
	const char *file;

	if (!w->on)
		return;
	graph = w->session->graph;
	for (struct watched *f = w->files; f; f = f->next)
		f->named = false;
	for (size_t i = 0; (file = pc_graph_file(graph, i)); i++)
		/* A text has a name, but is no file. */
		if (i > 0 || strcmp(file, "<stdin>") != 0)
			if (!w->session->args->text || i > 0)
				want(w, file, true);
	for (size_t i = 0; pc_graph_stage(graph, i, &row, sizeof(row)); i++)
		want(w, row.file, false);
	for (struct watched **at = &w->files; *at;) {
		if ((*at)->named)
			at = &(*at)->next;
		else
			remove_file(w, at);
	}
}

void watch_say(const struct watch *w)
{
	struct say_text text;
	size_t n = 0;

	if (!say_text_open(&text))
		return;
	fputs("pcrun: watching", text.stream);
	for (const struct watched *f = w->files; f; f = f->next, n++)
		if (n < SHOWN_MAX)
			fprintf(text.stream, "%s %s", n > 0 ? "," : "", f->file);
	if (n > SHOWN_MAX)
		fprintf(text.stream, " and %zu more", n - SHOWN_MAX);
	fputs(n == 0 ? " nothing: the graph names no files\n" : "\n", text.stream);
	say_text_close(&text);
}

void watch_start(struct watch *w, struct session *s)
{
	*w = (struct watch){.session = s, .on = true};
	w->timer.data = w->poll.data = w;
	uv_timer_init(&s->loop, &w->timer);
	w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (w->fd >= 0)
		w->has_poll = uv_poll_init(&s->loop, &w->poll, w->fd) == 0;
	if (!w->has_poll || uv_poll_start(&w->poll, UV_READABLE, on_readable) < 0) {
		if (!s->args->quiet)
			say("files are looked at four times a second: inotify: %s",
			    strerror(errno));
		poll_instead(w);
	}
	watch_update(w);
	if (!s->args->quiet && !s->args->json)
		watch_say(w);
}

void watch_stop(struct watch *w)
{
	if (!w->on)
		return;
	w->on = false;
	while (w->files)
		remove_file(w, &w->files);
	uv_close((uv_handle_t *)&w->timer, NULL);
	if (w->has_poll)
		uv_close((uv_handle_t *)&w->poll, NULL);
	if (w->fd >= 0)
		close(w->fd);
}
