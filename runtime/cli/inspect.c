/* cli/inspect.c: `pcrun inspect`: a plugin's descriptor, or a checked graph, for people and, with
 * --json, for programs. */
#include "cli/cli.h"
#include "cli/say.h"
#include "cli/table.h"

#include <pcrun/stage.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *type_name(uint32_t type)
{
	static const char *const names[] = {
		[PC_T_BOOL] = "bool",         [PC_T_I64] = "i64",       [PC_T_U64] = "u64",
		[PC_T_F64] = "f64",           [PC_T_STRING] = "string", [PC_T_ENUM] = "enum",
		[PC_T_DURATION] = "duration", [PC_T_BYTES] = "bytes",   [PC_T_PATH] = "path",
	};

	return type > 0 && type < sizeof(names) / sizeof(names[0]) ? names[type] : "?";
}

static const struct {
	uint64_t bit;
	const char *name, *meaning;
} flags[] = {
	{PC_BLOCKING, "blocking", "may block: each replica has a thread of its own"},
	{PC_SINGLE, "single", "has no meaning with more than one replica"},
	{PC_PURE, "pure", "output depends on item and state only"},
	{PC_NO_PROBE, "no-probe", "open() has effects outside"},
	{PC_STDOUT, "stdout", "writes to standard output"},
};

/* The callbacks that are there, in the order of the descriptor. */
struct callbacks {
	const char *names[9];
	size_t n;
};

static struct callbacks list_callbacks(const struct pc_stage_desc *d)
{
	struct callbacks c = {.n = 0};

#define CALLBACK(f)                                                                            \
	if (d->f)                                                                              \
	c.names[c.n++] = #f
	CALLBACK(open);
	CALLBACK(produce);
	CALLBACK(process);
	CALLBACK(process_batch);
	CALLBACK(finish);
	CALLBACK(stop);
	CALLBACK(close);
	CALLBACK(migrate);
	CALLBACK(closed);
#undef CALLBACK
	return c;
}

static void print_ports(const char *what, const struct pc_port *ports, uint32_t n, bool output)
{
	struct table t = {.columns = 4};

	if (n == 0)
		return;
	for (uint32_t i = 0; i < n; i++) {
		table_add(&t, "%s", ports[i].name);
		table_add(&t, "%s", ports[i].type);
		table_add(&t, "%s", output && ports[i].flags & PC_REQUIRED ? "required" : "");
		table_add(&t, "%s", ports[i].doc);
	}
	printf("\n%s\n", what);
	table_print(&t, stdout, "  ");
	table_fini(&t);
}

static bool is_text(uint32_t type)
{
	return type == PC_T_STRING || type == PC_T_PATH;
}

/* "slow|fast", or the range with its unit. */
static void add_range(struct table *t, const struct pc_param *p)
{
	struct say_text text;

	if (p->type != PC_T_ENUM) {
		table_add(t, "%s%s%s", p->range ? p->range : "", p->range && p->unit ? " " : "",
		          p->unit ? p->unit : "");
		return;
	}
	if (!say_text_open(&text)) {
		t->failed = true;
		return;
	}
	for (size_t i = 0; p->names[i]; i++)
		fprintf(text.stream, "%s%s", i > 0 ? "|" : "", p->names[i]);
	fclose(text.stream);
	table_add(t, "%s", text.bytes ? text.bytes : "");
	free(text.bytes);
}

/* What a row's flags say, in a word or two. */
static const char *flag_words(uint32_t bits)
{
	if (bits & PC_UPDATES_SHARED)
		return "updates shared";
	if (bits & PC_READS_SHARED)
		return "reads shared";
	return bits & PC_LIVE ? "live" : "";
}

