/* engine/swap-probe.h: a new build is tried in a process of its own before it is loaded here.
 *
 * A constructor that crashes while dlopen() holds the loader's lock, an open() that never comes
 * back, code that overwrites the heap: nothing of that can be undone in the process where it
 * happens. So a helper, `pcrun-probe`, does it first, on copies, and its end is only a message.
 *
 *   swap-record.c       the live stage: a copy of one replica's state, and the items after it
 *   swap-request.c      all that the helper must know, as bytes
 *   swap-probe.c        pc_graph_swap()'s thread: starts the helper, waits, decides
 *   swap-verdict.c      what became of it, in words
 *   swap-crashed.c      the item at which it crashed, for whoever wants to do that again
 *   probe-main.c        the helper: its limits, and the order of what is tried
 *   probe-read.c        the request, read
 *   probe-graph.c       a graph of one stage around the new build
 *   probe-calls.c       stands between that graph and the build's callbacks: notes, compares
 *   probe-guard.c       nothing that the code does may be seen outside; the last words of a crash
 *
 * What is tried. The build is loaded. Then, unless its flags say PC_NO_PROBE:
 *   taken over  a stage with the old build's tables and a copy of one replica's state swaps to the
 *               new build, by the engine's own code (migrate() is the author's); after that the
 *               items that the old build has done last, if both builds are PC_PURE. Left out when
 *               the state holds pointers, which mean nothing in another process.
 *   fresh       open() with the parameters of the graph, those items if they have not been done
 *               above, finish() after them, close(). Again, when threads or descriptors are left:
 *               what a library keeps for good is no leak, what each round leaves is one.
 * Callbacks that act on the world can not be tried: produce(), and process() of what is not pure.
 * An open() that would change something outside (write to a file, connect, start a program) is
 * stopped at that call by a system call filter; that is noted, and is no reason to refuse.
 *
 * The helper and pcrun share one memory file: the report at its beginning, the request behind it.
 * The report is written as things happen, so that it tells where the helper was when it died;
 * pcrun reads it by pread(), since the code under test may do what it likes to it.
 *
 * Pairs
 *   SP1 probe_end, on_effect: release verdict -> SP2 swap_verdict: acquire verdict    the report; the end
 *       of the process orders the same
 */
#ifndef ENGINE_SWAP_PROBE_H
#define ENGINE_SWAP_PROBE_H

#include "engine/engine.h"

#define PROBE_MAGIC      UINT32_C(0x42525043)
#define PROBE_FD         3 /* the memory file, in the helper */
#define PROBE_ITEMS      32
#define PROBE_ITEM_BYTES ((size_t)1 << 20) /* of all recorded items and their outputs */
#define PROBE_LIMIT_NS   (2 * PC_SEC)      /* for one step of the helper */
#define PROBE_MACHINE_NS                                                                       \
	(20 * PC_SEC) /* likewise when it is busy, or not in the build's code */
#define PROBE_FRAMES 8

enum probe_step {
	PROBE_STARTS,
	PROBE_LOADS,
	PROBE_BETWEEN, /* the engine is at work */
	PROBE_MIGRATES,
	PROBE_ITEM,
	PROBE_FINISHES,
	PROBE_OPENS,
	PROBE_CLOSES,
	PROBE_UNLOADS,
	PROBE_DONE
};

enum probe_verdict {
	PROBE_NONE,   /* it died, or is still at it */
	PROBE_PASSED, /* all that could be tried */
	PROBE_FAILED, /* `text` says what */
	PROBE_EFFECT, /* stopped at a system call that would have been seen outside */
	PROBE_BROKEN  /* the helper itself could not go on: `text` */
};

/* What a crash left: places in the build's own code, the innermost first. */
struct probe_frame {
	uint64_t offset; /* from where it is loaded */
	char symbol[80]; /* "" when the dynamic symbol table has none */
};

struct probe_report {
	uint32_t magic; /* the helper has begun, and is of this version */
	_Atomic uint32_t step;
	_Atomic uint32_t item;     /* at PROBE_ITEM: which, from 1 */
	_Atomic uint32_t progress; /* grows with every step */
	_Atomic uint32_t verdict;
	bool no_probe, no_filter, taken_over, migrated, opened, closed;
	uint32_t n_replayed, n_differ;
	bool fresh; /* they were replayed on a fresh state */
	char text[1024];
	char difference[256]; /* the first */
	/* of a crash, or an effect */
	int32_t signal, code;
	uint64_t address, where; /* what was accessed; the instruction, when it is nobody's */
	bool was_write;
	int32_t call;
	char path[256];
	uint32_t n_frames;
	struct probe_frame frames[PROBE_FRAMES];
};

