/* oldmap.c: a filter built with the header of ABI 1.0: every type of parameter, every call on items.
 *
 * Emits each number three times (passed on, as a slice of itself, changed by `add`), those above
 * `limit` on `rest`, and what it was given for parameters at the end. */
#include <pcrun/stage.h>

#include <stdio.h>
#include <string.h>

struct oldmap {
	bool flag;
	int64_t add;
	uint64_t limit;
	double factor;
	const char *text;
	uint32_t mode;
	int64_t wait;
	uint64_t bytes;
	const char *path;
	struct pc_item *kept;
};

static const char *const oldmap_modes[] = {"one", "two", "three", NULL};

static int oldmap_process(struct pc_stage *st, void *state, struct pc_item *item)
{
	struct oldmap *s = state;
	struct pc_item *copy;
	uint64_t number;

	if (item->size != sizeof(number) || st->in_port != 0 ||
	    strcmp(pc_in_type(st, 0), "u64") != 0)
		return pc_fail(st, "not a number");
	memcpy(&number, item->data, sizeof(number));
	if (number > s->limit)
		return pc_pass(st, 1, item);
	pc_pass(st, 0, item);
	pc_emit_slice(st, 0, item, 0, sizeof(number));
	copy = pc_item_slice(st, item, 0, sizeof(number));
	copy = copy ? pc_item_writable(st, copy) : NULL;
	if (!copy)
		return pc_fail(st, "no memory");
	number += (uint64_t)s->add;
	memcpy(copy->data, &number, sizeof(number));
	pc_item_unref(st, s->kept);
	s->kept = pc_item_ref(st, item);
	return pc_emit(st, 0, copy);
}

static int oldmap_finish(struct pc_stage *st, void *state)
{
	struct oldmap *s = state;
	char text[200];

	snprintf(text, sizeof(text), "%d %g %s %s %lld %llu %s", s->flag, s->factor, s->text,
	         oldmap_modes[s->mode], (long long)s->wait, (unsigned long long)s->bytes,
	         s->path);
	pc_item_unref(st, s->kept);
	return pc_emit_copy(st, 2, text, strlen(text));
}

static const struct pc_port oldmap_in[] = {{"in", "u64", 0, "numbers"}};
static const struct pc_port oldmap_out[] = {{"out", "=in", 0, "three of each"},
                                            {"rest", "u64", 0, "those above the limit"},
                                            {"params", "text/line", 0, "at the end"}};
static const struct pc_param oldmap_params[] = {
	PC_PARAM_BOOL(struct oldmap, flag, "yes", "a truth"),
	PC_PARAM_I64(struct oldmap, add, "-1", NULL, NULL, "a whole number"),
	PC_PARAM_U64(struct oldmap, limit, "1k", NULL, NULL, "a count"),
	PC_PARAM_F64(struct oldmap, factor, "0.5", "..1", NULL, "a fraction"),
	PC_PARAM_STRING(struct oldmap, text, "a text", "a text"),
	PC_PARAM_ENUM(struct oldmap, mode, "two", oldmap_modes, "a choice"),
	PC_PARAM_DURATION(struct oldmap, wait, "10us", NULL, "a time"),
	PC_PARAM_BYTES(struct oldmap, bytes, "4Ki", NULL, "a size"),
	PC_PARAM_PATH(struct oldmap, path, "/tmp", "a file"),
};
static const struct pc_field oldmap_fields[] = {
	{"kept", 0, 1, offsetof(struct oldmap, kept), sizeof(struct pc_item *)}};

PC_STAGE(.name = "oldmap", .doc = "three of each", .flags = PC_PURE, PC_INPUTS(oldmap_in),
         PC_OUTPUTS(oldmap_out), PC_PARAMS(oldmap_params), PC_STATE(struct oldmap),
         PC_FIELDS(oldmap_fields), .process = oldmap_process, .finish = oldmap_finish);
