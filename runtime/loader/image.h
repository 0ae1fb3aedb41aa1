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

/* Whether an object still begins there. */
bool image_is_loaded(struct image image);

static inline bool image_has(struct image image, uintptr_t address)
{
	return address - image.begin < image.end - image.begin;
}

#endif
