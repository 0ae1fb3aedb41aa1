/* stress/swap/common.c: see common.h. */
#include "common.h"

#include "base/error.h"

#include <time.h>

struct line *line;
int64_t probation_ns;

/* ---------------------------------------------------------------------------- tracking --- */

static void track_init(struct track *t)
{
	/* zero pages cost nothing until they are written to */
	t->min = calloc(NUMBERS_MAX, sizeof(uint64_t));
	t->max = calloc(NUMBERS_MAX, sizeof(uint64_t));
	t->count = calloc(NUMBERS_MAX, sizeof(uint64_t));
}

static void track_fini(struct track *t)
{
	free(t->min);
	free(t->max);
	free(t->count);
}

static void note(struct track *t, uint64_t number, uint64_t item)
{
	if (t->count[number]++ == 0 || item < t->min[number])
		t->min[number] = item;
	if (item > t->max[number])
		t->max[number] = item;
}

static bool mark(uint64_t bit)
{
	uint8_t *byte;

	if (bit / 8 >= line->n_marks) {
		uint64_t n = bit / 4 + 4096;

		line->marks = realloc(line->marks, n);
		memset(line->marks + line->n_marks, 0, n - line->n_marks);
		line->n_marks = n;
	}
	byte = &line->marks[bit / 8];
	if (*byte & 1u << bit % 8)
		return false;
	*byte |= (uint8_t)(1u << bit % 8);
	return true;
}

/* ----------------------------------------------------------------------------- the code --- */

static struct code *running(struct pc_stage *st, unsigned index)
{
	struct code *code = (struct code *)(uintptr_t)replica_of(st)->build->desc;

	/* relaxed: a flag that must never be set here */
	if (atomic_load_explicit((_Atomic bool *)(uintptr_t)&code->released,
	                         memory_order_relaxed) ||
	    code->number % 16 != index)
		atomic_fetch_add_explicit(&line->stale, 1, memory_order_relaxed); /* a count */
	return code;
}

static void work(struct pc_stage *st, const struct counter *c)
{
	volatile uint64_t burn = c->spin;

	while (burn > 0)
		burn--;
	if (c->sleep_ns)
		pc_sleep(st, (int64_t)c->sleep_ns);
}

/* relaxed, all: flags of the test */
static void stand_still(struct pc_stage *st, enum role role)
{
	uint64_t bit = UINT64_C(1) << st->replica;

	if (!(atomic_load_explicit(&line->held[role], memory_order_relaxed) & bit)) /* so */
		return;
	atomic_fetch_or_explicit(&line->stands[role], bit, memory_order_relaxed);   /* so */
	while (atomic_load_explicit(&line->held[role], memory_order_relaxed) & bit) /* so */
		doze_us(100);
	atomic_fetch_and_explicit(&line->stands[role], ~bit, memory_order_relaxed); /* so */
}

/* relaxed: a flag and a figure */
static bool told_to_wait(const struct counter *c)
{
	uint64_t limit = atomic_load_explicit(&line->limit, memory_order_relaxed); /* so */

	return atomic_load_explicit(&line->shut, memory_order_relaxed) /* so */ ||
	       (limit > 0 && c->next >= limit);
}

/* relaxed: only flags and figures of the test */
static bool told_to_end(const struct counter *c)
{
	return c->n ? c->next >= c->n
	            : c->next >= line->at_least &&
	                       atomic_load_explicit(&line->enough, memory_order_relaxed);
}

/* A planned failure comes after the state has been changed and something emitted. */
static bool planned(struct pc_stage *st, struct code *code)
{
	uint32_t n;

	if (code->fail_item == 0 ||
	    (code->fail_replica != UINT32_MAX && code->fail_replica != st->replica))
		return false;
	n = ++code->handled[st->replica];
	return n == code->fail_item || (code->fails_on && n > code->fail_item);
}

