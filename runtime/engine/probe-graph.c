/* engine/probe-graph.c: a graph of one stage, in the helper: it begins as the old build had it,
 * swaps to the new one, does the items that were recorded, and ends.
 *
 * Main thread of pcrun-probe; the graph runs on the engine's own threads, one worker. All of it is
 * the engine at work as always (swap_ask(), routes, probation, joins): only the stages around the
 * one and the callbacks of the old build, which has no code here, are stand-ins. Queues and stages
 * around it are made once; a round makes an engine of the plan.
 */
#include "engine/swap-probe.h"

#include "base/clock.h"
#include "base/error.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static struct probe *probe; /* of this process, for the stand-ins */

/* --------------------------------------------------------------------- the stand-ins --- */

/* Before the swap there is nothing to do; the old build's code is not here. */
static int old_produce(struct pc_stage *st, void *state)
{
	(void)state;
	pc_wake_fd(st, probe->gate, PC_FD_READ);
	return PC_AGAIN;
}

static int old_process(struct pc_stage *st, void *state, struct pc_item *item)
{
	(void)state;
	(void)item;
	return pc_fail(st, "an item came before the swap");
}

/* When the swap is done, one item, whatever is in it, and from one of the feeds: probe-calls.c makes
 * all that were recorded of it. */
static int feed_produce(struct pc_stage *st, void *state)
{
	struct pollfd gate = {.fd = probe->gate, .events = POLLIN};

	(void)state;
	if (poll(&gate, 1, 0) == 0) {
		pc_wake_fd(st, probe->gate, PC_FD_READ);
		return PC_AGAIN;
	}
	if (probe->replay && !probe->fed && pc_emit_copy(st, 0, "", 1) != PC_OK)
		return pc_fail(st, "out of memory");
	probe->fed = true;
	return PC_END;
}

static int null_process(struct pc_stage *st, void *state, struct pc_item *item)
{
	(void)st;
	(void)state;
	(void)item;
	return PC_OK;
}

static const struct pc_port any_in[] = {{"in", "*", 0, ""}};
static const struct pc_port any_out[] = {{"out", "*", 0, ""}};
static const struct pc_stage_desc feed = {
	.name = "feed", .doc = "", PC_OUTPUTS(any_out), .produce = feed_produce};
static const struct pc_stage_desc null = {
	.name = "null", .doc = "", PC_INPUTS(any_in), .process = null_process};

/* ---------------------------------------------------------------------- the plan's rest --- */

static uint32_t *one(uint32_t value)
{
	uint32_t *list = malloc(sizeof(*list));

	if (!list)
		probe_end(probe, PROBE_BROKEN, "out of memory");
	*list = value;
	return list;
}

static struct plan_stage *add_stage(struct plan *plan, const struct pc_stage_desc *desc)
{
	struct plan_stage *s = &plan->stages[plan->n_stages++];

	*s = (struct plan_stage){.name = desc->name,
	                         .plugin_name = desc->name,
	                         .desc = desc,
	                         .file = "",
	                         .replicas = 1,
	                         .until = PLAN_NONE,
	                         .section = PLAN_NONE,
	                         .dead_queue = PLAN_NONE};
	s->inputs = calloc(1, sizeof(*s->inputs));
	s->outputs = calloc(1, sizeof(*s->outputs));
	s->params = calloc(1, 1);
	if (!s->inputs || !s->outputs || !s->params)
		probe_end(probe, PROBE_BROKEN, "out of memory");
	return s;
}

static uint32_t add_queue(struct plan *plan, uint32_t writer, uint32_t reader)
{
	struct plan_queue *q = &plan->queues[plan->n_queues];

	*q = (struct plan_queue){.name = "",
	                         .file = "",
	                         .capacity = 64,
	                         .writers = one(writer),
	                         .n_writers = 1,
	                         .readers = one(reader),
	                         .n_readers = 1};
	return plan->n_queues++;
}

static void surround(struct probe *p)
{
	struct plan *plan = &p->plan;
	struct plan_stage *s = p->stage;
	uint32_t n = p->old->n_inputs + p->old->n_outputs;
	struct plan_join *end = &plan->joins[PLAN_JOIN_END];

	plan->queues = calloc(n + 1, sizeof(*plan->queues));
	end->stages = calloc(n + 1, sizeof(*end->stages));
	end->queues = calloc(n + 1, sizeof(*end->queues));
	if (!plan->queues || !end->stages || !end->queues)
		probe_end(p, PROBE_BROKEN, "out of memory");
	for (uint32_t i = 0; i < p->old->n_inputs; i++) {
		struct plan_stage *f = add_stage(plan, &feed);

		s->inputs[i].queue = add_queue(plan, plan->n_stages - 1, 0);
		f->outputs[0].queues = one(s->inputs[i].queue);
		f->outputs[0].n_queues = 1;
	}
	for (uint32_t i = 0; i < p->old->n_outputs; i++) {
		struct plan_stage *sink;

		if (s->outputs[i].n_queues == 0)
			continue;
		sink = add_stage(plan, &null);
		sink->inputs[0].queue = add_queue(plan, 0, plan->n_stages - 1);
		sink->inputs[0].type = "*";
		s->outputs[i].queues = one(sink->inputs[0].queue);
	}
	end->n_stages = plan->n_stages;
	end->n_queues = plan->n_queues;
	for (uint32_t i = 0; i < plan->n_stages; i++)
		end->stages[i] = i;
	for (uint32_t i = 0; i < plan->n_queues; i++)
		end->queues[i] = i;
	if (p->old->n_inputs == 0)
		p->old->produce = old_produce;
	else
		p->old->process = old_process;
}

/* -------------------------------------------------------------------------- a round --- */

static void wait_for_end(struct engine *e)
{
	struct pollfd end = {.fd = e->ended_fd, .events = POLLIN};

	while (poll(&end, 1, -1) < 0 && errno == EINTR)
		continue;
}

void probe_round(struct probe *p, unsigned how)
{
	struct pc_run_options options = {.size = sizeof(options), .workers = 1};
	/* No wait for probation: what fails there, probe-calls.c has seen. */
	struct swap_wish wish = {
		.how = how, .timeout_ns = 60 * PC_SEC, .probation_ns = -PC_SEC};
	struct swap_offer offer = {.desc = &p->calls, .file = p->file};
	struct swap_report report = {0};
	struct pc_error *err = NULL;
	struct engine *e;

	if (!probe) {
		probe = p;
		surround(p);
	}
	probe_step(p, PROBE_BETWEEN);
	p->fed = false;
	p->gate = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->gate < 0 || engine_create(&e, &p->plan, &options, &err) != PC_OK)
		probe_end(p, PROBE_BROKEN, "%s", pc_error_first(err));
	if (p->state && p->old->state_size > 0)
		memcpy(e->stages[0]->replicas[0]->state, p->state, p->old->state_size);
	e->stages[0]->replicas[0]->pub.replicas = p->replicas;
	if (engine_start(e, &err) != PC_OK)
		probe_end(p, PROBE_BROKEN, "%s", pc_error_first(err));
	/* What the engine itself refuses (ports, parameters, layout) it will refuse in the graph,
	 * too, and say it there in its words. */
	if (swap_ask(e, 0, &offer, &wish, &report, &err) == PC_OK)
		eventfd_write(p->gate, 1);
	else
		engine_fail(e, PC_STOPPED, NULL);
	wait_for_end(e);
	engine_destroy(e);
	close(p->gate);
	free(report.words);
	pc_error_free(err);
}
