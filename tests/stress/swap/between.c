/* stress/swap/between.c: what stands between the stages of a set, and around it. Scenario 35 of
 * README.md.
 *
 *   source -> a -> x -> b -> sink     x passes on what comes: it rests with the set, or old items
 *                                     would come out of it in front of the new b
 *
 * and graphs in which a set can not be: a stage outside fills the queue between them as well, or
 * they feed each other in a circle. There nothing may change, and the message names the stage. */
#include "common.h"

#include "base/error.h"

struct parcel {
	uint64_t value;
	uint32_t kind;
};

struct part {
	struct pc_stage_desc desc; /* first */
	uint32_t in, out;
	struct pc_port ports[2];
	char types[2][24];
};

/* TAP wants a # in front of each line. */
static void print_error(const struct pc_error *err)
{
	for (const char *at = pc_error_text(err); *at; at += strcspn(at, "\n") + 1) {
		printf("# %.*s\n", (int)strcspn(at, "\n"), at);
		if (!at[strcspn(at, "\n")])
			break;
	}
}

static struct {
	struct graph g;
	_Atomic uint64_t wrong_kind, arrived;
	uint64_t out_of_order;
	_Atomic bool enough;
} all;

/* relaxed, all in this file: flags and figures of the test */
static uint64_t figure(const _Atomic uint64_t *at)
{
	return atomic_load_explicit((_Atomic uint64_t *)(uintptr_t)at, memory_order_relaxed);
}

static void count(_Atomic uint64_t *at, bool on)
{
	atomic_fetch_add_explicit(at, on, memory_order_relaxed); /* so */
}

static struct part *part_of(struct pc_stage *st)
{
	return (struct part *)(uintptr_t)replica_of(st)->build->desc;
}

static int produce(struct pc_stage *st, void *state)
{
	uint64_t *next = state;
	struct parcel parcel = {*next, part_of(st)->out};

	++*next;
	if (pc_emit_copy(st, 0, &parcel, sizeof(parcel)))
		return pc_fail(st, "emit");
	return atomic_load_explicit(&all.enough, memory_order_relaxed) ? PC_END
	                                                               : PC_OK; /* so */
}

static int process(struct pc_stage *st, void *state, struct pc_item *item)
{
	struct part *p = part_of(st);
	struct parcel parcel;

	(void)state;
	memcpy(&parcel, item->data, sizeof(parcel));
	count(&all.wrong_kind, p->in && parcel.kind != p->in);
	parcel.kind = p->out ? p->out : parcel.kind;
	return pc_emit_copy(st, 0, &parcel, sizeof(parcel));
}

static int arrive(struct pc_stage *st, void *state, struct pc_item *item)
{
	uint64_t *next = state;
	struct parcel parcel;

	(void)st;
	memcpy(&parcel, item->data, sizeof(parcel));
	all.out_of_order += parcel.value != *next;
	++*next;
	count(&all.arrived, true);
	return PC_OK;
}

/* 0: what comes in is what goes out. */
static struct part *part_new(const char *name, uint32_t in, uint32_t out, bool first, bool last)
{
	struct part *p = calloc(1, sizeof(*p));

	p->in = in;
	p->out = out;
	snprintf(p->types[0], sizeof(p->types[0]), in ? "kind/%u" : "*", in);
	snprintf(p->types[1], sizeof(p->types[1]), out ? "kind/%u" : "=in", out);
	p->ports[0] = (struct pc_port){"in", p->types[0], 0, ""};
	p->ports[1] = (struct pc_port){"out", p->types[1], 0, ""};
	p->desc = (struct pc_stage_desc){.name = name,
	                                 .inputs = first ? NULL : &p->ports[0],
	                                 .n_inputs = !first,
	                                 .outputs = last ? NULL : &p->ports[1],
	                                 .n_outputs = !last,
	                                 .state_size = sizeof(uint64_t),
	                                 .produce = first ? produce : NULL,
	                                 .process = last    ? arrive
	                                            : first ? NULL
	                                                    : process};
	return p;
}

static bool part_release(void *user, struct buf *why)
{
	struct part *p = user;

	(void)why;
	memset(&p->desc, 0x5a, sizeof(p->desc));
	free(p);
	return true;
}

enum { PARTS = 5 };

static struct part *first[PARTS];

static struct plan_stage *add(uint32_t i, struct part *p, uint32_t replicas)
{
	struct plan_stage *s = graph_stage(&all.g, p->desc.name, &p->desc, NULL, replicas);

