/* loader/elf_image.h: an ELF file in memory, read piece by piece within its bounds; shared by elf.c
 * (is the file whole?), elf_stage.c (is there a stage in it?) and elf_code.c (which code is it?).
 * Any thread. */
#ifndef LOADER_ELF_IMAGE_H
#define LOADER_ELF_IMAGE_H

#include "base/error.h"

#include <link.h> /* ElfW(): the types of this machine's own class */
#include <stdbool.h>
#include <stdint.h>

struct elf_image {
	const char *bytes;
	uint64_t size;
	const char *file;
	int incomplete; /* code for a file that may be whole a moment later */
	struct pc_error **err;
	ElfW(Ehdr) head;
	ElfW(Phdr) * segments; /* head.e_phnum of them */
};

/* Bytes [offset, offset+size) of the file. PC_OK, or the error is set. */
int elf_read(const struct elf_image *image, uint64_t offset, void *to, uint64_t size);
/* The same, malloc'd; `what` names them in messages. */
int elf_read_new(const struct elf_image *image, uint64_t offset, uint64_t size,
                 const char *what, void **ret);
/* Where the byte that will stand at `address` stands in the file, with `size` bytes from there in
 * the same segment's file part; false when nowhere. */
bool elf_offset(const struct elf_image *image, uint64_t address, uint64_t size,
                uint64_t *ret_offset);
/* Whether [address, address+size) will be mapped, zero-filled parts included. */
bool elf_mapped(const struct elf_image *image, uint64_t address, uint64_t size);

/* "FILE is damaged or still being written: …"; the code is image->incomplete. */
__attribute__((format(printf, 2, 3))) int elf_damaged(const struct elf_image *image,
                                                      const char *format, ...);

/* Header and segments: the first part of elf_check(). Fills in the rest of `image`, whose segments
 * are to be freed in any case. */
int elf_open(struct elf_image *image);

enum { ELF_NEEDED_MAX = 64 };

struct elf_dynamic {
	uint64_t value[DT_NUM];
	bool seen[DT_NUM];
	uint64_t gnu_hash, flags_1;
	uint64_t needed[ELF_NEEDED_MAX]; /* offsets of strings */
	size_t n_needed;
};

struct elf_symbols {
	struct elf_dynamic dynamic;
	ElfW(Sym) * symbols;
	uint32_t n;
	char *strings;
	uint64_t strings_size;
};

/* elf_dynamic.c. PC_OK, or the error is set. */
int elf_symbols_read(const struct elf_image *image, struct elf_symbols *ret);
void elf_symbols_free(struct elf_symbols *s);
const char *elf_string(const struct elf_symbols *s, uint64_t offset); /* "" beyond the end */

/* The last part of elf_check(): the symbol pc_stage_v1, and the head of the descriptor. */
int elf_stage_check(const struct elf_image *image);

#endif
