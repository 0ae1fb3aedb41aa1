/* engine/engine.h: a plan at work: replicas, places, sections, workers, the control thread.
 *
 * Who writes what stands beside each field: [replica] the thread that runs the replica now,
 * [control] the control thread, [start] before any thread exists, [any] atomically.
 *
 * The way of an item: output.c (emitted, published) -> the queue -> activate.c (taken) ->
 * process.c (the stage's callback) -> output.c. Everything else in this folder decides when.
 */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/item.h"
#include "engine/by.h"
#include "engine/closing.h"
#include "engine/died.h"
#include "engine/fault.h"
#include "engine/guard.h"
#include "engine/reload.h"
#include "engine/swap-set.h"
#include "engine/swap.h"
#include "plan/plan.h"
#include "queue/queue.h"

#include <pcrun/pcrun.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>
#include <uv.h>

/* Items that one activation takes at most. In a graph of few stages the workers meet at the same
 * queues, and takes that empty or fill one make them wait for each other. In one of many they seldom
 * meet, but a stage has gone from the caches when its turn comes again: that is paid once for more. */
#define ENGINE_BATCH      256
#define ENGINE_BATCH_MANY 1024
#define ENGINE_MANY       64            /* replicas for each worker */
#define ENGINE_BUDGET_NS  (100 * PC_US) /* what one activation should last */
#define ENGINE_SPARES     8             /* emission lists that a thread keeps */

struct engine;
struct replica;
struct stage;

/* ------------------------------------------------------------- a queue at run time --- */

/* A message to the control thread, embedded in what it is about. */
enum message_kind {
	MESSAGE_ENDED,
	MESSAGE_DRAINED,
	MESSAGE_QUIET,
	MESSAGE_WAKE,
	MESSAGE_SWAPPED,
	MESSAGE_PARKED,
	MESSAGE_CLOSED
};

struct message {
	struct message *next;
	enum message_kind kind;
	_Atomic bool posted; /* [any] true from post to handling */
};

/* The joins that wait for something, mostly one: `end`. */
struct joins {
	uint32_t n;
	uint32_t one;   /* when n is 1 */
	uint32_t *many; /* when n is more: all */
};

struct place {
	const struct plan_queue *plan; /* another after a reload, when all writers are parked */
	struct engine *engine;
	struct pc_queue *queue;
	_Atomic uint64_t unfinished; /* [any] items put and not yet done; when tracked */
	struct loop *loop;           /* [start] a stage of this cycle reads it; or NULL */
	struct place
		*next_part; /* [start] the queue of the next replica of a by= stage, or NULL */
	/* [start] The replica that reads it, when there is one only. Later perhaps another: it is asked
	 * for, and never looked at. */
	const void *ahead;
	const char *by;           /* [start] of that stage */
	uint32_t index;           /* [start] of its queue in the plan */
	_Atomic uint32_t writers; /* [any] live lanes of non-daemon writers */
	_Atomic uint32_t readers; /* [any] live reading replicas */
	bool tracked;             /* [start] somebody waits until it is drained */
	bool daemon_only;         /* all its writers are daemons; changes as `plan` does */
	_Atomic bool drained;     /* [control] writes; flag_is() */
	bool loose : 1;           /* made by a reload: malloc'd, all parts in one */
	bool marked : 1;          /* [control] see reload-recycle.c, as `buried` */
	struct place *buried;
	struct plan_queue *row; /* [control] of the first part: when that is ours to free */
	const char *type; /* under `shape`: what flows since a set was swapped; or NULL: the
	                   * plan's. In the first part. */
	_Atomic uint64_t cut_off; /* [any] items that no reader was left to take */
	struct input *reading;    /* under `shape`: the inputs that take from it */
	struct {
		uint64_t done, dead, abandoned;
	} past;             /* under `shape`: by inputs that have moved on */
	struct joins joins; /* [control] joins that wait for it */
	union {
		struct writers *writers; /* [start] see create.c */
		struct tally *tally;     /* [control] of the reload that is under way */
	} counts;
	uint64_t left;    /* [control] found in it after the end */
	uint64_t flipped; /* [control] by which cut last: see swap.c */
	struct message message;
};

/* ---------------------------------------------------------------- ports of a replica --- */

/* A replica that waits at one side of a queue. The queue wakes one waiter per change: whoever was
 * woken and then does not take or put must pass the wake-up on (waiting_pass). */
enum waiting { WAITING_NOT, WAITING_ARMED, WAITING_WOKEN };

