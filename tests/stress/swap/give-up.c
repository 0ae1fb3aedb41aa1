/* stress/swap/give-up.c: swaps that are given up, or that the end of the graph overtakes, where
 * they wait longest: while a replica is in its migrate(), and while a build on probation waits
 * for items that do not come. Each gets the right answer, nothing is lost, the build that is said to
 * run does, and who is not concerned goes on.
 *
 * The mid has four replicas. migrate() of replica 1 waits until it is let go. */
#include "common.h"

#include "base/error.h"

#include <stdlib.h>

static _Atomic bool waits, inside;

static bool is(const _Atomic bool *flag)
{
	/* relaxed: a flag of the test */
	return atomic_load_explicit((_Atomic bool *)(uintptr_t)flag, memory_order_relaxed);
}

static void set(_Atomic bool *flag, bool value)
{
	atomic_store_explicit(flag, value, memory_order_relaxed); /* a flag of the test */
}

static int slow_migrate(struct pc_stage *st, uint32_t old_version, const void *old_state,
                        size_t old_size, void *new_state)
{
	(void)old_version;
	memcpy(new_state, old_state, old_size);
	if (st->replica != 1)
		return PC_OK;
	set(&inside, true);
	while (is(&waits))
		doze_us(100);
	set(&inside, false);
	return PC_OK;
}

static const struct line_shape shape = {.what = "",
                                        .sources = 1,
                                        .mids = 4,
                                        .capacity = 64,
                                        .workers = 3,
                                        .source = {.batch = 16}};

static struct code *slow(uint32_t version)
{
	struct code *c = code_new(MID, false, false);

	c->desc.state_version = version;
	c->desc.migrate = slow_migrate;
	return c;
}

static uint32_t build_that_runs(void)
{
	struct pc_stage_row row = {0};

	swap_stage_row(line->g.engine->stages[line_stage(MID)], &row);
	return row.build;
}

static void begin(void)
{
	set(&waits, true);
	set(&inside, false);
	line_make(&shape);
	if (line_start(shape.workers) != PC_OK)
		abort();
	line_flow(300);
}

/* A swap whose replica 1 is in migrate(). */
static void ask_slow(struct asker *a, int64_t timeout_ns)
{
	ask_begin(a, slow(1), timeout_ns, 0);
	while (!is(&inside)) {
		/* The machine was so slow: better told than waited for. */
		if (is(&a->done)) {
			printf("# answered before replica 1 was in migrate(): %s\n", a->said);
			exit(1);
		}
		doze_us(100);
	}
}

static void free_line(bool ok, const char *what)
{
	report(ok, what);
	line_free();
}

/* ---------------------------------------------------------------------------- migrate() --- */

/* Who waits in vain is told, the other replicas go on at once, and that one when it comes back. */
static void too_long(void)
{
	struct swap_report r;
	struct asker a;
	bool ok;

	begin();
	ask_slow(&a, 900 * PC_MS);
	ask_end(&a);
	ok = a.rc == PC_WRONG && strstr(a.said, "not all replicas came to rest in time") &&
	     strstr(a.said, "v1 keeps running") && is(&inside) && build_that_runs() == 1;
	line_flow(500); /* by the other three */
	set(&waits, false);
	line_flow(500);
	ok = line_swap_code(slow(1), 0, &r, NULL) == PC_OK && ok && build_that_runs() == 3;
	line_flow(500);
	ok = line_end() == PC_OK && line_check(MID, true) && ok;
	free_line(ok,
	          "migrate() takes too long: refused in time, the old build runs on, the same "
	          "is taken later");
}

/* A newer request can not hurry it, and comes after it. */
static void overtaken(bool in_time)
{
	struct asker a, b;
	bool ok;

	begin();
	ask_slow(&a, in_time ? 60 * PC_SEC : 900 * PC_MS);
	ask_begin(&b, slow(2), 60 * PC_SEC, 0);
	doze_us(20000);
	if (in_time)
		set(&waits, false);
	ask_end(&a);
	set(&waits, false);
	ask_end(&b);
	ok = a.rc == (in_time ? PC_OK : PC_WRONG) && b.rc == PC_OK && build_that_runs() == 3;
	line_flow(500);
	ok = line_end() == PC_OK && line_check(MID, true) && ok;
	free_line(ok,
	          in_time ? "a newer request during migrate() follows when it has ended"
	                  : "a newer request during migrate() follows when that was given up");
}

/* The graph is told to end meanwhile. Whether the swap is still carried out depends on what is left
 * to be done: the answer must be what became of it. */
