/* cli/job.h: what takes time and is asked of a running graph: swaps and reloads, each on a thread of
 * its own, so that the loop never waits. The loop's thread, but where it says otherwise. */
#ifndef CLI_JOB_H
#define CLI_JOB_H

#include "cli/event.h"

#include <pcrun/pcrun.h>

#include <pthread.h>
#include <stdbool.h>
#include <uv.h>

enum job_kind { JOB_SWAP, JOB_BACK, JOB_RELOAD };

struct jobs;

struct job {
	struct job *next;
	struct jobs *jobs;
	struct job *
		with; /* a swap of several stages as one: the next of them, which is in no list */
	enum job_kind kind;
	char *stage; /* malloc'd; NULL: a reload */
	char *file;  /* malloc'd; NULL: back, or a reload of the same file */
	bool dry_run, reset_state, retry;
	bool watched;     /* nobody asked: a file has changed */
	bool quiet;       /* do not say that nothing has changed */
	char *origin;     /* the watcher's, malloc'd: the file that has changed … */
	uint64_t code;    /* … what it saw in it … */
	uint64_t touches; /* … and how often it had been written to by then */
	/* Before it begins; true: it is not wanted any more, and vanishes. May be NULL. */
	bool (*stale)(void *user, const struct job *job);
	/* It was refused; true: for what may have been half a file. It vanishes, done() is not called.
	 * May be NULL. */
	bool (*moved)(void *user, const struct job *job);
	/* It is over; the job is freed after it. May be NULL. */
	void (*done)(void *user, const struct job *job);
	void *user;

	/* the thread's until it is over; of a set the first one has the error */
	bool running;
	pthread_t thread;
	int result;
	struct pc_error *error;
	struct pc_swap_report report;
	char *text;  /* of a reload */
	char *saved; /* the file with the item at which a build crashed in its probe, or NULL */
	char *reason; /* the error, and what became of that item; NULL: there was none */
};

struct notice;

struct jobs {
	struct pc_graph *graph;
	uv_async_t async;
	pthread_mutex_t lock;
	struct notice *notices, **last; /* under the lock: in order of what happened */
	struct job *first;              /* waiting and running, in order of asking */
	unsigned n_running;
	bool ended; /* nothing begins any more */
	void (*tell)(void *user, const struct event *event);
	void (*idle)(void *user); /* ended, and nothing runs any more */
	void *user;
};

/* False: said. `graph` is set when there is one. */
bool jobs_init(struct jobs *jobs, uv_loop_t *loop);
/* pc_swap_fn; user: the jobs. [any] */
void jobs_on_swap(void *user, const struct pc_swap_event *event);
/* Takes over a calloc'd job and its strings. NULL: no memory (said). */
struct job *jobs_new(struct jobs *jobs, enum job_kind kind, const char *stage,
                     const char *file);
/* One more stage that is swapped as one with the others of the job. False: no memory (said). */
bool jobs_with(struct job *job, const char *stage, const char *file);
void jobs_drop(struct job *job); /* one that was not added, or NULL */
void jobs_add(struct job *job);
/* The graph has ended: what waits is told so; idle() is called now or when the last is over. */
void jobs_end(struct jobs *jobs);
/* The loop must run once more after it. */
void jobs_fini(struct jobs *jobs);

/* Why it failed, may be several lines; NULL: it did not. */
const char *jobs_reason(const struct job *job);

/* A stage by its name; false: there is none. */
bool jobs_stage(struct pc_graph *graph, const char *name, struct pc_stage_row *ret_row);

#endif
