/* lang/names.c: a hash table with open addressing, in the parser's arena.
 *
 * Called by the parser, on one thread. A graph that a program wrote may hold ten thousand params,
 * so that a search through a list will not do. The hash is FNV-1a (Fowler, Noll, Vo). */
#include "lang/names.h"

#include <string.h>

struct names_slot {
	const char *text; /* NULL: free */
	size_t size;
	uint32_t number;
};

static struct names_slot *place(const struct names *names, const char *text, size_t size)
{
	uint64_t hash = UINT64_C(14695981039346656037);
	size_t i;

	for (i = 0; i < size; i++)
		hash = (hash ^ (unsigned char)text[i]) * UINT64_C(1099511628211);
	for (i = hash & (names->room - 1); names->slots[i].text;
	     i = (i + 1) & (names->room - 1))
		if (names->slots[i].size == size &&
		    memcmp(names->slots[i].text, text, size) == 0)
			break;
	return &names->slots[i];
}

uint32_t names_find(const struct names *names, const char *text, size_t size)
{
	const struct names_slot *slot = names->room > 0 ? place(names, text, size) : NULL;

	return slot && slot->text ? slot->number : NAMES_NONE;
}

bool names_add(struct names *names, struct arena *a, const char *text, size_t size,
               uint32_t number)
{
	if (2 * names->n >= names->room) { /* at most half full */
		struct names wider = {.room = names->room ? 2 * names->room : 16,
		                      .n = names->n};

		wider.slots = arena_alloc(a, wider.room * sizeof(*wider.slots));
		if (!wider.slots)
			return false;
		for (size_t i = 0; i < names->room; i++)
			if (names->slots[i].text)
				*place(&wider, names->slots[i].text, names->slots[i].size) =
					names->slots[i];
		*names = wider;
	}
	*place(names, text, size) = (struct names_slot){text, size, number};
	names->n++;
	return true;
}
