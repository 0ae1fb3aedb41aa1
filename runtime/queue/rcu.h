/* queue/rcu.h: the read sections of liburcu's memb flavour, for threads that never registered.
 *
 * Called at the edges of every put and take, on any thread. Memb costs 1.4 to 1.6 ns a section
 * here, inlined, because sys_membarrier moves the barriers to the updater (mb: 49 ns, bp: 1.4 ns
 * but twice the grace period, qsbr: 0 ns but a caller that blocks outside the queue without going
 * offline would stop reclamation for the whole process; figures: research/queues.md, section 3).
 *
 * A thread is registered by its first section and unregistered by a pthread key's destructor.
 * liburcu's own `registered` bit decides, so threads that another part of the program has
 * registered are left alone.
 *
 * ThreadSanitizer can not see grace periods: liburcu 0.13 orders them by volatile accesses and
 * membarrier. In that build the sections are calls, and the annotations below draw the one edge
 * that RCU promises: everything in a section comes before the end of a grace period that began in
 * or after it.
 */
#ifndef QUEUE_RCU_H
#define QUEUE_RCU_H

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define QUEUE_TSAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define QUEUE_TSAN 1
#endif

#ifdef QUEUE_TSAN
#include <stdbool.h>
#include <urcu/urcu-memb.h>

void __tsan_acquire(void *address);
void __tsan_release(void *address);
extern char queue_rcu_edge;
extern _Thread_local bool queue_rcu_registered;
#define QUEUE_RCU_REGISTERED()        queue_rcu_registered
#define QUEUE_RCU_BEFORE_UNLOCK()     __tsan_release(&queue_rcu_edge)
#define QUEUE_RCU_BEFORE_RETIRE(what) ((void)(what))
#define QUEUE_RCU_AFTER_GRACE(what)                                                            \
	do {                                                                                   \
		__tsan_acquire(what);                                                          \
		__tsan_acquire(&queue_rcu_edge);                                               \
	} while (0)
#else
#ifndef _LGPL_SOURCE
#define _LGPL_SOURCE /* sections inlined; each is under ten lines, which the LGPL allows */
#endif
#include <urcu/urcu-memb.h>

/* In a shared library each touch of the reader would be a call of __tls_get_addr, four to a
 * section: put 16.5 -> 9.8 ns, take 12.8 -> 7.0 ns without. The price is 192 bytes of static TLS,
 * which glibc keeps 1664 of for libraries that are opened late. */
extern _Thread_local struct urcu_reader urcu_memb_reader
	__attribute__((tls_model("initial-exec")));

#define QUEUE_RCU_REGISTERED()        URCU_TLS(urcu_memb_reader).registered
#define QUEUE_RCU_BEFORE_UNLOCK()     ((void)0)
#define QUEUE_RCU_BEFORE_RETIRE(what) ((void)(what))
#define QUEUE_RCU_AFTER_GRACE(what)   ((void)(what))
#endif

/* Register the calling thread until it ends. */
void queue_rcu_register(void);

static inline void queue_rcu_lock(void)
{
	if (__builtin_expect(!QUEUE_RCU_REGISTERED(), 0))
		queue_rcu_register();
	urcu_memb_read_lock();
}

static inline void queue_rcu_unlock(void)
{
	QUEUE_RCU_BEFORE_UNLOCK();
	urcu_memb_read_unlock();
}

#endif
