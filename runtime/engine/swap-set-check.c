/* engine/swap-set-check.c: whether the new builds of a set fit each other and all around them, and
 * which queues have to run empty for them.
 *
 * Control thread, before anything rests. The types of the whole graph are solved twice, with the
 * builds in force and with those to come (plan/retype.c).
 *
 * Which queues. What comes from a stage of the set may be of another kind, though its type has the
 * same name: a struct in a header that both include has grown. So every queue runs empty by which
 * something of a stage of the set gets to another of it, straight or through stages that pass it
 * on. A queue that somebody else fills as well can't run empty; then the new code must be able to
 * take what the old code has put there, which the types tell.
 */
#include "engine/engine.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

struct look {
	struct engine *e;
	const struct plan *plan;
	const struct pc_stage_desc **was_descs, **is_descs;
	struct plan_flow was, is;
	bool *member;   /* per stage */
	bool *moved;    /* per queue: something of the set gets there */
	bool *drains;   /* per queue */
	uint32_t *work; /* [0]: how many stages stand behind it */
};

void swap_set_names(const struct swap_set_request *request, struct buf *out)
{
	for (uint32_t i = 0; i < request->n; i++)
		buf_addf(out, "%s'%s'",
		         i == 0                ? ""
		         : i + 1 == request->n ? " and "
		                               : ", ",
		         request->members[i].stage->plan->name);
}

const struct swap_set_member *swap_set_member_of(const struct swap_set *set,
                                                 const struct stage *s)
{
	for (uint32_t i = 0; i < set->request->n; i++)
		if (set->request->members[i].stage == s)
			return &set->request->members[i];
	return NULL;
}

/* ------------------------------------------------------------------------------ types --- */

static bool begin(struct look *l, struct engine *e, const struct swap_set *set)
{
	uint32_t n = e->plan->n_stages, n_queues = e->plan->n_queues;

	*l = (struct look){.e = e, .plan = e->plan};
	l->was_descs = calloc(n + 1, sizeof(*l->was_descs));
	l->is_descs = calloc(n + 1, sizeof(*l->is_descs));
	l->member = calloc(n + 1, 1);
	l->moved = calloc(n_queues + 1, 1);
	l->drains = calloc(n_queues + 1, 1);
	l->work = calloc(n + 2, sizeof(*l->work));
	if (!l->was_descs || !l->is_descs || !l->member || !l->moved || !l->drains || !l->work)
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (!e->plan->stages[i].gone)
			l->was_descs[i] = l->is_descs[i] = e->stages[i]->swap.current->desc;
	for (uint32_t i = 0; i < set->request->n; i++) {
		const struct swap_set_member *m = &set->request->members[i];

		if (!m->to)
			continue;
		l->is_descs[m->stage->index] = m->to->desc;
		l->member[m->stage->index] = true;
	}
	l->was = (struct plan_flow){.plan = e->plan, .descs = l->was_descs};
	l->is = (struct plan_flow){.plan = e->plan, .descs = l->is_descs};
	return plan_flow_solve(&l->was) && plan_flow_solve(&l->is);
}

static void end(struct look *l)
{
	plan_flow_fini(&l->was);
	plan_flow_fini(&l->is);
	free(l->was_descs);
	free(l->is_descs);
	free(l->member);
	free(l->moved);
	free(l->drains);
	free(l->work);
}

/* Who of the two is to change as well. */
static int refuse(const struct look *l, const struct plan_mismatch *m, struct pc_error **err)
{
	const struct plan_stage *from = &l->plan->stages[m->writer],
				*to = &l->plan->stages[m->reader];
	const char *input = to->desc->inputs[m->input].name;
	bool both = l->member[m->writer] && l->member[m->reader];
	const char *other = l->member[m->writer] ? to->name : from->name;
	struct buf advice = {0};
	int rc;

	if (both)
		buf_adds(&advice, "let the two agree");
	else
		buf_addf(&advice, "swap '%s' with them, or restart", other);
	if (m->output == PLAN_NONE)
		rc = error_set(err, PC_WRONG,
		               "failed items of '%s' would be %s, but input '%s' of '%s' takes "
		               "%s: %s",
		               from->name, m->sent, input, to->name, m->taken,
		               advice.text ? advice.text : "");
	else
		rc = error_set(
			err, PC_WRONG,
			"output '%s' of '%s' would send %s, but input '%s' of '%s' takes "
			"%s: %s",
			from->desc->outputs[m->output].name, from->name, m->sent, input,
			to->name, m->taken, advice.text ? advice.text : "");
	buf_fini(&advice);
	return rc;
}

