/* engine/swap-set.c: the stages of a set change their builds as one; see swap-set.h.
 *
 * Control thread. One set at a time is under way, and no other swap and no reload beside it: they
 * wait until it is over, as it waits for those that have begun before. While queues run empty it is
 * looked every SWAP_SET_TICK_MS whether they have. What may fail comes before the first build is
 * put in force, and is undone by letting all go on.
 *
 * A replica may undo a swap that came before the set, when an item fails on its probation. Then what
 * was prepared leads from a build that is not in force any more: the set is refused.
 *
 * Pairs
 *   SS1 of swap-set-ask.c: release news -> SS2 collect: acq_rel news    that there is a request
 *   SW3 of swap-pass.c: release each -> SW4 has: acquire each           what the replica did
 */
#include "engine/engine.h"

#include "base/clock.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>

static bool has(const _Atomic bool *flag)
{
	return atomic_load_explicit((_Atomic bool *)(uintptr_t)flag,
	                            memory_order_acquire); /* SW4 */
}

static struct swap_set_member *members_end(const struct swap_set *set)
{
	return set->request->members + set->request->n;
}

/* --------------------------------------------------------------------------- answering --- */

static void answer(struct engine *e, struct swap_set_request *request, int result,
                   struct pc_error *error)
{
	for (uint32_t i = 0; i < request->n; i++)
		swap_offer_drop(&request->members[i].offer);
	pthread_mutex_lock(&e->lock);
	request->result = result;
	request->error = error;
	request->answered = true;
	pthread_cond_broadcast(&e->swap.answered);
	pthread_mutex_unlock(&e->lock);
}

static void answer_text(struct engine *e, struct swap_set_request *request, int result,
                        const char *text)
{
	struct pc_error *error = NULL;

	error_set(&error, result, "%s", text);
	answer(e, request, result, error);
}

static void forget(struct swap_set *set)
{
	for (uint32_t i = 0; i < set->n_holds; i++) {
		free(set->holds[i].drains);
		free(set->holds[i].after);
	}
	free(set->holds);
	free(set->types);
	*set = (struct swap_set){0};
}

/* All go on with what they had. Takes error over. */
static void give_up(struct engine *e, int result, struct pc_error *error)
{
	struct swap_set *set = &e->swap.set.now;
	struct swap_set_request *request = set->request;
	struct buf names = {0};

	for (struct swap_set_member *m = request->members; m < members_end(set); m++) {
		if (!m->started)
			swap_discard(m->to, m->cut);
		else if (m->stage->swap.in_flight)
			swap_go(m->stage, false);
		m->stage->swap.in_set = false;
		if (result == PC_TIMEOUT)
			m->report.to = 0; /* as nothing goes on */
	}
	swap_set_go_on(set, NULL);
	forget(set);
	swap_set_names(request, &names);
	error_add(&error, "the set of %s is refused, all of them keep their builds",
	          names.text ? names.text : "?");
	buf_fini(&names);
	if (!request->dry_run && !e->swapped)
		engine_log(e, PC_WARN, NULL, "%s", pc_error_text(error));
	answer(e, request, result, error);
}

static void give_up_text(struct engine *e, int result, const char *text)
{
	struct pc_error *error = NULL;

	error_set(&error, result, "%s", text);
	give_up(e, result, error);
}

/* --------------------------------------------------------------------------- preparing --- */

static int choose(struct swap_set *set, struct pc_error **err)
{
	for (struct swap_set_member *m = set->request->members; m < members_end(set); m++) {
		struct stage *s = m->stage;
		int rc = s->live == 0
		                 ? error_set(err, PC_STOPPED, "it has ended")
		                 : swap_choose(s, &m->offer, m->how, &m->to, &m->report, err);

		if (rc) {
			error_add(err, "stage '%s'", s->plan->name);
			return rc == PC_ERROR ? PC_WRONG : rc;
		}
		m->seen = s->swap.cut;
	}
	return PC_OK;
}

