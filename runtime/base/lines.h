/* base/lines.h: lines of the source, by addr2line(1), when that is installed and the shared object
 * has debug information. Any thread, but in no signal handler: it starts a program and waits for
 * it, milliseconds as a rule, LINES_NS at most. */
#ifndef BASE_LINES_H
#define BASE_LINES_H

#include <pcrun/codes.h>

#include <stdint.h>

#define LINES_MAX 8 /* addresses in one question */
#define LINES_NS  (3 * PC_SEC)

enum lines_end {
	LINES_FOUND,   /* an answer came, perhaps not for each of them */
	LINES_NONE,    /* the object is gone, say, or there was no time */
	LINES_NO_TOOL, /* addr2line can't be run */
};

/* Into `text`; NULL: not known. */
struct line {
	const char *function; /* not mangled; of inlined ones the innermost */
	const char *place;    /* "/home/eve/stage.c:77" */
};

struct lines {
	struct line of[LINES_MAX];
	char text[8192];
};

/* `offsets` are as the object's own tables count, and inside the instruction that is meant: a return
 * address is behind its call. All of `ret` is set, whatever comes out. */
enum lines_end lines_find(struct lines *ret, const char *object, const uint64_t *offsets,
                          unsigned n);

#endif
