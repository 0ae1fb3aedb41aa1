/* cli/progress.c: the line of progress.h: rates at both ends, the fullest queue, how long still.
 *
 *   12 s | lines 1.2 M/s | print 310 k/s | fullest: parse -> total 1024/1024 | 43 %, 16 s left
 *
 * Begins after a second, so short runs stay quiet; then four times a second. The figures come
 * from the public snapshot calls; nothing in the graph knows of it. */
#include "cli/progress.h"

#include "cli/say.h"

#include <pcrun/stage.h>

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define FIRST_NS PC_SEC
#define EVERY_NS (250 * PC_MS)

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * PC_SEC + t.tv_nsec;
}

/* What the two ends of the graph have done. */
struct ends {
	uint64_t in, out, done, total;
	char source[48], sink[48]; /* a name, or "3 sources" */
	bool prints;
};

static void name_end(char *name, size_t size, unsigned n, const char *one, const char *many)
{
	if (n == 1)
		snprintf(name, size, "%s", one);
	else
		snprintf(name, size, "%u %s", n, many);
}

static void look(struct pc_graph *graph, struct ends *ends)
{
	const char *source = "", *sink = "";
	unsigned sources = 0, sinks = 0;
	struct pc_stage_row row;

	memset(ends, 0, sizeof(*ends));
	for (size_t i = 0; pc_graph_stage(graph, i, &row, sizeof(row)); i++) {
		ends->prints |= (row.flags & PC_STDOUT) != 0;
		if (row.inputs == 0) {
			sources++;
			source = row.name;
			ends->in += row.emitted;
			ends->done += row.progress;
			ends->total += row.progress_total;
		}
		if (row.outputs == 0) {
			sinks++;
			sink = row.name;
			ends->out += row.taken;
		}
	}
	name_end(ends->source, sizeof(ends->source), sources, source, "sources");
	name_end(ends->sink, sizeof(ends->sink), sinks, sink, "sinks");
}

void progress_init(struct progress *p, struct pc_graph *graph, bool off)
{
	struct ends ends;

	memset(p, 0, sizeof(*p));
	p->graph = graph;
	look(graph, &ends);
	p->on = !off && say_can_move() && !(ends.prints && isatty(STDOUT_FILENO));
	p->begin_ns = p->last_ns = now_ns();
}

static void add_rate(char *text, size_t size, double per_s)
{
	if (per_s >= 1e6)
		snprintf(text, size, "%.1f M/s", per_s / 1e6);
	else if (per_s >= 1e3)
		snprintf(text, size, "%.1f k/s", per_s / 1e3);
	else
		snprintf(text, size, "%.0f/s", per_s);
}

static void fullest(struct pc_graph *graph, char *text, size_t size)
{
	struct pc_queue_row row, most = {0};

	for (size_t i = 0; pc_graph_queue(graph, i, &row, sizeof(row)); i++)
		if (!most.name || row.queued * most.capacity > most.queued * row.capacity)
			most = row;
	text[0] = '\0';
	if (most.name && most.queued > 0)
		snprintf(text, size, " | fullest: %.40s %llu/%llu", most.name,
		         (unsigned long long)most.queued, (unsigned long long)most.capacity);
}

static void time_left(const struct ends *ends, int64_t elapsed_ns, char *text, size_t size)
{
	double part, left;

	text[0] = '\0';
	if (ends->total == 0 || ends->done == 0)
		return;
	part = (double)ends->done / (double)ends->total;
	part = part > 1 ? 1 : part;
	left = (double)elapsed_ns / 1e9 * (1 - part) / part;
	snprintf(text, size, " | %.0f %%, %.0f s left", 100 * part, left);
}

static unsigned columns(void)
{
	struct winsize w;

	return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0 ? w.ws_col : 80;
}

static double smooth(double old, uint64_t more, double seconds)
{
	double now = (double)more / seconds;

	return old > 0 ? old * 0.7 + now * 0.3 : now;
}

static void draw(struct progress *p, int64_t now)
{
	double seconds = (double)(now - p->last_ns) / 1e9;
	char in[24], out[24], queue[96], left[64], line[400];
	struct ends ends;

	look(p->graph, &ends);
	p->in_s = smooth(p->in_s, ends.in - p->last_in, seconds);
	p->out_s = smooth(p->out_s, ends.out - p->last_out, seconds);
	p->last_in = ends.in;
	p->last_out = ends.out;
	add_rate(in, sizeof(in), p->in_s);
	add_rate(out, sizeof(out), p->out_s);
	fullest(p->graph, queue, sizeof(queue));
	time_left(&ends, now - p->begin_ns, left, sizeof(left));
	snprintf(line, sizeof(line), "%.0f s | %s %s | %s %s%s%s",
	         (double)(now - p->begin_ns) / 1e9, ends.source, in, ends.sink, out, queue,
	         left);
	/* A line that wraps would stand in two rows. */
	if (strlen(line) >= columns())
		line[columns() - 1] = '\0';
	say_status(line);
}

int progress_show(struct progress *p)
{
	int64_t now = now_ns();
	int64_t due =
		p->last_ns == p->begin_ns ? p->begin_ns + FIRST_NS : p->last_ns + EVERY_NS;

	if (!p->on)
		return -1;
	if (now >= due) {
		draw(p, now);
		p->last_ns = now;
		due = now + EVERY_NS;
	}
	return (int)((due - now + PC_MS - 1) / PC_MS);
}

void progress_end(struct progress *p)
{
	if (p->on)
		say_status(NULL);
}
