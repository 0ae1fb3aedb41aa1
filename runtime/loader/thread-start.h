/* loader/thread-start.h: whose function was a thread of this process started with?
 *
 * Any thread. */
#ifndef LOADER_THREAD_START_H
#define LOADER_THREAD_START_H

#include "loader/image.h"

#include <sys/types.h>

enum thread_start {
	THREAD_OF_IMAGE,
	THREAD_OF_RUNTIME, /* of the program or library that this file is part of */
	THREAD_OF_OTHERS   /* of a library, say; or it can't be told */
};
enum thread_start thread_start(pid_t thread, struct image image);

#endif
