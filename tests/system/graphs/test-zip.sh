#!/bin/sh
# zip: pairs by arrival and by key, sides of unequal length, and what is left over.
. "${SOURCE:?run me with meson test}/tests/lib.sh"
graph=$SOURCE/graphs/zip.txt

seq 1 1000 >left
seq 1001 2000 >right
run pcrun "$graph" -D left=left -D right=right
paste -d'|' left right | sed 's/|/ | /' >expected
same 'by arrival: the lines side by side, in order' out expected
is 'by arrival: it ends well' "$status" 0

# One side much longer: the other is held back, and the end comes when there is no partner.
seq 1 200000 >left
seq 1 50000 >right
run pcrun "$graph" -D left=left -D right=right
seq 1 50000 | sed 's/.*/& | &/' >expected
same 'sides of unequal length: as many pairs as the shorter has' out expected
is 'sides of unequal length: it ends well' "$status" 0

: >right
run pcrun "$graph" -D left=left -D right=right
same_text 'an empty side: no pairs' out ''
is 'an empty side: it ends well' "$status" 0

printf 'ann 1\nbob 2\ncid 3\nbob 4\n' >left
printf 'bob x\ndan q\nbob y\nann z\n' >right
run pcrun "$graph" -D left=left -D right=right -D by=1
LC_ALL=C sort out >got
printf 'ann 1 | ann z\nbob 2 | bob x\nbob 4 | bob y\n' >expected
same 'by key: equal fields meet, in their order' got expected

seq 1 5000 >left
seq 1 5000 | sort -R --random-source=/dev/zero >right
run pcrun -e "stage z = zip(by=1, sep=-, window=10000); lines(left) -> z.left; lines(right) -> z.right; z -> print"
seq 1 5000 | sed 's/.*/&-&/' | LC_ALL=C sort >expected
LC_ALL=C sort out >got
same 'by key: any order' got expected

run pcrun -e "stage z = zip(rest=fail); lines(left) -> z.left; gen(count=3) -> z.right; z -> null"
is 'rest=fail: what is left over is an error' "$status" 1
has 'rest=fail: says how many' err '4997 items of left and 0 of right found no partner'

# All to one side, whose items are not wanted any more before the other side has some.
cat >aside.c <<'END'
#include <pcrun/stage.h>
static int process(struct pc_stage *st, void *state, struct pc_item *item)
{
	(void)state;
	return pc_pass(st, 1, item);
}
static const struct pc_port in[] = {{"in", "*", 0, "items"}};
static const struct pc_port out[] = {{"none", "=in", 0, "nothing"}, {"all", "=in", 0, "the same"}};
PC_STAGE(.name = "aside", .doc = "pass to one side", PC_INPUTS(in), PC_OUTPUTS(out), .process = process);
END
run pcrun -e 'stage a = ./aside.c; stage z = zip(window=4); gen(count=5000) -> a
a.none -> z.left [capacity=4]; a.all -> z.right [capacity=4]; z -> null'
is 'a side that never comes: a deadlock' "$status" 3
has 'a side that never comes: it is the one that is waited for' err "^  z waits for input from 'a\\.none -> z\\.left' \\(0 of 4\\)\$"
has 'a side that never comes: and who waits for the other' err "^  a waits for room in 'a\\.all -> z\\.right' \\(4 of 4\\)\$"
done_testing
