/* loader/descriptor.c: ABI negotiation and the normalised copy.
 *
 * Right because nothing of the plugin's memory is believed: every pointer is read through peek(),
 * every count is limited, every size is compared with ABI 1.0's (a struct can only be longer) and
 * with this host's (what is longer is cut, what is shorter reads as zero). */
#include "loader/descriptor.h"

#include "loader/peek.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <string.h>

/* The sizes of ABI 1.0: the least that any stage can have. They never change, whatever is added
 * to the structs; tests/abi/ pins them. */
#define END_OF(S, f) (offsetof(S, f) + sizeof(((S *)0)->f))
enum {
	DESC_MIN = END_OF(struct pc_stage_desc, migrate),
	PORT_MIN = END_OF(struct pc_port, doc),
	PARAM_MIN = END_OF(struct pc_param, doc),
	FIELD_MIN = END_OF(struct pc_field, size),

	ROWS_MAX = 1024,
	NAMES_MAX = 1024, /* of one enum */
	STRING_MAX = 4096 /* bytes */
};

#define KNOWN_FEATURES UINT32_C(0)

_Static_assert(offsetof(struct pc_stage_desc, name) == sizeof(struct descriptor_head),
               "the frozen bytes");

struct copier {
	struct arena *arena;
	const char *file;
	struct pc_error **err;
};

int descriptor_head_check(const struct descriptor_head *head, const char *file,
                          struct pc_error **err)
{
	if (head->magic != PC_STAGE_MAGIC)
		return error_set(
			err, PC_WRONG,
			"%s is not a usable stage: its pc_stage_v1 is not a descriptor (write "
			"it with PC_STAGE)",
			file);
	if (head->abi_major != PC_ABI_MAJOR)
		return error_set(err, PC_WRONG,
		                 "%s was built for ABI %u, this pcrun speaks %d; rebuild it",
		                 file, head->abi_major, PC_ABI_MAJOR);
	if (head->size < DESC_MIN)
		return error_set(err, PC_WRONG,
		                 "%s is not a usable stage: its descriptor has %" PRIu32
		                 " bytes, and no pcrun had less than %d",
		                 file, head->size, DESC_MIN);
	if (head->required & ~KNOWN_FEATURES)
		return error_set(
			err, PC_WRONG,
			"%s needs features of a newer pcrun (0x%" PRIx32 "); this is ABI %d.%d",
			file, head->required & ~KNOWN_FEATURES, PC_ABI_MAJOR, PC_ABI_MINOR);
	return PC_OK;
}

static int no_memory(const struct copier *c)
{
	return error_set(c->err, PC_NOMEM, "no memory to load %s", c->file);
}

static int bad_pointer(const struct copier *c, const char *what)
{
	return error_set(c->err, PC_WRONG,
	                 "%s is not a usable stage: its descriptor's %s points to nothing",
	                 c->file, what);
}

/* *string is the plugin's, and becomes the arena's; NULL stays NULL. */
static int copy_string(const struct copier *c, const char **string, const char *what)
{
	char text[STRING_MAX];
	size_t n = 0;

	if (!*string)
		return PC_OK;
	while (n < sizeof(text)) {
		/* Never across a page in one read: the next one may not be there. */
		size_t step = 256 - ((uintptr_t)(*string + n) & 255);
		const char *end;

		step = step < sizeof(text) - n ? step : sizeof(text) - n;
		if (!peek(*string + n, text + n, step))
			return bad_pointer(c, what);
		end = memchr(text + n, '\0', step);
		if (end) {
			*string = arena_text(c->arena, text, (size_t)(end - text));
			return *string ? PC_OK : no_memory(c);
		}
		n += step;
	}
	return error_set(
		c->err, PC_WRONG,
		"%s is not a usable stage: its descriptor's %s is longer than %d bytes",
		c->file, what, STRING_MAX - 1);
}

static int copy_doc(const struct copier *c, const char **doc, const char *what)
{
	if (!*doc) {
		*doc = "";
		return PC_OK;
	}
	return copy_string(c, doc, what);
}

/* A row as the plugin wrote it and as this host knows it. */
struct rows {
	const char *what;
	const void *theirs;
	uint32_t n;
	size_t their_size, least_size, our_size;
};

/* *ret: n rows of our_size in the arena; NULL when there are none. */
static int copy_rows(const struct copier *c, const struct rows *rows, void **ret)
{
	size_t size = rows->their_size < rows->our_size ? rows->their_size : rows->our_size;
	char *ours;

	*ret = NULL;
	if (rows->n == 0)
		return PC_OK;
	if (rows->n > ROWS_MAX)
		return error_set(c->err, PC_WRONG,
		                 "%s is not a usable stage: its descriptor says it has %" PRIu32
		                 " %s, and %d is the most",
		                 c->file, rows->n, rows->what, ROWS_MAX);
	if (rows->their_size < rows->least_size || rows->their_size > STRING_MAX)
		return error_set(
			c->err, PC_WRONG,
			"%s is not a usable stage: a row of its %s has %zu bytes, and %zu is "
			"the least",
			c->file, rows->what, rows->their_size, rows->least_size);
	ours = arena_alloc(c->arena, rows->n * rows->our_size);
	if (!ours)
		return no_memory(c);
	for (uint32_t i = 0; i < rows->n; i++)
		if (!peek((const char *)rows->theirs + i * rows->their_size,
		          ours + i * rows->our_size, size))
			return bad_pointer(c, rows->what);
	*ret = ours;
	return PC_OK;
}

