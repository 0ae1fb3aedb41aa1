/* stress/engine/steady.c: in the steady state no item costs an allocation, a lock or a system call.
 *
 * The program puts itself before the C library's malloc, free, pthread_mutex_lock and syscall (all
 * futex calls of pcrun go through that) and counts. It runs one graph twice, once with three times
 * the items: what the second run does more often is the price of the items alone, and must be
 * below one per hundred (segments of queues change hands, with their grace periods). Prints TAP. */
/* What the tests count and compare between runs may take the strongest order. */
#ifdef __clang__
#pragma clang diagnostic ignored "-Watomic-implicit-seq-cst"
#endif

#include "graph.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

static _Atomic uint64_t mallocs, locks, syscalls;

static void count_one(_Atomic uint64_t *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed); /* a count */
}

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);

__attribute__((visibility("default"))) void *malloc(size_t size)
{
	count_one(&mallocs);
	return __libc_malloc(size);
}

__attribute__((visibility("default"))) void *calloc(size_t n, size_t size)
{
	count_one(&mallocs);
	return __libc_calloc(n, size);
}

__attribute__((visibility("default"))) void *realloc(void *old, size_t size)
{
	count_one(&mallocs);
	return __libc_realloc(old, size);
}

__attribute__((visibility("default"))) int pthread_mutex_lock(pthread_mutex_t *mutex)
{
	static int (*real)(pthread_mutex_t *);

	count_one(&locks);
	if (!real)
		real = (int (*)(pthread_mutex_t *))(uintptr_t)dlsym(RTLD_NEXT,
		                                                    "pthread_mutex_lock");
	return real(mutex);
}

__attribute__((visibility("default"))) long syscall(long number, ...)
{
	static long (*real)(long, ...);
	va_list ap;
	long a[6];

	count_one(&syscalls);
	if (!real)
		real = (long (*)(long, ...))(uintptr_t)dlsym(RTLD_NEXT, "syscall");
	va_start(ap, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

struct source {
	uint64_t n, next;
};

static int produce(struct pc_stage *st, void *state)
{
	struct source *s = state;

	for (uint32_t i = 0; i < st->batch_hint && s->next < s->n; i++) {
		uint64_t value = s->next++;

		if (pc_emit_copy(st, 0, &value, sizeof(value)))
			return pc_fail(st, "emit");
	}
	return s->next == s->n ? PC_END : PC_OK;
}

static int map(struct pc_stage *st, void *state, struct pc_item *item)
{
	uint64_t value;

	(void)state;
	memcpy(&value, item->data, sizeof(value));
	value *= 3;
	return pc_emit_copy(st, 0, &value, sizeof(value));
}

static int swallow(struct pc_stage *st, void *state, struct pc_item *item)
{
	uint64_t value;

	(void)st;
	memcpy(&value, item->data, sizeof(value));
	*(uint64_t *)state += value;
	return PC_OK;
}

static const struct pc_port any[] = {{"in", "*", 0, ""}};
static const struct pc_stage_desc source_desc = {.name = "source",
                                                 .outputs = any,
                                                 .n_outputs = 1,
                                                 .state_size = sizeof(struct source),
                                                 .produce = produce};
static const struct pc_stage_desc map_desc = {.name = "map",
                                              .inputs = any,
                                              .n_inputs = 1,
                                              .outputs = any,
                                              .n_outputs = 1,
                                              .state_size = 8,
                                              .process = map};
static const struct pc_stage_desc sink_desc = {
	.name = "sink", .inputs = any, .n_inputs = 1, .state_size = 8, .process = swallow};

struct counts {
	uint64_t mallocs, locks, syscalls;
};

static struct counts run(uint64_t n)
{
	struct graph *g = malloc(sizeof(*g));
	struct source settings = {n, 0};
	struct plan_queue *q0, *q1;
	struct plan_stage *mid;
	struct counts counts;

	mallocs = locks = syscalls = 0;
	graph_init(g);
	q0 = graph_queue(g, "q0", 1024);
	q1 = graph_queue(g, "q1", 1024);
	graph_write(g, graph_stage(g, "source", &source_desc, &settings, 1), 0, q0);
	mid = graph_stage(g, "map", &map_desc, NULL, 2);
	graph_read(g, mid, 0, q0);
	graph_write(g, mid, 0, q1);
	graph_read(g, graph_stage(g, "sink", &sink_desc, NULL, 1), 0, q1);
	if (graph_run(g, 2) != PC_OK)
		abort();
	counts = (struct counts){mallocs, locks, syscalls};
	graph_fini(g);
	free(g);
	return counts;
}

static int check(int number, const char *what, uint64_t few, uint64_t many, uint64_t items)
{
	uint64_t more = many > few ? many - few : 0;
	bool ok = more * 100 < items;

	printf("%s %d - %s\n# %llu for the first run, %llu for the second\n",
	       ok ? "ok" : "not ok", number, what, (unsigned long long)few,
	       (unsigned long long)many);
	return !ok;
}

int main(void)
{
	uint64_t n = 1000000;
	struct counts few, many;
	int failed = 0;

	run(n); /* warms the pools that outlive a graph */
	few = run(n);
	many = run(3 * n);
	failed += check(1, "allocations", few.mallocs, many.mallocs, 2 * n);
	failed += check(2, "locks", few.locks, many.locks, 2 * n);
	failed += check(3, "system calls", few.syscalls, many.syscalls, 2 * n);
	printf("1..3\n");
	return failed != 0;
}
