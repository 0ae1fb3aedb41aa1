/* cli/ledger.c: what became of every item: the queues' and the stages' rows, as text and as JSON.
 *
 * Columns that are zero in every row are left out of the text (put and done always stand). */
#include "cli/ledger.h"

#include "cli/say.h"
#include "cli/table.h"

#include <inttypes.h>
#include <string.h>

struct column {
	const char *name;
	size_t offset; /* of a uint64_t in the row */
};

#define QUEUE(name, f)                                                                         \
	{                                                                                      \
		name, offsetof(struct pc_queue_row, f)                                         \
	}
static const struct column queue_columns[] = {
	QUEUE("put", put),
	QUEUE("done", done),
	QUEUE("dropped", dropped),
	QUEUE("dead", dead),
	QUEUE("abandoned", abandoned),
	QUEUE("queued", queued),
	QUEUE("most", high_water),
	QUEUE("waits_full", full_waits),
	QUEUE("waits_empty", empty_waits),
};
#define STAGE(name, f)                                                                         \
	{                                                                                      \
		name, offsetof(struct pc_stage_row, f)                                         \
	}
static const struct column stage_columns[] = {
	STAGE("taken", taken),     STAGE("emitted", emitted), STAGE("failed", failed),
	STAGE("skipped", skipped), STAGE("retried", retried), STAGE("activations", activations),
};
enum {
	N_QUEUE_COLUMNS = sizeof(queue_columns) / sizeof(queue_columns[0]),
	N_STAGE_COLUMNS = sizeof(stage_columns) / sizeof(stage_columns[0]),
	ALWAYS = 2 /* columns that are shown though they be zero */
};

static uint64_t figure(const void *row, const struct column *column)
{
	uint64_t value;

	memcpy(&value, (const char *)row + column->offset, sizeof(value));
	return value;
}

static void print_queues(struct pc_graph *graph, FILE *out)
{
	bool wanted[N_QUEUE_COLUMNS] = {true, true};
	struct table t = {.columns = 2};
	struct pc_queue_row row;

	for (size_t i = 0; pc_graph_queue(graph, i, &row, sizeof(row)); i++)
		for (size_t c = ALWAYS; c < N_QUEUE_COLUMNS; c++)
			wanted[c] |= figure(&row, &queue_columns[c]) != 0;
	table_add(&t, "queue");
	table_add(&t, "capacity");
	t.right[1] = true;
	for (size_t c = 0; c < N_QUEUE_COLUMNS; c++) {
		if (wanted[c]) {
			table_add(&t, "%s", queue_columns[c].name);
			t.right[t.columns++] = true;
		}
	}
	for (size_t i = 0; pc_graph_queue(graph, i, &row, sizeof(row)); i++) {
		table_add(&t, "%s", row.name);
		table_add(&t, "%" PRIu64, row.capacity);
		for (size_t c = 0; c < N_QUEUE_COLUMNS; c++)
			if (wanted[c])
				table_add(&t, "%" PRIu64, figure(&row, &queue_columns[c]));
	}
	table_print(&t, out, "");
	table_fini(&t);
}

static void print_stages(struct pc_graph *graph, FILE *out)
{
	bool wanted[N_STAGE_COLUMNS] = {true, true};
	struct table t = {.columns = 2};
	struct pc_stage_row row;

	for (size_t i = 0; pc_graph_stage(graph, i, &row, sizeof(row)); i++)
		for (size_t c = ALWAYS; c < N_STAGE_COLUMNS; c++)
			wanted[c] |= figure(&row, &stage_columns[c]) != 0;
	table_add(&t, "stage");
	table_add(&t, "replicas");
	t.right[1] = true;
	for (size_t c = 0; c < N_STAGE_COLUMNS; c++) {
		if (wanted[c]) {
			table_add(&t, "%s", stage_columns[c].name);
			t.right[t.columns++] = true;
		}
	}
	table_add(&t, "busy");
	t.right[t.columns++] = true;
	table_add(&t, "state");
	t.columns++;
	for (size_t i = 0; pc_graph_stage(graph, i, &row, sizeof(row)); i++) {
		table_add(&t, "%s", row.name);
		table_add(&t, "%u", row.replicas);
		for (size_t c = 0; c < N_STAGE_COLUMNS; c++)
			if (wanted[c])
				table_add(&t, "%" PRIu64, figure(&row, &stage_columns[c]));
		table_add(&t, "%.3fs", (double)row.busy_ns / (double)PC_SEC);
		table_add(&t, "%s", row.state ? row.state : "");
	}
	table_print(&t, out, "");
	table_fini(&t);
}

void ledger_print(struct pc_graph *graph)
{
	struct say_text text;

	if (!say_text_open(&text))
		return;
	print_queues(graph, text.stream);
	fputc('\n', text.stream);
	print_stages(graph, text.stream);
	say_text_close(&text);
}

static void json_figures(FILE *out, const void *row, const struct column *columns, size_t n)
{
	for (size_t i = 0; i < n; i++)
		fprintf(out, ",\"%s\":%" PRIu64, columns[i].name, figure(row, &columns[i]));
}

