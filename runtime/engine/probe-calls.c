/* engine/probe-calls.c: stands in front of the new build's callbacks in the helper.
 *
 * Called by the helper's engine on whichever of its threads runs the stage; one callback at a time.
 * Each call is noted in the report before it is made, so that a crash finds the place; what it
 * returns decides: the first failure ends the helper, with the reason. What is left to the engine
 * is all that surrounds a call.
 *
 * The recorded items are done inside one item of the helper's graph, each as process.c does one on
 * probation, and what it has emitted is compared before the next: so their order is that of the
 * record, also when they came in at several inputs.
 */
#include "engine/swap-probe.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct probe *probe;
static const struct pc_stage_desc *real;

void probe_step(struct probe *p, enum probe_step step)
{
	/* relaxed, both: read by another process, or by the handler of this thread */
	atomic_store_explicit(&p->report->step, (uint32_t)step, memory_order_relaxed);
	atomic_fetch_add_explicit(&p->report->progress, 1, memory_order_relaxed); /* as above */
	probe_guard_thread();
}

void probe_end(struct probe *p, enum probe_verdict verdict, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(p->report->text, sizeof(p->report->text), format, ap);
	va_end(ap);
	/* release for form's sake: the other side looks when this process is gone */
	atomic_store_explicit(&p->report->verdict, (uint32_t)verdict,
	                      memory_order_release); /* SP1 */
	_exit(0);
}

static void check(struct pc_stage *st, int rc, const char *what)
{
	const char *why = replica_of(st)->fail_text;

	if (rc < 0)
		probe_end(probe, PROBE_FAILED, "its %s failed: %s", what,
		          why ? why : "it gave no reason");
}

static int on_open(struct pc_stage *st, void *state)
{
	int rc;

	probe_step(probe, PROBE_OPENS);
	rc = real->open(st, state);
	check(st, rc, "open()");
	probe->report->opened = true;
	return rc;
}

static int on_close(struct pc_stage *st, void *state)
{
	int rc;

	probe_step(probe, PROBE_CLOSES);
	rc = real->close(st, state);
	check(st, rc, "close()");
	probe->report->closed = true;
	return rc;
}

static int on_migrate(struct pc_stage *st, uint32_t old_version, const void *old_state,
                      size_t old_size, void *new_state)
{
	int rc;

	probe_step(probe, PROBE_MIGRATES);
	rc = real->migrate(st, old_version, old_state, old_size, new_state);
	check(st, rc, "migrate()");
	probe->report->migrated = true;
	return rc;
}

static int on_finish(struct pc_stage *st, void *state)
{
	int rc;

	probe_step(probe, PROBE_FINISHES);
	rc = real->finish(st, state);
	check(st, rc, "finish()");
	return rc == PC_AGAIN ? PC_OK : rc;
}

static int no_produce(struct pc_stage *st, void *state)
{
	(void)st;
	(void)state;
	return PC_END;
}

/* ----------------------------------------------------------------------- comparing --- */

/* The next output that the old build had for the item. */
struct expected {
	const char *at;
	uint32_t left;
};

static uint64_t next_number(struct expected *e)
{
	uint64_t n;

	memcpy(&n, e->at, sizeof(n));
	e->at += sizeof(n);
	return n;
}

/* A few bytes, made harmless, for a message. */
static void show(char *to, size_t room, const void *bytes, size_t size)
{
	const unsigned char *at = bytes;
	size_t n = 0;

	for (size_t i = 0; i < size && i < 40 && n + 8 < room; i++)
		n += (size_t)snprintf(to + n, room - n,
		                      at[i] >= 0x20 && at[i] < 0x7f ? "%c" : "\\x%02x", at[i]);
	snprintf(to + n, room - n, "%s", size > 40 ? "…" : "");
}

static void differs(uint32_t index, const void *was, size_t was_size, const void *is,
                    size_t is_size)
{
	char a[100], b[100];

	if (probe->report->n_differ++ > 0)
		return;
	show(a, sizeof(a), was, was_size);
	show(b, sizeof(b), is, is_size);
	snprintf(probe->report->difference, sizeof(probe->report->difference),
	         "item %u gave \"%s\", not \"%s\"", index + 1, is ? b : "nothing more",
	         was ? a : "nothing more");
}

/* What the item has emitted stands behind the marks; see swap-record.c for the other side. */
static void compare(struct replica *r, uint32_t index)
{
	struct expected e = {probe->items[index].outputs, probe->items[index].n_outputs};

	for (uint32_t i = 0; i < r->stage->desc->n_outputs; i++) {
		const struct output *o = &r->outputs[i];

		for (size_t k = o->mark; k < o->n; k++) {
			const struct pc_item *is = &o->items[k]->pub;
			size_t size;
			bool same;

			if (e.left == 0) {
				differs(index, NULL, 0, is->data, is->size);
				return;
			}
			e.left--;
			same = next_number(&e) == i;
			size = next_number(&e);
			same = same && size == is->size && memcmp(e.at, is->data, size) == 0;
			if (!same) {
				differs(index, e.at, size, is->data, is->size);
				return;
			}
			e.at += size;
		}
	}
	if (e.left > 0) {
		size_t size;

		next_number(&e);
		size = next_number(&e);
		differs(index, e.at, size, NULL, 0);
	}
}

static void replay_one(struct replica *r, void *state, uint32_t index)
{
	const struct probe_item *from = &probe->items[index];
	struct item *item = item_new(r->cache, from->size);
	struct pc_item *pub;
	int rc;

	if (!item || from->port >= r->stage->desc->n_inputs)
		probe_end(probe, PROBE_BROKEN, "out of memory");
	if (from->size > 0)
		memcpy(item->pub.data, from->bytes, from->size);
	r->pub.current = &item->pub;
	r->pub.passed = false;
	r->pub.in_port = swap_in_port(r, from->port);
	/* relaxed: as in probe_step() */
	atomic_store_explicit(&probe->report->item, index + 1, memory_order_relaxed);
	probe_step(probe, PROBE_ITEM);
	pub = &item->pub;
	rc = real->process_batch ? real->process_batch(&r->pub, state, &pub, 1)
	                         : real->process(&r->pub, state, pub);
	if (state_leave(r))
		rc = PC_ERROR;
	check(&r->pub, rc, "process()");
	compare(r, index);
	output_mark(r);
	if (!r->pub.passed)
		item_unref(r->cache, item);
	probe->report->n_replayed++;
}

/* One item of the helper's graph stands for all that were recorded. */
static int on_process(struct pc_stage *st, void *state, struct pc_item *item)
{
	struct replica *r = replica_of(st);
	uint32_t port = r->pub.in_port;

	for (uint32_t i = 0; i < probe->n_items; i++)
		replay_one(r, state, i);
	r->pub.current = item;
	r->pub.passed = false;
	r->pub.in_port = port;
	return PC_OK;
}

/* ------------------------------------------------------------------------------------ */

void probe_calls(struct probe *p, bool open, bool replay)
{
	probe = p;
	real = p->plugin->desc;
	p->calls = *real;
	p->replay = replay;
	p->calls.open = open && real->open ? on_open : NULL;
	p->calls.close = open && real->close ? on_close : NULL;
	p->calls.migrate = real->migrate ? on_migrate : NULL;
	p->calls.produce = real->produce ? no_produce : NULL;
	p->calls.process = real->produce ? NULL : on_process;
	p->calls.process_batch = NULL;
	p->calls.finish = replay && real->finish ? on_finish : NULL;
	p->calls.stop = NULL;
	p->calls.closed = NULL;
}
