/* stress/swap/ends.c: swaps while the stream ends, the graph is stopped, a stage fails, a replica
 * does not come back from its code, or its thread does not get to run. Scenarios 37, 39, 41, 43, 51
 * and 57 of README.md.
 *
 * Argument: rounds of each (default 10). */
#include "common.h"

#include "base/error.h"

#include <signal.h>

static unsigned rounds = 10;
static int n_ok, n_not; /* swaps in a round */

/* ------------------------------------------------------------- swaps that just go on --- */

struct swapper {
	pthread_t thread;
	enum role role;
	_Atomic bool stop;
	unsigned done, ended, other;
};

static pthread_mutex_t new_code = PTHREAD_MUTEX_INITIALIZER;

static struct code *make(enum role role)
{
	const struct pc_stage_desc *first = line->stage[role]->desc;
	struct code *code;

	pthread_mutex_lock(&new_code);
	code = code_new(role, first->flags & PC_BLOCKING, first->process_batch);
	pthread_mutex_unlock(&new_code);
	return code;
}

static void *swap_on(void *arg)
{
	struct swapper *s = arg;

	/* relaxed: a flag */
	while (!atomic_load_explicit(&s->stop, memory_order_relaxed)) {
		struct swap_report r;
		int rc = line_swap_code(make(s->role), 0, &r, NULL);

		s->done += rc == PC_OK;
		s->ended += rc == PC_STOPPED;
		s->other += rc != PC_OK && rc != PC_STOPPED;
		if (rc == PC_STOPPED)
			break; /* the stage has ended, and will not come back */
	}
	return NULL;
}

static void begin_swapping(struct swapper *s, enum role role)
{
	*s = (struct swapper){.role = role};
	pthread_create(&s->thread, NULL, swap_on, s);
}

static bool end_swapping(struct swapper *s)
{
	/* relaxed: a flag */
	atomic_store_explicit(&s->stop, true, memory_order_relaxed);
	pthread_join(s->thread, NULL);
	n_ok += (int)s->done;
	n_not += (int)s->ended;
	return s->other == 0;
}

static const struct line_shape shapes[] = {
	{.what = "one of each",
         .sources = 1,
         .mids = 1,
         .capacity = 64,
         .workers = 2,
         .source = {.n = 3000, .batch = 16}},
	{.what = "four in order",
         .sources = 1,
         .mids = 4,
         .capacity = 64,
         .workers = 2,
         .ordered = true,
         .source = {.n = 3000, .batch = 16}},
	{.what = "eight critical",
         .sources = 1,
         .mids = 8,
         .capacity = 16,
         .workers = 2,
         .section = true,
         .source = {.n = 2000, .batch = 16}},
	{.what = "own threads",
         .sources = 1,
         .mids = 2,
         .capacity = 16,
         .workers = 1,
         .blocking = {true, true, true},
         .source = {.n = 1000, .batch = 8}},
	{.what = "two sources, by item",
         .sources = 2,
         .mids = 4,
         .capacity = 32,
         .workers = 2,
         .by = "item",
         .source = {.n = 1000, .batch = 16}},
};
#define N_SHAPES (sizeof(shapes) / sizeof(shapes[0]))

/* ------------------------------------------------------------------- end of the stream --- */

/* finish() needs many calls, and any build may do the next of them. */
#define FINISH_CALLS 200

static int long_finish(struct pc_stage *st, void *state)
{
	struct counter *c = state;

	(void)st;
	return ++c->next < FINISH_CALLS ? PC_AGAIN : PC_OK;
}

static _Atomic uint32_t not_finished;

static int finish_close(struct pc_stage *st, void *state)
{
	struct counter *c = state;

	(void)st;
	/* counts, relaxed, both */
	if (c->next != FINISH_CALLS)
		atomic_fetch_add_explicit(&not_finished, 1, memory_order_relaxed); /* so */
	atomic_fetch_add_explicit(&line->closed_count[MID], c->count,
	                          memory_order_relaxed); /* likewise */
	return PC_OK;
}

static void tune_finish(struct code *c)
{
	c->desc.finish = long_finish;
	c->desc.close = finish_close;
}

