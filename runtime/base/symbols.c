/* base/symbols.c: see symbols.h. Reading: whoever retires a build, on the control thread, or asks what
 * a pointer leads to. Finding: likewise, and the report of a crash, which looks at its own memory
 * alone. */
#include "base/symbols.h"

#include <fcntl.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PART_MAX ((uint64_t)64 << 20) /* bytes of one table: no stage has so many */

struct object {
	int fd;
	ElfW(Ehdr) head;
	uint64_t begin; /* address of the first page, as the tables count */
	ElfW(Shdr) * sections;
	char *section_names;
	uint64_t section_names_size;
};

/* ---------------------------------------------------------------------------- the file --- */

/* malloc'd, with a NUL behind it; NULL: it is not all there, or no memory. */
static void *read_part(int fd, uint64_t offset, uint64_t size)
{
	char *bytes = size <= PART_MAX ? malloc((size_t)size + 1) : NULL;

	if (bytes && pread(fd, bytes, (size_t)size, (off_t)offset) == (ssize_t)size) {
		bytes[size] = '\0';
		return bytes;
	}
	free(bytes);
	return NULL;
}

static bool find_begin(struct object *o)
{
	ElfW(Phdr) *parts =
		read_part(o->fd, o->head.e_phoff, (uint64_t)o->head.e_phnum * sizeof(*parts));

	o->begin = UINT64_MAX;
	for (unsigned i = 0; parts && i < o->head.e_phnum; i++)
		if (parts[i].p_type == PT_LOAD && parts[i].p_vaddr < o->begin)
			o->begin = parts[i].p_vaddr & ~((uint64_t)sysconf(_SC_PAGESIZE) - 1);
	free(parts);
	return o->begin != UINT64_MAX;
}

static bool open_object(struct object *o, const char *file)
{
	const ElfW(Shdr) * names;

	o->fd = open(file, O_RDONLY | O_CLOEXEC);
	if (o->fd < 0 ||
	    pread(o->fd, &o->head, sizeof(o->head), 0) != (ssize_t)sizeof(o->head) ||
	    memcmp(o->head.e_ident, ELFMAG, SELFMAG) != 0 ||
	    o->head.e_phentsize != sizeof(ElfW(Phdr)) ||
	    o->head.e_shentsize != sizeof(ElfW(Shdr)) ||
	    o->head.e_shstrndx >= o->head.e_shnum || !find_begin(o))
		return false;
	o->sections = read_part(o->fd, o->head.e_shoff,
	                        (uint64_t)o->head.e_shnum * sizeof(*o->sections));
	if (!o->sections)
		return false;
	names = &o->sections[o->head.e_shstrndx];
	o->section_names = read_part(o->fd, names->sh_offset, names->sh_size);
	o->section_names_size = names->sh_size;
	return o->section_names != NULL;
}

static void close_object(struct object *o)
{
	if (o->fd >= 0)
		close(o->fd);
	free(o->sections);
	free(o->section_names);
}

/* --------------------------------------------------------------------------- the table --- */

/* False: it does not fit. Of "lookup.cold" and "table.0" the piece or number is left out; a section
 * begins with a point. */
static bool add(struct symbols *s, uint64_t at, uint64_t size, const char *name)
{
	size_t n = *name == '.' ? strlen(name) : strcspn(name, ".");

	if (s->n == SYMBOLS_MAX || n + 1 > sizeof(s->names) - s->n_names)
		return false;
	if (n == 0 || size == 0 || at > UINT32_MAX || size > UINT32_MAX)
		return true; /* not worth a place */
	s->list[s->n].at = (uint32_t)at;
	s->list[s->n].size = (uint32_t)size;
	s->list[s->n].name = s->n_names;
	s->n++;
	memcpy(s->names + s->n_names, name, n);
	s->names[s->n_names + n] = '\0';
	s->n_names += (uint32_t)n + 1;
	return true;
}

