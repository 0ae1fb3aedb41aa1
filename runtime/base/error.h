/* base/error.h: a code with a chain of causes; what pc_error is made of.
 *
 * Whoever knows the reason makes the error; callers add what they were doing; only the command
 * prints. Made on control paths only; the item path carries codes. One thread at a time. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <pcrun/pcrun.h>

/* Each returns `code`, so that `return error_set(err, PC_ERROR, "…")` works; `ret` may be NULL.
 * error_set starts a chain (it keeps the first when there is one already), error_add puts a
 * sentence in front of it. */
__attribute__((format(printf, 3, 4))) int error_set(struct pc_error **ret, int code,
                                                    const char *format, ...);
__attribute__((format(printf, 2, 3))) void error_add(struct pc_error **ret, const char *format,
                                                     ...);
/* A chain of one whose text is several ready lines (rendered diagnostics). Takes over `text`. */
int error_set_text(struct pc_error **ret, int code, char *text);
/* The same error in other words, of the same form: it ends with a newline. Takes over `text`; NULL:
 * it stays as it is. */
void error_reword(struct pc_error **err, char *text);

#endif
