/* queue/reclaim.h: a segment's wait for a grace period. See reclaim.c. */
#ifndef QUEUE_RECLAIM_H
#define QUEUE_RECLAIM_H

#include "queue/layout.h"

/* Start the reclaimer's thread, once per process. False: no thread could be made. */
bool reclaim_start(void);

/* After a grace period segment_reclaim() gets it. Never waits. */
void reclaim_later(struct segment *segment);

#endif
