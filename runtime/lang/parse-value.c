/* lang/parse-value.c: names, values, strings and the params that values refer to.
 *
 * Used by the other files of the parser, on one thread. A reference is replaced while the text is
 * read, so that a param counts from its line on, in includes too, and circles can't be. References
 * to params that were not there yet are kept until the end, when it is known whether such a param
 * comes later or not at all. */
#include "lang/parse.h"

#include "base/near.h"

#include <string.h>

enum {
	COMPOSED_MAX = 16 * 1024 * 1024, /* bytes; params in params grow exponentially */
	NEAR_MAX = 100                   /* references for which a near name is sought */
};

struct lang_name parse_name_of(struct parse *p, const char *text, size_t size, uint32_t begin)
{
	struct lang_name name = {.text = arena_text(&p->tree->arena, text, size),
	                         .size = size,
	                         .span = {p->file.source, begin, begin + (uint32_t)size}};

	if (!name.text) { /* the arena remembers; nobody may stumble over a NULL until then */
		name.text = "";
		name.size = 0;
	}
	return name;
}

bool parse_name(struct parse *p, const char *what, struct lang_name *ret)
{
	bool is_word = parse_peek(p) == TOKEN_WORD;
	const char *text;
	size_t size;

	if (is_word) {
		text = parse_token_text(p, p->file.at, &size);
		if (token_name_size(text, size) == size) {
			*ret = parse_name_of(p, text, size,
			                     parse_token_span(p, p->file.at).begin);
			p->file.at++;
			return true;
		}
	}
	parse_expected(p, "%s", what);
	if (is_word)
		parse_hint(p, "a name is made of letters, digits, '_' and '-', a letter first");
	return false;
}

static void set_text(struct parse *p, struct lang_value *value, const char *text, size_t size)
{
	value->text = arena_text(&p->tree->arena, text, size);
	value->size = size;
	if (!value->text) { /* as with names */
		value->text = "";
		value->size = 0;
	}
}

/* The value of a param; `span` is where it is asked for. */
static struct lang_value resolve(struct parse *p, const char *name, size_t size,
                                 struct diag_span span)
{
	struct lang_value value = {.text = "", .span = span};
	struct lang_param *param;
	uint32_t number;

