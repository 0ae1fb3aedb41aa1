/* peer-boost.cc: Boost.Lockfree's queue: Michael and Scott's, with tagged pointers. */
#include "bench.h"

#include <boost/lockfree/queue.hpp>

using queue_type = boost::lockfree::queue<void *, boost::lockfree::fixed_sized<true>>;

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

	while (put < n && queue->bounded_push(items[put]))
		put++;
	return put;
}

size_t take(void *handle, void **items, size_t max)
{
	auto *queue = static_cast<queue_type *>(handle);
	size_t taken = 0;

	while (taken < max && queue->pop(items[taken]))
		taken++;
	return taken;
}
} // namespace

extern "C" {
extern const bench_peer peer_boost;
const bench_peer peer_boost = {"Boost.Lockfree", "",  true, true,    false,  create,
                               nullptr,          put, take, nullptr, nullptr};
}
