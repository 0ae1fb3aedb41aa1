/* stress/reload/growth.c: a graph that is reloaded very often does not grow.
 *
 * Stages, sources, sinks, queues, joins, replicas, threads and timers come and go under load, a
 * thousand reloads a round. After the first ones there are no more descriptors, threads, mappings
 * and rows than before; and the memory does not grow in each round, as it would if anything of a
 * reload was kept. What is not there any more still counts: the sums of the rows must be right
 * whenever the graph is looked at, and each item comes once. RELOADS: how many in a round. */
#include "../usage.h"
#include "common.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct usage {
	unsigned fds, threads, maps, stages, queues;
	size_t heap;
};

static struct usage usage(void)
{
	struct usage u = {.fds = usage_entries("/proc/self/fd"),
	                  .threads = usage_entries("/proc/self/task"),
	                  .heap = mallinfo2().uordblks};
	unsigned copies;
	struct pc_stage_row stage;
	struct pc_queue_row queue;

	u.maps = usage_maps("/pcrun-", &copies);
	while (pc_graph_stage(graph, u.stages, &stage, sizeof(stage)))
		u.stages++;
	while (pc_graph_queue(graph, u.queues, &queue, sizeof(queue)))
		u.queues++;
	return u;
}

static void print(const char *what, struct usage u)
{
	printf("# %s: %u descriptors, %u threads, %u maps, %u rows of stages, %u of queues, "
	       "heap %zu\n",
	       what, u.fds, u.threads, u.maps, u.stages, u.queues, u.heap);
}

/* Thread caches and arenas of malloc are mapped now and then. */
#define MAPS_MORE 12

/* `before` is the least that was seen in a while, without a file that is being read, say. */
static bool is_settled(struct usage before, struct usage now)
{
	return now.fds <= before.fds && now.threads <= before.threads &&
	       (INSTRUMENTED || now.maps <= before.maps + MAPS_MORE) &&
	       now.stages <= before.stages && now.queues <= before.queues;
}

#define BASE                                                                                   \
	"stage a = source(burst=4, pause=1ms)\nstage b = pass()\nstage c = sink()\n"           \
	"a -> b -> c\n"

static bool back(void)
{
	return reload(BASE) == PC_OK;
}

/* What goes takes its time: 60 s, on a loaded machine. A reload looks again. */
static struct usage settled(struct usage before)
{
	struct timespec moment = {0, 10000000};
	struct usage now = usage();

	for (int i = 0; i < 6000 && !is_settled(before, now); i++) {
		nanosleep(&moment, NULL);
		reload(i % 2 ? BASE : BASE "# again\nstage z = source(count=0)\nz -> c\n");
		now = usage();
	}
	return now;
}

static struct usage at_rest(void)
{
	struct timespec moment = {0, 10000000};
	struct usage least = usage();

	for (int i = 0; i < 50; i++) {
		struct usage now = usage();

		least.fds = now.fds < least.fds ? now.fds : least.fds;
		least.threads = now.threads < least.threads ? now.threads : least.threads;
		nanosleep(&moment, NULL);
	}
	return least;
}

