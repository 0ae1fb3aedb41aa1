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

enum how { BATCHES, SINGLES, TAKES };

struct frozen {
	pthread_t thread;
	struct pc_queue *queue;
	int step;
	enum how how;
	size_t put, taken;
};

static size_t put_some_items(struct frozen *frozen, void *const *items)
{
	size_t n;

	if (frozen->how == SINGLES)
		return pc_queue_put(frozen->queue, items[0], 0) == PC_OK;
	pc_queue_put_batch(frozen->queue, items, BATCH, &n, 0);
	return n;
}

static size_t take_some_items(struct frozen *frozen, void **items)
{
	size_t n;

	if (frozen->how != BATCHES)
		return pc_queue_take(frozen->queue, items, 0) == PC_OK;
	pc_queue_take_batch(frozen->queue, items, BATCH, &n, 0);
	return n;
}

static void *act(void *argument)
{
	struct frozen *frozen = argument;
	void *items[BATCH];

	for (size_t i = 0; i < BATCH; i++)
		items[i] = pool + 100 + 2 * i;
	stop_at = frozen->step;
	/* Work until the place has come by. */
	while (stop_at != -1) {
		if (frozen->how != TAKES)
			frozen->put += put_some_items(frozen, items);
		if (stop_at == -1)
			break;
		frozen->taken += take_some_items(frozen, items);
	}
	return NULL;
}

static void freeze(struct frozen *frozen, struct pc_queue *queue, int step, enum how how)
{
	unsigned before = atomic_load_explicit(&stopped, memory_order_acquire);

	*frozen = (struct frozen){.queue = queue, .step = step, .how = how};
	pthread_create(&frozen->thread, NULL, act, frozen);
	for (unsigned ms = 0; atomic_load_explicit(&stopped, memory_order_acquire) == before;
	     ms++) {
		CHECK(ms < 20000, "step %d never came by", step);
		usleep(1000);
	}
}

static struct pc_queue *make_full(uint32_t capacity, uint32_t full)
{
	struct pc_queue_options options = {
		.size = sizeof(options), .capacity = capacity, .full = full};
	struct pc_queue *queue;

	CHECK(pc_queue_create(&queue, &options) == PC_OK, "create");
	atomic_store_explicit(&stopped, 0, memory_order_release);
	atomic_store_explicit(&go_on, 0, memory_order_release);
	return queue;
}

static struct pc_queue *make(uint32_t capacity)
{
	return make_full(capacity, PC_FULL_BLOCK);
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
static void at_each_step(int step, enum how how)
{
	struct pc_queue *queue = make(64);
	struct frozen frozen;
	size_t put = 0, taken = 0, n;
	void *items[8];

	freeze(&frozen, queue, step, how);
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

	freeze(&owner, queue, owner_step, BATCHES);
	CHECK(pc_queue_take(queue, &item, 0) == PC_EMPTY, "a batch in flight is not there yet");
	CHECK(pc_queue_put(queue, pool, 0) == PC_OK, "put behind");
	CHECK(pc_queue_put(queue, pool + 2, 0) == PC_OK, "put behind");
	if (taker_step >= 0)
		freeze(&taker, queue, taker_step, TAKES);
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

	freeze(&owner, queue, STEP_PUT_PUBLISH, BATCHES);
	CHECK(pc_queue_put(queue, pool, 0) == PC_OK, "the last place");
	CHECK(pc_queue_put(queue, pool, 0) == PC_FULL, "places that a batch has reserved");
	freeze(&taker, queue, STEP_TAKE_POISONED, TAKES);
	CHECK(pc_queue_put(queue, pool, 0) == PC_OK, "reserved by nobody any more");
	atomic_store_explicit(&go_on, 1, memory_order_release);
	pthread_join(owner.thread, NULL);
	pthread_join(taker.thread, NULL);
	check_balance(queue, 2 + owner.put, owner.taken + taker.taken);
	pc_queue_destroy(queue);
}

/* Batches that fill the queue have nothing behind them, and nothing can be dropped: a put that drops
 * the oldest does not wait for their owners. */
static void drop_old_behind_batches(int owner_step)
{
	struct pc_queue *queue = make_full(BATCH, PC_FULL_DROP_OLD);
	struct pc_queue_stats stats;
	struct frozen owner;
	void *item, *first = NULL;

	freeze(&owner, queue, owner_step, BATCHES);
	for (unsigned i = 0; i < 3 * BATCH; i++)
		CHECK(pc_queue_put(queue, pool + 2 * i, 0) == PC_OK, "put");
	CHECK(pc_queue_take(queue, &first, 0) == PC_OK, "take");
	/* BATCH of them are in; or one place was empty beside the batch, and is still */
	CHECK(first == pool + 2 * (2 * BATCH), "the oldest");
	thaw(&owner);
	while (pc_queue_take(queue, &item, 0) == PC_OK)
		owner.taken++;
	pc_queue_stats(queue, &stats, sizeof(stats));
	CHECK(stats.put == 3 * BATCH + owner.put &&
	              stats.put == owner.taken + 1 + stats.dropped && stats.queued == 0,
	      "%lu put, %zu taken, %lu dropped", (unsigned long)stats.put, owner.taken,
	      (unsigned long)stats.dropped);
	pc_queue_destroy(queue);
}

/* A put that is held up sets the hint back behind those of others. Who finds the queue full then
 * must not be told of room again and again. */
static void hint_set_back(void)
{
	struct pc_queue *queue = make(8);
	struct frozen late;

	freeze(&late, queue, STEP_PUT_CLAIMED, SINGLES);
	for (unsigned i = 0; i < 7; i++)
		CHECK(pc_queue_put(queue, pool, 0) == PC_OK, "put");
	thaw(&late);
	CHECK(queue_has_item(queue), "full");
	CHECK(pc_queue_put(queue, pool, 0) == PC_FULL, "full");
	CHECK(queue_room(queue) == 0, "%zu free places in a full queue", queue_room(queue));
	check_balance(queue, 7 + late.put, late.taken);
	CHECK(!queue_has_item(queue), "empty");
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

	alarm(200);
	for (int step = 0; step <= STEP_TAKE_RETIRE; step++) {
		if (step == STEP_TAKE_POISON || step == STEP_TAKE_POISONED)
			continue;
		at_each_step(step, BATCHES);
		if (step != STEP_PUT_FILLING && step != STEP_PUT_PUBLISH)
			at_each_step(step, SINGLES);
	}
	for (size_t i = 0; i < sizeof(owners) / sizeof(*owners); i++) {
		late_batch(owners[i], -1);
		late_batch(owners[i], STEP_TAKE_POISON);
		late_batch(owners[i], STEP_TAKE_POISONED);
		late_batch(owners[i], STEP_TAKE_CLAIM);
		drop_old_behind_batches(owners[i]);
	}
	full_of_poison();
	hint_set_back();
	item_while_arming();
	work_while_serving();
	printf("passed\n");
	return 0;
}
