/* cli/say.h: everything that the command prints. [any] thread for say…; main thread for out_…. */
#ifndef CLI_SAY_H
#define CLI_SAY_H

#include <pcrun/pcrun.h>

#include <stdbool.h>
#include <stdio.h>

/* Standard streams that are closed become /dev/null, so that no file of ours lands on them;
 * colours are on when standard error is a terminal that can, and NO_COLOR is not set. */
void say_init(void);

/* From here on messages are objects for programs, a line each: {"event":"message",…}. Main thread,
 * before there are others. */
void say_objects(void);
/* Standard error is a terminal on which the cursor can be moved. */
bool say_can_move(void);

/* "pcrun: TEXT" and a newline to standard error, in one write. */
__attribute__((format(printf, 1, 2))) void say(const char *format, ...);
/* Ready lines, as they are. */
void say_lines(const char *text);
/* The same into a stream that goes to standard error. */
void say_lines_to(FILE *out, const char *lines);
/* The sequence that begins a colour there; "" when there are none. */
enum say_colour { SAY_PLAIN, SAY_DIM, SAY_BAD, SAY_GOOD, SAY_WARN };
const char *say_colour(enum say_colour colour);
/* The whole chain of an error: diagnostics as they are, a sentence with "pcrun: " before it. */
void say_error(const struct pc_error *err);
/* "graph.txt:9:27: error: …" speaks for itself. */
bool say_is_diagnostic(const char *text);
/* pc_log_fn */
void say_log(void *user, int level, const char *stage, const char *text);

/* Ready bytes, from a signal handler too: the status line is cleared first. */
void say_bytes(const char *bytes, size_t size);

/* A line that stays below all others on the terminal until it is replaced, or NULL: gone. It must be
 * narrower than the terminal. Whatever else is said clears it first; the next call brings it back.
 * Main thread, where say_can_move(). */
void say_status(const char *line);

/* A stream into memory, for text that is to leave in one write; NULL: no memory (said). */
struct say_text {
	FILE *stream;
	char *bytes;
	size_t size;
};
bool say_text_open(struct say_text *text);
/* To standard error. */
void say_text_close(struct say_text *text);
/* The text is the caller's, to be freed in any case. False: no memory (said). */
bool say_text_end(struct say_text *text);

/* Text as a JSON string with its quotes; bytes that are no UTF-8 become U+FFFD. NULL: null. */
void say_json(FILE *out, const char *text);

/* Ends standard output and returns the exit status: `status`, or STATUS_FAILED with a word about
 * it when something could not be written. */
int say_fini(int status);

#endif
