/* bench/swap/swap.c: what a swap costs, and what it costs to be able to: `swap-bench [SECONDS]`,
 * the table of ./dev bench swap. SECONDS (default 3) is how long each phase lasts.
 *
 * The pause. A stage is busy (100 to 300 ns an item) whose state carries the time of its last item: the
 * state is adopted, so the gap between two items with a cut between them is measured like any other, by
 * the code that comes after the cut. A gap minus the median of all gaps without swaps is the pause. The
 * table has the gaps of the other items beside it, with and without swaps. The source's replicas keep the
 * queue full: where a stage waits for its source, that is what the gap shows. The stages have a core of
 * their own, and all other threads another; one row has the pause where two workers share the cores
 * with the rest.
 *
 * Growth and rates of real plugins: copies of two builds in turn through pc_graph_swap(), that
 * is with checks, lint and copy. Throughput: the same chain in this build and in one that never
 * looks for a swap (engine/fault.h, FAULT_SWAP; the version bit in the queue's word is in both,
 * because it is part of a number that the queue needs anyway), in turn, the median of the ratios.
 *
 * Best run on an idle machine, with nothing else on its cores. */
#include "../../stress/engine/graph.h"
#include "../../stress/usage.h"

#include "base/clock.h"
#include "base/error.h"

#include <dirent.h>
#include <inttypes.h>
#include <malloc.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FEEDS 2 /* with one the queue is as often empty as full */

static double phase_s = 3;
static char here[512]; /* the folder of this program */

/* ------------------------------------------------------------------------------ gaps --- */

/* Nanoseconds, each; longer ones count as the longest, and `worst` knows. */
#define LONGEST 2000000

struct gaps {
	uint32_t *n;
	uint64_t count;
	int64_t worst;
};

/* By the stage's thread; read after the end. `begins`: of `quiet`, between two activations, where the
 * items' output is published, and other work may come; a cut is always in such a gap. */
static struct gaps quiet, begins, others, cuts;
static _Atomic bool swapping;

static void gaps_init(struct gaps *g)
{
	g->n = calloc(LONGEST + 1, sizeof(*g->n));
}

static void gaps_all(bool make)
{
	struct gaps *all[] = {&quiet, &begins, &others, &cuts};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (make)
			gaps_init(all[i]);
		else
			free(all[i]->n);
		if (!make)
			*all[i] = (struct gaps){0};
	}
}

static void add(struct gaps *g, int64_t ns)
{
	g->n[ns < LONGEST ? ns : LONGEST]++;
	g->count++;
	g->worst = ns > g->worst ? ns : g->worst;
}

static int64_t percentile(const struct gaps *g, double p)
{
	uint64_t rank = (uint64_t)((double)g->count * p), seen = 0;

	for (int64_t i = 0; i < LONGEST; i++) {
		seen += g->n[i];
		if (seen > rank)
			return i;
	}
	return g->worst;
}

/* ----------------------------------------------------------------------------- stages --- */

struct feed {
	uint64_t made;
};

static _Atomic bool enough;

static int feed_produce(struct pc_stage *st, void *state)
{
	struct feed *s = state;

	for (uint32_t i = 0; i < st->batch_hint; i++) {
		struct pc_item *item = pc_item_new(st, sizeof(s->made));

		if (!item)
			return pc_fail(st, "out of memory");
		memcpy(item->data, &s->made, sizeof(s->made));
		s->made++;
		pc_emit(st, 0, item);
	}
	/* relaxed: a flag */
	return atomic_load_explicit(&enough, memory_order_relaxed) ? PC_END : PC_OK;
}

struct eat {
	int64_t last_ns;
	const struct pc_stage_desc *last; /* whose item that was */
	uint64_t count, activations;
	char rest[]; /* of a larger state */
};

