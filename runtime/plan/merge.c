/* plan/merge.c: the plan that runs after a reload, of the one before and the one of the new text.
 *
 * Called by plan_difference(). What "merged" means is told in difference.h. The rows of what stays
 * are the new text's, with its indices translated; a stage keeps the ports of the plugin that it
 * was started with, since that is how the engine has laid out its inputs and outputs. */
#include "plan/match.h"

#include <string.h>

static uint32_t *translate(struct arena *a, const uint32_t *list, uint32_t n,
                           const uint32_t *map)
{
	uint32_t *made = arena_alloc(a, (n + 1) * sizeof(*made));

	for (uint32_t i = 0; made && i < n; i++)
		made[i] = map[list[i]];
	return made;
}

static uint32_t mapped(const uint32_t *map, uint32_t index)
{
	return index == PLAN_NONE ? PLAN_NONE : map[index];
}

static bool merge_ports(struct arena *a, const struct match *m, const struct plan_stage *new,
                        struct plan_stage *ret)
{
	ret->inputs = arena_alloc(a, (ret->desc->n_inputs + 1) * sizeof(*ret->inputs));
	ret->outputs = arena_alloc(a, (ret->desc->n_outputs + 1) * sizeof(*ret->outputs));
	if (!ret->inputs || !ret->outputs)
		return false;
	for (uint32_t i = 0; i < ret->desc->n_inputs; i++) {
		uint32_t port = match_port(new->desc->inputs, new->desc->n_inputs,
		                           ret->desc->inputs[i].name);

		ret->inputs[i] = new->inputs[port];
		ret->inputs[i].queue = m->queue[new->inputs[port].queue];
	}
	for (uint32_t i = 0; i < ret->desc->n_outputs; i++) {
		uint32_t port = match_port(new->desc->outputs, new->desc->n_outputs,
		                           ret->desc->outputs[i].name);

		if (port == PLAN_NONE)
			continue;
		ret->outputs[i] = new->outputs[port];
		ret->outputs[i].queues = translate(a, new->outputs[port].queues,
		                                   new->outputs[port].n_queues, m->queue);
		if (!ret->outputs[i].queues)
			return false;
	}
	return true;
}

static bool merge_stages(struct plan *ret, const struct match *m)
{
	ret->n_stages = m->n_stages;
	ret->stages = arena_alloc(&ret->arena, (m->n_stages + 1) * sizeof(*ret->stages));
	if (!ret->stages)
		return false;
	for (uint32_t i = 0; i < m->old->n_stages; i++) {
		ret->stages[i] = m->old->stages[i];
		ret->stages[i].gone |= !m->stage_stays[i];
	}
	for (uint32_t i = 0; i < m->new->n_stages; i++) {
		struct plan_stage *s = &ret->stages[m->stage[i]];
		const struct plan_stage *new = &m->new->stages[i];
		bool stays = m->stage[i] < m->old->n_stages && m->stage_stays[m->stage[i]];
		const struct pc_stage_desc *desc = stays ? s->desc : new->desc;

		*s = *new;
		s->written = desc == new->desc ? NULL : new->desc;
		s->desc = desc;
		s->until = mapped(m->join, new->until);
		s->start = mapped(m->join, new->start);
		s->section = mapped(m->section, new->section);
		s->dead_queue = mapped(m->queue, new->dead_queue);
		if (!merge_ports(&ret->arena, m, new, s))
			return false;
	}
	return true;
}

