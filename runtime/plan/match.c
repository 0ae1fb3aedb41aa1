/* plan/match.c: finds what a new plan has in common with the one that runs. See difference.h.
 *
 * Called by plan_difference(). Linear in the size of the two plans: names are looked up by hash. */
#include "plan/match.h"

#include "lang/names.h"

#include <string.h>

uint32_t match_port(const struct pc_port *ports, uint32_t n, const char *name)
{
	for (uint32_t i = 0; i < n; i++)
		if (strcmp(ports[i].name, name) == 0)
			return i;
	return PLAN_NONE;
}

static bool note(struct match *m, struct names *names, const char *name, uint32_t index)
{
	return names_add(names, &m->scratch, name, strlen(name), index);
}

static uint32_t find(const struct names *names, const char *name)
{
	uint32_t index = names_find(names, name, strlen(name));

	return index == NAMES_NONE ? PLAN_NONE : index;
}

static bool match_stages(struct match *m)
{
	struct names names = {0};

	for (uint32_t i = 0; i < m->old->n_stages; i++)
		if (!m->old->stages[i].gone && !note(m, &names, m->old->stages[i].name, i))
			return false;
	for (uint32_t i = 0; i < m->new->n_stages; i++) {
		m->old_stage[i] = find(&names, m->new->stages[i].name);
		if (m->old_stage[i] != PLAN_NONE)
			m->stage_named[m->old_stage[i]] = true;
	}
	return true;
}

/* The row of what is new: one that nobody needs, or a further one. */
static uint32_t new_stage(struct match *m)
{
	while (m->next_stage < m->old->n_stages)
		if (m->old->stages[m->next_stage++].vacant)
			return m->next_stage - 1;
	return m->n_stages++;
}

static uint32_t new_queue(struct match *m)
{
	while (m->next_queue < m->old->n_queues)
		if (m->old->queues[m->next_queue++].vacant)
			return m->next_queue - 1;
	return m->n_queues++;
}

static uint32_t new_join(struct match *m)
{
	while (m->next_join < m->old->n_joins) {
		uint32_t i = m->next_join++;

		if (m->old->joins[i].gone && !m->join_needed[i])
			return i;
	}
	return m->n_joins++;
}

static bool match_joins(struct match *m)
{
	struct names names = {0};

	for (uint32_t i = 0; i < m->old->n_joins; i++)
		if (!m->old->joins[i].gone && !note(m, &names, m->old->joins[i].name, i))
			return false;
	for (uint32_t i = 0; i < m->old->n_stages; i++) {
		const struct plan_stage *s = &m->old->stages[i];

		if (s->vacant)
			continue;
		m->join_needed[s->start] = true;
		if (s->until != PLAN_NONE)
			m->join_needed[s->until] = true;
	}
	m->n_joins = m->old->n_joins;
	for (uint32_t i = 0; i < m->new->n_joins; i++) {
		m->old_join[i] = find(&names, m->new->joins[i].name);
		m->join[i] = m->old_join[i] == PLAN_NONE ? new_join(m) : m->old_join[i];
		if (m->old_join[i] != PLAN_NONE)
			m->join_stays[m->old_join[i]] = true;
	}
	return true;
}

static bool match_sections(struct match *m)
{
	struct names names = {0};

	for (uint32_t i = 0; i < m->old->n_sections; i++)
		if (!note(m, &names, m->old->sections[i].name, i))
			return false;
	m->n_sections = m->old->n_sections;
	for (uint32_t i = 0; i < m->new->n_sections; i++) {
		m->old_section[i] = find(&names, m->new->sections[i].name);
		m->section[i] =
			m->old_section[i] == PLAN_NONE ? m->n_sections++ : m->old_section[i];
	}
	return true;
}

bool match_names(struct match *m)
{
	uint32_t **arrays[] = {&m->old_stage, &m->stage, &m->old_queue,   &m->queue,
	                       &m->old_join,  &m->join,  &m->old_section, &m->section};
	const uint32_t sizes[] = {m->new->n_stages,   m->new->n_stages,  m->new->n_queues,
	                          m->new->n_queues,   m->new->n_joins,   m->new->n_joins,
	                          m->new->n_sections, m->new->n_sections};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		*arrays[i] = arena_alloc(&m->scratch, (sizes[i] + 1) * sizeof(uint32_t));
		if (!*arrays[i])
			return false;
	}
	m->changes = arena_alloc(&m->scratch, (m->new->n_stages + 1) * sizeof(*m->changes));
	m->stage_stays = arena_alloc(&m->scratch, m->old->n_stages + 1);
	m->queue_stays = arena_alloc(&m->scratch, m->old->n_queues + 1);
	m->join_stays = arena_alloc(&m->scratch, m->old->n_joins + 1);
	m->join_needed = arena_alloc(&m->scratch, m->old->n_joins + 1);
	m->stage_named = arena_alloc(&m->scratch, m->old->n_stages + 1);
	m->mark = arena_alloc(&m->scratch, (m->old->n_stages + 1) * sizeof(*m->mark));
	m->still_written = arena_alloc(&m->scratch, m->old->n_queues + 1);
	m->overtaken = arena_alloc(&m->scratch, m->new->n_queues + 1);
	return m->changes && m->stage_named && m->mark && m->still_written && m->overtaken &&
	       m->stage_stays && m->queue_stays && m->join_stays && m->join_needed &&
	       match_stages(m) && match_joins(m) && match_sections(m);
}

