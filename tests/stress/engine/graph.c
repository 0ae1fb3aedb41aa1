/* stress/engine/graph.c: see graph.h. */
#include "graph.h"

#include "base/buf.h"
#include "base/error.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void graph_init_large(struct graph *g, uint32_t n)
{
	memset(g, 0, sizeof(*g));
	g->plan.stages = g->stages = calloc(n, sizeof(*g->stages));
	g->plan.queues = g->queues = calloc(n, sizeof(*g->queues));
	g->plan.joins = g->joins = calloc(64, sizeof(*g->joins));
	g->plan.sections = g->sections = calloc(64, sizeof(*g->sections));
	graph_join(g, "start");
	graph_join(g, "end");
}

void graph_init(struct graph *g)
{
	graph_init_large(g, 64);
}

struct plan_stage *graph_stage(struct graph *g, const char *name,
                               const struct pc_stage_desc *desc, const void *settings,
                               uint32_t replicas)
{
	struct plan_stage *s = &g->stages[g->plan.n_stages++];

	*s = (struct plan_stage){.name = name,
	                         .plugin_name = desc->name,
	                         .desc = desc,
	                         .file = "test",
	                         .replicas = replicas,
	                         .until = PLAN_NONE,
	                         .start = PLAN_JOIN_START,
	                         .section = PLAN_NONE,
	                         .own_thread = (desc->flags & PC_BLOCKING) != 0,
	                         .dead_queue = PLAN_NONE};
	s->inputs = calloc(desc->n_inputs + 1, sizeof(*s->inputs));
	s->outputs = calloc(desc->n_outputs + 1, sizeof(*s->outputs));
	s->params = malloc(desc->state_size + 1);
	if (settings)
		memcpy(s->params, settings, desc->state_size);
	else
		memset(s->params, 0, desc->state_size);
	return s;
}

struct plan_queue *graph_queue(struct graph *g, const char *name, uint32_t capacity)
{
	struct plan_queue *q = &g->queues[g->plan.n_queues++];

	*q = (struct plan_queue){
		.name = name, .declared = true, .file = "test", .capacity = capacity};
	return q;
}

static void append_last(uint32_t **list, uint32_t *n, uint32_t value)
{
	*list = realloc(*list, (*n + 1) * sizeof(**list));
	(*list)[(*n)++] = value;
}

static void append(uint32_t **list, uint32_t *n, uint32_t value)
{
	for (uint32_t i = 0; i < *n; i++)
		if ((*list)[i] == value)
			return;
	append_last(list, n, value);
}

static bool has_worker(const struct graph *g, const struct plan_queue *q)
{
	for (uint32_t i = 0; i < q->n_writers; i++)
		if (!g->stages[q->writers[i]].daemon)
			return true;
	return false;
}

static uint32_t stage_index(struct graph *g, const struct plan_stage *s)
{
	return (uint32_t)(s - g->stages);
}

void graph_write(struct graph *g, struct plan_stage *s, uint32_t port, struct plan_queue *q)
{
	struct plan_output *o = &s->outputs[port];

	append(&o->queues, &o->n_queues, (uint32_t)(q - g->queues));
	append(&q->writers, &q->n_writers, stage_index(g, s));
}

void graph_read(struct graph *g, struct plan_stage *s, uint32_t port, struct plan_queue *q)
{
	s->inputs[port].queue = (uint32_t)(q - g->queues);
	s->inputs[port].type = "*";
	append(&q->readers, &q->n_readers, stage_index(g, s));
}

uint32_t graph_join(struct graph *g, const char *name)
{
	g->joins[g->plan.n_joins].name = name;
	return g->plan.n_joins++;
}

void graph_join_stage(struct graph *g, uint32_t join, struct plan_stage *s)
{
	append(&g->joins[join].stages, &g->joins[join].n_stages, stage_index(g, s));
}

void graph_join_queue(struct graph *g, uint32_t join, struct plan_queue *q)
{
	append(&g->joins[join].queues, &g->joins[join].n_queues, (uint32_t)(q - g->queues));
	q->joined = true;
}

uint32_t graph_section(struct graph *g, const char *name)
{
	g->sections[g->plan.n_sections].name = name;
	return g->plan.n_sections++;
}

int graph_start(struct graph *g, const struct pc_run_options *options)
{
	int rc;

	for (uint32_t i = 0; i < g->plan.n_stages; i++)
		if (!g->stages[i].daemon)
			append_last(&g->joins[PLAN_JOIN_END].stages,
			            &g->joins[PLAN_JOIN_END].n_stages, i);
	for (uint32_t i = 0; i < g->plan.n_queues; i++)
		if (has_worker(g, &g->queues[i]))
			append_last(&g->joins[PLAN_JOIN_END].queues,
			            &g->joins[PLAN_JOIN_END].n_queues, i);
	rc = engine_create(&g->engine, &g->plan, options, &g->error);
	if (rc == PC_OK)
		rc = engine_start(g->engine, &g->error);
	return rc;
}

int graph_wait(struct graph *g)
{
	struct engine *e = g->engine;
	struct timespec until;
	int rc;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 60;
	pthread_mutex_lock(&e->lock);
	while (!e->ended)
		if (pthread_cond_timedwait(&e->ended_cond, &e->lock, &until) == ETIMEDOUT) {
			struct buf text = {0};

			explain(e, &text);
			fprintf(stderr, "watchdog: the graph does not end:\n%s", text.text);
			abort();
		}
	rc = e->result;
	pthread_mutex_unlock(&e->lock);
	return rc;
}

int graph_run(struct graph *g, unsigned workers)
{
	struct pc_run_options options = {.size = sizeof(options), .workers = workers};
	int rc = graph_start(g, &options);

	if (rc == PC_OK)
		rc = graph_wait(g);
	return rc;
}

void graph_fini(struct graph *g)
{
	engine_destroy(g->engine);
	pc_error_free(g->error);
	for (uint32_t i = 0; i < g->plan.n_stages; i++) {
		for (uint32_t k = 0; k < g->stages[i].desc->n_outputs; k++)
			free(g->stages[i].outputs[k].queues);
		free(g->stages[i].inputs);
		free(g->stages[i].outputs);
		free(g->stages[i].params);
	}
	for (uint32_t i = 0; i < g->plan.n_queues; i++) {
		free(g->queues[i].writers);
		free(g->queues[i].readers);
	}
	for (uint32_t i = 0; i < g->plan.n_joins; i++) {
		free(g->joins[i].stages);
		free(g->joins[i].queues);
	}
	free(g->stages);
	free(g->queues);
	free(g->joins);
	free(g->sections);
}
