#!/bin/sh
# The exec stage: lines through another program, and what happens when that misbehaves.
. "${SOURCE:?run me with meson test}/tests/lib.sh"

through() { # through COMMAND [PARAMETERS] [ATTRIBUTES]
	cat >graph.txt <<END
param command = cat
lines(path=input) -> exec(command=\$command${2:+, $2}) -> print
END
	run pcrun graph.txt -D command="$1"
}

seq 1 200000 >input
through cat
same 'cat: every line' out input
through 'sort -rn'
sort -rn input >expected
same 'a program that answers at the end' out expected
through 'sed p'
sed p input >expected
same 'a program that says more than it hears' out expected
through 'head -3'
same_text 'a program that stops reading' out '1
2
3'
is 'ends the graph well' "$status" 0
through 'sed -u s/^/x/' reply=1
sed s/^/x/ input >expected
same 'reply=1' out expected
printf 'a\nb' >input
through 'printf "no newline"; cat >/dev/null'
same_text 'the last line without newline' out 'no newline'
head -c 3000000 /dev/zero | tr '\0' w >input
through 'cat'
is 'a long line' "$(wc -c <out)" 3000001

through 'cat >/dev/null; exit 3'
is 'a bad end: status' "$status" 1
has 'a bad end' err 'ended with status 3'
through 'kill -9 $$'
is 'killed: status' "$status" 1
has 'killed' err 'was ended by signal 9'
through no-such-program
is 'no such program: status' "$status" 1
has 'no such program' err 'ended with status 127'

# Several writers: each line reaches the program whole.
seq 1 30000 | sed 's/$/ aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/' >a
seq 1 30000 | sed 's/$/ bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb/' >b
run pcrun "$SOURCE/graphs/upper.txt" -D files=a -D more=b -D command=cat
cat a b | LC_ALL=C sort >expected
LC_ALL=C sort out >got
same 'two writers' got expected

# A program that neither reads nor ends is ended with the graph, its children too.
"$PCRUN" -e 'gen(count=1) -> exec("sleep 600 & echo $! >child; echo started; wait") -> print' >said 2>err &
for _ in $(seq 1 500); do
	[ ! -s said ] || break
	sleep 0.02
done
same_text 'a program that would go on' said started
kill -TERM $!
sleep 0.3
kill -TERM $!
wait $!
is 'does not keep the graph from ending' $? 143
ps -o stat= -p "$(cat child)" >state
has_not 'and is ended with its children' state '^[^Z]'

done_testing