/* ------------------------------------------------------------- the live stage's side --- */

/* Where a recorded item is. */
struct record_item {
	uint32_t port;   /* of the graph's */
	uint64_t number; /* of those of that input, from 1 */
	size_t at, size; /* its bytes, in those of the record */
};

/* A copy of a replica's state, and what it did after that. Numbers and bytes are written as
 * swap-request.c does. */
struct record {
	uint32_t build; /* whose code: its number */
	bool has_state;
	size_t state_size; /* of that build */
	void *state;       /* at most SWAP_SNAPSHOT_ONCE bytes */
	uint32_t replica;
	uint32_t n_items;
	struct record_item items[PROBE_ITEMS];
	char *bytes; /* PROBE_ITEM_BYTES; NULL: the stage is not pure */
	size_t size;
	size_t before; /* [replica] size without the item in work */
	size_t at;     /* [replica] where the item's result stands */
	_Atomic bool hurry;
};

/* swap-record.c. [any] Blocks for a few milliseconds at most. NULL: no replica came, or no memory. */
struct record *swap_record(struct stage *s);
void swap_record_free(struct record *record);

/* --------------------------------------------------------------------- the request --- */

void put_number(struct buf *out, uint64_t n);
void put_bytes(struct buf *out, const void *bytes, size_t size);
void put_text(struct buf *out, const char *text); /* NULL stays NULL */

/* swap-request.c. [any] False: no memory. *ret_left_out: why there is no state, a constant. */
bool swap_request_make(struct buf *out, struct stage *s, const struct loader_copy *copy,
                       unsigned how, const struct record *record, const char **ret_left_out);
/* The build with this number if there is one, else the one in force. [any], in a read section */
const struct build *swap_build_in_force(const struct stage *s, uint32_t number);

/* swap-verdict.c. The report has been read; its texts may be anything. */
struct probe_end {
	bool hung;        /* it was killed for that */
	bool reaped;      /* `status` is known */
	int status;       /* of waitpid() */
	const char *said; /* what it wrote to its outputs, the end of it */
};
int swap_verdict(struct probe_report *report, const struct probe_end *end, const char *loaded,
                 struct pc_error **err);
void swap_verdict_words(const struct probe_report *report, const char *left_out,
                        struct buf *words);

/* swap-crashed.c. The build was refused. One block, malloc'd; NULL: it did not crash at an item, or
 * there is no memory. `file`: of the build */
struct pc_crash_item *swap_crashed(struct stage *s, const struct record *record,
                                   const struct probe_report *report, const char *file);

/* ------------------------------------------------------------------ the helper's side --- */

struct probe_item {
	uint32_t port;
	const void *bytes;
	size_t size;
	uint32_t n_outputs;
	const char *outputs; /* port, bytes; each as in the request */
};

struct probe {
	struct probe_report *report;
	const char *at, *end; /* of the request: what is still to be read */
	bool broken;          /* it was shorter than it says */
	const char *loaded, *file;
	unsigned how;
	struct plan plan;
	struct plan_stage *stage;  /* the first of the plan */
	uint32_t replicas;         /* of the real stage */
	struct pc_stage_desc *old; /* the old build's tables; no code */
	void *state;               /* old->state_size bytes, or NULL */
	struct probe_item items[PROBE_ITEMS];
	uint32_t n_items;
	struct loader_plugin *plugin; /* the new build */
	struct pc_stage_desc calls;   /* it, with probe-calls.c in front of each callback */
	bool replay;                  /* do the items in this round */
	bool fed;                     /* they have been asked for */
	int gate; /* an event descriptor: the swap is done, items may come */
};

/* probe-read.c. False: not a request of this version. */
bool probe_read(struct probe *p);
uint64_t get_number(struct probe *p);
const void *get_bytes(struct probe *p, size_t *ret_size);
const char *get_text(struct probe *p);

/* probe-graph.c. One round: open the stage as the old build had it, swap, items, end. */
void probe_round(struct probe *p, unsigned how);

/* probe-calls.c */
void probe_calls(struct probe *p, bool open, bool replay);
void probe_step(struct probe *p, enum probe_step step);
/* The verdict, and the end of this process. */
_Noreturn void probe_end(struct probe *p, enum probe_verdict verdict, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* probe-guard.c */
void probe_guard_limits(size_t state_size);
void probe_guard_signals(struct probe *p);
void probe_guard_thread(void); /* the running thread gets a stack for signal handlers */
bool probe_guard_effects(void);

#endif
