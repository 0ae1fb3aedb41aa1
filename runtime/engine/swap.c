/* engine/swap.c: a cut is begun by the version bit, and completed, or reversed.
 *
 * Control thread (swap_create_… and swap_destroy when no other exists). One cut at a time is in
 * flight for a stage, and for all stages that read one queue: its head word has one bit. A cut
 * that is being reversed counts as the same flight.
 */
#include "engine/engine.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/futex.h"
#include "queue/rcu.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

bool swap_create(struct engine *e)
{
	e->swap.keep = SWAP_KEEP;
	return pthread_cond_init(&e->swap.answered, NULL) == 0;
}

void swap_create_stage(struct stage *s)
{
	struct swap_stage *sw = &s->swap;

	sw->first.desc = s->desc;
	sw->first.stage = s;
	sw->first.number = 1;
	sw->first.params = s->plan->params;
	if (s->plan->plugin) {
		sw->first.code = s->plan->plugin->code;
		sw->first.plugin = s->plan->plugin;
	}
	sw->first.listed = true;
	sw->current = &sw->first;
	sw->settled = true;
	/* relaxed, all: no other thread yet */
	atomic_store_explicit(&sw->builds, &sw->first, memory_order_relaxed);
	atomic_store_explicit(&sw->numbers, 1, memory_order_relaxed); /* relaxed: as above */
	atomic_store_explicit(&sw->shown, 1, memory_order_relaxed);   /* relaxed: as above */
}

void swap_create_replica(struct replica *r)
{
	r->build = &r->stage->swap.first;
	r->swapped.kind = MESSAGE_SWAPPED;
	r->swap.first = (struct instance){r->build, r->state};
	/* relaxed: no other thread yet */
	atomic_store_explicit(&r->swap.instance, &r->swap.first, memory_order_relaxed);
}

/* ------------------------------------------------------------------------ beginning it --- */

/* Each replica's inputs, with the bit of the queue. */
static void for_each_input(struct stage *s,
                           void (*what)(struct input *in, unsigned version, struct cut *cut),
                           struct cut *cut)
{
	for (uint32_t i = 0; i < s->n_replicas; i++)
		for (uint32_t k = 0; k < s->desc->n_inputs; k++) {
			struct input *in = &s->replicas[i]->inputs[k];

			what(in, queue_version(in->place->queue), cut);
		}
}

static void fill_slot(struct input *in, unsigned version, struct cut *cut)
{
	atomic_store_explicit(&in->slot[!version], cut, memory_order_release); /* SW15 */
}

/* A queue of several replicas, or ports, is flipped once. */
static void flip_place(struct input *in, unsigned version, struct cut *cut)
{
	struct place *p = in->place;
	uint64_t position;

	if (p->flipped == cut->generation)
		return;
	p->flipped = cut->generation;
	position = queue_flip_version(p->queue, &version);
	if (cut->position == UINT64_MAX)
		cut->position = position;
}

/* Runtime waits of a source return PC_AGAIN: it passes the cut and is called again. */
void swap_kick(struct replica *r)
{
	int fd;

	atomic_fetch_or_explicit(&r->kick, KICK_SWAP, memory_order_seq_cst); /* H2 */
	futex_wake(&r->kick, 1);
	fd = atomic_load_explicit(&r->kick_fd, memory_order_seq_cst); /* H1 */
	if (fd >= 0)
		eventfd_write(fd, 1);
}

void swap_unkick(struct replica *r)
{
	/* relaxed: who takes it back has seen what it was for, or there is nothing any more */
	atomic_fetch_and_explicit(&r->kick, ~(uint32_t)KICK_SWAP, memory_order_relaxed);
}

static bool is_blocking_source(const struct stage *s)
{
	return s->desc->n_inputs == 0 && s->plan->own_thread;
}

static void notify(struct stage *s)
{
	for (uint32_t i = 0; i < s->n_replicas; i++)
		if (!s->replicas[i]->reported)
			task_notify(s->replicas[i]);
}

/* All who could take for this stage rest: there is nothing to be told from what they took before. */
static void fill_both(struct input *in, unsigned version, struct cut *cut)
{
	fill_slot(in, version, cut);
	fill_slot(in, !version, cut);
	if (cut->position == UINT64_MAX)
		cut->position = queue_position(in->place->queue);
}

static void flip(struct stage *s, struct cut *cut)
{
	cut->position = s->desc->n_inputs ? UINT64_MAX : 0;
	if (cut->in_set) {
		for_each_input(s, fill_both, cut);
		return;
	}
	for_each_input(s, fill_slot, cut);
	for_each_input(s, flip_place, cut);
}

