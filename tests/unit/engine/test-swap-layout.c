/* test-swap-layout.c: which route there is from one state to another, and why not.
 *
 * That the bytes then go where they should is tests/stress/swap/state.c's. */
#include "world.h"

#define FIELD(S, f, k)                                                                         \
	{                                                                                      \
#f, k, 1, offsetof(struct S, f), sizeof(((struct S *)0)->f)                    \
	}

struct a {
	uint64_t limit, count;
	uint32_t few;
};
static const struct pc_field a_fields[] = {FIELD(a, count, PC_T_U64), FIELD(a, few, 0)};
static const struct pc_param a_params[] = {PC_PARAM_U64(struct a, limit, "1", NULL, NULL, "")};

struct b {
	uint64_t count, limit;
	uint32_t few;
	bool flag;
};
static const struct pc_field b_fields[] = {FIELD(b, count, PC_T_U64), FIELD(b, few, 0),
                                           FIELD(b, flag, PC_T_BOOL)};
static const struct pc_param b_params[] = {PC_PARAM_U64(struct b, limit, "1", NULL, NULL, "")};

static int migrate(struct pc_stage *st, uint32_t version, const void *old, size_t size,
                   void *new)
{
	(void)st;
	(void)version;
	(void)old;
	(void)size;
	(void)new;
	return PC_OK;
}

static void a(struct pc_stage_desc *d, bool table)
{
	d->state_size = sizeof(struct a);
	d->params = a_params;
	d->n_params = 1;
	d->fields = a_fields;
	d->n_fields = table ? 2 : 0;
}

static void b(struct pc_stage_desc *d, bool table)
{
	d->state_size = sizeof(struct b);
	d->params = b_params;
	d->n_params = 1;
	d->fields = b_fields;
	d->n_fields = table ? 3 : 0;
}

static void begin(struct world *w)
{
	world_init(w);
	w->values[0] = 1;
}

Test(swap_layout, the_same)
{
	struct world w;

	begin(&w);
	a(&w.old, true);
	a(&w.new, true);
	cr_assert_eq(world_route(&w, 0), PC_OK);
	cr_expect(w.route->way == WAY_ADOPT && w.route->n_copies == 0 && w.route->n_sets == 0);
	world_tells(&w, "adopted");
	world_fini(&w);
}

Test(swap_layout, rows_in_another_order_are_the_same)
{
	static const struct pc_field turned[] = {FIELD(a, few, 0), FIELD(a, count, PC_T_U64)};
	struct world w;

	begin(&w);
	a(&w.old, true);
	a(&w.new, true);
	w.new.fields = turned;
	cr_assert_eq(world_route(&w, 0), PC_OK);
	cr_expect_eq(w.route->way, WAY_ADOPT);
	world_fini(&w);
}

Test(swap_layout, fields_move)
{
	struct world w;

	begin(&w);
	a(&w.old, true);
	b(&w.new, true);
	cr_assert_eq(world_route(&w, 0), PC_OK);
	cr_expect_eq(w.route->way, WAY_MAP);
	world_tells(&w, "2 kept, 1 added (`flag`), 0 removed");
	cr_expect_eq(w.route->n_copies, 3, "the parameter, too");
	cr_expect(w.route->n_zeros == 1 && w.route->zeros[0].offset == 20 &&
	                  w.route->zeros[0].size == 4,
	          "the padding at the end");
	world_fini(&w);
}

Test(swap_layout, a_parameter_that_moves_tells_without_a_table)
{
	struct world w;

	begin(&w);
	a(&w.old, false);
	b(&w.new, false);
	cr_assert_eq(w.old.state_size, w.new.state_size);
	cr_expect_eq(world_route(&w, 0), PC_WRONG);
	world_says(&w, "no table of v1 says what is in its state from byte 8 on");
	world_fini(&w);
}

