/* test-lint.c: each trap of dlopen() and dlclose() is seen in the file, named in a sentence, and comes
 * with a way out; and what is refused would have gone wrong. */
#include "scratch.h"

#include "loader/lint.h"
#include "loader/read.h"

#include <dlfcn.h>

#ifdef __SSE__
#include <xmmintrin.h>
#endif

TestSuite(lint, .init = scratch_init, .fini = scratch_fini, .timeout = 100);

static const struct loader_finding *find(const struct loader_lint *lint, const char *name)
{
	for (size_t i = 0; i < lint->n; i++)
		if (strcmp(lint->findings[i].name, name) == 0)
			return &lint->findings[i];
	return NULL;
}

/* Whether the stage with `extra` in front has the finding, of this weight; and no other. */
static void expect(const char *extra, const char *flags, const char *name, int weight)
{
	struct arena arena = {0};
	struct loader_lint lint = {.n = 0};
	struct read_file f;
	const struct loader_finding *found;

	scratch_stage("s.c", "s", extra);
	scratch_build("s.c", "s.so", flags);
	cr_assert(read_whole(&f, "s.so", "s.so", PC_WRONG, NULL) == PC_OK);
	cr_assert(lint_file(&lint, &arena, f.bytes, f.size, "./s.so", NULL) == PC_OK);
	found = name ? find(&lint, name) : NULL;
	if (name) {
		cr_expect(found && found->weight == weight, "%s: not found", name);
		cr_expect(found && found->text[0] && found->fix[0]);
	}
	for (size_t i = 0; i < lint.n; i++)
		cr_expect(&lint.findings[i] == found, "%s: and '%s'", name ? name : "nothing",
		          lint.findings[i].name);
	cr_expect(lint_refuse(&lint, "./s.so", NULL) ==
	          (name && weight == LOADER_REFUSED ? PC_WRONG : PC_OK));
	read_free(&f);
	arena_fini(&arena);
}

Test(lint, names_each_trap)
{
	expect("", "", NULL, 0);
	expect("__thread int x; int *f(void); int *f(void) { return &x; }", "", NULL, 0);
	expect("__thread int x __attribute__((tls_model(\"initial-exec\"))); int *f(void); int "
	       "*f(void) { return &x; }",
	       "", "static-tls", LOADER_REFUSED);
	expect("", "-Wl,-z,nodelete", "nodelete", LOADER_STAYS);
	expect("#include <stdlib.h>\nint f(void); int f(void) { return on_exit(0, 0); }", "",
	       "on-exit", LOADER_STAYS);
	expect("int __cxa_thread_atexit_impl(void); int f(void); int f(void) { return "
	       "__cxa_thread_atexit_impl(); }",
	       "", "thread-local-destructor", LOADER_STAYS);
	expect("__asm__(\".type once, @gnu_unique_object\\n.globl once\\n.data\\nonce: .long "
	       "1\\n.size once, 4\\n.text\\n\");",
	       "", "unique-symbol", LOADER_STAYS);
	expect("void urcu_bp_call_rcu(void); void f(void); void f(void) { urcu_bp_call_rcu(); "
	       "}",
	       "", "call-rcu", LOADER_STAYS);
	expect("void urcu_memb_call_rcu(void); void f(void); void f(void) { "
	       "urcu_memb_call_rcu(); }",
	       "", "call-rcu", LOADER_CARE);
	expect("#include <pthread.h>\nint f(pthread_t *t, void *(*g)(void *)); int f(pthread_t "
	       "*t, void *(*g)(void *)) { return pthread_create(t, 0, g, 0); }",
	       "", "threads", LOADER_CARE);
	expect("#include <signal.h>\nvoid f(void); void f(void) { signal(SIGUSR1, SIG_IGN); }",
	       "", "signal-handler", LOADER_CARE);
	expect("#include <signal.h>\nint f(void); int f(void) { return sigaction(1, 0, 0); }",
	       "", "signal-handler", LOADER_CARE);
	expect("#include <pthread.h>\nint f(void); int f(void) { pthread_key_t k; return "
	       "pthread_key_create(&k, 0); }",
	       "", "thread-key", LOADER_CARE);
	expect("#include <time.h>\n#include <signal.h>\nint f(void); int f(void) { timer_t t; "
	       "return timer_create(0, 0, &t); }",
	       "", "timer", LOADER_CARE);
	expect("#include <stdlib.h>\nint f(void (*g)(void)); int f(void (*g)(void)) { return "
	       "atexit(g); }",
	       "", "exit-function", LOADER_CARE);
	expect("#include <unistd.h>\nint f(void); int f(void) { return fork(); }", "", "fork",
	       LOADER_CARE);
	expect("#include <dlfcn.h>\nvoid *f(void); void *f(void) { return dlopen(\"x\", 1); }",
	       "", "dlopen", LOADER_CARE);
	expect("volatile int x; __attribute__((constructor)) static void f(void) { x = 1; }",
	       "", "constructor", LOADER_CARE);
}

