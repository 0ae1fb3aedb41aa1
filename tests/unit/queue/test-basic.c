/* test-basic.c: what <pcrun/queue.h> promises to one thread: order, exact capacity, results,
 * policies, close, done, figures, size. What many threads may expect is in tests/stress.
 */
#include "queue/queue.h"
#include "queue/segment.h"

#include <criterion/criterion.h>
#include <malloc.h>
#include <string.h>
#include <time.h>

static struct pc_queue *make(uint32_t capacity, enum pc_full full)
{
	struct pc_queue_options options = {
		.size = sizeof(options), .capacity = capacity, .full = full};
	struct pc_queue *queue = NULL;

	cr_assert_eq(pc_queue_create(&queue, &options), PC_OK);
	return queue;
}

static void *item(uintptr_t n)
{
	return (void *)(n * 2 + 2);
}

static struct pc_queue_stats stats(struct pc_queue *queue)
{
	struct pc_queue_stats s;

	pc_queue_stats(queue, &s, sizeof(s));
	return s;
}

Test(queue, options)
{
	struct pc_queue *queue = NULL;
	struct pc_queue_options options = {.size = sizeof(options),
	                                   .capacity = PC_QUEUE_CAPACITY_MAX + 1};

	cr_expect_eq(pc_queue_create(&queue, &options), PC_INVALID);
	options.capacity = 1;
	options.full = 4;
	cr_expect_eq(pc_queue_create(&queue, &options), PC_INVALID);
	cr_expect_null(queue);
	cr_expect_eq(pc_queue_create(&queue, NULL), PC_OK);
	for (uintptr_t i = 0; i < 1024; i++)
		cr_expect_eq(pc_queue_put(queue, item(i), 0), PC_OK);
	cr_expect_eq(pc_queue_put(queue, item(1), 0), PC_FULL);
	pc_queue_destroy(queue);
	pc_queue_destroy(NULL);
}

Test(queue, capacity_is_exact_and_order_kept)
{
	static const uint32_t capacities[] = {1,  2,   3,   4,    5,    15,   16,   17,
	                                      63, 100, 255, 1000, 1024, 1025, 5000, 1 << 20};

	for (size_t c = 0; c < sizeof(capacities) / sizeof(*capacities); c++) {
		uint32_t capacity = capacities[c];
		struct pc_queue *queue = make(capacity, PC_FULL_BLOCK);
		uintptr_t in = 0, out = 0;
		void *got;

		for (int round = 0; round < (capacity > 10000 ? 2 : 20); round++) {
			while (in - out < capacity)
				cr_assert_eq(pc_queue_put(queue, item(in++), 0), PC_OK);
			cr_assert_eq(pc_queue_put(queue, item(in), 0), PC_FULL);
			cr_assert_eq(stats(queue).queued, capacity);
			for (uintptr_t n = (capacity + 1) / 2; n > 0; n--) {
				cr_assert_eq(pc_queue_take(queue, &got, 0), PC_OK);
				cr_assert_eq(got, item(out++));
			}
		}
		while (out < in) {
			cr_assert_eq(pc_queue_take(queue, &got, 0), PC_OK);
			cr_assert_eq(got, item(out++));
		}
		got = queue;
		cr_assert_eq(pc_queue_take(queue, &got, 0), PC_EMPTY);
		cr_assert_eq(got, queue, "written though nothing was taken");
		cr_assert_eq(stats(queue).high_water, capacity);
		cr_assert_eq(stats(queue).put, in);
		cr_assert_eq(stats(queue).taken, out);
		pc_queue_destroy(queue);
	}
}

