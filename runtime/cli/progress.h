/* cli/progress.h: one line on the terminal while a graph runs. Main thread. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <pcrun/pcrun.h>

struct progress {
	struct pc_graph *graph;
	bool on;
	int64_t begin_ns, last_ns;
	uint64_t last_in, last_out; /* items, at the last look */
	double in_s, out_s;         /* smoothed rates */
};

/* Off when told so, when standard error is no terminal, or a dumb one, or when a stage writes to
 * the same terminal. */
void progress_init(struct progress *p, struct pc_graph *graph, bool off);
/* Shows the line when it is time; returns the milliseconds until then, -1: never. */
int progress_show(struct progress *p);
void progress_end(struct progress *p);

#endif
