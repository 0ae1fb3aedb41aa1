/* peer-moodycamel.cc: ConcurrentQueue without and with tokens, and its blocking sister. Order is
 * kept per producer only, and it is not linearizable.
 */
#include "bench.h"

#if __has_include(<concurrentqueue/moodycamel/concurrentqueue.h>)
#include <concurrentqueue/moodycamel/blockingconcurrentqueue.h>
#include <concurrentqueue/moodycamel/concurrentqueue.h>
#elif __has_include(<concurrentqueue/blockingconcurrentqueue.h>)
#include <concurrentqueue/blockingconcurrentqueue.h>
#include <concurrentqueue/concurrentqueue.h>
#else
#include <blockingconcurrentqueue.h>
#include <concurrentqueue.h>
#endif

using plain = moodycamel::ConcurrentQueue<void *>;
using blocking = moodycamel::BlockingConcurrentQueue<void *>;

namespace
{
void *create(uint32_t)
{
	return new plain(65536);
}

size_t put(void *handle, void *const *items, size_t n)
{
	auto *queue = static_cast<plain *>(handle);

	if (n == 1)
		return queue->enqueue(items[0]);
	return queue->enqueue_bulk(items, n) ? n : 0;
}

size_t take(void *handle, void **items, size_t max)
{
	auto *queue = static_cast<plain *>(handle);

	if (max == 1)
		return queue->try_dequeue(items[0]);
	return queue->try_dequeue_bulk(items, max);
}

struct tokens {
	plain *queue;
	moodycamel::ProducerToken in;
	moodycamel::ConsumerToken out;
	explicit tokens(plain *q) : queue(q), in(*q), out(*q)
	{
	}
};

void *token_handle(void *queue)
{
	return new tokens(static_cast<plain *>(queue));
}

size_t token_put(void *handle, void *const *items, size_t n)
{
	auto *t = static_cast<tokens *>(handle);

	if (n == 1)
		return t->queue->enqueue(t->in, items[0]);
	return t->queue->enqueue_bulk(t->in, items, n) ? n : 0;
}

size_t token_take(void *handle, void **items, size_t max)
{
	auto *t = static_cast<tokens *>(handle);

	if (max == 1)
		return t->queue->try_dequeue(t->out, items[0]);
	return t->queue->try_dequeue_bulk(t->out, items, max);
}

void *blocking_create(uint32_t)
{
	return new blocking(65536);
}

size_t blocking_put(void *handle, void *const *items, size_t n)
{
	auto *queue = static_cast<blocking *>(handle);

	if (n == 1)
		return queue->enqueue(items[0]);
	return queue->enqueue_bulk(items, n) ? n : 0;
}

size_t blocking_take(void *handle, void **items, size_t max)
{
	return static_cast<blocking *>(handle)->try_dequeue_bulk(items, max);
}

void blocking_put_wait(void *handle, void *const *items, size_t n)
{
	blocking_put(handle, items, n);
}

size_t blocking_take_wait(void *handle, void **items, size_t max)
{
	auto *queue = static_cast<blocking *>(handle);

	if (max == 1) {
		queue->wait_dequeue(items[0]);
		return 1;
	}
	return queue->wait_dequeue_bulk(items, max);
}
} // namespace

extern "C" {
extern const bench_peer peer_moodycamel, peer_moodycamel_tokens, peer_moodycamel_blocking;
const bench_peer peer_moodycamel = {"moodycamel", "unbounded; order per producer",
                                    false,        false,
                                    true,         create,
                                    nullptr,      put,
                                    take,         nullptr,
                                    nullptr};
const bench_peer peer_moodycamel_tokens = {"moodycamel tokens",
                                           "unbounded; order per producer",
                                           false,
                                           false,
                                           true,
                                           create,
                                           token_handle,
                                           token_put,
                                           token_take,
                                           nullptr,
                                           nullptr};
const bench_peer peer_moodycamel_blocking = {"moodycamel Blocking",
                                             "unbounded; order per producer",
                                             false,
                                             false,
                                             true,
                                             blocking_create,
                                             nullptr,
                                             blocking_put,
                                             blocking_take,
                                             blocking_put_wait,
                                             blocking_take_wait};
}
