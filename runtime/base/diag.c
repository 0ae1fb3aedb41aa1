/* base/diag.c: the list of mistakes: sources, places, and how they are gathered.
 *
 * Called by the language, the loader and the plan on one thread; diag-render.c shows the result.
 * A source gets two tables when it is added, so that every place is found in O(log lines) and
 * the columns of a line of any length in constant time: without them, ten thousand mistakes in
 * one long line would take a quadratic time. */
#include "base/diag.h"

#include "base/diag-place.h"

#include <string.h>

enum { CHECKPOINT = 1024 }; /* bytes between counts of characters */

/* Stands for every diagnostic for which there was no memory. Nothing reads what is written here:
 * it is on no list. */
static _Thread_local struct diag lost;

void diag_list_fini(struct diag_list *list)
{
	if (!list)
		return;
	arena_fini(&list->arena);
	*list = (struct diag_list){0};
}

static uint32_t count_chars(const char *text, size_t size)
{
	uint32_t n = 0;

	for (size_t i = 0; i < size; i++)
		n += ((unsigned char)text[i] & 0xc0) != 0x80;
	return n;
}

/* The tables of a source; false: out of memory. */
static bool measure(struct arena *a, struct diag_source *s)
{
	uint32_t n_checks = (uint32_t)(s->size / CHECKPOINT + 1), n_lines = 1, i;
	const char *p = s->text, *end = s->text + s->size;
	uint32_t *lines, *chars;

	while (p < end && (p = memchr(p, '\n', (size_t)(end - p)))) {
		n_lines++;
		p++;
	}
	lines = arena_alloc(a, n_lines * sizeof(*lines));
	chars = arena_alloc(a, n_checks * sizeof(*chars));
	if (!lines || !chars)
		return false;
	for (i = 1, p = s->text; i < n_lines; i++) {
		p = (const char *)memchr(p, '\n', (size_t)(end - p)) + 1;
		lines[i] = (uint32_t)(p - s->text);
	}
	for (i = 1; i < n_checks; i++)
		chars[i] = chars[i - 1] +
		           count_chars(s->text + (i - 1) * (size_t)CHECKPOINT, CHECKPOINT);
	s->lines = lines;
	s->n_lines = n_lines;
	s->chars = chars;
	return true;
}

uint32_t diag_source_add(struct diag_list *list, const char *name, const char *text,
                         size_t size, struct diag_span included_from)
{
	struct arena *a = &list->arena;
	size_t n = list->n_sources ? list->n_sources : 1; /* [0] stays unused */
	struct diag_source *sources, *s;

	sources = n == 1 ? arena_alloc(a, 2 * sizeof(*sources))
	                 : arena_grow(a, list->sources, n, sizeof(*sources));
	if (!sources || size >= UINT32_MAX)
		return 0;
	list->sources = sources;
	s = &sources[n];
	*s = (struct diag_source){.name = arena_string(a, name),
	                          .text = arena_text(a, text, size),
	                          .size = size,
	                          .included_from = included_from};
	if (arena_failed(a) || !measure(a, s))
		return 0;
	list->n_sources = n + 1;
	return (uint32_t)n;
}

__attribute__((format(printf, 4, 0))) static struct diag *make(struct diag_list *list,
                                                               enum diag_severity severity,
                                                               struct diag_span span,
                                                               const char *format, va_list ap)
{
	struct buf text = {0};
	struct diag *d;

	buf_addv(&text, format, ap);
	d = arena_alloc(&list->arena, sizeof(*d));
	if (d)
		*d = (struct diag){.severity = severity, .span = span};
	if (d && !text.failed)
		d->message = arena_text(&list->arena, text.text, text.size);
	buf_fini(&text);
	return d && d->message ? d : NULL;
}

static struct diag *add(struct diag_list *list, struct diag *d)
{
	if (!d) {
		lost = (struct diag){0};
		return &lost;
	}
	if (list->last)
		list->last->next = d;
	else
		list->first = d;
	list->last = d;
	return d;
}

struct diag *diag_error(struct diag_list *list, struct diag_span span, const char *format, ...)
{
	struct diag *d;
	va_list ap;

	va_start(ap, format);
	d = make(list, DIAG_ERROR, span, format, ap);
	va_end(ap);
	list->n_errors++; /* also when it is lost: the text stays wrong */
	return add(list, d);
}

struct diag *diag_warning(struct diag_list *list, struct diag_span span, const char *format,
                          ...)
{
	struct diag *d;
	va_list ap;

	va_start(ap, format);
	d = make(list, DIAG_WARNING, span, format, ap);
	va_end(ap);
	list->n_warnings++;
	return add(list, d);
}

static void hang(struct diag *to, struct diag *d)
{
	struct diag **at;

	if (!d || to == &lost)
		return;
	for (at = &to->notes; *at; at = &(*at)->next)
		;
	*at = d;
}

void diag_note(struct diag_list *list, struct diag *to, struct diag_span span,
               const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	hang(to, make(list, DIAG_NOTE, span, format, ap));
	va_end(ap);
}

void diag_quote(struct diag_list *list, struct diag *to, const char *line, size_t size)
{
	struct diag *d = arena_alloc(&list->arena, sizeof(*d));

	if (!d)
		return;
	*d = (struct diag){.severity = DIAG_QUOTE,
	                   .message = arena_text(&list->arena, line, size)};
	hang(to, d->message ? d : NULL);
}

void diag_hint(struct diag_list *list, struct diag *to, const char *format, ...)
{
	struct buf text = {0};
	va_list ap;

	va_start(ap, format);
	buf_addv(&text, format, ap);
	va_end(ap);
	if (!text.failed && to != &lost)
		to->hint = arena_text(&list->arena, text.text, text.size);
	buf_fini(&text);
}

uint32_t diag_line_of(const struct diag_source *s, uint32_t at)
{
	uint32_t low = 0, high = s->n_lines;

	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;

		if (s->lines[middle] <= at)
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* Characters before `at`. */
static uint32_t chars_before(const struct diag_source *s, uint32_t at)
{
	uint32_t check = at / CHECKPOINT;

	return s->chars[check] + count_chars(s->text + check * (size_t)CHECKPOINT,
	                                     at - check * (size_t)CHECKPOINT);
}

bool diag_has_place(const struct diag_list *list, struct diag_span span)
{
	return span.source > 0 && span.source < list->n_sources;
}

void diag_position(const struct diag_list *list, struct diag_span span, unsigned *ret_line,
                   unsigned *ret_column)
{
	const struct diag_source *s;
	uint32_t at, line;

	*ret_line = *ret_column = 0;
	if (!diag_has_place(list, span))
		return;
	s = &list->sources[span.source];
	at = span.begin < s->size ? span.begin : (uint32_t)s->size;
	line = diag_line_of(s, at);
	*ret_line = line + 1;
	*ret_column = chars_before(s, at) - chars_before(s, s->lines[line]) + 1;
}

const char *diag_source_name(const struct diag_list *list, struct diag_span span)
{
	return diag_has_place(list, span) ? list->sources[span.source].name : "";
}
