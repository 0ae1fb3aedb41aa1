/* stress/reload/asleep.c: all of the graph sleeps while a reload waits, and that is no deadlock yet.
 *
 * A replica that is to leave has no room for its last items, so its place is not free, and the reload
 * that wants it waits. The only stage that still moves stands at a gate; when that opens, nobody is
 * awake any more. Then
 *   - the control thread sleeps, too: it goes round once for each time that it is woken;
 *   - it stops the sources, and they run, end, and have fallen asleep before it goes on: here it waits
 *     for them in the middle of that. What they leave to be done is done, and the graph ends well.
 *
 * The two calls by which that is seen stand in the way of the real ones (the linker's --wrap).
 */
#include "common.h"

#include "engine/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define REST                                                                                   \
	"stage a = source()\nstage s = source(burst=16)\nstage k = source(count=1)\n"          \
	"stage g = pass(gated=1)\n"                                                            \
	"stage h = sink() start=j\nstage i = sink() start=j\nstage c = sink()\n"               \
	"queue p capacity=1\nqueue r capacity=16\njoin j after s\n"                            \
	"a -> w -> p -> h\ns -> r -> i\nk -> g -> c\n"
#define TWO "stage w = pass() replicas=2\n" REST
#define ONE "stage w = pass()\n" REST

static struct {
	_Atomic(struct engine *) engine;
	/* The control thread writes; relaxed throughout: flags and figures. */
	_Atomic bool asleep;             /* a reload is under way, and nobody is awake */
	_Atomic unsigned rounds, nudges; /* since then */
	_Atomic bool waited;             /* in the middle of a stop */
} seen_of;

static void moment(void)
{
	struct timespec t = {0, 1000000};

	nanosleep(&t, NULL);
}

static bool nobody_is_awake(struct engine *e)
{
	return awake_count(atomic_load_explicit(&e->awake, memory_order_acquire)) == 0;
}

uint32_t __real_queue_wakes_over(void);
uint32_t __wrap_queue_wakes_over(void);
uint32_t __wrap_queue_wakes_over(void)
{
	struct engine *e = atomic_load_explicit(&seen_of.engine, memory_order_acquire);

	/* relaxed, all: see above */
	if (e && pthread_equal(pthread_self(), e->thread)) {
		if (atomic_load_explicit(&seen_of.asleep, memory_order_relaxed))
			/* relaxed: see above */
			atomic_fetch_add_explicit(&seen_of.rounds, 1, memory_order_relaxed);
		if (reload_is_under_way(e) && nobody_is_awake(e))
			/* relaxed: see above */
			atomic_store_explicit(&seen_of.asleep, true, memory_order_relaxed);
	}
	return __real_queue_wakes_over();
}

void __real_control_nudge(struct engine *e);
void __wrap_control_nudge(struct engine *e);
void __wrap_control_nudge(struct engine *e)
{
	/* relaxed, both: see above */
	if (atomic_load_explicit(&seen_of.asleep, memory_order_relaxed))
		atomic_fetch_add_explicit(&seen_of.nudges, 1, memory_order_relaxed);
	__real_control_nudge(e);
}

int __real_uv_timer_start(uv_timer_t *timer, uv_timer_cb cb, uint64_t timeout, uint64_t repeat);
int __wrap_uv_timer_start(uv_timer_t *timer, uv_timer_cb cb, uint64_t timeout, uint64_t repeat);
/* That of the drain is started when all sources have been told to stop. */
int __wrap_uv_timer_start(uv_timer_t *timer, uv_timer_cb cb, uint64_t timeout, uint64_t repeat)
{
	struct engine *e = atomic_load_explicit(&seen_of.engine, memory_order_acquire);

	for (int i = 0; e && timer == &e->drain && i < 10000; i++) {
		if (nobody_is_awake(e)) {
			/* relaxed: see above */
			atomic_store_explicit(&seen_of.waited, true, memory_order_relaxed);
			break;
		}
		moment();
	}
	return __real_uv_timer_start(timer, cb, timeout, repeat);
}

static void *reload_again(void *result)
{
	struct pc_reload_options o = {.size = sizeof(o), .timeout_ns = INT64_C(30000000000)};
	struct pc_error *err = NULL;

	*(int *)result = pc_graph_reload(graph, NULL, &o, NULL, &err);
	pc_error_free(err);
	return NULL;
}

/* All but the one at the gate. */
static void wait_until_all_sleep(struct engine *e)
{
	while (awake_count(atomic_load_explicit(&e->awake, memory_order_acquire)) > 1)
		moment();
}

int main(int argc, char **argv)
{
	unsigned rounds, nudges;
	struct engine *e;
	pthread_t thread;
	int rc, again;

	begin(argc, argv);
	gate_shut(0);
	start(TWO);
	e = embed_engine(graph);
	gate_shut(1);
	wait_until_all_sleep(e);
	rc = reload(ONE);
	wait_until_all_sleep(e);
	atomic_store_explicit(&seen_of.engine, e, memory_order_release);
	write_text(TWO);
	if (pthread_create(&thread, NULL, reload_again, &again))
		abort();
	/* It is under way, or soon. */
	for (int i = 0; i < 100; i++)
		moment();
	gate_open();
	/* relaxed, all: see above */
	while (!atomic_load_explicit(&seen_of.asleep, memory_order_relaxed))
		moment();
	do {
		moment();
		/* relaxed: see above */
		rounds = atomic_load_explicit(&seen_of.rounds, memory_order_relaxed);
		nudges = atomic_load_explicit(&seen_of.nudges, memory_order_relaxed); /* so */
	} while (nudges < 5 && rounds < 100000);
	printf("# %u rounds, woken %u times\n", rounds, nudges);
	report(rc == PC_OK && rounds < 100 * (nudges + 1),
	       "the control thread sleeps while all sleep and a reload waits");
	pc_graph_stop(graph, PC_STOP_DRAIN);
	pthread_join(thread, NULL); /* before the graph is freed */
	stop_and_check("what sources leave that end at once is no deadlock", PC_STOP_DRAIN,
	               false);
	/* relaxed: see above */
	report(again == PC_STOPPED &&
	               atomic_load_explicit(&seen_of.waited, memory_order_relaxed),
	       "they had, and the reload was told");
	return end();
}
