/* engine/replay.c: of a graph that has been loaded, one stage, to which one item comes again.
 *
 * Called by the embedding program, before the start. The plan becomes that of a small graph: the
 * stage as it stands in the file, with its parameters, its critical section and all shared state;
 * something that emits the saved item into one of its inputs; something that takes what it emits.
 * Everything then runs as always, so that a debugger sees what it would see in the real graph.
 *
 * Another build than the graph's is swapped in while the item waits, by the engine's own means: so
 * parameters and ports go over by name, as they did, or would have done, when that build came.
 * The feed asks for it, on a thread of its own, since it blocks until the stage has changed; as a set
 * of one, since the old code must not get the item back when the new code fails on it.
 *
 * Other inputs have to end some time. That may make the stage end as well (one that joins pairs,
 * say), so they wait for a join that passes when the item has been done.
 */
#include "engine/engine.h"

#include "base/error.h"
#include "engine/text.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define JOIN_FED 2 /* behind the two that are built in */
#define N_JOINS  3
#define SWAP_NS  (10 * PC_SEC) /* for the stage to change to another build */

/* ---------------------------------------------------------------------- what surrounds it --- */

struct feed {
	const void *data;
	size_t size;
	bool full;                /* it has the item */
	const char *stage, *file; /* the build, or NULL */
};

static int take_build(struct pc_stage *st, const struct feed *f)
{
	struct engine *e = replica_of(st)->engine;
	struct swap_set_member m = {.stage = swap_find_stage(e, f->stage),
	                            .how = SWAP_SET | SWAP_RESET | SWAP_RETRY};
	struct pc_error *err = NULL;
	int rc = swap_load(&m.offer, m.stage, f->file, m.how, NULL, &err);

	if (rc == PC_OK)
		rc = swap_set_ask(e, &m, 1, false, SWAP_NS, &err);
	if (rc != PC_OK)
		rc = pc_fail(st, "%s", pc_error_text(err));
	swap_unpin_stage(m.stage);
	free(m.report.words);
	pc_error_free(err);
	return rc;
}

static int feed_produce(struct pc_stage *st, void *state)
{
	const struct feed *f = state;
	int rc = f->file ? take_build(st, f) : PC_OK;

	if (rc != PC_OK)
		return rc;
	if (f->full && pc_emit_copy(st, 0, f->data, f->size) != PC_OK)
		return pc_fail(st, "out of memory: the item has %zu bytes", f->size);
	return PC_END;
}

struct sink {
	pc_replay_fn *output;
	void *user;
	const char *port;
};

static int sink_process(struct pc_stage *st, void *state, struct pc_item *item)
{
	const struct sink *s = state;

	(void)st;
	if (s->output)
		s->output(s->user, s->port, item->data, item->size);
	return PC_OK;
}

static const struct pc_port any_in[] = {{"in", "*", 0, ""}};
static const struct pc_port any_out[] = {{"out", "*", 0, ""}};
static const struct pc_stage_desc feed_desc = {.name = "feed",
                                               .doc = "",
                                               PC_OUTPUTS(any_out),
                                               PC_STATE(struct feed),
                                               .produce = feed_produce};
static const struct pc_stage_desc sink_desc = {.name = "sink",
                                               .doc = "",
                                               PC_INPUTS(any_in),
                                               PC_STATE(struct sink),
                                               .process = sink_process};

/* ---------------------------------------------------------------------------- the plan --- */

/* All is made in the plan's arena, beside what it replaces. */
struct making {
	struct plan *plan;
	struct plan_stage *stages;
	struct plan_queue *queues;
	uint32_t n_stages, n_queues;
};

/* NULL, and nomem() from then on: no memory. */
static void *room(struct making *m, size_t n, size_t size)
{
	return arena_alloc(&m->plan->arena, n > 0 && size > 0 ? n * size : 1);
}

