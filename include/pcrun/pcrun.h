/* pcrun.h: load, check, run, stop and explain a graph from a C program.
 *
 * The pcrun command is written with this header alone. Every call may be made from any thread,
 * one at a time for one graph, except where [any] says otherwise. Nothing here prints, installs
 * signal handlers or ends the process.
 *
 * Errors. A call that can fail gives an error object: a code and a chain of causes, the
 * innermost (what really happened) last. pc_error_text() is the text that the command prints.
 * `ret_err` may be NULL. Structs that the caller fills start with `size` = sizeof, so that they
 * can grow; zero means the default everywhere.
 */
#ifndef PCRUN_PCRUN_H
#define PCRUN_PCRUN_H

#include <pcrun/codes.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PC_API __attribute__((visibility("default")))

struct pc_graph;
struct pc_error;

/* ------------------------------------------------------------------------------- errors --- */

/** The whole text, lines ended by \n: diagnostics with their source lines and carets, or causes
 * from the outermost to the innermost. Owned by the error. "" for NULL. Since 1.0. */
PC_API const char *pc_error_text(const struct pc_error *err);

/** The first line only, without newline. Owned by the error. */
PC_API const char *pc_error_first(const struct pc_error *err);

/** enum pc_result; PC_OK for NULL. */
PC_API int pc_error_code(const struct pc_error *err);

/** NULL is fine. */
PC_API void pc_error_free(struct pc_error *err);

/* ------------------------------------------------------------------------------ loading --- */

/** How to load. */
struct pc_load_options {
	size_t size;
	const char *const *defines; /* "name=value", as -D; they win over `param` lines */
	size_t n_defines;
	const char *const *plugin_dirs; /* as -L, searched after the graph's own directory */
	size_t n_plugin_dirs;
	/* Load the plugins from copies that nobody else writes to: set it when their files may be
	 * rebuilt, or stripped in place, while the graph runs. What is swapped in later always
	 * is. Costs some 30 us and a file of their size each, in $XDG_RUNTIME_DIR, $TMPDIR or
	 * /tmp; removed with the graph. */
	bool private_copies;
};

/** Read a graph file, load its plugins and check everything that can be checked before a run.
 * @path      "-" is standard input.
 * @options   NULL: defaults.
 * @ret_graph the graph, to be freed by pc_graph_free(); NULL on failure.
 * @return PC_OK; PC_WRONG: the file or a plugin is wrong (all mistakes are in the text);
 *         PC_ERROR: it could not be read; PC_NOMEM. Since 1.0. */
PC_API int pc_graph_load_file(struct pc_graph **ret_graph, const char *path,
                              const struct pc_load_options *options, struct pc_error **ret_err);

/** The same for a text. @name stands for the file's name in messages, "-e" say; plugins and
 * includes with relative paths are sought in the working directory. */
PC_API int pc_graph_load_text(struct pc_graph **ret_graph, const char *name, const char *text,
                              size_t text_size, const struct pc_load_options *options,
                              struct pc_error **ret_err);

/** What a graph is, once it has been read and checked: stages with all their parameters and
 * attributes, queues with who writes and reads them, joins, critical sections, shared state.
 * Malloc'd; NULL: no memory. As it was loaded: what a reload has changed is not in it. Since 1.0.
 * @json  one line of JSON, {"stages":[…],"queues":[…],"joins":[…],"sections":[…],"shared":[…]}, in
 *        which rows and keys may be added; else text for people, whose form may change. */
PC_API char *pc_graph_describe(struct pc_graph *graph, bool json);

/** Stops the graph at once if it still runs, then frees it. NULL is fine. */
PC_API void pc_graph_free(struct pc_graph *graph);

/** The canonical form of a graph file's text (comments stay; applied twice it changes nothing).
 * Includes are not followed, plugins not needed. @ret_text is malloc'd, ends with NUL.
 * @return PC_OK, PC_WRONG, PC_ERROR, PC_NOMEM. Since 1.0. */