/* Another shape for each number, most names used again. */
static bool change(unsigned i)
{
	char text[2048];
	unsigned name = i % 7;

	switch (i % 5) {
	case 0:
		snprintf(text, sizeof(text),
		         "stage a = source(burst=4, pause=1ms)\n"
		         "stage b = pass() replicas=3\nstage n%u = pass(hold=3) thread=own\n"
		         "stage c = sink()\na -> b -> n%u -> c\n",
		         name, name);
		break;
	case 1:
		snprintf(text, sizeof(text),
		         "stage a = source(burst=4, pause=1ms)\nstage b = pass()\n"
		         "stage x%u = source(burst=2, pause=1ms)\nqueue q%u capacity=%u\n"
		         "stage d%u = sink() replicas=2 thread=own\nstage c = sink()\n"
		         "a -> b -> c\nx%u -> q%u -> d%u\njoin j%u after x%u\n",
		         name, name, 1 + name, name, name, name, name, name, name);
		break;
	case 2:
		snprintf(text, sizeof(text),
		         "stage a = source(burst=4, pause=1ms)\nstage b = pass(hold=%u)\n"
		         "stage c = sink(label=%u) replicas=2\na -> b -> c [capacity=%u]\n",
		         name, name, 10 + name);
		break;
	case 3:
		snprintf(text, sizeof(text),
		         "stage a = source(burst=4, pause=1ms)\nqueue bad\n"
		         "stage b = pass() replicas=%u by=item on_error=dead=bad\n"
		         "stage y = source(burst=1, pause=1ms) thread=own\n"
		         "stage e = sink() daemon\nstage c = sink()\na -> b -> c\n"
		         "y -> bad -> e\n",
		         1 + name % 3);
		break;
	default:
		return back();
	}
	return reload(text) == PC_OK;
}

static bool change_often(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (!change(i)) {
			printf("# reload %u: %s\n", i, pc_error_text(reload_error));
			return false;
		}
		if (i % 16 == 0)
			wait_seen(20);
	}
	return back();
}

/* By the rows: what sources have made, sinks have taken, or it is on its way; and each item that
 * was put is done, or lies in a queue, or in the hands of a stage. */
static bool adds_up(void)
{
	uint64_t emitted = 0, taken = 0, put = 0, done = 0, queued = 0;
	struct pc_stage_row stage;
	struct pc_queue_row queue;

	for (size_t i = 0; pc_graph_stage(graph, i, &stage, sizeof(stage)); i++) {
		emitted += stage.inputs == 0 ? stage.emitted : 0;
		taken += stage.outputs == 0 ? stage.taken : 0;
	}
	for (size_t i = 0; pc_graph_queue(graph, i, &queue, sizeof(queue)); i++) {
		put += queue.put;
		done += queue.done + queue.dropped + queue.dead + queue.abandoned;
		queued += queue.queued;
	}
	printf("# sources emitted %llu, sinks took %llu, seen %llu; put %llu, done %llu, "
	       "queued "
	       "%llu\n",
	       (unsigned long long)emitted, (unsigned long long)taken,
	       (unsigned long long)atomic_load(&seen), (unsigned long long)put,
	       (unsigned long long)done, (unsigned long long)queued);
	return emitted == atomic_load(&seen) && taken == emitted && put == done && queued == 0;
}

/* `copies`: each reload loads the plugins from copies of their own, as pcrun does. */
static void grow(unsigned n, bool copies)
{
	struct usage before, now;
	size_t least = SIZE_MAX;
	bool ok, same = true;

	private_copies = copies;
	start(BASE);
	ok = change_often(100);
	before = now = at_rest();
	print("before", before);
	for (int round = 0; round < 3 && ok && same; round++) {
		size_t heap = now.heap;

		ok = change_often(n);
		now = settled(before);
		print("after", now);
		same = is_settled(before, now);
		if (now.heap < heap || now.heap - heap < least)
			least = now.heap < heap ? 0 : now.heap - heap;
	}
	report(ok && same,
	       "reloads that add and remove: descriptors, threads, maps and rows stay");
	report(INSTRUMENTED || least < n * (size_t)100, "and the memory does");
	pc_graph_stop(graph, PC_STOP_DRAIN);
	while (pc_graph_wait(graph, INT64_C(1000000000), NULL) == PC_TIMEOUT)
		continue;
	report(adds_up(), "what stages and queues did that are gone is in the sums");
	stop_and_check("each item came once", PC_STOP_DRAIN, false);
}

int main(int argc, char **argv)
{
	const char *reloads = getenv("RELOADS");
	unsigned n = reloads ? (unsigned)atoi(reloads) : INSTRUMENTED ? 200 : 1000;

	begin(argc, argv);
	grow(n, false);
	grow(n / 4, true);
	return end();
}
