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
#include "engine/source.h"
#include "lang/lang.h"
#include "loader/loader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct pc_graph {
	struct diag_list diags;
	struct lang_tree tree;
	struct loader_path path;
	struct plan plan;
	bool has_tree, has_path, has_plan;
	struct engine *engine;
	bool started;
};

static void destroy_graph(struct pc_graph *g)
{
	if (!g)
		return;
	/* Threads that never came back still use the plan and the plugins' code. */
	if (g->engine && g->engine->stuck) {
		engine_destroy(g->engine);
		return;
	}
	engine_destroy(g->engine);
	if (g->has_plan)
		plan_fini(&g->plan);
	if (g->has_path)
		loader_path_fini(&g->path);
	if (g->has_tree)
		lang_tree_fini(&g->tree);
	diag_list_fini(&g->diags);
	free(g);
}

/* "name=value" pairs as the language wants them. False: out of memory, or one without "=". */
static int split_defines(const struct pc_load_options *options, struct lang_define **ret,
                         char **ret_bytes, struct pc_error **err)
{
	size_t n = options ? options->n_defines : 0, size = 1;
	struct lang_define *defines;
	char *at;

	for (size_t i = 0; i < n; i++)
		size += strlen(options->defines[i]) + 1;
	defines = calloc(n ? n : 1, sizeof(*defines));
	*ret_bytes = at = malloc(size);
	*ret = defines;
	if (!defines || !at)
		return error_set(err, PC_NOMEM, "out of memory");
	for (size_t i = 0; i < n; i++) {
		char *equals;

		strcpy(at, options->defines[i]);
		equals = strchr(at, '=');
		if (!equals || equals == at)
			return error_set(err, PC_INVALID, "-D wants NAME=VALUE, not '%s'",
			                 options->defines[i]);
		*equals = '\0';
		defines[i] = (struct lang_define){.name = at, .value = equals + 1};
		at += strlen(options->defines[i]) + 1;
	}
	return PC_OK;
}

/* The caller's struct may be an older, shorter one. */
static bool wants_copies(const struct pc_load_options *options)
{
	return options &&
	       options->size >= offsetof(struct pc_load_options, private_copies) +
	                                sizeof(options->private_copies) &&
	       options->private_copies;
}

/* Parses and plans; mistakes are in g->diags. */
static int check(struct pc_graph *g, uint32_t source, const char *dir,
                 const struct pc_load_options *options, struct pc_error **err)
{
	struct lang_define *defines = NULL;
	char *bytes = NULL;
	int rc = split_defines(options, &defines, &bytes, err);

	if (rc)
		goto out;
	rc = PC_NOMEM;
	if (!lang_parse(&g->tree, &g->diags, source, defines, options ? options->n_defines : 0,
	                source_include, NULL))
		goto out;
	g->has_tree = true;
	if (!loader_path_init(&g->path, dir, options ? options->plugin_dirs : NULL,
	                      options ? options->n_plugin_dirs : 0))
		goto out;
	g->has_path = true;
	g->path.private_copies = wants_copies(options);
	rc = plan_make(&g->plan, &g->diags, &g->tree, &g->path, dir);
	g->has_plan = true;
out:
	free(defines);
	free(bytes);
	return rc;
}

static int load(struct pc_graph **ret_graph, const char *name, const char *text, size_t size,
                const char *dir, const struct pc_load_options *options, struct pc_error **err)
{
	struct pc_graph *g = calloc(1, sizeof(*g));
	struct buf rendered = {0};
	uint32_t source;
	int rc = PC_NOMEM;

	if (!g)
		return error_set(err, PC_NOMEM, "out of memory");
	source = diag_source_add(&g->diags, name, text, size, (struct diag_span){0});
	if (source)
		rc = check(g, source, dir, options, err);
	if (rc == PC_OK && g->diags.n_errors > 0)
		rc = PC_WRONG;
	if (rc == PC_OK) {
		*ret_graph = g;
		if (g->diags.n_warnings > 0) {
			diag_render(&g->diags, &rendered);
			error_set_text(err, PC_OK, buf_take(&rendered));
		}
		return PC_OK;
	}
	if (rc == PC_WRONG) {
		diag_render(&g->diags, &rendered);
		error_set_text(err, PC_WRONG, buf_take(&rendered));
	} else if (rc == PC_NOMEM) {
		error_set(err, PC_NOMEM, "out of memory while '%s' was loaded", name);
	}
	destroy_graph(g);
	return rc;
}

PC_API int pc_graph_load_text(struct pc_graph **ret_graph, const char *name, const char *text,
                              size_t text_size, const struct pc_load_options *options,
                              struct pc_error **ret_err)
{
	*ret_graph = NULL;
	if (ret_err)
		*ret_err = NULL;
	return load(ret_graph, name, text, text_size, ".", options, ret_err);
}

