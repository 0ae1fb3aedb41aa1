/* shared/change.c: the updater's list: what it has done and not yet published.
 *
 * Called by the updater alone. Per key the list holds the value that finished items have made
 * (`done`) and the one of the item in work (`now`): a failed item's is dropped without a trace.
 * Memory is taken here, so that publishing can not fail; two entries take turns as `now` and
 * `done`, so a key that every item of an activation changes costs two allocations in all.
 */
#include "shared/layout.h"

#include <stdlib.h>
#include <string.h>

/* Any of its entries: they have the same key. */
static const struct entry *slot_any(const struct slot *slot)
{
	return slot->now ? slot->now : slot->done ? slot->done : slot->spare;
}

static bool slot_is(const struct slot *slot, const struct key *key)
{
	const struct entry *e = slot_any(slot);

	return e->hash == key->hash && e->key_size == key->size &&
	       memcmp(entry_key(e), key->text, key->size) == 0;
}

struct slot *change_slot(const struct change *c, const struct key *key)
{
	if (c->n <= CHANGE_FEW) {
		for (uint32_t i = 0; i < c->n; i++)
			if (slot_is(&c->slots[i], key))
				return &c->slots[i];
		return NULL;
	}
	for (unsigned long at = key->hash;; at++) {
		uint32_t i = c->index[at & (c->index_size - 1)];

		if (i == 0)
			return NULL;
		if (slot_is(&c->slots[i - 1], key))
			return &c->slots[i - 1];
	}
}

static void index_add(struct change *c, uint32_t slot)
{
	unsigned long at = slot_any(&c->slots[slot])->hash;

	while (c->index[at & (c->index_size - 1)] != 0)
		at++;
	c->index[at & (c->index_size - 1)] = slot + 1;
}

/* Room for one more slot, and an index that is at most half full. */
static bool grow(struct change *c)
{
	uint32_t room = c->room ? c->room * 2 : CHANGE_FEW;
	struct slot *slots = realloc(c->slots, room * sizeof(*slots));
	uint32_t *fresh, *index;

	if (!slots)
		return false;
	c->slots = slots;
	fresh = realloc(c->fresh, room * sizeof(*fresh));
	if (!fresh)
		return false;
	c->fresh = fresh;
	if (room > CHANGE_FEW) {
		index = calloc(room * (size_t)2, sizeof(*index));
		if (!index)
			return false;
		free(c->index);
		c->index = index;
		c->index_size = room * 2;
		for (uint32_t i = 0; i < c->n && c->n > CHANGE_FEW; i++)
			index_add(c, i);
	}
	c->room = room;
	return true;
}

static struct slot *append(struct change *c, struct entry *e)
{
	struct slot *slot;

	if (c->n == c->room && !grow(c))
		return NULL;
	slot = &c->slots[c->n];
	*slot = (struct slot){.now = e};
	c->n++;
	/* The index begins with the first slot that makes them too many to look at all. */
	if (c->n == CHANGE_FEW + 1)
		for (uint32_t i = 0; i < CHANGE_FEW; i++)
			index_add(c, i);
	if (c->n > CHANGE_FEW)
		index_add(c, c->n - 1);
	return slot;
}

static struct entry *entry_create(const struct key *key, size_t size)
{
	/* A number may become a text and back without another allocation. */
	size_t room = size < sizeof(int64_t) ? sizeof(int64_t) : size;
	struct entry *e = malloc(sizeof(*e) + room + 1 + key->size + 1);

	if (!e)
		return NULL;
	memset(e, 0, sizeof(*e));
	e->hash = key->hash;
	e->key_size = (uint32_t)key->size;
	e->room = room;
	memcpy(e->bytes + room + 1, key->text, key->size);
	e->bytes[room + 1 + key->size] = '\0';
	return e;
}

static void fill(struct entry *e, uint32_t type, const void *data, size_t size)
{
	e->type = type;
	/* It may be a part of what stands here already. */
	if (size > 0)
		memmove(e->bytes, data, size);
	e->bytes[size] = '\0';
	e->size = size;
}

