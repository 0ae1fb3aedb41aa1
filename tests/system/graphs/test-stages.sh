#!/bin/sh
# split, count, grep, gen, head, delay, null: what the graphs do not show of them.
. "${SOURCE:?run me with meson test}/tests/lib.sh"

e() { # e TEXT: run a graph given on the command line
	run pcrun -e "$1"
}
refused() { # refused WHAT TEXT PATTERN
	e "$2"
	is "$1: status" "$status" 1
	has "$1" err "$3"
}

printf 'a b  c\n\n  d\te \n\v\fend' >words
printf '1,2,3\n,,\nx\n\n4,5\n' >fields

# ---- split
e 'lines(path=words) -> split -> print'
same_text 'split: words' out 'a
b
c
d
e
end'
e 'lines(path=words) -> split(field=2) -> print'
same_text 'split: the second word of each line' out 'b
e'
e 'lines(path=words) -> split(field=-1) -> print'
same_text 'split: the last word of each line' out 'c
e
end'
e 'lines(path=fields) -> split(unit=field, sep=",") -> print(prefix="<")'
sed 's/,/\n/g' fields | sed 's/^/</' >expected
same 'split: fields, empty ones too' out expected
for n in 1 2 3; do
	e "lines(path=fields) -> split(unit=field, sep=\",\", field=$n) -> print(prefix=\"<\")"
	awk -F, -v n=$n 'NF >= n || (n == 1) { print "<" $n }' fields >expected
	same "split: field $n as awk has it" out expected
done
e 'lines(path=fields) -> split(unit=field, sep=",", field=-2) -> print(prefix="<")'
awk -F, 'NF >= 2 { print "<" $(NF - 1) }' fields >expected
same 'split: the last but one field' out expected
e 'stage r = lines(path=fields); r.blocks -> split(unit=field, sep=",", field=2) -> print(prefix="<")'
awk -F, 'NF >= 2 { print "<" $2 }' fields >expected
same 'split: the lines of a block' out expected
printf 'a--b----c-d\n' >long
e 'lines(path=long) -> split(unit=field, sep="--") -> print(prefix="<")'
same_text 'split: a long separator' out '<a
<b
<
<c-d'
printf 'It'\''s 3 o'\''clock, caf\303\251!\n' >letters
e 'lines(path=letters) -> split(unit=letters) -> print'
same_text 'split: letters' out 'It
s
o
clock
caf'
refused 'split: an empty separator' 'lines(path=fields) -> split(unit=field, sep="") -> print' \
	'sep is empty'

# ---- count
printf 'b\na\n\nb\nB\nab\n\na\nb\n' >keys
e 'lines(path=keys) -> count -> print'
same_text 'count: whole lines, also empty ones' out '3 b
2 
2 a
1 B
1 ab'
e 'lines(path=keys) -> count(order=key) -> print'
same_text 'count: by key' out '2 
1 B
2 a
1 ab
3 b'
e 'lines(path=keys) -> count(top=2) -> print'
same_text 'count: the first two' out '3 b
2 '
e 'stage r = lines(path=keys); r.blocks -> count -> print'
same_text 'count: the lines of a block' out '3 b
2 
2 a
1 B
1 ab'
e 'lines(path=fields) -> count(key=field, sep=",", field=1, order=key) -> print'
awk -F, '{ print $1 }' fields | LC_ALL=C sort | uniq -c | sed 's/^ *//' >expected
same 'count: by a field' out expected
# Around the 16 bytes that an entry holds, with NUL bytes, and with keys that differ late.
for n in 0 1 7 8 9 15 16 17 24 100 70000; do
	key=$(head -c $n /dev/zero | tr '\0' k)
	printf '%s\n%sx\n%s\n%s\0\n' "$key" "$key" "$key" "$key"
done >sizes
e 'lines(path=sizes) -> count -> print'
LC_ALL=C sort sizes | LC_ALL=C uniq -c | LC_ALL=C sed 's/^ *//' | LC_ALL=C sort -k1,1nr -k2 >expected
LC_ALL=C sort out >got
LC_ALL=C sort expected >expected.sorted
same 'count: keys of all sizes' got expected.sorted
seq -f 'samekey-%g' 100 >late
seq 100 | sed 's/.*/&, and then &/' >>late
e 'lines(path=late) -> count(order=key) -> print'
LC_ALL=C sort late | sed 's/^/1 /' >expected
same 'count: keys that differ late, in order' out expected
seq 1 200000 >many
e 'lines(path=many) -> count(order=key) -> print'
LC_ALL=C sort many | sed 's/^/1 /' >expected
same 'count: many different keys' out expected
e 'stage c = count(order=none) replicas=3; lines(path=many) -> c -> count(merge=true, order=key) -> print'
same 'count: merged' out expected
printf '3 a\n4 b c\n10 a\n0 z\n2  \n' >counts
e 'lines(path=counts) -> count(merge=true) -> print'
same_text 'count: sums, keys with blanks' out '13 a
4 b c
2  '
printf '3 a\nx\n' >bad
refused 'count: what cannot be merged' 'lines(path=bad) -> count(merge=true) -> print' \
	'this is no line "COUNT KEY": x'
