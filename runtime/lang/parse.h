/* lang/parse.h: what the files of the parser share.
 *
 *   parse.c          the loop over statements, includes, lang_parse()
 *   parse-declare.c  param, include, stage, queue, join, shared
 *   parse-wire.c     calls, attributes, wires
 *   parse-value.c    values, strings, references to params
 *   parse-mistake.c  looking at tokens, saying what was expected, going on after a mistake
 *
 * Every parse_… that returns bool returns false when the statement can't be understood further:
 * the mistake has been reported, and the loop goes on with the next statement. Out of memory is
 * remembered by the tree's arena and asked for once, at the end. */
#ifndef LANG_PARSE_H
#define LANG_PARSE_H

#include "lang/lang.h"
#include "lang/names.h"
#include "lang/token.h"

/* One source on its way through the parser. */
struct parse_file {
	struct tokens tokens;
	uint32_t source;
	uint32_t at;    /* the token to look at next */
	uint32_t begin; /* the first of the statement */
	unsigned depth; /* open brackets, in which newlines are nothing */
	const struct parse_file *includer;
};

struct parse {
	struct lang_tree *tree;
	struct diag_list *diags;
	struct parse_file file;
	bool syntax_only; /* for the formatter: params and includes are left alone */

	bool mistake;      /* one was reported in this statement */
	struct diag *last; /* the newest, to hang a hint on; NULL: it needed no words */

	struct names params; /* numbers of tree->params */
	const struct lang_define *defines;
	struct names defined; /* numbers of defines */
	bool *define_used;
	struct lang_name *unknown; /* references to params that were not there yet */
	size_t n_unknown;
	struct buf scratch;
	size_t composed; /* bytes of strings made of others */

	lang_include_fn *include;
	void *include_user;
	unsigned n_includes, n_levels;
};

/* Adds an element to a growing array of the tree's arena. Without memory the element is lost and
 * the arena remembers. */
#define PARSE_APPEND(p, array, n, element)                                                     \
	do {                                                                                   \
		void *grown_ = arena_grow(&(p)->tree->arena, (array), (n), sizeof(*(array)));  \
		if (grown_) {                                                                  \
			(array) = grown_;                                                      \
			(array)[(n)++] = (element);                                            \
		}                                                                              \
	} while (0)

/* ------------------------------------------------------------------- parse-mistake.c --- */

/* The kind of the next token; inside brackets newlines are skipped first. */
enum token_kind parse_peek(struct parse *p);
/* The kind of the one behind it. */
enum token_kind parse_peek_second(struct parse *p);
bool parse_is(struct parse *p, const char *word);
/* Takes the next token when it is of this kind. */
bool parse_take(struct parse *p, enum token_kind kind);
const char *parse_token_text(const struct parse *p, uint32_t i, size_t *ret_size);
struct diag_span parse_token_span(const struct parse *p, uint32_t i);
/* Tokens [begin, at). */
struct diag_span parse_span(const struct parse *p, uint32_t begin);
/* Skips newlines after ',' or '->'. False: what follows is no part of this statement. */
bool parse_goes_on(struct parse *p);

__attribute__((format(printf, 3, 4))) bool parse_mistake(struct parse *p, struct diag_span span,
                                                         const char *format, ...);
/* "expected …, found …" at the next token; silent when that was reported already. */
__attribute__((format(printf, 2, 3))) bool parse_expected(struct parse *p, const char *format,
                                                          ...);
/* Hangs a hint on the mistake just reported. Returns false, for the convenience of callers. */
__attribute__((format(printf, 2, 3))) bool parse_hint(struct parse *p, const char *format, ...);
/* Whether the statement ends here; it must, `after` says behind what. */
bool parse_ends(struct parse *p);
bool parse_end(struct parse *p, const char *after);
/* Lists in ( ) and [ ]. At the bracket, which is taken, and behind each element: true, and
 * whether an element follows; when none does, the closing bracket has been taken, too. */
bool parse_list_begins(struct parse *p, uint32_t *ret_open, bool *ret_more);
bool parse_list_goes_on(struct parse *p, uint32_t open, bool *ret_more);
/* Whether the next token is that of another statement, or none: a bracket was not closed. */
bool parse_list_is_left(struct parse *p);
/* Goes to where the next statement may begin. */
void parse_recover(struct parse *p);

/* --------------------------------------------------------------------- parse-value.c --- */

/* `what` is said to be expected: "a name after 'stage'". */
bool parse_name(struct parse *p, const char *what, struct lang_name *ret);
struct lang_name parse_name_of(struct parse *p, const char *text, size_t size, uint32_t begin);
/* `of` is the name that the value is given to, NULL: it is a parameter without a name. */
bool parse_value(struct parse *p, const char *of, struct lang_value *ret);
void parse_param_add(struct parse *p, struct lang_name name, struct lang_value value);
/* -D: before the first statement, and what is left over after the last. */
void parse_defines(struct parse *p, const struct lang_define *defines, size_t n);
void parse_params_check(struct parse *p, size_t n_defines);

/* ---------------------------------------------------------------------- parse-wire.c --- */

bool parse_call(struct parse *p, struct lang_call *ret);
bool parse_attr(struct parse *p, struct lang_attr *ret);
bool parse_wire(struct parse *p);

/* -------------------------------------------------------------------------- parse*.c --- */

/* has_word: the statement's word stands at its beginning, and was not forgotten. */
bool parse_declaration(struct parse *p, enum token_statement statement, bool has_word);
/* A text that an include line asks for. */
bool parse_include(struct parse *p, const struct lang_value *path);
/* Without a tree, params and includes: whether the text is right as far as it goes alone. */
bool parse_syntax(struct diag_list *diags, uint32_t source);

#endif
