/* stress/swap/retire.c: builds that are not needed any more are released: not before, and all. */
#include "common.h"

#include "queue/rcu.h"

static const struct line_shape shape = {.what = "",
                                        .sources = 1,
                                        .mids = 2,
                                        .capacity = 64,
                                        .workers = 2,
                                        .source = {.batch = 16}};

static void doze(long ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&t, NULL);
}

/* The first builds of each role are the plan's and never released. */
static unsigned unreleased(enum role role)
{
	unsigned n = 0;

	for (const struct code *c = line->codes; c; c = c->next)
		/* relaxed: a flag */
		n += c->role == role && c->number > 1 &&
		     !atomic_load_explicit((_Atomic bool *)(uintptr_t)&c->released,
		                           memory_order_relaxed);
	return n;
}

/* In use may be the build that runs, the one before it, and one to go back to. */
#define IN_USE 3

/* At most `most` within 30 s. */
static bool released_but(unsigned most)
{
	for (int i = 0; i < 30000 && unreleased(MID) > most; i++)
		doze(1);
	return unreleased(MID) <= most;
}

static bool swaps(unsigned n)
{
	struct swap_report r;
	bool ok = true;

	for (unsigned i = 0; i < n && ok; i++)
		ok = line_swap(MID, 0, &r) == PC_OK;
	return ok;
}

static void keeping(uint32_t keep)
{
	char what[64];
	bool ok;
	int rc;

	line_make(&shape);
	line_start(2);
	line->g.engine->swap.keep = keep; /* the control thread looks at a swap only */
	ok = swaps(100) && released_but(keep + IN_USE) && unreleased(MID) >= keep;
	rc = line_end();
	ok = line_check(MID, true) && ok && rc == PC_OK;
	engine_destroy(line->g.engine);
	line->g.engine = NULL;
	snprintf(what, sizeof(what), "%u builds are kept; at the end none", keep);
	report(ok && unreleased(MID) == 0, what);
	line_free();
}

/* Somebody looks at the list inside of a read section: what he has found stays until he leaves. */
static void grace(void)
{
	const struct code *found[64];
	unsigned n = 0;
	struct build *b;
	bool ok;
	int rc;

	line_make(&shape);
	line_start(2);
	line->g.engine->swap.keep = 0;
	ok = swaps(5) && released_but(IN_USE);
	queue_rcu_lock();
	b = atomic_load_explicit(&line->g.engine->stages[line_stage(MID)]->swap.builds,
	                         memory_order_acquire);
	for (; b && n < 64; b = atomic_load_explicit(&b->older, memory_order_acquire))
		found[n++] = (const struct code *)(const void *)b->desc;
	ok = swaps(5) && ok && n > 1;
	doze(50);
	for (unsigned i = 0; i < n; i++)
		/* relaxed: a flag */
		ok = ok && !atomic_load_explicit((_Atomic bool *)(uintptr_t)&found[i]->released,
		                                 memory_order_relaxed);
	queue_rcu_unlock();
	ok = ok && released_but(IN_USE);
	rc = line_end();
	report(line_check(MID, true) && ok && rc == PC_OK,
	       "none is released while a reader may look at it");
	line_free();
}

/* What a refused or an overtaken request has brought is given back at once. */
static void refused(void)
{
	struct swap_report r;
	struct code *c;
	bool ok;
	int rc;

	line_make(&shape);
	line_start(2);
	c = code_new(MID, false, false);
	c->desc.state_size += 8;
	ok = line_swap_code(c, 0, &r, NULL) == PC_WRONG && unreleased(MID) == 0;
	c = code_new(MID, false, false);
	ok = line_swap_code(c, SWAP_DRY_RUN, &r, NULL) == PC_OK && unreleased(MID) == 0 && ok;
	rc = line_end();
	c = code_new(MID, false, false);
	ok = line_swap_code(c, 0, &r, NULL) == PC_STOPPED && unreleased(MID) == 0 && ok;
	report(ok && rc == PC_OK && line_check(MID, true),
	       "refused, tried, or asked for too late: released at once");
	line_free();
}

/* Items that the first build has made lie in a queue that nobody empties, and the stage is swapped
 * a thousand times. Items are data, so they hold no build back; what is kept is bounded as ever, and
 * all of them arrive in the end. */
static void stalled(void)
{
	struct line_shape s = shape;
	unsigned most = 0;
	bool ok;
	int rc;

	s.blocking[SINK] = true;
	line_make(&s);
	line_hold(SINK, 1);
	line_start(2);
	while (line_fill(0) < s.capacity || line_fill(1) < s.capacity)
		doze(1);
	ok = true;
	for (int i = 0; i < 100 && ok; i++) {
		unsigned n;

		ok = swaps(10) && released_but(SWAP_KEEP + IN_USE);
		n = unreleased(MID);
		most = n > most ? n : most;
	}
	line_let_go(SINK);
	rc = line_end();
	printf("# at most %u builds were there\n", most);
	report(line_check(MID, true) && ok && rc == PC_OK && most <= SWAP_KEEP + IN_USE,
	       "a thousand swaps beside a stalled queue: no more builds are kept than ever");
	line_free();
}

int main(void)
{
	stalled();
	keeping(0);
	keeping(1);
	keeping(8);
	grace();
	refused();
	return tap_end();
}