static void *swap_finish_on(void *arg)
{
	struct swapper *s = arg;

	for (;;) {
		struct swap_report r;
		struct code *c = make(MID);
		int rc;

		tune_finish(c);
		rc = line_swap_code(c, 0, &r, NULL);
		s->done += rc == PC_OK;
		s->other += rc != PC_OK && rc != PC_STOPPED;
		if (rc != PC_OK)
			return NULL;
	}
}

static void stream_ends(const struct line_shape *shape)
{
	bool ok = true;
	char what[128];

	n_ok = n_not = 0;
	for (unsigned i = 0; i < rounds && ok; i++) {
		struct swapper s[N_ROLES];

		line_make(shape);
		ok = line_start(shape->workers) == PC_OK;
		for (int role = 0; role < N_ROLES; role++)
			begin_swapping(&s[role], (enum role)role);
		ok = graph_wait(&line->g) == PC_OK && ok;
		for (int role = 0; role < N_ROLES; role++)
			ok = end_swapping(&s[role]) && ok;
		ok = line_check_counts(MID) && line_check_counts(SINK) && ok &&
		     line_seen() == shape->source.n * shape->sources;
		if (ok)
			line_free();
	}
	printf("# %d swaps, %d answered by the end\n", n_ok, n_not);
	snprintf(what, sizeof(what), "%s: the stream ends while all are swapped", shape->what);
	report(ok, what);
	if (line)
		line_free();
}

static void finishing(void)
{
	struct line_shape shape = shapes[0];
	struct swapper s = {.role = MID};
	bool ok;

	shape.mids = 3;
	shape.tune = tune_finish;
	shape.source.n = 500;
	/* relaxed, both: no other thread */
	atomic_store_explicit(&not_finished, 0, memory_order_relaxed);
	line_make(&shape);
	ok = line_start(2) == PC_OK;
	pthread_create(&s.thread, NULL, swap_finish_on, &s);
	ok = graph_wait(&line->g) == PC_OK && ok;
	pthread_join(s.thread, NULL);
	report(ok && s.other == 0 && line_check_counts(MID) &&
	               atomic_load_explicit(&not_finished, memory_order_relaxed) == 0, /* so */
	       "finish() in many calls goes on in the next build where the last one was");
	line_free();
}

/* --------------------------------------------------------------------------- stopping --- */

static void stopping(const struct line_shape *from, uint32_t how)
{
	struct line_shape shape = *from;
	char what[128];
	bool ok = true;

	shape.source.n = 0;
	n_ok = n_not = 0;
	for (unsigned i = 0; i < rounds && ok; i++) {
		struct swapper s[N_ROLES];

		line_make(&shape);
		ok = line_start(shape.workers) == PC_OK;
		for (int role = 0; role < N_ROLES; role++)
			begin_swapping(&s[role], (enum role)role);
		line_flow(i * 20);
		line_stop(how);
		/* the ledger has been checked, too: else the result is another */
		ok = graph_wait(&line->g) == PC_STOPPED && ok;
		for (int role = 0; role < N_ROLES; role++)
			ok = end_swapping(&s[role]) && ok;
		if (how == PC_STOP_DRAIN)
			ok = line_check_counts(MID) && line_check_counts(SINK) && ok;
		ok = ok && line->doubled == 0 && line->broken == 0;
		if (ok)
			line_free();
	}
	printf("# %d swaps, %d answered by the end\n", n_ok, n_not);
	snprintf(what, sizeof(what), "%s: %s while all are swapped", shape.what,
	         how == PC_STOP_DRAIN ? "stopped and drained" : "stopped at once");
	report(ok, what);
	if (line)
		line_free();
}

/* ---------------------------------------------------------------------------- failing --- */

