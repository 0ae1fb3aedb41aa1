/* peer-tbb.cc: an item through oneTBB's flow graph or parallel_pipeline.
 *
 *   engine-peer-tbb NAME ITEMS    NAME: tbb-flow-2, tbb-flow-2-lightweight, tbb-pipeline-2, …-3
 *
 * Called by engine.sh. -2 is source -> sink, -3 has a map between. All stages are serial, and
 * pipelines keep the order, as a stage of pcrun does. Items are values of 8 bytes. `lightweight`
 * lets a node's body run in the task of the node before it, so there is less to spread. */
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <oneapi/tbb/flow_graph.h>
#include <oneapi/tbb/parallel_pipeline.h>

namespace
{
template <typename policy> uint64_t flow(bool with_map, uint64_t n)
{
	using namespace tbb::flow;
	graph g;
	uint64_t next = 0, sum = 0;
	input_node<uint64_t> source(g, [&](tbb::flow_control &control) -> uint64_t {
		if (next == n) {
			control.stop();
			return 0;
		}
		return next++;
	});
	function_node<uint64_t, uint64_t, policy> map(g, serial,
	                                              [](uint64_t v) { return v + 1; });
	function_node<uint64_t, continue_msg, policy> sink(g, serial, [&](uint64_t v) {
		sum += v;
		return continue_msg();
	});

	if (with_map) {
		make_edge(source, map);
		make_edge(map, sink);
	} else {
		make_edge(source, sink);
	}
	source.activate();
	g.wait_for_all();
	return sum;
}

uint64_t pipeline(bool with_map, uint64_t n)
{
	constexpr auto mode = tbb::filter_mode::serial_in_order;
	uint64_t next = 0, sum = 0;
	auto source = tbb::make_filter<void, uint64_t>(mode, [&](tbb::flow_control &control) {
		if (next == n) {
			control.stop();
			return uint64_t{0};
		}
		return next++;
	});
	auto map = tbb::make_filter<uint64_t, uint64_t>(mode, [](uint64_t v) { return v + 1; });
	auto sink = tbb::make_filter<uint64_t, void>(mode, [&](uint64_t v) { sum += v; });

	tbb::parallel_pipeline(64, with_map ? source & map & sink : source & sink);
	return sum;
}
} // namespace

int main(int argc, char **argv)
{
	const char *name = argc == 3 ? argv[1] : "";
	uint64_t n = argc == 3 ? strtoull(argv[2], nullptr, 10) : 0;
	bool with_map = strstr(name, "-3") != nullptr;
	auto begin = std::chrono::steady_clock::now();
	uint64_t sum;

	if (strstr(name, "lightweight")) {
		sum = flow<tbb::flow::queueing_lightweight>(with_map, n);
	} else if (strstr(name, "flow")) {
		sum = flow<tbb::flow::queueing>(with_map, n);
	} else if (strstr(name, "pipeline")) {
		sum = pipeline(with_map, n);
	} else {
		fprintf(stderr, "usage: engine-peer-tbb NAME ITEMS\n");
		return 2;
	}
	std::chrono::duration<double, std::nano> took =
		std::chrono::steady_clock::now() - begin;
	if (sum != n * (n - 1) / 2 + (with_map ? n : 0)) {
		fprintf(stderr, "items were lost\n");
		return 1;
	}
	printf("%s %.3f ns\n", name, took.count() / static_cast<double>(n));
	return 0;
}
