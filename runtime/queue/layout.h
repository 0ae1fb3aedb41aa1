/* queue/layout.h: the queue's memory, and how all of it works together.
 *
 * The algorithm
 *
 *   Positions 0, 1, 2 … are mapped to slots of linked segments. A slot is used once: it starts
 *   as 0 and gets an item (even) or a control word (odd). There is no tail counter: the first
 *   slot that holds 0 *is* the tail, T. What a putter reads first is a hint that is never ahead
 *   of T; it walks from there.
 *
 *     put    p = hint; while slot[p] is not 0: p += 1, or k over BUSY(k) and POISON(k).
 *            no room if p - head >= capacity.       slot[p]: 0 -> item, by one CAS.
 *     batch  slot[p]: 0 -> BUSY(k); items 1 … k-1 into the next slots by plain stores;
 *            slot[p]: BUSY(k) -> item 0. If that fails the batch was poisoned: put it anew.
 *     take   h = head; read items from slot[h] on, up to the first 0 or odd word;
 *            head: h -> h + m, by one CAS.          slot[h] is 0: empty.
 *            slot[h] is POISON(k): head: h -> h + k.
 *            slot[h] is BUSY(k): when no item stands behind it, empty. Else wait a moment, then
 *            slot[h]: BUSY(k) -> POISON(k); the late batch will be put again by its owner.
 *     close  slot[T]: 0 -> SEAL (or last segment's next: NULL -> sealed). No put can pass it.
 *
 *     segments   [base 0, 16 slots] -> [base 16, 64 slots] -> [base 80, …]
 *                     ^ head_segment        ^ tail_segment        (each only ever moves right)
 *
 * The head word is position << 1 | version bit (DESIGN.md, section 6): takers carry the bit over,
 * and one atomic xor names the item at which new code begins.
 *
 * Invariants
 *   I1  The slots that are not 0 and those covered by a BUSY or POISON are exactly 0 … T-1,
 *       because a slot is claimed only by a CAS from 0 after every slot before it was seen
 *       claimed. T and head never go back, and head <= T.
 *   I2  hint <= T, and limit <= head + capacity, for it was computed from a head of the past; so
 *       what a putter concludes from them errs towards "look again".
 *   I3  T - head <= capacity: the claim of [p, p+k) succeeds only at p = T, and p + k <= limit.
 *   I4  A batch lies in one segment, so a control word never points over a segment's end.
 *   I5  Whatever can reach a retired segment is in a read section that began before the segment
 *       was handed to the reclaimer: tail_segment is moved past a segment before that, and segments
 *       are unlinked in the order in which they are linked.
 *
 * Linearization points
 *   put         the CAS of slot[T] from 0; of a batch the CAS from BUSY
 *   take        the CAS of head
 *   empty       the load of slot[h] that returned 0: then h = head = T (I1)
 *   full        the load of slot[p] that returned 0; head was at or before the value read later.
 *               Full counts places that a batch in flight has reserved. That is the one weakness:
 *               a put beside such a batch may say full though fewer than `capacity` are in.
 *   closed      the CAS that seals; a take that sees the seal knows that nothing can follow
 *
 * Progress: lock-free. Every loop repeats only because another thread's CAS succeeded, and each
 * such CAS is a step of some operation: a claim, a publication, a head move, a segment linked. A
 * poisoned batch makes its owner start anew, but a taker poisons only when a *finished* item
 * stands behind it, so finitely many poisonings come before some item is taken; and an owner who
 * was poisoned twice puts the rest singly, which nobody can poison. A thread that is stopped
 * anywhere therefore stops nobody, with these limits, which RCU and the system impose:
 *   - memory behind a thread stopped inside a read section is not reclaimed. It is counted
 *     (retired_bytes) and limited (segment.c): then puts find no room until the thread goes on.
 *   - malloc when the pool has no segment; the first queue of a process starts a thread.
 *   - calls that wait: a thread stopped while it wakes another delays that waiter.
 *
 * Pairs
 *   S1 slot: release by claim and publication -> acquire by walk and take: the item, and what
 *      its putter wrote before; the inside of a batch
 *   S2 head: release by take -> acquire by put and take: slots behind it are final
 *   S3 hint: release after a claim -> acquire by put: the claims before it
 *   S4 next, head_segment, tail_segment: release by link and move -> acquire: segment's header
 *      and its zeroed slots
 *   S5 retired: release by the reclaimer -> acquire by the one who frees the queue
 *   S6 writers, readers: release by end -> acquire by the last one, who seals
 *   S7 pool: release by push -> acquire by pop: the segment's header
 *   W1 store-then-look, seq_cst on all four: a change (slot, head, next, stopped, starved,
 *      capacity), then load `waiting` | add to `waiting`, then load what one waits for. Tasks
 *      have one step more: … then take the inbox | … then push to the inbox, then look again
 *   W2 like W1: a change, then look at event's PENDING | clear it, then look, or take and look
 *   W3 event: release by wake -> acquire by the waiter, who looks then, and again where futex_wait
 *      finds it changed; release by who leaves, no waiter any more -> acquire by wake, which counts
 *      the waiters then
 *   R1 retired: release by push -> acquire by the reclaimer: the segment's fields
 *   R2 like W1: push, then load asleep | store asleep, then look at the stack
 *   R3 waking: seq_cst like W1: raised, then `starved` lowered and tasks woken, then raised |
 *      `starved` looked at between two equal looks at it: see control.c of the engine
 *   T1 serving: acquire on entry -> release on leaving: the list of tasks
 *   T2 inbox: release by push -> acquire by the server: the waiter's fields
 *   J1 like W1: done, dropped or poisoned, then load joiners | add joiners, then look at them
 *
 * Sources of the ideas: single-use slots in linked arrays and segments' retirement: Correia and
 * Ramalhete, FAAArrayQueue; a hint instead of an exact tail: Michael and Scott's lagging tail;
 * poisoned cells: Morrison and Afek, LCRQ; capacity from positions: the bounded rings of Vyukov
 * and of DPDK; eventcounts: Vyukov, folly; serving as combining: Hendler and others, flat
 * combining. What was measured and rejected: research/queues.md.
 */
