/* cli/run.c: `pcrun GRAPH`: load, start, and wait for the graph or for signals.
 *
 * The signals that pcrun handles are blocked before the first thread exists, so that all threads
 * inherit that, and are read from a descriptor beside the graph's: no handler runs anywhere. */
#include "cli/cli.h"
#include "cli/ledger.h"
#include "cli/progress.h"
#include "cli/say.h"

#include <pcrun/stage.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

struct run {
	const struct args *args;
	struct pc_graph *graph;
	sigset_t signals;
	int stopped_by; /* the first SIGINT or SIGTERM; 0: none */
};

/* Blocked signals reach the descriptor even where a shell has them ignored, as it does with SIGINT
 * in the background: a script that sends one means it. But nohup means what it says. */
static void block_signals(struct run *run)
{
	struct sigaction hangup;

	sigemptyset(&run->signals);
	sigaddset(&run->signals, SIGINT);
	sigaddset(&run->signals, SIGTERM);
	sigaddset(&run->signals, SIGQUIT);
	if (sigaction(SIGHUP, NULL, &hangup) < 0 || hangup.sa_handler != SIG_IGN)
		sigaddset(&run->signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &run->signals, NULL);
}

/* A graph that comes through a pipe may be long in coming: signals must end that wait. */
static bool is_slow(const char *file)
{
	struct stat st;

	return strcmp(file, "-") == 0 || (stat(file, &st) == 0 && !S_ISREG(st.st_mode));
}

static int load(struct run *run)
{
	const struct args *args = run->args;
	struct pc_load_options options = args_load_options(args);
	bool slow = !args->text && is_slow(args->files[0]);
	struct pc_error *err = NULL;
	int r;

	if (slow)
		signal(SIGINT, SIG_DFL);
	else
		block_signals(run);
	if (args->text)
		r = pc_graph_load_text(&run->graph, "-e", args->text, strlen(args->text),
		                       &options, &err);
	else
		r = pc_graph_load_file(&run->graph, args->files[0], &options, &err);
	if (slow)
		block_signals(run);
	/* Warnings of a graph that is right. */
	if (r != PC_OK || (*pc_error_text(err) && !args->quiet))
		say_error(err);
	pc_error_free(err);
	return r == PC_OK      ? STATUS_OK
	       : r == PC_WRONG ? STATUS_WRONG
	       : r == PC_NOMEM ? STATUS_FAILED
	                       : STATUS_USAGE;
}

/* A signal that came while the graph was loaded, and that nobody has seen yet; 0: none. */
static int pending_signal(const struct run *run)
{
	sigset_t ends = run->signals;
	const struct timespec now = {0};
	int signal;

	sigdelset(&ends, SIGQUIT);
	signal = sigtimedwait(&ends, NULL, &now);
	return signal > 0 ? signal : 0;
}

static void explain(struct pc_graph *graph)
{
	char *text = pc_graph_explain(graph);

	say_lines(text ? text : "pcrun: out of memory\n");
	free(text);
}

static void on_signal(struct run *run, int signal)
{
	switch (signal) {
	case SIGQUIT:
		explain(run->graph);
		break;
	case SIGHUP:
		say("this version can not reload a running graph; nothing was changed");
		break;
	default:
		if (run->stopped_by == 0) {
			run->stopped_by = signal;
			if (!run->args->quiet)
				say("%s: finishing what is under way; again stops at once",
				    signal == SIGINT ? "interrupted" : "told to end");
			pc_graph_stop(run->graph, PC_STOP_DRAIN);
		} else {
			pc_graph_stop(run->graph, PC_STOP_NOW);
		}
	}
}

/* Until the graph has ended. False: said. */
static bool watch(struct run *run)
{
	int fd = signalfd(-1, &run->signals, SFD_CLOEXEC | SFD_NONBLOCK);
	struct pollfd fds[2] = {{.fd = pc_graph_fd(run->graph), .events = POLLIN},
	                        {.fd = fd, .events = POLLIN}};
	struct signalfd_siginfo info;
	struct progress progress;

	if (fd < 0) {
		say("can't wait for signals: %s", strerror(errno));
		return false;
	}
	progress_init(&progress, run->graph, run->args->quiet || run->args->json);
	while (fds[0].revents == 0) {
		if (poll(fds, 2, progress_show(&progress)) < 0 && errno != EINTR) {
			say("can't wait for the graph: %s", strerror(errno));
			close(fd);
			return false;
		}
		while (read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
			on_signal(run, (int)info.ssi_signo);
	}
	progress_end(&progress);
	close(fd);
	return true;
}

static int finish(struct run *run)
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

static int start_and_wait(struct run *run)
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
	};
	struct pc_error *err = NULL;
	int status;

	if (pc_graph_start(run->graph, &options, &err) != PC_OK) {
		say_error(err);
		pc_error_free(err);
		return STATUS_FAILED;
	}
	if (!watch(run))
		pc_graph_stop(run->graph, PC_STOP_NOW);
	status = finish(run);
	if (args->verbose)
		ledger_print(run->graph);
	if (args->json)
		ledger_json(run->graph, status);
	return status;
}

int run_command(const struct args *args)
{
	struct run run = {.args = args};
	int status, signalled;

	/* A reader that goes away is an error of the write, which the stage handles. */
	signal(SIGPIPE, SIG_IGN);
	status = load(&run);
	signalled = pending_signal(&run);
	if (signalled != 0)
		status = STATUS_SIGNAL + signalled;
	else if (status == STATUS_OK)
		status = start_and_wait(&run);
	pc_graph_free(run.graph);
	return status;
}