struct waiting_at {
	struct queue_waiter waiter; /* first: the callback gets it */
	struct replica *replica;
	struct pc_queue *queue;
	_Atomic uint32_t state; /* enum waiting */
};

struct input {
	struct waiting_at waiting;
	struct place *place;
	bool closed;   /* [replica] */
	bool told;     /* [replica] the stage knows */
	bool unwanted; /* [replica] the stage asks for nothing of it now */
	struct {
		bool told, unwanted;
	} aside;            /* [replica] as the state knows it that a swap has put aside */
	struct move *moves; /* [control, while parked] where it takes from afterwards */
	struct input *next_reading;    /* of the same place */
	_Atomic(struct cut *) slot[2]; /* [control] by version bit: see swap.h */
	size_t undone;                 /* [replica] processed, output not yet published */
	size_t undead; /* [replica] of them, those that went to the dead-letter queue */
	/* ledger: [replica] writes, relaxed; others read a snapshot */
	_Atomic uint64_t taken, done, dead, abandoned;
};

struct output {
	union { /* [replica] emitted, not yet in all queues; `items` NULL: no list */
		struct {
			struct item **items;
			size_t n, room;
		};
		struct pc_outbox outbox; /* the same, for the stage */
	};
	size_t mark;   /* items before it come from finished inputs */
	size_t shared; /* items before it carry a reference per queue */
	uint32_t n_lanes;
	uint32_t n_queues; /* of the plan: a by= queue is one, and has a lane per replica */
	struct lane *lanes;
	struct split *splits; /* one per by= queue */
};

/* Where the items of an output go in a by= queue: items[i] to part keys[i] % n. */
struct split {
	struct split *next;
	struct by by;
	uint32_t n_parts;
	uint32_t *keys;
	size_t room, hashed; /* how many there is room for, how many are known */
};

/* One queue that an output port is wired to. */
struct lane {
	struct waiting_at waiting;
	struct place *place;
	struct split *split; /* NULL: every item is for this lane */
	uint32_t part;
	bool closed; /* [replica] nobody reads any more */
	size_t sent; /* [replica] of items[0 … sent) those for this lane are in */
};

/* ------------------------------------------------------------------------- replicas --- */

enum phase { PHASE_HELD, PHASE_RUN, PHASE_FINISH, PHASE_LAST, PHASE_ENDED };

/* What sched says; see task.c. */
enum task_state {
	TASK_IDLE,
	TASK_TIMED, /* idle, but a timer or descriptor will wake it */
	TASK_QUEUED,
	TASK_RUNNING,
	TASK_NOTIFIED,
	TASK_ENDED,
	TASK_PARKED /* the control thread's, see reload.h */
};

/* STOP_PARK and STOP_FENCE are bits beside the others. */
enum stop { STOP_NONE, STOP_SOFT, STOP_HARD, STOP_PARK = 4, STOP_FENCE = 8 };

/* Bits of replica.kick: why a runtime wait returns. */
enum kick {
	KICK_STOP = 1, /* PC_STOPPED */
	KICK_SWAP = 2, /* PC_AGAIN, in sources */
	KICK_WATCH = 4 /* likewise: a copy of its state is wanted */
};

