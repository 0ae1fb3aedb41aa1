/* peer-pcrun.c: the queue under test, through its public header. */
#include "bench.h"

#include <pcrun/queue.h>

#include <stdlib.h>

static void *create(uint32_t capacity)
{
	struct pc_queue_options options = {.size = sizeof(options), .capacity = capacity};
	struct pc_queue *queue;

	if (pc_queue_create(&queue, &options) != PC_OK)
		abort();
	return queue;
}

static size_t put(void *queue, void *const *items, size_t n)
{
	size_t put;

	if (n == 1)
		return pc_queue_put(queue, items[0], 0) == PC_OK;
	pc_queue_put_batch(queue, items, n, &put, 0);
	return put;
}

static size_t take(void *queue, void **items, size_t max)
{
	size_t taken;

	if (max == 1)
		return pc_queue_take(queue, items, 0) == PC_OK;
	pc_queue_take_batch(queue, items, max, &taken, 0);
	return taken;
}

static void put_wait(void *queue, void *const *items, size_t n)
{
	size_t put;

	if (n == 1)
		pc_queue_put(queue, items[0], PC_FOREVER);
	else
		pc_queue_put_batch(queue, items, n, &put, PC_FOREVER);
}

static size_t take_wait(void *queue, void **items, size_t max)
{
	size_t taken;

	if (max == 1)
		return pc_queue_take(queue, items, PC_FOREVER) == PC_OK;
	pc_queue_take_batch(queue, items, max, &taken, PC_FOREVER);
	return taken;
}

extern const struct bench_peer peer_pcrun;
const struct bench_peer peer_pcrun = {"pcrun", "",  true, true,     true,     create,
                                      NULL,    put, take, put_wait, take_wait};
