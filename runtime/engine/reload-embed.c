/* engine/reload-embed.c: pc_graph_reload() of <pcrun/pcrun.h>.
 *
 * Any thread. The text is read, parsed, checked and compared here, so that the control thread is
 * not kept from its work; only the change is asked of it (reload-ask.c). One reload at a time goes
 * on; of those who wait, the newest goes next, and reads the file then: so the last state of a
 * file is always the one in force. The older ones are told that a newer one came.
 *
 * A stage whose plugin was built anew is swapped, as by pc_graph_swap(): tried dry before anything
 * is changed, and done for good when the rest is in force.
 *
 * The text that is in force stays until another one is; what shall live as long as the graph is
 * copied out of it (reload-row.c).
 */
#include "engine/engine.h"

#include "base/error.h"
#include "engine/text.h"

#include <stdlib.h>
#include <string.h>

struct wanted {
	struct pc_graph *graph;
	struct text *text;
	struct plan_difference d;
	int64_t timeout_ns;
};

static bool is_rebuilt(const struct wanted *w, uint32_t stage)
{
	return (w->d.stages[stage] & CHANGE_PLUGIN) && w->d.texts[stage] != PLAN_NONE;
}

static int swap_stage(const struct wanted *w, uint32_t stage, bool dry_run,
                      struct pc_swap_report *ret, struct pc_error **err)
{
	const struct plan_stage *s = &w->text->plan.stages[w->d.texts[stage]];
	struct pc_swap_options options = {
		.size = sizeof(options), .dry_run = dry_run, .timeout_ns = w->timeout_ns};

	return pc_graph_swap(w->graph, s->name, s->plugin->file, &options, ret, sizeof(*ret),
	                     err);
}

/* All reasons in one text. */
static int swap_all(struct wanted *w, bool dry_run, struct pc_error **err)
{
	uint32_t n = w->d.merged.n_stages;
	struct buf reasons = {0};
	int rc = PC_OK;

	for (uint32_t i = 0; i < n; i++) {
		struct pc_swap_report report = {0};
		struct pc_error *why = NULL;
		int one;

		if (!is_rebuilt(w, i))
			continue;
		one = swap_stage(w, i, dry_run, &report, &why);
		if (one) {
			buf_adds(&reasons, pc_error_text(why));
			rc = rc ? rc : one;
		} else if (!dry_run) {
			buf_addf(&w->d.text, "stage '%s': v%u -> v%u%s%s\n",
			         w->text->plan.stages[w->d.texts[i]].name, report.from,
			         report.to, report.text ? " | " : "",
			         report.text ? report.text : "");
		}
		free(report.text);
		free(report.probe);
		free(report.crashed);
		pc_error_free(why);
	}
	if (rc)
		error_set_text(err, rc, buf_take(&reasons));
	buf_fini(&reasons);
	return rc;
}

/* In the plan that runs, if a reload made it: nobody else asks, and without being asked nobody makes
 * another one. */
static void note_ended(struct engine *e)
{
	struct plan *plan = e->reload.past ? e->reload.past->plan : NULL;

	pthread_mutex_lock(&e->shape);
	for (uint32_t i = 0; plan && i < plan->n_stages; i++)
		if (plan->stages[i].gone)
			plan->stages[i].ended = flag_is(&e->stages[i]->ended);
	pthread_mutex_unlock(&e->shape);
}

static int compare(struct wanted *w, struct pc_error **err)
{
	struct text *t = w->text;
	struct buf rendered = {0};
	int rc;

	note_ended(w->graph->engine);
	rc = plan_difference(&w->d, w->graph->engine->plan, &t->plan, &t->diags);
	if (rc == PC_NOMEM)
		return error_set(err, rc, "out of memory; nothing was changed");
	if (rc == PC_WRONG) {
		diag_render(&t->diags, &rendered);
		error_set_text(err, rc, buf_take(&rendered));
	}
	return rc;
}

/* What pc_graph_file() gives of it; before it is in force, so that it can be. */
static bool keep_names(const struct wanted *w)
{
	const struct diag_list *diags = &w->text->diags;
	bool ok = true;

	for (size_t i = 1; i < diags->n_sources && ok; i++)
		ok = reload_keep_text(w->graph->engine, diags->sources[i].name);
	return ok;
}

static void keep(struct pc_graph *g, struct text *text)
{
	struct text *before;

	pthread_mutex_lock(&g->engine->shape);
	before = g->text;
	g->text = text;
	pthread_mutex_unlock(&g->engine->shape);
	if (before != g->first)
		text_free(before);
}

/* What it takes over is not in *w any more. */
static int carry_out(struct wanted *w, struct pc_error **err)
{
	unsigned *stages = w->d.stages;
	uint32_t *texts = w->d.texts, n = w->d.merged.n_stages;
	struct text *text = w->text;
	int rc = keep_names(w) ? reload_ask(w->graph->engine, &w->d, w->timeout_ns, err)
	                       : error_set(err, PC_NOMEM, "out of memory; nothing was changed");

	if (rc)
		return rc;
	keep(w->graph, text);
	/* The lists stay with the plan, which is the engine's now. */
	w->d.stages = stages;
	w->d.texts = texts;
	w->d.merged.n_stages = n;
	rc = swap_all(w, false, err);
	w->d.merged.n_stages = 0;
	w->text = NULL;
	return rc ? PC_ERROR : PC_OK;
}

static int reload(struct wanted *w, const char *file, const struct pc_reload_options *o,
                  char **ret_text, struct pc_error **err)
{
	int rc = text_load_file(&w->text, file, &w->graph->options, err);

	if (rc)
		return rc;
	rc = compare(w, err);
	if (rc == PC_OK && w->d.n_changes > 0)
		rc = swap_all(w, true, err);
	if (rc == PC_OK && w->d.n_changes > 0 && !o->dry_run)
		rc = carry_out(w, err);
	if (rc == PC_OK || rc == PC_ERROR)
		*ret_text = buf_take(&w->d.text);
	plan_difference_fini(&w->d);
	text_free(w->text);
	return rc;
}

PC_API int pc_graph_reload(struct pc_graph *graph, const char *file,
                           const struct pc_reload_options *options, char **ret_text,
                           struct pc_error **ret_err)
{
	struct pc_reload_options own = {.size = sizeof(own)};
	struct wanted w = {.graph = graph};
	struct pc_error *error = NULL;
	char *text = NULL;
	uint32_t ticket;
	int rc;

	if (options)
		memcpy(&own, options,
		       options->size < sizeof(own) ? options->size : sizeof(own));
	w.timeout_ns = own.timeout_ns > 0 ? own.timeout_ns : 10 * PC_SEC;
	file = file ? file : graph->file;
	/* relaxed: only counted */
	ticket = atomic_fetch_add_explicit(&graph->reloads, 1, memory_order_relaxed) + 1;
	pthread_mutex_lock(&graph->reloading);
	if (!graph->engine)
		rc = error_set(&error, PC_INVALID, "the graph has not been started");
	else if (!file)
		rc = error_set(
			&error, PC_INVALID,
			"the graph was not read from a file: name one to reload it from");
	/* relaxed: who has counted himself in later waits for the lock */
	else if (atomic_load_explicit(&graph->reloads, memory_order_relaxed) != ticket)
		rc = error_set(&error, PC_STOPPED, "a newer request has come");
	else
		rc = reload(&w, file, &own, &text, &error);
	pthread_mutex_unlock(&graph->reloading);
	if (ret_text)
		*ret_text = text;
	else
		free(text);
	if (ret_err)
		*ret_err = error;
	else
		pc_error_free(error);
	return rc;
}
