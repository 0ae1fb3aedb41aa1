/* loader/elf_stage.c: is there a stage in a plugin file?
 *
 * The last part of elf_check(). The symbol pc_stage_v1 leads to the first bytes of the descriptor,
 * which are constants in the file: so a library that is no stage and a stage of another ABI are
 * refused before any code of theirs could run. */
#include "loader/descriptor.h"
#include "loader/elf_image.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <string.h>

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

static int check_symbols(const struct elf_image *image, const struct elf_symbols *s)
{
	const ElfW(Sym) *symbols = s->symbols;
	const ElfW(Sym) *stage = NULL;
	const char *other = NULL;
	int r;

	for (uint32_t i = 1; i < s->n; i++) {
		const char *name = elf_string(s, symbols[i].st_name);

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
	struct elf_symbols symbols;
	int r = elf_symbols_read(image, &symbols);

	if (r != PC_OK)
		return r;
	r = check_symbols(image, &symbols);
	elf_symbols_free(&symbols);
	return r;
}