	first[i] = p;
	s->ordered = replicas > 1;
	return s;
}

static void wire(struct plan_stage *from, struct plan_stage *to, const char *name)
{
	struct plan_queue *q = graph_queue(&all.g, name, 16);

	graph_write(&all.g, from, 0, q);
	graph_read(&all.g, to, 0, q);
}

static int begin(void)
{
	struct pc_run_options options = {.size = sizeof(options), .workers = 2};

	return graph_start(&all.g, &options);
}

/* Two stages, to other kinds. */
static int swap_two(uint32_t one, struct part *to_one, uint32_t two, struct part *to_two,
                    struct pc_error **err)
{
	struct part *to[2] = {to_one, to_two};
	uint32_t index[2] = {one, two};
	struct swap_set_member members[2] = {0};
	int rc;

	for (int i = 0; i < 2; i++) {
		members[i].stage = all.g.engine->stages[index[i]];
		members[i].how = SWAP_SET;
		members[i].offer = (struct swap_offer){.desc = &to[i]->desc,
		                                       .file = "test",
		                                       .release = part_release,
		                                       .user = to[i]};
	}
	rc = swap_set_ask(all.g.engine, members, 2, false, 300 * PC_SEC, err);
	for (int i = 0; i < 2; i++)
		free(members[i].report.words);
	return rc;
}

static bool end(void)
{
	int rc;

	atomic_store_explicit(&all.enough, true, memory_order_relaxed); /* a flag */
	rc = graph_wait(&all.g);
	if (rc != PC_OK || figure(&all.wrong_kind) || all.out_of_order)
		printf("# ended with %d; %" PRIu64 " items, %" PRIu64
		       " of a wrong kind, %" PRIu64 " out of order\n",
		       rc, figure(&all.arrived), figure(&all.wrong_kind), all.out_of_order);
	graph_fini(&all.g);
	for (uint32_t i = 0; i < PARTS; i++)
		free(first[i]);
	memset(first, 0, sizeof(first));
	return rc == PC_OK && figure(&all.wrong_kind) == 0 && all.out_of_order == 0;
}

static void forget(void)
{
	memset(&all, 0, sizeof(all));
	graph_init(&all.g);
}

/* x, with as many replicas, hands on what a sends. */
static void between(uint32_t replicas)
{
	struct pc_error *err = NULL;
	struct plan_stage *s[PARTS];
	int rc, good = 0;
	char what[80];

	forget();
	s[0] = add(0, part_new("source", 0, 1, true, false), 1);
	s[1] = add(1, part_new("a", 1, 2, false, false), 2);
	s[2] = add(2, part_new("x", 0, 0, false, false), replicas);
	s[3] = add(3, part_new("b", 2, 3, false, false), 2);
	s[4] = add(4, part_new("sink", 3, 0, false, true), 1);
	for (int i = 0; i + 1 < PARTS; i++)
		wire(s[i], s[i + 1], s[i]->name);
	rc = begin();
	for (uint32_t kind = 4; kind < 104 && rc == PC_OK; kind++) {
		rc = swap_two(1, part_new("a", 1, kind, false, false), 3,
		              part_new("b", kind, 3, false, false), &err);
		good += rc == PC_OK;
		doze_us(200);
	}
	print_error(err);
	snprintf(what, sizeof(what), "a stage between two of a set, of %u replicas", replicas);
	report(end() && good == 100, what);
	pc_error_free(err);
}

/* w goes on filling the queue of b. */
static void filled_by_others(void)
{
	struct pc_error *err = NULL, *err2 = NULL;
	struct plan_stage *s[PARTS];
	bool ok;
	int rc;

	forget();
	s[0] = add(0, part_new("source", 0, 1, true, false), 1);
	s[1] = add(1, part_new("a", 1, 2, false, false), 1);
	s[2] = add(2, part_new("w", 1, 2, false, false), 1);
	s[3] = add(3, part_new("b", 2, 3, false, false), 1);
	s[4] = add(4, part_new("sink", 3, 0, false, true), 1);
	wire(s[0], s[1], "to a");
	graph_read(&all.g, s[2], 0, &all.g.queues[0]);
	wire(s[1], s[3], "to b");
	graph_write(&all.g, s[2], 0, &all.g.queues[1]);
	wire(s[3], s[4], "to sink");
	s[4]->desc = &first[4]->desc;
	rc = begin();
	rc = rc ? rc
	        : swap_two(1, part_new("a", 1, 4, false, false), 3,
	                   part_new("b", 4, 3, false, false), &err);
	ok = rc == PC_WRONG &&
	     strstr(pc_error_text(err),
	            "output 'out' of 'w' would send kind/2, but input 'in' of "
	            "'b' takes kind/4: swap 'w' with them, or restart");
	print_error(err);
	/* one that is handed on may not mix, either: x is between, and takes anything */
	rc = swap_two(1, part_new("a", 1, 2, false, false), 3,
	              part_new("b", 2, 3, false, false), &err2);
	ok = rc == PC_OK && ok;
	print_error(err2);
	atomic_store_explicit(&all.enough, true, memory_order_relaxed); /* a flag */
	graph_wait(&all.g);
	all.out_of_order = 0; /* a and w race */
	report(end() && ok, "a stage outside fills the queue between them");
	pc_error_free(err);
	pc_error_free(err2);
}

