/* engine/swap.h: hot swap: other code for a stage, while its replicas run.
 *
 * The words. A *build* is one loaded plugin as one stage knows it: v1, v2, … A *cut* is the
 * change of a stage from one build to another; it names the item of the input queue at which the
 * new code begins. A replica *passes* a cut, on its own thread, between two items; nobody waits
 * for anybody. A *route* is how a state gets from one build to another.
 *
 * The way of a swap
 *   swap-ask.c        any thread: asks, and waits for the answer
 *   swap-load.c       any thread: from a file to something that can be offered to a stage
 *   swap-probe.c      any thread: the new build is tried in a process of its own (swap-probe.h)
 *   swap-turn.c       control thread: requests in their turn, cuts that are done, late replicas
 *   swap.c            control thread: begins a cut by the version bit, finishes or reverses it
 *   swap-make.c       control thread: makes a cut, and the cut that undoes it
 *   swap-check.c      may this build stand in for that one? kind and ports
 *   swap-param.c      what becomes of the parameters
 *   swap-layout.c     what becomes of the state: which route there is
 *   swap-pass.c       the replica's thread: passes a cut, along a route
 *   swap-probation.c  the replica's thread: the first items on the new code; back if one fails
 *   swap-port.c       the replica's thread: ports of a build that stand in another order
 *   swap-failure.c    codes that have failed on probation are remembered, and not tried again
 *   swap-retire.c     builds that nobody needs any more: grace period, unload
 *   swap-tomb.c       where they were: an address there faults, and can be named
 *   swap-grace.c      the thread that waits for the grace period
 *   closing.c         threads that call close() of states that were left: closing.h
 *   swap-set-….c      several stages at once, when what flows between them changes: swap-set.h
 *
 * The cut. Every take from a queue carries the version bit that was in its head word
 * (queue/layout.h). Each input of a replica has a slot per bit. To swap, the control thread writes
 * the new cut into the slots of the bit that is not in force, then flips the bit by one atomic
 * xor: the items taken before it run on the old code, those taken after it on the new. `target`
 * is told after that, so that replicas without items pass the cut, too. A source has no queue: it
 * passes between two calls of produce().
 *
 * migrate() is the author's code and may fail, and what it has done can not be undone by name. So
 * for such a cut all replicas rest first, each at its own item boundary and without an item in
 * hand; each migrates into a fresh state beside the old one; and only when all have succeeded the
 * bit is flipped. Otherwise they go on as if nothing had been: the cut before, with the probation
 * that belongs to it, is theirs again. That is the one case in which the replicas of a stage wait
 * for each other.
 *
 * The way back. Each cut is made together with the cut that undoes it, so that going back needs
 * no memory and can not fail. A replica whose item fails on probation undoes it for itself at
 * once, gives the item to the old code, and the control thread sends the others after it.
 *
 * What is whose. The control thread makes and frees cuts, builds and states; a replica's thread
 * moves its own state along and leaves in its passage what it is done with. A cut is freed when
 * all replicas have passed a later one; a build, when RCU says that nobody looks at it.
 *
 * Pairs
 *   SW1 launch: release target -> SW2 step, cut_that_waits: acquire target    the cut, and all in it
 *   SW3 told, trusted, fell, resting: release each -> SW4 has: acquire each    what the replica did
 *   SW5 pass: seq_cst instance -> SW6 swap_stopped, swap_build_of: seq_cst instance    either the one who stops
 *       sees the new instance, or the replica sees the stop (SW7 kick)
 *   SW8 fall: release bad -> SW9 is_bad: acquire bad      why the build is bad
 *   SW10 tie: acq_rel bond -> itself                      whether any replica may go back
 *   SW11 list_build: release builds, older -> SW12 pc_graph_build: acquire builds, older    a build's fields
 *   SW13 swap_ask: release asked -> SW14 swap_turn: acq_rel asked    that there is a request
 *   SW17 swap_go: release go -> SW18 rests: acquire go    that all have migrated; the flip
 *   SW15 fill_slot: release slot -> SW16 swap_taken: acquire slot    the cut. (The flip orders it
 *       already, S2 of queue/layout.h; but a reversal writes the slot of the bit before, which a
 *       replica may be looking at: it may then pass a little early)
 */
