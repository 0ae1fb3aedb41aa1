/* plan/retype.c: what flows through every queue when some stages have other tables than planned.
 *
 * Called by the engine on its control thread, before builds of several stages are swapped at once.
 * A graph that has been planned stays wired as it is; only the descriptors are others, and their
 * ports are found by the names that the plan's have. The types are solved as in types.c, from below
 * and over the whole graph: an output "=in" passes a new type on, however far. Then two such
 * solutions are compared: what did not fit before, or is as it was, is nobody's mistake now.
 */
#include "plan/plan.h"

#include <stdlib.h>
#include <string.h>

static const char any[] = "*";

bool plan_fits(const char *a, const char *b)
{
	size_t a_size = strlen(a), b_size = strlen(b), size;
	bool a_open = a_size > 0 && a[a_size - 1] == '*';
	bool b_open = b_size > 0 && b[b_size - 1] == '*';

	a_size -= a_open;
	b_size -= b_open;
	size = a_size < b_size ? a_size : b_size;
	if (memcmp(a, b, size) != 0)
		return false;
	return a_size == b_size || (a_size < b_size ? a_open : b_open);
}

static bool is_same(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static const char *merge(const char *a, const char *b)
{
	if (!a || !b)
		return a ? a : b;
	return strcmp(a, b) == 0 ? a : any;
}

static const struct pc_port *port_named(const struct pc_port *ports, uint32_t n,
                                        const char *name)
{
	for (uint32_t i = 0; i < n; i++)
		if (strcmp(ports[i].name, name) == 0)
			return &ports[i];
	return NULL;
}

const char *plan_taken(const struct plan_flow *f, uint32_t stage, uint32_t input)
{
	const struct pc_stage_desc *was = f->plan->stages[stage].desc, *d = f->descs[stage];
	const struct pc_port *port =
		port_named(d->inputs, d->n_inputs, was->inputs[input].name);

	return port ? port->type : NULL;
}

uint32_t plan_passes(const struct plan_flow *f, uint32_t stage, uint32_t output)
{
	const struct pc_stage_desc *was = f->plan->stages[stage].desc, *d = f->descs[stage];
	const struct pc_port *port =
		port_named(d->outputs, d->n_outputs, was->outputs[output].name);

	for (uint32_t i = 0; port && port->type[0] == '=' && i < was->n_inputs; i++)
		if (strcmp(was->inputs[i].name, port->type + 1) == 0)
			return i;
	return PLAN_NONE;
}

static const char *arrives(const struct plan_flow *f, uint32_t stage, uint32_t input)
{
	const char *comes = f->types[f->plan->stages[stage].inputs[input].queue];
	const char *taken = plan_taken(f, stage, input);

	if (!comes || !taken)
		return comes;
	return strcmp(comes, any) != 0 && plan_fits(comes, taken) ? comes : taken;
}

const char *plan_sent(const struct plan_flow *f, uint32_t stage, uint32_t output)
{
	const struct pc_stage_desc *was = f->plan->stages[stage].desc, *d = f->descs[stage];
	uint32_t input = plan_passes(f, stage, output);
	const struct pc_port *port;

	if (input != PLAN_NONE)
		return arrives(f, stage, input);
	port = port_named(d->outputs, d->n_outputs, was->outputs[output].name);
	return port ? port->type : NULL;
}

/* Failed items are what the stage takes. */
static const char *sent_dead(const struct plan_flow *f, uint32_t stage)
{
	const struct plan_stage *s = &f->plan->stages[stage];
	const char *type = NULL;

	for (uint32_t i = 0; i < s->desc->n_inputs; i++)
		type = merge(type, f->types[s->inputs[i].queue]);
	return type;
}

bool plan_writes(const struct plan_stage *s, uint32_t output, uint32_t queue)
{
	const struct plan_output *o = &s->outputs[output];

	for (uint32_t i = 0; i < o->n_queues; i++)
		if (o->queues[i] == queue)
			return true;
	return false;
}

/* ----------------------------------------------------------------------------- solving --- */

struct work {
	uint32_t *stages, n;
	bool *listed;
};

static void list(const struct plan_flow *f, struct work *work, uint32_t stage)
{
	if (work->listed[stage] || f->plan->stages[stage].gone)
		return;
	work->listed[stage] = true;
	work->stages[work->n++] = stage;
}

static void flow_into(struct plan_flow *f, struct work *work, uint32_t queue, const char *type)
{
	const struct plan_queue *q = &f->plan->queues[queue];
	const char *both = merge(f->types[queue], type);

	if (is_same(both, f->types[queue]))
		return;
	f->types[queue] = both;
	for (uint32_t i = 0; i < q->n_readers; i++)
		list(f, work, q->readers[i]);
}

static void flow_from(struct plan_flow *f, struct work *work, uint32_t stage)
{
	const struct plan_stage *s = &f->plan->stages[stage];

	for (uint32_t i = 0; i < s->desc->n_outputs; i++)
		for (uint32_t k = 0; k < s->outputs[i].n_queues; k++)
			flow_into(f, work, s->outputs[i].queues[k], plan_sent(f, stage, i));
	if (s->dead_queue != PLAN_NONE)
		flow_into(f, work, s->dead_queue, sent_dead(f, stage));
}

bool plan_flow_solve(struct plan_flow *f)
{
	uint32_t n = f->plan->n_stages;
	struct work work = {.stages = calloc(n + 1, sizeof(uint32_t)),
	                    .listed = calloc(n + 1, 1)};

	f->types = calloc(f->plan->n_queues + 1, sizeof(*f->types));
	if (!work.stages || !work.listed || !f->types) {
		free(work.stages);
		free(work.listed);
		return false;
	}
	for (uint32_t i = n; i > 0; i--)
		list(f, &work, i - 1);
	while (work.n > 0) {
		uint32_t stage = work.stages[--work.n];

		work.listed[stage] = false;
		flow_from(f, &work, stage);
	}
	free(work.stages);
	free(work.listed);
	return true;
}

void plan_flow_fini(struct plan_flow *f)
{
	free(f->types);
	f->types = NULL;
}

/* --------------------------------------------------------------------------- comparing --- */

/* What a writer sends against each input that takes from the queue. */
static bool check_readers(const struct plan_flow *was, const struct plan_flow *is,
                          uint32_t queue, const char *before, const char *now,
                          struct plan_mismatch *ret)
{
	const struct plan_queue *q = &is->plan->queues[queue];

	for (uint32_t i = 0; now && i < q->n_readers; i++) {
		const struct plan_stage *s = &is->plan->stages[q->readers[i]];

		for (uint32_t k = 0; !s->gone && k < s->desc->n_inputs; k++) {
			const char *takes;

			if (s->inputs[k].queue != queue)
				continue;
			takes = plan_taken(is, q->readers[i], k);
			if (!takes || plan_fits(now, takes) ||
			    (is_same(before, now) &&
			     is_same(takes, plan_taken(was, q->readers[i], k))))
				continue;
			ret->reader = q->readers[i];
			ret->input = k;
			ret->sent = now;
			ret->taken = takes;
			return false;
		}
	}
	return true;
}

bool plan_flow_fits(const struct plan_flow *was, const struct plan_flow *is,
                    struct plan_mismatch *ret)
{
	for (uint32_t w = 0; w < is->plan->n_stages; w++) {
		const struct plan_stage *s = &is->plan->stages[w];

		if (s->gone)
			continue;
		*ret = (struct plan_mismatch){.writer = w};
		for (uint32_t i = 0; i < s->desc->n_outputs; i++)
			for (uint32_t k = 0; k < s->outputs[i].n_queues; k++) {
				ret->output = i;
				if (!check_readers(was, is, s->outputs[i].queues[k],
				                   plan_sent(was, w, i), plan_sent(is, w, i),
				                   ret))
					return false;
			}
		ret->output = PLAN_NONE;
		if (s->dead_queue != PLAN_NONE &&
		    !check_readers(was, is, s->dead_queue, sent_dead(was, w), sent_dead(is, w),
		                   ret))
			return false;
	}
	return true;
}
