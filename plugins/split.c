/* split: the words or fields of a line, each as an item.
 *
 * in   text, also blocks of lines
 * out  text/word: slices of what came in, uncopied
 *
 * Cutting is text.h's: white space and letters as in the C locale. With `field` only that part
 * of each line is emitted, and nothing for a line that has no such part. The state does not
 * change, so any number of replicas may share the work. */
#include "text.h"

#include <pcrun/stage.h>

static const char *const split_units[] = TEXT_UNIT_NAMES;

struct split {
	uint32_t unit;
	int64_t field;
	const char *sep;
	/* ours */
	struct text_cut cut;
};

static const struct pc_param split_params[] = {
	PC_PARAM_ENUM(struct split, unit, "word", split_units,
                      "item: lines of a block; word: between white space; letters: runs of "
                      "A-Z and a-z; field: between separators"),
	PC_PARAM_I64(struct split, field, "0", NULL, NULL,
                     "only this part of each line, from 1; -1 is the last; 0: all parts"),
	PC_PARAM_STRING(struct split, sep, "\t", "separates fields"),
};

static int split_open(struct pc_stage *st, void *state)
{
	struct split *s = state;

	if (s->unit == TEXT_FIELD && *s->sep == '\0')
		return pc_fail(st, "sep is empty: fields need a separator");
	s->cut = (struct text_cut){
		.unit = s->unit,
		.nth = s->field,
		.sep = s->sep,
		.sep_size = strlen(s->sep),
		.by_line = strcmp(pc_in_type(st, 0), TEXT_BLOCK) == 0,
	};
	return PC_OK;
}

struct split_job {
	struct pc_stage *st;
	struct pc_item *item;
};

static int emit_part(void *user, size_t offset, size_t size)
{
	struct split_job *job = user;

	return pc_emit_slice(job->st, 0, job->item, offset, size);
}

static int split_process(struct pc_stage *st, void *state, struct pc_item *item)
{
	const struct split *s = state;
	struct split_job job = {st, item};

	return text_cut(&s->cut, item->data, item->size, emit_part, &job);
}

static const struct pc_port split_in[] = {{"in", "text/*", 0, "text"}};
static const struct pc_port split_out[] = {{"out", "text/word", 0, "the parts"}};

PC_STAGE(.name = "split", .doc = "cut lines into words or fields", .flags = PC_PURE,
         PC_INPUTS(split_in), PC_OUTPUTS(split_out), PC_PARAMS(split_params),
         PC_STATE(struct split), .state_version = 1, .open = split_open,
         .process = split_process);
