/* zip.c: takes one item of each input and emits the pair.
 *
 * By arrival: the first of `left` with the first of `right`, the second with the second. By key:
 * items whose keys are equal, in the order in which they came.
 *
 * What waits for its partner stays here: references, no copies. When `window` items of one side
 * wait, that side is not wanted until partners have come, so memory is bounded; by key that can
 * mean that nothing moves any more, and pcrun says so.
 *
 * When one side has ended and nothing of it waits, the other can find no partner: zip ends, too,
 * unless `rest` says that what is left over is an error. */
#include <pcrun/stage.h>

#include <search.h>
#include <stdlib.h>
#include <string.h>

enum { LEFT, RIGHT, SIDES };
enum { REST_DROP, REST_FAIL };
enum { AS_TEXT, AS_PAIR };

/* A FIFO of items that wait; a ring that doubles. */
struct waiting {
	struct pc_item **items;
	size_t first, n, room;
};

/* By key: what waits for one key. Only one side ever waits. */
struct slot {
	const void *key; /* in the first item that waits */
	size_t key_size;
	struct waiting waiting[SIDES];
};

struct zip {
	uint64_t by, window;
	const char *sep;
	uint32_t as, rest;

	struct waiting sides[SIDES]; /* by arrival */
	void *slots;                 /* by key: a tree of struct slot */
	uint64_t n_waiting[SIDES];
	uint64_t left_over[SIDES]; /* came when no partner could come any more */
	bool ended[SIDES];
};

static const char *const rest_names[] = {"drop", "fail", NULL};
static const char *const as_names[] = {"text", "pair", NULL};

static const struct pc_port inputs[] = {
	{"left", "*", 0, "one half of each pair"},
	{"right", "*", 0, "the other half"},
};
static const struct pc_port outputs[] = {
	{"out", "*", 0, "the pairs"},
};
static const struct pc_param params[] = {
	PC_PARAM_U64(struct zip, by, "0", "0..1000000", NULL,
                     "0: by arrival; else the field that must be equal, counted from 1"),
	PC_PARAM_STRING(struct zip, sep, "\t", "what stands between the halves of a text pair"),
	PC_PARAM_ENUM(struct zip, as, "text", as_names,
                      "text: LEFT SEP RIGHT; pair: size of left as u64, left, right"),
	PC_PARAM_ENUM(struct zip, rest, "drop", rest_names,
                      "what becomes of items without partner"),
	PC_PARAM_U64(struct zip, window, "1024", "1..1Mi", "items",
                     "how many of one side may wait for the other"),
};

static int push(struct waiting *w, struct pc_item *item)
{
	if (w->n == w->room) {
		size_t room = w->room ? w->room * 2 : 4;
		struct pc_item **items = calloc(room, sizeof(struct pc_item *));

		if (!items)
			return PC_NOMEM;
		for (size_t i = 0; i < w->n; i++)
			items[i] = w->items[(w->first + i) % w->room];
		free(w->items);
		w->items = items;
		w->first = 0;
		w->room = room;
	}
	w->items[(w->first + w->n++) % w->room] = item;
	return PC_OK;
}

static struct pc_item *pop(struct waiting *w)
{
	struct pc_item *item = w->items[w->first];

	w->first = (w->first + 1) % w->room;
	w->n--;
	return item;
}

static int emit_pair(struct pc_stage *st, const struct zip *z, const struct pc_item *left,
                     const struct pc_item *right)
{
	uint64_t left_size = left->size;
	size_t head = z->as == AS_PAIR ? sizeof(left_size) : 0;
	size_t middle = z->as == AS_TEXT ? strlen(z->sep) : 0;
	struct pc_item *pair = pc_item_new(st, head + left->size + middle + right->size);
	unsigned char *at;

	if (!pair)
		return pc_fail(st, "out of memory");
	at = (unsigned char *)pair->data;
	memcpy(at, &left_size, head);
	memcpy(at + head, left->data, left->size);
	memcpy(at + head + left->size, z->sep, middle);
	memcpy(at + head + left->size + middle, right->data, right->size);
	return pc_emit(st, 0, pair);
}

