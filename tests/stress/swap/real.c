/* stress/swap/real.c: swaps of real shared objects, through <pcrun/pcrun.h>: loaded from copies,
 * unloaded when nobody needs them, nothing left behind.
 *
 * Argument: the folder of the plugins that meson.build makes of plug.c. */
#include "../usage.h"
#include "engine/engine.h"
#include "queue/rcu.h"

#include <dirent.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *dir;
static int n_tests, n_failed;
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static char log_text[1 << 20]; /* under the lock */
static size_t log_size;

static void on_log(void *user, int level, const char *stage, const char *text)
{
	int n;

	(void)user;
	(void)level;
	pthread_mutex_lock(&log_lock);
	n = snprintf(log_text + log_size, sizeof(log_text) - log_size, "%s: %s\n",
	             stage ? stage : "-", text);
	if (log_size + (size_t)n < sizeof(log_text))
		log_size += (size_t)n;
	pthread_mutex_unlock(&log_lock);
}

static void log_clear(void)
{
	pthread_mutex_lock(&log_lock);
	log_size = 0;
	log_text[0] = '\0';
	pthread_mutex_unlock(&log_lock);
}

/* Within 30 s. */
static bool logged(const char *text)
{
	struct timespec moment = {0, 1000000};
	bool found = false;

	for (int i = 0; i < 30000 && !found; i++) {
		pthread_mutex_lock(&log_lock);
		found = strstr(log_text, text) != NULL;
		pthread_mutex_unlock(&log_lock);
		if (!found)
			nanosleep(&moment, NULL);
	}
	return found;
}

static void report(bool ok, const char *what)
{
	n_tests++;
	n_failed += !ok;
	if (!ok)
		printf("# the end of the log:\n# %s\n",
		       log_text + (log_size > 1000 ? log_size - 1000 : 0));
	printf("%s %d - %s\n", ok ? "ok" : "not ok", n_tests, what);
	fflush(stdout);
}

static void doze(long ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&t, NULL);
}

static struct pc_graph *start(const char *mid)
{
	const char *const dirs[] = {dir};
	struct pc_load_options load = {
		.size = sizeof(load), .plugin_dirs = dirs, .n_plugin_dirs = 1};
	struct pc_run_options run = {.size = sizeof(run), .workers = 2, .log = on_log};
	struct pc_error *err = NULL;
	struct pc_graph *graph;
	char text[1024];

	log_clear();
	snprintf(text, sizeof(text),
	         "stage mid = %s/%s.so()\nnumbers -> mid -> tally [capacity=256]\n", dir, mid);
	if (pc_graph_load_text(&graph, "test", text, strlen(text), &load, &err) != PC_OK ||
	    pc_graph_start(graph, &run, &err) != PC_OK) {
		printf("Bail out! %s", pc_error_text(err));
		exit(1);
	}
	return graph;
}

static size_t index_of_mid(struct pc_graph *graph)
{
	struct pc_stage_row row;
	size_t i = 0;

	while (pc_graph_stage(graph, i, &row, sizeof(row)) && strcmp(row.name, "mid") != 0)
		i++;
	return i;
}

/* PC_STOPPED and nothing else: no item was missing, no ledger out. */
static bool end(struct pc_graph *graph)
{
	struct pc_error *err = NULL;
	int rc;

	pc_graph_stop(graph, PC_STOP_DRAIN);
	rc = pc_graph_wait(graph, 60 * PC_SEC, &err);
	if (rc != PC_STOPPED)
		printf("# result %d: %s", rc, pc_error_text(err));
	pc_error_free(err);
	pc_graph_free(graph);
	return rc == PC_STOPPED;
}

static int swap(struct pc_graph *graph, const char *mid, struct pc_error **err)
{
	struct pc_swap_options options = {.size = sizeof(options), .probation_ns = 1};
	struct pc_swap_report r;
	char file[512];
	int rc;

	snprintf(file, sizeof(file), "%s/%s.so", dir, mid);
	rc = pc_graph_swap(graph, "mid", file, &options, &r, sizeof(r), err);
	free(r.text);
	free(r.probe);
	return rc;
}

/* ---- what a process has open and mapped ---- */

static long rss_kb(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	long size = 0, rss = 0;

	if (f && fscanf(f, "%ld %ld", &size, &rss) != 2)
		rss = 0;
	if (f)
		fclose(f);
	return rss * 4;
}

