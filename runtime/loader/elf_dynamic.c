/* loader/elf_dynamic.c: the dynamic section and the symbols of a plugin file, as ld.so would find
 * them, without ld.so.
 *
 * Right because what ld.so asserts about the dynamic section (and ends the process over), and
 * every table that it follows, is checked before it is used here or there. Any thread. */
#include "loader/elf_image.h"

#include <stdlib.h>

enum {
	DYNAMIC_MAX = 64 * 1024,         /* bytes */
	SYMBOLS_MAX = 1 << 20,           /* entries */
	STRINGS_MAX = 256 * 1024 * 1024, /* bytes */
};

static int read_dynamic(const struct elf_image *image, struct elf_dynamic *d)
{
	const ElfW(Phdr) *p = NULL;
	uint64_t offset;
	void *bytes;
	int r;

	for (unsigned i = 0; i < image->head.e_phnum && !p; i++)
		if (image->segments[i].p_type == PT_DYNAMIC)
			p = &image->segments[i];
	if (!p)
		return error_set(
			image->err, PC_WRONG,
			"%s is not a shared object that can be loaded: it has no dynamic "
			"section",
			image->file);
	if (p->p_filesz > DYNAMIC_MAX || !elf_offset(image, p->p_vaddr, p->p_filesz, &offset))
		return elf_damaged(image, "its dynamic section is not in a segment");
	r = elf_read_new(image, offset, p->p_filesz, "dynamic section", &bytes);
	if (r != PC_OK)
		return r;
	r = PC_WRONG;
	for (size_t i = 0; i < p->p_filesz / sizeof(ElfW(Dyn)); i++) {
		const ElfW(Dyn) *entry = (const ElfW(Dyn) *)bytes + i;
		uint64_t tag = (uint64_t)entry->d_tag;

		if (tag == DT_NULL) {
			r = PC_OK;
			break;
		}
		if (tag == DT_NEEDED && d->n_needed < ELF_NEEDED_MAX) {
			d->needed[d->n_needed++] = entry->d_un.d_val;
		} else if (tag < DT_NUM) {
			d->value[tag] = entry->d_un.d_val;
			d->seen[tag] = true;
		} else if (tag == DT_GNU_HASH) {
			d->gnu_hash = entry->d_un.d_ptr;
		} else if (tag == DT_FLAGS_1) {
			d->flags_1 = entry->d_un.d_val;
		}
	}
	free(bytes);
	return r == PC_OK ? r : elf_damaged(image, "its dynamic section has no end");
}

/* Tables that ld.so follows while it relocates and initialises. */
static int check_dynamic(const struct elf_image *image, const struct elf_dynamic *d)
{
	static const struct {
		unsigned address, size; /* tags */
		const char *what;
	} tables[] = {
		{DT_RELA, DT_RELASZ, "relocations"},
		{DT_REL, DT_RELSZ, "relocations"},
		{DT_JMPREL, DT_PLTRELSZ, "relocations"},
		{DT_INIT_ARRAY, DT_INIT_ARRAYSZ, "constructors"},
		{DT_FINI_ARRAY, DT_FINI_ARRAYSZ, "destructors"},
		{DT_STRTAB, DT_STRSZ, "strings"},
	};

	if (d->flags_1 & DF_1_PIE)
		return error_set(
			image->err, PC_WRONG,
			"%s is not a shared object: it is a program; build it with -fPIC "
			"-shared",
			image->file);
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		if (d->seen[tables[i].address] &&
		    !elf_mapped(image, d->value[tables[i].address], d->value[tables[i].size]))
			return elf_damaged(image, "its %s are in no segment", tables[i].what);
	if ((d->seen[DT_RELAENT] && d->value[DT_RELAENT] != sizeof(ElfW(Rela))) ||
	    (d->seen[DT_RELENT] && d->value[DT_RELENT] != sizeof(ElfW(Rel))) ||
	    (d->seen[DT_SYMENT] && d->value[DT_SYMENT] != sizeof(ElfW(Sym))) ||
	    (d->seen[DT_PLTREL] && d->value[DT_PLTREL] != DT_RELA &&
	     d->value[DT_PLTREL] != DT_REL))
		return elf_damaged(image, "its dynamic section has entries of a wrong size");
	if (!d->seen[DT_SYMTAB] || !d->seen[DT_STRTAB] || !d->seen[DT_STRSZ] ||
	    !(d->seen[DT_HASH] || d->gnu_hash != 0))
		return elf_damaged(image, "its dynamic section names no symbols");
	return PC_OK;
}

