/* item.c: a stage that crashes on an item that begins with '!', and does something to it before; every
 * other it passes on. -DMENDED: it does not, and says so in what it emits. -DBATCH, -DTWO: with
 * process_batch(); with two inputs, where the end of one is the end. -DSHARED: it takes something off a
 * number of shared state. -DSOURCE: what makes items. */
#include <pcrun/stage.h>

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifdef SOURCE
struct source {
	int64_t count, size;
};

static int source_produce(struct pc_stage *st, void *state)
{
	struct source *s = state;
	struct pc_item *item;

	if (s->count-- <= 0)
		return PC_END;
	item = pc_item_new(st, (size_t)s->size);
	if (!item)
		return pc_fail(st, "no memory");
	memset(item->data, '!', (size_t)s->size);
	return pc_emit(st, 0, item);
}

static const struct pc_port out[] = {{"out", "*", 0, "items"}};
static const struct pc_param params[] = {
	PC_PARAM_I64(struct source, count, "1", NULL, NULL, "how many"),
	PC_PARAM_I64(struct source, size, "1", NULL, NULL, "bytes of each")};
PC_STAGE(.name = NAME, .doc = "make items", PC_OUTPUTS(out), PC_PARAMS(params),
         PC_STATE(struct source), .produce = source_produce);
#else
struct item {
	const char *how, *mark;
#ifdef SHARED
	const char *from;
#endif
};

static void *page_of(const void *address)
{
	return (void *)((uintptr_t)address & ~(uintptr_t)4095);
}

static void crash(const char *how, struct pc_item *item)
{
	char *data = item->data;

	if (strcmp(how, "pointer") == 0)
		item->data = (void *)16;
	else if (strcmp(how, "half") == 0)
		mprotect(page_of(data + item->size / 2), 8192, PROT_NONE);
	else if (strcmp(how, "gone") == 0)
		mprotect(page_of(item), 8192, PROT_NONE);
	else if (strcmp(how, "descriptors") == 0)
		while (open("/dev/null", O_RDONLY) >= 0)
			continue;
	*(volatile int *)8 = 5;
}

static int item_process(struct pc_stage *st, void *state, struct pc_item *item)
{
	struct item *s = state;
	char text[64];

#ifdef SHARED
	int64_t left;
	struct pc_shared *from = pc_shared_find(st, s->from);

	if (!from || pc_shared_add(st, from, "left", -1, &left) != PC_OK)
		return PC_ERROR;
	snprintf(text, sizeof(text), "%lld left", (long long)left);
	if (pc_emit_copy(st, 0, text, strlen(text)) != PC_OK)
		return PC_ERROR;
#endif
	if (item->size > 0 && *(const char *)item->data == '!') {
#ifdef MENDED
		snprintf(text, sizeof(text), "%s mended: %.*s", s->mark, (int)item->size,
		         (const char *)item->data);
		return pc_emit_copy(st, 0, text, strlen(text));
#endif
		crash(s->how, item);
	}
	(void)text;
	return pc_pass(st, 0, item);
}

#ifdef BATCH
static int item_batch(struct pc_stage *st, void *state, struct pc_item *const *items,
                      unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct item *s = state;

		if (*(const char *)items[i]->data == '!')
			crash(s->how, items[i]);
		pc_done(st);
	}
	return PC_OK;
}
#endif

#ifdef TWO
static int item_closed(struct pc_stage *st, void *state, unsigned port)
{
	(void)st;
	(void)state;
	(void)port;
	return PC_END;
}

static const struct pc_port in[] = {{"left", "*", 0, "items"}, {"right", "*", 0, "items"}};
#else
static const struct pc_port in[] = {{"in", "*", 0, "items"}};
#endif
static const struct pc_port out[] = {{"out", "*", 0, "the same"}};
static const struct pc_param params[] = {
	PC_PARAM_STRING(struct item, how, "null", "what happens before"),
#ifdef SHARED
	PC_PARAM_SHARED(struct item, from, NULL, PC_UPDATES_SHARED, "the state"),
#endif
	PC_PARAM_STRING(struct item, mark, "", "stands before what is emitted")};

PC_STAGE(.name = NAME, .doc = "crash on an item", PC_INPUTS(in), PC_OUTPUTS(out),
         PC_PARAMS(params), PC_STATE(struct item),
#ifdef BATCH
         .process_batch = item_batch
#else
         .process = item_process
#endif
#ifdef TWO
         ,
         .closed = item_closed
#endif
);
#endif
