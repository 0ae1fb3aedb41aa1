/* loader/elf_code.c: which code does a plugin file hold, and which debug information?
 *
 * A hash over the segments that are loaded. Left out is what differs between two builds of one
 * code: the build id (a note that is loaded, and depends on the debug information as well), and
 * the words of the ELF header that say where the table of sections stands, which is behind the
 * debug information. So a comment, or a strip(1), makes no new code (measured: research/hotswap.md
 * 2.3). Any thread; the file has been through elf_check(). */
#include "loader/elf.h"

#include "loader/cache.h"
#include "loader/elf_image.h"

#include <stdlib.h>
#include <string.h>

enum { HOLES_MAX = 16 };

/* Parts of the file that do not count, in order of their offsets. */
struct holes {
	struct {
		uint64_t from, to;
	} hole[HOLES_MAX];
	size_t n;
};

static void add_hole(struct holes *h, uint64_t offset, uint64_t size)
{
	size_t i = h->n;

	if (h->n == HOLES_MAX)
		return;
	for (; i > 0 && h->hole[i - 1].from > offset; i--)
		h->hole[i] = h->hole[i - 1];
	h->hole[i].from = offset;
	h->hole[i].to = offset + size;
	h->n++;
}

static uint64_t aligned(uint64_t size, uint64_t align)
{
	align = align == 8 ? 8 : 4;
	return (size + align - 1) & ~(align - 1);
}

/* The build id among the notes of one segment. */
static void leave_out_build_id(const struct elf_image *image, const ElfW(Phdr) * p,
                               struct holes *holes)
{
	uint64_t at = p->p_offset, end = p->p_offset + p->p_filesz;
	ElfW(Nhdr) note;

	while (at < end && end - at >= sizeof(note)) {
		uint64_t name = at + sizeof(note), text;

		memcpy(&note, image->bytes + at, sizeof(note));
		text = name + aligned(note.n_namesz, p->p_align);
		at = text + aligned(note.n_descsz, p->p_align);
		if (text > end || note.n_descsz > end - text)
			return;
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == sizeof("GNU") &&
		    memcmp(image->bytes + name, "GNU", sizeof("GNU")) == 0)
			add_hole(holes, text, note.n_descsz);
	}
}

/* Bytes [from, to) of the file without the holes. */
static uint64_t hash_part(const struct elf_image *image, uint64_t from, uint64_t to,
                          const struct holes *holes, uint64_t hash)
{
	for (size_t i = 0; i < holes->n && from < to; i++) {
		uint64_t stop = holes->hole[i].from < to ? holes->hole[i].from : to;

		if (holes->hole[i].to <= from)
			continue;
		if (stop > from)
			hash = cache_hash(hash, image->bytes + from, (size_t)(stop - from));
		from = holes->hole[i].to > from ? holes->hole[i].to : from;
	}
	return from < to ? cache_hash(hash, image->bytes + from, (size_t)(to - from)) : hash;
}

uint64_t elf_code(const char *bytes, size_t size)
{
	struct elf_image image = {.bytes = bytes, .size = size};
	ElfW(Ehdr) *head = &image.head;
	uint64_t hash = CACHE_HASH_INIT;
	struct holes holes = {.n = 0};
	ElfW(Phdr) p;

	memcpy(head, bytes, sizeof(*head));
	add_hole(&holes, offsetof(ElfW(Ehdr), e_shoff), sizeof(head->e_shoff));
	add_hole(&holes, offsetof(ElfW(Ehdr), e_shnum),
	         sizeof(head->e_shnum) + sizeof(head->e_shstrndx));
	for (unsigned i = 0; i < head->e_phnum; i++) {
		memcpy(&p, bytes + head->e_phoff + i * sizeof(p), sizeof(p));
		if (p.p_type == PT_NOTE)
			leave_out_build_id(&image, &p, &holes);
	}
	for (unsigned i = 0; i < head->e_phnum; i++) {
		memcpy(&p, bytes + head->e_phoff + i * sizeof(p), sizeof(p));
		if (p.p_type != PT_LOAD)
			continue;
		hash = cache_hash(hash, &p.p_vaddr, sizeof(p.p_vaddr));
		hash = cache_hash(hash, &p.p_memsz, sizeof(p.p_memsz));
		hash = cache_hash(hash, &p.p_flags, sizeof(p.p_flags));
		hash = hash_part(&image, p.p_offset, p.p_offset + p.p_filesz, &holes, hash);
	}
	return hash;
}

static const char *section_name(const char *bytes, const ElfW(Shdr) * names,
                                const ElfW(Shdr) * section)
{
	uint64_t at = section->sh_name;

	if (at >= names->sh_size ||
	    !memchr(bytes + names->sh_offset + at, 0, names->sh_size - at))
		return "";
	return bytes + names->sh_offset + at;
}

uint64_t elf_lines(const char *bytes, size_t size)
{
	uint64_t hash = CACHE_HASH_INIT;
	ElfW(Shdr) names, section;
	ElfW(Ehdr) head;
	bool lines = false;

	memcpy(&head, bytes, sizeof(head));
	/* elf_check() has seen that all sections lie inside the file, if there are any */
	if (head.e_shstrndx >= head.e_shnum || head.e_shoff > size)
		return 0;
	memcpy(&names, bytes + head.e_shoff + head.e_shstrndx * sizeof(names), sizeof(names));
	if (names.sh_type != SHT_STRTAB)
		return 0;
	for (unsigned i = 0; i < head.e_shnum; i++) {
		const char *name;

		memcpy(&section, bytes + head.e_shoff + i * sizeof(section), sizeof(section));
		name = section_name(bytes, &names, &section);
		if (section.sh_type == SHT_NOBITS || strncmp(name, ".debug_", 7) != 0)
			continue;
		lines |= strcmp(name, ".debug_line") == 0;
		hash = cache_hash(hash, bytes + section.sh_offset, section.sh_size);
	}
	return lines ? hash : 0;
}
