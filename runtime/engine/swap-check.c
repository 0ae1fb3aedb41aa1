/* engine/swap-check.c: whether a build may stand in for another in this graph.
 *
 * Control thread. What is fixed while a graph runs: which queues feed a stage and which it fills,
 * on what kind of thread it runs, how many replicas it has, and what flows through each queue. So
 * ports are compared by name with what the graph has wired, and everything that does not fit is
 * refused with the names of the stages at the other end. A port that the graph does not use may
 * come, go and change. Of stages that are swapped as a set only the types' fit is looked at
 * elsewhere, for all of them together (swap-set-check.c); what flows may be another type after that,
 * so what a port sends is asked of the build in force, and not of the one in the plan.
 */
#include "engine/engine.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

static const struct pc_port *port_named(const struct pc_port *ports, uint32_t n,
                                        const char *name, uint32_t *ret_index)
{
	for (uint32_t i = 0; i < n; i++)
		if (strcmp(ports[i].name, name) == 0) {
			*ret_index = i;
			return &ports[i];
		}
	return NULL;
}

static void peers(const struct engine *e, const uint32_t *stages, uint32_t n, struct buf *out)
{
	for (uint32_t i = 0; i < n; i++)
		buf_addf(out, "%s'%s'", i ? ", " : "", e->plan->stages[stages[i]].name);
}

const char *swap_flows(const struct engine *e, const struct plan_input *in)
{
	const char *other = e->places[in->queue]->type;

	return other ? other : in->type;
}

static int check_input(struct stage *s, uint32_t index, const struct build *from,
                       struct build *to, uint32_t *map, unsigned how, struct pc_error **err)
{
	const struct plan_input *in = &s->plan->inputs[index];
	const struct plan_queue *q = &s->engine->plan->queues[in->queue];
	const char *name = s->desc->inputs[index].name, *comes = swap_flows(s->engine, in);
	const struct pc_port *was, *is;
	struct buf writers = {0};
	uint32_t at;
	int rc = PC_OK;

	was = port_named(from->desc->inputs, from->desc->n_inputs, name, &at);
	is = port_named(to->desc->inputs, to->desc->n_inputs, name, &map[index]);
	if (is && ((how & SWAP_SET) || (was && strcmp(is->type, was->type) == 0) ||
	           plan_fits(comes, is->type)))
		return PC_OK;
	peers(s->engine, q->writers, q->n_writers, &writers);
	if (!is)
		rc = error_set(err, PC_WRONG, "input '%s' is gone, which %s writes to", name,
		               writers.text ? writers.text : "nobody");
	else
		rc = error_set(err, PC_WRONG,
		               "input '%s' takes %s now, but %s sends %s: swap all of them, or "
		               "restart",
		               name, is->type, writers.text ? writers.text : "nobody", comes);
	to->neighbours = is != NULL;
	buf_fini(&writers);
	return rc;
}

/* What flows out of a port: "=in" is what comes in there. */
static const char *sent(const struct stage *s, const struct pc_port *port)
{
	uint32_t index;

	if (port->type[0] == '=' &&
	    port_named(s->desc->inputs, s->desc->n_inputs, port->type + 1, &index))
		return swap_flows(s->engine, &s->plan->inputs[index]);
	return port->type;
}

static int check_output(struct stage *s, uint32_t index, const struct build *from,
                        struct build *to, uint32_t *map, unsigned how, struct pc_error **err)
{
	const struct plan_output *out = &s->plan->outputs[index];
	const char *name = s->desc->outputs[index].name;
	const struct pc_port *was, *is;
	struct buf readers = {0};
	uint32_t at = 0, before;
	int rc;

