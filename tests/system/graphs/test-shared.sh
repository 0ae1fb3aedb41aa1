#!/bin/sh
# graphs/shared-dict.txt, many times over: nobody's update is lost; and what a graph with shared
# state may not say. See also tests/stress/shared.
. "${SOURCE:?run me with meson test}/tests/lib.sh"
graph=$SOURCE/graphs/shared-dict.txt

# count_down N TIMES: every run prints `num = 0` and nothing else, and ends well.
count_down() {
	for _ in $(seq "$2"); do
		run pcrun "$graph" -D n="$1"
		echo "$status: $(cat out err)"
	done | sort | uniq -c | sed 's/^ *//' >seen
	same_text "shared-dict.txt: $1 decrementers, $2 times" seen "$2 0: num = 0"
}
count_down 1 5
count_down 10 50
count_down 100 30
count_down 10000 10
for workers in 1 2 7; do
	run pcrun "$graph" -D n=1000 --workers "$workers"
	same_text "shared-dict.txt: on $workers workers" out 'num = 0'
done

# Readers on workers see it going down, never up, while it is counted down.
cat >watch.txt <<'EOT'
shared counts = dict(num=200000, name="a b")
stage down = decrement(counts, times=50000) replicas=4 critical
join counted after down
stage last = show(counts) start=counted
show(counts, key=num, every=1us) -> head(100) -> write("watched")
last -> print
EOT
run pcrun watch.txt
is 'watched: it ends well' "$status" 0
same_text 'watched: the end' out 'name = a b
num = 0'
sed 's/num = //' watched >numbers
is 'watched: a hundred times' "$(grep -c '^[0-9]*$' numbers)" 100
sort -nrs numbers >sorted
same 'watched: it never goes up' numbers sorted

# Without the word the graph is refused.
sed 's/ critical$//' "$graph" >careless.txt
run pcrun check careless.txt
is 'not critical: the status' "$status" 78
has 'not critical: it says so' err "'down' updates shared state 'counts', and is not critical"
cat >two.txt <<'EOT'
shared counts = dict(num=10)
stage one = decrement(counts) critical
stage two = decrement(counts) critical
EOT
run pcrun check two.txt
is 'two sections: the status' "$status" 78
has 'two sections: it says so' err 'which another critical section updates'
sed 's/critical$/critical=both/' two.txt >both.txt
run pcrun both.txt
is 'one section over two stages' "$status" 0
run pcrun -e 'shared counts = dict(num=10); show(conts) -> print'
has 'a mistyped name' err "there is no shared state 'conts'"
has 'a mistyped name: the right one' err "did you mean 'counts'"
run pcrun -e 'shared counts = dict(num=hello); stage x = decrement(counts) critical'
is 'no number: the status' "$status" 1
has 'no number: it says so' err "shared state 'counts' holds no number 'num'"

# A stage that brings the name along by itself is found out when it runs.
cat >sneaky.c <<'EOT'
#include <pcrun/stage.h>
static int produce(struct pc_stage *st, void *state)
{
	struct pc_shared *stats = pc_shared_find(st, "stats");
	uint64_t numbers[2] = {1, 2};
	int r;

	(void)state;
	if (!stats)
		return PC_ERROR;
	r = pc_shared_set(st, stats, NULL, numbers, sizeof(numbers));
	return r < 0 ? r : PC_END;
}
PC_STAGE(.name = "sneaky", .doc = "update what nobody knows of", .produce = produce);
EOT
run pcrun -e 'shared stats = bytes(size=16); stage s = ./sneaky.c()'
is 'sneaky: the status' "$status" 1
has 'sneaky: it says why' err "updates shared state 'stats' and is not critical"
run pcrun -e 'shared stats = bytes(size=16); stage s = ./sneaky.c() critical; join j after s
	stage w = show(stats) start=j; w -> print'
same_text 'a struct as shared state' out 'stats = 01000000000000000200000000000000'

done_testing
