/* lang/parse-mistake.c: looking at tokens, and what happens when they are not the right ones.
 *
 * Used by the other files of the parser, on one thread. One mistake gives one message: after it
 * the parser goes on at the next statement, and finds that by the brackets if they close, and by
 * the line if they do not. A missing ')' is told at its '(', because that is where it is missing;
 * the token that shows it may stand many lines below. */
#include "lang/parse.h"

#include <string.h>

/* How far a closing bracket is sought: a bound on the time that a wrong file can take. */
enum { SEARCH_MAX = 2000, SHOWN_MAX = 40, NOWHERE = -1 };

static const struct token *token(const struct parse *p, uint32_t i)
{
	return &p->file.tokens.list[i];
}

static uint32_t skip_newlines(const struct parse *p, uint32_t i)
{
	while (token(p, i)->kind == TOKEN_NEWLINE)
		i++;
	return i;
}

enum token_kind parse_peek(struct parse *p)
{
	if (p->file.depth > 0)
		p->file.at = skip_newlines(p, p->file.at);
	return token(p, p->file.at)->kind;
}

enum token_kind parse_peek_second(struct parse *p)
{
	uint32_t i;

	if (parse_peek(p) == TOKEN_END)
		return TOKEN_END;
	i = p->file.at + 1;
	return token(p, p->file.depth > 0 ? skip_newlines(p, i) : i)->kind;
}

bool parse_is(struct parse *p, const char *word)
{
	return parse_peek(p) == TOKEN_WORD &&
	       token_is(&p->file.tokens, token(p, p->file.at), word);
}

bool parse_take(struct parse *p, enum token_kind kind)
{
	if (parse_peek(p) != kind)
		return false;
	p->file.at++;
	return true;
}

const char *parse_token_text(const struct parse *p, uint32_t i, size_t *ret_size)
{
	*ret_size = token(p, i)->end - token(p, i)->begin;
	return p->file.tokens.text + token(p, i)->begin;
}

static bool is_break(enum token_kind kind)
{
	return kind == TOKEN_NEWLINE || kind == TOKEN_END;
}

/* The end of a line has its place behind the last token before it. */
struct diag_span parse_token_span(const struct parse *p, uint32_t i)
{
	if (!is_break(token(p, i)->kind))
		return (struct diag_span){p->file.source, token(p, i)->begin, token(p, i)->end};
	while (i > 0 && is_break(token(p, i)->kind))
		i--;
	return (struct diag_span){p->file.source, token(p, i)->end, token(p, i)->end};
}

struct diag_span parse_span(const struct parse *p, uint32_t begin)
{
	struct diag_span span = parse_token_span(p, begin);

	if (p->file.at > begin)
		span.end = parse_token_span(p, p->file.at - 1).end;
	return span;
}

/* Whether the line at token i begins with "stage x", "include "…"" or the like. */
static bool declaration_at(const struct parse *p, uint32_t i)
{
	enum token_kind second;

	if (token(p, i)->kind != TOKEN_WORD ||
	    token_statement(&p->file.tokens, i) == TOKEN_WIRE)
		return false;
	second = token(p, i + 1)->kind;
	return second == TOKEN_WORD || second == TOKEN_STRING;
}

bool parse_goes_on(struct parse *p)
{
	uint32_t i = skip_newlines(p, p->file.at);
	enum token_kind kind = token(p, i)->kind;

	if (kind == TOKEN_END || kind == TOKEN_SEMICOLON ||
	    (i > p->file.at && declaration_at(p, i)))
		return false;
	p->file.at = i;
	return true;
}

/* What stands at token i, in words. */
static void add_found(const struct parse *p, uint32_t i, struct buf *out)
{
	size_t size;
	const char *text = parse_token_text(p, i, &size);

	if (token(p, i)->kind == TOKEN_NEWLINE || (token(p, i)->kind == TOKEN_END && i > 0 &&
	                                           token(p, i - 1)->kind != TOKEN_NEWLINE)) {
		buf_adds(out, "the end of the line");
	} else if (token(p, i)->kind == TOKEN_END) {
		buf_adds(out, "the end of the file");
	} else {
		const char *quote = token(p, i)->kind == TOKEN_STRING ? "" : "'";

		buf_addf(out, "%s%s", token(p, i)->kind == TOKEN_STRING ? "the string " : "",
		         quote);
		if (size > SHOWN_MAX) {
			for (size = SHOWN_MAX; ((unsigned char)text[size] & 0xc0) == 0x80;
			     size--)
				;
			buf_add(out, text, size);
			buf_adds(out, "...");
		} else {
			buf_add(out, text, size);
		}
		buf_adds(out, quote);
	}
}

bool parse_mistake(struct parse *p, struct diag_span span, const char *format, ...)
{
	struct buf text = {0};
	va_list ap;

	va_start(ap, format);
	buf_addv(&text, format, ap);
	va_end(ap);
	p->mistake = true;
	p->last = diag_error(p->diags, span, "%s", text.failed ? "out of memory" : text.text);
	buf_fini(&text);
	return false;
}

