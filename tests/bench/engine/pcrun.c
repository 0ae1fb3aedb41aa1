/* bench/engine/pcrun.c: what pcrun's engine costs, one scenario a run: `bench-engine NAME [ITEMS]
 * [WORKERS]`.
 *
 * Prints one line: NAME, the figure, its unit. The driver (engine.sh) runs scenarios and peers in
 * turn and makes the table. Graphs are made by hand (tests/stress/engine/graph.h): the engine is
 * measured, not the parser. Items carry 8 bytes from the pool; callbacks are per item. */
#include "../../stress/engine/graph.h"

#include "base/clock.h"
#include "base/futex.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static unsigned workers;

struct source {
	uint64_t n, next;
};

static int produce(struct pc_stage *st, void *state)
{
	struct source *s = state;

	for (uint32_t i = 0; i < st->batch_hint && s->next < s->n; i++) {
		struct pc_item *item = pc_item_new(st, sizeof(uint64_t));

		if (!item)
			return pc_fail(st, "out of memory");
		memcpy(item->data, &s->next, sizeof(s->next));
		s->next++;
		pc_emit(st, 0, item);
	}
	return s->next == s->n ? PC_END : PC_OK;
}

static int map(struct pc_stage *st, void *state, struct pc_item *item)
{
	(void)state;
	*(uint64_t *)item->data += 1;
	return pc_pass(st, 0, item);
}

static int add(struct pc_stage *st, void *state, struct pc_item *item)
{
	(void)st;
	*(uint64_t *)state += *(const uint64_t *)item->data;
	return PC_OK;
}

static const struct pc_port any[] = {{"in", "*", 0, ""}};
static const struct pc_stage_desc source_desc = {.name = "source",
                                                 .outputs = any,
                                                 .n_outputs = 1,
                                                 .state_size = sizeof(struct source),
                                                 .produce = produce};
static const struct pc_stage_desc map_desc = {.name = "map",
                                              .inputs = any,
                                              .n_inputs = 1,
                                              .outputs = any,
                                              .n_outputs = 1,
                                              .state_size = 8,
                                              .process = map};
static const struct pc_stage_desc sink_desc = {
	.name = "sink", .inputs = any, .n_inputs = 1, .state_size = 8, .process = add};

static struct graph *new_graph(uint32_t n)
{
	struct graph *g = calloc(1, sizeof(*g));

	graph_init_large(g, n);
	return g;
}

static int64_t timed(struct graph *g)
{
	int64_t begin = clock_now_ns();

	if (graph_run(g, workers) != PC_OK) {
		fprintf(stderr, "%s", pc_error_text(g->error));
		exit(1);
	}
	return clock_now_ns() - begin;
}

static void drop(struct graph *g)
{
	graph_fini(g);
	free(g);
}

/* ns per item: source -> map … -> sink */
static double chain(uint32_t maps, uint64_t n)
{
	struct graph *g = new_graph(maps + 8);
	struct source settings = {n, 0};
	struct plan_queue *q = graph_queue(g, "q", 1024);
	int64_t ns;

	graph_write(g, graph_stage(g, "source", &source_desc, &settings, 1), 0, q);
	for (uint32_t i = 0; i < maps; i++) {
		struct plan_stage *s = graph_stage(g, "map", &map_desc, NULL, 1);

		graph_read(g, s, 0, q);
		q = graph_queue(g, "q", 1024);
		graph_write(g, s, 0, q);
	}
	graph_read(g, graph_stage(g, "sink", &sink_desc, NULL, 1), 0, q);
	ns = timed(g);
	drop(g);
	return (double)ns / (double)n;
}

/* ns per item: `in` sources and `out` sinks at one queue */
static double meet(uint32_t in, uint32_t out, uint64_t n)
{
	struct graph *g = new_graph(in + out + 8);
	struct source settings = {n / in, 0};
	struct plan_queue *q = graph_queue(g, "q", 1024);
	int64_t ns;

	for (uint32_t i = 0; i < in; i++)
		graph_write(g, graph_stage(g, "source", &source_desc, &settings, 1), 0, q);
	for (uint32_t i = 0; i < out; i++)
		graph_read(g, graph_stage(g, "sink", &sink_desc, NULL, 1), 0, q);
	ns = timed(g);
	drop(g);
	return (double)ns / (double)(n / in * in);
}