static int make_cuts(const struct swap_set *set, struct pc_error **err)
{
	for (struct swap_set_member *m = set->request->members; m < members_end(set); m++) {
		int rc = m->to ? swap_make_cuts(&m->cut, m->stage, m->to, m->how, err) : PC_OK;

		if (rc) {
			/* now: its file goes with it */
			died_tell(&m->stage->engine->died, err);
			error_add(err, "stage '%s'", m->stage->plan->name);
			return rc == PC_ERROR ? PC_WRONG : rc;
		}
		if (!m->to)
			continue;
		m->cut->in_set = true;
		m->report.way = m->cut->way;
		m->report.words = swap_describe(m->cut, m->how);
	}
	return PC_OK;
}

static bool nothing_to_do(const struct swap_set *set)
{
	for (const struct swap_set_member *m = set->request->members; m < members_end(set); m++)
		if (m->to)
			return false;
	return true;
}

static void over(struct engine *e, int result, struct pc_error *error)
{
	struct swap_set *set = &e->swap.set.now;
	struct swap_set_request *request = set->request;

	for (struct swap_set_member *m = request->members; m < members_end(set); m++) {
		if (!m->started)
			swap_discard(m->to, m->cut);
		m->stage->swap.in_set = false;
	}
	forget(set);
	answer(e, request, result, error);
}

static void begin(struct engine *e)
{
	struct swap_set *set = &e->swap.set.now;
	struct pc_error *error = NULL;
	int rc = choose(set, &error);

	rc = rc ? rc : swap_set_check(e, set, &error);
	rc = rc ? rc : make_cuts(set, &error);
	if (rc) {
		give_up(e, rc, error);
	} else if (set->request->dry_run || nothing_to_do(set)) {
		over(e, PC_OK, NULL);
	} else {
		set->phase = SET_DRAINS;
		for (struct swap_set_member *m = set->request->members; m < members_end(set);
		     m++)
			m->stage->swap.in_set = m->to != NULL;
	}
}

/* ---------------------------------------------------------------------------- draining --- */

/* False: it has been given up. */
static bool is_undisturbed(struct engine *e)
{
	const struct swap_set *set = &e->swap.set.now;
	struct pc_error *error = NULL;
	int rc = PC_OK;

	for (uint32_t i = 0; i < set->n_holds && !rc; i++)
		if (set->holds[i].stage->stopping)
			rc = error_set(&error, PC_STOPPED, "stage '%s' is being stopped",
			               set->holds[i].stage->plan->name);
	for (const struct swap_set_member *m = set->request->members;
	     m < members_end(set) && !rc; m++) {
		const struct swap_stage *sw = &m->stage->swap;

		if (!m->to)
			continue;
		if (m->stage->live == 0)
			rc = error_set(&error, PC_STOPPED, "stage '%s' has ended",
			               m->stage->plan->name);
		else if (!m->started &&
		         (sw->in_flight || sw->cut != m->seen || swap_comes_apart(m->stage)))
			rc = error_set(
				&error, PC_WRONG,
				"stage '%s': an item has failed on v%u, and it goes back",
				m->stage->plan->name, sw->current->number);
	}
	if (rc)
		give_up(e, rc, error);
	return rc == PC_OK;
}

static void late(struct engine *e)
{
	struct swap_set *set = &e->swap.set.now;
	struct pc_error *error = NULL;
	struct buf who = {0};

	if (set->phase == SET_MIGRATES)
		buf_adds(&who, "its migrate() has not come back");
	else
		swap_set_late(e, set, &who);
	error_set(&error, PC_TIMEOUT, "%s", who.text ? who.text : "out of memory");
	error_add(&error, "it did not come to rest in time");
	buf_fini(&who);
	give_up(e, PC_TIMEOUT, error);
}

/* ----------------------------------------------------------------------------- the cut --- */

