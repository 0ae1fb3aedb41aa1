/* world.h: a stage between two others, and two builds of it, for tests of what a swap decides.
 *
 * pump -> q0 -> subject -> q1 -> drain. Nothing runs: the functions under test read the plan and the
 * descriptors only. */
#ifndef UNIT_ENGINE_WORLD_H
#define UNIT_ENGINE_WORLD_H

#include "base/error.h"
#include "engine/engine.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

struct world {
	struct engine e;
	struct plan plan;
	struct plan_stage stages[3];
	struct plan_queue queues[2];
	struct place places[2], *place_rows[2];
	struct plan_input in[2];
	struct plan_output out[2];
	uint32_t writers[1], readers[1], q1[1];
	struct stage s;
	struct pc_stage_desc old, new; /* to be filled */
	struct build from, to;
	_Alignas(16) unsigned char values[256]; /* of the old build's parameters */
	struct pc_error *err;
	struct route *route;
};

static inline void world_init(struct world *w)
{
	memset(w, 0, sizeof(*w));
	w->plan.stages = w->stages;
	w->plan.n_stages = 3;
	w->plan.queues = w->queues;
	w->plan.n_queues = 2;
	w->stages[0].name = "pump";
	w->stages[1] = (struct plan_stage){.name = "subject",
	                                   .replicas = 4,
	                                   .inputs = w->in,
	                                   .outputs = w->out,
	                                   .params = w->values};
	w->stages[2].name = "drain";
	w->writers[0] = 0;
	w->readers[0] = 2;
	w->q1[0] = 1;
	w->queues[0] = (struct plan_queue){.name = "q0", .writers = w->writers, .n_writers = 1};
	w->queues[1] = (struct plan_queue){.name = "q1", .readers = w->readers, .n_readers = 1};
	w->in[0] = (struct plan_input){.queue = 0, .type = "text/line"};
	w->in[1] = (struct plan_input){.queue = 0, .type = "u64"};
	w->out[0] = (struct plan_output){.queues = w->q1, .n_queues = 1, .type = "text/line"};
	w->out[1] = (struct plan_output){.type = "u64"};
	w->old.name = w->new.name = "subject";
	w->e.plan = &w->plan;
	w->place_rows[0] = &w->places[0];
	w->place_rows[1] = &w->places[1];
	w->e.places = w->place_rows;
	w->s.engine = &w->e;
	w->s.plan = &w->stages[1];
	w->s.desc = &w->old;
	w->from = (struct build){
		.desc = &w->old, .stage = &w->s, .number = 1, .params = w->values};
	w->to = (struct build){.desc = &w->new, .stage = &w->s, .number = 2};
}

static inline void world_fini(struct world *w)
{
	swap_route_free(w->route);
	pc_error_free(w->err);
	free(w->to.own_params);
	free(w->to.in_ports);
	free(w->to.out_ports);
	for (size_t i = 0; i < w->e.swap.n_texts; i++)
		free(w->e.swap.texts[i]);
	free(w->e.swap.texts);
}

static inline int world_params(struct world *w, unsigned how)
{
	return swap_params(&w->s, &w->from, &w->to, how, &w->err);
}

/* Parameters first: routes tell of them, too. */
static inline int world_route(struct world *w, unsigned how)
{
	int rc = world_params(w, how);

	return rc ? rc : swap_route(&w->route, &w->from, &w->to, how, &w->err);
}

#define world_says(w, text)                                                                    \
	cr_expect(strstr(pc_error_text((w)->err), text), "it says: %s", pc_error_text((w)->err))
#define world_tells(w, text)                                                                   \
	cr_expect(strstr((w)->route->words, text), "it tells: %s", (w)->route->words)

#endif
