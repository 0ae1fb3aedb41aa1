/* lesson.h: what the stages of the producer-consumer lesson share: to tell, and to linger.
 *
 * Included by say, baker, eater and buyer, which all run on threads of their own. They write
 * their lines themselves, each in one write(2), because the lesson is about who does what when:
 * a line stands before another exactly if it was written before it.
 */
#ifndef PLUGINS_LESSON_H
#define PLUGINS_LESSON_H

#include <pcrun/stage.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

/* A line to standard output. PC_OK; PC_END: nobody reads it any more; PC_STOPPED; failed. */
__attribute__((format(printf, 2, 3))) static inline int lesson_tell(struct pc_stage *st,
                                                                    const char *format, ...)
{
	char *line;
	va_list ap;
	int size;
	int r = PC_OK;

	va_start(ap, format);
	size = vasprintf(&line, format, ap);
	va_end(ap);
	if (size < 0)
		return pc_fail(st, "no memory for a line");
	for (int done = 0; done < size && r == PC_OK;) {
		ssize_t n = -1;

		r = pc_wait_fd(st, STDOUT_FILENO, PC_FD_WRITE, PC_FOREVER);
		if (r == PC_STOPPED)
			break;
		n = write(STDOUT_FILENO, line + done, (size_t)(size - done));
		r = PC_OK;
		if (n > 0)
			done += (int)n;
		else if (n < 0 && errno == EPIPE)
			r = PC_END;
		else if (n < 0 && errno != EINTR && errno != EAGAIN)
			r = pc_fail(st, "cannot write to standard output: %s", strerror(errno));
	}
	free(line);
	return r;
}

/* Sleep for a random time of at most `longest` ns. PC_OK or PC_STOPPED. */
static inline int lesson_linger(struct pc_stage *st, int64_t longest)
{
	uint32_t random = 0;

	if (longest <= 0)
		return PC_OK;
	/* Without randomness it is in a hurry: that is random enough here. */
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
		random = 0;
	return pc_sleep(st, (int64_t)((double)longest * random / UINT32_MAX));
}

#endif
