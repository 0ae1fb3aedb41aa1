/* stress/swap/fill.c: every way of a swap with 1, 2, 4 and 8 replicas, in order and not, while the
 * queues are empty, half full and full. Scenarios 28, 29, 38 and 40 of README.md.
 *
 * The sink has a thread of its own and is held in its first item. With full queues every replica
 * of the mid has output in its hands that nobody takes: a swap may not need an item to move. */
#include "common.h"

enum fill { EMPTY, HALF, FULL };

#define CAPACITY 64

/* The same state, and a later layout of it. */
struct wider {
	struct counter c;
	uint64_t more;
};

#define FIELD(f)                                                                               \
	{                                                                                      \
#f, PC_T_U64, 1, offsetof(struct counter, f), sizeof(uint64_t)                 \
	}
static const struct pc_field fields[] = {
	FIELD(n),
	FIELD(batch),
	FIELD(spin),
	FIELD(count),
	FIELD(next),
	FIELD(sleep_ns),
	{"more", PC_T_U64, 1, offsetof(struct wider, more), sizeof(uint64_t)}};

static int migrate(struct pc_stage *st, uint32_t old_version, const void *old_state,
                   size_t old_size, void *new_state)
{
	(void)st;
	(void)old_version;
	memcpy(new_state, old_state,
	       old_size < sizeof(struct counter) ? old_size : sizeof(struct counter));
	return PC_OK;
}

static void narrow(struct code *c)
{
	c->desc.fields = fields;
	c->desc.n_fields = 6;
}

static void wide(struct code *c)
{
	c->desc.fields = fields;
	c->desc.n_fields = 7;
	c->desc.state_size = sizeof(struct wider);
}

static void later(struct code *c)
{
	narrow(c);
	c->desc.state_version = 1;
	c->desc.migrate = migrate;
}

static bool swap_mid(void (*tune)(struct code *))
{
	struct code *code = code_new(MID, false, line->stage[MID]->desc->process_batch);
	struct swap_report r;

	tune(code);
	return line_swap_code(code, 0, &r, NULL) == PC_OK;
}

/* Adopted, mapped to a larger state and back, migrated, adopted; and the source between them. */
static bool every_way(void)
{
	struct swap_report r;

	return swap_mid(narrow) && swap_mid(wide) && line_swap(SOURCE, 0, &r) == PC_OK &&
	       swap_mid(narrow) && swap_mid(narrow);
}

/* As full as was asked; who makes more items waits for a free place, or to be told. */
static void fill_up(enum fill fill)
{
	uint64_t limit = 1;

	/* relaxed, all: flags */
	if (fill == EMPTY) {
		atomic_store_explicit(&line->shut, true, memory_order_relaxed); /* so */
		return;
	}
	line_hold(SINK, 1);
	atomic_store_explicit(&line->shut, false, memory_order_relaxed); /* so */
	if (fill == FULL) {
		while (line_fill(0) < CAPACITY || line_fill(1) < CAPACITY)
			doze_us(100);
		return;
	}
	while (line_fill(0) < CAPACITY / 2) {
		/* so */
		atomic_store_explicit(&line->limit, limit++, memory_order_relaxed);
		doze_us(limit % 16 ? 0 : 1000);
	}
}

static void empty(void)
{
	line_let_go(SINK);
	/* relaxed, both: flags */
	atomic_store_explicit(&line->limit, 0, memory_order_relaxed);    /* so */
	atomic_store_explicit(&line->shut, false, memory_order_relaxed); /* so */
}

static void run(uint32_t mids, enum fill fill, const char *order)
{
	static const char *const fills[] = {"empty", "half full", "full"};
	struct line_shape shape = {.what = "",
	                           .sources = 1,
	                           .mids = mids,
	                           .capacity = CAPACITY,
	                           .blocking = {[SINK] = true},
	                           .ordered = order[0] == 'o',
	                           .section = order[0] == 'c',
	                           .batch = order[0] == 'b',
	                           .source = {.batch = 16},
	                           .tune = narrow};
	char what[128];
	bool ok;
	int rc;

	line_make(&shape);
	/* relaxed: no other thread yet */
	atomic_store_explicit(&line->shut, true, memory_order_relaxed);
	ok = line_start(2) == PC_OK;
	fill_up(fill);
	ok = ok && every_way() && swap_mid(later) && swap_mid(later);
	empty();
	line_flow(300);
	ok = ok && swap_mid(later) && swap_mid(later);
	line_flow(300);
	rc = line_end();
	snprintf(what, sizeof(what), "%u replicas, %s, queues %s: every way", mids, order,
	         fills[fill]);
	report(line_check(MID, true) && line_check(SOURCE, true) && ok && rc == PC_OK, what);
	line_free();
}

int main(void)
{
	static const char *const orders[] = {"any order", "ordered", "critical", "batches"};

	for (uint32_t mids = 1; mids <= 8; mids *= 2)
		for (int fill = EMPTY; fill <= FULL; fill++)
			for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++)
				run(mids, (enum fill)fill, orders[i]);
	return tap_end();
}
