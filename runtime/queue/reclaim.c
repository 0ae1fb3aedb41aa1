/* queue/reclaim.c: the thread that waits for grace periods, so that nobody else does.
 *
 * Takers push retired segments onto a stack; the reclaimer takes the whole stack, waits for one
 * grace period (liburcu's synchronize_rcu) and gives all of them back. A round costs an interrupt
 * on every core (sys_membarrier; 15 to 20 us of this thread's time here), and what waits for a
 * round is memory that no second-level cache should have to hold twice. So the period adapts
 * until ROUND_BYTES come together in one. When nothing came for IDLE_NS the thread sleeps on a
 * futex: an idle process has no timer.
 *
 * It is a batch thread: one of the usual policy would push a busy thread off its core at each
 * wake-up, perhaps inside of the very read section whose end it then waits for. Two cores, idle
 * else: 1x1 in batches of 32 28 -> 83, 4x4 singly 27 -> 35 M items/s.
 *
 * Why not call_rcu: its thread looks every 10 ms, and at 40 M items a second 3 MiB of slots are on
 * their way then. Also, a thread that stops inside call_rcu's enqueue, between its xchg and its
 * link, stops every reclamation; one that stops between two instructions of this push stops none
 * (but for the read section around it, whose end every grace period has to wait for).
 */
#include "queue/reclaim.h"

#include "queue/segment.h"
#include "queue/wait.h"

#include <sched.h>
#include <signal.h>
#include <time.h>

#define PERIOD_MIN_NS 1000000
#define PERIOD_MAX_NS 5000000
#define ROUND_BYTES   (UINT64_C(512) << 10)
#define IDLE_NS       10000000

static _Atomic(struct segment *) retired;
static _Atomic uint32_t asleep; /* futex */
static pthread_mutex_t starting = PTHREAD_MUTEX_INITIALIZER;
static bool started; /* under `starting` */

void reclaim_later(struct segment *segment)
{
	struct segment *top;

	QUEUE_RCU_BEFORE_RETIRE(segment);
	/* relaxed: the CAS decides */
	top = atomic_load_explicit(&retired, memory_order_relaxed);
	do {
		segment->retired = top;
	} while (!atomic_compare_exchange_weak_explicit(&retired, &top, segment, /* R1, R2 */
	                                                memory_order_seq_cst,
	                                                memory_order_relaxed));
	if (UNLIKELY(atomic_load_explicit(&asleep, memory_order_seq_cst))) { /* R2 */
		/* relaxed: the reclaimer looks at the stack again */
		atomic_store_explicit(&asleep, 0, memory_order_relaxed);
		wait_futex_wake(&asleep, 1);
	}
}

static void sleep_until_needed(void)
{
	atomic_store_explicit(&asleep, 1, memory_order_seq_cst);        /* R2 */
	while (!atomic_load_explicit(&retired, memory_order_seq_cst) && /* R2 */
	       /* relaxed: who wakes us has pushed first, which is seen by the next exchange */
	       atomic_load_explicit(&asleep, memory_order_relaxed))
		wait_futex(&asleep, 1, PC_FOREVER);
	/* relaxed: at worst one wake-up for nothing */
	atomic_store_explicit(&asleep, 0, memory_order_relaxed);
}

/* So long that about ROUND_BYTES come together. */
static long next_period_ns(long period_ns, uint64_t bytes)
{
	if (bytes > 2 * ROUND_BYTES)
		period_ns /= 2;
	else if (bytes < ROUND_BYTES / 2)
		period_ns *= 2;
	if (period_ns < PERIOD_MIN_NS)
		return PERIOD_MIN_NS;
	return period_ns < PERIOD_MAX_NS ? period_ns : PERIOD_MAX_NS;
}

/* A batch thread takes its turn, but does not push others off their core when it wakes. */
static void be_patient(void)
{
	const struct sched_param none = {0};

	/* Where the program has chosen a policy, it stays. */
	if (sched_getscheduler(0) == SCHED_OTHER)
		sched_setscheduler(0, SCHED_BATCH, &none);
}

static void *reclaim(void *unused)
{
	struct timespec period = {0, PERIOD_MIN_NS};

	be_patient();

	for (long idle_ns = 0;; nanosleep(&period, NULL)) {
		struct segment *segment =
			atomic_exchange_explicit(&retired, NULL, memory_order_acquire); /* R1 */
		uint64_t bytes = 0;

		idle_ns = segment ? 0 : idle_ns + period.tv_nsec;
		if (idle_ns > IDLE_NS) {
			sleep_until_needed();
			idle_ns = 0;
		}
		if (segment)
			urcu_memb_synchronize_rcu();
		while (segment) {
			struct segment *next = segment->retired;

			QUEUE_RCU_AFTER_GRACE(segment);
			bytes += segment_reclaim(segment);
			segment = next;
		}
		period.tv_nsec = next_period_ns(period.tv_nsec, bytes);
	}
	return unused;
}

static void start(void)
{
	pthread_attr_t attributes;
	pthread_t thread;
	sigset_t all, before;

	if (pthread_attr_init(&attributes) != 0)
		return;
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the program's own */
	started = pthread_create(&thread, &attributes, reclaim, NULL) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
}

/* Not pthread_once(): what fails for want of a thread may be tried again. */
bool reclaim_start(void)
{
	bool runs;

	pthread_mutex_lock(&starting);
	if (!started)
		start();
	runs = started;
	pthread_mutex_unlock(&starting);
	return runs;
}
