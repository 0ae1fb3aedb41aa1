/* engine/state.c: shared state at work: who may read and update it, and when updates come out.
 *
 * Called by a stage's callbacks through host.c's table, and by the activation at its marks and
 * its end, on the thread that runs the replica. The floor `shared` holds the data; here are the
 * read sections (queue/rcu.h registers the threads) and the rules:
 *
 *   - Updates come from callbacks of a critical stage, of one section per piece of shared state.
 *     So there is one updater at a time, and section.c's hand-over lets each see all that the one
 *     before did: what it keeps in the piece needs no atomics.
 *   - What finished items updated is published before anything that they emitted leaves (see
 *     output_flush()), and at the end of the activation at the latest, so never outside of the
 *     section. A failed item's updates go the way of its output (output_discard()).
 */
#include "engine/engine.h"

#include "base/error.h"
#include "queue/rcu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --------------------------------------------------------------------- setting it up --- */

static int begin_with(struct shared *s, const struct plan_shared *plan)
{
	int rc = PC_OK;

	for (uint32_t i = 0; i < plan->n_values && !rc; i++) {
		const struct plan_value *v = &plan->values[i];

		rc = v->is_number
		             ? shared_set(s, v->key, PC_T_I64, &v->number, sizeof(v->number))
		             : shared_set(s, v->key, PC_T_STRING, v->text, v->size);
	}
	queue_rcu_lock();
	shared_mark(s);
	shared_begin_with(s);
	queue_rcu_unlock();
	return rc;
}

int state_create(struct engine *e)
{
	uint32_t n = e->plan->n_shareds;

	e->shareds = calloc(n ? n : 1, sizeof(*e->shareds));
	if (!e->shareds)
		return PC_NOMEM;
	e->n_shareds = n;
	for (uint32_t i = 0; i < n; i++) {
		const struct plan_shared *plan = &e->plan->shareds[i];
		struct pc_shared *s = &e->shareds[i];

		s->plan = plan;
		/* relaxed: no other thread yet */
		atomic_store_explicit(&s->section, plan->section, memory_order_relaxed);
		s->data = shared_create(plan->kind, plan->size_bytes);
		if (!s->data || begin_with(s->data, plan) != PC_OK)
			return PC_NOMEM;
	}
	return PC_OK;
}

void state_destroy(struct engine *e)
{
	if (!e->shareds)
		return;
	if (e->n_shareds > 0) {
		shared_wait();
		queue_rcu_lock();
		for (uint32_t i = 0; i < e->n_shareds; i++)
			shared_destroy(e->shareds[i].data);
		queue_rcu_unlock();
	}
	free(e->shareds);
}

/* The reason is what the user reads when the stage fails on account of it. */
__attribute__((format(printf, 2, 3))) static int refuse(struct replica *r, const char *format,
                                                        ...)
{
	va_list ap;

	va_start(ap, format);
	if (!r->fail_text && vasprintf(&r->fail_text, format, ap) < 0)
		r->fail_text = NULL;
	va_end(ap);
	return PC_INVALID;
}

struct pc_shared *state_find(struct pc_stage *st, const char *name)
{
	struct replica *r = replica_of(st);
	struct engine *e = r->engine;

	for (uint32_t i = 0; i < e->n_shareds; i++)
		if (strcmp(e->shareds[i].plan->name, name) == 0)
			return &r->engine->shareds[i];
	refuse(r, "there is no shared state '%s' in the graph", name);
	return NULL;
}

/* --------------------------------------------------------------------------- reading --- */

static bool has_touched(const struct replica *r, const struct pc_shared *s)
{
	for (const struct pc_shared *t = r->touched; t; t = t->next)
		if (t == s)
			return true;
	return false;
}

void state_begin(struct pc_stage *st, struct pc_shared *s, struct pc_snapshot *ret)
{
	struct replica *r = replica_of(st);

	queue_rcu_lock();
	r->reading++;
	ret->shared = s;
	shared_snapshot(s->data, has_touched(r, s), ret);
}

int state_get(struct pc_stage *st, const struct pc_snapshot *at, const char *key,
              struct pc_value *ret)
{
	(void)st;
	return shared_get(at->shared->data, at, key, ret);
}

