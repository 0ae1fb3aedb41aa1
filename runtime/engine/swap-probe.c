/* engine/swap-probe.c: starts pcrun-probe on a new build, waits for its end, and decides.
 *
 * Called by the thread that asked for the swap, before the build is loaded into this process. The
 * helper is started by posix_spawn(), never fork(): a fork of a process with much memory stops its
 * threads for as long as the page tables take to copy (30 ms for 2 GiB; this takes one,
 * research/hotswap.md 2.6). It has a session of its own, no descriptor of ours but the two memory
 * files, and a time for each step; it is killed and reaped in every case, so that nothing is left
 * of it, whatever the build did.
 *
 * A helper that is not there or can not be run is no reason to refuse a build: that is said once,
 * and the swap goes on without a probe. What it finds out is.
 */
#include "engine/swap-probe.h"

#include "base/clock.h"
#include "base/error.h"
#include "queue/rcu.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOOK_NS (100 * PC_MS) /* how often it is looked at whether the helper gets on */
#define SAID    4096          /* bytes of its outputs that are looked at */

extern char **environ;

/* -------------------------------------------------------------------- the helper's file --- */

static char *beside(const void *code, const char *name)
{
	Dl_info info;
	const char *slash;
	char *path;

	if (!dladdr(code, &info) || !info.dli_fname)
		return NULL;
	slash = strrchr(info.dli_fname, '/');
	if (!slash ||
	    asprintf(&path, "%.*s/%s", (int)(slash - info.dli_fname), info.dli_fname, name) < 0)
		return NULL;
	if (access(path, X_OK) == 0)
		return path;
	free(path);
	return NULL;
}

/* $PCRUN_PROBE; beside the library, as in the build tree; where it is installed. malloc'd. */
static char *find_helper(void)
{
	const char *given = secure_getenv("PCRUN_PROBE");
	char *path;

	if (given && *given)
		return strdup(given);
	path = beside((const void *)(uintptr_t)&find_helper, "pcrun-probe");
	return path ? path : strdup(PCRUN_PROBE_BUILTIN);
}

/* -------------------------------------------------------------------------- starting --- */

static bool write_all(int fd, const char *bytes, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, bytes, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		bytes += n;
		size -= (size_t)n;
	}
	return true;
}

/* Above what the child gets, so that no number is in the way of another. */
static int memory_file(const char *name)
{
	int low = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING), fd;

	if (low < 0)
		return -1;
	fd = fcntl(low, F_DUPFD_CLOEXEC, 10);
	close(low);
	return fd;
}

/* The report, empty, and the request. */
static int request_file(const struct buf *request)
{
	static const struct probe_report empty;
	int fd = memory_file("pcrun-probe");

	if (fd < 0)
		return -1;
	if (write_all(fd, (const char *)&empty, sizeof(empty)) &&
	    write_all(fd, request->text, request->size) &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0)
		return fd;
	close(fd);
	return -1;
}

/* The sanitizers' options name files for reports; the helper's errors are told by its end. Leaks
 * are looked for by another process, and races of this engine have tests of their own. */
static char **environment(void)
{
	static char no_leaks[] = "ASAN_OPTIONS=detect_leaks=0";
	static char no_races[] = "TSAN_OPTIONS=report_bugs=0:atexit_sleep_ms=0";
	size_t n = 0, k = 0;
	char **list;

	while (environ && environ[n])
		n++;
	list = malloc((n + 3) * sizeof(*list));
	for (size_t i = 0; list && i < n; i++)
		if (!strstr(environ[i], "SAN_OPTIONS="))
			list[k++] = environ[i];
	if (list) {
		list[k++] = no_leaks;
		list[k++] = no_races;
		list[k] = NULL;
	}
	return list;
}

