/* stress/reload/beside.c: a reload, and something else at the same time.
 *
 * A stage that does not come back from its code; a swap that is under way, or comes; the graph that
 * is stopped, or ends; a plugin that was built anew. The stage in the middle waits at a gate, so
 * that what shall be under way is. */
#include "common.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define GATED                                                                                  \
	"stage a = source(burst=4, pause=1ms)\nstage b = pass(gated=1)\nstage c = sink()\n"    \
	"a -> b -> c\n"
#define MORE                                                                                   \
	"stage a = source(burst=4, pause=1ms)\nstage b = pass(gated=1)\nstage n = "            \
	"pass(live=5)\n"                                                                       \
	"stage c = sink()\na -> b -> n -> c\n"

static const char *folder;

/* One on a thread of its own. */
struct job {
	pthread_t thread;
	const char *file; /* swap to it; NULL: reload */
	int64_t timeout_ns;
	int result;
	struct pc_error *error;
};

static void *do_job(void *arg)
{
	struct job *job = arg;
	struct pc_swap_options s = {.size = sizeof(s), .timeout_ns = job->timeout_ns};
	struct pc_reload_options r = {.size = sizeof(r), .timeout_ns = job->timeout_ns};

	if (job->file)
		job->result = pc_graph_swap(graph, "b", job->file, &s, NULL, 0, &job->error);
	else
		job->result = pc_graph_reload(graph, NULL, &r, NULL, &job->error);
	return NULL;
}

static void begin_job(struct job *job, const char *file, int64_t timeout_ns)
{
	*job = (struct job){.file = file, .timeout_ns = timeout_ns};
	if (pthread_create(&job->thread, NULL, do_job, job))
		abort();
}

static int end_job(struct job *job)
{
	pthread_join(job->thread, NULL);
	if (job->result)
		printf("# %d: %s\n", job->result, job->error ? pc_error_text(job->error) : "");
	pc_error_free(job->error);
	return job->result;
}

/* For what is asked meanwhile to arrive; nothing depends on that it has. */
static void moment(void)
{
	struct timespec t = {0, 50000000};

	nanosleep(&t, NULL);
}

#define LONG INT64_C(100000000000)

static void timeout(void)
{
	struct pc_reload_options o = {.size = sizeof(o), .timeout_ns = 30000000};
	struct pc_error *err = NULL;
	int rc;

	start(GATED);
	wait_seen(50);
	gate_shut(1);
	write_text(MORE);
	rc = pc_graph_reload(graph, NULL, &o, NULL, &err);
	report(rc == PC_TIMEOUT && strstr(pc_error_text(err), "'b'") &&
	               strstr(pc_error_text(err), "nothing was changed"),
	       "a stage that does not come back is named, and nothing is changed");
	pc_error_free(err);
	gate_open();
	wait_seen(50);
	report(atomic_load(&last_live) == 0, "the graph goes on as it was");
	report(reload(MORE) == PC_OK, "and is reloaded when the stage comes back");
	while (atomic_load(&last_live) != 5)
		wait_seen(1);
	stop_and_check("time-out: all items, in order", PC_STOP_DRAIN, true);
}

static void swap_first(const char *later)
{
	struct job swap;

	start(GATED);
	wait_seen(50);
	gate_shut(1);
	begin_job(&swap, later, LONG);
	moment();
	write_text(MORE);
	{
		struct job reload_too;

		begin_job(&reload_too, NULL, LONG);
		moment();
		gate_open();
		report(end_job(&swap) == PC_OK, "a swap that a reload comes to");
		report(end_job(&reload_too) == PC_OK, "and the reload");
	}
	wait_seen(50);
	stop_and_check("swap, then reload: all items, in order", PC_STOP_DRAIN, true);
}

static void reload_first(const char *later)
{
	struct job swap, reload_too;

	start(GATED);
	wait_seen(50);
	gate_shut(1);
	write_text(MORE);
	begin_job(&reload_too, NULL, LONG);
	moment();
	begin_job(&swap, later, LONG);
	moment();
	gate_open();
	report(end_job(&reload_too) == PC_OK, "a reload that a swap comes to");
	report(end_job(&swap) == PC_OK, "and the swap");
	wait_seen(50);
	stop_and_check("reload, then swap: all items, in order", PC_STOP_DRAIN, true);
}

static void stopped(int how, const char *what)
{
	struct job job;
	int rc;

	start(GATED);
	wait_seen(50);
	gate_shut(1);
	write_text(MORE);
	begin_job(&job, NULL, LONG);
	moment();
	pc_graph_stop(graph, how);
	if (how == PC_STOP_NOW)
		gate_open();
	rc = end_job(&job);
	/* With the gate open it may just have been carried out. */
	report(rc == PC_STOPPED || (how == PC_STOP_NOW && rc == PC_OK), what);
	gate_open();
	if (how == PC_STOP_DRAIN)
		stop_and_check("stopped in a reload: all items, in order", how, true);
	else
		pc_graph_free(graph);
}

