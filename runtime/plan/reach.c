/* plan/reach.c: which stages are part of a cycle. Called with a plan that has been checked, by the
 * control thread: the engine closes cycles, a reload compares them. */
#include "plan/plan.h"

#include <string.h>

/* Marks all stages and queues that can be reached from queue `from`, along or against the flow. */
static void reach(const struct plan *plan, uint32_t from, bool forward, bool *stages,
                  bool *queues)
{
	bool more = true;

	queues[from] = true;
	while (more) {
		more = false;
		for (uint32_t q = 0; q < plan->n_queues; q++) {
			const struct plan_queue *queue = &plan->queues[q];
			const uint32_t *ahead = forward ? queue->readers : queue->writers;
			const uint32_t *behind = forward ? queue->writers : queue->readers;
			uint32_t n_ahead = forward ? queue->n_readers : queue->n_writers;
			uint32_t n_behind = forward ? queue->n_writers : queue->n_readers;

			if (queue->gone)
				continue;
			for (uint32_t i = 0; i < n_behind && !queues[q]; i++)
				if (stages[behind[i]])
					queues[q] = more = true;
			for (uint32_t i = 0; i < n_ahead && queues[q]; i++)
				if (!stages[ahead[i]])
					stages[ahead[i]] = more = true;
		}
	}
}

size_t plan_cycle_marks(const struct plan *plan)
{
	return 2 * ((size_t)plan->n_stages + plan->n_queues) * sizeof(bool);
}

void plan_mark_cycle(const struct plan *plan, uint32_t queue, bool *marks)
{
	bool *up = marks + plan->n_stages;
	bool *queues_down = up + plan->n_stages, *queues_up = queues_down + plan->n_queues;

	memset(marks, 0, plan_cycle_marks(plan));
	reach(plan, queue, true, marks, queues_down);
	reach(plan, queue, false, up, queues_up);
	for (uint32_t i = 0; i < plan->n_stages; i++)
		marks[i] = marks[i] && up[i];
}
