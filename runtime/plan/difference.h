/* plan/difference.h: what has to be done to make one checked graph of another, while it runs.
 *
 * plan_difference() compares the plan that runs with the plan of the new text, names every change
 * in a line of text, refuses what can not be changed live as mistakes of the new text, and makes
 * the plan that runs from then on. The engine carries it out (engine/reload.h).
 *
 * Who is who. A stage, a declared queue, a join and a section are known by their names; a queue
 * without a name by the input port that it feeds. A stage that keeps its name and can not be
 * changed in place is replaced: it goes as if it were removed, and a new one of the same name
 * begins when it has ended.
 *
 * The merged plan. Indices do not change their meaning: everything of the plan that runs keeps its
 * index; what goes stays as a row that is marked `gone`, until the engine, when nothing is left of
 * it, marks the row `vacant`: what is new takes vacant rows, then appends. So however often a graph
 * is reloaded, its plan grows no longer than what runs and goes at a time. Its texts are those of
 * the two plans, which must live as long.
 *
 * Any thread; pure but for memory. */
#ifndef PLAN_DIFFERENCE_H
#define PLAN_DIFFERENCE_H

#include "plan/plan.h"

/* What happens to a stage. */
enum plan_change {
	CHANGE_ADDED = 1 << 0,
	CHANGE_GONE = 1 << 1,     /* it drains, finishes and ends */
	CHANGE_REPLACED = 1 << 2, /* with GONE: `successor` begins when it has ended */
	CHANGE_PLUGIN = 1 << 3,   /* another build of the same plugin: to be swapped */
	CHANGE_LIVE = 1 << 4,     /* values of parameters that are PC_LIVE */
	CHANGE_REPLICAS = 1 << 5,
	CHANGE_ERROR = 1 << 6, /* on_error, also where dead items go */
	CHANGE_DAEMON = 1 << 7,
	CHANGE_START = 1 << 8,
	CHANGE_INPUT = 1 << 9,  /* an input takes from another queue */
	CHANGE_OUTPUT = 1 << 10 /* an output fills other queues */
};

/* What happens to a queue. */
enum plan_queue_change {
	QUEUE_ADDED = 1 << 0,
	QUEUE_GONE = 1 << 1, /* it is closed to those who wrote it and emptied by its readers */
	QUEUE_CAPACITY = 1 << 2,
	QUEUE_FULL = 1 << 3,
	QUEUE_ENDS = 1 << 4,  /* other writers or readers */
	QUEUE_JOINED = 1 << 5 /* somebody waits until it is drained; nobody did */
};

struct plan_difference {
	struct plan merged;
	unsigned *stages;     /* per stage of it: enum plan_change, 0: nothing */
	uint32_t *successors; /* per stage of it; PLAN_NONE: none */
	uint32_t *texts;      /* per stage of it: its index in the new plan, or PLAN_NONE */
	unsigned *queues;     /* per queue of it: enum plan_queue_change */
	bool joins;           /* any join differs */
	size_t n_changes;
	struct buf text; /* a line per change */
};

/* PC_OK; PC_WRONG: something can not be changed live (in diags, whose sources are those of
 * `new`); PC_NOMEM. plan_difference_fini() in every case. */
int plan_difference(struct plan_difference *ret, const struct plan *old, const struct plan *new,
                    struct diag_list *diags);
/* The merged plan goes too: take it out by zeroing it. */
void plan_difference_fini(struct plan_difference *d);

/* The table that a stage's `params` are laid out by. */
static inline const struct pc_stage_desc *plan_params_desc(const struct plan_stage *s)
{
	return s->written ? s->written : s->desc;
}

#endif