struct replica {
	/* what each activation looks at */
	struct pc_stage pub; /* first: the stage's view of it */
	struct stage *stage;
	struct engine *engine;
	void *state;
	struct build *build;      /* [replica] whose code runs it */
	struct item_cache *cache; /* [replica] of the thread that runs it now */
	struct scratch *scratch;  /* [replica] likewise */
	_Atomic uint32_t sched;   /* enum task_state */
	_Atomic uint32_t stop;    /* enum stop; [control] writes */
	_Atomic uint32_t started; /* [control] writes: its start join has passed */
	_Atomic uint32_t kick;    /* enum kick: runtime waits return */
	enum phase phase;         /* [replica] */
	uint32_t probation; /* [replica] items until it trusts `build`: see swap-probation.c */
	struct input *inputs; /* behind the replica: see create-stage.c */
	struct output *outputs;
	uint32_t n_outputs;  /* the stage's ports and, with dead=, one more */
	uint32_t next_input; /* [replica] round robin */
	int64_t begun_ns;    /* [replica] this activation */
	uint32_t took;       /* [replica] items in it */
	uint32_t batch_size; /* [replica] how many to take, so that it lasts the budget */
	_Atomic uint32_t activation_ns; /* [replica] how long one lasts, a moving average */
	_Atomic int doing;              /* enum doing, for explain; [replica] writes */
	uint32_t n_moves;               /* [control, while parked] inputs that have `moves` */
	_Atomic uint32_t granted;       /* the critical section is ours */
	bool opened;                    /* [control] and not yet handed over to be closed */
	bool broken;    /* [replica] it failed the graph: nobody may take that for an end */
	bool reported;  /* [control] its end has been counted */
	bool abandoned; /* [control] it never came back */
	bool leaving;   /* [control] the stage has fewer replicas now */
	bool loose;     /* made by a reload for a stage that there was: malloc'd by itself */
	bool has_thread; /* [start] stays, for whoever has it in hand: is it to be run by a worker? */
	bool joined;     /* [control] its thread is */
	bool has_ticket; /* [replica] see `ticket` */
	bool wants_wake;
	bool wake_asked; /* [replica] and the control thread knows */
	bool untold;   /* [replica] it has passed a cut, and the control thread is to be told */
	bool snapped;  /* [replica] the cut's snapshot is of the state before this item */
	bool external; /* [replica] when it sleeps now it is TIMED */
	_Atomic bool waiting;      /* the condition has not come yet: control owns wake_… */
	uint32_t reading;          /* [replica] open snapshots of shared state */
	struct pc_shared *touched; /* [replica] shared state with updates not yet published */
	_Atomic uint64_t activations, busy_ns, emitted;
	struct swap_replica swap;

	/* the rest */
	uint32_t n_ports;      /* the stage's outputs */
	uint32_t room_outputs; /* how many there is memory for */
	_Atomic int kick_fd;   /* `kick` for poll; -1 until needed */
	unsigned tries;        /* [replica] how often the item of this number has failed: */
	uint64_t tried;
	struct item **batch; /* [replica] in process_batch: the items, and how many are done */
	uint32_t batch_done, batch_n;
	char *fail_text;             /* [replica] from pc_fail */
	uint64_t ticket;             /* [replica] of an ordered stage: see order.c */
	_Atomic uint64_t waits_turn; /* [replica] writes: ticket + 1, or 0 */
	int64_t wake_ns; /* [replica] until it is idle, then [control]: PC_AGAIN's condition */
	int wake_fd;
	unsigned wake_events;
	uv_timer_t *timer; /* [control] */
	uv_poll_t *poll;   /* [control] */
	uint64_t
		taken_before; /* under `shape`: from queues that its inputs have moved away from */
	struct replica *retired;
	_Atomic uint64_t failed, skipped, retried;
	_Atomic uint64_t progress, progress_total;
	pthread_t thread;
	struct message ended, wake, swapped, parked;
};

/* Why a replica is where it is, for pc_graph_explain(). */
enum doing {
	DOING_HELD,
	DOING_READY,
	DOING_CALLBACK,
	DOING_INPUT,
	DOING_OUTPUT,
	DOING_WAKE,
	DOING_SLEEP,
	DOING_SECTION,
	DOING_TURN,
	DOING_ENDED, /* and all that follow */
	DOING_CLOSE_NEXT,
	DOING_CLOSE
};

/* What a stage did; see struct pc_stage_row. */
struct stage_sums {
	uint64_t taken, emitted, failed, skipped, retried, activations, progress,
		progress_total;
	int64_t busy_ns;
};

struct stage {
	const struct plan_stage *plan;
	const struct pc_stage_desc *desc;
	struct engine *engine;
	struct replica **replicas;
	struct replica *only;    /* the array, while one is the most that there ever was */
	struct section *section; /* NULL: not critical */
	struct order *order;     /* NULL: what is emitted leaves as it comes */
	struct swap_stage swap;
	struct stage_closing *closing; /* [control] made with the first that is to be closed */
	uint32_t n_replicas;           /* in the array, those that have left included */
	uint32_t index;                /* in the plan */
	struct replica *retired;       /* those whose index another has now */
	struct loop *loop;             /* the cycle that it is part of, or NULL */
	struct joins joins;            /* [control] joins that wait for its end */
	uint32_t live;                 /* [control] replicas that have not ended */
	uint32_t pins;                 /* under `shape`: who looks at it outside of that */
	_Atomic bool ended; /* [control] writes; flag_is(): none lives, and all are closed */
	bool stopping;      /* [control] */
	struct stage
		*after; /* [control] it is begun when that one has ended; NULL: at its time */
	struct stage_row *rows; /* [control] its own copies of its row, the newest first; none:
	                         * that of the graph's first plan */
	void *loose;            /* the replicas, when a reload has made them: malloc'd */
	struct stage_sums
		*left; /* under `shape`: of replicas that are not there any more, or NULL */
	struct stage *buried; /* [control] see reload-recycle.c */
};

