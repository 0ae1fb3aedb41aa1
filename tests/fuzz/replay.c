/* replay.c: runs a fuzz target over files, without a fuzzer.
 *
 * The main() of the targets in builds whose compiler has no libFuzzer; the tests of the suite
 * "fuzz" run the corpora through it. Arguments are files, or folders whose files are meant. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data;
	struct stat st;

	if (!f || fstat(fileno(f), &st) < 0) {
		perror(path);
		exit(1);
	}
	/* To the byte: a sanitizer then sees a read beyond the end. */
	data = malloc(st.st_size > 0 ? (size_t)st.st_size : 1);
	if (!data || fread(data, 1, (size_t)st.st_size, f) != (size_t)st.st_size) {
		perror(path);
		exit(1);
	}
	fclose(f);
	fprintf(stderr, "%s\n", path);
	LLVMFuzzerTestOneInput(data, (size_t)st.st_size);
	free(data);
}

static unsigned run_all(const char *path)
{
	struct dirent *entry;
	char inside[4096];
	unsigned n = 0;
	DIR *dir = opendir(path);

	if (!dir) {
		run(path);
		return 1;
	}
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(inside, sizeof(inside), "%s/%s", path, entry->d_name);
		n += run_all(inside);
	}
	closedir(dir);
	return n;
}

int main(int argc, char **argv)
{
	unsigned n = 0;

	for (int i = 1; i < argc; i++)
		n += run_all(argv[i]);
	fprintf(stderr, "%u files\n", n);
	return n > 0 ? 0 : 1;
}
