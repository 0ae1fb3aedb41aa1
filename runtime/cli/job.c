/* cli/job.c: the jobs of job.h.
 *
 * A job waits while an earlier one is about one of its stages or files, or either is a reload: so
 * the newest request has the last word, a file is compiled once for all its stages, and two jobs
 * never undo each other's work. The thread only calls the library and posts a notice; so does the
 * runtime's control thread when a swap goes live or is undone. One list for both keeps the order
 * in which things happened. */
#include "cli/job.h"

#include "cli/crash-item.h"
#include "cli/crash.h"
#include "cli/say.h"

#include <pcrun/stage.h>

#include <stdlib.h>
#include <string.h>

/* Either a job that is over, or an event of the runtime. */
struct notice {
	struct notice *next;
	struct job *job; /* NULL: an event */
	struct event event;
	char *stage, *text, *reason;
};

static void post(struct jobs *jobs, struct notice *notice)
{
	notice->next = NULL;
	pthread_mutex_lock(&jobs->lock);
	*jobs->last = notice;
	jobs->last = &notice->next;
	pthread_mutex_unlock(&jobs->lock);
	uv_async_send(&jobs->async);
}

void jobs_on_swap(void *user, const struct pc_swap_event *e)
{
	struct notice *n = calloc(1, sizeof(*n));
	const struct pc_swap_report *r = e->report;

	if (!n)
		return;
	n->stage = strdup(e->stage);
	n->text = r->text ? strdup(r->text) : NULL;
	n->reason = e->reason ? strdup(e->reason) : NULL;
	n->event = (struct event){
		.kind = e->what == PC_SWAP_LIVE   ? EVENT_LIVE
	                : e->what == PC_SWAP_BACK ? EVENT_BACK
	                                          : EVENT_LATE,
		.stage = n->stage ? n->stage : "?",
		.from = r->from,
		.to = r->to,
		.item = r->item,
		.pause_median_ns = r->pause_median_ns,
		.pause_worst_ns = r->pause_worst_ns,
		.took_ns = r->took_ns,
		.text = n->text,
		.reason = n->reason,
		.time_ns = event_now_ns(),
	};
	post(user, n);
}

bool jobs_stage(struct pc_graph *graph, const char *name, struct pc_stage_row *row)
{
	for (size_t i = 0; pc_graph_stage(graph, i, row, sizeof(*row)); i++)
		if (strcmp(row->name, name) == 0)
			return true;
	return false;
}

/* ------------------------------------------------------------------------- the thread --- */

static int swap_set(struct job *job, size_t n, const struct pc_swap_options *options)
{
	struct pc_swap_item *items = calloc(n, sizeof(*items));
	struct pc_swap_report *reports = calloc(n, sizeof(*reports));
	int result = PC_NOMEM;
	size_t i = 0;

	if (!items || !reports)
		goto out;
	for (const struct job *m = job; m; m = m->with)
		items[i++] = (struct pc_swap_item){
			.size = sizeof(*items), .stage = m->stage, .file = m->file};
	result = pc_graph_swap_set(job->jobs->graph, items, n, options, reports,
	                           sizeof(*reports), &job->error);
	i = 0;
	for (struct job *m = job; m; m = m->with)
		m->report = reports[i++];
out:
	free(items);
	free(reports);
	return result;
}

/* The items at which builds crashed. Of a set the first one has the reason, as it has the error. */
static void save_items(struct job *job)
{
	char bytes[2 * PATH_MAX];
	struct crash_text said = {bytes, sizeof(bytes), 0};

	for (struct job *m = job; m; m = m->with)
		if (m->report.crashed)
			m->saved = crash_probe_save(m->report.crashed, &said);
	if (said.n > 0 && asprintf(&job->reason, "%s%.*s", pc_error_text(job->error),
	                           (int)said.n, said.bytes) < 0)
		job->reason = NULL;
}

static void do_swap(struct job *job)
{
	const struct pc_swap_options options = {
		.size = sizeof(options),
		.dry_run = job->dry_run,
		.reset_state = job->reset_state,
		.back = job->kind == JOB_BACK,
		.retry = job->retry,
	};
	size_t n = 0;
	int result;

	for (const struct job *m = job; m; m = m->with)
		n++;
	if (n > 1)
		result = swap_set(job, n, &options);
	else
		result = pc_graph_swap(job->jobs->graph, job->stage, job->file, &options,
		                       &job->report, sizeof(job->report), &job->error);
	for (struct job *m = job; m; m = m->with)
		m->result = result;
	save_items(job);
}

