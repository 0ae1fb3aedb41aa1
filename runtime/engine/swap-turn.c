/* engine/swap-turn.c: requests in their turn, and what becomes of cuts that are under way.
 *
 * Control thread. Stages for which something is to be done are in a list; it is looked through
 * whenever a message has come, and by a timer every SWAP_TICK_MS for what only time brings: that
 * a replica is late, that nobody wants to wait any longer. No stage is in the list at rest.
 *
 * For one stage, one request waits: the newest. An older one is answered as overtaken, so none is
 * forgotten (others lost requests that came during a reload, research/hotswap.md 1.10).
 */
#include "engine/engine.h"

#include "base/clock.h"
#include "base/error.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static bool has(const _Atomic bool *flag)
{
	return atomic_load_explicit((_Atomic bool *)(uintptr_t)flag,
	                            memory_order_acquire); /* SW4 */
}

/* ------------------------------------------------------------------------------ saying --- */

static double us(int64_t ns)
{
	return (double)ns / 1e3;
}

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static void measure(const struct cut *cut, struct swap_report *report)
{
	int64_t *pauses = malloc(cut->n_passages * sizeof(*pauses));
	uint32_t n = 0;

	report->position = cut->position;
	report->took_ns = cut->done_ns - cut->begun_ns;
	if (!pauses)
		return;
	for (uint32_t i = 0; i < cut->n_passages; i++)
		if (has(&cut->passages[i].passed))
			pauses[n++] = cut->passages[i].pause_ns;
	qsort(pauses, n, sizeof(*pauses), by_value);
	report->pause_median_ns = n ? pauses[n / 2] : 0;
	report->pause_worst_ns = n ? pauses[n - 1] : 0;
	free(pauses);
}

/* True: the program that embeds the runtime says it itself. */
static bool told(const struct stage *s, int what, const struct pc_swap_report *report,
                 const char *reason)
{
	const struct engine *e = s->engine;
	const struct pc_swap_event event = {what, s->plan->name, report, reason};

	if (e->swapped)
		e->swapped(e->swapped_user, &event);
	return e->swapped != NULL;
}

static void say_live(const struct stage *s, const struct cut *cut)
{
	const struct swap_report *r = s->swap.report;
	const struct pc_swap_report report = {.from = r->from,
	                                      .to = r->to,
	                                      .item = r->position,
	                                      .pause_median_ns = r->pause_median_ns,
	                                      .pause_worst_ns = r->pause_worst_ns,
	                                      .took_ns = r->took_ns,
	                                      .text = r->words};

	if (told(s, PC_SWAP_LIVE, &report, NULL))
		return;
	engine_log(s->engine, PC_INFO, s->plan->name,
	           "v%u -> v%u live %s item %" PRIu64
	           " | %s | pause %.1f us median, %.1f us worst of %u",
	           cut->from->number, cut->to->number, s->desc->n_inputs ? "at" : "after",
	           r->position, r->words ? r->words : "", us(r->pause_median_ns),
	           us(r->pause_worst_ns), cut->n_passages);
}

bool swap_any_fell(const struct cut *cut)
{
	for (uint32_t i = 0; i < cut->n_passages; i++)
		if (has(&cut->passages[i].fell))
			return true;
	return false;
}

static bool any_failed(const struct cut *cut)
{
	for (uint32_t i = 0; i < cut->n_passages; i++)
		if (has(&cut->passages[i].fell) && cut->passages[i].failed)
			return true;
	return false;
}

/* The first reason that a replica gave. */
static const char *why(const struct cut *cut, bool *ret_as_left)
{
	const char *text = NULL;

	*ret_as_left = false;
	for (uint32_t i = 0; i < cut->n_passages; i++)
		if (has(&cut->passages[i].fell)) {
			text = text ? text : cut->passages[i].why;
			*ret_as_left |= cut->passages[i].as_left;
		}
	return text ? text : "it gave no reason";
}

