/* plan/match.h: who of a new plan is who of the plan that runs; for difference.c and merge.c. */
#ifndef PLAN_MATCH_H
#define PLAN_MATCH_H

#include "plan/difference.h"

struct match {
	const struct plan *old, *new;
	struct arena scratch;
	/* By index in the new plan: the same of the old one by name, or PLAN_NONE. */
	uint32_t *old_stage, *old_queue, *old_join, *old_section;
	/* By index in the new plan: the index in the merged one. */
	uint32_t *stage, *queue, *join, *section;
	uint32_t n_stages, n_queues, n_joins, n_sections; /* of the merged plan */
	uint32_t next_stage, next_queue, next_join;       /* where to look for a row to take */
	bool *join_needed; /* by index in the old plan: a stage that goes still refers to it */
	unsigned *changes; /* by index in the new plan */
	bool *stage_stays, *queue_stays, *join_stays; /* by index in the old plan */
	bool *stage_named;                            /* so: the new plan has the name */
	uint32_t *mark;                               /* so */
	bool *overtaken; /* by index in the new plan: the queue is made anew, would_overtake() */
	bool *still_written; /* by index in the old plan: by a stage that has gone, and not ended */
};

/* False: no memory. The stages that must be replaced are marked in `changes` before the queues
 * are looked at, since a queue in parts goes with the stage that reads it. */
bool match_names(struct match *m);
bool match_queues(struct match *m);

/* The same port in another table; PLAN_NONE: there is none. */
uint32_t match_port(const struct pc_port *ports, uint32_t n, const char *name);

/* merge.c. False: no memory. */
bool merge_plans(struct plan *ret, const struct match *m);
/* difference-param.c: the bits of what differs; lines for the live ones; *ret_name: the first
 * parameter that is not live. */
unsigned difference_params(const struct plan_stage *old, const struct plan_stage *new,
                           struct buf *text, size_t *n_lines, const char **ret_name);
/* difference-refuse.c: what no running graph can do. False: no memory. */
bool refuse_shared(const struct match *m, struct diag_list *diags);
bool refuse_cycles(const struct plan_difference *d, const struct match *m,
                   struct diag_list *diags);

#endif