/* Whether a copy that is named so is mapped. */
static bool is_mapped(const char *name)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[1024];
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f))
		found = strstr(line, name) != NULL;
	if (f)
		fclose(f);
	return found;
}

/* Within `seconds`. */
static bool unmapped(const char *name, int seconds)
{
	for (int i = 0; i < seconds * 100 && is_mapped(name); i++)
		doze(10);
	return !is_mapped(name);
}

struct usage {
	unsigned fds, threads, copies, maps;
	long rss_kb;
	size_t heap;
};

static struct usage usage(void)
{
	struct usage u;

	u.fds = usage_entries("/proc/self/fd");
	u.threads = usage_entries("/proc/self/task");
	u.maps = usage_maps("/pcrun-", &u.copies);
	u.rss_kb = rss_kb();
	u.heap = mallinfo2().uordblks;
	return u;
}

static void print(const char *what, struct usage u)
{
	printf("# %s: %u descriptors, %u threads, %u maps (%u of copies), %ld kB, heap %zu\n",
	       what, u.fds, u.threads, u.maps, u.copies, u.rss_kb, u.heap);
}

/* Eight are kept; one runs, one is the way back, and two wait to be looked at. */
#define MAPS_OF_ONE 5
#define COPIES_MAX  ((SWAP_KEEP + 4) * MAPS_OF_ONE)

/* `before` is the least that was seen in a while, without a file that is being read, or a second
 * closer that is about to leave. */
static bool is_settled(struct usage before, struct usage now)
{
	return now.fds <= before.fds && now.threads <= before.threads &&
	       (INSTRUMENTED ||
	        (now.copies <= COPIES_MAX && now.maps <= before.maps + COPIES_MAX));
}

/* What is being retired takes its time: 60 s, on a loaded machine. */
static struct usage settled(struct usage before)
{
	struct usage now = usage();

	for (int i = 0; i < 6000 && !is_settled(before, now); i++) {
		doze(10);
		now = usage();
	}
	return now;
}

static struct usage at_rest(void)
{
	struct usage least = usage();

	for (int i = 0; i < 50; i++) {
		struct usage now = usage();

		least.fds = now.fds < least.fds ? now.fds : least.fds;
		least.threads = now.threads < least.threads ? now.threads : least.threads;
		doze(10);
	}
	return least;
}

static bool swap_often(struct pc_graph *graph, unsigned n)
{
	struct pc_error *err = NULL;
	bool ok = true;

	for (unsigned i = 0; i < n && ok; i++)
		ok = swap(graph, i % 2 ? "mid1" : "mid2", &err) == PC_OK;
	if (!ok)
		printf("# %s", pc_error_text(err));
	pc_error_free(err);
	return ok;
}

/* Two builds in turn, each time from a copy of its own. After the first swaps nothing grows: no
 * descriptor, thread or mapping ever, and not the memory in each round (what others pool and queue
 * may grow in one). A build that stayed would take 17 kB. */
static void growth(unsigned n)
{
	struct pc_graph *graph = start("mid1");
	struct usage before, now;
	bool ok = swap_often(graph, 40), same = true;
	long least_kb = 1 << 20;

	before = now = at_rest();
	print("before", before);
	for (int round = 0; round < 3 && ok && same; round++) {
		long rss = now.rss_kb;

		ok = swap_often(graph, n);
		now = settled(before);
		print("after", now);
		same = is_settled(before, now);
		least_kb = now.rss_kb - rss < least_kb ? now.rss_kb - rss : least_kb;
	}
	ok = end(graph) && ok && same;
	report(ok && (INSTRUMENTED || least_kb < (long)n * 10),
	       "swaps of real plugins: nothing grows");
	report(usage_entries("/proc/self/fd") > 0 && logged("v1 -> v2 live at item"),
	       "and each is announced");
}

/* A pipe whose other end the plugin waits at. It stays open: nobody here learns when the last one
 * that reads there has come back, and the number of a closed end may be given out again. */
static int gate[2];

static void gate_make(void)
{
	char text[16];

	if (pipe(gate) < 0)
		exit(1);
	snprintf(text, sizeof(text), "%d", gate[0]);
	setenv("PLUG_GATE", text, 1);
}

/* Then those who wait have gone through it, or will at once. */
static void gate_open(void)
{
	if (write(gate[1], "xxxxxxxx", 8) != 8)
		exit(1);
}

