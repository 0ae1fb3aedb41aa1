/* plan/difference.c: every change from the plan that runs to that of a new text. See difference.h.
 *
 * Called by the engine when a graph is read anew. Right because nothing here touches what runs:
 * the answer is a plan, a list and a text. Each kind of change is looked for by itself, so that
 * all that is refused is refused in one run. */
#include "plan/match.h"

#include <string.h>

struct look {
	struct plan_difference *d;
	struct match m;
	struct diag_list *diags;
};

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

__attribute__((format(printf, 2, 3))) static void line(struct look *l, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	buf_addv(&l->d->text, format, ap);
	va_end(ap);
	buf_addc(&l->d->text, '\n');
	l->d->n_changes++;
}

/* --------------------------------------------------------------------------------- stages --- */

static const char *section(const struct plan *plan, const struct plan_stage *s)
{
	return s->section == PLAN_NONE ? NULL : plan->sections[s->section].name;
}

/* The new build can stand in the old one's place: every port that is wired was there before. */
static bool ports_fit(const struct plan_stage *old, const struct plan_stage *new)
{
	const struct pc_stage_desc *a = old->desc, *b = new->desc;

	if (a->n_inputs != b->n_inputs)
		return false;
	for (uint32_t i = 0; i < b->n_inputs; i++)
		if (match_port(a->inputs, a->n_inputs, b->inputs[i].name) == PLAN_NONE)
			return false;
	for (uint32_t i = 0; i < b->n_outputs; i++)
		if (new->outputs[i].n_queues > 0 &&
		    match_port(a->outputs, a->n_outputs, b->outputs[i].name) == PLAN_NONE)
			return false;
	return true;
}

/* Why the stage can not go on as it is; NULL: it can. */
static const char *why_replaced(const struct look *l, const struct plan_stage *old,
                                const struct plan_stage *new, const char *param,
                                struct buf *room)
{
	bool source = new->desc->n_inputs == 0;

	if (strcmp(old->desc->name, new->desc->name) != 0)
		return "it is another plugin";
	if (param) {
		buf_addf(room, "'%s' has another value, which only a fresh start takes in",
		         param);
		return room->text ? room->text : "a parameter differs";
	}
	if (old->desc != new->desc && !ports_fit(old, new))
		return "its plugin has other ports";
	if (old->own_thread != new->own_thread)
		return "it runs on another kind of thread";
	if (old->ordered != new->ordered)
		return "'ordered' has changed";
	if (!same_text(old->by, new->by))
		return "'by' has changed";
	if (!same_text(section(l->m.old, old), section(l->m.new, new)))
		return "its critical section is another";
	if (old->replicas != new->replicas &&new->by)
		return "each key belongs to one of its replicas, whose number has changed";
	if (old->replicas != new->replicas && source)
		return "a source divides its work by the number of its replicas";
	return NULL;
}

/* Another descriptor may be that of another copy of the same code. */
static bool is_rebuilt(const struct plan_stage *old, const struct plan_stage *new)
{
	const struct pc_stage_desc *runs = plan_params_desc(old);

	if (runs == new->desc)
		return false;
	return !old->plugin || !new->plugin || runs != old->plugin->desc ||
	       old->plugin->code == 0 || old->plugin->code != new->plugin->code;
}

static void look_at_stage(struct look *l, uint32_t index)
{
	const struct plan_stage *new = &l->m.new->stages[index], *old;
	unsigned *changes = &l->m.changes[index];
	const char *param = NULL, *why;
	size_t n_lines = 0;
	struct buf params = {0}, room = {0};

	if (l->m.old_stage[index] == PLAN_NONE) {
		line(l, "stage '%s' is added", new->name);
		*changes = CHANGE_ADDED;
		return;
	}
	old = &l->m.old->stages[l->m.old_stage[index]];
	*changes = difference_params(old, new, &params, &n_lines, &param);
	why = why_replaced(l, old, new, param, &room);
	if (why) {
		line(l,
		     "stage '%s' is replaced, since %s: the old one drains and ends, then the "
		     "new one begins",
		     new->name, why);
		*changes = CHANGE_REPLACED;
		goto done;
	}
	buf_adds(&l->d->text, params.text ? params.text : "");
	l->d->n_changes += n_lines;
	if (is_rebuilt(old, new)) {
		line(l, "stage '%s': its plugin has been built anew", new->name);
		*changes |= CHANGE_PLUGIN;
	}
	if (old->replicas != new->replicas) {
		line(l, "stage '%s': %u replicas, and had %u", new->name, new->replicas,
		     old->replicas);
		*changes |= CHANGE_REPLICAS;
	}
	if (old->on_error != new->on_error ||
	    (new->on_error == PLAN_RETRY && old->retries != new->retries)) {
		line(l, "stage '%s': on_error has changed", new->name);
		*changes |= CHANGE_ERROR;
	}
	if (old->daemon != new->daemon ||
	    (new->daemon &&
	     !same_text(l->m.old->joins[old->until].name, l->m.new->joins[new->until].name))) {
		line(l, "stage '%s': %s", new->name,
		     !new->daemon  ? "it is no daemon any more"
		     : old->daemon ? "its until= has changed"
		                   : "it is a daemon now");
		*changes |= CHANGE_DAEMON;
	}
	if (!same_text(l->m.old->joins[old->start].name, l->m.new->joins[new->start].name)) {
		line(l, "stage '%s': its start= has changed", new->name);
		*changes |= CHANGE_START;
	}
done:
	buf_fini(&params);
	buf_fini(&room);
}

