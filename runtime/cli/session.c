/* cli/session.c: the loop of session.h.
 *
 * Signals come through a descriptor (signals.c) beside the graph's own, so no handler runs
 * anywhere. The loop outlives the graph until what was asked of it is answered: a
 * compiler that still runs is waited for, unless another signal says that nobody wants to wait. */
#include "cli/session.h"

#include "cli/say.h"
#include "cli/signals.h"

#include <pcrun/stage.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void session_tell(struct session *s, const struct event *event)
{
	bool good = event->kind == EVENT_LIVE || event->kind == EVENT_UNCHANGED ||
	            event->kind == EVENT_GONE || event->kind == EVENT_RELOADED;

	if (!good || !s->args->quiet)
		event_say(event, s->args->json);
	server_event(&s->server, event);
	if (event->kind == EVENT_RELOADED)
		watch_update(&s->watch);
}

static void on_tell(void *user, const struct event *event)
{
	session_tell(user, event);
}

static void on_idle(void *user)
{
	struct session *s = user;

	uv_stop(&s->loop);
}

void session_reload(struct session *s, const char *file, bool watched)
{
	struct job *job = jobs_new(&s->jobs, JOB_RELOAD, NULL, file);

	if (!job)
		return;
	job->watched = watched;
	jobs_add(job);
}

void session_stop(struct session *s, int signal)
{
	if (s->stopped_by == 0) {
		s->stopped_by = signal;
		if (!s->args->quiet)
			say("%s: finishing what is under way; again stops at once",
			    signal == SIGINT ? "interrupted" : "told to end");
		pc_graph_stop(s->graph, PC_STOP_DRAIN);
	} else {
		if (!s->args->quiet)
			say("stopping at once; a third signal ends pcrun, whatever it is at");
		pc_graph_stop(s->graph, PC_STOP_NOW);
	}
	/* It has ended, and only what was asked of it is waited for. */
	if (s->ended) {
		s->abandoned = true;
		uv_stop(&s->loop);
	}
}

static void explain(struct pc_graph *graph)
{
	char *text = pc_graph_explain(graph);

	say_lines(text ? text : "pcrun: out of memory\n");
	free(text);
}

static void on_signal(uv_poll_t *poll, int status, int events)
{
	struct session *s = poll->data;
	int signal;

	(void)status;
	(void)events;
	while ((signal = signals_next()) != 0) {
		if (signal == SIGQUIT)
			explain(s->graph);
		else if (signal == SIGHUP)
			session_reload(s, NULL, false);
		else
			session_stop(s, signal);
	}
}

static void on_progress(uv_timer_t *timer)
{
	struct session *s = timer->data;
	int wait_ms = progress_show(&s->progress);

	if (wait_ms >= 0)
		uv_timer_start(timer, on_progress, (uint64_t)wait_ms, 0);
}

static void on_ended(uv_poll_t *poll, int status, int events)
{
	struct session *s = poll->data;

	(void)status;
	(void)events;
	uv_poll_stop(poll);
	s->ended = true;
	progress_end(&s->progress);
	uv_timer_stop(&s->progress_timer);
	watch_stop(&s->watch);
	server_stop(&s->server);
	jobs_end(&s->jobs);
}

/* The first loop of a process takes a descriptor and makes a pipe, and libuv calls abort() when it
 * can not: so it is tried before. 0, or a libuv error. */
static int init_loop(uv_loop_t *loop)
{
	int fds[3] = {-1, -1, -1}, rc = 0;

	if (pipe2(fds, O_CLOEXEC) < 0 || (fds[2] = fcntl(fds[0], F_DUPFD_CLOEXEC, 0)) < 0)
		rc = uv_translate_sys_error(errno);
	for (int i = 0; i < 3; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	return rc ? rc : uv_loop_init(loop);
}

bool session_init(struct session *s)
{
	int rc = init_loop(&s->loop);

	if (rc < 0) {
		say("can't make a loop: %s", uv_strerror(rc));
		return false;
	}
	if (!jobs_init(&s->jobs, &s->loop)) {
		say("can't make a loop: %s", strerror(errno));
		uv_loop_close(&s->loop);
		return false;
	}
	s->jobs.graph = s->graph;
	s->jobs.tell = on_tell;
	s->jobs.idle = on_idle;
	s->jobs.user = s;
	return true;
}

static bool start_polls(struct session *s)
{
	s->ended_poll.data = s->signal_poll.data = s->progress_timer.data = s;
	uv_timer_init(&s->loop, &s->progress_timer);
	if (uv_poll_init(&s->loop, &s->ended_poll, pc_graph_fd(s->graph)) < 0)
		goto no_ended;
	if (uv_poll_init(&s->loop, &s->signal_poll, signals_fd()) < 0)
		goto no_signal;
	if (uv_poll_start(&s->ended_poll, UV_READABLE, on_ended) == 0 &&
	    uv_poll_start(&s->signal_poll, UV_READABLE, on_signal) == 0)
		return true;
	uv_close((uv_handle_t *)&s->signal_poll, NULL);
no_signal:
	uv_close((uv_handle_t *)&s->ended_poll, NULL);
no_ended:
	uv_close((uv_handle_t *)&s->progress_timer, NULL);
	say("can't wait for the graph: %s", strerror(errno));
	return false;
}

bool session_run(struct session *s)
{
	if (!start_polls(s))
		return false;
	if (s->args->watch)
		watch_start(&s->watch, s);
	server_start(&s->server, s); /* whoever finds its socket finds files watched */
	progress_init(&s->progress, s->graph, s->args->quiet || s->args->json);
	on_progress(&s->progress_timer);
	uv_run(&s->loop, UV_RUN_DEFAULT);
	server_fini(&s->server);
	uv_close((uv_handle_t *)&s->progress_timer, NULL);
	uv_close((uv_handle_t *)&s->signal_poll, NULL);
	uv_close((uv_handle_t *)&s->ended_poll, NULL);
	return true;
}

void session_fini(struct session *s)
{
	if (s->abandoned)
		return; /* threads of jobs still use it, and the process is about to end */
	jobs_fini(&s->jobs);
	uv_run(&s->loop, UV_RUN_DEFAULT); /* until all that was closed is */
	uv_loop_close(&s->loop);
}