Test(queue, batches)
{
	void *items[300], *got[300];
	struct pc_queue *queue = make(200, PC_FULL_BLOCK);
	size_t n, total = 0;

	for (uintptr_t i = 0; i < 300; i++)
		items[i] = item(i);
	cr_assert_eq(pc_queue_put_batch(queue, items, 0, &n, 0), PC_OK);
	cr_assert_eq(n, 0);
	cr_assert_eq(pc_queue_put_batch(queue, items, 300, &n, 0), PC_FULL);
	cr_assert_eq(n, 200);
	cr_assert_eq(pc_queue_put_batch(queue, items, 300, &n, 0), PC_FULL);
	cr_assert_eq(n, 0);
	while (total < 200) {
		cr_assert_eq(pc_queue_take_batch(queue, got, 300, &n, 0), PC_OK);
		cr_assert_gt(n, 0);
		for (size_t i = 0; i < n; i++)
			cr_assert_eq(got[i], item(total + i));
		total += n;
	}
	cr_assert_eq(total, 200);
	cr_assert_eq(pc_queue_take_batch(queue, got, 300, &n, 0), PC_EMPTY);
	cr_assert_eq(n, 0);
	cr_assert_eq(pc_queue_take_batch(queue, got, 0, &n, 0), PC_INVALID);
	items[7] = (void *)13;
	cr_assert_eq(pc_queue_put_batch(queue, items, 9, &n, 0), PC_INVALID);
	cr_assert_eq(n, 0);
	cr_assert_eq(pc_queue_put(queue, NULL, 0), PC_INVALID);
	cr_assert_eq(pc_queue_put(queue, (void *)3, 0), PC_INVALID);
	cr_assert_eq(stats(queue).put, 200);
	pc_queue_destroy(queue);
}

struct dropped {
	void *items[64];
	size_t n;
};

static void note(void *user, void *what)
{
	struct dropped *dropped = user;

	dropped->items[dropped->n++] = what;
}

static struct pc_queue *dropping(enum pc_full full, struct dropped *dropped)
{
	struct pc_queue_options options = {.size = sizeof(options),
	                                   .capacity = 3,
	                                   .full = full,
	                                   .drop = note,
	                                   .drop_user = dropped};
	struct pc_queue *queue = NULL;

	cr_assert_eq(pc_queue_create(&queue, &options), PC_OK);
	return queue;
}

Test(queue, drop_new)
{
	struct dropped dropped = {0};
	struct pc_queue *queue = dropping(PC_FULL_DROP_NEW, &dropped);
	void *items[5] = {item(0), item(1), item(2), item(3), item(4)}, *got;
	size_t n;

	cr_assert_eq(pc_queue_put_batch(queue, items, 5, &n, PC_FOREVER), PC_OK);
	cr_assert_eq(n, 5);
	cr_assert_eq(pc_queue_put(queue, item(5), PC_FOREVER), PC_OK);
	cr_assert_eq(dropped.n, 3);
	cr_expect_eq(dropped.items[0], item(3));
	cr_expect_eq(dropped.items[2], item(5));
	cr_expect_eq(stats(queue).dropped, 3);
	cr_expect_eq(stats(queue).put, 3);
	cr_assert_eq(pc_queue_take(queue, &got, 0), PC_OK);
	cr_expect_eq(got, item(0));
	pc_queue_destroy(queue);
	cr_assert_eq(dropped.n, 5, "what is left is dropped by destroy");
	cr_expect_eq(dropped.items[4], item(2));
}

Test(queue, drop_old)
{
	struct dropped dropped = {0};
	struct pc_queue *queue = dropping(PC_FULL_DROP_OLD, &dropped);
	void *items[5] = {item(0), item(1), item(2), item(3), item(4)}, *got;
	size_t n;

	cr_assert_eq(pc_queue_put_batch(queue, items, 5, &n, 0), PC_OK);
	cr_assert_eq(n, 5);
	cr_assert_eq(dropped.n, 2);
	cr_expect_eq(dropped.items[0], item(0));
	cr_expect_eq(dropped.items[1], item(1));
	cr_expect_eq(stats(queue).put, 5);
	cr_expect_eq(stats(queue).taken, 0);
	cr_expect_eq(stats(queue).dropped, 2);
	for (uintptr_t i = 2; i < 5; i++) {
		cr_assert_eq(pc_queue_take(queue, &got, 0), PC_OK);
		cr_assert_eq(got, item(i));
	}
	cr_expect_eq(pc_queue_join(queue, 0), PC_TIMEOUT);
	cr_expect_eq(pc_queue_done(queue, 4), PC_INVALID);
	cr_expect_eq(pc_queue_done(queue, 3), PC_OK);
	cr_expect_eq(pc_queue_join(queue, 0), PC_OK);
	pc_queue_destroy(queue);
}

