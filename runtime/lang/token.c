/* lang/token.c: cuts a graph file up into words and marks.
 *
 * Called by the parser and the formatter, on one thread. One pass, no way back, so that it is
 * linear whatever the text holds. What can't be a token is reported here, in the words of
 * somebody who meant something by it, and handed on as TOKEN_BAD, about which the parser then
 * keeps silent. A line is reported once: the second odd character in it tells nothing new. */
#include "lang/token.h"

#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

struct lexer {
	struct diag_list *diags;
	uint32_t source;
	const char *text;
	uint32_t size, at;
	struct tokens *out;
	uint32_t room;
	bool comments; /* keep them, and every newline: for the formatter */
	bool quiet;    /* this line has been reported */
	bool failed;
};

/* Words are made of letters, digits and _+-./:%@*?~^: a bit for each ASCII character. */
static bool is_word(unsigned char c)
{
	static const uint64_t words[2] = {UINT64_C(0x87ffec2000000000),
	                                  UINT64_C(0x47fffffec7ffffff)};

	return c < 0x80 && (words[c >> 6] >> (c & 63) & 1) != 0;
}

/* TOKEN_BAD: it is no mark. */
static enum token_kind mark_of(char c)
{
	switch (c) {
	case '\n':
		return TOKEN_NEWLINE;
	case ';':
		return TOKEN_SEMICOLON;
	case ',':
		return TOKEN_COMMA;
	case '=':
		return TOKEN_EQUALS;
	case '(':
		return TOKEN_OPEN;
	case ')':
		return TOKEN_CLOSE;
	case '[':
		return TOKEN_OPEN_LIST;
	case ']':
		return TOKEN_CLOSE_LIST;
	default:
		return TOKEN_BAD;
	}
}

/* Bytes of the character at `at` when it may be part of a word; 0: it ends the word. */
static size_t word_char(const struct lexer *l, uint32_t at)
{
	unsigned char c = (unsigned char)l->text[at];
	uint32_t decoded;
	size_t n;

	if (c < 0x80)
		return is_word(c);
	n = utf8_decode(l->text + at, l->size - at, &decoded);
	/* Spaces, quotation marks, dashes and arrows of other alphabets are no letters. */
	if (n == 0 || utf8_hostile(decoded) || decoded == 0xa0 || decoded == 0xab ||
	    decoded == 0xbb || (decoded >= 0x2000 && decoded < 0x2c00) ||
	    (decoded >= 0x3000 && decoded < 0x3020))
		return 0;
	return n;
}

static bool arrow_at(const struct lexer *l, uint32_t at)
{
	return at + 1 < l->size && l->text[at] == '-' && l->text[at + 1] == '>';
}

static void add(struct lexer *l, enum token_kind kind, uint32_t begin, uint32_t end)
{
	struct tokens *out = l->out;

	l->at = end;
	if (out->n == l->room) {
		uint32_t room = l->room ? l->room * 2 : 256;
		struct token *list = realloc(out->list, room * sizeof(*list));

		if (!list) {
			l->failed = true;
			return;
		}
		out->list = list;
		l->room = room;
	}
	out->list[out->n++] = (struct token){begin, end, kind};
}

/* Adds TOKEN_BAD; returns the diagnostic to say more on, NULL when the line has one already. */
__attribute__((format(printf, 4, 5))) static struct diag *
bad(struct lexer *l, uint32_t begin, uint32_t end, const char *format, ...)
{
	struct diag_span span = {l->source, begin, end};
	struct diag *d = NULL;
	struct buf text = {0};
	va_list ap;

	add(l, TOKEN_BAD, begin, end);
	if (l->quiet)
		return NULL;
	l->quiet = true;
	va_start(ap, format);
	buf_addv(&text, format, ap);
	va_end(ap);
	if (text.failed)
		l->failed = true;
	else
		d = diag_error(l->diags, span, "%s", text.text);
	buf_fini(&text);
	return d;
}

/* Where the line of `at` ends. */
static uint32_t line_end(const struct lexer *l, uint32_t at)
{
	const char *end = memchr(l->text + at, '\n', l->size - at);
	uint32_t to = end ? (uint32_t)(end - l->text) : l->size;

	return to > at && l->text[to - 1] == '\r' ? to - 1 : to;
}

