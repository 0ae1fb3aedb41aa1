/* loader/rules.c: what a descriptor must say to make sense (descriptor_rules() of descriptor.h).
 *
 * Works on the normalised copy, whose strings and tables can be read. The first mistake is
 * reported; each message names the row by its name once it has one. */
#include "loader/descriptor.h"
#include "loader/param.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

struct rules {
	const struct pc_stage_desc *desc;
	const char *file;
	struct pc_error **err;
};

__attribute__((format(printf, 2, 3))) static int wrong(const struct rules *u,
                                                       const char *format, ...)
{
	struct buf why = {0};
	va_list ap;

	va_start(ap, format);
	buf_addv(&why, format, ap);
	va_end(ap);
	error_set(u->err, PC_WRONG, "%s is not a usable stage: %s", u->file,
	          why.text ? why.text : "");
	buf_fini(&why);
	return PC_WRONG;
}

/* The names of the graph language, so that a graph can say them. */
static bool is_name(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
	static const char others[] = "0123456789-";

	if (*name == '\0' || !strchr(letters, *name))
		return false;
	for (; *name; name++)
		if (!strchr(letters, *name) && !strchr(others, *name))
			return false;
	return true;
}

static int check_name(const struct rules *u, const char *what, uint32_t index, const char *name)
{
	if (!name)
		return wrong(u, "%s %" PRIu32 " has no name", what, index + 1);
	if (!is_name(name))
		return wrong(u,
		             "the name '%s' of %s %" PRIu32
		             " is not a name (letters, digits, _ and -, a letter first)",
		             name, what, index + 1);
	return PC_OK;
}

static bool is_item_type(const char *type)
{
	const char *star = strchr(type, '*');

	if (*type == '\0')
		return false;
	for (const char *c = type; *c; c++)
		if ((unsigned char)*c <= ' ' || *c == '"' || *c == '=' || *c == 0x7f)
			return false;
	/* A star stands alone, or for all that comes after the last slash. */
	return !star || (star[1] == '\0' && (star == type || star[-1] == '/'));
}

static bool has_input(const struct pc_stage_desc *d, const char *name)
{
	for (uint32_t i = 0; i < d->n_inputs; i++)
		if (strcmp(d->inputs[i].name, name) == 0)
			return true;
	return false;
}

static int check_ports(const struct rules *u, const char *what, const struct pc_port *ports,
                       uint32_t n, bool output)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct pc_port *p = &ports[i];
		int r = check_name(u, what, i, p->name);

		if (r != PC_OK)
			return r;
		for (uint32_t j = 0; j < i; j++)
			if (strcmp(ports[j].name, p->name) == 0)
				return wrong(u, "two %ss are called '%s'", what, p->name);
		if (!p->type)
			return wrong(u, "%s '%s' has no type ('*' fits all)", what, p->name);
		if (p->type[0] == '=') {
			if (!output)
				return wrong(u,
				             "input '%s' has the type '%s', which only outputs "
				             "can have",
				             p->name, p->type);
			if (!has_input(u->desc, p->type + 1))
				return wrong(u,
				             "output '%s' has the type '%s', and there is no "
				             "such input",
				             p->name, p->type);
		} else if (!is_item_type(p->type)) {
			return wrong(u,
			             "the type '%s' of %s '%s' is not a type such as "
			             "text/line, u64, "
			             "text/* or *",
			             p->type, what, p->name);
		}
	}
	return PC_OK;
}

static int check_enum(const struct rules *u, const struct pc_param *p)
{
	if (!p->names || !p->names[0])
		return wrong(u, "parameter '%s' is an enum without names", p->name);
	for (size_t i = 0; p->names[i]; i++) {
		if (p->names[i][0] == '\0')
			return wrong(u, "parameter '%s' has an empty name among its values",
			             p->name);
		for (size_t j = 0; j < i; j++)
			if (strcmp(p->names[i], p->names[j]) == 0)
				return wrong(u, "parameter '%s' has the value '%s' twice",
				             p->name, p->names[i]);
	}
	return PC_OK;
}

static bool overlap(const struct pc_param *a, const struct pc_param *b)
{
	return a->offset < b->offset + loader_param_size(b->type) &&
	       b->offset < a->offset + loader_param_size(a->type);
}

static int check_place(const struct rules *u, const struct pc_param *p)
{
	size_t size = loader_param_size(p->type);

	if (size == 0)
		return wrong(u,
		             "parameter '%s' has type %" PRIu32
		             ", which this pcrun does not know",
		             p->name, p->type);
	if (p->offset > u->desc->state_size || size > u->desc->state_size - p->offset)
		return wrong(
			u,
			"parameter '%s' stands at bytes %zu+%zu, the state has %zu (PC_STATE)",
			p->name, p->offset, size, u->desc->state_size);
	if (p->offset % size != 0)
		return wrong(u, "parameter '%s' stands at byte %zu, which is not aligned",
		             p->name, p->offset);
	return PC_OK;
}