/* Its callback waits at the gate: while it has not come back, its code may not go. */
static void callbacks(void)
{
	struct pc_graph *graph;
	bool ok, waits, goes;

	gate_make();
	graph = start("mid1");
	ok = swap(graph, "midrcu", NULL) == PC_OK && logged("here is vrcu");
	ok = ok && swap_often(graph, SWAP_KEEP + 6);
	/* Without the barrier it goes at once; waiting proves that it does not. */
	waits = !unmapped("/mid.v0002.", 2);
	gate_open();
	goes = INSTRUMENTED || (swap_often(graph, 2) && unmapped("/mid.v0002.", 60));
	report(end(graph) && ok && waits && goes,
	       "callbacks left with call_rcu() run before their code goes");
	unsetenv("PLUG_GATE");
}

static unsigned stays(struct pc_graph *graph)
{
	struct pc_stage_row row;

	return pc_graph_stage(graph, index_of_mid(graph), &row, sizeof(row)) ? row.stays : 99;
}

/* It leaves a thread: while that runs, the build stays, and is named; then it goes, too. */
static void threads_left(void)
{
	struct pc_graph *graph;
	bool ok, named = true, goes = true;

	gate_make();
	graph = start("mid1");
	ok = swap(graph, "midthread", NULL) == PC_OK && logged("here is vthread");
	ok = ok && logged("threads: it starts threads") && stays(graph) == 0;
	ok = ok && swap_often(graph, SWAP_KEEP + 6);
	if (!INSTRUMENTED)
		named = logged("v2 stays loaded: a thread that it started still runs") &&
		        stays(graph) == 1 && is_mapped("/mid.v0002.");
	gate_open();
	for (int i = 0; i < 6000 && !INSTRUMENTED && is_mapped("/mid.v0002."); i++) {
		ok = ok && swap_often(graph, 2);
		doze(10);
	}
	if (!INSTRUMENTED)
		goes = !is_mapped("/mid.v0002.");
	report(end(graph) && ok && named && goes,
	       "a thread that was left behind: its build stays as long, counted and named");
	unsetenv("PLUG_GATE");
}

/* Each build stays; the swaps go on, and all is counted. */
static void never_unloaded(void)
{
	struct pc_graph *graph = start("mid1");
	bool ok = true;

	for (int i = 0; i < SWAP_KEEP + 10 && ok; i++)
		ok = swap(graph, i % 2 ? "mid1" : "midnodelete", NULL) == PC_OK;
	ok = ok && logged("nodelete: it is marked never to be unloaded");
	if (!INSTRUMENTED)
		ok = ok && logged("v2 stays loaded: it is marked never to be unloaded") &&
		     stays(graph) >= 1 && is_mapped("/mid.v0002.");
	report(end(graph) && ok, "a build that can't be unloaded: swaps work, it is counted");
}

static void pointers(void)
{
	struct pc_graph *graph = start("mid1");
	struct pc_swap_options reset = {
		.size = sizeof(reset), .reset_state = true, .probation_ns = 1};
	struct pc_build_row row;
	bool ok, held = false;
	char file[512];

	/* Its open() leaves the address of a string of its own in the state, which all adopt. */
	snprintf(file, sizeof(file), "%s/midpoints.so", dir);
	ok = pc_graph_swap(graph, "mid", file, &reset, NULL, 0, NULL) == PC_OK;
	for (int i = 0; i < 20 && ok; i++)
		ok = swap(graph, i % 2 ? "mid1" : "mid2", NULL) == PC_OK;
	for (size_t i = 0; pc_graph_build(graph, index_of_mid(graph), i, &row, sizeof(row));
	     i++)
		held |= row.number == 2;
	ok = ok && held &&
	     logged("v2 stays loaded: `name` at offset 8 still points into it (symbol name)\n");
	report(end(graph) && ok,
	       "a state points into an old image: that stays, and it is said");
}

/* ---- where an image was, nothing else may come to lie ---- */

/* Of build v2, while it is listed. */
static struct image image_of_v2(struct pc_graph *graph)
{
	struct stage *s = embed_engine(graph)->stages[index_of_mid(graph)];
	struct image image = {0};

	queue_rcu_lock();
	for (struct build *b = atomic_load_explicit(&s->swap.builds, memory_order_acquire); b;
	     b = atomic_load_explicit(&b->older, memory_order_acquire))
		if (b->number == 2)
			image = b->origin->image;
	queue_rcu_unlock();
	return image;
}