#ifndef QUEUE_LAYOUT_H
#define QUEUE_LAYOUT_H

#include "base/prefetch.h"
#include "queue/queue.h"
#include "queue/rcu.h"
#include "queue/step.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stddef.h>

#define QUEUE_LINE 64

#define LIKELY(x)   __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

/* Before a loop over items. */
#ifdef __clang__
#define UNROLL4 _Pragma("clang loop unroll_count(4)")
#else
#define UNROLL4 _Pragma("GCC unroll 4")
#endif

/* Words of a slot. Items are even and not 0. */
#define WORD_BUSY    1u
#define WORD_POISON  3u
#define WORD_SEAL    5u
#define WORD_TAG(w)  ((w)&7u)
#define WORD_STEP(w) ((uint64_t)((w) >> 3))

typedef _Atomic uintptr_t queue_slot;

/* A header of one line; the slots follow it. */
struct segment {
	alignas(QUEUE_LINE) _Atomic(struct segment *) next;
	uint64_t base;           /* position of slot 0 */
	uint32_t size;           /* slots; 0 for the queue's built-in first one */
	uint32_t shift;          /* size == 1 << shift, names the pool */
	uint32_t born_ms;        /* for the choice of the next one's size */
	struct pc_queue *owner;  /* whose `retired` counts it */
	struct segment *retired; /* next of those that wait for a grace period */
	/* Next in the pool; apart from all else, for a popper that is too late still reads it. */
	_Atomic(struct segment *) pooled;
};
_Static_assert(sizeof(struct segment) == QUEUE_LINE, "header is one line");

static inline queue_slot *segment_slot(struct segment *segment, uint64_t offset)
{
	return (queue_slot *)(void *)(segment + 1) + offset;
}

/* Stands at the end of a chain that was sealed at a segment's end. */
extern struct segment queue_sealed;

enum side { SIDE_TAKE = 0, SIDE_PUT = 1 };

/* Those who wait: for items, or for room. */
struct queue_side {
	alignas(QUEUE_LINE) _Atomic uint32_t event; /* futex; its lowest bit: see wait.c */
	_Atomic uint32_t serving;                   /* SERVE_HELD, SERVE_WORK */
	_Atomic uint32_t less_spin; /* so many polls fewer than SPIN_MAX before parking */
	_Atomic(struct queue_waiter *) inbox; /* tasks that have just come */
	struct queue_waiter *first;           /* who holds `serving` */
	struct queue_waiter *last;            /* likewise */
	_Atomic uint64_t waits;               /* calls that waited */
	_Atomic uint64_t no_linger; /* so many takes of many, or looks at a queue that is nearly
	                             * full, do not linger */
	_Atomic uint32_t woken_ns;  /* when the last wake-up was, of 4 s */
};
_Static_assert(sizeof(struct queue_side) == QUEUE_LINE, "a side is one line");

struct pc_queue {
	/* putters */
	alignas(QUEUE_LINE) _Atomic(struct segment *) tail_segment;
	_Atomic uint64_t tail_hint;
	_Atomic uint64_t limit; /* puts below this position need not look at head */
	_Atomic uint64_t high_water;
	_Atomic uint64_t high_check; /* depth from which a put looks at head for high_water */
	_Atomic uint64_t retired;    /* bytes waiting for a grace period | QUEUE_ALIVE */
	_Atomic uint64_t live;       /* bytes of segments between head and tail */
	/* Where the next put will probably write; only ever asked for, never followed. */
	_Atomic(queue_slot *) tail_slot;