static void start(struct swap_set_member *m)
{
	struct swap_report *report;

	swap_answer_last(m->stage);
	report = m->stage->swap.report;
	if (!report) {
		report = m->stage->swap.report = m->room;
		m->room = NULL;
	}
	free(report->words);
	*report = m->report;
	report->words = m->report.words ? strdup(m->report.words) : NULL;
	m->started = true;
	swap_start(m->stage, m->to, m->cut);
}

/* False: it has been given up. */
static bool all_can_pass(struct engine *e)
{
	const struct swap_set *set = &e->swap.set.now;
	struct pc_error *error = NULL;

	for (const struct swap_set_member *m = set->request->members; m < members_end(set); m++)
		for (uint32_t i = 0; m->to && i < m->stage->n_replicas; i++) {
			struct replica *r = m->stage->replicas[i];
			char *why = NULL;

			if (r->reported || swap_can_pass(r, m->cut, &why))
				continue;
			error_set(&error, PC_WRONG, "%s", why ? why : "out of memory");
			error_add(&error, "stage '%s'", m->stage->plan->name);
			free(why);
			give_up(e, PC_WRONG, error);
			return false;
		}
	return true;
}

/* From here on nothing fails. */
static void commit(struct engine *e)
{
	struct swap_set *set = &e->swap.set.now;

	pthread_mutex_lock(&e->shape);
	for (uint32_t i = 0; i < e->plan->n_queues; i++)
		if (set->types[i])
			e->places[i]->type = set->types[i];
	pthread_mutex_unlock(&e->shape);
	for (struct swap_set_member *m = set->request->members; m < members_end(set); m++)
		if (m->started)
			swap_go(m->stage, true);
		else if (m->to)
			start(m);
	swap_set_go_on(set, NULL);
	set->phase = SET_PASSES;
}

/* Those that migrate go on, as far as that. */
static void change(struct engine *e)
{
	struct swap_set *set = &e->swap.set.now;
	bool migrates = false;

	if (!all_can_pass(e))
		return;
	for (struct swap_set_member *m = set->request->members; m < members_end(set); m++)
		if (m->to && m->cut->rests) {
			migrates = true;
			start(m);
			swap_set_go_on(set, m->stage);
		}
	set->phase = SET_MIGRATES;
	if (!migrates)
		commit(e);
}

/* True: all are done with it, or it has been given up. */
static bool have_migrated(struct engine *e)
{
	const struct swap_set *set = &e->swap.set.now;
	struct pc_error *error = NULL;
	bool all = true;

	for (const struct swap_set_member *m = set->request->members; m < members_end(set); m++)
		for (uint32_t i = 0; m->started && i < m->cut->n_passages; i++) {
			const struct passage *p = &m->cut->passages[i];

			all &= has(&p->resting) || m->stage->replicas[i]->reported;
			if (!has(&p->fell))
				continue;
			error_set(&error, PC_WRONG, "its migrate() failed: %s",
			          p->why ? p->why : "it gave no reason");
			error_add(&error, "stage '%s'", m->stage->plan->name);
			give_up(e, PC_WRONG, error);
			return true;
		}
	if (all)
		commit(e);
	return all;
}

static bool have_passed(struct engine *e)
{
	const struct swap_set *set = &e->swap.set.now;
	bool late = clock_now_ns() >= set->request->until_ns;
	struct pc_error *error = NULL;

	for (struct swap_set_member *m = set->request->members; m < members_end(set); m++)
		if (m->to && m->stage->swap.in_flight && !late)
			return false;
	for (struct swap_set_member *m = set->request->members; m < members_end(set); m++) {
		const struct swap_report *report = m->stage->swap.report;

		if (!m->to)
			continue;
		if (m->stage->swap.in_flight) {
			error_set(&error, PC_TIMEOUT,
			          "stage '%s': not all replicas have come back from v%u; the "
			          "swap of the set goes on",
			          m->stage->plan->name, report->from);
			continue;
		}
		m->report.position = report->position;
		m->report.pause_median_ns = report->pause_median_ns;
		m->report.pause_worst_ns = report->pause_worst_ns;
		m->report.took_ns = report->took_ns;
	}
	over(e, error ? PC_TIMEOUT : PC_OK, error);
	return true;
}

