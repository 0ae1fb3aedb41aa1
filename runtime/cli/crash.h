/* cli/crash.h: what is said when the process crashes. */
#ifndef CLI_CRASH_H
#define CLI_CRASH_H

/* Handlers for what only a broken program gets. Main thread, before any other exists. */
void crash_init(void);

/* A stack for them, on a thread of our own on which plugins are loaded. */
struct crash_stack {
	void *memory; /* NULL: none of ours */
};
void crash_stack_begin(struct crash_stack *stack);
void crash_stack_end(const struct crash_stack *stack);

#endif
