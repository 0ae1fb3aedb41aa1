/* engine/swap-make.c: makes a cut and the cut that undoes it, with all memory that they need.
 *
 * Control thread, while the replicas run on the old build and know nothing of it. When something
 * is missing here (memory, or an open() that fails) the cut is thrown away and nothing has
 * happened.
 *
 * The story. A build that no replica trusts yet is not worth going back to, and one that has just come
 * may fail in the others. So as long as that is so, each further cut leads back to the build before
 * all of them (the chain's beginning), and the replicas keep the state aside that they had there. After
 * a cut whose state was made anew (migrate, fresh) the chain begins again: what is aside then tells
 * another story. It begins again, too, when some replica has trusted the build for a while, although
 * others have had too few items for that; swap_close_way_back() tells these.
 *
 * A replica whose item fails goes back by itself, perhaps when the next cut has begun already. So a
 * cut has routes from every build that a replica is on, or may be back on by then; the first one is
 * from the build in force, and decides what is said.
 */
#include "engine/engine.h"

#include "base/clock.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>

#define TRUSTED_FOR PC_SEC /* all have passed for so long, and at least one trusts the build */

static void *make_state(const struct build *b)
{
	size_t size = b->desc->state_size;
	void *state = malloc(size ? size : 1);

	if (state && size > 0)
		memcpy(state, b->params, size);
	return state;
}

static struct cut *make_cut(struct stage *s, struct build *from, struct build *to)
{
	uint32_t n = s->n_replicas;
	struct cut *cut = calloc(1, sizeof(*cut) + n * sizeof(cut->passages[0]));

	if (!cut)
		return NULL;
	cut->stage = s;
	cut->from = from;
	cut->to = to;
	cut->n_passages = n;
	return cut;
}

static bool add_route_back(struct cut *back, const struct build *from, bool aside)
{
	struct route *route = swap_route_back(from, back->to, aside);

	if (!route)
		return false;
	route->next = back->routes;
	back->routes = route;
	return true;
}

static bool is_trusted(const struct cut *cut)
{
	if (clock_now_ns() - cut->done_ns < TRUSTED_FOR)
		return false;
	for (uint32_t i = 0; i < cut->n_passages; i++)
		if (atomic_load_explicit((_Atomic bool *)(uintptr_t)&cut->passages[i].trusted,
		                         memory_order_acquire)) /* SW4 */
			return true;
	return false;
}

/* Whether a failure on the new build leads back to before the current one. */
static bool chain_goes_on(const struct stage *s, const struct build *to)
{
	const struct cut *last = s->swap.cut;

	return last && !last->is_back && !s->swap.settled && !is_trusted(last) &&
	       (last->way == WAY_ADOPT || last->way == WAY_MAP) && s->swap.fallback != to;
}

struct origins {
	const struct build **list; /* [0]: the build in force */
	uint32_t n;
};

static void add_origin(struct origins *o, const struct build *b)
{
	for (uint32_t i = 0; i < o->n; i++)
		if (o->list[i] == b)
			return;
	o->list[o->n++] = b;
}

static bool find_origins(const struct stage *s, struct origins *o)
{
	const struct cut *last = s->swap.cut;

	o->list = calloc(s->plan->replicas + 2, sizeof(*o->list));
	if (!o->list)
		return false;
	add_origin(o, s->swap.current);
	if (last && last->back && !s->swap.settled)
		add_origin(o, last->back->to);
	for (uint32_t i = 0; i < s->plan->replicas; i++)
		if (!s->replicas[i]->reported)
			add_origin(o, swap_build_of(s->replicas[i]));
	return true;
}

/* A way that the passages of this cut are made for. */
static bool is_like(enum swap_way first, enum swap_way other)
{
	return first == other ||
	       (first != WAY_FRESH && (other == WAY_ADOPT || other == WAY_MAP));
}

/* False: no memory. From where there is no way, a replica stays, and says so. */
static bool add_routes(struct cut *cut, const struct origins *o, unsigned how)
{
	for (uint32_t i = 1; i < o->n; i++) {
		struct route *route;
		int rc;

		if (o->list[i] == cut->to)
			continue;
		rc = swap_route(&route, o->list[i], cut->to, how, NULL);
		if (rc == PC_NOMEM)
			return false;
		if (rc == PC_OK && is_like(cut->way, route->way)) {
			route->next = cut->routes->next;
			cut->routes->next = route;
		} else if (rc == PC_OK) {
			swap_route_free(route);
		}
	}
	return true;
}

static bool make_back(struct stage *s, struct cut *cut, struct build *to,
                      const struct origins *o)
{
	bool aside = cut->way == WAY_MIGRATE || cut->way == WAY_FRESH;
	struct cut *back = make_cut(s, cut->to, to);

	cut->back = back;
	if (!back)
		return false;
	back->is_back = true;
	back->way = aside ? WAY_ASIDE : WAY_ADOPT;
	back->closes = cut->way == WAY_FRESH;
	cut->forgets = cut->way == WAY_MIGRATE;
	if (!add_route_back(back, cut->to, aside))
		return false;
	/* Some replicas may not have passed the cut when it is undone. */
	for (uint32_t i = 0; i < o->n; i++)
		if (o->list[i] != to && o->list[i] != cut->to &&
		    !add_route_back(back, o->list[i], false))
			return false;
	return true;
}

/* False: it ends in a state that nobody has put aside. Of three builds the first two, and the last two,
 * may be alike, and the first and the last not: a table that one leaves out says nothing. */
static bool leads_back(const struct cut *cut)
{
	const struct route *route = cut->back->routes;

	while (route && route->from != cut->to)
		route = route->next;
	return route && (route->way == WAY_ADOPT || cut->asides);
}

