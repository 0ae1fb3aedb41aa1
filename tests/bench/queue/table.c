/* table.c: `queue-bench`: the same workloads over every queue that this machine has, one process
 * per number, rounds interleaved, medians, and what pcrun's queue is of each peer's.
 *
 *   queue-bench [--rounds N] [--ms N] [--only TEXT] [--peers NAME,NAME…]    the tables
 *   queue-bench --one PEER P C PUT TAKE CAPACITY WAIT WHAT MS              one number
 *
 * WHAT is 0: throughput, 1: ping-pong, 2: create queues.
 *
 * TEXT picks tables by their titles ("try", "wait", "batch 32", "capacity 3", "ping-pong", "create"…). A
 * number that takes longer than 20 s is shown as "-": that queue stands still there.
 */
#include "measure.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS_MAX 31
#define SHAPES     4
#define PEERS_MAX  32

#define PEERS(X)                                                                               \
	X(pcrun)                                                                               \
	X(lfq)                                                                                 \
	X(wfcq)                                                                                \
	X(mutex)                                                                               \
	X(pipe)                                                                                \
	X(vyukov)                                                                              \
	PEERS_CK(X)                                                                            \
	PEERS_DPDK(X)                                                                          \
	PEERS_GLIB(X) PEERS_MOODYCAMEL(X) PEERS_BOOST(X) PEERS_TBB(X) PEERS_ATOMIC_QUEUE(X)
#ifdef HAVE_CK
#define PEERS_CK(X) X(ck)
#else
#define PEERS_CK(X)
#endif
#ifdef HAVE_DPDK
#define PEERS_DPDK(X) X(rte_mpmc) X(rte_rts) X(rte_hts)
#else
#define PEERS_DPDK(X)
#endif
#ifdef HAVE_GLIB
#define PEERS_GLIB(X) X(glib)
#else
#define PEERS_GLIB(X)
#endif
#ifdef HAVE_MOODYCAMEL
#define PEERS_MOODYCAMEL(X) X(moodycamel) X(moodycamel_tokens) X(moodycamel_blocking)
#else
#define PEERS_MOODYCAMEL(X)
#endif
#ifdef HAVE_BOOST
#define PEERS_BOOST(X) X(boost)
#else
#define PEERS_BOOST(X)
#endif
#ifdef HAVE_TBB
#define PEERS_TBB(X) X(tbb)
#else
#define PEERS_TBB(X)
#endif
#ifdef HAVE_ATOMIC_QUEUE
#define PEERS_ATOMIC_QUEUE(X) X(atomic_queue)
#else
#define PEERS_ATOMIC_QUEUE(X)
#endif

#define DECLARE(name) extern const struct bench_peer peer_##name;
#define LIST(name)    &peer_##name,
PEERS(DECLARE)
static const struct bench_peer *const peers[] = {PEERS(LIST)};
#define N_PEERS (sizeof(peers) / sizeof(*peers))

/* Runs as processes of its own. */
static const struct bench_peer python = {"Python JoinableQueue",
                                         "processes",
                                         false,
                                         true,
                                         false,
                                         NULL,
                                         NULL,
                                         NULL,
                                         NULL,
                                         NULL,
                                         NULL};

struct table {
	const char *title;
	struct workload workload; /* shape is filled in */
	bool bounded_only;
};

static const struct table tables[] = {
	{"try, batch 1, capacity 1024",
         {.put_batch = 1, .take_batch = 1, .capacity = 1024},
         false},
	{"try, batch 32, capacity 1024",
         {.put_batch = 32, .take_batch = 32, .capacity = 1024},
         false},
	{"wait, batch 1, capacity 1024",
         {.put_batch = 1, .take_batch = 1, .capacity = 1024, .wait = true},
         false},
	{"wait, batch 32, capacity 1024",
         {.put_batch = 32, .take_batch = 32, .capacity = 1024, .wait = true},
         false},
	{"try, put 1, take 32, capacity 1024",
         {.put_batch = 1, .take_batch = 32, .capacity = 1024},
         false},
	{"try, batch 1, capacity 3", {.put_batch = 1, .take_batch = 1, .capacity = 3}, true},
	{"wait, batch 1, capacity 3",
         {.put_batch = 1, .take_batch = 1, .capacity = 3, .wait = true},
         true},
	{"wait, batch 1, capacity 1",
         {.put_batch = 1, .take_batch = 1, .capacity = 1, .wait = true},
         true},
	{"ping-pong, try",
         {.put_batch = 1, .take_batch = 1, .capacity = 1024, .pingpong = true},
         false},
	{"ping-pong, wait",
         {.put_batch = 1, .take_batch = 1, .capacity = 1024, .wait = true, .pingpong = true},
         false},
	{"create 10,000, capacity 1024", {.capacity = 1024, .create = true}, false},
	{"create 10,000, capacity 3", {.capacity = 3, .create = true}, false},
};