PC_API int pc_format_text(char **ret_text, const char *name, const char *text, size_t text_size,
                          struct pc_error **ret_err);

/* ------------------------------------------------------------------------------ running --- */

/** Where lines for the user go: log lines of stages, warnings of the runtime. Called on any
 * thread, one call at a time. `stage` is NULL for the runtime itself. */
typedef void pc_log_fn(void *user, int level, const char *stage, const char *text);

/** What becomes of builds while a graph runs; see pc_graph_swap(). */
enum pc_swap_what {
	PC_SWAP_LIVE = 1, /* all replicas run the new build */
	PC_SWAP_BACK = 2, /* an item failed on it, and the build before it runs again */
	PC_SWAP_LATE = 3  /* some replica has not come back from the old build for a second */
};

struct pc_swap_event {
	int what; /* enum pc_swap_what */
	const char *stage;
	const struct pc_swap_report
		*report; /* `text` is the runtime's; not all is known when late */
	const char
		*reason; /* BACK: why the item failed; LATE: the replicas, "0, 3"; else NULL */
};

/** Told of each event at once, in order, on the control thread: to be brief, and to call nothing
 * of this header. All of `event` lives for the call only. */
typedef void pc_swap_fn(void *user, const struct pc_swap_event *event);

/** How to run. */
struct pc_run_options {
	size_t size;
	unsigned workers; /* 0: as many as the process may use cores */
	int64_t drain_ns; /* after pc_graph_stop(PC_STOP_DRAIN); 0: 10 s */
	int64_t grace_ns; /* for daemons and own threads to come back; 0: 2 s */
	pc_log_fn *log;   /* NULL: nothing is said */
	void *log_user;
	int log_level;    /* enum pc_level: lines below it are left out */
	pc_swap_fn *swap; /* NULL: the log tells of swaps. Since 1.0 */
	void *swap_user;
};

/** Open all stages and start. The graph runs on threads of its own.
 * @return PC_OK; PC_ERROR: a stage could not be opened (all that were are closed again);
 *         PC_NOMEM; PC_INVALID: it was started before. Since 1.0. */
PC_API int pc_graph_start(struct pc_graph *graph, const struct pc_run_options *options,
                          struct pc_error **ret_err);

/** Wait for the end, at most timeout_ns (0 = only look).
 * @return PC_OK: ended well; PC_TIMEOUT: still runs; PC_ERROR: a stage failed, or the ledger
 *         does not balance; PC_DEADLOCK; PC_STOPPED: ended because pc_graph_stop() asked.
 *         May be called again: the answer stays. */
PC_API int pc_graph_wait(struct pc_graph *graph, int64_t timeout_ns, struct pc_error **ret_err);

enum pc_stop {
	PC_STOP_DRAIN = 1, /* producers end now, what is on its way arrives, at most drain_ns */
	PC_STOP_NOW = 2    /* no stage is called again; what is queued is abandoned */
};

/** Ask a running graph to end; returns at once. [any] also while another thread waits; not from
 * a signal handler. PC_OK; PC_INVALID: not started, or no such way. */
PC_API int pc_graph_stop(struct pc_graph *graph, int how);

/** A descriptor that becomes readable when the graph has ended; the graph's own. [any] -1 before
 * the start. */
PC_API int pc_graph_fd(struct pc_graph *graph);

/** The files that the graph was read from: 0 is the graph itself, then those that it includes, each
 * with its path from the working directory. A text, or standard input, has the name that stands in
 * messages. Lives as long as the graph. NULL beyond the end. [any] */
PC_API const char *pc_graph_file(struct pc_graph *graph, size_t index);

/** What everybody is doing and waiting for, in words, one line each; malloc'd. NULL: no memory.
 * [any] */
PC_API char *pc_graph_explain(struct pc_graph *graph);

/* ------------------------------------------------------------------ stages that give up --- */

