/* engine/swap-ask.c: somebody asks for a swap, and waits for the answer.
 *
 * swap_ask() on any thread; the rest on the control thread. A request lies in a list under the
 * engine's lock until the control thread takes it, and belongs to that until it is answered;
 * every request is answered, also those that come when the graph has ended.
 */
#include "engine/engine.h"

#include "base/clock.h"
#include "base/error.h"

#include <stdlib.h>

void swap_offer_drop(struct swap_offer *offer)
{
	if (offer->release)
		offer->release(offer->user, NULL);
	*offer = (struct swap_offer){0};
}

static int refuse(struct swap_request *request, int code, const char *why,
                  struct swap_report *ret_report, struct pc_error **err)
{
	free(request->room);
	swap_offer_drop(&request->offer);
	*ret_report = (struct swap_report){0};
	return error_set(err, code, "%s", why);
}

int swap_ask(struct engine *e, uint32_t stage, const struct swap_offer *offer,
             const struct swap_wish *wish, struct swap_report *ret_report,
             struct pc_error **err)
{
	struct swap_request request = {.wish = *wish, .room = calloc(1, sizeof(*request.room))};
	int rc;

	pthread_mutex_lock(&e->shape);
	request.stage = e->stages[stage];
	pthread_mutex_unlock(&e->shape);
	if (offer)
		request.offer = *offer;
	if (!request.room)
		return refuse(&request, PC_NOMEM, "out of memory", ret_report, err);
	request.until_ns = clock_after_ns(clock_now_ns(), wish->timeout_ns);
	pthread_mutex_lock(&e->lock);
	if (e->swap.closed) {
		pthread_mutex_unlock(&e->lock);
		return refuse(&request, PC_STOPPED, "the graph has ended", ret_report, err);
	}
	request.next = e->swap.requests;
	e->swap.requests = &request;
	atomic_store_explicit(&e->swap.asked, true, memory_order_release); /* SW13 */
	control_nudge(e);
	while (!request.answered)
		pthread_cond_wait(&e->swap.answered, &e->lock);
	rc = request.result;
	pthread_mutex_unlock(&e->lock);
	free(request.room);
	*ret_report = request.report;
	if (err && !*err)
		*err = request.error;
	else
		pc_error_free(request.error);
	return rc;
}

void swap_answer(struct engine *e, struct swap_request *request, int result,
                 struct pc_error *error, const struct swap_report *report)
{
	swap_offer_drop(&request->offer);
	pthread_mutex_lock(&e->lock);
	request->result = result;
	request->error = error;
	request->report = *report;
	request->answered = true;
	pthread_cond_broadcast(&e->swap.answered);
	pthread_mutex_unlock(&e->lock);
}
