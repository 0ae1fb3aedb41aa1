/* plan/make.h: what the files of this folder share while a plan is made.
 *
 * plan_make() calls the steps below in this order, on the control thread; each adds to the plan
 * what it found out and to the diagnostics what is wrong. A thing that is wrong stays in the plan,
 * marked, so that later steps neither stumble over it nor complain of what follows from it.
 *
 *   names.c    every declaration into one table of names; what the ends of arrows mean
 *   stages.c   stages: plugin (plugins.c), parameters (params.c), attributes (attr.c, attrs.c)
 *   wiring.c   arrows into queues and ports (ports.c, links.c)
 *   queues.c   queues: attributes, their writers and readers, and their names
 *   flow.c     what is not wired, what nothing reaches
 *   cycles.c   arrows that lead back (diamonds.c: that part and meet again)
 *   types.c    what flows through each port, and whether it fits
 *   joins.c    what each join waits for
 *   order.c    joins that can never pass (circle.c)
 *   shared.c   shared state
 *
 * Steps return false when memory ran out, and only then. */
#ifndef PLAN_MAKE_H
#define PLAN_MAKE_H

#include "base/near.h"
#include "lang/names.h"
#include "plan/plan.h"

enum plan_kind { KIND_NONE, KIND_STAGE, KIND_QUEUE, KIND_JOIN, KIND_SHARED };

/* What a name means: an index into the plan's array of its kind. */
struct plan_ref {
	enum plan_kind kind; /* KIND_NONE: a mistake, and reported */
	uint32_t index;
};

/* A plugin that the graph uses, however often. */
struct plan_plugin {
	const char *name;             /* as written first */
	struct loader_plugin *loaded; /* the plan holds it; NULL: refused, and reported */
	const struct pc_stage_desc *desc;
	void *defaults; /* a state with every default written in */
	struct {
		uint32_t stage; /* whose arguments are being read, plus 1 */
		const struct lang_arg *arg;
	} * given; /* per parameter */
};

/* One port of a stage while arrows are followed. */
struct plan_port {
	uint32_t queue; /* inputs: PLAN_NONE until wired */
	uint32_t arrow; /* the last one that leads to it */
	bool touched;   /* an arrow was meant for it, maybe a wrong one */
	struct diag_span span;
};

/* Of a stage, what only the checks need. */
struct plan_draft {
	const struct lang_stage *decl; /* NULL: it stands in a chain */
	const struct lang_call *call;
	bool broken; /* its statement was not understood whole */
	struct plan_plugin *plugin;
	struct plan_port *in, *out;
	uint32_t mark; /* the last queue that was counted for it, plus 1 */
	struct diag_span start_span, until_span, daemon_span, on_error_span, by_span;
};

/* A port written to or read from a queue, by an arrow. */
struct plan_edge {
	uint32_t stage, port, queue;
	struct diag_span arrow;
};

/* Attributes of queues, declared or in brackets. */
struct plan_queue_attrs {
	const struct lang_attr *capacity_at, *full_at, *feedback_at; /* NULL: not given */
	uint32_t capacity;
	enum pc_full full;
};

/* Of a queue, what only the checks need. */
struct plan_queue_draft {
	struct plan_queue_attrs attrs;
	bool suspect;   /* stands in a statement with a mistake: who is missing may be there */
	bool in_cycle;  /* reported: looked at as if it were `feedback` from then on */
	uint32_t ports; /* input ports that read it */
	uint32_t first_write, n_writes, first_read, n_reads; /* into writes and reads */
	const char *type;                                    /* types.c */
};

struct make {
	struct plan *plan;
	struct diag_list *diags;
	const struct lang_tree *tree;
	const struct loader_path *path;
	const char *graph_dir;
	struct arena scratch; /* gone when the plan is made */
	/* Lines of the text were not understood: what is not declared, or not wired, may be so
	 * in one of those, and is not called missing. */
	bool lost_names, lost_arrows;

	struct names names;                      /* declared: kind and index in one number */
	struct names sections;                   /* indices into the plan's */
	struct names plugin_keys, unnamed_names; /* indices into the two arrays below */
	struct plan_plugin **plugins;
	uint32_t n_plugins;
	struct plan_plugin nothing; /* stands for one that the text does not name */
	uint32_t *unnamed;          /* how many stages of a name stand in chains */
	uint32_t n_unnamed;
	const char **on_path; /* plugins that could be loaded, for "did you mean" */
	size_t n_on_path;
	bool path_read;
	unsigned suggestions; /* how many unknown names were compared with all others */
	const char **files;   /* per source: its name, in the plan's arena */