/* -------------------------------------------------------------------------------- turns --- */

/* Those that have come go to the end of the line. */
static bool collect(struct engine *e)
{
	struct swap_set_engine *sets = &e->swap.set;
	struct swap_set_request *list, *in_order = NULL, **end = &sets->line;

	if (!atomic_exchange_explicit(&sets->news, false, memory_order_acq_rel)) /* SS2 */
		return false;
	pthread_mutex_lock(&e->lock);
	list = sets->asked;
	sets->asked = NULL;
	pthread_mutex_unlock(&e->lock);
	while (list) {
		struct swap_set_request *next = list->next;

		list->next = in_order;
		in_order = list;
		list = next;
	}
	while (*end)
		end = &(*end)->next;
	*end = in_order;
	return true;
}

static bool next_one(struct engine *e)
{
	struct swap_set_engine *sets = &e->swap.set;

	if (!sets->line)
		return false;
	sets->now = (struct swap_set){.request = sets->line};
	sets->line = sets->line->next;
	sets->now.request->next = NULL;
	return true;
}

static bool swap_in_flight(const struct engine *e)
{
	for (const struct stage *s = e->swap.active; s; s = s->swap.next_active)
		if (s->swap.in_flight)
			return true;
	return false;
}

/* New states are not opened beside that. */
static bool is_being_closed(const struct swap_set *set)
{
	for (const struct swap_set_member *m = set->request->members; m < members_end(set); m++)
		if (stage_closings(m->stage) > 0)
			return true;
	return false;
}

/* True: something was done. */
static bool step(struct engine *e)
{
	struct swap_set *set = &e->swap.set.now;

	switch (set->phase) {
	case SET_WAITS:
		if (swap_in_flight(e) || reload_is_under_way(e) || is_being_closed(set))
			break;
		begin(e);
		return true;
	case SET_DRAINS:
		if (!is_undisturbed(e))
			return true;
		if (swap_set_all_rest(set)) {
			change(e);
			return true;
		}
		if (swap_set_rest(e, set))
			return true;
		break;
	case SET_MIGRATES:
		if (!is_undisturbed(e) || have_migrated(e))
			return true;
		break;
	case SET_PASSES:
		return have_passed(e);
	}
	if (clock_now_ns() < set->request->until_ns)
		return false;
	if (set->phase == SET_WAITS)
		give_up_text(e, PC_TIMEOUT,
		             "another swap, a reload, or the close() of an older state, has "
		             "not ended in time");
	else
		late(e);
	return true;
}

bool swap_set_turn(struct engine *e)
{
	struct swap_set_engine *sets = &e->swap.set;
	bool news = collect(e);

	if (!sets->now.request && !next_one(e))
		return news;
	return step(e) || news;
}

bool swap_set_waits(const struct engine *e)
{
	return e->swap.set.now.request || e->swap.set.line;
}

bool swap_set_is_under_way(const struct engine *e)
{
	return e->swap.set.now.request && e->swap.set.now.phase != SET_WAITS;
}

bool swap_set_has_changed(const struct engine *e)
{
	return e->swap.set.now.request && e->swap.set.now.phase == SET_PASSES;
}

/* Those that have changed already go on to the end of it. */
void swap_set_abort(struct engine *e)
{
	struct swap_set_engine *sets = &e->swap.set;

	collect(e);
	if (sets->now.request && sets->now.phase != SET_PASSES)
		give_up_text(e, PC_STOPPED, "the graph is ending");
	else if (sets->now.request && e->finished)
		have_passed(e);
	while (sets->line) {
		struct swap_set_request *request = sets->line;

		sets->line = request->next;
		answer_text(e, request, PC_STOPPED, "the graph is ending");
	}
}
