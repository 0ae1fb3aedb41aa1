/* peer-urcu.c: liburcu's own queues, used as their documentation says: one malloc per item. */
#define _LGPL_SOURCE
#include "bench.h"

#include <urcu/urcu-memb.h>

#define URCU_API_MAP
#include <urcu/rculfqueue.h>
#include <urcu/wfcqueue.h>

#include <stdlib.h>

struct lfq_node {
	struct cds_lfq_node_rcu node;
	struct rcu_head rcu;
	void *item;
};

static void *handle(void *queue)
{
	static __thread bool registered;

	if (!registered)
		urcu_memb_register_thread();
	registered = true;
	return queue;
}

static void *lfq_create(uint32_t capacity)
{
	struct cds_lfq_queue_rcu *queue = calloc(1, sizeof(*queue));

	(void)capacity;
	cds_lfq_init_rcu(queue, urcu_memb_call_rcu);
	return queue;
}

static size_t lfq_put(void *queue, void *const *items, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct lfq_node *node = malloc(sizeof(*node));

		node->item = items[i];
		cds_lfq_node_init_rcu(&node->node);
		urcu_memb_read_lock();
		cds_lfq_enqueue_rcu(queue, &node->node);
		urcu_memb_read_unlock();
	}
	return n;
}

static void free_node(struct rcu_head *rcu)
{
	free(caa_container_of(rcu, struct lfq_node, rcu));
}

static size_t lfq_take(void *queue, void **items, size_t max)
{
	size_t taken = 0;

	while (taken < max) {
		struct cds_lfq_node_rcu *got;
		struct lfq_node *node;

		urcu_memb_read_lock();
		got = cds_lfq_dequeue_rcu(queue);
		urcu_memb_read_unlock();
		if (!got)
			break;
		node = caa_container_of(got, struct lfq_node, node);
		items[taken++] = node->item;
		urcu_memb_call_rcu(&node->rcu, free_node);
	}
	return taken;
}

extern const struct bench_peer peer_lfq;
const struct bench_peer peer_lfq = {"cds_lfq", "unbounded; malloc per item",
                                    true,      false,
                                    false,     lfq_create,
                                    handle,    lfq_put,
                                    lfq_take,  NULL,
                                    NULL};

struct wfcq {
	_Alignas(128) struct cds_wfcq_head head;
	_Alignas(128) struct cds_wfcq_tail tail;
};

struct wfcq_node {
	struct cds_wfcq_node node;
	void *item;
};

static void *wfcq_create(uint32_t capacity)
{
	struct wfcq *queue = aligned_alloc(128, sizeof(*queue));

	(void)capacity;
	cds_wfcq_init(&queue->head, &queue->tail);
	return queue;
}

static size_t wfcq_put(void *handle, void *const *items, size_t n)
{
	struct wfcq *queue = handle;

	for (size_t i = 0; i < n; i++) {
		struct wfcq_node *node = malloc(sizeof(*node));

		node->item = items[i];
		cds_wfcq_node_init(&node->node);
		cds_wfcq_enqueue(&queue->head, &queue->tail, &node->node);
	}
	return n;
}

static size_t wfcq_take(void *handle, void **items, size_t max)
{
	struct wfcq *queue = handle;
	size_t taken = 0;

	if (cds_wfcq_empty(&queue->head, &queue->tail))
		return 0;
	cds_wfcq_dequeue_lock(&queue->head, &queue->tail);
	while (taken < max) {
		struct cds_wfcq_node *got =
			__cds_wfcq_dequeue_blocking(&queue->head, &queue->tail);
		struct wfcq_node *node;

		if (!got)
			break;
		node = caa_container_of(got, struct wfcq_node, node);
		items[taken++] = node->item;
		free(node);
	}
	cds_wfcq_dequeue_unlock(&queue->head, &queue->tail);
	return taken;
}

extern const struct bench_peer peer_wfcq;
const struct bench_peer peer_wfcq = {"cds_wfcq+lock",
                                     "unbounded; malloc per item",
                                     false,
                                     false,
                                     true,
                                     wfcq_create,
                                     handle,
                                     wfcq_put,
                                     wfcq_take,
                                     NULL,
                                     NULL};
