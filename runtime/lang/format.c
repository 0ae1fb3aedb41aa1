/* lang/format.c: the canonical form of a graph file.
 *
 * Called by `pcrun fmt` through engine/, and by the fuzzer; on one thread. Works on tokens, not
 * on the tree, so that comments, the order of lines and the way values are written stay. The
 * first pass makes lines: tokens with canonical blanks between them, one statement a line unless
 * its author broke it. The second pass pads: what stands behind the names of adjacent
 * declarations, and the comments of adjacent lines. Padding depends only on canonical lines, so
 * that formatting twice changes nothing. It has limits, since a long line would otherwise widen
 * all its neighbours. */
#include "lang/parse.h"

#include "base/utf8.h"

#include <stdlib.h>

enum { INDENT = 4, NAME_MAX_COLUMN = 40, COMMENT_MAX_COLUMN = 80 };

struct line {
	size_t begin, end; /* of its code in the buffer */
	size_t split;     /* behind the declared name, before what is lined up; 0: nothing is */
	size_t pad;       /* more blanks at the split */
	uint32_t comment; /* the token; NO_COMMENT */
	enum token_statement statement;
	bool blank;     /* an empty line comes before it */
	bool continued; /* it goes on with the statement of the line above */
	bool no_code;   /* a comment alone */
};

#define NO_COMMENT UINT32_MAX

struct format {
	struct tokens tokens;
	struct buf code;
	struct line *lines; /* malloc'd */
	size_t n_lines, room;
	struct line now;
	bool line_open, statement_open, blank;
	enum token_statement statement;
	enum token_kind before; /* the token before, in the statement */
	unsigned depth, n_tokens;
	bool failed;
};

static void line_begin(struct format *f, enum token_kind first)
{
	bool closes = first == TOKEN_CLOSE || first == TOKEN_CLOSE_LIST;

	f->now = (struct line){.begin = f->code.size,
	                       .comment = NO_COMMENT,
	                       .statement = f->statement,
	                       .blank = f->blank && !f->statement_open && f->n_lines > 0,
	                       .continued = f->statement_open,
	                       .no_code = true};
	f->line_open = true;
	f->blank = false;
	if (f->statement_open && !closes)
		buf_addf(&f->code, "%*s", INDENT, "");
	f->now.end = f->code.size;
}

static void line_end(struct format *f)
{
	struct line *lines;

	if (!f->line_open)
		return;
	f->line_open = false;
	if (f->n_lines == f->room) {
		size_t room = f->room ? 2 * f->room : 256;

		lines = realloc(f->lines, room * sizeof(*lines));
		if (!lines) {
			f->failed = true;
			return;
		}
		f->lines = lines;
		f->room = room;
	}
	f->lines[f->n_lines++] = f->now;
}

/* Whether the statement goes on behind the newline at token i. */
static bool goes_on(const struct format *f, uint32_t i)
{
	if (f->depth > 0 || f->before == TOKEN_ARROW || f->before == TOKEN_COMMA)
		return true;
	if (f->statement != TOKEN_WIRE)
		return false;
	while (f->tokens.list[i].kind == TOKEN_NEWLINE ||
	       f->tokens.list[i].kind == TOKEN_COMMENT)
		i++;
	return f->tokens.list[i].kind == TOKEN_ARROW;
}

static bool blank_between(const struct format *f, enum token_kind now)
{
	bool declares = f->n_tokens == 2 || (f->n_tokens == 3 && f->before == TOKEN_EQUALS);

	if (f->before == TOKEN_OPEN || f->before == TOKEN_OPEN_LIST || now == TOKEN_OPEN ||
	    now == TOKEN_CLOSE || now == TOKEN_CLOSE_LIST || now == TOKEN_COMMA)
		return false;
	if (now == TOKEN_EQUALS || f->before == TOKEN_EQUALS)
		return declares &&
		       (f->statement == TOKEN_PARAM || f->statement == TOKEN_STAGE ||
		        f->statement == TOKEN_SHARED);
	return true;
}

static void token(struct format *f, uint32_t i)
{
	const struct token *t = &f->tokens.list[i];
	bool first;

	if (!f->statement_open) {
		line_end(f);
		f->statement =
			t->kind == TOKEN_WORD ? token_statement(&f->tokens, i) : TOKEN_WIRE;
		f->depth = f->n_tokens = 0;
	}
	first = !f->line_open;
	if (first)
		line_begin(f, t->kind);
	f->statement_open = true;
	if (!first && f->n_tokens == 2 && f->statement != TOKEN_WIRE)
		f->now.split = f->code.size;
	if (!first && blank_between(f, t->kind))
		buf_addc(&f->code, ' ');
	buf_add(&f->code, f->tokens.text + t->begin, t->end - t->begin);
	f->now.end = f->code.size;
	f->now.no_code = false;
	f->depth += t->kind == TOKEN_OPEN || t->kind == TOKEN_OPEN_LIST;
	f->depth -= t->kind == TOKEN_CLOSE || t->kind == TOKEN_CLOSE_LIST;
	f->before = t->kind;
	f->n_tokens++;
}

