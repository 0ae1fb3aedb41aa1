/* lang/parse.c: lang_parse(): from statement to statement, and into includes.
 *
 * Called by plan/ to check a graph, by the formatter, and by the fuzzer; on one thread. Recursive
 * over includes only, to a depth that LEVELS_MAX bounds, so that no text can use up the stack. */
#include "lang/parse.h"

#include "base/near.h"

#include <stdlib.h>
#include <string.h>

enum { LEVELS_MAX = 64, INCLUDES_MAX = 1000, SHOWN_MAX = 40 };

/* "x = y()": the word before it was forgotten. Goes on as if it stood there, so that x is known. */
static bool forgotten(struct parse *p)
{
	uint32_t i = p->file.at;
	const struct token *behind = &p->file.tokens.list[i + 2];
	bool call = behind->kind == TOKEN_WORD && behind[1].kind == TOKEN_OPEN;
	enum token_statement which = call ? TOKEN_STAGE : TOKEN_PARAM;
	size_t size;
	const char *text = parse_token_text(p, i, &size);
	int shown = size > SHOWN_MAX ? SHOWN_MAX : (int)size;

	parse_mistake(p, parse_token_span(p, i), "'%.*s = ...' is no statement", shown, text);
	parse_hint(p, "did you mean '%s %.*s = ...'?", token_statements[which], shown, text);
	return parse_declaration(p, which, false);
}

/* "stag x = y()": true when it was reported; *ret_ok as the statement that was meant. */
static bool misspelt(struct parse *p, bool *ret_ok)
{
	uint32_t i = p->file.at;
	enum token_statement meant = TOKEN_WIRE;
	size_t size;
	const char *text = parse_token_text(p, i, &size);
	struct near near = NEAR_INIT(text, size);

	for (enum token_statement s = TOKEN_PARAM; s <= TOKEN_SHARED; s++) {
		unsigned before = near.distance;

		near_offer(&near, token_statements[s]);
		if (near.distance < before)
			meant = s;
	}
	if (meant == TOKEN_WIRE)
		return false;
	parse_mistake(p, parse_token_span(p, i), "there is no statement '%.*s'",
	              size > SHOWN_MAX ? SHOWN_MAX : (int)size, text);
	parse_hint(p, "did you mean '%s'?", near.best);
	/* Only where nothing speaks against it: else the guess would bring further messages. */
	*ret_ok = p->file.tokens.list[i + 2].kind == TOKEN_EQUALS &&
	          (meant == TOKEN_STAGE || meant == TOKEN_PARAM || meant == TOKEN_SHARED);
	*ret_ok = *ret_ok && parse_declaration(p, meant, true);
	return true;
}

static bool statement(struct parse *p)
{
	enum token_kind kind = parse_peek(p), second = parse_peek_second(p);
	enum token_statement which;
	bool ok;

	if (kind != TOKEN_WORD) {
		parse_expected(p, "a statement");
		if (kind == TOKEN_ARROW)
			parse_hint(p, "a stage or a queue must stand before '->'");
		return false;
	}
	which = token_statement(&p->file.tokens, p->file.at);
	if (which == TOKEN_WIRE && second == TOKEN_EQUALS)
		return forgotten(p);
	if (which == TOKEN_WIRE && (second == TOKEN_WORD || second == TOKEN_STRING) &&
	    misspelt(p, &ok))
		return ok;
	return parse_declaration(p, which, true);
}

static bool parse_file(struct parse *p, uint32_t source, const struct parse_file *includer)
{
	p->file = (struct parse_file){.source = source, .includer = includer};
	if (!token_read(&p->file.tokens, p->diags, source, false))
		return false;
	for (;;) {
		while (parse_take(p, TOKEN_NEWLINE) || parse_take(p, TOKEN_SEMICOLON))
			;
		if (parse_peek(p) == TOKEN_END)
			break;
		p->file.begin = p->file.at;
		p->mistake = false;
		if (!statement(p))
			parse_recover(p);
	}
	token_fini(&p->file.tokens);
	return !arena_failed(&p->tree->arena) && !arena_failed(&p->diags->arena);
}

/* Reports an include that leads back to a source that is being read. */
static bool in_circle(struct parse *p, struct diag_span span, const char *name)
{
	for (const struct parse_file *f = &p->file; f; f = f->includer)
		if (strcmp(p->diags->sources[f->source].name, name) == 0) {
			parse_mistake(p, span, "'%.200s' includes itself", name);
			return true;
		}
	return false;
}

bool parse_include(struct parse *p, const struct lang_value *path)
{
	char *name = NULL, *text = NULL, *reason = NULL;
	const char *from = p->diags->sources[p->file.source].name;
	struct parse_file outer;
	uint32_t source;
	size_t size = 0;
	bool ok = false;

	if (p->syntax_only)
		return true;
	if (++p->n_levels >= LEVELS_MAX)
		parse_mistake(p, path->span, "includes are nested more than %d deep",
		              LEVELS_MAX);
	else if (++p->n_includes > INCLUDES_MAX)
		parse_mistake(p, path->span, "there are more than %d includes", INCLUDES_MAX);
	else if (!p->include)
		parse_mistake(p, path->span, "nothing can be included here");
	else if (!p->include(p->include_user, from, path->text, &name, &text, &size, &reason))
		parse_mistake(p, path->span, "can't include '%.200s': %s", path->text,
		              reason ? reason : "out of memory");
	else if (!in_circle(p, path->span, name))
		ok = true;
	if (ok) {
		source = diag_source_add(p->diags, name, text, size, path->span);
		outer = p->file;
		ok = source != 0 && parse_file(p, source, &outer);
		p->file = outer;
		if (!ok)
			p->tree->arena.failed = true;
	}
	if (!ok)
		p->tree->incomplete = true;
	p->n_levels--;
	free(name);
	free(text);
	free(reason);
	return ok;
}

static bool parse_all(struct lang_tree *tree, struct diag_list *diags, uint32_t source,
                      const struct lang_define *defines, size_t n_defines,
                      lang_include_fn *include, void *include_user, bool syntax_only)
{
	struct parse p = {.tree = tree,
	                  .diags = diags,
	                  .syntax_only = syntax_only,
	                  .include = include,
	                  .include_user = include_user};
	bool ok;

	*tree = (struct lang_tree){0};
	parse_defines(&p, defines, n_defines);
	ok = !arena_failed(&tree->arena) && parse_file(&p, source, NULL);
	if (ok)
		parse_params_check(&p, n_defines);
	buf_fini(&p.scratch);
	return ok && !arena_failed(&tree->arena) && !arena_failed(&diags->arena);
}

bool lang_parse(struct lang_tree *ret_tree, struct diag_list *diags, uint32_t source,
                const struct lang_define *defines, size_t n_defines, lang_include_fn *include,
                void *include_user)
{
	return parse_all(ret_tree, diags, source, defines, n_defines, include, include_user,
	                 false);
}

bool parse_syntax(struct diag_list *diags, uint32_t source)
{
	size_t before = diags->n_errors;
	struct lang_tree tree;
	bool ok = parse_all(&tree, diags, source, NULL, 0, NULL, NULL, true);

	lang_tree_fini(&tree);
	return ok && diags->n_errors == before;
}

void lang_tree_fini(struct lang_tree *tree)
{
	if (tree)
		arena_fini(&tree->arena);
}
