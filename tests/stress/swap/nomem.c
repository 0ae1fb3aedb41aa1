/* stress/swap/nomem.c: memory runs out at every allocation of a swap. Scenario 44 of README.md.
 *
 * The program puts itself before the C library's malloc and lets the n-th allocation of the threads
 * that swap fail, for n = 1, 2, … until a swap meets no failure any more: once with this one
 * allocation failing, once with all from there on. Whatever the swap says, the graph must go on:
 * on the old build or the new, with every item and every count in place. The threads that move
 * items are left alone, but nothing moves while a swap is being tried.
 *
 * At the end, the same for the threads that the engine starts while it runs: there is one. */
#include "common.h"

#include "base/error.h"

#include <dlfcn.h>
#include <errno.h>
#include <time.h>

static _Atomic int64_t left;     /* allocations until the one that fails; < 0: it has */
static _Atomic bool armed, on;   /* on: and all after it */
static _Atomic uint64_t refused; /* that failed */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);

/* relaxed, all: one swap at a time */
static bool fails(void)
{
	int64_t n;

	if (!atomic_load_explicit(&armed, memory_order_relaxed)) /* so */
		return false;
	n = atomic_fetch_sub_explicit(&left, 1, memory_order_relaxed);             /* so */
	if (n != 1 && !(n < 1 && atomic_load_explicit(&on, memory_order_relaxed))) /* so */
		return false;
	atomic_fetch_add_explicit(&refused, 1, memory_order_relaxed); /* so */
	errno = ENOMEM;
	return true;
}

__attribute__((visibility("default"))) void *malloc(size_t size)
{
	return fails() ? NULL : __libc_malloc(size);
}

__attribute__((visibility("default"))) void *calloc(size_t n, size_t size)
{
	return fails() ? NULL : __libc_calloc(n, size);
}

__attribute__((visibility("default"))) void *realloc(void *old, size_t size)
{
	return fails() ? NULL : __libc_realloc(old, size);
}

/* relaxed, all: no swap is under way */
static void arm(int64_t n, bool and_on)
{
	atomic_store_explicit(&refused, 0, memory_order_relaxed);  /* so */
	atomic_store_explicit(&left, n, memory_order_relaxed);     /* so */
	atomic_store_explicit(&on, and_on, memory_order_relaxed);  /* so */
	atomic_store_explicit(&armed, true, memory_order_relaxed); /* so */
}

static bool disarm(void)
{
	atomic_store_explicit(&armed, false, memory_order_relaxed);      /* so */
	return atomic_load_explicit(&refused, memory_order_relaxed) > 0; /* so */
}

/* ------------------------------------------------------------------------ ways of a swap --- */

struct wider {
	struct counter c;
	uint64_t more;
};

#define FIELD(f)                                                                               \
	{                                                                                      \
#f, PC_T_U64, 1, offsetof(struct counter, f), sizeof(uint64_t)                 \
	}
static const struct pc_field fields[] = {
	FIELD(n),
	FIELD(batch),
	FIELD(spin),
	FIELD(count),
	FIELD(next),
	FIELD(sleep_ns),
	{"more", PC_T_U64, 1, offsetof(struct wider, more), sizeof(uint64_t)}};
static const struct pc_param params[] = {
	PC_PARAM_U64(struct counter, spin, "0", NULL, NULL, "work"),
	PC_PARAM_U64(struct counter, n, "0", NULL, NULL, "items")};

static void narrow(struct code *c)
{
	c->desc.fields = fields;
	c->desc.n_fields = 6;
	c->desc.params = params;
	c->desc.n_params = 2;
}

static void wide(struct code *c)
{
	narrow(c);
	c->desc.n_fields = 7;
	c->desc.state_size = sizeof(struct wider);
}

static int migrate(struct pc_stage *st, uint32_t old_version, const void *old_state,
                   size_t old_size, void *new_state)
{
	(void)st;
	(void)old_version;
	memcpy(new_state, old_state, old_size);
	return PC_OK;
}

/* The version is the number of the code, so that each is later than the one before. */
static void migrated(struct code *c)
{
	narrow(c);
	c->desc.state_version = c->number;
	c->desc.migrate = migrate;
}

static const struct pc_field other_kinds[] = {
	{"count", PC_T_F64, 1, offsetof(struct counter, count), sizeof(uint64_t)}};

static void refused_one(struct code *c)
{
	narrow(c);
	c->desc.fields = other_kinds;
	c->desc.n_fields = 1;
}

struct way {
	const char *what;
	void (*tune)(struct code *); /* NULL: back */
	void (*then)(struct code *); /* to be ready for the next round */
	unsigned how;
	int result; /* without a failure */
};

static const struct way ways[] = {
	{"adopted", narrow, NULL, 0, PC_OK},
	{"mapped", wide, narrow, 0, PC_OK},
	{"tried only", wide, NULL, SWAP_DRY_RUN, PC_OK},
	{"back", NULL, narrow, SWAP_BACK, PC_OK},
	{"refused", refused_one, NULL, 0, PC_WRONG},
	{"migrated", migrated, NULL, 0, PC_OK},
};

static int swap(void (*tune)(struct code *), unsigned how, struct code *code)
{
	struct swap_report r;
	struct pc_error *err = NULL;
	struct swap_offer offer = {0};
	struct swap_wish wish = {.how = how, .timeout_ns = 60 * PC_SEC};
	int rc;

	if (tune)
		offer = code_offer(code);
	rc = swap_ask(line->g.engine, line_stage(MID), tune ? &offer : NULL, &wish, &r, &err);
	disarm();
	if (rc == PC_OK && !(how & SWAP_DRY_RUN))
		line_note_cut(MID, tune ? code->number : r.to, &r);
	free(r.words);
	pc_error_free(err);
	return rc;
}