static void make_lines(struct format *f)
{
	for (uint32_t i = 0; f->tokens.list[i].kind != TOKEN_END; i++) {
		enum token_kind kind = f->tokens.list[i].kind;

		if (kind == TOKEN_SEMICOLON) {
			f->statement_open = false; /* a comment may still join the line */
		} else if (kind == TOKEN_COMMENT) {
			if (!f->line_open)
				line_begin(f, kind);
			f->now.comment = i;
		} else if (kind != TOKEN_NEWLINE) {
			token(f, i);
		} else {
			f->blank = f->blank || !f->line_open;
			line_end(f);
			f->statement_open = f->statement_open && goes_on(f, i);
		}
	}
	line_end(f);
}

static size_t columns(const struct format *f, size_t begin, size_t end)
{
	size_t n = 0, size;
	uint32_t c;

	while (begin < end) {
		size = utf8_decode(f->code.text + begin, end - begin, &c);
		n += size ? utf8_columns(c) : 1;
		begin += size ? size : 1;
	}
	return n;
}

/* Lines up what stands behind the names of a block of declarations. */
static void pad_names(struct format *f)
{
	size_t i, j, widest, width;

	for (i = 0; i < f->n_lines; i = j) {
		widest = 0;
		for (j = i; j < f->n_lines; j++) {
			const struct line *l = &f->lines[j];

			if (j > i && (l->blank ||
			              (!l->continued &&
			               (l->no_code || l->statement != f->lines[i].statement))))
				break;
			width = l->split ? l->split - l->begin : 0;
			if (width > widest && width <= NAME_MAX_COLUMN)
				widest = width;
		}
		for (size_t k = i; k < j; k++) {
			struct line *l = &f->lines[k];

			if (l->split && l->split - l->begin < widest)
				l->pad = widest - (l->split - l->begin);
		}
	}
}

static void add_blanks(struct buf *out, size_t n)
{
	while (n-- > 0)
		buf_addc(out, ' ');
}

/* `widest`: columns of the widest line whose comment is lined up with this one's. */
static void add_line(const struct format *f, const struct line *l, size_t widest,
                     struct buf *out)
{
	const struct token *t = l->comment != NO_COMMENT ? &f->tokens.list[l->comment] : NULL;
	size_t split = l->split ? l->split : l->begin, width, end;

	if (l->blank)
		buf_addc(out, '\n');
	buf_add(out, f->code.text + l->begin, split - l->begin);
	add_blanks(out, l->pad);
	buf_add(out, f->code.text + split, l->end - split);
	if (t) {
		width = columns(f, l->begin, l->end) + l->pad;
		if (!l->no_code)
			add_blanks(out, (widest > width ? widest - width : 0) + 2);
		for (end = t->end; end > t->begin; end--) {
			char c = f->tokens.text[end - 1];

			if (c != ' ' && c != '\t' && c != '\r')
				break;
		}
		buf_add(out, f->tokens.text + t->begin, end - t->begin);
	}
	buf_addc(out, '\n');
}

/* Writes the lines; the comments of a block stand two blanks behind the longest line. */
static void add_lines(const struct format *f, struct buf *out)
{
	size_t i, j, widest, width;

	for (i = 0; i < f->n_lines; i = j) {
		widest = 0;
		for (j = i; j < f->n_lines; j++) {
			const struct line *l = &f->lines[j];

			if (l->comment == NO_COMMENT || l->no_code || (j > i && l->blank))
				break;
			width = columns(f, l->begin, l->end) + l->pad;
			if (width > widest && width <= COMMENT_MAX_COLUMN)
				widest = width;
		}
		for (size_t k = i; k < j; k++)
			add_line(f, &f->lines[k], widest, out);
		if (i == j) /* no comment, or nothing else */
			add_line(f, &f->lines[j++], 0, out);
	}
}

bool lang_format(struct buf *out, struct diag_list *diags, uint32_t source)
{
	struct format f = {.statement = TOKEN_WIRE};
	bool ok = parse_syntax(diags, source) && token_read(&f.tokens, diags, source, true);

	if (ok) {
		buf_add(&f.code, "", 0);
		make_lines(&f);
		ok = !f.failed && !f.code.failed;
	}
	if (ok) {
		pad_names(&f);
		add_lines(&f, out);
		ok = !out->failed;
	}
	token_fini(&f.tokens);
	buf_fini(&f.code);
	free(f.lines);
	return ok;
}
