/* loader/left.c: the looking of left.h.
 *
 * A thread is the build's when the function that it was started with lies in the image (thread-start.h).
 * A build that may start threads through a library (C++'s std::thread) is looked at more closely:
 * then an address in the image on the thread's stack will do, and a thread that does not stand
 * still to be looked at. Threads that were there before the build can not be its own. All memory is
 * read through peek_strict(): a stack may go while it is looked at. */
#include "loader/left.h"

#include "loader/loader.h"
#include "loader/peek.h"
#include "loader/thread-start.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	STACK_BYTES = 256 * 1024, /* looked at: a thread that waits has not much more */
	LOOKS = 20                /* until a thread stands still, a millisecond apart */
};

/* ----------------------------------------------------------------------------- threads --- */

static int by_number(const void *a, const void *b)
{
	pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;

	return x < y ? -1 : x > y;
}

/* Sorted; malloc'd. */
static pid_t *list_threads(size_t *ret_n)
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *entry;
	pid_t *list = NULL;
	size_t n = 0, room = 0;

	while (tasks && (entry = readdir(tasks))) {
		if (entry->d_name[0] < '0' || entry->d_name[0] > '9')
			continue;
		if (n == room) {
			pid_t *more = realloc(list, (room + 64) * sizeof(*list));

			if (!more)
				break;
			list = more;
			room += 64;
		}
		list[n++] = (pid_t)strtol(entry->d_name, NULL, 10);
	}
	if (tasks)
		closedir(tasks);
	if (n > 0)
		qsort(list, n, sizeof(*list), by_number);
	*ret_n = n;
	return list;
}

static bool was_there(const struct left_before *before, pid_t thread)
{
	return before->n_threads > 0 && bsearch(&thread, before->threads, before->n_threads,
	                                        sizeof(thread), by_number) != NULL;
}

static bool has_address(const void *bytes, size_t size, struct image image)
{
	for (size_t i = 0; i + sizeof(uintptr_t) <= size; i += sizeof(uintptr_t)) {
		uintptr_t word;

		memcpy(&word, (const char *)bytes + i, sizeof(word));
		if (image_has(image, word))
			return true;
	}
	return false;
}

enum stands { RUNS, STANDS, GONE };

/* Where its stack begins and its code is, if it waits in the kernel. */
static enum stands look_at(pid_t thread, uintptr_t *ret_sp, uintptr_t *ret_pc)
{
	char name[64], text[512], *space;
	FILE *in;
	size_t n;

	snprintf(name, sizeof(name), "/proc/self/task/%ld/syscall", (long)thread);
	in = fopen(name, "re");
	if (!in)
		return errno == ENOENT ? GONE : RUNS;
	n = fread(text, 1, sizeof(text) - 1, in);
	if (n == 0 && ferror(in)) {
		fclose(in);
		return access(name, F_OK) < 0 ? GONE : RUNS;
	}
	fclose(in);
	text[n] = '\0';
	/* "running", or "NUMBER ARG… SP PC" */
	space = strrchr(text, ' ');
	if (!space)
		return RUNS;
	*ret_pc = (uintptr_t)strtoull(space + 1, NULL, 16);
	*space = '\0';
	space = strrchr(text, ' ');
	if (!space)
		return RUNS;
	*ret_sp = (uintptr_t)strtoull(space + 1, NULL, 16);
	return STANDS;
}

/* In the frames of a thread that waits; true also for one that never does. */
static bool is_inside(pid_t thread, struct image image)
{
	struct timespec moment = {0, 1000000};
	uintptr_t sp = 0, pc = 0;
	enum stands stands = RUNS;

	for (int i = 0; i < LOOKS && stands == RUNS; i++) {
		stands = look_at(thread, &sp, &pc);
		if (stands == RUNS)
			nanosleep(&moment, NULL);
	}
	if (stands != STANDS)
		return stands == RUNS;
	if (image_has(image, pc))
		return true;
	sp &= ~(uintptr_t)(sizeof(uintptr_t) - 1);
	for (size_t done = 0; done < STACK_BYTES;) {
		char part[1024];
		uintptr_t at = sp + done;
		/* Up to the next page, where the stack may end. */
		size_t n = 4096 - (at & 4095);

		n = n < sizeof(part) ? n : sizeof(part);
		if (!peek_strict((const void *)at, part, n))
			return done == 0 && look_at(thread, &sp, &pc) != GONE;
		if (has_address(part, n, image))
			return true;
		done += n;
	}
	return false;
}

