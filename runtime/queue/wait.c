/* queue/wait.c: threads that wait: spin, then park on a futex.
 *
 * An eventcount per side; its lowest bit, PENDING, says that somebody was woken and has not looked yet.
 *
 *   waiter   waiting++
 *            look:  e = event; ready? go.  PENDING in e? clear it by CAS, look.  futex_wait(event, e), look
 *            go:    waiting--; clear PENDING; then take, and pass on what is left
 *   waker    after its change: waiting == 0? done.  e = event.  PENDING in e, or waiting == 0? done.
 *            CAS event: e -> e + 2 | PENDING; futex_wake(1)
 *
 * PENDING keeps one wake-up in flight at a time: however many items come while the woken thread
 * is on its way to a core (25 us here), nobody makes another system call. Nobody sleeps on a word
 * that has the bit: who finds it set clears it and looks once more. So after a waker was told by
 * the bit to make no call, somebody clears it and then looks, or takes and looks what is left
 * (wait_pass_on). Who leaves is no waiter any more when he clears it, and the waker looks at
 * `waiting` after the bit: so for one who waits once there is at most one call, whoever loses his
 * core when. tests/model/park.pml proves both and refutes what is less than this.
 *
 * Spinning. A wake-up costs about 25 us, so it pays to spin as long as that when the wait turns
 * out short. Each side learns. It begins with SPIN_MAX polls, for what sleeps once can be slow for
 * long: whoever wakes it makes a system call, is pushed off its core, and lets his other side go to
 * sleep as well. A wait that spinning ended soon sets SPIN_MAX again. A wake-up takes off a quarter,
 * unless the last one was less than SOON_NS ago: then those who sleep would better not. So does a
 * spin that found its item only late, which cost more than sleeping. And every PROBE-th wait spins
 * the full time, for two sides that both park never see that they need not.
 *
 * The first polls come without a yield: whom we wait for is on another core, most often, and
 * answers within 300 ns. When more threads spin than there are cores these are EAGER_CROWDED only, about
 * what a switch costs, and after them the core goes round. A poll reads one slot, or head, never the
 * line that the other side is busy with, and comes rarer with time; so the working side keeps its
 * cache lines. (The competitive argument: Karlin, Li, Manasse, Owicki, Empirical studies of
 * competitive spinning, 1991.)
 */
#include "queue/wait.h"

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SPIN_MIN  20
#define SPIN_MAX  400
#define SPIN_LATE 160 /* success after so many polls cost more than a wake-up */
#define SOON_NS   40000
#define PROBE     8

/* Of a side's `event`. */
#define PENDING    UINT32_C(1)
#define NEXT_EVENT UINT32_C(2)

/* Polls before a yield comes between them. */
#define EAGER         60
#define EAGER_CROWDED 16

static _Atomic int spinners;

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * PC_SEC + now.tv_nsec;
}

int64_t wait_deadline(int64_t timeout_ns)
{
	int64_t now;

	if (timeout_ns == PC_FOREVER)
		return PC_FOREVER;
	now = now_ns();
	if (timeout_ns < 0)
		timeout_ns = 0;
	return timeout_ns > PC_FOREVER - now ? PC_FOREVER : now + timeout_ns;
}

bool wait_futex(_Atomic uint32_t *word, uint32_t value, int64_t deadline_ns)
{
	struct timespec until = {deadline_ns / PC_SEC, deadline_ns % PC_SEC};
	long rc = syscall(SYS_futex, (void *)(uintptr_t)word, FUTEX_WAIT_BITSET_PRIVATE, value,
	                  deadline_ns == PC_FOREVER ? NULL : &until, NULL,
	                  FUTEX_BITSET_MATCH_ANY);

	return rc == 0 || errno != ETIMEDOUT;
}

