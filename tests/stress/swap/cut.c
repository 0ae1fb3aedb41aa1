/* stress/swap/cut.c: swaps under load: no item is lost or doubled, and each runs on the code that
 * the announced cut says.
 *
 * Arguments: swaps per shape (default 25), swaps of the long run (default 1000), its items
 * (default 1,000,000). `--long`: the long run alone, a million swaps in a thousand million items
 * (issue 5); it wants 3 GB of memory, for it remembers every item and every build. */
#include "common.h"

#include "base/clock.h"
#include "base/error.h"

static unsigned n_swaps = 25;

static void pause_us(long us)
{
	struct timespec t = {0, us * 1000};

	nanosleep(&t, NULL);
}

/* Swap the role again and again while items flow. */
static void run(const struct line_shape *shape, enum role role, bool exact)
{
	struct swap_report r;
	char what[256];
	unsigned done = 0;
	int rc;

	line_make(shape);
	line->at_least = 1000;
	rc = line_start(shape->workers);
	for (unsigned i = 0; i < n_swaps && rc == PC_OK; i++) {
		rc = line_swap(role, 0, &r);
		done += rc == PC_OK;
		if (i % 4 == 0)
			pause_us(200);
	}
	if (rc == PC_OK)
		rc = line_end();
	if (rc != PC_OK)
		printf("# result %d: %s\n", rc, pc_error_text(line->g.engine->error));
	snprintf(what, sizeof(what), "%s, %s is swapped", shape->what, line->stage[role]->name);
	report(rc == PC_OK && done == n_swaps && line_check(role, exact) &&
	               strstr(line_log(), "live"),
	       what);
	line_free();
}

#define SOURCE_OF(n) .source = {.batch = n}

static const struct line_shape shapes[] = {
	{.what = "one of each",
         .sources = 1,
         .mids = 1,
         .capacity = 1024,
         .workers = 2,
         SOURCE_OF(64)},
	{.what = "capacity 1",
         .sources = 1,
         .mids = 1,
         .capacity = 1,
         .workers = 2,
         SOURCE_OF(1)},
	{.what = "two replicas",
         .sources = 1,
         .mids = 2,
         .capacity = 64,
         .workers = 2,
         SOURCE_OF(16)},
	{.what = "eight replicas, four workers",
         .sources = 1,
         .mids = 8,
         .capacity = 256,
         .workers = 4,
         SOURCE_OF(64)},
	{.what = "ordered, four replicas",
         .sources = 1,
         .mids = 4,
         .capacity = 64,
         .workers = 2,
         .ordered = true,
         SOURCE_OF(32)},
	{.what = "batches",
         .sources = 1,
         .mids = 2,
         .capacity = 256,
         .workers = 2,
         .batch = true,
         SOURCE_OF(100)},
	{.what = "critical, four replicas",
         .sources = 1,
         .mids = 4,
         .capacity = 64,
         .workers = 4,
         .section = true,
         SOURCE_OF(16)},
	{.what = "mids on own threads",
         .sources = 1,
         .mids = 3,
         .capacity = 64,
         .workers = 2,
         .blocking = {[MID] = true},
         SOURCE_OF(16)},
	{.what = "own threads everywhere",
         .sources = 1,
         .mids = 2,
         .capacity = 32,
         .workers = 1,
         .blocking = {true, true, true},
         SOURCE_OF(8)},
	{.what = "slow items",
         .sources = 1,
         .mids = 2,
         .capacity = 8,
         .workers = 2,
         .mid = {.spin = 20000},
         SOURCE_OF(4)},
};

/* Every queue of a by= stage has its own bit, so the cut is exact per queue only. */
static const struct line_shape by_shape = {.what = "by=, four replicas",
                                           .sources = 1,
                                           .mids = 4,
                                           .capacity = 64,
                                           .workers = 2,
                                           .by = "item",
                                           SOURCE_OF(16)};

static const struct line_shape many_sources = {.what = "three sources",
                                               .sources = 3,
                                               .mids = 2,
                                               .capacity = 64,
                                               .workers = 2,
                                               SOURCE_OF(16)};

/* A source in a runtime wait comes back for a swap, and sleeps on where it was: were each sleep
 * begun anew, no item would ever come between these swaps. */
static void sleeping_source(void)
{
	static const struct line_shape shape = {
		.what = "a sleepy source",
		.no_mid = true,
		.sources = 1,
		.mids = 1,
		.capacity = 8,
		.workers = 1,
		.blocking = {[SOURCE] = true},
		.source = {.n = 3, .batch = 1, .sleep_ns = 100 * PC_MS}};
	struct swap_report r;
	unsigned swaps = 0;
	int rc;

	line_make(&shape);
	rc = line_start(1);
	while (rc == PC_OK && line_seen() < 2 && swaps < 100000) {
		rc = line_swap(SOURCE, 0, &r);
		swaps++;
		pause_us(500);
	}
	if (rc == PC_OK)
		rc = line_end();
	printf("# %u swaps\n", swaps);
	report(rc == PC_OK && line_seen() == 3 && swaps > 2 && line_check(SOURCE, true),
	       "a source in pc_sleep() is woken for a swap, and goes on with the same sleep");
	line_free();
}

