/* count: how often each key occurs; at the end, a line "COUNT KEY" for each.
 *
 * in   anything; keys are the whole items, or the words or fields of text (see text.h)
 * out  text/line, when the input has ended
 *
 * Memory grows with the number of different keys, not with the input. With replicas each counts
 * what it gets; a second count with merge=true adds up what they say:
 * `count(word, order=none) replicas=4 -> count(merge=true)`.
 *
 * The table is open addressing with linear probing, at most two thirds full. An entry is half a
 * cache line and holds keys of up to 16 bytes in itself, filled up with zeros, so that most words
 * cost one hash of fixed size, one line of memory and two comparisons. Longer keys lie in chunks.
 * The hash is XXH3 with a seed of its own for each replica: keys may come from strangers.
 *
 * The state owns table and chunks. Whoever takes over the state takes over these; nothing in
 * them points into the code. */
#include "text.h"

#include <pcrun/stage.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <endian.h>
#include <stdlib.h>
#include <sys/random.h>

#define COUNT_SHORT 16 /* bytes of a key that an entry holds */
#define COUNT_CHUNK (64 * 1024)
#define COUNT_AHEAD 16  /* keys whose place in the table is on its way from memory */
#define COUNT_BATCH 256 /* lines per call at the end */

struct entry {
	union {
		uint64_t words[2]; /* size <= COUNT_SHORT: the key and zeros */
		const uint8_t *far;
	} key;
	uint64_t n;    /* 0: empty */
	uint32_t size; /* of the key, bytes */
	uint32_t hash; /* low half */
};

_Static_assert(sizeof(struct entry) == 32, "two entries share a cache line");

/* Long keys, one behind the other. */
struct chunk {
	struct chunk *next;
	size_t size, used; /* bytes */
	uint8_t bytes[];
};

enum count_order { ORDER_COUNT, ORDER_KEY, ORDER_NONE };

static const char *const count_keys[] = TEXT_UNIT_NAMES;
static const char *const count_orders[] = {"count", "key", "none", NULL};

struct count {
	uint32_t key;
	int64_t field;
	const char *sep;
	uint64_t top;
	uint32_t order;
	bool merge;
	/* ours */
	struct text_cut cut;
	struct entry *table;
	size_t slots; /* a power of two */
	size_t used;
	struct chunk *chunks; /* the first is being filled */
	uint64_t seed;
	bool sorted; /* in finish(): the entries stand in order at the start of the table */
	size_t sent;
};

static const struct pc_param count_params[] = {
	PC_PARAM_ENUM(struct count, key, "item", count_keys,
                      "item: the whole item, of a block each line; word: between white space; "
                      "letters: runs of A-Z and a-z; field: between separators"),
	PC_PARAM_I64(struct count, field, "0", NULL, NULL,
                     "only this part of each line, from 1; -1 is the last; 0: all parts"),
	PC_PARAM_STRING(struct count, sep, "\t", "separates fields"),
	PC_PARAM_U64(struct count, top, "0", NULL, "keys", "how many come out; 0: all"),
	PC_PARAM_ENUM(struct count, order, "count", count_orders,
                      "count: the highest first, equal ones by key; key: by the key's bytes; "
                      "none: as it comes"),
	PC_PARAM_BOOL(struct count, merge, "false",
                      "add up \"COUNT KEY\" lines of other counts"),
};

/* ----------------------------------------------------------------------------- the table --- */

/* The key as two words, with zeros behind it. `room`: how many bytes may be read at `from`. */
static inline void load_short(uint64_t words[2], const uint8_t *from, size_t size, size_t room)
{
	/* A window into this shows `size` bytes of ones first. */
	static const uint8_t ones[2 * COUNT_SHORT] = {255, 255, 255, 255, 255, 255, 255, 255,
	                                              255, 255, 255, 255, 255, 255, 255, 255};

	if (room >= COUNT_SHORT) {
		uint64_t mask[2];

		memcpy(mask, ones + COUNT_SHORT - size, sizeof(mask));
		memcpy(words, from, COUNT_SHORT);
		words[0] &= mask[0];
		words[1] &= mask[1];
	} else {
		words[0] = words[1] = 0;
		memcpy(words, from, size);
	}
}

static inline bool entry_is(const struct entry *e, const struct entry *wanted)
{
	if (e->size != wanted->size)
		return false;
	if (e->size <= COUNT_SHORT)
		return e->key.words[0] == wanted->key.words[0] &&
		       e->key.words[1] == wanted->key.words[1];
	return e->hash == wanted->hash && memcmp(e->key.far, wanted->key.far, e->size) == 0;
}

static bool grow(struct count *s)
{
	size_t slots = s->slots > 0 ? 2 * s->slots : 1024;
	struct entry *table = calloc(slots, sizeof(*table));

	if (table == NULL)
		return false;
	for (size_t i = 0; i < s->slots; i++) {
		size_t at = s->table[i].hash & (slots - 1);

		if (s->table[i].n == 0)
			continue;
		while (table[at].n != 0)
			at = (at + 1) & (slots - 1);
		table[at] = s->table[i];
	}
	free(s->table);
	s->table = table;
	s->slots = slots;
	return true;
}

