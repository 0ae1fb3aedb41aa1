/* linear.c: recorded histories of puts and takes are checked for linearizability.
 *
 *   linear [--histories N] [--seed S]      (default 20000)
 *
 * Three or four threads make a few single, non-waiting puts and takes on a queue of small
 * capacity; every call and return gets a stamp from one counter. Then a search (Wing and Gong's,
 * with memory of the states that led nowhere, as Lowe's) looks for an order of all operations
 * that a plain bounded queue could have gone through: each operation between its call and its
 * return, every result right, "full" and "empty" included. Half of the histories are recorded
 * while threads linger inside operations (step.h). Last, the checker must refuse three histories
 * that no queue can have.
 */
#include "common.h"

#include "queue/queue.h"
#include "queue/step.h"

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>

#define THREADS_MAX 4
#define OPS         12
#define CAPACITY    4 /* at most */
#define STATES      (1u << 16)

struct op {
	bool put;
	int rc;
	unsigned value; /* 1 … */
	uint64_t call, back;
};

struct history {
	unsigned threads, capacity;
	unsigned n[THREADS_MAX];
	struct op ops[THREADS_MAX][OPS];
};

static _Thread_local uint64_t linger_random;
static _Thread_local unsigned linger_one_in;
static _Atomic uint64_t stamp;
static char pool[4096];

void queue_step(enum queue_step step)
{
	(void)step;
	if (linger_one_in && random_below(&linger_random, linger_one_in) == 0)
		sched_yield();
}

/* A state of the search: how far each thread is, and what the queue holds. */
struct state {
	uint8_t at[THREADS_MAX];
	uint8_t held;
	uint8_t items[CAPACITY];
};

static struct {
	uint32_t generation;
	struct state state;
} seen[STATES];
static uint32_t generation;

static bool been_here(const struct state *state)
{
	uint64_t hash = 14695981039346656037u;
	const uint8_t *bytes = (const uint8_t *)state;

	for (size_t i = 0; i < sizeof(*state); i++)
		hash = (hash ^ bytes[i]) * 1099511628211u;
	for (uint32_t i = (uint32_t)(hash >> 40) % STATES, tries = 0; tries < 64;
	     i = (i + 1) % STATES, tries++) {
		if (seen[i].generation != generation) {
			seen[i].generation = generation;
			seen[i].state = *state;
			return false;
		}
		if (memcmp(&seen[i].state, state, sizeof(*state)) == 0)
			return true;
	}
	return false; /* forgotten: only costs time */
}

/* What a plain queue would do. False: not this. */
static bool apply(const struct op *op, struct state *state, unsigned capacity)
{
	if (op->put) {
		if (op->rc == PC_FULL)
			return state->held == capacity;
		if (state->held == capacity)
			return false;
		state->items[state->held++] = (uint8_t)op->value;
		return true;
	}
	if (op->rc == PC_EMPTY)
		return state->held == 0;
	if (state->held == 0 || state->items[0] != op->value)
		return false;
	memmove(state->items, state->items + 1, --state->held);
	state->items[state->held] = 0;
	return true;
}

static bool search(const struct history *history, struct state state)
{
	uint64_t first_back = UINT64_MAX;
	bool rest = false;

	if (been_here(&state))
		return false;
	for (unsigned t = 0; t < history->threads; t++)
		if (state.at[t] < history->n[t]) {
			uint64_t back = history->ops[t][state.at[t]].back;

			first_back = back < first_back ? back : first_back;
			rest = true;
		}
	if (!rest)
		return true;
	for (unsigned t = 0; t < history->threads; t++) {
		const struct op *op = &history->ops[t][state.at[t]];
		struct state next = state;

		/* an operation that began after another had returned can not come before it */
		if (state.at[t] == history->n[t] || op->call > first_back)
			continue;
		if (!apply(op, &next, history->capacity))
			continue;
		next.at[t]++;
		if (search(history, next))
			return true;
	}
	return false;
}

static bool linearizable(const struct history *history)
{
	struct state state;

	memset(&state, 0, sizeof(state));
	generation++;
	return search(history, state);
}

static void print(const struct history *history)
{
	for (unsigned t = 0; t < history->threads; t++)
		for (unsigned i = 0; i < history->n[t]; i++) {
			const struct op *op = &history->ops[t][i];

			fprintf(stderr, "thread %u: %s %u -> %d  [%lu, %lu]\n", t,
			        op->put ? "put" : "take", op->value, op->rc,
			        (unsigned long)op->call, (unsigned long)op->back);
		}
}

