/* base/utf8.c: see utf8.h.
 *
 * Called by the lexer and by the rendering of diagnostics. Whatever a source holds, nothing that
 * a terminal would obey leaves utf8_show_char(): C0 and C1 controls and stray bytes are escaped,
 * and so are the marks that make a line read differently from what it says (CVE-2021-42574).
 *
 * Columns: the wide blocks of Unicode's EastAsianWidth.txt and the combining blocks, coarsely.
 * A caret that is one column off in a rare script does no harm. */
#include "base/utf8.h"

#include <string.h>

size_t utf8_decode(const char *text, size_t size, uint32_t *ret_char)
{
	static const uint32_t smallest[5] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *p = (const unsigned char *)text;
	size_t n = p[0] < 0x80 ? 1 : p[0] < 0xc0 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4, i;
	uint32_t c;

	if (n == 0 || n > size || p[0] > 0xf4)
		return 0;
	c = n == 1 ? p[0] : p[0] & (0x7fu >> n);
	for (i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3fu);
	}
	if (c < smallest[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*ret_char = c;
	return n;
}

static bool within(uint32_t c, const uint32_t (*ranges)[2], size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (c >= ranges[i][0] && c <= ranges[i][1])
			return true;
	return false;
}

unsigned utf8_columns(uint32_t c)
{
	static const uint32_t none[][2] = {{0x300, 0x36f},   {0x200b, 0x200f},
	                                   {0x20d0, 0x20ff}, {0xfe00, 0xfe0f},
	                                   {0xfe20, 0xfe2f}, {0xfeff, 0xfeff}};
	static const uint32_t wide[][2] = {
		{0x1100, 0x115f},   {0x2e80, 0xa4cf},   {0xac00, 0xd7a3},  {0xf900, 0xfaff},
		{0xfe30, 0xfe6f},   {0xff01, 0xff60},   {0xffe0, 0xffe6},  {0x1f300, 0x1f64f},
		{0x1f680, 0x1f6ff}, {0x1f900, 0x1faff}, {0x20000, 0x3fffd}};

	if (c < 0x300)
		return 1;
	if (within(c, none, sizeof(none) / sizeof(none[0])))
		return 0;
	return within(c, wide, sizeof(wide) / sizeof(wide[0])) ? 2 : 1;
}

bool utf8_hostile(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x061c ||
	       (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2060 && c <= 0x206f) || c == 0xfeff;
}

size_t utf8_show_char(struct buf *out, const char *text, size_t size, unsigned *ret_columns)
{
	uint32_t c;
	size_t n = utf8_decode(text, size, &c), before = out->size;

	if (n > 0 && !utf8_hostile(c)) {
		buf_add(out, text, n);
		*ret_columns = utf8_columns(c);
		return n;
	}
	if (n > 1)
		buf_addf(out, "<U+%04X>", (unsigned)c);
	else
		buf_addf(out, "\\x%02x", (unsigned)(unsigned char)text[0]);
	*ret_columns = (unsigned)(out->size - before);
	return n > 0 ? n : 1;
}

void utf8_show(struct buf *out, const char *text, size_t size)
{
	unsigned columns;
	size_t i = 0;

	while (i < size) {
		if (text[i] == '\n' || text[i] == '\t')
			buf_addc(out, text[i++]);
		else
			i += utf8_show_char(out, text + i, size - i, &columns);
	}
}
