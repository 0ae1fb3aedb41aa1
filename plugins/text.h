/* text.h: what several standard stages do with text: cut it into parts, and show numbers.
 *
 * Included by count, split, print and write, so that a word is the same to all of them. Pure
 * functions over bytes: no locale, no UTF-8, NUL is a byte like any other. White space and
 * letters are those of the C locale, so that results equal those of `LC_ALL=C tr`.
 */
#ifndef PLUGINS_TEXT_H
#define PLUGINS_TEXT_H

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* ------------------------------------------------------------------------------- parts --- */

enum text_unit {
	TEXT_ITEM,    /* the whole item, or each line of a block */
	TEXT_WORD,    /* longest runs of bytes that are not white space */
	TEXT_LETTERS, /* longest runs of A-Z and a-z */
	TEXT_FIELD    /* what stands between separators; may be empty */
};

#define TEXT_UNIT_NAMES                                                                        \
	{                                                                                      \
		"item", "word", "letters", "field", NULL                                       \
	}

/* How to cut. */
struct text_cut {
	enum text_unit unit;
	int64_t nth;     /* 0: all parts; 3: the third of each line; -1: the last */
	const char *sep; /* TEXT_FIELD: not empty */
	size_t sep_size;
	bool by_line; /* the data is a block of lines, each ended by a newline */
};

/* Gets each part; anything but 0 stops the cutting and is what text_cut() returns. */
typedef int text_part_fn(void *user, size_t offset, size_t size);

static inline bool text_is_space(uint8_t c)
{
	return c == ' ' || (uint8_t)(c - '\t') < 5;
}

static inline bool text_is_letter(uint8_t c)
{
	return (uint8_t)((c | 0x20) - 'a') < 26;
}

/* Bit i tells whether p[i] belongs to a part, for 64 bytes at once. */
static inline uint64_t text_mask(const uint8_t *p, enum text_unit unit)
{
	uint64_t mask = 0;
#ifdef __SSE2__
	for (unsigned i = 0; i < 4; i++) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)(p + 16 * i));
		__m128i in;

		/* x <= n for unsigned bytes is min(x, n) == x. */
		if (unit == TEXT_LETTERS) {
			v = _mm_sub_epi8(_mm_or_si128(v, _mm_set1_epi8(0x20)),
			                 _mm_set1_epi8('a'));
			in = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(25)), v);
		} else {
			__m128i blank = _mm_cmpeq_epi8(v, _mm_set1_epi8(' '));

			v = _mm_sub_epi8(v, _mm_set1_epi8('\t'));
			in = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(4)), v);
			in = _mm_xor_si128(_mm_or_si128(in, blank), _mm_set1_epi8(-1));
		}
		mask |= (uint64_t)(unsigned)_mm_movemask_epi8(in) << (16 * i);
	}
#else
	for (unsigned i = 0; i < 64; i++) {
		bool in = unit == TEXT_LETTERS ? text_is_letter(p[i]) : !text_is_space(p[i]);

		mask |= (uint64_t)in << i;
	}
#endif
	return mask;
}

/* The runs of one line. A part begins and ends where the mask differs from itself moved by one
 * byte, so that the work is per part and per 64 bytes, not per byte. */
static inline int text_cut_runs(enum text_unit unit, int64_t nth, const uint8_t *data,
                                size_t offset, size_t size, text_part_fn *part, void *user)
{
	uint8_t last[64];
	uint64_t before = 0;
	size_t start = 0;
	bool inside = false;
	int64_t n = 0;

	for (size_t base = 0; base < size; base += 64) {
		const uint8_t *p = data + offset + base;
		uint64_t mask, edges;

		if (size - base < 64) {
			memset(last, ' ', sizeof(last));
			memcpy(last, p, size - base);
			p = last;
		}
		mask = text_mask(p, unit);
		edges = mask ^ (mask << 1 | before);
		before = mask >> 63;
		for (; edges != 0; edges &= edges - 1) {
			size_t at = base + (unsigned)__builtin_ctzll(edges);

			inside = !inside;
			if (inside) {
				start = at;
			} else if (nth == 0 || ++n == nth) {
				int r = part(user, offset + start, at - start);

				if (r != 0 || nth != 0)
					return r;
			}
		}
	}
	if (inside && (nth == 0 || n + 1 == nth))
		return part(user, offset + start, size - start);
	return 0;
}

