/* engine/embed.c: the graph calls of <pcrun/pcrun.h>: load, start, wait, stop, report.
 *
 * Called by the embedding program, one call at a time for one graph except where pcrun.h says
 * [any]. pc_plugin_… calls are the loader's.
 *
 * Pairs
 *   C5 pc_graph_stop: acq_rel stop_asked -> C6 in control.c
 */
#include "engine/engine.h"

#include "base/clock.h"
#include "base/error.h"
#include "engine/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char **copy_list(const char *const *list, size_t n)
{
	const char **copy = calloc(n ? n : 1, sizeof(*copy));

	for (size_t i = 0; copy && i < n; i++)
		copy[i] = strdup(list[i]);
	return copy;
}

static void free_list(const char *const *list, size_t n)
{
	for (size_t i = 0; list && i < n; i++)
		free((void *)(uintptr_t)list[i]);
	free((void *)(uintptr_t)list);
}

static _Atomic(struct pc_graph *) kept;

static void destroy_graph(struct pc_graph *g)
{
	if (!g)
		return;
	/* Threads that never came back still use the plan and the plugins' code. It stays known: no leak. */
	if (g->engine && g->engine->stuck) {
		engine_destroy(g->engine);
		/* relaxed: only a checker of leaks follows it */
		g->kept = atomic_exchange_explicit(&kept, g, memory_order_relaxed);
		return;
	}
	engine_destroy(g->engine);
	if (g->text != g->first)
		text_free(g->text);
	text_free(g->first);
	free_list(g->options.defines, g->options.n_defines);
	free_list(g->options.plugin_dirs, g->options.n_plugin_dirs);
	free(g->file);
	pthread_mutex_destroy(&g->reloading);
	free(g);
}

/* Takes the text over. What a reload will need is copied. */
static int make_graph(struct pc_graph **ret, struct text *text, const char *file,
                      const struct pc_load_options *options, struct pc_error **err)
{
	struct pc_graph *g = calloc(1, sizeof(*g));
	struct pc_load_options *o;

	if (!g) {
		text_free(text);
		return error_set(err, PC_NOMEM, "out of memory");
	}
	pthread_mutex_init(&g->reloading, NULL);
	g->first = g->text = text;
	o = &g->options;
	*o = (struct pc_load_options){.size = sizeof(*o)};
	if (options) {
		o->n_defines = options->n_defines;
		o->n_plugin_dirs = options->n_plugin_dirs;
		o->private_copies = text_wants_copies(options);
		o->defines = copy_list(options->defines, o->n_defines);
		o->plugin_dirs = copy_list(options->plugin_dirs, o->n_plugin_dirs);
	}
	g->file = file && strcmp(file, "-") != 0 ? strdup(file) : NULL;
	if ((options && (!o->defines || !o->plugin_dirs)) ||
	    (file && strcmp(file, "-") != 0 && !g->file)) {
		destroy_graph(g);
		return error_set(err, PC_NOMEM, "out of memory");
	}
	*ret = g;
	return PC_OK;
}

PC_API int pc_graph_load_text(struct pc_graph **ret_graph, const char *name, const char *text,
                              size_t text_size, const struct pc_load_options *options,
                              struct pc_error **ret_err)
{
	struct text *t;
	int rc;

	*ret_graph = NULL;
	if (ret_err)
		*ret_err = NULL;
	rc = text_load(&t, name, text, text_size, ".", options, ret_err);
	return rc ? rc : make_graph(ret_graph, t, NULL, options, ret_err);
}

PC_API int pc_graph_load_file(struct pc_graph **ret_graph, const char *path,
                              const struct pc_load_options *options, struct pc_error **ret_err)
{
	struct text *t;
	int rc;

	*ret_graph = NULL;
	if (ret_err)
		*ret_err = NULL;
	rc = text_load_file(&t, path, options, ret_err);
	return rc ? rc : make_graph(ret_graph, t, path, options, ret_err);
}

PC_API int pc_format_text(char **ret_text, const char *name, const char *text, size_t text_size,
                          struct pc_error **ret_err)
{
	struct diag_list diags = {0};
	struct buf out = {0}, rendered = {0};
	uint32_t source = diag_source_add(&diags, name, text, text_size, (struct diag_span){0});
	int rc = PC_NOMEM;

	*ret_text = NULL;
	if (ret_err)
		*ret_err = NULL;
	if (source && lang_format(&out, &diags, source))
		*ret_text = buf_take(&out);
	if (*ret_text) {
		rc = PC_OK;
	} else if (diags.n_errors > 0) {
		diag_render(&diags, &rendered);
		rc = error_set_text(ret_err, PC_WRONG, buf_take(&rendered));
	} else {
		error_set(ret_err, PC_NOMEM, "out of memory while '%s' was formatted", name);
	}
	buf_fini(&out);
	diag_list_fini(&diags);
	return rc;
}

PC_API int pc_graph_start(struct pc_graph *graph, const struct pc_run_options *options,
                          struct pc_error **ret_err)
{
	struct pc_run_options own = {.size = sizeof(own)};
	int rc;