#ifndef ENGINE_SWAP_H
#define ENGINE_SWAP_H

#include "base/symbols.h"
#include "loader/loader.h"

#include <pcrun/pcrun.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <uv.h>

#define SWAP_PROBATION      64 /* items of a replica until it trusts a build */
#define SWAP_KEEP           8  /* builds that stay loaded besides those in use */
#define SWAP_SNAPSHOT_BYTES ((size_t)64 << 10) /* states up to this are put back per item … */
#define SWAP_SNAPSHOT_ONCE  ((size_t)1 << 20)  /* … up to this for the first item only */
#define SWAP_NOTICE_NS      (1 * PC_SEC)       /* who has not passed by then is named */
#define SWAP_TICK_MS        10
#define SWAP_VICTIMS        4
#define SWAP_TOMBS          16
#define SWAP_FAILURES       16 /* codes that failed on probation, and are remembered */

struct buf;
struct closing;
struct cut;
struct engine;
struct input;
struct item;
struct plan_input;
struct record;
struct replica;
struct stage;

/* A build as it is offered to a stage: by the loader, or by a test. */
struct swap_offer {
	const struct pc_stage_desc *desc; /* a normalised one (loader.h); lives until release */
	const char *file;                 /* what messages name; copied */
	struct image image;
	uint64_t code;                  /* which code it is; 0: nobody knows */
	const struct loader_lint *lint; /* what its file tells; lives until release; or NULL */
	struct loader_plugin *plugin;   /* that it came from; lives until release; or NULL */
	bool rcu;                       /* its code may leave callbacks with call_rcu() */
	/* It will never be called again. False: something of it is left that needs its code, and `why`
	 * says what; ask again. True with a text: it stays loaded. `why` NULL: no further chance,
	 * always true. May be NULL. */
	bool (*release)(void *user, struct buf *why);
	void *user;
};

/* ---------------------------------------------------------------------------- builds --- */

/* What a build brings along that comes to a running graph. */
struct origin {
	struct image image;
	bool (*release)(void *user, struct buf *why);
	void *user;
	const struct loader_lint *lint; /* or NULL */
	bool rcu;
};

struct build {
	const struct pc_stage_desc *desc;
	_Atomic(struct build *) older; /* [control] writes; others read inside RCU sections */
	struct stage *stage;
	uint32_t number;
	_Atomic bool bad; /* [replica] an item failed on probation: never again */
	bool held;        /* [control] could not be unloaded, and that has been said */
	bool listed;      /* [control] stands in its stage's list */
	bool neighbours;  /* [control] refused: a port's type fits those of others no more */
	/* When a port has another index than in the graph; NULL: all are the same. */
	uint32_t *in_ports;  /* index in the graph -> index in this build */
	uint32_t *out_ports; /* index in this build -> index in the graph, or PLAN_NONE */
	char *file;
	const void *
		params; /* state_size bytes: zero, and the parameters, in this build's layout */
	void *own_params;       /* the same, when it is ours to free */
	_Atomic uint64_t items; /* [any] handled by replicas that have left it */
	_Atomic size_t
		points; /* [replica] 1 + offset in a state of a word into its image; 0: none */
	uintptr_t pointee; /* the replica that has set `points`; where in the image it points */
	uint64_t code;     /* which code it is; 0: nobody knows */
	struct loader_plugin *plugin; /* or NULL */
	const struct origin *origin;  /* NULL: it was there from the start */
	struct build *next;           /* [control] of those that are being retired */
	uint32_t closings;            /* [control] its close() is being called, or will be */
};

/* One build's code with one replica's state. */
struct instance {
	struct build *build;
	void *state;
};

/* ---------------------------------------------------------------------------- routes --- */

enum swap_way {
	WAY_ADOPT,   /* the new code gets the state as it lies */
	WAY_MAP,     /* fields are copied by name into a fresh state */
	WAY_MIGRATE, /* the new build's migrate() makes the new state */
	WAY_FRESH,   /* a fresh state, opened anew; the old one is closed in the end */
	WAY_ASIDE    /* back to the state as it was left at the cut */
};

/* Bytes that go over. A parameter may change its place; an enum its numbers as well. */
struct copy {
	size_t from, to, size;
	uint32_t *
		numbers; /* [old number] -> new number, or PLAN_NONE: leave what is there; or NULL */
	uint32_t n_numbers;
};

