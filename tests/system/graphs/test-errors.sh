#!/bin/sh
# graphs/errors.txt against grep, sed, sort and uniq, over the log of this folder.
. "${SOURCE:?run me with meson test}/tests/lib.sh"
log=$SOURCE/tests/system/graphs/access.log

# count_lines: as `count` prints them: COUNT LINE, the highest first, equal ones by line.
count_lines() {
	LC_ALL=C sort | LC_ALL=C uniq -c | sed 's/^ *//' | LC_ALL=C sort -k1,1nr -k2
}
grep -E '" [45][0-9][0-9] ' "$log" >failed
grep -oE '" [45][0-9][0-9] ' failed | tr -d '" ' | count_lines | sed 's/^/status /' >status
grep -oE '"[A-Z]+ [^ ?"]+' failed | sed 's/.* //' | count_lines | sed 's/^/path /' >path
is 'the log has something to find' "$(($(wc -l <status) > 5 && $(wc -l <path) > 10))" 1

# The two summaries come out side by side; each in its order.
both() {
	grep '^status ' "$1"
	grep '^path ' "$1"
}
cat status path >all
head -10 path | cat status - >expected
cd "$SOURCE" || exit 1
run pcrun graphs/errors.txt
cd "$work" || exit 1
is 'it ends well' "$status" 0
both out >got
same 'as the README shows it, from the root of the tree' got expected
wrong=0
for _ in $(seq 1 20); do
	run pcrun "$SOURCE/graphs/errors.txt" -D log="$log" -D top=0
	both out >got
	cmp -s got all || wrong=$((wrong + 1))
done
is 'all paths, 20 runs' "$wrong" 0

# Rotated logs: several files by pattern.
head -100 "$log" >access.log
sed 1,100d "$log" >access.log.1
run pcrun "$SOURCE/graphs/errors.txt" -D log='access.log*' -D top=0
both out >got
same 'two files by pattern' got all

done_testing