	struct plan_ref *ends; /* of all wires, in order of the text */
	uint32_t n_ends, n_arrows;
	struct plan_draft *drafts;
	struct plan_queue_draft *queue_drafts;
	struct plan_edge *writes, *reads;
	uint32_t n_writes, n_reads;
	uint32_t *out_first, *out_queues; /* queues that stage i writes, each once: CSR */
};

/* names.c */
bool plan_names(struct make *m);
struct plan_ref plan_name_find(const struct make *m, const char *name);
const char *plan_kind_word(enum plan_kind kind); /* "a stage" */
/* Offer the names of these kinds (bits 1 << KIND_…; KIND_NONE: of the plugins that could be
 * loaded), and hang the nearest on the error. */
void plan_name_suggest(struct make *m, struct diag *error, struct lang_name name,
                       unsigned kinds);
void plan_declared_note(struct make *m, struct diag *error, struct plan_ref ref);
void plan_hint_near(struct make *m, struct diag *error, const struct near *near);
bool plan_name_is(struct lang_name name, const char *text);

/* stages.c */
bool plan_stages(struct make *m);
/* How a message calls a stage whose place it shows: without the number of the unnamed. */
const char *plan_shown(const struct make *m, uint32_t stage);
const char *plan_file(struct make *m, struct diag_span span, unsigned *ret_line);

/* plugins.c. (*ret)->desc NULL: it could not be loaded, and that is reported. */
bool plan_plugin_get(struct make *m, const struct lang_call *call, bool in_chain,
                     struct plan_plugin **ret);
void plan_plugins_read(struct make *m);

/* params.c */
bool plan_defaults(struct make *m, struct plan_plugin *p, struct diag_span span);
bool plan_params(struct make *m, uint32_t stage);

/* attrs.c */
bool plan_stage_attrs(struct make *m, uint32_t stage);
bool plan_is_stage_attr(struct lang_name name);

/* attr.c */
/* Where a value came from that stands elsewhere than the mistake. */
void plan_value_origin(struct make *m, struct diag *error, const struct lang_value *value);
struct diag *plan_attr_error(struct make *m, const struct lang_attr *attr, const char *wanted);
bool plan_attr_number(struct make *m, const struct lang_attr *attr, uint64_t low, uint64_t high,
                      uint32_t *ret);
int plan_attr_word(struct make *m, const struct lang_attr *attr, const char *const *words);
/* Whether the attribute stands in the list before; reported. */
bool plan_attr_twice(struct make *m, const struct lang_attr *attrs,
                     const struct lang_attr *attr);
bool plan_attr_has_value(struct make *m, const struct lang_attr *attr, const char *wanted);
bool plan_attr_is_flag(struct make *m, const struct lang_attr *attr);

/* ports.c: the port that this end of an arrow means. False: reported, or the stage is broken. */
bool plan_port_in(struct make *m, uint32_t stage, const struct lang_end *end, bool last,
                  uint32_t *ret);
bool plan_port_out(struct make *m, uint32_t stage, const struct lang_end *end, bool first,
                   uint32_t *ret);

/* wiring.c */
bool plan_wires(struct make *m);

/* links.c */
struct plan_target {
	uint32_t stage, port;
	const struct lang_end *end;
};
void plan_link_write(struct make *m, uint32_t stage, uint32_t port, uint32_t queue,
                     struct diag_span arrow);
void plan_link_read(struct make *m, const struct plan_target *t, uint32_t queue,
                    struct diag_span arrow);
/* The queue without a name in front of these inputs, made or, where there is one, joined.
 * PLAN_NONE: it can't be, and that is reported. */
uint32_t plan_link_unnamed(struct make *m, const struct plan_target *targets, size_t n,
                           const struct plan_queue_attrs *attrs, struct diag_span arrow);

/* queues.c */
void plan_queue_attrs_read(struct make *m, const struct lang_attr *attrs, size_t n,
                           struct plan_queue_attrs *ret);
void plan_queue_attrs_set(struct plan_queue *q, struct plan_queue_draft *draft,
                          const struct plan_queue_attrs *attrs);
bool plan_queues_declare(struct make *m);
bool plan_queues(struct make *m);

/* flow.c, cycles.c, diamonds.c, types.c, joins.c, order.c, shared.c */
bool plan_flow(struct make *m);
bool plan_cycles(struct make *m);
bool plan_diamonds(struct make *m);
bool plan_types(struct make *m);
bool plan_joins(struct make *m);
bool plan_order(struct make *m);
bool plan_shared(struct make *m);

#endif
