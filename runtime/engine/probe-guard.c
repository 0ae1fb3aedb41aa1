/* engine/probe-guard.c: the helper's limits: what it may use, what it may do, what it says when it
 * crashes.
 *
 * Called by probe-main.c before the build is loaded; the signal handlers run on the thread that
 * crashed.
 *
 * Effects. A system call filter (seccomp(2), so no rights are needed) stops what others could see:
 * files opened for writing or made, names changed, connections, signals to others, programs.
 * Everything else may be done, reading above all, and writing to what was not refused before: pipes,
 * memory files, the helper's own outputs, which pcrun keeps. It is a net for code that is honest
 * and was not meant to run twice, not a wall against an attacker: such a build would be loaded next.
 * To open a pipe or a device for reading is an effect as well, which a filter can not see.
 *
 * Last words. The handlers write what they know into the report and let the signal kill the
 * process. A backtrace in a handler may itself crash or hang: so the rest has been written before,
 * and pcrun does not wait for ever.
 */
#include "engine/swap-probe.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define INSTRUMENTED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define INSTRUMENTED 1
#endif
#endif
#ifndef INSTRUMENTED
#define INSTRUMENTED 0
#endif

#define MEMORY_MAX  ((rlim_t)4 << 30) /* bytes that a build may take in the helper */
#define ADDRESS_MAX ((rlim_t)64 << 30)
#define OUTPUT_MAX  ((rlim_t)256 << 10)
#define STACK_BYTES ((size_t)256 << 10)

static struct probe *probe; /* for the handlers */

/* ------------------------------------------------------------------------- limits --- */

static void limit(int what, rlim_t soft, rlim_t hard)
{
	struct rlimit r;

	if (getrlimit((__rlimit_resource_t)what, &r) != 0)
		return;
	r.rlim_max = hard < r.rlim_max ? hard : r.rlim_max;
	r.rlim_cur = soft < r.rlim_max ? soft : r.rlim_max;
	setrlimit((__rlimit_resource_t)what, &r);
}