struct span {
	size_t offset, size;
};

struct route {
	struct route *next;
	const struct build *from, *to;
	enum swap_way way;
	struct copy *copies; /* from the old state; ADOPT: in place */
	uint32_t n_copies;
	struct copy *sets; /* ADOPT: from to->params: live parameters with a new default */
	uint32_t n_sets;
	struct span *zeros; /* MAP: no row of a table explains these bytes: they must be zero */
	uint32_t n_zeros;
	char *words; /* what becomes of the state, and of the parameters */
};

enum swap_how {
	SWAP_RESET = 1 << 0,   /* a fresh state, whatever the old one is */
	SWAP_BACK = 1 << 1,    /* to the build before this one */
	SWAP_DRY_RUN = 1 << 2, /* everything but the cut */
	SWAP_RETRY = 1 << 3,   /* also a code that has failed before */
	SWAP_SET = 1 << 4,     /* together with others: see swap-set.h */
	SWAP_FED = 1 << 5      /* by others of the set: its items will be of another kind */
};

/* ------------------------------------------------------------------------------ cuts --- */

/* A state that is not in use any more; the control thread sees that it is freed. */
struct dropped {
	struct instance instance;
	struct closing
		*closing; /* by a close(), since another one has been opened anew; or NULL */
};

/* One replica's way through one cut. `fresh` and `snapshot` are made by the control thread; the
 * rest is the replica's until `passed`, then the control thread's. */
struct passage {
	void *fresh; /* a state of the new build; NULL once it is in use */
	struct closing
		*closing;    /* WAY_FRESH: for one of the two states; NULL once it is used */
	bool opened;         /* open() has been called on it */
	void *snapshot;      /* room for a copy of the state, or NULL */
	struct instance now; /* what the replica became */
	struct dropped dropped[2];
	int64_t pause_ns;
	uint64_t emitted; /* by the replica until then */
	char *why;        /* it stayed, or fell: the reason that its code gave, or NULL */
	bool failed;      /* it fell for an item that failed on it */
	bool rested;      /* [replica] it has come to rest, and tried to migrate */
	bool as_left;     /* it fell, and its state could not be put back to before the item */
	_Atomic bool resting;
	_Atomic bool passed;
	_Atomic bool trusted; /* its probation is over */
	_Atomic bool fell;    /* it stayed on the old build, or went back to it */
};

/* Whether replicas that rest before a cut may go on. */
enum go { GO_WAIT, GO_ON };

/* Whether replicas may still go back on their own account: not once an item has been done that a way
 * back which forgets (WAY_ASIDE) would forget, and not once the next cut leads back to this one's
 * build. */
enum bond { BOND_NONE, BOND_TIED, BOND_BACK };

struct cut {
	struct cut *older; /* [control] freed when this one is complete */
	uint64_t generation;
	struct stage *stage;
	struct build *from, *to;
	enum swap_way way;          /* from `from` to `to` */
	struct route *routes;       /* from every build that a replica may come from */
	struct cut *back;           /* undoes it; NULL in one that undoes */
	bool is_back;               /* it undoes another */
	bool turned;                /* [control] `back` has begun */
	bool rests;                 /* replicas rest before it: see go */
	bool failed;                /* [control] while they did: all stay where they are, and on
	                       * what they have passed before */
	struct build *was_fallback; /* [control] before it began */
	bool was_settled;
	bool in_set;    /* with others, see swap-set.h: nobody goes back */
	bool forgets;   /* the way back is WAY_ASIDE: see bond */
	bool closes;    /* undoing: the states that are left have been opened */
	bool new_chain; /* what replicas have aside belongs to an older story: drop it */
	bool asides;    /* those that have passed it have a state aside */
	struct build
		*victims[SWAP_VICTIMS]; /* unloaded after it unless states point into them */
	_Atomic uint32_t go;            /* enum go */
	_Atomic uint32_t bond;          /* enum bond */
	uint64_t position;              /* of the first queue; sources: items emitted */
	int64_t begun_ns, done_ns;
	bool noticed; /* [control] who is late has been said */
	uint32_t n_passages;
	struct passage passages[];
};

/* -------------------------------------------------------- what others have embedded --- */

