/* engine/swap-set-ask.c: pc_graph_swap_set() of <pcrun/pcrun.h>: somebody asks for a set.
 *
 * Any thread. Each build is loaded and probed here, one after the other, as by pc_graph_swap(); the
 * rest is asked of the control thread. A build that will be fed by others of the set is not given
 * the items that its stage had last: they were of the old kind.
 *
 * Pairs
 *   SS1 swap_set_ask: release news -> SS2 of swap-set.c: acq_rel news    that there is a request
 */
#include "engine/engine.h"

#include "base/clock.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>

static void free_room(struct swap_set_member *members, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		free(members[i].room);
		members[i].room = NULL;
	}
}

static bool make_room(struct swap_set_member *members, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		members[i].room = calloc(1, sizeof(*members[i].room));
		if (!members[i].room)
			return false;
	}
	return true;
}

static int refuse(struct swap_set_member *members, uint32_t n, int code, const char *why,
                  struct pc_error **err)
{
	free_room(members, n);
	for (uint32_t i = 0; i < n; i++)
		swap_offer_drop(&members[i].offer);
	return error_set(err, code, "%s", why);
}

int swap_set_ask(struct engine *e, struct swap_set_member *members, uint32_t n, bool dry_run,
                 int64_t timeout_ns, struct pc_error **err)
{
	struct swap_set_request request = {
		.members = members,
		.n = n,
		.dry_run = dry_run,
		.until_ns = clock_after_ns(clock_now_ns(), timeout_ns),
	};

	if (!make_room(members, n))
		return refuse(members, n, PC_NOMEM, "out of memory", err);
	pthread_mutex_lock(&e->lock);
	if (e->swap.closed) {
		pthread_mutex_unlock(&e->lock);
		return refuse(members, n, PC_STOPPED, "the graph has ended", err);
	}
	request.next = e->swap.set.asked;
	e->swap.set.asked = &request;
	atomic_store_explicit(&e->swap.set.news, true, memory_order_release); /* SS1 */
	control_nudge(e);
	while (!request.answered)
		pthread_cond_wait(&e->swap.answered, &e->lock);
	pthread_mutex_unlock(&e->lock);
	free_room(members, n);
	if (err && !*err)
		*err = request.error;
	else
		pc_error_free(request.error);
	return request.result;
}

/* ----------------------------------------------------------------------------- the call --- */

struct asked {
	struct engine *e;
	const struct pc_swap_options *options;
	struct swap_set_member *members;
	struct swap_trial *trials;
	size_t n;
};

static const struct pc_swap_item *item_at(const struct pc_swap_item *items, size_t i)
{
	return (const void *)((const char *)items + i * items->size);
}

static int find_members(struct asked *a, const struct pc_swap_item *items,
                        struct pc_error **err)
{
	const struct pc_swap_options *o = a->options;

	for (size_t i = 0; i < a->n; i++) {
		const struct pc_swap_item *item = item_at(items, i);
		struct swap_set_member *m = &a->members[i];

		m->stage = swap_find_stage(a->e, item->stage);
		if (!m->stage)
			return error_set(err, PC_INVALID, "there is no stage '%s'",
			                 item->stage);
		for (size_t k = 0; k < i; k++)
			if (a->members[k].stage == m->stage)
				return error_set(err, PC_INVALID,
				                 "stage '%s' is in the set twice", item->stage);
		if (!item->file != o->back)
			return error_set(err, PC_INVALID,
			                 o->back ? "stage '%s': back, or to a file? not both"
			                         : "stage '%s': to what? no file is given",
			                 item->stage);
		m->how = SWAP_SET | (o->dry_run ? SWAP_DRY_RUN : 0u) |
		         (o->reset_state ? SWAP_RESET : 0u) | (o->back ? SWAP_BACK : 0u) |
		         (o->retry ? SWAP_RETRY : 0u);
	}
	return PC_OK;
}

/* Marks those that others of the set feed, or they themselves. */
static void find_fed(struct asked *a)
{
	pthread_mutex_lock(&a->e->shape);
	for (size_t i = 0; i < a->n; i++)
		for (size_t k = 0; k < a->n && !(a->members[i].how & SWAP_FED); k++)
			if (swap_feeds(a->e, a->members[k].stage->index,
			               a->members[i].stage->index))
				a->members[i].how |= SWAP_FED;
	pthread_mutex_unlock(&a->e->shape);
}

static int load(struct asked *a, const struct pc_swap_item *items, struct pc_error **err)
{
	int rc = PC_OK;

	for (size_t i = 0; i < a->n && !rc && !a->options->back; i++) {
		struct swap_set_member *m = &a->members[i];
		const struct pc_swap_item *item = item_at(items, i);

		a->trials[i] = (struct swap_trial){.stage = m->stage, .how = m->how};
		rc = swap_load(&m->offer, m->stage, item->file, m->how,
		               a->options->no_probe ? NULL : &a->trials[i], err);
		if (rc)
			error_add(err, "stage '%s'", item->stage);
	}
	if (!rc)
		return PC_OK;
	for (size_t i = 0; i < a->n; i++) {
		swap_offer_drop(&a->members[i].offer);
		a->members[i].report.from = swap_number_in_force(a->members[i].stage);
	}
	error_add(err, "the set is refused, all of them keep their builds");
	return rc == PC_NOMEM ? rc : PC_WRONG;
}

static int swap_set(struct asked *a, const struct pc_swap_item *items, struct pc_error **err)
{
	int64_t timeout_ns = a->options->timeout_ns > 0 ? a->options->timeout_ns : 10 * PC_SEC;
	int rc = find_members(a, items, err);

	if (rc)
		return rc;
	find_fed(a);
	rc = load(a, items, err);
	if (rc)
		return rc;
	return swap_set_ask(a->e, a->members, (uint32_t)a->n, a->options->dry_run, timeout_ns,
	                    err);
}

PC_API int pc_graph_swap_set(struct pc_graph *graph, const struct pc_swap_item *items, size_t n,
                             const struct pc_swap_options *options,
                             struct pc_swap_report *ret_reports, size_t report_size,
                             struct pc_error **ret_err)
{
	struct pc_swap_options own = {.size = sizeof(own)};
	struct asked a = {.e = embed_engine(graph), .options = &own, .n = n};
	int rc;

	if (ret_err)
		*ret_err = NULL;
	if (options)
		memcpy(&own, options,
		       options->size < sizeof(own) ? options->size : sizeof(own));
	a.members = calloc(n + 1, sizeof(*a.members));
	a.trials = calloc(n + 1, sizeof(*a.trials));
	if (!a.members || !a.trials)
		rc = error_set(ret_err, PC_NOMEM, "out of memory");
	else if (!a.e)
		rc = error_set(ret_err, PC_INVALID, "the graph has not been started");
	else if (n == 0 || items->size < sizeof(*items))
		rc = error_set(ret_err, PC_INVALID, "a set has one stage at least");
	else
		rc = swap_set(&a, items, ret_err);
	if (a.e)
		died_tell(&a.e->died, ret_err);
	for (size_t i = 0; a.members && i < n; i++)
		if (a.members[i].stage)
			swap_unpin_stage(a.members[i].stage);
	for (size_t i = 0; i < n; i++)
		swap_report_give(a.members ? &a.members[i].report : NULL,
		                 a.trials ? &a.trials[i] : NULL,
		                 ret_reports ? (char *)ret_reports + i * report_size : NULL,
		                 report_size);
	free(a.members);
	free(a.trials);
	return rc;
}
