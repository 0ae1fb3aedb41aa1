/* cli/help.c: the table of commands, and the help that is made of it and of the table of options. */
#include "cli/cli.h"
#include "cli/say.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define LOAD_OPTIONS (OPTION_TEXT | OPTION_DEFINE | OPTION_DIR)

const struct command command_table[] = {
	{.name = "run",
         .run = run_command,
         .options = LOAD_OPTIONS | OPTION_WORKERS | OPTION_DRAIN | OPTION_VERBOSE |
                    OPTION_QUIET | OPTION_JSON | OPTION_WATCH,
         .least_files = 1,
         .most_files = 1,
         .missing = "the graph",
         .usage = "[run] [OPTIONS] GRAPH | -e TEXT",
         .summary = "run a graph until it ends",
         .text = "GRAPH is a file, or - for standard input. `run` may be left out unless GRAPH "
                 "has\n"
                 "the name of a command.\n\n"
                 "The first SIGINT or SIGTERM stops the producers and lets the rest finish, "
                 "the\n"
                 "second stops at once, the third ends pcrun whatever it is at. SIGQUIT "
                 "prints\n"
                 "what everyone is waiting for. SIGHUP reads the graph file again and applies\n"
                 "what differs.\n\n"
                 "With --watch, stages whose files change are replaced while the graph runs, a "
                 ".c\n"
                 "is compiled, and the graph file is applied when it changes. Nothing is "
                 "lost,\n"
                 "and what is wrong changes nothing but is told. pcrun swap, reload and "
                 "status\n"
                 "ask a running graph, with or without --watch.\n\n"
                 "-v prints the ledger at the end: what became of the items of every queue. "
                 "With\n"
                 "--json all that pcrun says is a line of JSON each, the ledger being the "
                 "last.\n"
                 "Both go to standard error, since standard output belongs to the graph.\n\n"
                 "Exit status: 0 it ended well, 1 a stage failed or the ledger does not "
                 "balance,\n"
                 "2 usage, 3 the graph can not make progress, 78 the graph file is wrong,\n"
                 "128+N signal N ended it.\n"},
	{.name = "check",
         .run = check_command,
         .options = LOAD_OPTIONS | OPTION_VERBOSE | OPTION_QUIET,
         .least_files = 1,
         .most_files = SIZE_MAX,
         .missing = "the file",
         .usage = "check [OPTIONS] FILE... | -e TEXT",
         .summary = "say what is wrong with graph files, start nothing",
         .text = "Loads each graph and its plugins and prints exactly the mistakes that\n"
                 "`pcrun run` would print. Nothing is printed for a file that is right; with "
                 "-v,\n"
                 "\"FILE: ok\".\n\n"
                 "Exit status: 0 all are right, 78 one is wrong, 2 one can't be read.\n"},
	{.name = "fmt",
         .run = fmt_command,
         .options = OPTION_WRITE | OPTION_CHECK,
         .least_files = 1,
         .most_files = SIZE_MAX,
         .missing = "the file",
         .usage = "fmt [-w | --check] FILE...",
         .summary = "bring graph files into the canonical form",
         .text = "Prints the canonical form of each FILE (- is standard input). With -w the "
                 "files\n"
                 "are replaced instead, those that change. Plugins are not needed, includes "
                 "not\n"
                 "followed.\n\n"
                 "Exit status: 0 fine, 1 --check found a file that would change, 78 a file is\n"
                 "wrong, 2 one can't be read or written.\n"},
	{.name = "inspect",
         .run = inspect_command,
         .options = OPTION_DIR | OPTION_JSON | OPTION_DEFINE | OPTION_TEXT,
         .least_files = 1,
         .most_files = SIZE_MAX,
         .missing = "the plugin or graph",
         .usage = "inspect [-L DIR] [-D NAME=VALUE] [--json] NAME | FILE... | -e TEXT",
         .summary = "show a plugin, or a graph that has been checked",
         .text = "NAME is a plugin, sought where graphs seek it; FILE is a plugin (.so or .c) "
                 "or a\n"
                 "graph (any other file; - is standard input). A plugin's ports, parameters "
                 "and\n"
                 "callbacks are shown; a graph's stages with all their parameters, its "
                 "queues,\n"
                 "joins, critical sections and shared state. Nothing is started.\n\n"
                 "Exit status: 0 fine, 78 a plugin or a graph is wrong, 2 there is none.\n"},
	{.name = "list",
         .run = list_command,
         .options = OPTION_DIR | OPTION_JSON | OPTION_VERBOSE,
         .least_files = 0,
         .most_files = 0,
         .usage = "list [-L DIR] [-v] [--json]",
         .summary = "list the plugins that are found",
         .text = "One line for each: name, doc, file. Files that can't be used are named on\n"
                 "standard error with the reason. -v shows those as well that another one of "
                 "the\n"
                 "same name hides.\n"},
	{.name = "swap",
         .run = swap_command,
         .options = OPTION_GRAPH | OPTION_DRY_RUN | OPTION_RESET_STATE | OPTION_RETRY |
                    OPTION_BACK | OPTION_JSON,
         .least_files = 1,
         .most_files = SIZE_MAX,
         .missing = "the stage",
         .usage = "swap [OPTIONS] STAGE FILE [STAGE FILE ...] | STAGE... --back",
         .summary = "let a stage of a running graph run another build",
         .text = "FILE is a .so or a .c. No item is lost, doubled or out of order, the state "
                 "is\n"
                 "carried over, and whatever is wrong with the new build leaves the old one\n"
                 "running. Waits until the new one runs, and for its first items.\n\n"
                 "Several stages go over as one, all or none, so that what flows between them\n"
                 "may change; a failure after that does not bring the old builds back.\n\n"
                 "Exit status: 0 it runs, 1 the graph ended or a newer request came, 2 usage, "
                 "or\n"
                 "no such graph or stage, 3 refused, 4 it failed and the old one runs again,\n"
                 "5 a replica is still busy, and will follow.\n"},
	{.name = "reload",
         .run = reload_command,
         .options = OPTION_GRAPH | OPTION_DRY_RUN | OPTION_JSON,
         .least_files = 0,
         .most_files = 1,
         .usage = "reload [--graph=GRAPH] [--dry-run] [--json] [FILE]",
         .summary = "apply what has changed in the file of a running graph",
         .text = "What did not change is not touched; a wrong file changes nothing. Prints a "
                 "line\n"
                 "per change. Without FILE, the one that the graph was started with.\n\n"
                 "Exit status: 0 it is applied, 1 the graph ended, 2 usage, no such graph, or "
                 "a\n"
                 "file that can't be read, 3 refused, 4 a stage's new build failed, and the "
                 "old\n"
                 "one runs again.\n"},
	{.name = "status",
         .run = status_command,
         .options = OPTION_GRAPH | OPTION_JSON | OPTION_VERBOSE,
         .least_files = 0,
         .most_files = 0,
         .usage = "status [--graph=GRAPH] [-v] [--json]",
         .summary = "show the queues, stages and builds of a running graph",
         .text = "-v tells also what everyone is doing and waiting for.\n\n"
                 "Exit status: 0 fine, 2 no such graph.\n"},
	{.name = "events",
         .run = events_command,
         .options = OPTION_GRAPH | OPTION_JSON,
         .least_files = 0,
         .most_files = 0,
         .usage = "events [--graph=GRAPH] [--json]",
         .summary = "print what happens to a running graph, until it ends",
         .text = "A line per event: builds that go live, are refused or fail, reloads.\n\n"
                 "Exit status: 0 the graph has ended, 2 no such graph.\n"},
	{.name = "stop",
         .run = stop_command,
         .options = OPTION_GRAPH | OPTION_JSON,
         .least_files = 0,
         .most_files = 0,
         .usage = "stop [--graph=GRAPH] [--json]",
         .summary = "tell a running graph to end",
         .text = "As SIGTERM does: producers stop, and what is under way is finished. A "
                 "second\n"
                 "time, it ends at once.\n\n"
                 "Exit status: 0 it is told, 2 no such graph.\n"},
	{.name = "ps",
         .run = ps_command,
         .options = OPTION_JSON,
         .least_files = 0,
         .most_files = 0,
         .usage = "ps [--json]",
         .summary = "list the graphs that run",
         .text = "Those of this user: process, name, file. --graph takes the first two.\n"},
	{.name = "replay",
         .run = replay_command,
         .options = OPTION_DEFINE | OPTION_DIR | OPTION_QUIET | OPTION_GDB,
         .least_files = 1,
         .most_files = 2,
         .missing = "the saved item",
         .usage = "replay [--gdb] [-D NAME=VALUE] [-L DIR] ITEM [GRAPH]",
         .summary = "do the item again that has crashed a stage",
         .text = "ITEM is the file that the report of a crash has named. The stage, as GRAPH\n"
                 "has it now (else the graph that crashed), is opened with its parameters on "
                 "a\n"
                 "fresh state, gets the item, and is closed. What it emits is printed, each\n"
                 "item a line. Nothing else of the graph runs.\n\n"
                 "Exit status: 0 the stage did the item, 1 it failed, 2 usage, or a file that "
                 "can\n"
                 "not be read, 78 the graph file is wrong, 128+N it crashed by signal N.\n"},
	{.name = "help",
         .run = help_command,
         .options = 0,
         .least_files = 0,
         .most_files = 1,
         .usage = "help [COMMAND]",
         .summary = "print help",
         .text = ""},
	{.name = NULL},
};

