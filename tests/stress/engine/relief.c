/* stress/engine/relief.c: both workers are in a stage that does not come back before others have run.
 *
 *   source -> fan -> first, second, third     two workers
 *
 * The fan gives an item to the first and the second, and has one more, for the third. The worker that
 * ran it goes on with the first, which waits for the third. The other one sees that it is stuck, takes
 * the second out of its FIFO, and is stuck as well. The fan is left in the FIFO of the one that was
 * stuck before: that it waits there must be known, so that one more worker comes (relief.c).
 */
#include "graph.h"

#include "base/clock.h"
#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE_NS (20 * PC_SEC)

/* relaxed: a flag of the test */
static _Atomic bool third_has_run;

static int produce(struct pc_stage *st, void *state)
{
	(void)state;
	/* both workers are parked by then, most likely */
	nanosleep(&(struct timespec){0, 20000000}, NULL);
	for (uint32_t i = 0; i < 2; i++)
		if (pc_emit_copy(st, 0, &i, sizeof(i)))
			return pc_fail(st, "emit");
	return PC_END;
}

static int fan(struct pc_stage *st, void *state, struct pc_item *item)
{
	uint32_t i;

	(void)state;
	memcpy(&i, item->data, sizeof(i));
	if (i > 0)
		return pc_emit_copy(st, 2, &i, sizeof(i));
	return pc_emit_copy(st, 0, &i, sizeof(i)) ? PC_ERROR
	                                          : pc_emit_copy(st, 1, &i, sizeof(i));
}

static int wait_for_third(struct pc_stage *st, void *state, struct pc_item *item)
{
	int64_t until = clock_now_ns() + PATIENCE_NS;

	(void)state;
	(void)item;
	/* relaxed: as above */
	while (!atomic_load_explicit(&third_has_run, memory_order_relaxed)) {
		if (clock_now_ns() > until)
			return pc_fail(st, "nobody runs the fan");
		nanosleep(&(struct timespec){0, 1000000}, NULL);
	}
	return PC_OK;
}

static int third(struct pc_stage *st, void *state, struct pc_item *item)
{
	(void)st;
	(void)state;
	(void)item;
	/* relaxed: as above */
	atomic_store_explicit(&third_has_run, true, memory_order_relaxed);
	return PC_OK;
}

static const struct pc_port ports[] = {{"a", "*", 0, ""}, {"b", "*", 0, ""}, {"c", "*", 0, ""}};
static const struct pc_stage_desc source_desc = {
	.name = "source", .outputs = ports, .n_outputs = 1, .produce = produce};
static const struct pc_stage_desc fan_desc = {.name = "fan",
                                              .inputs = ports,
                                              .n_inputs = 1,
                                              .outputs = ports,
                                              .n_outputs = 3,
                                              .process = fan};
static const struct pc_stage_desc waits_desc = {
	.name = "waits", .inputs = ports, .n_inputs = 1, .process = wait_for_third};
static const struct pc_stage_desc third_desc = {
	.name = "third", .inputs = ports, .n_inputs = 1, .process = third};

int main(void)
{
	struct pc_run_options options = {.size = sizeof(options), .workers = 2};
	const struct pc_stage_desc *readers[] = {&waits_desc, &waits_desc, &third_desc};
	static const char *const names[] = {"first", "second", "third"};
	struct plan_stage *source, *fan_stage;
	struct plan_queue *q;
	struct graph g;
	int rc;

	graph_init(&g);
	source = graph_stage(&g, "source", &source_desc, NULL, 1);
	fan_stage = graph_stage(&g, "fan", &fan_desc, NULL, 1);
	q = graph_queue(&g, "in", 16);
	graph_write(&g, source, 0, q);
	graph_read(&g, fan_stage, 0, q);
	for (uint32_t i = 0; i < 3; i++) {
		q = graph_queue(&g, names[i], 16);
		graph_write(&g, fan_stage, i, q);
		graph_read(&g, graph_stage(&g, names[i], readers[i], NULL, 1), 0, q);
	}
	rc = graph_start(&g, &options);
	rc = rc ? rc : graph_wait(&g);
	if (rc)
		printf("# %s\n",
		       g.engine && g.engine->error ? pc_error_text(g.engine->error) : "");
	printf("%sok 1 - what is left in the FIFO of one who was stuck first\n1..1\n",
	       rc == PC_OK ? "" : "not ");
	graph_fini(&g);
	return rc != PC_OK;
}
