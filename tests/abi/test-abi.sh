#!/bin/sh
# test-abi.sh: stages that were built with the header of ABI 1.0 load and work in today's pcrun.
#
# v1.0/ holds that header, frozen, and stages that use all of it. A red test here means that
# stages in the field break: raise PC_ABI_MAJOR, or change the change.
. "${SOURCE:?run me with meson test}/tests/lib.sh"
old=$BUILD/tests/abi

for name in oldgen oldmap oldbatch; do
	run pcrun inspect "$old/$name.so"
	is "$name loads" "$status" 0
	has "$name: its ABI is shown" out '^  ABI        1\.0$'
done

run pcrun -L "$old" -e 'oldgen(last=3) -> print'
same_text 'numbers, by new items and by copies' out '1
2
3'
same_text 'a log line, the name, the replica, the wiring' err 'pcrun: oldgen: oldgen 0 of 1 opened, wired 1'
run pcrun -q -L "$old" -e 'oldgen(first=4, last=5, pause=1ms) -> print'
same_text 'numbers with pauses' out '4
5'
run pcrun -q -L "$old" -e 'oldgen(first=2, last=1) -> print'
is 'an error of open' "$status" 1
has 'an error of open: its words' err 'from 2 to 1 is backwards'
run pcrun -q -L "$old" -e 'oldgen(last=4) -> m; stage m = oldmap(limit=2, add=10); m -> print'
same_text 'passed, sliced, changed' out '1
1
11
2
2
12'
run pcrun -q -L "$old" -e 'oldgen(last=4) -> m; stage m = oldmap(limit=2); m.rest -> print'
same_text 'the other output' out '3
4'
run pcrun -q -L "$old" -e 'oldgen(last=1) -> m; stage m = oldmap(); m.params -> print'
same_text 'parameters of every type' out '1 0.5 a text two 10000 4096 /tmp'
run pcrun -q -L "$old" -e 'oldgen(last=1) -> m; stage m = oldmap(flag=no, factor=-2.5, text="x y", mode=three, wait=1s, bytes=1M, path="."); m.params -> print'
same_text 'parameters of every type, given' out '0 -2.5 x y three 1000000000 1000000 .'
run pcrun -q -L "$old" -e 'oldgen(last=100) -> oldbatch -> print'
same_text 'batches on a thread of its own' out '5050'
run pcrun -q -L "$old" -e 'oldgen(first=999, last=1001) -> oldbatch -> print'
is 'an error in a batch' "$status" 1
has 'an error in a batch: its words' err '1001 is too much'

done_testing