static int produce(struct pc_stage *st, void *state, unsigned index)
{
	struct counter *c = state;
	struct code *code = running(st, index);
	bool fails = planned(st, code);

	stand_still(st, SOURCE);
	if (told_to_wait(c)) {
		pc_wake_after(st, PC_MS);
		return PC_AGAIN;
	}

	if (c->sleep_ns) {
		int rc = pc_sleep(st, (int64_t)c->sleep_ns);

		if (rc != PC_OK)
			return rc == PC_STOPPED ? PC_END : rc;
	}
	for (uint64_t i = 0; i < c->batch && !told_to_end(c) && !told_to_wait(c); i++) {
		struct number number = {st->replica, c->next, st->replica ^ c->next ^ 42,
		                        code->number, 0};

		if (pc_emit_copy(st, 0, &number, sizeof(number)))
			return pc_fail(st, "emit");
		c->next++;
		c->count++;
	}
	if (fails) {
		c->count += 1000000;
		return pc_fail(st, "planned");
	}
	return told_to_end(c) ? PC_END : PC_OK;
}

static int process(struct pc_stage *st, void *state, struct pc_item *item, unsigned index)
{
	struct counter *c = state;
	struct code *code = running(st, index);
	bool fails = planned(st, code);
	struct number number;

	stand_still(st, code->role);
	memcpy(&number, item->data, sizeof(number));
	work(st, c);
	c->count += fails ? 1000000 : 1;
	if (code->role == SINK) {
		if (fails)
			return pc_fail(st, "planned");
		if (number.check != (number.source ^ number.value ^ 42))
			line->broken++;
		if (!mark(number.value * line->stage[SOURCE]->replicas + number.source))
			line->doubled++;
		atomic_fetch_add_explicit(&line->seen, 1, memory_order_relaxed); /* a count */
		note(&line->track[SOURCE], number.made, number.value);
		note(&line->track[MID], number.done, number.value);
		note(&line->track[SINK], code->number, number.value);
		return PC_OK;
	}
	number.done = code->number;
	for (int i = 0; i < (fails ? 3 : 1); i++)
		if (pc_emit_copy(st, 0, &number, sizeof(number)))
			return pc_fail(st, "emit");
	return fails ? pc_fail(st, "planned") : PC_OK;
}

static int process_batch(struct pc_stage *st, void *state, struct pc_item *const *items,
                         unsigned n, unsigned index)
{
	for (unsigned i = 0; i < n; i++) {
		int rc = process(st, state, items[i], index);

		if (rc)
			return rc;
		pc_done(st);
	}
	return PC_OK;
}

/* Sixteen of each, so that neighbouring builds have different functions. */
#define EACH(M)                                                                                \
	M(0) M(1) M(2) M(3) M(4) M(5) M(6) M(7) M(8) M(9) M(10) M(11) M(12) M(13) M(14) M(15)
#define DEFINE(k)                                                                              \
	static int produce_##k(struct pc_stage *st, void *state)                               \
	{                                                                                      \
		return produce(st, state, k);                                                  \
	}                                                                                      \
	static int process_##k(struct pc_stage *st, void *state, struct pc_item *item)         \
	{                                                                                      \
		return process(st, state, item, k);                                            \
	}                                                                                      \
	static int batch_##k(struct pc_stage *st, void *state, struct pc_item *const *items,   \
	                     unsigned n)                                                       \
	{                                                                                      \
		return process_batch(st, state, items, n, k);                                  \
	}
EACH(DEFINE)
#define ROW(k) {produce_##k, process_##k, batch_##k},
static const struct {
	int (*produce)(struct pc_stage *, void *);
	int (*process)(struct pc_stage *, void *, struct pc_item *);
	int (*batch)(struct pc_stage *, void *, struct pc_item *const *, unsigned);
} functions[16] = {EACH(ROW)};

static int code_open(struct pc_stage *st, void *state)
{
	(void)st;
	(void)state;
	atomic_fetch_add_explicit(&line->opened, 1, memory_order_relaxed); /* a count */
	return PC_OK;
}

static int code_close(struct pc_stage *st, void *state)
{
	const struct counter *c = state;
	const struct code *code =
		(const struct code *)(const void *)replica_of(st)->build->desc;

	/* counts, relaxed, both */
	atomic_fetch_add_explicit(&line->closed, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&line->closed_count[code->role], c->count,
	                          memory_order_relaxed); /* likewise */
	return PC_OK;
}

static const struct pc_port any[] = {{"in", "*", 0, ""}};
static const struct pc_port out[] = {{"out", "*", 0, ""}};

