#!/bin/sh
# wordcount.sh: counts the words of 1 GiB of text with pcrun, mawk and coreutils, and prints what
# each took and how many times that is pcrun's time.
#
# Run by `./dev bench wordcount` in the environment of tests/lib.sh. MIB=64 takes less text,
# ROUNDS=1 measures once. The text is made of all text files below /usr/share, their lines shuffled
# by a fixed seed, over and over; it stays in ${TMPDIR:-/tmp}/pcrun-bench for the next time. Each
# round runs one after the other, so that a busy machine hits all alike; the best of the rounds
# counts. coreutils are measured once: they take minutes.
#
# All results are compared. mawk does not take every control character as tr does, so the text has
# none but tab and newline.
# shellcheck disable=SC2317
set -eu
: "${SOURCE:?run me with ./dev bench wordcount}" "${PCRUN:?}"
mib=${MIB:-1024}
rounds=${ROUNDS:-3}
dir=${TMPDIR:-/tmp}/pcrun-bench
text=$dir/words-$mib.txt
export LC_ALL=C
mkdir -p "$dir"

if [ ! -s "$text" ]; then
	find /usr/share -type f -size -2000k \( -name '*.txt' -o -name '*.pod' -o -name '*.pm' \
		-o -name '*.py' -o -name '*.html' -o -name 'README*' -o -name copyright \) -print0 |
		sort -z | xargs -0 cat | tr -cd '\t\n -~\200-\377' >"$dir/plain"
	shuf --random-source="$dir/plain" "$dir/plain" >"$dir/shuffled"
	left=$((mib * 1024 * 1024))
	size=$(stat -c %s "$dir/shuffled")
	while [ "$left" -gt 0 ]; do
		head -c "$left" "$dir/shuffled"
		left=$((left - size))
	done >"$text.part"
	mv "$text.part" "$text"
	rm -f "$dir/plain" "$dir/shuffled"
fi

by_pcrun() {
	"$PCRUN" "$SOURCE/graphs/wordcount.txt" -D files="$text"
}
by_words() {
	"$PCRUN" "$SOURCE/graphs/words.txt" -D files="$text"
}
by_mawk() {
	mawk '{ for (i = 1; i <= NF; i++) c[$i]++ } END { for (w in c) print c[w], w }' "$text"
}
by_coreutils() {
	tr -s '[:space:]' '\n' <"$text" | sed '/^$/d' | sort | uniq -c | sort -k1,1nr
}

# measure NAME: runs by_NAME and leaves its milliseconds, if they are the fewest, in NAME.ms.
measure() {
	start=$(date +%s%N)
	"by_$1" >"$dir/$1.out"
	ms=$((($(date +%s%N) - start) / 1000000))
	if [ ! -s "$dir/$1.ms" ] || [ "$ms" -lt "$(cat "$dir/$1.ms")" ]; then
		echo "$ms" >"$dir/$1.ms"
	fi
}

rm -f "$dir"/*.ms
cat "$text" >/dev/null
for _ in $(seq 1 "$rounds"); do
	measure pcrun
	measure words
	measure mawk
done
measure coreutils

result=0
sort "$dir/pcrun.out" >"$dir/expected"
for name in words mawk coreutils; do
	sed 's/^ *//' "$dir/$name.out" | sort | cmp -s - "$dir/expected" || {
		echo "the result of $name differs from that of wordcount.txt" >&2
		result=1
	}
done

printf '%s MiB of text, %s cores, best of %s\n' "$mib" "$(nproc)" "$rounds"
printf '%-34s %9s %9s\n' '' seconds ratio
while read -r name what; do
	awk -v ms="$(cat "$dir/$name.ms")" -v ours="$(cat "$dir/pcrun.ms")" -v what="$what" \
		'BEGIN { printf "%-34s %9.2f %9.2f\n", what, ms / 1000, ms / ours }'
done <<'END'
pcrun pcrun graphs/wordcount.txt
words pcrun graphs/words.txt
mawk mawk, words in an array
coreutils tr | sort | uniq -c | sort (once)
END
rm -f "$dir"/*.out "$dir"/*.ms "$dir/expected"
exit $result