static int copy_ports(const struct copier *c, const char *what, const struct pc_port **ports,
                      uint32_t n, size_t row_size)
{
	struct rows rows = {what, *ports, n, row_size, PORT_MIN, sizeof(struct pc_port)};
	struct pc_port *ours;
	void *copied;
	int r = copy_rows(c, &rows, &copied);

	*ports = ours = copied;
	for (uint32_t i = 0; i < n && r == PC_OK; i++) {
		r = copy_string(c, &ours[i].name, what);
		if (r == PC_OK)
			r = copy_string(c, &ours[i].type, what);
		if (r == PC_OK)
			r = copy_doc(c, &ours[i].doc, what);
	}
	return r;
}

static int copy_names(const struct copier *c, const char *const **names)
{
	const char *const *theirs = *names;
	const char **ours, *name;
	size_t n;

	if (!theirs)
		return PC_OK;
	for (n = 0;; n++) {
		if (!peek(theirs + n, &name, sizeof(name)) || n == NAMES_MAX)
			return bad_pointer(c, "list of an enum's names");
		if (!name)
			break;
	}
	*names = ours = arena_alloc(c->arena, (n + 1) * sizeof(*ours));
	if (!ours)
		return no_memory(c);
	for (size_t i = 0; i < n; i++) {
		int r;

		peek(theirs + i, &ours[i], sizeof(ours[i]));
		r = copy_string(c, &ours[i], "list of an enum's names");
		if (r != PC_OK)
			return r;
	}
	return PC_OK;
}

static int copy_params(const struct copier *c, struct pc_stage_desc *d)
{
	struct rows rows = {"parameters",  d->params, d->n_params,
	                    d->param_size, PARAM_MIN, sizeof(struct pc_param)};
	struct pc_param *ours;
	void *copied;
	int r = copy_rows(c, &rows, &copied);

	d->params = ours = copied;
	d->param_size = sizeof(*ours);
	for (uint32_t i = 0; i < d->n_params && r == PC_OK; i++) {
		r = copy_string(c, &ours[i].name, rows.what);
		if (r == PC_OK)
			r = copy_string(c, &ours[i].def, rows.what);
		if (r == PC_OK)
			r = copy_string(c, &ours[i].range, rows.what);
		if (r == PC_OK)
			r = copy_string(c, &ours[i].unit, rows.what);
		if (r == PC_OK)
			r = copy_names(c, &ours[i].names);
		if (r == PC_OK)
			r = copy_doc(c, &ours[i].doc, rows.what);
	}
	return r;
}

static int copy_fields(const struct copier *c, struct pc_stage_desc *d)
{
	struct rows rows = {"fields",      d->fields, d->n_fields,
	                    d->field_size, FIELD_MIN, sizeof(struct pc_field)};
	struct pc_field *ours;
	void *copied;
	int r = copy_rows(c, &rows, &copied);

	d->fields = ours = copied;
	d->field_size = sizeof(*ours);
	for (uint32_t i = 0; i < d->n_fields && r == PC_OK; i++)
		r = copy_string(c, &ours[i].name, rows.what);
	return r;
}

/* A callback must lie in something that is loaded. Data pointers and function pointers have one
 * size wherever there is a dlsym(). */
static int check_callbacks(const struct copier *c, const struct pc_stage_desc *d)
{
	const struct {
		const char *name;
		const void *const *at;
	} callbacks[] = {
#define CALLBACK(f) {#f, (const void *const *)(const void *)&d->f}
		CALLBACK(open),          CALLBACK(produce), CALLBACK(process),
		CALLBACK(process_batch), CALLBACK(finish),  CALLBACK(stop),
		CALLBACK(close),         CALLBACK(migrate), CALLBACK(closed),
#undef CALLBACK
	};

	for (size_t i = 0; i < sizeof(callbacks) / sizeof(callbacks[0]); i++) {
		const void *code;
		Dl_info info;

		memcpy(&code, callbacks[i].at, sizeof(code));
		if (code && dladdr(code, &info) == 0)
			return bad_pointer(c, callbacks[i].name);
	}
	return PC_OK;
}

int descriptor_copy(struct arena *arena, const void *theirs, const char *file,
                    struct pc_stage_desc **ret, struct pc_error **err)
{
	struct copier c = {arena, file, err};
	struct descriptor_head head;
	struct pc_stage_desc *d;
	int r;

	if (!peek(theirs, &head, sizeof(head)))
		return bad_pointer(&c, "address");
	r = descriptor_head_check(&head, file, err);
	if (r != PC_OK)
		return r;
	d = arena_alloc(arena, sizeof(*d));
	if (!d)
		return no_memory(&c);
	if (!peek(theirs, d, head.size < sizeof(*d) ? head.size : sizeof(*d)))
		return bad_pointer(&c, "address");
	d->size = sizeof(*d);
	r = copy_string(&c, &d->name, "name");
	if (r == PC_OK)
		r = copy_doc(&c, &d->doc, "doc");
	if (r == PC_OK)
		r = copy_string(&c, &d->version, "version");
	if (r == PC_OK)
		r = copy_ports(&c, "inputs", &d->inputs, d->n_inputs, d->input_size);
	if (r == PC_OK)
		r = copy_ports(&c, "outputs", &d->outputs, d->n_outputs, d->output_size);
	d->input_size = d->output_size = sizeof(struct pc_port);
	if (r == PC_OK)
		r = copy_params(&c, d);
	if (r == PC_OK)
		r = copy_fields(&c, d);
	if (r == PC_OK)
		r = check_callbacks(&c, d);
	if (r == PC_OK)
		*ret = d;
	return r;
}