/* A source that was to rest and did not in time sleeps on afterwards, as if nobody had asked. */
static void late_source(void)
{
	static const char *const source =
		"stage a = source(gated=1, nap=1h) thread=own\nstage c = sink()\n";
	struct timespec while_it_sleeps = {0, 200000000};
	char text[256];
	uint64_t before;
	struct job job;

	gate_shut(0);
	snprintf(text, sizeof(text), "%sa -> c\n", source);
	start(text);
	gate_shut(1);
	snprintf(text, sizeof(text), "%sstage b = pass()\na -> b -> c\n", source);
	write_text(text);
	begin_job(&job, NULL, 50000000);
	report(end_job(&job) == PC_TIMEOUT, "a source does not come to rest in time");
	gate_open();
	moment();
	before = gate_seen();
	nanosleep(&while_it_sleeps, NULL);
	report(gate_seen() - before < 10, "and sleeps on when it comes out of its code");
	stop_and_check("and ends", PC_STOP_DRAIN, true);
}

/* The source has ended while its reader was waited for. */
static void ended(void)
{
	struct job job;

	gate_shut(0);
	start("stage a = source(burst=4, count=400)\nstage b = pass(gated=1)\nstage c = "
	      "sink()\n"
	      "a -> b -> c\n");
	gate_shut(1);
	write_text("stage a = source(burst=4, count=400)\nstage b = pass(gated=1)\n"
	           "stage n = pass(hold=3)\nstage c = sink(label=1)\na -> b -> n -> c\n");
	begin_job(&job, NULL, LONG);
	moment();
	gate_open();
	{
		int rc = end_job(&job);

		report(rc == PC_OK || rc == PC_WRONG || rc == PC_STOPPED,
		       "a reload while the stream ends");
	}
	stop_and_check("the stream ends: all items, in order", 0, true);
}

static void copy(const char *from, const char *to)
{
	char command[8192], half[1024];

	snprintf(half, sizeof(half), "%s.new", to);
	snprintf(command, sizeof(command), "cp '%s' '%s' && mv '%s' '%s'", from, half, half,
	         to);
	if (system(command) != 0)
		abort();
}

/* Beside other changes, and alone; and one that can not be taken. */
static void rebuilt(const char *later)
{
	char file[64], pass[512], text[512];

	snprintf(file, sizeof(file), "/tmp/pcrun-reload-%ld.so", (long)getpid());
	snprintf(pass, sizeof(pass), "%s/pass.so", folder);
	snprintf(text, sizeof(text),
	         "stage a = source(burst=4, pause=1ms)\nstage b = %s(live=1)\n"
	         "stage c = sink()\na -> b -> c\n",
	         file);
	copy(pass, file);
	private_copies = true;
	start(text);
	wait_seen(50);
	copy(later, file);
	report(reload(text) == PC_OK && strstr(reload_text, "v1 -> v2"),
	       "a plugin that was built anew is swapped");
	wait_seen(50);
	report(atomic_load(&last_live) == 101, "and runs");
	copy("/etc/passwd", file);
	report(reload(text) == PC_WRONG, "one that can not be loaded refuses the reload");
	wait_seen(50);
	report(atomic_load(&last_live) == 101, "and the one before runs on");
	copy(pass, file);
	report(reload("stage a = source(burst=4, pause=1ms)\nstage b = pass(live=3)\n"
	              "stage c = sink()\na -> b -> c\n") == PC_OK,
	       "the same plugin by its name");
	stop_and_check("built anew: all items, in order", PC_STOP_DRAIN, true);
	unlink(file);
}

#define SLOW "stage a = source(burst=1, pause=20ms)\nstage c = sink()\na -> b -> c\n"

/* A build is on probation; more replicas are asked for; before those that run stand still, one of them
 * fails and goes back. The passages of that cut, and what was made, are those of two replicas. */
static void failing(void)
{
	struct job swap, reload_too;
	char bomb[512];

	snprintf(bomb, sizeof(bomb), "%s/bomb.so", folder);
	start("stage b = pass(gated=1) replicas=2\n" SLOW);
	wait_seen(5);
	begin_job(&swap, bomb, LONG);
	while (atomic_load(&last_live) != 200)
		wait_seen(1);
	gate_shut(2);
	write_text("stage b = pass(gated=1) replicas=3\n" SLOW);
	begin_job(&reload_too, NULL, LONG);
	moment();
	atomic_store(&bomb_armed, true);
	gate_open();
	report(end_job(&reload_too) == PC_OK,
	       "more replicas, while a build fails on probation");
	end_job(&swap); /* it was answered before that, or not */
	while (atomic_load(&last_live) != 0)
		wait_seen(1);
	wait_seen(50);
	report(atomic_load(&last_live) == 0 && !atomic_load(&bomb_armed),
	       "all of them are on the old one");
	stop_and_check("fails, and grows: all items", PC_STOP_DRAIN, false);
}

int main(int argc, char **argv)
{
	char later[512];

	begin(argc, argv);
	folder = argv[1];
	snprintf(later, sizeof(later), "%s/later.so", folder);
	timeout();
	swap_first(later);
	reload_first(later);
	stopped(PC_STOP_DRAIN, "a reload that waits is told that the graph drains");
	stopped(PC_STOP_NOW, "and that it stops");
	late_source();
	ended();
	failing();
	rebuilt(later);
	return end();
}