/* Our own copy of a long key. */
static const uint8_t *keep_key(struct count *s, const uint8_t *key, size_t size)
{
	struct chunk *c = s->chunks;
	uint8_t *copy;

	if (c == NULL || c->size - c->used < size) {
		size_t room = size > COUNT_CHUNK ? size : COUNT_CHUNK;
		struct chunk **place = &s->chunks;

		c = malloc(sizeof(*c) + room);
		if (c == NULL)
			return NULL;
		/* One that is full at once stands behind the first, which has room left. */
		if (room == size && *place != NULL)
			place = &(*place)->next;
		*c = (struct chunk){.next = *place, .size = room};
		*place = c;
	}
	copy = c->bytes + c->used;
	memcpy(copy, key, size);
	c->used += size;
	return copy;
}

/* Put what is in `wanted` into the table. */
static inline int add(struct pc_stage *st, struct count *s, struct entry *wanted)
{
	size_t at = wanted->hash & (s->slots - 1);

	for (; s->table[at].n != 0; at = (at + 1) & (s->slots - 1)) {
		if (entry_is(&s->table[at], wanted)) {
			s->table[at].n += wanted->n;
			return PC_OK;
		}
	}
	if (wanted->size > COUNT_SHORT) {
		wanted->key.far = keep_key(s, wanted->key.far, wanted->size);
		if (wanted->key.far == NULL)
			return pc_fail(st, "no memory for %zu different keys", s->used + 1);
	}
	s->table[at] = *wanted;
	if (++s->used > s->slots / 3 * 2 && !grow(s))
		return pc_fail(st, "no memory for %zu different keys", s->used);
	return PC_OK;
}

/* ----------------------------------------------------------------------------- counting --- */

static int count_open(struct pc_stage *st, void *state)
{
	struct count *s = state;

	if (s->key == TEXT_FIELD && *s->sep == '\0')
		return pc_fail(st, "sep is empty: fields need a separator");
	s->cut = (struct text_cut){
		.unit = s->key,
		.nth = s->field,
		.sep = s->sep,
		.sep_size = strlen(s->sep),
		.by_line = strcmp(pc_in_type(st, 0), TEXT_BLOCK) == 0,
	};
	/* Early in the life of the machine there may be no randomness: then the seed is 0. */
	if (getrandom(&s->seed, sizeof(s->seed), GRND_NONBLOCK) < 0)
		s->seed = 0;
	return grow(s) ? PC_OK : pc_fail(st, "no memory for the table");
}

/* The keys of one call on their way into the table. Memory needs time to come: so each key first
 * asks for its place in the table and then waits until COUNT_AHEAD others have done the same. */
struct count_job {
	struct pc_stage *st;
	struct count *s;
	struct pc_item *const *items;
	unsigned item;         /* the one that is being cut */
	unsigned asked, added; /* keys; free-running */
	struct entry ahead[COUNT_AHEAD];
	unsigned from[COUNT_AHEAD]; /* the key's item */
};

/* Add the key that has waited longest. When that fails, job->item is its item. */
static inline int add_oldest(struct count_job *job)
{
	unsigned at = job->added % COUNT_AHEAD;
	int r = add(job->st, job->s, &job->ahead[at]);

	if (r != PC_OK)
		job->item = job->from[at];
	job->added++;
	return r;
}

/* Count a key of the current item n times. */
static inline int add_key(struct count_job *job, size_t offset, size_t size, uint64_t n)
{
	const struct count *s = job->s;
	const struct pc_item *item = job->items[job->item];
	const uint8_t *key = (const uint8_t *)item->data + offset;
	unsigned at = job->asked % COUNT_AHEAD;
	struct entry *e = &job->ahead[at];

	if (size > UINT32_MAX)
		return pc_fail(job->st, "a key of %zu bytes is too long", size);
	if (job->asked - job->added == COUNT_AHEAD) {
		int r = add_oldest(job);

		if (r != PC_OK)
			return r;
	}
	e->n = n;
	e->size = (uint32_t)size;
	if (size <= COUNT_SHORT) {
		load_short(e->key.words, key, size, item->size - offset);
		e->hash = (uint32_t)XXH3_64bits_withSeed(e->key.words, COUNT_SHORT, s->seed);
	} else {
		e->key.far = key;
		e->hash = (uint32_t)XXH3_64bits_withSeed(key, size, s->seed);
	}
	__builtin_prefetch(&s->table[e->hash & (s->slots - 1)], 1);
	job->from[at] = job->item;
	job->asked++;
	return PC_OK;
}

static int add_part(void *user, size_t offset, size_t size)
{
	return add_key(user, offset, size, 1);
}

