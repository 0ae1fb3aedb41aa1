/* plan/make.c: from a tree to a plan: the order of the steps (make.h lists them).
 *
 * Called by engine/ on the control thread. Right because each step leaves the plan so that the
 * next can read all of it, whatever was wrong; only out of memory stops in the middle. */
#include "plan/make.h"

static bool steps(struct make *m)
{
	if (!plan_names(m) || !plan_stages(m) || !plan_queues_declare(m) || !plan_wires(m) ||
	    !plan_queues(m) || !plan_shared(m))
		return false;
	return plan_flow(m) && plan_cycles(m) && plan_diamonds(m) && plan_types(m) &&
	       plan_joins(m) && plan_order(m);
}

/* What the parser could make no statement of. Each statement that it understood in part is there,
 * marked, and stands for one of the mistakes. */
static void find_lost(struct make *m)
{
	const struct lang_tree *t = m->tree;
	size_t broken = 0, wires = 0, i;

	for (i = 0; i < t->n_stages; i++)
		broken += t->stages[i].broken;
	for (i = 0; i < t->n_queues; i++)
		broken += t->queues[i].broken;
	for (i = 0; i < t->n_joins; i++)
		broken += t->joins[i].broken;
	for (i = 0; i < t->n_shareds; i++)
		broken += t->shareds[i].broken;
	for (i = 0; i < t->n_wires; i++)
		wires += t->wires[i].broken;
	m->lost_names = t->incomplete || m->diags->n_errors > broken + wires;
	m->lost_arrows = m->lost_names || wires > 0;
}

int plan_make(struct plan *plan, struct diag_list *diags, const struct lang_tree *tree,
              const struct loader_path *path, const char *graph_dir)
{
	struct make m = {.plan = plan,
	                 .diags = diags,
	                 .tree = tree,
	                 .path = path,
	                 .graph_dir = graph_dir,
	                 .nothing = {.name = ""}};
	int r;

	*plan = (struct plan){0};
	find_lost(&m);
	r = !steps(&m)                 ? PC_NOMEM
	    : arena_failed(&m.scratch) ? PC_NOMEM
	    : diags->n_errors > 0      ? PC_WRONG
	                               : PC_OK;
	arena_fini(&m.scratch);
	return r;
}

void plan_fini(struct plan *plan)
{
	if (!plan)
		return;
	for (uint32_t i = 0; i < plan->n_plugins; i++)
		loader_close(plan->plugins[i]);
	arena_fini(&plan->arena);
	*plan = (struct plan){0};
}