/* Its runtime adds a constructor to older compilers' shared objects. Whatever it does, the thread
 * that loads it computes as before. */
Test(lint, fast_math_is_undone)
{
#ifdef __SSE__
	unsigned before = _mm_getcsr();
	struct loader_plugin *plugin;

	scratch_stage("s.c", "s", "");
	scratch_build("s.c", "s.so", "-ffast-math");
	plugin = scratch_open(NULL, "./s.so");
	cr_expect(_mm_getcsr() == before);
	cr_expect(!find(&plugin->lint, "constructor") == !find(&plugin->lint, "fast-math"));
	loader_close(plugin);
	/* And one that is certain to. */
	scratch_stage("s.c", "s",
	              "__attribute__((constructor)) static void f(void) { "
	              "__builtin_ia32_ldmxcsr(0x9fc0); }");
	scratch_build("s.c", "t.so", "");
	plugin = scratch_open(NULL, "./t.so");
	cr_expect(_mm_getcsr() == before);
	loader_close(plugin);
#else
	cr_skip_test("other machines have no such mode");
#endif
}

/* Found where C++ puts them, too. */
Test(lint, cplusplus)
{
	static const char local[] =
		"#include <string>\nstruct S { std::string s; ~S() {} };\n"
		"thread_local S here; const char *f() { return here.s.c_str(); }\n";
	static const char unique[] = "inline int &n() { static int x; return x; }\n"
				     "int f() { return ++n(); }\n";
	struct loader_plugin *plugin;

	if (scratch_run("command -v c++ >/dev/null") != 0)
		cr_skip_test("no C++ compiler");
	scratch_stage("s.c", "s", "");
	scratch_write("local.cc", local, sizeof(local) - 1);
	cr_assert(scratch_run("c++ -w -fPIC -c local.cc && c++ -w -fPIC -I$PCRUN_INCLUDE_DIR "
	                      "-c -x c s.c && c++ -shared -o local.so local.o s.o") == 0);
	plugin = scratch_open(NULL, "./local.so");
	cr_expect(find(&plugin->lint, "thread-local-destructor") != NULL);
	loader_close(plugin);
	scratch_write("unique.cc", unique, sizeof(unique) - 1);
	cr_assert(scratch_run("c++ -w -fPIC -c unique.cc && c++ -shared -o unique.so unique.o "
	                      "s.o && readelf -sW unique.so | grep -q UNIQUE") == 0);
	plugin = scratch_open(NULL, "./unique.so");
	cr_expect(find(&plugin->lint, "unique-symbol") != NULL);
	loader_close(plugin);
}

/* ---- what is refused, and what is not ---- */

static int open_copy(struct loader_plugin **ret, const char *file, unsigned number,
                     struct pc_error **err)
{
	struct loader_copy copy;
	int r = loader_copy_make(&copy, file, "s", number, err);

	*ret = NULL;
	if (r == PC_OK)
		r = loader_copy_check(&copy, err);
	if (r == PC_OK)
		return loader_copy_open(ret, &copy, err);
	loader_copy_drop(&copy);
	return r;
}

