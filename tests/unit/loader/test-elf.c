/* test-elf.c: no file, however broken, is more than a message: each is refused with its true cause
 * before the dynamic loader sees it, and none ends the process. */
#include "scratch.h"

#include "loader/elf.h"

#include <elf.h>
#include <stddef.h>

TestSuite(elf, .init = scratch_init, .fini = scratch_fini, .timeout = 60);

/* A whole plugin as bytes, to be damaged. */
static char *good(size_t *size)
{
	scratch_stage("drop.c", "drop", "");
	scratch_build("drop.c", "drop.so", "-Wl,-z,noexecstack");
	loader_close(scratch_open(NULL, "./drop.so"));
	return scratch_read("drop.so", size);
}

Test(elf, every_truncation_is_refused)
{
	size_t size;
	char *bytes = good(&size);

	cr_assert(size > 8192);
	for (size_t n = 0; n < size; n += 64) {
		scratch_write("./cut.so", bytes, n);
		scratch_refused("./cut.so", n == 0   ? "it is empty"
		                            : n < 16 ? "ends inside"
		                                     : "is damaged");
	}
	scratch_write("./cut.so", bytes, size - 1);
	scratch_refused("./cut.so", "is damaged");
	free(bytes);
}

/* A linker that maps a file of the final size writes its end last. (What lacks no more than the
 * last entry of the table of sections has all that runs.) */
Test(elf, every_zero_tail_is_refused)
{
	size_t size;
	char *bytes = good(&size);

	for (size_t n = size / 64 * 64 - sizeof(Elf64_Shdr); n >= 64; n -= 64) {
		memset(bytes + n, 0, size - n);
		scratch_write("./tail.so", bytes, size);
		scratch_refused("./tail.so", "");
	}
	free(bytes);
}

Test(elf, foreign_files)
{
	struct stat st;
	char *bytes;
	size_t size;

	scratch_write("text.so", "INPUT(libc.so.6)\n", 17);
	scratch_refused("./text.so", "is a text file");
	scratch_write("magic.so",
	              "\x7f"
	              "ELF",
	              4);
	scratch_refused("./magic.so", "ends inside its header");
	scratch_write("zeros.so", "\0\0\0\0\0\0\0\0", 8);
	scratch_refused("./zeros.so", "does not begin like one");
	scratch_write("ar.so", "!<arch>\nabc", 11);
	scratch_refused("./ar.so", "static library");

	cr_assert(mkdir("dir.so", 0700) == 0);
	scratch_refused("./dir.so", "it is a directory");
	cr_assert(mkfifo("pipe.so", 0600) == 0);
	scratch_refused("./pipe.so", "it is a named pipe");
	scratch_refused("/dev/null", "it is a device");
	cr_assert(symlink("/nowhere/at/all.so", "dangling.so") == 0);
	scratch_refused_as(PC_ERROR, NULL, "./dangling.so", "No such file");
	scratch_refused_as(PC_ERROR, NULL, "./missing.so", "No such file");
	scratch_refused_as(PC_ERROR, NULL, "./text.so/x.so", "Not a directory");

	bytes = good(&size);
	scratch_write("huge.so", bytes, size);
	cr_assert(truncate("huge.so", INT64_C(4) << 30) == 0);
	scratch_refused("./huge.so", "it has 4 GiB");
	cr_assert(stat("huge.so", &st) == 0 && st.st_blocks < 1024, "it was filled");
	scratch_write("empty.so", "", 0);
	cr_assert(truncate("empty.so", INT64_C(4) << 30) == 0);
	scratch_refused("./empty.so", "it has 4 GiB");

	if (geteuid() != 0) {
		cr_assert(chmod("drop.so", 0) == 0);
		scratch_refused("./drop.so", "Permission denied");
	}
	free(bytes);
}

