/* cli/run.c: `pcrun GRAPH`: load, start, wait for the end (session.c), and say how it was.
 *
 * The thread for signals (signals.c) is there before the graph is loaded, for that may take long,
 * or hang: a plugin's constructors run. */
#include "cli/cli.h"
#include "cli/crash-item.h"
#include "cli/ledger.h"
#include "cli/say.h"
#include "cli/session.h"
#include "cli/signals.h"

#include <pcrun/stage.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A graph that comes through a pipe may be long in coming: signals must end that wait. */
static bool is_slow(const char *file)
{
	struct stat st;

	return strcmp(file, "-") == 0 || (stat(file, &st) == 0 && !S_ISREG(st.st_mode));
}

static int load(struct session *run)
{
	const struct args *args = run->args;
	struct pc_load_options options = args_load_options(args);
	bool slow = !args->text && is_slow(args->files[0]);
	struct pc_error *err = NULL;
	int r;

	/* A file that is mapped must not be written to, as cp and strip do; and a reload finds builds
	 * that are newer than those that run. */
	options.private_copies = true;
	if (slow)
		signal(SIGINT, SIG_DFL);
	else if (!signals_start())
		return STATUS_FAILED;
	if (args->text)
		r = pc_graph_load_text(&run->graph, "-e", args->text, strlen(args->text),
		                       &options, &err);
	else
		r = pc_graph_load_file(&run->graph, args->files[0], &options, &err);
	if (slow && !signals_start()) {
		pc_error_free(err);
		return STATUS_FAILED;
	}
	/* Warnings of a graph that is right. */
	if (r != PC_OK || (*pc_error_text(err) && !args->quiet))
		say_error(err);
	pc_error_free(err);
	return r == PC_OK      ? STATUS_OK
	       : r == PC_WRONG ? STATUS_WRONG
	       : r == PC_NOMEM ? STATUS_FAILED
	                       : STATUS_USAGE;
}

/* The first signal that came while the graph was loaded; 0: none. */
static int early_signal(void)
{
	int signal;

	do
		signal = signals_next();
	while (signal == SIGQUIT);
	return signal;
}

static int finish(struct session *run)
{
	struct pc_error *err = NULL;
	int status, r = pc_graph_wait(run->graph, PC_FOREVER, &err);

	switch (r) {
	case PC_OK:
		status = STATUS_OK;
		break;
	case PC_STOPPED:
		status = run->stopped_by != 0 ? STATUS_SIGNAL + run->stopped_by : STATUS_FAILED;
		break;
	case PC_DEADLOCK:
		status = STATUS_DEADLOCK;
		break;
	default:
		status = STATUS_FAILED;
	}
	if (status != STATUS_OK && r != PC_STOPPED)
		say_error(err);
	pc_error_free(err);
	return status;
}

static int start_and_wait(struct session *run)
{
	const struct args *args = run->args;
	struct pc_run_options options = {
		.size = sizeof(options),
		.workers = args->workers,
		.drain_ns = args->drain_ns,
		.log = say_log,
		.log_level = args->quiet         ? PC_WARN
	                     : args->verbose > 1 ? PC_DEBUG
	                                         : PC_INFO,
		.swap = jobs_on_swap,
		.swap_user = &run->jobs,
	};
	struct pc_error *err = NULL;
	int status;

	if (!session_init(run))
		return STATUS_FAILED;
	crash_item_prepare(args);
	if (pc_graph_start(run->graph, &options, &err) != PC_OK) {
		say_error(err);
		pc_error_free(err);
		session_fini(run);
		return STATUS_FAILED;
	}
	if (!session_run(run))
		pc_graph_stop(run->graph, PC_STOP_NOW);
	status = finish(run);
	signals_ending();
	session_fini(run);
	if (args->verbose && !args->json)
		ledger_print(run->graph);
	return status;
}

int run_command(const struct args *args)
{
	struct session run = {.args = args};
	int status, signalled;

	if (args->json)
		say_objects();
	/* A reader that goes away is an error of the write, which the stage handles. */
	signal(SIGPIPE, SIG_IGN);
	status = load(&run);
	signalled = early_signal();
	if (signalled != 0)
		status = STATUS_SIGNAL + signalled;
	else if (status == STATUS_OK)
		status = start_and_wait(&run);
	if (args->json)
		ledger_json(run.graph, status);
	if (run.abandoned) {
		/* A compiler hangs, say: its thread can neither be ended nor be left behind. */
		_exit(say_fini(status));
	}
	pc_graph_free(run.graph);
	return status;
}
