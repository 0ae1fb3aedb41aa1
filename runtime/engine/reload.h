/* engine/reload.h: another shape for a graph that runs: stages, queues and edges come and go.
 *
 * A request brings the difference between the plan that runs and that of a new text, whole and
 * checked (plan/difference.h). What did not change is not touched: its state, what is in its
 * queues and its statistics go on, and its replicas do not even pause.
 *
 * The way of a reload
 *   reload-ask.c     any thread: reads the text, makes the difference, asks, waits for the answer
 *   reload-turn.c    control thread: one request at a time; when it is time to go on
 *   reload-make.c    control thread: what is new is made, beside what runs
 *   reload-open.c    its own thread: what is new is opened
 *   reload-park.c    replicas stop between two activations, each at its own item boundary
 *   reload-apply.c   control thread: while they stand, the change; it can not fail any more
 *   reload-wire.c    control thread: lanes, inputs, and who keeps a queue open
 *   reload-row.c     copies of rows, so that plans and texts can be freed
 *   reload-recycle.c control thread: what went before is freed
 *
 * The order of steps, of which users are told in pcrun-graph(5)
 *   1. What is new is made: queues, stages with their threads; open() is called. Whatever fails
 *      until here is undone, and the old graph has noticed nothing.
 *   2. The stages at either end of a change stop, each between two items ("parked"): they give
 *      their worker back and hold no item in hand. A stage that does not come back from its own
 *      code within the time-out: they go on as before, and the request is refused.
 *   3. New writers and readers of queues are counted in. Refused when a queue has ended already.
 *   4. Edges: what a writer had emitted before goes into the queues that it had then, though they
 *      be full; what it emits from now on goes into those it has now.
 *   5. An input that takes from another queue now, while its old one is removed, first takes all
 *      that is left in that one: it moves on when the old queue is closed and empty. So an item
 *      never overtakes another of the same producer.
 *   6. A stage that is removed sees the end of its stream: its queue is closed, it takes what is
 *      left, finish() may emit last items, close() is called. A source is told to stop. If it
 *      shares its queue with others who stay, it leaves what is in it to them.
 *   7. A stage that replaces another begins when that one has ended; until then its items wait.
 *   8. All go on.
 *
 * Whose is what. Only the control thread changes the shape. What a replica looks at (its lanes,
 * inputs, the rows of the plan) is changed while it is parked; what other threads look at for
 * reports, under engine.shape. Objects that went are freed after a grace period, when nothing of
 * the engine leads to them; who looks at a stage without `shape` for long, as a swap does that is
 * being tried, pins it. While something of a stage is being closed, which another thread does
 * (closing.h), its array of replicas stays, and so do those of them that have ended.
 */
#ifndef ENGINE_RELOAD_H
#define ENGINE_RELOAD_H

#include "lang/names.h"
#include "plan/difference.h"

#include <pcrun/pcrun.h>
#include <pcrun/stage.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct engine;
struct input;
struct joins;
struct lane;
struct output;
struct place;
struct replica;
struct split;
struct stage;
struct stage_sums;

/* Where an input goes on when its queue is closed and empty. */
struct move {
	struct move *next;
	struct place *to;
};

/* A copy of a stage's row: see reload-row.c. */
struct stage_row {
	struct plan_stage plan;
	struct stage_row *older;
	const char *plugin, *file; /* its names, which live as long as the graph */
};

/* Who writes and reads a queue, now and then: see reload-count.c. */
struct tally {
	uint32_t refs_now, refs_then, workers_now, workers_then, added, readers;
	uint32_t outside_now, outside_then; /* see loop.c */
	bool daemon_only;                   /* then */
};

/* The outputs that a replica will have. */
struct rewire {
	struct rewire *next;
	struct replica *replica;
	uint32_t port;
	uint32_t n_queues;
	uint32_t n_lanes;
	struct lane *lanes;     /* bare: places and parts */
	struct output *outputs; /* the replica's, when it has no room for that of dead items */
	struct split *splits;
};

/* A replica that there has not been before, of a stage that there has been. */
struct recruit {
	struct recruit *next;
	struct replica *replica;
	uint32_t index;
};