/* The sink gives up; mid and source are being swapped. */
static void failing(void)
{
	bool ok = true;
	int rc;

	n_ok = n_not = 0;
	for (unsigned i = 0; i < rounds && ok; i++) {
		struct line_shape shape = shapes[i % N_SHAPES];
		struct swapper s[2];
		struct swap_report r;
		struct code *bad;

		shape.source.n = 0;
		line_make(&shape);
		ok = line_start(shape.workers) == PC_OK;
		begin_swapping(&s[0], MID);
		begin_swapping(&s[1], SOURCE);
		bad = make(SINK);
		bad->fail_item = SWAP_PROBATION + 1 + i;
		bad->fail_replica = UINT32_MAX;
		bad->fails_on = true;
		rc = line_swap_code(bad, 0, &r, NULL); /* it may fail before the answer */
		ok = (rc == PC_OK || rc == PC_STOPPED) && ok;
		ok = graph_wait(&line->g) == PC_ERROR && ok &&
		     strstr(pc_error_text(line->g.engine->error), "planned");
		ok = end_swapping(&s[0]) && end_swapping(&s[1]) && ok;
		ok = ok && line->doubled == 0 && line->broken == 0;
		if (ok)
			line_free();
	}
	report(ok, "a stage fails for good while others are being swapped: all are answered");
	if (line)
		line_free();
}

/* A build fails on probation, and is reversed, while the stages around are being swapped. */
static void failing_beside(void)
{
	struct line_shape shape = shapes[1];
	struct swapper s[2];
	struct swap_report r;
	unsigned reversed = 0;
	bool ok;
	int rc;

	shape.source.n = 0;
	line_make(&shape);
	ok = line_start(2) == PC_OK;
	probation_ns = 10 * PC_SEC;
	begin_swapping(&s[0], SINK);
	begin_swapping(&s[1], SOURCE);
	for (unsigned i = 0; i < rounds && ok; i++) {
		struct code *bad = make(MID);

		bad->fail_item = 1 + i % SWAP_PROBATION;
		bad->fail_replica = i % 3 ? i % 4 : UINT32_MAX;
		rc = line_swap_code(bad, 0, &r, NULL);
		reversed += rc == PC_ERROR;
		ok = rc == PC_ERROR;
		line_flow(100);
	}
	ok = end_swapping(&s[0]) && end_swapping(&s[1]) && ok;
	probation_ns = 0;
	rc = line_end();
	printf("# %u reversed beside %d swaps\n", reversed, n_ok);
	report(ok && rc == PC_OK && line_check_counts(MID) && line_check_counts(SOURCE) &&
	               line_check_counts(SINK),
	       "builds fail on probation while the stages around them are being swapped");
	line_free();
}

/* ------------------------------------------------------------------- who does not come --- */

static void long_call(uint32_t replicas)
{
	struct line_shape shape = {.what = "",
	                           .sources = 1,
	                           .mids = replicas,
	                           .capacity = 64,
	                           .blocking = {[MID] = true},
	                           .source = {.batch = 16}};
	struct asker a, b, c;
	uint64_t last = UINT64_C(1) << (replicas - 1);
	char what[128];
	bool ok;
	int rc;

	line_make(&shape);
	ok = line_start(2) == PC_OK;
	line_flow(100);
	line_hold(MID, last);
	line_held(MID, last);
	ask_begin(&a, make(MID), 60 * PC_SEC, 0);
	if (replicas > 1)
		line_flow(300); /* the others go on */
	ok = line_logged(replicas > 1 ? "waits for replica " : "waits for replica 0") && ok;
	ask_begin(&b, make(MID), 60 * PC_SEC, 0);
	ask_begin(&c, make(MID), 60 * PC_SEC, 0);
	/* One overtakes the other, which is answered at once. relaxed, both: flags */
	while (!atomic_load_explicit(&b.done, memory_order_relaxed) && /* so */
	       !atomic_load_explicit(&c.done, memory_order_relaxed))   /* so */
		doze_us(1000);
	line_let_go(MID);
	ask_end(&a);
	ask_end(&b);
	ask_end(&c);
	/* One of the two was overtaken, by whichever came later. */
	ok = ok && (b.rc == PC_STOPPED) != (c.rc == PC_STOPPED) &&
	     (b.rc == PC_OK) != (c.rc == PC_OK);
	line_flow(300);
	rc = line_end();
	snprintf(what, sizeof(what),
	         "replica %u of %u is in a long call: it is named, the newest request follows",
	         replicas - 1, replicas);
	report(line_check(MID, true) && ok && rc == PC_OK && a.rc == PC_OK, what);
	line_free();
}

/* A new build that never comes back, in one of four replicas. */
static _Atomic bool endless;
static struct line *kept; /* still known at the end: not a leak */

