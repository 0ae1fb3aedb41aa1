/* engine/swap-layout.c: what becomes of a state: adopted, mapped by name, migrated, or refused.
 *
 * Control thread. A state is bytes of the runtime whose layout only the two builds know. So
 * nothing is copied on a guess: without a field table a state is either taken over as it lies
 * (same size, same version, parameters in the same places) or left to migrate(); with tables its
 * fields go by name. What the tables leave unexplained must be padding: gaps that alignment
 * makes, and zero at the cut. Flink's verdicts (compatible as is, after migration, not at all) are
 * the model.
 */
#include "engine/engine.h"

#include "base/error.h"
#include "base/value.h"
#include "loader/param.h"

#include <stdlib.h>
#include <string.h>

/* A field or a parameter. */
struct part {
	const char *name;
	uint32_t kind, count;
	size_t offset, size; /* size of one element */
};

struct parts {
	struct part *list; /* by offset */
	uint32_t n;
};

static int by_offset(const void *a, const void *b)
{
	const struct part *x = a, *y = b;

	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static bool parts_init(struct parts *p, const struct pc_stage_desc *d)
{
	p->n = 0;
	p->list = calloc(d->n_fields + d->n_params + 1, sizeof(*p->list));
	if (!p->list)
		return false;
	for (uint32_t i = 0; i < d->n_params; i++)
		p->list[p->n++] = (struct part){d->params[i].name, d->params[i].type, 1,
		                                d->params[i].offset,
		                                loader_param_size(d->params[i].type)};
	for (uint32_t i = 0; i < d->n_fields; i++)
		if (!swap_param_named(d, d->fields[i].name))
			p->list[p->n++] = (struct part){d->fields[i].name, d->fields[i].kind,
			                                d->fields[i].count, d->fields[i].offset,
			                                d->fields[i].size};
	qsort(p->list, p->n, sizeof(*p->list), by_offset);
	return true;
}

static const struct part *part_named(const struct parts *p, const char *name)
{
	for (uint32_t i = 0; i < p->n; i++)
		if (strcmp(p->list[i].name, name) == 0)
			return &p->list[i];
	return NULL;
}

static bool kind_like(const struct part *a, const struct part *b)
{
	bool a_text = a->kind == PC_T_STRING || a->kind == PC_T_PATH;
	bool b_text = b->kind == PC_T_STRING || b->kind == PC_T_PATH;

	return a->size == b->size && (a->kind == b->kind || (a_text && b_text));
}

/* What the compiler may have aligned the part to: of raw bytes, as much as their size and place
 * allow. */
static size_t alignment(const struct part *p)
{
	size_t align = 16;

	while (align > 1 && (p->offset % align != 0 || p->size % align != 0))
		align /= 2;
	return align;
}

/* Every byte is a part's, or may be padding. *ret_gap: the first that is neither. `zeros` gets the
 * padding; it has room for n + 1. */
static bool explained(const struct parts *p, size_t state_size, size_t *ret_gap,
                      struct span *zeros, uint32_t *ret_n)
{
	size_t end = 0, most = 1;

	*ret_n = 0;
	for (uint32_t i = 0; i <= p->n; i++) {
		const struct part *part = i < p->n ? &p->list[i] : NULL;
		size_t at = part ? part->offset : state_size;
		size_t align = part ? alignment(part) : most;

		if (at > end) {
			if (at - end >= align) {
				*ret_gap = end;
				return false;
			}
			zeros[(*ret_n)++] = (struct span){end, at - end};
		}
		if (!part)
			break;
		most = align > most ? align : most;
		if (at + part->size * part->count > end)
			end = at + part->size * part->count;
	}
	return true;
}

static bool same_part(const struct part *a, const struct part *b)
{
	return b && kind_like(a, b) && a->count == b->count && a->offset == b->offset;
}

/* The parameters alone, where a build has no table of fields. */
static bool same_params(const struct pc_stage_desc *a, const struct pc_stage_desc *b)
{
	if (a->n_params != b->n_params)
		return false;
	for (uint32_t i = 0; i < a->n_params; i++) {
		const struct pc_param *other = swap_param_named(b, a->params[i].name);

		if (!other || !swap_param_like(&a->params[i], other) ||
		    a->params[i].offset != other->offset)
			return false;
	}
	return true;
}

static bool same_layout(const struct build *from, const struct build *to,
                        const struct parts *old, const struct parts *new)
{
	const struct pc_stage_desc *a = from->desc, *b = to->desc;

	if (LEFT_OUT(FAULT_LAYOUT))
		return true;
	if (a->state_size != b->state_size || a->state_version != b->state_version)
		return false;
	if (a->n_fields == 0 || b->n_fields == 0)
		return same_params(a, b);
	if (old->n != new->n)
		return false;
	for (uint32_t i = 0; i < old->n; i++)
		if (!same_part(&old->list[i], part_named(new, old->list[i].name)))
			return false;
	return true;
}

static void kind_text(struct buf *out, const struct part *p)
{
	if (p->kind)
		buf_adds(out, value_type_name(p->kind));
	else
		buf_addf(out, "%zu bytes", p->size);
	if (p->count != 1)
		buf_addf(out, "[%u]", p->count);
}

static void layout_text(struct buf *out, const struct build *b, const struct parts *p)
{
	buf_addf(out, "v%u has %zu bytes, version %u:", b->number, b->desc->state_size,
	         b->desc->state_version);
	for (uint32_t i = 0; i < p->n; i++) {
		buf_addf(out, "%s %s ", i ? "," : "", p->list[i].name);
		kind_text(out, &p->list[i]);
		buf_addf(out, " at %zu", p->list[i].offset);
	}
	if (p->n == 0)
		buf_adds(out, " no table says of what");
}

/* Why the fields do not go over by name; nothing when they do. */
static void why_not(struct buf *why, const struct build *from, const struct build *to,
                    const struct parts *old, const struct parts *new)
{
	struct span *zeros = calloc((old->n > new->n ? old->n : new->n) + 1, sizeof(*zeros));
	size_t gap = 0;
	uint32_t n;

	if (!zeros) {
		buf_adds(why, "out of memory");
		return;
	}
	if (from->desc->state_version != to->desc->state_version)
		buf_addf(why, "state_version changed from %u to %u", from->desc->state_version,
		         to->desc->state_version);
	for (uint32_t i = 0; i < new->n && !why->text; i++) {
		const struct part *is = &new->list[i], *was = part_named(old, is->name);

		if (!was || kind_like(was, is) || swap_param_named(to->desc, is->name))
			continue;
		buf_addf(why, "field `%s` changed from ", is->name);
		kind_text(why, was);
		buf_adds(why, " to ");
		kind_text(why, is);
	}
	if (!why->text && !explained(old, from->desc->state_size, &gap, zeros, &n))
		buf_addf(why, "no table of v%u says what is in its state from byte %zu on",
		         from->number, gap);
	if (!why->text && !explained(new, to->desc->state_size, &gap, zeros, &n))
		buf_addf(why, "no table of v%u says what is in its state from byte %zu on",
		         to->number, gap);
	free(zeros);
}

static bool add_copy(struct route *route, size_t from, size_t to, size_t size)
{
	struct copy *more = realloc(route->copies, (route->n_copies + 1) * sizeof(*more));

	if (!more)
		return false;
	route->copies = more;
	more[route->n_copies++] = (struct copy){.from = from, .to = to, .size = size};
	return true;
}

/* Field by field. Elements that an array loses must be zero. False: no memory. */
static bool map_fields(struct route *route, const struct parts *old, const struct parts *new,
                       struct buf *words)
{
	uint32_t kept = 0, added = 0, removed = 0;
	struct buf names = {0};
	size_t gap;

	route->zeros = calloc(2 * (size_t)old->n + 1, sizeof(*route->zeros));
	if (!route->zeros)
		return false;
	explained(old, route->from->desc->state_size, &gap, route->zeros, &route->n_zeros);
	for (uint32_t i = 0; i < new->n; i++) {
		const struct part *is = &new->list[i], *was = part_named(old, is->name);
		uint32_t n;

		if (swap_param_named(route->to->desc, is->name))
			continue;
		if (!was || !kind_like(was, is)) {
			buf_addf(&names, "%s`%s`", added++ ? ", " : " (", is->name);
			continue;
		}
		kept++;
		n = was->count < is->count ? was->count : is->count;
		if (!add_copy(route, was->offset, is->offset, n * is->size)) {
			buf_fini(&names);
			return false;
		}
		if (was->count > n)
			route->zeros[route->n_zeros++] = (struct span){
				was->offset + n * was->size, (was->count - n) * was->size};
	}
	for (uint32_t i = 0; i < old->n; i++)
		if (!part_named(new, old->list[i].name) &&
		    !swap_param_named(route->from->desc, old->list[i].name))
			removed++;
	buf_addf(words, "state: %u kept, %u added%s%s, %u removed", kept, added,
	         added && names.text ? names.text : "", added ? ")" : "", removed);
	buf_fini(&names);
	return true;
}

static int refuse(const struct build *from, const struct build *to, const struct parts *old,
                  const struct parts *new, const struct buf *why, struct pc_error **err)
{
	struct buf a = {0}, b = {0};

	layout_text(&a, from, old);
	layout_text(&b, to, new);
	error_set(err, PC_WRONG,
	          "%s\n  %s\n  %s\n  to keep the state, %swrite migrate()%s;\n"
	          "  to lose it, ask for a fresh one (--reset-state)",
	          why->text ? why->text
	                    : "the state has another layout, and no table names its fields",
	          a.text ? a.text : "", b.text ? b.text : "",
	          to->desc->state_version > from->desc->state_version
	                  ? ""
	                  : "raise state_version and ",
	          old->n == 0 || new->n == 0 ? ", or list all its fields in a table" : "");
	buf_fini(&a);
	buf_fini(&b);
	return PC_WRONG;
}

static int choose(struct route *route, unsigned how, const struct parts *old,
                  const struct parts *new, struct buf *words, struct pc_error **err)
{
	const struct build *from = route->from, *to = route->to;
	struct buf why = {0};
	int rc = PC_OK;

	if ((how & SWAP_RESET) || from->desc->state_size == 0 || to->desc->state_size == 0) {
		route->way = WAY_FRESH;
		buf_adds(words, how & SWAP_RESET ? "state: fresh, as asked: the old one is lost"
		                                 : "state: fresh");
		return PC_OK;
	}
	if (same_layout(from, to, old, new)) {
		route->way = WAY_ADOPT;
		buf_adds(words, "state: adopted as it lies");
		return PC_OK;
	}
	why_not(&why, from, to, old, new);
	if (why.failed) {
		rc = PC_NOMEM; /* there is a reason, only no memory to say it */
	} else if (to->desc->state_version < from->desc->state_version && !(how & SWAP_BACK)) {
		rc = refuse(from, to, old, new, &why, err);
	} else if (!why.text) {
		route->way = WAY_MAP;
		rc = map_fields(route, old, new, words) ? PC_OK : PC_NOMEM;
	} else if (to->desc->migrate) {
		route->way = WAY_MIGRATE;
		buf_addf(words, "state: migrated from version %u to %u",
		         from->desc->state_version, to->desc->state_version);
	} else {
		rc = refuse(from, to, old, new, &why, err);
	}
	buf_fini(&why);
	return rc;
}

int swap_route(struct route **ret, const struct build *from, const struct build *to,
               unsigned how, struct pc_error **err)
{
	struct route *route = calloc(1, sizeof(*route));
	struct parts old = {0}, new = {0};
	struct buf words = {0};
	int rc = PC_NOMEM;

	*ret = route;
	if (route && parts_init(&old, from->desc) && parts_init(&new, to->desc)) {
		route->from = from;
		route->to = to;
		rc = choose(route, how, &old, &new, &words, err);
	}
	if (rc == PC_OK && route->way != WAY_FRESH && !swap_param_copies(route, how))
		rc = PC_NOMEM;
	if (rc == PC_OK) {
		swap_param_words(from, to, how, &words);
		route->words = buf_take(&words);
		rc = route->words ? PC_OK : PC_NOMEM;
	}
	buf_fini(&words);
	free(old.list);
	free(new.list);
	if (rc == PC_OK)
		return rc;
	swap_route_free(route);
	*ret = NULL;
	return rc == PC_NOMEM ? error_set(err, rc, "out of memory") : rc;
}

struct route *swap_route_back(const struct build *from, const struct build *to, bool aside)
{
	struct route *route = calloc(1, sizeof(*route));
	struct parts old = {0}, new = {0};
	struct buf words = {0};
	bool ok = route && parts_init(&old, from->desc) && parts_init(&new, to->desc);

	if (ok) {
		route->from = from;
		route->to = to;
		route->way = aside                               ? WAY_ASIDE
		             : same_layout(from, to, &old, &new) ? WAY_ADOPT
		                                                 : WAY_MAP;
		if (route->way == WAY_MAP)
			ok = map_fields(route, &old, &new, &words);
		if (ok && !aside)
			ok = swap_param_copies(route, SWAP_BACK);
		route->n_zeros = 0; /* what is lost is what the new code had put there */
	}
	buf_fini(&words);
	free(old.list);
	free(new.list);
	if (ok)
		return route;
	swap_route_free(route);
	return NULL;
}

void swap_route_free(struct route *route)
{
	while (route) {
		struct route *next = route->next;

		for (uint32_t i = 0; i < route->n_copies; i++)
			free(route->copies[i].numbers);
		free(route->copies);
		free(route->sets);
		free(route->zeros);
		free(route->words);
		free(route);
		route = next;
	}
}
