/* loader/left.h: has a build left something in the process that needs its code?
 *
 * A thread that it has started, a signal handler, a thread-specific key, a timer: each would jump
 * into an image that is unloaded, and end the process (measured: research/hotswap.md 2.5). So the
 * process is looked at before a build is loaded and before it is unloaded. What is looked at in
 * vain costs a build that stays loaded; what is found is named. (An open descriptor needs no code;
 * fork handlers and atexit() functions go with the build.) Any thread. */
#ifndef LOADER_LEFT_H
#define LOADER_LEFT_H

#include "base/buf.h"
#include "loader/image.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { LEFT_KEYS = 1024 };

/* How the process was before. */
struct left_before {
	pid_t *threads;
	size_t n_threads;
	unsigned char keys[LEFT_KEYS / 8];
	unsigned timers;
};

void left_note(struct left_before *before);
void left_fini(struct left_before *before);

/* True: `what` says what is left of the image; it may go later. `traits`: enum loader_trait. */
bool left_behind(const struct left_before *before, struct image image, unsigned traits,
                 struct buf *what);

#endif