/** For programs that have taken over abort(), exit(), __assert_fail() and the like, as the pcrun
 * command has: make of such a call, when it is a stage's, a failure of that stage instead of the
 * end of the process. In a stage's callback on this thread this does not return: it leaves the
 * callback by a jump, and the callback has failed with the reason given, as if it had returned
 * pc_fail(): its output is discarded and `on_error` decides; on probation the old build takes the
 * item. In all other cases it returns false and the real function is to be called: on threads that
 * a stage has made, in child processes, in the runtime.
 *
 * No destructor runs and nothing is given back: mutexes, memory and files that the stage's frames
 * held stay held. Not from a signal handler: after a real crash nothing can be relied on.
 * @what   what happened, "abort() was called" say; copied.
 * @file   where, with @line; NULL: not known, then
 * @caller is the return address of the call, by which file and function are named, and the line
 *         when the failure is told, by addr2line(1) and the build's debug information; may be NULL.
 * [any] Since 1.0. */
PC_API bool pc_stage_died(const char *what, const char *file, unsigned line,
                          const void *caller);

/** What the calling thread was at, for a handler of SIGSEGV, SIGBUS, SIGILL, SIGFPE or SIGABRT:
 * stage, build, replica, callback and item; which address could not be used, and what it belongs
 * to; the function and the file that the code is of. Async-signal-safe. Install the handler with
 * SA_SIGINFO | SA_ONSTACK: the runtime's threads have an alternate stack, so that a stack overflow
 * can be told as well. Then let the process end (restore SIG_DFL and return): there is no way back
 * from a crash.
 * @buffer  gets lines, each ended by \n; no NUL at the end. 2000 bytes do.
 * @room    its size, bytes; what does not fit is cut off.
 * @signal, @info (siginfo_t), @context (ucontext_t): the handler's.
 * @return  bytes written. [any] Since 1.0. */
PC_API size_t pc_crash_text(char *buffer, size_t room, int signal, const void *info,
                            const void *context);

/** The item that the calling thread was at, for the same handlers: to be saved, so that whoever
 * looks for the mistake can have it again (pc_graph_replay()). Async-signal-safe. */
struct pc_crash_item {
	const char *stage; /* all texts are the runtime's */
	const char *port;  /* the input that it came in at */
	const char *queue; /* where it was taken from */
	const char
		*file; /* that the build was swapped in from; NULL: the graph began with it */
	unsigned build, replica;
	uint64_t number; /* of the items of that input, from 1 */
	/* Perhaps of memory that is damaged or gone: to be given to write(2), which then fails with
	 * EFAULT, and not to be read. NULL and SIZE_MAX: not even these two can be read. */
	const void *data;
	size_t size; /* bytes */
};

/** @size  sizeof the caller's struct.
 * @return false: the thread was at no item (open(), produce(), a thread of a library's). [any]
 *         Since 1.0. */
PC_API bool pc_crash_item(struct pc_crash_item *ret_item, size_t size);

/** What a stage emits to an item that is done again. On a thread of the runtime's, one at a time for
 * each output; `data` is lent for the call. */
typedef void pc_replay_fn(void *user, const char *port, const void *data, size_t data_size);

/** One item for one stage. */
struct pc_replay {
	size_t size;
	const char *stage, *port; /* names in the graph, and of the stage's input */
	const void *data;         /* what the item holds; to live as long as the graph */
	size_t data_size;         /* bytes */
	pc_replay_fn *output;     /* NULL: what is emitted is dropped */
	void *user;
	const char *
		file; /* lives as `data`: a build that takes the stage over before the item comes, on a fresh
	                   * state, as pc_graph_swap_set() would, yet untried: so its crash, or
	                   * its failure, is that of the graph. NULL, or the file that the graph
	                   * has: its own */
};

/** Leave of a loaded graph, before its start, that stage alone, with its parameters and the shared
 * state: one replica on a fresh state, open(), the item, finish(), close(). When it fails, the
 * graph fails. Other inputs of the stage end empty, after the item is done.
 * @return PC_OK; PC_INVALID: no such stage or input, or the graph was started before: which of
 *         them is in the error; PC_NOMEM: the graph is only good for being freed. Since 1.0. */
