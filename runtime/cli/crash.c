/* cli/crash.c: a crash is reported, then the process ends by the signal that it was.
 *
 * The handler runs on the thread that crashed, on its alternate stack, with everything perhaps
 * broken: it calls what is async-signal-safe alone. First the report (one write), then the item is
 * saved (crash-item.c), then the frames that led there: the unwinder is not promised to be safe,
 * so it comes last, and if it crashes or hangs nothing is lost. Whatever hangs, LIMIT_S later the
 * process is ended all the same. Other threads that crash meanwhile wait for the first one's end.
 *
 * The disposition is the default one again before the handler returns: the faulting instruction
 * runs once more and the process ends with the status, and the core dump, that it would have had
 * without pcrun. Signals that a sanitizer, or whoever has loaded us, handles are left to them. */
#include "cli/crash.h"

#include "cli/cli.h"
#include "cli/crash-item.h"
#include "cli/say.h"

#include <execinfo.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LIMIT_S   10
#define STACK     ((size_t)65536)
#define FRAMES    32
#define SIGNALS_N (sizeof(signals) / sizeof(signals[0]))

static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS};
static _Atomic int reported; /* the signal that came first; 0: none yet */
static _Atomic pid_t reporter;

static void end_by(int number)
{
	sigset_t only;

	signal(number, SIG_DFL);
	sigemptyset(&only);
	sigaddset(&only, number);
	pthread_sigmask(SIG_UNBLOCK, &only, NULL);
	raise(number);
}

static void on_limit(int unused)
{
	static const char text[] = "pcrun: the report of the crash hung\n";

	(void)unused;
	if (write(2, text, sizeof(text) - 1) < 0) {
		/* then without a word */
	}
	/* relaxed: set before the alarm was */
	end_by(atomic_load_explicit(&reported, memory_order_relaxed));
}

static void set_limit(void)
{
	struct sigaction action = {.sa_handler = on_limit};
	sigset_t only;

	sigaction(SIGALRM, &action, NULL);
	sigemptyset(&only);
	sigaddset(&only, SIGALRM);
	pthread_sigmask(SIG_UNBLOCK, &only, NULL);
	alarm(LIMIT_S);
}

static void report(int number, siginfo_t *info, void *context)
{
	static const char name[] = "pcrun: ";
	char text[2400];
	size_t n = sizeof(name) - 1;

	memcpy(text, name, n);
	n += pc_crash_text(text + n, sizeof(text) - n, number, info, context);
	say_bytes(text, n);
}

/* From the crash on outwards. The place itself has been told. */
static __attribute__((noinline)) void report_frames(void)
{
	static const char head[] = "  called from, innermost first:\n";
	void *frames[FRAMES];
	int n = backtrace(frames, FRAMES);

	/* Ours are 0 and 1; 2 is the return from the handler, 3 is where it happened. */
	if (n <= 4)
		return;
	say_bytes(head, sizeof(head) - 1);
	backtrace_symbols_fd(frames + 4, n - 4, 2);
}

static void on_crash(int number, siginfo_t *info, void *context)
{
	pid_t nobody = 0;

	/* relaxed, all: nothing else is read by them */
	if (!atomic_compare_exchange_strong_explicit(
		    &reporter, &nobody, gettid(), memory_order_relaxed, memory_order_relaxed)) {
		/* This is the report itself crashing. */
		if (nobody == gettid())
			end_by(atomic_load_explicit(&reported,
			                            memory_order_relaxed)); /* as above */
		for (;;)
			pause();
	}
	atomic_store_explicit(&reported, number, memory_order_relaxed); /* as above */
	set_limit();
	report(number, info, context);
	crash_item_save();
	report_frames();
	/* A fault comes again by itself; what was sent has to be sent again. */
	if (info->si_code > 0 && number != SIGABRT && number != SIGTRAP)
		signal(number, SIG_DFL);
	else
		end_by(number);
}

void crash_init(void)
{
	static char stack[STACK];
	const stack_t ours = {.ss_sp = stack, .ss_size = sizeof(stack)};
	struct sigaction action = {.sa_sigaction = on_crash,
	                           .sa_flags = SA_SIGINFO | SA_ONSTACK},
			 now;
	stack_t before;
	void *frame[1];

	/* Its first call loads a library: not in the handler. */
	backtrace(frame, 1);
	if (sigaltstack(NULL, &before) == 0 && before.ss_flags & SS_DISABLE)
		sigaltstack(&ours, NULL);
	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < SIGNALS_N; i++)
		if (sigaction(signals[i], NULL, &now) == 0 && now.sa_handler == SIG_DFL)
			sigaction(signals[i], &action, NULL);
}

void crash_stack_begin(struct crash_stack *stack)
{
	stack_t now, ours = {.ss_size = STACK};

	stack->memory = NULL;
	/* A sanitizer's, perhaps: then that one it is. */
	if (sigaltstack(NULL, &now) != 0 || !(now.ss_flags & SS_DISABLE))
		return;
	ours.ss_sp = mmap(NULL, STACK, PROT_READ | PROT_WRITE,
	                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (ours.ss_sp == MAP_FAILED)
		return;
	stack->memory = ours.ss_sp;
	sigaltstack(&ours, NULL);
}

void crash_stack_end(const struct crash_stack *stack)
{
	const stack_t none = {.ss_flags = SS_DISABLE};

	if (!stack->memory)
		return;
	sigaltstack(&none, NULL);
	munmap(stack->memory, STACK);
}
