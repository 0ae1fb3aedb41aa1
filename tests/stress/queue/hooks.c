/* hooks.c: the freeze test at the named places of step.h, where single-stepping does not come by
 * itself: a batch that is late, a taker that poisons it and stops, a segment half linked. Also
 * what happens to the batch whose owner goes on after all.
 */
/* What the tests count and compare between runs may take the strongest order. */
#ifdef __clang__
#pragma clang diagnostic ignored "-Watomic-implicit-seq-cst"
#endif

#include "common.h"

#include "queue/queue.h"
#include "queue/rcu.h"
#include "queue/step.h"

#include <pthread.h>
#include <sched.h>

#define BATCH 6

static _Thread_local int stop_at = -1;
static _Atomic unsigned stopped; /* threads that stand */
static _Atomic unsigned go_on;
static char pool[4096];

void queue_step(enum queue_step step)
{
	if ((int)step != stop_at)
		return;
	stop_at = -1;
	atomic_fetch_add_explicit(&stopped, 1, memory_order_acq_rel);
	while (!atomic_load_explicit(&go_on, memory_order_acquire))
		usleep(1000);
}

struct frozen {
	pthread_t thread;
	struct pc_queue *queue;
	int step;
	bool take;
	size_t put, taken;
};

static void *act(void *argument)
{
	struct frozen *frozen = argument;
	void *items[BATCH];
	size_t n;

	for (size_t i = 0; i < BATCH; i++)
		items[i] = pool + 100 + 2 * i;
	stop_at = frozen->step;
	/* Work until the place has come by. */
	while (stop_at != -1) {
		if (!frozen->take) {
			pc_queue_put_batch(frozen->queue, items, BATCH, &n, 0);
			frozen->put += n;
		}
		if (stop_at == -1)
			break;
		n = 0;
		pc_queue_take_batch(frozen->queue, items, frozen->take ? 1 : BATCH, &n, 0);
		frozen->taken += n;
	}
	return NULL;
}

static void freeze(struct frozen *frozen, struct pc_queue *queue, int step, bool take)
{
	unsigned before = atomic_load_explicit(&stopped, memory_order_acquire);

	*frozen = (struct frozen){.queue = queue, .step = step, .take = take};
	pthread_create(&frozen->thread, NULL, act, frozen);
	for (unsigned ms = 0; atomic_load_explicit(&stopped, memory_order_acquire) == before;
	     ms++) {
		CHECK(ms < 20000, "step %d never came by", step);
		usleep(1000);
	}
}

static struct pc_queue *make(uint32_t capacity)
{
	struct pc_queue_options options = {.size = sizeof(options), .capacity = capacity};
	struct pc_queue *queue;

	CHECK(pc_queue_create(&queue, &options) == PC_OK, "create");
	atomic_store_explicit(&stopped, 0, memory_order_release);
	atomic_store_explicit(&go_on, 0, memory_order_release);
	return queue;
}

static void thaw(struct frozen *frozen)
{
	atomic_store_explicit(&go_on, 1, memory_order_release);
	pthread_join(frozen->thread, NULL);
}

static void check_balance(struct pc_queue *queue, size_t put, size_t taken)
{
	struct pc_queue_stats stats;
	void *items[64];
	size_t n;

	while (pc_queue_take_batch(queue, items, 64, &n, 0) == PC_OK)
		taken += n;
	pc_queue_stats(queue, &stats, sizeof(stats));
	CHECK(put == taken && stats.put == put && stats.taken == taken && stats.queued == 0,
	      "put %zu, taken %zu, figures say %lu, %lu, %lu queued", put, taken,
	      (unsigned long)stats.put, (unsigned long)stats.taken,
	      (unsigned long)stats.queued);
	CHECK(pc_queue_done(queue, taken + 1) == PC_INVALID, "one too many");
	CHECK(pc_queue_done(queue, taken) == PC_OK, "done");
	CHECK(pc_queue_join(queue, 0) == PC_OK, "join");
}

/* Every place that a put or take passes; the others put and take 5000 items each way. */
static void at_each_step(int step)
{
	struct pc_queue *queue = make(64);
	struct frozen frozen;
	size_t put = 0, taken = 0, n;
	void *items[8];

	freeze(&frozen, queue, step, false);
	for (size_t i = 0; i < 8; i++)
		items[i] = pool + 2 * i;
	for (unsigned calls = 0; put < 5000 || taken < 5000; calls++) {
		CHECK(calls < 100000, "step %d stops the others", step);
		if (pc_queue_put_batch(queue, items, 1 + calls % 8, &n, 0) != PC_FULL)
			CHECK(n == 1 + calls % 8, "all or full");
		put += n;
		if (pc_queue_take_batch(queue, items, 1 + calls % 5, &n, 0) == PC_OK)
			taken += n;
	}
	thaw(&frozen);
	check_balance(queue, put + frozen.put, taken + frozen.taken);
	pc_queue_destroy(queue);
}

/* A batch is late. What was put behind it comes out; the batch comes after that, whole. A second
 * thread may stop while it poisons. */
