/* stress/reload/common.c: see common.h. */
#include "common.h"

#include <pcrun/stage.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct from_source {
	pthread_mutex_t lock;
	uint64_t emitted; /* when it has been closed */
	bool ended;
	uint64_t n, sum; /* seen */
	uint64_t next;   /* in order: the number that must come */
	bool disorder, broken;
	uint64_t *bits; /* those that have come */
	size_t n_bits;
	bool twice;
};

struct pc_graph *graph;
char *reload_text;
struct pc_error *reload_error;
_Atomic uint64_t seen, last_live;
char graph_file[] = "/tmp/pcrun-reload-XXXXXX";
bool private_copies;
static const char *plugins;
static struct from_source sources[SOURCES_MAX];
static _Atomic uint64_t n_sources;
static uint64_t first_source; /* of this graph */
static int n_tests, n_failed;

void report(bool ok, const char *what)
{
	n_tests++;
	n_failed += !ok;
	printf("%s %d - %s\n", ok ? "ok" : "not ok", n_tests, what);
	fflush(stdout);
}

static uint64_t begins(void)
{
	uint64_t id = atomic_fetch_add(&n_sources, 1);

	if (id >= SOURCES_MAX)
		abort();
	pthread_mutex_init(&sources[id].lock, NULL);
	return id;
}

/* All has come: its memory would look like that of the graph. */
static void forget_bits(struct from_source *s)
{
	if (!s->ended || s->n != s->emitted)
		return;
	free(s->bits);
	s->bits = NULL;
	s->n_bits = 0;
}

static void ends(uint64_t source, uint64_t emitted)
{
	struct from_source *s = &sources[source];

	pthread_mutex_lock(&s->lock);
	s->emitted = emitted;
	s->ended = true;
	forget_bits(s);
	pthread_mutex_unlock(&s->lock);
}

static void sees(const struct numbered *item, unsigned replicas)
{
	struct from_source *s = &sources[item->source % SOURCES_MAX];
	uint64_t check = (item->source << 40) ^ item->number ^ UINT64_C(0x5bd1e995);
	size_t word = item->number / 64;

	(void)replicas;
	pthread_mutex_lock(&s->lock);
	s->broken |= item->check != check || item->number >= (UINT64_C(1) << 34);
	if (!s->broken) {
		if (word >= s->n_bits) {
			size_t n = s->n_bits ? s->n_bits : 1024;

			while (n <= word)
				n *= 2;
			s->bits = realloc(s->bits, n * sizeof(*s->bits));
			if (!s->bits)
				abort();
			memset(s->bits + s->n_bits, 0, (n - s->n_bits) * sizeof(*s->bits));
			s->n_bits = n;
		}
		s->twice |= s->bits[word] >> (item->number % 64) & 1;
		s->bits[word] |= UINT64_C(1) << (item->number % 64);
		s->disorder |= item->number != s->next;
		s->next = item->number + 1;
		s->n++;
		forget_bits(s);
	}
	pthread_mutex_unlock(&s->lock);
	atomic_store(&last_live, item->live);
	atomic_fetch_add(&seen, 1);
}

static uint64_t has_seen(uint64_t source)
{
	struct from_source *s = &sources[source];
	uint64_t n;

	pthread_mutex_lock(&s->lock);
	n = s->n;
	pthread_mutex_unlock(&s->lock);
	return n;
}

static pthread_mutex_t gate_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_changed = PTHREAD_COND_INITIALIZER;
static bool gate_is_shut;
static unsigned at_gate;
static uint64_t gate_calls;

static void gate(void)
{
	pthread_mutex_lock(&gate_lock);
	at_gate++;
	gate_calls++;
	pthread_cond_broadcast(&gate_changed);
	while (gate_is_shut)
		pthread_cond_wait(&gate_changed, &gate_lock);
	at_gate--;
	pthread_mutex_unlock(&gate_lock);
}

uint64_t gate_seen(void)
{
	uint64_t calls;

	pthread_mutex_lock(&gate_lock);
	calls = gate_calls;
	pthread_mutex_unlock(&gate_lock);
	return calls;
}

void gate_shut(unsigned wait_for)
{
	pthread_mutex_lock(&gate_lock);
	gate_is_shut = true;
	while (at_gate < wait_for)
		pthread_cond_wait(&gate_changed, &gate_lock);
	pthread_mutex_unlock(&gate_lock);
}

void gate_open(void)
{
	pthread_mutex_lock(&gate_lock);
	gate_is_shut = false;
	pthread_cond_broadcast(&gate_changed);
	pthread_mutex_unlock(&gate_lock);
}

_Atomic bool bomb_armed;

/* Once. */
static int is_armed(void)
{
	return atomic_exchange(&bomb_armed, false);
}

static const struct oracle table = {begins, ends, sees, has_seen, gate, is_armed};

