/* shared/shared.c: shared state is made, described and given back; keys are hashed.
 *
 * Creation and destruction on the thread that sets the graph up; the rest on any.
 */
#include "shared/layout.h"

#include <ctype.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define BUCKETS 16 /* at first; the table grows by itself */

#ifdef SHARED_TSAN
char shared_section_edge, shared_callback_edge;
#endif

/* FNV-1a (Fowler, Noll, Vo), then the finisher of MurmurHash3 (Appleby), because the table looks
 * at the low bits. The seed is a secret: whoever feeds the graph can't choose keys that collide. */
static unsigned long hash(unsigned long seed, const char *text, size_t size)
{
	uint64_t h = seed ^ UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < size; i++)
		h = (h ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
	h = (h ^ h >> 33) * UINT64_C(0xff51afd7ed558ccd);
	h = (h ^ h >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
	return (unsigned long)(h ^ h >> 33);
}

bool shared_key(const struct shared *s, const char *text, struct key *ret)
{
	if (s->kind == SHARED_BYTES) {
		*ret = (struct key){.text = ""};
		return text == NULL;
	}
	if (!text)
		return false;
	ret->text = text;
	ret->size = strnlen(text, SHARED_KEY_MAX + 1);
	ret->hash = hash(s->seed, text, ret->size);
	return ret->size > 0 && ret->size <= SHARED_KEY_MAX;
}

/* The table's thread must not get the signals of the program that embeds us. */
static struct cds_lfht *create_table(void)
{
	struct cds_lfht *table;
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	table = cds_lfht_new_flavor(BUCKETS, BUCKETS, 0, CDS_LFHT_AUTO_RESIZE,
	                            &urcu_memb_flavor, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return table;
}

struct shared *shared_create(enum shared_kind kind, size_t size_bytes)
{
	struct shared *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->kind = kind;
	s->size = size_bytes;
	s->last_grave = &s->graves;
	if (kind == SHARED_DICT) {
		/* Without randomness the address is secret enough. */
		if (getrandom(&s->seed, sizeof(s->seed), GRND_NONBLOCK) < 0)
			s->seed = (unsigned long)(uintptr_t)s;
		s->table = create_table();
		if (!s->table)
			goto fail;
	} else {
		void *zeros = calloc(1, size_bytes);
		int rc = zeros ? shared_set(s, NULL, PC_T_STRING, zeros, size_bytes) : PC_NOMEM;

		free(zeros);
		if (rc)
			goto fail;
		shared_mark(s);
		shared_begin_with(s);
	}
	return s;
fail:
	shared_destroy(s);
	return NULL;
}

void shared_wait(void)
{
	urcu_memb_barrier();
	SHARED_CALLBACKS_OVER;
}

static void destroy_table(struct shared *s)
{
	struct cds_lfht_iter iter;
	struct cds_lfht_node *node;

	cds_lfht_first(s->table, &iter);
	while ((node = cds_lfht_iter_get_node(&iter)) != NULL) {
		cds_lfht_next(s->table, &iter);
		cds_lfht_del(s->table, node);
		free(entry_of(node));
	}
	cds_lfht_destroy(s->table, NULL);
}

void shared_destroy(struct shared *s)
{
	struct entry *grave;

	if (!s)
		return;
	while ((grave = s->graves) != NULL) {
		s->graves = grave->next_grave;
		if (grave->superseded)
			free(grave);
	}
	if (s->table)
		destroy_table(s);
	/* relaxed: no other thread any more */
	free(atomic_load_explicit(&s->block, memory_order_relaxed));
	change_fini(&s->change);
	free(s);
}

uint64_t shared_version(const struct shared *s)
{
	/* relaxed: a figure */
	return atomic_load_explicit((_Atomic uint64_t *)(uintptr_t)&s->version,
	                            memory_order_relaxed);
}

size_t shared_keys(const struct shared *s)
{
	/* relaxed: a figure */
	return atomic_load_explicit((_Atomic size_t *)(uintptr_t)&s->n_keys,
	                            memory_order_relaxed);
}

/* -------------------------------------------------------------------------------- text --- */

static bool is_plain(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (!isalnum((unsigned char)text[i]) && !strchr("_.-/", text[i]))
			return false;
	return size > 0;
}

/* What of it is text stays so; other bytes are escaped. */
static void add_bytes(struct buf *out, const unsigned char *bytes, size_t size)
{
	buf_addc(out, '"');
	for (size_t i = 0; i < size; i++)
		if (bytes[i] == '"' || bytes[i] == '\\')
			buf_addf(out, "\\%c", bytes[i]);
		else if (bytes[i] >= 0x20 && bytes[i] != 0x7f)
			buf_addc(out, (char)bytes[i]);
		else
			buf_addf(out, "\\x%02x", bytes[i]);
	buf_addc(out, '"');
}

static void add_key(struct buf *out, const char *key)
{
	if (is_plain(key, strlen(key)))
		buf_adds(out, key);
	else
		add_bytes(out, (const unsigned char *)key, strlen(key));
}

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct pc_value *)a)->key, ((const struct pc_value *)b)->key);
}

static struct pc_value *collect(struct shared *s, struct pc_snapshot *at, size_t *ret_n)
{
	struct pc_value *values = NULL;
	size_t n = 0, room = 0;
	struct pc_value v;

	while (shared_next(s, at, &v) == PC_OK) {
		if (n == room) {
			struct pc_value *more;

			room = room ? room * 2 : 16;
			more = realloc(values, room * sizeof(*more));
			if (!more) {
				free(values);
				return NULL;
			}
			values = more;
		}
		values[n++] = v;
	}
	if (n > 0)
		qsort(values, n, sizeof(*values), by_key);
	*ret_n = n;
	return values;
}

void shared_text(struct shared *s, struct buf *out)
{
	struct pc_snapshot at;
	struct pc_value *values;
	size_t n = 0;

	shared_snapshot(s, false, &at);
	values = collect(s, &at, &n);
	for (size_t i = 0; i < n; i++) {
		const unsigned char *bytes = values[i].data;

		if (s->kind == SHARED_BYTES) {
			for (size_t k = 0; k < values[i].size; k++)
				buf_addf(out, "%s%02x", k > 0 && k % 4 == 0 ? " " : "",
				         bytes[k]);
		} else {
			add_key(out, values[i].key);
			buf_adds(out, " = ");
			if (values[i].type == PC_T_I64)
				buf_addf(out, "%" PRId64, values[i].number);
			else
				add_bytes(out, bytes, values[i].size);
		}
		buf_addc(out, '\n');
	}
	free(values);
	shared_snapshot_end(&at);
}
