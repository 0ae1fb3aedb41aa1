/* lang/lang.h: the graph language: text in, tree out.
 *
 * Pure: no files, no threads, no plugins. Includes are read through a callback, so that the same
 * parser serves files, -e and the fuzzer. Called by plan/ (to check) and engine/ (to format) on
 * one thread. The tree lives in its own arena and points into nothing else; spans refer to the
 * diagnostics list that it was parsed with.
 *
 * Grammar (the user's page is pcrun-graph(5); keep both alike):
 *
 *   file      = { [ statement ] ( NEWLINE | ";" ) }
 *   statement = "param" NAME "=" value
 *             | "include" STRING
 *             | "stage" NAME "=" call { attribute }
 *             | "queue" NAME { attribute }
 *             | "join" NAME "after" NAME { "," NAME }
 *             | "shared" NAME "=" call { attribute }
 *             | group { "->" group } [ "[" [ attribute { "," attribute } ] "]" ]
 *   group     = end { "," end }
 *   end       = NAME [ "." PORT ] | call
 *   call      = ( NAME | PATH ) [ "(" [ arg { "," arg } ] ")" ]
 *   arg       = [ NAME "=" ] value
 *   attribute = NAME [ "=" value [ "=" value ] ]      on_error=retry=3: value is "retry=3"
 *   value     = WORD | STRING | "$" NAME | "${" NAME "}"       STRING may hold ${NAME}
 *
 * A line goes on inside ( ) and [ ], after "->" and ",", and when the next line begins with
 * "->". PATH contains a "/" and ends in .so or .c. `#` starts a comment outside strings.
 */
#ifndef LANG_LANG_H
#define LANG_LANG_H

#include "base/arena.h"
#include "base/diag.h"

#include <stdbool.h>
#include <stddef.h>

struct lang_name {
	const char *text; /* NULL: left out */
	size_t size;
	struct diag_span span;
};

/* A value as text: typing it is the business of whoever knows the type. References are already
 * replaced; `origin` is then where the text came from (a param line; source 0: -D). */
struct lang_value {
	const char *text; /* unescaped, NUL at the end too; NULL: left out */
	size_t size;
	bool quoted;
	struct diag_span span;
	struct diag_span origin;
	const char *param; /* name of the param it came from, or NULL */
};

struct lang_arg {
	struct lang_name name; /* text NULL: positional */
	struct lang_value value;
};

struct lang_call {
	struct lang_name plugin; /* name or path */
	bool is_path;
	bool has_parens;
	struct lang_arg *args;
	size_t n_args;
	struct diag_span span;
};

struct lang_attr {
	struct lang_name name;
	struct lang_value value; /* text NULL: a bare flag */
};

struct lang_stage {
	struct lang_name name;
	struct lang_call call;
	struct lang_attr *attrs;
	size_t n_attrs;
	struct diag_span span;
	bool broken;
};

struct lang_queue {
	struct lang_name name;
	struct lang_attr *attrs;
	size_t n_attrs;
	struct diag_span span;
	bool broken;
};

struct lang_join {
	struct lang_name name;
	struct lang_name *after;
	size_t n_after;
	struct diag_span span;
	bool broken;
};

struct lang_shared {
	struct lang_name name;
	struct lang_call call;
	struct lang_attr *attrs;
	size_t n_attrs;
	struct diag_span span;
	bool broken;
};

/* One end of an arrow. Whether a bare NAME is a stage, a queue or a plugin is for the plan to
 * say: the file may declare it later. */
struct lang_end {
	struct lang_call call; /* call.plugin is the name; args only when has_parens */
	struct lang_name port;
	struct diag_span span;
};

struct lang_group {
	struct lang_end *ends;
	size_t n_ends;
};

struct lang_wire {
	struct lang_group *groups; /* at least one; one alone: a stage that is not wired */
	size_t n_groups;
	struct diag_span *arrows; /* n_groups - 1 */
	struct lang_attr *attrs;
	size_t n_attrs;
	struct diag_span span;
	bool broken;
};

struct lang_param {
	struct lang_name name;
	struct lang_value value;
	bool used;
};

/* Everything, in the order of the text (includes in place).
 *
 * A statement whose mistake was reported is still here, as far as it was understood, so that its
 * name is known; `broken` is then set, and what is missing in it is no further mistake. Texts of
 * names are never NULL except where said (the plugin of a broken stage may be ""). */
struct lang_tree {
	struct arena arena;
	struct lang_param *params;
	size_t n_params;
	struct lang_stage *stages;
	size_t n_stages;
	struct lang_queue *queues;
	size_t n_queues;
	struct lang_join *joins;
	size_t n_joins;
	struct lang_shared *shareds;
	size_t n_shareds;
	struct lang_wire *wires;
	size_t n_wires;
	bool incomplete; /* an include could not be read: what is not here may be there */
};

/* -D name=value */
struct lang_define {
	const char *name;
	const char *value;
};

/* Reads an include. `from` is the including source's name. Returns malloc'd text and its size
 * and a malloc'd display name; false: *ret_reason says why not (malloc'd). */
typedef bool lang_include_fn(void *user, const char *from, const char *path, char **ret_name,
                             char **ret_text, size_t *ret_size, char **ret_reason);

/* Parse one source, already added to `diags` as `source`. All mistakes go to `diags`; the tree is
 * always filled with what could be understood, so that checking can go on (recovery is at the
 * end of the statement). Also reported: unknown params, -D of a param that no file declares,
 * duplicate params, include cycles. False: out of memory. */
bool lang_parse(struct lang_tree *ret_tree, struct diag_list *diags, uint32_t source,
                const struct lang_define *defines, size_t n_defines, lang_include_fn *include,
                void *include_user);
void lang_tree_fini(struct lang_tree *tree);

/* The canonical form: one space round "=" of declarations, none inside attributes; `->` with
 * spaces; two spaces before trailing comments; blocks of adjacent declarations lined up; at most
 * one blank line; one statement a line; comments and the order of lines kept. Reads the text, not
 * the tree: references and includes stay as written. False: the text has mistakes (in diags) or
 * memory ran out. */
bool lang_format(struct buf *out, struct diag_list *diags, uint32_t source);

#endif