/* From here on the replicas know of it. */
static void launch(struct stage *s, struct cut *cut)
{
	cut->generation = ++s->engine->swap.generations;
	cut->begun_ns = clock_now_ns();
	cut->older = s->swap.cut;
	s->swap.cut = cut;
	s->swap.in_flight = true;
	swap_choose_victims(s, cut);
	/* Whoever meets the flip passes at once, and may look at the target again before the new one
	 * stands there: not at the one of before, then, which may be freed as soon as all have passed.
	 * Relaxed: the flip, and the slots, release it. */
	if (!cut->rests) {
		atomic_store_explicit(&s->swap.target, NULL,
		                      memory_order_relaxed); /* see above */
		flip(s, cut);
	}
	/* Before the target: whoever passes takes its kick back. */
	for (uint32_t i = 0; i < s->n_replicas && is_blocking_source(s); i++)
		swap_kick(s->replicas[i]);
	atomic_store_explicit(&s->swap.target, cut, memory_order_release); /* SW1 */
	notify(s);
	swap_activate(s);
}

void swap_go(struct stage *s, bool on)
{
	struct cut *cut = s->swap.cut;

	if (on) {
		flip(s, cut);
	} else {
		cut->failed = true;
		/* One that has been in force before stays what it was. Relaxed: told by `go`; this
		 * thread alone sets it while they rest. */
		if (cut->to->number > cut->from->number)
			atomic_store_explicit(&cut->to->bad, true, memory_order_relaxed);
	}
	atomic_store_explicit(&cut->go, GO_ON, memory_order_release); /* SW17 */
	notify(s);
}

static void set_settled(struct stage *s)
{
	for (uint32_t i = 0; i < s->n_replicas; i++) {
		struct replica *r = s->replicas[i];

		swap_drop(&r->swap.aside);
	}
	s->swap.settled = true;
}

void swap_set_aside_free(struct stage *s)
{
	if (!s->swap.settled)
		set_settled(s);
}

static int find_back(struct stage *s, struct build **ret, struct pc_error **err)
{
	/* relaxed, both: this thread writes them */
	struct build *b = atomic_load_explicit(&s->swap.builds, memory_order_relaxed);

	for (; b; b = atomic_load_explicit(&b->older, memory_order_relaxed)) /* as above */
		if (b->number < s->swap.current->number &&
		    !atomic_load_explicit(&b->bad, memory_order_acquire)) { /* SW9 */
			*ret = b;
			return PC_OK;
		}
	return error_set(err, PC_WRONG, "no build before v%u is kept", s->swap.current->number);
}

static uint32_t next_number(struct stage *s, unsigned how)
{
	/* relaxed, all: this thread writes it */
	uint32_t n = 1 + atomic_load_explicit(&s->swap.numbers, memory_order_relaxed);

	if (!(how & SWAP_DRY_RUN))
		/* relaxed: as above */
		atomic_store_explicit(&s->swap.numbers, n, memory_order_relaxed);
	return n;
}

/* Who wants the state to begin anew gets that, with the same code as well. */
static bool is_unchanged(const struct stage *s, const struct swap_offer *offer, unsigned how)
{
	return offer->code != 0 && offer->code == s->swap.current->code &&
	       !(how & (SWAP_RESET | SWAP_BACK));
}

/* Also when only lines have moved: that is for debuggers alone. */
static void say_unchanged(struct stage *s, const struct swap_offer *offer, unsigned how,
                          struct swap_report *report)
{
	report->to = report->from;
	report->unchanged = true;
	report->refreshed =
		!(how & SWAP_DRY_RUN) && loader_refresh(s->swap.current->plugin, offer->plugin);
	report->words = strdup(report->refreshed
	                               ? "this code runs already; debuggers are shown its new "
	                                 "lines"
	                               : "nothing has changed: this code runs already");
}

static int make_build(struct stage *s, struct swap_offer *offer, unsigned how,
                      struct build **ret, struct pc_error **err)
{
	struct {
		struct build build;
		struct origin origin;
	} *made = calloc(1, sizeof(*made));
	struct build *b = made ? &made->build : NULL;
	int rc;

	*ret = b;
	if (!b)
		return error_set(err, PC_NOMEM, "out of memory");
	b->desc = offer->desc;
	b->stage = s;
	b->number = next_number(s, how);
	b->code = offer->code;
	b->plugin = offer->plugin;
	made->origin = (struct origin){offer->image, offer->release, offer->user, offer->lint,
	                               offer->rcu};
	b->origin = &made->origin;
	*offer = (struct swap_offer){.file = offer->file};
	if (offer->file) {
		b->file = strdup(offer->file);
		if (!b->file)
			return error_set(err, PC_NOMEM, "out of memory");
	}
	rc = swap_check(s, s->swap.current, b, how, err);
	return rc ? rc : swap_params(s, s->swap.current, b, how, err);
}