static void print_params(const struct pc_stage_desc *d)
{
	struct table t = {.columns = 6};

	if (d->n_params == 0)
		return;
	for (const char *const *head =
	             (const char *const[]){"name", "type", "default", "range", "", "", NULL};
	     *head; head++)
		table_add(&t, "%s", *head);
	for (uint32_t i = 0; i < d->n_params; i++) {
		const struct pc_param *p = &d->params[i];
		const char *quote = p->def && is_text(p->type) ? "\"" : "";

		table_add(&t, "%s", p->name);
		table_add(&t, "%s", type_name(p->type));
		table_add(&t, "%s%s%s", quote, p->def ? p->def : "must be given", quote);
		add_range(&t, p);
		table_add(&t, "%s", flag_words(p->flags));
		table_add(&t, "%s", p->doc);
	}
	puts("\nparameters");
	table_print(&t, stdout, "  ");
	table_fini(&t);
}

static const char *const weights[] = {
	[PC_FINDING_REFUSED] = "refused",
	[PC_FINDING_STAYS] = "stays loaded",
	[PC_FINDING_CARE] = "take care",
};

static void print_findings(const struct pc_plugin *plugin)
{
	struct pc_finding_row row;

	for (size_t i = 0; pc_plugin_finding(plugin, i, &row, sizeof(row)); i++) {
		if (i == 0)
			puts("\nhot swap");
		printf("  %s: %s\n    %s\n    fix: %s\n", weights[row.weight], row.name,
		       row.text, row.fix);
	}
}

static void print_plugin(const struct pc_plugin *plugin)
{
	const struct pc_stage_desc *d = pc_plugin_desc(plugin);
	struct callbacks c = list_callbacks(d);

	printf("%s%s%s\n", d->name, *d->doc ? ": " : "", d->doc);
	printf("  file       %s\n", pc_plugin_file(plugin));
	printf("  ABI        %u.%u\n", d->abi_major, d->abi_minor);
	if (d->version)
		printf("  version    %s\n", d->version);
	for (size_t i = 0, shown = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (d->flags & flags[i].bit)
			printf("  %-9s  %s: %s\n", shown++ == 0 ? "flags" : "", flags[i].name,
			       flags[i].meaning);
	printf("  state      %zu bytes, version %" PRIu32 "\n", d->state_size,
	       d->state_version);
	printf("  callbacks ");
	for (size_t i = 0; i < c.n; i++)
		printf(" %s", c.names[i]);
	putchar('\n');
	print_ports("inputs", d->inputs, d->n_inputs, false);
	print_ports("outputs", d->outputs, d->n_outputs, true);
	print_params(d);
	print_findings(plugin);
}

static void json_pair(const char *before, const char *key, const char *value)
{
	printf("%s\"%s\":", before, key);
	say_json(stdout, value);
}

static void json_ports(const char *what, const struct pc_port *ports, uint32_t n)
{
	printf(",\"%s\":[", what);
	for (uint32_t i = 0; i < n; i++) {
		json_pair(i > 0 ? ",{" : "{", "name", ports[i].name);
		json_pair(",", "type", ports[i].type);
		printf(",\"required\":%s", ports[i].flags & PC_REQUIRED ? "true" : "false");
		json_pair(",", "doc", ports[i].doc);
		putchar('}');
	}
	putchar(']');
}

static void json_param(const struct pc_param *p)
{
	json_pair("{", "name", p->name);
	json_pair(",", "type", type_name(p->type));
	json_pair(",", "default", p->def);
	json_pair(",", "range", p->range);
	json_pair(",", "unit", p->unit);
	if (p->type == PC_T_ENUM) {
		printf(",\"values\":[");
		for (size_t i = 0; p->names[i]; i++) {
			fputs(i > 0 ? "," : "", stdout);
			say_json(stdout, p->names[i]);
		}
		putchar(']');
	}
	printf(",\"live\":%s,\"shared\":", p->flags & PC_LIVE ? "true" : "false");
	say_json(stdout, p->flags & PC_UPDATES_SHARED ? "updates"
	                 : p->flags & PC_READS_SHARED ? "reads"
	                                              : NULL);
	json_pair(",", "doc", p->doc);
	putchar('}');
}

static void json_findings(const struct pc_plugin *plugin)
{
	struct pc_finding_row row;

	printf("],\"swap\":[");
	for (size_t i = 0; pc_plugin_finding(plugin, i, &row, sizeof(row)); i++) {
		json_pair(i > 0 ? ",{" : "{", "weight", weights[row.weight]);
		json_pair(",", "name", row.name);
		json_pair(",", "text", row.text);
		json_pair(",", "fix", row.fix);
		putchar('}');
	}
}

static void json_plugin(const struct pc_plugin *plugin)
{
	const struct pc_stage_desc *d = pc_plugin_desc(plugin);
	struct callbacks c = list_callbacks(d);
	const char *comma = "";

	json_pair("{", "name", d->name);
	json_pair(",", "doc", d->doc);
	json_pair(",", "file", pc_plugin_file(plugin));
	json_pair(",", "version", d->version);
	printf(",\"abi\":\"%u.%u\",\"flags\":[", d->abi_major, d->abi_minor);
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		if (!(d->flags & flags[i].bit))
			continue;
		fputs(comma, stdout);
		say_json(stdout, flags[i].name);
		comma = ",";
	}
	printf("],\"state_size\":%zu,\"state_version\":%" PRIu32, d->state_size,
	       d->state_version);
	json_ports("inputs", d->inputs, d->n_inputs);
	json_ports("outputs", d->outputs, d->n_outputs);
	printf(",\"parameters\":[");
	for (uint32_t i = 0; i < d->n_params; i++) {
		fputs(i > 0 ? "," : "", stdout);
		json_param(&d->params[i]);
	}
	printf("],\"callbacks\":[");
	for (size_t i = 0; i < c.n; i++)
		printf("%s\"%s\"", i > 0 ? "," : "", c.names[i]);
	json_findings(plugin);
	puts("]}");
}