	was = port_named(from->desc->outputs, from->desc->n_outputs, name, &before);
	is = port_named(to->desc->outputs, to->desc->n_outputs, name, &at);
	if (is)
		map[at] = index;
	if (out->n_queues == 0 ||
	    (is && ((how & SWAP_SET) || (was && (strcmp(is->type, was->type) == 0 ||
	                                         strcmp(sent(s, is), sent(s, was)) == 0)))))
		return PC_OK;
	for (uint32_t i = 0; i < out->n_queues; i++) {
		const struct plan_queue *q = &s->engine->plan->queues[out->queues[i]];

		buf_adds(&readers, i ? ", " : "");
		peers(s->engine, q->readers, q->n_readers, &readers);
	}
	if (!is)
		rc = error_set(err, PC_WRONG, "output '%s' is gone, which %s reads", name,
		               readers.text ? readers.text : "nobody");
	else
		rc = error_set(
			err, PC_WRONG,
			"output '%s' sends %s now instead of %s, which %s reads: swap all "
			"of them, or restart",
			name, is->type, was ? sent(s, was) : "nothing",
			readers.text ? readers.text : "nobody");
	to->neighbours = is != NULL;
	buf_fini(&readers);
	return rc;
}

static bool same_order(const uint32_t *map, uint32_t n, uint32_t n_graph)
{
	for (uint32_t i = 0; i < n; i++)
		if (map[i] != (i < n_graph ? i : PLAN_NONE))
			return false;
	return true;
}

static int check_ports(struct stage *s, const struct build *from, struct build *to,
                       unsigned how, struct pc_error **err)
{
	const struct pc_stage_desc *old = s->desc, *new = to->desc;
	uint32_t *in = calloc(old->n_inputs + 1, sizeof(*in));
	uint32_t *out = malloc((new->n_outputs + 1) * sizeof(*out));
	int rc = in && out ? PC_OK : error_set(err, PC_NOMEM, "out of memory");

	for (uint32_t i = 0; i < new->n_outputs && !rc; i++)
		out[i] = PLAN_NONE;
	for (uint32_t i = 0; i < old->n_inputs && !rc; i++)
		rc = check_input(s, i, from, to, in, how, err);
	if (!rc && new->n_inputs != old->n_inputs)
		rc = error_set(
			err, PC_WRONG,
			"it has %u inputs instead of %u, and an input that nothing feeds "
			"is an error",
			new->n_inputs, old->n_inputs);
	for (uint32_t i = 0; i < old->n_outputs && !rc; i++)
		rc = check_output(s, i, from, to, out, how, err);
	for (uint32_t i = 0; i < new->n_outputs && !rc; i++)
		if (out[i] == PLAN_NONE && (new->outputs[i].flags &PC_REQUIRED))
			rc = error_set(err, PC_WRONG, "output '%s' is new and must be wired",
			               new->outputs[i].name);
	/* A build that has been in force has them already. */
	if (!rc && !(how & SWAP_BACK) && !same_order(in, old->n_inputs, old->n_inputs)) {
		to->in_ports = in;
		in = NULL;
	}
	if (!rc && !(how & SWAP_BACK) && !same_order(out, new->n_outputs, old->n_outputs)) {
		to->out_ports = out;
		out = NULL;
	}
	free(in);
	free(out);
	return rc;
}

int swap_check(struct stage *s, const struct build *from, struct build *to, unsigned how,
               struct pc_error **err)
{
	const struct pc_stage_desc *d = to->desc;

	if (how & SWAP_BACK)
		return check_ports(s, from, to, how, err);
	if (strcmp(d->name, from->desc->name) != 0 && !(how & SWAP_RESET))
		return error_set(err, PC_WRONG,
		                 "it is another stage, '%s' and not '%s': the state means "
		                 "something else, so ask for a fresh one (--reset-state)",
		                 d->name, from->desc->name);
	if ((d->flags & PC_BLOCKING) && !s->plan->own_thread)
		return error_set(
			err, PC_WRONG,
			"it blocks now (PC_BLOCKING) and needs a thread of its own: say "
			"thread=own in the graph, or restart");
	if ((d->flags & PC_SINGLE) && s->plan->replicas > 1)
		return error_set(
			err, PC_WRONG,
			"it may have one replica only (PC_SINGLE), and the graph has %u",
			s->plan->replicas);
	return check_ports(s, from, to, how, err);
}
