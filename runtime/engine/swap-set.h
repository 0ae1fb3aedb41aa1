/* engine/swap-set.h: several stages change their builds as one, so that what flows between them may
 * change, too.
 *
 * An item of the old kind must not reach new code, and none of the new kind old code. So before the
 * stages of a set change, the queues between them are emptied by the old code, from the first stage
 * to the last: a stage rests when those before it in the set rest and its queues from them are
 * empty. It rests between two items, and not before what it has emitted has left: so it is not told
 * to before all those in front of it rest, or their last items might find no room. When all rest no
 * item is anywhere between them; all change, and go on. Nothing outside of the set stops: what comes
 * meanwhile waits in the queues in front.
 *
 * Between two stages of a set may stand others that pass on what comes ("=in"): items of both kinds
 * go through them, so they rest with the set, and keep their builds.
 *
 * All or none. Until all rest every build is as it was; whatever fails until then (a check, an open(),
 * a stage that does not come back, a queue that does not run empty, the end of the graph) lets the
 * stages go on with their old code, and they have lost some time. migrate() is run while all rest, each
 * into a fresh state, and may still fail. After that nothing can. There is no probation: the
 * old code could not take an item of the new kind back, so a failure on the new code is a failure
 * of that stage as any other.
 *
 * The way of a set
 *   swap-set-ask.c     any thread: loads and probes the builds, asks, waits for the answer
 *   swap-set.c         control thread: one set at a time, and no other swap or reload beside it
 *   swap-set-check.c   control thread: do the types fit, who rests, which queues run empty
 *   swap-set-rest.c    control thread: who rests, and when it is his turn
 */
#ifndef ENGINE_SWAP_SET_H
#define ENGINE_SWAP_SET_H

#include "engine/swap.h"

#define SWAP_SET_TICK_MS 1 /* how often it is looked whether a queue has run empty */

struct swap_set_member {
	struct stage *stage;
	struct swap_offer offer; /* the member's until a build is made of it */
	unsigned how;            /* enum swap_how */
	struct swap_report report;
	struct swap_report *room; /* for the stage, if it has none */
	/* [control] */
	struct build *to; /* NULL: it runs already */
	struct cut *cut;
	const struct cut *seen; /* the stage's last one when it was prepared */
	bool started;           /* `to` and `cut` are the stage's */
};

struct swap_set_request {
	struct swap_set_request *next;
	struct swap_set_member *members;
	uint32_t n;
	bool dry_run;
	int64_t until_ns;
	/* under the engine's lock */
	bool answered;
	int result;
	struct pc_error *error;
};

/* A stage that rests: of the set, or between stages of it. */
struct swap_hold {
	struct stage *stage;
	bool *drains; /* per input: its queue runs empty first */
	bool *after;  /* per hold: that one rests first */
	bool told;    /* it shall rest */
};

/* swap-set-ask.c. As swap_ask(); takes the members' offers over. PC_OK; PC_WRONG, PC_TIMEOUT,
 * PC_STOPPED, PC_NOMEM: nothing was changed, but for a PC_TIMEOUT whose members have reports with
 * builds to change to: all rested, some have not passed yet, and will. [any] */
int swap_set_ask(struct engine *e, struct swap_set_member *members, uint32_t n, bool dry_run,
                 int64_t timeout_ns, struct pc_error **err);

/* swap-set.c, [control] */
bool swap_set_turn(struct engine *e); /* true: something was done */
bool swap_set_waits(const struct engine *e);
bool swap_set_is_under_way(const struct engine *e);
bool swap_set_has_changed(const struct engine *e); /* the new builds are in force */
void swap_set_abort(struct engine *e);             /* the graph is being stopped */

/* swap-set-check.c, [control]. All builds are chosen. PC_OK: what `set` says of types and holds is
 * made; PC_WRONG, PC_NOMEM. */
int swap_set_check(struct engine *e, struct swap_set *set, struct pc_error **err);
void swap_set_names(const struct swap_set_request *request, struct buf *out);
const struct swap_set_member *swap_set_member_of(const struct swap_set *set,
                                                 const struct stage *s);

/* swap-set-rest.c, [control] */
bool swap_set_rest(struct engine *e, struct swap_set *set); /* true: some were told to */
bool swap_set_all_rest(const struct swap_set *set);
void swap_set_go_on(const struct swap_set *set, const struct stage *only); /* NULL: all */
void swap_set_late(const struct engine *e, const struct swap_set *set, struct buf *out);

#endif
