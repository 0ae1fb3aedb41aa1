/* queue/wait.c: threads that wait: spin, then park on a futex.
 *
 * An eventcount per side. The waiter:   waiting++; [v = event; pending = 0; ready? go;
 *                                       futex_wait(event, v)] …; waiting--
 * The waker, after its change:          waiting == 0? go; pending was 1? go; pending = 1;
 *                                       event++; futex_wake(1)
 *
 * `pending` keeps one wake-up in flight at a time: however many items come while the woken thread
 * is on its way to a core (25 us here), nobody makes another system call. The woken thread clears
 * it *before* it looks, so a waker that skipped had made its change before that look; and after
 * every success it passes the wake-up on if there is more (wait_pass_on). Clearing it before
 * `event` is read, or after the look, loses wake-ups: tests/model/park.pml refutes both.
 *
 * Spinning. A wake-up costs about 25 us, so it pays to spin as long as that when the wait turns
 * out short. Each side learns from its waits: success by spinning raises its budget, parking
 * lowers it, and every PROBE-th wait spins the full time, for two sides that both park never see
 * that they need not. When more threads spin than there are cores, the budget is SPIN_MIN: the
 * core is worth more to whom we wait for. A poll reads one slot, or head, never the line that the
 * other side is busy with, and comes rarer with time; so the working side keeps its cache lines.
 */
#include "queue/wait.h"

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SPIN_MIN   20
#define SPIN_MAX   400
#define SPIN_EAGER 60 /* polls before a yield comes between them */
#define PROBE      8

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

static void wake_threads(struct queue_side *side, int count)
{
	atomic_fetch_add_explicit(&side->event, 1, memory_order_release); /* W3 */
	QUEUE_STEP(STEP_WAKE);
	wait_futex_wake(&side->event, count);
}

void wait_wake_one(struct pc_queue *queue, enum side which)
{
	struct queue_side *side = &queue->side[which];
	/* relaxed: the caller has looked; a thread or task that came later looks for itself */
	uint64_t waiting = atomic_load_explicit(&queue->waiting[which], memory_order_relaxed);

	if (waiting >= WAITING_TASK)
		task_serve(queue, which);
	if ((waiting & WAITING_THREADS) == 0)
		return;
	if (atomic_load_explicit(&side->pending, memory_order_seq_cst)) /* W2 */
		return;
	if (atomic_exchange_explicit(&side->pending, 1, memory_order_seq_cst) == 0) /* W2 */
		wake_threads(side, 1);
}

void wait_wake_all(struct pc_queue *queue, enum side which)
{
	if (atomic_load_explicit(&queue->waiting[which], memory_order_seq_cst) == 0) /* W1 */
		return;
	wake_threads(&queue->side[which], INT32_MAX);
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

static uint32_t budget(struct queue_side *side, bool crowded)
{
	/* relaxed, both: estimates */
	uint32_t spin = atomic_load_explicit(&side->spin, memory_order_relaxed);
	/* relaxed: see above */
	uint64_t waits = atomic_load_explicit(&side->waits, memory_order_relaxed);

	if (crowded || cores() == 1)
		return SPIN_MIN;
	return waits % PROBE == 0 ? SPIN_MAX : spin;
}

static void learn(struct queue_side *side, bool spun)
{
	/* relaxed, both: an estimate */
	uint32_t spin = atomic_load_explicit(&side->spin, memory_order_relaxed);

	if (spun)
		spin = spin + 50 < SPIN_MAX ? spin + 50 : SPIN_MAX;
	else
		spin = spin - spin / 4 > SPIN_MIN ? spin - spin / 4 : SPIN_MIN;
	/* relaxed: see above */
	atomic_store_explicit(&side->spin, spin, memory_order_relaxed);
}

static bool spin(struct pc_queue *queue, enum side which)
{
	struct queue_side *side = &queue->side[which];
	/* relaxed, both: an estimate */
	int others = atomic_fetch_add_explicit(&spinners, 1, memory_order_relaxed);
	uint32_t polls = budget(side, others >= cores());
	bool ready = false;

	for (uint32_t i = 0; i < polls && !ready; i++) {
		/* relaxed: parking looks again, with order */
		if (atomic_load_explicit(&queue->stopped, memory_order_relaxed))
			break;
		if (i < SPIN_EAGER && others < cores()) {
			for (uint32_t pause = 0; pause <= i / 8; pause++)
				caa_cpu_relax();
		} else {
			sched_yield();
		}
		ready = queue_ready(queue, which);
	}
	/* relaxed: an estimate */
	atomic_fetch_sub_explicit(&spinners, 1, memory_order_relaxed);
	learn(side, ready);
	return ready;
}

int wait_for(struct pc_queue *queue, enum side which, int64_t deadline_ns)
{
	struct queue_side *side = &queue->side[which];
	int rc = PC_TIMEOUT;
	bool in_time = true;

	/* relaxed: parking looks again, with order */
	if (!atomic_load_explicit(&queue->stopped, memory_order_relaxed) && spin(queue, which))
		return PC_OK;
	atomic_fetch_add_explicit(&queue->waiting[which], WAITING_THREAD, /* W1 */
	                          memory_order_seq_cst);
	for (;;) {
		uint32_t event =
			atomic_load_explicit(&side->event, memory_order_acquire); /* W3 */

		atomic_store_explicit(&side->pending, 0, memory_order_seq_cst); /* W2 */
		if (queue_ready(queue, which)) {
			rc = PC_OK;
			break;
		}
		if (atomic_load_explicit(&queue->stopped, memory_order_seq_cst)) { /* W1 */
			rc = PC_STOPPED;
			break;
		}
		if (!in_time)
			break;
		in_time = wait_futex(&side->event, event, deadline_ns);
	}
	/* relaxed: who still counts us wakes nobody, or somebody else who then looks */
	atomic_fetch_sub_explicit(&queue->waiting[which], WAITING_THREAD, memory_order_relaxed);
	return rc;
}
