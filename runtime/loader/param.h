/* loader/param.h: a text becomes the value of a parameter, if its row of the table allows it.
 *
 * Used on defaults when a plugin is loaded, and by the plan on what the graph says. Pure. */
#ifndef LOADER_PARAM_H
#define LOADER_PARAM_H

#include "base/buf.h"

#include <pcrun/stage.h>

/* Bytes that a value of this enum pc_type takes in the state, which is its alignment as well; 0:
 * no such type. */
size_t loader_param_size(uint32_t type);

/* Reads `text` (`size` bytes, NUL behind them) as the row's type, checks its range and writes it
 * to *value, loader_param_size() bytes. A string's value is the pointer `text` itself.
 * False: `why` says what is wrong, to stand behind "parameter 'x': ". `row` has been through
 * descriptor_rules(), or is being looked at by it. */
bool loader_param_parse(const struct pc_param *row, const char *text, size_t size, void *value,
                        struct buf *why);

/* Whether the row's range is one: both ends of the row's type, in order. */
bool loader_param_range(const struct pc_param *row, struct buf *why);

/* The value that stands in `params`, in the notation in which a graph gives it. */
void loader_param_text(struct buf *out, const struct pc_param *row, const void *params);

#endif