struct recorder {
	pthread_t thread;
	unsigned number;
	uint64_t random;
};

static struct history history;
static struct pc_queue *queue;
static bool lingering;
static pthread_barrier_t begin, end;
static bool quit;

static void record(struct recorder *recorder)
{
	unsigned t = recorder->number;

	linger_random = random_next(&recorder->random);
	linger_one_in = lingering ? 3 : 0;
	for (unsigned i = 0; i < history.n[t]; i++) {
		struct op *op = &history.ops[t][i];
		void *item = NULL;

		op->put = random_below(&recorder->random, 2);
		op->value = op->put ? 1 + t * OPS + i : 0;
		op->call = atomic_fetch_add_explicit(&stamp, 1, memory_order_seq_cst);
		op->rc = op->put ? pc_queue_put(queue, pool + 2 * op->value, 0)
		                 : pc_queue_take(queue, &item, 0);
		op->back = atomic_fetch_add_explicit(&stamp, 1, memory_order_seq_cst);
		if (item)
			op->value = (unsigned)((char *)item - pool) / 2;
	}
	linger_one_in = 0;
}

static void *run(void *argument)
{
	struct recorder *recorder = argument;

	for (;;) {
		pthread_barrier_wait(&begin);
		if (quit)
			return NULL;
		if (recorder->number < history.threads)
			record(recorder);
		pthread_barrier_wait(&end);
	}
}

/* Histories that are wrong, each in its own way. */
static void check_the_checker(void)
{
	static const struct history lost = {
		.threads = 2,
		.capacity = 2,
		.n = {1, 1},
		.ops = {{{true, PC_OK, 1, 0, 1}}, {{false, PC_EMPTY, 0, 2, 3}}}};
	static const struct history swapped = {
		.threads = 2,
		.capacity = 2,
		.n = {2, 2},
		.ops = {{{true, PC_OK, 1, 0, 1}, {true, PC_OK, 2, 2, 3}},
	                {{false, PC_OK, 2, 4, 5}, {false, PC_OK, 1, 6, 7}}}};
	static const struct history over = {
		.threads = 2,
		.capacity = 1,
		.n = {1, 1},
		.ops = {{{true, PC_OK, 1, 0, 1}}, {{true, PC_OK, 2, 2, 3}}}};
	static const struct history fine = {
		.threads = 2,
		.capacity = 1,
		.n = {2, 1},
		.ops = {{{true, PC_OK, 1, 0, 5}, {true, PC_FULL, 2, 6, 9}},
	                {{false, PC_EMPTY, 0, 1, 2}}}};

	CHECK(!linearizable(&lost) && !linearizable(&swapped) && !linearizable(&over),
	      "a wrong history passes");
	CHECK(linearizable(&fine), "a right history does not pass");
}

int main(int argc, char **argv)
{
	uint64_t histories = option(argc, argv, "--histories", 20000);
	uint64_t seed = option(argc, argv, "--seed", 1), random = seed * 13 + 7;
	struct recorder recorders[THREADS_MAX];

	check_the_checker();
	pthread_barrier_init(&begin, NULL, THREADS_MAX + 1);
	pthread_barrier_init(&end, NULL, THREADS_MAX + 1);
	for (unsigned t = 0; t < THREADS_MAX; t++) {
		recorders[t] = (struct recorder){.number = t, .random = seed * 17 + t + 1};
		pthread_create(&recorders[t].thread, NULL, run, &recorders[t]);
	}
	for (uint64_t h = 0; h < histories; h++) {
		struct pc_queue_options options = {.size = sizeof(options)};

		history.threads = 2 + (unsigned)random_below(&random, THREADS_MAX - 1);
		history.capacity = 1 + (unsigned)random_below(&random, CAPACITY);
		for (unsigned t = 0; t < THREADS_MAX; t++)
			history.n[t] = 4 + (unsigned)random_below(&random, OPS - 3);
		options.capacity = history.capacity;
		lingering = h % 2;
		CHECK(pc_queue_create(&queue, &options) == PC_OK, "create");
		pthread_barrier_wait(&begin);
		pthread_barrier_wait(&end);
		if (!linearizable(&history)) {
			print(&history);
			CHECK(false, "history %lu of seed %lu is not linearizable",
			      (unsigned long)h, (unsigned long)seed);
		}
		pc_queue_destroy(queue);
	}
	quit = true;
	pthread_barrier_wait(&begin);
	for (unsigned t = 0; t < THREADS_MAX; t++)
		pthread_join(recorders[t].thread, NULL);
	printf("%lu histories\n", (unsigned long)histories);
	return 0;
}
