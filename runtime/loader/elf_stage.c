/* loader/elf_stage.c: finds pc_stage_v1 in a plugin file as ld.so would, without ld.so.
 *
 * The second half of elf_check(). The dynamic section leads to the symbol table, the symbol to
 * the first bytes of the descriptor, which are constants in the file: so a library that is no
 * stage and a stage of another ABI are refused before any code of theirs could run. What ld.so
 * asserts about the dynamic section (and ends the process over) is checked here as well. */
#include "loader/descriptor.h"
#include "loader/elf_image.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
	DYNAMIC_MAX = 64 * 1024,         /* bytes */
	SYMBOLS_MAX = 1 << 20,           /* entries */
	STRINGS_MAX = 256 * 1024 * 1024, /* bytes */
};

struct dynamic {
	uint64_t value[DT_NUM];
	bool seen[DT_NUM];
	uint64_t gnu_hash, flags_1;
};

static int read_dynamic(const struct elf_image *image, struct dynamic *d)
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
		if (tag < DT_NUM) {
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
static int check_dynamic(const struct elf_image *image, const struct dynamic *d)
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

static int count_symbols(const struct elf_image *image, const struct dynamic *d,
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

static int check_symbol(const struct elf_image *image, const ElfW(Sym) * symbol)
{
	struct descriptor_head head;
	uint64_t offset;
	int r;

	if (ELF64_ST_TYPE(symbol->st_info) != STT_OBJECT)
		return error_set(
			image->err, PC_WRONG,
			"%s is not a stage: its pc_stage_v1 is not a descriptor (write it "
			"with PC_STAGE)",
			image->file);
	if (symbol->st_size < sizeof(head) ||
	    !elf_mapped(image, symbol->st_value, symbol->st_size))
		return elf_damaged(image, "its descriptor is in no segment");
	memset(&head, 0, sizeof(head));
	if (elf_offset(image, symbol->st_value, sizeof(head), &offset)) {
		r = elf_read(image, offset, &head, sizeof(head));
		if (r != PC_OK)
			return r;
	} /* else it stands in .bss, and is all zeros */
	r = descriptor_head_check(&head, image->file, image->err);
	if (r == PC_OK && head.size > symbol->st_size)
		r = error_set(image->err, PC_WRONG,
		              "%s is not a usable stage: its descriptor says it has %" PRIu32
		              " bytes, and has %" PRIu64,
		              image->file, head.size, (uint64_t)symbol->st_size);
	return r;
}

/* The sanitizers' libraries end the process when they come in by dlopen(). */
static int check_undefined(const struct elf_image *image, const char *name)
{
	static const struct {
		const char *symbol, *what;
	} runtimes[] = {
		{"__asan_init", "AddressSanitizer"},
		{"__tsan_init", "ThreadSanitizer"},
		{"__msan_init", "MemorySanitizer"},
	};

	for (size_t i = 0; i < sizeof(runtimes) / sizeof(runtimes[0]); i++)
		if (strcmp(name, runtimes[i].symbol) == 0 && !dlsym(RTLD_DEFAULT, name))
			return error_set(image->err, PC_WRONG,
			                 "%s was built with %s, and this pcrun was not",
			                 image->file, runtimes[i].what);
	return PC_OK;
}

static int check_symbols(const struct elf_image *image, const ElfW(Sym) * symbols, uint32_t n,
                         const char *strings, uint64_t strings_size)
{
	const ElfW(Sym) *stage = NULL;
	const char *other = NULL;
	int r;

	for (uint32_t i = 1; i < n; i++) {
		const char *name;

		if (symbols[i].st_name >= strings_size)
			return elf_damaged(image, "symbol %u has no name", i);
		name = strings + symbols[i].st_name;
		if (symbols[i].st_shndx == SHN_UNDEF) {
			r = check_undefined(image, name);
			if (r != PC_OK)
				return r;
		} else if (ELF64_ST_BIND(symbols[i].st_info) == STB_LOCAL) {
			continue;
		} else if (strcmp(name, "pc_stage_v1") == 0) {
			stage = &symbols[i];
		} else if (strncmp(name, "pc_stage_v", 10) == 0) {
			other = name;
		}
	}
	if (stage)
		return check_symbol(image, stage);
	if (other)
		return error_set(image->err, PC_WRONG,
		                 "%s was built for another ABI: it has %s, this pcrun wants "
		                 "pc_stage_v1; rebuild it",
		                 image->file, other);
	return error_set(
		image->err, PC_WRONG,
		"%s is not a stage: it does not export pc_stage_v1 (PC_STAGE at the end "
		"of the source does that)",
		image->file);
}

int elf_stage_check(const struct elf_image *image)
{
	struct dynamic d = {0};
	void *symbols = NULL, *strings = NULL;
	uint64_t symbols_at, strings_at, strings_size;
	uint32_t n = 0;
	int r = read_dynamic(image, &d);

	if (r == PC_OK)
		r = check_dynamic(image, &d);
	if (r == PC_OK)
		r = count_symbols(image, &d, &n);
	if (r != PC_OK)
		return r;
	strings_size = d.value[DT_STRSZ];
	if (strings_size == 0 || strings_size > STRINGS_MAX ||
	    !elf_offset(image, d.value[DT_STRTAB], strings_size, &strings_at) ||
	    !elf_offset(image, d.value[DT_SYMTAB], n * sizeof(ElfW(Sym)), &symbols_at))
		return elf_damaged(image, "its symbols are in no segment");
	r = elf_read_new(image, strings_at, strings_size, "strings", &strings);
	if (r == PC_OK && ((char *)strings)[strings_size - 1] != '\0')
		r = elf_damaged(image, "its strings have no end");
	if (r == PC_OK)
		r = elf_read_new(image, symbols_at, n * sizeof(ElfW(Sym)), "symbols", &symbols);
	if (r == PC_OK)
		r = check_symbols(image, symbols, n, strings, strings_size);
	free(symbols);
	free(strings);
	return r;
}
