/* stress/shared/versions.c: readers of the floor `shared` see whole versions, and wait for nobody.
 *
 * A plain program that prints TAP, so that it runs under ThreadSanitizer. What each key holds
 * follows from the version: key i changes at every (i+1)th one and is missing a third of the time,
 * so a reader can tell of any snapshot whether it is right. Two threads take turns as updater;
 * now and then one of them is stopped by a signal, wherever it is, until the readers have gone
 * on for a while. Argument: how many versions (default 100,000). */
#include "queue/rcu.h"
#include "shared/shared.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEYS    200
#define READERS 3
#define WORDS   32 /* of the block */

static uint64_t n_versions = 100000;
static struct shared *dict, *block;
static char keys[KEYS][16];
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static _Atomic bool over;
static _Atomic uint64_t wrong, reads;
static _Atomic int hold, held; /* the stopped updater */
static int n_tests, n_failed;

static void report(bool ok, const char *what)
{
	n_tests++;
	n_failed += !ok;
	printf("%sok %d - %s\n", ok ? "" : "not ", n_tests, what);
	fflush(stdout);
}

/* 0: it is not there. */
static int64_t expected(unsigned key, uint64_t version)
{
	uint64_t times = version / (key + 1);

	return times % 3 == 2 ? 0 : (int64_t)times;
}

/* ---- updaters ---- */

static void update(uint64_t version)
{
	uint64_t words[WORDS];

	for (unsigned i = 0; i < KEYS; i++) {
		int64_t value = expected(i, version);

		if (version % (i + 1) != 0)
			continue;
		/* An item that fails, then one that succeeds. */
		shared_add(dict, keys[i], 1000000, NULL);
		if (i % 2)
			shared_discard(dict);
		if (value == 0)
			shared_delete(dict, keys[i]);
		else
			shared_set(dict, keys[i], PC_T_I64, &value, sizeof(value));
		shared_mark(dict);
	}
	shared_publish(dict);
	for (unsigned i = 0; i < WORDS; i++)
		words[i] = version;
	shared_set(block, NULL, PC_T_STRING, words, sizeof(words));
	shared_mark(block);
	shared_publish(block);
}

static void *updater(void *unused)
{
	bool more = true;

	(void)unused;
	while (more) {
		uint64_t version;

		pthread_mutex_lock(&turn);
		version = shared_version(dict) + 1;
		more = version <= n_versions;
		if (more) {
			queue_rcu_lock();
			update(version);
			queue_rcu_unlock();
		}
		pthread_mutex_unlock(&turn);
	}
	return NULL;
}

/* ---- readers ---- */

static void count_wrong(bool is_wrong)
{
	if (is_wrong)
		atomic_fetch_add_explicit(&wrong, 1, memory_order_relaxed);
}

static void check_key(const struct pc_snapshot *at, unsigned i)
{
	int64_t value = expected(i, at->version);
	struct pc_value v;
	int rc = shared_get(dict, at, keys[i], &v);

	count_wrong(value == 0 ? rc != PC_EMPTY
	                       : rc != PC_OK || v.type != PC_T_I64 || v.number != value ||
	                                 strcmp(v.key, keys[i]) != 0);
}

static void check_all(struct pc_snapshot *at)
{
	bool seen[KEYS] = {false};
	struct pc_value v;

	while (shared_next(dict, at, &v) == PC_OK) {
		unsigned i = (unsigned)strtoul(v.key + 1, NULL, 10);

		count_wrong(i >= KEYS || seen[i] || v.number != expected(i, at->version));
		if (i < KEYS)
			seen[i] = true;
	}
	for (unsigned i = 0; i < KEYS; i++)
		count_wrong(seen[i] != (expected(i, at->version) != 0));
}

static void check_block(void)
{
	struct pc_snapshot at;
	uint64_t words[WORDS];
	struct pc_value v;

	shared_snapshot(block, false, &at);
	if (shared_get(block, &at, NULL, &v) == PC_OK && v.size == sizeof(words)) {
		memcpy(words, v.data, sizeof(words));
		for (unsigned i = 0; i < WORDS; i++)
			count_wrong(words[i] != at.version);
	} else {
		count_wrong(true);
	}
	shared_snapshot_end(&at);
}