PC_API int pc_graph_replay(struct pc_graph *graph, const struct pc_replay *replay,
                           struct pc_error **ret_err);

/* ---------------------------------------------------------------------------- reporting --- */

/** A row of the ledger: what became of the items put into one queue.
 * put = done + dropped + dead + abandoned + queued holds when the graph has ended. */
struct pc_queue_row {
	const char *name; /* "basket", or "lines -> grep" for an unnamed one */
	const char *file; /* position of its declaration */
	unsigned line;
	uint64_t capacity;
	uint64_t put, done, dropped, dead, abandoned, queued;
	uint64_t high_water, full_waits, empty_waits;
};

/** What one stage did, summed over its replicas. */
struct pc_stage_row {
	const char *name;
	const char *plugin;
	unsigned replicas;
	uint64_t taken, emitted, failed, skipped, retried;
	uint64_t activations;
	int64_t busy_ns;
	uint64_t progress, progress_total;
	const char *state;        /* "running", "waiting for input", "ended", … */
	unsigned inputs, outputs; /* ports: a source has no input, a sink no output */
	uint64_t flags;           /* enum pc_stage_flags of its plugin */
	unsigned build;           /* number of the build that runs: 1 at the start */
	unsigned swaps, reversed; /* how often another took over; how often that was undone */
	unsigned
		stays; /* builds that could not be unloaded when nobody needed them any more: why is
	                 * in the log */
	const char *file; /* of its plugin, as it was found: a .so, or a .c */
};

/** Rows 0 … count-1; false beyond the end. `size` is sizeof the caller's struct. [any]
 * Names live as long as the graph; figures are a snapshot. Since 1.0. */
PC_API bool pc_graph_queue(struct pc_graph *graph, size_t index, struct pc_queue_row *ret_row,
                           size_t size);
PC_API bool pc_graph_stage(struct pc_graph *graph, size_t index, struct pc_stage_row *ret_row,
                           size_t size);

/** A piece of shared state, `shared NAME = KIND(…)`. */
struct pc_shared_row {
	const char *name;
	const char *kind; /* "dict", "bytes" */
	const char *file; /* position of its declaration */
	unsigned line;
	const char *section; /* whose stages update it; NULL: nobody has yet, or says so */
	uint64_t keys;       /* of a dict */
	uint64_t size_bytes; /* of bytes */
	uint64_t updates;    /* how often something was published */
};

/** Row 0 … count-1; false beyond the end. Before the start: what the file says. [any], as above. */
PC_API bool pc_graph_shared(struct pc_graph *graph, size_t index, struct pc_shared_row *ret_row,
                            size_t size);

/** All of it at one moment: a line `key = value` per key in order of the keys, bytes in hex; malloc'd.
 * NULL: no memory, or no such index. [any] */
PC_API char *pc_graph_shared_text(struct pc_graph *graph, size_t index);

/** One value, copied as it is now: at most `room` bytes, numbers as int64_t. `key` is NULL for
 * bytes. *ret_size is its whole size. [any]
 * @return PC_OK; PC_FULL: it is larger, and what fits was copied; PC_EMPTY: there is no such key;
 *         PC_INVALID: no such name, a key for bytes, none for a dict, or not started. Since 1.0. */
PC_API int pc_graph_shared_get(struct pc_graph *graph, const char *name, const char *key,
                               void *buffer, size_t room, size_t *ret_size);

/* ----------------------------------------------------------------------------- hot swap --- */

/** How to swap. */
struct pc_swap_options {
	size_t size;
	bool dry_run;         /* all checks; nothing is changed */
	bool reset_state;     /* begin with a fresh state; what the old one holds is lost */
	bool back;            /* to the build before this one; `file` is NULL then */
	int64_t timeout_ns;   /* until all replicas run the new code; 0: 10 s */
	int64_t probation_ns; /* how long to wait for a failure after that, at most; 0: 200 ms */
	bool no_probe;        /* load it here at once, without a try in another process */
	bool retry;           /* also code that has failed on probation before */
};