/* What of a stage is being closed: see closing.h. Under its lock, but for `n`. */
struct stage_closing {
	struct stage *stage;
	uint32_t n; /* [control] handed over, and not over yet */
	bool in_line;
	struct closing *first, *last; /* to be called */
	struct closing *now;          /* being called */
	struct closing *done;         /* the newest first; for the control thread */
	int64_t since_ns;             /* it is in line, or `now` is being called */
	struct stage *behind;         /* the next in line */
	bool held;                    /* [control] nothing is to be called yet: reload-open.c */
	struct message closed;
};

/* [control] */
static inline uint32_t stage_closings(const struct stage *s)
{
	return s->closing ? s->closing->n : 0;
}

struct join {
	const struct plan_join *plan;
	uint32_t remaining; /* [control] */
	bool passed;        /* [control] */
	struct joins joins; /* [control] joins that wait for this one */
};

/* A cycle of the graph: see loop.c. */
struct loop {
	struct engine *engine;
	struct loop *next;
	_Atomic uint64_t in_flight; /* [any] items put where the cycle reads, and not done */
	_Atomic uint32_t outside;   /* [any] live lanes into it from stages outside */
	bool closed;                /* [control] */
	struct message message;
};

/* The order of an `ordered` stage: see order.c. */
struct order {
	_Atomic bool taking; /* [any] guards next_ticket and the take that belongs to it */
	uint64_t next_ticket;
	_Atomic uint64_t turn; /* [any] the ticket that may publish */
};

/* A critical section: see section.c. */
struct section {
	const struct plan_section *plan;
	struct plan_section row;  /* its own copy, if a reload has made it */
	struct pc_queue *waiting; /* replicas, first come first served */
	_Atomic uint32_t pending; /* waiting and inside */
};

/* Shared state: see state.c. */
struct pc_shared {
	const struct plan_shared *plan;
	struct shared *data;
	_Atomic uint32_t section; /* [any] whose stages update it; PLAN_NONE: nobody has yet */
	struct pc_shared *next;   /* [section] in the updater's `touched` */
};

/* -------------------------------------------------------------------------- threads --- */

/* What a thread that runs replicas owns. */
struct scratch {
	struct item_cache cache;
	void *batch[ENGINE_BATCH_MANY];
	struct item **spares[ENGINE_SPARES]; /* emission lists of ENGINE_BATCH_MANY */
	unsigned n_spares;
	int64_t now_ns; /* when the last activation ended, if the next one begins at once; else 0 */
	bool final;     /* what is published now is the activation's last: see worker.c */
	bool unseen; /* that has made one ready whom nobody looks after meanwhile */
};

struct worker_seen {
	uint32_t rescue_ticks; /* at the last look of rescue() */
	uint32_t steal_ticks;  /* at that of steal(), and since when they are so */
	int64_t since_ns;
};

struct worker {
	struct scratch scratch;
	struct engine *engine;
	unsigned index;
	_Atomic(struct replica *)
		next; /* made ready by the activation that just ran: cache-warm */
	/* Changes with each activation, so that others see us stuck in one. Odd: it works. */
	_Atomic uint32_t ticks;
	unsigned next_budget; /* how often in a row `next` may still go first */
	bool found;           /* what it runs now came from a search */
	bool next_lasts;      /* what it has put into `next` does */
	/* Of what it has put into `ready` itself some last: all of them before this position. Since when
	 * the first of those waits that have run here and go on; 0: there is none. That is too long. */
	uint64_t long_until;
	int64_t long_since_ns;
	_Atomic bool overdue;
	struct pc_queue *ready;
	pthread_t thread;
	bool has_thread;
	uint32_t random;
	_Atomic bool searching;   /* it has no work of its own */
	struct worker_seen *seen; /* of every worker, when we last looked */
	uint32_t
		watched_ticks; /* [control] at its last look, and at how many before it was so */
	unsigned watched_times;
};

#define POOL_RELIEF 32 /* workers beyond those asked for, at most: see relief.c */