static int write(struct shared *s, const struct key *key, uint32_t type, const void *data,
                 size_t size)
{
	struct change *c = &s->change;
	struct slot *slot = change_slot(c, key);
	struct entry *e, *old;

	if (slot && slot->now && slot->now->room >= size) {
		fill(slot->now, type, data, size);
		return PC_OK;
	}
	if (slot && slot->spare && slot->spare->room >= size) {
		e = slot->spare;
		slot->spare = NULL;
	} else {
		e = entry_create(key, size);
	}
	if (!e)
		return PC_NOMEM;
	fill(e, type, data, size);
	if (!slot) {
		slot = append(c, e);
		if (!slot) {
			free(e);
			return PC_NOMEM;
		}
		old = NULL;
	} else {
		old = slot->now;
		slot->now = e;
	}
	if (!old)
		c->fresh[c->n_fresh++] = (uint32_t)(slot - c->slots);
	free(old);
	return PC_OK;
}

/* The value as the updater sees it; NULL: none. */
static struct entry *current(struct shared *s, const struct key *key)
{
	struct slot *slot = change_slot(&s->change, key);
	struct entry *e = slot ? slot_entry(slot) : NULL;

	/* The newest in the table is published: nobody else updates. */
	e = e ? e : read_newest(s, key);
	return e && e->type != 0 ? e : NULL;
}

int shared_set(struct shared *s, const char *key, uint32_t type, const void *data, size_t size)
{
	struct key k;

	if (!shared_key(s, key, &k) || size > SHARED_VALUE_MAX ||
	    (type != PC_T_I64 && type != PC_T_STRING) ||
	    (type == PC_T_I64 && size != sizeof(int64_t)) ||
	    (s->kind == SHARED_BYTES && (type == PC_T_I64 || size != s->size)))
		return PC_INVALID;
	return write(s, &k, type, data, size);
}

int shared_add(struct shared *s, const char *key, int64_t delta, int64_t *ret_sum)
{
	struct entry *e;
	int64_t sum = 0;
	struct key k;
	int rc;

	if (s->kind != SHARED_DICT || !shared_key(s, key, &k))
		return PC_INVALID;
	e = current(s, &k);
	if (e && e->type != PC_T_I64)
		return PC_INVALID;
	if (e)
		memcpy(&sum, e->bytes, sizeof(sum));
	if (__builtin_add_overflow(sum, delta, &sum))
		return PC_INVALID;
	rc = write(s, &k, PC_T_I64, &sum, sizeof(sum));
	if (rc == PC_OK && ret_sum)
		*ret_sum = sum;
	return rc;
}

int shared_delete(struct shared *s, const char *key)
{
	struct key k;

	if (s->kind != SHARED_DICT || !shared_key(s, key, &k))
		return PC_INVALID;
	if (!current(s, &k))
		return PC_EMPTY;
	return write(s, &k, 0, NULL, 0);
}

void shared_mark(struct shared *s)
{
	struct change *c = &s->change;

	for (uint32_t i = 0; i < c->n_fresh; i++) {
		struct slot *slot = &c->slots[c->fresh[i]];

		if (slot->done) {
			free(slot->spare);
			slot->spare = slot->done;
		}
		slot->done = slot->now;
		slot->now = NULL;
	}
	c->n_fresh = 0;
}

void shared_discard(struct shared *s)
{
	struct change *c = &s->change;

	for (uint32_t i = 0; i < c->n_fresh; i++) {
		struct slot *slot = &c->slots[c->fresh[i]];

		free(slot->spare);
		slot->spare = slot->now;
		slot->now = NULL;
	}
	c->n_fresh = 0;
}

void change_clear(struct change *c)
{
	for (uint32_t i = 0; i < c->n; i++) {
		free(c->slots[i].now);
		free(c->slots[i].done);
		free(c->slots[i].spare);
	}
	if (c->n > CHANGE_FEW)
		memset(c->index, 0, c->index_size * sizeof(*c->index));
	c->n = c->n_fresh = 0;
}

void change_fini(struct change *c)
{
	change_clear(c);
	free(c->slots);
	free(c->fresh);
	free(c->index);
	*c = (struct change){0};
}
