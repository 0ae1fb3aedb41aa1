/* queue/step.h: named places inside a put, a take, a close and the reclaiming of memory.
 *
 * The freeze test stops a thread at each of them in turn, the stress test makes threads linger
 * there. In a normal build they are nothing. tests/stress compiles the queue once more with
 * PCRUN_QUEUE_STEPS and supplies queue_step().
 */
#ifndef QUEUE_STEP_H
#define QUEUE_STEP_H

enum queue_step {
	STEP_PUT_START,     /* tail read, nothing claimed */
	STEP_PUT_ALLOCATED, /* new segment made, not linked */
	STEP_PUT_LINKED,    /* new segment linked, tail not moved */
	STEP_PUT_CLAIM,     /* free slot found, room seen, before the claim */
	STEP_PUT_CLAIMED,   /* slot claimed, hint not moved */
	STEP_PUT_FILLING,   /* batch claimed, half filled */
	STEP_PUT_PUBLISH,   /* batch filled, not published */
	STEP_PUT_DONE,      /* in, nobody told yet */
	STEP_TAKE_START,    /* head read */
	STEP_TAKE_CLAIM,    /* items read, head not moved */
	STEP_TAKE_CLAIMED,  /* head moved, nobody told yet */
	STEP_TAKE_POISON,   /* about to poison a batch that is late */
	STEP_TAKE_POISONED, /* batch poisoned, head not moved over it */
	STEP_TAKE_ADVANCE,  /* head segment used up, head_segment not moved */
	STEP_TAKE_RETIRE,   /* head_segment moved, old segment not yet handed to RCU */
	STEP_SEAL,          /* last writer or reader gone, queue not yet sealed */
	STEP_WAKE,          /* about to wake a waiter */
	STEP_SERVE,         /* serving the tasks that wait */
	STEP_ARM,           /* a task saw nothing, and is not on the list yet */
	STEP_COUNT
};

#ifdef PCRUN_QUEUE_STEPS
void queue_step(enum queue_step step);
#define QUEUE_STEP(step) queue_step(step)
#else
#define QUEUE_STEP(step) ((void)0)
#endif

#endif
