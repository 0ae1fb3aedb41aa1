#!/bin/sh
# test-swap.sh: new builds of a running graph, good and bad, as their author sees them: through
# `pcrun swap`. Scenarios 34, 35, 39, 45-47, 52, 54, 56, 58 and 64 of tests/stress/swap/README.md; what
# arrives at the end of the graph is every number once, in order, whatever happened on the way.
. "${SOURCE:?run me with meson test}/tests/lib.sh"
# No core files.
# shellcheck disable=SC3045
ulimit -c 0 2>/dev/null

until_line() {
	n=0
	until grep -q -e "$2" "$1" 2>/dev/null || [ $n -gt 2400 ]; do
		sleep 0.025
		n=$((n + 1))
	done
}
# says NAME STATUS WHAT: the last run ended so, and said this.
says() {
	if [ "$status" -eq "$2" ] && cat out err | grep -Eq -e "$3"; then
		pass "$1"
	else
		{ echo "status $status, expected $2 and: $3"; cat out err; echo 'the graph said:'; tail -n 20 graph.err; } >why
		fail "$1" why
	fi
}
# stage STATEMENTS [FLAGS [CLOSE [PARAMS [TYPE]]]]: passes numbers on; the statements come before that, with
# `n` for how many calls this replica has had on this build.
stage() {
	params=${4:-}
	[ -n "$params" ] || params='PC_PARAM_U64(struct pass, level, "5", "0..10", NULL, "a level")'
	cat <<END
#include <assert.h>
#include <pcrun/stage.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
struct pass { uint64_t n, first, level, other; };
static int process(struct pc_stage *st, void *state, struct pc_item *item)
{
	struct pass *s = state;
	static uint64_t had[16];
	uint64_t n = ++had[st->replica];
	s->n++;
	(void)n;
	$1
	return pc_pass(st, 0, item);
}
static int close_it(struct pc_stage *st, void *state)
{
	(void)st; (void)state;
	${3:-}
	return PC_OK;
}
static const struct pc_param params[] = {
	$params };
static const struct pc_port in[] = {{"in", "*", 0, "numbers"}};
static const struct pc_port out[] = {{"out", "${5:-=in}", 0, "the same"}};
static const struct pc_field fields[] = {
	{"n", PC_T_U64, 1, 0, 8}, {"first", PC_T_U64, 1, 8, 8},
	{"level", PC_T_U64, 1, 16, 8}, {"other", PC_T_U64, 1, 24, 8}};
PC_STAGE(.name = "pass", .doc = "pass on", .flags = ${2:-0}, PC_INPUTS(in), PC_OUTPUTS(out),
	PC_PARAMS(params), PC_FIELDS(fields), PC_STATE(struct pass), .process = process, .close = close_it);
END
}
# start [ATTRIBUTES]: the graph in the background; $pid, graph.out, graph.err.
start() {
	rm -f graph.out graph.err
	stage '' PC_PURE >pass.c
	echo "stage pass = ./pass.c(${2:-}) ${1:-}
gen(rate=20k) -> pass -> print [capacity=256]" >graph.txt
	"$PCRUN" graph.txt >graph.out 2>graph.err &
	pid=$!
	until_line graph.out .
	kill -0 "$pid" || { cat graph.err; exit 1; }
}
swap() {
	run pcrun swap pass "$@"
}
# undone NAME WHAT: the last run's build was undone; where items were slow in coming, after the answer.
undone() {
	live=$(sed -n 's/.* -> \(v[0-9]*\) live at item.*/\1/p' out)
	if [ "$status" -eq 0 ] && [ -n "$live" ]; then
		until_line graph.err "  pass  $live ROLLED BACK"
		grep "  pass  $live ROLLED BACK" graph.err >>err && status=4
	fi
	says "$1" 4 "$2"
}
# whole NAME STATUS: the graph is told to end, ends so, and every number came once, in order.
whole() {
	kill -INT "$pid" 2>/dev/null
	wait "$pid"
	is "$1: the graph ends as ever" $? "$2"
	awk '$1 != NR - 1 { print "line " NR ": " $0; bad = 1; exit } END { exit bad || NR < 10 }' graph.out >why ||
		{ tail -n 20 graph.err >>why; fail "$1: every number once, in order" why; return; }
	pass "$1: every number once, in order"
}
untried=PC_NO_PROBE # so that it fails where it runs, and not before

