/* cli/signals.c: the thread of signals.h. Blocked signals reach it even where a shell has them
 * ignored, as it does with SIGINT in the background: a script that sends one means it. But nohup
 * means what it says. */
#include "cli/signals.h"

#include "cli/cli.h"
#include "cli/say.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define STACK_BYTES ((size_t)256 << 10)
#define PATIENCE_MS 100 /* with a standard error that nobody reads */

enum { LAST = 3 };

static sigset_t set;
static int ends[2] = {-1, -1};
static atomic_bool ending;

static void say_soon(const char *text)
{
	struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};

	/* Room for one is room for a short line. */
	if (poll(&out, 1, PATIENCE_MS) > 0)
		say_bytes(text, strlen(text));
}

static void tell_that_it_hangs(int number)
{
	say_soon(number == 1
	                 ? "pcrun: the graph has ended and is being put away; a third signal "
	                   "ends pcrun at once\n"
	                 : "pcrun: one more signal ends pcrun at once\n");
}

static _Noreturn void end_at_once(int signal)
{
	say_soon("pcrun: ended at once by the third signal; what was under way is lost\n");
	for (;;)
		syscall(SYS_exit_group, STATUS_SIGNAL + signal);
}

static void *wait_for_them(void *unused)
{
	int n = 0, signal;

	(void)unused;
	for (;;) {
		char byte;

		if (sigwait(&set, &signal) != 0)
			continue;
		if ((signal == SIGINT || signal == SIGTERM) && ++n == LAST)
			end_at_once(signal);
		byte = (char)signal;
		/* relaxed: nothing else is read by it. A pipe that is full has enough of them. */
		if (atomic_load_explicit(&ending, memory_order_relaxed))
			tell_that_it_hangs(n);
		else if (write(ends[1], &byte, 1) < 0)
			continue;
	}
	return NULL;
}

/* The thread has all signals blocked: those that a stage has a handler for are the main thread's,
 * as with all threads of pcrun, and a handler may want more stack than this one has. */
static int start_thread(void)
{
	sigset_t all, before;
	pthread_attr_t how;
	pthread_t thread;
	int rc = pthread_attr_init(&how);

	if (rc)
		return rc;
	pthread_attr_setstacksize(&how, STACK_BYTES);
	pthread_attr_setdetachstate(&how, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&thread, &how, wait_for_them, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&how);
	if (rc == 0)
		pthread_setname_np(thread, "pcrun-signals");
	return rc;
}

bool signals_start(void)
{
	struct sigaction hangup;
	int rc;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGQUIT);
	if (sigaction(SIGHUP, NULL, &hangup) < 0 || hangup.sa_handler != SIG_IGN)
		sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		rc = errno;
	else
		rc = start_thread();
	if (rc)
		say("can't wait for signals: %s", strerror(rc));
	return rc == 0;
}

int signals_fd(void)
{
	return ends[0];
}

int signals_next(void)
{
	char byte;

	return read(ends[0], &byte, 1) == 1 ? byte : 0;
}

void signals_ending(void)
{
	/* relaxed: see the thread */
	atomic_store_explicit(&ending, true, memory_order_relaxed);
}
