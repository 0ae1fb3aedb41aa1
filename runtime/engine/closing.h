/* engine/closing.h: the calls of close(), on threads of their own.
 *
 * A close() may take long (an fsync(), a peer that does not answer), or never come back. The
 * control thread drives timers, descriptors, swaps, reloads and stops of the whole graph: so it
 * only hands over what is to be closed, and goes on with the rest when that is done. What has
 * never run (a start, a reload or a swap that is taken back) is closed where it was opened.
 *
 * The words. A *closing* is one close() to be called: of a replica that has ended, or of a state
 * that a replica has left at a swap. A *closer* is a thread that calls them. All of one stage are
 * called one after the other, as stage.h promises, so what waits in line are stages.
 */
#ifndef ENGINE_CLOSING_H
#define ENGINE_CLOSING_H

#include "engine/swap.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#define CLOSING_PATIENCE_MS 100 /* for so long no closer takes a stage: there is one more */

struct closer;
struct engine;
struct item_cache;
struct replica;
struct stage;

struct closing {
	struct closing *next;
	struct replica *handle; /* what the call gets: the replica itself, or one that stands in
	                         * for it, when it runs on with another state */
	struct instance what;
	int result;
	bool of_replica; /* its last state, which is not freed here */
	bool given_up;   /* under the lock: nobody waits for it any more */
};

/* Of a stage; under the lock, but for `n`: see engine.h. */
struct stage_closing;

/* In struct engine. */
struct engine_closing {
	pthread_mutex_t lock;
	pthread_cond_t work;
	/* under the lock */
	struct stage *first, *last; /* the line: stages that no closer works for */
	uint64_t begun;             /* calls */
	uint32_t idle;              /* closers that wait for a stage */
	bool quit;
	/* [control] */
	struct closer *closers;
	struct closing *given_up; /* their threads may look at them, and at what they have */
	uint32_t n;               /* of all stages */
	uint64_t seen;
	uv_timer_t timer;
};

/* [start]; [after the end] */
void closing_init(struct engine *e);
void closing_fini(struct engine *e);

/* [control] */
/* For a state that the replica will leave, with what stands in for it; NULL: no memory. */
struct closing *closing_create(struct replica *r);
/* Nothing of the stage is called before it is let go; nothing is being called now. False: no memory. */
bool closing_hold(struct stage *s);
void closing_let_go(struct stage *s);
/* It has ended. Where there is no thread to be had, the call is over when this returns. */
void closing_replica(struct replica *r);
/* No replica uses the state any more. Takes both over. */
void closing_state(struct closing *c, struct instance what);
void closing_over(struct stage *s); /* MESSAGE_CLOSED: some calls have come back */
/* The graph is to end at once: calls that have lasted for the grace time are given up. How long
 * until it is to be asked again; 0: never. */
int64_t closing_late(struct engine *e); /* closing-late.c */

/* At once, on the calling thread: what has never run. [start] or [control] */
void closing_replica_now(struct replica *r);
void closing_state_now(struct closing *c, struct instance what);

/* closer.c */
void closing_call(struct closing *c, struct item_cache *cache); /* on the calling thread */
/* [control] */
void closing_stand_in_line(struct stage *s); /* under the lock */
bool closing_add_closer(struct engine *e);   /* false: there is none to be had */
void closing_watch_line(
	struct engine *e);          /* somebody has come into it: more closers, if need be */
void closing_end(struct engine *e); /* nothing is left to be closed */

#endif