static void say_reversed(struct stage *s, struct pc_error **err)
{
	const struct cut *back = s->swap.cut, *cut = back->older;
	const struct pc_swap_report report = {
		.from = cut->to->number, .to = back->to->number, .item = back->position};
	bool as_left;
	const char *text = why(cut, &as_left);
	char *lines = died_lines(&s->engine->died, text);

	text = lines ? lines : text;
	if (any_failed(cut))
		swap_failure_note(s, cut->to, text);
	error_set(err, PC_ERROR, "%s", text);
	error_add(err, "v%u failed on probation; back on v%u %s item %" PRIu64 "%s",
	          cut->to->number, back->to->number, s->desc->n_inputs ? "from" : "after",
	          back->position,
	          as_left ? " (the failed call had moved memory of the state, which stays as "
	                    "it left it)"
	                  : "");
	if (!told(s, PC_SWAP_BACK, &report, text))
		engine_log(s->engine, PC_WARN, s->plan->name, "%s: %s", pc_error_first(*err),
		           text);
	free(lines);
}

static void say_late(struct stage *s, int64_t now)
{
	struct cut *cut = s->swap.cut;
	const struct pc_swap_report report = {.from = cut->from->number,
	                                      .to = cut->to->number,
	                                      .took_ns = now - cut->begun_ns};
	struct buf late = {0};

	cut->noticed = true;
	for (uint32_t i = 0; i < cut->n_passages; i++)
		if (!has(&cut->passages[i].passed) && !s->replicas[i]->reported)
			buf_addf(&late, "%s%u", late.text ? ", " : "", i);
	if (!told(s, PC_SWAP_LATE, &report, late.text))
		engine_log(s->engine, PC_WARN, s->plan->name,
		           "v%u waits for replica %s, which for %.1f s has not come back from "
		           "v%u; the "
		           "others have passed",
		           cut->to->number, late.text ? late.text : "?",
		           (double)(now - cut->begun_ns) / 1e9, cut->from->number);
	buf_fini(&late);
}

/* Whoever asked gets the error, and says it: the log only tells programs that say nothing. */
static void say_refused(const struct stage *s, const struct pc_error *error)
{
	if (!s->engine->swapped)
		engine_log(s->engine, PC_WARN, s->plan->name, "%s", pc_error_text(error));
}

/* --------------------------------------------------------------------------- answering --- */

static void answer(struct stage *s, struct swap_request **request, int result,
                   struct pc_error *error)
{
	struct swap_request *r = *request;
	struct swap_report report;

	*request = NULL;
	if (!r) {
		pc_error_free(error);
		return;
	}
	report = *s->swap.report;
	if (report.words)
		report.words = strdup(report.words);
	swap_answer(s->engine, r, result, error, &report);
}

static void begin_report(struct stage *s, struct swap_request *r,
                         const struct swap_report *report)
{
	if (!s->swap.report) {
		s->swap.report = r->room;
		r->room = NULL;
	}
	free(s->swap.report->words);
	*s->swap.report = *report;
}

/* Whoever waits to hear of a failure on the last build: there was none so far. */
void swap_answer_last(struct stage *s)
{
	answer(s, &s->swap.answering, PC_OK, NULL);
}

static void answer_pending(struct stage *s, int result, const char *text)
{
	struct swap_request *r = s->swap.pending;
	const struct swap_report nothing = {0};
	struct pc_error *error = NULL;

	s->swap.pending = NULL;
	if (!r)
		return;
	error_set(&error, result, "%s", text);
	swap_answer(s->engine, r, result, error, &nothing);
}

static void answer_timeout(struct stage *s)
{
	struct pc_error *error = NULL;

	error_set(&error, PC_TIMEOUT,
	          "not all replicas have come back from v%u; the swap to v%u goes on",
	          s->swap.report->from, s->swap.report->to);
	answer(s, &s->swap.answering, PC_TIMEOUT, error);
}

/* Of a set somebody else looks when all do. */
static bool is_resting(const struct stage *s)
{
	const struct cut *cut = s->swap.cut;

	/* relaxed: this thread writes it */
	return s->swap.in_flight && cut->rests && !cut->failed &&
	       atomic_load_explicit((_Atomic uint32_t *)(uintptr_t)&cut->go,
	                            memory_order_relaxed) == GO_WAIT;
}

bool swap_rests(const struct engine *e)
{
	for (const struct stage *s = e->swap.active; s; s = s->swap.next_active)
		if (is_resting(s) && s->swap.answering)
			return true;
	return false;
}