static void stopped(uint32_t how, int64_t timeout_ns)
{
	struct asker a;
	char what[128];
	uint32_t runs;
	bool ok;
	int rc;

	begin();
	ask_slow(&a, timeout_ns);
	line_stop(how);
	if (timeout_ns < PC_SEC)
		ask_end(&a);
	else
		doze_us(20000);
	set(&waits, false);
	rc = graph_wait(&line->g);
	if (timeout_ns >= PC_SEC)
		ask_end(&a);
	runs = build_that_runs();
	/* Who stops at once may end before the time is over. */
	ok = timeout_ns < PC_SEC
	             ? a.rc == PC_WRONG || (how == PC_STOP_NOW && a.rc == PC_STOPPED)
	             : a.rc == PC_OK || a.rc == PC_STOPPED;
	/* A replica that has crossed may end so before another one crosses. */
	ok = ok && rc == PC_STOPPED &&
	     (runs == (a.rc == PC_OK ? 2 : 1) || (how == PC_STOP_NOW && a.rc == PC_STOPPED));
	if (!ok)
		printf("# answer %d (%s), the graph ended with %d, v%u runs\n", a.rc, a.said,
		       rc, runs);
	if (how == PC_STOP_DRAIN)
		ok = line_check_counts(MID) && ok;
	ok = ok && line->doubled == 0 && line->broken == 0;
	snprintf(what, sizeof(what), "%s during migrate(), %s",
	         how == PC_STOP_DRAIN ? "stopped and drained" : "stopped at once",
	         timeout_ns < PC_SEC ? "which is then given up" : "which then ends");
	free_line(ok, what);
}

/* The graph ends without that replica, and the answer comes all the same. */
static struct line *kept; /* still known at the end: not a leak */

static void abandoned(void)
{
	struct asker a;
	bool ok;
	int rc;

	begin();
	line->g.engine->grace_ns = 50 * PC_MS; /* nobody has looked at it yet */
	ask_slow(&a, 600 * PC_SEC);
	line_stop(PC_STOP_NOW);
	rc = graph_wait(&line->g);
	ask_end(&a);
	ok = rc == PC_STOPPED && a.rc == PC_STOPPED &&
	     line_logged("replica 1 did not come back") && line->doubled == 0;
	set(&waits, false);
	doze_us(200000); /* the thread may end before its code and its line go */
	report(ok,
	       "migrate() never ends: the graph ends without that replica, and whoever asked "
	       "is told");
	engine_destroy(line->g.engine); /* keeps all memory: the thread may still look at it */
	kept = line;
	line = NULL;
}

/* ---------------------------------------------------------------------------- probation --- */

#define IDLE 2000

static void flow_to(uint64_t limit)
{
	atomic_store_explicit(&line->limit, limit,
	                      memory_order_relaxed); /* a flag of the test */
}

/* No items come: the build is in force, but nobody can say yet whether it is good. */
static void begin_idle(void)
{
	set(&waits, false);
	line_make(&shape);
	flow_to(IDLE);
	if (line_start(shape.workers) != PC_OK)
		abort();
	while (line_seen() < IDLE)
		doze_us(100);
}

static void ask_idle(struct asker *a, uint32_t fail_item)
{
	struct code *c = code_new(MID, false, false);

	c->fail_item = fail_item;
	c->fail_replica = UINT32_MAX;
	ask_begin(a, c, 600 * PC_SEC, 600 * PC_SEC);
	while (build_that_runs() != c->number)
		doze_us(100);
}

static void stopped_idle(uint32_t how)
{
	struct asker a;
	bool ok;
	int rc;

	begin_idle();
	ask_idle(&a, 0);
	line_stop(how);
	rc = graph_wait(&line->g);
	ask_end(&a);
	ok = rc == PC_STOPPED && a.rc == PC_OK && build_that_runs() == 2 && line->doubled == 0;
	ok = (how != PC_STOP_DRAIN || line_check_counts(MID)) && ok;
	free_line(ok, how == PC_STOP_DRAIN
	                      ? "stopped and drained while a build waits for its first items"
	                      : "stopped at once while a build waits for its first items");
}

static void ended_idle(void)
{
	struct asker a;
	bool ok;

	begin_idle();
	ask_idle(&a, 0);
	set(&line->enough, true);
	flow_to(0);
	ok = line_end() == PC_OK;
	ask_end(&a);
	ok = a.rc == PC_OK && line_check_counts(MID) && ok;
	free_line(ok, "the stream ends while a build waits for its first items");
}

/* Its failure is noticed whenever its items come, though nobody waits for the answer any more; and
 * a newer build may be asked for before that. */
