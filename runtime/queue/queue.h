/* queue/queue.h: what the engine needs of the queue beyond <pcrun/queue.h>.
 *
 * Tasks wait by callback instead of by sleeping, takes report the version bit, and room and fill
 * can be looked at. Called by the engine's workers and own threads; nothing here blocks.
 */
#ifndef QUEUE_QUEUE_H
#define QUEUE_QUEUE_H

#include <pcrun/queue.h>

/* A waiter that is a task. Embedded in the task; one per side it may wait on. The queue owns it
 * from queue_wait_*() until `wake` is called or queue_cancel() has returned. */
struct queue_waiter {
	struct queue_waiter *next; /* queue's */
	struct queue_waiter *prev; /* queue's */
	_Atomic uint32_t state;    /* queue's */
	uint32_t side;             /* queue's */
	/* Called once, on the thread whose call made it true (or whose call closes or stops the
	 * queue), with no lock held. Must only make the task runnable. */
	void (*wake)(struct queue_waiter *waiter);
};

/* Take up to max items without waiting. *ret_version gets the version bit that was in force for
 * all of them. PC_OK, PC_EMPTY, PC_CLOSED. */
int queue_take_batch_version(struct pc_queue *queue, void **items, size_t max,
                             size_t *ret_taken, unsigned *ret_version);

/* pc_queue_put_batch() without waiting, for pointers that are known to be items. */
int queue_put_batch(struct pc_queue *queue, void *const *items, size_t n, size_t *ret_put);

/* Flip the version bit: items at and after the returned position are taken with the new bit. */
uint64_t queue_flip_version(struct pc_queue *queue, unsigned *ret_new_version);
unsigned queue_version(const struct pc_queue *queue);
/* Of the next item that is taken. */
uint64_t queue_position(const struct pc_queue *queue);

/* Ask to be woken when the queue is not empty, or closed (take), when it has room, or no readers
 * (put). PC_OK: armed, `wake` comes exactly once, perhaps before this returns. PC_AGAIN: not
 * armed, it is so already. PC_STOPPED: not armed, the queue was stopped. */
int queue_wait_take(struct pc_queue *queue, struct queue_waiter *waiter);
int queue_wait_put(struct pc_queue *queue, struct queue_waiter *waiter);

/* Take an armed waiter back. True: it was armed and `wake` will not come. False: `wake` has been
 * called or is being called now. */
bool queue_cancel(struct pc_queue *queue, struct queue_waiter *waiter);

/* Returns at a moment when nobody is being woken because there is memory again, with the number of
 * times that this has happened, in any queue. Such wake-ups come from a thread of the queues' own
 * (reclaim.c), which the owner of a task can not join: he calls this before he frees tasks, all of
 * which have been woken or cancelled. */
uint32_t queue_wakes_over(void);

/* One change wakes one task, and that task's take or put wakes the next one if there is more. A
 * task that was woken and will not take (put) after all must say so, or others sleep on. */
void queue_pass(struct pc_queue *queue, struct queue_waiter *waiter);

/* Another capacity, and another enum pc_full, while nobody puts (takes may go on). A queue that holds
 * more than its new capacity keeps it, and is full until less than that is left. */
void queue_set_policy(struct pc_queue *queue, uint32_t capacity, uint32_t full);
/* A larger one, while others put. */
void queue_raise_capacity(struct pc_queue *queue, uint32_t capacity);
/* How many places are taken up while nobody puts; exact, and at most that when others take. */
size_t queue_held(const struct pc_queue *queue);

/* Estimates that may be stale at once: free places as puts see them, items as takes see them. */
size_t queue_room(const struct pc_queue *queue);
size_t queue_fill(const struct pc_queue *queue);
/* Exact, at this moment: a take would not say PC_EMPTY. */
bool queue_has_item(const struct pc_queue *queue);
/* It has room, but who waits for it sleeps until a grace period is over. It will be woken: who sees
 * this no more, between two equal answers of queue_wakes_over(), knows that it has been. */
bool queue_waits_for_memory(const struct pc_queue *queue);
/* A put of many will come soon: what it will write is asked for. */
void queue_expect_put(const struct pc_queue *queue);
void queue_expect_take(const struct pc_queue *queue); /* likewise, a take */
/* Puts can never succeed again (no readers) / takes can never yield again (closed and empty). */
bool queue_put_closed(const struct pc_queue *queue);
bool queue_take_closed(const struct pc_queue *queue);

#endif
