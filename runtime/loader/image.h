/* loader/image.h: where a loaded shared object lies in memory. Any thread. */
#ifndef LOADER_IMAGE_H
#define LOADER_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

/* Whole pages, from the first byte to behind the last; zeros: nowhere. */
struct image {
	uintptr_t begin, end;
};

/* Of what dlopen() gave. */
struct image image_of(void *handle);

/* Whether an object still begins there, of that name. The name tells it from one that another thread has
 * loaded just now, where the old one was; NULL: any. */
bool image_is_loaded(struct image image, const char *name);

static inline bool image_has(struct image image, uintptr_t address)
{
	return address - image.begin < image.end - image.begin;
}

#endif
