/* cli/ledger.h: the ledger: at the end of a run to standard error, and meanwhile to whoever asks.
 * Main thread. */
#ifndef CLI_LEDGER_H
#define CLI_LEDGER_H

#include <pcrun/pcrun.h>

#include <stdio.h>

/* A table for people: a row per queue, a row per stage. */
void ledger_print(struct pc_graph *graph);
/* One line of JSON: {"status":N,"queues":[…],"stages":[…]}. */
void ledger_json(struct pc_graph *graph, int status);
/* ,"queues":[…],"stages":[…] of a graph that runs, with the builds of each stage. */
void ledger_json_rows(struct pc_graph *graph, FILE *out);
/* The same for people. */
void ledger_status(struct pc_graph *graph, FILE *out);

#endif
