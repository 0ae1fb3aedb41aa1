/* engine/crash.c: what a thread was at when it crashed, in words.
 *
 * Called in a signal handler of the embedding program, on the thread that crashed, on the
 * alternate stack that each thread of the engine has (so that a stack overflow can be told, too).
 * Everything may be broken: nothing here takes memory or a lock, or follows a pointer that the
 * thread itself had not just followed. No way back is offered: after a jump out of a broken heap
 * or the loader the next call hangs for ever (research/hotswap.md 2.6).
 *
 * Pairs
 *   CR1 crash_watch: release watched -> CR2 tomb_of: acquire watched    the engine
 */
#include "engine/engine.h"

#include "base/symbol.h"
#include "loader/dl.h"
#include "loader/peek.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <ucontext.h>
#include <unistd.h>

/* ------------------------------------------------------------------------------- text --- */

struct text {
	char *bytes;
	size_t n, room;
};

static void add(struct text *t, const char *string)
{
	size_t n = strlen(string);

	n = n < t->room - t->n ? n : t->room - t->n;
	memcpy(t->bytes + t->n, string, n);
	t->n += n;
}

static void add_number(struct text *t, uint64_t number, unsigned base)
{
	char digits[24];
	size_t at = sizeof(digits) - 1;

	digits[at] = '\0';
	do {
		digits[--at] = "0123456789abcdef"[number % base];
		number /= base;
	} while (number > 0);
	if (base == 16)
		add(t, "0x");
	add(t, digits + at);
}

/* ---------------------------------------------------------------------------- tombstones --- */

/* Engines that run, for crashes outside of any stage's callback. More than fit are not known. */
static _Atomic(struct engine *) watched[16];

void crash_watch(struct engine *e, bool on)
{
	for (unsigned i = 0; i < PC_COUNT(watched); i++) {
		struct engine *seen = on ? NULL : e;

		if (atomic_compare_exchange_strong_explicit(
			    &watched[i], &seen, on ? e : NULL, memory_order_release /* CR1 */,
			    memory_order_relaxed /* the next one */))
			return;
	}
}

static const struct tomb *tomb_of(const void *address)
{
	const struct tomb *tomb = NULL;

	for (unsigned i = 0; i < PC_COUNT(watched) && !tomb; i++) {
		const struct engine *e =
			atomic_load_explicit(&watched[i], memory_order_acquire); /* CR2 */

		tomb = e ? swap_tomb_at(e, address) : NULL;
	}
	return tomb;
}

/* ------------------------------------------------------------------------------ the story --- */

static void add_place(struct text *t, const struct guard *g)
{
	const struct replica *r = g->replica;

	add(t, " in stage '");
	add(t, r->pub.name);
	add(t, "' (v");
	add_number(t, g->build->number, 10);
	add(t, ", replica ");
	add_number(t, r->pub.replica, 10);
	add(t, "), ");
	add(t, g->open ? "in " : "in pcrun itself, after ");
	add(t, g->callback);
	if (g->input) {
		add(t, ", item ");
		add_number(t, input_item_number(g->input) + r->batch_done, 10);
		add(t, " of '");
		add(t, g->input->place->plan->name);
		add(t, "'");
	}
}

static void add_thread(struct text *t)
{
	struct dl_work work = dl_now();
	char name[16] = "";

	if (work.file) {
		add(t, " while ");
		add(t, work.file);
		add(t, work.loading ? " was being loaded: its constructors run"
		                    : " was being unloaded: its destructors run");
		return;
	}
	prctl(PR_GET_NAME, name);
	add(t, " in thread '");
	add(t, name);
	add(t, "', which runs no stage now");
}

static void add_file(struct text *t, const struct symbol *at)
{
	add(t, symbol_file_name(at));
	add(t, "+");
	add_number(t, at->offset, 16);
}

static void add_tomb(struct text *t, const struct tomb *tomb, const void *address)
{
	struct symbols_hit hit;

	add(t, "in ");
	add(t, tomb->name);
	add(t, ", which has been unloaded");
	if (!swap_tomb_symbol(tomb, address, &hit))
		return;
	add(t, hit.inside ? ": " : ": near ");
	add(t, hit.name);
	if (hit.inside) {
		add(t, "+");
		add_number(t, hit.into, 16);
	}
}

static void add_code(struct text *t, const void *pc)
{
	const struct tomb *tomb = tomb_of(pc);
	struct symbol at;

	add(t, "  the code at ");
	add_number(t, (uintptr_t)pc, 16);
	add(t, ": ");
	if (tomb) {
		add_tomb(t, tomb, pc);
		add(t, "\n");
	} else if (!symbol_find(&at, pc)) {
		add(t, "nothing is mapped there\n");
	} else if (!*at.file) {
		add(t, "in memory that belongs to no file\n");
	} else {
		if (*at.name) {
			add(t, at.name);
			add(t, "+");
			add_number(t, at.into, 16);
			add(t, ", ");
		}
		add_file(t, &at);
		add(t, "\n  find the line: addr2line -fCe ");
		add(t, at.file);
		add(t, " ");
		add_number(t, at.offset, 16);
		add(t, "\n");
	}
}

