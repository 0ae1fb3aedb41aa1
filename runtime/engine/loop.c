/* engine/loop.c: cycles of the graph, which end when nothing goes round any more.
 *
 * In a cycle every queue has a writer that waits for the queue to end: it would never. So the
 * writers inside a cycle do not keep its `feedback` queues open; those are closed when all the
 * writers outside have ended and nothing is under way inside. Then the end of stream runs round
 * as anywhere else.
 *
 * "Under way" is one counter for the whole cycle: raised before an item is put into any queue
 * that a stage of the cycle reads, lowered when it is done, and an item is done only when what it
 * led to has been put. So it can not be 0 while there is something. It and the count of writers
 * outside are each changed first and then the other is looked at, both sequentially consistent.
 *
 * loop_find() runs before any thread exists; the rest on any thread.
 *
 * Pairs
 *   L1 loop_done: seq_cst in_flight -> L2 loop_outside_end, loop_quiet: seq_cst in_flight
 *   L3 loop_outside_end: seq_cst outside -> L4 loop_done, loop_quiet: seq_cst outside
 */
#include "engine/engine.h"

#include <stdlib.h>
#include <string.h>

static void mark_loop(struct engine *e, struct loop *loop, const bool *stages)
{
	for (uint32_t i = 0; i < e->plan->n_stages; i++)
		if (stages[i])
			e->stages[i]->loop = loop;
	for (uint32_t q = 0; q < e->plan->n_queues; q++) {
		const struct plan_queue *queue = &e->plan->queues[q];
		bool read_inside = false;

		for (uint32_t i = 0; i < queue->n_readers; i++)
			read_inside |= stages[queue->readers[i]];
		for (struct place *p = e->places[q]; p && read_inside; p = p->next_part)
			p->loop = loop;
	}
}

static int find_one(struct engine *e, uint32_t queue, bool *marks)
{
	struct loop *loop = calloc(1, sizeof(*loop));

	if (!loop)
		return PC_NOMEM;
	plan_mark_cycle(e->plan, queue, marks);
	loop->engine = e;
	loop->message.kind = MESSAGE_QUIET;
	loop->next = e->loops;
	e->loops = loop;
	mark_loop(e, loop, marks);
	return PC_OK;
}

int loop_find(struct engine *e)
{
	bool *marks = NULL;
	int rc = PC_OK;

	for (uint32_t i = 0; i < e->plan->n_queues && !rc; i++) {
		if (!e->plan->queues[i].feedback || e->places[i]->loop)
			continue;
		marks = marks ? marks : malloc(plan_cycle_marks(e->plan));
		rc = marks ? find_one(e, i, marks) : PC_NOMEM;
	}
	free(marks);
	return rc;
}

/* A writer that goes round with the cycle does not keep its feedback queues open. */
bool loop_inside(const struct stage *s, const struct place *p)
{
	return p->plan->feedback && s->loop && s->loop == p->loop;
}

void loop_put(struct loop *loop, size_t n)
{
	/* relaxed: whoever puts is counted itself, outside or by the item it works on */
	atomic_fetch_add_explicit(&loop->in_flight, n, memory_order_relaxed);
}

void loop_done(struct loop *loop, size_t n)
{
	if (atomic_fetch_sub_explicit(&loop->in_flight, n, memory_order_seq_cst) == n /* L1 */
	    && atomic_load_explicit(&loop->outside, memory_order_seq_cst) == 0 /* L4 */)
		control_post(loop->engine, &loop->message);
}

void loop_outside_end(struct loop *loop)
{
	if (atomic_fetch_sub_explicit(&loop->outside, 1, memory_order_seq_cst) == 1 /* L3 */ &&
	    atomic_load_explicit(&loop->in_flight, memory_order_seq_cst) == 0 /* L2 */)
		control_post(loop->engine, &loop->message);
}

void loop_quiet(struct loop *loop)
{
	struct engine *e = loop->engine;

	/* It was so when it was posted; but a reload may have brought a writer in between. */
	if (loop->closed ||
	    atomic_load_explicit(&loop->outside, memory_order_seq_cst) > 0 || /* L4 */
	    atomic_load_explicit(&loop->in_flight, memory_order_seq_cst) > 0) /* L2 */
		return;
	loop->closed = true;
	for (uint32_t i = 0; i < e->plan->n_queues; i++)
		for (struct place *p = e->places[i]; p; p = p->next_part)
			if (p->loop == loop && p->plan->feedback)
				pc_queue_writer_end(p->queue);
}