/* Eight replicas update one counter: in a critical section of pcrun, or eight threads with a
 * mutex. The update is the same: a read, a short calculation, a write. */
static volatile uint64_t shared_counter;

static void update(void)
{
	uint64_t value = shared_counter;

	for (int i = 0; i < 8; i++)
		value = value * 3 / 3;
	shared_counter = value + 1;
}

static int critical(struct pc_stage *st, void *state, struct pc_item *item)
{
	(void)st;
	(void)state;
	(void)item;
	update();
	return PC_OK;
}

static const struct pc_stage_desc critical_desc = {
	.name = "critical", .inputs = any, .n_inputs = 1, .state_size = 8, .process = critical};

static double section(uint64_t n)
{
	struct graph *g = new_graph(32);
	struct source settings = {n / 8, 0};
	uint32_t index = graph_section(g, "s");
	struct plan_stage *s = graph_stage(g, "critical", &critical_desc, NULL, 8);
	struct plan_queue *q = graph_queue(g, "q", 1024);
	int64_t ns;

	s->section = index;
	graph_read(g, s, 0, q);
	graph_write(g, graph_stage(g, "source", &source_desc, &settings, 8), 0, q);
	ns = timed(g);
	drop(g);
	return (double)ns / (double)n;
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void *with_mutex(void *arg)
{
	for (uint64_t i = *(uint64_t *)arg; i > 0; i--) {
		pthread_mutex_lock(&mutex);
		update();
		pthread_mutex_unlock(&mutex);
	}
	return NULL;
}

static double mutexes(uint64_t n)
{
	pthread_t threads[8];
	uint64_t share = n / 8;
	int64_t begin = clock_now_ns();

	for (int i = 0; i < 8; i++)
		pthread_create(&threads[i], NULL, with_mutex, &share);
	for (int i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	return (double)(clock_now_ns() - begin) / (double)n;
}

/* Slowest to fastest replica while all eight have work: each replica has its own source and queue,
 * and the run ends when the first is through. */
static double fairness(uint64_t n)
{
	struct graph *g = new_graph(32);
	struct source settings = {n, 0};
	uint32_t index = graph_section(g, "s");
	uint64_t least = UINT64_MAX, most = 0;

	for (uint32_t i = 0; i < 8; i++) {
		struct plan_queue *q = graph_queue(g, "q", 1024);
		struct plan_stage *s = graph_stage(g, "critical", &critical_desc, NULL, 1);

		s->section = index;
		graph_read(g, s, 0, q);
		graph_write(g, graph_stage(g, "source", &source_desc, &settings, 1), 0, q);
	}
	g->engine = NULL;
	{
		struct pc_run_options options = {.size = sizeof(options), .workers = workers};
		uint64_t did[8];
		uint64_t total = 0;

		if (graph_start(g, &options) != PC_OK)
			exit(1);
		while (total < n * 4) {
			usleep(1000);
			total = 0;
			for (uint32_t i = 0; i < 8; i++) {
				did[i] = count_read(
					&g->engine->stages[2 * i]->replicas[0]->inputs[0].done);
				total += did[i];
			}
		}
		for (int i = 0; i < 8; i++) {
			least = did[i] < least ? did[i] : least;
			most = did[i] > most ? did[i] : most;
		}
		graph_wait(g);
	}
	drop(g);
	return (double)least / (double)most;
}

/* One item now and then through three idle stages: from emission to the sink's callback. */
static int64_t arrived_ns; /* set before `arrived` is raised, read after that was seen */
static _Atomic uint32_t arrived;
static int64_t sent_ns;
static double latencies[100000];
static uint64_t n_latencies;

static int ping(struct pc_stage *st, void *state)
{
	struct source *s = state;

	if (s->next > 0) {
		if (atomic_load_explicit(&arrived, memory_order_acquire) < s->next) {
			pc_sleep(st, 20 * PC_US);
			return PC_OK;
		}
		latencies[n_latencies++] = (double)(arrived_ns - sent_ns);
	}
	if (s->next == s->n)
		return PC_END;
	pc_sleep(st, 300 * PC_US); /* all are parked by then */
	s->next++;
	sent_ns = clock_now_ns();
	return pc_emit_copy(st, 0, &s->next, sizeof(s->next));
}

static int pong(struct pc_stage *st, void *state, struct pc_item *item)
{
	(void)st;
	(void)state;
	(void)item;
	arrived_ns = clock_now_ns();
	atomic_fetch_add_explicit(&arrived, 1, memory_order_release);
	return PC_OK;
}

static const struct pc_stage_desc ping_desc = {.name = "ping",
                                               .flags = PC_BLOCKING,
                                               .outputs = any,
                                               .n_outputs = 1,
                                               .state_size = sizeof(struct source),
                                               .produce = ping};
static const struct pc_stage_desc pong_desc = {
	.name = "pong", .inputs = any, .n_inputs = 1, .state_size = 8, .process = pong};

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(void)
{
	qsort(latencies, n_latencies, sizeof(latencies[0]), by_value);
	return n_latencies ? latencies[n_latencies / 2] : 0;
}

static double latency(uint64_t n)
{
	struct graph *g = new_graph(16);
	struct source settings = {n, 0};
	struct plan_queue *q = graph_queue(g, "q", 16);

	graph_write(g, graph_stage(g, "ping", &ping_desc, &settings, 1), 0, q);
	for (int i = 0; i < 2; i++) {
		struct plan_stage *s = graph_stage(g, "map", &map_desc, NULL, 1);

		graph_read(g, s, 0, q);
		q = graph_queue(g, "q", 16);
		graph_write(g, s, 0, q);
	}
	graph_read(g, graph_stage(g, "pong", &pong_desc, NULL, 1), 0, q);
	timed(g);
	drop(g);
	return median();
}

/* The same distance with nothing but a futex: a thread wakes another on another core, as a source's
 * thread wakes a worker. (Left alone, the kernel may put the two on one core, and the sleeper runs
 * when the waker goes to sleep: less than half the time, and nothing that a pipeline could use.) */
static void pin(size_t core)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(core, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static _Atomic uint32_t futex_word;

static void *sleeper(void *arg)
{
	uint64_t n = *(uint64_t *)arg;

	pin(1);
	for (uint32_t i = 1; i <= n; i++) {
		while (atomic_load_explicit(&futex_word, memory_order_acquire) < i)
			futex_wait(&futex_word, i - 1, INT64_MAX);
		arrived_ns = clock_now_ns();
		atomic_fetch_add_explicit(&arrived, 1, memory_order_release);
	}
	return NULL;
}

static double futex(uint64_t n)
{
	pthread_t thread;

	pin(0);
	pthread_create(&thread, NULL, sleeper, &n);
	for (uint32_t i = 1; i <= n; i++) {
		usleep(300);
		sent_ns = clock_now_ns();
		atomic_store_explicit(&futex_word, i, memory_order_release);
		futex_wake(&futex_word, 1);
		while (atomic_load_explicit(&arrived, memory_order_acquire) < i)
			usleep(20);
		latencies[n_latencies++] = (double)(arrived_ns - sent_ns);
	}
	pthread_join(thread, NULL);
	return median();
}

/* CPU time, in percent of one core, of a graph that waits: all have started and gone to sleep. */
static int idle_produce(struct pc_stage *st, void *state)
{
	struct source *s = state;

	if (s->next++ > 0)
		return PC_END;
	pc_wake_after(st, PC_SEC);
	return PC_AGAIN;
}

static const struct pc_stage_desc idle_desc = {.name = "idle",
                                               .outputs = any,
                                               .n_outputs = 1,
                                               .state_size = sizeof(struct source),
                                               .produce = idle_produce};

static double cpu_s(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)u.ru_utime.tv_sec + (double)u.ru_utime.tv_usec / 1e6 +
	       (double)u.ru_stime.tv_sec + (double)u.ru_stime.tv_usec / 1e6;
}

static double idle(void)
{
	struct graph *g = new_graph(16);
	struct plan_queue *q = graph_queue(g, "q", 16);
	struct pc_run_options options = {.size = sizeof(options), .workers = workers};
	double used_s;
	int64_t begin;

	graph_write(g, graph_stage(g, "idle", &idle_desc, NULL, 1), 0, q);
	graph_read(g, graph_stage(g, "sink", &sink_desc, NULL, 1), 0, q);
	if (graph_start(g, &options) != PC_OK)
		exit(1);
	usleep(200000);
	begin = clock_now_ns();
	used_s = cpu_s();
	usleep(600000);
	used_s = cpu_s() - used_s;
	used_s /= (double)(clock_now_ns() - begin) / 1e9;
	graph_wait(g);
	drop(g);
	return 100 * used_s;
}

static uint64_t rss_bytes(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	unsigned long size = 0, resident = 0;

	if (f && fscanf(f, "%lu %lu", &size, &resident) != 2)
		resident = 0;
	if (f)
		fclose(f);
	return (uint64_t)resident * 4096;
}

/* bytes per stage, or ms to start, of a chain of 10,000 that carries nothing yet */
static double large(bool memory)
{
	uint32_t n = 10000;
	struct graph *g = new_graph(n + 8);
	struct source settings = {1, 0};
	struct plan_queue *q = graph_queue(g, "q", 1024);
	struct pc_run_options options = {.size = sizeof(options), .workers = workers};
	uint64_t before;
	int64_t begin;
	double result;

	graph_write(g, graph_stage(g, "idle", &idle_desc, &settings, 1), 0, q);
	for (uint32_t i = 0; i < n - 2; i++) {
		struct plan_stage *s = graph_stage(g, "map", &map_desc, NULL, 1);

		graph_read(g, s, 0, q);
		q = graph_queue(g, "q", 1024);
		graph_write(g, s, 0, q);
	}
	graph_read(g, graph_stage(g, "sink", &sink_desc, NULL, 1), 0, q);
	before = rss_bytes();
	begin = clock_now_ns();
	if (graph_start(g, &options) != PC_OK)
		exit(1);
	result = (double)(clock_now_ns() - begin) / 1e6;
	if (memory) {
		usleep(200000);
		result = (double)(rss_bytes() - before) / n;
	}
	graph_wait(g);
	drop(g);
	return result;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	uint64_t n = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
	const char *unit = "ns";
	double figure;

	workers = argc > 3 ? (unsigned)atoi(argv[3]) : 0;
	if (strcmp(what, "source-sink") == 0) {
		figure = chain(0, n ? n : 30000000);
	} else if (strcmp(what, "source-map-sink") == 0) {
		figure = chain(1, n ? n : 30000000);
	} else if (strcmp(what, "chain-8") == 0) {
		figure = chain(6, n ? n : 5000000) / 7;
	} else if (strcmp(what, "chain-1000") == 0) {
		figure = chain(998, n ? n : 200000) / 999;
	} else if (strcmp(what, "chain-10000") == 0) {
		figure = chain(9998, n ? n : 100000) / 9999;
	} else if (strcmp(what, "64-to-1") == 0) {
		figure = meet(64, 1, n ? n : 30000000);
	} else if (strcmp(what, "1-to-64") == 0) {
		figure = meet(1, 64, n ? n : 30000000);
	} else if (strcmp(what, "section") == 0) {
		figure = section(n ? n : 8000000);
	} else if (strcmp(what, "mutex") == 0) {
		figure = mutexes(n ? n : 8000000);
	} else if (strcmp(what, "fairness") == 0) {
		unit = "slowest/fastest";
		figure = fairness(n ? n : 10000000);
	} else if (strcmp(what, "latency") == 0) {
		figure = latency(n ? n : 2000);
	} else if (strcmp(what, "futex") == 0) {
		figure = futex(n ? n : 2000);
	} else if (strcmp(what, "idle") == 0) {
		unit = "% of a core";
		figure = idle();
	} else if (strcmp(what, "memory-10000") == 0) {
		unit = "bytes a stage";
		figure = large(true);
	} else if (strcmp(what, "start-10000") == 0) {
		unit = "ms";
		figure = large(false);
	} else {
		fprintf(stderr, "usage: bench-engine SCENARIO [ITEMS] [WORKERS]\n");
		return 2;
	}
	printf("%s %.3f %s\n", what, figure, unit);
	return 0;
}