/* To the beginning of the chain, or as far as there is a way. */
static bool make_way_back(struct stage *s, struct cut *cut, bool chain,
                          const struct origins *origins)
{
	cut->asides = cut->way != WAY_ADOPT || (chain && s->swap.cut->asides);
	cut->new_chain = !chain;
	if (!chain)
		return make_back(s, cut, s->swap.current, origins);
	if (!make_back(s, cut, s->swap.fallback, origins))
		return false;
	if (leads_back(cut))
		return true;
	swap_cut_free(cut->back);
	return make_way_back(s, cut, false, origins);
}

static bool needs_fresh(const struct cut *cut)
{
	const struct route *route = cut->routes;

	while (route && route->way == WAY_ADOPT)
		route = route->next;
	return route != NULL;
}

static bool make_passages(struct cut *cut)
{
	size_t size = cut->to->desc->state_size;
	bool fresh = needs_fresh(cut);

	for (uint32_t i = 0; i < cut->n_passages; i++) {
		struct passage *p = &cut->passages[i];

		if (fresh) {
			p->fresh = make_state(cut->to);
			if (!p->fresh)
				return false;
		}
		if (cut->way == WAY_FRESH) {
			p->closing = closing_create(cut->stage->replicas[i]);
			if (!p->closing)
				return false;
		}
		if (size <= SWAP_SNAPSHOT_ONCE) {
			p->snapshot = malloc(size ? size : 1);
			if (!p->snapshot)
				return false;
		}
	}
	return true;
}

static int open_fresh(struct cut *cut, struct pc_error **err)
{
	int rc = PC_OK;

	if (!cut->to->desc->open)
		return PC_OK;
	for (uint32_t i = 0; i < cut->n_passages && rc == PC_OK; i++) {
		struct replica *r = cut->stage->replicas[i];
		struct passage *p = &cut->passages[i];
		struct replica *handle;

		if (r->reported)
			continue;
		/* The replica's own is in use. */
		handle = p->closing->handle;
		p->opened = true; /* close() follows even when open() fails */
		handle->build = cut->to;
		if (guard_call(handle, cut->to, "open", cut->to->desc->open, p->fresh) < 0) {
			rc = error_set(err, PC_WRONG, "%s",
			               handle->fail_text ? handle->fail_text
			                                 : "it gave no reason");
			error_add(err, "its open() failed");
		}
		free(handle->fail_text);
		handle->fail_text = NULL;
		item_cache_settle(handle->cache);
	}
	return rc;
}

int swap_make_cuts(struct cut **ret, struct stage *s, struct build *to, unsigned how,
                   struct pc_error **err)
{
	struct build *from = s->swap.current;
	bool chain = chain_goes_on(s, to);
	struct cut *cut = make_cut(s, from, to);
	struct origins origins = {0};
	int rc;

	*ret = cut;
	if (!cut)
		return error_set(err, PC_NOMEM, "out of memory");
	rc = swap_route(&cut->routes, from, to, how, err);
	if (rc)
		goto fail;
	cut->way = cut->routes->way;
	cut->rests = cut->way == WAY_MIGRATE;
	chain = chain && (cut->way == WAY_ADOPT || cut->way == WAY_MAP);
	if (!find_origins(s, &origins) || !add_routes(cut, &origins, how) ||
	    !make_passages(cut) || !make_way_back(s, cut, chain, &origins)) {
		rc = error_set(err, PC_NOMEM, "out of memory");
		goto fail;
	}
	if (cut->way == WAY_FRESH && !(how & SWAP_DRY_RUN))
		rc = open_fresh(cut, err);
	if (rc)
		goto fail;
	free(origins.list);
	return PC_OK;
fail:
	free(origins.list);
	swap_cut_free(cut);
	*ret = NULL;
	return rc;
}

static void drop(struct dropped *dropped,
                 void (*close)(struct closing *c, struct instance what))
{
	struct dropped what = *dropped;

	*dropped = (struct dropped){0};
	if (what.instance.state && what.closing)
		close(what.closing, what.instance);
	else
		free(what.instance.state);
}

void swap_drop(struct dropped *dropped)
{
	drop(dropped, closing_state);
}

void swap_drop_now(struct dropped *dropped)
{
	drop(dropped, closing_state_now);
}

/* Of a replica that stayed, or has ended before. */
static struct dropped take_unused(const struct cut *cut, struct passage *p)
{
	struct dropped unused = {{cut->to, p->fresh}, p->opened ? p->closing : NULL};

	if (!unused.closing)
		free(p->closing);
	p->fresh = NULL;
	p->closing = NULL;
	return unused;
}

static void drop_states(struct cut *cut, void (*drop_it)(struct dropped *dropped))
{
	for (uint32_t i = 0; i < cut->n_passages; i++) {
		struct passage *p = &cut->passages[i];
		struct dropped unused = take_unused(cut, p);

		drop_it(&unused);
		drop_it(&p->dropped[0]);
		drop_it(&p->dropped[1]);
	}
}

void swap_cut_drop(struct cut *cut)
{
	drop_states(cut, swap_drop);
}

/* And what it leaves. No replica is in it or before it any more. */
void swap_cut_free(struct cut *cut)
{
	if (!cut)
		return;
	drop_states(cut, swap_drop_now);
	for (uint32_t i = 0; i < cut->n_passages; i++) {
		free(cut->passages[i].snapshot);
		free(cut->passages[i].why);
	}
	swap_route_free(cut->routes);
	if (!cut->turned)
		swap_cut_free(cut->back);
	free(cut);
}
