/* engine/died.c: see died.h. Any thread.
 *
 * The lock is not held while addr2line runs: two threads may ask for the same place at once, and get
 * the same answer. A place that has been overwritten meanwhile is found by its words, or not any
 * more. */
#include "engine/died.h"

#include "base/buf.h"
#include "base/error.h"
#include "base/lines.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void died_init(struct died *d)
{
	pthread_mutex_init(&d->lock, NULL);
}

static void forget(struct died_place *p)
{
	free(p->words);
	free(p->object);
	free(p->keeps);
	free(p->line);
	*p = (struct died_place){0};
}

void died_fini(struct died *d)
{
	for (unsigned i = 0; i < DIED_PLACES; i++)
		forget(&d->places[i]);
	pthread_mutex_destroy(&d->lock);
}

/* Under the lock. */
static struct died_place *find(struct died *d, const char *words)
{
	for (unsigned i = 0; i < DIED_PLACES; i++)
		if (d->places[i].words && strcmp(d->places[i].words, words) == 0)
			return &d->places[i];
	return NULL;
}

void died_note(struct died *d, const char *words, const char *object, const char *keeps,
               uint64_t offset)
{
	struct died_place *p;

	pthread_mutex_lock(&d->lock);
	p = find(d, words);
	/* Another file of that name: the words tell no more which one. */
	if (p && strcmp(p->object, object) != 0) {
		free(p->line);
		p->line = NULL;
		p->asked = true;
	} else if (!p) {
		p = &d->places[d->next++ % DIED_PLACES];
		forget(p);
		*p = (struct died_place){.words = strdup(words),
		                         .object = strdup(object),
		                         .keeps = strdup(keeps),
		                         .offset = offset};
		if (!p->words || !p->object || !p->keeps)
			forget(p);
	}
	pthread_mutex_unlock(&d->lock);
}

/* Not the end of a longer name, nor the beginning of a longer number. */
static const char *find_in(const char *text, const char *words)
{
	size_t n = strlen(words);
	const char *at = strstr(text, words);

	while (at && ((at > text && !strchr(" (", at[-1])) || isxdigit((unsigned char)at[n])))
		at = strstr(at + n, words);
	return at;
}

static void copy_place(struct died_place *to, const struct died_place *from)
{
	*to = (struct died_place){.words = strdup(from->words),
	                          .object = strdup(from->object),
	                          .keeps = strdup(from->keeps),
	                          .offset = from->offset,
	                          .asked = from->asked,
	                          .line = from->line ? strdup(from->line) : NULL,
	                          .no_tool = from->no_tool};
	if (!to->words || !to->object || !to->keeps)
		forget(to);
}

/* The first place that the text names from `at` on, and where: a copy, to be forgotten. */
static const char *find_place(struct died *d, const char *at, struct died_place *ret)
{
	const struct died_place *place = NULL;
	const char *found = NULL;

	pthread_mutex_lock(&d->lock);
	for (unsigned i = 0; i < DIED_PLACES; i++) {
		const struct died_place *p = &d->places[i];
		const char *here = p->words ? find_in(at, p->words) : NULL;

		if (here && (!found || here < found)) {
			found = here;
			place = p;
		}
	}
	if (place)
		copy_place(ret, place);
	pthread_mutex_unlock(&d->lock);
	return place && ret->words ? found : NULL;
}

static void ask(struct died *d, struct died_place *place)
{
	struct died_place *p;
	struct lines lines;

	place->no_tool = lines_find(&lines, place->object, &place->offset, 1) == LINES_NO_TOOL;
	place->line = lines.of[0].place ? strdup(lines.of[0].place) : NULL;
	pthread_mutex_lock(&d->lock);
	p = find(d, place->words);
	if (p && !p->asked) {
		p->asked = true;
		p->no_tool = place->no_tool;
		p->line = place->line ? strdup(place->line) : NULL;
	}
	pthread_mutex_unlock(&d->lock);
}

/* Without addr2line: how to find it where there is one. Behind the line of text that `at` is in. */
static const char *add_command(struct buf *out, const struct died_place *place, const char *at)
{
	size_t n = strcspn(at, "\n");

	buf_add(out, at, n);
	buf_addf(out, "\n  find the line: addr2line -fCe %s 0x%" PRIx64, place->keeps,
	         place->offset);
	return at + n;
}

char *died_lines(struct died *d, const char *text)
{
	struct died_place place;
	const char *at = text, *found;
	struct buf out = {0};

	while ((found = find_place(d, at, &place))) {
		const char *behind = found + strlen(place.words);

		if (!place.asked)
			ask(d, &place);
		buf_add(&out, at, (size_t)(found - at));
		buf_adds(&out, place.line ? place.line : place.words);
		at = place.no_tool ? add_command(&out, &place, behind) : behind;
		forget(&place);
	}
	if (at == text)
		return NULL;
	buf_adds(&out, at);
	return buf_take(&out);
}

void died_tell(struct died *d, struct pc_error **err)
{
	if (err && *err)
		error_reword(err, died_lines(d, pc_error_text(*err)));
}