/* Things of stages that there have been, to be put in their place. */
struct fresh_order {
	struct fresh_order *next;
	struct stage *stage;
	struct order *order;
};
struct fresh_list {
	struct fresh_list *next;
	struct stage *stage;
	struct replica **replicas; /* with room for all */
};
struct fresh_value {
	struct fresh_value *next;
	struct stage *stage;
	const struct pc_param *row; /* of the build that runs */
	uint64_t bytes[1];
};

struct reload_request {
	struct plan_difference *difference; /* its merged plan is taken out on success */
	int64_t until_ns;
	/* under the engine's lock */
	bool answered;
	int result;
	struct pc_error *error;
};

/* The plan in force, and what was made with it. */
struct reload_past {
	struct plan *plan;
	struct arena arena;
};

/* See reload-open.c. [control], while it does not run. */
struct reload_opening {
	struct engine *engine;
	pthread_t thread;
	int64_t begun_ns;
	bool runs;
	bool late_said;
	int64_t ending_ns; /* since then the graph ends, and it is all for nothing; 0: no */
	_Atomic bool over; /* [opener] */
	_Atomic(struct replica *) at; /* [opener] */
	int result;                   /* [opener] */
	struct pc_error *error;       /* [opener] */
};

/* The one that is under way. [control] */
struct reload {
	struct reload_request *request;
	struct plan *plan; /* the merged one */
	struct arena arena;
	struct reload_opening opening;
	bool made;
	bool parking;                /* opened; waiting for those who shall stand still */
	uint64_t generations;        /* of cuts, when it was made */
	bool *touched;               /* per stage of the old plan */
	uint32_t n_stages, n_queues; /* of the old plan */
	struct stage **stages;       /* per stage of the new plan, as everywhere */
	struct place **places;
	struct section **sections;
	struct stage_row **stage_rows;  /* per stage of the old plan; NULL: the row stays */
	struct plan_queue **queue_rows; /* per queue of it */
	struct join *joins;
	struct joins *stage_joins, *place_joins, *join_joins;
	struct rewire *rewires;
	struct recruit *recruits;
	struct fresh_order *orders;
	struct fresh_list *lists;
	struct fresh_value *values;
	struct move *moves;    /* spare ones */
	struct tally *tallies; /* of all places */
};

static inline bool reload_adds_stage(const struct reload *now, uint32_t index)
{
	return now->request->difference->stages[index] & CHANGE_ADDED;
}

static inline bool reload_adds_queue(const struct reload *now, uint32_t index)
{
	return now->request->difference->queues[index] & QUEUE_ADDED;
}

/* In struct engine. */
struct reload_engine {
	struct reload_request *asked; /* under the engine's lock */
	bool closed;              /* under the lock: the graph ends, nothing changes any more */
	_Atomic bool news;        /* [any] a request is there */
	pthread_cond_t answered;  /* with the lock */
	struct reload *now;       /* [control] */
	struct reload_past *past; /* [control] NULL: the graph's first plan is in force */
	/* reload-row.c: texts that are kept; under `shape` */
	struct arena texts, table;
	struct names names;
	const char **list;
	struct recycle *recycle; /* [control], the sums under `shape`; see reload-recycle.c */
};

/* reload-ask.c */
void reload_past_free(struct reload_past *past); /* [control] NULL is fine */
void reload_create(struct engine *e);            /* [start] */
void reload_destroy(struct engine *e);           /* after the end */
/* PC_OK: done. Else nothing has been changed: PC_WRONG: refused, PC_TIMEOUT: a stage did not come
 * back, PC_STOPPED: the graph ends, PC_NOMEM. [any], one at a time. */
int reload_ask(struct engine *e, struct plan_difference *difference, int64_t timeout_ns,
               struct pc_error **err);

/* reload-turn.c, [control] */
bool reload_turn(struct engine *e); /* true: something was done */
void reload_parked(struct replica *r);
void reload_abort(struct engine *e);  /* the graph is being stopped */
void reload_finish(struct engine *e); /* nothing runs any more */
bool reload_is_under_way(const struct engine *e);

/* reload-park.c */
void reload_parking(struct replica *r); /* [replica] on its way to rest */
/* [control] */
void reload_park(struct replica *r);
void reload_fence(
	struct replica *r); /* likewise, when what it has emitted has left: swap-set.h */