/* 0, or an errno. */
static int start(pid_t *ret, const char *helper, int request, int said)
{
	char name[] = "pcrun-probe";
	char *const words[] = {name, NULL};
	char **env = environment();
	posix_spawn_file_actions_t files;
	posix_spawnattr_t how;
	sigset_t set;
	int rc;

	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&how);
	rc = posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	rc = rc ? rc : posix_spawn_file_actions_adddup2(&files, said, 1);
	rc = rc ? rc : posix_spawn_file_actions_adddup2(&files, said, 2);
	rc = rc ? rc : posix_spawn_file_actions_adddup2(&files, request, PROBE_FD);
	sigfillset(&set);
	rc = rc ? rc : posix_spawnattr_setsigdefault(&how, &set);
	sigemptyset(&set);
	rc = rc ? rc : posix_spawnattr_setsigmask(&how, &set);
	rc = rc ? rc
	        : posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGDEF |
	                                                 POSIX_SPAWN_SETSIGMASK |
	                                                 POSIX_SPAWN_SETSID);
	rc = rc ? rc : env ? posix_spawn(ret, helper, &files, &how, words, env) : ENOMEM;
	posix_spawnattr_destroy(&how);
	posix_spawn_file_actions_destroy(&files);
	free(env);
	return rc;
}

/* --------------------------------------------------------------------------- waiting --- */

static void read_report(int fd, struct probe_report *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (pread(fd, ret, sizeof(*ret), 0) != (ssize_t)sizeof(*ret))
		memset(ret, 0, sizeof(*ret));
}

/* Within LOOK_NS. It is not reaped yet, so its number is still its own. */
static bool has_ended(pid_t pid, int pidfd)
{
	struct timespec moment = {0, PC_MS};
	struct pollfd ended = {.fd = pidfd, .events = POLLIN};
	siginfo_t info = {0};

	if (pidfd >= 0)
		poll(&ended, 1, LOOK_NS / PC_MS);
	else
		nanosleep(&moment, NULL);
	if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
		return errno != EINTR;
	return info.si_pid == pid;
}

/* Nothing of its session is left, either. Where the host has taken SIGCHLD away its status is not
 * to be had. */
static void reap(pid_t pid, struct probe_end *end)
{
	pid_t got;

	kill(-pid, SIGKILL);
	do
		got = waitpid(pid, &end->status, 0);
	while (got < 0 && errno == EINTR);
	end->reaped = got == pid;
}

/* Whether a thread of it runs, would if it got a processor, or waits for a disk: then the machine
 * may be to blame that it does not get on. A loop has an end by the limit on processor time. */
static bool is_busy(pid_t pid)
{
	char path[64], text[256];
	struct dirent *entry;
	bool busy = false;
	DIR *tasks;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	tasks = opendir(path);
	while (!busy && tasks && (entry = readdir(tasks))) {
		const char *state = NULL;
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%d/task/%.20s/stat", (int)pid,
		         entry->d_name);
		f = fopen(path, "re");
		if (f && fgets(text, sizeof(text), f))
			state = strrchr(text, ')');
		busy = state && state[1] && (state[2] == 'R' || state[2] == 'D');
		if (f)
			fclose(f);
	}
	if (tasks)
		closedir(tasks);
	return busy;
}

/* No step for too long. What is not done in the build's code has more time. */
static bool is_stuck(pid_t pid, const struct probe_report *now, int64_t since)
{
	int64_t passed = clock_now_ns() - since;
	/* relaxed, both: a copy */
	uint32_t begun = atomic_load_explicit((_Atomic uint32_t *)(uintptr_t)&now->progress,
	                                      memory_order_relaxed);
	uint32_t step = atomic_load_explicit((_Atomic uint32_t *)(uintptr_t)&now->step,
	                                     memory_order_relaxed); /* relaxed: as above */

	if (passed < PROBE_LIMIT_NS)
		return false;
	return passed >= PROBE_MACHINE_NS || (begun && step != PROBE_BETWEEN && !is_busy(pid));
}

static void wait_for_end(pid_t pid, int request, struct probe_end *end)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	int64_t since = clock_now_ns();
	uint32_t progress = 0;

	while (!has_ended(pid, pidfd)) {
		struct probe_report now;
		uint32_t seen;

		read_report(request, &now);
		/* relaxed: a copy */
		seen = atomic_load_explicit(&now.progress, memory_order_relaxed);
		if (seen != progress)
			since = clock_now_ns();
		progress = seen;
		if (!is_stuck(pid, &now, since))
			continue;
		end->hung = true;
		break;
	}
	reap(pid, end);
	if (pidfd >= 0)
		close(pidfd);
}

/* The end of what it wrote to its outputs. */
static void read_said(int fd, char *to)
{
	off_t size = lseek(fd, 0, SEEK_END);
	ssize_t n = pread(fd, to, SAID - 1, size > SAID - 1 ? size - (SAID - 1) : 0);

	to[n > 0 ? n : 0] = '\0';
}

