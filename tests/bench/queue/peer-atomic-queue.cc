/* peer-atomic-queue.cc: atomic_queue's AtomicQueueB. With more than one producer it does not keep
 * their order: two tickets one lap apart race for one slot.
 */
#include "bench.h"

#include <atomic_queue/atomic_queue.h>

using queue_type = atomic_queue::AtomicQueueB<void *>;

namespace
{
void *create(uint32_t capacity)
{
	return new queue_type(capacity);
}

size_t put(void *handle, void *const *items, size_t n)
{
	auto *queue = static_cast<queue_type *>(handle);
	size_t put = 0;

	while (put < n && queue->try_push(items[put]))
		put++;
	return put;
}

size_t take(void *handle, void **items, size_t max)
{
	auto *queue = static_cast<queue_type *>(handle);
	size_t taken = 0;

	while (taken < max && queue->try_pop(items[taken]))
		taken++;
	return taken;
}

void put_wait(void *handle, void *const *items, size_t n)
{
	for (size_t i = 0; i < n; i++)
		static_cast<queue_type *>(handle)->push(items[i]);
}

size_t take_wait(void *handle, void **items, size_t max)
{
	items[0] = static_cast<queue_type *>(handle)->pop();
	return 1 + take(handle, items + 1, max - 1);
}
} // namespace

extern "C" {
extern const bench_peer peer_atomic_queue;
const bench_peer peer_atomic_queue = {"atomic_queue", "not FIFO; waits by spinning only",
                                      false,          true,
                                      false,          create,
                                      nullptr,        put,
                                      take,           put_wait,
                                      take_wait};
}