e 'stage c = count(merge=true) on_error=skip; lines(path=bad) -> c -> print'
same_text 'count: may be skipped' out '3 a'
printf '99999999999999999999 a\n' >bad
refused 'count: a number that is too big' 'lines(path=bad) -> count(merge=true) -> print' 'this is no line'
e 'lines(path="/dev/null") -> count -> print'
same_text 'count: nothing' out ''

# ---- grep
if [ -e "$PCRUN_PLUGIN_DIR/grep.so" ]; then
	printf 'apple\nBanana\n\ncherry pie\nx\0y\n\377z\n' >fruit
	e 'lines(path=fruit) -> grep("an") -> print'
	same_text 'grep: matches' out Banana
	e 'lines(path=fruit) -> grep("an", invert=true) -> print'
	LC_ALL=C grep -av an fruit >expected
	same 'grep: the others' out expected
	e 'stage g = grep("an"); lines(path=fruit) -> g; g.rest -> print; g -> null'
	same 'grep: the others by their port' out expected
	e 'lines(path=fruit) -> grep("B", ignore_case=true) -> print'
	same_text 'grep: ignore_case' out Banana
	e 'lines(path=fruit) -> grep("^$") -> count -> print'
	same_text 'grep: an empty line' out '1 '
	e 'lines(path=fruit) -> grep("x\\x00y") -> count -> null'
	is 'grep: a NUL byte in the text' "$status" 0
	e 'lines(path=fruit) -> grep("[a-z]+", group=0) -> print'
	LC_ALL=C grep -aoE '[a-z]+' fruit >expected
	same 'grep: every match, as grep -o' out expected
	e 'lines(path=fruit) -> grep("(?<first>[a-z])([a-z]+)", group=first) -> print'
	same_text 'grep: a named group' out 'a
a
c
p'
	e 'lines(path=fruit) -> grep("(?<first>[a-z])([a-z]+)", group=2) -> print'
	same_text 'grep: a numbered group' out 'pple
nana
herry
ie'
	e 'lines(path=fruit) -> grep("e*", group=0) -> count -> print'
	has 'grep: empty matches end' out ' $'
	printf 'caf\303\251\n' >utf
	e 'lines(path=utf) -> grep("^.{4}$", utf=true) -> print'
	same 'grep: characters' out utf
	e 'lines(path=utf) -> grep("^.{5}$") -> print'
	same 'grep: bytes' out utf
	refused 'grep: a bad pattern' 'lines(path=fruit) -> grep("a(b") -> print' \
		'pattern: missing closing parenthesis'
	has 'grep: with the place' err '^ *\^$'
	refused 'grep: no such group' 'lines(path=fruit) -> grep("a(b)", group=2) -> print' \
		'there is no group 2, the pattern has 1'
	refused 'grep: no such name' 'lines(path=fruit) -> grep("a(b)", group=x) -> print' \
		'the pattern has no group named x'
	refused 'grep: blocks' 'stage r = lines(path=fruit); r.blocks -> grep("a") -> print' \
		'grep looks at lines'
	{ head -c 40 /dev/zero | tr '\0' a; echo; echo ab; } >hard
	e 'stage g = grep("(*LIMIT_MATCH=100)(a+)+[bc]") on_error=skip; lines(path=hard) -> g -> print'
	same_text 'grep: gives up on an item that is too hard' out ab
	has 'grep: and says so' err 'gave up matching'
else
	skip 'grep: built without PCRE2'
fi

# ---- gen, head, null, delay
e 'gen(count=3) -> print'
same_text 'gen: counts from 0' out '0
1
2'
e 'gen(from=5, to=20, step=7) -> print'
same_text 'gen: from, to, step' out '5
12
19'
e 'gen(to=3, step=10) -> print'
same_text 'gen: a step beyond the end' out '0'
e 'gen(count=0) -> print'
same_text 'gen: none' out ''
e 'gen(from=9, to=8) -> print'
same_text 'gen: from above to' out ''
e 'gen(from=18446744073709551614) -> print'
same_text 'gen: the largest numbers' out '18446744073709551614
18446744073709551615'
e 'gen(count=5, from=3, to=4) -> print'
same_text 'gen: whichever ends first' out '3
4'
e 'gen(count=5, rate=200) -> print'
same_text 'gen: at a rate' out '0
1
2
3
4'
e 'gen(count=100000) -> null'
is 'null: swallows' "$status" 0
e 'gen -> head(n=0) -> print'
same_text 'head: none' out ''
is 'head: ends the source' "$status" 0
e 'gen(count=3) -> head -> print'
same_text 'head: fewer than asked for' out '0
1
2'
e 'gen(count=3) -> delay(5ms) -> print(prefix="> ")'
same_text 'delay, prefix' out '> 0
> 1
> 2'
e 'gen(count=3) -> grep("1") -> print'
is 'numbers are no text: status' "$status" 78

done_testing