static bool is_in(uint32_t a, const uint32_t *list, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (list[i] == a)
			return true;
	return false;
}

/* Both without repetitions. */
static bool same_set(const uint32_t *a, uint32_t n, const uint32_t *b, uint32_t m)
{
	for (uint32_t i = 0; i < n; i++)
		if (!is_in(a[i], b, m))
			return false;
	return n == m;
}

/* When the merged plan is there: what the stages that stay are wired to. */
static void look_at_wires(struct look *l, uint32_t index)
{
	const struct plan_stage *now = &l->d->merged.stages[index];
	const struct plan_stage *old = &l->m.old->stages[index];
	unsigned *changes = &l->d->stages[index];

	for (uint32_t i = 0; i < now->desc->n_inputs; i++)
		if (now->inputs[i].queue != old->inputs[i].queue)
			*changes |= CHANGE_INPUT;
	for (uint32_t i = 0; i < now->desc->n_outputs; i++)
		if (!same_set(now->outputs[i].queues, now->outputs[i].n_queues,
		              old->outputs[i].queues, old->outputs[i].n_queues))
			*changes |= CHANGE_OUTPUT;
	if (now->on_error == PLAN_DEAD && now->dead_queue != old->dead_queue) {
		if (old->on_error == PLAN_DEAD)
			line(l, "stage '%s': its dead items go to '%s' now", now->name,
			     l->d->merged.queues[now->dead_queue].name);
		*changes |= CHANGE_ERROR;
	}
}

/* --------------------------------------------------------------------------------- queues --- */

static const char *full_word(enum pc_full full)
{
	static const char *const words[] = {"block", "drop-new", "drop-old", "error"};

	return words[full];
}

/* It takes the place of a stage of the same name: no news. */
static bool follows_one_of(const struct look *l, uint32_t stage, const uint32_t *old,
                           uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (l->d->successors[old[i]] == stage)
			return true;
	return false;
}

static void say_ends(struct look *l, const struct plan_queue *q, const uint32_t *now,
                     uint32_t n, const uint32_t *old, uint32_t m, const char *what)
{
	for (uint32_t i = 0; i < n; i++)
		if (!is_in(now[i], old, m) && !follows_one_of(l, now[i], old, m))
			line(l, "queue '%s': '%s' %s it now", q->name,
			     l->d->merged.stages[now[i]].name, what);
	for (uint32_t i = 0; i < m; i++)
		if (!is_in(old[i], now, n) && !l->d->merged.stages[old[i]].gone)
			line(l, "queue '%s': '%s' no longer %s it", q->name,
			     l->d->merged.stages[old[i]].name, what);
}

static void look_at_queue(struct look *l, uint32_t index)
{
	const struct plan_queue *now = &l->d->merged.queues[index], *old;
	unsigned *changes = &l->d->queues[index];

	if (index >= l->m.old->n_queues || (l->m.old->queues[index].vacant && !now->vacant)) {
		line(l, "queue '%s' is added", now->name);
		*changes = QUEUE_ADDED;
		return;
	}
	old = &l->m.old->queues[index];
	if (now->gone) {
		if (!old->gone) {
			line(l, "queue '%s' is removed: it is emptied first", now->name);
			*changes = QUEUE_GONE;
		}
		return;
	}
	if (now->capacity != old->capacity) {
		line(l, "queue '%s': capacity %u, and had %u", now->name, now->capacity,
		     old->capacity);
		*changes |= QUEUE_CAPACITY;
	}
	if (now->full != old->full) {
		line(l, "queue '%s': full=%s, and was %s", now->name, full_word(now->full),
		     full_word(old->full));
		*changes |= QUEUE_FULL;
	}
	if (!same_set(now->writers, now->n_writers, old->writers, old->n_writers) ||
	    !same_set(now->readers, now->n_readers, old->readers, old->n_readers))
		*changes |= QUEUE_ENDS;
	if (now->joined && !old->joined)
		*changes |= QUEUE_JOINED;
	say_ends(l, now, now->writers, now->n_writers, old->writers, old->n_writers, "writes");
	say_ends(l, now, now->readers, now->n_readers, old->readers, old->n_readers, "reads");
}