/** What was decided, and how it went. */
struct pc_swap_report {
	unsigned from, to;       /* numbers of the builds: v6 -> v7 */
	uint64_t item;           /* of the stage's first queue: the first that the new code got;
	                          * of a source: how many it had emitted */
	int64_t pause_median_ns; /* of the replicas, each at its own item boundary */
	int64_t pause_worst_ns;
	int64_t took_ns; /* from the cut until the last replica had passed it */
	char *text;      /* what became of state and parameters, one line; malloc'd, or NULL */
	bool unchanged; /* the file holds the very code that runs already: nothing was done, and
	                  * `from` = `to`. (Debug information and build id do not count.) */
	char *probe;    /* what was tried before it was loaded, likewise */
	bool refreshed; /* of `unchanged` code only lines have moved, and whoever opens the loaded
	                 * file by its name, as debuggers do, finds the new ones */
	bool neighbours; /* refused because of the type of what flows to or from others: with new
	                  * builds of them it may be taken as a set */
	bool at_item; /* refused because it failed, or crashed, with an item that it was tried
	               * with. As that was sent by the builds that run, it may be taken as a set
	               * with new ones of those for which pc_graph_feeds() */
	struct pc_crash_item
		*crashed; /* refused because it crashed, or hung, at this item when it
	                  * was tried, `build` and `file` being its own; to be saved as that of
	                  * any crash, and freed by one free(). Else NULL */
};

/** Let a stage run another build of its plugin, while the graph runs: no item is lost, doubled or
 * out of order, and whatever is wrong with the new build leaves the old one running. Blocks until
 * that is so.
 * @stage      its name in the graph.
 * @file       .so or .c; copied before it is loaded. The copy is first tried in a process of its
 *             own, pcrun-probe: loaded, opened and closed with the stage's parameters, and, if
 *             the stage says so, fed the items that it had last; a crash, a hang or a failure
 *             there refuses it. pcrun-stage(7) tells which callbacks are called. Without that
 *             program it is loaded untried, which is said.
 * @options    NULL: defaults.
 * @ret_report may be NULL; `report_size` is sizeof the caller's struct. Written in every case.
 * @return PC_OK: the new build runs (or did already: `unchanged`). PC_WRONG: refused, the old one
 *         runs on; the reasons are in the error. PC_ERROR: an item failed on the new build, and
 *         the old one runs again. The stage remembers that code, and refuses it from now on.
 *         PC_TIMEOUT: some replica has not come back from the old code; the swap goes on.
 *         PC_STOPPED: a newer request for the stage came first, or the graph has ended.
 *         PC_INVALID: not started, no such stage, or no file. PC_NOMEM. [any] Since 1.0. */
PC_API int pc_graph_swap(struct pc_graph *graph, const char *stage, const char *file,
                         const struct pc_swap_options *options,
                         struct pc_swap_report *ret_report, size_t report_size,
                         struct pc_error **ret_err);

/** A stage of a set, and what it is to run. */
struct pc_swap_item {
	size_t size;       /* of each in an array: they stand at multiples of the first one's */
	const char *stage; /* as in pc_graph_swap() */
	const char *file;  /* as there; NULL with `back` */
};

