/* stress/swap/common.h: what the hot-swap stress programs share: numbered items, numbered code.
 *
 * A line is  source -> q0 -> mid -> q1 -> sink  (mid may be left out). Every build of a stage is a
 * `code`: a descriptor of its own whose callbacks write the code's number into each item. The sink
 * marks each item in a bitmap and notes, per number, the first and the last item: so at the end a
 * lost item, a doubled one, and an item on the wrong side of an announced cut are all seen, for
 * any number of replicas. Plain programs that print TAP, so that they run under ThreadSanitizer.
 * Main thread, but for the callbacks. */
#ifndef STRESS_SWAP_COMMON_H
#define STRESS_SWAP_COMMON_H

#include "../engine/graph.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBERS_MAX (1u << 20)

enum role { SOURCE, MID, SINK, N_ROLES };

/* One build of a stage's code. */
struct code {
	struct pc_stage_desc desc; /* first */
	enum role role;
	uint32_t number;
	uint32_t fail_item;    /* the how-manieth that a replica handles on it fails; 0: none */
	uint32_t fail_replica; /* which; UINT32_MAX: each */
	bool fails_on;         /* and so do all after that */
	uint64_t hash;         /* which code it is said to be; 0: nobody knows */
	uint32_t handled[64];
	_Atomic bool released;
	struct code *next;
};

struct number {
	uint64_t source, value;
	uint64_t check;      /* of the two */
	uint64_t made, done; /* numbers of the code that made it, and that passed it on */
};

/* State of every role; all builds of a role have the same, unless a test changes it. */
struct counter {
	uint64_t n;     /* source: items to make; 0: until told */
	uint64_t batch; /* source: items per call */
	uint64_t spin;  /* work per item */
	uint64_t sleep_ns;
	uint64_t count; /* handled */
	uint64_t next;  /* source */
};

/* What was seen of the items that codes of a role handled. */
struct track {
	uint64_t *min, *max, *count; /* per number */
};

struct line {
	struct graph g;
	struct plan_stage *stage[N_ROLES];
	struct plan_queue *q[2];
	struct track track[N_ROLES];
	uint8_t *marks;
	uint64_t n_marks;
	uint32_t numbers[N_ROLES]; /* given so far */
	uint64_t *cuts[N_ROLES];   /* per number: the announced first item */
	uint32_t *cut_numbers[N_ROLES], n_cuts[N_ROLES];
	struct code *codes;
	/* the sink writes, after the end read */
	_Atomic uint64_t seen;
	uint64_t doubled, broken;
	_Atomic uint64_t closed_count[N_ROLES]; /* sum of the states' counts at close() */
	_Atomic uint32_t opened, closed, stale; /* calls; calls of released code */
	_Atomic bool enough;                    /* sources end */
	_Atomic bool shut;                      /* sources make nothing */
	uint64_t at_least;                      /* items before they do */
	_Atomic uint64_t limit; /* sources make no more than this each; 0: any */
	/* A bit per replica: its next call waits in the code; it does so now. */
	_Atomic uint64_t held[N_ROLES], stands[N_ROLES];
};

struct line_shape {
	const char *what;
	bool no_mid, blocking[N_ROLES], batch, ordered, section;
	const char *by;
	uint32_t sources, mids, capacity, workers;
	struct counter source, mid, sink;
	void (*tune)(struct code *mid); /* another first build … */
	const void *mid_state;          /* … with another state */
};

extern struct line *line; /* the one that runs */

void line_make(const struct line_shape *shape);
int line_start(unsigned workers);
/* Ends the sources and waits. */
int line_end(void);
/* Everything arrived once, everything ran on the right code: prints why not. `exact`: and each
 * item on the side of the cut that was announced. */
bool line_check(enum role role, bool exact);
/* The first half of it: for swaps whose answer did not say where the cut was. */
bool line_check_counts(enum role role);
void line_free(void);

struct code *code_new(enum role role, bool blocking, bool batch);
struct swap_offer code_offer(struct code *code);
/* swap_ask() with a new code of the role, and the cut noted. */
int line_swap(enum role role, unsigned how, struct swap_report *ret);
int line_swap_code(struct code *code, unsigned how, struct swap_report *ret,
                   struct pc_error **err);
/* The same from a thread of its own, and its answer. */
struct asker {
	pthread_t thread;
	struct code *code;
	struct swap_report r;
	struct swap_wish wish;
	char said[1024];
	int rc;
	_Atomic bool done;
};
void ask_begin(struct asker *a, struct code *code, int64_t timeout_ns, int64_t wait_ns);
void ask_begin_so(struct asker *a, struct code *code, const struct swap_wish *wish);
void ask_end(struct asker *a);
/* enum pc_stop_how, as from another thread. */
void line_stop(uint32_t how);
/* The code was taken where the report says: what line_swap_code() does for itself. */
void line_note_cut(enum role role, uint32_t number, const struct swap_report *r);
/* Replicas of a role (a bit each) wait in their next call until they are let go. line_held() is
 * there when they do. */
void line_hold(enum role role, uint64_t replicas);
void line_held(enum role role, uint64_t replicas);
void line_let_go(enum role role);
/* Items that lie in q0 or q1. */
size_t line_fill(unsigned queue);
uint32_t line_stage(enum role role);
uint64_t line_seen(void);
/* Until the sink has seen that many more, or the graph is over; a line that stands still for a minute ends
 * the program. */
void line_flow(uint64_t items);
const char *line_log(void);         /* everything that was logged so far */
bool line_logged(const char *text); /* waits until it is, 30 s at most */
void line_log_clear(void);

/* TAP */
void report(bool ok, const char *what);
int tap_end(void);
void doze_us(long us);
extern int64_t probation_ns; /* that line_swap() waits for */

#endif