struct code *code_new(enum role role, bool blocking, bool batch)
{
	static const char *const names[N_ROLES] = {"source", "mid", "sink"};
	struct code *code = calloc(1, sizeof(*code));
	uint32_t number = ++line->numbers[role];

	code->role = role;
	code->number = number;
	code->desc.name = names[role];
	code->desc.flags = blocking ? PC_BLOCKING : 0;
	code->desc.state_size = sizeof(struct counter);
	code->desc.open = code_open;
	code->desc.close = code_close;
	if (role != SOURCE) {
		code->desc.inputs = any;
		code->desc.n_inputs = 1;
		code->desc.process = batch ? NULL : functions[number % 16].process;
		code->desc.process_batch = batch ? functions[number % 16].batch : NULL;
	} else {
		code->desc.produce = functions[number % 16].produce;
	}
	if (role != SINK) {
		code->desc.outputs = out;
		code->desc.n_outputs = 1;
	}
	code->next = line->codes;
	line->codes = code;
	return code;
}

static bool code_released(void *user, struct buf *why)
{
	struct code *code = user;

	(void)why;
	atomic_store_explicit(&code->released, true, memory_order_relaxed); /* a flag */
	return true;
}

struct swap_offer code_offer(struct code *code)
{
	return (struct swap_offer){.desc = &code->desc,
	                           .file = "test",
	                           .code = code->hash,
	                           .release = code_released,
	                           .user = code};
}

/* ----------------------------------------------------------------------------- the line --- */

static struct buf log_text;
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;

static void on_log(void *user, int level, const char *stage, const char *text)
{
	(void)user;
	(void)level;
	pthread_mutex_lock(&log_lock);
	buf_addf(&log_text, "%s: %s\n", stage ? stage : "-", text);
	pthread_mutex_unlock(&log_lock);
}

const char *line_log(void)
{
	static char *copy;

	free(copy);
	pthread_mutex_lock(&log_lock);
	copy = strdup(log_text.text ? log_text.text : "");
	pthread_mutex_unlock(&log_lock);
	return copy;
}

bool line_logged(const char *text)
{
	struct timespec moment = {0, 1000000};
	bool found = false;

	for (int i = 0; i < 30000 && !found; i++) {
		found = strstr(line_log(), text) != NULL;
		if (!found)
			nanosleep(&moment, NULL);
	}
	return found;
}

void line_log_clear(void)
{
	buf_fini(&log_text);
	log_text = (struct buf){0};
}

void line_make(const struct line_shape *s)
{
	struct code *code[N_ROLES];
	struct plan_queue *q;

	line_log_clear();
	line = calloc(1, sizeof(*line));
	graph_init(&line->g);
	for (int i = 0; i < N_ROLES; i++) {
		track_init(&line->track[i]);
		line->cuts[i] = calloc(NUMBERS_MAX, sizeof(uint64_t));
		line->cut_numbers[i] = calloc(NUMBERS_MAX, sizeof(uint32_t));
		code[i] = code_new((enum role)i, s->blocking[i], s->batch && i == MID);
	}
	if (s->tune)
		s->tune(code[MID]);
	line->stage[SOURCE] =
		graph_stage(&line->g, "source", &code[SOURCE]->desc, &s->source, s->sources);
	line->stage[MID] =
		s->no_mid ? NULL
			  : graph_stage(&line->g, "mid", &code[MID]->desc,
	                                s->mid_state ? s->mid_state : &s->mid, s->mids);
	line->stage[SINK] = graph_stage(&line->g, "sink", &code[SINK]->desc, &s->sink, 1);
	q = line->q[0] = graph_queue(&line->g, "q0", s->capacity);
	graph_write(&line->g, line->stage[SOURCE], 0, q);
	if (line->stage[MID]) {
		line->stage[MID]->ordered = s->ordered;
		line->stage[MID]->by = s->by;
		if (s->section)
			line->stage[MID]->section = graph_section(&line->g, "s");
		graph_read(&line->g, line->stage[MID], 0, q);
		q = line->q[1] = graph_queue(&line->g, "q1", s->capacity);
		graph_write(&line->g, line->stage[MID], 0, q);
	}
	graph_read(&line->g, line->stage[SINK], 0, q);
}

