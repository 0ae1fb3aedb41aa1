#!/bin/sh
# test-probe-item.sh: the item at which a new build crashes in its probe is saved, the refusal says so, and
# pcrun replay brings that build and that item together again.
. "${SOURCE:?run me with meson test}/tests/lib.sh"
# No core files.
# shellcheck disable=SC3045
ulimit -c 0 2>/dev/null
crashes=$work/crashes
export PCRUN_CRASH_DIR="$crashes"
# A sanitizer reports crashes by itself, with other words and another status. In the probe it does not.
sanitized=no
if nm -D "$PCRUN" | grep -q '__[at]san_\|__ubsan_'; then
	sanitized=yes
fi

# stage STATEMENT [PARAMETERS]: of the numbers that come, this happens to those that end in 3: in a probe, or where
# CRASH is set, so that a build that has met none of them in its probe does no harm. Each is another code.
builds=0
stage() {
	builds=$((builds + 1))
	limit=
	if [ -n "${2:-}" ]; then
		limit='PC_PARAM_U64(struct odd, limit, "8", NULL, NULL, "a limit"),'
	fi
	cat <<END2
#define _GNU_SOURCE
#include <pcrun/stage.h>
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
struct odd { uint64_t n; const char *word; ${2:+uint64_t limit;} };
static volatile int build = $builds;
static int here(void)
{
	return strstr(program_invocation_short_name, "probe") || getenv("CRASH");
}
static int process(struct pc_stage *st, void *state, struct pc_item *item)
{
	struct odd *s = state;
	s->n += build > 0;
	if (*(const uint64_t *)item->data % 10 == 3 && here()) {
		$1;
	}
	return pc_emit_copy(st, 0, s->word, strlen(s->word));
}
static const struct pc_port in[] = {{"in", "*", 0, "numbers"}};
static const struct pc_port out[] = {{"out", "text/line", 0, "a word"}};
static const struct pc_param params[] = {$limit
	PC_PARAM_STRING(struct odd, word, "word", "what is said")};
PC_STAGE(.name = "odd", .doc = "stumble", .flags = PC_PURE, PC_INPUTS(in), PC_OUTPUTS(out), PC_PARAMS(params),
	PC_STATE(struct odd), .process = process);
END2
}
segv='*(volatile int *)8 = 1'
loop='for (;;) __asm__ volatile("")'

