/* stress/probe/kinds.c: stages of all kinds pass their probes, which try of each what can be tried:
 * a source that sleeps, several ports in another order, batches, shared state, 256 MiB of state.
 *
 * Argument: the folder of the builds that meson.build makes of kind.c. */
#include <pcrun/pcrun.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_THREAD__)
#define SLOW 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SLOW 1
#endif
#endif
#ifndef SLOW
#define SLOW 0
#endif

static const char *dir;
static int n_tests, n_failed;

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

static struct pc_graph *start(const char *text)
{
	const char *const dirs[] = {dir};
	struct pc_load_options load = {
		.size = sizeof(load), .plugin_dirs = dirs, .n_plugin_dirs = 1};
	struct pc_run_options run = {.size = sizeof(run), .workers = 2};
	struct pc_error *err = NULL;
	struct pc_graph *graph;

	if (pc_graph_load_text(&graph, "test", text, strlen(text), &load, &err) != PC_OK ||
	    pc_graph_start(graph, &run, &err) != PC_OK) {
		printf("Bail out! %s", pc_error_text(err));
		exit(1);
	}
	return graph;
}

static bool has_all(const char *text, const char *wanted)
{
	char *list = strdup(wanted), *save = NULL;
	bool all = true;

	for (char *word = strtok_r(list, "|", &save); word; word = strtok_r(NULL, "|", &save))
		all = all && strstr(text, word);
	free(list);
	return all;
}

/* Dry runs, until what is wanted was tried (items and replicas may be late on a loaded machine);
 * then the swap itself. */
static void swaps(struct pc_graph *graph, const char *stage, const char *build,
                  const char *wanted)
{
	struct pc_swap_options options = {
		.size = sizeof(options), .dry_run = true, .probation_ns = 1};
	struct pc_swap_report r = {0};
	struct pc_error *err = NULL;
	char file[512], what[200], *why = NULL;
	bool tried = false;
	int rc = PC_OK;

	snprintf(file, sizeof(file), "%s/%s.so", dir, build);
	for (int i = 0; i < 500 && rc == PC_OK && !tried; i++) {
		free(r.text);
		free(r.probe);
		rc = pc_graph_swap(graph, stage, file, &options, &r, sizeof(r), &err);
		tried = r.probe && has_all(r.probe, wanted);
	}
	options.dry_run = false;
	if (asprintf(&why, "result %d\n%s%s", rc, pc_error_text(err),
	             r.probe ? r.probe : "no probe") < 0)
		abort();
	free(r.text);
	free(r.probe);
	if (rc == PC_OK)
		rc = pc_graph_swap(graph, stage, file, &options, &r, sizeof(r), &err);
	snprintf(what, sizeof(what), "%s is tried and swapped: %s", build, wanted);
	report(rc == PC_OK && tried, what, why);
	if (rc == PC_OK) {
		free(r.text);
		free(r.probe);
	}
	pc_error_free(err);
	free(why);
}

int main(int argc, char **argv)
{
	struct pc_graph *graph;
	struct pc_error *err = NULL;
	char text[2048];
	int rc;

	dir = argc > 1 ? argv[1] : ".";
	snprintf(text, sizeof(text),
	         "shared sums = dict(total=0)\n"
	         "stage tick = %s/tick1.so()\n"
	         "stage a = %s/count1.so()\n"
	         "stage b = %s/count1.so()\n"
	         "stage two = %s/two1.so()\n"
	         "stage sum = %s/sum1.so(into=sums) critical replicas=2\n"
	         "stage large = %s/large1.so()\n"
	         "a -> two.left\n"
	         "b -> two.right\n"
	         "two.even -> sum\n"
	         "two.odd, tick -> large\n",
	         dir, dir, dir, dir, dir, dir);
	graph = start(text);
	swaps(graph, "tick", "tick2", "loaded, migrated");
	swaps(graph, "two", "two2", "items done again, all with the same outcome");
	swaps(graph, "sum", "sum2",
	      "items done again on a fresh state, all with the same outcome|holds pointers");
	/* ThreadSanitizer takes minutes to look at so many bytes. */
	if (!SLOW)
		swaps(graph, "large", "large2",
		      "items done again on a fresh state, all with the same outcome|too large");
	swaps(graph, "a", "count2", "loaded");
	pc_graph_stop(graph, PC_STOP_DRAIN);
	rc = pc_graph_wait(graph, 60 * PC_SEC, &err);
	report(rc == PC_STOPPED, "the graph ends well", pc_error_text(err));
	pc_error_free(err);
	pc_graph_free(graph);
	printf("1..%d\n", n_tests);
	return n_failed > 0;
}
