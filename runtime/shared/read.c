/* shared/read.c: snapshots: a value, all values.
 *
 * Called by readers on any thread, and by the updater for its own view, inside a read section
 * (layout.h says why that gives whole versions). Allocates nothing, waits for nothing. A step
 * past entries that are newer than the snapshot is made once per publication during it.
 */
#include "shared/layout.h"

#include <string.h>

int read_match(struct cds_lfht_node *node, const void *key)
{
	struct entry *e = entry_of(node);
	const struct key *k = key;

	SHARED_EDGE_TO(e);
	return e->hash == k->hash && e->key_size == k->size &&
	       memcmp(entry_key(e), k->text, k->size) == 0;
}

struct entry *read_newest(struct shared *s, const struct key *key)
{
	struct cds_lfht_iter iter;
	struct cds_lfht_node *node;

	if (s->kind == SHARED_BYTES)
		return atomic_load_explicit(&s->block, memory_order_acquire); /* D4 */
	cds_lfht_lookup(s->table, key->hash, read_match, key, &iter);
	node = cds_lfht_iter_get_node(&iter);
	return node ? entry_of(node) : NULL;
}

/* NULL: the key was not there at this version. */
struct entry *read_version(struct entry *e, uint64_t version)
{
	while (e && e->version > version)
		e = e->older;
	return e && e->type != 0 ? e : NULL;
}

void read_value(const struct entry *e, struct pc_value *ret)
{
	*ret = (struct pc_value){
		.key = entry_key(e), .data = e->bytes, .size = e->size, .type = e->type};
	if (e->type == PC_T_I64)
		memcpy(&ret->number, e->bytes, sizeof(ret->number));
}

/* What a snapshot keeps in its `more`. */
enum { AT_NODE, AT_NEXT, AT_SLOT, AT_OWN };

/* AT_SLOT: 0 before the first entry, 1 in the table, 2 + i at slot i of the updater's list. */
static uintptr_t place(const struct pc_snapshot *at)
{
	return (uintptr_t)at->more[AT_SLOT];
}

static void set_place(struct pc_snapshot *at, uintptr_t place)
{
	at->more[AT_SLOT] = (void *)place;
}

void shared_snapshot(struct shared *s, bool own, struct pc_snapshot *ret)
{
	ret->version = atomic_load_explicit(&s->version, memory_order_acquire); /* D2 */
	memset(ret->more, 0, sizeof(ret->more));
	ret->more[AT_OWN] = own && s->change.n > 0 ? s : NULL;
}

void shared_snapshot_end(struct pc_snapshot *at)
{
	at->more[AT_OWN] = NULL;
	SHARED_SECTION_ENDS;
}

int shared_get(struct shared *s, const struct pc_snapshot *at, const char *key,
               struct pc_value *ret)
{
	struct entry *e;
	struct key k;

	if (!shared_key(s, key, &k))
		return PC_INVALID;
	if (at->more[AT_OWN]) {
		struct slot *slot = change_slot(&s->change, &k);

		e = slot ? slot_entry(slot) : NULL;
		if (e && e->type == 0)
			return PC_EMPTY;
		if (e) {
			read_value(e, ret);
			return PC_OK;
		}
	}
	e = read_version(read_newest(s, &k), at->version);
	if (!e)
		return PC_EMPTY;
	read_value(e, ret);
	return PC_OK;
}

/* The next node of the table; bytes are a table of one. */
static struct entry *step(struct shared *s, struct pc_snapshot *at)
{
	struct cds_lfht_iter iter = {.node = at->more[AT_NODE], .next = at->more[AT_NEXT]};
	bool first = place(at) == 0;
	struct cds_lfht_node *node;

	set_place(at, 1);
	if (s->kind == SHARED_BYTES)
		return first ? read_newest(s, NULL) : NULL;
	if (first)
		cds_lfht_first(s->table, &iter);
	else if (iter.node)
		cds_lfht_next(s->table, &iter);
	node = cds_lfht_iter_get_node(&iter);
	at->more[AT_NODE] = node;
	at->more[AT_NEXT] = iter.next;
	if (!node)
		return NULL;
	SHARED_EDGE_TO(entry_of(node));
	return entry_of(node);
}

/* The updater's list has its own word on this key. */
static bool overruled(struct shared *s, const struct pc_snapshot *at, const struct entry *e)
{
	struct key k = {.text = entry_key(e), .size = e->key_size, .hash = e->hash};
	struct slot *slot;

	if (!at->more[AT_OWN])
		return false;
	slot = change_slot(&s->change, &k);
	return slot && slot_entry(slot);
}

int shared_next(struct shared *s, struct pc_snapshot *at, struct pc_value *ret)
{
	struct entry *e;

	while (place(at) < 2) {
		e = step(s, at);
		if (!e) {
			set_place(at, 2);
			break;
		}
		e = read_version(e, at->version);
		if (e && !overruled(s, at, e)) {
			read_value(e, ret);
			return PC_OK;
		}
	}
	while (at->more[AT_OWN] && place(at) - 2 < s->change.n) {
		e = slot_entry(&s->change.slots[place(at) - 2]);
		set_place(at, place(at) + 1);
		if (e && e->type != 0) {
			read_value(e, ret);
			return PC_OK;
		}
	}
	return PC_END;
}
