#!/bin/sh
# The lines stage: which files it reads, what it makes of odd ones, and how it says no.
. "${SOURCE:?run me with meson test}/tests/lib.sh"

lines() { # lines PATH [PARAMETERS]: PATH as -D gives it, so that no quotes are in the way
	cat >graph.txt <<END
param path = -
lines(path=\$path${2:+, $2}) -> print
END
	run pcrun graph.txt -D path="$1"
}
blocks() { # the same by its other output
	cat >graph.txt <<END
param path = -
stage read = lines(path=\$path${2:+, $2})
read.blocks -> print
END
	run pcrun graph.txt -D path="$1"
}

# ---- what is in a file
printf 'one\n\n  two \r\nl\0n\n\377\376\n' >odd
lines odd
same 'bytes are kept: blanks, CR, NUL, what is no UTF-8' out odd
blocks odd
same 'in blocks, too' out odd
printf 'a\nno newline' >last
lines last
same_text 'the last line counts without its newline' out 'a
no newline'
blocks last
same_text 'in blocks, too' out 'a
no newline'
: >empty
lines 'empty empty'
same_text 'empty files are fine' out ''
is 'and end well' "$status" 0
printf 'x' >x
lines 'x empty x'
same_text 'lines of two files never become one' out 'x
x'
printf 'a b\0c\nd\0e' >zero
lines zero nul=true
printf 'a b\nc\nd\ne\n' >expected
same 'nul=true' out expected

# ---- every size of block, and lines longer than that
seq 1 5000 >numbers
LC_ALL=C awk 'BEGIN { for (i = 0; i < 300; i++) { for (j = 0; j < i * i % 701; j++) printf "%c", 97 + (i + j) % 26; print "" } }' >lengths
for block in 16 17 23 100 1000 4096 65537; do
	cat numbers lengths >expected
	lines 'numbers lengths' block=$block
	same "block=$block" out expected
	blocks 'numbers lengths' block=$block
	same "block=$block: blocks" out expected
done

# ---- long lines (1 GiB is for a machine with memory: LONG=1)
size=$((64 * 1024 * 1024))
if [ -n "${LONG:-}" ]; then
	size=$((1024 * 1024 * 1024))
fi
head -c "$size" /dev/zero | tr '\0' w >long
echo >>long
echo short >>long
lines long
is "a line of $size bytes" "$(cmp out long && echo same)" same
is 'it ends well' "$status" 0
lines long max=1000000
is 'a line longer than max is refused' "$status" 1
has 'and named with its place' err 'long: the line that starts at byte 0 is longer than max=1000000 bytes'
printf '12345\n123456\n' >six
lines six max=5
is 'also when it fits a block' "$status" 1
has 'its place' err 'six: the line that starts at byte 6 is longer than max=5 bytes'
lines six max=6
is 'a line of max bytes is fine' "$status" 0

# ---- which files
mkdir -p logs/sub 'with blank'
echo 1 >logs/a.log
echo 2 >logs/b.log
echo 3 >logs/c.txt
echo 4 >'with blank/a b.txt'
echo 5 >'logs/[x].log'
echo 6 >'logs/it'\''s'
lines 'logs/*.log'
same_text 'a pattern: by name' out '5
1
2'
lines 'logs/b.log logs/a.log'
same_text 'names: in the order given' out '2
1'
lines 'logs/[ab].log   logs/?.txt'
same_text 'two patterns' out '1
2
3'
lines 'logs/{c.txt,a.log}'
same_text 'braces' out '3
1'
lines 'with blank/a b.txt'
same_text 'what is the name of a file is meant as that' out '4'
lines "logs/a.log 'with blank/a b.txt' with\\ blank/*"
same_text 'quotes and backslashes' out '1
4
4'
lines "logs/[x].log logs/it\\'s 'logs/[x].log'"
same_text 'signs of patterns in names' out '5
6
5'
lines "'logs/*.log'"
is 'a quoted star is no pattern' "$status" 1
has 'but a name' err 'cannot read logs/\*\.log: No such file'
lines - <logs/a.log
same_text 'standard input' out 1
lines 'logs/b.log - logs/c.txt' <logs/a.log
same_text 'standard input among others' out '2
1
3'

# ---- what cannot be read
lines no-such-file
is 'a missing file: status' "$status" 1
has 'a missing file' err 'cannot read no-such-file: No such file or directory'
same_text 'nothing is written' out ''
lines 'logs/a.log no-such-file'
same_text 'a missing file is found before anything is read' out ''
lines 'no-such-*.log'
is 'a pattern without files: status' "$status" 1
has 'a pattern without files' err 'no file matches no-such-\*\.log'
lines logs
is 'a directory: status' "$status" 1
has 'a directory' err 'cannot read logs: it is a directory'
lines 'logs/*'
is 'a directory that a pattern finds is left out' "$status" 0
has 'with a warning' err 'logs/sub is a directory: left out'
if [ "$(id -u)" -ne 0 ]; then
	echo secret >secret
	chmod 0 secret
	lines 'sec*'
	is 'an unreadable file: status' "$status" 1
	has 'an unreadable file' err 'cannot read secret: Permission denied'
else
	skip 'an unreadable file (root can read everything)'
fi

# ---- pipes
mkfifo pipe
{ printf '1\n2\n'; sleep 0.2; printf '3'; } >pipe &
lines pipe
same_text 'a FIFO' out '1
2
3'
wait
# What has come is passed on at once, not when a block is full: the writer waits for it.
mkfifo there
"$PCRUN" -e 'lines -> print' <there >slow 2>err &
exec 3>there
printf 'first\nunfini' >&3
for _ in $(seq 1 500); do
	[ ! -s slow ] || break
	sleep 0.02
done
same_text 'a line arrives while the pipe is silent' slow first
printf 'shed\n' >&3
exec 3>&-
wait $!
is 'it ends well' $? 0
same_text 'and the rest later' slow 'first
unfinished'
# A FIFO that nobody writes to does not keep the graph from ending.
mkfifo nobody
"$PCRUN" -e 'lines(path=nobody) -> print' >slow 2>err &
sleep 0.3
kill -TERM $!
wait $!
is 'SIGTERM ends a graph that waits for a writer' $? 143
has_not 'in good order' err abandoned
# A line without end is refused while it comes. Descriptor 4 keeps the pipe open.
mkfifo silent
exec 4<>silent
head -c 3000000 /dev/zero >silent &
writer=$!
run timeout 60 "$PCRUN" -e 'lines(max=1M) -> print' <silent
is 'a line without end' "$status" 1
kill $writer 2>/dev/null
# Nor does one that stays silent.
"$PCRUN" -e 'lines -> print' <silent >slow 2>err &
sleep 0.3
kill -TERM $!
wait $!
is 'SIGTERM ends a graph that waits for a pipe' $? 143
exec 4>&-
# A reader that goes away ends the graph quietly and soon.
yes | head -c 100000000 >much
"$PCRUN" -e 'lines(path=much) -> print' 2>err | head -1 >out
same_text 'a closed output' out y
same_text 'ends quietly' err ''

done_testing