static void add(struct buf *what, const char *text)
{
	buf_addf(what, "%s%s", what->text ? "; " : "", text);
}

/* What lies on the stack of one that the runtime has started is none of the build's: an older thread may
 * have left it there. */
static bool is_left(pid_t thread, struct image image, unsigned traits)
{
	enum thread_start start = thread_start(thread, image);

	return start == THREAD_OF_IMAGE ||
	       (start == THREAD_OF_OTHERS && (traits & LOADER_THREADS) &&
	        is_inside(thread, image));
}

static void look_for_threads(const struct left_before *before, struct image image,
                             unsigned traits, struct buf *what)
{
	size_t n;
	pid_t *threads = list_threads(&n);

	for (size_t i = 0; i < n; i++) {
		char name[64], comm[32] = "", text[128];
		FILE *in;

		if (was_there(before, threads[i]) || threads[i] == gettid() ||
		    !is_left(threads[i], image, traits))
			continue;
		snprintf(name, sizeof(name), "/proc/self/task/%ld/comm", (long)threads[i]);
		in = fopen(name, "re");
		if (!in)
			continue; /* it has ended */
		if (!fgets(comm, sizeof(comm), in))
			comm[0] = '\0';
		fclose(in);
		comm[strcspn(comm, "\n")] = '\0';
		snprintf(text, sizeof(text), "a thread that it started still runs ('%s', %ld)",
		         comm, (long)threads[i]);
		add(what, text);
	}
	free(threads);
}

/* ------------------------------------------------------------------------ everything else --- */

static void look_for_handlers(struct image image, struct buf *what)
{
	for (int i = 1; i <= SIGRTMAX; i++) {
		struct sigaction action;
		char text[96];
		const char *name = sigabbrev_np(i);

		if (sigaction(i, NULL, &action) < 0 ||
		    !image_has(image, (uintptr_t)action.sa_handler))
			continue;
		if (name)
			snprintf(text, sizeof(text), "its handler of SIG%s is installed", name);
		else
			snprintf(text, sizeof(text), "its handler of signal %d is installed",
			         i);
		add(what, text);
	}
}

/* A key that is in use can be given the value that it has. */
static bool has_key(unsigned key)
{
	return pthread_setspecific(key, pthread_getspecific(key)) == 0;
}

static unsigned count_timers(void)
{
	FILE *in = fopen("/proc/self/timers", "re");
	char line[256];
	unsigned n = 0;

	while (in && fgets(line, sizeof(line), in))
		n += strncmp(line, "ID:", 3) == 0;
	if (in)
		fclose(in);
	return n;
}

static void look_for_keys(const struct left_before *before, struct buf *what)
{
	unsigned n = 0;

	for (unsigned i = 0; i < LEFT_KEYS; i++)
		n += !(before->keys[i / 8] >> (i % 8) & 1) && has_key(i);
	if (n > 0)
		add(what, "a thread-specific key that it may have created is not deleted");
}

void left_note(struct left_before *before)
{
	before->threads = list_threads(&before->n_threads);
	for (unsigned i = 0; i < LEFT_KEYS; i++)
		if (has_key(i))
			before->keys[i / 8] |= (unsigned char)(1u << (i % 8));
	before->timers = count_timers();
}

void left_fini(struct left_before *before)
{
	free(before->threads);
	*before = (struct left_before){.n_threads = 0};
}

bool left_behind(const struct left_before *before, struct image image, unsigned traits,
                 struct buf *what)
{
	struct buf found = {0};
	bool any;

	look_for_threads(before, image, traits, &found);
	look_for_handlers(image, &found);
	if (traits & LOADER_KEYS)
		look_for_keys(before, &found);
	if ((traits & LOADER_TIMERS) && count_timers() > before->timers)
		add(&found, "a timer that it may have created is not deleted");
	if (traits & LOADER_ON_EXIT)
		add(&found, "it may have left a function with on_exit()");
	if (traits & LOADER_OTHER_RCU)
		add(&found, "it may have left callbacks with another flavour of RCU");
	any = found.text != NULL;
	if (any && what)
		add(what, found.text);
	buf_fini(&found);
	return any;
}