/* The map that begins there has no rights, and no file. */
static bool is_tomb(struct image image)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[1024], rights[8] = "", file[512] = "";
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f)) {
		unsigned long begin, end;

		file[0] = '\0';
		found = sscanf(line, "%lx-%lx %7s %*s %*s %*s %511s", &begin, &end, rights,
		               file) >= 3 &&
		        begin <= image.begin && image.begin < end;
	}
	if (f)
		fclose(f);
	return found && strcmp(rights, "---p") == 0 && file[0] == '\0';
}

static void tombs(void)
{
	struct pc_graph *graph = start("mid1");
	struct image image = {0};
	bool ok, gone = false;
	int n = 0;

	if (INSTRUMENTED) {
		end(graph);
		return;
	}
	embed_engine(graph)->swap.keep = 0;
	ok = swap(graph, "mid2", NULL) == PC_OK;
	image = image_of_v2(graph);
	ok = ok && image.begin != 0;
	for (; n < 100 && ok && !gone; n++) {
		ok = swap(graph, n % 2 ? "mid2" : "mid1", NULL) == PC_OK;
		doze(20);
		gone = image_of_v2(graph).begin == 0 && !image_is_loaded(image, NULL);
	}
	doze(100); /* from dlclose() to mmap() it is the control thread's business */
	ok = ok && gone && is_tomb(image);
	/* The control thread is at rest. */
	ok = ok && swap_tomb_at(embed_engine(graph), (const void *)image.begin) &&
	     strcmp(swap_tomb_at(embed_engine(graph), (const void *)image.begin)->name,
	            "v2 of mid") == 0;
	printf("# v2 was gone after %d more swaps\n", n);
	report(end(graph) && ok,
	       "where an image was lies a mapping without rights, by its name");
}

static void refusals(void)
{
	struct pc_graph *graph = start("mid1");
	struct pc_error *err = NULL;
	bool ok = swap(graph, "nothing", &err) == PC_WRONG;

	pc_error_free(err);
	err = NULL;
	ok = swap(graph, "numbers", &err) == PC_WRONG && ok &&
	     strstr(pc_error_text(err), "another stage, 'numbers'");
	pc_error_free(err);
	ok = pc_graph_swap(graph, "nobody", "x", NULL, NULL, 0, NULL) == PC_INVALID && ok;
	ok = pc_graph_swap(graph, "mid", NULL, NULL, NULL, 0, NULL) == PC_INVALID && ok;
	report(end(graph) && ok, "what can't be loaded, or is another stage: refused");
}

/* A file that was only touched, or stripped. */
static void unchanged(void)
{
	struct pc_graph *graph = start("mid1");
	struct pc_swap_options options = {.size = sizeof(options), .probation_ns = 1};
	struct pc_swap_report r;
	struct pc_stage_row row;
	char file[512];
	bool ok;

	snprintf(file, sizeof(file), "%s/mid1.so", dir);
	ok = pc_graph_swap(graph, "mid", file, &options, &r, sizeof(r), NULL) == PC_OK &&
	     r.unchanged && r.from == 1 && r.to == 1;
	free(r.text);
	free(r.probe);
	ok = ok && swap(graph, "mid2", NULL) == PC_OK;
	ok = ok && pc_graph_swap(graph, "mid", file, &options, &r, sizeof(r), NULL) == PC_OK &&
	     !r.unchanged && r.from == 2 && r.to == 3;
	free(r.text);
	free(r.probe);
	/* Who wants a fresh state gets it. */
	options.reset_state = true;
	ok = ok && pc_graph_swap(graph, "mid", file, &options, &r, sizeof(r), NULL) == PC_OK &&
	     !r.unchanged && r.to == 4;
	free(r.text);
	free(r.probe);
	ok = ok && pc_graph_stage(graph, index_of_mid(graph), &row, sizeof(row)) &&
	     row.swaps == 3;
	report(end(graph) && ok, "the code that runs already is known again");
}

/* ---- the developer's file changes under its name, by rename and in place ---- */

static bool copy_over(const char *from, const char *to, bool in_place)
{
	char part[600], buffer[65536];
	FILE *in, *out;
	size_t n;

	snprintf(part, sizeof(part), "%s%s", to, in_place ? "" : ".part");
	in = fopen(from, "r");
	out = fopen(part, "w");
	while (in && out && (n = fread(buffer, 1, sizeof(buffer), in)) > 0)
		fwrite(buffer, 1, n, out);
	if (in)
		fclose(in);
	if (out)
		fclose(out);
	return in && out && (in_place || rename(part, to) == 0);
}

