/* shared/layout.h: how shared state lies in memory, and why readers see whole versions.
 *
 * A key's value is an entry, never changed once others may see it. The newest entry of each key
 * is a node of a hash table (liburcu's cds_lfht; bytes have a pointer instead); `older` leads to
 * the one it replaced. An entry carries the version from which it holds. To publish version v+1
 * the updater puts an entry with v+1 in the place of each old one, and then stores `version`.
 *
 * A reader loads `version` in its read section and takes, per key, the first entry of the chain
 * that is not newer than that. Entries of an update half put in are newer, so none is seen.
 *
 * Memory. A replaced entry goes to call_rcu after the store of `version`. Only a reader with a
 * smaller version goes past the new entry to the old one; it loaded its version before that
 * store, so its section had begun before, and the grace period waits for it.
 *
 * A deleted key leaves an entry of type 0, a gravestone: it is the way of older readers to the
 * value. Once a grace period has passed nobody needs it (`ripe`), and the updater removes it from
 * the table at its next publication, or not, when the key has come back meanwhile
 * (`superseded`); a second grace period later it is freed. Gravestones ripen in the order of the
 * list, or it is only looked at a little late.
 *
 * Pairs
 *   D1 publish: release version -> D2 snapshot: acquire version    all entries up to it
 *   D3 publish: release block -> D4 newest: acquire block          the entry of bytes
 *   D5 ripen: release ripe -> D6 bury: acquire ripe                the grace period is over
 *
 * ThreadSanitizer sees neither the table's own ordering nor grace periods. In that build the
 * macros below draw the edges that liburcu promises: what was written to an entry before it went
 * into the table is seen by who finds it; all reads of a section come before the callbacks that
 * were queued in it or after it; all callbacks come before the end of shared_wait().
 */
#ifndef SHARED_LAYOUT_H
#define SHARED_LAYOUT_H

#include "shared/shared.h"

#include <urcu/urcu-memb.h>
/* The table takes the flavour that was included before it. */
#include <urcu/rculfhash.h>

#include <stdalign.h>
#include <stdatomic.h>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SHARED_TSAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define SHARED_TSAN 1
#endif

#ifdef SHARED_TSAN
void __tsan_acquire(void *address);
void __tsan_release(void *address);
extern char shared_section_edge, shared_callback_edge;
#define SHARED_EDGE_FROM(at)  __tsan_release(at)
#define SHARED_EDGE_TO(at)    __tsan_acquire(at)
#define SHARED_SECTION_ENDS   __tsan_release(&shared_section_edge)
#define SHARED_SECTIONS_OVER  __tsan_acquire(&shared_section_edge)
#define SHARED_CALLBACK_ENDS  __tsan_release(&shared_callback_edge)
#define SHARED_CALLBACKS_OVER __tsan_acquire(&shared_callback_edge)
#else
#define SHARED_EDGE_FROM(at)  ((void)(at))
#define SHARED_EDGE_TO(at)    ((void)(at))
#define SHARED_SECTION_ENDS   ((void)0)
#define SHARED_SECTIONS_OVER  ((void)0)
#define SHARED_CALLBACK_ENDS  ((void)0)
#define SHARED_CALLBACKS_OVER ((void)0)
#endif

struct key {
	const char *text;
	size_t size;
	unsigned long hash;
};

struct entry {
	struct cds_lfht_node node;
	struct rcu_head rcu;
	struct entry *older; /* what it replaced */
	uint64_t version;    /* from which it holds */
	unsigned long hash;
	uint32_t type; /* as in struct pc_value; 0: the key is not there */
	uint32_t key_size;
	size_t size, room; /* bytes of the value, and for it */
	/* gravestones */
	struct entry *next_grave;
	_Atomic bool ripe;
	bool superseded; /* it is in the table no more */
	/* the value, a NUL, the key, a NUL */
	alignas(max_align_t) unsigned char bytes[];
};

/* One key in the updater's list. At least one of the three is there, and tells the key. */
struct slot {
	struct entry *now;   /* since the mark */
	struct entry *done;  /* before it */
	struct entry *spare; /* nobody's value: memory for the next one */
};

/* The updater's list. Beyond CHANGE_FEW keys an index, open addressing, leads to the slots. */
#define CHANGE_FEW 8

struct change {
	struct slot *slots;
	uint32_t *fresh; /* slots that have a `now`; room as for the slots */
	uint32_t *index; /* slot + 1; 0: free */
	uint32_t n, room, n_fresh, index_size;
};

struct shared {
	enum shared_kind kind;
	size_t size; /* of SHARED_BYTES */
	unsigned long seed;
	struct cds_lfht *table;        /* SHARED_DICT */
	_Atomic(struct entry *) block; /* SHARED_BYTES */
	_Atomic uint64_t version;
	_Atomic size_t n_keys;
	/* updater */
	struct change change;
	struct entry *graves, **last_grave;
};

static inline struct entry *entry_of(struct cds_lfht_node *node)
{
	return (struct entry *)(void *)((char *)node - offsetof(struct entry, node));
}

static inline const char *entry_key(const struct entry *e)
{
	return (const char *)e->bytes + e->room + 1;
}

/* shared.c. False: no key for this kind, or too long. */
bool shared_key(const struct shared *s, const char *text, struct key *ret);

/* read.c: the newest entry of a key, and from there the one of a version. */
struct entry *read_newest(struct shared *s, const struct key *key);
struct entry *read_version(struct entry *e, uint64_t version);
int read_match(struct cds_lfht_node *node, const void *key);
void read_value(const struct entry *e, struct pc_value *ret);

/* change.c */
struct slot *change_slot(const struct change *c, const struct key *key);
static inline struct entry *slot_entry(const struct slot *slot)
{
	return slot->now ? slot->now : slot->done;
}
void change_fini(struct change *c);
void change_clear(struct change *c); /* for the next activation */

#endif
