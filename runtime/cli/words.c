/* cli/words.c: the nearest of the command's own words. Small sets of short names, so a plain table of
 * Levenshtein distances, with neighbours that changed places counted once (Damerau), will do. */
#include "cli/cli.h"

#include <string.h>

enum { LETTERS_MAX = 32 };

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

static unsigned distance(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);
	unsigned d[LETTERS_MAX + 1][LETTERS_MAX + 1];

	if (n > LETTERS_MAX || m > LETTERS_MAX)
		return LETTERS_MAX;
	for (size_t i = 0; i <= n; i++) {
		for (size_t k = 0; k <= m; k++) {
			if (i == 0 || k == 0) {
				d[i][k] = (unsigned)(i + k);
				continue;
			}
			d[i][k] = least(least(d[i - 1][k], d[i][k - 1]) + 1,
			                d[i - 1][k - 1] + (a[i - 1] != b[k - 1]));
			if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1])
				d[i][k] = least(d[i][k], d[i - 2][k - 2] + 1);
		}
	}
	return d[n][m];
}

void words_offer(struct words *words, const char *candidate)
{
	unsigned far = distance(words->wanted, candidate);
	size_t letters = strlen(words->wanted);

	/* A third of the letters may be wrong, and one always; a word may be cut short. */
	if (far > (letters >= 6 ? letters / 3 : 1) &&
	    !(letters >= 2 && strncmp(words->wanted, candidate, letters) == 0))
		return;
	if (!words->best || far < words->distance) {
		words->best = candidate;
		words->distance = far;
	}
}
