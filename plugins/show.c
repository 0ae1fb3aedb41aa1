/* show: what shared state holds, a line for each key, once or every so often.
 *
 * out  text/line: `KEY = VALUE` in order of the keys; `NAME = …` in hex for a block of bytes
 *
 * All lines of one time are of one moment, whatever is updated meanwhile, and nobody waits for
 * the other. Bytes of a value that are no text are written as \xNN. */
#include <pcrun/stage.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct show {
	const char *what;
	const char *key;
	int64_t every;
	/* ours */
	struct pc_shared *shared;
};

static const struct pc_param show_params[] = {
	PC_PARAM_SHARED(struct show, what, NULL, PC_READS_SHARED, "the shared state"),
	PC_PARAM_STRING(struct show, key, "", "only this key; empty: all"),
	PC_PARAM_DURATION(struct show, every, "0", NULL,
                          "show it again so often; 0: only once"),
};

static int show_open(struct pc_stage *st, void *state)
{
	struct show *s = state;

	s->shared = pc_shared_find(st, s->what);
	return s->shared == NULL ? PC_ERROR : PC_OK;
}

static void write_value(FILE *line, const struct pc_value *v, bool hex)
{
	const unsigned char *bytes = v->data;

	if (v->type == PC_T_I64) {
		fprintf(line, "%lld", (long long)v->number);
		return;
	}
	for (size_t i = 0; i < v->size; i++)
		if (hex)
			fprintf(line, "%02x", bytes[i]);
		else if (bytes[i] < 0x20 || bytes[i] == 0x7f)
			fprintf(line, "\\x%02x", bytes[i]);
		else
			putc(bytes[i], line);
}

static int show_value(struct pc_stage *st, const struct show *s, const struct pc_value *v)
{
	bool block = v->key[0] == '\0' && v->type != PC_T_I64;
	char *text = NULL;
	size_t size = 0;
	FILE *line = open_memstream(&text, &size);
	int r;

	if (line == NULL)
		return pc_fail(st, "no memory for a line");
	fprintf(line, "%s = ", block ? s->what : v->key);
	write_value(line, v, block);
	r = fclose(line) == 0 ? pc_emit_copy(st, 0, text, size)
	                      : pc_fail(st, "no memory for a line");
	free(text);
	return r;
}

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct pc_value *)a)->key, ((const struct pc_value *)b)->key);
}

/* In the read section: the values stay where they are until it ends. */
static int show_all(struct pc_stage *st, const struct show *s, struct pc_snapshot *now)
{
	struct pc_value *values = NULL;
	size_t n = 0, room = 0;
	int r = PC_OK;

	for (struct pc_value v; pc_snapshot_next(st, now, &v) == PC_OK; n++) {
		if (n == room) {
			struct pc_value *more;

			room = room > 0 ? 2 * room : 16;
			more = realloc(values, room * sizeof(*more));
			if (more == NULL) {
				free(values);
				return pc_fail(st, "no memory for %zu values", room);
			}
			values = more;
		}
		values[n] = v;
	}
	if (n > 0)
		qsort(values, n, sizeof(*values), by_key);
	for (size_t i = 0; i < n && r == PC_OK; i++)
		r = show_value(st, s, &values[i]);
	free(values);
	return r;
}

static int show_one(struct pc_stage *st, const struct show *s, const struct pc_snapshot *now)
{
	struct pc_value v;
	int r = pc_snapshot_get(st, now, s->key, &v);

	if (r == PC_INVALID)
		return pc_fail(st, "shared state '%s' has no keys", s->what);
	/* It may come, or come back. */
	return r == PC_OK ? show_value(st, s, &v) : PC_OK;
}

static int show_produce(struct pc_stage *st, void *state)
{
	struct show *s = state;
	struct pc_snapshot now;
	int r;

	pc_snapshot_begin(st, s->shared, &now);
	r = s->key[0] == '\0' ? show_all(st, s, &now) : show_one(st, s, &now);
	pc_snapshot_end(st, &now);
	if (r != PC_OK)
		return r;
	if (s->every <= 0)
		return PC_END;
	pc_wake_after(st, s->every);
	return PC_AGAIN;
}

static const struct pc_port show_out[] = {{"out", "text/line", PC_REQUIRED, "the lines"}};

PC_STAGE(.name = "show", .doc = "show what shared state holds", PC_OUTPUTS(show_out),
         PC_PARAMS(show_params), PC_STATE(struct show), .state_version = 1, .open = show_open,
         .produce = show_produce);
