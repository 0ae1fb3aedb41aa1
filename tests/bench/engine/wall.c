/* bench/engine/wall.c: the wall time of a command from its start to its end: `engine-wall TIMES
 * COMMAND…` prints the median in milliseconds.
 *
 * Called by engine.sh and peer-gstreamer.sh. A shell cannot measure what takes a few milliseconds:
 * asking for the time takes one. The command's output is thrown away; it must succeed. */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TIMES_MAX 1000

extern char **environ;

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	static double took[TIMES_MAX];
	int times = argc > 2 ? atoi(argv[1]) : 0;
	posix_spawn_file_actions_t actions;

	if (times < 1 || times > TIMES_MAX) {
		fprintf(stderr, "usage: engine-wall TIMES COMMAND...\n");
		return 2;
	}
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	for (int i = 0; i < times; i++) {
		double begin = now_ms();
		pid_t pid;
		int status;

		if (posix_spawnp(&pid, argv[2], &actions, NULL, argv + 2, environ) != 0) {
			fprintf(stderr, "engine-wall: cannot run %s\n", argv[2]);
			return 1;
		}
		if (waitpid(pid, &status, 0) != pid || status != 0) {
			fprintf(stderr, "engine-wall: %s failed\n", argv[2]);
			return 1;
		}
		took[i] = now_ms() - begin;
	}
	posix_spawn_file_actions_destroy(&actions);
	qsort(took, (size_t)times, sizeof(took[0]), by_value);
	printf("wall %.3f ms\n", took[times / 2]);
	return 0;
}