static int eat_process(struct pc_stage *st, void *state, struct pc_item *item)
{
	struct eat *s = state;
	const struct replica *r = replica_of(st);
	const struct pc_stage_desc *desc = r->build->desc;
	uint64_t activations = count_read(&r->activations);
	/* relaxed: a flag */
	bool is_swapping = atomic_load_explicit(&swapping, memory_order_relaxed);
	volatile unsigned burn = 300;
	int64_t now;

	(void)item;
	while (burn > 0)
		burn--;
	now = clock_now_ns();
	s->count++;
	if (s->last == desc)
		add(is_swapping ? &others : &quiet, now - s->last_ns);
	else if (s->last)
		add(&cuts, now - s->last_ns);
	if (s->last == desc && s->activations != activations && !is_swapping)
		add(&begins, now - s->last_ns);
	s->last = desc;
	s->activations = activations;
	s->last_ns = clock_now_ns(); /* without what add() has cost */
	return PC_OK;
}

static const struct pc_port port[] = {{"port", "*", 0, ""}};
static const struct pc_stage_desc feed_desc = {.name = "feed",
                                               .outputs = port,
                                               .n_outputs = 1,
                                               .state_size = sizeof(struct feed),
                                               .produce = feed_produce};
static const struct pc_stage_desc eat_desc = {.name = "eat",
                                              .inputs = port,
                                              .n_inputs = 1,
                                              .state_size = sizeof(struct eat),
                                              .process = eat_process};

static bool free_desc(void *desc, struct buf *why)
{
	(void)why;
	free(desc);
	return true;
}

static void doze(double s)
{
	struct timespec t = {(time_t)s, (long)((s - (double)(time_t)s) * 1e9)};

	nanosleep(&t, NULL);
}

/* ----------------------------------------------------------------------------- pauses --- */

static int64_t took_ns; /* of all swaps: from the cut until the replica has passed it */

static bool swap_one(struct engine *e, struct pc_stage_desc like)
{
	struct pc_stage_desc *desc = malloc(sizeof(*desc));
	struct swap_offer offer = {.desc = desc, .release = free_desc, .user = desc};
	struct swap_wish wish = {.timeout_ns = 60 * PC_SEC};
	struct pc_error *err = NULL;
	struct swap_report r;
	int rc;

	*desc = like;
	rc = swap_ask(e, 1, &offer, &wish, &r, &err);
	free(r.words);
	took_ns += r.took_ns;
	if (rc)
		printf("swap: %d %s\n", rc, pc_error_text(err));
	pc_error_free(err);
	return rc == PC_OK;
}

static void row(const char *what, const struct gaps *g, int64_t minus, const char *goal)
{
	static const double at[] = {0.5, 0.99, 0.999};

	printf("%-38s", what);
	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++)
		printf(" %9.2f", (double)(percentile(g, at[i]) - minus) / 1e3);
	printf(" %9.1f %9" PRIu64 "   %s\n", (double)(g->worst - minus) / 1e3, g->count, goal);
}

/* The first core of `all`, or the last one. */
static void pin(pthread_t thread, const cpu_set_t *all, bool last)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	for (size_t i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, all) && (last || CPU_COUNT(&one) == 0)) {
			CPU_ZERO(&one);
			CPU_SET(i, &one);
		}
	pthread_setaffinity_np(thread, sizeof(one), &one);
}

/* The threads of a graph come where the one that starts it is. */
static int start(struct graph *g, bool pinned)
{
	struct pc_run_options options = {.size = sizeof(options), .workers = pinned ? 1 : 2};
	cpu_set_t all;
	int rc;

	if (!pinned || sched_getaffinity(0, sizeof(all), &all) || CPU_COUNT(&all) < 2)
		return graph_start(g, &options);
	pin(pthread_self(), &all, false);
	rc = graph_start(g, &options);
	if (rc == PC_OK)
		pin(g->engine->pool.workers[0].thread, &all, true);
	return rc;
}

/* Swaps as they come, with some time between them; `mapped`: the state's layout changes each
 * time, between two sizes near `state_bytes`. */
