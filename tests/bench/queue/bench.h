/* bench.h: what a queue must offer to be measured. One peer file per library; each fills in one
 * or more `struct bench_peer`, which table.c lists. Also C++, for half of the peers are.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Items are never 0 and always even. */
struct bench_peer {
	const char *name;
	const char *remark; /* what a reader must know to compare fairly, or "" */
	bool lock_free;     /* truly: a thread stopped anywhere stops nobody */
	bool bounded;       /* else producers are held to a backlog of 65536 */
	bool batch;         /* has a batch of its own; else the batch is a loop */
	/* A handle of the calling thread for this queue; NULL: the queue itself is the handle. */
	void *(*create)(uint32_t capacity);
	void *(*handle)(void *queue);
	/* How many went in or came out; 0: full or empty. */
	size_t (*put)(void *handle, void *const *items, size_t n);
	size_t (*take)(void *handle, void **items, size_t max);
	/* Waiting: all n in; at least one out. NULL: it can not wait. */
	void (*put_wait)(void *handle, void *const *items, size_t n);
	size_t (*take_wait)(void *handle, void **items, size_t max);
};

#ifdef __cplusplus
}
#endif
#endif