static bool ends_in(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n > m && strcmp(text + n - m, end) == 0;
}

static int inspect_graph(const struct args *args, const char *file, bool first)
{
	struct pc_load_options load = args_load_options(args);
	struct pc_graph *graph = NULL;
	struct pc_error *err = NULL;
	char *text;
	int r;

	if (file)
		r = pc_graph_load_file(&graph, file, &load, &err);
	else
		r = pc_graph_load_text(&graph, "-e", args->text, strlen(args->text), &load,
		                       &err);
	if (*pc_error_text(err))
		say_error(err);
	pc_error_free(err);
	if (r != PC_OK)
		return r == PC_WRONG ? STATUS_WRONG : STATUS_USAGE;
	text = pc_graph_describe(graph, args->json);
	if (!text)
		say("out of memory");
	else
		printf("%s%s", first || args->json ? "" : "\n", text);
	pc_graph_free(graph);
	r = text ? STATUS_OK : STATUS_FAILED;
	free(text);
	return r;
}

/* Plugins end in .so or .c, or have a plain name; what is there and is none of these is a graph. */
static bool is_graph(const char *name)
{
	return !ends_in(name, ".so") && !ends_in(name, ".c") &&
	       (strcmp(name, "-") == 0 || strpbrk(name, "/.") != NULL);
}

static int inspect_one(const struct args *args, const char *name, bool first)
{
	struct pc_load_options load = args_load_options(args);
	struct pc_plugin *plugin = NULL;
	struct pc_error *err = NULL;
	char file[4096];
	int r;

	if (is_graph(name))
		return inspect_graph(args, name, first);
	/* "mine.so" can only mean the file. */
	if (!strchr(name, '/') && (ends_in(name, ".so") || ends_in(name, ".c")) &&
	    snprintf(file, sizeof(file), "./%s", name) < (int)sizeof(file))
		name = file;
	r = pc_plugin_open(&plugin, name, &load, &err);
	if (r != PC_OK) {
		say_error(err);
		pc_error_free(err);
		return r == PC_WRONG ? STATUS_WRONG : STATUS_USAGE;
	}
	if (args->json) {
		json_plugin(plugin);
	} else {
		if (!first)
			putchar('\n');
		print_plugin(plugin);
	}
	pc_plugin_close(plugin);
	return STATUS_OK;
}

int inspect_command(const struct args *args)
{
	int status = STATUS_OK;

	if (args->text)
		status = inspect_graph(args, NULL, true);
	for (size_t i = 0; i < args->n_files; i++) {
		int one = inspect_one(args, args->files[i], i == 0 && !args->text);

		status = one > status ? one : status;
	}
	return status;
}
