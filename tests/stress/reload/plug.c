/* stress/reload/plug.c: the stages of the reload tests; one file, several plugins.
 *
 *   PLUG_SOURCE  numbers its items; ends after `count` of them, or when it is stopped; keeps to at most
 *                `ahead` of them under way
 *   PLUG_PASS    passes items on; holds back up to `hold` of them until finish(), or until there are
 *                `together` of them
 *   PLUG_PAIR    takes the same item by two ways, in the same order, and passes one on
 *   PLUG_ROUND   sends each item round `times` times, then out
 *   PLUG_SINK    tells the oracle
 */
#include "oracle.h"

#include <pcrun/stage.h>
#include <string.h>

#if defined(PLUG_SOURCE)

struct source {
	uint64_t count, burst, ahead, gated;
	int64_t pause, nap;
	uint64_t id, next;
};

static int open_source(struct pc_stage *st, void *state)
{
	struct source *s = state;

	(void)st;
	s->id = oracle()->begins();
	return PC_OK;
}

static int produce(struct pc_stage *st, void *state)
{
	struct source *s = state;
	uint64_t end = s->ahead ? oracle()->has_seen(s->id) + s->ahead : s->count;

	end = end < s->count ? end : s->count;
	if (s->gated)
		oracle()->gate();
	if (s->nap > 0) {
		int rc = pc_sleep(st, s->nap);

		if (rc)
			return rc == PC_STOPPED ? PC_END : rc;
	}
	for (uint64_t i = 0; i < s->burst && s->next < end; i++) {
		struct numbered n = {.source = s->id, .number = s->next};
		int rc;

		n.check = (n.source << 40) ^ n.number ^ UINT64_C(0x5bd1e995);
		rc = pc_emit_copy(st, 0, &n, sizeof(n));
		if (rc)
			return rc;
		s->next++;
	}
	if (s->next >= s->count)
		return PC_END;
	if (s->pause > 0) {
		pc_wake_after(st, s->pause);
		return PC_AGAIN;
	}
	return PC_OK;
}

static int close_source(struct pc_stage *st, void *state)
{
	struct source *s = state;

	(void)st;
	oracle()->ends(s->id, s->next);
	return PC_OK;
}

static const struct pc_port outputs[] = {{"out", "u64", 0, "numbers"}};
static const struct pc_param params[] = {
	{"count", PC_T_U64, PC_LIVE, PC_FIELD(struct source, count, uint64_t), "1000000000000",
         NULL, NULL, NULL, "how many"},
	{"burst", PC_T_U64, PC_LIVE, PC_FIELD(struct source, burst, uint64_t), "16", "1..256",
         NULL, NULL, "items per call"},
	PC_PARAM_U64(struct source, ahead, "0", NULL, NULL,
                     "items that may be under way; 0: any number"),
	PC_PARAM_U64(struct source, gated, "0", NULL, NULL, "each call waits at the gate"),
	PC_PARAM_DURATION(struct source, nap, "0", NULL,
                          "each call sleeps first, with thread=own"),
	PC_PARAM_DURATION(struct source, pause, "0", NULL, "between calls"),
};

PC_STAGE(.name = "source", .doc = "numbers", PC_OUTPUTS(outputs), PC_PARAMS(params),
         PC_STATE(struct source), .open = open_source, .produce = produce,
         .close = close_source);

#elif defined(PLUG_PASS)

/* Added to `live` by a later build. */
#ifndef LATER
#define LATER 0
#endif

struct pass {
	uint64_t live, hold, together, fails, gated, lingers, waits;
	uint64_t n, count;
	struct pc_item *held[64];
};

/* open() and close() of a stage are called one at a time. */
static unsigned inside;

static void enter(void)
{
	if (__atomic_fetch_add(&inside, 1, __ATOMIC_SEQ_CST) != 0)
		abort();
}

static void leave(void)
{
	__atomic_fetch_sub(&inside, 1, __ATOMIC_SEQ_CST);
}

static int open_pass(struct pc_stage *st, void *state)
{
	const struct pass *s = state;

	if (s->waits) {
		enter();
		oracle()->gate();
		leave();
	}
	return s->fails ? pc_fail(st, "told to fail") : PC_OK;
}

static int emit_held(struct pc_stage *st, struct pass *s)
{
	int rc = PC_OK;

	for (uint64_t i = 0; i < s->n && rc == PC_OK; i++)
		rc = pc_emit(st, 0, s->held[i]);
	s->n = 0;
	return rc;
}

static int process(struct pc_stage *st, void *state, struct pc_item *item)
{
	struct pass *s = state;
	struct numbered n;

	if (s->gated)
		oracle()->gate();
#ifdef BOMB
	if (oracle()->is_armed())
		return pc_fail(st, "armed");
#endif
	memcpy(&n, item->data, sizeof(n));
	n.live = s->live + LATER;
	s->count++;
	if (s->together) {
		s->held[s->n++] = pc_item_ref(st, item);
		return s->n < s->together ? PC_OK : emit_held(st, s);
	}
	if (s->hold == 0)
		return pc_emit_copy(st, 0, &n, sizeof(n));
	/* the oldest leaves when one comes that finds no place */
	if (s->n == s->hold) {
		int rc = pc_emit(st, 0, s->held[0]);

		memmove(s->held, s->held + 1, (s->n - 1) * sizeof(s->held[0]));
		s->n--;
		if (rc)
			return rc;
	}
	s->held[s->n++] = pc_item_ref(st, item);
	return PC_OK;
}

static int finish(struct pc_stage *st, void *state)
{
	return emit_held(st, state);
}