/* With 1 KiB of it, glibc 2.36 has room for two. */
Test(lint, static_tls_is_refused_and_ordinary_tls_swaps_for_ever)
{
	static const char ordinary[] =
		"__thread char x[1024]; char *f(void); char *f(void) { x[0]++; return x; }";
	struct loader_plugin *plugin, *older = NULL;
	struct pc_error *err = NULL;
	int r;

	scratch_stage("s.c", "s",
	              "__thread char x[1024] __attribute__((tls_model(\"initial-exec\"))); "
	              "char *f(void); char *f(void) { return x; }");
	scratch_build("s.c", "ie.so", "");
	r = open_copy(&plugin, "./ie.so", 2, &err);
	cr_expect(r == PC_WRONG && strstr(pc_error_text(err),
	                                  "./ie.so can't be swapped in: it wants static"),
	          "%s", pc_error_text(err));
	pc_error_free(err);
	scratch_stage("s.c", "s", ordinary);
	scratch_build("s.c", "gd.so", "");
	for (unsigned i = 0; i < 1000; i++) {
		char *(*f)(void);

		err = NULL;
		r = open_copy(&plugin, "./gd.so", i + 2, &err);
		cr_assert(r == PC_OK, "load %u: %s", i, pc_error_text(err));
		*(void **)(void *)&f = dlsym(plugin->handle, "f");
		cr_assert(f && f()[0] == 1);
		loader_close(older); /* the new one first, as a swap does it */
		older = plugin;
	}
	loader_close(older);
}

static void build_with_helper(const char *dir, int value)
{
	struct buf text = {0};

	mkdir(dir, 0700);
	buf_addf(&text, "int help(void) { return %d; }\n", value);
	scratch_write("help.c", text.text, text.size);
	buf_fini(&text);
	scratch_stage("s.c", "s",
	              "int help(void); int f(void); int f(void) { return help(); }");
	buf_addf(&text,
	         "cc -w -fPIC -shared -Wl,-soname,libhelp.so.1 -o %s/new help.c && mv %s/new "
	         "%s/libhelp.so.1 && cc -w -fPIC -shared -I$PCRUN_INCLUDE_DIR -o %s/s.so s.c "
	         "%s/libhelp.so.1 -Wl,-rpath,'$ORIGIN'",
	         dir, dir, dir, dir, dir);
	cr_assert(scratch_run(text.text) == 0);
	buf_fini(&text);
}

static int call(const struct loader_plugin *plugin)
{
	int (*f)(void);

	*(void **)(void *)&f = dlsym(plugin->handle, "f");
	return f();
}

/* The copy stands elsewhere, and finds what stands beside the developer's file. */
Test(lint, libraries_of_the_author)
{
	struct loader_plugin *first, *second;
	struct pc_error *err = NULL;

	build_with_helper("a", 1);
	build_with_helper("b", 2);
	cr_assert(open_copy(&first, "a/s.so", 1, &err) == PC_OK, "%s", pc_error_text(err));
	cr_expect(call(first) == 1);
	cr_expect(find(&first->lint, "helper-library") != NULL);
	cr_expect(open_copy(&second, "a/s.so", 2, &err) == PC_OK, "%s", pc_error_text(err));
	loader_close(second);

	cr_expect(open_copy(&second, "b/s.so", 2, &err) == PC_WRONG, "it would run with a's");
	cr_expect(strstr(pc_error_text(err), "/b/libhelp.so.1, and this process has loaded ") &&
	                  strstr(pc_error_text(err), "/a/libhelp.so.1 (restart the graph)"),
	          "%s", pc_error_text(err));
	pc_error_free(err);

	err = NULL;
	build_with_helper("a", 3);
	cr_expect(open_copy(&second, "a/s.so", 2, &err) == PC_WRONG,
	          "it would run with the old");
	cr_expect(strstr(pc_error_text(err), ", as it was before (restart"), "%s",
	          pc_error_text(err));
	pc_error_free(err);
	loader_close(first);
	if (!SCRATCH_KEEPS) {
		err = NULL;
		cr_expect(open_copy(&second, "b/s.so", 2, &err) == PC_OK, "%s",
		          pc_error_text(err));
		cr_expect(call(second) == 2, "nobody has the old one any more");
		loader_close(second);
	}
}

/* Others load it as it lies there, and know where it comes from: a probe's process. */
Test(lint, a_copy_is_loaded_by_another_process)
{
	struct loader_plugin *plugin;
	struct loader_copy copy;
	struct pc_error *err = NULL;

	build_with_helper("a", 1);
	cr_assert(loader_copy_make(&copy, "a/s.so", "s", 1, NULL) == PC_OK);
	cr_assert(loader_open_as(&plugin, copy.path, "a/s.so", &err) == PC_OK, "%s",
	          pc_error_text(err));
	cr_expect(call(plugin) == 1);
	loader_close(plugin);
	loader_copy_drop(&copy);
}
