/* engine/own.c: the thread of a replica that may block.
 *
 * The same activations as on a worker, but nobody else's: when there is nothing to do the thread
 * sleeps on its own `sched` word, after a short look whether something comes at once (a wake-up
 * costs tens of microseconds, see research/queues.md).
 *
 * Pairs
 *   W2 asleep: acquire sched, with T1 of task.c                what made it ready
 *   W4 wait_for_section: acquire granted, with S3 of section.c    what was done inside before
 */
#include "engine/engine.h"

#include "base/clock.h"
#include "base/futex.h"

#define LOOK_NS 2000

void own_wake(struct replica *r)
{
	futex_wake(&r->sched, 1);
	if (r->stage->section)
		futex_wake(&r->granted, 1);
}

static bool asleep(struct replica *r, uint32_t *ret_seen)
{
	*ret_seen = atomic_load_explicit(&r->sched, memory_order_acquire); /* W2 */
	return *ret_seen <= TASK_TIMED || *ret_seen == TASK_PARKED;
}

static void wait_until_ready(struct replica *r)
{
	int64_t until = 0;
	uint32_t seen;

	while (asleep(r, &seen)) {
		int64_t now = clock_now_ns();

		if (until == 0)
			until = now + LOOK_NS;
		if (now < until)
			cpu_relax();
		else
			futex_wait(&r->sched, seen, INT64_MAX);
	}
}

static void wait_for_section(struct replica *r)
{
	while (!atomic_load_explicit(&r->granted, memory_order_acquire) /* W4 */)
		futex_wait(&r->granted, 0, INT64_MAX);
	section_enter(r->stage->section, r);
}

static void *own_main(void *arg)
{
	struct replica *r = arg;
	struct section *section = r->stage->section;
	struct crash_stack stack;
	struct scratch scratch;
	enum act act;

	crash_stack_begin(&stack);
	scratch_init(&scratch, r->engine->items);
	item_cache_set_current(&scratch.cache);
	do {
		wait_until_ready(r);
		scratch.now_ns = 0;
		if (section && !section_enter(section, r))
			wait_for_section(r);
		task_begin(r);
		act = activate(r, &scratch);
		if (section)
			section_leave(section);
		if (act == ACT_ENDED) {
			item_cache_set_current(NULL);
			scratch_fini(&scratch);
		}
		task_settle(r, act);
	} while (act != ACT_ENDED);
	crash_stack_end(&stack);
	return NULL;
}

int own_start(struct replica *r)
{
	char name[16];
	int rc = pthread_create(&r->thread, NULL, own_main, r);

	if (rc)
		return rc;
	r->has_thread = true;
	snprintf(name, sizeof(name), "%.15s", r->pub.name);
	pthread_setname_np(r->thread, name);
	return 0;
}