	/* takers, and accounts, which they keep mostly */
	alignas(QUEUE_LINE) _Atomic uint64_t head;
	_Atomic(struct segment *) head_segment;
	_Atomic uint64_t done;
	_Atomic uint64_t dropped_new;
	_Atomic uint64_t dropped_old;
	_Atomic uint64_t poisoned; /* positions that will never hold items … */
	_Atomic uint64_t skipped;  /* … and those of them that head has passed */
	_Atomic uint32_t joiners;
	_Atomic uint32_t join_event; /* futex */

	/* all, written rarely */
	alignas(QUEUE_LINE) _Atomic uint32_t capacity; /* queue_capacity() */
	_Atomic uint32_t full; /* queue_full(); changes when nobody puts */
	void (*drop)(void *user, void *item);
	void *drop_user;
	_Atomic uint64_t waiting[2]; /* by side: threads | tasks << 32 */
	_Atomic uint32_t stopped;
	_Atomic uint32_t starved; /* a put was refused because of `retired` */
	_Atomic uint32_t writers;
	_Atomic uint32_t readers;

	struct queue_side side[2];

	struct segment first; /* no slots: memory is spent on the first put */
};

/* The first segment is never pooled, so the last word of it is not even there: with the word that
 * malloc() keeps for itself a queue fills six lines, and many of them lie side by side. */
#define QUEUE_BYTES (offsetof(struct pc_queue, first) + offsetof(struct segment, pooled))
_Static_assert(QUEUE_BYTES + sizeof(size_t) <= 6 * QUEUE_LINE, "idle queue: 384 bytes");

#define QUEUE_ALIVE UINT64_C(1)

static inline uint32_t queue_capacity(const struct pc_queue *queue)
{
	/* relaxed: any value that it had is right for a put; who goes to sleep reads it with order */
	return atomic_load_explicit((_Atomic uint32_t *)(uintptr_t)&queue->capacity,
	                            memory_order_relaxed);
}

/* enum pc_full */
static inline uint32_t queue_full(const struct pc_queue *queue)
{
	/* relaxed: puts come before or after a change; a taker who wakes them wakes once too often */
	return atomic_load_explicit((_Atomic uint32_t *)(uintptr_t)&queue->full,
	                            memory_order_relaxed);
}

/* put.c: as many as fit; PC_OK when all are in, else PC_FULL, PC_CLOSED, PC_NOMEM. */
int put_some(struct pc_queue *queue, void *const *items, size_t n, size_t *ret_put);
uint64_t put_position(struct pc_queue *queue);     /* T */
bool put_ready(struct pc_queue *queue);            /* a put would not say PC_FULL */
bool put_waits_for_memory(struct pc_queue *queue); /* it would, but for `starved` */
void put_seal(struct pc_queue *queue);

/* room.c: a look at head: how many of the `wanted` places behind `position` are free? */
uint64_t room_look(struct pc_queue *queue, uint64_t position, uint64_t wanted);

/* May a take of many that finds few items linger (linger.h)? LINGERED is take.c's own. */
enum patience { HASTY, PATIENT, LINGERED };

/* take.c: PC_OK, PC_EMPTY, PC_CLOSED. */
int take_some(struct pc_queue *queue, void **items, size_t max, size_t *ret_taken,
              unsigned *ret_version, enum patience patience);
bool take_ready(struct pc_queue *queue);     /* a take would not say PC_EMPTY */
bool take_skip(struct pc_queue *queue);      /* head stood on a poisoned batch: stepped over */
void take_poison(struct pc_queue *queue);    /* head stands on a late batch: poison it */
bool take_is_closed(struct pc_queue *queue); /* head stands on the seal */

static inline bool queue_is_item(const void *item)
{
	return item && ((uintptr_t)item & 1) == 0;
}

/* queue.c: policies and waiting, for what could not be done at once. `rc` is why. */
int queue_put_slowly(struct pc_queue *queue, void *const *items, size_t n, size_t *ret_put,
                     int64_t timeout_ns, int rc);
int queue_take_slowly(struct pc_queue *queue, void **items, size_t max, size_t *ret_taken,
                      int64_t timeout_ns);
int queue_took(struct pc_queue *queue, int rc); /* what a take owes to others */

static inline bool queue_ready(struct pc_queue *queue, enum side side)
{
	return side == SIDE_TAKE ? take_ready(queue) : put_ready(queue);
}

/* account.c: something that pc_queue_join() waits for has changed. */
void account_changed(struct pc_queue *queue);

#endif