static int close_pass(struct pc_stage *st, void *state)
{
	struct pass *s = state;

	if (s->waits)
		enter();
	if (s->lingers)
		oracle()->gate();
	for (uint64_t i = 0; i < s->n; i++)
		pc_item_unref(st, s->held[i]);
	s->n = 0;
	if (s->waits)
		leave();
	return PC_OK;
}

static const struct pc_port inputs[] = {{"in", "*", 0, "anything"}};
static const struct pc_port outputs[] = {{"out", "=in", 0, "the same"}};
static const struct pc_param params[] = {
	{"live", PC_T_U64, PC_LIVE, PC_FIELD(struct pass, live, uint64_t), "0", NULL, NULL,
         NULL, "is written into the items"},
	PC_PARAM_U64(struct pass, hold, "0", "0..64", NULL, "items to hold back"),
	PC_PARAM_U64(struct pass, together, "0", "0..64", NULL,
                     "so many are sent on at a time"),
	PC_PARAM_U64(struct pass, fails, "0", NULL, NULL, "open() fails"),
	PC_PARAM_U64(struct pass, waits, "0", NULL, NULL, "open() waits at the gate"),
	PC_PARAM_U64(struct pass, gated, "0", NULL, NULL, "each item waits at the gate"),
	PC_PARAM_U64(struct pass, lingers, "0", NULL, NULL, "close() waits at the gate"),
};

PC_STAGE(.name = "pass", .doc = "pass on", PC_INPUTS(inputs), PC_OUTPUTS(outputs),
         PC_PARAMS(params), PC_STATE(struct pass), .open = open_pass, .process = process,
         .finish = finish, .close = close_pass);

#elif defined(PLUG_PAIR)

#define WINDOW 4
#define ROOM                                                                                   \
	1024 /* what has been taken together with the last one that is wanted still comes */

struct pair {
	uint64_t n[2];
	struct pc_item *waiting[2][ROOM];
};

static void ask(struct pc_stage *st, const struct pair *s)
{
	pc_want(st, 0, s->n[0] < WINDOW);
	pc_want(st, 1, s->n[1] < WINDOW);
}

static int process(struct pc_stage *st, void *state, struct pc_item *item)
{
	struct pair *s = state;
	unsigned side = st->in_port, other = 1 - side;
	struct numbered a, b;
	int rc;

	if (s->n[other] == 0) {
		if (s->n[side] == ROOM)
			return pc_fail(st, "an item that was not wanted");
		s->waiting[side][s->n[side]++] = pc_item_ref(st, item);
		ask(st, s);
		return PC_OK;
	}
	memcpy(&a, item->data, sizeof(a));
	memcpy(&b, s->waiting[other][0]->data, sizeof(b));
	if (a.source != b.source || a.number != b.number)
		return pc_fail(st, "the two ways differ: %llu and %llu",
		               (unsigned long long)a.number, (unsigned long long)b.number);
	rc = pc_emit_copy(st, 0, &a, sizeof(a));
	if (rc)
		return rc;
	pc_item_unref(st, s->waiting[other][0]);
	s->n[other]--;
	memmove(s->waiting[other], s->waiting[other] + 1,
	        s->n[other] * sizeof(s->waiting[0][0]));
	ask(st, s);
	return PC_OK;
}

static int close_pair(struct pc_stage *st, void *state)
{
	struct pair *s = state;

	for (int side = 0; side < 2; side++)
		for (uint64_t i = 0; i < s->n[side]; i++)
			pc_item_unref(st, s->waiting[side][i]);
	return PC_OK;
}

static const struct pc_port inputs[] = {{"left", "*", 0, "one way"},
                                        {"right", "*", 0, "another"}};
static const struct pc_port outputs[] = {{"out", "*", 0, "those that came by both"}};

PC_STAGE(.name = "pair", .doc = "meet", PC_INPUTS(inputs), PC_OUTPUTS(outputs),
         PC_STATE(struct pair), .process = process, .close = close_pair);

#elif defined(PLUG_ROUND)

struct round {
	uint64_t times;
};

static int process(struct pc_stage *st, void *state, struct pc_item *item)
{
	const struct round *s = state;
	struct numbered n;

	memcpy(&n, item->data, sizeof(n));
	if (n.live >= s->times) {
		n.live = 0;
		return pc_emit_copy(st, 0, &n, sizeof(n));
	}
	n.live++;
	return pc_emit_copy(st, 1, &n, sizeof(n));
}

static const struct pc_port inputs[] = {{"in", "*", 0, "anything"}};
static const struct pc_port outputs[] = {{"out", "*", 0, "after the last time"},
                                         {"again", "*", 0, "to go round"}};
static const struct pc_param params[] = {
	PC_PARAM_U64(struct round, times, "3", NULL, NULL, "how often")};

PC_STAGE(.name = "round", .doc = "go round", PC_INPUTS(inputs), PC_OUTPUTS(outputs),
         PC_PARAMS(params), PC_STATE(struct round), .process = process);

#else

struct sink {
	uint64_t label;
};

static int process(struct pc_stage *st, void *state, struct pc_item *item)
{
	struct numbered n;

	(void)state;
	memcpy(&n, item->data, sizeof(n));
	oracle()->sees(&n, st->replicas);
	return PC_OK;
}

static const struct pc_port inputs[] = {{"in", "*", 0, "anything"}};
static const struct pc_param params[] = {
	PC_PARAM_U64(struct sink, label, "0", NULL, NULL,
                     "nothing: to have one that is not live"),
};

PC_STAGE(.name = "sink", .doc = "tell the oracle", PC_INPUTS(inputs), PC_PARAMS(params),
         PC_STATE(struct sink), .process = process);

#endif
