/* FROZEN as of ABI 1.0: what stages of that time were built with; never changed (tests/abi).
 *
 * codes.h: the results that pcrun's calls return, and the one unit of time.
 *
 * Shared by stage.h (for authors of stages), queue.h (for users of the queue alone) and pcrun.h
 * (for programs that embed the runtime). Values are part of the ABI: they never change meaning;
 * new ones are added at the ends. Negative = it did not happen; 0 and above = it did.
 */
#ifndef PCRUN_CODES_H
#define PCRUN_CODES_H

#include <stdint.h>

enum pc_result {
	PC_OK = 0,  /* done */
	PC_END = 1, /* a stage says: nothing more from me, and nothing more for me */
	PC_AGAIN =
		2, /* a stage says: call me again, at once or when the wake condition holds */
	PC_ERROR = -1,    /* failed; the reason is in the chain of causes */
	PC_FULL = -2,     /* put without waiting: no room */
	PC_EMPTY = -3,    /* take without waiting: nothing there */
	PC_TIMEOUT = -4,  /* the time given was over first */
	PC_CLOSED = -5,   /* take: closed and empty; put: nobody is left to read */
	PC_STOPPED = -6,  /* the runtime wants this thread back */
	PC_NOMEM = -7,    /* no memory */
	PC_INVALID = -8,  /* the call breaks its contract; nothing was changed */
	PC_WRONG = -9,    /* a graph file, or a plugin in it, is wrong */
	PC_DEADLOCK = -10 /* nothing in the graph can move any more */
};

/* Times are signed 64-bit nanoseconds. 0 = do not wait. */
#define PC_FOREVER INT64_MAX
#define PC_US      INT64_C(1000)
#define PC_MS      INT64_C(1000000)
#define PC_SEC     INT64_C(1000000000)

#endif