int state_next(struct pc_stage *st, struct pc_snapshot *at, struct pc_value *ret)
{
	(void)st;
	return shared_next(at->shared->data, at, ret);
}

void state_end(struct pc_stage *st, struct pc_snapshot *at)
{
	struct replica *r = replica_of(st);

	if (r->reading == 0)
		return; /* the activation has ended it already */
	r->reading--;
	shared_snapshot_end(at);
	queue_rcu_unlock();
}

/* -------------------------------------------------------------------------- updating --- */

static bool in_callback(const struct replica *r)
{
	/* relaxed: this thread wrote it, when this is an activation at all */
	return atomic_load_explicit((_Atomic int *)(uintptr_t)&r->doing,
	                            memory_order_relaxed) == DOING_CALLBACK;
}

static int may_update(struct replica *r, struct pc_shared *s)
{
	struct engine *e = r->engine;
	uint32_t own = r->stage->plan->section, owner = PLAN_NONE;
	int rc;

	if (own == PLAN_NONE)
		return refuse(r,
		              "it updates shared state '%s' and is not critical: write "
		              "'critical' behind the stage '%s' in the graph",
		              s->plan->name, r->pub.name);
	if (!in_callback(r))
		return refuse(r,
		              "it updates shared state '%s' outside of produce, process and "
		              "finish, so outside of its critical section",
		              s->plan->name);
	/* relaxed, both ways: whose it is never changes again, and orders nothing */
	if (atomic_compare_exchange_strong_explicit(
		    &s->section, &owner, own, memory_order_relaxed, memory_order_relaxed) ||
	    owner == own)
		return PC_OK;
	pthread_mutex_lock(&e->shape);
	rc = refuse(r,
	            "shared state '%s' is updated in the critical section '%s', and stage '%s' "
	            "belongs to '%s': give them the same critical=NAME",
	            s->plan->name, e->sections[owner]->plan->name, r->pub.name,
	            e->sections[own]->plan->name);
	pthread_mutex_unlock(&e->shape);
	return rc;
}

/* Why the floor said PC_INVALID. */
static int explain_invalid(struct replica *r, const struct pc_shared *s, const char *key,
                           size_t size, const char *otherwise)
{
	const struct plan_shared *plan = s->plan;

	if (plan->kind == SHARED_BYTES && key)
		return refuse(r, "shared state '%s' is one block: it has no key '%s'",
		              plan->name, key);
	if (plan->kind == SHARED_BYTES)
		return refuse(r, "shared state '%s' is a block of %zu bytes, not of %zu",
		              plan->name, plan->size_bytes, size);
	if (!key || !*key)
		return refuse(r, "shared state '%s' is a dict: which key?", plan->name);
	if (strlen(key) > SHARED_KEY_MAX)
		return refuse(r, "a key of %zu bytes for shared state '%s': %d are the most",
		              strlen(key), plan->name, SHARED_KEY_MAX);
	return refuse(r, "shared state '%s', key '%s': %s", plan->name, key, otherwise);
}

static void touch(struct replica *r, struct pc_shared *s)
{
	if (has_touched(r, s))
		return;
	s->next = r->touched;
	r->touched = s;
}

int state_set(struct pc_stage *st, struct pc_shared *s, const char *key, uint32_t type,
              const void *data, size_t size)
{
	struct replica *r = replica_of(st);
	int rc = may_update(r, s);

	if (rc)
		return rc;
	rc = shared_set(s->data, key, type, data, size);
	if (rc == PC_INVALID)
		return explain_invalid(r, s, key, size, "not such a value");
	if (rc == PC_OK)
		touch(r, s);
	return rc;
}

int state_add(struct pc_stage *st, struct pc_shared *s, const char *key, int64_t delta,
              int64_t *ret_sum)
{
	struct replica *r = replica_of(st);
	int rc = may_update(r, s);

	if (rc)
		return rc;
	queue_rcu_lock();
	rc = shared_add(s->data, key, delta, ret_sum);
	queue_rcu_unlock();
	if (rc == PC_INVALID)
		return explain_invalid(r, s, key, sizeof(delta),
		                       "not a number, or one that would leave the range of 64 "
		                       "bits");
	if (rc == PC_OK)
		touch(r, s);
	return rc;
}