static void look_at_join(struct look *l, uint32_t index)
{
	const struct plan_join *now = &l->d->merged.joins[index], *old;

	if (index == PLAN_JOIN_START || index == PLAN_JOIN_END)
		return;
	if (index >= l->m.old->n_joins || (l->m.old->joins[index].gone && !now->gone)) {
		line(l, "join '%s' is added", now->name);
		return;
	}
	old = &l->m.old->joins[index];
	if (now->gone && !old->gone)
		line(l, "join '%s' is removed", now->name);
	else if (!now->gone &&
	         (!same_set(now->stages, now->n_stages, old->stages, old->n_stages) ||
	          !same_set(now->queues, now->n_queues, old->queues, old->n_queues) ||
	          !same_set(now->joins, now->n_joins, old->joins, old->n_joins)))
		line(l, "join '%s' waits for something else", now->name);
}

/* ------------------------------------------------------------------------------------- all --- */

static bool make_lists(struct plan_difference *d)
{
	struct arena *a = &d->merged.arena;

	d->stages = arena_alloc(a, (d->merged.n_stages + 1) * sizeof(*d->stages));
	d->successors = arena_alloc(a, (d->merged.n_stages + 1) * sizeof(uint32_t));
	d->texts = arena_alloc(a, (d->merged.n_stages + 1) * sizeof(uint32_t));
	d->queues = arena_alloc(a, (d->merged.n_queues + 1) * sizeof(*d->queues));
	return d->stages && d->successors && d->texts && d->queues;
}

static void fill_lists(struct look *l)
{
	struct plan_difference *d = l->d;

	for (uint32_t i = 0; i < d->merged.n_stages; i++)
		d->successors[i] = d->texts[i] = PLAN_NONE;
	for (uint32_t i = 0; i < l->m.new->n_stages; i++) {
		uint32_t old = l->m.old_stage[i], now = l->m.stage[i];

		d->texts[now] = i;
		d->stages[now] = l->m.changes[i];
		if (l->m.changes[i] & CHANGE_REPLACED) {
			d->stages[now] = CHANGE_ADDED;
			d->stages[old] = CHANGE_GONE | CHANGE_REPLACED;
			d->successors[old] = now;
		}
	}
	for (uint32_t i = 0; i < l->m.old->n_stages; i++) {
		if (l->m.stage_stays[i]) {
			look_at_wires(l, i);
		} else if (!l->m.old->stages[i].gone && !d->stages[i]) {
			line(l, "stage '%s' is removed: it drains and ends",
			     l->m.old->stages[i].name);
			d->stages[i] = CHANGE_GONE;
		}
	}
	for (uint32_t i = 0; i < d->merged.n_queues; i++)
		look_at_queue(l, i);
	for (uint32_t i = 0; i < d->merged.n_joins; i++)
		look_at_join(l, i);
}

int plan_difference(struct plan_difference *ret, const struct plan *old, const struct plan *new,
                    struct diag_list *diags)
{
	struct look l = {.d = ret, .m = {.old = old, .new = new}, .diags = diags};
	int rc = PC_NOMEM;

	*ret = (struct plan_difference){0};
	if (!match_names(&l.m))
		goto out;
	for (uint32_t i = 0; i < new->n_stages; i++)
		look_at_stage(&l, i);
	if (!match_queues(&l.m) || !merge_plans(&ret->merged, &l.m) || !make_lists(ret))
		goto out;
	fill_lists(&l);
	if (!refuse_shared(&l.m, diags) || !refuse_cycles(ret, &l.m, diags))
		goto out;
	if (arena_failed(&l.m.scratch) || arena_failed(&ret->merged.arena) || ret->text.failed)
		goto out;
	rc = diags->n_errors > 0 ? PC_WRONG : PC_OK;
out:
	arena_fini(&l.m.scratch);
	return rc;
}

void plan_difference_fini(struct plan_difference *d)
{
	arena_fini(&d->merged.arena);
	buf_fini(&d->text);
	*d = (struct plan_difference){0};
}
