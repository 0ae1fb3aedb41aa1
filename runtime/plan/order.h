/* plan/order.h: what happens in a run as far as joins see it, and what each waits for.
 *
 * order.c finds out what can never happen; circle.c tells why. */
#ifndef PLAN_ORDER_H
#define PLAN_ORDER_H

#include "plan/make.h"

enum event {
	BEGIN,   /* of a stage: its start join has passed */
	END,     /* of a stage */
	CLOSED,  /* a queue, by its writers */
	READ,    /* a queue: some reader has begun */
	EMPTIED, /* a queue */
	PASS,    /* a join */
	N_EVENTS
};

struct order_wait {
	uint32_t event, on;
};

struct order {
	struct make *m;
	uint32_t base[N_EVENTS + 1]; /* where the events of each kind begin */
	struct order_wait *waits;    /* while they are collected */
	uint32_t n_waits;
	uint32_t *first, *on;            /* what an event waits for: CSR */
	uint32_t *first_waiter, *waiter; /* who waits for an event: CSR */
	uint32_t *missing; /* waits of an event that have not come true; 0: it happens */
	uint32_t *search;  /* the search that came by an event, 0: none */
};

/* `from` can never happen: find the circle behind that, and report it unless it was before. */
void order_tell(struct order *o, uint32_t from, uint32_t number);

#endif