/* --------------------------------------------------------------------------------- queues --- */

/* How many queues it is at run time: a by= stage has one per replica. */
static uint32_t parts(const struct plan *plan, const struct plan_queue *q)
{
	const struct plan_stage *reader;

	if (q->n_readers != 1)
		return 1;
	reader = &plan->stages[q->readers[0]];
	return reader->by ? reader->replicas : 1;
}

/* A writer that goes still sends what it has in hand, and what is in its own queue. If another
 * came to write beside it, that could send later items of the same origin first. So readers are
 * given another queue then, which they turn to when the old one is empty. */
static bool would_overtake(const struct match *m, uint32_t new, uint32_t old)
{
	const struct plan_queue *n = &m->new->queues[new], *o = &m->old->queues[old];
	bool goes = m->still_written[old], comes = false;

	for (uint32_t i = 0; i < o->n_writers; i++) {
		m->mark[o->writers[i]] = new + 1;
		goes |= !m->stage_named[o->writers[i]];
	}
	for (uint32_t i = 0; i < n->n_writers && goes; i++) {
		uint32_t was = m->old_stage[n->writers[i]];

		comes |= was == PLAN_NONE || m->mark[was] != new + 1;
	}
	return goes && comes;
}

static void find_still_written(const struct match *m)
{
	for (uint32_t i = 0; i < m->old->n_stages; i++) {
		const struct plan_stage *s = &m->old->stages[i];

		if (!s->gone || s->ended || s->vacant)
			continue;
		for (uint32_t k = 0; k < s->desc->n_outputs; k++)
			for (uint32_t j = 0; j < s->outputs[k].n_queues; j++)
				m->still_written[s->outputs[k].queues[j]] = true;
		if (s->on_error == PLAN_DEAD)
			m->still_written[s->dead_queue] = true;
	}
}

/* A queue in parts belongs to the one stage that reads it: another one would look for its keys in
 * other parts. */
static bool can_stay(const struct match *m, uint32_t new, uint32_t old)
{
	const struct plan_queue *n = &m->new->queues[new], *o = &m->old->queues[old];
	uint32_t reader;

	m->overtaken[new] = would_overtake(m, new, old);
	if (m->overtaken[new])
		return false;
	if (parts(m->new, n) == 1 && parts(m->old, o) == 1)
		return true;
	reader = n->n_readers == 1 ? n->readers[0] : PLAN_NONE;
	return parts(m->new, n) == parts(m->old, o) && reader != PLAN_NONE &&
	       m->old_stage[reader] == o->readers[0] && !(m->changes[reader] & CHANGE_REPLACED);
}

/* The queue without a name that fed the same port of the same stage. */
static uint32_t fed_before(const struct match *m, uint32_t queue)
{
	const struct plan_queue *q = &m->new->queues[queue];

	for (uint32_t i = 0; i < q->n_readers; i++) {
		const struct plan_stage *n = &m->new->stages[q->readers[i]], *o;
		uint32_t old = m->old_stage[q->readers[i]];

		if (old == PLAN_NONE)
			continue;
		o = &m->old->stages[old];
		for (uint32_t k = 0; k < n->desc->n_inputs; k++) {
			uint32_t port, was;

			if (n->inputs[k].queue != queue)
				continue;
			port = match_port(o->desc->inputs, o->desc->n_inputs,
			                  n->desc->inputs[k].name);
			was = port == PLAN_NONE ? PLAN_NONE : o->inputs[port].queue;
			if (was != PLAN_NONE && !m->old->queues[was].declared &&
			    !m->old->queues[was].gone && !m->queue_stays[was])
				return was;
		}
	}
	return PLAN_NONE;
}

bool match_queues(struct match *m)
{
	struct names names = {0};

	for (uint32_t i = 0; i < m->old->n_queues; i++)
		if (m->old->queues[i].declared && !m->old->queues[i].gone &&
		    !note(m, &names, m->old->queues[i].name, i))
			return false;
	find_still_written(m);
	m->n_queues = m->old->n_queues;
	for (uint32_t i = 0; i < m->new->n_queues; i++) {
		uint32_t old = m->new->queues[i].declared ? find(&names, m->new->queues[i].name)
		                                          : fed_before(m, i);

		if (old != PLAN_NONE && !can_stay(m, i, old))
			old = PLAN_NONE;
		m->old_queue[i] = old;
		m->queue[i] = old == PLAN_NONE ? new_queue(m) : old;
		if (old != PLAN_NONE)
			m->queue_stays[old] = true;
	}
	m->n_stages = m->old->n_stages;
	for (uint32_t i = 0; i < m->new->n_stages; i++) {
		bool stays = m->old_stage[i] != PLAN_NONE && !(m->changes[i] & CHANGE_REPLACED);

		m->stage[i] = stays ? m->old_stage[i] : new_stage(m);
		if (stays)
			m->stage_stays[m->old_stage[i]] = true;
	}
	return true;
}
