/* lang/names.h: from the name of a param to its number. One thread. */
#ifndef LANG_NAMES_H
#define LANG_NAMES_H

#include "base/arena.h"

#include <stdint.h>

#define NAMES_NONE UINT32_MAX

struct names {
	struct names_slot *slots;
	size_t room; /* a power of two, or 0 */
	size_t n;
};

/* NAMES_NONE: it is not there. */
uint32_t names_find(const struct names *names, const char *text, size_t size);
/* The text must live as long as the names, and not be there yet. False: out of memory. */
bool names_add(struct names *names, struct arena *a, const char *text, size_t size,
               uint32_t number);

#endif
