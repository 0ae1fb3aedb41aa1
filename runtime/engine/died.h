/* engine/died.h: where stages have given up, and which lines of their source these are.
 *
 * A stage that gives up (guard.h) is told with the place that it did it at, as its thread can know
 * that at once: "quit.so+0x11d4". Which line that is another program tells (base/lines.h), which
 * takes too long for a thread with items to handle, and is of no use for a failure that nobody is
 * told of: a stage that fails on every second item, and whose graph skips these, say. So the thread
 * only notes here what the words stand for; and whoever tells somebody of a failure has the lines
 * put in their place, once for each place:
 *
 *   engine_log()                            all that is logged, on the thread that logs it
 *   open_replica(), swap_begin(), …         on the thread that makes the error, when the file may be
 *                                           gone before it is given away
 *   pc_graph_wait(), pc_graph_swap(), …     on the thread that is given the error
 *
 * [any] thread, in no signal handler.
 */
#ifndef ENGINE_DIED_H
#define ENGINE_DIED_H

#include <pcrun/pcrun.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define DIED_PLACES 16 /* the oldest are forgotten, and told as they are */

struct died_place {
	char *words;  /* NULL: none yet */
	char *object; /* what addr2line is to read */
	char *keeps;  /* the same, where a user finds it later */
	uint64_t offset;
	bool asked;   /* addr2line has been */
	char *line;   /* "/home/eve/quit.c:77"; NULL: not known */
	bool no_tool; /* since there is no addr2line */
};

/* In struct engine. */
struct died {
	pthread_mutex_t lock; /* held for moments only */
	struct died_place places[DIED_PLACES];
	unsigned next;
};

void died_init(struct died *d);
void died_fini(struct died *d);

/* `words` will stand in a text for this offset in this object. The texts are copied. */
void died_note(struct died *d, const char *words, const char *object, const char *keeps,
               uint64_t offset);
/* The text with lines where there are such words; malloc'd. NULL: there are none. */
char *died_lines(struct died *d, const char *text);
/* Likewise for an error that is about to be given away. */
void died_tell(struct died *d, struct pc_error **err);

#endif