/* source and w -> x -> b: what w sends can't be told from the old items of a. */
static void mixed_in_between(void)
{
	struct pc_error *err = NULL;
	struct plan_stage *s[PARTS];
	bool ok;
	int rc;

	forget();
	s[0] = add(0, part_new("w", 0, 7, true, false), 1);
	s[1] = add(1, part_new("a", 0, 2, true, false), 1);
	s[2] = add(2, part_new("x", 0, 0, false, false), 1);
	s[3] = add(3, part_new("b", 0, 3, false, false), 1);
	s[4] = add(4, part_new("sink", 3, 0, false, true), 1);
	wire(s[0], s[2], "to x");
	graph_write(&all.g, s[1], 0, &all.g.queues[0]);
	wire(s[2], s[3], "to b");
	wire(s[3], s[4], "to sink");
	rc = begin();
	/* to what w sends: then all is of one kind, but for what is still there */
	rc = rc ? rc
	        : swap_two(1, part_new("a", 0, 7, true, false), 3,
	                   part_new("b", 7, 3, false, false), &err);
	ok = rc == PC_WRONG && strstr(pc_error_text(err), "because 'w' goes on filling it");
	print_error(err);
	atomic_store_explicit(&all.enough, true, memory_order_relaxed); /* a flag */
	graph_wait(&all.g);
	all.out_of_order = 0; /* two sources */
	report(end() && ok, "old items and those of another can't be told apart: refused");
	pc_error_free(err);
}

static void circle(void)
{
	static const struct pc_port two[] = {{"in", "*", 0, ""}, {"side", "*", 0, ""}};
	struct pc_error *err = NULL;
	struct plan_stage *s[PARTS];
	struct plan_queue *side;
	struct part *a;
	bool ok;
	int rc;

	forget();
	a = part_new("a", 0, 2, false, false);
	a->desc.inputs = two;
	a->desc.n_inputs = 2;
	s[0] = add(0, part_new("source", 0, 1, true, false), 1);
	s[1] = add(1, a, 1);
	s[2] = add(2, part_new("b", 2, 2, false, false), 1);
	s[3] = add(3, part_new("sink", 0, 0, false, true), 1);
	wire(s[0], s[1], "to a");
	wire(s[1], s[2], "to b");
	wire(s[2], s[3], "to sink");
	side = graph_queue(&all.g, "side", 16);
	graph_write(&all.g, s[0], 0, side);
	graph_read(&all.g, s[1], 1, side);
	rc = begin();
	/* From here on the plan says that b fills it. It does not, but that is all one to the check. */
	s[0]->outputs[0].n_queues = 1;
	side->n_writers = 0;
	graph_write(&all.g, s[2], 0, side);
	a = part_new("a", 0, 4, false, false);
	a->desc.inputs = two;
	a->desc.n_inputs = 2;
	rc = rc ? rc : swap_two(1, a, 2, part_new("b", 4, 4, false, false), &err);
	ok = rc == PC_WRONG &&
	     strstr(pc_error_text(err), "'a', 'b' feed each other in a circle");
	print_error(err);
	atomic_store_explicit(&all.enough, true, memory_order_relaxed); /* a flag */
	graph_wait(&all.g);
	all.out_of_order = 0; /* each comes twice */
	report(end() && ok, "stages that feed each other are no set");
	pc_error_free(err);
}

int main(void)
{
	between(1);
	between(3);
	filled_by_others();
	mixed_in_between();
	circle();
	return tap_end();
}
