/* cli/crash-text.c: words about an item that is saved, and the lines at the head of its file.
 *
 * Called in the handler of a crash, on a small stack, as well as in peace by the thread of a job: so
 * into memory of the caller's, and what does not fit is cut off. No function of stdio. */
#include "cli/crash-item.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static void add_char(struct crash_text *t, char c)
{
	if (t->n < t->room)
		t->bytes[t->n++] = c;
}

void crash_add(struct crash_text *t, const char *string)
{
	for (; string && *string; string++)
		add_char(t, *string);
}

void crash_add_number(struct crash_text *t, uint64_t number)
{
	char digits[24];
	size_t at = sizeof(digits) - 1;

	digits[at] = '\0';
	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	crash_add(t, digits + at);
}

static void add_line(struct crash_text *t, const char *key, const char *value)
{
	if (!value)
		return;
	crash_add(t, key);
	crash_add(t, ": ");
	for (; *value; value++) {
		if (*value == '\n' || *value == '\\')
			add_char(t, '\\');
		add_char(t, *value == '\n' ? 'n' : *value);
	}
	add_char(t, '\n');
}

static void add_number_line(struct crash_text *t, const char *key, uint64_t number)
{
	crash_add(t, key);
	crash_add(t, ": ");
	crash_add_number(t, number);
	add_char(t, '\n');
}

static bool is_plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-' || c == '.';
}

/* As one word for the shell; a name needs no quotes. */
static void add_path(struct crash_text *t, const char *in, const char *name)
{
	bool plain = true;

	for (const char *c = in; *c; c++)
		plain = plain && (is_plain(*c) || *c == '/');
	crash_add(t, plain ? "" : "'");
	for (; *in; in++)
		if (*in == '\'')
			crash_add(t, "'\\''");
		else
			add_char(t, *in);
	crash_add(t, plain ? "/" : "'/");
	crash_add(t, name);
}

void crash_add_head(struct crash_text *t, const struct pc_crash_item *item, bool refused)
{
	crash_add(t, CRASH_ITEM_MAGIC "\n");
	add_line(t, "stage", item->stage);
	add_line(t, "port", item->port);
	add_line(t, "queue", item->queue);
	add_number_line(t, "number", item->number);
	add_number_line(t, "build", item->build);
	add_line(t, "file", item->file);
	add_line(t, "refused", refused ? "it crashed in its probe" : NULL);
	add_number_line(t, "size", item->size);
}

void crash_add_name(struct crash_text *t, const struct pc_crash_item *item, unsigned again)
{
	for (const char *c = item->stage; *c && t->n < 64; c++)
		add_char(t, is_plain(*c) ? *c : '_');
	crash_add(t, "-v");
	crash_add_number(t, item->build);
	add_char(t, '-');
	crash_add_number(t, (uint64_t)getpid());
	if (again > 0) {
		add_char(t, '-');
		crash_add_number(t, again);
	}
	crash_add(t, ".item");
}

void crash_add_saved(struct crash_text *t, const struct pc_crash_item *item, const char *dir,
                     const char *name, size_t size)
{
	crash_add(t, " is saved, ");
	if (size < item->size) {
		crash_add_number(t, size);
		crash_add(t, size == CRASH_ITEM_BYTES ? " (the most that is kept) of "
		                                      : " (the rest can not be read) of ");
	}
	crash_add_number(t, item->size);
	crash_add(t, item->size == 1 ? " byte; do it again: pcrun replay "
	                             : " bytes; do it again: pcrun replay ");
	add_path(t, dir, name);
}

void crash_add_lost(struct crash_text *t, const struct crash_dir *dir, int error)
{
	crash_add(t, " could not be saved: ");
	if (error == EFAULT) {
		crash_add(t, "the memory where it should be can not be read");
	} else if (error == 0) {
		crash_add(t, dir->reason);
	} else {
		crash_add(t, dir->path);
		crash_add(t, ": ");
		crash_add(t, strerrordesc_np(error)); /* safe here: a table of constants */
	}
}
