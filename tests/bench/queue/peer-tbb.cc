/* peer-tbb.cc: oneTBB's concurrent_bounded_queue. */
#include "bench.h"

#include <oneapi/tbb/concurrent_queue.h>

using queue_type = tbb::concurrent_bounded_queue<void *>;

namespace
{
void *create(uint32_t capacity)
{
	auto *queue = new queue_type;

	queue->set_capacity(capacity);
	return queue;
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
	static_cast<queue_type *>(handle)->pop(items[0]);
	return 1 + take(handle, items + 1, max - 1);
}
} // namespace

extern "C" {
extern const bench_peer peer_tbb;
const bench_peer peer_tbb = {"TBB bounded", "",  false, true,     false,    create,
                             nullptr,       put, take,  put_wait, take_wait};
}
