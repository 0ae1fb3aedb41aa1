/* stress/swap/last.c: a swap for which replicas rest, and one of them that has taken its last item.
 *
 * An ordered stage with two replicas. One has more to send than there is room for, and it is its
 * turn; the other has ended by itself, and waits for its turn behind that one. Then a build comes
 * that migrates: the first rests, with what it has to send in its hands; the second takes nothing any
 * more, and can not end before the first has sent. Meanwhile the sink comes back and waits, so that
 * nobody is awake. Nothing of that is a deadlock, nor may it last: all items arrive, in order.
 */
#include "../engine/graph.h"

#include "base/clock.h"
#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE_MS 20000

struct state {
	uint32_t n;
};

/* relaxed throughout: flags and figures of the test */
static _Atomic uint32_t begun, migrated, standing, sink_may_go, arrived, disorder;

static void count(_Atomic uint32_t *at)
{
	atomic_fetch_add_explicit(at, 1, memory_order_relaxed); /* a figure */
}

static uint32_t value(_Atomic uint32_t *at)
{
	return atomic_load_explicit(at, memory_order_relaxed); /* a figure */
}

static bool wait_for(_Atomic uint32_t *at, uint32_t least)
{
	struct timespec t = {0, 1000000};

	for (int i = 0; i < PATIENCE_MS && value(at) < least; i++)
		nanosleep(&t, NULL);
	return value(at) >= least;
}

static int produce(struct pc_stage *st, void *state)
{
	(void)state;
	for (uint32_t i = 0; i < 2; i++)
		if (pc_emit_copy(st, 0, &i, sizeof(i)))
			return PC_ERROR;
	return PC_END;
}

/* The first item becomes three, the second one, behind which its replica ends. */
static int process(struct pc_stage *st, void *state, struct pc_item *item)
{
	uint32_t i, n = 1, first = 3;

	(void)state;
	memcpy(&i, item->data, sizeof(i));
	count(&begun);
	if (!wait_for(&begun, 2))
		return pc_fail(st, "the other replica takes nothing");
	if (i == 0) {
		n = 3;
		first = 0;
	}
	for (uint32_t k = first; k < first + n; k++)
		if (pc_emit_copy(st, 0, &k, sizeof(k)))
			return PC_ERROR;
	return i == 0 ? PC_OK : PC_END;
}

static int migrate(struct pc_stage *st, uint32_t old_version, const void *old_state,
                   size_t old_size, void *new_state)
{
	(void)st;
	(void)old_version;
	memcpy(new_state, old_state, old_size);
	count(&migrated);
	return PC_OK;
}

static int sink(struct pc_stage *st, void *state, struct pc_item *item)
{
	uint32_t i;

	(void)state;
	memcpy(&i, item->data, sizeof(i));
	if (i != value(&arrived))
		count(&disorder);
	count(&arrived);
	count(&standing);
	return wait_for(&sink_may_go, 1) ? PC_OK : pc_fail(st, "nobody lets the sink go");
}

static const struct pc_port ports[] = {{"a", "*", 0, ""}};
static const struct pc_stage_desc source_desc = {.name = "source",
                                                 .outputs = ports,
                                                 .n_outputs = 1,
                                                 .state_size = sizeof(struct state),
                                                 .produce = produce};
static const struct pc_stage_desc mid_desc = {.name = "mid",
                                              .inputs = ports,
                                              .n_inputs = 1,
                                              .outputs = ports,
                                              .n_outputs = 1,
                                              .state_size = sizeof(struct state),
                                              .process = process};
static const struct pc_stage_desc sink_desc = {.name = "sink",
                                               .flags = PC_BLOCKING,
                                               .inputs = ports,
                                               .n_inputs = 1,
                                               .state_size = sizeof(struct state),
                                               .process = sink};

static struct graph g;
static struct pc_stage_desc later_desc;

static void *swap(void *result)
{
	struct swap_offer offer = {.desc = &later_desc};
	struct swap_wish wish = {.timeout_ns = 3 * PC_SEC};
	struct swap_report report;
	struct pc_error *err = NULL;

	*(int *)result = swap_ask(g.engine, 1, &offer, &wish, &report, &err);
	if (err)
		printf("# %s\n", pc_error_text(err));
	pc_error_free(err);
	free(report.words);
	return NULL;
}

static int n_tests, n_failed;

static void report(bool ok, const char *what)
{
	printf("%sok %d - %s\n", ok ? "" : "not ", ++n_tests, what);
	n_failed += !ok;
}

int main(void)
{
	struct pc_run_options options = {.size = sizeof(options), .workers = 3};
	struct plan_stage *s[3];
	struct plan_queue *q[2];
	struct timespec moment = {0, 20000000};
	pthread_t thread;
	int rc, swapped;

	later_desc = mid_desc;
	later_desc.state_version = 2;
	later_desc.migrate = migrate;
	graph_init(&g);
	q[0] = graph_queue(&g, "in", 16);
	q[1] = graph_queue(&g, "out", 1);
	s[0] = graph_stage(&g, "source", &source_desc, NULL, 1);
	s[1] = graph_stage(&g, "mid", &mid_desc, NULL, 2);
	s[1]->ordered = true;
	s[2] = graph_stage(&g, "sink", &sink_desc, NULL, 1);
	graph_write(&g, s[0], 0, q[0]);
	graph_read(&g, s[1], 0, q[0]);
	graph_write(&g, s[1], 0, q[1]);
	graph_read(&g, s[2], 0, q[1]);
	rc = graph_start(&g, &options);
	if (rc || !wait_for(&standing, 1))
		return 1;
	/* Both sleep by now, one for room, the other for its turn. */
	nanosleep(&moment, NULL);
	if (pthread_create(&thread, NULL, swap, &swapped))
		return 1;
	report(wait_for(&migrated, 1), "the one that goes on rests, and migrates");
	/* and sleeps; nothing depends on that it does already */
	nanosleep(&moment, NULL);
	count(&sink_may_go);
	rc = graph_wait(&g);
	if (rc)
		printf("# %s\n", g.engine->error ? pc_error_text(g.engine->error) : "");
	pthread_join(thread, NULL);
	report(swapped == PC_OK, "the swap does not wait for the one that ends");
	report(rc == PC_OK && value(&arrived) == 4 && value(&disorder) == 0,
	       "all items arrive, in order");
	graph_fini(&g);
	printf("1..%d\n", n_tests);
	return n_failed != 0;
}
