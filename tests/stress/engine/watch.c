/* stress/engine/watch.c: while one worker works, one of the parked ones looks after it, and not all.
 *
 * A source and a sink keep one worker busy; seven have nothing to do. Who watches wakes up every 2 ms,
 * which the kernel counts as a voluntary switch. All together must have no more of them than four who
 * watch could have in the time that it was. The queue is short, and so is each activation: what lasts
 * would wake others.
 */
#include "graph.h"

#include "base/clock.h"
#include "base/error.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORKERS  8
#define PAUSE_S  1
#define WATCH_NS (2 * PC_MS) /* RESCUE_NS of search.c */

/* relaxed: a flag of the test */
static _Atomic bool enough;

static int produce(struct pc_stage *st, void *state)
{
	(void)state;
	for (uint32_t i = 0; i < st->batch_hint; i++)
		if (pc_emit_copy(st, 0, &i, sizeof(i)))
			return pc_fail(st, "emit");
	/* relaxed: as above */
	return atomic_load_explicit(&enough, memory_order_relaxed) ? PC_END : PC_OK;
}

static int consume(struct pc_stage *st, void *state, struct pc_item *item)
{
	(void)st;
	(void)state;
	(void)item;
	return PC_OK;
}

static const struct pc_port ports[] = {{"a", "*", 0, ""}};
static const struct pc_stage_desc source_desc = {
	.name = "source", .outputs = ports, .n_outputs = 1, .produce = produce};
static const struct pc_stage_desc sink_desc = {
	.name = "sink", .inputs = ports, .n_inputs = 1, .process = consume};

/* Of one thread, by the number in its name. */
static void count_one(const char *task, unsigned long *switches)
{
	char path[320], line[128];
	unsigned worker = WORKERS;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%s/status", task);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		sscanf(line, "Name:\tworker-%u", &worker);
		if (worker < WORKERS)
			sscanf(line, "voluntary_ctxt_switches:\t%lu", &switches[worker]);
	}
	if (f)
		fclose(f);
}

static void count(unsigned long *switches)
{
	DIR *tasks = opendir("/proc/self/task");
	const struct dirent *task;

	while (tasks && (task = readdir(tasks)))
		if (task->d_name[0] != '.')
			count_one(task->d_name, switches);
	if (tasks)
		closedir(tasks);
}

int main(void)
{
	struct pc_run_options options = {.size = sizeof(options), .workers = WORKERS};
	unsigned long before[WORKERS] = {0}, after[WORKERS] = {0}, most, all = 0;
	int64_t begun_ns;
	struct plan_stage *source, *sink;
	struct plan_queue *q;
	struct graph g;
	bool ok;
	int rc;

	graph_init(&g);
	q = graph_queue(&g, "q", 4);
	source = graph_stage(&g, "source", &source_desc, NULL, 1);
	sink = graph_stage(&g, "sink", &sink_desc, NULL, 1);
	graph_write(&g, source, 0, q);
	graph_read(&g, sink, 0, q);
	rc = graph_start(&g, &options);
	nanosleep(&(struct timespec){PAUSE_S, 0}, NULL);
	begun_ns = clock_now_ns();
	count(before);
	nanosleep(&(struct timespec){PAUSE_S, 0}, NULL);
	count(after);
	most = (unsigned long)(4 * (clock_now_ns() - begun_ns) / WATCH_NS);
	/* relaxed: a flag */
	atomic_store_explicit(&enough, true, memory_order_relaxed);
	rc = rc ? rc : graph_wait(&g);
	if (rc)
		printf("# %s\n", g.error ? pc_error_text(g.error) : "");
	for (unsigned i = 0; i < WORKERS; i++)
		all += after[i] - before[i];
	printf("# %lu switches of %u workers; of four who watch: %lu\n", all, WORKERS, most);
	ok = rc == PC_OK && all >= 10 && all <= most;
	printf("%sok 1 - one parked worker watches, not all\n1..1\n", ok ? "" : "not ");
	graph_fini(&g);
	return !ok;
}
