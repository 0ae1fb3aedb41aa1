/* stepping.h: leads one thread of a child to any single instruction of what it does, by ptrace.
 *
 * For freeze.c, on the tracer's thread. The traced thread stops itself (SIGSTOP) before and after what
 * is looked at. A place is a number of instructions from there. To go there step by step every time
 * costs the square of their number; so the way is recorded once, and after that the thread runs freely
 * to a breakpoint of the processor at that address, as often as it comes by. The processor's, since it
 * is of one thread: the others run the same code. Where a run takes another way, or the machine has no
 * such breakpoints, the thread is single-stepped after all. */
#ifndef STRESS_QUEUE_STEPPING_H
#define STRESS_QUEUE_STEPPING_H

#include "common.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>

#define STEPPING_MAX 100000

struct stepping {
	unsigned n; /* instructions of the way */
	uintptr_t at[STEPPING_MAX];
	unsigned stepped; /* places that were gone to step by step */
};

/* The signal that it stops with. */
static inline int stepping_go(pid_t thread, enum __ptrace_request how)
{
	int status;

	CHECK(ptrace(how, thread, NULL, NULL) == 0, "%s", strerror(errno));
	CHECK(waitpid(thread, &status, __WALL) == thread && WIFSTOPPED(status),
	      "the child failed");
	return WSTOPSIG(status);
}

/* To the next stop of its own making. */
static inline void stepping_run(pid_t thread)
{
	while (stepping_go(thread, PTRACE_CONT) != SIGSTOP)
		continue;
}

/* False: it has come to its own stop before. */
static inline bool stepping_steps(pid_t thread, unsigned steps)
{
	while (steps-- > 0)
		if (stepping_go(thread, PTRACE_SINGLESTEP) == SIGSTOP)
			return false;
	return true;
}

#ifdef __x86_64__
static inline uintptr_t stepping_where(pid_t thread)
{
	errno = 0;
	return (uintptr_t)ptrace(PTRACE_PEEKUSER, thread, offsetof(struct user, regs.rip),
	                         NULL);
}

/* 0: none. False: there are none here. */
static inline bool stepping_break_at(pid_t thread, uintptr_t address)
{
	/* DR7: the first one is on for this thread, one byte, when it is executed */
	return ptrace(PTRACE_POKEUSER, thread, offsetof(struct user, u_debugreg[7]), NULL) ==
	               0 &&
	       (!address || (ptrace(PTRACE_POKEUSER, thread,
	                            offsetof(struct user, u_debugreg[0]), address) == 0 &&
	                     ptrace(PTRACE_POKEUSER, thread,
	                            offsetof(struct user, u_debugreg[7]), 1) == 0));
}
#else
static inline uintptr_t stepping_where(pid_t thread)
{
	(void)thread;
	return 0;
}

static inline bool stepping_break_at(pid_t thread, uintptr_t address)
{
	(void)thread;
	return !address;
}
#endif

/* From its stop before to its stop behind. */
static inline void stepping_record(struct stepping *s, pid_t thread)
{
	s->n = 0;
	do {
		CHECK(s->n < STEPPING_MAX, "that has no end");
		s->at[s->n++] = stepping_where(thread);
	} while (stepping_steps(thread, 1));
	s->n--; /* the last step was the stop */
}

/* True: it is at that place. False: it has come to its stop without passing there. */
static inline bool stepping_free(const struct stepping *s, pid_t thread, unsigned place)
{
	unsigned times = 0;

	for (unsigned i = 1; i <= place; i++)
		times += s->at[i] == s->at[place];
	while (times > 0) {
		if (stepping_go(thread, PTRACE_CONT) == SIGSTOP)
			return false;
		if (stepping_where(thread) == s->at[place])
			times--;
	}
	return true;
}

/* To the place, from the stop before. The stop behind may be passed, and the next one before come: then
 * it is gone to step by step. False: the stop behind comes before the place. */
static inline bool stepping_to(struct stepping *s, pid_t thread, unsigned place)
{
	bool there;

	/* A breakpoint where it stands now would be met at once. */
	if (place > 0 && place < s->n && s->at[place] != s->at[0] &&
	    stepping_break_at(thread, s->at[place])) {
		there = stepping_free(s, thread, place);
		CHECK(stepping_break_at(thread, 0), "%s", strerror(errno));
		if (there)
			return true;
		stepping_run(thread);
	}
	s->stepped += place > 0;
	return stepping_steps(thread, place);
}

#endif