bool reload_is_parked(const struct replica *r); /* or has ended */
void reload_unpark(struct replica *r);

/* reload-make.c, [control]. PC_OK, or the reason in err; then reload_undo(). */
int reload_make(struct engine *e, struct reload *now, struct pc_error **err);
/* reload-open.c, [control], after that. */
void reload_open(struct engine *e, struct reload *now);
bool reload_open_over(struct reload *now);
/* When it is over. PC_OK, or the reason in err; then reload_undo() and reload_open_let_go(). */
int reload_open_result(struct engine *e, struct reload *now, struct pc_error **err);
void reload_open_let_go(struct engine *e);
bool reload_open_hurry(struct reload *now); /* for nothing; false: nothing is being opened */
void reload_open_wait(struct reload *now);
void reload_open_look_at_time(struct reload *now); /* says whom it waits for, once */
/* reload-undo.c, [control] */
void reload_undo(struct engine *e, struct reload *now);
void reload_spares_free(struct reload *now); /* what was made and not needed */

/* reload-row.c. NULL: no memory. */
const char *reload_keep_text(struct engine *e,
                             const char *text); /* the same one, until the end */
const char *reload_kept_text(const struct engine *e, const char *text); /* under `shape` */
struct stage_row *reload_stage_row(struct engine *e, const struct plan_stage *from);
struct plan_queue *reload_queue_row(struct engine *e, const struct plan_queue *from);
void reload_row_free(struct stage_row *row);
void reload_rows_free(struct stage *s);
void reload_rows_trim(
	struct stage *s); /* under `shape`: those that it does not need any more */
void reload_rows_settle(struct engine *e, struct plan *plan);

/* reload-recycle.c, [control] */
bool recycle_create(struct engine *e); /* at the first reload; false: no memory */
void recycle(struct engine *e);
/* For swap-retire.c, in this order: is there anything; what is there waits from now on, or can not;
 * there may be callbacks of its code (any thread); it has waited long enough. */
bool recycle_wanted(const struct engine *e);
void recycle_begin(struct engine *e);
void recycle_put_off(struct engine *e);
bool recycle_has_code(const struct engine *e);
void recycle_end(struct engine *e);
void recycle_rest(struct engine *e); /* after the end */
void recycle_destroy(struct engine *e);
void recycle_show(const struct stage_sums *sums, struct pc_stage_row *row);
void recycle_sum_stage(const struct stage *s, struct stage_sums *ret); /* under `shape` */
/* [any], under `shape`: the rows of what is not there any more; false: no such row */
bool recycle_stage_row(const struct engine *e, uint32_t index, struct pc_stage_row *ret);
bool recycle_queue_row(const struct engine *e, uint32_t index, struct pc_queue_row *ret);
void recycle_stage_free(struct stage *s);
void recycle_place_free(struct place *p); /* all parts; NULL is fine */

/* reload-count.c, [control]. PC_WRONG: a queue has ended, and nothing is counted. */
int reload_count_in(struct reload *now, struct pc_error **err);
void reload_count_back(struct reload *now);
void reload_count_set(struct engine *e, struct reload *now);
void reload_count_out(struct engine *e, struct reload *now);

/* reload-apply.c, [control], all that are touched being parked. PC_WRONG: a queue has ended. */
int reload_apply(struct engine *e, struct reload *now, struct pc_error **err);

/* reload-wire.c, [control] */
bool reload_send_rests(struct reload *now);
void reload_swap_lanes(struct rewire *w);
void reload_attach(struct input *in);
void reload_place_input(struct input *in, struct place *p);
void reload_input_moves(struct replica *r); /* those that are due */
struct place *reload_input_place(struct place *const *places, const struct replica *r,
                                 uint32_t queue);
void reload_detach(struct input *in); /* under `shape` */
struct place *reload_input_end(struct input *in);
void reload_move_inputs(struct replica *r, const struct plan_stage *to, struct reload *now);
/* `at_once`: what is in its queues is left to the other replicas. */
void reload_leave_inputs(struct replica *r, const struct plan *plan, bool at_once);

#endif
