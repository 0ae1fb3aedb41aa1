/* queue/rcu.c: registering threads with RCU behind the callers' backs.
 *
 * queue_rcu_register() runs once per thread, on that thread; the destructor when it ends. Should
 * another destructor use a queue after ours, the thread registers again and ours runs once more
 * (pthread repeats destructors while keys are set).
 */
#include "queue/rcu.h"

#include <stdlib.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;

#ifdef QUEUE_TSAN
char queue_rcu_edge;
_Thread_local bool queue_rcu_registered;
#endif

static void unregister(void *unused)
{
	(void)unused;
	if (!QUEUE_RCU_REGISTERED())
		return;
	urcu_memb_unregister_thread();
#ifdef QUEUE_TSAN
	queue_rcu_registered = false;
#endif
}

static void make_key(void)
{
	if (pthread_key_create(&key, unregister) != 0)
		abort(); /* without it threads would end registered, and RCU would wait for ever */
}

void queue_rcu_register(void)
{
	pthread_once(&once, make_key);
	urcu_memb_register_thread();
	pthread_setspecific(key, &key);
#ifdef QUEUE_TSAN
	queue_rcu_registered = true;
#endif
}
