/* stress/reload/common.h: a running graph whose text changes, and the oracle behind it.
 *
 * Main thread, but for the oracle's calls. Plain programs that print TAP, so that they run under
 * ThreadSanitizer. */
#ifndef STRESS_RELOAD_COMMON_H
#define STRESS_RELOAD_COMMON_H

#include "oracle.h"

#include <pcrun/pcrun.h>

#include <stdbool.h>

#define SOURCES_MAX 65536

extern struct pc_graph *graph;
extern char *reload_text; /* of the last reload */
extern struct pc_error *reload_error;
extern _Atomic uint64_t seen; /* items, all in all */
extern _Atomic uint64_t last_live;

/* argv[1]: the folder of the plugins. */
void begin(int argc, char **argv);
int end(void); /* the program's exit status */
void report(bool ok, const char *what);

void start(const char *text); /* the graph; ordered: sources' items come in order */
int reload(const char *text); /* its result */
int reload_dry(const char *text);
void wait_seen(uint64_t more); /* so many more items have come */
/* Ends it, by draining, or by itself; everything adds up. */
void stop_and_check(const char *what, int how, bool in_order);
uint64_t stage_taken(const char *name); /* of the newest row of that name */
void write_text(const char *text);
/* Pass stages that are `gated` wait in their code; it returns when so many do. */
void gate_shut(unsigned wait_for);
void gate_open(void);
uint64_t gate_seen(void);       /* who has come there, all in all */
extern _Atomic bool bomb_armed; /* the next item of a build of `bomb` fails */
extern char graph_file[];
extern bool private_copies; /* of plugins, for the next start() */

#endif
