/* base/diag-place.h: what diag.c and diag-render.c share. */
#ifndef BASE_DIAG_PLACE_H
#define BASE_DIAG_PLACE_H

#include "base/diag.h"

/* Whether the span names a source of the list. */
bool diag_has_place(const struct diag_list *list, struct diag_span span);
/* 0-based line of a byte, which must not lie beyond the text's end. */
uint32_t diag_line_of(const struct diag_source *source, uint32_t at);

#endif
