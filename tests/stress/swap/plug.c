/* stress/swap/plug.c: the stages of real.c as shared objects, one per -DPLUG_…: see meson.build.
 *
 * PLUG_NUMBERS makes numbers, PLUG_TALLY fails when one is missing, doubled or out of order.
 * PLUG_MID passes them on and counts them; each build of it has a PLUG_VERSION, and some do what
 * makes unloading hard. */
#include <pcrun/stage.h>

#include <stdatomic.h>
#include <string.h>

#ifdef PLUG_NUMBERS
struct numbers {
	uint64_t next;
};

static int numbers_produce(struct pc_stage *st, void *state)
{
	struct numbers *s = state;

	for (int i = 0; i < 256; i++, s->next++)
		if (pc_emit_copy(st, 0, &s->next, sizeof(s->next)))
			return pc_fail(st, "emit");
	/* Not at full speed: this is about what swaps leave behind, not what queues pool. */
	pc_wake_after(st, PC_MS);
	return PC_AGAIN;
}

static const struct pc_port out[] = {{"out", "u64", 0, "numbers"}};

PC_STAGE(.name = "numbers", .doc = "0, 1, 2, …", PC_OUTPUTS(out), PC_STATE(struct numbers),
         .produce = numbers_produce);
#endif

#ifdef PLUG_TALLY
struct tally {
	uint64_t next;
};

static int tally_process(struct pc_stage *st, void *state, struct pc_item *item)
{
	struct tally *s = state;
	uint64_t value;

	memcpy(&value, item->data, sizeof(value));
	if (value != s->next)
		return pc_fail(st, "%llu came instead of %llu", (unsigned long long)value,
		               (unsigned long long)s->next);
	s->next++;
	pc_progress(st, s->next, 0);
	return PC_OK;
}

static const struct pc_port in[] = {{"in", "u64", 0, "numbers"}};

PC_STAGE(.name = "tally", .doc = "all of them, in order", PC_INPUTS(in), PC_STATE(struct tally),
         .process = tally_process);
#endif

#ifdef PLUG_MID
struct mid {
	uint64_t count;
	const char *name; /* of whoever opened it: points into that image */
};

#ifdef PLUG_RCU
#include <stdlib.h>
#include <unistd.h>
#include <urcu/urcu-memb.h>

/* Its code runs when the test says so, by a byte in a pipe: the build may long be replaced. */
static void later(struct rcu_head *head)
{
	const char *gate = getenv("PLUG_GATE");
	char byte;

	while (gate && read(atoi(gate), &byte, 1) < 0)
		;
	free(head);
}

static void leave_behind(void)
{
	static _Atomic bool left;
	struct rcu_head *head = NULL;

	if (!atomic_exchange_explicit(&left, true, memory_order_relaxed)) /* a flag */
		head = malloc(sizeof(*head));
	if (head)
		urcu_memb_call_rcu(head, later);
}
#elif defined(PLUG_THREAD)
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

/* It is not joined by anybody: it ends when the test says so. */
static void *work(void *arg)
{
	const char *gate = getenv("PLUG_GATE");
	char byte;

	while (gate && read(atoi(gate), &byte, 1) < 0)
		;
	return arg;
}

static void leave_behind(void)
{
	static _Atomic bool left;
	pthread_t thread;

	if (!atomic_exchange_explicit(&left, true, memory_order_relaxed) && /* a flag */
	    pthread_create(&thread, NULL, work, NULL) == 0)
		pthread_detach(thread);
}
#else
static void leave_behind(void)
{
}
#endif

static const char name[] = "v" PLUG_VERSION;

static int mid_open(struct pc_stage *st, void *state)
{
	struct mid *s = state;

	(void)st;
#ifdef PLUG_POINTS
	s->name = name;
#else
	s->name = NULL;
#endif
	return PC_OK;
}

static int mid_process(struct pc_stage *st, void *state, struct pc_item *item)
{
	static __thread bool said;
	struct mid *s = state;

	if (!said)
		pc_log(st, PC_INFO, "here is %s", name);
	said = true;
	s->count++;
	leave_behind();
	return pc_pass(st, 0, item);
}

static const struct pc_port in[] = {{"in", "u64", 0, "numbers"}};
static const struct pc_port out[] = {{"out", "u64", 0, "the same"}};
static const struct pc_field mid_fields[] = {
	{"count", PC_T_U64, 1, offsetof(struct mid, count), sizeof(uint64_t)},
	{"name", PC_T_STRING, 1, offsetof(struct mid, name), sizeof(char *)}};

PC_STAGE(.name = "mid", .doc = "pass on, and count", .version = name, PC_INPUTS(in),
         PC_OUTPUTS(out), PC_STATE(struct mid), PC_FIELDS(mid_fields), .open = mid_open,
         .process = mid_process);
#endif
