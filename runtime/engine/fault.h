/* engine/fault.h: parts of the engine that a build for the tests' own test, or for a benchmark,
 * leaves out.
 *
 * A test that can not fail proves nothing. tests/stress/swap/ compiles single files of this folder
 * once more with -DENGINE_FAULT=n, links them in front of the real ones, and expects its tests to
 * turn red. In every other build LEFT_OUT() is the constant false. */
#ifndef ENGINE_FAULT_H
#define ENGINE_FAULT_H

enum fault {
	FAULT_NONE,
	FAULT_COMMIT,   /* what a failed item emitted leaves all the same */
	FAULT_BIT,      /* the code changes by a plain pointer, not by the version bit */
	FAULT_LAYOUT,   /* every layout is taken for the same */
	FAULT_GRACE,    /* a build is unloaded without a grace period */
	FAULT_BARRIER,  /* likewise without waiting for its RCU callbacks */
	FAULT_SNAPSHOT, /* a failed item's changes to the state stay */
	FAULT_COPY,     /* the developer's own file is loaded */
	FAULT_TOMB,     /* where an image was, the next one may be loaded */
	FAULT_SWAP,     /* no swaps at all: what looking for them costs (bench/swap) */
	FAULT_DRAIN,    /* the queues in a set of stages do not run empty before it changes */
	FAULT_COUNT     /* who wakes a replica counts it as awake when it may run already */
};

#ifndef ENGINE_FAULT
#define ENGINE_FAULT FAULT_NONE
#endif
#define LEFT_OUT(fault) (ENGINE_FAULT == (fault))

#endif