static void add_data(struct text *t, const void *address, const void *stack, const char *verb)
{
	const struct tomb *tomb = tomb_of(address);
	uintptr_t below = (uintptr_t)stack - (uintptr_t)address;
	struct symbol at;

	add(t, "  ");
	add(t, verb);
	add(t, " ");
	add_number(t, (uintptr_t)address, 16);
	add(t, ": ");
	if (tomb) {
		add_tomb(t, tomb, address);
	} else if (stack && (below < 65536 || -below < 4096)) {
		add(t, "the stack has overflowed");
	} else if (!symbol_find(&at, address)) {
		add(t, (uintptr_t)address < 65536 ? "a null pointer, or near it"
		                                  : "nothing is mapped there");
	} else if (*at.file) {
		add_file(t, &at);
		if (!at.writable)
			add(t, ", which is read-only");
	} else {
		add(t, "mapped, without the right");
	}
	add(t, "\n");
}

/* What the processor was at: of the machines that we know. */
struct machine {
	const void *pc, *stack;
	const char *verb;
};

static struct machine look_at_machine(const ucontext_t *context)
{
	struct machine m = {NULL, NULL, "reading or writing"};

#if defined(__x86_64__)
	m.pc = (const void *)context->uc_mcontext.gregs[REG_RIP];
	m.stack = (const void *)context->uc_mcontext.gregs[REG_RSP];
	/* of a page fault: bit 1 is a write, bit 4 the fetch of an instruction */
	if (context->uc_mcontext.gregs[REG_TRAPNO] == 14)
		m.verb = context->uc_mcontext.gregs[REG_ERR] & 16  ? "jumping to"
		         : context->uc_mcontext.gregs[REG_ERR] & 2 ? "writing to"
		                                                   : "reading from";
#elif defined(__aarch64__)
	m.pc = (const void *)context->uc_mcontext.pc;
	m.stack = (const void *)context->uc_mcontext.sp;
#else
	(void)context;
#endif
	return m;
}

PC_API size_t pc_crash_text(char *buffer, size_t room, int signal, const void *info,
                            const void *context)
{
	const struct guard *g = guard_current();
	struct machine m = look_at_machine(context);
	const siginfo_t *si = info;
	struct text t = {buffer, 0, room};

	add(&t,
	    sigabbrev_np(signal) ? "SIG" : "a signal"); /* safe here: a table of constants */
	if (sigabbrev_np(signal))
		add(&t, sigabbrev_np(signal));
	if (g)
		add_place(&t, g);
	else
		add_thread(&t);
	add(&t, "\n");
	/* Codes above 0 are the kernel's own; else another process, or abort(), sent it. */
	if (si->si_code == SI_KERNEL && signal == SIGSEGV)
		add(&t, "  using an address that no memory can have\n");
	else if (si->si_code > 0 && (signal == SIGSEGV || signal == SIGBUS))
		add_data(&t, si->si_addr, signal == SIGSEGV ? m.stack : NULL, m.verb);
	if (m.pc)
		add_code(&t, m.pc);
	return t.n;
}

/* -------------------------------------------------------------------------- the item --- */

PC_API bool pc_crash_item(struct pc_crash_item *ret_item, size_t size)
{
	const struct guard *g = guard_current();
	struct pc_crash_item found = {0};
	const struct replica *r;
	struct pc_item pub = {NULL, SIZE_MAX};
	struct item *item;

	if (!g || !g->input)
		return false;
	r = g->replica;
	item = r->pub.current ? item_of(r->pub.current) : NULL;
	if (!item)
		return false;
	/* The heap may be broken. */
	peek(&item->pub, &pub, sizeof(pub));
	found.stage = r->pub.name;
	found.port = r->stage->desc->inputs[g->input - r->inputs].name;
	found.queue = g->input->place->plan->name;
	found.file = g->build->file;
	found.build = g->build->number;
	found.replica = r->pub.replica;
	found.number = input_item_number(g->input) + r->batch_done;
	found.data = pub.data;
	found.size = pub.size;
	memcpy(ret_item, &found, size < sizeof(found) ? size : sizeof(found));
	return true;
}

/* ------------------------------------------------------------------ the stack for handlers --- */

void crash_stack_begin(struct crash_stack *s)
{
	long least = sysconf(_SC_SIGSTKSZ);
	stack_t now, ours = {0};

	s->memory = NULL;
	s->size = least > 65536 ? (size_t)least : 65536;
	/* A sanitizer's, or another runtime's: then that one it is. */
	if (sigaltstack(NULL, &now) != 0 || !(now.ss_flags & SS_DISABLE))
		return;
	s->memory = mmap(NULL, s->size, PROT_READ | PROT_WRITE,
	                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (s->memory == MAP_FAILED) {
		s->memory = NULL;
		return;
	}
	ours.ss_sp = s->memory;
	ours.ss_size = s->size;
	sigaltstack(&ours, NULL);
}

void crash_stack_end(struct crash_stack *s)
{
	const stack_t none = {.ss_flags = SS_DISABLE};

	if (!s->memory)
		return;
	sigaltstack(&none, NULL);
	munmap(s->memory, s->size);
}
