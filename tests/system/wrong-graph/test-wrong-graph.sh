#!/bin/sh
# test-wrong-graph.sh: each wrong graph of this folder is refused in exactly the words of its .expect,
# by `pcrun check` and by a run, with exit status 78 and nothing on standard output.
#
# To write one: pcrun check NAME.txt 2>NAME.expect, then read it aloud. A graph that needs options
# has them in NAME.options, one word a line.
. "${SOURCE:?run me with meson test}/tests/lib.sh"
cd "$SOURCE/tests/system/wrong-graph" || exit 1

# The plugins whose libraries may be missing: "did you mean" speaks of those that are there.
missing=
for plugin in grep count; do
	[ -e "$PCRUN_PLUGIN_DIR/$plugin.so" ] || missing=$plugin
done

# refuses NAME WORD...: what `pcrun WORD…` says of NAME.txt.
refuses() {
	name=$1
	shift
	run pcrun "$@"
	if [ "$status" -ne 78 ] || [ -s "$work/out" ]; then
		{ echo "status $status, expected 78; standard output, expected to be empty:"; cat "$work/out"; } >"$work/why"
		fail "$*" "$work/why"
	else
		same "$*" "$work/err" "$name.expect"
	fi
}

for graph in *.txt; do
	name=${graph%.txt}
	if [ -n "$missing" ]; then
		skip "$name: there is no plugin $missing"
		continue
	fi
	set --
	if [ -e "$name.options" ]; then
		while read -r word; do
			set -- "$@" "$word"
		done <"$name.options"
	fi
	refuses "$name" check "$@" "$graph"
	# A graph that is not refused would run, perhaps for ever.
	[ "$status" -ne 78 ] || refuses "$name" run "$@" "$graph"
done
done_testing
