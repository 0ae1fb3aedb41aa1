/* engine/guard.h: the way out of a stage's callback that will not return.
 *
 * A stage that calls assert(), abort() or exit() gives up; the process need not. Whoever has taken
 * these functions over (the pcrun command has) calls pc_stage_died(), which leaves the callback
 * by a jump to the guard that the engine has set, and the callback counts as failed.
 *
 * A guard is set once for all items of an activation and costs nothing per item: between two of
 * them it stays open, since nothing that the engine does there on its usual way gives up. Where it
 * calls others (a log, say) it is shut. Each thread has a pointer to the innermost guard, which is
 * also how the report of a crash (crash.c) knows what the thread was at. No signal mask is saved:
 * nothing jumps out of a signal handler.
 *
 * What the stage's frames held stays held: its mutexes, its malloc blocks, its open files. The
 * state stays as it was left.
 */
#ifndef ENGINE_GUARD_H
#define ENGINE_GUARD_H

#include <setjmp.h>
#include <stdbool.h>

struct build;
struct input;
struct item;
struct replica;

struct guard {
	jmp_buf way_out;
	struct guard *outer;
	struct replica *replica;
	const struct build *build; /* whose code is called */
	const char *callback;      /* its name in the descriptor */
	struct input *input;       /* of the items; NULL: none */
	uint64_t first;            /* number of the first of them */
	struct item **kept; /* of them, from number `kept_from` on: processed, not given back */
	uint64_t kept_from; /* `kept` NULL: none */
	bool open;          /* the stage's code runs, and may be left */
	char *why;          /* it was left: the reason; malloc'd, NULL: no memory */
};

/* All on the thread that calls the stage. */
void guard_begin(struct guard *g, struct replica *r, const struct build *b,
                 const char *callback);
void guard_end(struct guard *g);
/* Zero at first; not zero when a callback inside has been left, any number of times. The function
 * that says this must not return before guard_end(). */
#define GUARD_LEFT(g) (_setjmp((g)->way_out) != 0)
/* After that: the reason becomes the replica's, as if by pc_fail(). Returns PC_ERROR. */
int guard_failed(struct guard *g);
/* [any], in a signal handler too: the innermost guard of the thread, or NULL. */
const struct guard *guard_current(void);

/* One call with a guard of its own. */
int guard_call(struct replica *r, const struct build *b, const char *callback,
               int (*call)(struct pc_stage *, void *), void *state);
int guard_closed(struct replica *r, unsigned port);
int guard_migrate(struct replica *r, const struct build *from, const struct build *to,
                  void *new_state);
void guard_stop(struct replica *r, const struct build *b, void *state); /* [any] */

#endif
