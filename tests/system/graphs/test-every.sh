#!/bin/sh
# Every graph says in its first comment what it shows and how to run it, has no mistakes, and is
# run by a test.
. "${SOURCE:?run me with meson test}/tests/lib.sh"

for graph in "$SOURCE"/graphs/*.txt; do
	name=${graph##*/}
	head -1 "$graph" >first-line
	has "$name: its first line says what it shows" first-line "^# $name: "
	sed '/^#/!Q' "$graph" >comment
	has "$name: its first comment says how to run it" comment "pcrun graphs/$name"
	run pcrun check "$graph"
	is "$name: pcrun check finds nothing" "$status" 0
	if grep -q "graphs/$name" "$SOURCE"/tests/system/*.sh "$SOURCE"/tests/system/*/test-*.sh; then
		pass "$name: a test runs it"
	else
		fail "$name: a test runs it"
	fi
done

done_testing