static bool is_same(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool keep_types(const struct look *l, struct swap_set *set)
{
	set->types = calloc(l->plan->n_queues + 1, sizeof(*set->types));
	for (uint32_t i = 0; set->types && i < l->plan->n_queues; i++) {
		if (is_same(l->was.types[i], l->is.types[i]))
			continue;
		set->types[i] = swap_keep_text(l->e, l->is.types[i] ? l->is.types[i] : "*");
		if (!set->types[i])
			return false;
	}
	return set->types != NULL;
}

/* ------------------------------------------------------------------------------ queues --- */

/* Whether an output passes on what comes from queues that `marks` has. */
static bool passes(const struct look *l, uint32_t stage, uint32_t output, const bool *marks)
{
	uint32_t input = l->member[stage] ? PLAN_NONE : plan_passes(&l->is, stage, output);

	return input != PLAN_NONE && marks[l->plan->stages[stage].inputs[input].queue];
}

static bool mark(bool *marks, uint32_t queue)
{
	bool news = !marks[queue];

	marks[queue] = true;
	return news;
}

static bool move_on(const struct look *l, uint32_t stage)
{
	const struct plan_stage *s = &l->plan->stages[stage];
	bool news = false;

	for (uint32_t i = 0; i < s->desc->n_outputs; i++)
		for (uint32_t k = 0; k < s->outputs[i].n_queues; k++)
			if (l->member[stage] || passes(l, stage, i, l->moved))
				news |= mark(l->moved, s->outputs[i].queues[k]);
	if (l->member[stage] && s->dead_queue != PLAN_NONE)
		news |= mark(l->moved, s->dead_queue);
	return news;
}

/* What comes to this stage by a moved queue gets to a stage of the set: that is this one, or one
 * behind it. */
static bool lead_back(const struct look *l, uint32_t stage)
{
	const struct plan_stage *s = &l->plan->stages[stage];
	bool news = false;

	for (uint32_t i = 0; l->member[stage] && i < s->desc->n_inputs; i++)
		if (l->moved[s->inputs[i].queue])
			news |= mark(l->drains, s->inputs[i].queue);
	for (uint32_t i = 0; !l->member[stage] && i < s->desc->n_outputs; i++)
		for (uint32_t k = 0; k < s->outputs[i].n_queues; k++)
			if (l->drains[s->outputs[i].queues[k]] && passes(l, stage, i, l->moved))
				news |= mark(l->drains,
				             s->inputs[plan_passes(&l->is, stage, i)].queue);
	return news;
}

static void find_queues(const struct look *l)
{
	uint32_t n = l->plan->n_stages;
	bool news;

	do {
		news = false;
		for (uint32_t i = 0; i < n; i++)
			if (!l->plan->stages[i].gone)
				news |= move_on(l, i);
	} while (news);
	do {
		news = false;
		for (uint32_t i = n; i > 0; i--)
			if (!l->plan->stages[i - 1].gone)
				news |= lead_back(l, i - 1);
	} while (news);
}

static bool reads(const struct plan_stage *s, uint32_t queue)
{
	for (uint32_t i = 0; i < s->desc->n_inputs; i++)
		if (s->inputs[i].queue == queue)
			return true;
	return false;
}

/* It rests with the set, and all that it puts there. */
static bool rests(const struct look *l, uint32_t stage)
{
	const struct plan_stage *s = &l->plan->stages[stage];

	for (uint32_t i = 0; !l->member[stage] && i < s->desc->n_outputs; i++)
		for (uint32_t k = 0; k < s->outputs[i].n_queues; k++)
			if (l->drains[s->outputs[i].queues[k]] &&
			    passes(l, stage, i, l->drains))
				return true;
	return l->member[stage];
}

/* Somebody who fills it for all that: it does not rest, or it reads the queue itself. */
static const struct plan_stage *who_fills(const struct look *l, uint32_t queue)
{
	const struct plan_queue *q = &l->plan->queues[queue];

	for (uint32_t i = 0; i < q->n_writers; i++) {
		const struct plan_stage *s = &l->plan->stages[q->writers[i]];

		if (!s->gone && (!rests(l, q->writers[i]) || reads(s, queue)))
			return s;
	}
	return NULL;
}

/* All that is in it may come to the new code. */
static bool takes_old_ones(const struct look *l, uint32_t queue)
{
	const struct plan_queue *q = &l->plan->queues[queue];
	const char *type = l->was.types[queue];

	if (is_same(type, l->is.types[queue]))
		return true;
	for (uint32_t i = 0; i < q->n_readers; i++) {
		const struct plan_stage *s = &l->plan->stages[q->readers[i]];

		if (!l->member[q->readers[i]] && rests(l, q->readers[i]))
			return false;
		for (uint32_t k = 0; type && k < s->desc->n_inputs; k++) {
			const char *taken = s->inputs[k].queue == queue
			                            ? plan_taken(&l->is, q->readers[i], k)
			                            : NULL;

			if (taken && !plan_fits(type, taken))
				return false;
		}
	}
	return true;
}

static int check_filled(const struct look *l, struct pc_error **err)
{
	for (uint32_t i = 0; i < l->plan->n_queues; i++) {
		const struct plan_stage *s = l->drains[i] ? who_fills(l, i) : NULL;

		if (!s)
			continue;
		if (!takes_old_ones(l, i))
			return error_set(
				err, PC_WRONG,
				"queue '%s' holds %s and would hold %s, but it can not "
				"run empty in between, because '%s' goes on filling it: "
				"swap that one with them, or restart",
				l->plan->queues[i].name,
				l->was.types[i] ? l->was.types[i] : "nothing",
				l->is.types[i] ? l->is.types[i] : "nothing", s->name);
		l->drains[i] = false;
	}
	return PC_OK;
}

/* ------------------------------------------------------------------------------- holds --- */

static bool make_holds(const struct look *l, struct swap_set *set)
{
	uint32_t n = l->plan->n_stages;

	set->holds = calloc(n + 1, sizeof(*set->holds));
	for (uint32_t i = 0; set->holds && i < n; i++) {
		const struct plan_stage *s = &l->plan->stages[i];
		struct swap_hold *h;

		if (s->gone || !rests(l, i))
			continue;
		h = &set->holds[set->n_holds++];
		h->stage = l->e->stages[i];
		h->drains = calloc(s->desc->n_inputs + 1, 1);
		if (!h->drains)
			return false;
		for (uint32_t k = 0; k < s->desc->n_inputs; k++)
			h->drains[k] = l->drains[s->inputs[k].queue];
	}
	return set->holds != NULL;
}

static bool writes(const struct plan_stage *s, uint32_t queue)
{
	for (uint32_t i = 0; i < s->desc->n_outputs; i++)
		if (plan_writes(s, i, queue))
			return true;
	return s->dead_queue == queue;
}

/* By a queue that runs empty. */
static bool feeds(const struct swap_hold *before, const struct swap_hold *h)
{
	const struct plan_stage *s = h->stage->plan;

	for (uint32_t i = 0; i < s->desc->n_inputs; i++)
		if (h->drains[i] && writes(before->stage->plan, s->inputs[i].queue))
			return true;
	return false;
}

static void reach_queue(const struct look *l, uint32_t queue, bool *behind)
{
	const struct plan_queue *q = &l->plan->queues[queue];

	for (uint32_t i = 0; i < q->n_readers; i++)
		if (!behind[q->readers[i]]) {
			behind[q->readers[i]] = true;
			l->work[++l->work[0]] = q->readers[i];
		}
}

/* Marks all stages that what this one emits can lead to. */
static void reach(const struct look *l, uint32_t from, bool *behind)
{
	l->work[0] = 1;
	l->work[1] = from;
	while (l->work[0] > 0) {
		const struct plan_stage *s = &l->plan->stages[l->work[l->work[0]--]];

		for (uint32_t i = 0; i < s->desc->n_outputs; i++)
			for (uint32_t k = 0; k < s->outputs[i].n_queues; k++)
				reach_queue(l, s->outputs[i].queues[k], behind);
		if (s->dead_queue != PLAN_NONE)
			reach_queue(l, s->dead_queue, behind);
	}
}

/* Who stands in front of whom. Of two that stand in front of each other, the one that fills a queue
 * that has to run empty. */
static bool make_order(const struct look *l, struct swap_set *set)
{
	uint32_t n = set->n_holds, n_stages = l->plan->n_stages;
	bool *behind = calloc((size_t)n * n_stages + 1, 1);

	for (uint32_t i = 0; behind && i < n; i++)
		reach(l, set->holds[i].stage->index, behind + (size_t)i * n_stages);
	for (uint32_t i = 0; behind && i < n; i++) {
		struct swap_hold *h = &set->holds[i];

		h->after = calloc(n + 1, 1);
		for (uint32_t k = 0; h->after && k < n; k++) {
			const struct swap_hold *g = &set->holds[k];
			bool before = behind[(size_t)k * n_stages + h->stage->index];
			bool also = behind[(size_t)i * n_stages + g->stage->index];

			h->after[k] = i != k && before && (!also || feeds(g, h));
		}
		if (!h->after)
			break;
	}
	free(behind);
	return behind && (n == 0 || set->holds[n - 1].after);
}

/* There must be an order in which they can come to rest. */
static int check_order(const struct swap_set *set, struct pc_error **err)
{
	bool *rest = calloc(set->n_holds + 1, 1), news = true;
	struct buf who = {0};
	int rc = rest ? PC_OK : error_set(err, PC_NOMEM, "out of memory");

	while (rest && news) {
		news = false;
		for (uint32_t i = 0; i < set->n_holds; i++) {
			bool free_now = !rest[i];

			for (uint32_t k = 0; free_now && k < set->n_holds; k++)
				free_now = rest[k] || !set->holds[i].after[k];
			rest[i] |= free_now;
			news |= free_now;
		}
	}
	for (uint32_t i = 0; rest && i < set->n_holds; i++)
		if (!rest[i])
			buf_addf(&who, "%s'%s'", who.text ? ", " : "",
			         set->holds[i].stage->plan->name);
	if (who.text)
		rc = error_set(
			err, PC_WRONG,
			"%s feed each other in a circle, in which no queue can run empty: "
			"restart",
			who.text);
	buf_fini(&who);
	free(rest);
	return rc;
}

int swap_set_check(struct engine *e, struct swap_set *set, struct pc_error **err)
{
	struct plan_mismatch mismatch;
	struct look l;
	int rc = begin(&l, e, set) ? PC_OK : PC_NOMEM;

	if (rc == PC_OK && !plan_flow_fits(&l.was, &l.is, &mismatch))
		rc = refuse(&l, &mismatch, err);
	if (rc == PC_OK) {
		find_queues(&l);
		rc = check_filled(&l, err);
	}
	if (rc == PC_OK &&
	    (!keep_types(&l, set) || !make_holds(&l, set) || !make_order(&l, set)))
		rc = PC_NOMEM;
	if (rc == PC_OK)
		rc = check_order(set, err);
	end(&l);
	return rc == PC_NOMEM ? error_set(err, rc, "out of memory") : rc;
}
