/* stress/probe/fuzz.c: builds with damage that no check of their structure can see are stopped by their
 * probe or do no harm: bytes of the descriptor changed, holes of 256 bytes, bytes changed anywhere.
 *
 * Arguments: the folder of the builds; how many to try; "all", or "descriptor" for that alone; the
 * seed (for the same ones again). Each is tried without a swap, since code with holes in parts that a
 * probe does not call would run next. What damaged code does may also depend on what is in a register
 * and where it lies: of 10,000 with any damage one was seen to pass its probe and to crash here (in
 * its destructor, which jumped into the middle of an instruction). So only descriptors are done in
 * such numbers. */
#include <pcrun/pcrun.h>
#include <pcrun/stage.h>

#include <dlfcn.h>
#include <elf.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *bytes;
static size_t size, desc_at; /* where in the file the descriptor is */
static uint32_t seed;
static bool descriptor_only;

static uint32_t any(uint32_t below)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % below;
}

static _Noreturn void die(const char *why)
{
	printf("Bail out! %s\n", why);
	exit(1);
}

static void read_build(const char *path)
{
	FILE *f = fopen(path, "rb");
	void *handle = dlopen(path, RTLD_NOW), *symbol;
	const Elf64_Ehdr *head;
	const Elf64_Phdr *segments;
	Dl_info info;
	size_t at;

	if (!f || !handle)
		die("no build");
	fseek(f, 0, SEEK_END);
	size = (size_t)ftell(f);
	rewind(f);
	bytes = malloc(size);
	if (!bytes || fread(bytes, 1, size, f) != size)
		die("no bytes");
	fclose(f);
	symbol = dlsym(handle, "pc_stage_v1");
	if (!symbol || !dladdr(symbol, &info))
		die("no descriptor");
	at = (size_t)((char *)symbol - (char *)info.dli_fbase);
	head = (const Elf64_Ehdr *)(const void *)bytes;
	segments = (const Elf64_Phdr *)(const void *)(bytes + head->e_phoff);
	for (unsigned i = 0; i < head->e_phnum; i++)
		if (segments[i].p_type == PT_LOAD && at >= segments[i].p_vaddr &&
		    at - segments[i].p_vaddr < segments[i].p_filesz)
			desc_at = at - segments[i].p_vaddr + segments[i].p_offset;
	dlclose(handle);
}

static void damage(char *copy)
{
	uint32_t what = descriptor_only ? 1 : any(3), n = 1 + any(4);
	size_t at;

	memcpy(copy, bytes, size);
	if (what == 0) {
		at = any((uint32_t)(size - 256));
		memset(copy + at, 0, 256);
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		at = what == 1 ? desc_at + any(sizeof(struct pc_stage_desc))
		               : any((uint32_t)size);
		copy[at] = (char)any(256);
	}
}

static uint64_t progress(struct pc_graph *graph)
{
	struct pc_stage_row row = {0};

	for (size_t i = 0; pc_graph_stage(graph, i, &row, sizeof(row)); i++)
		if (strcmp(row.name, "tally") == 0)
			break;
	return row.progress;
}

int main(int argc, char **argv)
{
	const char *const dirs[] = {argv[1]};
	struct pc_load_options load = {
		.size = sizeof(load), .plugin_dirs = dirs, .n_plugin_dirs = 1};
	struct pc_run_options run = {.size = sizeof(run), .workers = 2};
	struct pc_swap_options options = {.size = sizeof(options), .dry_run = true};
	int rounds = argc > 2 ? atoi(argv[2]) : 150, passed = 0, refused = 0, other = 0;
	char path[512], text[1024], file[] = "/tmp/pcrun-fuzz-XXXXXX.so", *copy;
	struct pc_error *err = NULL;
	struct pc_graph *graph;
	uint64_t before;
	int rc;

	descriptor_only = argc > 3 && strcmp(argv[3], "descriptor") == 0;
	seed = argc > 4 ? (uint32_t)strtoul(argv[4], NULL, 0) : 1;
	snprintf(path, sizeof(path), "%s/good2.so", argv[1]);
	read_build(path);
	copy = malloc(size);
	close(mkstemps(file, 3));
	snprintf(text, sizeof(text), "stage mid = %s/good.so()\nnumbers -> mid -> tally\n",
	         argv[1]);
	if (!copy ||
	    pc_graph_load_text(&graph, "test", text, strlen(text), &load, &err) != PC_OK ||
	    pc_graph_start(graph, &run, &err) != PC_OK)
		die(pc_error_first(err));
	before = progress(graph);
	for (int i = 0; i < rounds; i++) {
		FILE *f = fopen(file, "wb");
		uint32_t now = seed;

		damage(copy);
		if (!f || fwrite(copy, 1, size, f) != size || fclose(f))
			die("can't write");
		/* should this process end here, it is told by what */
		printf("# %d: seed 0x%x\n", i, now);
		fflush(stdout);
		rc = pc_graph_swap(graph, "mid", file, &options, NULL, 0, &err);
		passed += rc == PC_OK;
		refused += rc == PC_WRONG || rc == PC_NOMEM; /* a state of exabytes, say */
		other += rc != PC_OK && rc != PC_WRONG && rc != PC_NOMEM;
		if (other)
			printf("# result %d: %s", rc, pc_error_text(err));
		pc_error_free(err);
		err = NULL;
	}
	unlink(file);
	pc_graph_stop(graph, PC_STOP_DRAIN);
	rc = pc_graph_wait(graph, 60 * PC_SEC, &err);
	printf("# %d passed, %d were refused\n", passed, refused);
	printf("%s 1 - of %d damaged builds some are refused, and none does harm\n",
	       refused > 0 && passed > 0 && other == 0 ? "ok" : "not ok", rounds);
	printf("%s 2 - nothing was lost, doubled or out of order\n",
	       rc == PC_STOPPED && progress(graph) > before ? "ok" : "not ok");
	printf("1..2\n");
	pc_error_free(err);
	pc_graph_free(graph);
	free(copy);
	free(bytes);
	return 0;
}