# start ARGUMENT...: a graph in the background; $pid, graph.out, graph.err.
start() {
	rm -rf "$crashes"
	"$PCRUN" "$@" >graph.out 2>graph.err &
	pid=$!
	n=0
	until "$PCRUN" status --graph=$pid >/dev/null 2>&1 || ! kill -0 "$pid" 2>/dev/null || [ $n -gt 600 ]; do
		sleep 0.1
		n=$((n + 1))
	done
	kill -0 "$pid" 2>/dev/null || {
		cat graph.err
		echo "Bail out! the graph has ended"
		exit 1
	}
}
stop() {
	kill -INT "$pid"
	wait "$pid"
	is "$1: the graph ran on all the time" $? 130
}
# How many lines of graph.err match.
lines() {
	grep -Ec -e "$1" graph.err
}
# refused STATEMENT: it is written to odd.c until the watch has refused it; twice is a rare bad luck.
refused() {
	tries=0
	before=$(lines REFUSED)
	while [ "$(lines REFUSED)" -eq "$before" ] && [ $tries -lt 10 ]; do
		tries=$((tries + 1))
		answers=$(lines 'REFUSED|live at')
		stage "$@" >new.c
		mv new.c odd.c
		n=0
		while [ "$(lines 'REFUSED|live at')" -eq "$answers" ] && [ $n -lt 600 ]; do
			sleep 0.1
			n=$((n + 1))
		done
	done
	sleep 0.1 # until the lines below it are there, too
}
# swap WORD...: pcrun swap, until it is refused; $back undoes it.
back='odd ./good.c'
swap() {
	tries=0
	status=0
	while [ "$status" -eq 0 ] && [ $tries -lt 10 ]; do
		tries=$((tries + 1))
		"$PCRUN" swap --graph="$pid" "$@" >swap.out 2>swap.err
		status=$?
		if [ "$status" -eq 0 ]; then
			# shellcheck disable=SC2086
			"$PCRUN" swap --graph="$pid" $back >back.out 2>&1 || cat back.out
		fi
	done
}
newest() {
	item=$(find "$crashes" -name '*.item' -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d ' ' -f 2-)
}
# all_saved WHAT: every refusal so far has saved something.
all_saved() {
	is "$1: saved" "$(lines "$it_is_saved")" "$(lines REFUSED)"
}
# item_is WHAT: the file holds what it says: numbers from 0 are counted from 1.
item_is() {
	number=$(sed -n 's/^number: //p' "$item")
	value=$(tail -c 8 "$item" | od -An -tu8 | tr -d ' ')
	is "$1: the item is the one that it says" "$((value + 1)) $((value % 10))" "$number 3"
}
# replay WHAT STATUS ARGUMENT...
replay() {
	what=$1
	expected=$2
	shift 2
	CRASH=1 run pcrun replay "$@"
	is "$what: the status of the replay" "$status" "$expected"
}
# crashes_again WHAT ARGUMENT...
crashes_again() {
	if [ $sanitized = yes ]; then
		skip "$1: a sanitizer has crashes"
		return
	fi
	what=$1
	shift
	replay "$what" 139 "$@"
	has "$what: the same" "$work/err" "^pcrun: SIGSEGV in stage 'odd' \\(v[12], replica 0\\), in process, item 1 of 'the saved item'\$"
	has_not "$what: it is saved already" "$work/err" 'is saved, '
}
it_is_saved="^  item [0-9]+ of 'gen -> odd' is saved, 8 bytes; do it again: pcrun replay $crashes/odd-v[0-9]+-[0-9]+(-[0-9]+)?\\.item\$"

# ------------------------------------------------------------------ a stage is saved while it runs
stage '' >good.c
cp good.c odd.c
start --watch -e 'param w=word; gen(rate=2k) -> ./odd.c(word=$w) -> null' -D w=parameter
refused "$segv"
has 'a crash' graph.err '  odd  REFUSED, v[0-9]+ keeps running: it did not pass its probe: it crashed in process\(\), with item [0-9]+ of'
has 'a crash: the item is saved, and how to do it again is said' graph.err "$it_is_saved"
newest
is 'a crash: the file that is named' "$item" "$(sed -n 's/.*pcrun replay //p' graph.err)"
is 'a crash: for its owner only' "$(stat -c %a "$item") $(stat -c %a "$crashes")" '600 700'
item_is 'a crash'
has 'a crash: the number that is said' graph.err "^  item $number of"
has 'a crash: the build' "$item" '^file: \./odd\.c$'
crashes_again 'a crash' "$item"
stage '' >odd.c
replay 'a crash, mended' 0 "$item"
same_text 'a crash, mended: what it emits' out parameter
has 'a crash, mended: said' err "^pcrun: stage 'odd' has done the item, and emitted 1\$"
replay 'a crash, mended, another parameter' 0 "$item" -D w=other
same_text 'a crash, mended, another parameter' out other
stop 'a watch'

start --watch -e 'gen(rate=2k) -> ./odd.c -> null'
refused 'assert(!"odd")'
has 'an assertion' graph.err "; it said: .*Assertion \`!\"odd\"' failed"
has 'an assertion: saved' graph.err "$it_is_saved"
newest
item_is 'an assertion'
replay 'an assertion' 1 "$item"
has 'an assertion: the same' err '^  because: assertion failed: !"odd" \(\./odd\.c:'
refused 'exit(3)'
has 'exit()' graph.err 'it ended the process in process\(\), with item'
all_saved 'exit()'
refused "$loop"
has 'a loop' graph.err '(used up the processor time that a probe has|did not come back for 2 s), in process\(\), with item'
all_saved 'a loop'
newest
item_is 'a loop'
refused 'pause()'
has 'a wait' graph.err 'it did not come back for 2 s, in process\(\), with item'
all_saved 'a wait'
saved=$(lines 'is saved')
refused 'return pc_fail(st, "not this one")'
has 'a failure' graph.err '  because: its process\(\) failed: not this one$'
is 'a failure is no crash: nothing is saved' "$(lines 'is saved') $(find "$crashes" -type f | wc -l)" "$saved $saved"
stop 'more of them'

