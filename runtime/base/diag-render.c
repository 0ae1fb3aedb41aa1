/* base/diag-render.c: diagnostics as the user sees them.
 *
 * Called by whoever shows or returns the messages, on one thread. Reads the list, changes
 * nothing. The caret line is made while the source line is shown, character by character, so
 * that both agree whatever the characters take on the screen: tabs are copied, escapes and wide
 * characters are counted. Of a long line only the part round the caret is shown. */
#include "base/diag-place.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

/* Bytes of a line that are shown before and after the caret, when it has more than LINE_LONG. */
enum { LINE_LONG = 160, BEFORE = 60, AFTER = 80 };

/* Moves left to where a character begins. */
static size_t char_begin(const char *text, size_t at)
{
	for (int i = 0; i < 3 && at > 0 && ((unsigned char)text[at] & 0xc0) == 0x80; i++)
		at--;
	return at;
}

static void add_times(struct buf *b, char c, size_t n)
{
	while (n-- > 0)
		buf_addc(b, c);
}

/* The source line, and the line with the caret. */
static void excerpt(const struct diag_source *s, struct diag_span span, const char *hint,
                    struct buf *out)
{
	size_t begin = span.begin < s->size ? span.begin : s->size,
	       line = diag_line_of(s, (uint32_t)begin);
	size_t from = s->lines[line],
	       to = line + 1 < s->n_lines ? s->lines[line + 1] - 1 : s->size;
	size_t end, i, next;
	struct buf marks = {0};
	bool cut = false;
	unsigned columns;

	if (to > from && s->text[to - 1] == '\r')
		to--;
	if (begin > to)
		begin = to;
	end = span.end > to ? to : span.end;
	buf_addf(out, "%5u | ", (unsigned)line + 1);
	if (to - from > LINE_LONG) {
		if (begin - from > BEFORE) {
			from = char_begin(s->text, begin - BEFORE);
			buf_adds(out, "...");
			buf_adds(&marks, "   ");
		}
		if (to - begin > AFTER) {
			to = char_begin(s->text, begin + AFTER);
			cut = true;
		}
	}
	for (i = from; i < to; i = next) {
		bool tab = s->text[i] == '\t';

		if (tab) {
			buf_addc(out, '\t');
			columns = 1;
			next = i + 1;
		} else {
			next = i + utf8_show_char(out, s->text + i, to - i, &columns);
		}
		if (next <= begin) {
			add_times(&marks, tab ? '\t' : ' ', columns);
		} else if (i <= begin && columns > 0) {
			buf_addc(&marks, '^');
			add_times(&marks, '~', columns - 1);
		} else if (i < end) {
			add_times(&marks, '~', columns);
		}
	}
	if (begin == to)
		buf_addc(&marks, '^');
	if (cut)
		buf_adds(out, "...");
	while (out->size > 0 &&
	       (out->text[out->size - 1] == ' ' || out->text[out->size - 1] == '\t'))
		out->text[--out->size] = '\0';
	buf_adds(out, "\n      | ");
	if (!marks.failed)
		buf_add(out, marks.text, marks.size);
	buf_fini(&marks);
	if (hint) {
		buf_addc(out, ' ');
		utf8_show(out, hint, strlen(hint));
	}
	buf_addc(out, '\n');
}

static void show(const struct diag_list *list, const struct diag *d, struct buf *out)
{
	static const char *const severities[] = {
		[DIAG_ERROR] = "error", [DIAG_WARNING] = "warning", [DIAG_NOTE] = "note"};
	bool placed = diag_has_place(list, d->span);
	unsigned line, column;

	if (placed) {
		const char *name = diag_source_name(list, d->span);

		diag_position(list, d->span, &line, &column);
		utf8_show(out, name, strlen(name));
		buf_addf(out, ":%u:%u: ", line, column);
	}
	if (d->severity != DIAG_QUOTE)
		buf_addf(out, "%s: ", severities[d->severity]);
	utf8_show(out, d->message, strlen(d->message));
	buf_addc(out, '\n');
	if (placed) {
		excerpt(&list->sources[d->span.source], d->span, d->hint, out);
	} else if (d->hint) {
		buf_adds(out, "  ");
		utf8_show(out, d->hint, strlen(d->hint));
		buf_addc(out, '\n');
	}
}

/* How the source came into the graph, from the inside outwards. */
static void show_includes(const struct diag_list *list, uint32_t source, struct buf *out)
{
	while (diag_has_place(list, list->sources[source].included_from)) {
		struct diag note = {.severity = DIAG_NOTE, .message = "included from here"};

		note.span = list->sources[source].included_from;
		show(list, &note, out);
		/* A source is always younger than the one that includes it. */
		if (note.span.source >= source)
			break;
		source = note.span.source;
	}
}

struct entry {
	const struct diag *diag;
	size_t number;
	uint32_t source, begin; /* sort keys; no place: UINT32_MAX */
};

static int compare(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->source != y->source)
		return x->source < y->source ? -1 : 1;
	if (x->begin != y->begin)
		return x->begin < y->begin ? -1 : 1;
	return x->number < y->number ? -1 : 1;
}

void diag_render(const struct diag_list *list, struct buf *out)
{
	uint32_t last_source = 0;
	struct entry *entries;
	size_t n = 0, i = 0;

	for (const struct diag *d = list->first; d; d = d->next)
		n++;
	if (list->arena.failed)
		buf_adds(out, "error: out of memory: not all that is wrong is shown\n");
	if (n == 0)
		return;
	entries = calloc(n, sizeof(*entries));
	if (!entries) {
		out->failed = true;
		return;
	}
	for (const struct diag *d = list->first; d; d = d->next, i++) {
		entries[i] = (struct entry){d, i, UINT32_MAX, 0};
		if (diag_has_place(list, d->span)) {
			entries[i].source = d->span.source;
			entries[i].begin = d->span.begin;
		}
	}
	qsort(entries, n, sizeof(*entries), compare);
	for (i = 0; i < n; i++) {
		show(list, entries[i].diag, out);
		for (const struct diag *note = entries[i].diag->notes; note; note = note->next)
			show(list, note, out);
		if (entries[i].source != UINT32_MAX && entries[i].source != last_source) {
			last_source = entries[i].source;
			show_includes(list, last_source, out);
		}
	}
	free(entries);
}
