/* peer-glib.c: GLib's GAsyncQueue (a mutex around a list). */
#include "bench.h"

#include <glib.h>

static void *create(uint32_t capacity)
{
	(void)capacity;
	return g_async_queue_new();
}

static size_t put(void *queue, void *const *items, size_t n)
{
	for (size_t i = 0; i < n; i++)
		g_async_queue_push(queue, items[i]);
	return n;
}

static size_t take(void *queue, void **items, size_t max)
{
	size_t taken = 0;

	while (taken < max && (items[taken] = g_async_queue_try_pop(queue)))
		taken++;
	return taken;
}

static void put_wait(void *queue, void *const *items, size_t n)
{
	put(queue, items, n);
}

static size_t take_wait(void *queue, void **items, size_t max)
{
	items[0] = g_async_queue_pop(queue);
	return 1 + take(queue, items + 1, max - 1);
}

extern const struct bench_peer peer_glib;
const struct bench_peer peer_glib = {"GAsyncQueue", "unbounded", false,    false,
                                     false,         create,      NULL,     put,
                                     take,          put_wait,    take_wait};