# ----------------------------------------------------- it fails on its first items, and is undone
for replicas in 1 4; do
	start "replicas=$replicas ordered"
	for way in 'assert(n < AT)' 'if (n == AT) abort()' 'if (n == AT) exit(3)' 'if (n == AT) _exit(0)' \
		'if (n == AT) return pc_fail(st, "no luck")'; do
		for at in 1 2 64; do
			for who in '' 'if (st->replica == 0)'; do
				statement=$(echo "$way" | sed "s/AT/$at/")
				stage "$who { $statement; }" $untried >bad.c
				swap ./bad.c
				undone "$replicas replicas, $who $statement: undone" 'back on v[0-9]+|v[0-9]+ runs again'
			done
		done
	done
	# Partial output: it is cut off, and the item done again.
	stage 'if (n == 3) { pc_emit_copy(st, 0, "half", 4); pc_emit_copy(st, 0, "half", 4);
		return pc_fail(st, "after two of three"); }' $untried >bad.c
	swap ./bad.c
	undone "$replicas replicas, it fails with two of three emitted: undone" 'after two of three'
	swap ./bad.c
	says "$replicas replicas, the same bad build again: refused, with its reason" 3 \
		'it is the code of v[0-9]+, which failed on probation: after two of three \('
	swap ./bad.c --retry
	undone "$replicas replicas, another try is asked for: undone again" 'after two of three'
	stage '(void)"mended";' $untried >good.c
	swap ./good.c
	says "$replicas replicas, and a mended one" 0 'live at item'
	whole "$replicas replicas, bad builds" 130
done

# ------------------------------------------------------------ where the probe runs it first
start
if nm -D "$PCRUN" | grep -q '__[at]san_\|__ubsan_'; then
	skip 'crashes: a sanitizer has them'
else
	stage '*(volatile int *)8 = 1;' PC_PURE >bad.c
	swap ./bad.c
	says 'a null pointer: the probe crashes instead' 3 'crashed in process\(\)'
	stage 'char deep[1 << 16]; volatile char *p = deep; *p = 1; return process(st, state, item) + *p;' PC_PURE >bad.c
	swap ./bad.c
	says 'the stack overflows: in the probe' 3 'in process\(\)'
	stage 'raise(SIGKILL);' PC_PURE >bad.c
	swap ./bad.c
	says 'SIGKILL: in the probe' 3 'SIGKILL'
	stage 'for (;;) { __asm__ volatile(""); }' PC_PURE >bad.c
	swap ./bad.c
	says 'an endless loop: in the probe' 3 'in process\(\)'
fi

# -------------------------------------------------------------- parameters, ports, the old build
stage '(void)"param1";' 0 '' 'PC_PARAM_U64(struct pass, level, "5", "0..10", NULL, "a level"),
	PC_PARAM_U64(struct pass, other, "7", NULL, NULL, "another")' >param.c
swap ./param.c
says 'a parameter is added' 0 'other 7 added'
stage '(void)"param2";' 0 '' 'PC_PARAM_U64(struct pass, other, "7", NULL, NULL, "another")' >param.c
swap ./param.c
says 'a parameter is removed' 0 'level removed'
stage '(void)"param3";' 0 '' 'PC_PARAM_U64(struct pass, other, "1", "0..3", NULL, "another")' >param.c
swap ./param.c
says 'a range shrinks below the value' 3 "'other'"
stage '(void)"port";' 0 '' '' 'u64/other' >port.c
swap ./port.c
says 'an output of another type: the peer is named' 3 "which 'print.*' reads"
# Names that libc and the build before have, too.
names() {
	echo 'int helper(void);'
	stage "if (helper() != $1 || read(-1, NULL, 0) != $1) return pc_fail(st, \"not its own\");" PC_PURE
	echo "int helper(void) { return $1; }"
	echo "ssize_t read(int fd, void *to, size_t size) { (void)fd; (void)to; (void)size; return $1; }"
}
for n in 70 71; do
	names $n >names.c
	swap ./names.c
	says "functions named as others are: each build has its own ($n)" 0 'live at item'
