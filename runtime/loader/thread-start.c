/* loader/thread-start.c: the looking of thread-start.h.
 *
 * The C library keeps a record of each thread at the upper end of its stack, with the thread's number
 * and the function that it was started with. Where in the record these two stand no header tells. So a
 * thread is started once that knows both, and looks for them in its own record; others have them in
 * the same places. To look for them anywhere in the record and a little below would take what an
 * older thread has left on the same stack, which the library uses again, for what the present one was
 * started with: then a build whose thread is long gone would stay for ever.
 *
 * Where the places can't be found (a sanitizer starts threads by a function of its own) any will do: at worst
 * a build stays. All memory is read through peek_strict(): a stack may go while it is looked at. */
#include "loader/thread-start.h"

#include "loader/peek.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RECORD_BYTES = 4096 }; /* the record is smaller */

/* Of the record, in bytes: its begin from the end of the stack, and two of its members from there. */
static struct {
	size_t from_end, number, function;
	bool known;
} places;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* The next mapping that may be a stack. False: there is none. */
static bool next_map(FILE *maps, char **line, size_t *room, uintptr_t *ret_from,
                     uintptr_t *ret_to)
{
	char rights[8];

	while (getline(line, room, maps) > 0)
		if (!strchr(*line, '/') &&
		    sscanf(*line, "%" SCNxPTR "-%" SCNxPTR " %7s", ret_from, ret_to, rights) ==
		            3 &&
		    strncmp(rights, "rw", 2) == 0)
			return true;
	return false;
}

/* In steps of the word's size; `size`: it is not there. */
static size_t find(const char *bytes, size_t size, const void *word, size_t word_size)
{
	for (size_t i = 0; i + word_size <= size; i += word_size)
		if (memcmp(bytes + i, word, word_size) == 0)
			return i;
	return size;
}

/* 0: not found. */
static size_t distance_to_end(uintptr_t record)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	uintptr_t from, to;
	size_t distance = 0, room = 0;
	char *line = NULL;

	while (maps && distance == 0 && next_map(maps, &line, &room, &from, &to))
		if (record >= from && record < to)
			distance = to - record;
	free(line);
	if (maps)
		fclose(maps);
	return distance;
}

static void *look_at_oneself(void *unused)
{
	/* glibc: what names a thread is where its record is */
	uintptr_t record = (uintptr_t)pthread_self(), function = (uintptr_t)look_at_oneself;
	size_t size = distance_to_end(record);
	pid_t number = gettid();
	char bytes[RECORD_BYTES];

	if (size == 0 || size > sizeof(bytes) ||
	    !peek_strict((const void *)record, bytes, size))
		return unused;
	places.from_end = size;
	places.number = find(bytes, size, &number, sizeof(number));
	places.function = find(bytes, size, &function, sizeof(function));
	places.known = places.number < size && places.function < size;
	return unused;
}

static void find_places(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, look_at_oneself, NULL) == 0)
		pthread_join(thread, NULL);
}

static bool is_of_runtime(uintptr_t function)
{
	Dl_info here, there;

	return dladdr((void *)(uintptr_t)thread_start, &here) != 0 &&
	       dladdr((void *)function, &there) != 0 && here.dli_fbase == there.dli_fbase;
}

/* *ret stays as it is when the record is of another thread. */
static bool told(const char *bytes, pid_t thread, struct image image, enum thread_start *ret)
{
	uintptr_t function;
	pid_t number;

	memcpy(&number, bytes + places.number, sizeof(number));
	memcpy(&function, bytes + places.function, sizeof(function));
	if (number != thread)
		return false;
	*ret = image_has(image, function) ? THREAD_OF_IMAGE
	       : is_of_runtime(function)  ? THREAD_OF_RUNTIME
	                                  : THREAD_OF_OTHERS;
	return true;
}

/* Both stand there somewhere. */
static bool may_tell(const char *bytes, pid_t thread, struct image image,
                     enum thread_start *ret)
{
	if (find(bytes, RECORD_BYTES, &thread, sizeof(thread)) == RECORD_BYTES)
		return false;
	for (size_t i = 0; i < RECORD_BYTES; i += sizeof(uintptr_t)) {
		uintptr_t word;

		memcpy(&word, bytes + i, sizeof(word));
		if (image_has(image, word)) {
			*ret = THREAD_OF_IMAGE;
			return true;
		}
	}
	return false;
}

enum thread_start thread_start(pid_t thread, struct image image)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	enum thread_start start = THREAD_OF_OTHERS;
	char *line = NULL, bytes[RECORD_BYTES];
	uintptr_t from, to;
	bool found = false;
	size_t room = 0, size;

	pthread_once(&once, find_places);
	size = places.known ? places.from_end : sizeof(bytes);
	while (maps && !found && next_map(maps, &line, &room, &from, &to))
		found = to - from >= size &&
		        peek_strict((const void *)(to - size), bytes, size) &&
		        (places.known ? told(bytes, thread, image, &start)
		                      : may_tell(bytes, thread, image, &start));
	free(line);
	if (maps)
		fclose(maps);
	return start;
}