/* One field of the header at a time. */
Test(elf, wrong_headers)
{
	size_t size;
	char *bytes = good(&size), *copy = malloc(size);
	Elf64_Ehdr *h = (void *)copy;

#define WRONG(change, text)                                                                    \
	do {                                                                                   \
		memcpy(copy, bytes, size);                                                     \
		change;                                                                        \
		scratch_write("bad.so", copy, size);                                           \
		scratch_refused("./bad.so", text);                                             \
	} while (0)
	WRONG(h->e_ident[EI_CLASS] = ELFCLASS32, "is a 32-bit file");
	WRONG(h->e_ident[EI_DATA] ^= 3, "other byte order");
	WRONG(h->e_ident[EI_VERSION] = 9, "ELF version");
	WRONG(h->e_machine = EM_SPARCV9, "for another machine (ELF machine 43)");
	WRONG(h->e_type = ET_EXEC, "it is a program");
	WRONG(h->e_type = ET_REL, "it is an object file");
	WRONG(h->e_type = ET_CORE, "it is a core dump");
	WRONG(h->e_type = 77, "of an unknown type");
	WRONG(h->e_ehsize = 8, "header has a wrong size");
	WRONG(h->e_phnum = 0, "no usable table of segments");
	WRONG(h->e_phnum = 0xfffe, "table of segments would lie beyond");
	WRONG(h->e_phentsize = 1, "no usable table of segments");
	WRONG(h->e_phoff = ~UINT64_C(0), "table of segments would lie beyond");
	WRONG(h->e_shoff = size, "table of sections would lie beyond");
	WRONG(h->e_shentsize = 0, "no usable table of sections");
#undef WRONG
	free(copy);
	free(bytes);
}

/* One field of the segment of a type at a time. */
Test(elf, wrong_segments)
{
	size_t size;
	char *bytes = good(&size), *copy = malloc(size);
	Elf64_Phdr *p, *stack = NULL, *dynamic = NULL, *first = NULL;
	Elf64_Ehdr *h = (void *)copy;

	memcpy(copy, bytes, size);
	p = (void *)(copy + h->e_phoff);
	for (unsigned i = 0; i < h->e_phnum; i++) {
		if (p[i].p_type == PT_GNU_STACK)
			stack = &p[i];
		else if (p[i].p_type == PT_DYNAMIC)
			dynamic = &p[i];
		else if (p[i].p_type == PT_LOAD && !first)
			first = &p[i];
	}
	cr_assert(stack && dynamic && first);
#define WRONG(change, text)                                                                    \
	do {                                                                                   \
		memcpy(copy, bytes, size);                                                     \
		change;                                                                        \
		scratch_write("bad.so", copy, size);                                           \
		scratch_refused("./bad.so", text);                                             \
	} while (0)
	WRONG(stack->p_flags |= PF_X, "executable stack");
	WRONG(stack->p_type = PT_NULL, "executable stack");
	WRONG(dynamic->p_type = PT_NULL, "no dynamic section");
	WRONG(dynamic->p_vaddr = 1 << 30, "dynamic section is not in a segment");
	WRONG(dynamic->p_filesz = 1 << 20, "would end at byte");
	WRONG(first->p_filesz = size, "does not fit");
	WRONG(first->p_offset = size, "would end at byte");
	WRONG(first->p_memsz = first->p_filesz = size, "does not fit the others");
	WRONG(first->p_vaddr = ~UINT64_C(0) - 8, "does not fit");
	WRONG(first->p_type = PT_NULL, "");
#undef WRONG
	free(copy);
	free(bytes);
}