char *swap_describe(const struct cut *cut, unsigned how)
{
	struct buf words = {0};

	buf_adds(&words, cut->routes->words);
	if (!(how & SWAP_BACK))
		swap_findings(cut->from, cut->to, &words);
	return buf_take(&words);
}

int swap_choose(struct stage *s, struct swap_offer *offer, unsigned how, struct build **ret,
                struct swap_report *ret_report, struct pc_error **err)
{
	struct build *to = NULL;
	int rc;

	*ret = NULL;
	ret_report->from = s->swap.current->number;
	if (is_unchanged(s, offer, how)) {
		say_unchanged(s, offer, how, ret_report);
		return PC_OK;
	}
	if (how & SWAP_BACK) {
		rc = find_back(s, &to, err);
		rc = rc ? rc : swap_check(s, s->swap.current, to, how, err);
	} else {
		rc = swap_failure_check(s, offer->code, how, err);
	}
	if (rc == PC_OK && !to)
		rc = make_build(s, offer, how, &to, err);
	ret_report->to = to ? to->number : 0;
	ret_report->neighbours = rc == PC_WRONG && to && to->neighbours;
	*ret = to;
	return rc;
}

void swap_start(struct stage *s, struct build *to, struct cut *cut)
{
	if (!to->listed)
		swap_list_build(s, to);
	cut->was_fallback = s->swap.fallback;
	cut->was_settled = s->swap.settled;
	if (cut->new_chain) {
		s->swap.fallback = s->swap.current;
		s->swap.settled = false;
	}
	launch(s, cut);
}

/* As if it had never been asked for. */
static void give_back(struct stage *s, struct build *to, struct cut *cut,
                      struct swap_offer *offer)
{
	const struct origin *o = to->origin;

	swap_cut_free(cut);
	if (to->listed)
		return;
	*offer = (struct swap_offer){.desc = to->desc,
	                             .file = offer->file,
	                             .image = o->image,
	                             .code = to->code,
	                             .lint = o->lint,
	                             .plugin = to->plugin,
	                             .rcu = o->rcu,
	                             .release = o->release,
	                             .user = o->user};
	/* relaxed: this thread writes it */
	atomic_fetch_sub_explicit(&s->swap.numbers, 1, memory_order_relaxed);
	swap_free_build(to);
}

bool swap_comes_apart(const struct stage *s)
{
	const struct cut *last = s->swap.cut;

	if (!last || last->is_back || s->swap.settled)
		return false;
	return swap_any_fell(last) ||
	       atomic_load_explicit((_Atomic uint32_t *)(uintptr_t)&last->bond,
	                            memory_order_acquire) == BOND_BACK; /* SW10 */
}

/* What leads back to the build in force needs all replicas to stay on that. When they rest before it,
 * swap_turn() looks then. */
static bool may_start(const struct stage *s, const struct cut *cut)
{
	struct cut *last = s->swap.cut;

	return !cut->new_chain || cut->rests || !last || last->is_back || s->swap.settled ||
	       swap_close_way_back(last);
}

void swap_discard(struct build *to, struct cut *cut)
{
	swap_cut_free(cut);
	if (to && !to->listed)
		swap_release(to, false);
}

int swap_begin(struct stage *s, struct swap_offer *offer, unsigned how,
               struct swap_report *ret_report, struct pc_error **err)
{
	struct build *to = NULL;
	struct cut *cut = NULL;
	int rc;

	if (!(how & SWAP_DRY_RUN) && swap_comes_apart(s))
		return PC_AGAIN;
	rc = swap_choose(s, offer, how, &to, ret_report, err);
	if (ret_report->unchanged)
		return PC_OK;
	if (rc == PC_OK)
		rc = swap_make_cuts(&cut, s, to, how, err);
	if (rc == PC_OK && !(how & SWAP_DRY_RUN) && !may_start(s, cut)) {
		give_back(s, to, cut, offer);
		return PC_AGAIN;
	}
	died_tell(&s->engine->died, err); /* now: its file goes with it */
	if (rc == PC_OK) {
		ret_report->way = cut->way;
		ret_report->words = swap_describe(cut, how);
	}
	if (rc || (how & SWAP_DRY_RUN))
		swap_discard(to, cut);
	else
		swap_start(s, to, cut);
	return rc;
}

/* -------------------------------------------------------------------- ending it, somehow --- */

void swap_reverse(struct stage *s)
{
	struct cut *cut = s->swap.cut;

	cut->turned = true;
	launch(s, cut->back);
}

