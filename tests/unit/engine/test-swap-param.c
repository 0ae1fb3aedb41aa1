/* test-swap-param.c: parameters at a swap: kept, added, removed, retyped, out of range. */
#include "world.h"

struct old {
	uint64_t threshold, other;
	double ratio;
	int64_t wait;
	const char *pattern;
	uint32_t mode;
	bool on;
};

static const char *const modes[] = {"slow", "fast", "wild", NULL};
static const char *const other_modes[] = {"fast", "slow", NULL};

static const struct pc_param old_params[] = {
	PC_PARAM_U64(struct old, threshold, "10", "1..100", NULL, ""),
	PC_PARAM_F64(struct old, ratio, "0.5", NULL, NULL, ""),
	PC_PARAM_DURATION(struct old, wait, "250ms", NULL, ""),
	PC_PARAM_STRING(struct old, pattern, "x*", ""),
	PC_PARAM_ENUM(struct old, mode, "slow", modes, ""),
	PC_PARAM_BOOL(struct old, on, "true", ""),
};

static struct pc_param new_params[8];

/* The old build's values are the defaults; the new build's rows are the same. */
static struct old *begin(struct world *w)
{
	struct old *values = (struct old *)(void *)w->values;

	world_init(w);
	*values = (struct old){10, 0, 0.5, 250 * PC_MS, "x*", 0, true};
	memcpy(new_params, old_params, sizeof(old_params));
	w->old.params = old_params;
	w->old.n_params = PC_COUNT(old_params);
	w->new.params = new_params;
	w->new.n_params = PC_COUNT(old_params);
	w->old.state_size = w->new.state_size = sizeof(struct old);
	return values;
}

static const struct old *now(const struct world *w)
{
	return w->to.params;
}

Test(swap_param, all_types_go_over)
{
	struct world w;
	struct old *values = begin(&w);

	*values = (struct old){77, 0, 0.1, 1500 * PC_US, "a \"b\"", 2, false};
	cr_assert_eq(world_params(&w, 0), PC_OK, "%s", pc_error_text(w.err));
	cr_expect(now(&w)->threshold == 77 && now(&w)->ratio == 0.1);
	cr_expect(now(&w)->wait == 1500 * PC_US && now(&w)->mode == 2 && !now(&w)->on);
	cr_expect_str_eq(now(&w)->pattern, "a \"b\"");
	cr_expect_neq(now(&w)->pattern, values->pattern, "texts are the engine's own");
	world_fini(&w);
}

Test(swap_param, a_text_is_kept_once)
{
	struct world w;
	size_t n;

	begin(&w);
	cr_assert_eq(world_params(&w, 0), PC_OK);
	n = w.e.swap.n_texts;
	free(w.to.own_params);
	cr_assert_eq(world_params(&w, 0), PC_OK);
	cr_expect_eq(w.e.swap.n_texts, n);
	world_fini(&w);
}

Test(swap_param, a_new_default_waits_for_a_fresh_state)
{
	struct world w;

	begin(&w);
	new_params[0].def = "20";
	cr_assert_eq(world_route(&w, 0), PC_OK);
	cr_expect_eq(now(&w)->threshold, 10);
	world_tells(&w, "threshold 10 kept (the new default 20 needs a fresh state)");
	world_fini(&w);
}

Test(swap_param, a_live_one_follows_its_new_default)
{
	struct world w;

	begin(&w);
	new_params[0].def = "20";
	new_params[0].flags = PC_LIVE;
	cr_assert_eq(world_route(&w, 0), PC_OK);
	cr_expect_eq(now(&w)->threshold, 20);
	cr_expect(w.route->way == WAY_ADOPT && w.route->n_sets == 1);
	world_tells(&w, "threshold 20 by the new default");
	world_fini(&w);
}

Test(swap_param, what_the_graph_gives_stays)
{
	struct world w;

	begin(&w)->threshold = 30;
	new_params[0].def = "20";
	new_params[0].flags = PC_LIVE;
	cr_assert_eq(world_route(&w, 0), PC_OK);
	cr_expect_eq(now(&w)->threshold, 30);
	cr_expect_eq(w.route->n_sets, 0);
	world_tells(&w, "threshold 30 kept");
	world_fini(&w);
}

Test(swap_param, a_fresh_state_has_new_defaults)
{
	struct world w;

	begin(&w);
	new_params[0].def = "20";
	cr_assert_eq(world_route(&w, SWAP_RESET), PC_OK);
	cr_expect_eq(now(&w)->threshold, 20);
	world_fini(&w);
}

Test(swap_param, added_and_removed)
{
	struct world w;

	begin(&w)->threshold = 30;
	new_params[0].name = "limit";
	cr_assert_eq(world_route(&w, SWAP_RESET), PC_OK);
	cr_expect_eq(now(&w)->threshold, 10);
	world_tells(&w, "limit 10 added");
	world_tells(&w, "threshold removed though the graph gives it");
	world_fini(&w);
}

Test(swap_param, added_without_a_default)
{
	struct world w;

	begin(&w);
	new_params[0].name = "limit";
	new_params[0].def = NULL;
	cr_expect_eq(world_params(&w, 0), PC_WRONG);
	world_says(&w, "parameter 'limit' is new and must be given");
	world_fini(&w);
}

Test(swap_param, another_type)
{
	struct world w;

	begin(&w);
	new_params[0].type = PC_T_F64;
	new_params[0].range = NULL;
	cr_expect_eq(world_params(&w, 0), PC_OK, "it was the default");
	world_fini(&w);

	begin(&w)->threshold = 30;
	new_params[0].type = PC_T_F64;
	new_params[0].range = NULL;
	cr_expect_eq(world_params(&w, 0), PC_WRONG);
	world_says(&w, "'threshold' changed from u64 to f64, and the graph gives it");
	world_fini(&w);
}

Test(swap_param, a_smaller_range)
{
	struct world w;

	begin(&w)->threshold = 90;
	new_params[0].range = "1..64";
	cr_expect_eq(world_params(&w, 0), PC_WRONG);
	world_says(&w, "90 is outside 1..64");
	world_fini(&w);
}

Test(swap_param, an_enum_in_another_order)
{
	struct world w;

	begin(&w)->mode = 1;
	new_params[4].names = other_modes;
	cr_assert_eq(world_route(&w, 0), PC_OK);
	cr_expect_eq(now(&w)->mode, 0, "fast stands first now");
	cr_expect(w.route->way == WAY_ADOPT && w.route->n_copies == 1);
	cr_expect_eq(w.route->copies[0].numbers[1], 0);
	cr_expect_eq(w.route->copies[0].numbers[0], 1);
	cr_expect_eq(w.route->copies[0].numbers[2], PLAN_NONE);
	world_fini(&w);
}

Test(swap_param, an_enum_without_the_word)
{
	struct world w;

	begin(&w)->mode = 2;
	new_params[4].names = other_modes;
	cr_expect_eq(world_params(&w, 0), PC_WRONG);
	world_says(&w, "'wild' is none of fast, slow");
	world_fini(&w);
}