int state_delete(struct pc_stage *st, struct pc_shared *s, const char *key)
{
	struct replica *r = replica_of(st);
	int rc = may_update(r, s);

	if (rc)
		return rc;
	queue_rcu_lock();
	rc = shared_delete(s->data, key);
	queue_rcu_unlock();
	if (rc == PC_INVALID)
		return explain_invalid(r, s, key, 0, "not such a key");
	if (rc == PC_OK)
		touch(r, s);
	return rc;
}

/* ---------------------------------------------------------------- with the activation --- */

void state_mark(struct replica *r)
{
	for (struct pc_shared *s = r->touched; s; s = s->next)
		shared_mark(s->data);
}

void state_discard(struct replica *r)
{
	for (struct pc_shared *s = r->touched; s; s = s->next)
		shared_discard(s->data);
}

void state_publish(struct replica *r)
{
	queue_rcu_lock();
	for (struct pc_shared *s = r->touched; s; s = s->next)
		shared_publish(s->data);
	queue_rcu_unlock();
	r->touched = NULL;
}

bool state_leave(struct replica *r)
{
	struct pc_snapshot gone = {0};

	if (r->reading == 0)
		return false;
	for (; r->reading > 0; r->reading--) {
		shared_snapshot_end(&gone);
		queue_rcu_unlock();
	}
	refuse(r, "it returned inside of a read section of shared state: pc_snapshot_end() is "
	          "missing");
	return true;
}

void state_settle(struct replica *r)
{
	if (state_leave(r)) {
		engine_fail_replica(r, "reading shared state", NULL, 0);
		free(r->fail_text);
		r->fail_text = NULL;
	}
	if (r->touched)
		state_publish(r);
}

/* ------------------------------------------------------------------------- reporting --- */

void state_row(const struct plan *plan, struct engine *e, uint32_t index,
               struct pc_shared_row *ret)
{
	const struct plan_shared *s = &plan->shareds[index];
	uint32_t section = s->section;

	*ret = (struct pc_shared_row){.name = s->name,
	                              .kind = s->kind == SHARED_DICT ? "dict" : "bytes",
	                              .file = s->file,
	                              .line = s->line,
	                              .keys = s->n_values,
	                              .size_bytes = s->size_bytes};
	if (e) {
		struct shared *data = e->shareds[index].data;

		ret->updates = shared_version(data);
		ret->keys = s->kind == SHARED_DICT ? shared_keys(data) : 0;
		/* relaxed: whose it is never changes again */
		section =
			atomic_load_explicit(&e->shareds[index].section, memory_order_relaxed);
	}
	ret->section = section == PLAN_NONE ? NULL : plan->sections[section].name;
}

/* Before the start: as it is going to be then. */
static int text_of_plan(const struct plan_shared *plan, struct buf *out)
{
	struct shared *s = shared_create(plan->kind, plan->size_bytes);
	int rc = s ? begin_with(s, plan) : PC_NOMEM;

	queue_rcu_lock();
	if (rc == PC_OK)
		shared_text(s, out);
	shared_destroy(s);
	queue_rcu_unlock();
	return rc;
}

int state_text(const struct plan *plan, struct engine *e, uint32_t index, struct buf *out)
{
	if (!e)
		return text_of_plan(&plan->shareds[index], out);
	queue_rcu_lock();
	shared_text(e->shareds[index].data, out);
	queue_rcu_unlock();
	return PC_OK;
}

int state_value(struct engine *e, uint32_t index, const char *key, void *buffer, size_t room,
                size_t *ret_size)
{
	struct shared *s = e->shareds[index].data;
	struct pc_snapshot now;
	struct pc_value v;
	int rc;

	queue_rcu_lock();
	shared_snapshot(s, false, &now);
	rc = shared_get(s, &now, key, &v);
	if (rc == PC_OK) {
		memcpy(buffer, v.data, v.size < room ? v.size : room);
		*ret_size = v.size;
		rc = v.size > room ? PC_FULL : PC_OK;
	}
	shared_snapshot_end(&now);
	queue_rcu_unlock();
	return rc;
}
