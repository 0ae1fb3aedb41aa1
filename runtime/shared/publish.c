/* shared/publish.c: the updater's list becomes the next version; what it replaced goes away.
 *
 * Called by the updater alone, inside a read section (layout.h has the argument). Can not fail:
 * the entries are there already.
 */
#include "shared/layout.h"

#include <stdlib.h>

static struct entry *entry_of_rcu(struct rcu_head *head)
{
	return (struct entry *)(void *)((char *)head - offsetof(struct entry, rcu));
}

static void reclaim(struct rcu_head *head)
{
	SHARED_EDGE_TO(head);
	SHARED_SECTIONS_OVER;
	free(entry_of_rcu(head));
	SHARED_CALLBACK_ENDS;
}

static void ripen(struct rcu_head *head)
{
	SHARED_EDGE_TO(head);
	SHARED_SECTIONS_OVER;
	atomic_store_explicit(&entry_of_rcu(head)->ripe, true, memory_order_release); /* D5 */
	SHARED_CALLBACK_ENDS;
}

static void after_grace(struct entry *e, void (*what)(struct rcu_head *))
{
	SHARED_EDGE_FROM(&e->rcu);
	urcu_memb_call_rcu(&e->rcu, what);
}

/* The new entry becomes the key's newest. Returns the one it replaces, NULL: none. */
static struct entry *put_in(struct shared *s, struct entry *e, uint64_t version)
{
	struct key k = {.text = entry_key(e), .size = e->key_size, .hash = e->hash};
	struct cds_lfht_iter iter;
	struct cds_lfht_node *node;

	e->version = version;
	cds_lfht_node_init(&e->node);
	if (s->kind == SHARED_BYTES) {
		/* relaxed: only updaters write it */
		e->older = atomic_load_explicit(&s->block, memory_order_relaxed);
		atomic_store_explicit(&s->block, e, memory_order_release); /* D3 */
		return e->older;
	}
	cds_lfht_lookup(s->table, k.hash, read_match, &k, &iter);
	node = cds_lfht_iter_get_node(&iter);
	e->older = node ? entry_of(node) : NULL;
	SHARED_EDGE_FROM(e);
	if (node)
		cds_lfht_replace(s->table, &iter, k.hash, read_match, &k, &e->node);
	else
		cds_lfht_add(s->table, k.hash, &e->node);
	return e->older;
}

/* Gravestones that nobody needs any more. */
static void bury(struct shared *s)
{
	struct entry *e;

	while ((e = s->graves) != NULL &&
	       atomic_load_explicit(&e->ripe, memory_order_acquire) /* D6 */) {
		s->graves = e->next_grave;
		if (!s->graves)
			s->last_grave = &s->graves;
		if (!e->superseded)
			cds_lfht_del(s->table, &e->node);
		after_grace(e, reclaim);
	}
}

static void retire(struct entry *old)
{
	/* A gravestone is in the list of graves, perhaps with its call_rcu still to come. */
	if (old->type == 0)
		old->superseded = true;
	else
		after_grace(old, reclaim);
}

static void raise_gravestone(struct shared *s, struct entry *e)
{
	*s->last_grave = e;
	s->last_grave = &e->next_grave;
	after_grace(e, ripen);
}

/* Deleting what is not there: made and deleted within one update, say. */
static bool is_needless(struct shared *s, const struct entry *e)
{
	struct key k = {.text = entry_key(e), .size = e->key_size, .hash = e->hash};
	struct entry *old;

	if (e->type != 0)
		return false;
	old = read_newest(s, &k);
	return !old || old->type == 0;
}

/* Everything that is marked gets this version. Returns how many entries went in; they stay in
 * the list as `done`, and what each replaced is its `older`. */
static uint32_t put_all(struct shared *s, uint64_t version)
{
	struct change *c = &s->change;
	size_t n_keys = shared_keys(s);
	uint32_t n = 0;

	for (uint32_t i = 0; i < c->n; i++) {
		struct entry *e = c->slots[i].done, *old;

		if (!e)
			continue;
		if (is_needless(s, e)) {
			free(e);
			c->slots[i].done = NULL;
			continue;
		}
		old = put_in(s, e, version);
		n_keys += (e->type != 0) - (size_t)(old && old->type != 0);
		n++;
	}
	/* relaxed: a figure, one writer */
	atomic_store_explicit(&s->n_keys, n_keys, memory_order_relaxed);
	return n;
}

/* Only once the version is out: see layout.h. The entries are the table's now. */
static void let_go(struct shared *s)
{
	struct change *c = &s->change;

	for (uint32_t i = 0; i < c->n; i++) {
		struct entry *e = c->slots[i].done;

		c->slots[i].done = NULL;
		if (!e)
			continue;
		if (e->older)
			retire(e->older);
		if (e->type == 0)
			raise_gravestone(s, e);
	}
	change_clear(c);
	bury(s);
}

void shared_publish(struct shared *s)
{
	uint64_t version = shared_version(s) + 1;

	shared_discard(s);
	if (put_all(s, version) > 0)
		atomic_store_explicit(&s->version, version, memory_order_release); /* D1 */
	let_go(s);
}

void shared_begin_with(struct shared *s)
{
	put_all(s, 0);
	let_go(s);
}
