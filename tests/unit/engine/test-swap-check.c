/* test-swap-check.c: whether a build may stand in for another in a graph: kind and ports. */
#include "world.h"

static struct pc_port in[3], out[3], new_in[3], new_out[3];

static void begin(struct world *w)
{
	world_init(w);
	in[0] = (struct pc_port){"in", "text/line", 0, ""};
	in[1] = (struct pc_port){"side", "u64", 0, ""};
	out[0] = (struct pc_port){"out", "=in", 0, ""};
	out[1] = (struct pc_port){"unused", "u64", 0, ""};
	memcpy(new_in, in, sizeof(in));
	memcpy(new_out, out, sizeof(out));
	w->old.inputs = in;
	w->old.n_inputs = 2;
	w->old.outputs = out;
	w->old.n_outputs = 2;
	w->new = w->old;
	w->new.inputs = new_in;
	w->new.outputs = new_out;
}

static int check(struct world *w, unsigned how)
{
	return swap_check(&w->s, &w->from, &w->to, how, &w->err);
}

Test(swap_check, the_same_ports)
{
	struct world w;

	begin(&w);
	cr_expect_eq(check(&w, 0), PC_OK);
	cr_expect(!w.to.in_ports && !w.to.out_ports, "nothing to translate");
	world_fini(&w);
}

Test(swap_check, another_order)
{
	struct world w;

	begin(&w);
	new_in[0] = in[1];
	new_in[1] = in[0];
	new_out[0] = out[1];
	new_out[1] = out[0];
	cr_expect_eq(check(&w, 0), PC_OK, "%s", pc_error_text(w.err));
	cr_assert(w.to.in_ports && w.to.out_ports);
	cr_expect(w.to.in_ports[0] == 1 && w.to.in_ports[1] == 0);
	cr_expect(w.to.out_ports[0] == 1 && w.to.out_ports[1] == 0);
	world_fini(&w);
}

Test(swap_check, a_new_output_is_not_wired)
{
	struct world w;

	begin(&w);
	new_out[2] = (struct pc_port){"errors", "text/line", 0, ""};
	w.new.n_outputs = 3;
	cr_expect_eq(check(&w, 0), PC_OK);
	cr_expect_null(w.to.out_ports, "at the end: the others are where they were");
	new_out[0] = new_out[2];
	new_out[2] = out[0];
	cr_expect_eq(check(&w, 0), PC_OK);
	cr_assert(w.to.out_ports);
	cr_expect(w.to.out_ports[0] == PLAN_NONE && w.to.out_ports[2] == 0);
	free(w.to.out_ports);
	w.to.out_ports = NULL;
	new_out[0].flags = PC_REQUIRED;
	cr_expect_eq(check(&w, 0), PC_WRONG);
	world_says(&w, "output 'errors' is new and must be wired");
	world_fini(&w);
}

Test(swap_check, outputs_go)
{
	struct world w;

	begin(&w);
	w.new.n_outputs = 1;
	cr_expect_eq(check(&w, 0), PC_OK, "nobody reads it");
	new_out[0].name = "output";
	cr_expect_eq(check(&w, 0), PC_WRONG);
	world_says(&w, "output 'out' is gone, which 'drain' reads");
	world_fini(&w);
}

Test(swap_check, output_types)
{
	struct world w;

	begin(&w);
	new_out[0].type = "text/line";
	cr_expect_eq(check(&w, 0), PC_OK, "that is what =in has meant");
	new_out[0].type = "u64";
	cr_expect_eq(check(&w, 0), PC_WRONG);
	world_says(&w, "output 'out' sends u64 now instead of text/line, which 'drain' reads");
	world_fini(&w);
}

Test(swap_check, inputs)
{
	struct world w;

	begin(&w);
	new_in[0].type = "text/*";
	cr_expect_eq(check(&w, 0), PC_OK);
	new_in[0].type = "bytes";
	cr_expect_eq(check(&w, 0), PC_WRONG);
	world_says(&w, "input 'in' takes bytes now, but 'pump' sends text/line");
	pc_error_free(w.err);
	w.err = NULL;
	new_in[0] = (struct pc_port){"input", "text/line", 0, ""};
	cr_expect_eq(check(&w, 0), PC_WRONG);
	world_says(&w, "input 'in' is gone, which 'pump' writes to");
	pc_error_free(w.err);
	w.err = NULL;
	new_in[0] = in[0];
	new_in[2] = (struct pc_port){"third", "*", 0, ""};
	w.new.n_inputs = 3;
	cr_expect_eq(check(&w, 0), PC_WRONG);
	world_says(&w, "it has 3 inputs instead of 2");
	world_fini(&w);
}

Test(swap_check, kinds)
{
	struct world w;

	begin(&w);
	w.new.flags = PC_BLOCKING;
	cr_expect_eq(check(&w, 0), PC_WRONG);
	world_says(&w, "thread=own");
	w.stages[1].own_thread = true;
	cr_expect_eq(check(&w, 0), PC_OK);
	pc_error_free(w.err);
	w.err = NULL;
	w.new.flags = PC_SINGLE;
	cr_expect_eq(check(&w, 0), PC_WRONG);
	world_says(&w, "one replica only (PC_SINGLE), and the graph has 4");
	pc_error_free(w.err);
	w.err = NULL;
	w.new.flags = 0;
	w.new.name = "other";
	cr_expect_eq(check(&w, 0), PC_WRONG);
	world_says(&w, "another stage, 'other' and not 'subject'");
	cr_expect_eq(check(&w, SWAP_RESET), PC_OK);
	world_fini(&w);
}
