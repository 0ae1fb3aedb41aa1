/* cli/interpose.h: assert(), abort(), exit() and their kind, taken over from the C library. */
#ifndef CLI_INTERPOSE_H
#define CLI_INTERPOSE_H

/* Finds the real functions, while all is well. Main thread, before any other exists. */
void interpose_init(void);

#endif
