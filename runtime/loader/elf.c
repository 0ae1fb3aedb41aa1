/* loader/elf.c: the structural check of a plugin file, and the reading that it shares.
 *
 * Right because everything that ld.so maps or follows without asking is asked here first: the
 * headers, the program and section header tables and every segment and section must lie inside
 * the file. (Which files dlopen() dies of was measured: research/hotswap.md, 2.3. A file with a
 * hole in the middle passes: no check of the structure can see one.) Layout: the System V ABI,
 * chapters 4 and 5, and elf(5). */
#include "loader/elf.h"

#include "base/buf.h"
#include "loader/elf_image.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#define MACHINE      EM_X86_64
#define MACHINE_NAME "x86-64"
#elif defined(__aarch64__)
#define MACHINE      EM_AARCH64
#define MACHINE_NAME "AArch64"
#elif defined(__riscv)
#define MACHINE      EM_RISCV
#define MACHINE_NAME "RISC-V"
#elif defined(__powerpc64__)
#define MACHINE      EM_PPC64
#define MACHINE_NAME "PowerPC64"
#elif defined(__s390x__)
#define MACHINE      EM_S390
#define MACHINE_NAME "S/390"
#elif defined(__i386__)
#define MACHINE      EM_386
#define MACHINE_NAME "i386"
#elif defined(__arm__)
#define MACHINE      EM_ARM
#define MACHINE_NAME "ARM"
#else
#error "name this machine's EM_ constant here"
#endif

#if __ELF_NATIVE_CLASS == 64
#define CLASS ELFCLASS64
#else
#define CLASS ELFCLASS32
#endif

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define DATA ELFDATA2LSB
#else
#define DATA ELFDATA2MSB
#endif

int elf_damaged(const struct elf_image *image, const char *format, ...)
{
	struct buf why = {0};
	va_list ap;

	va_start(ap, format);
	buf_addv(&why, format, ap);
	va_end(ap);
	error_set(image->err, image->incomplete, "%s is damaged or still being written: %s",
	          image->file, why.text ? why.text : "");
	buf_fini(&why);
	return image->incomplete;
}

static bool inside(uint64_t offset, uint64_t size, uint64_t whole)
{
	return offset <= whole && size <= whole - offset;
}

int elf_read(const struct elf_image *image, uint64_t offset, void *to, uint64_t size)
{
	if (!inside(offset, size, image->size))
		return elf_damaged(
			image, "bytes %" PRIu64 "+%" PRIu64 " are beyond its end at %" PRIu64,
			offset, size, image->size);
	memcpy(to, image->bytes + offset, (size_t)size);
	return PC_OK;
}

int elf_read_new(const struct elf_image *image, uint64_t offset, uint64_t size,
                 const char *what, void **ret)
{
	void *bytes;
	int r;

	if (!inside(offset, size, image->size))
		return elf_damaged(image, "its %s would lie beyond its end", what);
	bytes = malloc(size > 0 ? (size_t)size : 1);
	if (!bytes)
		return error_set(image->err, PC_NOMEM, "no memory to look at %s", image->file);
	r = elf_read(image, offset, bytes, size);
	if (r != PC_OK) {
		free(bytes);
		return r;
	}
	*ret = bytes;
	return PC_OK;
}

bool elf_offset(const struct elf_image *image, uint64_t address, uint64_t size,
                uint64_t *ret_offset)
{
	for (unsigned i = 0; i < image->head.e_phnum; i++) {
		const ElfW(Phdr) *p = &image->segments[i];

		if (p->p_type == PT_LOAD && address >= p->p_vaddr &&
		    inside(address - p->p_vaddr, size, p->p_filesz)) {
			*ret_offset = p->p_offset + (address - p->p_vaddr);
			return true;
		}
	}
	return false;
}

