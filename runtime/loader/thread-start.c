/* loader/thread-start.c: the looking of thread-start.h.
 *
 * The C library keeps a record of each thread, with the thread's number and the function that it
 * was started with. Where in the record these two stand no header tells. So a thread is started
 * once that knows both, and looks for them in its own record; others have them in the same
 * places. To look for them anywhere in the record and a little below would take what an older
 * thread has left on the same stack, which the library uses again, for what the present one was
 * started with: then a build whose thread is long gone would stay for ever.
 *
 * The record itself is found by what the kernel knows of each thread: the head of its list of robust
 * futexes (get_robust_list(2)), which is a member of the record. The upper end of the mapping that holds
 * the stack does not tell: the kernel unites it with whatever lies above.
 *
 * Where the places can't be found (a sanitizer starts threads by a function of its own) any will
 * do: at worst a build stays. All memory is read through peek_strict(): a stack may go while it
 * is looked at. */
#include "loader/thread-start.h"

#include "loader/peek.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
	RECORD_BYTES = 4096, /* the record is smaller */
	PAGE_BYTES =
		4096, /* or a part of one: what can be read of the record ends with a page */
	LOOKS = 20    /* until a thread has told the kernel of its list, a millisecond apart */
};

/* Of the record, in bytes from its begin; `known` covers the last two. */
static struct {
	size_t list, number, function;
	bool has_list, known;
} places;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* 0: the thread has none (yet, or it has gone), or the kernel does not say. */
static uintptr_t robust_list(pid_t thread)
{
	uintptr_t head = 0;
	size_t size;

	return syscall(SYS_get_robust_list, thread, &head, &size) == 0 ? head : 0;
}

/* In steps of the word's size; `size`: it is not there. */
static size_t find(const char *bytes, size_t size, const void *word, size_t word_size)
{
	for (size_t i = 0; i + word_size <= size; i += word_size)
		if (memcmp(bytes + i, word, word_size) == 0)
			return i;
	return size;
}

/* As much as there is, the rest zeros. */
static void read_record(uintptr_t from, char *bytes)
{
	size_t done = 0;

	memset(bytes, 0, RECORD_BYTES);
	while (done < RECORD_BYTES) {
		uintptr_t at = from + done;
		size_t n = PAGE_BYTES - (at & (PAGE_BYTES - 1));

		n = n < RECORD_BYTES - done ? n : RECORD_BYTES - done;
		if (!peek_strict((const void *)at, bytes + done, n))
			break;
		done += n;
	}
}

static void *look_at_oneself(void *unused)
{
	/* glibc: what names a thread is where its record is */
	uintptr_t record = (uintptr_t)pthread_self(), function = (uintptr_t)look_at_oneself;
	uintptr_t list = robust_list(gettid());
	pid_t number = gettid();
	char bytes[RECORD_BYTES];

	if (list < record || list - record >= RECORD_BYTES)
		return unused;
	places.list = list - record;
	places.has_list = true;
	read_record(record, bytes);
	places.number = find(bytes, RECORD_BYTES, &number, sizeof(number));
	places.function = find(bytes, RECORD_BYTES, &function, sizeof(function));
	places.known = places.number < RECORD_BYTES && places.function < RECORD_BYTES;
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

static enum thread_start told(const char *bytes, pid_t thread, struct image image)
{
	uintptr_t function;
	pid_t number;

	memcpy(&number, bytes + places.number, sizeof(number));
	memcpy(&function, bytes + places.function, sizeof(function));
	return number != thread             ? THREAD_OF_OTHERS /* it has gone meanwhile */
	       : image_has(image, function) ? THREAD_OF_IMAGE
	       : is_of_runtime(function)    ? THREAD_OF_RUNTIME
	                                    : THREAD_OF_OTHERS;
}

/* Both stand there somewhere. */
static enum thread_start may_tell(const char *bytes, pid_t thread, struct image image)
{
	if (find(bytes, RECORD_BYTES, &thread, sizeof(thread)) == RECORD_BYTES)
		return THREAD_OF_OTHERS;
	for (size_t i = 0; i < RECORD_BYTES; i += sizeof(uintptr_t)) {
		uintptr_t word;

		memcpy(&word, bytes + i, sizeof(word));
		if (image_has(image, word))
			return THREAD_OF_IMAGE;
	}
	return THREAD_OF_OTHERS;
}

static bool is_there(pid_t thread)
{
	char name[64];

	snprintf(name, sizeof(name), "/proc/self/task/%ld", (long)thread);
	return access(name, F_OK) == 0;
}

/* 0: none. */
static uintptr_t find_record(pid_t thread)
{
	const struct timespec moment = {0, 1000000};
	uintptr_t list = robust_list(thread);

	/* It is the first thing that a thread does. */
	for (int i = 0; i < LOOKS && list == 0 && is_there(thread); i++) {
		nanosleep(&moment, NULL);
		list = robust_list(thread);
	}
	return list > places.list ? list - places.list : 0;
}

enum thread_start thread_start(pid_t thread, struct image image)
{
	char bytes[RECORD_BYTES];
	uintptr_t record;

	pthread_once(&once, find_places);
	record = places.has_list ? find_record(thread) : 0;
	if (record == 0)
		return THREAD_OF_OTHERS;
	/* Who starts threads in between leaves more on the stack, right below. */
	read_record(places.known ? record : record - RECORD_BYTES / 2, bytes);
	return places.known ? told(bytes, thread, image) : may_tell(bytes, thread, image);
}