/* Since the cut was begun a replica has gone back from the build that it leads back to. While they
 * rest, none can. */
static bool fell_before(const struct cut *cut)
{
	return cut->new_chain && cut->older && !cut->older->is_back &&
	       swap_any_fell(cut->older);
}

/* Nothing was run on the new code, and nothing will be. */
static void give_up(struct stage *s)
{
	const struct cut *cut = s->swap.cut;
	struct pc_error *error = NULL;
	bool as_left;

	if (swap_any_fell(cut))
		error_set(&error, PC_WRONG, "its migrate() failed: %s", why(cut, &as_left));
	else if (fell_before(cut))
		error_set(&error, PC_WRONG, "v%u has just failed on probation",
		          cut->from->number);
	else
		error_set(&error, PC_WRONG, "not all replicas came to rest in time");
	if (fell_before(cut))
		error_add(&error, "stage '%s': v%u is refused", s->plan->name, cut->to->number);
	else
		error_add(&error, "stage '%s': v%u is refused, v%u keeps running",
		          s->plan->name, cut->to->number, cut->from->number);
	say_refused(s, error);
	swap_go(s, false);
	answer(s, &s->swap.answering, PC_WRONG, error);
}

/* What time brings. */
static void look_at_time(struct stage *s, int64_t now)
{
	const struct swap_request *r = s->swap.answering;

	if (r && now >= r->until_ns) {
		if (is_resting(s) && !s->swap.in_set)
			give_up(s); /* the others must not rest for ever */
		else if (s->swap.in_flight)
			answer_timeout(s);
		else
			answer(s, &s->swap.answering, PC_OK, NULL);
	}
	if (s->swap.pending && now >= s->swap.pending->until_ns)
		answer_pending(s, PC_TIMEOUT,
		               stage_closings(s) > 0
		                       ? "the close() of an older state has not come back in "
		                         "time; nothing has been done"
		                       : "another swap has not ended in time; nothing has been "
		                         "done");
	if (s->swap.in_flight && !s->swap.cut->noticed &&
	    now - s->swap.cut->begun_ns > SWAP_NOTICE_NS)
		say_late(s, now);
}

/* ---------------------------------------------------------------------- looking after it --- */

enum what { RESTING, PASSED, TRUSTED };

static bool all(const struct stage *s, enum what what)
{
	const struct cut *cut = s->swap.cut;

	for (uint32_t i = 0; i < cut->n_passages; i++) {
		const struct passage *p = &cut->passages[i];
		const _Atomic bool *flag = what == RESTING  ? &p->resting
		                           : what == PASSED ? &p->passed
		                                            : &p->trusted;

		if (!has(flag) && !s->replicas[i]->reported)
			return false;
	}
	return true;
}

static void complete(struct stage *s)
{
	struct swap_request *r = s->swap.answering;
	struct cut *cut = s->swap.cut;
	struct pc_error *error = NULL;

	if (cut->failed) {
		swap_forget(s);
		return;
	}
	/* Of a source only its replicas know. */
	for (uint32_t i = 0; i < cut->n_passages && s->desc->n_inputs == 0; i++)
		cut->position += cut->passages[i].emitted;
	if (cut->is_back)
		say_reversed(s, &error);
	swap_complete(s);
	measure(cut, s->swap.report);
	if (cut->is_back)
		answer(s, &s->swap.answering, PC_ERROR, error);
	if (cut->is_back)
		return;
	say_live(s, cut);
	if (r)
		r->until_ns = clock_after_ns(clock_now_ns(), r->wish.probation_ns);
}

/* One flight at a time for the readers of one queue. */
static bool queue_is_free(const struct stage *s)
{
	const struct engine *e = s->engine;

	for (uint32_t i = 0; i < s->desc->n_inputs; i++) {
		const struct plan_queue *q = &e->plan->queues[s->plan->inputs[i].queue];

		for (uint32_t k = 0; k < q->n_readers; k++)
			if (e->stages[q->readers[k]]->swap.in_flight)
				return false;
	}
	return true;
}

