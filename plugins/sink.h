/* sink.h: lines into a file descriptor, for print and write.
 *
 * Included by the stages that end a graph in a file, and called on their own threads. A batch is
 * gathered in a buffer and leaves in few writes. When a write fails, the items that have left
 * whole are marked as done, so that the failure policy meets the right item and a retry does not
 * write anything twice but the rest of one line.
 */
#ifndef PLUGINS_SINK_H
#define PLUGINS_SINK_H

#include "text.h"

#include <pcrun/stage.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SINK_BUF (64 * 1024)
/* What a pipe takes without blocking when it is ready for writing, and does not mix with what
 * others write: PIPE_BUF of Linux. */
#define SINK_PIPE 4096

struct sink {
	int fd;
	const char *name; /* for messages */
	const char *prefix;
	size_t prefix_size;
	const char *end; /* of an item */
	size_t end_size;
	enum text_show show;
	bool waits; /* no regular file: a write may block */
	char *buf;  /* SINK_BUF bytes */
	size_t used;
	uint64_t written; /* bytes of this batch that have left */
};

static inline int sink_init(struct pc_stage *st, struct sink *k, int fd, const char *name,
                            const char *prefix, const char *end)
{
	struct stat about;

	k->fd = fd;
	k->name = name;
	k->prefix = prefix;
	k->prefix_size = strlen(prefix);
	k->end = end;
	k->end_size = strlen(end);
	k->show = text_show_of(pc_in_type(st, 0));
	k->waits = fstat(fd, &about) != 0 || !S_ISREG(about.st_mode);
	k->buf = malloc(SINK_BUF);
	return k->buf != NULL ? PC_OK : pc_fail(st, "no memory for the output");
}

static inline void sink_fini(struct sink *k)
{
	free(k->buf);
	k->buf = NULL;
}

/* Write out what is buffered. PC_OK; PC_END: nobody reads any more, or the runtime wants the
 * thread back; failed. What could not be written is dropped. */
static inline int sink_flush(struct pc_stage *st, struct sink *k)
{
	size_t done = 0, used = k->used;

	k->used = 0;
	while (done < used) {
		const char *from = k->buf + done;
		size_t size = used - done;
		ssize_t n;

		if (k->waits) {
			if (pc_wait_fd(st, k->fd, PC_FD_WRITE, PC_FOREVER) == PC_STOPPED)
				return PC_END;
			if (size > SINK_PIPE) {
				const char *line = memrchr(from, '\n', SINK_PIPE);

				size = line != NULL ? (size_t)(line - from) + 1 : SINK_PIPE;
			}
		}
		n = write(k->fd, from, size);
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return errno == EPIPE ? PC_END
			                      : pc_fail(st, "cannot write to %s: %s", k->name,
			                                strerror(errno));
		if (n > 0) {
			done += (size_t)n;
			k->written += (size_t)n;
		}
	}
	return PC_OK;
}

static inline int sink_put(struct pc_stage *st, struct sink *k, const void *data, size_t size)
{
	while (size > 0) {
		size_t n = size < SINK_BUF - k->used ? size : SINK_BUF - k->used;

		memcpy(k->buf + k->used, data, n);
		k->used += n;
		data = (const char *)data + n;
		size -= n;
		if (k->used == SINK_BUF) {
			int r = sink_flush(st, k);

			if (r != PC_OK)
				return r;
		}
	}
	return PC_OK;
}

/* What an item becomes. */
struct sink_line {
	const void *data;
	size_t size;
	size_t end_size;
	size_t whole; /* with prefix and end */
	char number[TEXT_NUMBER_MAX];
};

static inline void sink_line(const struct sink *k, const struct pc_item *item,
                             struct sink_line *ret)
{
	ret->data = text_of(k->show, item->data, item->size, ret->number, &ret->size);
	ret->end_size = k->end_size;
	/* A block brings its newlines, but for the last one of a file that has none. */
	if (k->show == TEXT_SHOW_BLOCK &&
	    (ret->size == 0 || ((const char *)ret->data)[ret->size - 1] == '\n'))
		ret->end_size = 0;
	ret->whole = k->prefix_size + ret->size + ret->end_size;
}

/* Write n items as lines. What does not fill the buffer stays there until sink_flush(). */
static inline int sink_batch(struct pc_stage *st, struct sink *k, struct pc_item *const *items,
                             unsigned n, bool flush)
{
	size_t kept = k->used; /* of earlier batches, whose items are done already */
	struct sink_line line;
	int r = PC_OK;

	k->written = 0;
	for (unsigned i = 0; i < n && r == PC_OK; i++) {
		sink_line(k, items[i], &line);
		if (line.whole > SINK_BUF - k->used)
			r = sink_flush(st, k); /* keeps short lines whole */
		if (r == PC_OK)
			r = sink_put(st, k, k->prefix, k->prefix_size);
		if (r == PC_OK)
			r = sink_put(st, k, line.data, line.size);
		if (r == PC_OK)
			r = sink_put(st, k, k->end, line.end_size);
	}
	if (r == PC_OK && flush)
		r = sink_flush(st, k);
	if (r < 0) {
		uint64_t left = k->written > kept ? k->written - kept : 0;

		for (unsigned i = 0; i < n; i++) {
			sink_line(k, items[i], &line);
			if (left < line.whole)
				break;
			left -= line.whole;
			pc_done(st);
		}
	}
	return r;
}

#endif
