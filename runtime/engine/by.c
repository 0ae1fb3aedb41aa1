/* engine/by.c: see by.h. The hash multiplies and folds eight bytes at a time (the idea of wyhash:
 * Wang Yi, https://github.com/wangyi-fudan/wyhash); it only has to spread, not to resist. */
#include "engine/by.h"

#include "base/value.h"

#include <string.h>

bool by_parse(const char *text, struct by *ret)
{
	uint64_t field;

	ret->field = 0;
	if (strcmp(text, "item") == 0)
		return true;
	if (value_u64(text, strlen(text), &field) != VALUE_OK || field < 1 || field > 1000000)
		return false;
	ret->field = (uint32_t)field;
	return true;
}

static bool blank(unsigned char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* An item with fewer fields has an empty key: all such go to one replica. */
static void find_field(uint32_t field, const unsigned char **ret_at, size_t *ret_size)
{
	const unsigned char *at = *ret_at, *end = at + *ret_size, *begin;

	do {
		while (at < end && blank(*at))
			at++;
		begin = at;
		while (at < end && !blank(*at))
			at++;
	} while (--field > 0);
	*ret_at = begin;
	*ret_size = (size_t)(at - begin);
}

static uint64_t mix(uint64_t a, uint64_t b)
{
	__extension__ unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint32_t by_hash(const struct by *by, const struct item *item)
{
	const unsigned char *at = item->pub.data;
	size_t size = item->pub.size;
	uint64_t hash, word;

	if (by->field)
		find_field(by->field, &at, &size);
	hash = size ^ UINT64_C(0x9e3779b97f4a7c15);
	for (; size >= 8; size -= 8, at += 8) {
		memcpy(&word, at, 8);
		hash = mix(hash ^ word, UINT64_C(0xa0761d6478bd642f));
	}
	word = 0;
	memcpy(&word, at, size);
	hash = mix(hash ^ word, UINT64_C(0xe7037ed1a0b428db));
	return (uint32_t)(hash ^ (hash >> 32));
}
