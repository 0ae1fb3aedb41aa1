/* stress/swap/trust.c: one replica trusts a build, the other still tries it, and the next build comes.
 *
 * Two replicas with threads of their own. Replica 1 stands in its first item on v2, which will fail;
 * replica 0 has done enough of them to trust v2. What comes next leads back to v2, so from then on
 * nobody may go back from v2 to v1 on his own account: he would be where no way leads from, with
 * another state than the one that the way back is made for. */
#include "common.h"

enum { NUMBERS = 8 };

/* relaxed throughout: flags of the test. By the number of a build: replica 1 waits in its next item;
 * it does so now; that item fails. */
static _Atomic bool gate[NUMBERS], stands[NUMBERS], fails[NUMBERS], fails_first[NUMBERS];
static _Atomic bool open_waits;

static bool is(const _Atomic bool *flag)
{
	return atomic_load_explicit((_Atomic bool *)(uintptr_t)flag, memory_order_relaxed);
}

static void set(_Atomic bool *flag, bool to)
{
	atomic_store_explicit(flag, to, memory_order_relaxed);
}

/* Within a minute. */
static bool comes(const _Atomic bool *flag)
{
	for (int i = 0; i < 600000 && !is(flag); i++)
		doze_us(100);
	return is(flag);
}

static int process(struct pc_stage *st, void *state, struct pc_item *item)
{
	const struct code *code =
		(const struct code *)(const void *)replica_of(st)->build->desc;
	uint32_t n = code->number;
	struct counter *c = state;
	struct number number;
	bool failing;

	if (st->replica == 1 && is(&gate[n])) {
		set(&stands[n], true);
		while (is(&gate[n]))
			doze_us(100);
	}
	memcpy(&number, item->data, sizeof(number));
	number.done = n;
	if (pc_emit_copy(st, 0, &number, sizeof(number)))
		return pc_fail(st, "emit");
	/* relaxed: as all */
	failing = atomic_exchange_explicit(st->replica == 1 ? &fails[n] : &fails_first[n],
	                                   false, memory_order_relaxed);
	c->count += failing ? 1000000 : 1;
	return failing ? pc_fail(st, "planned") : PC_OK;
}

/* On the control thread, which has just seen that nobody has gone back; now somebody does. */
static int open_late(struct pc_stage *st, void *state)
{
	(void)st;
	(void)state;
	/* a count, relaxed */
	atomic_fetch_add_explicit(&line->opened, 1, memory_order_relaxed);
	if (!is(&open_waits))
		return PC_OK;
	set(&open_waits, false);
	set(&gate[1], true);
	set(&stands[1], false);
	set(&fails[2], true);
	set(&gate[2], false);
	comes(&stands[1]); /* it does its item once more, on v1 */
	set(&gate[1], false);
	return PC_OK;
}

static const struct pc_field fields[] = {
	{"counter", PC_T_U64, 6, 0, sizeof(uint64_t)},
	{"more", PC_T_U64, 64, sizeof(struct counter), sizeof(uint64_t)}};
_Static_assert(sizeof(struct counter) == 6 * sizeof(uint64_t), "as the table says");

static void plain(struct code *c)
{
	c->desc.process = process;
	c->desc.fields = fields;
	c->desc.n_fields = 1;
}

/* Like that one in size, and it says nothing of what is in it. */
static void bare(struct code *c)
{
	plain(c);
	c->desc.n_fields = 0;
}

static const struct pc_field other_fields[] = {
	{"head", PC_T_U64, 1, 0, sizeof(uint64_t)},
	{"tail", PC_T_U64, 5, sizeof(uint64_t), sizeof(uint64_t)}};

static void renamed(struct code *c)
{
	plain(c);
	c->desc.fields = other_fields;
	c->desc.n_fields = 2;
}

static void wide(struct code *c)
{
	plain(c);
	c->desc.state_size += 64 * sizeof(uint64_t);
	c->desc.n_fields = 2;
}

static struct code *build(void (*tune)(struct code *))
{
	struct code *c = code_new(MID, true, false);

	tune(c);
	return c;
}

static void begin(void)
{
	static const struct line_shape shape = {.sources = 1,
	                                        .mids = 2,
	                                        .capacity = 64,
	                                        .blocking = {false, true, false},
	                                        .workers = 2,
	                                        .source = {.batch = 16},
	                                        .tune = plain};

	for (int i = 0; i < NUMBERS; i++) {
		set(&gate[i], false);
		set(&stands[i], false);
		set(&fails[i], false);
		set(&fails_first[i], false);
	}
	line_make(&shape);
	line->stage[MID]->on_error = PLAN_SKIP;
	line_start(2);
	line_flow(300);
}

