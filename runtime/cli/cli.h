/* cli/cli.h: the pcrun command: its words, its options, its exit statuses.
 *
 * The command is a program that embeds the runtime like any other: pcrun.h is all it knows of
 * it. It is the only part that prints. main.c dispatches; each word has a file of its own. Runs
 * on the main thread, except for say_log(), which any thread calls. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <pcrun/pcrun.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* DESIGN.md section 3, "Signals". A signal that ended the run is STATUS_SIGNAL plus its number. */
enum status {
	STATUS_OK = 0,
	STATUS_FAILED =
		1, /* a stage failed, the ledger does not balance, output can't be written */
	STATUS_USAGE = 2, /* including a file that can't be read */
	STATUS_DEADLOCK = 3,
	STATUS_WRONG = 78, /* the graph file, or a plugin, is wrong */
	STATUS_SIGNAL = 128
};

/* What was given on the command line. The strings are argv's. */
struct args {
	const struct command *command;
	bool named; /* the command's word stood there */
	const char **files;
	size_t n_files;
	const char *text; /* of -e; NULL: not given */
	const char **defines;
	size_t n_defines;
	const char **dirs;
	size_t n_dirs;
	unsigned verbose; /* how often */
	bool quiet, json, write, check, help, version;
	bool watch, dry_run, reset_state, retry, back, gdb;
	const char *graph; /* of --graph; NULL: not given */
	unsigned workers;  /* 0: not given */
	int64_t drain_ns;  /* 0: not given */
	void *memory;      /* of the arrays */
};

/* One bit each, for what a word takes. */
enum option_bit {
	OPTION_TEXT = 1 << 0,
	OPTION_DEFINE = 1 << 1,
	OPTION_DIR = 1 << 2,
	OPTION_VERBOSE = 1 << 3,
	OPTION_QUIET = 1 << 4,
	OPTION_JSON = 1 << 5,
	OPTION_WORKERS = 1 << 6,
	OPTION_DRAIN = 1 << 7,
	OPTION_WRITE = 1 << 8,
	OPTION_CHECK = 1 << 9,
	OPTION_HELP = 1 << 10,
	OPTION_VERSION = 1 << 11,
	OPTION_WATCH = 1 << 12,
	OPTION_GRAPH = 1 << 13,
	OPTION_DRY_RUN = 1 << 14,
	OPTION_RESET_STATE = 1 << 15,
	OPTION_BACK = 1 << 16,
	OPTION_RETRY = 1 << 17,
	OPTION_GDB = 1 << 18
};

struct option {
	char letter;
	const char *name;  /* of --name; NULL: none */
	const char *value; /* what stands for it in help; NULL: takes none */
	unsigned bit;
	const char *doc;
};
extern const struct option option_table[]; /* ends with letter 0 and name NULL */

struct command {
	const char *name;
	int (*run)(const struct args *args);
	unsigned options; /* bits; help and version are always taken */
	size_t least_files, most_files;
	const char *missing; /* what, when there are fewer */
	const char *usage;   /* behind "pcrun " */
	const char *summary;
	const char *text; /* of `pcrun help NAME`, between usage and options */
};
extern const struct command command_table[]; /* ends with name NULL; the first is run */

/* args.c. False: a usage error was said, exit with STATUS_USAGE. */
bool args_parse(struct args *args, int argc, char **argv);
void args_fini(struct args *args);
struct pc_load_options args_load_options(const struct args *args);

/* One file each. They return an exit status. */
int run_command(const struct args *args);
int check_command(const struct args *args);
int fmt_command(const struct args *args);
int inspect_command(const struct args *args);
int list_command(const struct args *args);
int replay_command(const struct args *args);
int help_command(const struct args *args);

/* control-client.c: they ask a graph that runs, and return enum control_status. */
int swap_command(const struct args *args);
int reload_command(const struct args *args);
int status_command(const struct args *args);
int events_command(const struct args *args);
int stop_command(const struct args *args);
int ps_command(const struct args *args);

/* help.c */
void help_usage(void);                         /* the short form, to standard error */
int help_print(const struct command *command); /* NULL: the whole command */

/* words.c: the nearest of some names, for "did you mean"; offer them one by one. */
struct words {
	const char *wanted;
	const char *best; /* NULL: nothing near */
	unsigned distance;
};
void words_offer(struct words *words, const char *candidate);

#endif