static bool swap_to(void (*tune)(struct code *))
{
	struct code *code = code_new(MID, false, false);

	tune(code);
	return swap(tune, 0, code) == PC_OK;
}

/* All is quiet: nobody else allocates. */
static void shut(bool is_shut)
{
	/* relaxed: a flag */
	atomic_store_explicit(&line->shut, is_shut, memory_order_relaxed);
	if (!is_shut) {
		line_flow(50);
		return;
	}
	doze_us(2000);
	while (line_fill(0) > 0 || line_fill(1) > 0)
		doze_us(500);
	doze_us(2000);
}

static bool plausible(int rc)
{
	return rc == PC_NOMEM || rc == PC_WRONG || rc == PC_ERROR || rc == PC_OK;
}

static void run(const struct way *way, bool and_on)
{
	struct line_shape shape = {.what = "",
	                           .sources = 1,
	                           .mids = 3,
	                           .capacity = 64,
	                           .source = {.batch = 16},
	                           .tune = narrow};
	int64_t n = 0;
	bool ok, hit = true;
	char what[128];
	int rc = PC_OK;

	line_make(&shape);
	ok = line_start(2) == PC_OK;
	ok = ok && swap_to(narrow); /* so that there is one to go back to */
	line_flow(50);
	while (ok && hit && n < 2000) {
		struct code *code = way->tune ? code_new(MID, false, false) : NULL;

		if (code)
			way->tune(code);
		shut(true);
		arm(++n, and_on);
		rc = swap(way->tune, way->how, code);
		/* relaxed: nothing is under way */
		hit = atomic_load_explicit(&refused, memory_order_relaxed) > 0;
		if (!plausible(rc) || (!hit && rc != way->result)) {
			printf("# allocation %" PRId64 ": result %d\n", n, rc);
			ok = false;
		}
		shut(false);
		if (way->then && rc == PC_OK)
			ok = swap_to(way->then) && ok;
	}
	rc = line_end();
	snprintf(what, sizeof(what), "%s: each of %" PRId64 " allocations fails%s", way->what,
	         n - 1, and_on ? ", and all after it" : "");
	/* the answer to "back" names a build, and not every code became one */
	ok = (way->how & SWAP_BACK ? line_check_counts(MID) : line_check(MID, true)) && ok;
	report(ok && rc == PC_OK && n > 1 && !hit, what);
	line_free();
}

/* --------------------------------------------------------------------------- threads --- */

static _Atomic bool no_threads;

__attribute__((visibility("default"))) int pthread_create(pthread_t *ret,
                                                          const pthread_attr_t *attributes,
                                                          void *(*start)(void *), void *arg)
{
	static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
	void *symbol = dlsym(RTLD_NEXT, "pthread_create");

	/* relaxed: set while nobody starts one */
	if (atomic_load_explicit(&no_threads, memory_order_relaxed))
		return EAGAIN;
	memcpy(&real, &symbol, sizeof(real));
	return real(ret, attributes, start, arg);
}

/* The first build is the plan's and never released. */
static unsigned unreleased(void)
{
	unsigned n = 0;

	for (const struct code *c = line->codes; c; c = c->next)
		/* relaxed: a flag */
		n += c->role == MID && c->number > 1 &&
		     !atomic_load_explicit((_Atomic bool *)(uintptr_t)&c->released,
		                           memory_order_relaxed);
	return n;
}

static bool swaps(unsigned n)
{
	struct swap_report r;
	bool ok = true;

	for (unsigned i = 0; i < n && ok; i++)
		ok = line_swap(MID, 0, &r) == PC_OK;
	return ok;
}

/* Builds are retired, and no thread can be had that waits until nobody uses them. */
static void without_threads(bool later)
{
	static const char said[] = "no thread can be started that waits until nobody uses them";
	struct line_shape shape = {
		.what = "", .sources = 1, .mids = 1, .capacity = 64, .source = {.batch = 16}};
	const struct timespec moment = {0, 1000000};
	bool ok;

	line_log_clear();
	line_make(&shape);
	ok = line_start(2) == PC_OK;
	atomic_store_explicit(&no_threads, true, memory_order_relaxed); /* relaxed: as above */
	ok = swaps(3 * SWAP_KEEP) && line_logged(said) && ok;
	ok = ok && !strstr(strstr(line_log(), said) + 1, said);
	ok = ok && unreleased() == 3 * SWAP_KEEP;
	/* relaxed: as above */
	atomic_store_explicit(&no_threads, !later, memory_order_relaxed);
	ok = swaps(1) && ok;
	for (int i = 0; i < 30000 && later && unreleased() > SWAP_KEEP + 3; i++)
		nanosleep(&moment, NULL);
	ok = ok && (later ? unreleased() <= SWAP_KEEP + 3 : unreleased() == 3 * SWAP_KEEP + 1);
	ok = line_end() == PC_OK && ok;
	ok = line_check(MID, true) && ok;
	engine_destroy(line->g.engine);
	line->g.engine = NULL;
	ok = unreleased() == 0 && ok;
	/* relaxed: as above */
	atomic_store_explicit(&no_threads, false, memory_order_relaxed);
	report(ok, later ? "no thread for a while: old builds go when there is one again"
	                 : "no thread at all: old builds go at the end");
	line_free();
}

int main(void)
{
	without_threads(true);
	without_threads(false);
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		for (int and_on = 0; and_on < 2; and_on++)
			run(&ways[i], and_on);
	return tap_end();
}
