/* engine/swap-load.c: from a file to a build that can be offered to a stage.
 *
 * Any thread: the caller's, so that neither a compiler nor a constructor keeps the control thread
 * from its work. The file that a developer builds is never loaded itself, but a private copy of
 * what was checked (loader/copy.h), which stays until the build is unloaded; and not before another
 * process has tried it.
 */
#include "engine/swap-probe.h"

#include "base/error.h"
#include "queue/rcu.h"

#include <stdlib.h>
#include <string.h>

static bool forget(void *user, struct buf *why)
{
	if (why)
		return loader_unload(user, why) != LOADER_LEFT;
	loader_close(user);
	return true;
}

/* The copy is named after the number that the build will have, unless another request overtakes
 * this one. */
static unsigned next_number(const struct stage *s)
{
	/* relaxed: a name */
	return 1 + atomic_load_explicit((_Atomic uint32_t *)(uintptr_t)&s->swap.numbers,
	                                memory_order_relaxed);
}

/* The row is another after a reload; its texts stay until the end. */
static const char *name_of(const struct stage *s)
{
	const char *name;

	pthread_mutex_lock(&s->engine->shape);
	name = s->plan->name;
	pthread_mutex_unlock(&s->engine->shape);
	return name;
}

/* Then it needs no probe: as another build with other lines, say. */
static bool runs_already(const struct stage *s, uint64_t code)
{
	const struct build *b;
	bool same;

	queue_rcu_lock();
	b = swap_build_in_force(s, 0);
	same = b && b->code == code;
	queue_rcu_unlock();
	return same;
}

int swap_load(struct swap_offer *ret, struct stage *s, const char *file, unsigned how,
              struct swap_trial *trial, struct pc_error **err)
{
	struct loader_plugin *plugin;
	struct loader_copy copy;
	int rc;

	if (LEFT_OUT(FAULT_COPY)) {
		rc = loader_open_as(&plugin, file, file, err);
	} else {
		rc = loader_copy_make(&copy, file, name_of(s), next_number(s), err);
		if (rc)
			return rc;
		rc = loader_copy_check(&copy, err);
		if (rc == PC_OK)
			rc = swap_failure_check(s, copy.code, how, err);
		if (rc == PC_OK && trial && ((how & SWAP_RESET) || !runs_already(s, copy.code)))
			rc = swap_probe(trial, &copy, err);
		if (rc == PC_OK)
			rc = loader_copy_open(&plugin, &copy, err);
		else
			loader_copy_drop(&copy);
	}
	if (rc)
		return rc;
	*ret = (struct swap_offer){.desc = plugin->desc,
	                           .file = file,
	                           .image = plugin->image,
	                           .code = plugin->code,
	                           .lint = &plugin->lint,
	                           .plugin = plugin,
	                           .rcu = true,
	                           .release = forget,
	                           .user = plugin};
	return PC_OK;
}

static bool has_finding(const struct loader_lint *lint, const char *name)
{
	for (size_t i = 0; lint && i < lint->n; i++)
		if (strcmp(lint->findings[i].name, name) == 0)
			return true;
	return false;
}

static const struct loader_lint *lint_of(const struct build *b)
{
	if (b->origin)
		return b->origin->lint;
	return b->plugin ? &b->plugin->lint : NULL;
}

void swap_findings(const struct build *from, const struct build *to, struct buf *words)
{
	const struct loader_lint *was = lint_of(from), *is = lint_of(to);

	for (size_t i = 0; is && i < is->n; i++) {
		const struct loader_finding *f = &is->findings[i];

		if (f->weight == LOADER_STAYS || !has_finding(was, f->name))
			buf_addf(words, " | %s: %s (%s)", f->name, f->text, f->fix);
	}
}