static bool nomem(const struct making *m)
{
	return arena_failed(&m->plan->arena);
}

static uint32_t *list(struct making *m, uint32_t from, uint32_t n)
{
	uint32_t *all = room(m, n, sizeof(*all));

	for (uint32_t i = 0; all && i < n; i++)
		all[i] = from + i;
	return all;
}

static uint32_t add_queue(struct making *m, const char *name, uint32_t writer, uint32_t reader)
{
	m->queues[m->n_queues] = (struct plan_queue){.name = name,
	                                             .file = "",
	                                             .capacity = 64,
	                                             .writers = list(m, writer, 1),
	                                             .n_writers = 1,
	                                             .readers = list(m, reader, 1),
	                                             .n_readers = 1};
	return m->n_queues++;
}

static struct plan_stage *add_stage(struct making *m, const struct pc_stage_desc *desc)
{
	struct plan_stage *s = &m->stages[m->n_stages++];

	*s = (struct plan_stage){.name = desc->name,
	                         .plugin_name = desc->name,
	                         .desc = desc,
	                         .file = "",
	                         .replicas = 1,
	                         .until = PLAN_NONE,
	                         .section = PLAN_NONE,
	                         .dead_queue = PLAN_NONE,
	                         .inputs = room(m, 1, sizeof(*s->inputs)),
	                         .outputs = room(m, 1, sizeof(*s->outputs)),
	                         .params = room(m, 1, desc->state_size)};
	return s;
}

/* Number 0 is the stage. */
static void add_feed(struct making *m, uint32_t input, const struct pc_replay *replay,
                     bool full)
{
	struct plan_stage *s = &m->stages[0], *f = add_stage(m, &feed_desc);
	struct feed *state = f->params;

	if (nomem(m))
		return;
	*state = (struct feed){.data = replay->data, .size = replay->data_size, .full = full};
	if (full && replay->file) {
		state->stage = s->name;
		state->file = replay->file;
		f->own_thread = true;
		f->file = s->file; /* where a mistake of it is said to be */
		f->line = s->line;
	}
	f->start = full ? PLAN_JOIN_START : JOIN_FED;
	s->inputs[input].queue =
		add_queue(m, full ? "the saved item" : "nothing", m->n_stages - 1, 0);
	m->queues[s->inputs[input].queue].joined = full;
	f->outputs[0].queues = list(m, s->inputs[input].queue, 1);
	f->outputs[0].n_queues = 1;
	f->outputs[0].type = "*";
	if (full)
		m->plan->joins[JOIN_FED].queues = f->outputs[0].queues;
}

static void add_sink(struct making *m, uint32_t output, const struct pc_replay *replay)
{
	struct plan_stage *s = &m->stages[0], *to = add_stage(m, &sink_desc);
	struct sink *state = to->params;
	uint32_t queue = add_queue(m, s->desc->outputs[output].name, 0, m->n_stages - 1);

	if (nomem(m))
		return;
	*state = (struct sink){replay->output, replay->user, s->desc->outputs[output].name};
	to->inputs[0] = (struct plan_input){queue, "*"};
	s->outputs[output].queues = list(m, queue, 1);
	s->outputs[output].n_queues = 1;
}

/* On its own: nothing is waited for, retried or put aside. */
static void take_out(struct making *m, const struct plan_stage *from)
{
	struct plan_stage *s = &m->stages[m->n_stages++];

	*s = *from;
	s->replicas = 1;
	s->ordered = s->daemon = false;
	s->by = NULL;
	s->start = PLAN_JOIN_START;
	s->until = s->dead_queue = PLAN_NONE;
	s->on_error = PLAN_FAIL;
}

static void make_joins(struct making *m)
{
	struct plan_join *joins = room(m, N_JOINS, sizeof(*joins));

	if (nomem(m))
		return;
	joins[PLAN_JOIN_START].name = "start";
	joins[PLAN_JOIN_END].name = "end";
	joins[JOIN_FED].name = "the item is done";
	joins[JOIN_FED].n_queues = 1;
	m->plan->joins = joins;
	m->plan->n_joins = N_JOINS;
}