/* In struct replica. */
struct swap_replica {
	const struct cut *cut; /* [replica] the one it has passed last; NULL: none yet */
	struct record *record; /* [replica] it notes what it does: swap-record.c */
	uint64_t generation;   /* [replica] of `cut` */
	struct passage *passage;
	struct dropped aside; /* [replica] the state as it was before the story began */
	uint64_t since;       /* [replica] items handled when it came to its build */
	_Atomic(struct instance *) instance; /* [replica] writes, [control] reads */
	struct instance first;
	int64_t sleep_until_ns, sleep_ns; /* [replica] a pc_sleep() that a swap cut short */
};

/* What was decided about a swap, and how it went. */
struct swap_report {
	uint32_t from, to;
	enum swap_way way;
	uint64_t position;
	int64_t pause_median_ns, pause_worst_ns, took_ns;
	char *words;     /* one line: state and parameters; malloc'd, may be NULL */
	bool unchanged;  /* the same code runs already: nothing was done */
	bool refreshed;  /* but debuggers are shown its new lines */
	bool neighbours; /* its ports' types fit those of others no more */
};

struct swap_request;
struct swap_trial;

/* A code that has failed on probation. The build goes; this stays. */
struct swap_failure {
	uint64_t code;
	uint32_t number;
	char *why;
};

/* In struct stage. [control] but where it says otherwise. */
struct swap_stage {
	_Atomic(struct cut *)
		target; /* [any] what replicas shall pass; NULL: nothing yet, or see launch() */
	_Atomic uint32_t watch;         /* [any] enum watch of swap-record.c; 0: nobody asks */
	_Atomic uint32_t numbers;       /* [any] builds so far */
	struct record *record;          /* whose it is says `watch` */
	_Atomic(struct build *) builds; /* [any] inside RCU sections; the newest first */
	struct build first;
	struct build *current;  /* of the last cut */
	struct build *fallback; /* where a failure on probation leads */
	struct cut *cut;        /* the last one, in flight or not */
	struct cut *spent; /* failed; a replica may just be looking at it: until the next */
	bool in_flight;
	bool in_set;  /* and that is decided by swap-set.c */
	bool settled; /* all replicas trust the current build, and have nothing aside */
	bool active;  /* in the engine's list */
	_Atomic uint32_t shown, cuts, reversed; /* [any] build in force; how often each */
	_Atomic uint32_t stays; /* [any] builds that could not be unloaded when they should */
	uint32_t n_failures;    /* [any] ever; under the engine's lock, too */
	struct swap_failure
		*failures; /* [any] SWAP_FAILURES, or NULL; under the engine's lock */
	struct swap_request *pending;   /* waits for its turn */
	struct swap_request *answering; /* has led to `cut` */
	struct swap_report *report;     /* of it; the first request brings the memory */
	struct stage *next_active;
};

/* Address space where an image was: what still points there faults instead of reading the next
 * build, and a crash report can name it. */
struct tomb {
	void *at;
	size_t size;
	char name[64];
	struct symbols *symbols; /* of the image; NULL, or empty: not known */
};

/* What is left of a build whose code is still needed: by a thread that it has started, say. */
struct swap_left {
	struct swap_left *next;
	bool (*release)(void *user, struct buf *why);
	void *user;
	struct image image;
	struct symbols *symbols; /* for its tomb; or NULL */
	char name[64];
};

/* Several stages as one: see swap-set.h. */
struct swap_set_request;
struct swap_hold;

enum swap_set_phase { SET_WAITS, SET_DRAINS, SET_MIGRATES, SET_PASSES };

/* The one that is under way. [control] */
struct swap_set {
	struct swap_set_request *request; /* NULL: none is */
	enum swap_set_phase phase;
	struct swap_hold *holds;
	uint32_t n_holds;
	const char **types; /* per queue: what will flow, when that is new; kept texts */
};

struct swap_set_engine {
	struct swap_set_request *asked; /* under the engine's lock, newest first */
	_Atomic bool news;              /* [any] there are such */
	struct swap_set_request *line;  /* [control] in their turn */
	struct swap_set now;            /* [control] */
};