static void not_wired_by(struct lexer *l, uint32_t begin, uint32_t end)
{
	bad(l, begin, end, "stages are wired with '->', not with '%.*s'", (int)(end - begin),
	    l->text + begin);
}

/* A character that belongs to no token. */
static void odd(struct lexer *l)
{
	uint32_t begin = l->at, end, c = 0;
	size_t n = utf8_decode(l->text + begin, l->size - begin, &c);
	const char *close;
	struct diag *d;

	if (n == 0) {
		bad(l, begin, begin + 1, "byte \\x%02x is not UTF-8 text",
		    (unsigned)(unsigned char)l->text[begin]);
		return;
	}
	end = begin + (uint32_t)n;
	if (c == '\'') {
		close = memchr(l->text + end, '\'', line_end(l, end) - end);
		end = close ? (uint32_t)(close - l->text) + 1 : line_end(l, end);
		bad(l, begin, end, "a text stands in double quotes, not in single ones");
	} else if (c == '>' || c == '<' || c == '|') {
		not_wired_by(l, begin, end);
	} else if (c >= 0x2190 && c < 0x2200) {
		bad(l, begin, end, "an arrow is written '->'");
	} else if (c == 0xab || c == 0xbb || (c >= 0x2018 && c <= 0x201f)) {
		bad(l, begin, end, "a text stands in plain double quotes (\")");
	} else if (c >= 0x2010 && c <= 0x2015) {
		bad(l, begin, end, "this dash is not the plain '-'");
	} else if (c == 0xa0 || (c >= 0x2000 && c <= 0x200b) || c == 0x202f || c == 0x3000) {
		bad(l, begin, end, "this space (U+%04X) is not a plain one", (unsigned)c);
	} else if (c == '\\' && end == line_end(l, begin)) {
		d = bad(l, begin, end, "'\\' does not continue a line");
		if (d)
			diag_hint(l->diags, d,
			          "lines go on inside brackets, after ',' and round '->'");
	} else if (c == '\r') {
		bad(l, begin, end, "a carriage return inside a line");
	} else if (c < 0x20 || c == 0x7f) {
		bad(l, begin, end, "unexpected control character \\x%02x", (unsigned)c);
	} else if (utf8_hostile(c)) {
		bad(l, begin, end, "unexpected invisible character U+%04X", (unsigned)c);
	} else {
		bad(l, begin, end, "unexpected character '%.*s'", (int)n, l->text + begin);
	}
}

/* A byte that can't stand in a string; the rest of the line goes with it. */
static void bad_in_string(struct lexer *l, uint32_t at)
{
	unsigned byte = (unsigned char)l->text[at];
	uint32_t end = line_end(l, at);
	struct diag *d;

	d = byte < 0x80
	            ? bad(l, at, at + 1, "control character \\x%02x in a string", byte)
	            : bad(l, at, at + 1, "byte \\x%02x in a string is not UTF-8 text", byte);
	if (d)
		diag_hint(l->diags, d, "write it as \\x%02x", byte);
	l->at = end > at ? end : at + 1;
}

static void string(struct lexer *l)
{
	uint32_t begin = l->at, end = line_end(l, begin), i = begin + 1, c;
	size_t n;

	while (i < end && l->text[i] != '"') {
		n = utf8_decode(l->text + i, end - i, &c);
		if (n == 1 && c == 0) {
			l->at = i; /* the NUL ends the file */
			return;
		}
		if (n == 0 || (c < 0x20 && c != '\t') || (c >= 0x7f && c < 0xa0)) {
			bad_in_string(l, i);
			return;
		}
		if (c == '\\' && i + 1 < end &&
		    (l->text[i + 1] == '"' || l->text[i + 1] == '\\'))
			n = 2;
		i += (uint32_t)n;
	}
	if (i < end)
		add(l, TOKEN_STRING, begin, i + 1);
	else
		bad(l, begin, end, "the string has no closing '\"' in its line");
}