struct pool {
	struct worker *workers;     /* with room for POOL_RELIEF more */
	_Atomic unsigned n_workers; /* [control] writes; pool_size() */
	unsigned n_asked;           /* [start] */
	uint32_t n_tasks;           /* [control] what each run queue has room for */
	_Atomic bool unwatched;     /* [any] work waits and nobody is parked: see relief.c */
	_Atomic uint32_t idle;      /* searching << 16 | parked */
	_Atomic uint32_t permits;   /* futex: a semaphore on which parked workers sleep */
	_Atomic uint32_t watching;  /* parked workers that look now and then: see search.c */
	_Atomic uint32_t quit;
	_Atomic uint32_t turn; /* where wake-ups from outside go */
};

struct engine {
	const struct plan *plan; /* under `shape`, and the control thread's */
	pid_t pid;               /* [start] a child process of a stage's has another */
	_Atomic uint32_t batch;  /* [control] writes; what an activation takes at most */
	struct item_pool *items;
	struct arena arena; /* [start] stages, replicas, places: until the end */
	struct reload
		*making; /* [control] the reload that new ones are made for; NULL: the start */
	struct stage *
		*stages; /* as in the plan; where its row is vacant, one without replicas */
	struct place *
		*places; /* as the queues of the plan; further parts hang on them; or NULL */
	struct join *joins;
	struct section **sections;
	struct pc_shared *shareds;
	uint32_t n_shareds;
	struct loop *loops;
	struct pool pool;
	/* [any] How many replicas are not idle (none, and not at the end: deadlock), and how often one
	 * was woken: see task.c. */
	_Atomic uint64_t awake;

	/* control */
	pthread_t thread;
	bool has_thread, loop_ready;
	uv_loop_t loop;
	uv_async_t async;
	uv_timer_t drain, grace, relief;
	_Atomic(struct message *) messages;
	_Atomic uint32_t stop_asked;       /* enum pc_stop, the strongest so far */
	bool draining, stopping, finished; /* [control] */
	uint32_t live;                     /* [control] stages that have not ended */
	struct item_cache control_cache;
	bool stuck; /* [control] a thread did not come back: its memory must stay */
	struct swap_engine swap;
	struct reload_engine reload;
	struct engine_closing closing;
	/* Taken by whoever looks at plan, stages, places and what hangs on them from outside, and by
	 * the control thread while it changes them. */
	pthread_mutex_t shape;

	/* result: under `lock` */
	pthread_mutex_t lock;
	pthread_cond_t ended_cond;
	bool ended;
	int result;
	struct pc_error *error; /* the first failure */
	int ended_fd;

	int64_t drain_ns, grace_ns;
	pc_log_fn *log;
	void *log_user;
	int log_level;
	pthread_mutex_t log_lock;
	pc_swap_fn *swapped; /* NULL: the log tells of swaps */
	void *swapped_user;
	struct died died;
};

/* embed.c, [any]; NULL before the start */
struct engine *embed_engine(struct pc_graph *graph);
/* Under `shape`: from the number of a row to an index of the plan. False: beyond them, and *index
 * is how far. */
bool embed_stage_of_row(const struct engine *e, size_t *index);

/* create.c, [start] */
int engine_create(struct engine **ret, const struct plan *plan,
                  const struct pc_run_options *options, struct pc_error **err);
int engine_start(struct engine *e, struct pc_error **err);
/* For stages of a reload, too; [control]. The places that the row names are there. */
int create_stage(struct engine *e, struct stage *s, const struct plan_stage *plan,
                 uint32_t index);
size_t create_replica_bytes(const struct stage *s,
                            const struct plan_stage *plan); /* with what lies behind it */
int create_replica(struct stage *s, const struct plan_stage *plan, struct replica *r,
                   uint32_t index);
int create_lanes(struct replica *r, struct output *o, const uint32_t *queues, uint32_t n);
struct place *create_place(struct engine *e, const struct plan *plan,
                           const struct plan_queue *q);
int create_place_queue(struct place *p, uint32_t writers, uint32_t readers);
int create_worker(struct engine *e); /* [start], [control] the next one; not yet counted */
void create_undo_worker(struct worker *w);              /* it has no thread */
void create_batch(struct engine *e, uint32_t replicas); /* how large it is from now on */
int create_section(struct section **ret, const struct plan *plan, uint32_t index);
int create_join_lists(const struct plan *plan, struct arena *a, struct joins *stages,
                      struct joins *queues, struct joins *joins);
/* Makes room for the dead-letter output, in memory that was calloc'd for n_outputs + 1. */
void create_more_outputs(struct replica *r, struct output *outputs);
void create_lanes_free(struct replica *r, struct lane *lanes);
void create_points(struct replica *r); /* at the queues, when they are there */
void create_undo(struct stage *s);     /* all that is malloc'd */
void create_undo_replica(struct replica *r);
/* start.c, [control]: PC_OK or PC_ERROR */
int open_replica(struct replica *r, struct item_cache *cache, struct pc_error **err);
void engine_destroy(struct engine *e); /* after the end */