static void rebuilds(void)
{
	char folder[] = "/tmp/pcrun-test-XXXXXX", from[512], to[512];
	struct pc_graph *graph = start("mid1");
	struct pc_swap_options options = {.size = sizeof(options), .probation_ns = 1};
	struct pc_error *err = NULL;
	bool ok = mkdtemp(folder) != NULL;

	snprintf(to, sizeof(to), "%s/mid.so", folder);
	for (int i = 0; i < 12 && ok; i++) {
		snprintf(from, sizeof(from), "%s/mid%d.so", dir, 2 - i % 2);
		log_clear();
		ok = copy_over(from, to, i % 3 == 2) &&
		     pc_graph_swap(graph, "mid", to, &options, NULL, 0, &err) == PC_OK;
		ok = ok && logged(i % 2 ? "here is v1" : "here is v2");
	}
	if (err)
		printf("# %s", pc_error_text(err));
	pc_error_free(err);
	unlink(to);
	rmdir(folder);
	report(end(graph) && ok, "one path, rebuilt by rename and in place: each build runs");
}

/* The first build, too: its file is cut off and written anew in place while its code runs. */
static void rewritten(void)
{
	const char *const dirs[] = {dir};
	struct pc_load_options load = {.size = sizeof(load),
	                               .plugin_dirs = dirs,
	                               .n_plugin_dirs = 1,
	                               .private_copies = true};
	struct pc_run_options run = {.size = sizeof(run), .workers = 2, .log = on_log};
	char folder[] = "/tmp/pcrun-test-XXXXXX", from[512], to[512], text[1024];
	struct pc_graph *graph = NULL;
	bool ok = mkdtemp(folder) != NULL;

	log_clear();
	snprintf(to, sizeof(to), "%s/mid.so", folder);
	snprintf(from, sizeof(from), "%s/mid1.so", dir);
	ok = ok && copy_over(from, to, true);
	snprintf(text, sizeof(text),
	         "stage mid = %s()\nnumbers -> mid -> tally [capacity=256]\n", to);
	ok = ok &&
	     pc_graph_load_text(&graph, "test", text, strlen(text), &load, NULL) == PC_OK &&
	     pc_graph_start(graph, &run, NULL) == PC_OK && logged("here is v1");
	for (int i = 0; i < 20 && ok; i++) {
		ok = truncate(to, 0) == 0;
		doze(5);
		snprintf(from, sizeof(from), "%s/mid%d.so", dir, 1 + i % 2);
		ok = ok && copy_over(from, to, true);
		doze(5);
	}
	unlink(to);
	rmdir(folder);
	report(graph && end(graph) && ok,
	       "the first build, with private copies: its file may be written over");
}

/* ---- readers hold a read section for long: no build may be freed meanwhile ---- */

static _Atomic bool done;

static void *look(void *arg)
{
	struct pc_build_row row;

	while (!atomic_load_explicit(&done, memory_order_relaxed)) /* a flag */
		for (size_t i = 0; pc_graph_build(arg, index_of_mid(arg), i, &row, sizeof(row));
		     i++)
			if (row.number == 0 || row.number > 100000)
				abort();
	return NULL;
}

static void readers(void)
{
	struct pc_graph *graph = start("mid1");
	pthread_t threads[2];
	bool ok = true;

	atomic_store_explicit(&done, false, memory_order_relaxed); /* before the threads */
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, look, graph);
	for (int i = 0; i < 100 && ok; i++)
		ok = swap(graph, i % 2 ? "mid1" : "mid2", NULL) == PC_OK;
	atomic_store_explicit(&done, true, memory_order_relaxed); /* a flag */
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	report(end(graph) && ok, "others list the builds while they come and go");
}

int main(int argc, char **argv)
{
	unsigned n = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 100;

	if (argc < 2)
		return 2;
	dir = argv[1];
	growth(n);
	callbacks();
	threads_left();
	never_unloaded();
	pointers();
	tombs();
	refusals();
	unchanged();
	rebuilds();
	rewritten();
	readers();
	printf("1..%d\n", n_tests);
	return n_failed != 0;
}