static void late_batch(int owner_step, int taker_step)
{
	struct pc_queue *queue = make(64);
	struct frozen owner, taker = {0};
	void *item;

	freeze(&owner, queue, owner_step, false);
	CHECK(pc_queue_take(queue, &item, 0) == PC_EMPTY, "a batch in flight is not there yet");
	CHECK(pc_queue_put(queue, pool, 0) == PC_OK, "put behind");
	CHECK(pc_queue_put(queue, pool + 2, 0) == PC_OK, "put behind");
	if (taker_step >= 0)
		freeze(&taker, queue, taker_step, true);
	CHECK(pc_queue_take(queue, &item, 0) == PC_OK && item == pool, "first behind");
	CHECK(pc_queue_take(queue, &item, 0) == PC_OK && item == pool + 2, "second behind");
	CHECK(pc_queue_take(queue, &item, 0) == PC_EMPTY, "nothing more");
	CHECK(pc_queue_join(queue, 0) == PC_TIMEOUT, "two are not done");
	atomic_store_explicit(&go_on, 1, memory_order_release);
	pthread_join(owner.thread, NULL);
	if (taker_step >= 0)
		pthread_join(taker.thread, NULL);
	check_balance(queue, 2 + owner.put, 2 + owner.taken + taker.taken);
	pc_queue_destroy(queue);
}

/* A batch that fills the queue is poisoned, and its poisoner stops: putters clear it away. */
static void full_of_poison(void)
{
	struct pc_queue *queue = make(BATCH + 1);
	struct frozen owner, taker;

	freeze(&owner, queue, STEP_PUT_PUBLISH, false);
	CHECK(pc_queue_put(queue, pool, 0) == PC_OK, "the last place");
	CHECK(pc_queue_put(queue, pool, 0) == PC_FULL, "places that a batch has reserved");
	freeze(&taker, queue, STEP_TAKE_POISONED, true);
	CHECK(pc_queue_put(queue, pool, 0) == PC_OK, "reserved by nobody any more");
	atomic_store_explicit(&go_on, 1, memory_order_release);
	pthread_join(owner.thread, NULL);
	pthread_join(taker.thread, NULL);
	check_balance(queue, 2 + owner.put, owner.taken + taker.taken);
	pc_queue_destroy(queue);
}

static _Atomic unsigned woken;

static void wake(struct queue_waiter *waiter)
{
	(void)waiter;
	atomic_fetch_add_explicit(&woken, 1, memory_order_acq_rel);
}

struct armer {
	pthread_t thread;
	struct pc_queue *queue;
	struct queue_waiter waiter;
	int rc;
};

static void *arm(void *argument)
{
	struct armer *armer = argument;

	stop_at = STEP_ARM;
	armer->rc = queue_wait_take(armer->queue, &armer->waiter);
	return NULL;
}

/* An item comes just after a task has seen none, and before it is on the list. */
static void item_while_arming(void)
{
	struct pc_queue *queue = make(4);
	struct armer armer = {.queue = queue, .waiter = {.wake = wake}};

	woken = 0;
	pthread_create(&armer.thread, NULL, arm, &armer);
	while (atomic_load_explicit(&stopped, memory_order_acquire) == 0)
		usleep(1000);
	CHECK(pc_queue_put(queue, pool, 0) == PC_OK, "put");
	atomic_store_explicit(&go_on, 1, memory_order_release);
	pthread_join(armer.thread, NULL);
	CHECK(armer.rc == PC_OK && woken == 1, "rc %d, woken %u", armer.rc, woken);
	pc_queue_destroy(queue);
}

static void *put_and_serve(void *queue)
{
	stop_at = STEP_SERVE;
	CHECK(pc_queue_put(queue, pool, 0) == PC_OK, "put");
	return NULL;
}

/* Somebody stops while he serves the tasks. Puts and takes go on; what they would have woken he
 * wakes when he goes on. */
static void work_while_serving(void)
{
	struct pc_queue *queue = make(4);
	struct queue_waiter a = {.wake = wake}, b = {.wake = wake};
	pthread_t server;
	void *item;

	woken = 0;
	CHECK(queue_wait_take(queue, &a) == PC_OK && queue_wait_take(queue, &b) == PC_OK,
	      "arm");
	pthread_create(&server, NULL, put_and_serve, queue);
	while (atomic_load_explicit(&stopped, memory_order_acquire) == 0)
		usleep(1000);
	CHECK(pc_queue_put(queue, pool + 2, 0) == PC_OK, "put");
	CHECK(pc_queue_take(queue, &item, 0) == PC_OK && item == pool, "take");
	CHECK(pc_queue_put(queue, pool + 4, 0) == PC_OK, "put");
	CHECK(woken == 0, "nobody serves yet");
	atomic_store_explicit(&go_on, 1, memory_order_release);
	pthread_join(server, NULL);
	CHECK(woken == 2, "%u woken", woken);
	pc_queue_destroy(queue);
}

int main(void)
{
	static const int owners[] = {STEP_PUT_CLAIMED, STEP_PUT_FILLING, STEP_PUT_PUBLISH};

	for (int step = 0; step <= STEP_TAKE_RETIRE; step++)
		if (step != STEP_TAKE_POISON && step != STEP_TAKE_POISONED)
			at_each_step(step);
	for (size_t i = 0; i < sizeof(owners) / sizeof(*owners); i++) {
		late_batch(owners[i], -1);
		late_batch(owners[i], STEP_TAKE_POISON);
		late_batch(owners[i], STEP_TAKE_POISONED);
		late_batch(owners[i], STEP_TAKE_CLAIM);
	}
	full_of_poison();
	item_while_arming();
	work_while_serving();
	printf("passed\n");
	return 0;
}
