/* peer-fastflow.cc: an item through FastFlow's pipeline, a thread a stage.
 *
 *   engine-peer-fastflow NAME ITEMS    NAME: fastflow-2, fastflow-2-blocking, …-3
 *
 * Called by engine.sh, built when Meson is told where FastFlow's headers are. -2 is source ->
 * sink, -3 has a map between. Queues hold 1,024 items. Stages spin, which is FastFlow's default and
 * its best as long as there are cores enough, or block. Items are pointers to 8 bytes that are
 * there all the time: more of them than can be under way, so that none is written twice. */
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include <ff/ff.hpp>

namespace
{
constexpr int capacity = 1024;
constexpr size_t n_slots = 4096;

struct source : ff::ff_node_t<uint64_t> {
	explicit source(uint64_t count) : n(count), slots(n_slots)
	{
	}
	uint64_t *svc(uint64_t *) override
	{
		for (uint64_t i = 0; i < n; i++) {
			uint64_t *slot = &slots[i % n_slots];

			*slot = i;
			ff_send_out(slot);
		}
		return EOS;
	}
	uint64_t n;
	std::vector<uint64_t> slots;
};

struct map : ff::ff_node_t<uint64_t> {
	uint64_t *svc(uint64_t *v) override
	{
		*v += 1;
		return v;
	}
};

struct sink : ff::ff_node_t<uint64_t> {
	uint64_t *svc(uint64_t *v) override
	{
		sum += *v;
		return GO_ON;
	}
	uint64_t sum = 0;
};

int run(ff::ff_pipeline &pipe, bool blocking)
{
	pipe.setXNodeInputQueueLength(capacity, true);
	pipe.setXNodeOutputQueueLength(capacity, true);
	pipe.blocking_mode(blocking);
	return pipe.run_and_wait_end();
}
} // namespace

int main(int argc, char **argv)
{
	const char *name = argc == 3 ? argv[1] : "";
	bool with_map = strstr(name, "-3") != nullptr,
	     blocking = strstr(name, "blocking") != nullptr;

	if (strncmp(name, "fastflow-", 9) != 0) {
		fprintf(stderr, "usage: engine-peer-fastflow NAME ITEMS\n");
		return 2;
	}
	uint64_t n = strtoull(argv[2], nullptr, 10);
	source first(n);
	map second;
	sink third;
	ff::ff_pipeline pipe;

	pipe.add_stage(&first);
	if (with_map)
		pipe.add_stage(&second);
	pipe.add_stage(&third);
	auto begin = std::chrono::steady_clock::now();
	int result = run(pipe, blocking);
	std::chrono::duration<double, std::nano> took =
		std::chrono::steady_clock::now() - begin;

	if (result < 0 || third.sum != n * (n - 1) / 2 + (with_map ? n : 0)) {
		fprintf(stderr, "items were lost\n");
		return 1;
	}
	printf("%s %.3f ns\n", name, took.count() / static_cast<double>(n));
	return 0;
}
