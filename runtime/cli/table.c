/* cli/table.c: the tables of table.h. Widths count characters of UTF-8, which is right for the
 * alphabets that names are written in. */
#include "cli/table.h"

#include <stdarg.h>
#include <stdlib.h>

void table_add(struct table *table, const char *format, ...)
{
	va_list ap;
	char *cell;

	if (table->n == table->room) {
		size_t room = table->room ? 2 * table->room : 64;
		char **cells = realloc(table->cells, room * sizeof(*cells));

		if (!cells) {
			table->failed = true;
			return;
		}
		table->cells = cells;
		table->room = room;
	}
	va_start(ap, format);
	if (vasprintf(&cell, format, ap) >= 0)
		table->cells[table->n++] = cell;
	else
		table->failed = true;
	va_end(ap);
}

static size_t width_of(const char *cell)
{
	size_t n = 0;

	for (; *cell; cell++)
		n += ((unsigned char)*cell & 0xc0) != 0x80;
	return n;
}

void table_print(const struct table *table, FILE *out, const char *indent)
{
	size_t widths[TABLE_COLUMNS] = {0};

	for (size_t i = 0; i < table->n; i++) {
		size_t n = width_of(table->cells[i]);
		size_t *width = &widths[i % table->columns];

		*width = n > *width ? n : *width;
	}
	for (size_t row = 0; row + table->columns <= table->n; row += table->columns) {
		size_t gap = 0; /* blanks owed before the next text */

		fputs(indent, out);
		for (size_t c = 0; c < table->columns; c++) {
			const char *cell = table->cells[row + c];
			size_t rest = widths[c] - width_of(cell);

			if (table->right[c])
				gap += rest;
			if (*cell) {
				fprintf(out, "%*s%s", (int)gap, "", cell);
				gap = 0;
			}
			gap += (table->right[c] ? 0 : rest) + (widths[c] > 0 ? 2 : 0);
		}
		fputc('\n', out);
	}
	if (table->failed)
		fputs("(out of memory: there is more)\n", out);
}

void table_fini(struct table *table)
{
	for (size_t i = 0; i < table->n; i++)
		free(table->cells[i]);
	free(table->cells);
	*table = (struct table){0};
}
