/* engine/swap-embed.c: the hot-swap calls of <pcrun/pcrun.h>.
 *
 * Any thread, while the graph runs. Loading happens on the caller's thread, so that the control
 * thread is not kept from its work by a compiler; all that concerns the running graph is asked of
 * the control thread (swap-ask.c). Builds are looked at inside a read section: the control thread
 * frees one only after a grace period.
 */
#include "engine/engine.h"

#include "base/error.h"
#include "queue/rcu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct stage *swap_find_stage(struct engine *e, const char *name)
{
	struct stage *found = NULL;

	pthread_mutex_lock(&e->shape);
	for (uint32_t i = 0; i < e->plan->n_stages && !found; i++)
		if (!e->plan->stages[i].gone && strcmp(e->plan->stages[i].name, name) == 0) {
			found = e->stages[i];
			found->pins++;
		}
	pthread_mutex_unlock(&e->shape);
	return found;
}

void swap_unpin_stage(struct stage *s)
{
	pthread_mutex_lock(&s->engine->shape);
	s->pins--;
	pthread_mutex_unlock(&s->engine->shape);
}

uint32_t swap_number_in_force(const struct stage *s)
{
	/* relaxed: a figure */
	return atomic_load_explicit((_Atomic uint32_t *)(uintptr_t)&s->swap.shown,
	                            memory_order_relaxed);
}

static int swap_stage(struct stage *s, const char *stage, const char *file,
                      const struct pc_swap_options *o, struct swap_report *report,
                      struct swap_trial *trial, struct pc_error **err)
{
	struct swap_wish wish = {
		.how = (o->dry_run ? SWAP_DRY_RUN : 0u) | (o->reset_state ? SWAP_RESET : 0u) |
	               (o->back ? SWAP_BACK : 0u) | (o->retry ? SWAP_RETRY : 0u),
		.timeout_ns = o->timeout_ns > 0 ? o->timeout_ns : 10 * PC_SEC,
		.probation_ns = o->probation_ns > 0 ? o->probation_ns : 200 * PC_MS,
	};
	struct swap_offer offer = {0};
	int rc;

	*trial = (struct swap_trial){.stage = s, .how = wish.how};
	rc = file ? swap_load(&offer, s, file, wish.how, o->no_probe ? NULL : trial, err)
	          : PC_OK;
	if (rc) {
		report->from = swap_number_in_force(s);
		error_add(err, "stage '%s': refused, the old build keeps running", stage);
		return rc == PC_NOMEM ? rc : PC_WRONG;
	}
	return swap_ask(s->engine, s->index, file ? &offer : NULL, &wish, report, err);
}

static int swap_one(struct pc_graph *graph, const char *stage, const char *file,
                    const struct pc_swap_options *o, struct swap_report *report,
                    struct swap_trial *trial, struct pc_error **err)
{
	struct engine *e = embed_engine(graph);
	struct stage *s;
	int rc;

	if (!e)
		return error_set(err, PC_INVALID, "the graph has not been started");
	s = swap_find_stage(e, stage);
	if (!s)
		return error_set(err, PC_INVALID, "there is no stage '%s'", stage);
	if (!file != o->back)
		rc = error_set(err, PC_INVALID,
		               o->back ? "back, or to a file? not both"
		                       : "to what? no file is given");
	else
		rc = swap_stage(s, stage, file, o, report, trial, err);
	swap_unpin_stage(s);
	return rc;
}

void swap_report_give(const struct swap_report *report, const struct swap_trial *trial,
                      void *ret, size_t size)
{
	static const struct swap_report nothing;
	static const struct swap_trial untried;
	struct pc_swap_report out;

	report = report ? report : &nothing;
	trial = trial ? trial : &untried;
	out = (struct pc_swap_report){.from = report->from,
	                              .to = report->to,
	                              .item = report->position,
	                              .pause_median_ns = report->pause_median_ns,
	                              .pause_worst_ns = report->pause_worst_ns,
	                              .took_ns = report->took_ns,
	                              .text = report->words,
	                              .unchanged = report->unchanged,
	                              .probe = trial->words,
	                              .refreshed = report->refreshed,
	                              .neighbours = report->neighbours,
	                              .at_item = trial->at_item,
	                              .crashed = trial->crashed};
	if (ret)
		memcpy(ret, &out, size < sizeof(out) ? size : sizeof(out));
	/* What the caller's struct has no room for. */
	if (!ret || size < offsetof(struct pc_swap_report, probe))
		free(report->words);
	if (!ret || size < offsetof(struct pc_swap_report, refreshed))
		free(trial->words);
	if (!ret || size < sizeof(out))
		free(trial->crashed);
}

PC_API int pc_graph_swap(struct pc_graph *graph, const char *stage, const char *file,
                         const struct pc_swap_options *options,
                         struct pc_swap_report *ret_report, size_t report_size,
                         struct pc_error **ret_err)
{
	struct pc_swap_options own = {.size = sizeof(own)};
	struct swap_report report = {0};
	struct swap_trial trial = {0};
	int rc;

	if (ret_err)
		*ret_err = NULL;
	if (options)
		memcpy(&own, options,
		       options->size < sizeof(own) ? options->size : sizeof(own));
	rc = swap_one(graph, stage, file, &own, &report, &trial, ret_err);
	if (embed_engine(graph))
		died_tell(&embed_engine(graph)->died, ret_err);
	swap_report_give(&report, &trial, ret_report, report_size);
	return rc;
}

PC_API bool pc_graph_build(struct pc_graph *graph, size_t stage, size_t index,
                           struct pc_build_row *ret_row, size_t size)
{
	struct engine *e = embed_engine(graph);
	struct pc_build_row row = {0};
	struct stage *s;
	struct build *b;

	if (!e)
		return false;
	pthread_mutex_lock(&e->shape);
	if (!embed_stage_of_row(e, &stage)) {
		pthread_mutex_unlock(&e->shape);
		return false;
	}
	s = e->stages[stage];
	queue_rcu_lock();
	b = atomic_load_explicit(&s->swap.builds, memory_order_acquire); /* SW12 */
	for (; b && index > 0; index--)
		b = atomic_load_explicit(&b->older, memory_order_acquire); /* SW12 */
	if (b) {
		row.number = b->number;
		row.current = b->number == swap_number_in_force(s);
		/* relaxed: a figure */
		row.bad = atomic_load_explicit(&b->bad, memory_order_relaxed);
		row.items = count_read(&b->items);
		/* Only those that came to a running graph have a name of their own. */
		snprintf(row.file, sizeof(row.file), "%s",
		         b->file     ? b->file
		         : b->plugin ? b->plugin->file
		                     : "");
	}
	queue_rcu_unlock();
	pthread_mutex_unlock(&e->shape);
	memcpy(ret_row, &row, size < sizeof(row) ? size : sizeof(row));
	return b != NULL;
}

void swap_stage_row(const struct stage *s, struct pc_stage_row *row)
{
	const struct swap_stage *sw = &s->swap;

	row->build = swap_number_in_force(s);
	/* relaxed, all: figures */
	row->swaps = atomic_load_explicit((_Atomic uint32_t *)(uintptr_t)&sw->cuts, /* so */
	                                  memory_order_relaxed);
	row->stays = atomic_load_explicit((_Atomic uint32_t *)(uintptr_t)&sw->stays, /* so */
	                                  memory_order_relaxed);
	row->reversed = atomic_load_explicit((_Atomic uint32_t *)(uintptr_t)&sw->reversed,
	                                     memory_order_relaxed); /* relaxed: as above */
}