done
stage '(void)"closes badly";' $untried 'abort();' >closes.c
swap ./closes.c --reset-state
says 'a build whose close() aborts is taken' 0 'live at item|would be|fresh'
stage '(void)"the next";' >next.c
swap ./next.c --reset-state
says 'and left again: the new one runs' 0 'live at item'
swap ./good.c
says 'and is swapped as ever' 0 'live at item'
whole 'parameters, ports, a bad close()' 130

# The old build's close() hangs: the new one runs, and two signals end it.
start
stage '(void)"closes never";' $untried 'for (;;) usleep(1000);' >closes.c
swap ./closes.c --reset-state
says 'a build whose close() hangs is taken' 0 'live at item'
stage '(void)"the next";' >next.c
swap ./next.c --reset-state
says 'and left again: the new one runs, too' 0 'live at item'
before=$(wc -l <graph.out)
n=0
until [ "$(wc -l <graph.out)" -gt $((before + 1000)) ] || [ $n -gt 600 ]; do
	sleep 0.1
	n=$((n + 1))
done
[ $n -le 600 ]
is 'and items go on' $? 0
kill -INT "$pid"
until_line graph.err 'finishing what is under way'
whole 'a close() that hangs' 130
has 'a close() that hangs: said' graph.err 'close\(\) of a state of v2 did not come back within 2 s; it is abandoned$'

# ------------------------------------------------------------------ a build that can't be unloaded
# It is unloaded, or not, when eight later ones are kept and nothing of it is in use.
start
{
	echo '#include <stdlib.h>'
	echo 'static void at_end(int status, void *with) { (void)status; (void)with; }'
	stage 'if (n == 1) on_exit(at_end, NULL);'
} >stays.c
swap ./stays.c
says 'a build that can not be unloaded is taken' 0 'on-exit: '
for n in 1 2 3 4 5; do
	for letter in a b; do
		stage "if (!item) return pc_fail(st, \"$letter\");" >$letter.c
		swap ./$letter.c
	done
done
if nm -D "$PCRUN" | grep -q '__[at]san_'; then
	skip 'builds that stay are counted: those for a sanitizer all do'
else
	until_line graph.err 'v2 stays loaded: it may have left a function with on_exit'
	run pcrun status
	has 'status counts it' out '^pass .* v12 runs, .*; 1 stayed loaded +\./b\.c$'
	run pcrun status --json
	has 'status --json, too' out '"name":"pass",.*"swaps":11,"reversed":0,"stays":1,'
fi
whole 'a build that can not be unloaded' 130

# ------------------------------------------------------------------------ several stages as one
# link NAME KIND IN OUT STATEMENT: `one` puts its kind before each number, `two` wants to find it there.
link() {
	cat <<END
#include <pcrun/stage.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
struct link { uint64_t n; };
static int process(struct pc_stage *st, void *state, struct pc_item *item)
{
	static const char kind[] = "$2";
	char text[64];
	int n = 0;
	((struct link *)state)->n++;
	$5
}
static int open_it(struct pc_stage *st, void *state)
{
	(void)st; (void)state;
	return PC_OK;
}
static const struct pc_port in[] = {{"in", "$3", 0, "numbers"}};
static const struct pc_port out[] = {{"out", "$4", 0, "the same"}};
static const struct pc_field fields[] = {{"n", PC_T_U64, 1, 0, 8}};
PC_STAGE(.name = "$1", .doc = "half of a pair", PC_INPUTS(in), PC_OUTPUTS(out), PC_FIELDS(fields),
	PC_STATE(struct link), .open = open_it, .process = process);
END
}
for kind in a b c; do
	link one $kind '*' text/$kind 'n = snprintf(text, sizeof(text), "%s%" PRIu64, kind, *(const uint64_t *)item->data);
	return pc_emit_copy(st, 0, text, (unsigned)n);' >one-$kind.c
	link two $kind text/$kind text/line 'if (memcmp(item->data, kind, 1) != 0)
		return pc_fail(st, "an item of the other kind");
	n = snprintf(text, sizeof(text), "%.*s", (int)item->size - 1, (const char *)item->data + 1);
	return pc_emit_copy(st, 0, text, (unsigned)n);' >two-$kind.c