/* Figures of a whole queue, not of a number of threads. */
static bool has_no_shape(const struct table *table)
{
	return table->workload.pingpong || table->workload.create;
}

static const unsigned shapes[SHAPES] = {1, 2, 4, 16};

static int one(char **argv)
{
	struct workload workload = {
		.producers = (unsigned)atoi(argv[3]),
		.consumers = (unsigned)atoi(argv[4]),
		.put_batch = (size_t)atoi(argv[5]),
		.take_batch = (size_t)atoi(argv[6]),
		.capacity = (uint32_t)atoi(argv[7]),
		.wait = atoi(argv[8]),
		.pingpong = atoi(argv[9]) == 1,
		.create = atoi(argv[9]) == 2,
		.ms = (unsigned)atoi(argv[10]),
	};

	for (size_t i = 0; i < N_PEERS; i++)
		if (strcmp(peers[i]->name, argv[2]) == 0) {
			double p99, value = measure(peers[i], &workload, &p99);

			printf("%.4f %.1f\n", value, p99);
			return 0;
		}
	fprintf(stderr, "%s: no such queue here\n", argv[2]);
	return 2;
}

static bool run_one(const struct bench_peer *peer, const struct workload *w, double *ret_value,
                    double *ret_p99)
{
	char numbers[8][16], line[80] = "";
	int fds[2], status;
	struct pollfd poller;
	pid_t pid;
	bool in_time;

	snprintf(numbers[0], sizeof(numbers[0]), "%u", w->producers);
	snprintf(numbers[1], sizeof(numbers[1]), "%u", w->consumers);
	snprintf(numbers[2], sizeof(numbers[2]), "%zu", w->put_batch);
	snprintf(numbers[3], sizeof(numbers[3]), "%zu", w->take_batch);
	snprintf(numbers[4], sizeof(numbers[4]), "%u", w->capacity);
	snprintf(numbers[5], sizeof(numbers[5]), "%d", w->wait);
	snprintf(numbers[6], sizeof(numbers[6]), "%d", w->create ? 2 : w->pingpong);
	snprintf(numbers[7], sizeof(numbers[7]), "%u", w->ms);
	if (pipe(fds) != 0)
		exit(2);
	pid = fork();
	if (pid == 0) {
		dup2(fds[1], 1);
		close(fds[0]);
		close(fds[1]);
		if (peer == &python)
			execlp("python3", "python3", PYTHON_PEER, numbers[0], numbers[1],
			       numbers[7], (char *)NULL);
		else
			execl("/proc/self/exe", "queue-bench", "--one", peer->name, numbers[0],
			      numbers[1], numbers[2], numbers[3], numbers[4], numbers[5],
			      numbers[6], numbers[7], (char *)NULL);
		_exit(127);
	}
	close(fds[1]);
	poller = (struct pollfd){.fd = fds[0], .events = POLLIN};
	in_time = poll(&poller, 1, 20000) == 1 && read(fds[0], line, sizeof(line) - 1) > 0;
	close(fds[0]);
	if (!in_time)
		kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return in_time && sscanf(line, "%lf %lf", ret_value, ret_p99) == 2;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values, unsigned n)
{
	qsort(values, n, sizeof(*values), compare);
	return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

struct cell {
	double values[ROUNDS_MAX], p99s[ROUNDS_MAX];
	unsigned n;
	bool stuck;
};

static bool fits(const struct bench_peer *peer, const struct table *table)
{
	if (peer == &python)
		return table->workload.wait && table->workload.put_batch == 1 &&
		       table->workload.capacity == 1024 && !has_no_shape(table);
	if (table->bounded_only && (!peer->bounded || strcmp(peer->name, "pipe") == 0))
		return false;
	/* A pipe's queue is the system's, and takes two descriptors. */
	if (table->workload.create)
		return peer->create && strcmp(peer->name, "pipe") != 0;
	return table->workload.wait ? peer->put_wait != NULL : peer->put != NULL;
}

static bool wanted(const char *list, const char *name)
{
	size_t length = strlen(name);

	if (!list || strcmp(name, "pcrun") == 0)
		return true;
	for (const char *at = list; (at = strstr(at, name)); at += length)
		if ((at == list || at[-1] == ',') && (at[length] == 0 || at[length] == ','))
			return true;
	return false;
}

static void print_table(const struct table *table, const struct bench_peer *const *rows,
                        size_t n, struct cell (*cells)[SHAPES])
{
	double ours[SHAPES] = {0};
	unsigned columns = has_no_shape(table) ? 1 : SHAPES;

	printf("\n### %s (%s)\n\n| queue |", table->title,
	       table->workload.pingpong ? "round trip, ns, median / p99"
	       : table->workload.create ? "ms / bytes of heap each"
	                                : "million items/s, median");
	for (unsigned s = 0; s < columns; s++)
		printf(has_no_shape(table) ? " |" : " %ux%u |", shapes[s], shapes[s]);
	printf(" pcrun is, times |\n|---|");
	for (unsigned s = 0; s <= columns; s++)
		printf("---|");
	printf("\n");
	for (size_t i = 0; i < n; i++) {
		char ratios[160] = "";
		size_t at = 0;

		printf("| %s%s%s%s |", rows[i]->name, *rows[i]->remark ? " (" : "",
		       rows[i]->remark, *rows[i]->remark ? ")" : "");
		for (unsigned s = 0; s < columns; s++) {
			struct cell *cell = &cells[i][s];
			double value = cell->n ? median(cell->values, cell->n) : 0;

			if (i == 0)
				ours[s] = value;
			if (cell->stuck || value <= 0)
				printf(" - |");
			else if (has_no_shape(table))
				printf(table->workload.create ? " %.1f / %.0f |"
				                              : " %.0f / %.0f |",
				       value, median(cell->p99s, cell->n));
			else
				printf(" %.3g |", value);
			at += (size_t)snprintf(ratios + at, sizeof(ratios) - at, "%s%.2f",
			                       s ? " / " : "", value > 0 ? ours[s] / value : 0);
		}
		printf(" %s |\n", ratios);
	}
	fflush(stdout);
}

static void run_table(const struct table *table, unsigned rounds, unsigned ms, const char *only)
{
	static struct cell cells[PEERS_MAX][SHAPES];
	const struct bench_peer *rows[PEERS_MAX];
	size_t n = 0;

	memset(cells, 0, sizeof(cells));
	for (size_t i = 0; i <= N_PEERS; i++) {
		const struct bench_peer *peer = i < N_PEERS ? peers[i] : &python;

		if (fits(peer, table) && wanted(only, peer->name))
			rows[n++] = peer;
	}
	for (unsigned round = 0; round < rounds; round++)
		for (unsigned s = 0; s < (has_no_shape(table) ? 1 : SHAPES); s++)
			for (size_t i = 0; i < n; i++) {
				struct cell *cell = &cells[i][s];
				struct workload workload = table->workload;
				double value, p99;

				if (cell->stuck)
					continue;
				workload.producers = workload.consumers = shapes[s];
				workload.ms = ms;
				if (run_one(rows[i], &workload, &value, &p99)) {
					cell->values[cell->n] = value;
					cell->p99s[cell->n++] = p99;
				} else {
					cell->stuck = true;
				}
			}
	print_table(table, rows, n, cells);
}

int main(int argc, char **argv)
{
	unsigned rounds = 5, ms = 200;
	const char *only = NULL, *which = NULL;

	if (argc == 11 && strcmp(argv[1], "--one") == 0)
		return one(argv);
	for (int i = 1; i < argc; i += 2) {
		if (i + 1 < argc && strcmp(argv[i], "--rounds") == 0) {
			rounds = (unsigned)atoi(argv[i + 1]);
		} else if (i + 1 < argc && strcmp(argv[i], "--ms") == 0) {
			ms = (unsigned)atoi(argv[i + 1]);
		} else if (i + 1 < argc && strcmp(argv[i], "--only") == 0) {
			which = argv[i + 1];
		} else if (i + 1 < argc && strcmp(argv[i], "--peers") == 0) {
			only = argv[i + 1];
		} else {
			fprintf(stderr,
			        "usage: queue-bench [--rounds N] [--ms N] [--only TEXT] "
			        "[--peers NAME,NAME]\n");
			return 2;
		}
	}
	if (rounds < 1 || rounds > ROUNDS_MAX)
		return 2;
	for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++)
		if (!which || strstr(tables[i].title, which))
			run_table(&tables[i], rounds, ms, only);
	return 0;
}