/* In struct engine. */
struct swap_engine {
	struct stage *active;          /* [control] stages that are at it */
	uv_timer_t timer;              /* [control] runs while there are such */
	unsigned tick_ms;              /* [control] how often; 0: it does not */
	uint64_t generations;          /* [control] */
	struct swap_request *requests; /* under the engine's lock, newest first */
	struct swap_set_engine set;
	bool closed;             /* under the lock: nobody answers any more */
	_Atomic bool asked;      /* [any] there are requests */
	pthread_cond_t answered; /* with the lock */
	uint32_t keep;           /* [start] SWAP_KEEP */
	struct build *retired;   /* [control] the next to be retired */
	struct build *retiring;  /* [control] waiting for the thread below */
	bool waiting;            /* [control] it is asked to; also for reload-recycle.c */
	_Atomic uint32_t grace;  /* see swap-grace.c */
	bool has_grace_thread;   /* [control] */
	bool no_grace_said;      /* [control] */
	pthread_t grace_thread;
	char **texts; /* [control] of parameters that states may point to, until the end */
	size_t n_texts;
	struct tomb tombs[SWAP_TOMBS]; /* [control] */
	unsigned next_tomb;
	uint32_t unloaded;           /* [control] */
	struct swap_left *left;      /* [control] asked again at every swap, and at the end */
	_Atomic bool no_helper_said; /* [any] */
};

struct swap_wish {
	unsigned how;         /* enum swap_how */
	int64_t timeout_ns;   /* until all replicas have passed */
	int64_t probation_ns; /* for how long the answer waits for a failure after that */
};

struct swap_request {
	struct swap_request *next;
	struct stage *stage;
	struct swap_offer
		offer; /* the request's until a build is made of it; may have no desc */
	struct swap_wish wish;
	int64_t until_ns;
	struct swap_report *room; /* for the stage, if it has none */
	/* under the engine's lock */
	bool answered;
	int result;
	struct pc_error *error;
	struct swap_report report;
};

/* ------------------------------------------------------------------------- interfaces --- */

/* swap-ask.c. Blocks until the swap is done, or given up. Takes the offer over (NULL: SWAP_BACK).
 * PC_OK; PC_WRONG: refused; PC_ERROR: begun, and reversed; PC_TIMEOUT: some replica has not passed,
 * and the swap goes on; PC_STOPPED: a newer request came, or the graph has ended. [any] */
int swap_ask(struct engine *e, uint32_t stage, const struct swap_offer *offer,
             const struct swap_wish *wish, struct swap_report *ret_report,
             struct pc_error **err);
void swap_offer_drop(struct swap_offer *offer);
/* [control] Takes error over; the request is gone after it. */
void swap_answer(struct engine *e, struct swap_request *request, int result,
                 struct pc_error *error, const struct swap_report *report);

/* swap-load.c. PC_OK; PC_WRONG: refused, with the cause; PC_ERROR: not there; PC_NOMEM. [any]
 * Tried before it is loaded, unless `trial` is NULL. */
int swap_load(struct swap_offer *ret, struct stage *s, const char *file, unsigned how,
              struct swap_trial *trial, struct pc_error **err);
/* What its author should know of a build that has come: what keeps it loaded, and what the one
 * before it did not have. " | " stands before each. [control] */
void swap_findings(const struct build *from, const struct build *to, struct buf *words);

/* swap-probe.c. The copy has been checked. Blocks for some milliseconds, at most some seconds.
 * PC_OK: it may be loaded, also when the helper could not be run, which `words` say; PC_WRONG:
 * refused, with the cause; PC_NOMEM. [any] */
struct swap_trial {
	struct stage *stage;
	unsigned how;
	char *words;                   /* what was tried, one line; malloc'd, may be NULL */
	bool at_item;                  /* it was refused for what it did with a recorded item */
	struct pc_crash_item *crashed; /* at which it crashed; malloc'd, or NULL */
};
int swap_probe(struct swap_trial *trial, const struct loader_copy *copy, struct pc_error **err);

/* swap-record.c, [replica] */
void swap_watch(struct replica *r);
void swap_record_item(struct replica *r, const struct input *in, const struct item *item);
void swap_record_result(struct replica *r, int result);
void swap_record_give(struct replica *r);
void swap_record_destroy(struct stage *s); /* after the end */

