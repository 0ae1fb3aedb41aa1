/* lang/token-name.c: names, references to params, and the words that begin declarations.
 *
 * Pure functions over texts and tokens, called by the lexer, the parser and the formatter. */
#include "lang/token.h"

#include <string.h>

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

size_t token_name_size(const char *text, size_t size)
{
	size_t n = 0;

	while (n < size &&
	       (is_letter(text[n]) ||
	        (n > 0 && ((text[n] >= '0' && text[n] <= '9') || text[n] == '-'))) &&
	       !(text[n] == '-' && n + 1 < size && text[n + 1] == '>'))
		n++;
	return n;
}

size_t token_ref(const char *text, size_t size, const char **ret_name, size_t *ret_name_size)
{
	size_t open = size > 1 && text[1] == '{' ? 2 : 1;

	if (size < 2 || text[0] != '$')
		return 0;
	*ret_name = text + open;
	*ret_name_size = token_name_size(text + open, size - open);
	if (*ret_name_size == 0)
		return 0;
	if (open == 1)
		return open + *ret_name_size;
	open += *ret_name_size;
	return open < size && text[open] == '}' ? open + 1 : 0;
}

bool token_is(const struct tokens *tokens, const struct token *t, const char *word)
{
	return t->kind == TOKEN_WORD && t->end - t->begin == strlen(word) &&
	       memcmp(tokens->text + t->begin, word, t->end - t->begin) == 0;
}

const char *const token_statements[] = {
	[TOKEN_WIRE] = "",        [TOKEN_PARAM] = "param", [TOKEN_INCLUDE] = "include",
	[TOKEN_STAGE] = "stage",  [TOKEN_QUEUE] = "queue", [TOKEN_JOIN] = "join",
	[TOKEN_SHARED] = "shared"};

enum token_statement token_statement(const struct tokens *tokens, uint32_t i)
{
	enum token_kind after = tokens->list[i + 1].kind;

	if (after == TOKEN_ARROW || after == TOKEN_COMMA || after == TOKEN_OPEN ||
	    after == TOKEN_OPEN_LIST)
		return TOKEN_WIRE;
	for (enum token_statement s = TOKEN_PARAM; s <= TOKEN_SHARED; s++)
		if (token_is(tokens, &tokens->list[i], token_statements[s]))
			return s;
	return TOKEN_WIRE;
}