static void pauses(const char *what, size_t state_bytes, bool mapped, bool pinned,
                   bool all_rows, const char *goal)
{
	struct pc_field fields[2] = {{"eat", 0, 1, 0, sizeof(struct eat)},
	                             {"rest", 0, 1, sizeof(struct eat), 1}};
	struct feed none = {0};
	struct pc_stage_desc eat = eat_desc;
	struct plan_stage *a, *b;
	struct plan_queue *q;
	unsigned swaps = 0;
	int64_t begun, took;
	cpu_set_t before;
	struct graph g;
	void *params;
	int rc;

	eat.state_size = state_bytes > sizeof(struct eat) ? state_bytes : sizeof(struct eat);
	fields[1].count = (uint32_t)(eat.state_size - sizeof(struct eat));
	eat.fields = fields;
	eat.n_fields = fields[1].count ? 2 : 1;
	params = calloc(1, eat.state_size);
	gaps_all(true);
	/* relaxed, both: no other thread yet */
	atomic_store_explicit(&swapping, false, memory_order_relaxed);
	atomic_store_explicit(&enough, false, memory_order_relaxed); /* so */
	graph_init(&g);
	q = graph_queue(&g, "q", 1024);
	a = graph_stage(&g, "feed", &feed_desc, &none, FEEDS);
	b = graph_stage(&g, "eat", &eat, params, 1);
	graph_write(&g, a, 0, q);
	graph_read(&g, b, 0, q);
	sched_getaffinity(0, sizeof(before), &before);
	rc = start(&g, pinned);
	doze(phase_s);
	atomic_store_explicit(&swapping, true, memory_order_relaxed); /* a flag */
	begun = clock_now_ns();
	while (rc == PC_OK && clock_now_ns() - begun < (int64_t)(phase_s * 1e9)) {
		struct pc_stage_desc next = eat;
		struct pc_field more[3];

		memcpy(more, fields, sizeof(fields));
		more[2] = (struct pc_field){"more", PC_T_U64, 1, eat.state_size, 8};
		if (mapped && swaps % 2 == 0) {
			next.fields = more;
			next.n_fields = 3;
			next.state_size += 8;
		}
		if (!swap_one(g.engine, next))
			break;
		swaps++;
		doze(mapped ? 1e-3 : 100e-6);
	}
	took = clock_now_ns() - begun;
	atomic_store_explicit(&enough, true, memory_order_relaxed); /* a flag */
	if (rc == PC_OK)
		graph_wait(&g);
	if (all_rows) {
		int64_t median = percentile(&quiet, 0.5);

		printf("%-38s %9s %9s %9s %9s %9s   %s\n", "us", "p50", "p99", "p99.9", "max",
		       "n", "goal");
		row("gap between items, no swaps", &quiet, 0, "");
		row("  of these, between activations", &begins, 0, "");
		row("gap between items, others, swaps", &others, 0, "p99 +0.1, p99.9 <= 20");
		row(what, &cuts, median, goal);
		printf("%-38s %9.0f\n", "  swaps/s meanwhile", swaps * 1e9 / (double)took);
	} else {
		row(what, &cuts, percentile(&quiet, 0.5), goal);
	}
	graph_fini(&g);
	sched_setaffinity(0, sizeof(before), &before);
	free(params);
	gaps_all(false);
}

/* As many as go. */
static void rate(void)
{
	struct pc_run_options options = {.size = sizeof(options), .workers = 2};
	struct plan_stage *a, *b;
	struct plan_queue *q;
	struct feed none = {0};
	int64_t begun, took;
	struct graph g;
	unsigned n = 0;

	gaps_all(true);
	/* relaxed: no other thread yet */
	atomic_store_explicit(&enough, false, memory_order_relaxed);
	graph_init(&g);
	q = graph_queue(&g, "q", 1024);
	a = graph_stage(&g, "feed", &feed_desc, &none, 1);
	b = graph_stage(&g, "eat", &eat_desc, NULL, 1);
	graph_write(&g, a, 0, q);
	graph_read(&g, b, 0, q);
	if (graph_start(&g, &options) != PC_OK)
		return;
	begun = clock_now_ns();
	while (clock_now_ns() - begun < (int64_t)(phase_s * 1e9) &&
	       swap_one(g.engine, eat_desc))
		n++;
	took = clock_now_ns() - begun;
	atomic_store_explicit(&enough, true, memory_order_relaxed); /* a flag */
	graph_wait(&g);
	graph_fini(&g);
	gaps_all(false);
	printf("%-38s %9.0f   (%.0f us each, %.0f of them from the cut until the replica has "
	       "told) "
	       "  >= 1,000\n",
	       "swaps/s, loaded code, one replica", n * 1e9 / (double)took,
	       (double)took / 1e3 / n, (double)took_ns / 1e3 / n);
}

