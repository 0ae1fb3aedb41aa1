#!/bin/sh
# The small graphs, each against what a shell makes of the same.
. "${SOURCE:?run me with meson test}/tests/lib.sh"
graphs=$SOURCE/graphs
gpl=/usr/share/common-licenses/GPL-3

# graphs/filter.txt: four replicas, and the order kept.
for _ in $(seq 1 20); do
	cat /usr/share/common-licenses/*
done >text
grep -i 'licen[cs]e' text >expected
wrong=0
for _ in $(seq 1 20); do
	run pcrun "$graphs/filter.txt" -D files=text
	cmp -s out expected || wrong=$((wrong + 1))
done
is 'filter.txt: 20 runs, in the order of the input' "$wrong" 0
run pcrun "$graphs/filter.txt" -D files=text -D pattern='^\s*$'
grep -E '^[[:space:]]*$' text >expected
same 'filter.txt: another pattern' out expected

# graphs/first.txt
run pcrun "$graphs/first.txt"
same_text 'first.txt: five numbers' out '0
1
2
3
4'
is 'first.txt: an endless source ends well' "$status" 0
run pcrun "$graphs/first.txt" -D n=100000
seq 0 99999 >expected
same 'first.txt: many' out expected

# graphs/workers.txt: each job exactly once.
run pcrun "$graphs/workers.txt" -D jobs=100
is 'workers.txt: it ends well' "$status" 0
sort -n out >got
seq 0 99 >expected
same 'workers.txt: each job exactly once' got expected

# graphs/fan-out.txt: one reading, three results.
run pcrun "$graphs/fan-out.txt" -D files=$gpl
is 'fan-out.txt: it ends well' "$status" 0
{
	printf 'begins with: %s\n' "$(head -1 $gpl)"
	printf 'empty lines: %s \n' "$(grep -c '^$' $gpl)"
	tr -cs A-Za-z '\n' <$gpl | sed '/^$/d' | LC_ALL=C sort | LC_ALL=C uniq -c |
		sed 's/^ *//' | LC_ALL=C sort -k1,1nr -k2 | head -3 | sed 's/^/word: /'
} | LC_ALL=C sort >expected
LC_ALL=C sort out >got
same 'fan-out.txt: each branch sees every line' got expected

# graphs/save.txt: see also test-write.sh.
run pcrun "$graphs/save.txt" -D from=$gpl -D to=saved -D pattern=warranty
is 'save.txt: it ends well' "$status" 0
grep warranty $gpl >expected
same 'save.txt: the file is whole' saved expected

# graphs/upper.txt: see also test-exec.sh.
run pcrun "$graphs/upper.txt" -D files=$gpl -D more=/etc/debian_version
is 'upper.txt: it ends well' "$status" 0
cat $gpl /etc/debian_version | tr '[:lower:]' '[:upper:]' | LC_ALL=C sort >expected
LC_ALL=C sort out >got
same 'upper.txt: every line of both writers, whole' got expected

done_testing
