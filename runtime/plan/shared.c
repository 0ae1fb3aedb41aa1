/* plan/shared.c: shared state, `shared NAME = dict(...)`.
 *
 * Called by plan_make() on the control thread. The names are declared like all others; the state
 * itself is not there yet, and a graph that asks for it is refused. */
#include "plan/make.h"

void plan_shared(struct make *m)
{
	for (size_t i = 0; i < m->tree->n_shareds; i++)
		diag_error(m->diags, m->tree->shareds[i].span,
		           "shared state is not available in this build");
}
