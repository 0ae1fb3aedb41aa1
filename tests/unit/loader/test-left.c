/* test-left.c: what a build has left behind that needs its code keeps it loaded, is named, and never
 * ends the process; when it is gone, so is the build. */
#include "scratch.h"

#include <dlfcn.h>
#include <fnmatch.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

static void init(void)
{
	scratch_init();
	setenv("XDG_RUNTIME_DIR", scratch_dir, 1);
}

TestSuite(left, .init = init, .fini = scratch_fini, .timeout = 100);

static unsigned number;

static struct loader_plugin *load(const char *source, const char *flags)
{
	struct loader_plugin *plugin = NULL;
	struct loader_copy copy;
	struct pc_error *err = NULL;
	int r;

	scratch_stage("s.c", "s", source);
	scratch_build("s.c", "s.so", flags);
	r = loader_copy_make(&copy, "./s.so", "s", ++number, &err);
	if (r == PC_OK)
		r = loader_copy_open(&plugin, &copy, &err);
	cr_assert(r == PC_OK, "%s", pc_error_text(err));
	return plugin;
}

static void call(const struct loader_plugin *plugin, const char *name)
{
	void (*f)(void);

	*(void **)(void *)&f = dlsym(plugin->handle, name);
	cr_assert(f, "no %s()", name);
	f();
}

/* `text` "": nothing is said. */
static void expect(struct loader_plugin *plugin, enum loader_end end, const char *text)
{
	struct buf why = {0};
	enum loader_end e = loader_unload(plugin, &why);

	cr_expect(e == end, "%d, not %d: %s", e, end, why.text ? why.text : "");
	cr_expect(*text ? why.text && fnmatch(text, why.text, 0) == 0 : !why.text,
	          "expected '%s': %s", text, why.text ? why.text : "");
	buf_fini(&why);
}

static bool is_there(const char *copy)
{
	return access(copy, F_OK) == 0;
}

/* leave(); it stays, as `text` says; clean(); it goes. `between` is what would end the process. */
static void leaves(const char *source, const char *text, void (*between)(void))
{
	struct loader_plugin *plugin = load(source, "-pthread");
	char *copy = strdup(plugin->loaded);

	call(plugin, "leave");
	expect(plugin, LOADER_LEFT, text);
	cr_expect(is_there(copy));
	if (between)
		between();
	expect(plugin, LOADER_LEFT, text);
	call(plugin, "clean");
	expect(plugin, LOADER_GONE, "");
	cr_expect(!is_there(copy));
	free(copy);
}

#define SKIP_IF_KEPT                                                                           \
	do {                                                                                   \
		if (SCRATCH_KEEPS)                                                             \
			cr_skip_test("builds for the sanitizers unload nothing");              \
	} while (0)

Test(left, a_thread)
{
	SKIP_IF_KEPT;
	leaves("#include <pthread.h>\n#include <unistd.h>\n#include <semaphore.h>\n"
	       "static pthread_t t; static sem_t s;\n"
	       "static void *run(void *a) { pthread_setname_np(t, \"sleeper\"); "
	       "sem_wait(&s); return a; }\n"
	       "void leave(void) { sem_init(&s, 0, 0); pthread_create(&t, 0, run, 0); "
	       "usleep(50000); "
	       "}\n"
	       "void clean(void) { sem_post(&s); pthread_join(t, 0); }\n",
	       "a thread that it started still runs ('*', *)", NULL);
	leaves("#include <pthread.h>\nstatic pthread_t t; static _Atomic int end;\n"
	       "static void *run(void *a) { while (!end); return a; }\n"
	       "void leave(void) { pthread_create(&t, 0, run, 0); }\n"
	       "void clean(void) { end = 1; pthread_join(t, 0); }\n",
	       "a thread that it started still runs ('*', *)", NULL);
}

/* Its function is the C++ library's; ours stands on the stack only. */
Test(left, a_thread_that_a_library_has_started)
{
	static const char source[] =
		"#include <thread>\n#include <condition_variable>\n"
		"static std::thread *t; static std::mutex m; static std::condition_variable c; "
		"static bool end;\n"
		"static void run() { std::unique_lock<std::mutex> l(m); while (!end) "
		"c.wait(l); }\n"
		"extern \"C\" void leave() { t = new std::thread(run); "
		"std::this_thread::sleep_for(std::chrono::milliseconds(50)); }\n"
		"extern \"C\" void clean() { { std::lock_guard<std::mutex> l(m); end = true; "
		"c.notify_all(); } t->join(); delete t; }\n";
	struct loader_plugin *plugin = NULL;
	struct loader_copy copy;

	SKIP_IF_KEPT;
	if (scratch_run("command -v c++ >/dev/null") != 0)
		cr_skip_test("no C++ compiler");
	scratch_stage("s.c", "s", "");
	scratch_write("t.cc", source, sizeof(source) - 1);
	cr_assert(
		scratch_run("c++ -w -fPIC -fvisibility-inlines-hidden -fno-gnu-unique -c t.cc "
	                    "&& c++ -w -fPIC -I$PCRUN_INCLUDE_DIR -c -x c s.c && c++ -shared "
	                    "-pthread -o s.so t.o s.o") == 0);
	cr_assert(loader_copy_make(&copy, "./s.so", "s", 1, NULL) == PC_OK);
	cr_assert(loader_copy_open(&plugin, &copy, NULL) == PC_OK);
	call(plugin, "leave");
	expect(plugin, LOADER_LEFT, "a thread that it started still runs ('*', *)");
	call(plugin, "clean");
	expect(plugin, LOADER_GONE, "");
}

