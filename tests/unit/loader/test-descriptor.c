/* test-descriptor.c: each way in which a descriptor can be wrong has its own sentence, garbage is a
 * message and not a signal, and rows of other sizes than this host's are understood. */
#include "base/arena.h"
#include "loader/descriptor.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

TestSuite(descriptor, .timeout = 60);

struct state {
	int64_t number;
	uint64_t count;
	double ratio;
	const char *text;
	int64_t wait;
	uint32_t mode;
	bool flag;
};

static int work(struct pc_stage *st, void *state, struct pc_item *item)
{
	(void)st;
	(void)state;
	(void)item;
	return PC_OK;
}

static int work_batch(struct pc_stage *st, void *state, struct pc_item *const *items,
                      unsigned n)
{
	(void)st;
	(void)state;
	(void)items;
	(void)n;
	return PC_OK;
}

static int make(struct pc_stage *st, void *state)
{
	(void)st;
	(void)state;
	return PC_END;
}

/* A good descriptor with everything in it, to be spoilt. */
struct made {
	struct pc_port in[2], out[2];
	struct pc_param params[7];
	struct pc_field fields[2];
	const char *modes[4];
	struct pc_stage_desc desc;
};

static void fill(struct made *m)
{
	const struct made made = {
		.in = {{"in", "text/line", 0, "lines"}, {"side", "*", 0, NULL}},
		.out = {{"out", "=in", PC_REQUIRED, "the same"}, {"errors", "text/*", 0, ""}},
		.params = {PC_PARAM_I64(struct state, number, "-5", "-10..64", "items",
	                                "a number"),
	                   PC_PARAM_U64(struct state, count, "4k", "1..", NULL, "a count"),
	                   PC_PARAM_F64(struct state, ratio, "0.25", "..0.5", NULL, NULL),
	                   PC_PARAM_STRING(struct state, text, NULL, "must be given"),
	                   PC_PARAM_DURATION(struct state, wait, "250ms", "1ms..1h", "a wait"),
	                   PC_PARAM_ENUM(struct state, mode, "fast", NULL, "how"),
	                   PC_PARAM_BOOL(struct state, flag, "no", "whether")},
		.fields = {{"number", PC_T_I64, 1, offsetof(struct state, number), 8},
	                   {"raw", 0, 4, offsetof(struct state, mode), 1}},
		.modes = {"slow", "fast", "fastest", NULL},
	};

	*m = made;
	m->params[5].names = m->modes;
	m->desc = (struct pc_stage_desc){
		PC_STAGE_MAGIC,
		PC_ABI_MAJOR,
		PC_ABI_MINOR,
		sizeof(struct pc_stage_desc),
		0,
		.name = "made",
		.doc = "all",
		.version = "1.2",
		PC_INPUTS(m->in),
		PC_OUTPUTS(m->out),
		PC_PARAMS(m->params),
		PC_STATE(struct state),
		PC_FIELDS(m->fields),
		.process = work,
	};
}

static int look(const void *desc, struct arena *arena, struct pc_stage_desc **ret,
                struct pc_error **err)
{
	int r = descriptor_copy(arena, desc, "x.so", ret, err);

	return r == PC_OK ? descriptor_rules(*ret, "x.so", err) : r;
}

static void refused(const struct pc_stage_desc *desc, const char *text)
{
	struct arena arena = {0};
	struct pc_stage_desc *copy;
	struct pc_error *err = NULL;
	int r = look(desc, &arena, &copy, &err);

	cr_expect(r == PC_WRONG, "code %d, expected '%s': %s", r, text, pc_error_text(err));
	cr_expect(strstr(pc_error_text(err), text), "expected '%s' in: %s", text,
	          pc_error_text(err));
	cr_expect(strncmp(pc_error_text(err), "x.so ", 5) == 0, "no file in: %s",
	          pc_error_text(err));
	pc_error_free(err);
	arena_fini(&arena);
}

static void accepted(const struct pc_stage_desc *desc, const char *what)
{
	struct arena arena = {0};
	struct pc_stage_desc *copy;
	struct pc_error *err = NULL;
	int r = look(desc, &arena, &copy, &err);

	cr_expect(r == PC_OK, "%s: %s", what, pc_error_text(err));
	pc_error_free(err);
	arena_fini(&arena);
}

#define REFUSED(change, text)                                                                  \
	do {                                                                                   \
		struct made m;                                                                 \
		fill(&m);                                                                      \
		change;                                                                        \
		refused(&m.desc, text);                                                        \
	} while (0)
