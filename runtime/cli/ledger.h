/* cli/ledger.h: the ledger at the end of a run, to standard error. Main thread. */
#ifndef CLI_LEDGER_H
#define CLI_LEDGER_H

#include <pcrun/pcrun.h>

/* A table for people: a row per queue, a row per stage. */
void ledger_print(struct pc_graph *graph);
/* One line of JSON: {"status":N,"queues":[…],"stages":[…]}. */
void ledger_json(struct pc_graph *graph, int status);

#endif