int line_start(unsigned workers)
{
	struct pc_run_options options = {
		.size = sizeof(options), .workers = workers, .log = on_log};

	return graph_start(&line->g, &options);
}

int line_end(void)
{
	int rc;

	atomic_store_explicit(&line->enough, true, memory_order_relaxed); /* a flag */
	rc = graph_wait(&line->g);
	if (rc != PC_OK)
		printf("# the graph ended with %d: %s\n", rc,
		       pc_error_text(line->g.engine->error));
	return rc;
}

uint64_t line_seen(void)
{
	return atomic_load_explicit(&line->seen, memory_order_relaxed); /* a figure */
}

static bool is_over(void)
{
	struct engine *e = line->g.engine;
	bool over;

	pthread_mutex_lock(&e->lock);
	over = e->ended;
	pthread_mutex_unlock(&e->lock);
	return over;
}

void line_flow(uint64_t items)
{
	uint64_t until = line_seen() + items;
	struct timespec moment = {0, 100000};
	struct buf text = {0};

	for (int i = 0; i < 300000; i++) {
		if (line_seen() >= until || is_over())
			return;
		nanosleep(&moment, NULL);
	}
	pthread_mutex_lock(&line->g.engine->lock);
	explain(line->g.engine, &text);
	pthread_mutex_unlock(&line->g.engine->lock);
	printf("%s\nBail out! the line stands still: %llu of %llu items more have come\n",
	       text.text, (unsigned long long)(line_seen() + items - until),
	       (unsigned long long)items);
	fflush(stdout);
	abort();
}

uint32_t line_stage(enum role role)
{
	return (uint32_t)(line->stage[role] - line->g.stages);
}

void line_note_cut(enum role role, uint32_t number, const struct swap_report *r)
{
	uint32_t n = line->n_cuts[role]++;

	line->cuts[role][n] = r->position;
	line->cut_numbers[role][n] = number;
}

void line_hold(enum role role, uint64_t replicas)
{
	/* relaxed: a flag */
	atomic_store_explicit(&line->held[role], replicas, memory_order_relaxed);
}

void line_held(enum role role, uint64_t replicas)
{
	/* relaxed: a flag */
	while (atomic_load_explicit(&line->stands[role], memory_order_relaxed) != replicas)
		doze_us(100);
}

void line_let_go(enum role role)
{
	line_hold(role, 0);
}

size_t line_fill(unsigned queue)
{
	return queue_fill(line->g.engine->places[queue]->queue);
}

int line_swap_code(struct code *code, unsigned how, struct swap_report *ret,
                   struct pc_error **err)
{
	struct swap_wish wish = {
		.how = how, .timeout_ns = 600 * PC_SEC, .probation_ns = probation_ns};
	struct swap_offer offer = code ? code_offer(code) : (struct swap_offer){0};
	enum role role = code ? code->role : MID;
	int rc = swap_ask(line->g.engine, line_stage(role), code ? &offer : NULL, &wish, ret,
	                  err);

	if (rc == PC_OK && !(how & SWAP_DRY_RUN))
		line_note_cut(role, code ? code->number : ret->to, ret);
	free(ret->words);
	ret->words = NULL;
	return rc;
}

int line_swap(enum role role, unsigned how, struct swap_report *ret)
{
	const struct pc_stage_desc *first = line->stage[role]->desc;
	struct code *code = code_new(role, first->flags & PC_BLOCKING, first->process_batch);
	struct pc_error *err = NULL;
	int rc = line_swap_code(code, how, ret, &err);

	if (rc && rc != PC_STOPPED)
		printf("# swap: %s", pc_error_text(err));
	pc_error_free(err);
	return rc;
}

static void *ask(void *arg)
{
	struct asker *a = arg;
	struct swap_offer offer = code_offer(a->code);
	struct pc_error *err = NULL;

	a->rc = swap_ask(line->g.engine, line_stage(a->code->role), &offer, &a->wish, &a->r,
	                 &err);
	free(a->r.words);
	snprintf(a->said, sizeof(a->said), "%s", pc_error_text(err));
	pc_error_free(err);
	atomic_store_explicit(&a->done, true, memory_order_relaxed); /* a flag of the test */
	return NULL;
}