void begin(int argc, char **argv)
{
	char text[32];
	int fd;

	if (argc < 2)
		exit(2);
	plugins = argv[1];
	snprintf(text, sizeof(text), "%p", (const void *)&table);
	setenv("PCRUN_ORACLE", text, 1);
	setenv("PCRUN_PLUGIN_DIR", plugins, 1);
	unsetenv("PCRUN_PLUGIN_PATH");
	fd = mkstemp(graph_file);
	if (fd < 0)
		exit(2);
	close(fd);
	alarm(getenv("RELOAD_S") ? (unsigned)atoi(getenv("RELOAD_S"))
	                         : 280); /* a hang is a failure, and says where it was */
}

int end(void)
{
	unlink(graph_file);
	printf("1..%d\n", n_tests);
	return n_failed ? 1 : 0;
}

void write_text(const char *text)
{
	FILE *f = fopen(graph_file, "w");

	if (!f || fputs(text, f) < 0 || fclose(f) != 0)
		abort();
}

static void on_log(void *user, int level, const char *stage, const char *text)
{
	(void)user;
	if (level >= PC_WARN)
		printf("# %s: %s\n", stage ? stage : "-", text);
}

void start(const char *text)
{
	struct pc_run_options run = {.size = sizeof(run),
	                             .log = on_log,
	                             .workers = 3,
	                             .drain_ns = INT64_C(200000000000)};
	struct pc_load_options load = {.size = sizeof(load), .private_copies = private_copies};
	struct pc_error *err = NULL;

	write_text(text);
	first_source = atomic_load(&n_sources);
	atomic_store(&seen, 0);
	if (pc_graph_load_file(&graph, graph_file, &load, &err) != PC_OK ||
	    pc_graph_start(graph, &run, &err) != PC_OK) {
		printf("Bail out! %s\n", pc_error_text(err));
		exit(1);
	}
}

static int reload_with(const char *text, bool dry_run)
{
	struct pc_reload_options o = {
		.size = sizeof(o), .dry_run = dry_run, .timeout_ns = INT64_C(100000000000)};
	int rc;

	write_text(text);
	free(reload_text);
	pc_error_free(reload_error);
	rc = pc_graph_reload(graph, NULL, &o, &reload_text, &reload_error);
	if (rc && getenv("VERBOSE"))
		printf("# %d: %s\n", rc, pc_error_text(reload_error));
	if (!rc && getenv("VERBOSE"))
		printf("# %s\n", reload_text);
	return rc;
}

int reload(const char *text)
{
	return reload_with(text, false);
}

int reload_dry(const char *text)
{
	return reload_with(text, true);
}

void wait_seen(uint64_t more)
{
	uint64_t until = atomic_load(&seen) + more;
	struct timespec moment = {0, 200000};

	while (atomic_load(&seen) < until && pc_graph_wait(graph, 0, NULL) == PC_TIMEOUT)
		nanosleep(&moment, NULL);
}

uint64_t stage_taken(const char *name)
{
	struct pc_stage_row row;
	uint64_t taken = 0;

	for (size_t i = 0; pc_graph_stage(graph, i, &row, sizeof(row)); i++)
		if (strcmp(row.name, name) == 0)
			taken = row.taken;
	return taken;
}

static bool ledger_is_right(void)
{
	struct pc_queue_row q;
	bool right = true;

	for (size_t i = 0; pc_graph_queue(graph, i, &q, sizeof(q)); i++)
		if (q.put != q.done + q.dropped + q.dead + q.abandoned + q.queued ||
		    q.abandoned || q.queued) {
			printf("# queue %s: put %llu done %llu dropped %llu dead %llu "
			       "abandoned %llu queued %llu\n",
			       q.name, (unsigned long long)q.put, (unsigned long long)q.done,
			       (unsigned long long)q.dropped, (unsigned long long)q.dead,
			       (unsigned long long)q.abandoned, (unsigned long long)q.queued);
			right = false;
		}
	return right;
}

static bool all_seen(bool in_order)
{
	bool right = true;

	for (uint64_t i = first_source; i < atomic_load(&n_sources); i++) {
		struct from_source *s = &sources[i];

		pthread_mutex_lock(&s->lock);
		if (!s->ended || s->n != s->emitted || s->twice || s->broken ||
		    (in_order && s->disorder)) {
			printf("# source %llu: emitted %llu, seen %llu%s%s%s%s\n",
			       (unsigned long long)i, (unsigned long long)s->emitted,
			       (unsigned long long)s->n, s->ended ? "" : ", not closed",
			       s->twice ? ", twice" : "", s->broken ? ", broken" : "",
			       s->disorder ? ", out of order" : "");
			right = false;
		}
		free(s->bits);
		s->bits = NULL;
		s->n_bits = 0;
		pthread_mutex_unlock(&s->lock);
	}
	return right;
}

void stop_and_check(const char *what, int how, bool in_order)
{
	struct pc_error *err = NULL;
	bool right;
	int rc;

	if (how)
		pc_graph_stop(graph, how);
	while ((rc = pc_graph_wait(graph, INT64_C(1000000000), &err)) == PC_TIMEOUT)
		continue;
	right = rc == (how ? PC_STOPPED : PC_OK);
	if (!right)
		printf("# the graph ended with %d: %s\n", rc, pc_error_text(err));
	right &= ledger_is_right();
	pc_error_free(err);
	pc_graph_free(graph);
	graph = NULL;
	right &= all_seen(in_order);
	report(right, what);
}
