/* engine/explain.c: who does what and waits for whom, in words.
 *
 * Called on any thread while the graph runs: it reads what replicas say of themselves and what
 * queues look like, so a line may be a moment old.
 */
#include "engine/engine.h"

#include <inttypes.h>

static const char *place_state(const struct place *p, struct buf *text)
{
	size_t fill = queue_fill(p->queue);

	buf_addf(text, "'%s' (%zu of %u)", p->plan->name, fill, p->plan->capacity);
	return text->text;
}

/* One that has items is one that the stage does not want now, and one that is drained brings none. */
static bool is_missed(const struct place *p)
{
	return queue_fill(p->queue) == 0 && !flag_is(&p->drained);
}

static void inputs(const struct replica *r, struct buf *out)
{
	const char *comma = " ";
	bool all = true; /* something has come meanwhile */

	for (uint32_t i = 0; i < r->stage->desc->n_inputs; i++)
		all = all && !is_missed(r->inputs[i].place);
	buf_adds(out, "waits for input from");
	for (uint32_t i = 0; i < r->stage->desc->n_inputs; i++) {
		if (!all && !is_missed(r->inputs[i].place))
			continue;
		buf_adds(out, comma);
		place_state(r->inputs[i].place, out);
		comma = ", ";
	}
}

static void outputs(const struct replica *r, struct buf *out)
{
	const char *comma = " ";

	buf_adds(out, "waits for room in");
	for (uint32_t i = 0; i < r->n_outputs; i++)
		for (uint32_t k = 0; k < r->outputs[i].n_lanes; k++) {
			const struct place *p = r->outputs[i].lanes[k].place;

			if (queue_room(p->queue) > 0)
				continue;
			buf_adds(out, comma);
			place_state(p, out);
			comma = ", ";
		}
}

static void held(const struct replica *r, struct buf *out)
{
	const struct engine *e = r->engine;
	const struct join *j = &e->joins[r->stage->plan->start];

	buf_addf(out, "waits for the join '%s'", j->plan->name);
	for (uint32_t i = 0; i < j->plan->n_stages; i++)
		if (!flag_is(&e->stages[j->plan->stages[i]]->ended))
			buf_addf(out, ", which waits for the end of '%s'",
			         e->stages[j->plan->stages[i]]->plan->name);
	for (uint32_t i = 0; i < j->plan->n_queues; i++) {
		const struct place *p = e->places[j->plan->queues[i]];

		if (!flag_is(&p->drained)) {
			buf_adds(out, ", which waits until this is drained: ");
			place_state(p, out);
		}
	}
}

/* In a run queue: for a moment, or for as long as others do not come back from their code. */
static void ready(const struct replica *r, struct buf *out)
{
	buf_adds(out, "is ready to run");
	if (!r->has_thread)
		buf_addf(out, ", as soon as %s is free",
		         pool_size(&r->engine->pool) == 1 ? "the only worker" : "a worker");
}

static void replica(const struct replica *r, struct buf *out)
{
	/* relaxed: a snapshot */
	enum doing doing = (enum doing)atomic_load_explicit((_Atomic int *)(uintptr_t)&r->doing,
	                                                    memory_order_relaxed);

	buf_addf(out, "  %s", r->pub.name);
	if (r->pub.replicas > 1)
		buf_addf(out, "[%u]", r->pub.replica);
	buf_adds(out, " ");
	/* It still says what it waited for when it was woken. relaxed: a snapshot */
	if (atomic_load_explicit((_Atomic uint32_t *)(uintptr_t)&r->sched,
	                         memory_order_relaxed) == TASK_QUEUED)
		doing = DOING_READY;
	switch (doing) {
	case DOING_HELD:
		held(r, out);
		break;
	case DOING_READY:
		ready(r, out);
		break;
	case DOING_CALLBACK:
		buf_adds(out, "is in its own code");
		break;
	case DOING_INPUT:
		inputs(r, out);
		break;
	case DOING_OUTPUT:
		outputs(r, out);
		break;
	case DOING_WAKE:
		buf_adds(out, "waits for the time or the descriptor it asked for");
		break;
	case DOING_SLEEP:
		buf_adds(out, "sleeps, or waits for a descriptor, in its own code");
		break;
	case DOING_SECTION:
		buf_addf(out, "waits for the critical section '%s'",
		         r->stage->section->plan->name);
		break;
	case DOING_TURN:
		buf_adds(out, "waits until the items before its own have left");
		break;
	case DOING_ENDED:
		buf_adds(out, "has ended");
		break;
	case DOING_CLOSE_NEXT:
		buf_adds(out, "has ended, and waits for its close()");
		break;
	case DOING_CLOSE:
		buf_adds(out, "has ended, and is in its close()");
		break;
	}
	buf_addc(out, '\n');
}

void explain(struct engine *e, struct buf *out)
{
	for (uint32_t i = 0; i < e->plan->n_stages; i++)
		for (uint32_t k = 0; k < e->stages[i]->n_replicas; k++)
			replica(e->stages[i]->replicas[k], out);
}