void ask_begin_so(struct asker *a, struct code *code, const struct swap_wish *wish)
{
	*a = (struct asker){.code = code, .wish = *wish};
	pthread_create(&a->thread, NULL, ask, a);
}

void ask_begin(struct asker *a, struct code *code, int64_t timeout_ns, int64_t wait_ns)
{
	ask_begin_so(a, code,
	             &(struct swap_wish){.timeout_ns = timeout_ns, .probation_ns = wait_ns});
}

void ask_end(struct asker *a)
{
	pthread_join(a->thread, NULL);
	if (a->rc == PC_OK)
		line_note_cut(a->code->role, a->code->number, &a->r);
}

void line_stop(uint32_t how)
{
	atomic_store_explicit(&line->g.engine->stop_asked, how, memory_order_release); /* C5 */
	control_nudge(line->g.engine);
}

/* The items that `number` handled lie between its own cut and the next. */
static bool check_cuts(enum role role, uint64_t total, bool exact)
{
	struct track *t = &line->track[role];
	uint64_t counted = 0, from = 0;
	uint32_t number = 1;

	for (uint32_t i = 0; i <= line->n_cuts[role]; i++) {
		uint64_t to = i < line->n_cuts[role] ? line->cuts[role][i] : UINT64_MAX;

		counted += t->count[number];
		if (t->count[number] > 0) {
			if (exact && (t->min[number] < from || t->max[number] >= to)) {
				printf("# role %d: code %u handled %" PRIu64 "…%" PRIu64
				       ", announced %" PRIu64 "…%" PRIu64 "\n",
				       role, number, t->min[number], t->max[number], from, to);
				return false;
			}
			t->count[number] = 0; /* it may come again */
		}
		from = to;
		if (i < line->n_cuts[role])
			number = line->cut_numbers[role][i];
	}
	if (counted != total)
		printf("# role %d: %" PRIu64 " items on announced code, of %" PRIu64 "\n", role,
		       counted, total);
	return counted == total;
}

bool line_check_counts(enum role role)
{
	uint64_t made = atomic_load_explicit(&line->closed_count[SOURCE], memory_order_relaxed);
	/* relaxed, all: after the end */
	uint64_t counted =
		atomic_load_explicit(&line->closed_count[role], memory_order_relaxed);
	uint32_t stale =
		atomic_load_explicit(&line->stale, memory_order_relaxed); /* likewise */
	bool ok = line_seen() == made && line->doubled == 0 && line->broken == 0 &&
	          counted == made && stale == 0;

	if (!ok)
		printf("# made %" PRIu64 ", seen %" PRIu64 ", doubled %" PRIu64
		       ", broken %" PRIu64 ", counted in states %" PRIu64 ", stale calls %u\n",
		       made, line_seen(), line->doubled, line->broken, counted, stale);
	return ok;
}

bool line_check(enum role role, bool exact)
{
	/* relaxed: after the end */
	uint64_t made = atomic_load_explicit(&line->closed_count[SOURCE], memory_order_relaxed);

	return check_cuts(role, made, exact) && line_check_counts(role);
}

void line_free(void)
{
	graph_fini(&line->g);
	while (line->codes) {
		struct code *next = line->codes->next;

		free(line->codes);
		line->codes = next;
	}
	for (int i = 0; i < N_ROLES; i++) {
		track_fini(&line->track[i]);
		free(line->cuts[i]);
		free(line->cut_numbers[i]);
	}
	free(line->marks);
	free(line);
	line = NULL;
	line_log_clear();
}

/* ---------------------------------------------------------------------------------- TAP --- */

static int n_tests, n_failed;

void doze_us(long us)
{
	struct timespec t = {us / 1000000, us % 1000000 * 1000};

	nanosleep(&t, NULL);
}

void report(bool ok, const char *what)
{
	n_tests++;
	n_failed += !ok;
	if (!ok && line) {
		const char *text = line_log();
		size_t size = strlen(text);

		printf("# the end of the log:\n# %s\n", text + (size > 1500 ? size - 1500 : 0));
	}
	printf("%s %d - %s\n", ok ? "ok" : "not ok", n_tests, what);
	fflush(stdout);
}

int tap_end(void)
{
	printf("1..%d\n", n_tests);
	return n_failed != 0;
}