bool parse_expected(struct parse *p, const char *format, ...)
{
	struct buf text = {0};
	uint32_t i = p->file.at;
	va_list ap;

	p->mistake = true;
	p->last = NULL;
	if (parse_peek(p) == TOKEN_BAD)
		return false;
	va_start(ap, format);
	buf_addv(&text, format, ap);
	va_end(ap);
	buf_adds(&text, ", found ");
	/* In brackets: what is missing is missing at the end of the line above. */
	while (i > 0 && token(p, i - 1)->kind == TOKEN_NEWLINE && p->file.depth > 0)
		i--;
	p->file.at = i;
	add_found(p, i, &text);
	parse_mistake(p, parse_token_span(p, i), "expected %s", text.failed ? "?" : text.text);
	buf_fini(&text);
	return false;
}

bool parse_hint(struct parse *p, const char *format, ...)
{
	struct buf text = {0};
	va_list ap;

	va_start(ap, format);
	buf_addv(&text, format, ap);
	va_end(ap);
	if (p->last && !text.failed)
		diag_hint(p->diags, p->last, "%s", text.text);
	buf_fini(&text);
	return false;
}

bool parse_ends(struct parse *p)
{
	enum token_kind kind = parse_peek(p);

	return is_break(kind) || kind == TOKEN_SEMICOLON;
}

bool parse_end(struct parse *p, const char *after)
{
	return parse_ends(p) || parse_expected(p, "the end of the line after %s", after);
}

/* Where the statement ends when `depth` brackets are open at token i; NOWHERE: they never close. */
static int64_t statement_end(const struct parse *p, uint32_t i, int depth)
{
	for (uint32_t limit = i + SEARCH_MAX; i < limit; i++) {
		enum token_kind kind = token(p, i)->kind;

		if (kind == TOKEN_END || kind == TOKEN_SEMICOLON)
			return depth > 0 ? NOWHERE : (int64_t)i;
		if (kind == TOKEN_OPEN || kind == TOKEN_OPEN_LIST)
			depth++;
		if (kind == TOKEN_CLOSE || kind == TOKEN_CLOSE_LIST)
			depth--;
		if (kind == TOKEN_ARROW && depth > 0)
			return NOWHERE;
		if (kind == TOKEN_NEWLINE) {
			uint32_t next = skip_newlines(p, i);
			enum token_kind before = i > 0 ? token(p, i - 1)->kind : TOKEN_NEWLINE;

			if (declaration_at(p, next))
				return depth > 0 ? NOWHERE : (int64_t)i;
			if (depth <= 0 && before != TOKEN_ARROW && before != TOKEN_COMMA &&
			    token(p, next)->kind != TOKEN_ARROW)
				return i;
			i = next - 1;
		}
	}
	return NOWHERE;
}

/* Reports a bracket that nothing closes before token i. */
static bool unclosed(struct parse *p, uint32_t open, uint32_t i)
{
	bool round = token(p, open)->kind == TOKEN_OPEN;
	char close = round ? ')' : ']';
	struct diag *d;

	parse_mistake(p, parse_token_span(p, open), "this '%c' has no '%c'", round ? '(' : '[',
	              close);
	d = p->last;
	if (token(p, i)->kind != TOKEN_END)
		diag_note(p->diags, d, parse_token_span(p, i), "expected '%c' before this",
		          close);
	/* What follows in a line of its own may be the next statement. */
	while (i > 0 && token(p, i - 1)->kind == TOKEN_NEWLINE)
		i--;
	p->file.at = i;
	return false;
}

bool parse_list_is_left(struct parse *p)
{
	if (parse_peek(p) == TOKEN_END)
		return true;
	return p->file.at > 0 && token(p, p->file.at - 1)->kind == TOKEN_NEWLINE &&
	       declaration_at(p, p->file.at);
}

static bool element_follows(struct parse *p, uint32_t open)
{
	return !parse_list_is_left(p) || unclosed(p, open, p->file.at);
}

bool parse_list_begins(struct parse *p, uint32_t *ret_open, bool *ret_more)
{
	bool round = parse_peek(p) == TOKEN_OPEN;

	*ret_open = p->file.at++;
	p->file.depth++;
	*ret_more = !parse_take(p, round ? TOKEN_CLOSE : TOKEN_CLOSE_LIST);
	if (*ret_more)
		return element_follows(p, *ret_open);
	p->file.depth--;
	return true;
}

bool parse_list_goes_on(struct parse *p, uint32_t open, bool *ret_more)
{
	bool round = token(p, open)->kind == TOKEN_OPEN;
	uint32_t i = p->file.at;

	*ret_more = parse_take(p, TOKEN_COMMA);
	if (*ret_more)
		return element_follows(p, open);
	if (parse_take(p, round ? TOKEN_CLOSE : TOKEN_CLOSE_LIST)) {
		p->file.depth--;
		return true;
	}
	if (parse_peek(p) == TOKEN_BAD || statement_end(p, i, 1) != NOWHERE)
		return parse_expected(p, "',' or '%c'", round ? ')' : ']');
	return unclosed(p, open, p->file.at);
}

void parse_recover(struct parse *p)
{
	uint32_t i = p->file.at;
	int64_t end;
	int depth = 0;

	for (uint32_t j = p->file.begin; j < i; j++) {
		enum token_kind kind = token(p, j)->kind;

		depth += (kind == TOKEN_OPEN || kind == TOKEN_OPEN_LIST) -
		         (kind == TOKEN_CLOSE || kind == TOKEN_CLOSE_LIST);
	}
	end = statement_end(p, i, depth);
	if (end == NOWHERE) {
		while (!is_break(token(p, i)->kind) && token(p, i)->kind != TOKEN_SEMICOLON)
			i++;
		end = i;
	}
	p->file.at = (uint32_t)end;
	p->file.depth = 0;
}
