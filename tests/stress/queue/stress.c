/* stress.c: many threads, random shapes; every item comes out once, whole, and in its order.
 *
 *   stress [--items N] [--seed S]      N items over all runs (default 1000000)
 *
 * Each run draws 1 to 16 producers and consumers, a capacity from 1 up, batches, waiting or not,
 * and places at which threads linger (step.h), some for longer than a grace period. Each item is
 * a heap object with plain fields, so that ThreadSanitizer sees a missing release or acquire.
 * Checked: every field; that each producer's items come to each consumer in rising order; that
 * all of them came; done and join; closing; the figures, high water within the capacity. A run
 * that makes no progress for 60 s is reported and fails.
 */
#include "common.h"

#include "queue/queue.h"
#include "queue/step.h"

#include <pthread.h>
#include <sched.h>
#include <time.h>

#define THREADS_MAX 16
#define BATCH_MAX   64

struct item {
	uint32_t producer;
	uint32_t batch;
	uint64_t sequence;
	uint64_t check;
};

struct run {
	struct pc_queue *queue;
	unsigned producers, consumers;
	uint32_t capacity;
	size_t batch_max;
	int64_t timeout_ns;
	bool timeouts; /* short ones now and then */
	unsigned linger;
	uint64_t items_each;
	uint64_t seed;
};

struct worker {
	pthread_t thread;
	struct run *run;
	unsigned number;
	uint64_t random;
	uint64_t count;
	uint64_t sum;
};

static _Atomic uint64_t progress;
static struct run current;
static _Thread_local uint64_t linger_random;
static _Thread_local unsigned linger_one_in;

void queue_step(enum queue_step step)
{
	uint64_t n;

	(void)step;
	if (linger_one_in == 0)
		return;
	n = random_below(&linger_random, linger_one_in);
	if (n == 0)
		usleep((useconds_t)random_below(&linger_random, 50));
	else if (n < 8)
		sched_yield();
	else if (n == 8 && random_below(&linger_random, 2000) == 0)
		usleep(40000);
}

static uint64_t check_of(const struct item *item)
{
	return (item->sequence * 31 + item->producer) * 0x9e3779b97f4a7c15u ^ item->batch;
}

static void begin(struct worker *worker)
{
	worker->random = worker->run->seed * 1000 + worker->number * 7 + 1;
	random_next(&worker->random);
	linger_random = random_next(&worker->random);
	linger_one_in = worker->run->linger;
}

static int64_t timeout(struct worker *worker)
{
	if (worker->run->timeouts && random_below(&worker->random, 4) == 0)
		return (int64_t)random_below(&worker->random, 30000);
	return worker->run->timeout_ns;
}

static void *produce(void *argument)
{
	struct worker *worker = argument;
	struct run *run = worker->run;
	void *items[BATCH_MAX];
	uint64_t sequence = 0;

	begin(worker);
	while (sequence < run->items_each) {
		size_t n = 1 + random_below(&worker->random, run->batch_max), in = 0;

		n = n < run->items_each - sequence ? n : run->items_each - sequence;
		for (size_t i = 0; i < n; i++) {
			struct item *item = malloc(sizeof(*item));

			item->producer = worker->number;
			item->batch = (uint32_t)n;
			item->sequence = sequence++;
			item->check = check_of(item);
			worker->sum += item->check;
			items[i] = item;
		}
		while (in < n) {
			size_t more = 0;
			int rc;

			if (n - in == 1) {
				rc = pc_queue_put(run->queue, items[in], timeout(worker));
				more = rc == PC_OK;
			} else {
				rc = pc_queue_put_batch(run->queue, items + in, n - in, &more,
				                        timeout(worker));
				CHECK((rc == PC_OK) == (more == n - in), "rc %d, %zu of %zu",
				      rc, more, n - in);
			}
			CHECK(rc == PC_OK || rc == PC_FULL || rc == PC_TIMEOUT, "rc %d", rc);
			in += more;
			if (rc == PC_FULL)
				sched_yield();
		}
	}
	CHECK(pc_queue_writer_end(run->queue) == PC_OK, "writer %u", worker->number);
	return NULL;
}

static void *consume(void *argument)
{
	struct worker *worker = argument;
	struct run *run = worker->run;
	uint64_t next[THREADS_MAX] = {0};
	void *items[BATCH_MAX];

	begin(worker);
	for (;;) {
		size_t max = 1 + random_below(&worker->random, run->batch_max), n = 1;
		int rc = max == 1 ? pc_queue_take(run->queue, items, timeout(worker))
		                  : pc_queue_take_batch(run->queue, items, max, &n,
		                                        timeout(worker));

		if (rc == PC_CLOSED)
			return NULL;
		if (rc == PC_EMPTY || rc == PC_TIMEOUT) {
			if (rc == PC_EMPTY)
				sched_yield();
			continue;
		}
		CHECK(rc == PC_OK && n >= 1 && n <= max, "rc %d, %zu of %zu", rc, n, max);
		for (size_t i = 0; i < n; i++) {
			struct item *item = items[i];

			CHECK(item->producer < run->producers && item->check == check_of(item),
			      "torn item");
			CHECK(item->sequence >= next[item->producer],
			      "producer %u: %lu after %lu", item->producer,
			      (unsigned long)item->sequence,
			      (unsigned long)next[item->producer] - 1);
			next[item->producer] = item->sequence + 1;
			worker->sum += item->check;
			worker->count++;
			free(item);
		}
		CHECK(pc_queue_done(run->queue, n) == PC_OK, "done");
		atomic_fetch_add_explicit(&progress, n, memory_order_relaxed);
	}
}

