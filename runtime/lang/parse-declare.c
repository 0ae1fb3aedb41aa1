/* lang/parse-declare.c: the statements that begin with a word of their own.
 *
 * Used by the loop in parse.c, on one thread. What was understood of a wrong statement goes into
 * the tree all the same, marked as broken, so that its name is known to what follows. */
#include "lang/parse.h"

#include "base/near.h"

/* Behind the call of a stage, and behind the name of a queue. */
static bool attrs(struct parse *p, const char *whose, struct lang_attr **ret, size_t *ret_n)
{
	struct lang_attr attr;

	while (parse_peek(p) == TOKEN_WORD) {
		if (!parse_attr(p, &attr))
			return false;
		PARSE_APPEND(p, *ret, *ret_n, attr);
	}
	if (parse_ends(p))
		return true;
	parse_expected(p, "an attribute or the end of the line");
	if (parse_peek(p) == TOKEN_COMMA)
		return parse_hint(p, "attributes of a %s are separated by blanks", whose);
	if (parse_peek(p) == TOKEN_OPEN_LIST)
		return parse_hint(p, "attributes of a %s stand without [ ]", whose);
	if (parse_peek(p) == TOKEN_ARROW)
		return parse_hint(p, "a %s is wired in a line of its own", whose);
	return false;
}

/* NAME "=", or the NAME alone is known on failure. */
static bool name_equals(struct parse *p, const char *statement, struct lang_name *ret)
{
	struct buf what = {0};
	bool ok;

	buf_addf(&what, "a name after '%s'", statement);
	ok = parse_name(p, what.failed ? "a name" : what.text, ret);
	buf_fini(&what);
	if (!ok)
		return false;
	return parse_take(p, TOKEN_EQUALS) ||
	       parse_expected(p, "'=' behind '%s %.40s'", statement, ret->text);
}

static bool param(struct parse *p)
{
	struct lang_name name = {0};
	struct lang_value value = {.text = ""};
	bool ok = name_equals(p, "param", &name) && parse_value(p, name.text, &value);

	if (ok && !parse_ends(p)) {
		ok = parse_expected(p, "the end of the line after the value");
		if (parse_peek(p) == TOKEN_WORD)
			parse_hint(p, "a text with blanks stands in double quotes");
	}
	if (name.text)
		parse_param_add(p, name, value);
	return ok;
}

static bool include(struct parse *p)
{
	struct lang_value path;

	if (parse_peek(p) != TOKEN_STRING) {
		parse_expected(p, "a file's name in double quotes after 'include'");
		return false;
	}
	return parse_value(p, "include", &path) && parse_end(p, "the file's name") &&
	       parse_include(p, &path);
}

static bool stage(struct parse *p, uint32_t begin)
{
	struct lang_stage s = {.call.plugin.text = ""};
	bool ok = name_equals(p, "stage", &s.name) && parse_call(p, &s.call) &&
	          attrs(p, "stage", &s.attrs, &s.n_attrs);

	s.span = parse_span(p, begin);
	s.broken = p->mistake;
	if (s.name.text)
		PARSE_APPEND(p, p->tree->stages, p->tree->n_stages, s);
	return ok;
}

static bool shared(struct parse *p, uint32_t begin)
{
	struct lang_shared s = {.call.plugin.text = ""};
	bool ok = name_equals(p, "shared", &s.name) && parse_call(p, &s.call) &&
	          attrs(p, "shared state", &s.attrs, &s.n_attrs);

	s.span = parse_span(p, begin);
	s.broken = p->mistake;
	if (s.name.text)
		PARSE_APPEND(p, p->tree->shareds, p->tree->n_shareds, s);
	return ok;
}

static bool queue(struct parse *p, uint32_t begin)
{
	struct lang_queue q = {0};
	bool ok = parse_name(p, "a name after 'queue'", &q.name);

	if (ok && parse_peek(p) == TOKEN_EQUALS) {
		ok = parse_expected(p, "an attribute or the end of the line");
		parse_hint(p, "a queue has attributes, such as capacity=64");
	}
	ok = ok && attrs(p, "queue", &q.attrs, &q.n_attrs);
	q.span = parse_span(p, begin);
	q.broken = p->mistake;
	if (q.name.text)
		PARSE_APPEND(p, p->tree->queues, p->tree->n_queues, q);
	return ok;
}

static bool join_after(struct parse *p, struct lang_join *j)
{
	struct lang_name name;
	bool ok;

	if (!parse_is(p, "after")) {
		size_t size;
		const char *text = parse_token_text(p, p->file.at, &size);
		struct near near = NEAR_INIT(text, size);

		near_offer(&near, "after");
		parse_expected(p, "'after' behind 'join %.40s'", j->name.text);
		return near.best ? parse_hint(p, "did you mean 'after'?") : false;
	}
	p->file.at++;
	do {
		if (j->n_after > 0 && !parse_goes_on(p))
			return parse_expected(p, "a stage, a queue or a join after ','");
		ok = parse_name(p, "a stage, a queue or a join", &name);
		if (!ok)
			return false;
		PARSE_APPEND(p, j->after, j->n_after, name);
	} while (parse_take(p, TOKEN_COMMA));
	return parse_ends(p) || parse_expected(p, "',' or the end of the line");
}

static bool join(struct parse *p, uint32_t begin)
{
	struct lang_join j = {0};
	bool ok = parse_name(p, "a name after 'join'", &j.name) && join_after(p, &j);

	j.span = parse_span(p, begin);
	j.broken = p->mistake;
	if (j.name.text)
		PARSE_APPEND(p, p->tree->joins, p->tree->n_joins, j);
	return ok;
}

bool parse_declaration(struct parse *p, enum token_statement statement, bool has_word)
{
	uint32_t begin = p->file.at;

	if (statement != TOKEN_WIRE && has_word)
		p->file.at++;
	switch (statement) {
	case TOKEN_PARAM:
		return param(p);
	case TOKEN_INCLUDE:
		return include(p);
	case TOKEN_STAGE:
		return stage(p, begin);
	case TOKEN_QUEUE:
		return queue(p, begin);
	case TOKEN_JOIN:
		return join(p, begin);
	case TOKEN_SHARED:
		return shared(p, begin);
	case TOKEN_WIRE:
		break;
	}
	return parse_wire(p);
}