/* Every section on its own; and the symbol, when it is there but not for others. */
Test(elf, wrong_sections_and_symbols)
{
	size_t size, seen = 0;
	char *bytes = good(&size);
	Elf64_Ehdr *h = (void *)bytes;
	Elf64_Shdr *s = (void *)(bytes + h->e_shoff);

	for (unsigned i = 1; i < h->e_shnum; i++) {
		Elf64_Shdr before = s[i];

		if (s[i].sh_type == SHT_NOBITS)
			continue;
		s[i].sh_size = size - s[i].sh_offset + 1;
		scratch_write("bad.so", bytes, size);
		scratch_refused("./bad.so", "would end at byte");
		s[i] = before;
	}
	for (unsigned i = 1; i < h->e_shnum; i++) {
		Elf64_Sym *symbols = (void *)(bytes + s[i].sh_offset);
		const char *names = bytes + s[s[i].sh_link].sh_offset;

		for (size_t k = 0;
		     s[i].sh_type == SHT_DYNSYM && k < s[i].sh_size / sizeof(*symbols); k++) {
			if (strcmp(names + symbols[k].st_name, "pc_stage_v1") != 0)
				continue;
			symbols[k].st_info = ELF64_ST_INFO(STB_LOCAL, STT_OBJECT);
			seen++;
		}
	}
	cr_assert(seen == 1);
	scratch_write("bad.so", bytes, size);
	scratch_refused("./bad.so", "does not export pc_stage_v1");
	/* And that without asking the dynamic loader. */
	cr_expect(elf_check(bytes, size, "bad.so", PC_AGAIN, NULL) == PC_WRONG);
	free(bytes);
}

Test(elf, programs_and_objects)
{
	scratch_write("m.c", "int main(void) { return 0; }\n", 29);
	cr_assert(scratch_run("cc -pie -fPIE -o pie.so m.c && cc -no-pie -o exec.so m.c && "
	                      "cc -c -o rel.so m.c && cc -static-pie -o static.so m.c") == 0);
	scratch_refused("./pie.so", "it is a program");
	scratch_refused("./static.so", "it is a program");
	scratch_refused("./exec.so", "it is a program");
	scratch_refused("./rel.so", "it is an object file");
}

/* A library that is no stage must not run: its constructor would leave a file. */
Test(elf, foreign_libraries_do_not_run)
{
	static const char source[] =
		"#include <stdio.h>\n__attribute__((constructor)) "
		"static void start(void) { fclose(fopen(\"ran\", \"w\")); }\n";
	static const char *const rest[] = {
		"int f(void) { return 1; }\n",
		"extern int pc_stage_v1; int f(void) { return pc_stage_v1; }\n",
		"int pc_stage_v1(void) { return 1; }\n",
		"int pc_stage_v1 = 1;\n",
		"const int pc_stage_v1[64] = {1};\n",
		"int pc_stage_v1[64];\n",
		"const unsigned pc_stage_v1[64] = {0x53524350, 2, 256};\n",
		"const unsigned pc_stage_v1[64] = {0x53524350, 0, 256};\n",
		"const unsigned pc_stage_v1[64] = {0x53524350, 1, 64};\n",
		"const unsigned pc_stage_v1[64] = {0x53524350, 1, 4096};\n",
		"const unsigned pc_stage_v1[64] = {0x53524350, 1, 256, 4};\n",
		"const unsigned pc_stage_v7[64] = {0x53524350, 7, 256};\n",
		("static const unsigned pc_stage_v1[64] = {0x53524350, 1, 256};\n"
	         "const void *f(void) { return pc_stage_v1; }\n"),
	};
	static const char *const why[] = {
		"does not export pc_stage_v1",
		"does not export pc_stage_v1",
		"is not a descriptor",
		"descriptor is in no segment",
		"is not a descriptor",
		"is not a descriptor",
		"built for ABI 2, this pcrun speaks 1; rebuild it",
		"built for ABI 0, this pcrun speaks 1; rebuild it",
		"its descriptor has 64 bytes",
		"says it has 4096 bytes, and has 256",
		"needs features of a newer pcrun (0x4)",
		"has pc_stage_v7",
		"does not export pc_stage_v1",
	};

	for (size_t i = 0; i < sizeof(rest) / sizeof(rest[0]); i++) {
		struct buf text = {0};

		buf_addf(&text, "%s%s", source, rest[i]);
		scratch_write("foreign.c", text.text, text.size);
		scratch_build("foreign.c", "foreign.so", "");
		scratch_refused("./foreign.so", why[i]);
		cr_expect(access("ran", F_OK) != 0, "the constructor ran: %s", rest[i]);
		/* The old hash, too. */
		scratch_build("foreign.c", "sysv.so", "-Wl,--hash-style=sysv");
		scratch_refused("./sysv.so", why[i]);
		buf_fini(&text);
	}
}

