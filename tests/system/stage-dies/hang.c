/* hang.c: a stage that passes on what it gets, and hangs `where`: in a way that pcrun can not help. */
#include <pcrun/stage.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile int for_ever;

struct hang {
	const char *where;
	int *lock;
};

static void hang(void)
{
	FILE *there = fopen("hangs", "w");

	if (there)
		fclose(there);
	for_ever = 1;
	while (for_ever)
		usleep(1000);
}

#ifdef CONSTRUCTOR
__attribute__((constructor)) static void constructor(void)
{
	hang();
}
#endif

static volatile int at_the_end;

__attribute__((destructor)) static void destructor(void)
{
	if (at_the_end)
		hang();
}

/* The lock of the heap that the main thread uses, who opens the stage: a freed block that is too
 * large for the caches leads there, and the lock stands 96 bytes before (glibc, 64 bits). */
static int *find_lock(void)
{
	char **volatile block = malloc(5000);
	char *volatile wall = malloc(5000);
	char *bins;

	free(block);
	bins = block[0];
	free(wall);
	return (int *)(void *)(bins - 96);
}

static int hang_open(struct pc_stage *st, void *state)
{
	struct hang *h = state;

	(void)st;
	at_the_end = strcmp(h->where, "destructor") == 0;
	if (strcmp(h->where, "lock") == 0)
		h->lock = find_lock();
	return PC_OK;
}

static int hang_process(struct pc_stage *st, void *state, struct pc_item *item)
{
	struct hang *h = state;

	if (h->lock) {
		*h->lock = 1;
		hang();
	}
	if (strcmp(h->where, "process") == 0)
		hang();
	return pc_pass(st, 0, item);
}

static int hang_close(struct pc_stage *st, void *state)
{
	struct hang *h = state;

	(void)st;
	if (strcmp(h->where, "close") == 0)
		hang();
	return PC_OK;
}

static const struct pc_port in[] = {{"in", "*", 0, "items"}};
static const struct pc_port out[] = {{"out", "*", 0, "the same"}};
static const struct pc_param params[] = {
	PC_PARAM_STRING(struct hang, where, NULL, "lock, process, close, destructor")};

PC_STAGE(.name = NAME, .doc = "hang", PC_INPUTS(in), PC_OUTPUTS(out), PC_PARAMS(params),
         PC_STATE(struct hang), .open = hang_open, .process = hang_process,
         .close = hang_close);