/* False: not yet; whoever is going back says so when he is. */
static bool begin(struct stage *s)
{
	struct swap_request *r = s->swap.pending;
	struct swap_report report = {0};
	unsigned how = r->wish.how;
	struct pc_error *error = NULL;
	int rc;

	rc = swap_begin(s, &r->offer, how, &report, &error);
	if (rc == PC_AGAIN)
		return false;
	swap_answer_last(s);
	s->swap.pending = NULL;
	begin_report(s, r, &report);
	s->swap.answering = r;
	if (rc == PC_OK && !(how & SWAP_DRY_RUN) && !s->swap.report->unchanged)
		return true;
	if (rc) {
		rc = rc == PC_NOMEM ? PC_NOMEM : PC_WRONG;
		if (how & SWAP_BACK)
			error_add(&error, "stage '%s': v%u keeps running", s->plan->name,
			          s->swap.current->number);
		else
			error_add(&error, "stage '%s': v%u is refused, v%u keeps running",
			          s->plan->name, s->swap.report->to, s->swap.current->number);
		if (!(how & SWAP_DRY_RUN))
			say_refused(s, error);
	}
	answer(s, &s->swap.answering, rc, error);
	return true;
}

/* True: an item has failed on the build that was last begun, and all go back. */
static bool reverse_if_fell(struct stage *s, int64_t now)
{
	const struct cut *cut = s->swap.cut;

	if (!cut || cut->is_back || cut->turned || cut->failed || is_resting(s) ||
	    !swap_any_fell(cut))
		return false;
	swap_reverse(s);
	/* whoever asked waits for that: the answer is that it failed */
	if (s->swap.answering)
		s->swap.answering->until_ns =
			clock_after_ns(now, s->swap.answering->wish.timeout_ns);
	return true;
}

/* True: something has happened, and others may have to be looked at again. */
static bool look(struct stage *s, int64_t now)
{
	struct cut *cut = s->swap.cut;
	bool news = false;

	if (s->live == 0) {
		answer_pending(s, PC_STOPPED, "the stage has ended");
		return false;
	}
	if (is_resting(s) && !s->swap.in_set && all(s, RESTING)) {
		if (swap_any_fell(cut) || fell_before(cut))
			give_up(s);
		else
			swap_go(s, true);
		news = true;
	}
	news |= reverse_if_fell(s, now);
	if (s->swap.in_flight && all(s, PASSED)) {
		complete(s);
		/* The one before may be in force again, and have failed while this one was under way. */
		reverse_if_fell(s, now);
		news = true;
	}
	if (!s->swap.in_flight && !s->swap.settled && all(s, TRUSTED)) {
		swap_set_aside_free(s);
		swap_failure_forget(s, s->swap.current);
		answer(s, &s->swap.answering, PC_OK, NULL);
	}
	look_at_time(s, now);
	/* A new state is not opened while an old one is being closed. */
	if (!s->swap.in_flight && s->swap.pending && stage_closings(s) == 0 &&
	    queue_is_free(s) && !reload_is_under_way(s->engine) && !swap_set_waits(s->engine))
		news |= begin(s);
	return news;
}

static bool is_idle(const struct stage *s)
{
	return !s->swap.in_flight && !s->swap.pending && !s->swap.answering;
}

static void on_tick(uv_timer_t *timer)
{
	control_nudge(timer->data);
}

/* 0: not at all. */
static void tick(struct engine *e, unsigned ms)
{
	if (ms == e->swap.tick_ms || e->finished)
		return;
	e->swap.tick_ms = ms;
	if (ms > 0)
		uv_timer_start(&e->swap.timer, on_tick, ms, ms);
	else
		uv_timer_stop(&e->swap.timer);
}

void swap_activate(struct stage *s)
{
	if (s->swap.active)
		return;
	s->swap.active = true;
	s->swap.next_active = s->engine->swap.active;
	s->engine->swap.active = s;
}