Test(elf, what_linkers_make_is_accepted)
{
	static const char *const flags[] = {
		"-Wl,--hash-style=sysv",
		"-Wl,--hash-style=both",
		"-Wl,-z,noseparate-code",
		"-s",
		"-static-libgcc -Wl,-z,now -Wl,-Bsymbolic",
		"-Wl,-z,max-page-size=65536",
		"-fuse-ld=gold",
		"-fuse-ld=lld",
		"-flto",
	};

	scratch_stage("drop.c", "drop", "");
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		struct buf command = {0};
		char file[32];

		if (strncmp(flags[i], "-fuse-ld=", 9) == 0) {
			buf_addf(&command, "command -v ld.%s >/dev/null", flags[i] + 9);
			if (scratch_run(command.text) != 0) {
				buf_fini(&command);
				continue;
			}
		}
		buf_fini(&command);
		snprintf(file, sizeof(file), "./drop%zu.so", i);
		scratch_build("drop.c", file, flags[i]);
		loader_close(scratch_open(NULL, file));
	}
}

Test(elf, missing_symbols_and_libraries_are_named)
{
	scratch_stage(
		"need.c", "need",
		"int who_has_this(int); int f(void); int f(void) { return who_has_this(1); }");
	scratch_build("need.c", "need.so", "");
	scratch_refused("./need.so",
	                "./need.so needs symbol 'who_has_this', which no library provides");

	scratch_write("help.c", "int who_has_this(int x) { return x; }\n", 38);
	scratch_build("help.c", "libhelp.so.3", "-Wl,-soname,libhelp.so.3");
	scratch_build("need.c", "need2.so", "libhelp.so.3 -Wl,-rpath,$PWD");
	cr_assert(rename("libhelp.so.3", "gone") == 0);
	scratch_refused("./need2.so",
	                "./need2.so needs the library libhelp.so.3, which is not there");
	cr_assert(rename("gone", "libhelp.so.3") == 0);
	loader_close(scratch_open(NULL, "./need2.so"));
}

Test(elf, instrumented_plugins_are_named)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	cr_skip_test("this test is instrumented itself");
#endif
	scratch_stage("drop.c", "drop", "");
	scratch_build("drop.c", "asan.so", "-fsanitize=address");
	scratch_refused("./asan.so", "./asan.so was built with AddressSanitizer");
	scratch_build("drop.c", "tsan.so", "-fsanitize=thread");
	scratch_refused("./tsan.so", "./tsan.so was built with ThreadSanitizer");
}

/* The check itself reads nothing outside what it has measured (the sanitizers watch). */
Test(elf, random_damage_does_not_hurt_the_check)
{
	size_t size;
	char *bytes = good(&size), *copy = malloc(size);
	unsigned seed = 1, accepted = 0;

	for (unsigned round = 0; round < 3000; round++) {
		struct pc_error *err = NULL;

		memcpy(copy, bytes, size);
		for (unsigned i = 0; i < 1 + round % 8; i++) {
			seed = seed * 1103515245 + 12345;
			/* Mostly where the structure is: the first KiB, and the last two. */
			size_t at = (seed >> 8) % 1024;

			if (seed & 0x40000000)
				at = size - 1 - (seed >> 8) % 2048;
			copy[at] = (char)(seed >> 4);
		}
		if (elf_check(copy, size, "fuzz", PC_WRONG, &err) == PC_OK) {
			accepted++;
			elf_code(copy, size);
		}
		pc_error_free(err);
	}
	cr_expect(accepted > 0 && accepted < 3000, "%u accepted", accepted);
	free(copy);
	free(bytes);
}
