/* The corpus of wrong graph files: tests/system/wrong-syntax/NAME.txt is answered by exactly the
 * text of NAME.expect. The system tests run the same files through `pcrun check`.
 *
 * To take over new answers that were read and found good: LANG_WRONG_WRITE=1 test-lang-wrong. */
#include "lang/paths.h"

#include "lang/parsed.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

enum { FILES_MIN = 40 };

/* NULL: it could not be read. */
static char *file_read(const char *path, size_t *ret_size)
{
	struct buf text = {0};
	FILE *f = fopen(path, "rb");
	char part[4096];
	size_t n;

	if (!f)
		return NULL;
	while ((n = fread(part, 1, sizeof(part), f)) > 0)
		buf_add(&text, part, n);
	fclose(f);
	*ret_size = text.size;
	return buf_take(&text);
}

static bool file_include(void *user, const char *from, const char *path, char **ret_name,
                         char **ret_text, size_t *ret_size, char **ret_reason)
{
	(void)user;
	(void)from;
	*ret_text = file_read(path, ret_size);
	if (*ret_text)
		*ret_name = strdup(path);
	else
		*ret_reason = strdup(strerror(errno));
	return *ret_text != NULL;
}

/* What `pcrun check NAME.txt` says about its syntax. */
static void answer(const char *name, struct buf *ret)
{
	struct diag_list diags = {0};
	struct lang_tree tree;
	uint32_t source;
	size_t size;
	char *text = file_read(name, &size);

	cr_assert_not_null(text, "%s", name);
	source = diag_source_add(&diags, name, text, size, (struct diag_span){0});
	cr_assert(lang_parse(&tree, &diags, source, NULL, 0, file_include, NULL));
	diag_render(&diags, ret);
	cr_assert_gt(diags.n_errors, 0, "%s is not wrong", name);
	lang_tree_fini(&tree);
	diag_list_fini(&diags);
	free(text);
}

static void check(const char *name)
{
	char expect_name[300];
	struct buf got = {0};
	size_t size = 0;
	char *want;
	FILE *f;

	snprintf(expect_name, sizeof(expect_name), "%.*s.expect", (int)strlen(name) - 4, name);
	answer(name, &got);
	if (getenv("LANG_WRONG_WRITE")) {
		f = fopen(expect_name, "wb");
		fwrite(got.text, 1, got.size, f);
		fclose(f);
	}
	want = file_read(expect_name, &size);
	cr_expect(want && size == got.size && memcmp(want, got.text, size) == 0,
	          "%s\ngot:\n%swanted:\n%s", name, got.text, want ? want : "(no such file)\n");
	free(want);
	buf_fini(&got);
}

Test(wrong, each_file_gets_its_answer)
{
	unsigned n = 0;
	struct dirent *entry;
	DIR *dir;

	cr_assert_eq(chdir(TEST_SOURCE_ROOT "/tests/system/wrong-syntax"), 0);
	dir = opendir(".");
	while ((entry = readdir(dir)) != NULL) {
		size_t size = strlen(entry->d_name);

		if (size < 5 || strcmp(entry->d_name + size - 4, ".txt") != 0)
			continue;
		check(entry->d_name);
		n++;
	}
	closedir(dir);
	cr_assert_geq(n, FILES_MIN, "only %u files", n);
}