Test(queue, error_policy_ignores_the_timeout)
{
	struct pc_queue *queue = make(1, PC_FULL_ERROR);

	cr_assert_eq(pc_queue_put(queue, item(1), PC_FOREVER), PC_OK);
	cr_assert_eq(pc_queue_put(queue, item(2), PC_FOREVER), PC_FULL);
	pc_queue_destroy(queue);
}

Test(queue, results_differ)
{
	struct pc_queue *queue = make(1, PC_FULL_BLOCK);
	void *got;

	cr_expect_eq(pc_queue_take(queue, &got, 0), PC_EMPTY);
	cr_expect_eq(pc_queue_take(queue, &got, PC_MS), PC_TIMEOUT);
	cr_expect_eq(pc_queue_put(queue, item(1), PC_MS), PC_OK);
	cr_expect_eq(pc_queue_put(queue, item(2), 0), PC_FULL);
	cr_expect_eq(pc_queue_put(queue, item(2), PC_MS), PC_TIMEOUT);
	cr_expect_eq(stats(queue).full_waits, 1);
	cr_expect_eq(stats(queue).empty_waits, 1);
	pc_queue_stop(queue);
	cr_expect_eq(pc_queue_put(queue, item(2), 0), PC_FULL);
	cr_expect_eq(pc_queue_put(queue, item(2), PC_FOREVER), PC_STOPPED);
	cr_expect_eq(pc_queue_join(queue, PC_FOREVER), PC_STOPPED);
	cr_expect_eq(pc_queue_take(queue, &got, PC_FOREVER), PC_OK);
	cr_expect_eq(pc_queue_take(queue, &got, PC_FOREVER), PC_STOPPED);
	cr_expect_eq(pc_queue_take(queue, &got, 0), PC_EMPTY);
	pc_queue_destroy(queue);
}

/* At every fill from none to two segments, so that the seal falls on slots and on ends. */
Test(queue, close_by_writers)
{
	for (uintptr_t fill = 0; fill < 100; fill++) {
		struct pc_queue *queue = make(1000, PC_FULL_BLOCK);
		void *got;

		for (uintptr_t i = 0; i < fill; i++)
			cr_assert_eq(pc_queue_put(queue, item(i), 0), PC_OK);
		cr_assert_eq(pc_queue_writer_add(queue), PC_OK);
		cr_assert_eq(pc_queue_writer_end(queue), PC_OK);
		cr_assert_not(queue_put_closed(queue));
		cr_assert_eq(pc_queue_writer_end(queue), PC_OK);
		cr_assert_eq(pc_queue_writer_end(queue), PC_INVALID);
		cr_assert_eq(pc_queue_writer_add(queue), PC_CLOSED);
		cr_assert(queue_put_closed(queue));
		cr_assert_eq(pc_queue_put(queue, item(7), PC_FOREVER), PC_CLOSED);
		cr_assert_eq(stats(queue).put, fill);
		for (uintptr_t i = 0; i < fill; i++) {
			cr_assert_not(queue_take_closed(queue));
			cr_assert_eq(pc_queue_take(queue, &got, PC_FOREVER), PC_OK);
			cr_assert_eq(got, item(i));
		}
		cr_assert(queue_take_closed(queue));
		cr_assert_eq(pc_queue_take(queue, &got, PC_FOREVER), PC_CLOSED);
		cr_assert_eq(pc_queue_take(queue, &got, 0), PC_CLOSED);
		pc_queue_destroy(queue);
	}
}

Test(queue, close_by_readers)
{
	struct pc_queue *queue = make(2, PC_FULL_BLOCK);

	cr_assert_eq(pc_queue_put(queue, item(1), 0), PC_OK);
	cr_assert_eq(pc_queue_reader_add(queue), PC_OK);
	cr_assert_eq(pc_queue_reader_end(queue), PC_OK);
	cr_assert_eq(pc_queue_put(queue, item(1), 0), PC_OK);
	cr_assert_eq(pc_queue_reader_end(queue), PC_OK);
	cr_assert_eq(pc_queue_reader_end(queue), PC_INVALID);
	cr_assert_eq(pc_queue_put(queue, item(2), PC_FOREVER), PC_CLOSED);
	pc_queue_destroy(queue);
}

