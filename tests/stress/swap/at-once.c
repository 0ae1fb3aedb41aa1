/* stress/swap/at-once.c: a cut that comes while a replica is at work is passed as soon as that has
 * finished what it took before.
 *
 *   source -> eater     one worker: between two activations of the eater comes the source's turn
 *
 * The eater's item waits until the swap has been begun. From then on to the first item on new code its
 * worker begins no other activation, so the items behind the cut wait for nobody else. That holds for
 * one cut an activation: an item of the one in which a cut was passed does not wait for the next.
 */
#include "../engine/graph.h"

#include "base/clock.h"
#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>

#define SWAPS       20
#define CAPACITY    64
#define ITEM_NS     20000 /* so that a take is a few items, and the queue is full */
#define PATIENCE_NS (20 * PC_SEC)

struct eater {
	const struct pc_stage_desc *last;
	uint32_t ticks;  /* of the worker, at the last item */
	uint32_t passed; /* likewise, at the first item behind the last cut */
};

static struct graph g;
/* relaxed throughout: flags and figures of the test */
static _Atomic uint32_t wanted, waits, passed, late;
static _Atomic bool enough;

static void set(_Atomic uint32_t *at, uint32_t value)
{
	atomic_store_explicit(at, value, memory_order_relaxed); /* a figure */
}

static uint32_t value(_Atomic uint32_t *at)
{
	return atomic_load_explicit(at, memory_order_relaxed); /* a figure */
}

static bool wait_for(_Atomic uint32_t *at, uint32_t least)
{
	int64_t until = clock_now_ns() + PATIENCE_NS;

	while (value(at) < least && clock_now_ns() < until)
		nanosleep(&(struct timespec){0, 100000}, NULL);
	return value(at) >= least;
}

static int produce(struct pc_stage *st, void *state)
{
	(void)state;
	for (uint32_t i = 0; i < st->batch_hint; i++)
		if (pc_emit_copy(st, 0, &i, sizeof(i)))
			return pc_fail(st, "emit");
	/* relaxed: a flag */
	return atomic_load_explicit(&enough, memory_order_relaxed) ? PC_END : PC_OK;
}

/* The control thread has begun it. */
static bool begun(const struct replica *r)
{
	/* relaxed: only whether there is one */
	const struct cut *cut =
		atomic_load_explicit(&r->stage->swap.target, memory_order_relaxed);

	return cut && cut != r->swap.cut;
}

static int process(struct pc_stage *st, void *state, struct pc_item *item)
{
	struct replica *r = replica_of(st);
	struct worker *w = (struct worker *)(void *)r->scratch;
	struct eater *s = state;
	/* relaxed: our own thread's */
	uint32_t ticks = atomic_load_explicit(&w->ticks, memory_order_relaxed);
	int64_t until = clock_now_ns() + ITEM_NS;

	(void)item;
	if (s->last && s->last != r->build->desc) {
		set(&late, value(&late) + (ticks != s->ticks));
		set(&passed, value(&passed) + 1);
		s->passed = ticks;
	}
	s->last = r->build->desc;
	s->ticks = ticks;
	while (clock_now_ns() < until)
		continue;
	/* Something must be left for the new code, or it has to wait for the source. */
	if (value(&wanted) > value(&waits) && s->passed != ticks &&
	    queue_fill(r->inputs->place->queue) > 0) {
		set(&waits, value(&waits) + 1);
		for (until = clock_now_ns() + PATIENCE_NS; !begun(r);)
			if (clock_now_ns() > until)
				return pc_fail(st, "no swap comes");
	}
	return PC_OK;
}

static const struct pc_port ports[] = {{"port", "*", 0, ""}};
static const struct pc_stage_desc source_desc = {
	.name = "source", .outputs = ports, .n_outputs = 1, .produce = produce};
static const struct pc_stage_desc eater_desc = {.name = "eater",
                                                .inputs = ports,
                                                .n_inputs = 1,
                                                .state_size = sizeof(struct eater),
                                                .process = process};

static bool free_desc(void *desc, struct buf *why)
{
	(void)why;
	free(desc);
	return true;
}

static int swap(void)
{
	struct pc_stage_desc *desc = malloc(sizeof(*desc));
	struct swap_offer offer = {.desc = desc, .release = free_desc, .user = desc};
	struct swap_wish wish = {.timeout_ns = 60 * PC_SEC};
	struct pc_error *err = NULL;
	struct swap_report report;
	int rc;

	if (!desc)
		return PC_NOMEM;
	*desc = eater_desc;
	rc = swap_ask(g.engine, 1, &offer, &wish, &report, &err);
	if (err)
		printf("# %s\n", pc_error_text(err));
	pc_error_free(err);
	free(report.words);
	return rc;
}

int main(void)
{
	struct pc_run_options options = {.size = sizeof(options), .workers = 1};
	struct plan_stage *source, *eater;
	struct plan_queue *q;
	uint32_t swaps = 0;
	bool ok;
	int rc;

	graph_init(&g);
	q = graph_queue(&g, "q", CAPACITY);
	source = graph_stage(&g, "source", &source_desc, NULL, 1);
	eater = graph_stage(&g, "eater", &eater_desc, NULL, 1);
	graph_write(&g, source, 0, q);
	graph_read(&g, eater, 0, q);
	rc = graph_start(&g, &options);
	while (rc == PC_OK && swaps < SWAPS) {
		set(&wanted, swaps + 1);
		if (!wait_for(&waits, swaps + 1) || swap() != PC_OK ||
		    !wait_for(&passed, swaps + 1))
			break;
		swaps++;
	}
	/* relaxed: a flag */
	atomic_store_explicit(&enough, true, memory_order_relaxed);
	rc = rc ? rc : graph_wait(&g);
	if (rc)
		printf("# %s\n", g.engine->error ? pc_error_text(g.engine->error) : "");
	ok = rc == PC_OK && swaps == SWAPS && value(&late) == 0;
	printf("# %u swaps, at %u of them the worker did something else first\n", swaps,
	       value(&late));
	printf("%sok 1 - a cut is passed at once\n1..1\n", ok ? "" : "not ");
	graph_fini(&g);
	return !ok;
}
