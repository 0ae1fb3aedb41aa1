/* cli/crash-item.c: in a crash, the item that the thread was at is saved.
 *
 * The file stands ready since before the graph started; here, in the handler, it only has to be
 * written (crash-file.c). What became of it is said below the report. */
#include "cli/crash-item.h"

#include "cli/say.h"

#include <errno.h>

static struct crash_file file = {.fd = -1, .reserve = -1, .dir.fd = -1};
static bool ready;

void crash_item_prepare(const struct args *args)
{
	crash_file_open(&file);
	ready = crash_file_prepare(args);
}

void crash_item_save(void)
{
	struct pc_crash_item item;
	char name[NAME_MAX + 1], bytes[4 * PATH_MAX];
	struct crash_text said = {bytes, sizeof(bytes), 0};
	size_t size;

	if (!ready || !pc_crash_item(&item, sizeof(item)))
		return;
	crash_add(&said, "  the item");
	if (file.dir.fd < 0)
		crash_add_lost(&said, &file.dir, 0);
	else if (crash_file_save(&file, &item, false, name, &size))
		crash_add_saved(&said, &item, file.dir.path, name, size);
	else
		crash_add_lost(&said, &file.dir, errno);
	crash_add(&said, "\n");
	say_bytes(said.bytes, said.n);
}