static void *reader(void *arg)
{
	unsigned random = (unsigned)(uintptr_t)arg;
	uint64_t last = 0;

	while (!atomic_load_explicit(&over, memory_order_relaxed)) {
		struct pc_snapshot at;

		queue_rcu_lock();
		shared_snapshot(dict, false, &at);
		count_wrong(at.version < last);
		last = at.version;
		for (unsigned k = 0; k < 20; k++)
			check_key(&at, (unsigned)rand_r(&random) % KEYS);
		if (rand_r(&random) % 16 == 0)
			check_all(&at);
		shared_snapshot_end(&at);
		check_block();
		queue_rcu_unlock();
		atomic_fetch_add_explicit(&reads, 1, memory_order_relaxed);
	}
	return NULL;
}

/* ---- the stopped updater ---- */

static void stop_here(int signal)
{
	struct timespec moment = {.tv_nsec = 100000};

	(void)signal;
	atomic_store_explicit(&held, 1, memory_order_relaxed);
	while (atomic_load_explicit(&hold, memory_order_relaxed))
		nanosleep(&moment, NULL);
	atomic_store_explicit(&held, 0, memory_order_relaxed);
}

/* With an updater stopped anywhere, the readers do as much again. They may take as long as they
 * like: waiting for ever is what the watchdog is for. */
static void stop_sometimes(pthread_t thread)
{
	while (shared_version(dict) < n_versions) {
		uint64_t before;

		usleep(1000);
		atomic_store_explicit(&hold, 1, memory_order_relaxed);
		if (pthread_kill(thread, SIGUSR1) != 0)
			break;
		while (!atomic_load_explicit(&held, memory_order_relaxed) &&
		       shared_version(dict) < n_versions)
			usleep(10);
		before = atomic_load_explicit(&reads, memory_order_relaxed);
		while (atomic_load_explicit(&held, memory_order_relaxed) &&
		       atomic_load_explicit(&reads, memory_order_relaxed) < before + 100)
			usleep(100);
		atomic_store_explicit(&hold, 0, memory_order_relaxed);
		while (atomic_load_explicit(&held, memory_order_relaxed))
			usleep(10);
	}
	atomic_store_explicit(&hold, 0, memory_order_relaxed);
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = stop_here};
	pthread_t updaters[2], readers[READERS];
	struct pc_snapshot at;

	if (argc > 1)
		n_versions = strtoull(argv[1], NULL, 10);
	alarm(280);
	for (unsigned i = 0; i < KEYS; i++)
		snprintf(keys[i], sizeof(keys[i]), "k%u", i);
	sigaction(SIGUSR1, &action, NULL);
	dict = shared_create(SHARED_DICT, 0);
	block = shared_create(SHARED_BYTES, WORDS * sizeof(uint64_t));
	if (!dict || !block)
		abort();
	for (uintptr_t i = 0; i < READERS; i++)
		pthread_create(&readers[i], NULL, reader, (void *)(i + 1));
	for (unsigned i = 0; i < 2; i++)
		pthread_create(&updaters[i], NULL, updater, NULL);
	stop_sometimes(updaters[0]);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(updaters[i], NULL);
	atomic_store_explicit(&over, true, memory_order_relaxed);
	for (unsigned i = 0; i < READERS; i++)
		pthread_join(readers[i], NULL);

	report(atomic_load_explicit(&reads, memory_order_relaxed) > 100,
	       "readers go on while an updater is stopped anywhere");
	report(atomic_load_explicit(&wrong, memory_order_relaxed) == 0,
	       "every snapshot is one whole version, and versions never go back");
	queue_rcu_lock();
	shared_snapshot(dict, false, &at);
	report(at.version == n_versions, "each publication is one version");
	for (unsigned i = 0; i < KEYS; i++)
		check_key(&at, i);
	check_all(&at);
	shared_snapshot_end(&at);
	queue_rcu_unlock();
	report(atomic_load_explicit(&wrong, memory_order_relaxed) == 0,
	       "at the end all values are those of the last version");
	shared_wait();
	queue_rcu_lock();
	shared_destroy(dict);
	shared_destroy(block);
	queue_rcu_unlock();
	printf("# %" PRIu64 " snapshots\n1..%d\n",
	       atomic_load_explicit(&reads, memory_order_relaxed), n_tests);
	return n_failed != 0;
}