Test(swap_layout, parameters_alone_need_no_table)
{
	struct {
		uint64_t limit;
		bool on;
	} * values;
	struct pc_param more[2] = {a_params[0],
	                           {"on", PC_T_BOOL, 0, 8, "true", NULL, NULL, NULL, ""}};
	struct world w;

	begin(&w);
	a(&w.old, false);
	a(&w.new, false);
	w.old.state_size = 8;
	w.new.state_size = sizeof(*values);
	w.new.params = more;
	w.new.n_params = 2;
	cr_assert_eq(world_route(&w, 0), PC_OK, "%s", pc_error_text(w.err));
	cr_expect_eq(w.route->way, WAY_MAP);
	values = w.to.own_params;
	cr_expect(values->limit == 1 && values->on);
	world_fini(&w);
}

Test(swap_layout, no_state_at_all)
{
	struct world w;

	begin(&w);
	a(&w.new, true);
	cr_assert_eq(world_route(&w, 0), PC_OK);
	cr_expect_eq(w.route->way, WAY_FRESH);
	world_fini(&w);
}

Test(swap_layout, a_gap_that_no_padding_can_be)
{
	struct world w;

	begin(&w);
	a(&w.old, true);
	b(&w.new, true);
	w.new.state_size += 8;
	cr_expect_eq(world_route(&w, 0), PC_WRONG);
	world_says(&w, "no table of v2 says what is in its state from byte 21 on");
	world_fini(&w);
}

Test(swap_layout, another_kind)
{
	struct pc_field fields[2] = {a_fields[0], a_fields[1]};
	struct world w;

	begin(&w);
	a(&w.old, true);
	a(&w.new, true);
	fields[1].kind = PC_T_ENUM;
	w.new.fields = fields;
	cr_expect_eq(world_route(&w, 0), PC_WRONG);
	world_says(&w, "field `few` changed from 4 bytes to enum");
	world_says(&w,
	           "v1 has 24 bytes, version 0: limit u64 at 0, count u64 at 8, few 4 bytes");
	world_says(&w, "few enum at 16");
	w.new.migrate = migrate;
	cr_assert_eq(swap_route(&w.route, &w.from, &w.to, 0, NULL), PC_OK);
	cr_expect_eq(w.route->way, WAY_MIGRATE);
	world_fini(&w);
}

Test(swap_layout, versions)
{
	struct world w;

	begin(&w);
	a(&w.old, true);
	a(&w.new, true);
	w.new.state_version = 1;
	cr_expect_eq(world_route(&w, 0), PC_WRONG);
	world_says(&w, "state_version changed from 0 to 1");
	w.new.migrate = migrate;
	cr_assert_eq(swap_route(&w.route, &w.from, &w.to, 0, NULL), PC_OK);
	cr_expect_eq(w.route->way, WAY_MIGRATE);
	swap_route_free(w.route);
	w.old.state_version = 2;
	cr_expect_eq(swap_route(&w.route, &w.from, &w.to, 0, NULL), PC_WRONG, "lower");
	cr_assert_eq(swap_route(&w.route, &w.from, &w.to, SWAP_BACK, NULL), PC_OK);
	cr_expect_eq(w.route->way, WAY_MIGRATE, "but back is what was asked for");
	world_fini(&w);
}

Test(swap_layout, a_fresh_state_is_always_possible)
{
	struct world w;

	begin(&w);
	a(&w.old, true);
	b(&w.new, false);
	w.new.state_version = 7;
	cr_assert_eq(world_route(&w, SWAP_RESET), PC_OK);
	cr_expect_eq(w.route->way, WAY_FRESH);
	world_tells(&w, "lost");
	world_fini(&w);
}

Test(swap_layout, the_way_back)
{
	struct world w;

	begin(&w);
	a(&w.old, true);
	b(&w.new, true);
	cr_assert_eq(world_route(&w, 0), PC_OK);
	swap_route_free(w.route);
	w.route = swap_route_back(&w.to, &w.from, false);
	cr_expect(w.route->way == WAY_MAP && w.route->n_zeros == 0);
	swap_route_free(w.route);
	w.route = swap_route_back(&w.to, &w.from, true);
	cr_expect(w.route->way == WAY_ASIDE && w.route->n_copies == 0);
	swap_route_free(w.route);
	w.route = swap_route_back(&w.from, &w.from, false);
	cr_expect_eq(w.route->way, WAY_ADOPT);
	world_fini(&w);
}
