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

/* The second half of elf_check(): dynamic section, symbols, the head of the descriptor. */
int elf_stage_check(const struct elf_image *image);

#endif