void help_usage(void)
{
	struct say_text text;

	if (!say_text_open(&text))
		return;
	fputs("usage: pcrun [OPTIONS] GRAPH | -e TEXT\n", text.stream);
	for (const struct command *c = &command_table[1]; c->name; c++)
		fprintf(text.stream, "       pcrun %s\n", c->usage);
	fputs("`pcrun help` tells more.\n", text.stream);
	say_text_close(&text);
}

static void print_options(unsigned bits)
{
	puts("Options:");
	for (const struct option *o = option_table; o->bit; o++) {
		char left[64];
		int n = 0;

		if (!(o->bit & bits))
			continue;
		if (o->letter)
			n = snprintf(left, sizeof(left), "-%c%s%s%s", o->letter,
			             o->value && !o->name ? " " : "",
			             o->value && !o->name ? o->value : "", o->name ? ", " : "");
		else
			n = snprintf(left, sizeof(left), "    ");
		if (o->name)
			snprintf(left + n, sizeof(left) - (size_t)n, "--%s%s%s", o->name,
			         o->value ? "=" : "", o->value ? o->value : "");
		printf("  %-18s %s\n", left, o->doc);
	}
}

int help_print(const struct command *command)
{
	if (command) {
		printf("pcrun %s: %s\n\nUsage: pcrun %s\n\n%s%s", command->name,
		       command->summary, command->usage, command->text,
		       *command->text ? "\n" : "");
		print_options(command->options | OPTION_HELP);
		return STATUS_OK;
	}
	puts("pcrun runs graphs of stages written in C, on all cores.\n\n"
	     "Usage: pcrun [OPTIONS] GRAPH [OPTIONS]\n"
	     "       pcrun [OPTIONS] -e 'gen(count=3) -> print'\n"
	     "       pcrun COMMAND ...\n\nCommands:");
	for (const struct command *c = command_table; c->name; c++)
		printf("  %-18s %s\n", c->name, c->summary);
	putchar('\n');
	print_options(command_table[0].options | OPTION_HELP | OPTION_VERSION);
	puts("\n`pcrun help COMMAND` tells more of one. See also pcrun(1), pcrun-graph(5) for\n"
	     "the language, pcrun-stage(7) for writing a stage and pcrun-control(7) for\n"
	     "graphs that run.");
	return STATUS_OK;
}

int help_command(const struct args *args)
{
	struct words near = {0};

	if (args->n_files == 0)
		return help_print(NULL);
	near.wanted = args->files[0];
	for (const struct command *c = command_table; c->name; c++) {
		if (strcmp(c->name, args->files[0]) == 0)
			return help_print(c);
		words_offer(&near, c->name);
	}
	if (near.best)
		say("there is no command '%s'; did you mean '%s'?", near.wanted, near.best);
	else
		say("there is no command '%s' (pcrun help lists them)", near.wanted);
	return STATUS_USAGE;
}