bool elf_mapped(const struct elf_image *image, uint64_t address, uint64_t size)
{
	for (unsigned i = 0; i < image->head.e_phnum; i++) {
		const ElfW(Phdr) *p = &image->segments[i];

		if (p->p_type == PT_LOAD && address >= p->p_vaddr &&
		    inside(address - p->p_vaddr, size, p->p_memsz))
			return true;
	}
	return false;
}

static bool is_text(const unsigned char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (bytes[i] == 0 || (bytes[i] < 0x20 && !strchr("\t\n\r\f\v", bytes[i])))
			return false;
	return true;
}

/* What the file is instead of an ELF file. Linkers begin with an empty file, or one of zeros. */
static int refuse_foreign(struct elf_image *image, const char *start, size_t size)
{
	const char *what = "it does not begin like one";
	int code = PC_WRONG;

	if (size == 0 || start[0] == 0)
		code = image->incomplete;
	if (size == 0)
		what = "it is empty";
	else if (size >= 8 && memcmp(start, "!<arch>\n", 8) == 0)
		what = "it is a static library; link with -shared instead";
	else if (is_text((const unsigned char *)start, size))
		what = "it is a text file";
	return error_set(image->err, code, "%s is not a shared object: %s", image->file, what);
}

static const char *type_name(unsigned type)
{
	switch (type) {
	case ET_REL:
		return "an object file; link it with -shared";
	case ET_EXEC:
		return "a program; build it with -fPIC -shared";
	case ET_CORE:
		return "a core dump";
	default:
		return "of an unknown type";
	}
}

static int check_header(struct elf_image *image)
{
	const ElfW(Ehdr) *h = &image->head;
	const char *start = image->bytes;
	size_t n = image->size < 64 ? (size_t)image->size : 64;
	int r;

	if (n < SELFMAG || memcmp(start, ELFMAG, SELFMAG) != 0)
		return refuse_foreign(image, start, n);
	if (n < EI_NIDENT)
		return elf_damaged(image, "it ends inside its header");
	if (start[EI_CLASS] != CLASS)
		return error_set(image->err, PC_WRONG,
		                 "%s is a %s-bit file; this pcrun is %d-bit %s", image->file,
		                 start[EI_CLASS] == ELFCLASS32 ? "32" : "64",
		                 __ELF_NATIVE_CLASS, MACHINE_NAME);
	if (start[EI_DATA] != DATA)
		return error_set(image->err, PC_WRONG,
		                 "%s has the other byte order; this pcrun is for %s",
		                 image->file, MACHINE_NAME);
	if (image->size < sizeof(*h))
		return elf_damaged(image, "it ends inside its header");
	r = elf_read(image, 0, &image->head, sizeof(image->head));
	if (r != PC_OK)
		return r;
	if (h->e_machine != MACHINE)
		return error_set(
			image->err, PC_WRONG,
			"%s is for another machine (ELF machine %u); this pcrun is for %s",
			image->file, h->e_machine, MACHINE_NAME);
	if (h->e_type != ET_DYN)
		return error_set(image->err, PC_WRONG, "%s is not a shared object: it is %s",
		                 image->file, type_name(h->e_type));
	if (h->e_ident[EI_VERSION] != EV_CURRENT || h->e_version != EV_CURRENT)
		return elf_damaged(image, "its ELF version is not 1");
	if (h->e_ehsize != sizeof(*h))
		return elf_damaged(image, "its header has a wrong size");
	return PC_OK;
}