done
sed 's/return PC_OK;/return pc_fail(st, "no second half");/' two-c.c >two-wont.c
cp one-a.c one.c
cp two-a.c two.c
echo 'stage one = ./one.c
stage two = ./two.c
gen(rate=20k) -> one -> two -> print [capacity=256]' >pair.txt
rm -f graph.out graph.err
"$PCRUN" pair.txt >graph.out 2>graph.err &
pid=$!
until_line graph.out .
kill -0 "$pid" || { cat graph.err; exit 1; }
# builds NAME ONE TWO: these are the builds that run.
builds() {
	"$PCRUN" status >builds 2>&1
	is "$1" "$(sed -n 's/^\(one\|two\) .* \(v[0-9]*\) runs.*/\1 \2/p' builds | tr '\n' ' ')" "one $2 two $3 "
}
run pcrun swap one ./one-b.c
says 'the first of a pair alone, sending another type: its peer is named' 3 "'two"
run pcrun swap two ./two-b.c
says 'the second of a pair alone, taking another type: its peer is named' 3 "'one"
run pcrun swap one ./one-b.c two ./two-b.c --dry-run
says 'the pair, as a dry run' 0 '^two  it would be taken'
has 'the pair, as a dry run: a line for each' out '^one  it would be taken'
builds 'the pair, as a dry run: nothing was changed' v1 v1
run pcrun swap one ./one-b.c two ./two-b.c
says 'the pair is taken as one' 0 '^one  v1 -> v3 live at item'
has 'the pair is taken as one: a line for the second, too' out '^two  v1 -> v3 live at item'
has 'the pair is taken as one: the terminal is told of the first' graph.err '  one  v1 -> v3 live at item'
has 'the pair is taken as one: and of the second' graph.err '  two  v1 -> v3 live at item'
builds 'the pair is taken as one: both run' v3 v3
run pcrun swap one ./one-b.c two ./two-b.c
says 'the pair once more: nothing is done' 0 '^two  \./two-b\.c has the code that runs already'
has_not 'the pair once more: the terminal is not told' graph.err 'runs already'
run pcrun swap one ./one-c.c two ./two-wont.c
says 'the second of a pair fails: refused' 3 'no second half'
has 'the second of a pair fails: the first keeps running' graph.err '  one  REFUSED, v3 keeps running: '
has 'the second of a pair fails: and so does the second' graph.err '  two  REFUSED, v3 keeps running: '
builds 'the second of a pair fails: both stay' v3 v3
run pcrun swap two ./two-b.c one ./one-c.c
says 'a pair that does not fit: refused' 3 "one.*text/c.*two.*text/b"
builds 'a pair that does not fit: both stay' v3 v3
run pcrun swap one --back
says 'half of a pair goes not back alone' 3 "'two"
run pcrun swap one two --back
says 'both go back' 0 '^two  v3 -> v1 live at item'
builds 'both go back: they run' v1 v1
run pcrun swap one ./one-c.c two ./two-c.c --reset-state --json
is 'the pair with fresh states, as JSON' $status 0
has 'as JSON: an object for each' out '^\{"status":0,"request":"swap","stages":\[\{"stage":"one","file":"\./one-c\.c","from":1,"to":[0-9]+,"unchanged":false,"item":[0-9]+,.*"report":".*fresh.*\},\{"stage":"two","file":"\./two-c\.c","from":1,.*"report":".*fresh.*\}\],"text":"'
run pcrun swap one ./one-a.c one ./one-b.c
says 'a stage twice' 2 "'one' is in the set twice"
has_not 'a stage twice: nothing is tried' graph.err 'in the set twice'
run pcrun swap one ./one-a.c tow ./two-a.c
says 'the second is no stage' 2 "there is no stage 'tow'; did you mean 'two'\?"
whole 'a pair' 130

# --------------------------------------------------------------------- ends in the middle of it
start 'replicas=4 ordered'
(
	i=0
	while [ $i -lt 1000 ]; do
		i=$((i + 1))
		stage "(void)\"build $i\";" $untried >now.c
		"$PCRUN" swap pass ./now.c || exit
	done
) >swaps 2>&1 &
swapper=$!
until_line swaps live
whole 'SIGINT while it is being swapped' 130
wait $swapper
has 'there were swaps' swaps 'live at item'

