/* base/diag.h: mistakes in texts, with their places.
 *
 * The language, the loader and the plan add to one list; the command prints it rendered:
 *
 *   graph.txt:9:27: error: stage 'count' has no parameter 'windw'
 *       9 | stage count = count(windw=5s)
 *         |                     ^~~~~ did you mean 'window'?
 *   graph.txt:4:1: note: 'count' is declared here
 *       4 | ...
 *
 * One thread. Sources are copied, and live as long as the list.
 */
#ifndef BASE_DIAG_H
#define BASE_DIAG_H

#include "base/arena.h"
#include "base/buf.h"

#include <stdarg.h>
#include <stdint.h>

enum diag_severity {
	DIAG_ERROR,
	DIAG_WARNING,
	DIAG_NOTE,
	DIAG_QUOTE /* among notes: a line of somebody else's, a compiler's say, as it is */
};

/* Bytes [begin, end) of a source; source 0 means "no place". */
struct diag_span {
	uint32_t source;
	uint32_t begin, end;
};

struct diag {
	enum diag_severity severity;
	struct diag_span span;
	const char *message;
	const char *hint;   /* stands behind the caret, may be NULL */
	struct diag *notes; /* in order */
	struct diag *next;
};

struct diag_source {
	const char *name; /* as shown */
	const char *text;
	size_t size;
	struct diag_span included_from; /* source 0: it was named on the command line */
	/* diag.c's: where each line begins; characters before every 1024th byte. */
	const uint32_t *lines, *chars;
	uint32_t n_lines;
};

struct diag_list {
	struct arena arena;
	struct diag_source *sources; /* [0] is unused */
	size_t n_sources;
	struct diag *first, *last;
	size_t n_errors, n_warnings;
};

void diag_list_fini(struct diag_list *list);
/* Returns the source's number, 0 when out of memory. The text is copied. */
uint32_t diag_source_add(struct diag_list *list, const char *name, const char *text,
                         size_t size, struct diag_span included_from);
/* Returns the diagnostic, to hang notes and a hint on; never NULL (a static one when out of memory). */
__attribute__((format(printf, 3, 4))) struct diag *
diag_error(struct diag_list *list, struct diag_span span, const char *format, ...);
__attribute__((format(printf, 3, 4))) struct diag *
diag_warning(struct diag_list *list, struct diag_span span, const char *format, ...);
__attribute__((format(printf, 4, 5))) void diag_note(struct diag_list *list, struct diag *to,
                                                     struct diag_span span, const char *format,
                                                     ...);
/* A line that stands below `to` as it is. */
void diag_quote(struct diag_list *list, struct diag *to, const char *line, size_t size);
__attribute__((format(printf, 3, 4))) void diag_hint(struct diag_list *list, struct diag *to,
                                                     const char *format, ...);
/* 1-based line and column (column counts characters of UTF-8, a tab as one); 0, 0: no place. */
void diag_position(const struct diag_list *list, struct diag_span span, unsigned *ret_line,
                   unsigned *ret_column);
const char *diag_source_name(const struct diag_list *list, struct diag_span span);
/* All of them, sorted by source and place (those without a place last), as the user sees them. */
void diag_render(const struct diag_list *list, struct buf *out);

#endif
