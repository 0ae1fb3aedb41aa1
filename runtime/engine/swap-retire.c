/* engine/swap-retire.c: builds that nobody needs any more are unloaded, when that is safe.
 *
 * Control thread; what has to wait is done by a thread of its own (swap-grace.c). A build stays
 * loaded while it is in force, is what a failure leads back to, or is among the last SWAP_KEEP:
 * that is the instant way back, and keeps debuggers and late pointers happy. After that
 *   1 all replicas have passed the cut that replaced it: none runs its code; and the states that
 *     it had are closed, which another thread does;
 *   2 no word of their states points into its image (they have looked, each at its own): else it
 *     stays, and that is said;
 *   3 a grace period: nobody on another thread still looks at the list entry;
 *   4 rcu_barrier: what its code has left with call_rcu() has run (synchronize_rcu() alone does not
 *     wait for callbacks; without this the process died in 3 of 3 runs, research/hotswap.md 2.5);
 *   5 nothing of it is left that needs its code: a thread, a signal handler, a key (loader/left.h);
 *     else it stays until that is gone, is counted, and the reason is said;
 *   6 release: for a plugin, dlclose(); and if the image is gone, a mapping without rights takes
 *     its place (swap-tomb.c), so that a stale pointer faults instead of reading what is loaded there
 *     next. If it is not gone, its file told why (loader/lint.h): that is counted and said, too.
 * 3 and 4 wait, for all builds that have gathered meanwhile.
 */
#include "engine/engine.h"

#include "queue/rcu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------------------- the list --- */

static struct build *older(const struct build *b)
{
	/* relaxed: this thread writes it */
	return atomic_load_explicit((_Atomic(struct build *) *)(uintptr_t)&b->older,
	                            memory_order_relaxed);
}

static struct build *newest(const struct stage *s)
{
	/* relaxed: this thread writes it */
	return atomic_load_explicit((_Atomic(struct build *) *)(uintptr_t)&s->swap.builds,
	                            memory_order_relaxed);
}

void swap_list_build(struct stage *s, struct build *b)
{
	b->listed = true;
	/* relaxed: published by the next line */
	atomic_store_explicit(&b->older, newest(s), memory_order_relaxed);
	atomic_store_explicit(&s->swap.builds, b, memory_order_release); /* SW11 */
}

static void unlist(struct stage *s, struct build *b)
{
	struct build *before = newest(s);

	while (before != b && older(before) != b)
		before = older(before);
	if (before == b)
		atomic_store_explicit(&s->swap.builds, older(b),
		                      memory_order_release); /* SW11 */
	else
		atomic_store_explicit(&before->older, older(b),
		                      memory_order_release); /* SW11 */
}

static bool in_use(const struct stage *s, const struct build *b)
{
	const struct cut *cut = s->swap.cut;

	for (uint32_t i = 0; i < s->n_replicas; i++)
		if (swap_build_of(s->replicas[i]) == b)
			return true;
	return b->closings > 0 || b == &s->swap.first || b == s->swap.current ||
	       b == s->swap.fallback ||
	       (cut && (b == cut->to || b == cut->from || (cut->back && b == cut->back->to)));
}

/* Builds beyond those that are kept, the newest first; true while there are more. */
static struct build *beyond(const struct stage *s, struct build *after)
{
	uint32_t kept = 0;
	bool on = !after;

	for (struct build *b = newest(s); b; b = older(b)) {
		if (in_use(s, b))
			continue;
		if (kept < s->engine->swap.keep) {
			kept++;
			continue;
		}
		if (on)
			return b;
		on = b == after;
	}
	return NULL;
}

static struct image build_image(const struct build *b)
{
	return b->origin ? b->origin->image : (struct image){0};
}

/* Before a cut: the replicas will look whether their states point into these. */
void swap_choose_victims(struct stage *s, struct cut *cut)
{
	struct build *b = NULL;
	unsigned n = 0;

	while (n < SWAP_VICTIMS && (b = beyond(s, b)))
		if (build_image(b).begin) {
			/* relaxed: published with the cut */
			atomic_store_explicit(&b->points, 0, memory_order_relaxed);
			cut->victims[n++] = b;
		}
}

/* ----------------------------------------------------------------------------- the end --- */

static const char *field_at(const struct stage *s, size_t offset)
{
	const struct pc_stage_desc *d = s->swap.current->desc;

	for (uint32_t i = 0; i < d->n_fields; i++)
		if (offset - d->fields[i].offset < d->fields[i].size * d->fields[i].count)
			return d->fields[i].name;
	return "the state";
}

/* " (symbol by_key+0x4)": what of the build it points at. */
static void add_pointee(struct buf *out, const struct build *b)
{
	struct symbols *symbols = swap_symbols(b);
	struct symbols_hit hit;

	if (symbols && symbols_find(symbols, b->pointee, &hit)) {
		buf_addf(out, hit.inside ? " (symbol %s" : " (near symbol %s", hit.name);
		if (hit.inside && hit.into > 0)
			buf_addf(out, "+0x%x", hit.into);
		buf_adds(out, ")");
	}
	free(symbols);
}

static void say_held(struct stage *s, const struct build *b, size_t offset)
{
	struct buf pointee = {0};

	add_pointee(&pointee, b);
	engine_log(s->engine, PC_WARN, s->plan->name,
	           "v%u stays loaded: `%s` at offset %zu still points into it%s", b->number,
	           field_at(s, offset), offset, pointee.text ? pointee.text : "");
	buf_fini(&pointee);
}