# ------------------------------------------------------------------- the end of one of two inputs
# two STATEMENT [WHO]: passes lines of two inputs on, and tells at the end of one who heard of it.
two() {
	cat <<END
#include <assert.h>
#include <pcrun/stage.h>
#include <stdio.h>
struct two { uint64_t n; };
static int process(struct pc_stage *st, void *state, struct pc_item *item)
{
	((struct two *)state)->n++;
	return pc_pass(st, 0, item);
}
static int closed(struct pc_stage *st, void *state, unsigned port)
{
	char text[80];
	int n = snprintf(text, sizeof(text), "%s hears of the end of %u after %d", "${2:-v1}", port, (int)((struct two *)state)->n);
	((struct two *)state)->n += 1000;
	pc_emit_copy(st, 0, text, (unsigned)n);
	$1
	return PC_OK;
}
static const struct pc_port in[] = {{"left", "*", 0, "lines"}, {"right", "*", 0, "lines"}};
static const struct pc_port out[] = {{"out", "text/line", 0, "all of them"}};
static const struct pc_field fields[] = {{"n", PC_T_U64, 1, 0, 8}};
PC_STAGE(.name = "two", .doc = "two in one", .flags = PC_NO_PROBE, PC_INPUTS(in), PC_OUTPUTS(out), PC_FIELDS(fields),
	PC_STATE(struct two), .process = process, .closed = closed);
END
}
# begin_two: the graph in the background; what goes to descriptors 7 and 8 comes in left and right.
begin_two() {
	rm -f left right graph.out graph.err
	mkfifo left right
	two '' >two.c
	cat >two.txt <<'END'
stage pass = ./two.c
lines(path="left") -> pass.left
lines(path="right") -> pass.right
pass -> print
END
	"$PCRUN" two.txt >graph.out 2>graph.err &
	pid=$!
	exec 7>left 8>right
	echo l1 >&7
	until_line graph.out l1
}
# end_two WHAT EXPECTED: all ends well, with these lines.
end_two() {
	(echo r1 >&8) # a graph that has ended kills who writes
	exec 7>&- 8>&-
	wait "$pid"
	is "$1: the graph ends as ever" $? 0
	same_text "$1: nothing is lost or doubled" graph.out "$2"
}
n=0
for how in 'return pc_fail(st, "no end");' 'assert(!"no end");'; do
	begin_two
	n=$((n + 1))
	two "$how (void)\"$n\";" v2 >bad.c
	swap ./bad.c
	says "closed() will fail on probation ($how): nobody knows yet" 0 'live at item'
	exec 7>&-
	until_line graph.err 'ROLLED BACK'
	has "closed() fails on probation ($how): undone" graph.err 'v2 ROLLED BACK, v1 runs again .*no end'
	end_two "$how" 'l1
v1 hears of the end of 0 after 1
r1'
done
# A fresh state is told anew, the old one is not.
begin_two
exec 7>&-
until_line graph.out hears
two 'return pc_fail(st, "no end");' v2 >bad.c
swap ./bad.c --reset-state
says 'closed() fails on a fresh state: undone' 4 'no end'
end_two 'a fresh state' 'l1
v1 hears of the end of 0 after 1
r1'

# The first build must be a good one.
stage 'return pc_fail(st, "bad from the start");' >pass.c
run pcrun -e 'gen(count=3) -> ./pass.c -> print'
says 'bad from the start: no way back, no loop' 1 'bad from the start'

# --------------------------------------------------------------------------------- kill -9
for moment in 0.01 0.05 0.1 0.2 0.4; do
	start
	stage "(void)\"$moment\";" >now.c
	"$PCRUN" swap pass ./now.c >/dev/null 2>&1 &
	swapper=$!
	sleep $moment
	kill -KILL "$pid"
	wait "$pid" 2>/dev/null
	wait $swapper
done
start
stage '(void)"the last";' >now.c
swap ./now.c
says 'after five killed ones' 0 'live at item'
whole 'after five killed ones' 130
find "$XDG_RUNTIME_DIR" -mindepth 1 -name .cache -prune -o \( -name '*.sock' -o -name '*.so' -o -name 'pcrun-*' \) -print >remains
same_text 'nothing is left of any of them' remains ''
done_testing