/* Nothing flows: the source waits for a timer that is far away, the mids for items. */
static void idle(void)
{
	static const struct line_shape shape = {
		.what = "idle",
		.sources = 1,
		.mids = 4,
		.capacity = 8,
		.workers = 2,
		.blocking = {[SOURCE] = true},
		.source = {.batch = 1, .sleep_ns = 3600 * PC_SEC}};
	struct swap_report r;
	int rc;

	line_make(&shape);
	rc = line_start(2);
	for (int i = 0; i < 20 && rc == PC_OK; i++)
		rc = line_swap((enum role)(i % N_ROLES), 0, &r);
	report(rc == PC_OK && line_seen() == 0, "idle: a swap completes without an item");
	atomic_store_explicit(&line->g.engine->stop_asked, PC_STOP_NOW,
	                      memory_order_release); /* C5 */
	control_nudge(line->g.engine);
	rc = graph_wait(&line->g);
	report(rc == PC_STOPPED, "and the graph stops as ever");
	line_free();
}

/* All three at once, from three threads. */
static _Atomic unsigned failed_swaps;
static _Atomic bool stop_swapping;
static pthread_mutex_t new_code = PTHREAD_MUTEX_INITIALIZER;

static void *swap_role(void *arg)
{
	enum role role = (enum role)(uintptr_t)arg;

	/* relaxed, both: flags and counts */
	while (!atomic_load_explicit(&stop_swapping, memory_order_relaxed)) {
		struct swap_report r;
		struct code *code;
		int rc;

		pthread_mutex_lock(&new_code);
		code = code_new(role, false, false);
		pthread_mutex_unlock(&new_code);
		rc = line_swap_code(code, 0, &r, NULL);
		if (rc)
			atomic_fetch_add_explicit(&failed_swaps, 1, memory_order_relaxed);
		if (rc)
			printf("# swap of role %d: %d\n", (int)role, rc);
	}
	return NULL;
}

static void all_at_once(void)
{
	pthread_t threads[N_ROLES];
	bool ok;
	int rc;

	/* relaxed, both: before the threads */
	atomic_store_explicit(&stop_swapping, false, memory_order_relaxed);
	atomic_store_explicit(&failed_swaps, 0, memory_order_relaxed); /* likewise */
	line_make(&shapes[2]);
	rc = line_start(2);
	for (uintptr_t i = 0; i < N_ROLES; i++)
		pthread_create(&threads[i], NULL, swap_role, (void *)i);
	pause_us(n_swaps * 10000L);
	atomic_store_explicit(&stop_swapping, true, memory_order_relaxed); /* a flag */
	for (int i = 0; i < N_ROLES; i++)
		pthread_join(threads[i], NULL);
	if (rc == PC_OK)
		rc = line_end();
	ok = rc == PC_OK;
	for (int i = 0; i < N_ROLES; i++)
		ok = line_check((enum role)i, i != SINK) && ok;
	printf("# %u, %u, %u swaps\n", line->n_cuts[0], line->n_cuts[1], line->n_cuts[2]);
	report(ok && atomic_load_explicit(&failed_swaps, memory_order_relaxed) == 0, /* after */
	       "source, mid and sink are swapped all at once, from three threads");
	line_free();
}

/* The long one: as fast as it goes. */
static void many(unsigned swaps, uint64_t items)
{
	struct line_shape shape = shapes[3];
	struct swap_report r;
	int64_t begun = clock_now_ns();
	unsigned done = 0;
	char what[128];
	bool ok;
	int rc;

	line_make(&shape);
	line->at_least = items;
	rc = line_start(2);
	for (unsigned i = 0; i < swaps && rc == PC_OK; i++) {
		rc = line_swap(MID, 0, &r);
		done += rc == PC_OK;
		if (swaps > 10000 && done % (swaps / 100) == 0)
			printf("# %u swaps, %" PRIu64 " items\n", done, line_seen());
		fflush(stdout);
	}
	/* Not line_end(): its watchdog is for a graph that stands still. */
	while (rc == PC_OK && line_seen() < items)
		pause_us(1000);
	if (rc == PC_OK)
		rc = line_end();
	ok = rc == PC_OK && done == swaps && line_check(MID, true);
	snprintf(what, sizeof(what), "%u swaps in %" PRIu64 " items", done, line_seen());
	printf("# %.0f swaps/s\n", swaps * 1e9 / (double)(clock_now_ns() - begun));
	report(ok, what);
	line_free();
}

int main(int argc, char **argv)
{
	unsigned long_swaps = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 1000;
	uint64_t long_items = argc > 3 ? strtoull(argv[3], NULL, 10) : 1000000;

	if (argc > 1 && strcmp(argv[1], "--long") == 0) {
		many(1000000, 1000000000);
		return tap_end();
	}
	if (argc > 1)
		n_swaps = (unsigned)strtoul(argv[1], NULL, 10);
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		for (int role = 0; role < N_ROLES; role++)
			/* one sink takes from all mids: unordered, so positions are not numbers */
			run(&shapes[i], (enum role)role,
			    role != SINK || shapes[i].mids == 1 || shapes[i].ordered);
	run(&by_shape, MID, false);
	run(&many_sources, MID, false);
	run(&many_sources, SOURCE, false);
	sleeping_source();
	idle();
	all_at_once();
	many(long_swaps, long_items);
	return tap_end();
}
