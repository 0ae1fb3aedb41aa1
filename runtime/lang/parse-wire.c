/* lang/parse-wire.c: calls, attributes, and the lines that wire stages.
 *
 * Used by the other files of the parser, on one thread. Whether a bare name is a stage, a queue
 * or a plugin is not known here: it may be declared further down. */
#include "lang/parse.h"

#include <string.h>

static bool ends_with(const char *text, size_t size, const char *end)
{
	size_t n = strlen(end);

	return size > n && memcmp(text + size - n, end, n) == 0;
}

static bool is_file(const char *text, size_t size)
{
	return ends_with(text, size, ".so") || ends_with(text, size, ".c");
}

/* Why a word is not the name of a plugin, when something useful can be said. */
static bool plugin_hint(struct parse *p, const char *text, size_t size)
{
	if (memchr(text, '/', size))
		return parse_hint(p, "the file of a plugin ends in .so or .c");
	if (is_file(text, size))
		return parse_hint(p, "a file is written with its folder: './%.*s'",
		                  size > 40 ? 40 : (int)size, text);
	return parse_hint(p, "a name is made of letters, digits, '_' and '-', a letter first");
}

static bool arg(struct parse *p, struct lang_call *call)
{
	struct lang_arg arg = {0};

	if (parse_peek(p) == TOKEN_WORD && parse_peek_second(p) == TOKEN_EQUALS) {
		if (!parse_name(p, "the name of a parameter", &arg.name))
			return false;
		parse_take(p, TOKEN_EQUALS);
		if (!parse_value(p, arg.name.text, &arg.value))
			return false;
	} else if (!parse_value(p, NULL, &arg.value)) {
		return false;
	}
	PARSE_APPEND(p, call->args, call->n_args, arg);
	return true;
}

static bool args(struct parse *p, struct lang_call *call)
{
	uint32_t open;
	bool more;

	call->has_parens = true;
	if (!parse_list_begins(p, &open, &more))
		return false;
	while (more)
		if (!arg(p, call) || !parse_list_goes_on(p, open, &more))
			return false;
	return true;
}

bool parse_call(struct parse *p, struct lang_call *ret)
{
	uint32_t begin = p->file.at;
	const char *text;
	size_t size;
	bool ok = true;

	ret->plugin.text = "";
	ret->span = parse_token_span(p, begin);
	if (parse_peek(p) != TOKEN_WORD)
		return parse_expected(p, "the name or the file of a plugin after '='");
	text = parse_token_text(p, begin, &size);
	ret->is_path = memchr(text, '/', size) && is_file(text, size);
	if (!ret->is_path && token_name_size(text, size) != size) {
		parse_expected(p, "the name or the file of a plugin");
		return plugin_hint(p, text, size);
	}
	ret->plugin = parse_name_of(p, text, size, ret->span.begin);
	p->file.at++;
	if (parse_peek(p) == TOKEN_OPEN)
		ok = args(p, ret);
	ret->span = parse_span(p, begin);
	return ok;
}

bool parse_attr(struct parse *p, struct lang_attr *ret)
{
	struct lang_value more;
	size_t size;
	char *text;

	*ret = (struct lang_attr){0};
	if (!parse_name(p, "an attribute", &ret->name))
		return false;
	if (!parse_take(p, TOKEN_EQUALS))
		return true;
	if (!parse_value(p, ret->name.text, &ret->value))
		return false;
	if (ret->value.quoted || parse_peek(p) != TOKEN_EQUALS)
		return true;
	/* retry=3 */
	p->file.at++;
	if (!parse_value(p, ret->value.text, &more))
		return false;
	size = ret->value.size + 1 + more.size;
	text = arena_alloc(&p->tree->arena, size + 1);
	if (text) {
		memcpy(text, ret->value.text, ret->value.size);
		text[ret->value.size] = '=';
		memcpy(text + ret->value.size + 1, more.text, more.size);
		ret->value.text = text;
		ret->value.size = size;
	}
	ret->value.span.end = more.span.end;
	ret->value.param = NULL;
	ret->value.origin = (struct diag_span){0};
	return true;
}

