/* stress/shared/rules.c: who may update shared state and how a reader must behave: what breaks the
 * rules is refused in words, and changes nothing.
 *
 * A plain program that prints TAP. Each test is a graph of one or two stages made by hand, whose
 * open(), produce() or close() does the one thing. */
#include "graph.h"
#include "queue/rcu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int n_tests, n_failed;

static void report(bool ok, const char *what, const char *why)
{
	printf("%sok %d - %s\n", ok ? "" : "not ", ++n_tests, what);
	if (!ok)
		printf("# it said: %s\n", why);
	fflush(stdout);
	n_failed += !ok;
}

/* What a stage does in open and in produce. */
typedef int deed(struct pc_stage *st);

struct doer {
	deed *open, *produce, *close;
};

static int doer_open(struct pc_stage *st, void *state)
{
	struct doer *s = state;

	return s->open ? s->open(st) : PC_OK;
}

static int doer_produce(struct pc_stage *st, void *state)
{
	struct doer *s = state;
	int r = s->produce ? s->produce(st) : PC_OK;

	return r < 0 ? r : PC_END;
}

static int doer_close(struct pc_stage *st, void *state)
{
	struct doer *s = state;

	return s->close ? s->close(st) : PC_OK;
}

static const struct pc_stage_desc doer_desc = {.name = "doer",
                                               .state_size = sizeof(struct doer),
                                               .open = doer_open,
                                               .produce = doer_produce,
                                               .close = doer_close};
static const struct pc_stage_desc blocking_desc = {.name = "doer",
                                                   .flags = PC_BLOCKING,
                                                   .state_size = sizeof(struct doer),
                                                   .open = doer_open,
                                                   .produce = doer_produce,
                                                   .close = doer_close};

/* ---- deeds ---- */

/* In two steps, so that it would be seen if somebody came in between. */
static int add(struct pc_stage *st)
{
	struct pc_shared *d = pc_shared_find(st, "d");
	int64_t n;

	if (pc_shared_i64(st, d, "n", &n) != PC_OK)
		return pc_fail(st, "no number");
	return pc_shared_set_i64(st, d, "n", n + 1);
}

/* The other stage has time to come to the section's door, and is the next one in. */
static int add_slowly(struct pc_stage *st)
{
	usleep(20000);
	return add(st);
}

static int set_no_key(struct pc_stage *st)
{
	return pc_shared_set_i64(st, pc_shared_find(st, "d"), NULL, 1);
}

static int set_empty_key(struct pc_stage *st)
{
	return pc_shared_set_i64(st, pc_shared_find(st, "d"), "", 1);
}

static int add_to_text(struct pc_stage *st)
{
	return pc_shared_add(st, pc_shared_find(st, "d"), "text", 1, NULL);
}

static int set_block_key(struct pc_stage *st)
{
	return pc_shared_set(st, pc_shared_find(st, "b"), "key", "12345678", 8);
}

static int set_block_size(struct pc_stage *st)
{
	return pc_shared_set(st, pc_shared_find(st, "b"), NULL, "1234", 4);
}

static int set_block(struct pc_stage *st)
{
	return pc_shared_set(st, pc_shared_find(st, "b"), NULL, "12345678", 8);
}

static int find_nothing(struct pc_stage *st)
{
	return pc_shared_find(st, "nothing") ? PC_OK : PC_ERROR;
}

static int find_nothing_and_go_on(struct pc_stage *st)
{
	return pc_shared_find(st, "nothing") ? PC_ERROR : PC_OK;
}

static int fail_without_reason(struct pc_stage *st)
{
	(void)st;
	return PC_ERROR;
}

static int leave_open(struct pc_stage *st)
{
	struct pc_snapshot now;

	pc_snapshot_begin(st, pc_shared_find(st, "d"), &now);
	pc_snapshot_begin(st, pc_shared_find(st, "b"), &now);
	return PC_OK;
}

