/* queue/segment.h: where segments come from and where they go. See segment.c. */
#ifndef QUEUE_SEGMENT_H
#define QUEUE_SEGMENT_H

#include "queue/layout.h"

/* Waiting for a grace period, at most, per queue; beyond it puts find no room. */
#define SEGMENT_RETIRED_MAX_BYTES (UINT64_C(64) << 20)
/* Kept for reuse, at most, per process. */
#define SEGMENT_POOL_MAX_BYTES (UINT64_C(64) << 20)

/* A zeroed segment to follow `before`; inside a read section. PC_OK; PC_NOMEM; PC_FULL: too
 * much waits for a grace period, `starved` is set. */
int segment_make(struct pc_queue *queue, const struct segment *before,
                 struct segment **ret_segment);

/* It was made but not linked: another putter was faster. */
void segment_unmake(struct segment *segment);

/* Unlinked; nobody can find it any more except those who have it already. */
void segment_retire(struct pc_queue *queue, struct segment *segment);

/* Nobody has it any more. On the reclaimer's thread. Its size in bytes. */
uint64_t segment_reclaim(struct segment *segment);

/* What retired segments hold has been given up by the queue itself, which is being destroyed. */
void segment_queue_gone(struct pc_queue *queue);

/* Lowered by tests only. */
extern _Atomic uint64_t segment_retired_max_bytes;
uint64_t segment_pool_bytes(void);

#endif