/* v2 is live; replica 1 stands in its first item, replica 0 has done many. */
static bool half_trusted(struct asker *a, void (*tune)(struct code *))
{
	set(&gate[2], true);
	ask_begin(a, build(tune), 60 * PC_SEC, 60 * PC_SEC);
	if (!comes(&stands[2])) {
		ask_end(a);
		printf("# %s\n", a->said);
		return false;
	}
	line_flow(2 * SWAP_PROBATION);
	return line_logged("v1 -> v2 live");
}

static uint64_t made(void)
{
	/* relaxed: after the end */
	return atomic_load_explicit(&line->closed_count[SOURCE], memory_order_relaxed);
}

static void end(bool ok, uint64_t lost, const char *what)
{
	int rc = line_end();

	if (rc != PC_OK || line_seen() + lost != made() || line->doubled)
		printf("# result %d, made %" PRIu64 ", seen %" PRIu64 ", doubled %" PRIu64 "\n",
		       rc, made(), line_seen(), line->doubled);
	report(ok && rc == PC_OK && line_seen() + lost == made() && line->doubled == 0 &&
	               line->broken == 0,
	       what);
	line_free();
}

/* The next build is begun, and undone, while replica 1 is in its item. It has no way back to v1 then:
 * on_error decides, as for any build that is trusted. */
static void closed(void)
{
	struct asker second, third;
	bool ok;

	begin();
	ok = half_trusted(&second, wide);
	doze_us(1200000); /* so that v3 leads back to v2, not to v1 */
	set(&fails_first[3], true);
	ask_begin(&third, build(wide), 60 * PC_SEC, 60 * PC_SEC);
	for (int i = 0; i < 600000 && is(&fails_first[3]); i++)
		doze_us(100);
	doze_us(100000); /* the others are on their way back to v2, or there */
	set(&fails[2], true);
	set(&gate[2], false);
	line_flow(500);
	ask_end(&third);
	ask_end(&second);
	ok = ok && second.rc == PC_OK && third.rc == PC_ERROR &&
	     strstr(third.said, "back on v2") && strstr(line_log(), "item skipped: planned");
	if (!ok)
		printf("# v2: %d %s\n# v3: %d %s\n", second.rc, second.said, third.rc,
		       third.said);
	end(ok, 1,
	    "begun while another replica tries the last one: that has no way back any more");
}

/* It fails when the next build is all but begun: the failure comes first, and then the build. */
static void again(void)
{
	struct asker second, third;
	struct code *c;
	bool ok;

	begin();
	ok = half_trusted(&second, plain);
	set(&open_waits, true);
	c = build(plain);
	c->desc.open = open_late;
	ask_begin_so(&third, c,
	             &(struct swap_wish){.how = SWAP_RESET, .timeout_ns = 60 * PC_SEC});
	ask_end(&third);
	line_flow(500);
	ask_end(&second);
	ok = ok && second.rc == PC_ERROR && strstr(second.said, "back on v1") &&
	     third.rc == PC_OK && third.r.from == 1 && third.r.to == 3;
	if (!ok)
		printf("# v2: %d %s\n# v3: %d, %u -> %u %s\n", second.rc, second.said, third.rc,
		       third.r.from, third.r.to, third.said);
	end(ok, 0, "a failure just before the next build begins: first that, then the build");
}

/* v1 and v2 are alike, and v2 and v3, but from v3 to v1 fields would have to be copied into a state
 * that nobody has put aside. */
static void unlike(void)
{
	struct asker second, third;
	bool ok;

	begin();
	ok = half_trusted(&second, bare);
	set(&fails_first[3], true);
	ask_begin(&third, build(renamed), 60 * PC_SEC, 60 * PC_SEC);
	for (int i = 0; i < 600000 && is(&fails_first[3]); i++)
		doze_us(100);
	set(&gate[2], false);
	line_flow(500);
	ask_end(&third);
	ask_end(&second);
	ok = ok && third.rc == PC_ERROR && strstr(third.said, "back on v2");
	if (!ok)
		printf("# v2: %d %s\n# v3: %d %s\n", second.rc, second.said, third.rc,
		       third.said);
	end(ok, 0,
	    "the build before the last is unlike the new one: that leads back to the last");
}

int main(void)
{
	closed();
	unlike();
	again();
	return tap_end();
}