/* -------------------------------------------------------------------------- deciding --- */

/* Then nothing will be done (swap_begin() decides that). */
static bool runs_already(const struct swap_trial *trial, uint64_t code)
{
	const struct build *b;
	bool same;

	queue_rcu_lock();
	b = swap_build_in_force(trial->stage, 0);
	same = b && code != 0 && b->code == code && !(trial->how & SWAP_RESET);
	queue_rcu_unlock();
	return same;
}

static void go_without(struct swap_trial *trial, const char *helper, const char *why)
{
	struct engine *e = trial->stage->engine;

	if (asprintf(&trial->words, "not probed: %s: %s", helper, why) < 0)
		trial->words = NULL;
	/* relaxed: only whether it has been said */
	if (!atomic_exchange_explicit(&e->swap.no_helper_said, true, memory_order_relaxed))
		engine_log(e, PC_WARN, NULL,
		           "new builds are loaded without having been probed: %s: %s", helper,
		           why);
}

/* What is tried. */
struct
try {
	const struct loader_copy *copy;
	const struct record *record; /* or NULL */
	const char *helper;
	struct buf request;
	const char *left_out; /* or NULL */
};

static int decide(struct swap_trial *trial, const struct try *try, int request,
                  struct probe_end *end, int64_t took_ns, struct pc_error **err)
{
	struct probe_report report;
	struct buf words = {0};
	int rc;

	read_report(request, &report);
	/* relaxed: a copy */
	if (report.magic != PROBE_MAGIC ||
	    atomic_load_explicit(&report.verdict, memory_order_relaxed) == PROBE_BROKEN) {
		report.text[sizeof(report.text) - 1] = '\0';
		go_without(trial, try->helper,
		           report.magic != PROBE_MAGIC
		                   ? "it does not answer (of another version?)"
		                   : report.text);
		return PC_OK;
	}
	rc = swap_verdict(&report, end, try->copy->path, err);
	if (rc) {
		/* relaxed: a copy */
		trial->at_item =
			atomic_load_explicit(&report.step, memory_order_relaxed) == PROBE_ITEM;
		trial->crashed =
			swap_crashed(trial->stage, try->record, &report, try->copy->file);
		return rc;
	}
	buf_addf(&words, "probe ok, %.1f ms: ", (double)took_ns / 1e6);
	swap_verdict_words(&report, try->left_out, &words);
	trial->words = buf_take(&words);
	/* Whoever says what happens to stages has it in the report. */
	if (trial->words && !trial->stage->engine->swapped)
		engine_log(trial->stage->engine, PC_INFO, trial->stage->plan->name, "%s",
		           trial->words);
	return PC_OK;
}

static int run(struct swap_trial *trial, const struct try *try, struct pc_error **err)
{
	int request = request_file(&try->request), said = memory_file("pcrun-probe-said");
	int64_t begun = clock_now_ns();
	struct probe_end end = {0};
	char text[SAID] = "";
	pid_t pid;
	int rc;

	rc = request < 0 || said < 0 ? errno : start(&pid, try->helper, request, said);
	if (rc) {
		go_without(trial, try->helper, strerror(rc));
		rc = PC_OK;
		goto done;
	}
	wait_for_end(pid, request, &end);
	read_said(said, text);
	end.said = text;
	rc = decide(trial, try, request, &end, clock_now_ns() - begun, err);
done:
	if (request >= 0)
		close(request);
	if (said >= 0)
		close(said);
	return rc;
}

int swap_probe(struct swap_trial *trial, const struct loader_copy *copy, struct pc_error **err)
{
	struct stage *s = trial->stage;
	struct record *record;
	struct try try = {.copy = copy};
	char *helper;
	int rc;

	if (runs_already(trial, copy->code))
		return PC_OK;
	try.record = record = swap_record(s);
	try.helper = helper = find_helper();
	if (helper &&
	    swap_request_make(&try.request, s, copy, trial->how, record, &try.left_out))
		rc = run(trial, &try, err);
	else
		rc = error_set(err, PC_NOMEM, "out of memory");
	swap_record_free(record);
	buf_fini(&try.request);
	free(helper);
	return rc;
}