	if (ret_err)
		*ret_err = NULL;
	if (graph->started)
		return error_set(ret_err, PC_INVALID, "the graph has been started before");
	if (options)
		memcpy(&own, options,
		       options->size < sizeof(own) ? options->size : sizeof(own));
	graph->started = true;
	loader_sweep();
	rc = engine_create(&graph->engine, &graph->first->plan, &own, ret_err);
	rc = rc ? rc : engine_start(graph->engine, ret_err);
	if (rc) {
		engine_destroy(graph->engine);
		graph->engine = NULL;
	}
	return rc;
}

static struct timespec real_time_after(int64_t ns)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	if (ns > 1000000000 * PC_SEC / 10)
		ns = 1000000000 * PC_SEC / 10; /* three years is for ever */
	t.tv_sec += (time_t)(ns / PC_SEC);
	t.tv_nsec += (long)(ns % PC_SEC);
	if (t.tv_nsec >= PC_SEC) {
		t.tv_nsec -= (long)PC_SEC;
		t.tv_sec++;
	}
	return t;
}

PC_API int pc_graph_wait(struct pc_graph *graph, int64_t timeout_ns, struct pc_error **ret_err)
{
	struct engine *e = graph->engine;
	struct timespec until = real_time_after(timeout_ns);
	int rc;

	if (ret_err)
		*ret_err = NULL;
	if (!e)
		return error_set(ret_err, PC_INVALID, "the graph has not been started");
	pthread_mutex_lock(&e->lock);
	while (!e->ended && timeout_ns > 0 &&
	       pthread_cond_timedwait(&e->ended_cond, &e->lock, &until) != ETIMEDOUT)
		continue;
	rc = e->ended ? e->result : PC_TIMEOUT;
	if (e->ended && e->error)
		error_set_text(ret_err, rc, strdup(pc_error_text(e->error)));
	pthread_mutex_unlock(&e->lock);
	died_tell(&e->died, ret_err);
	return rc;
}

PC_API int pc_graph_stop(struct pc_graph *graph, int how)
{
	struct engine *e = graph->engine;
	uint32_t seen = 0;

	if (!e || (how != PC_STOP_DRAIN && how != PC_STOP_NOW))
		return PC_INVALID;
	/* relaxed on failure: only compared. The stronger wish wins. */
	while (seen < (uint32_t)how &&
	       !atomic_compare_exchange_weak_explicit(&e->stop_asked, &seen, (uint32_t)how,
	                                              memory_order_acq_rel /* C5 */,
	                                              memory_order_relaxed))
		continue;
	pthread_mutex_lock(&e->lock);
	if (!e->ended)
		control_nudge(e);
	pthread_mutex_unlock(&e->lock);
	return PC_OK;
}

struct engine *embed_engine(struct pc_graph *graph)
{
	return graph->engine;
}

PC_API int pc_graph_fd(struct pc_graph *graph)
{
	return graph->engine ? graph->engine->ended_fd : -1;
}

PC_API const char *pc_graph_file(struct pc_graph *graph, size_t index)
{
	struct engine *e = graph->engine;
	const char *name = NULL;
	bool first;

	if (e)
		pthread_mutex_lock(&e->shape);
	first = graph->text == graph->first;
	/* 0 of the list is no source. */
	if (index + 1 < graph->text->diags.n_sources)
		name = graph->text->diags.sources[index + 1].name;
	if (name && !first)
		name = reload_kept_text(e, name);
	if (e)
		pthread_mutex_unlock(&e->shape);
	return name;
}

PC_API char *pc_graph_explain(struct pc_graph *graph)
{
	struct buf out = {0};

	if (graph->engine) {
		pthread_mutex_lock(&graph->engine->shape);
		explain(graph->engine, &out);
		pthread_mutex_unlock(&graph->engine->shape);
	}
	return buf_take(&out);
}

PC_API char *pc_graph_describe(struct pc_graph *graph, bool json)
{
	struct buf out = {0};

	describe_plan(&graph->first->plan, json, &out);
	return buf_take(&out);
}

/* From the number of a row to an index of the plan. False: beyond them, and *index is how far. */
static bool place_of_row(const struct engine *e, size_t *index)
{
	for (uint32_t i = 0; i < e->plan->n_queues; i++)
		if (!e->plan->queues[i].vacant && (*index)-- == 0) {
			*index = i;
			return true;
		}
	return false;
}

PC_API bool pc_graph_queue(struct pc_graph *graph, size_t index, struct pc_queue_row *ret_row,
                           size_t size)
{
	struct engine *e = graph->engine;
	struct pc_queue_row row;
	bool found;

	if (!e)
		return false;
	pthread_mutex_lock(&e->shape);
	found = place_of_row(e, &index);
	if (found)
		ledger_row(e->places[index], &row);
	else
		found = recycle_queue_row(e, (uint32_t)index, &row);
	pthread_mutex_unlock(&e->shape);
	if (!found)
		return false;
	memcpy(ret_row, &row, size < sizeof(row) ? size : sizeof(row));
	return true;
}

