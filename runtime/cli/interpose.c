/* cli/interpose.c: a stage that gives up must not take the process with it.
 *
 * The command exports the functions below (interpose.list names them, and nothing else), and
 * whatever is loaded later finds them before those of the C library. Called in a stage's callback
 * they become a failure of that stage (pc_stage_died() does not return then); anywhere else the
 * real function goes on. The C library's own calls do not come here: abort() of malloc() on a
 * broken heap is a real end, and must be.
 *
 * err() and its kind, and pthread_exit(), which would leave a worker without its thread, are ways
 * to give up as well. Called on any thread. */
#include "cli/interpose.h"

#include "cli/cli.h"

#include <assert.h>
#include <dlfcn.h>
#include <err.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TAKEN_OVER __attribute__((visibility("default"), used, noreturn))

enum real { ABORT, EXIT, EXIT_NOW, QUICK_EXIT, PTHREAD_EXIT, N_REAL };

static union {
	void *symbol; /* what dlsym() gives; the standard knows no cast from it */
	void (*none)(void);
	void (*status)(int);
	void (*value)(void *);
} reals[N_REAL];

static void find_real(enum real which)
{
	static const char *const names[N_REAL] = {"abort", "exit", "_exit", "quick_exit",
	                                          "pthread_exit"};

	if (!reals[which].symbol)
		reals[which].symbol = dlsym(RTLD_NEXT, names[which]);
}

void interpose_init(void)
{
	for (int i = 0; i < N_REAL; i++)
		find_real((enum real)i);
}

#define CALLER __builtin_return_address(0)

/* ------------------------------------------------------------------------------ assert --- */

static void failed_assertion(const char *what, const char *file, unsigned line,
                             const char *function)
{
	char text[512];

	snprintf(text, sizeof(text), "assertion failed: %s", what);
	pc_stage_died(text, file, line, NULL);
	fprintf(stderr, "%s:%u: %s%s%s\n", file, line, function ? function : "",
	        function ? ": " : "", text);
	fflush(stderr);
}

TAKEN_OVER void __assert_fail(const char *expression, const char *file, unsigned line,
                              const char *function)
{
	failed_assertion(expression, file, line, function);
	abort();
}

TAKEN_OVER void __assert_perror_fail(int error, const char *file, unsigned line,
                                     const char *function)
{
	failed_assertion(strerror(error), file, line, function);
	abort();
}

void __assert(const char *expression, const char *file, int line);
TAKEN_OVER void __assert(const char *expression, const char *file, int line)
{
	failed_assertion(expression, file, (unsigned)line, NULL);
	abort();
}

/* ------------------------------------------------------------------------- abort, exit --- */

TAKEN_OVER void abort(void)
{
	pc_stage_died("abort() was called", NULL, 0, CALLER);
	find_real(ABORT);
	if (reals[ABORT].symbol)
		reals[ABORT].none();
	for (;;)
		kill(getpid(), SIGKILL);
}

static void failed_exit(const char *function, int status, const void *caller)
{
	char text[64];

	snprintf(text, sizeof(text), "%s(%d) was called", function, status);
	pc_stage_died(text, NULL, 0, caller);
}

static _Noreturn void real_exit(enum real which, int status)
{
	find_real(which);
	if (reals[which].symbol)
		reals[which].status(status);
	for (;;)
		kill(getpid(), SIGKILL);
}

TAKEN_OVER void exit(int status)
{
	failed_exit("exit", status, CALLER);
	real_exit(EXIT, status);
}

TAKEN_OVER void _exit(int status)
{
	failed_exit("_exit", status, CALLER);
	real_exit(EXIT_NOW, status);
}

TAKEN_OVER void _Exit(int status)
{
	failed_exit("_Exit", status, CALLER);
	real_exit(EXIT_NOW, status);
}

TAKEN_OVER void quick_exit(int status)
{
	failed_exit("quick_exit", status, CALLER);
	real_exit(QUICK_EXIT, status);
}

TAKEN_OVER void pthread_exit(void *value)
{
	pc_stage_died("pthread_exit() was called", NULL, 0, CALLER);
	find_real(PTHREAD_EXIT);
	if (reals[PTHREAD_EXIT].symbol)
		reals[PTHREAD_EXIT].value(value);
	for (;;)
		kill(getpid(), SIGKILL);
}

/* --------------------------------------------------------------------------------- err --- */

/* `error` < 0: none. */
__attribute__((format(printf, 4, 0))) static _Noreturn void
error_exit(const char *function, int status, int error, const char *format, va_list ap,
           const void *caller)
{
	char message[400], text[512];

	*message = '\0';
	if (format)
		vsnprintf(message, sizeof(message), format, ap);
	snprintf(text, sizeof(text), "%s(%d) was called: %s%s%s", function, status, message,
	         *message && error >= 0 ? ": " : "", error >= 0 ? strerror(error) : "");
	pc_stage_died(text, NULL, 0, caller);
	fprintf(stderr, "%s: %s%s%s\n", program_invocation_short_name, message,
	        *message && error >= 0 ? ": " : "", error >= 0 ? strerror(error) : "");
	exit(status);
}

TAKEN_OVER void verr(int status, const char *format, va_list ap)
{
	error_exit("err", status, errno, format, ap, CALLER);
}

TAKEN_OVER void verrx(int status, const char *format, va_list ap)
{
	error_exit("errx", status, -1, format, ap, CALLER);
}

TAKEN_OVER void err(int status, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	error_exit("err", status, errno, format, ap, CALLER);
}

TAKEN_OVER void errx(int status, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	error_exit("errx", status, -1, format, ap, CALLER);
}
