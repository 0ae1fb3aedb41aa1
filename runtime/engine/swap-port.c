/* engine/swap-port.c: ports of a build that stand in another order than in the graph.
 *
 * The engine's arrays follow the build that the graph was planned with. A later build may list its
 * ports in another order, or have more of them; then its replicas have `n_ports` 0, so that an
 * emission comes here. Called from a stage's callbacks, on the thread that runs the replica.
 */
#include "engine/engine.h"

int swap_emit(struct replica *r, unsigned port, struct item *item)
{
	uint32_t index = swap_out_port(r, port);

	if (index < r->stage->desc->n_outputs && r->outputs)
		return output_add(r, index, item);
	item_unref(r->cache, item);
	/* A port that is not in the graph is not wired. */
	return port < r->build->desc->n_outputs && r->outputs ? PC_OK : PC_INVALID;
}

uint32_t swap_out_port(const struct replica *r, uint32_t port)
{
	const struct build *b = r->build;

	if (port >= b->desc->n_outputs)
		return PLAN_NONE;
	return b->out_ports ? b->out_ports[port] : port;
}

uint32_t swap_in_port(const struct replica *r, uint32_t index)
{
	return r->build->in_ports ? r->build->in_ports[index] : index;
}

uint32_t swap_graph_port(const struct replica *r, uint32_t port)
{
	const struct build *b = r->build;

	if (!b->in_ports)
		return port;
	for (uint32_t i = 0; i < r->stage->desc->n_inputs; i++)
		if (b->in_ports[i] == port)
			return i;
	return PLAN_NONE;
}