static int reshape(struct plan *plan, uint32_t index, uint32_t port,
                   const struct pc_replay *replay)
{
	const struct pc_stage_desc *desc = plan->stages[index].desc;
	uint32_t around = desc->n_inputs + desc->n_outputs;
	struct making m = {.plan = plan};
	struct plan_join *end;

	m.stages = room(&m, 1 + around, sizeof(*m.stages));
	m.queues = room(&m, around, sizeof(*m.queues));
	make_joins(&m);
	if (nomem(&m))
		return PC_NOMEM;
	take_out(&m, &plan->stages[index]);
	for (uint32_t i = 0; i < desc->n_inputs; i++)
		add_feed(&m, i, replay, i == port);
	for (uint32_t i = 0; i < desc->n_outputs; i++)
		if (m.stages[0].outputs[i].n_queues > 0)
			add_sink(&m, i, replay);
	end = &plan->joins[PLAN_JOIN_END];
	end->stages = list(&m, 0, m.n_stages);
	end->n_stages = m.n_stages;
	end->queues = list(&m, 0, m.n_queues);
	end->n_queues = m.n_queues;
	if (nomem(&m))
		return PC_NOMEM;
	for (uint32_t i = 0; i < plan->n_shareds; i++)
		plan->shareds[i].updater = plan->shareds[i].updater == index ? 0 : PLAN_NONE;
	plan->stages = m.stages;
	plan->n_stages = m.n_stages;
	plan->queues = m.queues;
	plan->n_queues = m.n_queues;
	return PC_OK;
}

/* --------------------------------------------------------------------------- the call --- */

/* PLAN_NONE: there is none. */
static uint32_t find_stage(const struct plan *plan, const char *name)
{
	for (uint32_t i = 0; i < plan->n_stages; i++)
		if (strcmp(plan->stages[i].name, name) == 0)
			return i;
	return PLAN_NONE;
}

static uint32_t find_input(const struct pc_stage_desc *desc, const char *name)
{
	for (uint32_t i = 0; i < desc->n_inputs; i++)
		if (strcmp(desc->inputs[i].name, name) == 0)
			return i;
	return PLAN_NONE;
}

static bool is_one_file(const char *a, const char *b)
{
	struct stat x, y;

	return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

/* The graph has that build anyway. */
static bool has_build(const struct plan_stage *s, const char *file)
{
	return s->plugin && is_one_file(file, s->plugin->file);
}

PC_API int pc_graph_replay(struct pc_graph *graph, const struct pc_replay *replay,
                           struct pc_error **ret_err)
{
	struct plan *plan = &graph->first->plan;
	struct pc_replay own = {0};
	uint32_t stage, port;

	if (ret_err)
		*ret_err = NULL;
	memcpy(&own, replay, replay->size < sizeof(own) ? replay->size : sizeof(own));
	if (graph->started)
		return error_set(ret_err, PC_INVALID, "the graph has been started before");
	stage = own.stage ? find_stage(plan, own.stage) : PLAN_NONE;
	if (stage == PLAN_NONE)
		return error_set(ret_err, PC_INVALID, "there is no stage '%s' in the graph",
		                 own.stage ? own.stage : "");
	port = own.port ? find_input(plan->stages[stage].desc, own.port) : PLAN_NONE;
	if (port == PLAN_NONE)
		return error_set(ret_err, PC_INVALID, "stage '%s' has no input '%s'", own.stage,
		                 own.port ? own.port : "");
	if (own.file && has_build(&plan->stages[stage], own.file))
		own.file = NULL;
	if (reshape(plan, stage, port, &own) != PC_OK)
		return error_set(ret_err, PC_NOMEM, "out of memory");
	return PC_OK;
}
