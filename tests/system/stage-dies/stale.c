/* stale.c: items with a pointer into the build that made them.
 *
 * TAG: each item becomes the address of a string of this build's, SAID. KEEP: looks at each, keeps the
 * one that says "stale", and when the file $STALE_GO is there reads what that says again: by then
 * its build has been unloaded. */
#include <pcrun/stage.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct pc_port in[] = {{"in", "*", 0, "items"}};
static const struct pc_port out[] = {{"out", "bytes/pointer", 0, "where strings are"}};

#ifdef TAG
static const char said[] = SAID;

static int tag_process(struct pc_stage *st, void *state, struct pc_item *item)
{
	const char *at = said;

	(void)state;
	(void)item;
	return pc_emit_copy(st, 0, &at, sizeof(at));
}

PC_STAGE(.name = "tag", .doc = "point at a string", PC_INPUTS(in), PC_OUTPUTS(out),
         .process = tag_process);
#else
static const char *kept;

static int keep_process(struct pc_stage *st, void *state, struct pc_item *item)
{
	const char *at, *go = getenv("STALE_GO");

	(void)state;
	memcpy(&at, item->data, sizeof(at));
	if (!kept && strcmp(at, "stale") == 0)
		kept = at;
	if (kept && go && access(go, F_OK) == 0 && *(const volatile char *)(kept + 2) != 'a')
		return pc_fail(st, "it says something else");
	return pc_emit_copy(st, 0, &at, sizeof(at));
}

PC_STAGE(.name = "keep", .doc = "keep one of them", PC_INPUTS(in), PC_OUTPUTS(out),
         .process = keep_process);
#endif
