/* engine/swap-grace.c: the thread that waits until nobody looks at a retired build any more, nor at
 * what a reload has removed.
 *
 * A grace period may take long, and rcu_barrier as long as the callbacks that it waits for: nothing
 * for the control thread. So there is one more, from the first build that is retired until the
 * engine's end. libuv's pool would do, but it ends the process when it can not have all its threads;
 * here the builds wait for the next swap, or for the end, and that is said.
 *
 * `grace` says whose turn it is: IDLE and OVER are the control thread's, ASKED the other one's; QUIT
 * comes from the control thread at any time.
 *
 * Pairs
 *   SG1 swap_grace_begin: release grace -> SG2 wait_for_readers: acquire grace    the list of builds
 *   SG3 wait_for_readers: release grace -> SG4 swap_grace_over: acquire grace     nobody looks
 */
#include "engine/engine.h"

#include "base/futex.h"
#include "queue/rcu.h"

#include <string.h>

enum grace { GRACE_IDLE, GRACE_ASKED, GRACE_OVER, GRACE_QUIT };

static void wait_once(const struct engine *e)
{
	bool rcu = false;

	for (const struct build *b = e->swap.retiring; b; b = b->next)
		rcu = rcu || (b->origin && b->origin->rcu);
	/* It ends the process when it finds no memory: so only where it must be. */
	rcu = rcu || recycle_has_code(e);
	if (!LEFT_OUT(FAULT_GRACE))
		urcu_memb_synchronize_rcu();
	if (rcu && !LEFT_OUT(FAULT_BARRIER))
		urcu_memb_barrier();
}

static void *wait_for_readers(void *arg)
{
	struct engine *e = arg;
	uint32_t seen;

	while ((seen = atomic_load_explicit(&e->swap.grace, memory_order_acquire) /* SG2 */) !=
	       GRACE_QUIT) {
		if (seen != GRACE_ASKED) {
			futex_wait(&e->swap.grace, seen, INT64_MAX);
			continue;
		}
		wait_once(e);
		if (atomic_compare_exchange_strong_explicit(
			    &e->swap.grace, &seen, GRACE_OVER, memory_order_release /* SG3 */,
			    memory_order_relaxed /* QUIT: who joins us needs no telling */))
			control_nudge(e);
	}
	return NULL;
}

static bool start_thread(struct engine *e)
{
	int rc = pthread_create(&e->swap.grace_thread, NULL, wait_for_readers, e);

	if (rc && !e->swap.no_grace_said)
		engine_log(e, PC_WARN, NULL,
		           "builds that are not needed any more stay loaded for now: no thread "
		           "can be started that waits until nobody uses them: %s",
		           strerror(rc));
	e->swap.no_grace_said = rc != 0;
	if (rc)
		return false;
	pthread_setname_np(e->swap.grace_thread, "pcrun-retire");
	e->swap.has_grace_thread = true;
	return true;
}

bool swap_grace_begin(struct engine *e)
{
	if (!e->swap.has_grace_thread && !start_thread(e))
		return false;
	atomic_store_explicit(&e->swap.grace, GRACE_ASKED, memory_order_release); /* SG1 */
	futex_wake(&e->swap.grace, 1);
	return true;
}

bool swap_grace_over(struct engine *e)
{
	if (atomic_load_explicit(&e->swap.grace, memory_order_acquire) != GRACE_OVER) /* SG4 */
		return false;
	/* relaxed: only this thread writes it now */
	atomic_store_explicit(&e->swap.grace, GRACE_IDLE, memory_order_relaxed);
	return true;
}

bool swap_grace_end(struct engine *e)
{
	if (!e->swap.has_grace_thread)
		return true;
	/* relaxed: it is joined */
	atomic_store_explicit(&e->swap.grace, GRACE_QUIT, memory_order_relaxed);
	futex_wake(&e->swap.grace, 1);
	e->swap.has_grace_thread = false;
	return thread_join(e, e->swap.grace_thread);
}