static void do_reload(struct job *job)
{
	const struct pc_reload_options options = {.size = sizeof(options),
	                                          .dry_run = job->dry_run};

	job->result =
		pc_graph_reload(job->jobs->graph, job->file, &options, &job->text, &job->error);
}

static void *run(void *user)
{
	struct job *job = user;
	struct notice *n = calloc(1, sizeof(*n));
	struct crash_stack stack;

	crash_stack_begin(&stack);
	if (job->kind == JOB_RELOAD)
		do_reload(job);
	else
		do_swap(job);
	crash_stack_end(&stack);
	/* The job itself is in nobody's way: it can wait for memory. */
	while (!n)
		n = calloc(1, sizeof(*n));
	n->job = job;
	post(job->jobs, n);
	return NULL;
}

/* ------------------------------------------------------------------------ what it means --- */

/* With a text it is done, though a stage may have gone back to its old build, which was told. */
static void tell_reload(const struct job *job, struct event *e)
{
	e->kind = job->result == PC_OK || job->text ? EVENT_RELOADED
	          : job->result == PC_STOPPED       ? EVENT_OVERTAKEN
	                                            : EVENT_REFUSED;
	if (job->quiet && job->text && !*job->text)
		return;
	if (e->kind == EVENT_OVERTAKEN && job->jobs->ended)
		return;
	e->text = job->text;
	job->jobs->tell(job->jobs->user, e);
}

/* What went live, and what was undone, the runtime has told already. Of a set that could not be
 * taken no stage was in a newer request's way: it is refused as a whole. */
static void tell_swap(const struct job *job, struct event *e, bool is_set)
{
	struct pc_stage_row row;

	e->from = jobs_stage(job->jobs->graph, job->stage, &row) ? row.build : 0;
	switch (job->result) {
	case PC_OK:
		if (!job->report.unchanged || (job->quiet && !job->report.refreshed))
			return;
		e->kind = EVENT_UNCHANGED;
		e->text = event_unchanged(&job->report);
		break;
	case PC_ERROR:
		return;
	case PC_TIMEOUT:
		if (job->report.to != 0)
			return;
		e->kind = is_set ? EVENT_REFUSED : EVENT_OVERTAKEN;
		break;
	case PC_STOPPED:
		if (job->jobs->ended)
			return;
		e->kind = EVENT_OVERTAKEN;
		break;
	default:
		e->kind = EVENT_REFUSED;
	}
	job->jobs->tell(job->jobs->user, e);
}

const char *jobs_reason(const struct job *job)
{
	return job->reason ? job->reason : job->error ? pc_error_text(job->error) : NULL;
}

static void tell(const struct job *job)
{
	const char *reason = jobs_reason(job);

	if (job->dry_run)
		return;
	/* A swap's line has the stage's name already; of a reload only the reason tells it. */
	if (reason && job->kind != JOB_RELOAD)
		reason = event_reason(reason);
	for (const struct job *m = job; m; m = m->with) {
		struct event e = {.stage = m->stage,
		                  .file = m->file,
		                  .reason = reason,
		                  .saved = m->saved,
		                  .time_ns = event_now_ns()};

		if (job->kind == JOB_RELOAD)
			tell_reload(job, &e);
		else
			tell_swap(m, &e, job->with != NULL);
	}
}

void jobs_drop(struct job *job)
{
	while (job) {
		struct job *with = job->with;

		pc_error_free(job->error);
		free(job->report.text);
		free(job->report.probe);
		free(job->report.crashed);
		free(job->text);
		free(job->saved);
		free(job->reason);
		free(job->stage);
		free(job->file);
		free(job->origin);
		free(job);
		job = with;
	}
}

static void unlink_job(struct job *job)
{
	struct job **at = &job->jobs->first;

	while (*at != job)
		at = &(*at)->next;
	*at = job->next;
}

static void finish(struct job *job)
{
	unlink_job(job);
	if (job->result != PC_WRONG || !job->moved || !job->moved(job->user, job)) {
		tell(job);
		if (job->done)
			job->done(job->user, job);
	}
	jobs_drop(job);
}

/* --------------------------------------------------------------------------- their turn --- */