/* swap-embed.c, [any] */
uint32_t swap_number_in_force(const struct stage *s); /* [any] */
void swap_stage_row(const struct stage *s, struct pc_stage_row *row);
/* Pinned: it stays, with all that it shows, until swap_unpin_stage(). NULL: there is none. */
struct stage *swap_find_stage(struct engine *e, const char *name);
void swap_unpin_stage(struct stage *s);
/* Into a struct pc_swap_report of `size` bytes, or nowhere; the texts go with it, or are freed. */
void swap_report_give(const struct swap_report *report, const struct swap_trial *trial,
                      void *ret, size_t size);

/* swap-turn.c, [control] */
bool swap_turn(struct engine *e); /* true: something was done */
/* Replicas rest before a cut; they go on when all do, or when the time is over. */
bool swap_rests(const struct engine *e);
void swap_activate(struct stage *s);    /* there is something to look after */
void swap_answer_last(struct stage *s); /* before the next one begins */
bool swap_any_fell(const struct cut *cut);
void swap_told(struct replica *r);      /* it has passed, fallen, or trusts its build */
void swap_stage_ended(struct stage *s); /* all its replicas have */
void swap_closed(struct stage *s);      /* a state of it has been */
void swap_finish(struct engine *e);     /* nothing runs any more */

/* swap.c */
bool swap_create(struct engine *e);          /* [start] false: no memory */
void swap_create_stage(struct stage *s);     /* [start] */
void swap_create_replica(struct replica *r); /* [start] its state is there */
void swap_destroy(struct engine *e);         /* after the end */
/* [control] nobody runs it; last: as of swap_release() */
void swap_undo_stage(struct stage *s, bool last); /* [control] it was never run */
/* [control]. swap_begin: PC_OK: the cut is in flight (or, dry run, would be). Takes a build out of
 * the offer. ret_report: decided so far. PC_AGAIN: nothing was done, and the offer is as it was: some
 * replica is just going back from the last build. */
int swap_begin(struct stage *s, struct swap_offer *offer, unsigned how,
               struct swap_report *ret_report, struct pc_error **err);
/* Some replica has gone back from the build in force, or is about to, or could not come to it; it has
 * not been reversed for all yet. */
bool swap_comes_apart(const struct stage *s);
/* The steps of that, for a set. swap_choose: *ret is a build of the stage, or NULL: unchanged, as
 * the report says. swap_describe: what the report tells, malloc'd. swap_start: both are the stage's
 * from then on. swap_discard: either may be NULL. */
int swap_choose(struct stage *s, struct swap_offer *offer, unsigned how, struct build **ret,
                struct swap_report *ret_report, struct pc_error **err);
char *swap_describe(const struct cut *cut, unsigned how);
void swap_start(struct stage *s, struct build *to, struct cut *cut);
void swap_discard(struct build *to, struct cut *cut);
void swap_go(struct stage *s, bool on); /* all rest: pass the cut, or go on as before */
void swap_forget(struct stage *s);      /* the cut, that is: it has failed, and all know */
void swap_reverse(struct stage *s);
void swap_complete(struct stage *s);
void swap_set_aside_free(struct stage *s);
void swap_stopped(struct replica *r); /* call its stop() */
const struct build *swap_build_of(struct replica *r);
void swap_kick(struct replica *r);
void swap_unkick(
	struct replica *
		r); /* [replica] before it waits again, or [control] when nothing is to be seen */
void swap_drop(struct dropped *dropped);     /* closed by another thread, later */
void swap_drop_now(struct dropped *dropped); /* it has not run, or nothing does any more */
void swap_cut_drop(struct cut *cut);         /* the states that it has; all have passed it */
void swap_cut_free(struct cut *cut);
/* swap-failure.c. swap_failure_check: PC_OK; PC_WRONG: this code has failed, with the reason. [any] */
void swap_failure_note(struct stage *s, const struct build *b, const char *why); /* [control] */
int swap_failure_check(struct stage *s, uint64_t code, unsigned how, struct pc_error **err);
void swap_failure_forget(struct stage *s, const struct build *b); /* it is trusted. [control] */
void swap_failures_free(struct stage *s);                         /* after the end */
/* swap-feeds.c. Whether items that the one sends get to the other, straight or through stages that
 * pass them on. Under `shape`. False: also when there is no memory. */
