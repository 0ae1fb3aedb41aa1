/* cli/args.c: from argv to struct args.
 *
 * Options may stand before and after everything else, long ones take their value behind = or as
 * the next word, short ones may be joined (-qj4). Each mistake is one sentence; the first ends
 * the reading. */
#include "cli/cli.h"
#include "cli/say.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const struct option option_table[] = {
	{'e', NULL, "TEXT", OPTION_TEXT, "take the graph from TEXT instead of a file"},
	{'D', NULL, "NAME=VALUE", OPTION_DEFINE, "give a parameter of the graph a value"},
	{'L', NULL, "DIR", OPTION_DIR, "search DIR for plugins; may be given several times"},
	{'j', "workers", "N", OPTION_WORKERS,
         "run on N worker threads (default: one per core)"},
	{0, "drain", "TIME", OPTION_DRAIN,
         "how long a stopped graph may go on, 250ms or 1m say (10s)"},
	{0, "watch", NULL, OPTION_WATCH,
         "take over stages, and the graph, when their files change"},
	{0, "graph", "GRAPH", OPTION_GRAPH,
         "which running graph is meant: its name, file or process"},
	{0, "dry-run", NULL, OPTION_DRY_RUN, "make all checks, and change nothing"},
	{0, "reset-state", NULL, OPTION_RESET_STATE,
         "begin with a fresh state; what the old one holds is lost"},
	{0, "retry", NULL, OPTION_RETRY, "try code that has failed before once more"},
	{0, "back", NULL, OPTION_BACK, "return to the build before this one"},
	{0, "gdb", NULL, OPTION_GDB, "under gdb, which stops where it crashes"},
	{'w', "write", NULL, OPTION_WRITE, "change the files instead of printing the result"},
	{0, "check", NULL, OPTION_CHECK, "only say which files would change (status 1: some)"},
	{0, "json", NULL, OPTION_JSON, "print JSON, for programs"},
	{'v', "verbose", NULL, OPTION_VERBOSE, "say more"},
	{'q', "quiet", NULL, OPTION_QUIET, "say warnings and errors only"},
	{'h', "help", NULL, OPTION_HELP, "print help"},
	{0, "version", NULL, OPTION_VERSION, "print the version"},
	{0, NULL, NULL, 0, NULL},
};

struct reader {
	struct args *args;
	char **at;          /* the next word */
	unsigned given;     /* bits */
	bool file_only;     /* after "--" */
	bool first_is_file; /* "--" stood before the first word that is no option */
};

static const struct option *find_letter(char letter)
{
	for (const struct option *o = option_table; o->bit; o++)
		if (o->letter == letter)
			return o;
	return NULL;
}

static const struct option *find_name(const char *name, size_t size)
{
	for (const struct option *o = option_table; o->bit; o++)
		if (o->name && strlen(o->name) == size && strncmp(o->name, name, size) == 0)
			return o;
	return NULL;
}

static const char *unit_ns(const char *unit, double *ret)
{
	static const struct {
		const char *unit;
		double ns;
	} units[] = {{"ns", 1},  {"us", 1e3}, {"ms", 1e6},
	             {"s", 1e9}, {"m", 6e10}, {"h", 3.6e12}};

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(unit, units[i].unit) == 0) {
			*ret = units[i].ns;
			return unit;
		}
	}
	return NULL;
}

/* 10s, 1.5s, 250ms, 0: at least 1 ns, since 0 means the default to the library. */
static bool parse_duration(const char *text, int64_t *ret_ns)
{
	char *end;
	double number, ns;

	errno = 0;
	number = strtod(text, &end);
	if (end == text || errno != 0 || !isdigit((unsigned char)*text))
		return false;
	if (*end == '\0' && !(number > 0))
		ns = 0;
	else if (!unit_ns(end, &ns))
		return false;
	ns *= number;
	if (ns > 9e18)
		return false;
	*ret_ns = ns < 1 ? 1 : (int64_t)ns;
	return true;
}

static bool parse_workers(const char *text, unsigned *ret)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (!isdigit((unsigned char)*text) || *end != '\0' || errno != 0 || n < 1 || n > 1024)
		return false;
	*ret = (unsigned)n;
	return true;
}

static bool take_option(struct reader *r, const struct option *o, const char *shown,
                        const char *value)
{
	struct args *a = r->args;

	r->given |= o->bit;
	switch ((enum option_bit)o->bit) {
	case OPTION_TEXT:
		if (a->text) {
			say("-e stands twice; one text is one graph");
			return false;
		}
		a->text = value;
		break;
	case OPTION_DEFINE:
		if (!strchr(value, '=') || *value == '=') {
			say("-D wants NAME=VALUE, not '%s'", value);
			return false;
		}
		a->defines[a->n_defines++] = value;
		break;
	case OPTION_DIR:
		a->dirs[a->n_dirs++] = value;
		break;
	case OPTION_VERBOSE:
		a->verbose++;
		break;
	case OPTION_QUIET:
		a->quiet = true;
		break;
	case OPTION_JSON:
		a->json = true;
		break;
	case OPTION_WORKERS:
		if (!parse_workers(value, &a->workers)) {
			say("%s wants a number of threads from 1 to 1024, not '%s'", shown,
			    value);
			return false;
		}
		break;
	case OPTION_DRAIN:
		if (!parse_duration(value, &a->drain_ns)) {
			say("%s wants a time such as 10s or 250ms, not '%s'", shown, value);
			return false;
		}
		break;
	case OPTION_WRITE:
		a->write = true;
		break;
	case OPTION_CHECK:
		a->check = true;
		break;
	case OPTION_WATCH:
		a->watch = true;
		break;
	case OPTION_GRAPH:
		a->graph = value;
		break;
	case OPTION_DRY_RUN:
		a->dry_run = true;
		break;
	case OPTION_RESET_STATE:
		a->reset_state = true;
		break;
	case OPTION_RETRY:
		a->retry = true;
		break;
	case OPTION_BACK:
		a->back = true;
		break;
	case OPTION_GDB:
		a->gdb = true;
		break;
	case OPTION_HELP:
		a->help = true;
		break;
	case OPTION_VERSION:
		a->version = true;
		break;
	}
	return true;
}

