/* cli/watch-file.c: what a change of a file means: wait, take it, or leave it.
 *
 * After the last event a file must be quiet for 20 ms: linkers and editors write in many steps, and
 * strip comes right behind the linker. Of a source the second half of that passes while it is
 * compiled (loader/swap.c compiles it anew when it was written to meanwhile). Then it is looked at as
 * a whole. What is not whole is looked at again, ever less often, and after a second that is said. What
 * is whole becomes a job for each stage that uses it; while one waits for its turn no second one is
 * made, because it takes what lies there when it begins, and one that finds its file in motion again
 * vanishes: the event that moved it brings the next. So of twenty builds in a second the last is taken,
 * and none is lost.
 *
 * A build that was refused while its file was written to is nobody's mistake, and not told: what lies
 * there afterwards is taken.
 *
 * A build that was refused is not tried again until its code is another. One that has failed when it
 * ran is: the stage knows its code, and refuses it with the reason, which a person who saves the
 * file once more should read. A shared object whose code is the same but whose bytes are not (only
 * lines have moved) is offered as well, for those who debug it.
 *
 * When what flows between two stages changes, each of them is refused, because of the other. Nobody
 * knows which will be saved next, so they are kept in mind: as soon as there are two of them, all
 * are tried as a set. If that is refused, too, the next one that is saved leads to the next try.
 *
 * A stage that takes any type is not refused for it; but if it is pure, its probe gives the new
 * code items of the old kind, which it may not be able to do; or it has gone live and failed with the
 * first of them. So a build that was refused, or undone, for what it did with an item belongs to the
 * set, too, if one of those whose types have changed feeds it: as a member of the set it is not given
 * such items. */
#include "cli/watch.h"

#include "cli/say.h"
#include "cli/session.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { QUIET_MS = 20, QUIET_SOURCE_MS = 10 };
/* From one look to the next; the last one is a second after the first. */
static const unsigned later_ms[] = {20, 50, 100, 200, 300, 330};
enum { N_LATER = sizeof(later_ms) / sizeof(later_ms[0]) };

static void on_timer(uv_timer_t *timer);

struct trace watched_trace(const char *file)
{
	struct stat st;

	if (stat(file, &st) < 0)
		return (struct trace){0};
	return (struct trace){st.st_dev, st.st_ino, st.st_size, st.st_mtim};
}

bool watched_same(const struct trace *a, const struct trace *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       a->changed.tv_sec == b->changed.tv_sec &&
	       a->changed.tv_nsec == b->changed.tv_nsec;
}

static unsigned quiet_ms(const struct watched *f)
{
	return watched_is_source(f) ? QUIET_SOURCE_MS : QUIET_MS;
}

/* ------------------------------------------------------------------------------ looking --- */

/* A file by its hash. As pc_plugin_whole(): an editor that is at work has left it empty. */
static int hash_bytes(const char *file, uint64_t *ret)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	uint64_t hash = WATCH_HASH;
	unsigned char part[8192];
	bool empty = true;
	ssize_t n;

	if (fd < 0)
		return PC_ERROR;
	while ((n = read(fd, part, sizeof(part))) > 0) {
		empty = false;
		hash = watch_hash(hash, part, (size_t)n);
	}
	close(fd);
	*ret = hash;
	return n < 0 ? PC_WRONG : empty ? PC_AGAIN : PC_OK;
}

static int look_at(const struct watched *f, uint64_t *ret_code, struct pc_error **err)
{
	return f->is_graph ? hash_bytes(f->file, ret_code)
	                   : pc_plugin_whole(f->file, ret_code, err);
}

/* All of it, not only what runs. Of a source, or a graph, the code is the text anyway. */
static uint64_t bytes_of(const struct watched *f)
{
	uint64_t hash = 0;

	return f->is_graph || hash_bytes(f->file, &hash) != PC_OK ? 0 : hash;
}

void watched_init(struct watched *f)
{
	f->trace = watched_trace(f->file);
	f->has_code = look_at(f, &f->code, NULL) == PC_OK;
	f->bytes = bytes_of(f);
}

/* --------------------------------------------------------------------------------- jobs --- */

/* The file may be gone from the list when its job ends. */
static struct watched *find(struct watch *w, const struct job *job)
{
	struct watched *f = w->files;

	while (f &&
	       (f->is_graph != (job->kind == JOB_RELOAD) || strcmp(f->file, job->origin) != 0))
		f = f->next;
	return f;
}

