/* stress/probe/probe.c: builds that do something wrong are stopped by their probe, and the old build
 * runs on; builds that are fine pass it.
 *
 * Arguments: the folder of the builds that meson.build makes of stage.c; how often the probes that
 * pass are repeated at the end. While all of it goes on, numbers run through the stage, and the
 * stage behind it fails if one is lost, doubled or out of order. */
#include "../usage.h"

#include <pcrun/pcrun.h>

#include <dirent.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *dir;
static char work[] = "/tmp/pcrun-probe-test.XXXXXX";
static char victim[64]; /* the file that a build would write to */
static int n_tests, n_failed;
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned n_untried; /* under the lock */

static void report(bool ok, const char *what, const char *why)
{
	n_tests++;
	n_failed += !ok;
	printf("%s %d - %s\n", ok ? "ok" : "not ok", n_tests, what);
	for (const char *at = ok ? NULL : why; at && *at;) {
		size_t n = strcspn(at, "\n");

		printf("#   %.*s\n", (int)n, at);
		at += n + (at[n] == '\n');
	}
	fflush(stdout);
}

static void on_log(void *user, int level, const char *stage, const char *text)
{
	(void)user;
	(void)level;
	(void)stage;
	pthread_mutex_lock(&log_lock);
	n_untried += strstr(text, "without having been probed") != NULL;
	pthread_mutex_unlock(&log_lock);
}

static struct pc_graph *start(const char *text)
{
	const char *const dirs[] = {dir};
	struct pc_load_options load = {
		.size = sizeof(load), .plugin_dirs = dirs, .n_plugin_dirs = 1};
	struct pc_run_options run = {.size = sizeof(run), .workers = 2, .log = on_log};
	struct pc_error *err = NULL;
	struct pc_graph *graph;

	if (pc_graph_load_text(&graph, "test", text, strlen(text), &load, &err) != PC_OK ||
	    pc_graph_start(graph, &run, &err) != PC_OK) {
		printf("Bail out! %s", pc_error_text(err));
		exit(1);
	}
	return graph;
}

static struct pc_stage_row row_of(struct pc_graph *graph, const char *name)
{
	struct pc_stage_row row = {0};

	for (size_t i = 0; pc_graph_stage(graph, i, &row, sizeof(row)); i++)
		if (strcmp(row.name, name) == 0)
			break;
	return row;
}

/* Within a minute. */
static bool flows_on(struct pc_graph *graph)
{
	struct timespec moment = {0, 1000000};
	uint64_t before = row_of(graph, "tally").progress;

	for (int i = 0; i < 60000; i++) {
		if (row_of(graph, "tally").progress >= before + 100)
			return true;
		nanosleep(&moment, NULL);
	}
	return false;
}

/* PC_STOPPED and nothing else: no item was missing, no ledger out. */
static bool end(struct pc_graph *graph, char **ret_why)
{
	struct pc_error *err = NULL;
	int rc;

	pc_graph_stop(graph, PC_STOP_DRAIN);
	rc = pc_graph_wait(graph, 60 * PC_SEC, &err);
	*ret_why = strdup(pc_error_text(err));
	pc_error_free(err);
	pc_graph_free(graph);
	return rc == PC_STOPPED;
}

/* Of the last swap: what it says of the item that was the end of the build. */
static bool at_item, crashed, right;

/* Numbers from 0 are counted from 1. */
static bool is_right(const struct pc_crash_item *item)
{
	uint64_t value;

	if (item->size != sizeof(value))
		return false;
	memcpy(&value, item->data, sizeof(value));
	return item->number == value + 1 && strcmp(item->stage, "mid") == 0 &&
	       strcmp(item->port, "in") == 0 && strcmp(item->queue, "numbers -> mid") == 0 &&
	       strstr(item->file, ".so") && item->build > 1 && item->replica == 0;
}

static int swap(struct pc_graph *graph, const char *build, bool dry, char **ret_probe,
                struct pc_error **err)
{
	struct pc_swap_options options = {
		.size = sizeof(options), .dry_run = dry, .probation_ns = 1};
	struct pc_swap_report r;
	char file[512];
	int rc;

	snprintf(file, sizeof(file), "%s/%s.so", dir, build);
	rc = pc_graph_swap(graph, "mid", file, &options, &r, sizeof(r), err);
	free(r.text);
	at_item = r.at_item;
	crashed = r.crashed;
	right = crashed && is_right(r.crashed);
	free(r.crashed);
	*ret_probe = r.probe ? r.probe : strdup("");
	return rc;
}

/* All words of `wanted`, which are separated by |. */
static bool has_all(const char *text, const char *wanted)
{
	char *list = strdup(wanted), *save = NULL;
	bool all = true;

	for (char *word = strtok_r(list, "|", &save); word; word = strtok_r(NULL, "|", &save))
		all = all && strstr(text, word);
	free(list);
	return all;
}