static void word(struct lexer *l)
{
	uint32_t begin = l->at, end = begin, i;
	size_t n;

	do {
		while (is_word((unsigned char)l->text[end]) && l->text[end] != '-')
			end++; /* the NUL behind the text is no part of a word */
		n = end < l->size && !arrow_at(l, end) ? word_char(l, end) : 0;
		end += (uint32_t)n;
	} while (n > 0);
	if (arrow_at(l, end)) /* "a-->b": the dashes are the arrow's */
		while (end > begin + 1 && l->text[end - 1] == '-')
			end--;
	for (i = begin; i < end && l->text[i] == '-'; i++)
		;
	if (i == end) { /* "-" alone is a word; "-->" and "- >" were to be arrows */
		while (i < l->size && l->text[i] == ' ')
			i++;
		if (arrow_at(l, i) || (i < l->size && l->text[i] == '>')) {
			not_wired_by(l, begin, i + 1 + arrow_at(l, i));
			return;
		}
	}
	add(l, TOKEN_WORD, begin, end);
}

static void reference(struct lexer *l)
{
	const char *name;
	size_t name_size, n = token_ref(l->text + l->at, l->size - l->at, &name, &name_size);
	uint32_t begin = l->at, end = begin + 1;

	if (n > 0) {
		add(l, TOKEN_REF, begin, begin + (uint32_t)n);
		return;
	}
	if (end < l->size && l->text[end] == '{') {
		for (end++; end < l->size && is_word((unsigned char)l->text[end]); end++)
			;
		if (end < l->size && l->text[end] == '}')
			end++;
	}
	bad(l, begin, end, "expected '$name' or '${name}' with the name of a param");
}

static void mark(struct lexer *l)
{
	char c = l->text[l->at];

	if (c == '=' && l->at + 1 < l->size && l->text[l->at + 1] == '>') {
		not_wired_by(l, l->at, l->at + 2);
		return;
	}
	if (c == '\n') {
		l->quiet = false;
		/* The parser needs one only, and is then sure to get over empty lines fast. */
		if (!l->comments && l->out->n > 0 &&
		    l->out->list[l->out->n - 1].kind == TOKEN_NEWLINE) {
			l->at++;
			return;
		}
	}
	add(l, mark_of(c), l->at, l->at + 1);
}

static void next(struct lexer *l)
{
	unsigned char c = (unsigned char)l->text[l->at];
	uint32_t begin = l->at;

	if (c == ' ' || c == '\t' || (c == '\r' && line_end(l, l->at) == l->at)) {
		l->at++;
	} else if (c == '#') {
		l->at = line_end(l, l->at);
		if (memchr(l->text + begin, '\0', l->at - begin))
			l->at = (uint32_t)((const char *)memchr(l->text + begin, '\0',
			                                        l->at - begin) -
			                   l->text);
		else if (l->comments)
			add(l, TOKEN_COMMENT, begin, l->at);
	} else if (c == '"') {
		string(l);
	} else if (c == '$') {
		reference(l);
	} else if (arrow_at(l, l->at)) {
		add(l, TOKEN_ARROW, begin, begin + 2);
	} else if (mark_of((char)c) != TOKEN_BAD) {
		mark(l);
	} else if (word_char(l, l->at) > 0) {
		word(l);
	} else {
		odd(l);
	}
}

bool token_read(struct tokens *ret, struct diag_list *diags, uint32_t source, bool comments)
{
	const struct diag_source *s = &diags->sources[source];
	struct lexer l = {diags,    source, s->text, (uint32_t)s->size, 0, ret, 0,
	                  comments, false,  false};

	*ret = (struct tokens){.text = s->text};
	if (l.size >= 3 && memcmp(l.text, "\xef\xbb\xbf", 3) == 0)
		l.at = 3; /* the mark that some editors put in front */
	while (l.at < l.size && !l.failed && l.text[l.at] != '\0')
		next(&l);
	if (l.at < l.size && !l.failed) {
		l.quiet = false;
		bad(&l, l.at, l.at + 1, "a NUL byte: this is not a text file");
	}
	add(&l, TOKEN_END, l.size, l.size);
	if (l.failed)
		token_fini(ret);
	return !l.failed;
}

void token_fini(struct tokens *tokens)
{
	free(tokens->list);
	*tokens = (struct tokens){0};
}
