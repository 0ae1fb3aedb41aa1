/* fuzz-lang.c: any bytes as a graph file.
 *
 * Run by libFuzzer (./dev fuzz) and, over the corpus, by replay.c in every build. Whatever the
 * text is, parsing and formatting must end soon, and what is shown must be fit for a terminal. A
 * text without mistakes can be formatted; formatting twice changes nothing, and the tree stays.
 * Includes give ever shorter ends of the same text. */
#include "../unit/lang/parsed.h"

#include "base/value.h"

#include <stdint.h>
#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const char *text;
	size_t size;
};

static void must(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "fuzz-lang: %s\n", what);
	abort();
}

/* Named by how often the text was halved. A path that begins with "c" leads in a circle. */
static bool include(void *user, const char *from, const char *path, char **ret_name,
                    char **ret_text, size_t *ret_size, char **ret_reason)
{
	const struct input *in = user;
	unsigned level = (unsigned)strtoul(from, NULL, 10) + 1;

	if (level > 32 || path[0] == 'n') {
		*ret_reason = strdup("No such file or directory");
		return false;
	}
	*ret_size = in->size >> level;
	*ret_text = malloc(*ret_size + 1);
	memcpy(*ret_text, in->text + in->size - *ret_size, *ret_size);
	*ret_name = malloc(16);
	snprintf(*ret_name, 16, "%u", path[0] == 'c' ? 0 : level);
	return true;
}

static void try_value(const struct lang_value *v)
{
	struct buf text = {0};
	int64_t i, again;
	uint64_t u;
	double d;
	bool b;

	if (!v->text)
		return;
	must(v->text[v->size] == '\0', "a value does not end with NUL");
	value_i64(v->text, v->size, &i);
	value_u64(v->text, v->size, &u);
	value_f64(v->text, v->size, &d);
	value_bytes(v->text, v->size, &u);
	value_bool(v->text, v->size, &b);
	if (value_duration(v->text, v->size, &i) == VALUE_OK) {
		value_duration_text(&text, i);
		must(value_duration(text.text, text.size, &again) == VALUE_OK && again == i,
		     "a duration's text means another duration");
		buf_fini(&text);
	}
}

static void try_values(const struct lang_tree *t)
{
	for (size_t i = 0; i < t->n_stages; i++)
		for (size_t j = 0; j < t->stages[i].call.n_args; j++)
			try_value(&t->stages[i].call.args[j].value);
	for (size_t i = 0; i < t->n_queues; i++)
		for (size_t j = 0; j < t->queues[i].n_attrs; j++)
			try_value(&t->queues[i].attrs[j].value);
	for (size_t i = 0; i < t->n_params; i++)
		try_value(&t->params[i].value);
}

static void try_shown(const struct parsed *p)
{
	for (size_t i = 0; i < p->shown.size; i++) {
		unsigned char c = (unsigned char)p->shown.text[i];

		must((c >= 0x20 && c != 0x7f) || c == '\n' || c == '\t',
		     "a control character is shown");
	}
	must(p->shown.size == 0 || p->shown.text[p->shown.size - 1] == '\n',
	     "what is shown does not end with a newline");
	must((p->diags.n_errors + p->diags.n_warnings > 0) == (p->shown.size > 0),
	     "mistakes and what is shown differ");
}

static void try_format(const char *text, size_t size, const struct parsed *before)
{
	struct parsed after;
	size_t once_size, twice_size;
	char *once = parsed_format(text, size, &once_size), *twice;

	must(once || before->diags.n_errors > 0, "a right text is not formatted");
	if (!once)
		return;
	twice = parsed_format(once, once_size, &twice_size);
	must(twice, "formatting made a mistake");
	must(once_size == twice_size && memcmp(once, twice, once_size) == 0,
	     "formatting twice is another thing");
	parsed_init(&after, once, once_size, NULL, 0, NULL);
	must(after.diags.n_errors == before->diags.n_errors, "formatting changed the mistakes");
	must(strcmp(before->tree_text.text, after.tree_text.text) == 0,
	     "formatting changed the graph");
	parsed_fini(&after);
	free(once);
	free(twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct lang_define defines[] = {{"a", "4k"}, {"b", "x \"y\" ${a}"}};
	struct input in = {(const char *)data, size};
	struct diag_list diags = {0};
	struct lang_tree tree;
	struct parsed p;
	struct buf shown = {0};
	uint32_t source;

	parsed_init(&p, in.text, in.size, NULL, 0, NULL);
	must(p.ok, "out of memory");
	try_shown(&p);
	try_values(&p.tree);
	try_format(in.text, in.size, &p);
	parsed_fini(&p);

	source = diag_source_add(&diags, "0", in.text, in.size, (struct diag_span){0});
	must(lang_parse(&tree, &diags, source, defines, 2, include, &in), "out of memory");
	diag_render(&diags, &shown);
	try_values(&tree);
	lang_tree_fini(&tree);
	diag_list_fini(&diags);
	buf_fini(&shown);
	return 0;
}