static int sleep_inside(struct pc_stage *st)
{
	struct pc_snapshot now;
	int inside, outside;

	pc_snapshot_begin(st, pc_shared_find(st, "d"), &now);
	inside = pc_sleep(st, 1);
	pc_snapshot_end(st, &now);
	outside = pc_sleep(st, 1);
	return inside == PC_INVALID && outside == PC_OK ? PC_OK : PC_ERROR;
}

static int read_everything(struct pc_stage *st)
{
	struct pc_shared *d = pc_shared_find(st, "d"), *b = pc_shared_find(st, "b");
	struct pc_snapshot one, two;
	struct pc_value v;
	char bytes[8];
	size_t size;
	int64_t n;

	if (pc_shared_i64(st, d, "n", &n) != PC_OK || n != 5 ||
	    pc_shared_i64(st, d, "text", &n) != PC_INVALID ||
	    pc_shared_i64(st, d, "no", &n) != PC_EMPTY ||
	    pc_shared_i64(st, b, NULL, &n) != PC_INVALID)
		return pc_fail(st, "a number");
	if (pc_shared_get(st, d, "text", bytes, 3, &size) != PC_FULL || size != 5 ||
	    memcmp(bytes, "hel", 3) != 0 ||
	    pc_shared_get(st, d, "text", bytes, 8, NULL) != PC_OK ||
	    memcmp(bytes, "hello", 5) != 0 ||
	    pc_shared_get(st, d, "no", bytes, 8, &size) != PC_EMPTY ||
	    pc_shared_get(st, b, NULL, bytes, 8, &size) != PC_OK || size != 8 ||
	    bytes[7] != 0 || pc_shared_get(st, b, "key", bytes, 8, &size) != PC_INVALID)
		return pc_fail(st, "bytes");
	/* Read sections may be nested, and end in any order. */
	pc_snapshot_begin(st, d, &one);
	pc_snapshot_begin(st, b, &two);
	if (pc_snapshot_get(st, &one, "text", &v) != PC_OK || one.version != 0)
		return pc_fail(st, "a snapshot");
	pc_snapshot_end(st, &one);
	if (pc_snapshot_next(st, &two, &v) != PC_OK || v.size != 8 || *v.key != '\0' ||
	    pc_snapshot_next(st, &two, &v) != PC_END ||
	    pc_snapshot_next(st, &two, &v) != PC_END)
		return pc_fail(st, "a snapshot of bytes");
	pc_snapshot_end(st, &two);
	return PC_OK;
}

/* ---- graphs ---- */

struct trial {
	const char *what;
	struct doer a, b; /* b does nothing: there is only one stage */
	bool critical, one_section, blocking;
	const char *says; /* NULL: it ends well */
	int64_t n, updates;
};