Test(queue, done_and_join)
{
	struct pc_queue *queue = make(8, PC_FULL_BLOCK);
	void *got;

	cr_assert_eq(pc_queue_join(queue, 0), PC_OK, "nothing was put yet");
	cr_assert_eq(pc_queue_done(queue, 1), PC_INVALID);
	for (uintptr_t i = 0; i < 3; i++)
		cr_assert_eq(pc_queue_put(queue, item(i), 0), PC_OK);
	cr_assert_eq(pc_queue_done(queue, 1), PC_INVALID, "put, but not taken");
	for (uintptr_t i = 0; i < 3; i++)
		cr_assert_eq(pc_queue_take(queue, &got, 0), PC_OK);
	cr_assert_eq(pc_queue_join(queue, PC_MS), PC_TIMEOUT);
	cr_assert_eq(pc_queue_done(queue, 2), PC_OK);
	cr_assert_eq(pc_queue_done(queue, SIZE_MAX), PC_INVALID);
	cr_assert_eq(pc_queue_done(queue, 2), PC_INVALID);
	cr_assert_eq(pc_queue_join(queue, 0), PC_TIMEOUT);
	cr_assert_eq(pc_queue_done(queue, 1), PC_OK);
	cr_assert_eq(pc_queue_join(queue, PC_FOREVER), PC_OK);
	cr_assert_eq(stats(queue).done, 3);
	pc_queue_destroy(queue);
}

Test(queue, version_bit)
{
	struct pc_queue *queue = make(64, PC_FULL_BLOCK);
	void *got[64];
	unsigned version = 9;
	size_t n;

	for (uintptr_t i = 0; i < 10; i++)
		cr_assert_eq(pc_queue_put(queue, item(i), 0), PC_OK);
	cr_assert_eq(queue_take_batch_version(queue, got, 4, &n, &version), PC_OK);
	cr_assert_eq(n, 4);
	cr_assert_eq(version, 0);
	cr_assert_eq(queue_flip_version(queue, &version), 4);
	cr_assert_eq(version, 1);
	cr_assert_eq(queue_version(queue), 1);
	cr_assert_eq(queue_take_batch_version(queue, got, 4, &n, &version), PC_OK);
	cr_assert_eq(version, 1);
	cr_assert_eq(got[0], item(4));
	cr_assert_eq(queue_flip_version(queue, &version), 8);
	cr_assert_eq(version, 0);
	cr_assert_eq(queue_fill(queue), 2);
	cr_assert_eq(queue_room(queue), 62);
	pc_queue_destroy(queue);
}

/* Idle: at most 1 KiB with capacity 1024, 512 bytes with capacity 3; and no segment. */
Test(queue, idle_memory)
{
	enum { N = 1000 };
	static struct pc_queue *queues[N];
	static const struct {
		uint32_t capacity;
		size_t limit;
	} cases[] = {{1024, 1024}, {3, 512}};

	for (size_t c = 0; c < 2; c++) {
		size_t before = mallinfo2().uordblks;

		for (int i = 0; i < N; i++)
			queues[i] = make(cases[c].capacity, PC_FULL_BLOCK);
		cr_expect_leq((mallinfo2().uordblks - before) / N, cases[c].limit);
		cr_expect_leq(stats(queues[0]).memory_bytes, cases[c].limit);
		for (int i = 0; i < N; i++)
			pc_queue_destroy(queues[i]);
	}
}

/* With reclamation stopped by a reader, puts say PC_FULL at the limit, and go on after it. */
Test(queue, memory_is_bounded_behind_a_stalled_reader)
{
	struct pc_queue *queue = make(100, PC_FULL_BLOCK);
	const uint64_t limit = 100000;
	uint64_t rounds = 0;
	void *got;
	int rc;

	atomic_store_explicit(&segment_retired_max_bytes, limit, memory_order_relaxed);
	queue_rcu_lock();
	while ((rc = pc_queue_put(queue, item(rounds), 0)) == PC_OK && rounds < 1000000) {
		rounds++;
		cr_assert_eq(pc_queue_take(queue, &got, 0), PC_OK);
	}
	cr_assert_eq(rc, PC_FULL);
	cr_expect_gt(stats(queue).retired_bytes, limit);
	cr_expect_lt(stats(queue).retired_bytes, limit + 20000);
	cr_expect_eq(pc_queue_put(queue, item(1), 10 * PC_MS), PC_TIMEOUT);
	queue_rcu_unlock();
	cr_expect_eq(pc_queue_put(queue, item(1), PC_FOREVER), PC_OK);
	pc_queue_destroy(queue);
}