static int check_segments(struct elf_image *image)
{
	const ElfW(Ehdr) *h = &image->head;
	uint64_t end = 0;
	void *table = NULL;
	int r;

	if (h->e_phnum == 0 || h->e_phnum == PN_XNUM || h->e_phentsize != sizeof(ElfW(Phdr)))
		return elf_damaged(image, "it has no usable table of segments");
	r = elf_read_new(image, h->e_phoff, (uint64_t)h->e_phnum * sizeof(ElfW(Phdr)),
	                 "table of segments", &table);
	if (r != PC_OK)
		return r;
	image->segments = table;
	for (unsigned i = 0; i < h->e_phnum; i++) {
		const ElfW(Phdr) *p = &image->segments[i];

		if (p->p_type == PT_GNU_STACK)
			continue; /* its other fields than the flags mean nothing */
		if (p->p_type != PT_NULL && p->p_filesz > 0 &&
		    !inside(p->p_offset, p->p_filesz, image->size))
			return elf_damaged(image,
			                   "segment %u would end at byte %" PRIu64
			                   ", the file ends at %" PRIu64,
			                   i, (uint64_t)p->p_offset + p->p_filesz, image->size);
		if (p->p_type != PT_LOAD)
			continue;
		if (p->p_filesz > p->p_memsz || p->p_vaddr < end ||
		    !inside(p->p_vaddr, p->p_memsz, PTRDIFF_MAX))
			return elf_damaged(image, "segment %u does not fit the others", i);
		end = p->p_vaddr + p->p_memsz;
	}
	if (end == 0)
		return elf_damaged(image, "there is nothing in it to load");
	return PC_OK;
}

/* No PT_GNU_STACK means an executable stack to ld.so, which then makes every thread's stack so. */
static int check_stack(const struct elf_image *image)
{
	for (unsigned i = 0; i < image->head.e_phnum; i++)
		if (image->segments[i].p_type == PT_GNU_STACK &&
		    !(image->segments[i].p_flags & PF_X))
			return PC_OK;
	return error_set(image->err, PC_WRONG,
	                 "%s wants an executable stack, which pcrun does not give (link with "
	                 "-Wl,-z,noexecstack)",
	                 image->file);
}

/* ld.so does not need sections, but their table is what linkers write last: with it filled in and
 * all sections inside the file, the file is whole. One stripped of the table has none, and is
 * fine. */
static int check_sections(struct elf_image *image)
{
	const ElfW(Ehdr) *h = &image->head;
	ElfW(Shdr) *sections = NULL;
	void *table = NULL;
	int r;

	if (h->e_shoff == 0)
		return PC_OK;
	if (h->e_shnum == 0 || h->e_shentsize != sizeof(ElfW(Shdr)))
		return elf_damaged(image, "it has no usable table of sections");
	r = elf_read_new(image, h->e_shoff, (uint64_t)h->e_shnum * sizeof(ElfW(Shdr)),
	                 "table of sections", &table);
	if (r != PC_OK)
		return r;
	sections = table;
	for (unsigned i = 0; i < h->e_shnum && r == PC_OK; i++) {
		const ElfW(Shdr) *s = &sections[i];

		if (i > 0 && s->sh_type == SHT_NULL)
			r = elf_damaged(image, "its table of sections is not filled in");
		else if (s->sh_type != SHT_NULL && s->sh_type != SHT_NOBITS &&
		         !inside(s->sh_offset, s->sh_size, image->size))
			r = elf_damaged(image,
			                "section %u would end at byte %" PRIu64
			                ", the file ends at %" PRIu64,
			                i, (uint64_t)s->sh_offset + s->sh_size, image->size);
	}
	free(sections);
	return r;
}

int elf_open(struct elf_image *image)
{
	int r = check_header(image);

	return r == PC_OK ? check_segments(image) : r;
}

int elf_check(const char *bytes, size_t size, const char *file, int incomplete,
              struct pc_error **err)
{
	struct elf_image image = {.bytes = bytes,
	                          .size = size,
	                          .file = file,
	                          .incomplete = incomplete,
	                          .err = err};
	int r = elf_open(&image);

	/* Before anything that a file which is not whole could be blamed for. */
	if (r == PC_OK)
		r = check_sections(&image);
	if (r == PC_OK)
		r = check_stack(&image);
	if (r == PC_OK)
		r = elf_stage_check(&image);
	free(image.segments);
	return r;
}