static _Atomic bool over;

static void *waits(void *end)
{
	while (!end && !atomic_load_explicit(&over, memory_order_relaxed)) /* a flag */
		;
	while (!atomic_load_explicit(&over, memory_order_relaxed)) /* a flag */
		usleep(1000);
	return NULL;
}

/* One that waits, one that works: both came after it. */
Test(left, threads_of_others_are_not_its_own)
{
	struct loader_plugin *plugin;
	pthread_t threads[2];

	SKIP_IF_KEPT;
	plugin = load("#include <pthread.h>\nvoid leave(void) { }\n", "");
	cr_assert(pthread_create(&threads[0], NULL, waits, NULL) == 0);
	cr_assert(pthread_create(&threads[1], NULL, waits, &over) == 0);
	expect(plugin, LOADER_GONE, "");
	/* This one might have started them: while it can't be said, it stays. */
	plugin = load("#include <pthread.h>\nint f(void *(*g)(void *)); int f(void *(*g)(void "
	              "*)) { pthread_t t; return pthread_create(&t, 0, g, 0); }\n",
	              "");
	expect(plugin, LOADER_GONE, "");
	atomic_store_explicit(&over, true, memory_order_relaxed); /* a flag */
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
}

/* The C library gives the stack of a thread that has ended to the next one, with all that lies there. */
Test(left, what_an_older_thread_has_left_on_the_stack)
{
	struct loader_plugin *plugin;
	pthread_t thread;

	SKIP_IF_KEPT;
	plugin = load("#include <pthread.h>\n"
	              "static void *run(void *a) { void *volatile left[200]; for (int i = 0; i "
	              "< 200; i++) "
	              "left[i] = (void *)run; return left[7] == a ? a : 0; }\n"
	              "void leave(void) { pthread_t t; pthread_create(&t, 0, run, 0); "
	              "pthread_join(t, 0); }\n",
	              "-pthread");
	call(plugin, "leave");
	atomic_store_explicit(&over, false, memory_order_relaxed); /* a flag */
	cr_assert(pthread_create(&thread, NULL, waits, &over) == 0);
	usleep(20000);
	expect(plugin, LOADER_GONE, "");
	atomic_store_explicit(&over, true, memory_order_relaxed); /* a flag */
	pthread_join(thread, NULL);
}

/* The kernel makes one mapping of a stack and of what happens to lie right above it: where the mapping ends
 * there is nothing of the thread then. */
Test(left, a_stack_with_something_right_above)
{
	enum { STACK = 256 * 1024 };
	struct loader_plugin *plugin;
	pthread_attr_t attr;
	pthread_t thread;
	uintptr_t *memory;

	SKIP_IF_KEPT;
	plugin = load("#include <pthread.h>\nint f(void *(*g)(void *)); int f(void *(*g)(void "
	              "*)) { pthread_t t; return pthread_create(&t, 0, g, 0); }\n",
	              "");
	memory = mmap(NULL, 2 * STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
	              0);
	cr_assert(memory != MAP_FAILED);
	for (size_t i = 0; i < STACK / sizeof(*memory); i++)
		memory[i] = plugin->image.begin;
	pthread_attr_init(&attr);
	pthread_attr_setstack(&attr, memory, STACK);
	atomic_store_explicit(&over, false, memory_order_relaxed); /* a flag */
	cr_assert(pthread_create(&thread, &attr, waits, &over) == 0);
	usleep(20000);
	expect(plugin, LOADER_GONE, "");
	atomic_store_explicit(&over, true, memory_order_relaxed); /* a flag */
	pthread_join(thread, NULL);
	pthread_attr_destroy(&attr);
	munmap(memory, 2 * STACK);
}

static void raise_it(void)
{
	raise(SIGUSR1);
}

Test(left, a_signal_handler)
{
	SKIP_IF_KEPT;
	leaves("#include <signal.h>\nstatic void on(int n) { (void)n; }\n"
	       "void leave(void) { signal(SIGUSR1, on); }\n"
	       "void clean(void) { signal(SIGUSR1, SIG_DFL); }\n",
	       "its handler of SIGUSR1 is installed", raise_it);
}

static void (*set_key)(void);

static void *has_key(void *arg)
{
	set_key();
	return arg;
}

/* A thread that has a value ends: the key's destructor is called. */
static void end_a_thread(void)
{
	pthread_t t;

	cr_assert(pthread_create(&t, NULL, has_key, NULL) == 0);
	pthread_join(t, NULL);
}

