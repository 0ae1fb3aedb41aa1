/* stress/swap/closing.c: the close() of an old state, after a swap with a fresh one, does not come back.
 * Scenario 52 of README.md.
 *
 * The mid has four replicas; the close() of its first build waits until it is let go. Meanwhile other
 * stages are swapped, which the control thread does; the mid itself is not. */
#include "common.h"

#include "base/error.h"

static _Atomic bool waits, inside, hopeless;
static _Atomic uint64_t closed_new;

static bool is(const _Atomic bool *flag)
{
	/* relaxed: a flag of the test */
	return atomic_load_explicit((_Atomic bool *)(uintptr_t)flag, memory_order_relaxed);
}

static void set(_Atomic bool *flag, bool value)
{
	atomic_store_explicit(flag, value, memory_order_relaxed); /* a flag of the test */
}

static void count(const struct counter *c)
{
	/* counts, relaxed, both */
	atomic_fetch_add_explicit(&line->closed, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&line->closed_count[MID], c->count,
	                          memory_order_relaxed); /* so */
}

static int slow_close(struct pc_stage *st, void *state)
{
	if (st->replica == 1)
		set(&inside, true);
	while (st->replica == 1 && is(&waits))
		doze_us(100);
	/* The line may be gone by then. */
	if (st->replica != 1 || !is(&hopeless))
		count(state);
	return PC_OK;
}

static int new_close(struct pc_stage *st, void *state)
{
	(void)st;
	count(state);
	atomic_fetch_add_explicit(&closed_new, 1, memory_order_relaxed); /* a count */
	return PC_OK;
}

static void slow(struct code *c)
{
	c->desc.close = slow_close;
}

static const struct line_shape shape = {.what = "",
                                        .sources = 1,
                                        .mids = 4,
                                        .capacity = 64,
                                        .workers = 3,
                                        .source = {.batch = 16},
                                        .tune = slow};

static struct code *mid(void)
{
	struct code *c = code_new(MID, false, false);

	c->desc.close = new_close;
	return c;
}

/* The mid has a new build, and is in the close() of an old state. */
static bool begin(void)
{
	struct swap_report r;
	bool ok;

	set(&waits, true);
	set(&inside, false);
	atomic_store_explicit(&closed_new, 0, memory_order_relaxed); /* nothing runs yet */
	line_make(&shape);
	ok = line_start(3) == PC_OK;
	line_flow(300);
	ok = line_swap_code(mid(), SWAP_RESET, &r, NULL) == PC_OK && ok;
	for (int i = 0; i < 200000 && !is(&inside); i++)
		doze_us(100);
	return ok && is(&inside);
}

static void others_go_on(void)
{
	struct swap_report r;
	struct asker a;
	bool ok = begin();

	ok = line_swap(SINK, 0, &r) == PC_OK && line_swap(SOURCE, 0, &r) == PC_OK && ok;
	ask_begin(&a, mid(), 50 * PC_MS, 0);
	ask_end(&a);
	ok = ok && a.rc == PC_TIMEOUT && strstr(a.said, "the close() of an older state");
	ask_begin(&a, mid(), 600 * PC_SEC, 0);
	line_flow(300);
	ok = line_swap(SINK, 0, &r) == PC_OK && !is(&a.done) && ok;
	set(&waits, false);
	ask_end(&a);
	line_flow(300);
	ok = line_end() == PC_OK && a.rc == PC_OK && line_check_counts(MID) && ok;
	/* relaxed, both: after the end */
	ok = ok && atomic_load_explicit(&line->opened, memory_order_relaxed) ==
	                   atomic_load_explicit(&line->closed, memory_order_relaxed);
	report(ok,
	       "the close() of an old state does not come back: all others are swapped, and "
	       "the stage itself when it has");
	line_free();
}

/* The stage has not ended before that has come back. */
static void ends_meanwhile(void)
{
	bool ok = begin();

	set(&line->enough, true);
	while (line_seen() == 0 || queue_fill(line->g.engine->places[1]->queue) > 0)
		doze_us(100);
	set(&waits, false);
	ok = line_end() == PC_OK && line_check_counts(MID) && ok;
	/* relaxed, both: after the end */
	ok = ok && atomic_load_explicit(&line->opened, memory_order_relaxed) ==
	                   atomic_load_explicit(&line->closed, memory_order_relaxed);
	report(ok, "the stream ends while an old state is being closed: each is closed once");
	line_free();
}

static struct line *kept; /* still known at the end: not a leak */

static void hangs(void)
{
	bool ok = begin();
	int rc;

	line->g.engine->grace_ns = 400 * PC_MS; /* nobody has looked at it yet */
	line_stop(PC_STOP_NOW);
	rc = graph_wait(&line->g);
	ok = ok && rc == PC_STOPPED && line->doubled == 0 &&
	     line_logged("mid: close() of a state of v1 did not come back within 0.4 s; it is "
	                 "abandoned");
	/* relaxed: all that are to be called have been */
	ok = ok && atomic_load_explicit(&closed_new, memory_order_relaxed) == 4;
	report(ok,
	       "the close() of an old state hangs: it is named, and those of the new build are "
	       "called");
	/* Let the thread end before its code goes. */
	set(&hopeless, true);
	set(&waits, false);
	doze_us(200000);
	engine_destroy(line->g.engine); /* keeps all memory: the thread may still look at it */
	kept = line;
	line = NULL;
}

int main(void)
{
	others_go_on();
	ends_meanwhile();
	hangs();
	return tap_end();
}