bool swap_feeds(const struct engine *e, uint32_t from, uint32_t to);
/* swap-make.c, [control] */
int swap_make_cuts(struct cut **ret, struct stage *s, struct build *to, unsigned how,
                   struct pc_error **err);

/* swap-check.c, [control]. SWAP_BACK: only the ports. SWAP_SET: their types may be any. */
int swap_check(struct stage *s, const struct build *from, struct build *to, unsigned how,
               struct pc_error **err);
/* What flows into an input. [control], or under `shape` */
const char *swap_flows(const struct engine *e, const struct plan_input *in);

/* swap-param.c, [control] */
int swap_params(struct stage *s, const struct build *from, struct build *to, unsigned how,
                struct pc_error **err); /* makes to->params */
bool swap_param_copies(struct route *route, unsigned how);
void swap_param_words(const struct build *from, const struct build *to, unsigned how,
                      struct buf *words);
/* The engine's copy, until its end; NULL: no memory. */
const char *swap_keep_text(struct engine *e, const char *text);
const struct pc_param *swap_param_named(const struct pc_stage_desc *desc, const char *name);
bool swap_param_like(const struct pc_param *a, const struct pc_param *b);

/* swap-layout.c, [control]. The route, or why there is none. */
int swap_route(struct route **ret, const struct build *from, const struct build *to,
               unsigned how, struct pc_error **err);
/* The one that undoes: never refused. NULL: no memory. */
struct route *swap_route_back(const struct build *from, const struct build *to, bool aside);
void swap_route_free(struct route *routes);

/* swap-pass.c, [replica]; swap_can_pass: [control] while it is parked. False: *ret_why, malloc'd */
bool swap_can_pass(const struct replica *r, const struct cut *cut, char **ret_why);
void swap_pass(struct replica *r, struct cut *cut);
void swap_tell(struct replica *r);
void swap_go_back(struct replica *r);

/* swap-probation.c, [replica]; swap_is_mapped: [any] whether something is mapped there */
bool swap_is_mapped(uintptr_t word);
void swap_before_item(struct replica *r);
bool swap_item_passed(struct replica *r);             /* false: it must be done again */
bool swap_item_failed(struct replica *r, int result); /* true: do it again, on the old build */
/* [control] False: some replica has gone back, or is about to. True: none will. */
bool swap_close_way_back(struct cut *cut);

/* swap-port.c, [replica] */
int swap_emit(struct replica *r, unsigned port, struct item *item);
uint32_t swap_out_port(const struct replica *r, uint32_t port);   /* the graph's */
uint32_t swap_in_port(const struct replica *r, uint32_t index);   /* the build's */
uint32_t swap_graph_port(const struct replica *r, uint32_t port); /* the graph's */

/* swap-retire.c, [control] */
void swap_list_build(struct stage *s, struct build *b);
void swap_choose_victims(struct stage *s, struct cut *cut);
void swap_retire(struct stage *s);
void swap_free_build(struct build *b); /* its code is let go by somebody else */
void swap_release(struct build *b,
                  bool last);             /* nobody looks at it; last: it has no other chance */
void swap_retire_start(struct engine *e); /* what has gathered, there too */
void swap_retire_turn(struct engine *e);  /* perhaps the wait for readers is over */
void swap_retire_finish(struct engine *e); /* all stages have ended */
void swap_retire_rest(struct engine *e);   /* after the end */

/* swap-tomb.c, [control] */
/* Of the file that was loaded, malloc'd. NULL: nobody knows, or no memory. */
struct symbols *swap_symbols(const struct build *b);
void swap_bury(struct engine *e, struct image image, const char *name,
               const struct symbols *symbols);
void swap_tombs_free(struct engine *e); /* after the end */
/* [any], in a signal handler too. NULL, or false: none is there */
const struct tomb *swap_tomb_at(const struct engine *e, const void *address);
bool swap_tomb_symbol(const struct tomb *t, const void *address, struct symbols_hit *ret);

/* swap-grace.c, [control] */
/* For all of e->swap.retiring. False: it can not now, and that was said. */
bool swap_grace_begin(struct engine *e);
/* True, once for each begin: nobody looks at them any more. */
bool swap_grace_over(struct engine *e);
/* Waits for what is under way. False: that does not end. */
bool swap_grace_end(struct engine *e);

#endif
