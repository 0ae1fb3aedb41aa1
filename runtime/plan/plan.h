/* plan/plan.h: a graph that has been checked: what to make and how it hangs together.
 *
 * plan_make() takes the tree and the plugins' descriptors, reports every mistake that can be
 * found without running, and resolves names into indices. The engine turns it into replicas,
 * queues and joins. Control thread only; immutable once made. Knows no threads.
 */
#ifndef PLAN_PLAN_H
#define PLAN_PLAN_H

#include "base/arena.h"
#include "base/diag.h"
#include "lang/lang.h"
#include "loader/loader.h"
#include "shared/shared.h"

#include <pcrun/queue.h>

#define PLAN_NONE UINT32_MAX
/* Built-in joins stand first in plan.joins. */
#define PLAN_JOIN_START 0
#define PLAN_JOIN_END   1

enum plan_on_error { PLAN_FAIL, PLAN_SKIP, PLAN_RETRY, PLAN_DEAD };

struct plan_output {
	uint32_t *queues; /* every item goes into each */
	uint32_t n_queues;
	const char *type; /* resolved: "=in" and "*" replaced where they can be */
};

struct plan_input {
	uint32_t queue;   /* exactly one queue feeds an input port */
	const char *type; /* what the writers send; "*" when they differ or nobody knows */
};

struct plan_stage {
	const char *name;        /* declared, or PLUGIN, PLUGIN#2, … for the unnamed */
	const char *plugin_name; /* as written in the graph */
	const struct pc_stage_desc *desc;
	struct loader_plugin *plugin; /* lent by the plan, which holds a reference */
	struct diag_span span;
	const char *file; /* of its declaration, for messages at run time */
	unsigned line;
	uint32_t replicas;
	bool ordered;
	const char *by; /* field, or NULL */
	bool daemon;
	uint32_t until;   /* join; PLAN_JOIN_END for a bare daemon; PLAN_NONE when no daemon */
	uint32_t start;   /* join; PLAN_JOIN_START unless given */
	uint32_t section; /* PLAN_NONE: not critical */
	bool own_thread;  /* PC_BLOCKING or thread=own */
	enum plan_on_error on_error;
	uint32_t retries;
	uint32_t dead_queue;
	struct plan_input *inputs; /* one per descriptor input */
	struct plan_output *outputs;
	void *params; /* state_size bytes: zero, with all parameters written in; strings in the arena */
	/* Of a graph that has been reloaded (difference.h): */
	bool gone;
	bool ended;  /* and has ended: it writes nothing any more */
	bool vacant; /* nothing is left of it: the next new stage may have the row */
	const struct pc_stage_desc
		*written; /* whose table `params` follows, when that is not desc's; or NULL */
};

struct plan_queue {
	const char *name; /* declared, or "a -> b" */
	bool declared;
	struct diag_span span;
	const char *file;
	unsigned line;
	uint32_t capacity;
	enum pc_full full;
	bool feedback;
	uint32_t *writers; /* stages, each once; those whose dead queue it is included */
	uint32_t n_writers;
	uint32_t *readers;
	uint32_t n_readers;
	bool joined; /* a join waits for it to be drained */
	/* Of a graph that has been reloaded (difference.h): */
	bool gone;
	bool vacant; /* as above */
};

struct plan_join {
	const char *name;
	struct diag_span span;
	uint32_t *stages; /* must end */
	uint32_t n_stages;
	uint32_t *queues; /* must be drained */
	uint32_t n_queues;
	uint32_t *joins; /* must have passed */
	uint32_t n_joins;
	bool gone; /* since a reload: it waits for nothing, and nobody waits for it */
};

struct plan_section {
	const char *name; /* a stage's own section has the stage's name */
	uint32_t n_stages;
};

/* What a key of a dict begins with. */
struct plan_value {
	const char *key;
	const char *text; /* as written */
	size_t size;
	int64_t number;
	bool is_number;
};

struct plan_shared {
	const char *name;
	struct diag_span span;
	const char *file;
	unsigned line;
	enum shared_kind kind;
	size_t size_bytes; /* SHARED_BYTES */
	struct plan_value *values;
	uint32_t n_values;
	uint32_t section; /* whose stages update it; PLAN_NONE: nobody who says so */
	uint32_t updater; /* one of them, or PLAN_NONE */
};

struct plan {
	struct arena arena;
	struct plan_stage *stages;
	uint32_t n_stages;
	struct plan_queue *queues;
	uint32_t n_queues;
	struct plan_join *joins;
	uint32_t n_joins;
	struct plan_section *sections;
	uint32_t n_sections;
	struct plan_shared *shareds;
	uint32_t n_shareds;
	struct loader_plugin **plugins; /* each once, with a reference */
	uint32_t n_plugins;
};

/* Mistakes go to diags. PC_OK: *plan is whole. PC_WRONG: there are errors (call plan_fini all the
 * same). PC_NOMEM. Not everything stops at the first: names, plugins, parameters, wiring, types,
 * joins are each checked as far as they can be. */
int plan_make(struct plan *plan, struct diag_list *diags, const struct lang_tree *tree,
              const struct loader_path *path, const char *graph_dir);
void plan_fini(struct plan *plan);

/* retype.c: what flows when stages have other tables than the plan's, ports being known by name. */
struct plan_flow {
	const struct plan *plan;
	const struct pc_stage_desc *const *descs; /* per stage; of one that is gone nothing */
	const char **types; /* per queue: what flows, "*": several; NULL: nothing */
};
/* An edge whose ends do not fit. */
struct plan_mismatch {
	uint32_t writer, output; /* PLAN_NONE: what failed there */
	uint32_t reader, input;
	const char *sent, *taken;
};
/* Makes f->types. False: no memory; plan_flow_fini() in every case. */
bool plan_flow_solve(struct plan_flow *f);
void plan_flow_fini(struct plan_flow *f);
/* Both solved. False: the first edge that fitted in `was` and does not in `is`. */
bool plan_flow_fits(const struct plan_flow *was, const struct plan_flow *is,
                    struct plan_mismatch *ret);
/* Ports by their index in the plan. The type of what leaves, or NULL; the input that an output "=in"
 * passes on, or PLAN_NONE; what an input says it takes. */
const char *plan_sent(const struct plan_flow *f, uint32_t stage, uint32_t output);
uint32_t plan_passes(const struct plan_flow *f, uint32_t stage, uint32_t output);
const char *plan_taken(const struct plan_flow *f, uint32_t stage, uint32_t input);
bool plan_writes(const struct plan_stage *s, uint32_t output, uint32_t queue);
/* Whether items of type `comes` may arrive where `taken` is taken: names, or a star at the end for
 * anything that begins so. */
bool plan_fits(const char *comes, const char *taken);

/* reach.c: marks[i] becomes true for each stage i of the cycle that goes through a feedback queue.
 * `marks` has plan_cycle_marks() bytes; those behind the stages' are used up. */
size_t plan_cycle_marks(const struct plan *plan);
void plan_mark_cycle(const struct plan *plan, uint32_t queue, bool *marks);

#endif