static bool add_sections(struct symbols *s, const struct object *o)
{
	for (unsigned i = 0; i < o->head.e_shnum; i++) {
		const ElfW(Shdr) *section = &o->sections[i];

		if ((section->sh_flags & SHF_ALLOC) && !(section->sh_flags & SHF_TLS) &&
		    section->sh_name < o->section_names_size &&
		    !add(s, section->sh_addr - o->begin, section->sh_size,
		         o->section_names + section->sh_name))
			return false;
	}
	return true;
}

static bool is_wanted(const ElfW(Sym) * symbol)
{
	unsigned type = symbol->st_info & 15;

	return (type == STT_FUNC || type == STT_OBJECT || type == STT_GNU_IFUNC) &&
	       symbol->st_shndx != SHN_UNDEF && symbol->st_shndx < SHN_LORESERVE;
}

static bool add_table(struct symbols *s, const struct object *o, uint32_t type)
{
	const ElfW(Shdr) *table = NULL, *strings;
	ElfW(Sym) *list = NULL;
	char *names = NULL;
	bool ok = false;

	for (unsigned i = 0; i < o->head.e_shnum && !table; i++)
		if (o->sections[i].sh_type == type)
			table = &o->sections[i];
	if (!table || table->sh_link >= o->head.e_shnum)
		return false;
	strings = &o->sections[table->sh_link];
	list = read_part(o->fd, table->sh_offset, table->sh_size);
	names = read_part(o->fd, strings->sh_offset, strings->sh_size);
	ok = list && names;
	for (uint64_t i = 0; ok && i < table->sh_size / sizeof(*list); i++)
		if (is_wanted(&list[i]) && list[i].st_name < strings->sh_size)
			ok = add(s, list[i].st_value - o->begin, list[i].st_size,
			         names + list[i].st_name);
	free(list);
	free(names);
	return ok;
}

/* What is around others comes before them; sections were added first. */
static int by_address(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	if (x[0] != y[0])
		return x[0] < y[0] ? -1 : 1;
	if (x[1] != y[1])
		return x[1] > y[1] ? -1 : 1;
	return x[2] < y[2] ? -1 : x[2] > y[2];
}

bool symbols_read(struct symbols *ret, const char *file)
{
	static const uint32_t types[] = {SHT_SYMTAB, SHT_DYNSYM};
	struct object o = {.fd = -1};
	bool ok = open_object(&o, file);

	memset(ret, 0, sizeof(*ret));
	ok = ok && add_sections(ret, &o);
	for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]) && ok; i++) {
		uint32_t n = ret->n, n_names = ret->n_names;

		if (add_table(ret, &o, types[i]))
			break;
		ret->n = n;
		ret->n_names = n_names;
	}
	close_object(&o);
	if (!ok)
		ret->n = 0;
	qsort(ret->list, ret->n, sizeof(ret->list[0]), by_address);
	return ok;
}

/* ----------------------------------------------------------------------------- finding --- */

static const char *name_of(const struct symbols *s, uint32_t i)
{
	uint32_t at = s->list[i].name;

	return s->names + (at < sizeof(s->names) ? at : sizeof(s->names) - 1);
}

bool symbols_find(const struct symbols *s, uint64_t offset, struct symbols_hit *ret)
{
	uint32_t n = s->n < SYMBOLS_MAX ? s->n : SYMBOLS_MAX, last = 0, at;

	while (last < n && s->list[last].at <= offset)
		last++;
	/* The innermost around it, outwards; in the end its section. */
	for (at = last; at > 0; at--)
		if (offset - s->list[at - 1].at < s->list[at - 1].size)
			break;
	if (at == 0)
		return false;
	ret->inside = at == last || *name_of(s, at - 1) != '.';
	if (!ret->inside)
		at = last;
	ret->name = name_of(s, at - 1);
	ret->into = (uint32_t)(offset - s->list[at - 1].at);
	return true;
}