void probe_guard_limits(size_t state_size)
{
	/* What it takes to make a large state, a few times over, is not the build's fault. */
	rlim_t seconds = (INSTRUMENTED ? 20 : 2) + state_size / ((size_t)32 << 20);

	limit(RLIMIT_CORE, 0, 0);
	limit(RLIMIT_FSIZE, OUTPUT_MAX, OUTPUT_MAX);
	signal(SIGXFSZ, SIG_IGN); /* what is written beyond it fails */
	limit(RLIMIT_CPU, seconds, seconds + 1);
	/* Sanitizers map terabytes. */
	if (!INSTRUMENTED) {
		limit(RLIMIT_DATA, MEMORY_MAX, MEMORY_MAX);
		limit(RLIMIT_AS, ADDRESS_MAX, ADDRESS_MAX);
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(60); /* should pcrun be stopped meanwhile */
}

/* --------------------------------------------------------------------- last words --- */

static const int crashes[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS};
enum { N_CRASHES = sizeof(crashes) / sizeof(crashes[0]) };

void probe_guard_thread(void)
{
	static _Thread_local bool done;
	stack_t stack = {.ss_size = STACK_BYTES};
	sigset_t set;

	if (done)
		return;
	done = true;
	/* The engine's threads take no signals. */
	sigemptyset(&set);
	for (size_t i = 0; i < N_CRASHES; i++)
		sigaddset(&set, crashes[i]);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	stack.ss_sp = mmap(NULL, stack.ss_size, PROT_READ | PROT_WRITE,
	                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stack.ss_sp != MAP_FAILED)
		sigaltstack(&stack, NULL);
}

static uintptr_t instruction(const ucontext_t *context)
{
#if defined(__x86_64__)
	return (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
	return (uintptr_t)context->uc_mcontext.pc;
#else
	(void)context;
	return 0;
#endif
}

/* Argument `n` of a system call that was refused, 0 or 1. */
static uintptr_t argument(const ucontext_t *context, int n)
{
#if defined(__x86_64__)
	return (uintptr_t)context->uc_mcontext.gregs[n == 0 ? REG_RDI : REG_RSI];
#elif defined(__aarch64__)
	return (uintptr_t)context->uc_mcontext.regs[n];
#else
	(void)context;
	(void)n;
	return 0;
#endif
}

static bool was_write(int number, const ucontext_t *context)
{
#if defined(__x86_64__)
	return number == SIGSEGV && (context->uc_mcontext.gregs[REG_ERR] & 2);
#else
	(void)number;
	(void)context;
	return false;
#endif
}

static void keep(char *to, size_t room, const char *text)
{
	size_t n = 0;

	for (; text && text[n] && n + 1 < room; n++)
		to[n] = text[n];
	to[n] = '\0';
}

/* The places in the build's own code. */
static void keep_frames(struct probe_report *report, uintptr_t crashed_at)
{
	void *at[64];
	int n = backtrace(at, 64);

	for (int i = 0; i < n && report->n_frames < PROBE_FRAMES; i++) {
		struct probe_frame *f = &report->frames[report->n_frames];
		/* A return address is behind the call, which may be in another line. */
		uintptr_t pc = (uintptr_t)at[i] - ((uintptr_t)at[i] != crashed_at);
		Dl_info info;

		if (!dladdr((void *)pc, &info) || !info.dli_fname ||
		    strcmp(info.dli_fname, probe->loaded) != 0)
			continue;
		f->offset = pc - (uintptr_t)info.dli_fbase;
		keep(f->symbol, sizeof(f->symbol), info.dli_sname);
		report->n_frames++;
	}
}

static void on_crash(int number, siginfo_t *info, void *context)
{
	struct probe_report *report = probe->report;

	if (report->signal) /* another thread, or the backtrace */
		_exit(1);
	report->code = info->si_code;
	report->address = (uintptr_t)info->si_addr;
	report->where = instruction(context);
	report->was_write = was_write(number, context);
	report->signal = number;
	keep_frames(report, instruction(context));
	signal(number, SIG_DFL);
	raise(number);
}

static void on_effect(int number, siginfo_t *info, void *context)
{
	struct probe_report *report = probe->report;
	int call = info->si_syscall;
	bool has_path = call == SYS_openat;

	(void)number;
	report->call = call;
#ifdef SYS_open
	has_path = has_path || call == SYS_open;
#endif
	/* Before the path is read: the pointer may be bad, and then it is a crash. */
	if (has_path)
		keep(report->path, sizeof(report->path),
		     (const char *)argument(context, call == SYS_openat ? 1 : 0));
	atomic_store_explicit(&report->verdict, PROBE_EFFECT, memory_order_release); /* SP1 */
	_exit(0);
}

void probe_guard_signals(struct probe *p)
{
	struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
	void *frames[4];

	probe = p;
	probe_guard_thread();
	backtrace(frames, 4); /* loads what it needs */
	action.sa_sigaction = on_crash;
	for (size_t i = 0; i < N_CRASHES; i++)
		sigaction(crashes[i], &action, NULL);
	action.sa_sigaction = on_effect;
	sigaction(SIGSYS, &action, NULL);
}

/* ------------------------------------------------------------------------- effects --- */

/* The library's own names another thread by writing to a file below /proc/self, which the filter
 * can not tell from others. Names are of no use here. */
int pthread_setname_np(pthread_t thread, const char *name)
{
	(void)thread;
	(void)name;
	return 0;
}

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

#define LOW(n)  (offsetof(struct seccomp_data, args) + 8 * (n))
#define HIGH(n) (LOW(n) + 4) /* both machines are little-endian */

#define LOAD(at)            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at)
#define RETURN(what)        BPF_STMT(BPF_RET | BPF_K, what)
#define UNLESS(value, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, skip)
#define IF_BITS(bits, yes)  BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, bits, yes, 0)
#define NUMBER              LOAD(offsetof(struct seccomp_data, nr))
#define STOP(call)          UNLESS(call, 1), RETURN(SECCOMP_RET_TRAP)
#define MISSING(call)       UNLESS(call, 1), RETURN(SECCOMP_RET_ERRNO | ENOSYS)

/* Opened for writing, or made. (O_TMPFILE needs O_WRONLY or O_RDWR.) */
#define WRITES (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)

/* `argument` of the call must be this, or it is stopped. Leaves the call's number loaded. */
#define ONLY_SELF(call, n, self)                                                               \
	UNLESS(call, 4), LOAD(LOW(n)), UNLESS(self, 1), RETURN(SECCOMP_RET_ALLOW),             \
		RETURN(SECCOMP_RET_TRAP)

bool probe_guard_effects(void)
{
#ifdef ARCHITECTURE
	uint32_t self = (uint32_t)getpid();
	struct sock_filter filter[] = {
		LOAD(offsetof(struct seccomp_data, arch)),
		UNLESS(ARCHITECTURE, 1),
		BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0),
		RETURN(SECCOMP_RET_TRAP),
		NUMBER,
		/* files */
		UNLESS(SYS_openat, 4),
		LOAD(LOW(2)),
		IF_BITS(WRITES, 1),
		RETURN(SECCOMP_RET_ALLOW),
		RETURN(SECCOMP_RET_TRAP),
#ifdef SYS_open
		UNLESS(SYS_open, 4),
		LOAD(LOW(1)),
		IF_BITS(WRITES, 1),
		RETURN(SECCOMP_RET_ALLOW),
		RETURN(SECCOMP_RET_TRAP),
		STOP(SYS_creat),
		STOP(SYS_unlink),
		STOP(SYS_rename),
		STOP(SYS_link),
		STOP(SYS_symlink),
		STOP(SYS_mkdir),
		STOP(SYS_rmdir),
		STOP(SYS_mknod),
		STOP(SYS_chmod),
		STOP(SYS_chown),
		STOP(SYS_lchown),
		STOP(SYS_utime),
		STOP(SYS_utimes),
		STOP(SYS_futimesat),
		STOP(SYS_fork),
		STOP(SYS_vfork),
#endif
#ifdef SYS_renameat
		STOP(SYS_renameat),
#endif
		MISSING(SYS_openat2),
		STOP(SYS_unlinkat),
		STOP(SYS_renameat2),
		STOP(SYS_linkat),
		STOP(SYS_symlinkat),
		STOP(SYS_mkdirat),
		STOP(SYS_mknodat),
		STOP(SYS_fchmod),
		STOP(SYS_fchmodat),
		STOP(SYS_fchown),
		STOP(SYS_fchownat),
		STOP(SYS_utimensat),
		STOP(SYS_truncate),
		STOP(SYS_setxattr),
		STOP(SYS_lsetxattr),
		STOP(SYS_fsetxattr),
		STOP(SYS_removexattr),
		STOP(SYS_lremovexattr),
		STOP(SYS_fremovexattr),
		STOP(SYS_flock),
		STOP(SYS_mount),
		STOP(SYS_umount2),
		/* others */
		STOP(SYS_connect),
		STOP(SYS_bind),
		STOP(SYS_sendmsg),
		STOP(SYS_sendmmsg),
		STOP(SYS_shmget),
		STOP(SYS_semget),
		STOP(SYS_msgget),
		STOP(SYS_mq_open),
		STOP(SYS_mq_unlink),
		STOP(SYS_execve),
		STOP(SYS_execveat),
		STOP(SYS_ptrace),
		STOP(SYS_process_vm_writev),
		STOP(SYS_rt_sigqueueinfo),
		STOP(SYS_rt_tgsigqueueinfo),
		STOP(SYS_pidfd_send_signal),
		STOP(SYS_tkill),
		STOP(SYS_clock_settime),
		STOP(SYS_settimeofday),
		STOP(SYS_sethostname),
		STOP(SYS_setdomainname),
		STOP(SYS_reboot),
		STOP(SYS_swapon),
		STOP(SYS_swapoff),
		STOP(SYS_init_module),
		STOP(SYS_finit_module),
		STOP(SYS_delete_module),
		STOP(SYS_bpf),
		STOP(SYS_perf_event_open),
		STOP(SYS_add_key),
		STOP(SYS_keyctl),
		MISSING(SYS_io_uring_setup),
		ONLY_SELF(SYS_kill, 0, self),
		ONLY_SELF(SYS_tgkill, 0, self),
		/* send() without an address goes to what could be connected: a pair of its own */
		UNLESS(SYS_sendto, 6),
		LOAD(LOW(4)),
		UNLESS(0, 3),
		LOAD(HIGH(4)),
		UNLESS(0, 1),
		RETURN(SECCOMP_RET_ALLOW),
		RETURN(SECCOMP_RET_TRAP),
		/* threads, yes; processes, no. clone3 has its flags in memory: glibc then does
		 * without it. */
		MISSING(SYS_clone3),
		UNLESS(SYS_clone, 4),
		LOAD(LOW(0)),
		IF_BITS(CLONE_THREAD, 1),
		RETURN(SECCOMP_RET_TRAP),
		RETURN(SECCOMP_RET_ALLOW),
		RETURN(SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = sizeof(filter) / sizeof(filter[0]),
	                             .filter = filter};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
#else
	return false;
#endif
}