/* The fields of one line: one more than it has separators. */
static inline int text_cut_fields(const struct text_cut *cut, int64_t nth, const uint8_t *data,
                                  size_t offset, size_t size, text_part_fn *part, void *user)
{
	size_t end = offset + size;
	int64_t n = 0;

	for (;;) {
		const uint8_t *sep =
			cut->sep_size == 1
				? memchr(data + offset, (uint8_t)cut->sep[0], end - offset)
				: memmem(data + offset, end - offset, cut->sep, cut->sep_size);
		size_t stop = sep != NULL ? (size_t)(sep - data) : end;

		if (nth == 0 || ++n == nth) {
			int r = part(user, offset, stop - offset);

			if (r != 0 || nth != 0)
				return r;
		}
		if (sep == NULL)
			return 0;
		offset = stop + cut->sep_size;
	}
}

static inline int text_count_part(void *user, size_t offset, size_t size)
{
	(void)offset;
	(void)size;
	++*(int64_t *)user;
	return 0;
}

static inline int text_cut_line(const struct text_cut *cut, const uint8_t *data, size_t offset,
                                size_t size, text_part_fn *part, void *user)
{
	int64_t nth = cut->nth;

	if (cut->unit == TEXT_ITEM)
		return part(user, offset, size);
	if (nth < 0) {
		int64_t n = 0;

		if (cut->unit == TEXT_FIELD)
			text_cut_fields(cut, 0, data, offset, size, text_count_part, &n);
		else
			text_cut_runs(cut->unit, 0, data, offset, size, text_count_part, &n);
		nth += n + 1;
		if (nth <= 0)
			return 0;
	}
	if (cut->unit == TEXT_FIELD)
		return text_cut_fields(cut, nth, data, offset, size, part, user);
	return text_cut_runs(cut->unit, nth, data, offset, size, part, user);
}

/* Cut data[0, size) and hand over each part. */
static inline int text_cut(const struct text_cut *cut, const void *data, size_t size,
                           text_part_fn *part, void *user)
{
	size_t offset = 0;

	/* A newline ends a run as well as any white space does. */
	if (cut->by_line && cut->nth == 0 && cut->unit == TEXT_WORD)
		return text_cut_runs(TEXT_WORD, 0, data, 0, size, part, user);
	if (cut->by_line && cut->nth == 0 && cut->unit == TEXT_LETTERS)
		return text_cut_runs(TEXT_LETTERS, 0, data, 0, size, part, user);
	if (!cut->by_line)
		return text_cut_line(cut, data, 0, size, part, user);
	while (offset < size) {
		const uint8_t *from = (const uint8_t *)data + offset;
		const uint8_t *newline = memchr(from, '\n', size - offset);
		size_t line = newline != NULL ? (size_t)(newline - from) : size - offset;
		int r = text_cut_line(cut, data, offset, line, part, user);

		if (r != 0)
			return r;
		offset += line + 1;
	}
	return 0;
}

/* ----------------------------------------------------------------------------- showing --- */

#define TEXT_BLOCK "text/block" /* whole lines, each with its newline, many to an item */

/* How items of a type are shown as lines. */
enum text_show {
	TEXT_SHOW_BYTES,  /* as they are, and an end of line */
	TEXT_SHOW_BLOCK,  /* as they are */
	TEXT_SHOW_NUMBER, /* u64, in decimal, and an end of line */
};

static inline enum text_show text_show_of(const char *type)
{
	if (strcmp(type, "u64") == 0)
		return TEXT_SHOW_NUMBER;
	return strcmp(type, TEXT_BLOCK) == 0 ? TEXT_SHOW_BLOCK : TEXT_SHOW_BYTES;
}

#define TEXT_NUMBER_MAX 21 /* digits of 2^64-1, and the NUL */

/* The bytes that stand for an item; *ret_size tells how many. `number` is room for digits. */
static inline const void *text_of(enum text_show show, const void *data, size_t size,
                                  char number[TEXT_NUMBER_MAX], size_t *ret_size)
{
	*ret_size = size;
	if (show == TEXT_SHOW_NUMBER && size == sizeof(uint64_t)) {
		uint64_t value;
		char *p = number + TEXT_NUMBER_MAX;

		memcpy(&value, data, sizeof(value));
		do
			*--p = (char)('0' + value % 10);
		while ((value /= 10) != 0);
		*ret_size = (size_t)(number + TEXT_NUMBER_MAX - p);
		return p;
	}
	return data;
}

#endif
