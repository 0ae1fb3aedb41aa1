/* loader/cache.h: what was compiled before, and from what.
 *
 * A record (DIR/STEM-KEY.deps) tells which object was built by one command from one source, and
 * the hash of every file that went into it; an object's name holds the hash of all of that, so
 * that no two builds have one name. Control thread; several processes may share the directory:
 * everything appears in it by rename(). */
#ifndef LOADER_CACHE_H
#define LOADER_CACHE_H

#include "base/buf.h"
#include "base/error.h"

#include <stdint.h>
#include <time.h>

#define CACHE_HASH_INIT UINT64_C(0xcbf29ce484222325)
uint64_t cache_hash(uint64_t hash, const void *bytes, size_t size);

/* The user's own directory: $XDG_CACHE_HOME/pcrun, ~/.cache/pcrun or /tmp/pcrun-cache-UID, made when
 * missing; never one that somebody else owns or may write to. */
int cache_dir(struct buf *dir, struct pc_error **err);

/* Whether the record names an object that is there, and everything it was built from is as it
 * was; then `object` is its name. */
bool cache_find(const char *record, struct buf *object);

/* The files of a record, each ended by a newline, the source first. False: there is none. */
bool cache_files(const char *record, struct buf *names);

/* When a compiler was started: by the clock that file systems stamp files with mostly, whose ticks may
 * be 10 ms long, and exactly. A file is as it was when it was written before the former, and nothing is
 * known to have happened to it since the latter. */
struct cache_time {
	struct timespec stamped, exact;
};

/* Take `made` in as DIR/STEM-HASH.so, and write the record. `depfile` is what the compiler wrote
 * (cc -MMD); files that may have changed since `started` make it a build without a record. */
int cache_add(const char *dir, const char *stem, const char *record, uint64_t key,
              const char *made, const char *depfile, const struct cache_time *started,
              struct buf *object, struct pc_error **err);

/* Remove what nobody has used for 30 days. */
void cache_sweep(const char *dir);

#endif