static unsigned woken;

static void wake(struct queue_waiter *waiter)
{
	(void)waiter;
	woken++;
}

Test(queue, tasks_wait)
{
	struct pc_queue *queue = make(2, PC_FULL_BLOCK);
	struct queue_waiter a = {.wake = wake}, b = {.wake = wake}, c = {.wake = wake};
	void *got;

	cr_assert_eq(queue_wait_put(queue, &a), PC_AGAIN);
	cr_assert_eq(queue_wait_take(queue, &a), PC_OK);
	cr_assert_eq(queue_wait_take(queue, &b), PC_OK);
	cr_assert_eq(queue_wait_take(queue, &c), PC_OK);
	cr_assert(queue_cancel(queue, &b));
	cr_assert_eq(woken, 0);
	cr_assert_eq(pc_queue_put(queue, item(1), 0), PC_OK);
	cr_assert_eq(woken, 1, "one change wakes one");
	cr_assert_not(queue_cancel(queue, &a));
	queue_pass(queue, &a);
	cr_assert_eq(woken, 2, "and that one may pass it on");
	cr_assert_eq(queue_wait_take(queue, &a), PC_AGAIN);
	cr_assert_eq(pc_queue_put(queue, item(2), 0), PC_OK);
	cr_assert_eq(queue_wait_put(queue, &a), PC_OK);
	cr_assert_eq(queue_wait_put(queue, &b), PC_OK);
	cr_assert_eq(pc_queue_take(queue, &got, 0), PC_OK);
	cr_assert_eq(woken, 3);
	cr_assert_eq(pc_queue_take(queue, &got, 0), PC_OK);
	cr_assert_eq(woken, 4);
	cr_assert_eq(queue_wait_take(queue, &a), PC_OK);
	cr_assert_eq(queue_wait_take(queue, &b), PC_OK);
	cr_assert_eq(pc_queue_writer_end(queue), PC_OK);
	cr_assert_eq(woken, 6, "close wakes all");
	cr_assert_eq(queue_wait_take(queue, &a), PC_AGAIN);
	cr_assert_eq(queue_wait_put(queue, &a), PC_AGAIN);
	pc_queue_destroy(queue);
}

/* Two items by one put, and two who wait: the first one's take wakes the second. */
Test(queue, wake_is_passed_on)
{
	struct pc_queue *queue = make(4, PC_FULL_BLOCK);
	struct queue_waiter a = {.wake = wake}, b = {.wake = wake};
	void *items[3] = {item(1), item(2), item(3)}, *got;
	size_t n;

	woken = 0;
	cr_assert_eq(queue_wait_take(queue, &a), PC_OK);
	cr_assert_eq(queue_wait_take(queue, &b), PC_OK);
	cr_assert_eq(pc_queue_put_batch(queue, items, 3, &n, 0), PC_OK);
	cr_assert_eq(woken, 1);
	cr_assert_eq(pc_queue_take(queue, &got, 0), PC_OK);
	cr_assert_eq(woken, 2);
	/* and the same for room */
	while (pc_queue_put(queue, items[0], 0) == PC_OK)
		;
	cr_assert_eq(queue_wait_put(queue, &a), PC_OK);
	cr_assert_eq(queue_wait_put(queue, &b), PC_OK);
	cr_assert_eq(pc_queue_take_batch(queue, items, 3, &n, 0), PC_OK);
	cr_assert_gt(n, 1);
	cr_assert_eq(woken, 3);
	cr_assert_eq(pc_queue_put(queue, item(1), 0), PC_OK);
	cr_assert_eq(woken, 4);
	pc_queue_destroy(queue);
}

Test(queue, stop_wakes_tasks)
{
	struct pc_queue *queue = make(2, PC_FULL_BLOCK);
	struct queue_waiter a = {.wake = wake}, b = {.wake = wake};

	woken = 0;
	cr_assert_eq(queue_wait_take(queue, &a), PC_OK);
	cr_assert_eq(queue_wait_take(queue, &b), PC_OK);
	pc_queue_stop(queue);
	cr_assert_eq(woken, 2);
	cr_assert_eq(queue_wait_take(queue, &a), PC_STOPPED);
	pc_queue_destroy(queue);
}