/** Let several stages run other builds from one moment on, so that what flows between them may
 * change: its type, or the layout of a type. All or none. No item is lost, doubled or out of order,
 * none of the old kind reaches the new code and none of the new kind the old: the stages come to
 * rest from the first to the last, after the old code has emptied the queues between them, and
 * change when all rest. Others go on meanwhile; what they send to the set waits. Stages between
 * those of the set that pass on what comes ("=in") rest with them. Blocks until that is so.
 *
 * Types are checked for the whole graph. Refused are: types that would not fit then; stages of the
 * set that feed each other in a circle; a queue between them that a stage outside fills, too, when
 * its type changes. There is no probation, since an item of the new kind can't be given to the old
 * code: a failure on the new code is a failure as any other. The way back is a set again.
 *
 * @items      `n` of them, at least one, no stage twice.
 * @options    as in pc_graph_swap(), for all; `timeout_ns` until all of it is done, `probation_ns`
 *             means nothing. NULL: defaults.
 * @ret_reports one per item, each `report_size` bytes; may be NULL. Written in every case.
 * @return PC_OK: all new builds run (of a dry run: would). PC_WRONG: refused; PC_TIMEOUT: some stage
 *         did not come to rest, or a queue did not run empty in time; PC_STOPPED: the graph, or
 *         a stage of the set, is ending: in these three cases all go on with their old builds.
 *         (PC_TIMEOUT with a report whose `to` is not 0: all have changed, and a replica has not
 *         told yet.) PC_INVALID: not started, no such stage, no file, twice the same. PC_NOMEM.
 *         [any] Since 1.0. */
PC_API int pc_graph_swap_set(struct pc_graph *graph, const struct pc_swap_item *items, size_t n,
                             const struct pc_swap_options *options,
                             struct pc_swap_report *ret_reports, size_t report_size,
                             struct pc_error **ret_err);

/** Whether a new build of stage `from` may change what comes to stage `to`: it sends something there,
 * straight or through stages that pass it on. False also when there are no such stages, or no
 * memory. [any] while the graph runs. Since 1.0. */
PC_API bool pc_graph_feeds(struct pc_graph *graph, const char *from, const char *to);

/** A build of a stage's plugin that is in force, or is kept for the way back. */
struct pc_build_row {
	unsigned number;
	bool current;
	bool bad;       /* an item failed on it */
	uint64_t items; /* handled by replicas that have left it again */
	char file[256]; /* that it was made from, as it was named */
};

/** Build 0 … count-1 of stage `stage` (its index, as in pc_graph_stage()), the newest first; false
 * beyond the end. [any] */
PC_API bool pc_graph_build(struct pc_graph *graph, size_t stage, size_t index,
                           struct pc_build_row *ret_row, size_t size);

/* ------------------------------------------------------------------------------- reload --- */

/** How to reload. */
struct pc_reload_options {
	size_t size;
	bool dry_run;       /* find out and say what would change; nothing is changed */
	int64_t timeout_ns; /* for the stages concerned to come back from their code; 0: 10 s */
};

/** Read a graph file anew and let the running graph become what it says: parameters, replicas,
 * queues, stages and edges. What has not changed is not touched: its state, what is in its queues
 * and its statistics go on. No item is lost, doubled or out of order of its producer. All or
 * nothing: what can not be changed live refuses the whole before anything is done. Blocks until
 * that is so. pcrun-graph(5) says what can change, and how. open() of what is new is called on a
 * thread of the runtime's while the graph goes on, and waited for however long: the time-out is
 * for what comes after it.
 * Rows of stages and queues that are removed stay until they have ended and a later reload comes;
 * then what they did goes on in the rows "(removed sources)", "(removed stages)", "(removed sinks)"
 * and "(removed queues)", which stand last, and new ones may take their numbers. So the sums of a
 * graph stay right, and it does not grow with the number of its reloads.
 * @file      NULL: the one that the graph was loaded from (not possible for a text).
 * @options   NULL: defaults.
 * @ret_text  malloc'd: a line per change; "" when nothing differs; NULL on failure. May be NULL.
 * @return PC_OK. PC_WRONG: refused, nothing was changed; all mistakes are in the error, as
 *         pc_graph_load_file() gives them. PC_ERROR: the file could not be read, and nothing was
 *         changed; or, with a text, all is done but a stage whose plugin was built anew went back
 *         to its old build. PC_TIMEOUT: a stage did not come back from its code in time; nothing
 *         was changed. PC_STOPPED: the graph is ending, or a newer request came; nothing was
 *         changed. PC_INVALID: not started, or no file. PC_NOMEM. [any] Since 1.0. */