static void count_stays(struct stage *s)
{
	/* relaxed: a figure */
	atomic_fetch_add_explicit(&s->swap.stays, 1, memory_order_relaxed);
}

/* It has been looked at in the cut that is complete, and nothing points into it. */
static bool may_go(struct stage *s, struct build *b)
{
	/* relaxed: told by `passed` */
	size_t points = atomic_load_explicit(&b->points, memory_order_relaxed);
	bool looked = !build_image(b).begin;

	for (unsigned i = 0; i < SWAP_VICTIMS && !looked; i++)
		looked = s->swap.cut->victims[i] == b;
	if (looked && !points)
		return true;
	if (points && !b->held) {
		count_stays(s);
		say_held(s, b, points - 1);
	}
	b->held = points != 0;
	return false;
}

static void gone(struct engine *e, struct image image, const char *name,
                 const struct symbols *symbols)
{
	if (!image.begin || image_is_loaded(image, NULL))
		return;
	if (!LEFT_OUT(FAULT_TOMB))
		swap_bury(e, image, name, symbols);
	e->swap.unloaded++;
}

/* It gets further chances, whatever becomes of its stage. False: no memory. Else takes the symbols
 * over. */
static bool keep_left(struct engine *e, const struct build *b, const char *name,
                      struct symbols **symbols)
{
	struct swap_left *left = calloc(1, sizeof(*left));

	if (!left)
		return false;
	left->release = b->origin->release;
	left->user = b->origin->user;
	left->image = b->origin->image;
	left->symbols = *symbols;
	*symbols = NULL;
	snprintf(left->name, sizeof(left->name), "%s", name);
	left->next = e->swap.left;
	e->swap.left = left;
	return true;
}

static void let_go(struct build *b, const char *name, struct symbols **symbols, bool last)
{
	struct stage *s = b->stage;
	struct buf why = {0};
	const struct origin *origin = b->origin;
	bool done = origin->release(origin->user, last ? NULL : &why);

	if (why.text) {
		count_stays(s);
		engine_log(s->engine, PC_WARN, s->plan->name, "v%u stays loaded: %s", b->number,
		           why.text);
	}
	if (!done && !keep_left(s->engine, b, name, symbols))
		origin->release(origin->user, NULL);
	buf_fini(&why);
}

void swap_free_build(struct build *b)
{
	free(b->file);
	free(b->own_params);
	free(b->in_ports);
	free(b->out_ports);
	if (b != &b->stage->swap.first)
		free(b);
}

void swap_release(struct build *b, bool last)
{
	/* Now: the file goes with the build. At the end no tomb outlives this. */
	struct symbols *symbols = last ? NULL : swap_symbols(b);
	char name[64];

	snprintf(name, sizeof(name), "v%u of %s", b->number, b->stage->plan->name);
	if (b->origin && b->origin->release)
		let_go(b, name, &symbols, last);
	gone(b->stage->engine, build_image(b), name, symbols);
	free(symbols);
	swap_free_build(b);
}

/* Perhaps what was left behind is gone by now. */
static void look_again(struct engine *e, bool last)
{
	struct swap_left **at = &e->swap.left;

	while (*at) {
		struct swap_left *left = *at;
		struct buf why = {0};

		if (left->release(left->user, last ? NULL : &why)) {
			gone(e, left->image, left->name, left->symbols);
			*at = left->next;
			free(left->symbols);
			free(left);
		} else {
			at = &left->next;
		}
		buf_fini(&why);
	}
}

static void release_retiring(struct engine *e)
{
	struct build *b = e->swap.retiring;

	e->swap.retiring = NULL;
	look_again(e, false);
	while (b) {
		struct build *next = b->next;

		QUEUE_RCU_AFTER_GRACE(b);
		swap_release(b, false);
		b = next;
	}
}

void swap_retire_start(struct engine *e)
{
	if (e->swap.waiting || (!e->swap.retired && !recycle_wanted(e)))
		return;
	e->swap.retiring = e->swap.retired;
	e->swap.retired = NULL;
	recycle_begin(e);
	e->swap.waiting = swap_grace_begin(e);
	if (!e->swap.waiting) {
		/* for the next one, or the end */
		e->swap.retired = e->swap.retiring;
		e->swap.retiring = NULL;
		recycle_put_off(e);
	}
}

void swap_retire_turn(struct engine *e)
{
	if (!e->swap.waiting || !swap_grace_over(e))
		return;
	e->swap.waiting = false;
	release_retiring(e);
	recycle_end(e);
	swap_retire_start(e);
}

void swap_retire_finish(struct engine *e)
{
	if (!swap_grace_end(e) || !e->swap.waiting)
		return;
	e->swap.waiting = false;
	release_retiring(e);
	recycle_end(e);
}

static void retire(struct engine *e, struct build *b)
{
	b->next = e->swap.retired;
	e->swap.retired = b;
}

void swap_retire(struct stage *s)
{
	struct engine *e = s->engine;
	struct build *b = beyond(s, NULL);

	if (e->stuck)
		return; /* a thread that never came back may run any of it */
	while (b) {
		struct build *next = beyond(s, b);

		if (may_go(s, b)) {
			unlist(s, b);
			retire(e, b);
		}
		b = next;
	}
	swap_retire_start(e);
}

void swap_retire_rest(struct engine *e)
{
	while (e->swap.retired) {
		struct build *b = e->swap.retired;

		e->swap.retired = b->next;
		swap_release(b, true);
	}
	look_again(e, true);
	swap_tombs_free(e);
}
