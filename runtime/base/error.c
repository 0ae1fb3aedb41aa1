/* base/error.c: struct pc_error, and what pcrun.h says about it.
 *
 * Made and read on control paths, one thread at a time. The text is kept ready, because
 * pc_error_text() lends it: each error_add() writes it anew, which is as cheap as errors are
 * rare. When memory runs out while an error is made, a constant one that says so stands in. */
#include "base/error.h"

#include "base/buf.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct pc_error {
	int code;
	bool ready;  /* the innermost is rendered text: no "because" in front of it */
	char *text;  /* ends with \n */
	char *first; /* its first line */
};

static char nomem_text[] = "out of memory\n", nomem_first[] = "out of memory";
static struct pc_error nomem = {PC_NOMEM, false, nomem_text, nomem_first};

const char *pc_error_text(const struct pc_error *err)
{
	return err ? err->text : "";
}

const char *pc_error_first(const struct pc_error *err)
{
	return err ? err->first : "";
}

int pc_error_code(const struct pc_error *err)
{
	return err ? err->code : PC_OK;
}

void pc_error_free(struct pc_error *err)
{
	if (!err || err == &nomem)
		return;
	free(err->text);
	free(err->first);
	free(err);
}

/* Takes over `text`, NULL when memory ran out. */
static struct pc_error *make(int code, char *text, bool ready)
{
	struct pc_error *err = text ? calloc(1, sizeof(*err)) : NULL;

	if (!err) {
		free(text);
		return &nomem;
	}
	err->code = code;
	err->ready = ready;
	err->text = text;
	err->first = strndup(text, strcspn(text, "\n"));
	if (!err->first) {
		pc_error_free(err);
		return &nomem;
	}
	return err;
}

static void end_line(struct buf *b)
{
	if (b->size == 0 || b->text[b->size - 1] != '\n')
		buf_addc(b, '\n');
}

int error_set(struct pc_error **ret, int code, const char *format, ...)
{
	struct buf text = {0};
	va_list ap;

	if (!ret || *ret)
		return code;
	va_start(ap, format);
	buf_addv(&text, format, ap);
	va_end(ap);
	end_line(&text);
	*ret = make(code, buf_take(&text), false);
	return code;
}

void error_add(struct pc_error **ret, const char *format, ...)
{
	struct pc_error *inner;
	struct buf text = {0};
	va_list ap;

	if (!ret || *ret == &nomem)
		return;
	inner = *ret;
	va_start(ap, format);
	buf_addv(&text, format, ap);
	va_end(ap);
	end_line(&text);
	if (inner) {
		if (!inner->ready)
			buf_adds(&text, "  because: ");
		buf_adds(&text, inner->text);
	}
	*ret = make(inner ? inner->code : PC_ERROR, buf_take(&text), false);
	pc_error_free(inner);
}

int error_set_text(struct pc_error **ret, int code, char *text)
{
	struct buf whole = {0};

	if (!ret || *ret) {
		free(text);
		return code;
	}
	if (text) {
		buf_adds(&whole, text);
		end_line(&whole);
		free(text);
		text = buf_take(&whole);
	}
	*ret = make(code, text, true);
	return code;
}

void error_reword(struct pc_error **err, char *text)
{
	struct pc_error *before = *err;

	if (!text)
		return;
	*err = make(before->code, text, before->ready);
	pc_error_free(before);
}