Test(left, a_key)
{
	static const char source[] = "#include <pthread.h>\nstatic pthread_key_t k;\n"
				     "static void bye(void *p) { (void)p; }\n"
				     "void set(void) { pthread_setspecific(k, &k); }\n"
				     "void leave(void) { pthread_key_create(&k, bye); }\n"
				     "void clean(void) { pthread_key_delete(k); }\n";
	struct loader_plugin *plugin;

	SKIP_IF_KEPT;
	plugin = load(source, "");
	call(plugin, "leave");
	*(void **)(void *)&set_key = dlsym(plugin->handle, "set");
	expect(plugin, LOADER_LEFT,
	       "a thread-specific key that it may have created is not deleted");
	end_a_thread();
	call(plugin, "clean");
	expect(plugin, LOADER_GONE, "");
}

Test(left, a_timer)
{
	SKIP_IF_KEPT;
	if (access("/proc/self/timers", R_OK) != 0)
		cr_skip_test("the kernel does not tell");
	leaves("#include <signal.h>\n#include <string.h>\n#include <time.h>\nstatic timer_t "
	       "t;\n"
	       "static void on(union sigval v) { (void)v; }\n"
	       "void leave(void) { struct sigevent e; struct itimerspec i = {{0, 1000000}, {0, "
	       "1000000}}; memset(&e, 0, sizeof(e)); e.sigev_notify = SIGEV_THREAD; "
	       "e.sigev_notify_function = on; timer_create(CLOCK_MONOTONIC, &e, &t); "
	       "timer_settime(t, 0, &i, 0); }\n"
	       "void clean(void) { struct timespec s = {0, 50000000}; timer_delete(t); "
	       "nanosleep(&s, "
	       "0); }\n",
	       "*a timer that it may have created is not deleted", NULL);
}

/* In a process that ends: the function is called, and is there. */
Test(left, a_function_for_the_end)
{
	int status = 0;
	pid_t child;

	SKIP_IF_KEPT;
	fflush(NULL);
	child = fork();
	if (child == 0) {
		struct loader_plugin *plugin;

		alarm(60); /* whatever goes wrong */
		plugin = load(
			"#include <stdlib.h>\n#include <unistd.h>\n"
			"static void bye(int s, void *p) { (void)s; (void)p; _exit(42); }\n"
			"void leave(void) { on_exit(bye, 0); }\n",
			"");
		call(plugin, "leave");
		expect(plugin, LOADER_LEFT, "it may have left a function with on_exit()");
		loader_close(plugin); /* nobody waits any more */
		exit(1);
	}
	cr_assert(waitpid(child, &status, 0) == child);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 42, "status %x", status);
}

/* What the file has told comes true: given back, and still there. */
Test(left, what_stays_says_why)
{
	struct loader_plugin *plugin;
	char *copy;

	SKIP_IF_KEPT;
	plugin = load("", "-Wl,-z,nodelete");
	copy = strdup(plugin->loaded);
	expect(plugin, LOADER_LOADED, "it is marked never to be unloaded (link without*");
	cr_expect(is_there(copy), "debuggers look for it");
	free(copy);
	plugin = load("__asm__(\".type once, @gnu_unique_object\\n.globl once\\n.data\\nonce: "
	              ".long 1\\n.size once, 4\\n.text\\n\"); extern int once; "
	              "int *leave(void) { return &once; }",
	              "");
	call(plugin, "leave");
	expect(plugin, LOADER_LOADED, "it has symbols that are unique in the process*");
	plugin =
		load("extern int __cxa_thread_atexit_impl(void (*f)(void *), void *, void *);\n"
	             "extern void *__dso_handle; static void bye(void *p) { (void)p; }\n"
	             "void leave(void) { __cxa_thread_atexit_impl(bye, 0, &__dso_handle); }\n",
	             "");
	call(plugin, "leave");
	expect(plugin, LOADER_LOADED, "it has thread_local objects with destructors*");
	/* What is not its own doing. */
	plugin = load("", "");
	cr_assert(dlopen(plugin->loaded, RTLD_NOW | RTLD_LOCAL));
	expect(plugin, LOADER_LOADED, "something else in the process uses it");
}

/* atexit() functions go with the build, and run then. */
Test(left, what_does_no_harm)
{
	static int ran;
	struct loader_plugin *plugin;
	int **at;

	SKIP_IF_KEPT;
	plugin = load("#include <stdlib.h>\nint *ran; static void bye(void) { ++*ran; }\n"
	              "void leave(void) { atexit(bye); }\n",
	              "");
	at = dlsym(plugin->handle, "ran");
	cr_assert(at);
	*at = &ran;
	call(plugin, "leave");
	expect(plugin, LOADER_GONE, "");
	cr_expect(ran == 1);
}

/* Who does not ask is safe as well. */
Test(left, closing_a_graph)
{
	struct loader_plugin *plugin;

	SKIP_IF_KEPT;
	plugin = load("#include <signal.h>\nstatic void on(int n) { (void)n; }\n"
	              "void leave(void) { signal(SIGUSR1, on); }\n",
	              "");
	call(plugin, "leave");
	loader_close(plugin);
	raise(SIGUSR1);
}
