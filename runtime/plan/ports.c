/* plan/ports.c: which port of a stage the end of an arrow means.
 *
 * Called by wiring.c on the control thread. Without a name it is `in` or `out`, or the only port
 * there is. In the middle of a chain an end is the target of one arrow and the source of the
 * next: a named port then counts for the side that has it, and the other side takes its default. */
#include "plan/make.h"

#include <string.h>

/* One side of a stage. */
struct side {
	const struct pc_port *ports;
	uint32_t n;
	const char *usual;     /* "in" */
	const char *word;      /* "input" */
	const char *direction; /* "end": what an arrow can't do at this stage when n is 0 */
};

static struct side side_of(const struct pc_stage_desc *d, bool input)
{
	if (input)
		return (struct side){d->inputs, d->n_inputs, "in", "input", "end"};
	return (struct side){d->outputs, d->n_outputs, "out", "output", "begin"};
}

static uint32_t port_named(const struct side *side, struct lang_name name)
{
	for (uint32_t i = 0; i < side->n; i++)
		if (plan_name_is(name, side->ports[i].name))
			return i;
	return PLAN_NONE;
}

static void list_ports(struct make *m, struct diag *e, const char *stage,
                       const struct side *side)
{
	struct buf names = {0};

	for (uint32_t i = 0; i < side->n; i++)
		buf_addf(&names, "%s%s", i ? ", " : "", side->ports[i].name);
	diag_note(m->diags, e, (struct diag_span){0}, "the %ss of '%s': %s", side->word, stage,
	          names.text ? names.text : "none");
	buf_fini(&names);
}

static void unknown_port(struct make *m, const char *stage, struct lang_name name,
                         const struct side *side, const struct side *other)
{
	struct near near = NEAR_INIT(name.text, name.size);
	struct diag *e;

	if (port_named(other, name) != PLAN_NONE) {
		e = diag_error(m->diags, name.span,
		               "'%s' is an %s of '%s': an arrow can't %s there", name.text,
		               other->word, stage, side->direction);
		list_ports(m, e, stage, side);
		return;
	}
	e = diag_error(m->diags, name.span, "'%s' has no %s '%s'", stage, side->word,
	               name.text);
	for (uint32_t i = 0; i < side->n; i++)
		near_offer(&near, side->ports[i].name);
	plan_hint_near(m, e, &near);
	if (!near.best)
		list_ports(m, e, stage, side);
}

static bool find(struct make *m, uint32_t stage, const struct lang_end *end, bool input,
                 bool in_middle, uint32_t *ret)
{
	const struct pc_stage_desc *desc = m->plan->stages[stage].desc;
	struct side side = side_of(desc, input), other = side_of(desc, !input);
	const char *name = plan_shown(m, stage);
	struct lang_name usual = {side.usual, strlen(side.usual), {0}};
	struct diag *e;

	if (side.n == 0) {
		diag_error(m->diags, end->span, "'%s' has no %s: no arrow can %s at it", name,
		           side.word, side.direction);
		return false;
	}
	if (end->port.text) {
		*ret = port_named(&side, end->port);
		if (*ret != PLAN_NONE)
			return true;
		if (!in_middle || port_named(&other, end->port) == PLAN_NONE) {
			/* Once for both sides. */
			if (!in_middle || input)
				unknown_port(m, name, end->port, &side, &other);
			return false;
		}
	}
	*ret = side.n == 1 ? 0 : port_named(&side, usual);
	if (*ret != PLAN_NONE)
		return true;
	e = diag_error(m->diags, end->span, "'%s' has several %ss: name the one that is meant",
	               name, side.word);
	diag_hint(m->diags, e, "%s.%s", end->call.plugin.text, side.ports[0].name);
	list_ports(m, e, name, &side);
	return false;
}

bool plan_port_in(struct make *m, uint32_t stage, const struct lang_end *end, bool last,
                  uint32_t *ret)
{
	return m->plan->stages[stage].desc && find(m, stage, end, true, !last, ret);
}

bool plan_port_out(struct make *m, uint32_t stage, const struct lang_end *end, bool first,
                   uint32_t *ret)
{
	return m->plan->stages[stage].desc && find(m, stage, end, false, !first, ret);
}
