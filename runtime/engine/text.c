/* engine/text.c: see text.h.
 *
 * Called by the thread that loads or reloads the graph.
 */
#include "engine/text.h"

#include "base/error.h"
#include "engine/source.h"

#include <stdlib.h>
#include <string.h>

/* "name=value" pairs as the language wants them. False: out of memory, or one without "=". */
static int split_defines(const struct pc_load_options *options, struct lang_define **ret,
                         char **ret_bytes, struct pc_error **err)
{
	size_t n = options ? options->n_defines : 0, size = 1;
	struct lang_define *defines;
	char *at;

	for (size_t i = 0; i < n; i++)
		size += strlen(options->defines[i]) + 1;
	defines = calloc(n ? n : 1, sizeof(*defines));
	*ret_bytes = at = malloc(size);
	*ret = defines;
	if (!defines || !at)
		return error_set(err, PC_NOMEM, "out of memory");
	for (size_t i = 0; i < n; i++) {
		char *equals;

		strcpy(at, options->defines[i]);
		equals = strchr(at, '=');
		if (!equals || equals == at)
			return error_set(err, PC_INVALID, "-D wants NAME=VALUE, not '%s'",
			                 options->defines[i]);
		*equals = '\0';
		defines[i] = (struct lang_define){.name = at, .value = equals + 1};
		at += strlen(options->defines[i]) + 1;
	}
	return PC_OK;
}

/* The caller's struct may be an older, shorter one. */
bool text_wants_copies(const struct pc_load_options *options)
{
	return options &&
	       options->size >= offsetof(struct pc_load_options, private_copies) +
	                                sizeof(options->private_copies) &&
	       options->private_copies;
}

/* Parses and plans; mistakes are in t->diags. */
static int check(struct text *t, uint32_t source, const char *dir,
                 const struct pc_load_options *options, struct pc_error **err)
{
	struct lang_define *defines = NULL;
	char *bytes = NULL;
	int rc = split_defines(options, &defines, &bytes, err);

	if (rc)
		goto out;
	rc = PC_NOMEM;
	t->has_tree = true; /* what there is of it when memory runs out */
	if (!lang_parse(&t->tree, &t->diags, source, defines, options ? options->n_defines : 0,
	                source_include, NULL))
		goto out;
	if (!loader_path_init(&t->path, dir, options ? options->plugin_dirs : NULL,
	                      options ? options->n_plugin_dirs : 0))
		goto out;
	t->has_path = true;
	t->path.private_copies = text_wants_copies(options);
	rc = plan_make(&t->plan, &t->diags, &t->tree, &t->path, dir);
	t->has_plan = true;
out:
	free(defines);
	free(bytes);
	return rc;
}

int text_load(struct text **ret, const char *name, const char *bytes, size_t size,
              const char *dir, const struct pc_load_options *options, struct pc_error **err)
{
	struct text *t = calloc(1, sizeof(*t));
	struct buf rendered = {0};
	uint32_t source;
	int rc = PC_NOMEM;

	if (!t)
		return error_set(err, PC_NOMEM, "out of memory");
	source = diag_source_add(&t->diags, name, bytes, size, (struct diag_span){0});
	if (source)
		rc = check(t, source, dir, options, err);
	if (rc == PC_OK && t->diags.n_errors > 0)
		rc = PC_WRONG;
	if (rc == PC_OK) {
		*ret = t;
		if (t->diags.n_warnings > 0) {
			diag_render(&t->diags, &rendered);
			error_set_text(err, PC_OK, buf_take(&rendered));
		}
		return PC_OK;
	}
	if (rc == PC_WRONG) {
		diag_render(&t->diags, &rendered);
		error_set_text(err, PC_WRONG, buf_take(&rendered));
	} else if (rc == PC_NOMEM) {
		error_set(err, PC_NOMEM, "out of memory while '%s' was loaded", name);
	}
	text_free(t);
	return rc;
}

int text_load_file(struct text **ret, const char *path, const struct pc_load_options *options,
                   struct pc_error **err)
{
	char *bytes = NULL, *dir = NULL;
	size_t size;
	int rc = source_read(path, &bytes, &size, err);

	if (rc)
		return rc;
	dir = source_dir(path);
	rc = dir ? text_load(ret, strcmp(path, "-") == 0 ? "<stdin>" : path, bytes, size, dir,
	                     options, err)
	         : error_set(err, PC_NOMEM, "out of memory");
	free(bytes);
	free(dir);
	return rc;
}

void text_free(struct text *t)
{
	if (!t)
		return;
	if (t->has_plan)
		plan_fini(&t->plan);
	if (t->has_path)
		loader_path_fini(&t->path);
	if (t->has_tree)
		lang_tree_fini(&t->tree);
	diag_list_fini(&t->diags);
	free(t);
}
