/* stress/reload/oracle.h: what the plugins of this folder tell the test that loads them.
 *
 * Plugins find the table by the environment, since they share no symbol with the program. A source
 * gets a number per instance, and numbers its items; a sink tells what comes in. So each item must
 * be seen exactly once, and of each source in order where the way is one of single replicas. */
#ifndef STRESS_RELOAD_ORACLE_H
#define STRESS_RELOAD_ORACLE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct numbered {
	uint64_t source, number, check;
	uint64_t live; /* a pass stage's live parameter, as it was when it passed on the item */
};

struct oracle {
	uint64_t (*begins)(void);                            /* a source instance: its number */
	void (*ends)(uint64_t source, uint64_t emitted);     /* it has been closed */
	void (*sees)(const struct numbered *item, unsigned); /* a sink; its replicas */
	uint64_t (*has_seen)(uint64_t source);               /* how many of its items */
	void (*gate)(void);    /* a pass stage: waits here, if shut */
	int (*is_armed)(void); /* a build that fails on one item: on this one */
};

static inline const struct oracle *oracle(void)
{
	const char *text = getenv("PCRUN_ORACLE");
	void *table = NULL;

	if (!text || sscanf(text, "%p", &table) != 1)
		abort();
	return table;
}

#endif
