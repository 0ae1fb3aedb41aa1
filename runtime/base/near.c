/* base/near.c: the nearest name, for "did you mean".
 *
 * Called while a diagnostic is made, on one thread. The distance is the optimal string alignment
 * (insert, delete, replace, swap of neighbours; each letter edited once), counted in halves so
 * that a difference in case only weighs half an edit. Candidates whose length alone rules them
 * out cost nothing, so that offering thousands of names stays cheap. */
#include "base/near.h"

#include <ctype.h>
#include <string.h>

enum { LETTERS_MAX = 64, EDIT = 2, CASE = 1 };

static unsigned replace_cost(char a, char b)
{
	if (a == b)
		return 0;
	return tolower((unsigned char)a) == tolower((unsigned char)b) ? CASE : EDIT;
}

static unsigned min(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

static unsigned distance(const char *a, size_t a_size, const char *b, size_t b_size)
{
	unsigned rows[3][LETTERS_MAX + 1], *older = rows[0], *old = rows[1], *now = rows[2],
					   *spare;
	size_t i, j;

	for (j = 0; j <= b_size; j++)
		old[j] = (unsigned)j * EDIT;
	for (i = 1; i <= a_size; i++) {
		now[0] = (unsigned)i * EDIT;
		for (j = 1; j <= b_size; j++) {
			now[j] = min(old[j - 1] + replace_cost(a[i - 1], b[j - 1]),
			             min(old[j], now[j - 1]) + EDIT);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				now[j] = min(now[j], older[j - 2] + EDIT);
		}
		spare = older;
		older = old;
		old = now;
		now = spare;
	}
	return old[b_size];
}

void near_offer(struct near *n, const char *candidate)
{
	size_t size = strnlen(candidate, LETTERS_MAX + 1), longer, shorter;
	unsigned limit = (unsigned)(n->wanted_size < 3 ? 1 : n->wanted_size / 3) * EDIT, d;

	if (n->wanted_size > LETTERS_MAX || size > LETTERS_MAX)
		return;
	longer = size > n->wanted_size ? size : n->wanted_size;
	shorter = size + n->wanted_size - longer;
	if (longer - shorter > limit / EDIT)
		return;
	d = distance(n->wanted, n->wanted_size, candidate, size);
	/* One letter is not near to another letter: something must be left of the name. */
	if (d > limit || d >= longer * EDIT || d >= n->distance)
		return;
	n->distance = d;
	n->best = candidate;
}