static bool is_stale(void *user, const struct job *job)
{
	struct session *s = user;
	struct watched *f = s->watch.on ? find(&s->watch, job) : NULL;

	if (f && !uv_is_active((const uv_handle_t *)&f->timer))
		return false;
	/* What it was for has not been taken, though the next look may find nothing else. */
	if (f)
		f->has_code = false;
	return true;
}

/* Whoever compiled it, or read it, may have seen half of what was being written, and the whole may
 * be what was seen before: so it is looked at once more, and taken whatever it is. */
static bool has_moved(void *user, const struct job *job)
{
	struct session *s = user;
	struct watched *f = s->watch.on ? find(&s->watch, job) : NULL;

	if (!f)
		return false;
	watch_catch_up(&s->watch);
	if (f->touches == job->touches)
		return false;
	/* Another job may wait already that takes what lies there now. */
	if (f->code != job->code)
		return true;
	f->has_code = false;
	if (!uv_is_active((const uv_handle_t *)&f->timer))
		uv_timer_start(&f->timer, on_timer, quiet_ms(f), 0);
	return true;
}

static void try_set(struct session *s);

static void on_done(void *user, const struct job *job)
{
	struct session *s = user;
	struct watched *f = s->watch.on ? find(&s->watch, job) : NULL;

	/* It may have been compiled with headers that nobody watched, and that were saved meanwhile. */
	if (f && job->kind == JOB_SWAP && watched_find(f) && job->result == PC_OK)
		watched_touch(f, true);
	if (!f || f->code != job->code)
		return;
	f->bad = job->result == PC_WRONG;
	f->neighbours |= job->report.neighbours;
	f->at_item |= job->report.at_item || job->result == PC_ERROR;
	if (f->neighbours || f->at_item)
		try_set(s);
	/* What was in the way may be gone the next time; and that it failed should be said again. */
	f->has_code = f->bad || job->result == PC_OK;
}

static bool has_waiting(const struct jobs *jobs, enum job_kind kind, const char *stage)
{
	for (const struct job *job = jobs->first; job; job = job->next)
		if (job->watched && !job->running && !job->with && job->kind == kind &&
		    (!stage || strcmp(job->stage, stage) == 0))
			return true;
	return false;
}

static void ask(struct watched *f, const char *stage, bool quiet)
{
	struct session *s = f->watch->session;
	enum job_kind kind = stage ? JOB_SWAP : JOB_RELOAD;
	struct job *job;

	if (has_waiting(&s->jobs, kind, stage))
		return;
	/* An included file changes the graph as well as its own does. */
	job = jobs_new(&s->jobs, kind, stage, stage ? f->file : NULL);
	if (!job)
		return;
	job->origin = strdup(f->file);
	if (!job->origin) {
		jobs_drop(job);
		return;
	}
	job->watched = true;
	job->quiet = quiet;
	job->code = f->code;
	job->touches = f->touches;
	job->stale = is_stale;
	job->moved = has_moved;
	job->done = on_done;
	job->user = s;
	jobs_add(job);
}

/* A stage that has ended, or was removed by a reload, has no use for a build. */
static bool uses(const struct pc_stage_row *row, const struct watched *f)
{
	return row->file && strcmp(row->file, f->file) == 0 &&
	       !(row->state && strcmp(row->state, "ended") == 0);
}

/* They are not stale when a file moves: whatever moved it leads to a job of that stage. */
static void on_set_done(void *user, const struct job *job)
{
	struct session *s = user;

	if (!s->watch.on || job->result != PC_OK)
		return;
	for (const struct job *m = job; m; m = m->with)
		for (struct watched *f = s->watch.files; f; f = f->next)
			if (!f->is_graph && strcmp(f->file, m->file) == 0)
				f->bad = f->neighbours = f->at_item = false;
}

/* By a stage that is to be swapped for its types. */
static bool is_fed(struct session *s, const char *stage)
{
	struct pc_stage_row row;

	for (const struct watched *f = s->watch.files; f; f = f->next)
		for (size_t i = 0;
		     f->neighbours && pc_graph_stage(s->graph, i, &row, sizeof(row)); i++)
			if (uses(&row, f) && pc_graph_feeds(s->graph, row.name, stage))
				return true;
	return false;
}

static bool belongs(struct session *s, const struct watched *f, const struct pc_stage_row *row)
{
	return uses(row, f) && (f->neighbours || is_fed(s, row->name));
}

