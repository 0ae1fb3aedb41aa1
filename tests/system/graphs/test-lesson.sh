#!/bin/sh
# The graphs of the producer-consumer lesson (SEED.md), each against its row, many times over.
# The shared dict (S6) has a test of its own.
. "${SOURCE:?run me with meson test}/tests/lib.sh"
graphs=$SOURCE/graphs
# Under ThreadSanitizer a run takes a second, and a fifth of the times is enough (tests/meson.build).
part=${LESSON_PART:-1}

# ---- S1 graphs/daemon.txt
run pcrun "$graphs/daemon.txt" -D pace=50ms
is 'daemon: exit status' "$status" 0
has 'daemon: the ordinary stage says its last line' out '^P2 ends$'
has_not 'daemon: the daemon does not' out '^P1 ends$'
same_text 'daemon: nothing to complain about' err ''

# ---- S2 graphs/daemon-race.txt, shortened
sed 's/wait=1s/wait=300ms/; s/wait=3s/wait=20ms/' "$graphs/daemon-race.txt" >race.txt
wrong=0
for i in $(seq 1 $((100 / part))); do
	run pcrun race.txt
	grep -vx 123 out | sort >got
	printf '456\nend456\nmain-------\n' | sort | cmp -s got - && [ "$status" -eq 0 ] &&
		[ "$(grep -cx 123 out)" -le 1 ] || wrong=$((wrong + 1))
done
is "daemon-race: $((100 / part)) runs: 456, end456 and main always, end123 never" "$wrong" 0
run pcrun "$graphs/daemon-race.txt"
has_not 'daemon-race: as it is' out end123

# ---- S9 graphs/bakery.txt, S10 graphs/bakery-end.txt

# Each item produced once, eaten once, and in this order.
bakery_is_right() { # bakery_is_right FILE LOAVES
	awk -v loaves="$2" '
	$2 == "produced" { if (made[$3]++) bad = 1; n++ }
	$2 == "ate" { if (!made[$3] || eaten[$3]++) bad = 1; m++ }
	NF != 3 { bad = 1 }
	END { exit bad || n != 3 * loaves || m != 3 * loaves }' "$1"
}
for name in bakery bakery-end; do
	run pcrun "$graphs/$name.txt" -D pace=30ms
	is "$name: exit status" "$status" 0
	is "$name: nine produced" "$(grep -c produced out)" 9
	is "$name: nine eaten" "$(grep -c ate out)" 9
	sed -n 's/^\([a-z]*\) produced/\1/p' out | sort >got
	for who in 'egon bun' 'monkey xiang' 'yang swill'; do
		printf '%s0\n%s1\n%s2\n' "$who" "$who" "$who"
	done >expected
	same "$name: who bakes what" got expected
	is "$name: only alex and wupeiqi eat" "$(grep ate out | grep -cvE '^(alex|wupeiqi) ate ')" 0
	wrong=0
	for i in $(seq 1 $((150 / part))); do
		run pcrun "$graphs/$name.txt" -D pace=0 -D loaves=$((i % 40)) -D capacity=$((i % 5 + 1))
		[ "$status" -eq 0 ] && [ ! -s err ] && bakery_is_right out $((i % 40)) ||
			wrong=$((wrong + 1))
	done
	is "$name: $((150 / part)) runs, each loaf eaten once and after it was baked" "$wrong" 0
	run pcrun "$graphs/$name.txt" -D pace=0 -D loaves=5000
	bakery_is_right out 5000
	is "$name: 15,000 loaves" $? 0
done

# ---- S3 graphs/tickets.txt, S4 graphs/tickets-join.txt
if [ ! -e "$PCRUN_PLUGIN_DIR/buyer.so" ]; then
	skip 'tickets: built without jansson'
	done_testing
fi

sold_right() { # sold_right TICKETS BUYERS: of out and db.txt
	won=$(($1 < $2 ? $1 : $2))
	[ "$(grep -c ' checked: ' out)" -eq "$2" ] &&
		[ "$(grep -c ' successfully purchased$' out)" -eq "$won" ] &&
		[ "$(grep -c ': No more tickets$' out)" -eq $(($2 - won)) ] &&
		[ "$(cat db.txt)" = "{\"count\": $(($1 - won))}" ] && [ "$status" -eq 0 ]
}
echo '{"count": 5}' >db.txt
run pcrun "$graphs/tickets.txt" -D pace=300ms
sold_right 5 10
is 'tickets: five of ten get one' $? 0
sed -n 's/^buyer \([0-9]*\) checked.*/\1/p' out | sort -n >got
seq 0 9 >expected
same 'tickets: every buyer checks once' got expected
# One check at a time, the first buyer would have a ticket before the second has checked.
sed '/purchased$/Q' out >before-the-first
is 'tickets: the checks overlap' "$(($(grep -c ' checked: ' before-the-first) > 1))" 1
wrong=0
for i in $(seq 1 $((60 / part))); do
	echo "{\"count\": $((i % 14))}" >db.txt
	run pcrun "$graphs/tickets.txt" -D pace=2ms -D buyers=$((i % 12 + 1))
	sold_right $((i % 14)) $((i % 12 + 1)) || wrong=$((wrong + 1))
done
is "tickets: $((60 / part)) runs, nobody oversells" "$wrong" 0

# Killed at any moment the file holds valid JSON, and at least what was announced is sold.
wrong=0
for i in $(seq 1 $((40 / part))); do
	echo '{"count": 1000}' >db.txt
	: >out
	"$PCRUN" "$graphs/tickets.txt" -D pace=0 -D buyers=40 >out 2>err &
	pid=$!
	sleep "0.0$((i % 10))$((i / 10))"
	kill -KILL $pid 2>/dev/null
	wait $pid 2>/dev/null
	left=$(sed -n 's/^{"count": \([0-9]*\)}$/\1/p' db.txt)
	sold=$(grep -c 'successfully purchased$' out)
	[ -n "$left" ] && [ $((1000 - left)) -ge "$sold" ] && [ $((1000 - left)) -le $((sold + 1)) ] ||
		wrong=$((wrong + 1))
done
is "tickets: $((40 / part)) times killed, the file is whole and true" "$wrong" 0

echo '{"name": "K", "count": 1}' >db.txt
run pcrun "$graphs/tickets.txt" -D pace=0 -D buyers=2
same_text 'tickets: the rest of the file is kept' db.txt '{"name": "K", "count": 0}'
echo 'count: 3' >db.txt
run pcrun "$graphs/tickets.txt" -D pace=0
is 'tickets: a file that is no JSON: status' "$status" 1
has 'tickets: a file that is no JSON' err 'cannot read db.txt'
run pcrun "$graphs/tickets.txt" -D db=no-such-file
has 'tickets: a missing file' err 'no-such-file'

wrong=0
for i in $(seq 1 $((20 / part))); do
	echo '{"count": 4}' >db.txt
	run pcrun "$graphs/tickets-join.txt" -D pace=2ms
	for n in 0 1 2 3 4 5 6 7 8 9; do
		left=$((n < 4 ? 4 - n : 0))
		echo "buyer $n checked: $left left"
		[ $left -gt 0 ] && echo "buyer $n successfully purchased" || echo "buyer $n: No more tickets"
	done >expected
	cmp -s out expected && [ "$(cat db.txt)" = '{"count": 0}' ] || wrong=$((wrong + 1))
done
is "tickets-join: $((20 / part)) runs, one after another in the order of the file" "$wrong" 0

done_testing
