/* engine/ledger.c: what became of every item: put = done + dropped + dead + abandoned + queued.
 *
 * `put` and `dropped` are the queue's own figures, the others are counted by those who took the
 * items: so the sum is a proof and not a tautology. Control thread, after all others have gone
 * (ledger_settle); any thread that holds `shape` for a snapshot (ledger_row).
 */
#include "engine/engine.h"

#include "base/error.h"

#include <inttypes.h>

static void count_readers(const struct place *p, struct pc_queue_row *row)
{
	row->done += p->past.done;
	row->dead += p->past.dead;
	row->abandoned += p->past.abandoned;
	for (const struct input *in = p->reading; in; in = in->next_reading) {
		row->done += count_read(&in->done);
		row->dead += count_read(&in->dead);
		row->abandoned += count_read(&in->abandoned);
		/* in the hands of a thread that never came back */
		if (in->waiting.replica->abandoned)
			row->abandoned += count_read(&in->taken) - count_read(&in->done) -
			                  count_read(&in->dead) - count_read(&in->abandoned);
	}
}

static void part_row(const struct place *p, struct pc_queue_row *ret)
{
	struct pc_queue_stats stats;
	uint64_t cut_off = count_read(&p->cut_off);

	pc_queue_stats(p->queue, &stats, sizeof(stats));
	*ret = (struct pc_queue_row){
		.name = p->plan->name,
		.file = p->plan->file,
		.line = p->plan->line,
		.capacity = p->plan->capacity,
		.put = stats.put + cut_off,
		.dropped = stats.dropped,
		.abandoned = cut_off + p->left,
		.queued = stats.queued,
		.high_water = stats.high_water,
		.full_waits = stats.full_waits,
		.empty_waits = stats.empty_waits,
	};
	if (p->plan->full == PC_FULL_DROP_NEW)
		ret->put += stats.dropped; /* offered, and refused by policy */
	count_readers(p, ret);
}

void ledger_add(struct pc_queue_row *sum, const struct pc_queue_row *row)
{
	sum->put += row->put;
	sum->done += row->done;
	sum->dropped += row->dropped;
	sum->dead += row->dead;
	sum->abandoned += row->abandoned;
	sum->queued += row->queued;
	sum->full_waits += row->full_waits;
	sum->empty_waits += row->empty_waits;
	if (row->high_water > sum->high_water)
		sum->high_water = row->high_water;
}

/* A by= queue is one row, whatever its parts. */
void ledger_row(const struct place *p, struct pc_queue_row *ret)
{
	part_row(p, ret);
	for (p = p->next_part; p; p = p->next_part) {
		struct pc_queue_row row;

		part_row(p, &row);
		ledger_add(ret, &row);
	}
}

static void settle(struct place *p)
{
	struct engine *e = p->engine;
	struct pc_error *error = NULL;
	struct pc_queue_row row;
	void *item;

	while (pc_queue_take(p->queue, &item, 0) == PC_OK) {
		item_unref(&e->control_cache, item);
		p->left++;
	}
	part_row(p, &row);
	if (row.put == row.done + row.dropped + row.dead + row.abandoned + row.queued)
		return;
	error_set(&error, PC_ERROR,
	          "the ledger of queue '%s' is out: %" PRIu64 " put, but %" PRIu64
	          " done, %" PRIu64 " dropped, %" PRIu64 " dead, %" PRIu64
	          " abandoned, %" PRIu64 " queued: a bug in pcrun",
	          p->plan->name, row.put, row.done, row.dropped, row.dead, row.abandoned,
	          row.queued);
	engine_fail(e, PC_ERROR, error);
}

void ledger_settle_place(struct place *p)
{
	for (; p; p = p->next_part)
		settle(p);
}

/* Nobody takes any more: what is queued is abandoned. Then the sums must be right. */
void ledger_settle(struct engine *e)
{
	for (uint32_t i = 0; i < e->plan->n_queues; i++)
		ledger_settle_place(e->places[i]);
	item_cache_settle(&e->control_cache);
}
