/* shared/shared.h: data that one updater at a time changes and everybody reads without waiting.
 *
 * A dict holds keys and values, bytes hold one block of fixed size. What the updater does goes
 * into a list of its own, where shared_mark() and shared_discard() decide item by item what
 * stays, and becomes visible to others whole, by one store in shared_publish(). A snapshot is a
 * read section and a version: it sees all of what was published up to there and nothing of what
 * came after, however many keys it looks at, and however long it takes.
 *
 * Threads. Every call but shared_create() and shared_wait() is made inside a read section of
 * liburcu's memb flavour (the engine has them from queue/rcu.h). Readers: any number, any thread.
 * Updater: one at a time, and the next one sees what the one before did (the hand-over of a
 * critical section does that). Nobody waits for anybody; updates allocate, reads do not.
 */
#ifndef SHARED_SHARED_H
#define SHARED_SHARED_H

#include "base/buf.h"

#include <pcrun/stage.h>

#define SHARED_KEY_MAX   4096              /* bytes of a key; the least is 1 */
#define SHARED_VALUE_MAX ((size_t)1 << 30) /* bytes of a value */

struct shared;

enum shared_kind { SHARED_DICT, SHARED_BYTES };

/* Before any other thread knows it. `size_bytes`: of SHARED_BYTES, which begin as zeros. NULL: no
 * memory. Values that it begins with: shared_set() and shared_mark(), then shared_begin_with(),
 * which is no publication: the version is still 0. */
struct shared *shared_create(enum shared_kind kind, size_t size_bytes);
void shared_begin_with(struct shared *s);
/* After all other threads have left them: first wait, once for all, outside of any read section,
 * for the memory that is on its way back; then destroy. NULL is fine. */
void shared_wait(void);
void shared_destroy(struct shared *s);

/* Updater. Keys are NULL for SHARED_BYTES. `type` as in struct pc_value. The calls return
 *   PC_OK       done, in the updater's list
 *   PC_EMPTY    delete: there is no such key
 *   PC_INVALID  not for this kind; no key, or a key or value that is too long; bytes of another
 *               size; add to what is not a number, or beyond its range. Nothing was changed, as
 *               with
 *   PC_NOMEM
 * and add counts from 0 when there is no such key. */
int shared_set(struct shared *s, const char *key, uint32_t type, const void *data, size_t size);
int shared_add(struct shared *s, const char *key, int64_t delta, int64_t *ret_sum);
int shared_delete(struct shared *s, const char *key);

void shared_mark(struct shared *s);    /* what was done so far is to be published */
void shared_discard(struct shared *s); /* what was done since the mark is forgotten */
void shared_publish(struct shared *s); /* what is marked, at once; nothing: no new version */

/* Readers. `own`: the updater looks, and sees what is in its list, too. */
void shared_snapshot(struct shared *s, bool own, struct pc_snapshot *ret);
int shared_get(struct shared *s, const struct pc_snapshot *at, const char *key,
               struct pc_value *ret);
int shared_next(struct shared *s, struct pc_snapshot *at, struct pc_value *ret);
/* Right before the read section ends. */
void shared_snapshot_end(struct pc_snapshot *at);

/* Any thread, a moment old. */
uint64_t shared_version(const struct shared *s);
size_t shared_keys(const struct shared *s);
/* `key = value` lines in order of the keys; bytes in hex. */
void shared_text(struct shared *s, struct buf *out);

#endif
