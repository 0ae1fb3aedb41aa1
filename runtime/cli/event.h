/* cli/event.h: what happens to a running graph, told to whoever looks: the terminal, and peers on
 * the control socket that asked for events. The loop's thread. */
#ifndef CLI_EVENT_H
#define CLI_EVENT_H

#include <pcrun/pcrun.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* The names in JSON stand in event.c. */
enum event_kind {
	EVENT_LIVE,       /* a new build runs */
	EVENT_REFUSED,    /* nothing was changed */
	EVENT_BACK,       /* it failed, and the one before runs again */
	EVENT_LATE,       /* a replica has not come back from the old one */
	EVENT_UNCHANGED,  /* the same code as before */
	EVENT_GONE,       /* a file is not there any more */
	EVENT_INCOMPLETE, /* a file is not whole, and nobody goes on writing it */
	EVENT_OVERTAKEN,  /* a newer request came first, or the graph has ended */
	EVENT_RELOADED,   /* the graph file was read again */
	EVENT_KINDS
};

struct event {
	enum event_kind kind;
	const char *stage; /* NULL: it is about the graph */
	const char *file;  /* NULL: none is involved */
	unsigned from, to; /* builds; 0: none */
	uint64_t item;
	bool source; /* `item` is of a stage without input */
	int64_t pause_median_ns, pause_worst_ns, took_ns;
	const char *text;   /* what became of it; may be NULL */
	const char *reason; /* why, may be several lines; may be NULL */
	const char
		*saved;  /* REFUSED: the file with the item at which it crashed; may be NULL */
	int64_t time_ns; /* since 1970 */
};

int64_t event_now_ns(void);
/* Without the time, ends with a newline; the reason may add lines. `out` goes to standard error
 * when `shown`: with colours then, if there are any. */
void event_text(const struct event *event, FILE *out, bool shown);
/* What happened alone. */
void event_words(const struct event *event, FILE *out);
/* One object, ends with a newline. */
void event_json(const struct event *event, FILE *out);
/* To standard error. */
void event_say(const struct event *event, bool json);
/* What was done for code that runs already. */
const char *event_unchanged(const struct pc_swap_report *report);
/* The reasons of a refusal without what a line about it says anyway. */
const char *event_reason(const char *text);

#endif