PC_API int pc_graph_load_file(struct pc_graph **ret_graph, const char *path,
                              const struct pc_load_options *options, struct pc_error **ret_err)
{
	char *text = NULL, *dir = NULL;
	size_t size;
	int rc;

	*ret_graph = NULL;
	if (ret_err)
		*ret_err = NULL;
	rc = source_read(path, &text, &size, ret_err);
	if (rc)
		return rc;
	dir = source_dir(path);
	rc = dir ? load(ret_graph, strcmp(path, "-") == 0 ? "<stdin>" : path, text, size, dir,
	                options, ret_err)
	         : error_set(ret_err, PC_NOMEM, "out of memory");
	free(text);
	free(dir);
	return rc;
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
	rc = engine_create(&graph->engine, &graph->plan, &own, ret_err);
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
	const struct diag_list *diags = &graph->diags;

	/* 0 of the list is no source. */
	return index + 1 < diags->n_sources ? diags->sources[index + 1].name : NULL;
}

PC_API char *pc_graph_explain(struct pc_graph *graph)
{
	struct buf out = {0};

	if (graph->engine)
		explain(graph->engine, &out);
	return buf_take(&out);
}

PC_API bool pc_graph_queue(struct pc_graph *graph, size_t index, struct pc_queue_row *ret_row,
                           size_t size)
{
	struct pc_queue_row row;

	if (!graph->engine || index >= graph->engine->plan->n_queues)
		return false;
	ledger_row(graph->engine->places[index], &row);
	memcpy(ret_row, &row, size < sizeof(row) ? size : sizeof(row));
	return true;
}

static const char *stage_state(const struct stage *s)
{
	/* relaxed: a snapshot */
	int doing = atomic_load_explicit((_Atomic int *)(uintptr_t)&s->replicas[0]->doing,
	                                 memory_order_relaxed);

	if (flag_is(&s->ended))
		return "ended";
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
		return "ended";
	case DOING_READY:
	case DOING_CALLBACK:
		break;
	}
	return "running";
}

PC_API bool pc_graph_stage(struct pc_graph *graph, size_t index, struct pc_stage_row *ret_row,
                           size_t size)
{
	const struct stage *s;
	struct pc_stage_row row = {0};

	if (!graph->engine || index >= graph->engine->plan->n_stages)
		return false;
	s = graph->engine->stages[index];
	row.name = s->plan->name;
	row.plugin = s->desc->name;
	row.replicas = s->plan->replicas;
	row.state = stage_state(s);
	row.inputs = s->desc->n_inputs;
	row.outputs = s->desc->n_outputs;
	row.flags = s->desc->flags;
	row.file = s->plan->plugin ? s->plan->plugin->file : NULL;
	for (uint32_t i = 0; i < s->n_replicas; i++) {
		const struct replica *r = s->replicas[i];

		for (uint32_t k = 0; k < s->desc->n_inputs; k++)
			row.taken += count_read(&r->inputs[k].taken);
		row.emitted += count_read(&r->emitted);
		row.failed += count_read(&r->failed);
		row.skipped += count_read(&r->skipped);
		row.retried += count_read(&r->retried);
		row.activations += count_read(&r->activations);
		row.busy_ns += (int64_t)count_read(&r->busy_ns);
		row.progress += count_read(&r->progress);
		row.progress_total += count_read(&r->progress_total);
	}
	swap_stage_row(s, &row);
	memcpy(ret_row, &row, size < sizeof(row) ? size : sizeof(row));
	return true;
}

PC_API bool pc_graph_shared(struct pc_graph *graph, size_t index, struct pc_shared_row *ret_row,
                            size_t size)
{
	struct pc_shared_row row;

	if (index >= graph->plan.n_shareds)
		return false;
	state_row(&graph->plan, graph->engine, (uint32_t)index, &row);
	memcpy(ret_row, &row, size < sizeof(row) ? size : sizeof(row));
	return true;
}

PC_API char *pc_graph_shared_text(struct pc_graph *graph, size_t index)
{
	struct buf out = {0};

	if (index >= graph->plan.n_shareds)
		return NULL;
	if (state_text(&graph->plan, graph->engine, (uint32_t)index, &out) != PC_OK) {
		buf_fini(&out);
		return NULL;
	}
	return buf_take(&out);
}

PC_API int pc_graph_shared_get(struct pc_graph *graph, const char *name, const char *key,
                               void *buffer, size_t room, size_t *ret_size)
{
	for (uint32_t i = 0; graph->engine && i < graph->plan.n_shareds; i++)
		if (strcmp(graph->plan.shareds[i].name, name) == 0)
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
