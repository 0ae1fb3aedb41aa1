#!/bin/sh
# graphs/wordcount.txt and graphs/words.txt against coreutils, byte for byte and in order.
. "${SOURCE:?run me with meson test}/tests/lib.sh"

# words SET FILE...: the expected result; SET is what tr keeps together. A file's last line counts
# as a line of its own, so each file is made to end with a newline.
words() {
	set=$1
	shift
	for file; do
		cat "$file"
		echo
	done | LC_ALL=C tr -cs "$set" '\n' | LC_ALL=C sed '/^$/d' | LC_ALL=C sort |
		LC_ALL=C uniq -c | LC_ALL=C sed 's/^ *//' | LC_ALL=C sort -k1,1nr -k2
}
# All bytes but the six of white space.
visible='\000-\010\016-\037\041-\377'

# The job of the README.
run pcrun "$SOURCE/graphs/wordcount.txt" -D files='/usr/share/common-licenses/*'
is 'licenses: it ends well' "$status" 0
words "$visible" /usr/share/common-licenses/* >expected
same 'licenses: as tr, sort and uniq count them' out expected
run pcrun "$SOURCE/graphs/words.txt" -D files='/usr/share/common-licenses/*'
same 'licenses: words.txt agrees' out expected

# A text whose words meet every edge: of blocks, of short keys (16 bytes), of tr's 64-byte steps.
mkdir texts
seq 1 3000 | LC_ALL=C awk '{
	for (i = 0; i < $1 % 97; i++) printf "%c", 97 + ($1 * 7 + i) % 26
	printf ($1 % 3 ? " \t" : "\v\f\r\n")
}' >texts/edges
printf 'no newline at the end' >texts/last
: >texts/empty
printf '\n\n  \n' >texts/blank
printf 'nul\0byte nul\0byte \0 x\n\377\376 \303\050 caf\303\251 caf\303\251\n' >texts/bytes
head -c 300000 /dev/zero | tr '\0' w >texts/long
run pcrun "$SOURCE/graphs/wordcount.txt" -D files='texts/*'
is 'edges: it ends well' "$status" 0
words "$visible" texts/* >expected
same 'edges: words' out expected
run pcrun "$SOURCE/graphs/words.txt" -D files='texts/*'
same 'edges: words.txt agrees' out expected
for block in 16 64 100 4096; do
	sed "s/path=\$files/path=\$files, block=$block/" "$SOURCE/graphs/wordcount.txt" >graph.txt
	run pcrun graph.txt -D files='texts/*'
	same "edges: in blocks of $block bytes" out expected
done
words 'A-Za-z' texts/* >expected
run pcrun "$SOURCE/graphs/wordcount.txt" -D files='texts/*' -D key=letters
same 'edges: letters' out expected
head -5 expected >five
run pcrun "$SOURCE/graphs/wordcount.txt" -D files='texts/*' -D key=letters -D top=5
same 'edges: the first five' out five

# Many replicas, many times: each block is counted exactly once.
words "$visible" texts/edges >expected
# shellcheck disable=SC2016
sed 's/path=\$files/path=\$files, block=256/' "$SOURCE/graphs/wordcount.txt" >graph.txt
wrong=0
for i in $(seq 1 40); do
	run pcrun graph.txt -D files=texts/edges -D replicas=$((i % 9 + 1))
	cmp -s out expected || wrong=$((wrong + 1))
done
is 'edges: 40 runs with 1 to 9 replicas' "$wrong" 0
wrong=0
for i in $(seq 1 20); do
	run pcrun "$SOURCE/graphs/words.txt" -D files=texts/edges -D replicas=$((i % 9 + 1))
	cmp -s out expected || wrong=$((wrong + 1))
done
is 'edges: 20 runs of words.txt with 1 to 9 replicas' "$wrong" 0

# Standard input, and nothing at all.
run pcrun "$SOURCE/graphs/wordcount.txt" <texts/edges
same 'from standard input' out expected
run pcrun "$SOURCE/graphs/wordcount.txt" </dev/null
same_text 'nothing comes of nothing' out ''
is 'nothing: it ends well' "$status" 0
run pcrun "$SOURCE/graphs/wordcount.txt" -D files=no-such-file
is 'a missing file: exit status 1' "$status" 1
has 'a missing file is named' err 'no-such-file: No such file or directory'

done_testing