void wait_futex_wake(_Atomic uint32_t *word, int count)
{
	syscall(SYS_futex, (void *)(uintptr_t)word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

static void spin_more(struct queue_side *side)
{
	/* relaxed: an estimate */
	atomic_store_explicit(&side->less_spin, 0, memory_order_relaxed);
}

static void spin_less(struct queue_side *side)
{
	/* relaxed, both: an estimate */
	uint32_t less = atomic_load_explicit(&side->less_spin, memory_order_relaxed);
	uint32_t spin = SPIN_MAX - less;

	less = spin - spin / 4 > SPIN_MIN ? less + spin / 4 : SPIN_MAX - SPIN_MIN;
	/* relaxed: see above */
	atomic_store_explicit(&side->less_spin, less, memory_order_relaxed);
}

/* `event` was changed. */
static void wake_threads(struct queue_side *side, int count)
{
	uint32_t now = (uint32_t)now_ns(); /* of 4 s; a mistake costs one quarter */
	/* relaxed: an estimate */
	uint32_t last = atomic_exchange_explicit(&side->woken_ns, now, memory_order_relaxed);

	if (now - last < SOON_NS)
		spin_more(side);
	else
		spin_less(side);
	QUEUE_STEP(STEP_WAKE);
	wait_futex_wake(&side->event, count);
}

void wait_wake_one(struct pc_queue *queue, enum side which)
{
	struct queue_side *side = &queue->side[which];
	/* relaxed: the caller has looked; a thread or task that came later looks for itself */
	uint64_t waiting = atomic_load_explicit(&queue->waiting[which], memory_order_relaxed);
	uint32_t event;

	if (waiting >= WAITING_TASK)
		task_serve(queue, which);
	if ((waiting & WAITING_THREADS) == 0)
		return;
	event = atomic_load_explicit(&side->event, memory_order_seq_cst); /* W2, W3 */
	do {
		if (event & PENDING)
			return;
		/* relaxed: after `event`, from which who has left it has cleared PENDING (W3) */
		waiting = atomic_load_explicit(&queue->waiting[which], memory_order_relaxed);
		if ((waiting & WAITING_THREADS) == 0)
			return;
	} while (!atomic_compare_exchange_weak_explicit(
		&side->event, &event, (event + NEXT_EVENT) | PENDING, /* W2, W3 */
		memory_order_seq_cst, memory_order_seq_cst));
	wake_threads(side, 1);
}

void wait_wake_all(struct pc_queue *queue, enum side which)
{
	struct queue_side *side = &queue->side[which];

	if (atomic_load_explicit(&queue->waiting[which], memory_order_seq_cst) == 0) /* W1 */
		return;
	atomic_fetch_add_explicit(&side->event, NEXT_EVENT, memory_order_release); /* W3 */
	wake_threads(side, INT32_MAX);
	task_serve(queue, which);
}

/* The process's, by its first thread: a thread that is pinned does not make the machine small. */
static int cores(void)
{
	static _Atomic int count;
	/* relaxed: every thread finds the same */
	int n = atomic_load_explicit(&count, memory_order_relaxed);

	if (n == 0) {
		cpu_set_t set;

		n = sched_getaffinity(getpid(), sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
		/* relaxed: see above */
		atomic_store_explicit(&count, n, memory_order_relaxed);
	}
	return n;
}

static uint32_t budget(struct queue_side *side)
{
	/* relaxed, both: estimates */
	uint32_t less = atomic_load_explicit(&side->less_spin, memory_order_relaxed);
	/* relaxed: see above */
	uint64_t waits = atomic_load_explicit(&side->waits, memory_order_relaxed);

	if (cores() == 1)
		return SPIN_MIN;
	return waits % PROBE == 0 ? SPIN_MAX : SPIN_MAX - less;
}

static uint32_t eager(int others)
{
	if (cores() == 1)
		return 0;
	return others < cores() ? EAGER : EAGER_CROWDED;
}

static bool spin(struct pc_queue *queue, enum side which)
{
	struct queue_side *side = &queue->side[which];
	/* relaxed, both: an estimate */
	int others = atomic_fetch_add_explicit(&spinners, 1, memory_order_relaxed);
	uint32_t polls = budget(side), without_yield = eager(others), i;
	bool ready = false;

	for (i = 0; i < polls && !ready; i++) {
		/* relaxed: parking looks again, with order */
		if (atomic_load_explicit(&queue->stopped, memory_order_relaxed))
			break;
		if (i < without_yield) {
			for (uint32_t pause = 0; pause <= i / 8; pause++)
				caa_cpu_relax();
		} else {
			sched_yield();
		}
		ready = queue_ready(queue, which);
	}
	/* relaxed: an estimate */
	atomic_fetch_sub_explicit(&spinners, 1, memory_order_relaxed);
	if (ready && (i <= SPIN_LATE || others >= cores()))
		spin_more(side);
	else if (ready)
		spin_less(side);
	return ready;
}

/* The caller looks after this. */
static void clear_pending(struct queue_side *side, uint32_t event)
{
	/* relaxed on failure: somebody else has, or there was another event; we look again */
	atomic_compare_exchange_strong_explicit(&side->event, &event, event & ~PENDING, /* W2 */
	                                        memory_order_seq_cst, memory_order_relaxed);
}

/* PC_TIMEOUT: not ready, and nobody is owed a look. */
static int park(struct pc_queue *queue, enum side which, int64_t deadline_ns)
{
	struct queue_side *side = &queue->side[which];
	bool in_time = true;

	for (;;) {
		uint32_t event =
			atomic_load_explicit(&side->event, memory_order_seq_cst); /* W2, W3 */

		if (queue_ready(queue, which))
			return PC_OK;
		if (atomic_load_explicit(&queue->stopped, memory_order_seq_cst)) /* W1 */
			return PC_STOPPED;
		if (event & PENDING)
			clear_pending(side, event);
		else if (in_time)
			in_time = wait_futex(&side->event, event, deadline_ns);
		else
			return PC_TIMEOUT;
	}
}

int wait_for(struct pc_queue *queue, enum side which, int64_t deadline_ns)
{
	struct queue_side *side = &queue->side[which];
	int rc;

	/* relaxed: parking looks again, with order */
	if (!atomic_load_explicit(&queue->stopped, memory_order_relaxed) && spin(queue, which))
		return PC_OK;
	atomic_fetch_add_explicit(&queue->waiting[which], WAITING_THREAD, /* W1 */
	                          memory_order_seq_cst);
	rc = park(queue, which, deadline_ns);
	/* relaxed: who still counts us wakes nobody, or somebody else who then looks */
	atomic_fetch_sub_explicit(&queue->waiting[which], WAITING_THREAD, memory_order_relaxed);
	if (rc == PC_OK &&
	    atomic_load_explicit(&side->event, memory_order_seq_cst) & PENDING) /* W2 */
		atomic_fetch_and_explicit(&side->event, ~PENDING,
		                          memory_order_seq_cst); /* W2, W3 */
	return rc;
}