static void late(bool newer)
{
	struct asker a, b;
	struct code *bad;
	bool ok;

	begin_idle();
	bad = slow(0);
	bad->fail_item = 1;
	bad->fail_replica = UINT32_MAX;
	ask_begin(&a, bad, 60 * PC_SEC, 50 * PC_MS);
	ask_end(&a);
	ok = a.rc == PC_OK && build_that_runs() == 2;
	if (newer) {
		ask_idle(&b, 0);
		flow_to(0);
		ask_end(&b);
		ok = ok && b.rc == PC_OK && build_that_runs() == 3;
	} else {
		flow_to(0);
		ok = line_logged("v2 failed on probation; back on v1") && ok;
		while (build_that_runs() != 1)
			doze_us(100);
	}
	line_flow(500);
	ok = line_end() == PC_OK && line_check_counts(MID) && ok;
	free_line(ok, newer ? "a build that has had no item is replaced: what was bad about it "
	                      "nobody knows"
	                    : "the answer has been given, then the first items come and fail: "
	                      "back");
}

/* While one hangs in a migrate() that has been given up, another goes back from the build before. */
static void fallen_meanwhile(void)
{
	const struct cut *cut;
	struct code *bad;
	struct asker a;
	bool ok;

	begin_idle();
	bad = code_new(MID, false, false);
	bad->fail_item = 2;
	bad->fail_replica = 2;
	ask_begin(&a, bad, 60 * PC_SEC, 50 * PC_MS);
	ask_end(&a);
	ok = a.rc == PC_OK && build_that_runs() == 2;
	line_hold(MID, 1 << 2); /* it has its first item */
	flow_to(0);
	line_held(MID, 1 << 2);
	cut = line->g.engine->stages[line_stage(MID)]->swap.cut;
	for (uint32_t i = 0; i < shape.mids; i++)
		while (i != 2 && !is(&cut->passages[i].trusted))
			line_flow(100);
	set(&waits, true);
	set(&inside, false);
	ask_slow(&a, 900 * PC_MS);
	ask_end(&a);
	ok = a.rc == PC_WRONG && strstr(a.said, "not all replicas came to rest in time") && ok;
	line_let_go(MID); /* and its second */
	line_flow(500);
	set(&waits, false);
	ok = line_logged("v2 failed on probation; back on v1") && ok;
	while (ok && build_that_runs() != 1)
		doze_us(100);
	line_flow(500);
	ok = line_end() == PC_OK && line_check_counts(MID) && ok;
	free_line(ok, "the build before fails while a migrate() that was given up hangs: all "
	              "go back");
}

static int unwilling(struct pc_stage *st, uint32_t old_version, const void *old_state,
                     size_t old_size, void *new_state)
{
	(void)old_version;
	(void)old_state;
	(void)old_size;
	(void)new_state;
	return pc_fail(st, "not this one");
}

/* A source that sleeps is woken for a swap; when that is refused it sleeps on. */
static void refused_asleep(void)
{
	static const struct line_shape sleepy = {
		.what = "",
		.sources = 1,
		.mids = 1,
		.capacity = 8,
		.workers = 1,
		.blocking = {[SOURCE] = true},
		.source = {.batch = 1, .sleep_ns = 3600 * PC_SEC}};
	const struct replica *r;
	struct swap_report report;
	struct code *c;
	uint64_t before;
	bool ok;

	line_make(&sleepy);
	ok = line_start(1) == PC_OK;
	c = code_new(SOURCE, false, false);
	c->desc.state_version = 1;
	c->desc.migrate = unwilling;
	ok = line_swap_code(c, 0, &report, NULL) == PC_WRONG && ok;
	r = line->g.engine->stages[line_stage(SOURCE)]->replicas[0];
	doze_us(50000);
	before = count_read(&r->activations);
	doze_us(200000);
	ok = count_read(&r->activations) - before < 10 && ok;
	if (!ok)
		printf("# %llu calls while it slept\n",
		       (unsigned long long)(count_read(&r->activations) - before));
	line_stop(PC_STOP_NOW);
	ok = graph_wait(&line->g) == PC_STOPPED && ok;
	free_line(ok, "a source whose migrate() refuses sleeps on");
}

int main(void)
{
	static const uint32_t hows[] = {PC_STOP_DRAIN, PC_STOP_NOW};

	too_long();
	overtaken(true);
	overtaken(false);
	for (int i = 0; i < 2; i++) {
		stopped(hows[i], 900 * PC_MS);
		stopped(hows[i], 60 * PC_SEC);
		stopped_idle(hows[i]);
	}
	ended_idle();
	late(false);
	late(true);
	fallen_meanwhile();
	refused_asleep();
	abandoned();
	return tap_end();
}