	if (p->syntax_only)
		return value;
	number = names_find(&p->params, name, size);
	if (number == NAMES_NONE) {
		struct lang_name unknown = {arena_text(&p->tree->arena, name, size), size,
		                            span};

		PARSE_APPEND(p, p->unknown, p->n_unknown, unknown);
		p->mistake = true;
		return value;
	}
	param = &p->tree->params[number];
	param->used = true;
	value = param->value;
	value.span = span;
	value.param = param->name.text;
	return value;
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* An escape at text[0] == '\\': adds its byte to the scratch and returns its length. `at` is its
 * place in the source. */
static size_t escape(struct parse *p, const char *text, size_t size, uint32_t at)
{
	static const char letters[] = "ntr\"\\$", bytes[] = "\n\t\r\"\\$";
	struct diag_span span = {p->file.source, at, at + 2};
	const char *letter = strchr(letters, text[1]);
	int high = size > 3 ? hex(text[2]) : -1, low = high >= 0 ? hex(text[3]) : -1;

	if (letter && *letter) {
		buf_addc(&p->scratch, bytes[letter - letters]);
		return 2;
	}
	if (text[1] == 'x' && low >= 0 && high + low > 0) {
		buf_addc(&p->scratch, (char)(high << 4 | low));
		return 4;
	}
	if (text[1] == '0' || (text[1] == 'x' && low == 0)) {
		span.end += text[1] == 'x' ? 2 : 0;
		parse_mistake(p, span, "a string can't hold a NUL byte");
	} else if (text[1] == 'x') {
		parse_mistake(p, span, "expected two hexadecimal digits after '\\x'");
	} else {
		for (size_t i = 2; i < size && ((unsigned char)text[i] & 0xc0) == 0x80; i++)
			span.end++;
		parse_mistake(p, span, "unknown escape '%.*s' in a string",
		              (int)(span.end - span.begin), text);
		parse_hint(p, "write '\\\\' for a plain backslash");
	}
	return span.end - span.begin;
}

/* A '$' at text[0]: replaces ${name} and returns its length. */
static size_t dollar(struct parse *p, const char *text, size_t size, uint32_t at)
{
	struct diag_span span = {p->file.source, at, at + 2};
	struct lang_value value;
	size_t name_size, n;
	const char *name;

	n = token_ref(text, size, &name, &name_size);
	if (n > 0)
		span.end = at + (uint32_t)n;
	if (size > 1 && text[1] == '{') {
		if (n == 0) {
			parse_mistake(p, span,
			              "expected the name of a param and '}' after '${'");
			parse_hint(p, "write '\\$' for a plain dollar sign");
			return 2;
		}
		value = resolve(p, name, name_size, span);
		buf_add(&p->scratch, value.text, value.size);
		return n;
	}
	if (n > 0 && !p->syntax_only && names_find(&p->params, name, name_size) != NAMES_NONE) {
		struct diag *d = diag_warning(
			p->diags, span, "'%.*s' in a string is not replaced", (int)n, text);

		diag_hint(p->diags, d,
		          "write '${%.*s}' for the param's value, '\\%.*s' for the text",
		          (int)name_size, name, (int)n, text);
	}
	buf_addc(&p->scratch, '$');
	return 1;
}

static void string(struct parse *p, struct lang_value *ret)
{
	size_t size, i = 1;
	const char *text = parse_token_text(p, p->file.at, &size);

	ret->quoted = true;
	buf_fini(&p->scratch);
	size--; /* the closing quote */
	while (i < size) {
		size_t plain = i;

		while (i < size && text[i] != '\\' && text[i] != '$')
			i++;
		buf_add(&p->scratch, text + plain, i - plain);
		if (i < size && text[i] == '\\')
			i += escape(p, text + i, size - i, ret->span.begin + (uint32_t)i);
		else if (i < size)
			i += dollar(p, text + i, size - i, ret->span.begin + (uint32_t)i);
		if (p->scratch.size > size && p->composed + p->scratch.size > COMPOSED_MAX) {
			parse_mistake(p, ret->span,
			              "this text becomes too long with its params in it");
			p->scratch.size = 0;
			break;
		}
	}
	if (p->scratch.size > size)
		p->composed += p->scratch.size;
	if (p->scratch.failed)
		p->tree->arena.failed = true;
	set_text(p, ret, p->scratch.text, p->scratch.failed ? 0 : p->scratch.size);
}

bool parse_value(struct parse *p, const char *of, struct lang_value *ret)
{
	enum token_kind kind = parse_peek(p), next;
	const char *text, *name;
	size_t size, name_size;

	*ret = (struct lang_value){.text = ""};
	if ((kind != TOKEN_WORD && kind != TOKEN_STRING && kind != TOKEN_REF) ||
	    (p->file.depth > 0 && parse_list_is_left(p)))
		return of ? parse_expected(p, "a value after '%.40s='", of)
		          : parse_expected(p, "a parameter");
	text = parse_token_text(p, p->file.at, &size);
	ret->span = parse_token_span(p, p->file.at);
	if (kind == TOKEN_STRING) {
		string(p, ret);
	} else if (kind == TOKEN_REF) {
		token_ref(text, size, &name, &name_size);
		*ret = resolve(p, name, name_size, ret->span);
	} else {
		set_text(p, ret, text, size);
	}
	p->file.at++;
	next = parse_peek(p);
	if ((next == TOKEN_WORD || next == TOKEN_STRING || next == TOKEN_REF) &&
	    parse_token_span(p, p->file.at).begin == ret->span.end) {
		parse_mistake(p, parse_token_span(p, p->file.at),
		              "two values without anything between");
		return parse_hint(p, "to join them, write one string: \"...${name}...\"");
	}
	return true;
}

void parse_param_add(struct parse *p, struct lang_name name, struct lang_value value)
{
	struct lang_param param = {.name = name, .value = value};
	uint32_t number, define;

	if (!name.text || p->syntax_only)
		return;
	number = names_find(&p->params, name.text, name.size);
	if (number != NAMES_NONE) {
		parse_mistake(p, name.span, "param '%.60s' is declared twice", name.text);
		diag_note(p->diags, p->last, p->tree->params[number].name.span,
		          "it is declared here already");
		return;
	}
	param.value.origin = value.span;
	param.value.param = NULL;
	define = names_find(&p->defined, name.text, name.size);
	if (define != NAMES_NONE) {
		p->define_used[define] = true;
		set_text(p, &param.value, p->defines[define].value,
		         strlen(p->defines[define].value));
		param.value.quoted = false;
		param.value.origin = (struct diag_span){0};
	}
	number = (uint32_t)p->tree->n_params;
	PARSE_APPEND(p, p->tree->params, p->tree->n_params, param);
	if (!arena_failed(&p->tree->arena))
		names_add(&p->params, &p->tree->arena, name.text, name.size, number);
}

void parse_defines(struct parse *p, const struct lang_define *defines, size_t n)
{
	struct arena *a = &p->tree->arena;

	p->defines = defines;
	p->define_used = arena_alloc(a, n * sizeof(*p->define_used));
	/* The last of equal ones counts: it is found first. */
	for (size_t i = n; i-- > 0 && !arena_failed(a);) {
		size_t size = strlen(defines[i].name);

		if (names_find(&p->defined, defines[i].name, size) == NAMES_NONE)
			names_add(&p->defined, a, defines[i].name, size, (uint32_t)i);
		else
			p->define_used[i] = true;
	}
}

static const char *near_param(const struct parse *p, const char *text, size_t size)
{
	struct near near = NEAR_INIT(text, size);

	for (size_t i = 0; i < p->tree->n_params; i++)
		near_offer(&near, p->tree->params[i].name.text);
	return near.best;
}

void parse_params_check(struct parse *p, size_t n_defines)
{
	for (size_t i = 0; i < p->n_unknown; i++) {
		const struct lang_name *name = &p->unknown[i];
		uint32_t number = names_find(&p->params, name->text, name->size),
			 define = names_find(&p->defined, name->text, name->size);
		const char *best;

		if (define != NAMES_NONE)
			p->define_used[define] = true; /* one mistake: the missing param line */
		if (number != NAMES_NONE) {
			parse_mistake(p, name->span,
			              "param '%.60s' is used before its declaration",
			              name->text);
			diag_note(p->diags, p->last, p->tree->params[number].name.span,
			          "it is declared here, which is too late");
			continue;
		}
		if (p->tree->incomplete)
			continue;
		parse_mistake(p, name->span, "there is no param '%.60s'", name->text);
		best = i < NEAR_MAX ? near_param(p, name->text, name->size) : NULL;
		if (best)
			parse_hint(p, "did you mean '%s'?", best);
		else if (define != NAMES_NONE)
			parse_hint(p, "-D needs a line 'param %.60s = ...' in the file",
			           name->text);
	}
	for (size_t i = 0; i < n_defines; i++) {
		const char *best;

		if (p->define_used[i] || p->tree->incomplete)
			continue;
		parse_mistake(p, (struct diag_span){0},
		              "-D %.60s: there is no param of this name", p->defines[i].name);
		best = i < NEAR_MAX
		               ? near_param(p, p->defines[i].name, strlen(p->defines[i].name))
		               : NULL;
		if (best)
			parse_hint(p, "did you mean '%s'?", best);
	}
}