/* NAME.PORT */
static bool port(struct parse *p, struct lang_end *end, const char *text, size_t size)
{
	const char *dot = memchr(text, '.', size);
	size_t name_size = (size_t)(dot - text), port_size = size - name_size - 1;
	uint32_t begin = end->span.begin;

	if (name_size == 0 || token_name_size(text, name_size) != name_size || port_size == 0 ||
	    token_name_size(dot + 1, port_size) != port_size) {
		parse_expected(p, "a stage, or a stage's port such as 'name.errors'");
		return is_file(text, size) ? plugin_hint(p, text, size) : false;
	}
	end->call.plugin = parse_name_of(p, text, name_size, begin);
	end->port = parse_name_of(p, dot + 1, port_size, begin + (uint32_t)name_size + 1);
	p->file.at++;
	if (parse_peek(p) != TOKEN_OPEN)
		return true;
	p->file.at--;
	parse_expected(p, "the name or the file of a plugin before '('");
	if (is_file(text, size))
		return plugin_hint(p, text, size);
	return parse_hint(p, "to wire a port, declare the stage in a line of its own");
}

static bool end(struct parse *p, struct lang_end *ret)
{
	const char *text;
	size_t size;
	bool ok;

	ret->span = parse_token_span(p, p->file.at);
	ret->call.plugin.text = "";
	ret->call.span = ret->span;
	text = parse_token_text(p, p->file.at, &size);
	if (memchr(text, '.', size) && !memchr(text, '/', size))
		return port(p, ret, text, size);
	ok = parse_call(p, &ret->call);
	ret->span = ret->call.span;
	/* grep("x").errors */
	if (ok && ret->call.has_parens && parse_peek(p) == TOKEN_WORD &&
	    *parse_token_text(p, p->file.at, &size) == '.') {
		parse_expected(p, "'->', ',' or the end of the line");
		return parse_hint(p, "to wire a port, declare the stage in a line of its own");
	}
	return ok;
}

/* A stage or a queue must follow the mark just taken, perhaps in a line further down. */
static bool end_follows(struct parse *p)
{
	size_t size;
	const char *mark = parse_token_text(p, p->file.at - 1, &size);

	if (parse_goes_on(p) && parse_peek(p) == TOKEN_WORD)
		return true;
	return parse_expected(p, "a stage or a queue after '%.*s'", (int)size, mark);
}

static bool group(struct parse *p, struct lang_group *ret)
{
	do {
		struct lang_end e = {0};
		bool ok;

		if (ret->n_ends > 0 && !end_follows(p))
			return false;
		ok = end(p, &e);
		if (*e.call.plugin.text)
			PARSE_APPEND(p, ret->ends, ret->n_ends, e);
		if (!ok)
			return false;
	} while (parse_take(p, TOKEN_COMMA));
	return true;
}

/* In [ ] */
static bool wire_attrs(struct parse *p, struct lang_wire *wire)
{
	struct lang_attr attr;
	uint32_t open;
	bool more;

	if (!parse_list_begins(p, &open, &more))
		return false;
	while (more) {
		if (!parse_attr(p, &attr))
			return false;
		PARSE_APPEND(p, wire->attrs, wire->n_attrs, attr);
		if (!parse_list_goes_on(p, open, &more))
			return false;
	}
	if (parse_peek(p) == TOKEN_ARROW) {
		parse_expected(p, "the end of the line after ']'");
		return parse_hint(p, "[ ] stands at the end, for all queues of the line");
	}
	return parse_end(p, "']'");
}

/* An arrow here, or at the beginning of the next line. */
static bool arrow(struct parse *p)
{
	uint32_t at = p->file.at;

	while (parse_take(p, TOKEN_NEWLINE))
		;
	if (parse_take(p, TOKEN_ARROW))
		return true;
	p->file.at = at;
	return false;
}

static bool wire(struct parse *p, struct lang_wire *w)
{
	size_t n_arrows = 0;

	for (;;) {
		struct lang_group g = {0};
		bool ok = group(p, &g);

		if (g.n_ends > 0)
			PARSE_APPEND(p, w->groups, w->n_groups, g);
		if (!ok)
			return false;
		if (!arrow(p))
			break;
		PARSE_APPEND(p, w->arrows, n_arrows, parse_token_span(p, p->file.at - 1));
		if (!end_follows(p))
			return false;
	}
	if (parse_peek(p) == TOKEN_OPEN_LIST)
		return wire_attrs(p, w);
	if (parse_ends(p))
		return true;
	parse_expected(p, "'->', ',' or the end of the line");
	if (parse_peek(p) == TOKEN_STRING || parse_peek(p) == TOKEN_REF)
		parse_hint(p, "parameters stand in parentheses");
	return false;
}

bool parse_wire(struct parse *p)
{
	struct lang_wire w = {0};
	uint32_t begin = p->file.at;
	bool ok = wire(p, &w);

	w.span = parse_span(p, begin);
	w.broken = p->mistake;
	if (w.n_groups > 0)
		PARSE_APPEND(p, p->tree->wires, p->tree->n_wires, w);
	return ok;
}