/* fail.c */
void engine_log(struct engine *e, int level, const char *stage, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void engine_fail(struct engine *e, int code, struct pc_error *error); /* takes over error */
void engine_fail_replica(struct replica *r, const char *what, const struct item *item,
                         uint64_t number);

/* host.c */
extern const struct pc_host host_table;

/* output.c, [replica] */
int output_add_slow(struct replica *r, struct output *o, struct item *item);
void output_discard(struct replica *r);          /* back to the mark */
bool output_flush(struct replica *r);            /* true: all sent */
void output_abandon(struct replica *r);          /* throw away what can't be sent */
bool output_all_closed(const struct replica *r); /* it is wired, and nobody reads any more */
size_t output_room(const struct replica *r);     /* 0: wait; SIZE_MAX: no limit */
bool output_arm(struct replica *r);              /* true: asleep until there is room */
/* [control, while parked] What is on its way to this lane's queue goes in, whatever its capacity.
 * False: no memory; some of it may have gone in. */
bool output_send_rest(struct replica *r, struct output *o, struct lane *lane);
void output_share(struct output *o); /* every item so far has a reference per queue */
void output_splits_free(struct split *splits);

/* Takes the reference over. */
static inline int output_add(struct replica *r, unsigned port, struct item *item)
{
	struct output *o = &r->outputs[port];

	if (o->n == o->room)
		return output_add_slow(r, o, item);
	o->items[o->n++] = item;
	return PC_OK;
}

/* state.c, [replica]; first what host.c's table has */
struct pc_shared *state_find(struct pc_stage *st, const char *name);
int state_set(struct pc_stage *st, struct pc_shared *s, const char *key, uint32_t type,
              const void *data, size_t size);
int state_add(struct pc_stage *st, struct pc_shared *s, const char *key, int64_t delta,
              int64_t *ret_sum);
int state_delete(struct pc_stage *st, struct pc_shared *s, const char *key);
void state_begin(struct pc_stage *st, struct pc_shared *s, struct pc_snapshot *ret);
int state_get(struct pc_stage *st, const struct pc_snapshot *at, const char *key,
              struct pc_value *ret);
int state_next(struct pc_stage *st, struct pc_snapshot *at, struct pc_value *ret);
void state_end(struct pc_stage *st, struct pc_snapshot *at);
void state_mark(struct replica *r);
void state_discard(struct replica *r);
void state_publish(struct replica *r); /* before what the same items emitted */
void state_settle(struct replica *r);  /* at the end of an activation */
/* Ends what read sections a callback left open, or no memory would ever be given back; true: there
 * were some, and the reason is noted. */
bool state_leave(struct replica *r);
int state_create(struct engine *e);   /* [start] */
void state_destroy(struct engine *e); /* after the end */
/* [any]; e NULL: as it will be at the start */
void state_row(const struct plan *plan, struct engine *e, uint32_t index,
               struct pc_shared_row *ret);
int state_text(const struct plan *plan, struct engine *e, uint32_t index, struct buf *out);
int state_value(struct engine *e, uint32_t index, const char *key, void *buffer, size_t room,
                size_t *ret_size);

/* What has been emitted and updated so far comes from finished inputs. */
static inline void output_mark(struct replica *r)
{
	if (r->touched)
		state_mark(r);
	for (uint32_t i = 0; i < r->n_outputs; i++)
		r->outputs[i].mark = r->outputs[i].n;
}

/* place.c, [any] */
void place_put(struct place *p, size_t n);  /* before the items go in */
void place_done(struct place *p, size_t n); /* when they are done with */
void place_writer_end(struct place *p, const struct stage *s);
bool place_writer_begin(struct place *p, const struct plan_stage *s); /* false: it is closed */
bool place_reader_begin(struct place *p);
void place_reader_end(struct place *p);
void place_drop(void *place, void *item); /* a queue's drop callback */

/* waiting.c, [replica] */
bool waiting_arm_take(struct waiting_at *w); /* true: it will wake us */
bool waiting_arm_put(struct waiting_at *w);
void waiting_pass(
	struct replica *r); /* going to sleep: what we were woken for, others may need */
/* about to call the stage, for one input or NULL: what all others, and room, have woken us for may
 * have to wait long */
void waiting_pass_others(struct replica *r, const struct input *taken);
void waiting_cancel(struct replica *r); /* never again */
void waiting_rest(struct replica *r);   /* for now: no queue knows of it */

/* process.c, [replica] */
void process_items(struct replica *r, struct input *in, struct item **items, size_t n);
void process_produce(struct replica *r, size_t room, int64_t until_ns);
bool process_closed(struct replica *r); /* tells of inputs that have closed; false: none */
void process_finish(struct replica *r);

/* activate.c, [replica] */
enum act { ACT_AGAIN, ACT_SLEEP, ACT_ENDED, ACT_PARKED };
enum act activate(struct replica *r, struct scratch *scratch);

/* expect.c, [replica] */
void expect_next(const struct replica *r); /* at work: who gets what it emits */
void expect_cut(const struct replica *r);  /* before the output is published: one that waits */
/* after that, with some time yet: what it leads to */
void expect_build(const struct replica *r, const struct cut *cut);
/* One that has come while the replica was at work; or NULL. */
const struct cut *cut_that_waits(const struct replica *r);

/* task.c */
#define AWAKE_ONE     UINT64_C(1)
#define AWAKE_WAKE_UP ((UINT64_C(1) << 32) + AWAKE_ONE)
static inline uint32_t awake_count(uint64_t awake)
{
	return (uint32_t)awake;
}
void task_begin(struct replica *r);  /* [replica] it was QUEUED */
bool task_notify(struct replica *r); /* [any] true: busy, or parked */
/* [any] The first half of it. READY: the caller must see that it runs, and it does not until then. */
enum mark { MARK_COVERED, MARK_BUSY, MARK_READY };
enum mark task_mark(struct replica *r);
bool task_settle(struct replica *r, enum act act); /* [replica] true: it is ready again */
void task_unpark(struct replica *r);               /* [control] */

/* section.c */
bool section_enter(struct section *s, struct replica *r); /* false: left waiting there */
void section_leave(struct section *s);

/* loop.c */
int loop_find(struct engine *e); /* [start] */
bool loop_inside(const struct stage *s, const struct place *p);
void loop_put(struct loop *loop, size_t n);
void loop_done(struct loop *loop, size_t n);
void loop_outside_end(struct loop *loop);
void loop_quiet(struct loop *loop); /* [control] */

/* order.c, [replica] */
bool order_try(struct order *o); /* false: somebody is taking now */
void order_release(struct order *o);
void order_ticket(struct order *o, struct replica *r); /* between the two */
bool order_mine(const struct replica *r);              /* it may publish now */
bool order_wait(struct replica *r);                    /* false: it is our turn already */
void order_next(struct replica *r);                    /* all of the ticket's output has left */

/* worker.c */
int pool_start(struct engine *e, unsigned n, struct pc_error **err);
void pool_ready(struct engine *e,
                struct replica *r); /* [any] r is QUEUED: let a worker run it */
void pool_quit(struct engine *e);   /* [control] returns when workers are gone */

bool pool_has_work(struct pool *pool); /* [any] waiting, that is */
bool pool_any_parked(const struct pool *pool);
int pool_start_worker(struct worker *w); /* [start], [control] 0, or an errno */

/* relief.c */
void relief_ask(
	struct engine *e); /* [any] work waits, and nobody is parked who would look after it */
void relief_turn(struct engine *e); /* [control] */

/* own.c */
int own_start(struct replica *r);
void own_wake(struct replica *r); /* [any] */

/* control.c */
int control_prepare(struct engine *e, struct pc_error **err); /* [start] */
int control_start(struct engine *e, struct pc_error **err);   /* [start] */
void control_undo(struct engine *e);                          /* [start] */
void control_close_handles(struct engine *e);                 /* [control] */
void control_post(struct engine *e, struct message *m);       /* [any] */
void control_nudge(struct engine *e);                         /* [any] */
/* [control] Something may last from now on: it has the grace time, if the graph is to end at once. */
void control_grace(struct engine *e);
bool control_read_messages(struct engine *e); /* [control] true: there were some */

/* wake.c */
void wake_request(struct replica *r); /* [replica], before it falls asleep */
void wake_arm(struct replica *r);     /* [control] */
void wake_close(struct replica *r);   /* [control] */

/* join.c, [control] */
void join_stage_ended(struct engine *e, struct stage *s);
void join_place_drained(struct engine *e, struct place *p);
void join_begin(struct engine *e);
void join_start(struct stage *s); /* if it may; once */
void join_look(struct engine *e); /* after a reload: what waits for nothing any more passes */
void stage_stop(struct stage *s, enum stop how);

/* finish.c, [control] */
void finish(struct engine *e);                        /* all stages have ended */
bool thread_join(struct engine *e, pthread_t thread); /* false: stuck, left alone */
void replica_ended(struct replica *r);
void stage_closed(struct stage *s); /* a close() is over: it has ended, if that was the last */

/* describe.c, [any] */
void describe_plan(const struct plan *plan, bool json, struct buf *out);

/* explain.c, [any] */
void explain(struct engine *e, struct buf *out);

/* ledger.c, [control] */
void ledger_settle(struct engine *e); /* empties the queues; engine_fail() when it is out */
void ledger_row(const struct place *p, struct pc_queue_row *ret);
void ledger_add(struct pc_queue_row *sum, const struct pc_queue_row *row);
void ledger_settle_place(struct place *p); /* the same for one; nobody uses it any more */

/* crash.c */
struct crash_stack {
	void *memory;
	size_t size;
};
void crash_stack_begin(struct crash_stack *s); /* on each thread that calls stages */
void crash_stack_end(struct crash_stack *s);
void crash_watch(struct engine *e, bool on); /* [any] its tombstones may be asked for */

/* scratch.c */
void scratch_init(struct scratch *s, struct item_pool *items);
void scratch_fini(struct scratch *s);

static inline unsigned pool_size(const struct pool *pool)
{
	return atomic_load_explicit((_Atomic unsigned *)(uintptr_t)&pool->n_workers,
	                            memory_order_acquire); /* RL2 */
}

/* Single-writer counters that others read: relaxed, since only the sum matters. */
static inline void count_add(_Atomic uint64_t *counter, uint64_t n)
{
	/* relaxed: one writer; readers take a snapshot */
	atomic_store_explicit(counter,
	                      /* relaxed: as above */
	                      atomic_load_explicit(counter, memory_order_relaxed) + n,
	                      memory_order_relaxed);
}

static inline uint64_t count_read(const _Atomic uint64_t *counter)
{
	/* relaxed: a snapshot */
	return atomic_load_explicit((_Atomic uint64_t *)(uintptr_t)counter,
	                            memory_order_relaxed);
}

/* What the control thread knows and others show: a snapshot. */
static inline void flag_set(_Atomic bool *flag)
{
	/* relaxed: one writer; nothing else is read by it */
	atomic_store_explicit(flag, true, memory_order_relaxed);
}

static inline bool flag_is(const _Atomic bool *flag)
{
	/* relaxed: as above */
	return atomic_load_explicit((_Atomic bool *)(uintptr_t)flag, memory_order_relaxed);
}

/* By who runs it. One of which nothing came lies behind whoever has been told so. */
static inline bool swap_is_ahead(const struct replica *r, const struct cut *cut)
{
	return cut != r->swap.cut && r->swap.generation < cut->generation;
}

static inline void doing_set(struct replica *r, enum doing what)
{
	/* relaxed: for explain only */
	atomic_store_explicit(&r->doing, (int)what, memory_order_relaxed);
}

/* After a take: which code its items are for. One load and one compare when nothing is swapped. */
static inline void swap_taken(struct replica *r, struct input *in, unsigned version)
{
	struct cut *cut;

	if (LEFT_OUT(FAULT_SWAP))
		return;
	cut = atomic_load_explicit(&in->slot[version], memory_order_acquire); /* SW16 */
	if (cut != r->swap.cut && !LEFT_OUT(FAULT_BIT))
		swap_pass(r, cut);
}

/* Of the item at hand, counted from 1. */
static inline uint64_t input_item_number(const struct input *in)
{
	return count_read(&in->done) + count_read(&in->dead) + count_read(&in->abandoned) +
	       in->undone + 1;
}

/* What the stage sees of the items of a thread. */
static inline void replica_set_cache(struct replica *r, struct item_cache *cache)
{
	r->cache = cache;
	r->pub.stock = &cache->classes[0].stock;
}

extern struct pc_outbox engine_no_outbox; /* never has room */

/* 0: the build has ports of its own, see swap-port.c. */
static inline void replica_set_ports(struct replica *r, uint32_t n)
{
	r->n_ports = n;
	r->pub.outbox = n > 0 ? &r->outputs->outbox : &engine_no_outbox;
}

static inline struct replica *replica_of(struct pc_stage *st)
{
	return (struct replica *)(void *)st;
}

#endif
