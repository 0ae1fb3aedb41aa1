/* loader/lint.c: the findings of lint.h.
 *
 * Right because it looks at what ld.so itself goes by: the flags of the dynamic section, the names
 * that are imported, the binding of those that are exported. */
#include "loader/lint.h"

#include "base/buf.h"
#include "loader/elf_image.h"

#include <stdlib.h>
#include <string.h>

#ifndef STB_GNU_UNIQUE
#define STB_GNU_UNIQUE 10
#endif

/* A function that is imported. A `*` at an end stands for anything. */
struct import {
	const char *symbol;
	size_t rule;
};

enum rule {
	RULE_THREADS,
	RULE_SIGNALS,
	RULE_KEYS,
	RULE_TIMERS,
	RULE_ON_EXIT,
	RULE_EXIT,
	RULE_LOCAL,
	RULE_FORK,
	RULE_DLOPEN,
	RULE_RCU,
	RULE_OTHER_RCU,
	RULE_NODELETE,
	RULE_UNIQUE,
	RULE_CONSTRUCTOR,
	RULE_FAST_MATH,
	RULE_STATIC_TLS,
	N_RULES
};

static const struct loader_finding rules[N_RULES] = {
	[RULE_THREADS] = {LOADER_CARE, LOADER_THREADS, "threads",
                          "it starts threads, and while one of them runs it can't be unloaded",
                          "end and join them in close()"},
	[RULE_SIGNALS] = {LOADER_CARE, 0, "signal-handler",
                          "it may install signal handlers, and with one of its own in place it "
                          "can't be unloaded",
                          "put the old handler back in close()"},
	[RULE_KEYS] =
		{LOADER_CARE, LOADER_KEYS, "thread-key",
                 "it creates thread-specific keys, and with one left it can't be unloaded: "
                 "the key's destructor would be called when a thread ends",
                 "delete the key in close()"},
	[RULE_TIMERS] = {LOADER_CARE, LOADER_TIMERS, "timer",
                         "it creates timers, and with one left it can't be unloaded",
                         "delete the timer in close(), or use pc_wake_after()"},
	[RULE_ON_EXIT] =
		{LOADER_STAYS, LOADER_ON_EXIT, "on-exit",
                 "it uses on_exit(), which nothing can take back: it stays loaded until "
                 "the process ends",
                 "do that work in close()"},
	[RULE_EXIT] =
		{LOADER_CARE, 0, "exit-function",
                 "its atexit() functions, and destructors of its static objects, run when "
                 "it is unloaded, not when the process ends",
                 "do that work in close()"},
	[RULE_LOCAL] = {LOADER_STAYS, 0, "thread-local-destructor",
                        "it has thread_local objects with destructors, which keep it loaded as "
                        "long as a thread lives that has used them",
                        "keep such objects in the stage's state"},
	[RULE_FORK] = {LOADER_CARE, 0, "fork",
                       "it uses fork(), which stops all threads while memory is copied, and in "
                       "whose child locks of other threads stay locked",
                       "use posix_spawn()"},
	[RULE_DLOPEN] = {LOADER_CARE, 0, "dlopen",
                         "it loads libraries itself, which nobody checks or unloads for it",
                         "dlclose() them in close()"},
	[RULE_RCU] = {LOADER_CARE, 0, "call-rcu",
                      "it leaves callbacks with call_rcu(): they are waited for before it is "
                      "unloaded",
                      "leave none that queues another one"},
	[RULE_OTHER_RCU] =
		{LOADER_STAYS, LOADER_OTHER_RCU, "call-rcu",
                 "it uses another flavour of userspace RCU, for whose callbacks pcrun "
                 "does not wait: it stays loaded",
                 "use urcu-memb"},
	[RULE_NODELETE] = {LOADER_STAYS, 0, "nodelete", "it is marked never to be unloaded",
                           "link without -Wl,-z,nodelete"},
	[RULE_UNIQUE] =
		{LOADER_STAYS, 0, "unique-symbol",
                 "it has symbols that are unique in the process, so that it stays loaded, "
                 "and later builds use its variables instead of their own",
                 "compile with -fno-gnu-unique, or -fvisibility=hidden"},
	[RULE_CONSTRUCTOR] =
		{LOADER_CARE, 0, "constructor",
                 "it runs code of its own while it is loaded, before pcrun calls it",
                 "do that work in open()"},
	[RULE_FAST_MATH] =
		{LOADER_CARE, 0, "fast-math",
                 "it makes very small numbers zero in the thread that loads it; pcrun "
                 "undoes that, so it does not hold for the stage either",
                 "link without -ffast-math"},
	[RULE_STATIC_TLS] =
		{LOADER_REFUSED, 0, "static-tls",
                 "it wants static thread-local memory, of which a process has little, "
                 "and gets none back: after some swaps nothing could be loaded",
                 "compile with -ftls-model=global-dynamic"},
};

static const struct import imports[] = {
	{"pthread_create", RULE_THREADS},
	{"thrd_create", RULE_THREADS},
	{"_ZNSt6thread15_M_start_thread*", RULE_THREADS},
	{"signal", RULE_SIGNALS},
	{"sigaction", RULE_SIGNALS},
	{"sigset", RULE_SIGNALS},
	{"bsd_signal", RULE_SIGNALS},
	{"__sysv_signal", RULE_SIGNALS},
	{"pthread_key_create", RULE_KEYS},
	{"tss_create", RULE_KEYS},
	{"timer_create", RULE_TIMERS},
	{"setitimer", RULE_TIMERS},
	{"on_exit", RULE_ON_EXIT},
	{"atexit", RULE_EXIT},
	{"__cxa_atexit", RULE_EXIT},
	{"__cxa_thread_atexit*", RULE_LOCAL},
	{"fork", RULE_FORK},
	{"vfork", RULE_FORK},
	{"dlopen", RULE_DLOPEN},
	{"dlmopen", RULE_DLOPEN},
	{"urcu_memb_call_rcu", RULE_RCU},
	{"*call_rcu", RULE_OTHER_RCU},
	{"call_rcu*", RULE_OTHER_RCU},
};

