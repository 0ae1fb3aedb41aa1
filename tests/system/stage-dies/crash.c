/* crash.c: a stage that passes on what it gets, and at the `at`-th item is broken in the way `how`. */
#include <pcrun/stage.h>

#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct crash {
	const char *how;
	int64_t at, n;
};

static __attribute__((noinline)) int deep(volatile char *up)
{
	volatile char here[4096];

	here[5] = up[0];
	return deep(here) + here[5];
}

static int compare(const void *a, const void *b)
{
	(void)a;
	(void)b;
	*(volatile int *)0 = 1;
	return 0;
}

static void truncated(void)
{
	int fd = open("truncated", O_RDWR | O_CREAT | O_TRUNC, 0600);
	volatile char *p;

	if (fd < 0 || ftruncate(fd, 4096) != 0)
		return;
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (ftruncate(fd, 0) == 0)
		p[0] = 1;
}

static void overflow(void)
{
	char *volatile p = malloc(2000), *volatile q = malloc(2000);

	/* Over the size of the block behind it. */
	memset(p, 0x41, malloc_usable_size(p) + 8);
	memset(q - 8, 0x41, 8);
	free(q);
}

static void twice(void)
{
	char *volatile p = malloc(24);

	free(p);
	free(p);
}

/* Writes into blocks that it has given back: the next malloc() follows what was written there, and
 * holds the heap's lock when it crashes. Several, with others between them: one that lies beside what
 * is free anyway would become part of that. */
static void freed(void)
{
	char *volatile p[16];

	for (int i = 0; i < 16; i++)
		p[i] = malloc(2000);
	for (int i = 0; i < 16; i += 2)
		free(p[i]);
	for (int i = 0; i < 16; i += 2)
		memset(p[i], 0x41, 16);
	p[0] = malloc(4000);
}

static __attribute__((noinline)) void break_it(const char *how)
{
	volatile int zero = 0;
	volatile char here[16];
	int numbers[3] = {3, 2, 1};

	if (strcmp(how, "null") == 0)
		*(volatile int *)8 = 5;
	else if (strcmp(how, "stack") == 0)
		deep(here);
	else if (strcmp(how, "zero") == 0)
		zero = 7 / zero;
	else if (strcmp(how, "illegal") == 0)
		__builtin_trap();
	else if (strcmp(how, "truncated") == 0)
		truncated();
	else if (strcmp(how, "overflow") == 0)
		overflow();
	else if (strcmp(how, "twice") == 0)
		twice();
	else if (strcmp(how, "freed") == 0)
		freed();
	else if (strcmp(how, "libc") == 0)
		zero = snprintf((char *)here, sizeof(here), "%s", (const char *)(uintptr_t)16);
	else if (strcmp(how, "qsort") == 0)
		qsort(numbers, 3, sizeof(numbers[0]), compare);
	else if (strcmp(how, "loop") == 0)
		while (zero == 0)
			continue;
}

static int crash_process(struct pc_stage *st, void *state, struct pc_item *item)
{
	struct crash *c = state;

	if (++c->n == c->at)
		break_it(c->how);
	return pc_pass(st, 0, item);
}

static const struct pc_port in[] = {{"in", "*", 0, "items"}};
static const struct pc_port out[] = {{"out", "=in", 0, "the same"}};
static const struct pc_param params[] = {
	PC_PARAM_STRING(struct crash, how, NULL, "in which way"),
	PC_PARAM_I64(struct crash, at, "5", NULL, NULL, "at which item")};

PC_STAGE(.name = "crash", .doc = "be broken", PC_INPUTS(in), PC_OUTPUTS(out), PC_PARAMS(params),
         PC_STATE(struct crash), .process = crash_process);
