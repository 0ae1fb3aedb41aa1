/* cli/session.h: a graph that runs, and the loop that looks after it: signals, the progress line, the
 * control socket, files that are watched. Main thread. */
#ifndef CLI_SESSION_H
#define CLI_SESSION_H

#include "cli/cli.h"
#include "cli/control.h"
#include "cli/job.h"
#include "cli/progress.h"
#include "cli/watch.h"

struct session {
	const struct args *args;
	struct pc_graph *graph;
	int stopped_by; /* the first SIGINT or SIGTERM; 0: none */
	bool abandoned; /* a signal came while jobs of an ended graph were waited for */

	uv_loop_t loop;
	uv_poll_t ended_poll, signal_poll;
	uv_timer_t progress_timer;
	bool ended;
	struct progress progress;
	struct jobs jobs;
	struct server server;
	struct watch watch;
};

/* Before the start of the graph. False: said. */
bool session_init(struct session *s);
/* Until the graph has ended, and nothing that was asked of it is under way. False: said. */
bool session_run(struct session *s);
void session_fini(struct session *s);

/* To the terminal, and to peers that asked for it. */
void session_tell(struct session *s, const struct event *event);
void session_reload(struct session *s, const char *file, bool watched);
void session_stop(struct session *s, int signal);

#endif