static bool merge_queues(struct plan *ret, const struct match *m)
{
	ret->n_queues = m->n_queues;
	ret->queues = arena_alloc(&ret->arena, (m->n_queues + 1) * sizeof(*ret->queues));
	if (!ret->queues)
		return false;
	for (uint32_t i = 0; i < m->old->n_queues; i++) {
		ret->queues[i] = m->old->queues[i];
		ret->queues[i].gone |= !m->queue_stays[i];
		if (!m->queue_stays[i])
			ret->queues[i].n_writers = ret->queues[i].n_readers = 0;
	}
	for (uint32_t i = 0; i < m->new->n_queues; i++) {
		struct plan_queue *q = &ret->queues[m->queue[i]];
		const struct plan_queue *new = &m->new->queues[i];
		bool stays = m->queue[i] < m->old->n_queues && m->queue_stays[m->queue[i]];
		bool joined = new->joined || (stays && q->joined);

		*q = *new;
		q->joined = joined;
		q->writers = translate(&ret->arena, new->writers, new->n_writers, m->stage);
		q->readers = translate(&ret->arena, new->readers, new->n_readers, m->stage);
		if (!q->writers || !q->readers)
			return false;
	}
	return true;
}

/* The end of the graph waits as well for what goes and has not gone yet. */
static bool add_gone(struct plan *plan, struct plan_join *end)
{
	uint32_t n_stages = end->n_stages, n_queues = end->n_queues;
	uint32_t *stages, *queues;

	stages = arena_alloc(&plan->arena, (n_stages + plan->n_stages + 1) * sizeof(*stages));
	queues = arena_alloc(&plan->arena, (n_queues + plan->n_queues + 1) * sizeof(*queues));
	if (!stages || !queues)
		return false;
	memcpy(stages, end->stages, n_stages * sizeof(*stages));
	memcpy(queues, end->queues, n_queues * sizeof(*queues));
	for (uint32_t i = 0; i < plan->n_stages; i++)
		if (plan->stages[i].gone && !plan->stages[i].vacant && !plan->stages[i].daemon)
			stages[n_stages++] = i;
	for (uint32_t i = 0; i < plan->n_queues; i++)
		if (plan->queues[i].gone && !plan->queues[i].vacant && plan->queues[i].joined)
			queues[n_queues++] = i;
	end->stages = stages;
	end->n_stages = n_stages;
	end->queues = queues;
	end->n_queues = n_queues;
	return true;
}

static bool merge_joins(struct plan *ret, const struct match *m)
{
	ret->n_joins = m->n_joins;
	ret->joins = arena_alloc(&ret->arena, (m->n_joins + 1) * sizeof(*ret->joins));
	if (!ret->joins)
		return false;
	for (uint32_t i = 0; i < m->old->n_joins; i++)
		ret->joins[i] = (struct plan_join){.name = m->old->joins[i].name,
		                                   .span = m->old->joins[i].span,
		                                   .gone = true};
	for (uint32_t i = 0; i < m->new->n_joins; i++) {
		struct plan_join *j = &ret->joins[m->join[i]];

		*j = m->new->joins[i];
		j->stages = translate(&ret->arena, j->stages, j->n_stages, m->stage);
		j->queues = translate(&ret->arena, j->queues, j->n_queues, m->queue);
		j->joins = translate(&ret->arena, j->joins, j->n_joins, m->join);
		if (!j->stages || !j->queues || !j->joins)
			return false;
	}
	return add_gone(ret, &ret->joins[PLAN_JOIN_END]);
}

static bool merge_sections(struct plan *ret, const struct match *m)
{
	ret->n_sections = m->n_sections;
	ret->sections = arena_alloc(&ret->arena, (m->n_sections + 1) * sizeof(*ret->sections));
	if (!ret->sections)
		return false;
	for (uint32_t i = 0; i < m->old->n_sections; i++)
		ret->sections[i] = m->old->sections[i];
	for (uint32_t i = 0; i < m->new->n_sections; i++)
		ret->sections[m->section[i]] = m->new->sections[i];
	return true;
}

bool merge_plans(struct plan *ret, const struct match *m)
{
	*ret = (struct plan){.shareds = m->old->shareds, .n_shareds = m->old->n_shareds};
	return merge_stages(ret, m) && merge_queues(ret, m) && merge_joins(ret, m) &&
	       merge_sections(ret, m);
}