static bool matches(const char *pattern, const char *name)
{
	size_t n = strlen(pattern), size = strlen(name);

	if (pattern[0] == '*')
		return size >= n - 1 && strcmp(name + size - (n - 1), pattern + 1) == 0;
	if (pattern[n - 1] == '*')
		return strncmp(name, pattern, n - 1) == 0;
	return strcmp(name, pattern) == 0;
}

void lint_add(struct loader_lint *lint, struct arena *arena, struct loader_finding finding)
{
	struct loader_finding *list =
		arena_grow(arena, lint->findings, lint->n, sizeof(*lint->findings));

	if (!list)
		return; /* the arena remembers it */
	lint->findings = list;
	list[lint->n++] = finding;
	lint->traits |= finding.trait;
}

static void look_at_symbols(const struct elf_symbols *s, bool found[static N_RULES])
{
	for (uint32_t i = 1; i < s->n; i++) {
		const char *name = elf_string(s, s->symbols[i].st_name);

		if (s->symbols[i].st_shndx != SHN_UNDEF) {
			if (ELF64_ST_BIND(s->symbols[i].st_info) == STB_GNU_UNIQUE)
				found[RULE_UNIQUE] = true;
			continue;
		}
		for (size_t k = 0; k < sizeof(imports) / sizeof(imports[0]); k++)
			if (matches(imports[k].symbol, name)) {
				found[imports[k].rule] = true;
				break;
			}
	}
}

/* crtfastmath.o leaves its name only where debuggers look. */
static bool has_fast_math(const struct elf_image *image)
{
	static const char name[] = "set_fast_math";
	const ElfW(Ehdr) *h = &image->head;

	for (unsigned i = 0; h->e_shoff != 0 && i < h->e_shnum; i++) {
		ElfW(Shdr) section;

		memcpy(&section, image->bytes + h->e_shoff + i * sizeof(section),
		       sizeof(section));
		if (section.sh_type == SHT_STRTAB &&
		    memmem(image->bytes + section.sh_offset, section.sh_size, name,
		           sizeof(name)))
			return true;
	}
	return false;
}

static void look_at_flags(const struct elf_dynamic *d, bool found[static N_RULES])
{
	found[RULE_STATIC_TLS] = d->value[DT_FLAGS] & DF_STATIC_TLS;
	found[RULE_NODELETE] = d->flags_1 & DF_1_NODELETE;
	/* One of each is the compiler's own. */
	found[RULE_CONSTRUCTOR] = d->value[DT_INIT_ARRAYSZ] > sizeof(void *);
}

static void look_at_libraries(const struct elf_symbols *s, struct loader_lint *lint,
                              struct arena *arena, const char *file)
{
	const struct elf_dynamic *d = &s->dynamic;
	const char *needed[ELF_NEEDED_MAX];

	for (size_t i = 0; i < d->n_needed; i++)
		needed[i] = elf_string(s, d->needed[i]);
	helper_look(lint, arena, needed, d->n_needed,
	            d->seen[DT_RUNPATH] ? elf_string(s, d->value[DT_RUNPATH])
	            : d->seen[DT_RPATH] ? elf_string(s, d->value[DT_RPATH])
	                                : "",
	            !d->seen[DT_RUNPATH], file);
}

int lint_file(struct loader_lint *ret, struct arena *arena, const char *bytes, size_t size,
              const char *file, struct pc_error **err)
{
	struct elf_image image = {
		.bytes = bytes, .size = size, .file = file, .incomplete = PC_WRONG, .err = err};
	struct loader_lint lint = {.n = 0};
	bool found[N_RULES] = {false};
	struct elf_symbols symbols;
	int r = elf_open(&image);

	if (r == PC_OK)
		r = elf_symbols_read(&image, &symbols);
	if (r != PC_OK)
		goto done;
	look_at_flags(&symbols.dynamic, found);
	look_at_symbols(&symbols, found);
	found[RULE_FAST_MATH] = has_fast_math(&image);
	for (int weight = LOADER_REFUSED; weight <= LOADER_CARE; weight++)
		for (size_t i = 0; i < N_RULES; i++)
			if (found[i] && rules[i].weight == weight)
				lint_add(&lint, arena, rules[i]);
	look_at_libraries(&symbols, &lint, arena, file);
	elf_symbols_free(&symbols);
	if (arena_failed(arena))
		r = error_set(err, PC_NOMEM, "no memory to look at %s", file);
	else
		*ret = lint;
done:
	free(image.segments);
	return r;
}

int lint_refuse(const struct loader_lint *lint, const char *file, struct pc_error **err)
{
	struct buf text = {0};
	int r = PC_OK;

	for (size_t i = 0; i < lint->n; i++) {
		const struct loader_finding *f = &lint->findings[i];

		if (f->weight == LOADER_REFUSED)
			buf_addf(&text, "%s%s (%s)", text.text ? "; " : "", f->text, f->fix);
	}
	if (text.text)
		r = error_set(err, PC_WRONG, "%s can't be swapped in: %s", file, text.text);
	buf_fini(&text);
	return r;
}
