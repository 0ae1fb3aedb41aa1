/* stress/reload/random.c: random graphs, one after the other, under load.
 *
 * Each step makes another text: sources, pass stages in rows, declared queues, sinks, with random
 * names (so that stages come, go, stay and come back), replicas, capacities, attributes and values;
 * and reloads. Nothing may be lost, doubled or broken, and the ledger must balance. Some steps do
 * more at once: several reloads from several threads, a swap beside them, a stop in the middle.
 * RELOADS: how many (300). SEED: with which numbers to begin. */
#include "common.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state;

static uint32_t rnd(uint32_t n)
{
	state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(state >> 33) % n;
}

struct out {
	char text[16384];
	size_t size;
};

__attribute__((format(printf, 2, 3))) static void add(struct out *o, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	o->size += (size_t)vsnprintf(o->text + o->size, sizeof(o->text) - o->size, format, ap);
	va_end(ap);
	if (o->size >= sizeof(o->text))
		abort();
}

static void pass(struct out *o, const char *name, unsigned i, bool in_order)
{
	add(o, "stage %s%u = pass(live=%u, hold=%u)", name, i, rnd(5), rnd(4) ? 0 : rnd(9));
	if (in_order)
		add(o, "%s", rnd(3) ? "" : " replicas=1");
	else if (rnd(3) == 0)
		add(o, " replicas=%u%s", 1 + rnd(4), rnd(4) ? "" : " by=item");
	if (rnd(6) == 0)
		add(o, " thread=own");
	if (rnd(6) == 0)
		add(o, " on_error=skip");
	add(o, "\n");
}

/* Rows that end in a sink each, or in one queue that all share. */
static void make(struct out *o, bool in_order)
{
	unsigned rows = 1 + rnd(4);
	bool shared = !in_order && rnd(2), joined = rnd(3) == 0;

	o->size = 0;
	if (shared)
		add(o, "queue q capacity=%u\nqueue r capacity=%u\n", 1 + rnd(200), 1 + rnd(50));
	for (unsigned i = 0; i < rows; i++) {
		unsigned row = rnd(6), depth = rnd(4), used = 0;
		unsigned picked[4];

		row = row * 4 + i; /* each another */
		add(o, "stage s%u = source(burst=%u%s)\n", row, 1 + rnd(40),
		    rnd(3) ? "" : ", pause=1ms");
		for (unsigned d = 0; d < depth; d++) {
			unsigned k = d * 3 + rnd(3);

			picked[used++] = row * 16 + k;
			pass(o, "p", picked[d], in_order);
		}
		if (!shared) {
			add(o, "stage k%u = sink(label=%u)%s\n", row, rnd(3),
			    !in_order && rnd(3) == 0 ? " replicas=2" : "");
		}
		add(o, "s%u", row);
		for (unsigned d = 0; d < used; d++)
			add(o, " -> p%u", picked[d]);
		if (shared)
			add(o, " -> %s\n", rnd(2) && i > 0 ? "r" : "q");
		else
			add(o, " -> k%u [capacity=%u]\n", row, 1 + rnd(300));
		if (joined && i == 0)
			add(o, "join j after s%u\n", row);
	}
	if (shared) {
		add(o, "stage kq = sink() replicas=%u\nq -> kq\n", 1 + rnd(3));
		add(o, "stage sr = source(pause=1ms)\nsr -> r\nstage kr = sink()\nr -> kr\n");
		add(o, "stage sq = source(pause=1ms)\nsq -> q\n");
	}
}

static void *reload_too(void *unused)
{
	struct pc_reload_options o = {.size = sizeof(o), .timeout_ns = INT64_C(100000000000)};
	int rc;

	(void)unused;
	rc = pc_graph_reload(graph, NULL, &o, NULL, NULL);
	return rc == PC_OK || rc == PC_STOPPED ? NULL : &state;
}

static _Atomic bool swapping;

static void *swap_too(void *file)
{
	while (atomic_load(&swapping)) {
		char name[16];

		snprintf(name, sizeof(name), "p%u", (unsigned)rand() % 300);
		pc_graph_swap(graph, name, file, NULL, NULL, 0, NULL);
	}
	return NULL;
}

static void run(unsigned n, bool in_order, char *swap, const char *what)
{
	struct out o;
	bool right = true;
	pthread_t swapper;

	make(&o, in_order);
	start(o.text);
	atomic_store(&swapping, swap != NULL);
	if (swap && pthread_create(&swapper, NULL, swap_too, swap))
		abort();
	for (unsigned i = 0; i < n && right; i++) {
		int rc;

		if (rnd(3) == 0)
			wait_seen(rnd(2000));
		make(&o, in_order);
		if (rnd(8) == 0) {
			pthread_t t[3];
			void *bad;

			write_text(o.text);
			for (int k = 0; k < 3; k++)
				pthread_create(&t[k], NULL, reload_too, NULL);
			for (int k = 0; k < 3; k++) {
				pthread_join(t[k], &bad);
				right &= !bad;
			}
			continue;
		}
		rc = reload(o.text);
		if (rc != PC_OK) {
			printf("# reload %u: %d: %s\n%s\n", i, rc,
			       reload_error ? pc_error_text(reload_error) : "", o.text);
			right = false;
		}
	}
	atomic_store(&swapping, false);
	if (swap)
		pthread_join(swapper, NULL);
	report(right, what);
	stop_and_check(what, PC_STOP_DRAIN, in_order);
}

int main(int argc, char **argv)
{
	const char *reloads = getenv("RELOADS"), *seed = getenv("SEED");
	unsigned n = reloads ? (unsigned)atoi(reloads) : 300;
	char file[4096];

	begin(argc, argv);
	state = seed ? strtoull(seed, NULL, 10) : 1;
	printf("# SEED=%llu\n", (unsigned long long)state);
	run(n / 3, true, NULL, "random rows: each item once, and in order");
	run(n / 3, false, NULL, "random graphs: each item once");
	snprintf(file, sizeof(file), "%s/pass.so", argv[1]);
	run(n / 3, true, file, "swaps meanwhile: each item once, and in order");
	return end();
}