static int endless_process(struct pc_stage *st, void *state, struct pc_item *item)
{
	struct counter *c = state;
	struct number number;

	/* relaxed, both: flags */
	if (st->replica == 1)
		atomic_store_explicit(&line->stands[MID], 2, memory_order_relaxed); /* so */
	while (st->replica == 1 &&
	       atomic_load_explicit(&endless, memory_order_relaxed)) /* so */
		continue;
	memcpy(&number, item->data, sizeof(number));
	number.done = 2;
	c->count++;
	return pc_emit_copy(st, 0, &number, sizeof(number));
}

static void endless_loop(void)
{
	struct line_shape shape = {.what = "",
	                           .sources = 1,
	                           .mids = 4,
	                           .capacity = 64,
	                           .blocking = {[MID] = true},
	                           .source = {.batch = 16}};
	struct swap_report r;
	struct asker a;
	struct code *bad;
	bool ok;
	int rc;

	line_make(&shape);
	ok = line_start(2) == PC_OK;
	line->g.engine->grace_ns = 50 * PC_MS; /* nobody has looked at it yet */
	atomic_store_explicit(&endless, true, memory_order_relaxed); /* a flag */
	line_flow(100);
	bad = make(MID);
	bad->desc.process = endless_process;
	ok = line_swap_code(bad, 0, &r, NULL) == PC_OK && ok;
	line_held(MID, 2);
	line_flow(500); /* by the other three */
	ask_begin(&a, make(MID), 200 * PC_MS, 0);
	ask_end(&a);
	ok = ok && a.rc == PC_TIMEOUT && line_logged("waits for replica 1");
	line_flow(500); /* on v3 */
	line_stop(PC_STOP_NOW);
	rc = graph_wait(&line->g);
	ok = ok && line_logged("replica 1 did not come back") && line->doubled == 0;
	/* Let the thread end before its code and its line go. */
	atomic_store_explicit(&endless, false, memory_order_relaxed); /* a flag */
	doze_us(200000);
	report(ok && rc == PC_STOPPED,
	       "an endless loop in new code: the others go on, it is named, the graph ends");
	engine_destroy(line->g.engine); /* keeps all memory: the thread may still look at it */
	kept = line;
	line = NULL;
}

/* A thread that does not get to run, wherever it is: in a take, in a pass, with an item in hand. */
static void descheduled(int signal)
{
	(void)signal;
	doze_us(3000);
}

static void frozen(void)
{
	struct sigaction act = {.sa_handler = descheduled, .sa_flags = SA_RESTART};
	struct line_shape shape = shapes[1];
	struct swapper s[N_ROLES];
	bool ok;
	int rc;

	shape.source.n = 0;
	shape.mids = 8;
	sigaction(SIGUSR1, &act, NULL);
	line_make(&shape);
	ok = line_start(4) == PC_OK;
	n_ok = 0;
	for (int role = 0; role < N_ROLES; role++)
		begin_swapping(&s[role], (enum role)role);
	for (unsigned i = 0; i < rounds * 4; i++) {
		pthread_kill(line->g.engine->pool.workers[i % 4].thread, SIGUSR1);
		doze_us(700);
	}
	for (int role = 0; role < N_ROLES; role++)
		ok = end_swapping(&s[role]) && ok;
	rc = line_end();
	printf("# %d swaps\n", n_ok);
	report(ok && rc == PC_OK && line_check(MID, true) && line_check(SOURCE, true) &&
	               line_check(SINK, true) && n_ok > 0,
	       "threads are held up anywhere while all are swapped: no item is on the wrong "
	       "side");
	line_free();
}

int main(int argc, char **argv)
{
	if (argc > 1)
		rounds = (unsigned)strtoul(argv[1], NULL, 10);
	for (size_t i = 0; i < N_SHAPES; i++) {
		stream_ends(&shapes[i]);
		stopping(&shapes[i], PC_STOP_DRAIN);
		stopping(&shapes[i], PC_STOP_NOW);
	}
	finishing();
	failing();
	failing_beside();
	for (uint32_t n = 1; n <= 8; n *= 2)
		long_call(n);
	frozen();
	endless_loop();
	return tap_end();
}
