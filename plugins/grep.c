/* grep: the items that match a regular expression.
 *
 * in    text
 * out   the items that match; with `group`, that part of every match instead
 * rest  the items that do not
 *
 * The expressions are PCRE2's, that is Perl's. Bytes are compared as bytes unless utf=true; then
 * items that are not valid UTF-8 still match where they are valid. Each replica compiles its own
 * code at open(), and the state does not change after that. */
#include "text.h"

#include <pcrun/stage.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <stdlib.h>

enum { GREP_OUT, GREP_REST };

struct grep {
	const char *pattern;
	bool ignore_case;
	bool invert;
	bool utf;
	const char *group;
	/* ours */
	int wanted; /* group; -1: pass the item on */
	pcre2_code *code;
	pcre2_match_data *match;
	pcre2_match_context *context;
	pcre2_jit_stack *stack;
};

static const struct pc_param grep_params[] = {
	PC_PARAM_STRING(struct grep, pattern, NULL, "the regular expression (PCRE2)"),
	PC_PARAM_BOOL(struct grep, ignore_case, "false", "a and A are the same"),
	PC_PARAM_BOOL(struct grep, invert, "false", "pass what does not match"),
	PC_PARAM_BOOL(struct grep, utf, "false", "the text is UTF-8: . is a whole character"),
	PC_PARAM_STRING(struct grep, group, "",
                        "emit this group of every match: a number or a name; 0 is all of it"),
};

/* The message shows the pattern with a caret below the place, if that fits on a line. */
static int bad_pattern(struct pc_stage *st, const struct grep *s, int code, size_t at)
{
	PCRE2_UCHAR text[256];

	pcre2_get_error_message(code, text, sizeof(text));
	if (strlen(s->pattern) > 500 || strchr(s->pattern, '\n') != NULL)
		return pc_fail(st, "pattern: %s, at byte %zu", (const char *)text, at);
	return pc_fail(st, "pattern: %s\n  %s\n  %*s", (const char *)text, s->pattern,
	               (int)at + 1, "^");
}

static int find_group(struct pc_stage *st, struct grep *s)
{
	char *end;
	unsigned long n;
	uint32_t groups = 0;

	s->wanted = -1;
	if (*s->group == '\0')
		return PC_OK;
	if (s->invert)
		return pc_fail(st, "group and invert: what does not match has no groups");
	pcre2_pattern_info(s->code, PCRE2_INFO_CAPTURECOUNT, &groups);
	n = strtoul(s->group, &end, 10);
	if (*end != '\0' || *s->group < '0' || *s->group > '9') {
		int named = pcre2_substring_number_from_name(s->code, (PCRE2_SPTR)s->group);

		if (named < 0)
			return pc_fail(st, "group: the pattern has no group named %s",
			               s->group);
		s->wanted = named;
		return PC_OK;
	}
	if (n > groups)
		return pc_fail(st, "group: there is no group %lu, the pattern has %" PRIu32, n,
		               groups);
	s->wanted = (int)n;
	return PC_OK;
}

static int grep_open(struct pc_stage *st, void *state)
{
	struct grep *s = state;
	uint32_t options = (s->ignore_case ? PCRE2_CASELESS : 0) |
	                   (s->utf ? PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF : 0);
	PCRE2_SIZE at;
	int code;

	if (strcmp(pc_in_type(st, 0), TEXT_BLOCK) == 0)
		return pc_fail(st, "grep looks at lines: wire it to .out instead of .blocks");
	s->code = pcre2_compile((PCRE2_SPTR)s->pattern, PCRE2_ZERO_TERMINATED, options, &code,
	                        &at, NULL);
	if (s->code == NULL)
		return bad_pattern(st, s, code, at);
	s->match = pcre2_match_data_create_from_pattern(s->code, NULL);
	s->context = pcre2_match_context_create(NULL);
	if (s->match == NULL || s->context == NULL)
		return pc_fail(st, "no memory for the pattern");
	/* Without the JIT compiler the pattern is interpreted: slower, with equal results. */
	if (pcre2_jit_compile(s->code, PCRE2_JIT_COMPLETE) == 0) {
		s->stack = pcre2_jit_stack_create(32 * 1024, 1024 * 1024, NULL);
		if (s->stack != NULL)
			pcre2_jit_stack_assign(s->context, NULL, s->stack);
	}
	return find_group(st, s);
}

/* 1: matches from `from` on; 0: does not; failed. */
static int match(struct pc_stage *st, struct grep *s, const struct pc_item *item, size_t from,
                 uint32_t options)
{
	/* An item of size 0 may have no bytes to point to. */
	PCRE2_SPTR data = item->size > 0 ? item->data : (PCRE2_SPTR) "";
	int r = pcre2_match(s->code, data, item->size, from, options, s->match, s->context);
	PCRE2_UCHAR text[256];

	if (r >= 0)
		return 1;
	if (r == PCRE2_ERROR_NOMATCH)
		return 0;
	pcre2_get_error_message(r, text, sizeof(text));
	return pc_fail(st, "gave up matching: %s", (const char *)text);
}

/* Emit the wanted group of this match and of all that follow. */
static int emit_groups(struct pc_stage *st, struct grep *s, struct pc_item *item)
{
	const PCRE2_SIZE *at = pcre2_get_ovector_pointer(s->match);
	const PCRE2_SIZE *group = at + 2 * (size_t)s->wanted;
	int r;

	do {
		if (group[0] != PCRE2_UNSET) {
			r = pc_emit_slice(st, GREP_OUT, item, group[0], group[1] - group[0]);
			if (r < 0)
				return r;
		}
		/* After an empty match the next may not be the same again. An old library lets
		 * \K put the start behind the end: such a match is the last. */
		if (at[0] > at[1] || (at[0] == at[1] && at[1] == item->size))
			return PC_OK;
		r = match(st, s, item, at[1], at[0] == at[1] ? PCRE2_NOTEMPTY_ATSTART : 0);
	} while (r > 0);
	return r;
}

static int grep_process(struct pc_stage *st, void *state, struct pc_item *item)
{
	struct grep *s = state;
	int r = match(st, s, item, 0, 0);

	if (r < 0)
		return r;
	if ((r > 0) == s->invert)
		return pc_pass(st, GREP_REST, item);
	return s->wanted < 0 ? pc_pass(st, GREP_OUT, item) : emit_groups(st, s, item);
}

static int grep_close(struct pc_stage *st, void *state)
{
	struct grep *s = state;

	(void)st;
	pcre2_jit_stack_free(s->stack);
	pcre2_match_context_free(s->context);
	pcre2_match_data_free(s->match);
	pcre2_code_free(s->code);
	return PC_OK;
}

static const struct pc_port grep_in[] = {{"in", "text/*", 0, "text"}};
static const struct pc_port grep_out[] = {
	{"out", "=in", 0, "what matches"},
	{"rest", "=in", 0, "what does not"},
};

PC_STAGE(.name = "grep", .doc = "pass the items that match a regular expression",
         .flags = PC_PURE, PC_INPUTS(grep_in), PC_OUTPUTS(grep_out), PC_PARAMS(grep_params),
         PC_STATE(struct grep), .state_version = 1, .open = grep_open, .process = grep_process,
         .close = grep_close);