PC_API int pc_graph_reload(struct pc_graph *graph, const char *file,
                           const struct pc_reload_options *options, char **ret_text,
                           struct pc_error **ret_err);

/* ------------------------------------------------------------------------------ plugins --- */

struct pc_plugin;
struct pc_stage_desc;

/** Find a plugin by name on the search path, or by file (a name with a slash; .so, or .c which
 * is compiled first). Freed by pc_plugin_close().
 * @return PC_OK; PC_WRONG: there is a file, but it can't be used; PC_ERROR: not found, with the
 *         places that were searched; PC_NOMEM. Since 1.0. */
PC_API int pc_plugin_open(struct pc_plugin **ret_plugin, const char *name_or_file,
                          const struct pc_load_options *options, struct pc_error **ret_err);
PC_API void pc_plugin_close(struct pc_plugin *plugin);

/** Valid until close. */
PC_API const struct pc_stage_desc *pc_plugin_desc(const struct pc_plugin *plugin);
PC_API const char *pc_plugin_file(const struct pc_plugin *plugin);

enum pc_finding {
	PC_FINDING_REFUSED = 1, /* this build can not be swapped in */
	PC_FINDING_STAYS = 2,   /* it can, but will not be unloaded again before the end */
	PC_FINDING_CARE = 3     /* it can, and its author has something to take care of */
};

/** What a plugin's file tells about swapping it while a graph runs, the weightiest first. */
struct pc_finding_row {
	int weight;       /* enum pc_finding */
	const char *name; /* "static-tls" */
	const char *text; /* a sentence: what there is, and what comes of it */
	const char *fix;  /* what to do about it */
};

/** Row 0 … count-1; false beyond the end. `size` is sizeof the caller's struct. Texts are valid until
 * close. Since 1.0. */
PC_API bool pc_plugin_finding(const struct pc_plugin *plugin, size_t index,
                              struct pc_finding_row *ret_row, size_t size);

/** Is a plugin's file whole, so that it could be loaded as it lies there now? For whoever watches
 * a file that a linker writes to: on PC_AGAIN wait for the next event, or try again a little later.
 * Reads the file once; loads, compiles and changes nothing. A .c file is whole when it can be read
 * and is not empty.
 * @ret_code what of it runs, in one number: the same for two files means that a swap from one to
 *           the other would change nothing (debug information and build id do not count). Of a .c
 *           file: its text, without what it includes. May be NULL; set with PC_OK only.
 * @return PC_OK; PC_AGAIN: it is empty, ends too early, has zeros where something must stand, or
 *         changed while it was read: as if it was still being written. PC_WRONG: it is wrong
 *         for good (a text file, a directory, another machine's, no stage). PC_ERROR: not there, as
 *         after a link that has failed. PC_NOMEM. The reason is in the error. [any] Since 1.0. */
PC_API int pc_plugin_whole(const char *file, uint64_t *ret_code, struct pc_error **ret_err);

/** What a .c file included when pcrun last compiled it with success, without the compiler's own headers:
 * for whoever watches the file.
 * @return malloc'd names, as the compiler found them, relative ones from the working directory, each
 *         ended by a newline. NULL: none, or not known (no .c file, not compiled yet, compiled within
 *         milliseconds of a change, or with another compiler or environment), or no memory.
 *         [any] Since 1.0. */
PC_API char *pc_plugin_headers(const char *file);

/** Call `each` for every plugin file on the search path, in order of search and name. `error` is
 * NULL for a usable one, `plugin` NULL for one that is not; both live for the call only.
 * `shadowed`: an earlier directory has the same name. */
typedef void pc_plugin_fn(void *user, const char *file, const struct pc_plugin *plugin,
                          bool shadowed, const struct pc_error *error);
PC_API int pc_plugin_list(const struct pc_load_options *options, pc_plugin_fn *each, void *user,
                          struct pc_error **ret_err);

/** "1.0.0" of the library. */
PC_API const char *pc_version(void);

#ifdef __cplusplus
}
#endif
#endif