static int check_flags(const struct rules *u, const struct pc_param *p)
{
	if (p->flags & (PC_READS_SHARED | PC_UPDATES_SHARED) && p->type != PC_T_STRING)
		return wrong(u, "parameter '%s' names shared state, so it must be a string",
		             p->name);
	return PC_OK;
}

static int check_values(const struct rules *u, const struct pc_param *p)
{
	struct buf why = {0};
	uint64_t value;
	int r = PC_OK;

	if (p->range && !loader_param_range(p, &why))
		r = wrong(u, "parameter '%s': %s", p->name, why.text ? why.text : "");
	else if (p->def && !loader_param_parse(p, p->def, strlen(p->def), &value, &why))
		r = wrong(u, "the default of parameter '%s': %s", p->name,
		          why.text ? why.text : "");
	buf_fini(&why);
	return r;
}

static int check_params(const struct rules *u)
{
	const struct pc_stage_desc *d = u->desc;

	for (uint32_t i = 0; i < d->n_params; i++) {
		const struct pc_param *p = &d->params[i];
		int r = check_name(u, "parameter", i, p->name);

		if (r == PC_OK)
			r = check_place(u, p);
		if (r == PC_OK)
			r = check_flags(u, p);
		if (r == PC_OK && p->type == PC_T_ENUM)
			r = check_enum(u, p);
		if (r == PC_OK)
			r = check_values(u, p);
		if (r != PC_OK)
			return r;
		for (uint32_t j = 0; j < i; j++) {
			if (strcmp(d->params[j].name, p->name) == 0)
				return wrong(u, "two parameters are called '%s'", p->name);
			if (overlap(&d->params[j], p))
				return wrong(u,
				             "parameters '%s' and '%s' stand on the same bytes",
				             d->params[j].name, p->name);
		}
	}
	return PC_OK;
}

static int check_fields(const struct rules *u)
{
	const struct pc_stage_desc *d = u->desc;

	for (uint32_t i = 0; i < d->n_fields; i++) {
		const struct pc_field *f = &d->fields[i];
		int r = check_name(u, "field", i, f->name);

		if (r != PC_OK)
			return r;
		if (f->kind != 0 && loader_param_size(f->kind) != f->size)
			return wrong(u, "field '%s' of kind %" PRIu32 " has %zu bytes", f->name,
			             f->kind, f->size);
		if (f->count == 0 || f->size == 0 || f->offset > d->state_size ||
		    f->size > (d->state_size - f->offset) / f->count)
			return wrong(u, "field '%s' does not lie in the state", f->name);
		for (uint32_t j = 0; j < i; j++)
			if (strcmp(d->fields[j].name, f->name) == 0)
				return wrong(u, "two fields are called '%s'", f->name);
	}
	return PC_OK;
}

static int check_work(const struct rules *u)
{
	const struct pc_stage_desc *d = u->desc;

	if (d->n_inputs == 0) {
		if (d->process || d->process_batch)
			return wrong(u, "it has %s but no input",
			             d->process ? "process" : "process_batch");
		if (!d->produce)
			return wrong(u,
			             "it has neither an input nor produce, so it does nothing");
		return PC_OK;
	}
	if (d->produce)
		return wrong(u,
		             "it has both produce and an input; a stage does one of the two");
	if (!d->process && !d->process_batch)
		return wrong(u, "it has an input but neither process nor process_batch");
	if (d->process && d->process_batch)
		return wrong(u, "it has both process and process_batch; one of them is enough");
	return PC_OK;
}

int descriptor_rules(const struct pc_stage_desc *desc, const char *file, struct pc_error **err)
{
	struct rules u = {desc, file, err};
	int r;

	if (!desc->name)
		return wrong(&u, "its descriptor has no name");
	if (!is_name(desc->name))
		return wrong(&u,
		             "its name '%s' is not a name (letters, digits, _ and -, a letter "
		             "first)",
		             desc->name);
	if (desc->state_size > PTRDIFF_MAX)
		return wrong(&u, "its state has %zu bytes", desc->state_size);
	r = check_ports(&u, "input", desc->inputs, desc->n_inputs, false);
	if (r == PC_OK)
		r = check_ports(&u, "output", desc->outputs, desc->n_outputs, true);
	if (r == PC_OK)
		r = check_params(&u);
	if (r == PC_OK)
		r = check_fields(&u);
	if (r == PC_OK)
		r = check_work(&u);
	return r;
}
