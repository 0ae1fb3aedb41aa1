/* engine/swap-failure.c: a code that has failed on probation is not tried again.
 *
 * A file that is saved again, or built again from the same text, is a new build of the same code,
 * and would fail in the same way: so the code is remembered by its hash, with the reason, also when
 * its build has long been unloaded. The control thread notes it; whoever asks for a swap looks
 * before the probe, and the control thread again at the begin of the cut, since the code may have
 * failed meanwhile. Only failures of items count: that a migrate() refuses, or that bytes of a state
 * would be lost, has to do with the state of that moment. Whoever thinks that the reason lay
 * elsewhere asks with SWAP_RETRY.
 *
 * Under the engine's lock: both threads have time, and the text must outlive the look. */
#include "engine/engine.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

/* Under the lock; NULL: it has not failed. */
static struct swap_failure *find(struct stage *s, uint64_t code)
{
	for (uint32_t i = 0; i < SWAP_FAILURES && s->swap.failures && code != 0; i++)
		if (s->swap.failures[i].code == code)
			return &s->swap.failures[i];
	return NULL;
}

void swap_failure_note(struct stage *s, const struct build *b, const char *why)
{
	struct swap_failure *f;

	if (b->code == 0)
		return;
	pthread_mutex_lock(&s->engine->lock);
	/* Most stages never need it. Without memory the code is only tried again. */
	if (!s->swap.failures)
		s->swap.failures = calloc(SWAP_FAILURES, sizeof(*s->swap.failures));
	f = find(s, b->code);
	if (!f && s->swap.failures)
		f = &s->swap.failures[s->swap.n_failures++ % SWAP_FAILURES];
	if (f) {
		free(f->why);
		*f = (struct swap_failure){b->code, b->number, strdup(why)};
	}
	pthread_mutex_unlock(&s->engine->lock);
}

int swap_failure_check(struct stage *s, uint64_t code, unsigned how, struct pc_error **err)
{
	const struct swap_failure *f;
	int rc = PC_OK;

	if (how & SWAP_RETRY)
		return PC_OK;
	pthread_mutex_lock(&s->engine->lock);
	f = find(s, code);
	if (f)
		rc = error_set(
			err, PC_WRONG,
			"it is the code of v%u, which failed on probation: %s (if the reason "
			"lay elsewhere, ask for another try: --retry)",
			f->number, f->why ? f->why : "");
	pthread_mutex_unlock(&s->engine->lock);
	return rc;
}

void swap_failure_forget(struct stage *s, const struct build *b)
{
	struct swap_failure *f;

	pthread_mutex_lock(&s->engine->lock);
	f = find(s, b->code);
	if (f) {
		free(f->why);
		*f = (struct swap_failure){0};
	}
	pthread_mutex_unlock(&s->engine->lock);
}

void swap_failures_free(struct stage *s)
{
	for (uint32_t i = 0; i < SWAP_FAILURES && s->swap.failures; i++)
		free(s->swap.failures[i].why);
	free(s->swap.failures);
	s->swap.failures = NULL;
}
