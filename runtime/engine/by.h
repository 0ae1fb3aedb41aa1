/* engine/by.h: by=FIELD: which part of an item decides the replica it goes to. Any thread, pure. */
#ifndef ENGINE_BY_H
#define ENGINE_BY_H

#include "base/item.h"

#include <stdbool.h>
#include <stdint.h>

/* field 0: the whole item; else the field of this number, counted from 1, between white space. */
struct by {
	uint32_t field;
};

/* "item", or a number from 1 up. False: neither. */
bool by_parse(const char *text, struct by *ret);
uint32_t by_hash(const struct by *by, const struct item *item);

#endif