static int doing_of(const struct replica *r)
{
	/* relaxed: a snapshot */
	return atomic_load_explicit((_Atomic int *)(uintptr_t)&r->doing, memory_order_relaxed);
}

static bool all_are_over(const struct stage *s)
{
	for (uint32_t i = 0; i < s->n_replicas; i++)
		if (doing_of(s->replicas[i]) < DOING_ENDED)
			return false;
	return true;
}

static const char *stage_state(const struct stage *s)
{
	int doing = doing_of(s->replicas[0]);

	if (flag_is(&s->ended))
		return s->plan->gone ? "removed" : "ended";
	if (all_are_over(s))
		return "closing";
	if (s->plan->gone)
		return "leaving";
	/* relaxed: likewise */
	if (atomic_load_explicit((_Atomic uint32_t *)(uintptr_t)&s->replicas[0]->sched,
	                         memory_order_relaxed) == TASK_QUEUED)
		return "ready";
	switch ((enum doing)doing) {
	case DOING_HELD:
		return "held";
	case DOING_INPUT:
		return "waiting for input";
	case DOING_OUTPUT:
		return "waiting for room";
	case DOING_WAKE:
	case DOING_SLEEP:
		return "waiting for time";
	case DOING_SECTION:
		return "waiting for its section";
	case DOING_TURN:
		return "waiting for its turn";
	case DOING_ENDED:
	case DOING_CLOSE_NEXT:
	case DOING_CLOSE:
		return "ended";
	case DOING_READY:
		return "ready";
	case DOING_CALLBACK:
		break;
	}
	return "running";
}

static void stage_row(const struct stage *s, struct pc_stage_row *row)
{
	struct stage_sums sums;

	*row = (struct pc_stage_row){
		.name = s->plan->name,
		.plugin = s->rows ? s->rows->plugin : s->desc->name,
		.replicas = s->plan->replicas,
		.state = stage_state(s),
		.inputs = s->desc->n_inputs,
		.outputs = s->desc->n_outputs,
		.flags = s->desc->flags,
		.file = s->rows           ? s->rows->file
	                : s->plan->plugin ? s->plan->plugin->file
	                                  : NULL,
	};
	recycle_sum_stage(s, &sums);
	recycle_show(&sums, row);
	swap_stage_row(s, row);
}

bool embed_stage_of_row(const struct engine *e, size_t *index)
{
	for (uint32_t i = 0; i < e->plan->n_stages; i++)
		if (!e->plan->stages[i].vacant && (*index)-- == 0) {
			*index = i;
			return true;
		}
	return false;
}

PC_API bool pc_graph_stage(struct pc_graph *graph, size_t index, struct pc_stage_row *ret_row,
                           size_t size)
{
	struct engine *e = graph->engine;
	struct pc_stage_row row;
	bool found;

	if (!e)
		return false;
	pthread_mutex_lock(&e->shape);
	found = embed_stage_of_row(e, &index);
	if (found)
		stage_row(e->stages[index], &row);
	else
		found = recycle_stage_row(e, (uint32_t)index, &row);
	pthread_mutex_unlock(&e->shape);
	if (found)
		memcpy(ret_row, &row, size < sizeof(row) ? size : sizeof(row));
	return found;
}

PC_API bool pc_graph_shared(struct pc_graph *graph, size_t index, struct pc_shared_row *ret_row,
                            size_t size)
{
	struct pc_shared_row row;

	if (index >= graph->first->plan.n_shareds)
		return false;
	if (graph->engine) {
		pthread_mutex_lock(&graph->engine->shape);
		state_row(graph->engine->plan, graph->engine, (uint32_t)index, &row);
		pthread_mutex_unlock(&graph->engine->shape);
	} else {
		state_row(&graph->first->plan, NULL, (uint32_t)index, &row);
	}
	memcpy(ret_row, &row, size < sizeof(row) ? size : sizeof(row));
	return true;
}

PC_API char *pc_graph_shared_text(struct pc_graph *graph, size_t index)
{
	struct buf out = {0};

	if (index >= graph->first->plan.n_shareds)
		return NULL;
	if (state_text(&graph->first->plan, graph->engine, (uint32_t)index, &out) != PC_OK) {
		buf_fini(&out);
		return NULL;
	}
	return buf_take(&out);
}

PC_API int pc_graph_shared_get(struct pc_graph *graph, const char *name, const char *key,
                               void *buffer, size_t room, size_t *ret_size)
{
	for (uint32_t i = 0; graph->engine && i < graph->first->plan.n_shareds; i++)
		if (strcmp(graph->first->plan.shareds[i].name, name) == 0)
			return state_value(graph->engine, i, key, buffer, room, ret_size);
	return PC_INVALID;
}

PC_API void pc_graph_free(struct pc_graph *graph)
{
	if (!graph)
		return;
	if (graph->engine) {
		pc_graph_stop(graph, PC_STOP_NOW);
		while (pc_graph_wait(graph, PC_FOREVER, NULL) == PC_TIMEOUT)
			continue;
	}
	destroy_graph(graph);
}
