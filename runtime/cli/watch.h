/* cli/watch.h: --watch: files of a running graph, and what a change of one leads to.
 *
 * watch.c notices that something has happened to a file; watch-file.c decides what that means. The
 * loop's thread. */
#ifndef CLI_WATCH_H
#define CLI_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <uv.h>

struct session;
struct watch;

enum { WATCH_PLACES = 64 };

/* A name that is looked up on the way to a file, and the directory where. */
struct place {
	int wd;
	bool leaf;  /* the file itself, or a link to it */
	char *name; /* NULL: any header */
};

/* What tells one state of a file from the next where nothing tells of changes. */
struct trace {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec changed;
};

struct watched {
	struct watched *next;
	struct watch *watch;
	char *file;    /* as the graph names it */
	bool is_graph; /* the graph, or a file that it includes */
	bool named;    /* the graph still does */
	bool removed;
	struct place places[WATCH_PLACES];
	size_t n_places;
	struct trace trace; /* when polled */
	uint64_t headers;   /* so: of the files that it includes */

	uv_timer_t timer;   /* quiet, or waiting for the rest */
	unsigned tries;     /* since the last event */
	uint64_t touches;   /* events so far */
	bool header;        /* what changed may be a header of it */
	bool said_gone;     /* since it was last there */
	uint64_t code;      /* what was last tried, or is a graph's text */
	uint64_t bytes;     /* all of it, as it was last seen */
	bool has_code;      /* … and is known */
	bool bad;           /* … and was refused, or failed */
	bool neighbours;    /* … because of the type of what flows to or from others */
	bool at_item;       /* … for what it did with an item that it was tried with */
	bool is_wrong;      /* what stands there can not be used … */
	struct trace wrong; /* … and this is it */
};

struct watch {
	struct session *session;
	struct watched *files;
	int fd; /* inotify's; -1: polling alone */
	uv_poll_t poll;
	uv_timer_t timer; /* polling */
	bool on, polling, has_poll;
};

/* FNV-1a (Fowler, Noll, Vo), 64 bit: files that differ, and nobody's malice. */
#define WATCH_HASH UINT64_C(0xcbf29ce484222325)

static inline uint64_t watch_hash(uint64_t hash, const void *bytes, size_t size)
{
	const unsigned char *b = bytes;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ b[i]) * UINT64_C(0x100000001b3);
	return hash;
}

void watch_start(struct watch *w, struct session *s);
/* The graph may have other files now. */
void watch_update(struct watch *w);
void watch_stop(struct watch *w);
/* What has happened to files until now has been counted in their touches after it. */
void watch_catch_up(struct watch *w);
/* A summary for people. */
void watch_say(const struct watch *w);

/* watch-file.c */
void watched_init(struct watched *f);
void watched_touch(struct watched *f, bool header);
/* watch.c: where it is now, and its headers. True: headers of other directories count from now on. */
bool watched_find(struct watched *f);
bool watched_is_source(const struct watched *f);
struct trace watched_trace(const char *file);
bool watched_same(const struct trace *a, const struct trace *b);

#endif
