#!/bin/sh
# test-tools.sh: gdb, perf and valgrind beside a graph whose stage was swapped twice: each finds the build that
# runs, its functions and its lines. Scenario 62 of tests/stress/swap/README.md. A tool that is not installed,
# or may not look here, is skipped.
. "${SOURCE:?run me with meson test}/tests/lib.sh"

until_line() {
	n=0
	until grep -Eqs -e "$2" "$1" || [ $n -gt 2400 ]; do
		sleep 0.025
		n=$((n + 1))
	done
}
# stage WORD: its process() calls work_WORD(), in line 5.
stage() {
	cat <<STAGE
#include <pcrun/stage.h>
struct say { uint64_t n; };
__attribute__((noinline)) static uint64_t work_$1(uint64_t n)
{
	for (volatile int i = 0; i < 20000; i++) n += (uint64_t)"$1"[i % 5];
	return n;
}
static int process(struct pc_stage *st, void *state, struct pc_item *item)
{
	struct say *s = state;
	s->n = work_$1(s->n);
	return pc_pass(st, 0, item);
}
static const struct pc_port in[] = {{"in", "*", 0, "any"}};
static const struct pc_port out[] = {{"out", "=in", 0, "the same"}};
PC_STAGE(.name = "say", .doc = "pass on", PC_INPUTS(in), PC_OUTPUTS(out), PC_STATE(struct say), .process = process);
STAGE
}
# start COMMAND...: a graph in the background, swapped twice: v3 runs, and calls work_third().
start() {
	stage first >say.c
	echo 'gen(rate=2k) -> ./say.c -> print' >tools.txt
	rm -f out err
	"$@" tools.txt >out 2>err &
	pid=$!
	until_line out '^20$'
	for word in second third; do
		stage $word >$word.c
		"$PCRUN" swap say $word.c >said 2>&1
		has "$tool: $word is taken" said 'live at item'
	done
}
stop() {
	"$PCRUN" stop >said 2>&1
	wait "$pid"
	is "$tool: the graph ends as ever" $? "$1"
	awk '$1 != NR - 1 { exit 1 }' out
	is "$tool: every number came once" $? 0
}
instrumented=$(nm -D "$PCRUN" | grep -c '__[at]san_\|__ubsan_')

# ------------------------------------------------------------------------------------- gdb
tool=gdb
if ! command -v gdb >/dev/null || [ "$instrumented" -gt 0 ]; then
	skip 'gdb: not here, or a sanitizer is'
else
	start "$PCRUN"
	timeout 120 gdb -nx -batch -p "$pid" -ex 'set pagination off' -ex 'break third.c:5' -ex continue \
		-ex backtrace -ex list -ex 'info sharedlibrary say' >gdb.out 2>&1 </dev/null
	if grep -q 'ptrace: Operation not permitted' gdb.out; then
		skip 'gdb: it may not look at other processes'
	else
		has 'gdb: a breakpoint by file and line in the new build' gdb.out 'Breakpoint [0-9.]+, work_third \(.*third\.c:5'
		has 'gdb: the way there' gdb.out '^#1 .* process \(.*third\.c:11'
		has 'gdb: the source' gdb.out '^5[[:space:]]+for \(volatile int i'
		has 'gdb: the file tells the version' gdb.out 'Yes.*/say\.v0003\.[0-9a-f]{8}\.so'
	fi
	stop 143
fi

# ------------------------------------------------------------------------------------ perf
tool=perf
if ! perf record -o try.data -- true >/dev/null 2>&1 || [ "$instrumented" -gt 0 ]; then
	skip 'perf: not here, or not allowed, or a sanitizer is'
else
	start "$PCRUN"
	timeout 60 perf record -o perf.data -p "$pid" -- sleep 1 >/dev/null 2>&1
	perf report -i perf.data --stdio -s dso,sym >perf.out 2>/dev/null
	has 'perf: the function and the version of the new build' perf.out 'say\.v0003\.[0-9a-f]+\.so.*work_third'
	has_not 'perf: and none of the old ones' perf.out 'work_first|work_second'
	stop 143
fi

# -------------------------------------------------------------------------------- valgrind
tool=valgrind
if ! command -v valgrind >/dev/null || [ "$instrumented" -gt 0 ]; then
	skip 'valgrind: not here, or a sanitizer is'
else
	start valgrind --error-exitcode=99 --fair-sched=yes --log-file=valgrind.out "$PCRUN"
	stop 143
	has 'valgrind: clean' valgrind.out 'ERROR SUMMARY: 0 errors'
fi
done_testing
