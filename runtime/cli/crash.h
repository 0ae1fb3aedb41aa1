/* cli/crash.h: what is said when the process crashes. */
#ifndef CLI_CRASH_H
#define CLI_CRASH_H

/* Handlers for what only a broken program gets. Main thread, before any other exists. */
void crash_init(void);

#endif