static bool blank(unsigned char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static void find_key(const struct zip *z, const struct pc_item *item, struct slot *slot)
{
	const unsigned char *at = item->data, *end = at + item->size, *begin = at;

	for (uint64_t field = z->by; field > 0; field--) {
		while (at < end && blank(*at))
			at++;
		begin = at;
		while (at < end && !blank(*at))
			at++;
	}
	slot->key = begin;
	slot->key_size = (size_t)(at - begin);
}

static int compare(const void *a, const void *b)
{
	const struct slot *x = a, *y = b;
	size_t shorter = x->key_size < y->key_size ? x->key_size : y->key_size;
	int order = shorter ? memcmp(x->key, y->key, shorter) : 0;

	return order ? order : (x->key_size > y->key_size) - (x->key_size < y->key_size);
}

/* The slot for the item's key, made when there is none. NULL: no memory. */
static struct slot *slot_for(struct zip *z, const struct pc_item *item)
{
	struct slot wanted = {0}, *made;
	void *found;

	find_key(z, item, &wanted);
	found = tfind(&wanted, &z->slots, compare);
	if (found)
		return *(struct slot **)found;
	made = malloc(sizeof(*made));
	if (!made)
		return NULL;
	*made = wanted;
	if (!tsearch(made, &z->slots, compare)) {
		free(made);
		return NULL;
	}
	return made;
}

/* Nothing waits for this key any more; or its key must move to the next item that waits. */
static void settle_slot(struct zip *z, struct slot *slot, unsigned side)
{
	struct waiting *w = &slot->waiting[side];

	if (w->n > 0) {
		find_key(z, w->items[w->first], slot);
		return;
	}
	tdelete(slot, &z->slots, compare);
	free(slot->waiting[LEFT].items);
	free(slot->waiting[RIGHT].items);
	free(slot);
}

/* A side whose other has ended need not wait: what finds no partner is only counted. */
static void ask(struct pc_stage *st, const struct zip *z)
{
	pc_want(st, LEFT, z->n_waiting[LEFT] < z->window || z->ended[RIGHT]);
	pc_want(st, RIGHT, z->n_waiting[RIGHT] < z->window || z->ended[LEFT]);
}

/* No partner waits: wait for one, if one may still come. */
static int wait_for_partner(struct pc_stage *st, struct zip *z, struct waiting *sides,
                            struct pc_item *item)
{
	unsigned side = st->in_port;

	if (z->ended[LEFT + RIGHT - side]) {
		z->left_over[side]++;
		return PC_OK;
	}
	if (push(&sides[side], item))
		return pc_fail(st, "out of memory");
	pc_item_ref(st, item);
	z->n_waiting[side]++;
	ask(st, z);
	return PC_OK;
}

static int process(struct pc_stage *st, void *self, struct pc_item *item)
{
	struct zip *z = self;
	unsigned side = st->in_port, other = LEFT + RIGHT - side;
	struct slot *slot = z->by ? slot_for(z, item) : NULL;
	struct waiting *sides = slot ? slot->waiting : z->sides;
	struct pc_item *partner;
	int rc;

	if (z->by && !slot)
		return pc_fail(st, "out of memory");
	if (sides[other].n == 0) {
		rc = wait_for_partner(st, z, sides, item);
		if (slot && sides[side].n == 0)
			settle_slot(z, slot, side);
		return rc;
	}
	partner = sides[other].items[sides[other].first];
	rc = side == LEFT ? emit_pair(st, z, item, partner) : emit_pair(st, z, partner, item);
	if (rc)
		return rc; /* the partner waits on, for the retry */
	pop(&sides[other]);
	z->n_waiting[other]--;
	if (slot)
		settle_slot(z, slot, other);
	pc_item_unref(st, partner);
	ask(st, z);
	return z->ended[other] && z->n_waiting[other] == 0 && z->rest == REST_DROP ? PC_END
	                                                                           : PC_OK;
}

static int closed(struct pc_stage *st, void *self, unsigned port)
{
	struct zip *z = self;

	z->ended[port] = true;
	ask(st, z);
	return z->rest == REST_DROP && z->n_waiting[port] == 0 ? PC_END : PC_OK;
}

static int finish(struct pc_stage *st, void *self)
{
	struct zip *z = self;

	uint64_t left = z->n_waiting[LEFT] + z->left_over[LEFT];
	uint64_t right = z->n_waiting[RIGHT] + z->left_over[RIGHT];

	if (z->rest == REST_FAIL && left + right > 0)
		return pc_fail(st, "%llu items of left and %llu of right found no partner",
		               (unsigned long long)left, (unsigned long long)right);
	return PC_OK;
}

static void drop_waiting(struct pc_stage *st, struct waiting *sides)
{
	for (unsigned side = 0; side < SIDES; side++) {
		while (sides[side].n > 0)
			pc_item_unref(st, pop(&sides[side]));
		free(sides[side].items);
	}
}

static int close_zip(struct pc_stage *st, void *self)
{
	struct zip *z = self;

	drop_waiting(st, z->sides);
	while (z->slots) {
		struct slot *slot = *(struct slot **)z->slots;

		tdelete(slot, &z->slots, compare);
		drop_waiting(st, slot->waiting);
		free(slot);
	}
	return PC_OK;
}

PC_STAGE(.name = "zip", .doc = "take one item of each input and emit the pair",
         .flags = PC_SINGLE, PC_INPUTS(inputs), PC_OUTPUTS(outputs), PC_PARAMS(params),
         PC_STATE(struct zip), .process = process, .finish = finish, .close = close_zip,
         .closed = closed);
