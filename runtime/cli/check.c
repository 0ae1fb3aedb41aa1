/* cli/check.c: `pcrun check`: all that loading a graph can say, for any number of files. */
#include "cli/cli.h"
#include "cli/say.h"

#include <stdio.h>
#include <string.h>

/* The worst of several: a file that can't be read says nothing of the others. */
static int check_one(const struct args *args, const char *file)
{
	struct pc_load_options load = args_load_options(args);
	struct pc_graph *graph = NULL;
	struct pc_error *err = NULL;
	int r;

	if (file)
		r = pc_graph_load_file(&graph, file, &load, &err);
	else
		r = pc_graph_load_text(&graph, "-e", args->text, strlen(args->text), &load,
		                       &err);
	if (r == PC_OK && args->verbose)
		printf("%s: ok\n", file ? file : "-e");
	if (r != PC_OK || (pc_error_code(err) == PC_OK && *pc_error_text(err) && !args->quiet))
		say_error(err);
	pc_error_free(err);
	pc_graph_free(graph);
	return r == PC_OK ? STATUS_OK : r == PC_WRONG ? STATUS_WRONG : STATUS_USAGE;
}

int check_command(const struct args *args)
{
	int status = STATUS_OK;

	if (args->text)
		status = check_one(args, NULL);
	for (size_t i = 0; i < args->n_files; i++) {
		int one = check_one(args, args->files[i]);

		status = one > status ? one : status;
	}
	return status;
}
