/* stress/reload/nomem.c: memory runs out at every allocation of a reload.
 *
 * The program puts itself before the C library's malloc and lets the n-th allocation of the thread
 * that reloads, and of the control thread, fail, for n = 1, 2, … until a reload meets no failure
 * any more: once with this one allocation failing, once with all from there on. Items move all the
 * time; the threads that move them are left alone. A reload that meets a failure says that memory
 * ran out, or does without that memory; the graph must go on as it was, with every item and every
 * count in place, and what the reload had made must be given back: blocks of the two threads are
 * counted. */
#include "common.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

static _Atomic int64_t left;     /* allocations until the one that fails; < 0: it has */
static _Atomic bool armed, on;   /* on: and all after it */
static _Atomic uint64_t refused; /* that failed */
static _Atomic int control;      /* the control thread of this graph; 0: not known yet */
static _Thread_local int whose;  /* 0: not known yet; 1: it reloads; -1: another */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);
void __libc_free(void *block);

/* ------------------------------------------------------------------- blocks that are there --- */

#define SLOTS (1u << 18)
static void *blocks[SLOTS]; /* (void *)1: was one */
static size_t n_blocks;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static size_t slot_of(const void *block)
{
	return ((uintptr_t)block >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 46;
}

static void *note(void *block)
{
	size_t at = slot_of(block);

	if (!block)
		return NULL;
	pthread_mutex_lock(&lock);
	while ((uintptr_t)blocks[at] > 1)
		at = (at + 1) % SLOTS;
	blocks[at] = block;
	n_blocks++;
	pthread_mutex_unlock(&lock);
	return block;
}

static bool forget(void *block)
{
	size_t at = slot_of(block);

	pthread_mutex_lock(&lock);
	while (blocks[at] && blocks[at] != block)
		at = (at + 1) % SLOTS;
	if (blocks[at]) {
		blocks[at] = blocks[(at + 1) % SLOTS] ? (void *)1 : NULL;
		n_blocks--;
	} else {
		block = NULL;
	}
	pthread_mutex_unlock(&lock);
	return block;
}

static size_t count_blocks(void)
{
	size_t n;

	pthread_mutex_lock(&lock);
	n = n_blocks;
	pthread_mutex_unlock(&lock);
	return n;
}

/* --------------------------------------------------------------------------- the failures --- */

/* All threads have their names by then; those that it starts later begin with its own, but it has
 * been here before. */
static bool is_ours(void)
{
	int none = 0;

	char name[16] = "";

	/* relaxed: a flag */
	if (whose == 0 && atomic_load_explicit(&armed, memory_order_relaxed)) {
		prctl(PR_GET_NAME, name);
		whose = strcmp(name, "pcrun-control") == 0 &&
		                        atomic_compare_exchange_strong(&control, &none,
		                                                       (int)gettid())
		                ? 1
		                : -1;
	}
	return whose > 0;
}

/* relaxed, all: one reload at a time */
static bool fails(void)
{
	int64_t n;

	if (!atomic_load_explicit(&armed, memory_order_relaxed) || !is_ours()) /* so */
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
	if (fails())
		return NULL;
	return is_ours() ? note(__libc_malloc(size)) : __libc_malloc(size);
}

__attribute__((visibility("default"))) void *calloc(size_t n, size_t size)
{
	if (fails())
		return NULL;
	return is_ours() ? note(__libc_calloc(n, size)) : __libc_calloc(n, size);
}

__attribute__((visibility("default"))) void *realloc(void *old, size_t size)
{
	void *made;
	bool was;

	if (fails())
		return NULL;
	was = old && forget(old);
	made = __libc_realloc(old, size);
	if (made ? is_ours() : was)
		note(made ? made : old);
	return made;
}

__attribute__((visibility("default"))) void free(void *block)
{
	if (block)
		forget(block);
	__libc_free(block);
}

/* relaxed, all: no reload is under way */
static void arm(int64_t n, bool and_on)
{
	whose = 1;
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

/* ---------------------------------------------------------------------- kinds of reloads --- */

struct kind {
	const char *what, *from, *to;
	bool in_order;
	bool mixed; /* a build is swapped as well: that may have failed when all else is done */
};

#define LINE  "stage a = source(burst=4, pause=1ms)\nstage b = pass()\nstage c = sink()\n"
#define WIRES "a -> b -> c\n"

static const struct kind kinds[] = {
	{"values and capacities", LINE WIRES,
         "stage a = source(burst=9, pause=1ms)\nstage b = pass(live=3) on_error=skip\n"
         "stage c = sink()\na -> b -> c [capacity=3]\n",
         true, false},
	{"a stage comes", "stage a = source(burst=4, pause=1ms)\nstage c = sink()\na -> c\n",
         LINE WIRES, true, false},
	{"a stage goes", LINE WIRES,
         "stage a = source(burst=4, pause=1ms)\nstage c = sink()\na -> c\n", true, false},
	{"a stage is replaced", LINE WIRES,
         "stage a = source(burst=4, pause=1ms)\nstage b = pass(hold=5) thread=own\n"
         "stage c = sink(label=3)\n" WIRES,
         true, false},
	{"replicas", LINE WIRES,
         "stage a = source(burst=4, pause=1ms)\nstage b = pass() replicas=3\n"
         "stage c = sink() replicas=2\n" WIRES,
         false, false},
	{"replicas of an ordered stage",
         "stage a = source(burst=4, pause=1ms)\nstage b = pass() ordered\nstage c = "
         "sink()\n" WIRES,
         "stage a = source(burst=4, pause=1ms)\nstage b = pass() ordered replicas=3\n"
         "stage c = sink()\n" WIRES,
         true, false},
	{"fewer replicas",
         "stage a = source(burst=4, pause=1ms)\nstage b = pass() replicas=3 thread=own\n"
         "stage c = sink()\n" WIRES,
         "stage a = source(burst=4, pause=1ms)\nstage b = pass() thread=own\n"
         "stage c = sink()\n" WIRES,
         false, false},
	{"parts, sections, joins and where dead items go", LINE WIRES,
         "stage a = source(burst=4, pause=1ms)\nstage b = pass() replicas=2 by=item\n"
         "stage n = pass() critical=one on_error=dead=bad\nstage x = source(pause=1ms)\n"
         "stage c = sink()\nstage d = sink() daemon until=j\nqueue bad\n"
         "a -> b -> n -> c\nx -> bad -> d\njoin j after x, n\n",
         false, false},
};

/* What is freed after a grace period, or by a thread that is about to end. */
static bool given_back(size_t before)
{
	struct timespec moment = {0, 1000000};

	for (int i = 0; i < 3000 && count_blocks() > before; i++)
		nanosleep(&moment, NULL);
	return count_blocks() <= before;
}

static int try(const char *text, int64_t n, bool and_on, bool *ret_hit)
{
	struct pc_reload_options o = {.size = sizeof(o), .timeout_ns = INT64_C(100000000000)};
	struct pc_error *err = NULL;
	char *changes = NULL;
	int rc;

	write_text(text);
	arm(n, and_on);
	rc = pc_graph_reload(graph, NULL, &o, &changes, &err);
	*ret_hit = disarm();
	/* What pthread_create() has no memory for, it does not tell from what is not allowed. */
	if (*ret_hit && rc == PC_WRONG && strstr(pc_error_text(err), "can not start a thread"))
		rc = PC_NOMEM;
	if (*ret_hit ? rc != PC_NOMEM && rc != PC_OK : rc != PC_OK)
		printf("# allocation %" PRId64 ": %d: %s\n", n, rc,
		       err ? pc_error_text(err) : "");
	free(changes);
	pc_error_free(err);
	return rc;
}

static void run(const struct kind *k, bool and_on)
{
	bool ok = true, hit = true;
	char what[160];
	int64_t n = 0;
	bool again = false;

	start(k->from);
	atomic_store(&control, 0);
	arm(INT64_MAX, false); /* the threads learn whose they are */
	wait_seen(20);
	ok = reload(k->to) == PC_OK && reload(k->from) == PC_OK;
	disarm();
	while (ok && hit && n < 5000) {
		size_t before;
		int rc;

		wait_seen(1);
		before = count_blocks();
		rc = try(k->to, again ? n : ++n, and_on, &hit);
		ok = rc == PC_OK || (hit && rc == PC_NOMEM);
		if (rc == PC_OK) {
			ok = reload(k->from) == PC_OK;
			again = false;
		} else if (ok && !given_back(before)) {
			/* The C library keeps a thread's block for the next one. */
			printf("# allocation %" PRId64 ": %zu blocks are not given back%s\n", n,
			       count_blocks() - before, again ? " again" : "");
			ok = !again;
			again = true;
		} else {
			again = false;
		}
	}
	whose = 0;
	snprintf(what, sizeof(what), "%s: each of %" PRId64 " allocations fails%s", k->what,
	         n - 1, and_on ? ", and all after it" : "");
	report(ok && n > 1 && !hit, what);
	stop_and_check(k->what, PC_STOP_DRAIN, k->in_order);
}

int main(int argc, char **argv)
{
	begin(argc, argv);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		for (int and_on = 0; and_on < 2; and_on++)
			run(&kinds[i], and_on);
	return end();
}
