/* cli/table.h: columns that line up. Main thread. */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { TABLE_COLUMNS = 16 };

/* Cells row by row, each malloc'd; the first row is the heading. */
struct table {
	size_t columns;
	bool right[TABLE_COLUMNS]; /* numbers stand to the right */
	char **cells;
	size_t n, room;
	bool failed; /* no memory: cells are missing */
};

__attribute__((format(printf, 2, 3))) void table_add(struct table *table, const char *format,
                                                     ...);
/* Two blanks between columns, `indent` before the first, none at the ends of lines. */
void table_print(const struct table *table, FILE *out, const char *indent);
void table_fini(struct table *table);

#endif