static void try_set(struct session *s)
{
	struct pc_stage_row row;
	struct job *job = NULL;

	for (const struct job *j = s->jobs.first; j; j = j->next)
		if (j->watched && j->with && !j->running)
			return;
	for (const struct watched *f = s->watch.files; f; f = f->next) {
		for (size_t i = 0; (f->neighbours || f->at_item) &&
		                   pc_graph_stage(s->graph, i, &row, sizeof(row));
		     i++) {
			if (!belongs(s, f, &row))
				continue;
			if (job ? !jobs_with(job, row.name, f->file)
			        : !(job = jobs_new(&s->jobs, JOB_SWAP, row.name, f->file)))
				goto drop;
		}
	}
	if (!job || !job->with)
		goto drop;
	job->watched = true;
	job->retry = true; /* what it has failed with is not what it will get */
	job->done = on_set_done;
	job->user = s;
	for (struct job *m = job; m; m = m->with)
		m->quiet = true;
	jobs_add(job);
	return;
drop:
	jobs_drop(job);
}

static void take(struct watched *f, bool quiet)
{
	struct pc_stage_row row;

	if (f->is_graph) {
		ask(f, NULL, quiet);
		return;
	}
	for (size_t i = 0; pc_graph_stage(f->watch->session->graph, i, &row, sizeof(row)); i++)
		if (uses(&row, f))
			ask(f, row.name, quiet);
}

/* ------------------------------------------------------------------------------- saying --- */

static void tell(struct watched *f, enum event_kind kind, const char *reason)
{
	struct session *s = f->watch->session;
	struct event event = {
		.kind = kind, .file = f->file, .reason = reason, .time_ns = event_now_ns()};
	struct pc_stage_row row;

	if (f->is_graph) {
		session_tell(s, &event);
		return;
	}
	for (size_t i = 0; pc_graph_stage(s->graph, i, &row, sizeof(row)); i++) {
		if (!uses(&row, f))
			continue;
		event.stage = row.name;
		event.from = row.build;
		session_tell(s, &event);
	}
}

/* --------------------------------------------------------------------------- deciding --- */

static void on_whole(struct watched *f, uint64_t code)
{
	bool same = f->has_code && f->code == code;
	bool header = f->header;
	uint64_t bytes = bytes_of(f);
	bool lines = bytes != f->bytes && !f->bad;

	f->is_wrong = f->said_gone = f->header = false;
	f->bytes = bytes;
	/* Touched only, or written anew as it was, or bad and not changed. But a header may have changed
	 * the code of a source. */
	if (same && !header && !lines)
		return;
	f->code = code;
	f->has_code = true;
	f->bad = f->neighbours = f->at_item = false;
	take(f, same);
}

static void on_wrong(struct watched *f, struct pc_error *err)
{
	struct trace now = watched_trace(f->file);

	if (f->is_wrong && watched_same(&now, &f->wrong))
		return;
	f->is_wrong = true;
	f->wrong = now;
	f->has_code = false;
	tell(f, EVENT_REFUSED, event_reason(pc_error_text(err)));
}

static void on_gone(struct watched *f)
{
	if (!f->said_gone)
		tell(f, EVENT_GONE, NULL);
	f->said_gone = true;
}

/* Also what is not there: a linker removes the old file long before it writes the new one. */
static bool look_later(struct watched *f)
{
	if (f->tries == N_LATER)
		return false;
	uv_timer_start(&f->timer, on_timer, later_ms[f->tries++], 0);
	return true;
}

static void look(struct watched *f)
{
	struct pc_error *err = NULL;
	uint64_t code = 0;

	watched_find(f);
	switch (look_at(f, &code, &err)) {
	case PC_OK:
		on_whole(f, code);
		break;
	case PC_AGAIN:
		if (look_later(f))
			break;
		f->has_code = false;
		tell(f, EVENT_INCOMPLETE, NULL);
		break;
	case PC_ERROR:
		if (!look_later(f))
			on_gone(f);
		break;
	default:
		on_wrong(f, err);
	}
	pc_error_free(err);
}

static void on_timer(uv_timer_t *timer)
{
	look(timer->data);
}

void watched_touch(struct watched *f, bool header)
{
	f->tries = 0;
	f->touches++;
	f->header |= header;
	uv_timer_start(&f->timer, on_timer, quiet_ms(f), 0);
}
