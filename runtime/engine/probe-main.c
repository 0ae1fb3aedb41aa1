/* engine/probe-main.c: pcrun-probe, the program that tries a build of a stage before pcrun loads it.
 *
 * Started by swap-probe.c, never by hand; what is tried, and why, stands in swap-probe.h. Prints
 * nothing: all that it finds goes into the memory file that it shares with pcrun. Ends with status 0
 * whenever the report has a verdict; every other end is the build's doing.
 */
#include "engine/swap-probe.h"

#include "base/error.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LEAVE_NS (200 * PC_MS) /* for threads that are on their way out */

static bool map(struct probe *p)
{
	struct stat st;
	char *at;

	if (fstat(PROBE_FD, &st) < 0 || (size_t)st.st_size <= sizeof(*p->report))
		return false;
	at = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, PROBE_FD, 0);
	if (at == MAP_FAILED)
		return false;
	p->report = (struct probe_report *)(void *)at;
	p->at = at + sizeof(*p->report);
	p->end = at + st.st_size;
	return true;
}

/* -------------------------------------------------------------------- what is left --- */

static unsigned entries(const char *path)
{
	DIR *d = opendir(path);
	unsigned n = 0;

	if (!d)
		return 0;
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static unsigned descriptors(void)
{
	return entries("/proc/self/fd");
}

static unsigned threads(void)
{
	return entries("/proc/self/task");
}

/* One that has been joined may still stand there for a moment. */
static unsigned threads_beyond(unsigned before)
{
	struct timespec moment = {0, 500000};
	unsigned n = threads();

	for (int i = 0; n > before && i < LEAVE_NS / moment.tv_nsec; i++) {
		nanosleep(&moment, NULL);
		n = threads();
	}
	return n > before ? n - before : 0;
}

/* What the newest descriptor leads to. */
static void last_descriptor(char *to, size_t room)
{
	char link[64];
	int last = 0;

	for (int fd = 0; fd < 1024; fd++) {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		if (access(link, F_OK) == 0 || readlink(link, to, room - 1) > 0)
			last = fd;
	}
	snprintf(link, sizeof(link), "/proc/self/fd/%d", last);
	memset(to, 0, room);
	if (readlink(link, to, room - 1) < 0)
		to[0] = '\0';
}

/* --------------------------------------------------------------------- the rounds --- */

/* Others of its set will feed it with items of another kind than those that were recorded. */
static bool is_pure(const struct probe *p)
{
	return (p->old->flags & PC_PURE) && (p->plugin->desc->flags & PC_PURE) &&
	       p->plugin->desc->n_inputs > 0 && !(p->how & SWAP_FED);
}

/* With a copy of the state, as the swap itself will do it: without open() and close(). */
static bool take_over(struct probe *p)
{
	bool replay = is_pure(p) && p->n_items > 0;

	if (!p->state || (p->how & SWAP_RESET) || p->old->state_size == 0 ||
	    p->plugin->desc->state_size == 0 || (!replay && !p->plugin->desc->migrate))
		return false;
	probe_calls(p, false, replay);
	probe_round(p, p->how & ~(unsigned)SWAP_DRY_RUN);
	p->report->taken_over = true;
	return p->report->n_replayed > 0;
}

static void open_and_close(struct probe *p, bool replay)
{
	probe_calls(p, true, replay);
	probe_round(p, SWAP_RESET | (p->how & SWAP_SET));
}

static void look_for_leaks(struct probe *p, unsigned fds, unsigned tasks)
{
	unsigned left = threads_beyond(tasks);
	char what[160];

	if (left > 0)
		probe_end(p, PROBE_FAILED,
		          "each open() and close() leaves %u thread%s behind, which would "
		          "run into nothing when the build is unloaded",
		          left, left == 1 ? "" : "s");
	left = descriptors();
	if (left <= fds)
		return;
	last_descriptor(what, sizeof(what));
	probe_end(p, PROBE_FAILED,
	          "each open() and close() leaves %u descriptor%s open; the last is of %s",
	          left - fds, left - fds == 1 ? "" : "s", what);
}

static void on_fresh_state(struct probe *p, bool replay)
{
	unsigned fds = descriptors(), tasks = threads();

	p->report->fresh = replay;
	open_and_close(p, replay);
	/* What a library keeps for good it keeps once. */
	if (threads_beyond(tasks) == 0 && descriptors() <= fds)
		return;
	fds = descriptors();
	tasks = threads();
	open_and_close(p, false);
	look_for_leaks(p, fds, tasks);
}

/* The queues have a thread that stays, from the first of them on. It is to be there before threads
 * are counted. */
static void start_reclaim(void)
{
	struct pc_queue_options options = {.size = sizeof(options), .capacity = 1};
	struct pc_queue *q;

	if (pc_queue_create(&q, &options) == PC_OK)
		pc_queue_destroy(q);
}

static void load(struct probe *p)
{
	struct pc_error *err = NULL;

	probe_step(p, PROBE_LOADS);
	if (loader_open_as(&p->plugin, p->loaded, p->file, &err) != PC_OK)
		probe_end(p, PROBE_FAILED, "%s", pc_error_text(err));
}

int main(void)
{
	static struct probe p;
	unsigned tasks;
	bool replayed;

	if (!map(&p) || !probe_read(&p))
		return 2;
	close_range(PROBE_FD, ~0U, 0);
	probe_guard_limits(p.old->state_size);
	probe_guard_signals(&p);
	if (!probe_guard_effects())
		p.report->no_filter = true;
	p.report->magic = PROBE_MAGIC;
	start_reclaim();
	tasks = threads();
	load(&p);
	if (p.plugin->desc->flags & PC_NO_PROBE) {
		p.report->no_probe = true;
	} else {
		replayed = take_over(&p);
		/* Without the filter an open() could do harm. */
		if (!p.report->no_filter || is_pure(&p))
			on_fresh_state(&p, !replayed && is_pure(&p) && p.n_items > 0);
	}
	probe_step(&p, PROBE_UNLOADS);
	/* What a thread of its libraries runs must stay. */
	if (threads_beyond(tasks) == 0)
		loader_close(p.plugin);
	probe_step(&p, PROBE_DONE);
	probe_end(&p, PROBE_PASSED, "%s", "");
}