# --json, and who looks on.
start --watch --json -e 'gen(rate=2k) -> ./odd.c -> null'
"$PCRUN" events --graph="$pid" --json >events &
looks=$!
sleep 0.3
tries=0
while ! grep -q '"event":"refused"' graph.err && [ $tries -lt 10 ]; do
	tries=$((tries + 1))
	stage "$segv" >odd.c
	n=0
	while [ "$(lines '"event":"(refused|live)"')" -lt $tries ] && [ $n -lt 600 ]; do
		sleep 0.1
		n=$((n + 1))
	done
done
newest
has '--json: the refusal names the file' graph.err "^\\{\"event\":\"refused\",.*\"stage\":\"odd\",.*,\"saved\":\"$item\"\\}\$"
has '--json: in words, too' graph.err "\"reason\":\"it did not pass its probe: .*item [0-9]+ of 'gen -> odd' is saved, 8 bytes; do it again: pcrun replay $item\\\\u000a\""
stop '--json'
wait "$looks"
has 'events: the same' events "^\\{\"event\":\"refused\",.*,\"saved\":\"$item\"\\}\$"

# ------------------------------------------------------------------------------- pcrun swap
stage '' >good.c
start -e 'gen(rate=2k) -> ./good.c(word="as given") -> null'
stage "$segv" >bad.c
swap odd ./bad.c
is 'swap: the status' "$status" 3
has 'swap: the item is saved' swap.err "$it_is_saved"
newest
item_is 'swap'
has 'swap: the build' "$item" '^file: \./bad\.c$'
crashes_again 'swap: the build that was refused, and not the one of the graph' "$item"
[ $sanitized = yes ] ||
	has 'swap: which, is said' err "^pcrun: 'odd' gets the build that was refused, of \\./bad\\.c, in place of \\./good\\.c\$"
mkdir -p elsewhere
printf 'gen(rate=2k) -> ../good.c(word="as given") -> null' >elsewhere/graph.txt
cd elsewhere || exit 1
crashes_again 'swap: from elsewhere' "$item"
crashes_again 'swap: from elsewhere, another graph' "$item" graph.txt
cd ..
stage 'return pc_fail(st, "no luck")' >bad.c
replay 'swap: it fails now' 1 "$item"
has 'swap: it fails now, and the build before is not asked' err '^  because: no luck$'
stage '' with-a-limit >bad.c
replay 'swap: mended' 0 "$item"
same_text 'swap: mended, with another parameter: those of the graph go over by name' out 'as given'
echo nonsense >bad.c
replay 'swap: it does not compile' 1 "$item"
has 'swap: it does not compile' err '^  because: \./bad\.c does not compile:'
rm bad.c
replay 'swap: it is gone' 1 "$item"
has 'swap: it is gone' err "^  because: \\./bad\\.c can't be read: No such file"
stage "$segv" >bad.c
swap odd ./bad.c --json
newest
has 'swap --json' swap.out "^\\{\"status\":3,\"request\":\"swap\",\"stage\":\"odd\",.*\"saved\":\"$item\",\"text\":"
"$PCRUN" events --graph="$pid" >events 2>/dev/null &
looks=$!
sleep 0.3
swap odd ./bad.c --dry-run
is 'swap --dry-run: the status' "$status" 3
has 'swap --dry-run: saved' swap.err "$it_is_saved"
is 'three of them' "$(find "$crashes" -name 'odd-v*.item' | wc -l)" 3

# ------------------------------------------------------------------------ there is no room for it
lost="^  item [0-9]+ of 'gen -> odd' could not be saved: "
rm -rf "$crashes"
echo >"$crashes"
swap odd ./bad.c
is 'no directory but a file: the status' "$status" 3
has 'no directory but a file' swap.err "$lost$crashes: Not a directory\$"
swap odd ./bad.c --json
has_not 'no directory but a file: no file in --json' swap.out '"saved"'
rm "$crashes"
swap odd ./bad.c
has 'it is made when it is needed' swap.err "$it_is_saved"
rm -rf "$crashes"
mkdir -m 777 "$crashes"
swap odd ./bad.c
has 'a directory of everybody' swap.err "$lost$crashes: somebody else owns it, or may write to it\$"
rm -rf "$crashes"
stop 'swap'
wait "$looks"

