/* stress/engine/graph.h: plans made by hand, so that the engine is tested without text, files or
 * shared objects. Used by the engine's stress programs on their main thread.
 *
 * Each stage's behaviour comes from a static descriptor; its settings are a struct that is copied
 * into every replica's state, as the plan does with parameters. */
#ifndef STRESS_ENGINE_GRAPH_H
#define STRESS_ENGINE_GRAPH_H

#include "engine/engine.h"

struct graph {
	struct plan plan;
	struct plan_stage *stages;
	struct plan_queue *queues;
	struct plan_join *joins;
	struct plan_section *sections;
	struct engine *engine;
	struct pc_error *error;
};

void graph_init(struct graph *g); /* for up to 64 of each */
void graph_init_large(struct graph *g, uint32_t n);
/* Returns the stage, to set attributes on. */
struct plan_stage *graph_stage(struct graph *g, const char *name,
                               const struct pc_stage_desc *desc, const void *settings,
                               uint32_t replicas);
struct plan_queue *graph_queue(struct graph *g, const char *name, uint32_t capacity);
void graph_write(struct graph *g, struct plan_stage *s, uint32_t port, struct plan_queue *q);
void graph_read(struct graph *g, struct plan_stage *s, uint32_t port, struct plan_queue *q);
uint32_t graph_join(struct graph *g, const char *name);
void graph_join_stage(struct graph *g, uint32_t join, struct plan_stage *s);
void graph_join_queue(struct graph *g, uint32_t join, struct plan_queue *q);
uint32_t graph_section(struct graph *g, const char *name);
/* Fills the built-in `end`, then starts. */
int graph_start(struct graph *g, const struct pc_run_options *options);
/* Waits at most 60 s (a watchdog: then it explains and aborts); returns the result. */
int graph_wait(struct graph *g);
/* start, wait, check every queue's ledger. */
int graph_run(struct graph *g, unsigned workers);
void graph_fini(struct graph *g);

#endif
