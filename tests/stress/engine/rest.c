/* stress/engine/rest.c: a replica that rests is in nobody's hands any more: what it waited with may
 * be freed, as a reload does with its lanes.
 *
 * A plain program that prints TAP. One thread plays the replica: it waits for room in a full queue,
 * rests at once, and frees the lane. Another takes the item just then, and so wakes the waiter. The
 * lane is overwritten before it is freed, so that who still reads it fails at least sometimes;
 * ThreadSanitizer and AddressSanitizer see it each time, or soon.
 */
#include "engine/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 20000

static struct pc_queue *queue;
/* Only its count of awake replicas is used; that never comes to 0 here, which would be told of. */
static struct engine engine = {.awake = 1};
static char item[2];
/* Rounds that the replica has begun, and that the taker has ended. */
static _Atomic uint32_t begun, ended;

static void *take(void *unused)
{
	for (uint32_t round = 1; round <= ROUNDS; round++) {
		void *got;

		while (atomic_load_explicit(&begun, memory_order_acquire) < round)
			sched_yield();
		if (pc_queue_take(queue, &got, 0) != PC_OK)
			abort();
		atomic_store_explicit(&ended, round, memory_order_release);
	}
	return unused;
}

static struct lane *make_lane(struct replica *r)
{
	struct lane *lane = calloc(1, sizeof(*lane));

	if (!lane)
		abort();
	lane->waiting.replica = r;
	lane->waiting.queue = queue;
	r->outputs->lanes = lane;
	return lane;
}

int main(void)
{
	static const struct pc_stage_desc desc = {.name = "source", .n_outputs = 1};
	struct pc_queue_options options = {.size = sizeof(options), .capacity = 1};
	struct stage stage = {.desc = &desc};
	struct output output = {.n_lanes = 1};
	struct replica r = {
		.stage = &stage, .engine = &engine, .outputs = &output, .n_outputs = 1};
	uint32_t woken = 0;
	pthread_t taker;

	if (pc_queue_create(&queue, &options) != PC_OK ||
	    pthread_create(&taker, NULL, take, NULL) != 0)
		abort();
	for (uint32_t round = 1; round <= ROUNDS; round++) {
		struct lane *lane = make_lane(&r);

		/* relaxed: no other thread knows of the replica */
		atomic_store_explicit(&r.sched, TASK_RUNNING, memory_order_relaxed);
		if (pc_queue_put(queue, item, 0) != PC_OK || !waiting_arm_put(&lane->waiting))
			abort();
		atomic_store_explicit(&begun, round, memory_order_release);
		/* now and then the taker is first */
		if (round % 2)
			sched_yield();
		waiting_rest(&r);
		memset((void *)lane, 0, sizeof(*lane));
		free(lane);
		while (atomic_load_explicit(&ended, memory_order_acquire) < round)
			sched_yield();
		/* relaxed: the taker has done with it */
		woken += atomic_load_explicit(&r.sched, memory_order_relaxed) != TASK_RUNNING;
	}
	pthread_join(taker, NULL);
	pc_queue_destroy(queue);
	printf("# woken in %u of %u rounds\n", woken, ROUNDS);
	printf("%sok 1 - a lane is free when its replica rests\n1..1\n", woken ? "" : "not ");
	return woken == 0;
}