/* ------------------------------------------------------------------------ one build --- */

struct wrong {
	const char *build;
	const char *says; /* words of the refusal, all of them */
};

static const struct wrong wrongs[] = {
	{"ctor_crash",
         "crashed while it was loaded|SIGSEGV|crash (stage.c:|constructor (stage.c:"},
	{"ctor_sleep", "did not come back|while it was loaded"},
	{"ctor_exit", "ended the process while it was loaded|exit status 3"},
	{"ifunc", "crashed while it was loaded|SIGSEGV|crash (stage.c:"},
	{"open_fail", "its open() failed: no luck with |/file"},
	{"open_crash", "crashed in open()|SIGSEGV at 0x0|mid_open (stage.c:"},
	{"open_hang", "did not come back for 2 s, in open()|PC_NO_PROBE"},
	{"open_fds", "leaves 1 descriptor open|/dev/null"},
	{"open_thread", "leaves 1 thread behind"},
	{"open_assert", "crashed in open()|SIGABRT|mid_open (stage.c:|Assertion `zero' failed"},
	{"open_abort", "crashed in open()|SIGABRT|mid_open (stage.c:"},
	{"open_exit", "ended the process in open()|exit status 0"},
	{"open__exit", "ended the process in open()|exit status 7"},
	{"open_kill", "killed in open()|SIGKILL"},
	{"migrate_crash", "crashed in migrate()|SIGSEGV|mid_migrate (stage.c:"},
	{"migrate_fail", "its migrate() failed: I will not"},
	{"item_crash", "crashed in process(), with item 1 of|SIGSEGV|mid_process (stage.c:"},
	{"item_second", "crashed in process(), with item |SIGFPE|mid_process (stage.c:"},
	{"item_loop", "in process(), with item 1 of"},
	{"item_fail", "its process() failed: not this one"},
	{"close_crash", "crashed in close()|SIGSEGV|mid_close (stage.c:"},
	{"close_fail", "its close() failed: it would not shut"},
	{"fini_crash", "crashed while it was unloaded|SIGSEGV|destructor (stage.c:"},
};

/* A swap; but where only an item finds the mistake out, tried without one until there was an item:
 * none may pass within the moment that a probe waits for them. */
static int try_wrong(struct pc_graph *graph, const char *build, char **ret_probe,
                     struct pc_error **err)
{
	bool by_item = strncmp(build, "item_", 5) == 0;

	for (int i = 0; i < 1000; i++) {
		int rc = swap(graph, build, by_item, ret_probe, err);

		if (!by_item || rc != PC_OK || strstr(*ret_probe, "done again"))
			return rc;
		free(*ret_probe);
	}
	*ret_probe = strdup("");
	return PC_TIMEOUT;
}

static void refused(struct pc_graph *graph, const struct wrong *w)
{
	unsigned build = row_of(graph, "mid").build;
	struct pc_error *err = NULL;
	char *probe, what[160], *why;
	int rc;

	rc = try_wrong(graph, w->build, &probe, &err);
	if (asprintf(&why, "result %d, v%u\n%s%s", rc, row_of(graph, "mid").build,
	             pc_error_text(err), probe) < 0)
		abort();
	snprintf(what, sizeof(what), "%s is refused, and the old build runs on", w->build);
	report(rc == PC_WRONG && has_all(pc_error_text(err), w->says) &&
	               row_of(graph, "mid").build == build && flows_on(graph),
	       what, why);
	snprintf(what, sizeof(what), "%s: its item, if it crashed with one", w->build);
	report(at_item == (strncmp(w->build, "item_", 5) == 0) &&
	               crashed == (at_item && strcmp(w->build, "item_fail") != 0) &&
	               right == crashed,
	       what, why);
	pc_error_free(err);
	free(probe);
	free(why);
}

static void passes(struct pc_graph *graph, const char *build, const char *says)
{
	unsigned before = row_of(graph, "mid").build;
	struct pc_error *err = NULL;
	char *probe, what[160], *why;
	int rc;

	rc = swap(graph, build, false, &probe, &err);
	if (asprintf(&why, "result %d, v%u\n%s%s", rc, row_of(graph, "mid").build,
	             pc_error_text(err), probe) < 0)
		abort();
	snprintf(what, sizeof(what), "%s passes its probe: %s", build, says);
	report(rc == PC_OK && has_all(probe, says) && row_of(graph, "mid").build > before &&
	               flows_on(graph),
	       what, why);
	pc_error_free(err);
	free(probe);
	free(why);
}

