/* measure.h: one number from one queue; see measure.c. */
#ifndef MEASURE_H
#define MEASURE_H

#include "bench.h"

struct workload {
	unsigned producers, consumers;
	size_t put_batch, take_batch;
	uint32_t capacity;
	bool wait;
	bool pingpong;
	bool create; /* nothing else is done */
	unsigned ms;
};

/* Million items a second; of a ping-pong the median round trip in ns and the 99th percentile; of
 * `create` the ms that 10,000 queues take, and the bytes of heap of each. */
double measure(const struct bench_peer *peer, const struct workload *workload, double *ret_p99);

#endif
