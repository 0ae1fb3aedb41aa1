/* lang/token.h: the words and marks of a graph file.
 *
 * Called by the parser and the formatter, on one thread. Pure. */
#ifndef LANG_TOKEN_H
#define LANG_TOKEN_H

#include "base/diag.h"

enum token_kind {
	TOKEN_END, /* of the text; stands last, once */
	TOKEN_NEWLINE,
	TOKEN_SEMICOLON,
	TOKEN_WORD,
	TOKEN_STRING, /* with its quotes; escapes are not looked at */
	TOKEN_REF,    /* $name or ${name} */
	TOKEN_ARROW,
	TOKEN_COMMA,
	TOKEN_EQUALS,
	TOKEN_OPEN, /* ( */
	TOKEN_CLOSE,
	TOKEN_OPEN_LIST, /* [ */
	TOKEN_CLOSE_LIST,
	TOKEN_COMMENT, /* without the end of its line */
	TOKEN_BAD      /* was reported */
};

/* Bytes [begin, end) of the source. */
struct token {
	uint32_t begin, end;
	enum token_kind kind;
};

struct tokens {
	const char *text;
	struct token *list; /* malloc'd; the last is TOKEN_END */
	uint32_t n;
};

/* Cut a source of the list up. `comments`: keep them, and empty lines. Mistakes go to diags, at
 * most one a line. False: out of memory. */
bool token_read(struct tokens *ret, struct diag_list *diags, uint32_t source, bool comments);
void token_fini(struct tokens *tokens);

/* Bytes of the name that begins a text, 0: none does. A name begins with a letter or "_" and
 * goes on with letters, digits, "_" and "-"; it ends before "->". */
size_t token_name_size(const char *text, size_t size);
/* A $name or ${name} at the beginning of a text: its bytes, and the name. 0: it is none. */
size_t token_ref(const char *text, size_t size, const char **ret_name, size_t *ret_name_size);
bool token_is(const struct tokens *tokens, const struct token *t, const char *word);

/* The words that begin a declaration. */
enum token_statement {
	TOKEN_WIRE,
	TOKEN_PARAM,
	TOKEN_INCLUDE,
	TOKEN_STAGE,
	TOKEN_QUEUE,
	TOKEN_JOIN,
	TOKEN_SHARED
};
extern const char *const token_statements[]; /* the words by number, [TOKEN_WIRE] is "" */
/* Which statement the word at list[i] begins. "join" and its like are plain names, and begin
 * wires, when "->", ",", "(" or "[" follows. `i` must not be the last. */
enum token_statement token_statement(const struct tokens *tokens, uint32_t i);

#endif