# The shim makes of the directory a full disk.
if [ $sanitized = yes ]; then
	skip 'a full disk: a sanitizer wants to be loaded before the shim'
else
	shim=$work/shim.so
	"${CC:-cc}" -w -fPIC -shared -D_GNU_SOURCE -o "$shim" "$SOURCE/tests/system/stage-dies/shim.c" -ldl 2>why ||
		fail 'shim.c builds' why
	for no_tmpfile in '' 1; do
		how="a full disk${no_tmpfile:+, no files without a name}"
		rm -rf "$crashes"
		LD_PRELOAD=$shim NO_TMPFILE=$no_tmpfile FULL=$crashes start -e 'gen(rate=2k) -> ./good.c(word=w) -> null'
		swap odd ./bad.c
		is "$how: the status" "$status" 3
		has "$how" swap.err "$lost$crashes: No space left on device\$"
		is "$how: nothing is left" "$(ls "$crashes")" ''
		stop "$how"
		LD_PRELOAD=$shim NO_TMPFILE=$no_tmpfile start -e 'gen(rate=2k) -> ./good.c(word=w) -> null'
		swap odd ./bad.c
		has "$how: room again" swap.err "$it_is_saved"
		newest
		item_is "$how: room again"
		stop "$how: room again"
	done
fi

# ------------------------------------------------------------------------------ not too many
start -e 'gen(rate=2k) -> ./good.c -> null'
mkdir -m 700 "$crashes" 2>/dev/null
n=1
while [ $n -le 30 ]; do
	echo >"$crashes/old-$n.item"
	touch -d "2020-01-01 00:00:$n" "$crashes/old-$n.item"
	n=$((n + 1))
done
swap odd ./bad.c
has 'not too many' swap.err "$it_is_saved"
is 'not too many: with room for one more' "$(find "$crashes" -name '*.item' | wc -l)" 15
is 'not too many: the new one is there' "$(find "$crashes" -name 'odd-*.item' | wc -l)" 1
stop 'not too many'

# -------------------------------------------------------------------- which input; one of a set
two() {
	stage "$@" | sed -e 's/{"in", "\*", 0, "numbers"}/{"left", "*", 0, "numbers"}, {"right", "*", 0, "numbers"}/' \
		-e 's/% 10 == 3/% 10 == 3 \&\& st->in_port == 1/'
}
two '' >good.c
two "$segv" >bad.c
start -e 'stage odd = ./good.c; gen(rate=2k) -> odd.left; gen(rate=2k) -> odd.right; odd -> null'
swap odd ./bad.c
newest
has 'two inputs: which' "$item" '^port: right$'
item_is 'two inputs'
crashes_again 'two inputs' "$item"
stop 'two inputs'

stage '' >good.c
stage '' >next.c
sed -i 's/text\/line/text\/next/' next.c
stage '' | sed 's/"\*"/"text\/line"/; s/"odd"/"even"/' >even.c
sed 's/text\/line/text\/next/' even.c >evennext.c
stage "$segv" | sed 's/text\/line/text\/next/' >bad.c
start -e 'stage even = ./even.c; gen(rate=2k) -> ./good.c -> even -> null'
back='odd ./good.c even ./even.c'
swap odd ./bad.c even ./evennext.c
is 'a set: the status' "$status" 3
has 'a set: saved' swap.err "$it_is_saved"
swap odd ./bad.c even ./evennext.c --json
newest
has 'a set: whose it was' swap.out "^\\{\"status\":3,.*\"stages\":\\[\\{\"stage\":\"odd\",[^}]*\"saved\":\"$item\"\\},\\{\"stage\":\"even\",[^}]*\"unchanged\":false\\}\\],"
item_is 'a set'
crashes_again 'a set: the refused build sends another type' "$item"
stop 'a set'

done_testing