/* New requests go to their stages. */
static bool collect(struct engine *e)
{
	struct swap_request *list, *in_order = NULL;

	if (!atomic_exchange_explicit(&e->swap.asked, false, memory_order_acq_rel)) /* SW14 */
		return false;
	pthread_mutex_lock(&e->lock);
	list = e->swap.requests;
	e->swap.requests = NULL;
	pthread_mutex_unlock(&e->lock);
	while (list) {
		struct swap_request *next = list->next;

		list->next = in_order;
		in_order = list;
		list = next;
	}
	while (in_order) {
		struct swap_request *r = in_order;

		in_order = r->next;
		answer_pending(r->stage, PC_STOPPED, "a newer request has come");
		r->stage->swap.pending = r;
		swap_activate(r->stage);
	}
	return true;
}

bool swap_turn(struct engine *e)
{
	bool news = collect(e);
	struct stage **at = &e->swap.active;
	int64_t now = *at ? clock_now_ns() : 0;

	while (*at) {
		struct stage *s = *at;

		news |= look(s, now);
		if (is_idle(s)) {
			*at = s->swap.next_active;
			s->swap.active = false;
		} else {
			at = &s->swap.next_active;
		}
	}
	swap_retire_turn(e);
	if (swap_set_is_under_way(e))
		tick(e, SWAP_SET_TICK_MS);
	else
		tick(e, e->swap.active || reload_is_under_way(e) || swap_set_waits(e)
		                ? SWAP_TICK_MS
		                : 0);
	return news;
}

/* Who waits for that is looked at anyhow: a message has come. */
void swap_closed(struct stage *s)
{
	if (s->live > 0 && s->swap.cut && !s->swap.in_flight)
		swap_retire(s);
}

void swap_told(struct replica *r)
{
	swap_activate(r->stage);
}

/* -------------------------------------------------------------------------------- ends --- */

static bool all_have_passed(const struct cut *cut)
{
	for (uint32_t i = 0; i < cut->n_passages; i++)
		if (!has(&cut->passages[i].passed))
			return false;
	return true;
}

/* A cut that was in flight when its stage ended. True: it has been carried out. */
static bool end_flight(struct stage *s)
{
	if (is_resting(s) || s->swap.cut->failed) {
		swap_forget(s); /* nobody has run the new code */
		return false;
	}
	/* A set has changed as a whole, however soon one of its stages ends. */
	if (all_have_passed(s->swap.cut) ||
	    (s->swap.in_set && swap_set_has_changed(s->engine))) {
		complete(s);
		return true;
	}
	swap_complete(s);
	return false;
}

/* A replica may have gone back on its own account, and nobody has looked at it yet. */
static int fell_at_the_end(const struct stage *s, struct pc_error **err)
{
	const struct cut *cut = s->swap.cut;
	bool as_left;

	if (!cut || cut->is_back || !any_failed(cut))
		return PC_OK;
	error_set(err, PC_ERROR, "%s", why(cut, &as_left));
	error_add(err, "v%u failed on probation, when the stage ended; back on v%u",
	          cut->to->number, cut->from->number);
	return PC_ERROR;
}

/* No replica will pass anything any more. */
static void drop_rest(struct stage *s)
{
	for (struct cut *cut = s->swap.cut; cut; cut = cut->older)
		swap_cut_drop(cut);
	if (s->swap.spent)
		swap_cut_drop(s->swap.spent);
}

void swap_stage_ended(struct stage *s)
{
	struct pc_error *error = NULL;
	bool done = !s->swap.in_flight;
	int rc;

	answer_pending(s, PC_STOPPED, "the stage has ended");
	if (!s->engine->stuck) {
		if (!done)
			done = end_flight(s);
		swap_set_aside_free(s);
		drop_rest(s);
	}
	s->swap.in_flight = false;
	rc = done ? fell_at_the_end(s, &error)
	          : error_set(&error, PC_STOPPED, "the stage has ended");
	answer(s, &s->swap.answering, rc, error);
}

/* Whoever asks from now on is told so by swap_ask(). */
void swap_finish(struct engine *e)
{
	swap_retire_finish(e);
	pthread_mutex_lock(&e->lock);
	e->swap.closed = true;
	pthread_mutex_unlock(&e->lock);
	collect(e);
	swap_set_abort(e);
	for (uint32_t i = 0; i < e->plan->n_stages; i++)
		answer_pending(e->stages[i], PC_STOPPED, "the graph has ended");
}
