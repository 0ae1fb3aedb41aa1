/* engine/fail.c: failures and lines for the user.
 *
 * Called on any thread. The first failure is the graph's; it asks the control thread to stop
 * everything. Off the way of items, so a mutex is fine.
 */
#include "engine/engine.h"

#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void engine_log(struct engine *e, int level, const char *stage, const char *format, ...)
{
	va_list ap;
	char *text, *lines;

	if (!e->log || level < e->log_level)
		return;
	va_start(ap, format);
	if (vasprintf(&text, format, ap) < 0)
		text = NULL;
	va_end(ap);
	lines = text ? died_lines(&e->died, text) : NULL;
	if (lines) {
		free(text);
		text = lines;
	}
	pthread_mutex_lock(&e->log_lock);
	e->log(e->log_user, level, stage, text ? text : "(out of memory)");
	pthread_mutex_unlock(&e->log_lock);
	free(text);
}

void engine_fail(struct engine *e, int code, struct pc_error *error)
{
	pthread_mutex_lock(&e->lock);
	if (e->result == PC_OK) {
		e->result = code;
		e->error = error;
		error = NULL;
	}
	pthread_mutex_unlock(&e->lock);
	pc_error_free(error);
	atomic_store_explicit(&e->stop_asked, PC_STOP_NOW, memory_order_release); /* C5 */
	control_nudge(e);
}

/* A few bytes of the item, made harmless, so that the user can find it in the data. */
static void preview(struct buf *out, const struct item *item)
{
	const unsigned char *bytes = item->pub.data;
	size_t n = item->pub.size < 40 ? item->pub.size : 40;

	buf_adds(out, " \"");
	for (size_t i = 0; i < n; i++)
		if (bytes[i] == '"' || bytes[i] == '\\')
			buf_addf(out, "\\%c", bytes[i]);
		else if (bytes[i] >= 0x20 && bytes[i] < 0x7f)
			buf_addc(out, (char)bytes[i]);
		else
			buf_addf(out, "\\x%02x", bytes[i]);
	buf_adds(out, n < item->pub.size ? "\"…" : "\"");
}

void engine_fail_replica(struct replica *r, const char *what, const struct item *item,
                         uint64_t number)
{
	const struct plan_stage *plan = r->stage->plan;
	struct pc_error *error = NULL;
	struct buf text = {0};

	r->broken = true;
	buf_addf(&text, "stage '%s'", plan->name);
	if (plan->replicas > 1)
		buf_addf(&text, " (replica %u of %u)", r->pub.replica + 1, plan->replicas);
	if (item) {
		buf_addf(&text, " failed on item %llu", (unsigned long long)number);
		preview(&text, item);
	} else {
		buf_addf(&text, " failed at %s", what);
	}
	buf_addf(&text, " (%s:%u)", plan->file, plan->line);
	error_set(&error, PC_ERROR, "%s", r->fail_text ? r->fail_text : "it gave no reason");
	error_add(&error, "%s", text.text ? text.text : plan->name);
	buf_fini(&text);
	engine_fail(r->engine, PC_ERROR, error);
}