static bool read_long(struct reader *r, const char *word)
{
	size_t size = strcspn(word + 2, "=");
	const struct option *o = find_name(word + 2, size);
	const char *value = word[2 + size] == '=' ? word + 3 + size : NULL;
	struct words near = {.wanted = word + 2};

	if (!o) {
		for (o = option_table; o->bit; o++)
			if (o->name)
				words_offer(&near, o->name);
		if (near.best)
			say("there is no option %s; did you mean --%s?", word, near.best);
		else
			say("there is no option %s (pcrun help lists them)", word);
		return false;
	}
	if (!o->value && value) {
		say("--%s takes no value", o->name);
		return false;
	}
	if (o->value && !value && !(value = *r->at++)) {
		say("--%s wants a value: --%s=%s", o->name, o->name, o->value);
		return false;
	}
	return take_option(r, o, word, value);
}

static bool read_short(struct reader *r, const char *word)
{
	for (const char *c = word + 1; *c; c++) {
		const struct option *o = find_letter(*c);
		const char shown[] = {'-', *c, '\0'};

		if (!o) {
			say("there is no option -%c%s (pcrun help lists them)", *c,
			    c == word + 1 ? "" : " in one word with others");
			return false;
		}
		if (!o->value) {
			if (!take_option(r, o, shown, NULL))
				return false;
			continue;
		}
		if (c[1] != '\0')
			return take_option(r, o, shown, c + 1);
		if (!*r->at) {
			say("-%c wants a value: -%c %s", *c, *c, o->value);
			return false;
		}
		return take_option(r, o, shown, *r->at++);
	}
	return true;
}

static const struct command *find_command(const char *name)
{
	for (const struct command *c = command_table; c->name; c++)
		if (strcmp(c->name, name) == 0)
			return c;
	return NULL;
}

/* The first word that is no option is a command or, for short, a graph to run. */
static bool choose_command(struct reader *r)
{
	struct args *a = r->args;
	struct words near = {0};
	struct stat st;

	a->command = &command_table[0];
	if (a->n_files == 0 || r->first_is_file)
		return true;
	near.wanted = a->files[0];
	if (find_command(a->files[0])) {
		a->command = find_command(a->files[0]);
		a->named = true;
		a->files++;
		a->n_files--;
		return true;
	}
	if (strpbrk(a->files[0], "./") || strcmp(a->files[0], "-") == 0 ||
	    stat(a->files[0], &st) == 0)
		return true;
	for (const struct command *c = command_table; c->name; c++)
		words_offer(&near, c->name);
	if (near.best)
		say("'%s' is neither a command nor a file; did you mean '%s'?", near.wanted,
		    near.best);
	else
		say("'%s' is neither a command nor a file (pcrun help lists the commands)",
		    near.wanted);
	return false;
}

static bool check_fit(const struct reader *r)
{
	const struct args *a = r->args;
	const struct command *c = a->command;
	unsigned extra = r->given & ~(c->options | OPTION_HELP | OPTION_VERSION);
	size_t n = a->n_files + (a->text != NULL);

	for (const struct option *o = option_table; o->bit && extra; o++) {
		if (extra & o->bit && o->letter)
			say("pcrun %s does not take -%c (pcrun help %s)", c->name, o->letter,
			    c->name);
		else if (extra & o->bit)
			say("pcrun %s does not take --%s (pcrun help %s)", c->name, o->name,
			    c->name);
		if (extra & o->bit)
			return false;
	}
	if (a->quiet && a->verbose) {
		say("-q and -v do not go together");
		return false;
	}
	if (a->write && a->check) {
		say("-w and --check do not go together");
		return false;
	}
	if (n < c->least_files) {
		say("%s is missing; usage: pcrun %s", c->missing, c->usage);
		return false;
	}
	if (n > c->most_files) {
		say("'%s' is too much; usage: pcrun %s", a->files[a->n_files - 1], c->usage);
		return false;
	}
	return true;
}

bool args_parse(struct args *args, int argc, char **argv)
{
	struct reader r = {.args = args, .at = argv + (argc > 0)};
	size_t room = (size_t)argc + 1;

	*args = (struct args){0};
	args->memory = calloc(3 * room, sizeof(*args->files));
	if (!args->memory) {
		say("out of memory");
		return false;
	}
	args->files = args->memory;
	args->defines = args->files + room;
	args->dirs = args->defines + room;
	while (*r.at) {
		const char *word = *r.at++;

		if (r.file_only || word[0] != '-' || word[1] == '\0') {
			args->files[args->n_files++] = word;
		} else if (strcmp(word, "--") == 0) {
			r.file_only = true;
			r.first_is_file = args->n_files == 0;
		} else if (!(word[1] == '-' ? read_long(&r, word) : read_short(&r, word))) {
			return false;
		}
	}
	if (!choose_command(&r))
		return false;
	return args->help || args->version || check_fit(&r);
}

void args_fini(struct args *args)
{
	free(args->memory);
}

struct pc_load_options args_load_options(const struct args *args)
{
	return (struct pc_load_options){
		.size = sizeof(struct pc_load_options),
		.defines = args->defines,
		.n_defines = args->n_defines,
		.plugin_dirs = args->dirs,
		.n_plugin_dirs = args->n_dirs,
	};
}