#define ACCEPTED(change)                                                                       \
	do {                                                                                   \
		struct made m;                                                                 \
		fill(&m);                                                                      \
		change;                                                                        \
		accepted(&m.desc, #change);                                                    \
	} while (0)

Test(descriptor, the_copy_says_the_same_and_points_nowhere_else)
{
	struct arena arena = {0};
	struct pc_stage_desc *copy;
	struct pc_error *err = NULL;
	struct made *m = malloc(sizeof(*m));

	fill(m);
	cr_assert(look(&m->desc, &arena, &copy, &err) == PC_OK, "%s", pc_error_text(err));
	memset(m, 0xee, sizeof(*m));
	free(m);
	cr_expect_str_eq(copy->name, "made");
	cr_expect_str_eq(copy->doc, "all");
	cr_expect_str_eq(copy->version, "1.2");
	cr_expect(copy->size == sizeof(*copy));
	cr_expect(copy->n_inputs == 2 && copy->n_outputs == 2 && copy->n_params == 7);
	cr_expect_str_eq(copy->inputs[0].type, "text/line");
	cr_expect_str_eq(copy->inputs[1].doc, "", "a NULL doc reads as empty");
	cr_expect_str_eq(copy->outputs[1].name, "errors");
	cr_expect(copy->outputs[0].flags == PC_REQUIRED);
	cr_expect_str_eq(copy->params[0].range, "-10..64");
	cr_expect_str_eq(copy->params[0].unit, "items");
	cr_expect(copy->params[3].def == NULL && copy->params[3].range == NULL);
	cr_expect_str_eq(copy->params[2].doc, "");
	cr_expect_str_eq(copy->params[5].names[2], "fastest");
	cr_expect(copy->params[5].names[3] == NULL);
	cr_expect_str_eq(copy->fields[1].name, "raw");
	cr_expect(copy->process == work && copy->open == NULL);
	arena_fini(&arena);
}

Test(descriptor, heads)
{
	REFUSED(m.desc.magic = 1, "is not a descriptor");
	REFUSED(m.desc.abi_major = 2, "built for ABI 2, this pcrun speaks 1; rebuild it");
	REFUSED(m.desc.abi_major = 0, "built for ABI 0");
	REFUSED(m.desc.required = 1, "needs features of a newer pcrun (0x1)");
	REFUSED(m.desc.size = offsetof(struct pc_stage_desc, closed) - 1,
	        "no pcrun had less than");
	REFUSED(m.desc.size = 16, "has 16 bytes");
	ACCEPTED(m.desc.abi_minor = 999);
}

Test(descriptor, names)
{
	REFUSED(m.desc.name = NULL, "has no name");
	REFUSED(m.desc.name = "", "its name '' is not a name");
	REFUSED(m.desc.name = "9lives", "its name '9lives' is not a name");
	REFUSED(m.desc.name = "a b", "its name 'a b' is not a name");
	REFUSED(m.desc.name = "../evil", "is not a name");
	REFUSED(m.in[1].name = NULL, "input 2 has no name");
	REFUSED(m.out[0].name = "o ut", "the name 'o ut' of output 1");
	REFUSED(m.in[1].name = "in", "two inputs are called 'in'");
	REFUSED(m.out[1].name = "out", "two outputs are called 'out'");
	REFUSED(m.params[2].name = "count", "two parameters are called 'count'");
	REFUSED(m.params[2].name = NULL, "parameter 3 has no name");
	REFUSED(m.fields[1].name = "number", "two fields are called 'number'");
	REFUSED(m.fields[1].name = NULL, "field 2 has no name");
	ACCEPTED(m.out[0].name = "in");
	ACCEPTED(m.desc.name = "a-b_9");
	ACCEPTED(m.desc.doc = NULL; m.desc.version = NULL);
}

Test(descriptor, ports)
{
	REFUSED(m.in[0].type = NULL, "input 'in' has no type");
	REFUSED(m.in[0].type = "", "the type '' of input 'in'");
	REFUSED(m.in[0].type = "text line", "the type 'text line'");
	REFUSED(m.in[0].type = "te*t", "the type 'te*t'");
	REFUSED(m.in[0].type = "text*", "the type 'text*'");
	REFUSED(m.in[0].type = "=side", "which only outputs can have");
	REFUSED(m.out[0].type = "=nothing", "there is no such input");
	REFUSED(m.out[0].type = "=", "there is no such input");
	ACCEPTED(m.out[0].type = "=side");
	ACCEPTED(m.in[0].type = "image/rgb8+alpha");
}

Test(descriptor, parameters)
{
	REFUSED(m.params[0].type = 99, "parameter 'number' has type 99");
	REFUSED(m.params[0].type = 0, "parameter 'number' has type 0");
	REFUSED(m.params[0].offset = sizeof(struct state),
	        "stands at bytes 48+8, the state has 48");
	REFUSED(m.params[0].offset = SIZE_MAX - 3, "parameter 'number' stands at bytes");
	REFUSED(m.desc.state_size = 8, "the state has 8");
	REFUSED(m.params[1].offset = 4, "is not aligned");
	REFUSED(m.params[1].offset = 0, "'number' and 'count' stand on the same bytes");
	REFUSED(m.params[0].def = "five", "the default of parameter 'number': 'five' is not");
	REFUSED(m.params[0].def = "65", "65 is outside -10..64 items");
	REFUSED(m.params[0].def = "-11", "-11 is outside -10..64");
	REFUSED(m.params[1].def = "-1", "'-1' is negative");
	REFUSED(m.params[1].def = "99999999999999999999", "does not fit");
	REFUSED(m.params[2].def = "0.51", "outside ..0.5");
	REFUSED(m.params[4].def = "250", "the default of parameter 'wait': '250' is not");
	REFUSED(m.params[4].def = "2h", "outside 1ms..1h");
	REFUSED(m.params[5].def = "fas",
	        "is none of slow, fast, fastest; did you mean 'fast'?");
	REFUSED(m.params[6].def = "maybe", "'maybe' is not");
	REFUSED(m.params[0].range = "1-64", "'1-64' is not a range");
	REFUSED(m.params[0].range = "..", "'..' is not a range");
	REFUSED(m.params[0].range = "a..b", "'a..b' is not a range");
	REFUSED(m.params[0].range = "64..-10", "the range 64..-10 is empty");
	REFUSED(m.params[4].range = "1..2", "'1..2' is not a range");
	REFUSED(m.params[3].range = "1..2", "has no range");
	REFUSED(m.params[6].range = "no..yes", "has no range");
	REFUSED(m.params[5].names = NULL, "is an enum without names");
	REFUSED(m.modes[0] = NULL, "is an enum without names");
	REFUSED(m.modes[1] = "slow", "has the value 'slow' twice");
	REFUSED(m.modes[0] = "", "an empty name");
	REFUSED(m.params[0].flags = PC_READS_SHARED,
	        "'number' names shared state, so it must be");
	REFUSED(m.params[1].flags = PC_UPDATES_SHARED, "'count' names shared state");
	ACCEPTED(m.params[3].flags = PC_READS_SHARED);
	ACCEPTED(m.params[0].def = NULL);
	ACCEPTED(m.params[0].range = "-10.."; m.params[0].def = "9_000");
	ACCEPTED(m.desc.n_params = 0; m.desc.params = NULL; m.desc.param_size = 0);
}

Test(descriptor, fields)
{
	REFUSED(m.fields[0].size = 4, "field 'number' of kind 2 has 4 bytes");
	REFUSED(m.fields[0].kind = 99, "field 'number' of kind 99");
	REFUSED(m.fields[1].count = 0, "field 'raw' does not lie in the state");
	REFUSED(m.fields[1].size = 0, "field 'raw' does not lie in the state");
	REFUSED(m.fields[1].count = 200, "field 'raw' does not lie in the state");
	REFUSED(m.fields[1].offset = SIZE_MAX, "field 'raw' does not lie in the state");
	REFUSED(m.fields[1].count = UINT32_MAX;
	        m.fields[1].size = SIZE_MAX / 2, "does not lie");
	REFUSED(m.desc.state_size = SIZE_MAX, "its state has");
}

Test(descriptor, work)
{
	REFUSED(m.desc.process = NULL, "neither process nor process_batch");
	REFUSED(m.desc.process_batch = work_batch, "both process and process_batch");
	REFUSED(m.desc.produce = make, "both produce and an input");
	REFUSED(m.desc.n_inputs = 0; m.out[0].type = "*", "has process but no input");
	REFUSED(m.desc.n_inputs = 0; m.out[0].type = "*";
	        m.desc.process = NULL, "neither an input nor produce");
	ACCEPTED(m.desc.n_inputs = 0; m.out[0].type = "*"; m.desc.process = NULL;
	         m.desc.produce = make);
	ACCEPTED(m.desc.process = NULL; m.desc.process_batch = work_batch);
}

Test(descriptor, tables_that_are_not_there)
{
	char endless[5000] = {0};

	memset(endless, 'a', sizeof(endless) - 1);
	REFUSED(m.desc.inputs = NULL, "inputs points to nothing");
	REFUSED(m.desc.outputs = (void *)0x1000, "outputs points to nothing");
	REFUSED(m.desc.params = (void *)-16, "parameters points to nothing");
	REFUSED(m.desc.name = (const char *)0x10, "name points to nothing");
	REFUSED(m.desc.name = (const char *)-1, "name points to nothing");
	REFUSED(m.params[1].doc = (const char *)0x10, "parameters points to nothing");
	REFUSED(m.params[5].names = (const char *const *)0x10,
	        "enum's names points to nothing");
	REFUSED(m.modes[2] = (const char *)0x10, "enum's names points to nothing");
	REFUSED(m.desc.name = endless, "name is longer than 4095 bytes");
	REFUSED(m.desc.n_params = UINT32_MAX, "says it has 4294967295 parameters");
	REFUSED(m.desc.param_size = 8, "a row of its parameters has 8 bytes");
	REFUSED(m.desc.input_size = 0, "a row of its inputs has 0 bytes");
	REFUSED(m.desc.open = (int (*)(struct pc_stage *, void *))0x1234,
	        "open points to nothing");
}

/* A stage of ABI 1.x whose structs have grown at their ends. */
Test(descriptor, longer_structs_are_cut)
{
	struct grown_port {
		struct pc_port port;
		uint64_t news[3];
	} in[2];
	struct grown_desc {
		struct pc_stage_desc desc;
		uint64_t news[10];
	} grown;
	struct arena arena = {0};
	struct pc_stage_desc *copy;
	struct pc_error *err = NULL;
	struct made m;

	fill(&m);
	memset(in, 0xaa, sizeof(in));
	in[0].port = m.in[0];
	in[1].port = m.in[1];
	memset(&grown, 0xaa, sizeof(grown));
	grown.desc = m.desc;
	grown.desc.size = sizeof(grown);
	grown.desc.inputs = &in[0].port;
	grown.desc.input_size = sizeof(in[0]);
	cr_assert(look(&grown.desc, &arena, &copy, &err) == PC_OK, "%s", pc_error_text(err));
	cr_expect(copy->size == sizeof(*copy) && copy->input_size == sizeof(struct pc_port));
	cr_expect_str_eq(copy->inputs[0].name, "in");
	cr_expect_str_eq(copy->inputs[1].name, "side");
	arena_fini(&arena);
}

/* A stage of ABI 1.0: what stands behind its descriptor is not its own. */
Test(descriptor, shorter_structs_read_as_zero)
{
	struct arena arena = {0};
	struct pc_stage_desc *copy;
	struct pc_error *err = NULL;
	struct made m;

	fill(&m);
	m.desc.size = offsetof(struct pc_stage_desc, closed);
	m.desc.closed = (int (*)(struct pc_stage *, void *, unsigned))0x1234;
	cr_assert(look(&m.desc, &arena, &copy, &err) == PC_OK, "%s", pc_error_text(err));
	cr_expect(copy->closed == NULL && copy->process == work);
	cr_expect(copy->size == sizeof(*copy));
	arena_fini(&arena);
}

/* 10,000 descriptors with random words in them: any verdict, no signal. */
Test(descriptor, garbage)
{
	unsigned seed = 7, good = 0;

	for (unsigned round = 0; round < 10000; round++) {
		struct arena arena = {0};
		struct pc_stage_desc *copy;
		struct pc_error *err = NULL;
		struct made m;
		unsigned char *bytes = (unsigned char *)&m;

		fill(&m);
		for (unsigned i = 0; i < 1 + round % 4; i++) {
			size_t at;

			seed = seed * 1103515245 + 12345;
			at = (seed >> 8) % sizeof(m);
			if (at >= offsetof(struct made, desc) &&
			    at < offsetof(struct made, desc.name))
				continue; /* the frozen bytes: see the other tests */
			bytes[at] = (unsigned char)(seed >> 3);
		}
		good += look(&m.desc, &arena, &copy, &err) == PC_OK;
		pc_error_free(err);
		arena_fini(&arena);
	}
	cr_expect(good > 0 && good < 10000, "%u were good", good);
}