static int read_words(const struct elf_image *image, uint64_t address, uint32_t *to, size_t n)
{
	uint64_t offset;

	if (!elf_offset(image, address, n * sizeof(*to), &offset))
		return elf_damaged(image, "its symbol hash is in no segment");
	return elf_read(image, offset, to, n * sizeof(*to));
}

/* The GNU hash does not say how many symbols there are: the last one is the end of the chain
 * that begins last (the format: sourceware.org/legacy-ml/binutils/2006-10/msg00377.html). */
static int count_gnu(const struct elf_image *image, uint64_t address, uint32_t *ret_n)
{
	uint32_t head[4], word, n_buckets, first, bloom, last = 0, *buckets;
	uint64_t chains;
	int r = read_words(image, address, head, 4);

	if (r != PC_OK)
		return r;
	n_buckets = head[0];
	first = head[1];
	bloom = head[2];
	if (n_buckets == 0 || n_buckets > SYMBOLS_MAX || first > SYMBOLS_MAX || bloom == 0 ||
	    bloom > SYMBOLS_MAX || (bloom & (bloom - 1)) != 0)
		return elf_damaged(image, "its symbol hash makes no sense");
	buckets = calloc(n_buckets, sizeof(*buckets));
	if (!buckets)
		return error_set(image->err, PC_NOMEM, "no memory to look at %s", image->file);
	address += sizeof(head) + bloom * sizeof(ElfW(Addr));
	chains = address + n_buckets * sizeof(*buckets);
	r = read_words(image, address, buckets, n_buckets);
	for (uint32_t i = 0; i < n_buckets && r == PC_OK; i++)
		last = buckets[i] > last ? buckets[i] : last;
	free(buckets);
	if (r != PC_OK)
		return r;
	if (last < first) {
		*ret_n = first; /* no chain at all: only undefined symbols */
		return PC_OK;
	}
	for (; last < SYMBOLS_MAX; last++) {
		r = read_words(image, chains + (last - first) * sizeof(word), &word, 1);
		if (r != PC_OK)
			return r;
		if (word & 1) {
			*ret_n = last + 1;
			return PC_OK;
		}
	}
	return elf_damaged(image, "its symbol hash has no end");
}

static int count_symbols(const struct elf_image *image, const struct elf_dynamic *d,
                         uint32_t *ret_n)
{
	uint32_t head[2];
	int r;

	if (d->gnu_hash != 0)
		return count_gnu(image, d->gnu_hash, ret_n);
	r = read_words(image, d->value[DT_HASH], head, 2);
	if (r != PC_OK)
		return r;
	if (head[0] == 0 || head[1] > SYMBOLS_MAX)
		return elf_damaged(image, "its symbol hash makes no sense");
	*ret_n = head[1];
	return PC_OK;
}

int elf_symbols_read(const struct elf_image *image, struct elf_symbols *ret)
{
	struct elf_symbols s = {.n = 0};
	void *symbols = NULL, *strings = NULL;
	uint64_t symbols_at, strings_at;
	int r = read_dynamic(image, &s.dynamic);

	if (r == PC_OK)
		r = check_dynamic(image, &s.dynamic);
	if (r == PC_OK)
		r = count_symbols(image, &s.dynamic, &s.n);
	if (r != PC_OK)
		return r;
	s.strings_size = s.dynamic.value[DT_STRSZ];
	if (s.strings_size == 0 || s.strings_size > STRINGS_MAX ||
	    !elf_offset(image, s.dynamic.value[DT_STRTAB], s.strings_size, &strings_at) ||
	    !elf_offset(image, s.dynamic.value[DT_SYMTAB], s.n * sizeof(ElfW(Sym)),
	                &symbols_at))
		return elf_damaged(image, "its symbols are in no segment");
	r = elf_read_new(image, strings_at, s.strings_size, "strings", &strings);
	if (r == PC_OK && ((char *)strings)[s.strings_size - 1] != '\0')
		r = elf_damaged(image, "its strings have no end");
	if (r == PC_OK)
		r = elf_read_new(image, symbols_at, s.n * sizeof(ElfW(Sym)), "symbols",
		                 &symbols);
	s.symbols = symbols;
	s.strings = strings;
	for (uint32_t i = 1; i < s.n && r == PC_OK; i++)
		if (s.symbols[i].st_name >= s.strings_size)
			r = elf_damaged(image, "symbol %u has no name", i);
	if (r == PC_OK)
		*ret = s;
	else
		elf_symbols_free(&s);
	return r;
}

void elf_symbols_free(struct elf_symbols *s)
{
	free(s->symbols);
	free(s->strings);
	*s = (struct elf_symbols){.n = 0};
}

const char *elf_string(const struct elf_symbols *s, uint64_t offset)
{
	return offset < s->strings_size ? s->strings + offset : "";
}
