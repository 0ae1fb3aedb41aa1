/* cli/list.c: `pcrun list`: which plugins a graph would find, and which files are in the way. */
#include "cli/cli.h"
#include "cli/say.h"
#include "cli/table.h"

#include <pcrun/stage.h>

#include <stdio.h>

struct list {
	const struct args *args;
	struct table table;
	bool any; /* JSON: something stands before */
};

static void list_json(struct list *l, const char *file, const struct pc_plugin *plugin,
                      bool shadowed, const struct pc_error *error)
{
	const struct pc_stage_desc *d = plugin ? pc_plugin_desc(plugin) : NULL;

	fputs(l->any ? ",\n {\"name\":" : "{\"name\":", stdout);
	l->any = true;
	say_json(stdout, d ? d->name : NULL);
	fputs(",\"doc\":", stdout);
	say_json(stdout, d ? d->doc : NULL);
	fputs(",\"file\":", stdout);
	say_json(stdout, file);
	printf(",\"shadowed\":%s,\"error\":", shadowed ? "true" : "false");
	say_json(stdout, error ? pc_error_first(error) : NULL);
	putchar('}');
}

static void list_one(void *user, const char *file, const struct pc_plugin *plugin,
                     bool shadowed, const struct pc_error *error)
{
	struct list *l = user;

	if (l->args->json) {
		list_json(l, file, plugin, shadowed, error);
		return;
	}
	if (error) {
		say_error(error);
		return;
	}
	if (shadowed && !l->args->verbose)
		return;
	table_add(&l->table, "%s", pc_plugin_desc(plugin)->name);
	table_add(&l->table, "%s", pc_plugin_desc(plugin)->doc);
	table_add(&l->table, "%s%s", file, shadowed ? " (shadowed)" : "");
}

int list_command(const struct args *args)
{
	struct pc_load_options load = args_load_options(args);
	struct list l = {.args = args, .table.columns = 3};
	struct pc_error *err = NULL;
	int r;

	if (args->json)
		fputs("[", stdout);
	r = pc_plugin_list(&load, list_one, &l, &err);
	if (args->json)
		puts("]");
	else if (l.table.n > 0)
		table_print(&l.table, stdout, "");
	table_fini(&l.table);
	if (r != PC_OK)
		say_error(err);
	pc_error_free(err);
	return r == PC_OK ? STATUS_OK : STATUS_FAILED;
}