/* One that was begun: what it has of states may be of code that has run. */
static void free_passed(struct cut *cut)
{
	if (cut)
		swap_cut_drop(cut);
	swap_cut_free(cut);
}

void swap_forget(struct stage *s)
{
	struct cut *cut = s->swap.cut;

	s->swap.in_flight = false;
	s->swap.cut = cut->older;
	s->swap.fallback = cut->was_fallback;
	s->swap.settled = cut->was_settled;
	/* relaxed: a figure */
	atomic_fetch_add_explicit(&s->swap.reversed, 1, memory_order_relaxed);
	atomic_store_explicit(&s->swap.target, cut->older, memory_order_release); /* SW1 */
	cut->older = NULL;
	/* Whoever has passed this one does not look at the one that failed before. */
	free_passed(s->swap.spent);
	s->swap.spent = cut;
	notify(s);
}

void swap_complete(struct stage *s)
{
	struct cut *cut = s->swap.cut, *older = cut->older;

	s->swap.in_flight = false;
	s->swap.current = cut->to;
	cut->done_ns = clock_now_ns();
	for_each_input(s, fill_slot, cut); /* now both: the bit may mean another stage's cut */
	/* relaxed, all: figures */
	atomic_store_explicit(&s->swap.shown, s->swap.current->number, memory_order_relaxed);
	atomic_fetch_add_explicit(cut->is_back ? &s->swap.reversed : &s->swap.cuts, 1,
	                          memory_order_relaxed); /* relaxed: as above */
	swap_cut_drop(cut);
	cut->older = NULL;
	free_passed(s->swap.spent);
	s->swap.spent = NULL;
	while (older) {
		struct cut *next = older->older;

		free_passed(older);
		older = next;
	}
	if (cut->is_back || cut->in_set) {
		set_settled(s);
		s->swap.fallback = NULL;
	}
	swap_retire(s);
}

/* What it runs now; on probation, a moment later it may be back on another. One that has ended
 * passes no more cuts, and the passage that it was shown in is gone: but its build will close it. */
const struct build *swap_build_of(struct replica *r)
{
	if (r->reported)
		return r->build;
	return atomic_load_explicit(&r->swap.instance, memory_order_seq_cst)->build; /* SW6 */
}

/* The control thread has set the stop: tell the code that runs. */
void swap_stopped(struct replica *r)
{
	struct instance *now =
		atomic_load_explicit(&r->swap.instance, memory_order_seq_cst); /* SW6 */

	guard_stop(r, now->build, now->state);
}

void swap_undo_stage(struct stage *s, bool last)
{
	/* relaxed, both: no other thread any more */
	struct build *b = atomic_load_explicit(&s->swap.builds, memory_order_relaxed);
	struct cut *cut = s->swap.cut;

	swap_cut_free(s->swap.spent);
	s->swap.spent = NULL;
	while (cut) {
		struct cut *older = cut->older;

		swap_cut_free(cut);
		cut = older;
	}
	for (uint32_t i = 0; i < s->n_replicas; i++) {
		struct replica *r = s->replicas[i];

		if (r->stage)
			swap_drop_now(&r->swap.aside);
	}
	swap_record_destroy(s);
	swap_failures_free(s);
	if (s->swap.report)
		free(s->swap.report->words);
	free(s->swap.report);
	while (b) {
		/* relaxed: as above */
		struct build *older = atomic_load_explicit(&b->older, memory_order_relaxed);

		swap_release(b, last);
		b = older;
	}
	/* relaxed: as above */
	atomic_store_explicit(&s->swap.builds, NULL, memory_order_relaxed);
}

/* Callbacks that the code of builds has left behind may still be on their way. */
static void wait_for_callbacks(const struct engine *e)
{
	bool rcu = false;

	for (uint32_t i = 0; e->stages && i < e->plan->n_stages && e->stages[i]; i++) {
		/* relaxed, both: no other thread any more */
		struct build *b =
			atomic_load_explicit(&e->stages[i]->swap.builds, memory_order_relaxed);

		while (b) {
			rcu = rcu || (b->origin && b->origin->rcu);
			/* relaxed: as above */
			b = atomic_load_explicit(&b->older, memory_order_relaxed);
		}
	}
	if (rcu)
		urcu_memb_barrier();
}

void swap_destroy(struct engine *e)
{
	wait_for_callbacks(e);
	for (uint32_t i = 0; e->stages && i < e->plan->n_stages && e->stages[i]; i++)
		swap_undo_stage(e->stages[i], true);
	swap_retire_rest(e);
	for (size_t i = 0; i < e->swap.n_texts; i++)
		free(e->swap.texts[i]);
	free(e->swap.texts);
	pthread_cond_destroy(&e->swap.answered);
}