static void *watch(void *unused)
{
	uint64_t before = 0;

	for (int still = 0; still < 60; still++) {
		uint64_t now = atomic_load_explicit(&progress, memory_order_relaxed);

		if (now != before)
			still = 0;
		before = now;
		sleep(1);
	}
	fprintf(stderr,
	        "no progress for 60 s: seed %lu, %ux%u, capacity %u, batch %zu, timeout %ld\n",
	        (unsigned long)current.seed, current.producers, current.consumers,
	        current.capacity, current.batch_max, (long)current.timeout_ns);
	abort();
	return unused;
}

/* After the last writer has ended nothing goes in and nothing comes out. */
static void check_closed(struct run *run)
{
	static char pad[4];
	void *item;

	CHECK(pc_queue_put(run->queue, pad, 0) == PC_CLOSED, "put into a closed queue");
	CHECK(pc_queue_take(run->queue, &item, 0) == PC_CLOSED, "closed and empty");
}

static uint64_t one_run(uint64_t seed, uint64_t items)
{
	static const uint32_t capacities[] = {1,  1,  2,   3,    4,    7,   16,
	                                      17, 64, 100, 1000, 1024, 4096};
	static const size_t batches[] = {1, 1, 3, 8, BATCH_MAX};
	static struct worker producers[THREADS_MAX], consumers[THREADS_MAX];
	struct pc_queue_options options = {.size = sizeof(options)};
	struct pc_queue_stats stats;
	struct run *run = &current;
	uint64_t random = seed * 77 + 5, sum = 0, total = 0;

	random_next(&random);
	run->seed = seed;
	run->producers = 1 + (unsigned)random_below(&random, THREADS_MAX);
	run->consumers = 1 + (unsigned)random_below(&random, THREADS_MAX);
	if (random_below(&random, 2)) {
		run->producers = 1 + run->producers % 3;
		run->consumers = 1 + run->consumers % 3;
	}
	run->capacity =
		capacities[random_below(&random, sizeof(capacities) / sizeof(*capacities))];
	run->batch_max = batches[random_below(&random, sizeof(batches) / sizeof(*batches))];
	run->timeout_ns = random_below(&random, 3) ? PC_FOREVER : 0;
	run->timeouts = run->timeout_ns && random_below(&random, 2);
	run->linger = random_below(&random, 3) ? 0 : 20 + (unsigned)random_below(&random, 2000);
	if (run->capacity < 8 || run->linger)
		items = items < 20000 ? items : 20000;
	run->items_each = 1 + items / run->producers;
	options.capacity = run->capacity;
	options.writers = run->producers;
	CHECK(pc_queue_create(&run->queue, &options) == PC_OK, "create");
	for (unsigned i = 0; i < run->consumers; i++) {
		consumers[i] = (struct worker){.run = run, .number = 100 + i};
		pthread_create(&consumers[i].thread, NULL, consume, &consumers[i]);
	}
	for (unsigned i = 0; i < run->producers; i++) {
		producers[i] = (struct worker){.run = run, .number = i};
		pthread_create(&producers[i].thread, NULL, produce, &producers[i]);
	}
	for (unsigned i = 0; i < run->producers; i++) {
		pthread_join(producers[i].thread, NULL);
		sum += producers[i].sum;
	}
	CHECK(pc_queue_join(run->queue, PC_FOREVER) == PC_OK, "join");
	for (unsigned i = 0; i < run->consumers; i++) {
		pthread_join(consumers[i].thread, NULL);
		sum -= consumers[i].sum;
		total += consumers[i].count;
	}
	CHECK(total == run->items_each * run->producers && sum == 0,
	      "seed %lu: %lu of %lu items, difference of sums %lu", (unsigned long)seed,
	      (unsigned long)total, (unsigned long)(run->items_each * run->producers),
	      (unsigned long)sum);
	pc_queue_stats(run->queue, &stats, sizeof(stats));
	CHECK(stats.put == total && stats.taken == total && stats.done == total &&
	              stats.queued == 0 && stats.high_water <= run->capacity,
	      "figures: put %lu, taken %lu, done %lu, queued %lu, high %lu of %u",
	      (unsigned long)stats.put, (unsigned long)stats.taken, (unsigned long)stats.done,
	      (unsigned long)stats.queued, (unsigned long)stats.high_water, run->capacity);
	check_closed(run);
	pc_queue_destroy(run->queue);
	return total;
}

int main(int argc, char **argv)
{
	uint64_t items = option(argc, argv, "--items", 1000000);
	uint64_t seed = option(argc, argv, "--seed", 1);
	uint64_t total = 0, runs = 0;
	pthread_t watcher;

	pthread_create(&watcher, NULL, watch, NULL);
	for (; total < items; runs++)
		total += one_run(seed + runs, items / 10 < 2000000 ? items / 10 : 2000000);
	printf("%lu items in %lu runs\n", (unsigned long)total, (unsigned long)runs);
	return 0;
}