static void tried(struct pc_graph *graph, const char *build, const char *says)
{
	unsigned before = row_of(graph, "mid").build;
	struct pc_error *err = NULL;
	char *probe = strdup(""), what[160], *why;
	int rc = PC_OK;

	/* Items may have been late: see above. */
	for (int i = 0; i < 1000 && rc == PC_OK && !has_all(probe, says); i++) {
		free(probe);
		rc = swap(graph, build, true, &probe, &err);
	}
	if (asprintf(&why, "result %d\n%s%s", rc, pc_error_text(err), probe) < 0)
		abort();
	snprintf(what, sizeof(what), "%s is tried without a swap: %s", build, says);
	report(rc == PC_OK && has_all(probe, says) && row_of(graph, "mid").build == before &&
	               flows_on(graph),
	       what, why);
	pc_error_free(err);
	free(probe);
	free(why);
}

/* What the victim holds: it is not touched. */
static bool untouched(void)
{
	struct stat st;

	return stat(victim, &st) == 0 && st.st_size == 5;
}

/* ------------------------------------------------------------------------- the rest --- */

static unsigned descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

static void test_growth(struct pc_graph *graph, int times)
{
	unsigned before = descriptors(), after;
	char why[160], what[80];
	bool ok = true;
	pid_t child;

	for (int i = 0; i < times && ok; i++) {
		struct pc_error *err = NULL;
		const char *build = i % 2 ? "good2" : "open_crash";
		char *probe;

		ok = swap(graph, build, true, &probe, &err) == (i % 2 ? PC_OK : PC_WRONG);
		pc_error_free(err);
		free(probe);
	}
	after = descriptors();
	child = waitpid(-1, NULL, WNOHANG);
	snprintf(why, sizeof(why), "all as expected: %d; descriptors %u, then %u; child %d", ok,
	         before, after, (int)child);
	snprintf(what, sizeof(what), "%d probes leave no descriptor and no child", times);
	report(ok && before == after && child < 0, what, why);
}

static void test_missing(struct pc_graph *graph)
{
	const char *given = getenv("PCRUN_PROBE");
	char *keep = given ? strdup(given) : NULL;

	setenv("PCRUN_PROBE", "/nowhere/pcrun-probe", 1);
	passes(graph, "good", "not probed: /nowhere/pcrun-probe: No such file");
	passes(graph, "good2", "not probed");
	setenv("PCRUN_PROBE", "/bin/true", 1);
	passes(graph, "good", "not probed: /bin/true: it does not answer");
	pthread_mutex_lock(&log_lock);
	report(n_untried == 1, "that is said once", "said another number of times");
	pthread_mutex_unlock(&log_lock);
	if (keep)
		setenv("PCRUN_PROBE", keep, 1);
	else
		unsetenv("PCRUN_PROBE");
	free(keep);
}

/* Pointers of this process mean nothing in another. */
static void test_pointers(void)
{
	struct pc_graph *graph;
	char text[1024], *why = NULL;

	snprintf(text, sizeof(text), "stage mid = %s/pointers.so\nnumbers -> mid -> tally\n",
	         dir);
	graph = start(text);
	tried(graph, "pointers2",
	      "items done again on a fresh state|(its state holds pointers)");
	report(end(graph, &why), "that graph ends well, too", why);
	free(why);
}

int main(int argc, char **argv)
{
	struct pc_graph *graph;
	char text[1024], *why = NULL;
	FILE *f;

	dir = argv[1];
	if (!mkdtemp(work))
		return 1;
	snprintf(victim, sizeof(victim), "%s/file", work);
	f = fopen(victim, "w");
	if (!f || fputs("words", f) < 0 || fclose(f))
		return 1;
	snprintf(
		text, sizeof(text),
		"stage mid = %s/good.so(path=\"%s\")\nnumbers -> mid -> tally [capacity=256]\n",
		dir, victim);
	graph = start(text);
	for (size_t i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++)
		/* An instrumented pcrun keeps all builds loaded. */
		if (!INSTRUMENTED || strcmp(wrongs[i].build, "fini_crash") != 0)
			refused(graph, &wrongs[i]);
	tried(graph, "item_differs",
	      "items done again|with another outcome (the first: item |gave");
	tried(graph, "migrates", "migrated|items done again|all with the same outcome");
	tried(graph, "open_effect",
	      "it would open a file for writing|/file) in open()|same outcome");
	tried(graph, "no_probe", "loaded, and no more (PC_NO_PROBE)");
	report(untouched(), "no probe has touched the file that a build would write to", "");
	passes(graph, "ctor_dlopen", "opened and closed");
	passes(graph, "good", "opened and closed");
	tried(graph, "good2",
	      "opened and closed|32 items done again|all with the same outcome");
	passes(graph, "good2", "opened and closed");
	test_missing(graph);
	test_growth(graph, argc > 2 ? atoi(argv[2]) : 20);
	report(end(graph, &why), "nothing was lost, doubled or out of order", why);
	free(why);
	test_pointers();
	unlink(victim);
	rmdir(work);
	printf("1..%d\n", n_tests);
	return n_failed > 0;
}