/* A line of another count. */
static int add_line(struct count_job *job)
{
	const struct pc_item *item = job->items[job->item];
	const uint8_t *text = item->data;
	uint64_t n = 0;
	size_t at = 0;

	while (at < item->size && text[at] >= '0' && text[at] <= '9' &&
	       !__builtin_mul_overflow(n, 10, &n) &&
	       !__builtin_add_overflow(n, (uint64_t)(text[at] - '0'), &n))
		at++;
	if (at == 0 || at == item->size || text[at] != ' ')
		return pc_fail(job->st, "merge: this is no line \"COUNT KEY\": %.*s",
		               (int)(item->size < 60 ? item->size : 60), (const char *)text);
	at++;
	return n > 0 ? add_key(job, at, item->size - at, n) : PC_OK;
}

static int count_process_batch(struct pc_stage *st, void *state, struct pc_item *const *items,
                               unsigned n)
{
	struct count *s = state;
	struct count_job job = {.st = st, .s = s, .items = items};
	int r = PC_OK;

	for (; job.item < n; job.item++) {
		const struct pc_item *item = items[job.item];

		r = s->merge ? add_line(&job)
		             : text_cut(&s->cut, item->data, item->size, add_part, &job);
		if (r != PC_OK)
			break;
	}
	/* Also when that failed: the keys of the items before count. */
	while (job.added != job.asked) {
		int r2 = add_oldest(&job);

		if (r2 != PC_OK) {
			r = r2;
			break;
		}
	}
	for (unsigned i = 0; i < job.item && r != PC_OK; i++)
		pc_done(st);
	return r;
}

/* --------------------------------------------------------------------------- the results --- */

static const uint8_t *entry_key(const struct entry *e)
{
	return e->size <= COUNT_SHORT ? (const uint8_t *)e->key.words : e->key.far;
}

static int by_key(const void *left, const void *right)
{
	const struct entry *a = left, *b = right;
	int r = 0;

	if (a->size <= COUNT_SHORT && b->size <= COUNT_SHORT) {
		/* Bytes compare as numbers do whose first byte is the highest. */
		for (unsigned i = 0; i < 2 && r == 0; i++) {
			uint64_t x = be64toh(a->key.words[i]), y = be64toh(b->key.words[i]);

			r = (x > y) - (x < y);
		}
	} else {
		r = memcmp(entry_key(a), entry_key(b), a->size < b->size ? a->size : b->size);
	}
	return r != 0 ? r : (a->size > b->size) - (a->size < b->size);
}

static int by_count(const void *left, const void *right)
{
	const struct entry *a = left, *b = right;

	return a->n != b->n ? (a->n < b->n) - (a->n > b->n) : by_key(a, b);
}

/* Move the entries to the front, in order. After this the table is a list. */
static void sort(struct count *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->slots; i++)
		if (s->table[i].n != 0)
			s->table[n++] = s->table[i];
	if (s->order != ORDER_NONE)
		qsort(s->table, n, sizeof(*s->table),
		      s->order == ORDER_KEY ? by_key : by_count);
	if (s->top > 0 && s->top < n)
		s->used = s->top;
	s->sorted = true;
}

static int count_finish(struct pc_stage *st, void *state)
{
	struct count *s = state;

	if (!s->sorted)
		sort(s);
	for (unsigned n = 0; s->sent < s->used; n++) {
		const struct entry *e = &s->table[s->sent];
		char number[TEXT_NUMBER_MAX];
		size_t digits;
		const char *text =
			text_of(TEXT_SHOW_NUMBER, &e->n, sizeof(e->n), number, &digits);
		struct pc_item *line;
		int r;

		if (n == COUNT_BATCH)
			return PC_AGAIN;
		line = pc_item_new(st, digits + 1 + e->size);
		if (line == NULL)
			return pc_fail(st, "no memory for the results");
		memcpy(line->data, text, digits);
		((char *)line->data)[digits] = ' ';
		memcpy((char *)line->data + digits + 1, entry_key(e), e->size);
		r = pc_emit(st, 0, line);
		if (r < 0)
			return r;
		s->sent++;
	}
	return PC_OK;
}

static int count_close(struct pc_stage *st, void *state)
{
	struct count *s = state;

	(void)st;
	free(s->table);
	while (s->chunks != NULL) {
		struct chunk *next = s->chunks->next;

		free(s->chunks);
		s->chunks = next;
	}
	return PC_OK;
}

static const struct pc_port count_in[] = {{"in", "*", 0, "what is counted"}};
static const struct pc_port count_out[] = {{"out", "text/line", 0, "COUNT KEY, at the end"}};

PC_STAGE(.name = "count", .doc = "count how often each key occurs", PC_INPUTS(count_in),
         PC_OUTPUTS(count_out), PC_PARAMS(count_params), PC_STATE(struct count),
         .state_version = 1, .open = count_open, .process_batch = count_process_batch,
         .finish = count_finish, .close = count_close);
