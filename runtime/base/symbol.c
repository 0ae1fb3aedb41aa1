/* base/symbol.c: see symbol.h.
 *
 * /proc/self/maps tells the file, its symbol table (the whole one, .symtab, which has static
 * functions too; else .dynsym) the function. dladdr() knows no static functions and takes the
 * loader's lock, for which a thread that crashed inside of the loader would wait for ever.
 */
#include "base/symbol.h"

#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <unistd.h>

#define SECTIONS_MAX 256

/* ------------------------------------------------------------------------- the mapping --- */

struct reader {
	int fd;
	size_t at, n;
	char bytes[1024];
};

static int next_byte(struct reader *r)
{
	if (r->at == r->n) {
		ssize_t n = read(r->fd, r->bytes, sizeof(r->bytes));

		if (n <= 0)
			return -1;
		r->n = (size_t)n;
		r->at = 0;
	}
	return (unsigned char)r->bytes[r->at++];
}

/* What does not fit is left out. False: that was the last. */
static bool next_line(struct reader *r, char *line, size_t room)
{
	size_t n = 0;
	int c;

	while ((c = next_byte(r)) >= 0 && c != '\n')
		if (n + 1 < room)
			line[n++] = (char)c;
	line[n] = '\0';
	return c >= 0;
}

static const char *read_hex(const char *at, uint64_t *ret)
{
	*ret = 0;
	for (;; at++) {
		if (*at >= '0' && *at <= '9')
			*ret = *ret * 16 + (uint64_t)(*at - '0');
		else if (*at >= 'a' && *at <= 'f')
			*ret = *ret * 16 + (uint64_t)(*at - 'a' + 10);
		else
			return at;
	}
}

static const char *after_blanks(const char *at)
{
	return at + strspn(at, " ");
}

static const char *after_word(const char *at)
{
	return after_blanks(at + strcspn(at, " "));
}

/* "5590c5a4d000-5590c5a4f000 rw-p 00002000 fe:01 1234    /a/file" */
static bool is_in_line(const char *line, uint64_t address, struct symbol *ret,
                       uint64_t *ret_offset)
{
	uint64_t from, to, offset;
	const char *at = read_hex(line, &from);

	if (*at != '-')
		return false;
	at = read_hex(at + 1, &to);
	if (address < from || address >= to)
		return false;
	at = after_blanks(at);
	ret->writable = at[0] && at[1] == 'w';
	at = read_hex(after_word(at), &offset);
	at = after_word(after_word(after_blanks(at)));
	if (*at == '/') {
		size_t n = strlen(at);

		n = n < sizeof(ret->file) ? n : sizeof(ret->file) - 1;
		memcpy(ret->file, at, n);
		ret->file[n] = '\0';
	}
	*ret_offset = address - from + offset;
	return true;
}

/* ------------------------------------------------------------------------ the function --- */

static bool read_at(int fd, void *buffer, size_t size, uint64_t offset)
{
	return pread(fd, buffer, size, (off_t)offset) == (ssize_t)size;
}

/* From an offset in the file to the address that the file's tables count with. */
static bool find_address(int fd, const ElfW(Ehdr) * head, struct symbol *ret, uint64_t offset)
{
	for (unsigned i = 0; i < head->e_phnum; i++) {
		ElfW(Phdr) ph;

		if (!read_at(fd, &ph, sizeof(ph), head->e_phoff + i * sizeof(ph)))
			return false;
		if (ph.p_type == PT_LOAD && offset - ph.p_offset < ph.p_filesz) {
			ret->offset = offset - ph.p_offset + ph.p_vaddr;
			return true;
		}
	}
	return false;
}

static bool find_table(int fd, const ElfW(Ehdr) * head, uint32_t type, ElfW(Shdr) * ret)
{
	for (unsigned i = 0; i < head->e_shnum && i < SECTIONS_MAX; i++)
		if (read_at(fd, ret, sizeof(*ret), head->e_shoff + i * sizeof(*ret)) &&
		    ret->sh_type == type)
			return true;
	return false;
}

static void read_name(int fd, const ElfW(Ehdr) * head, uint32_t strings, uint32_t at,
                      struct symbol *ret)
{
	ElfW(Shdr) section;
	ssize_t n;

	if (!read_at(fd, &section, sizeof(section), head->e_shoff + strings * sizeof(section)))
		return;
	n = pread(fd, ret->name, sizeof(ret->name) - 1, (off_t)(section.sh_offset + at));
	ret->name[n > 0 ? n : 0] = '\0';
	/* "lookup.cold" and "lookup.part.0" are pieces of lookup. */
	ret->name[strcspn(ret->name, ".")] = '\0';
}

static bool find_function(int fd, const ElfW(Ehdr) * head, uint32_t type, struct symbol *ret)
{
	ElfW(Sym) symbols[32];
	ElfW(Shdr) table;

	if (!find_table(fd, head, type, &table))
		return false;
	for (uint64_t done = 0; done < table.sh_size;) {
		size_t part = table.sh_size - done < sizeof(symbols)
		                      ? (size_t)(table.sh_size - done)
		                      : sizeof(symbols);

		if (!read_at(fd, symbols, part, table.sh_offset + done))
			return false;
		for (size_t i = 0; i < part / sizeof(symbols[0]); i++) {
			const ElfW(Sym) *s = &symbols[i];

			if ((s->st_info & 15) != STT_FUNC || s->st_shndx == SHN_UNDEF ||
			    ret->offset - s->st_value >= s->st_size)
				continue;
			ret->into = ret->offset - s->st_value;
			read_name(fd, head, table.sh_link, s->st_name, ret);
			return true;
		}
		done += part;
	}
	return false;
}

static void look_into(struct symbol *ret, uint64_t offset)
{
	int fd = open(ret->file, O_RDONLY | O_CLOEXEC);
	ElfW(Ehdr) head;

	ret->offset = offset;
	if (fd < 0)
		return;
	if (read_at(fd, &head, sizeof(head), 0) && memcmp(head.e_ident, ELFMAG, SELFMAG) == 0 &&
	    head.e_phentsize == sizeof(ElfW(Phdr)) && head.e_shentsize == sizeof(ElfW(Shdr)) &&
	    find_address(fd, &head, ret, offset) && !find_function(fd, &head, SHT_SYMTAB, ret))
		find_function(fd, &head, SHT_DYNSYM, ret);
	close(fd);
}

/* ------------------------------------------------------------------------------ together --- */

bool symbol_find(struct symbol *ret, const void *address)
{
	struct reader maps = {.fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC)};
	uint64_t offset = 0;
	bool found = false;
	char line[512];

	memset(ret, 0, sizeof(*ret));
	if (maps.fd < 0)
		return false;
	while (!found && next_line(&maps, line, sizeof(line)))
		found = is_in_line(line, (uintptr_t)address, ret, &offset);
	close(maps.fd);
	if (found && *ret->file)
		look_into(ret, offset);
	return found;
}

const char *symbol_file_name(const struct symbol *s)
{
	const char *slash = strrchr(s->file, '/');

	return slash ? slash + 1 : s->file;
}
