/* peer-atomic-queue.cc: atomic_queue's AtomicQueueB. With more than one producer it does not keep
 * their order: two tickets one lap apart race for one slot.
 *
 * AtomicQueueB never has fewer than 64 slots. So small capacities, which are compared because they
 * are small, are AtomicQueue's: fixed when compiled, and exact without its index shuffle.
 */
#include "bench.h"

#include <atomic_queue/atomic_queue.h>

namespace
{
class any_queue
{
      public:
	virtual ~any_queue() = default;
	virtual size_t put(void *const *items, size_t n) = 0;
	virtual size_t take(void **items, size_t max) = 0;
	virtual void put_wait(void *const *items, size_t n) = 0;
	virtual size_t take_wait(void **items, size_t max) = 0;
};

template <class Queue> class the_queue final : public any_queue
{
	Queue queue;

      public:
	template <class... Arguments>
	explicit the_queue(Arguments... arguments) : queue(arguments...)
	{
	}

	size_t put(void *const *items, size_t n) override
	{
		size_t put = 0;

		while (put < n && queue.try_push(items[put]))
			put++;
		return put;
	}

	size_t take(void **items, size_t max) override
	{
		size_t taken = 0;

		while (taken < max && queue.try_pop(items[taken]))
			taken++;
		return taken;
	}

	void put_wait(void *const *items, size_t n) override
	{
		for (size_t i = 0; i < n; i++)
			queue.push(items[i]);
	}

	size_t take_wait(void **items, size_t max) override
	{
		items[0] = queue.pop();
		return 1 + take(items + 1, max - 1);
	}
};

template <unsigned CAPACITY>
using exact = the_queue<atomic_queue::AtomicQueue<void *, CAPACITY, nullptr, false>>;

void *create(uint32_t capacity)
{
	any_queue *queue;

	switch (capacity) {
	case 1:
		queue = new exact<1>;
		break;
	case 3:
		queue = new exact<3>;
		break;
	default:
		queue = new the_queue<atomic_queue::AtomicQueueB<void *>>(capacity);
	}
	return queue;
}

size_t put(void *handle, void *const *items, size_t n)
{
	return static_cast<any_queue *>(handle)->put(items, n);
}

size_t take(void *handle, void **items, size_t max)
{
	return static_cast<any_queue *>(handle)->take(items, max);
}

void put_wait(void *handle, void *const *items, size_t n)
{
	static_cast<any_queue *>(handle)->put_wait(items, n);
}

size_t take_wait(void *handle, void **items, size_t max)
{
	return static_cast<any_queue *>(handle)->take_wait(items, max);
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
