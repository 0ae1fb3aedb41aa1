/* say: say something, wait, say something else, end.
 *
 * A stage without ports, for graphs that show who lives how long: as a daemon it may be stopped
 * while it waits, and then never says the second thing. */
#include "lesson.h"

struct say {
	const char *text;
	const char *then;
	int64_t wait;
	/* ours */
	bool said; /* the first text */
};

static const struct pc_param say_params[] = {
	PC_PARAM_STRING(struct say, text, NULL, "said at once; empty: nothing"),
	PC_PARAM_STRING(struct say, then, "", "said after `wait`; empty: nothing"),
	PC_PARAM_DURATION(struct say, wait, "0", NULL, "how long it waits in between"),
};

static int say_produce(struct pc_stage *st, void *state)
{
	struct say *s = state;
	int r = PC_OK;

	if (!s->said) {
		s->said = true;
		if (*s->text != '\0')
			r = lesson_tell(st, "%s\n", s->text);
		return r;
	}
	r = pc_sleep(st, s->wait);
	if (r == PC_OK && *s->then != '\0')
		r = lesson_tell(st, "%s\n", s->then);
	return r == PC_OK ? PC_END : r;
}

PC_STAGE(.name = "say", .doc = "say something, wait, say something else",
         .flags = PC_BLOCKING | PC_STDOUT, PC_PARAMS(say_params), PC_STATE(struct say),
         .state_version = 1, .produce = say_produce);