static const struct trial trials[] = {
	{.what = "a critical stage updates",
         .a.produce = add,
         .critical = true,
         .n = 6,
         .updates = 1},
	{.what = "a critical stage replaces a block",
         .a.produce = set_block,
         .critical = true,
         .n = 5},
	{.what = "any stage reads, in open and in produce",
         .a = {read_everything, read_everything, read_everything},
         .n = 5},
	{.what = "an update from a stage that is not critical",
         .a.produce = add,
         .says = "it updates shared state 'd' and is not critical: write 'critical' behind the "
                 "stage 'a' in the graph",
         .n = 5},
	{.what = "an update in open()",
         .a.open = add,
         .critical = true,
         .says = "outside of produce, process and finish",
         .n = 5},
	{.what = "an update in close()",
         .a.close = add,
         .critical = true,
         .says = "outside of produce, process and finish",
         .n = 5},
	{.what = "updates from two sections",
         .a.produce = add,
         .b.produce = add,
         .critical = true,
         .says = "is updated in the critical section '",
         .n = 6,
         .updates = 1},
	{.what = "updates from two stages of one section",
         .a.produce = add_slowly,
         .b.produce = add_slowly,
         .critical = true,
         .one_section = true,
         .n = 7,
         .updates = 2},
	{.what = "no key",
         .a.produce = set_no_key,
         .critical = true,
         .says = "shared state 'd' is a dict: which key?",
         .n = 5},
	{.what = "an empty key",
         .a.produce = set_empty_key,
         .critical = true,
         .says = "shared state 'd' is a dict: which key?",
         .n = 5},
	{.what = "adding to a text",
         .a.produce = add_to_text,
         .critical = true,
         .says = "shared state 'd', key 'text': not a number",
         .n = 5},
	{.what = "a key for a block",
         .a.produce = set_block_key,
         .critical = true,
         .says = "shared state 'b' is one block: it has no key 'key'",
         .n = 5},
	{.what = "another size for a block",
         .a.produce = set_block_size,
         .critical = true,
         .says = "shared state 'b' is a block of 8 bytes, not of 4",
         .n = 5},
	{.what = "a name that is not there",
         .a.open = find_nothing,
         .says = "there is no shared state 'nothing' in the graph",
         .n = 5},
	{.what = "a name that may be missing",
         .a = {find_nothing_and_go_on, fail_without_reason, NULL},
         .says = "it gave no reason",
         .n = 5},
	{.what = "a read section left open in produce()",
         .a.produce = leave_open,
         .says = "pc_snapshot_end() is missing",
         .n = 5},
	{.what = "a read section left open in open()",
         .a.open = leave_open,
         .says = "pc_snapshot_end() is missing",
         .n = 5},
	{.what = "a read section left open in close()",
         .a.close = leave_open,
         .says = "pc_snapshot_end() is missing",
         .n = 5},
	{.what = "no sleep in a read section",
         .a.produce = sleep_inside,
         .blocking = true,
         .n = 5},
};

static bool did_nothing(const struct doer *d)
{
	return !d->open && !d->produce && !d->close;
}

static void try_it(const struct trial *t)
{
	static struct plan_value values[] = {
		{.key = "n", .text = "5", .size = 1, .number = 5, .is_number = true},
		{.key = "text", .text = "hello", .size = 5}};
	struct plan_shared shareds[] = {{.name = "d",
	                                 .file = "test",
	                                 .kind = SHARED_DICT,
	                                 .values = values,
	                                 .n_values = 2,
	                                 .section = PLAN_NONE},
	                                {.name = "b",
	                                 .file = "test",
	                                 .kind = SHARED_BYTES,
	                                 .size_bytes = 8,
	                                 .section = PLAN_NONE}};
	struct graph *g = malloc(sizeof(*g));
	struct plan_stage *a, *b = NULL;
	const char *text = "";
	struct pc_shared_row row = {0};
	int64_t n = t->n;
	size_t size;
	bool ok;
	int rc;

	graph_init(g);
	g->plan.shareds = shareds;
	g->plan.n_shareds = 2;
	a = graph_stage(g, "a", t->blocking ? &blocking_desc : &doer_desc, &t->a, 1);
	if (!did_nothing(&t->b))
		b = graph_stage(g, "b", &doer_desc, &t->b, 1);
	if (t->critical)
		a->section = graph_section(g, "first");
	if (b)
		b->section = t->one_section ? a->section : graph_section(g, "second");
	rc = graph_run(g, 2);
	if (rc)
		text = pc_error_text(g->error ? g->error : g->engine->error);
	ok = t->says ? rc == PC_ERROR && strstr(text, t->says) : rc == PC_OK;
	if (g->engine) {
		ok &= state_value(g->engine, 0, "n", &n, sizeof(n), &size) == PC_OK;
		state_row(&g->plan, g->engine, 0, &row);
		ok &= row.updates == (uint64_t)t->updates && row.keys == 2;
	}
	report(ok && n == t->n, t->what, text);
	graph_fini(g);
	free(g);
}

/* Nothing that was left open above may keep memory from being given back. */
static void all_sections_are_over(void)
{
	shared_wait();
	report(!urcu_memb_read_ongoing(), "all read sections are over", "");
}

int main(void)
{
	alarm(60);
	for (size_t i = 0; i < sizeof(trials) / sizeof(trials[0]); i++)
		try_it(&trials[i]);
	all_sections_are_over();
	printf("1..%d\n", n_tests);
	return n_failed != 0;
}
