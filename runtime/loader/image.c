/* loader/image.c: the looking of image.h, by dl_iterate_phdr(): dlclose() does not say whether it
 * has unloaded anything. */
#include "loader/image.h"

#include <dlfcn.h>
#include <link.h>
#include <string.h>
#include <unistd.h>

struct search {
	uintptr_t base;   /* what its addresses are relative to … */
	uintptr_t begin;  /* … or where it begins … */
	const char *name; /* … and what it was loaded as; or NULL */
	struct image found;
};

static struct image extent(const struct dl_phdr_info *info)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	struct image image = {UINTPTR_MAX, 0};

	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		uintptr_t from = info->dlpi_addr + p->p_vaddr;

		if (p->p_type != PT_LOAD)
			continue;
		if (from < image.begin)
			image.begin = from & ~(page - 1);
		if (from + p->p_memsz > image.end)
			image.end = from + p->p_memsz;
	}
	image.end = (image.end + page - 1) & ~(page - 1);
	return image;
}

static int look(struct dl_phdr_info *info, size_t size, void *data)
{
	struct search *s = data;
	struct image image = extent(info);

	(void)size;
	if (s->begin ? image.begin != s->begin : info->dlpi_addr != s->base)
		return 0;
	if (s->name && strcmp(info->dlpi_name, s->name) != 0)
		return 0;
	s->found = image;
	return 1;
}

struct image image_of(void *handle)
{
	struct search s = {0};
	struct link_map *map;

	if (handle && dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0) {
		s.base = map->l_addr;
		dl_iterate_phdr(look, &s);
	}
	return s.found;
}

bool image_is_loaded(struct image image, const char *name)
{
	struct search s = {.begin = image.begin, .name = name};

	return image.begin && dl_iterate_phdr(look, &s);
}