static void json_builds(struct pc_graph *graph, size_t stage, FILE *out)
{
	struct pc_build_row row;

	fputs(",\"builds\":[", out);
	for (size_t i = 0; pc_graph_build(graph, stage, i, &row, sizeof(row)); i++) {
		fprintf(out,
		        "%s{\"number\":%u,\"current\":%s,\"bad\":%s,\"items\":%" PRIu64
		        ",\"file\":",
		        i > 0 ? "," : "", row.number, row.current ? "true" : "false",
		        row.bad ? "true" : "false", row.items);
		say_json(out, row.file);
		fputc('}', out);
	}
	fputc(']', out);
}

static void json_queues(struct pc_graph *graph, FILE *out)
{
	struct pc_queue_row queue;

	fputs(",\"queues\":[", out);
	for (size_t i = 0; pc_graph_queue(graph, i, &queue, sizeof(queue)); i++) {
		fprintf(out, "%s{\"name\":", i > 0 ? "," : "");
		say_json(out, queue.name);
		fputs(",\"file\":", out);
		say_json(out, queue.file);
		fprintf(out, ",\"line\":%u,\"capacity\":%" PRIu64, queue.line, queue.capacity);
		json_figures(out, &queue, queue_columns, N_QUEUE_COLUMNS);
		fputc('}', out);
	}
	fputc(']', out);
}

static void json_stages(struct pc_graph *graph, FILE *out, bool builds)
{
	struct pc_stage_row stage;

	fputs(",\"stages\":[", out);
	for (size_t i = 0; pc_graph_stage(graph, i, &stage, sizeof(stage)); i++) {
		fprintf(out, "%s{\"name\":", i > 0 ? "," : "");
		say_json(out, stage.name);
		fputs(",\"plugin\":", out);
		say_json(out, stage.plugin);
		fputs(",\"file\":", out);
		say_json(out, stage.file);
		fprintf(out, ",\"replicas\":%u", stage.replicas);
		json_figures(out, &stage, stage_columns, N_STAGE_COLUMNS);
		fprintf(out, ",\"busy_ns\":%" PRId64 ",\"state\":", stage.busy_ns);
		say_json(out, stage.state);
		fprintf(out, ",\"build\":%u,\"swaps\":%u,\"reversed\":%u,\"stays\":%u",
		        stage.build, stage.swaps, stage.reversed, stage.stays);
		if (builds)
			json_builds(graph, i, out);
		fputc('}', out);
	}
	fputc(']', out);
}

void ledger_json_rows(struct pc_graph *graph, FILE *out)
{
	json_queues(graph, out);
	json_stages(graph, out, true);
}

void ledger_json(struct pc_graph *graph, int status)
{
	struct say_text text;

	if (!say_text_open(&text))
		return;
	fprintf(text.stream, "{\"status\":%d", status);
	if (graph) {
		json_queues(graph, text.stream);
		json_stages(graph, text.stream, false);
	} else {
		fputs(",\"queues\":[],\"stages\":[]", text.stream);
	}
	fputs("}\n", text.stream);
	say_text_close(&text);
}

/* "v3 runs, v2, v1 bad": those that are kept, the newest first; and how many are loaded that nobody
 * needs, since they could not be unloaded. */
static void put_builds(struct pc_graph *graph, size_t stage, unsigned stays, char *text,
                       size_t size)
{
	struct pc_build_row row;
	size_t n = 0;

	text[0] = '\0';
	for (size_t i = 0; n < size && pc_graph_build(graph, stage, i, &row, sizeof(row)); i++)
		n += (size_t)snprintf(text + n, size - n, "%sv%u%s%s", i > 0 ? ", " : "",
		                      row.number, row.current ? " runs" : "",
		                      row.bad ? " bad" : "");
	if (stays > 0 && n < size)
		snprintf(text + n, size - n, "; %u stayed loaded", stays);
}

/* The file of the build that runs, which need not be the graph's. */
static void add_file(struct table *t, struct pc_graph *graph, size_t stage, const char *file)
{
	struct pc_build_row row;

	for (size_t i = 0; pc_graph_build(graph, stage, i, &row, sizeof(row)); i++)
		if (row.current && row.file[0]) {
			table_add(t, "%s", row.file);
			return;
		}
	table_add(t, "%s", file ? file : "");
}

void ledger_status(struct pc_graph *graph, FILE *out)
{
	struct table t = {.columns = 7, .right = {false, true, true, true}};
	struct pc_stage_row row;

	print_queues(graph, out);
	fputc('\n', out);
	for (const char *const *c =
	             (const char *const[]){"stage", "replicas", "taken", "emitted", "state",
	                                   "builds", "file", NULL};
	     *c; c++)
		table_add(&t, "%s", *c);
	for (size_t i = 0; pc_graph_stage(graph, i, &row, sizeof(row)); i++) {
		char builds[160];

		put_builds(graph, i, row.stays, builds, sizeof(builds));
		table_add(&t, "%s", row.name);
		table_add(&t, "%u", row.replicas);
		table_add(&t, "%" PRIu64, row.taken);
		table_add(&t, "%" PRIu64, row.emitted);
		table_add(&t, "%s", row.state ? row.state : "");
		table_add(&t, "%s", builds);
		add_file(&t, graph, i, row.file);
	}
	table_print(&t, out, "");
	table_fini(&t);
}