static bool same(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

static bool touch(const struct job *a, const struct job *b)
{
	for (const struct job *m = a; m; m = m->with)
		for (const struct job *o = b; o; o = o->with)
			if (same(m->stage, o->stage) || same(m->file, o->file))
				return true;
	return false;
}

static bool must_wait(const struct job *job)
{
	for (const struct job *other = job->jobs->first; other != job; other = other->next)
		if (other->kind == JOB_RELOAD || job->kind == JOB_RELOAD || touch(other, job))
			return true;
	return false;
}

/* It has not begun. */
static void give_up(struct job *job, int result)
{
	for (struct job *m = job; m; m = m->with)
		m->result = result;
	finish(job);
}

static void begin(struct job *job)
{
	pthread_attr_t attr;
	int r = pthread_attr_init(&attr);

	if (r == 0) {
		r = pthread_create(&job->thread, &attr, run, job);
		pthread_attr_destroy(&attr);
	}
	job->running = r == 0;
	job->jobs->n_running += job->running;
	if (r != 0) {
		give_up(job, PC_NOMEM);
	}
}

static void begin_ready(struct jobs *jobs)
{
	struct job *next;

	for (struct job *job = jobs->first; job && !jobs->ended; job = next) {
		next = job->next;
		if (job->running || must_wait(job))
			continue;
		if (job->stale && job->stale(job->user, job)) {
			unlink_job(job);
			jobs_drop(job);
		} else {
			begin(job);
		}
	}
}

static void on_news(uv_async_t *async)
{
	struct jobs *jobs = async->data;
	struct notice *list;

	pthread_mutex_lock(&jobs->lock);
	list = jobs->notices;
	jobs->notices = NULL;
	jobs->last = &jobs->notices;
	pthread_mutex_unlock(&jobs->lock);
	while (list) {
		struct notice *n = list;
		struct pc_stage_row row;

		list = n->next;
		if (n->job) {
			pthread_join(n->job->thread, NULL);
			jobs->n_running--;
			finish(n->job);
		} else {
			n->event.source = jobs_stage(jobs->graph, n->event.stage, &row) &&
			                  row.inputs == 0;
			jobs->tell(jobs->user, &n->event);
		}
		free(n->stage);
		free(n->text);
		free(n->reason);
		free(n);
	}
	begin_ready(jobs);
	if (jobs->ended && jobs->n_running == 0)
		jobs->idle(jobs->user);
}

/* ------------------------------------------------------------------------------- whole --- */

bool jobs_init(struct jobs *jobs, uv_loop_t *loop)
{
	*jobs = (struct jobs){.last = &jobs->notices};
	if (pthread_mutex_init(&jobs->lock, NULL) != 0)
		return false;
	jobs->async.data = jobs;
	if (uv_async_init(loop, &jobs->async, on_news) == 0)
		return true;
	pthread_mutex_destroy(&jobs->lock);
	return false;
}

struct job *jobs_new(struct jobs *jobs, enum job_kind kind, const char *stage, const char *file)
{
	struct job *job = calloc(1, sizeof(*job));

	if (!job)
		goto nomem;
	job->jobs = jobs;
	job->kind = kind;
	job->stage = stage ? strdup(stage) : NULL;
	job->file = file ? strdup(file) : NULL;
	if ((!stage || job->stage) && (!file || job->file))
		return job;
	jobs_drop(job);
nomem:
	say("out of memory");
	return NULL;
}

bool jobs_with(struct job *job, const char *stage, const char *file)
{
	struct job *m = jobs_new(job->jobs, job->kind, stage, file);

	if (!m)
		return false;
	while (job->with)
		job = job->with;
	job->with = m;
	return true;
}

void jobs_add(struct job *job)
{
	struct job **at = &job->jobs->first;

	while (*at)
		at = &(*at)->next;
	job->next = NULL;
	*at = job;
	begin_ready(job->jobs);
}

void jobs_end(struct jobs *jobs)
{
	struct job *next;

	jobs->ended = true;
	for (struct job *job = jobs->first; job; job = next) {
		next = job->next;
		if (job->running)
			continue;
		give_up(job, PC_STOPPED);
	}
	uv_async_send(&jobs->async); /* idle() is called from there */
}

void jobs_fini(struct jobs *jobs)
{
	uv_close((uv_handle_t *)&jobs->async, NULL);
	pthread_mutex_destroy(&jobs->lock);
}