/* ----------------------------------------------------------------------- real plugins --- */

struct usage {
	unsigned fds, threads, maps;
	long rss_kb;
	size_t heap;
};

static struct usage usage(void)
{
	FILE *statm = fopen("/proc/self/statm", "r");
	struct usage u = {.heap = mallinfo2().uordblks};
	long size = 0;
	unsigned ours;

	if (statm && fscanf(statm, "%ld %ld", &size, &u.rss_kb) == 2)
		u.rss_kb *= sysconf(_SC_PAGESIZE) / 1024;
	if (statm)
		fclose(statm);
	u.fds = usage_entries("/proc/self/fd");
	u.threads = usage_entries("/proc/self/task");
	u.maps = usage_maps("/pcrun-", &ours);
	return u;
}

static bool swap_real(struct pc_graph *graph, unsigned i, const struct pc_swap_options *options)
{
	struct pc_error *err = NULL;
	char file[600];
	int rc;

	snprintf(file, sizeof(file), "%s/mid%u.so", here, 2 - i % 2);
	rc = pc_graph_swap(graph, "mid", file, options, NULL, 0, &err);
	if (rc)
		printf("%s", pc_error_text(err));
	pc_error_free(err);
	return rc == PC_OK;
}

static void real(unsigned n)
{
	const char *dirs[] = {here};
	struct pc_load_options load = {
		.size = sizeof(load), .plugin_dirs = dirs, .n_plugin_dirs = 1};
	struct pc_run_options run = {.size = sizeof(run), .workers = 2};
	struct pc_swap_options options = {.size = sizeof(options), .probation_ns = 1};
	struct pc_error *err = NULL;
	struct usage before, after;
	struct pc_graph *graph;
	int64_t begun, took;
	char text[1200];
	unsigned done = 0;

	snprintf(text, sizeof(text),
	         "stage mid = %s/mid1.so()\nnumbers -> mid -> tally [capacity=256]\n", here);
	if (pc_graph_load_text(&graph, "bench", text, strlen(text), &load, &err) != PC_OK ||
	    pc_graph_start(graph, &run, &err) != PC_OK) {
		printf("%s", pc_error_text(err));
		pc_error_free(err);
		return;
	}
	for (unsigned i = 0; i < 100; i++)
		swap_real(graph, i, &options);
	doze(0.3);
	malloc_trim(0);
	before = usage();
	begun = clock_now_ns();
	while (done < n && swap_real(graph, done, &options))
		done++;
	took = clock_now_ns() - begun;
	doze(0.3);
	malloc_trim(0);
	after = usage();
	pc_graph_free(graph);
	printf("%-38s %9.0f %41s   >= 100\n", "swaps/s, real plugins, all checks",
	       done * 1e9 / (double)took, "");
	printf("growth over %u swaps: %ld kB resident, %ld B heap, %d descriptors, %d maps, %d "
	       "threads   goal: 0 (resident: 64 kB an hour)\n",
	       done, after.rss_kb - before.rss_kb, (long)after.heap - (long)before.heap,
	       (int)after.fds - (int)before.fds, (int)after.maps - (int)before.maps,
	       (int)after.threads - (int)before.threads);
}

/* -------------------------------------------------------------------------- throughput --- */

static int map_process(struct pc_stage *st, void *state, struct pc_item *item)
{
	(void)state;
	return pc_pass(st, 0, item);
}

