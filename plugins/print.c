/* print: each item as a line on standard output.
 *
 * in   text, u64 (in decimal), or any bytes
 *
 * What one call gets is written at once, so that nothing waits in a buffer when the stream falls
 * silent. A line of up to 4096 bytes is not torn apart by others that write to the same pipe.
 *
 * When the reader has gone (`pcrun … | head -1`) it says PC_END, and the graph ends quietly; it
 * relies on pcrun ignoring SIGPIPE. It waits for room in the runtime's way, on its own thread,
 * so that a stopped terminal does not keep the graph from ending. */
#include "sink.h"

struct print {
	const char *prefix;
	/* ours */
	struct sink sink;
};

static const struct pc_param print_params[] = {
	PC_PARAM_STRING(struct print, prefix, "", "what stands before each line"),
};

static int print_open(struct pc_stage *st, void *state)
{
	struct print *s = state;

	return sink_init(st, &s->sink, STDOUT_FILENO, "standard output", s->prefix, "\n");
}

static int print_process_batch(struct pc_stage *st, void *state, struct pc_item *const *items,
                               unsigned n)
{
	struct print *s = state;

	return sink_batch(st, &s->sink, items, n, true);
}

static int print_close(struct pc_stage *st, void *state)
{
	struct print *s = state;

	(void)st;
	sink_fini(&s->sink);
	return PC_OK;
}

static const struct pc_port print_in[] = {{"in", "*", 0, "text, numbers (u64), bytes"}};

PC_STAGE(.name = "print", .doc = "write each item as a line to standard output",
         .flags = PC_BLOCKING | PC_SINGLE | PC_STDOUT, PC_INPUTS(print_in),
         PC_PARAMS(print_params), PC_STATE(struct print), .state_version = 1,
         .open = print_open, .process_batch = print_process_batch, .close = print_close);
