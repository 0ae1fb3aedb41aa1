/* cli/signals.h: SIGINT and its kind while a graph is loaded, runs and is put away.
 *
 * The third SIGINT or SIGTERM ends the process, whatever it is at: a stage may have damaged the heap
 * so that the main thread waits for a lock that nobody will give back, and never looks at a signal
 * again. So a thread of its own waits for signals; it uses no memory, no lock and no stream. All
 * others it passes on, and they are read where there is time for them. */
#ifndef CLI_SIGNALS_H
#define CLI_SIGNALS_H

#include <stdbool.h>

/* Main thread, once, before any other thread exists but after what signals may still interrupt:
 * they are blocked, for all threads to come. False: said. */
bool signals_start(void);
/* Becomes readable when there is one. */
int signals_fd(void);
/* The next SIGINT, SIGTERM, SIGQUIT or SIGHUP; 0: none. */
int signals_next(void);
/* Nobody reads them any more: what is left is to put the graph away. */
void signals_ending(void);

#endif