static int count_process(struct pc_stage *st, void *state, struct pc_item *item)
{
	(void)st;
	(void)item;
	++*(uint64_t *)state;
	return PC_OK;
}

static const struct pc_stage_desc map_desc = {.name = "map",
                                              .inputs = port,
                                              .n_inputs = 1,
                                              .outputs = port,
                                              .n_outputs = 1,
                                              .process = map_process};
static const struct pc_stage_desc count_desc = {.name = "count",
                                                .inputs = port,
                                                .n_inputs = 1,
                                                .state_size = sizeof(uint64_t),
                                                .process = count_process};

/* feed -> map -> map -> count on one worker: prints items per second. */
static int throughput(void)
{
	struct pc_run_options options = {.size = sizeof(options), .workers = 1};
	struct feed none = {0};
	struct plan_stage *last, *next;
	int64_t begun;
	struct graph g;

	graph_init(&g);
	last = graph_stage(&g, "feed", &feed_desc, &none, 1);
	for (int i = 0; i < 3; i++) {
		struct plan_queue *q = graph_queue(&g, "q", 1024);

		next = graph_stage(&g, "next", i < 2 ? &map_desc : &count_desc, NULL, 1);
		graph_write(&g, last, 0, q);
		graph_read(&g, next, 0, q);
		last = next;
	}
	begun = clock_now_ns();
	if (graph_start(&g, &options) != PC_OK)
		return 1;
	doze(phase_s / 10);
	atomic_store_explicit(&enough, true, memory_order_relaxed); /* a flag */
	graph_wait(&g);
	printf("%.0f\n", (double)count_read(&g.engine->stages[0]->replicas[0]->emitted) * 1e9 /
	                         (double)(clock_now_ns() - begun));
	graph_fini(&g);
	return 0;
}

static double measure(const char *program)
{
	char command[700], line[64] = "0";
	FILE *f;

	snprintf(command, sizeof(command), "%s/%s --throughput %g", here, program, phase_s);
	f = popen(command, "r");
	if (f && !fgets(line, sizeof(line), f))
		line[0] = '0';
	if (f)
		pclose(f);
	return strtod(line, NULL);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

#define TURNS 31

static void compare(void)
{
	double ratios[TURNS], with = 0, without = 0;

	for (int i = 0; i < TURNS; i++) {
		double first = measure(i % 2 ? "swap-bench" : "swap-never");
		double second = measure(i % 2 ? "swap-never" : "swap-bench");

		ratios[i] = i % 2 ? first / second : second / first;
		if (i % 2 == 0) {
			double swapped = first;

			first = second;
			second = swapped;
		}
		with = first > with ? first : with;
		without = second > without ? second : without;
	}
	qsort(ratios, TURNS, sizeof(ratios[0]), by_value);
	printf("items/s without swaps: %.1f M; against a build that never looks for one: %.3f "
	       "best "
	       "to best, %.3f median of %d pairs (from %.3f to %.3f)   goal: >= 0.99\n",
	       with / 1e6, with / without, ratios[TURNS / 2], TURNS, ratios[0],
	       ratios[TURNS - 1]);
}

int main(int argc, char **argv)
{
	ssize_t n = readlink("/proc/self/exe", here, sizeof(here) - 1);
	char *slash;

	here[n > 0 ? n : 0] = '\0';
	slash = strrchr(here, '/');
	if (slash)
		*slash = '\0';
	if (argc > 2 && strcmp(argv[1], "--throughput") == 0) {
		phase_s = strtod(argv[2], NULL);
		return throughput();
	}
	if (argc > 1)
		phase_s = strtod(argv[1], NULL);
	pauses("pause, state adopted", 0, false, true, true, "1, 5, 50, 500");
	pauses("  the same, cores shared", 0, false, false, false, "");
	pauses("pause, 1 MiB of state mapped", 1 << 20, true, true, false, "100, 200");
	rate();
	real(1000);
	compare();
	return 0;
}
