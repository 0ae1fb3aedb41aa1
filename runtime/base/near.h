/* base/near.h: "did you mean": the real name nearest to a mistyped one. */
#ifndef BASE_NEAR_H
#define BASE_NEAR_H

#include <stddef.h>

struct near {
	const char *wanted;
	size_t wanted_size;
	const char *best; /* NULL: nothing near enough */
	unsigned distance;
};

/* Begin with NEAR_INIT, offer every candidate, read `best`. Near enough: at most a third of the
 * letters (at least one) inserted, deleted, replaced or swapped with a neighbour; case counts half. */
#define NEAR_INIT(text, size)                                                                  \
	{                                                                                      \
		text, size, NULL, ~0u                                                          \
	}
void near_offer(struct near *n, const char *candidate);

#endif
