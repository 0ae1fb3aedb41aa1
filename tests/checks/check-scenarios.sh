#!/bin/sh
# check-scenarios.sh [ROOT]: the table of hot-swap scenarios (tests/stress/swap/README.md) is whole and true.
#
# Run by the test suite "checks". Each of the 64 has one row; each row names a file and a case in it,
# as `FILE` "WORDS", and the file has these words. A test that is renamed or removed is found here.
set -eu
root=${1:-$(dirname -- "$0")/../..}
cd -- "$root"
table=tests/stress/swap/README.md
[ -f "$table" ] || { echo "check-scenarios: $table is missing" >&2; exit 2; }
bad=0
wrong() {
	echo "$table: $*"
	bad=1
}

n=1
while [ $n -le 64 ]; do
	rows=$(grep -c "^| $n |" "$table" || true)
	[ "$rows" -eq 1 ] || wrong "scenario $n has $rows rows"
	grep "^| $n |" "$table" | grep -q '`[^`]*` "[^"]*"' || wrong "scenario $n names no test"
	n=$((n + 1))
done
list=$(grep '^| [0-9]* |' "$table" | grep -o '`[^`]*` "[^"]*"')
# A pipe would keep `bad` from us.
while IFS= read -r line; do
	rest=${line#?}
	file=${rest%%\`*}
	words=${rest#*\"}
	words=${words%\"}
	if [ ! -f "$file" ]; then
		wrong "$file does not exist"
	elif ! grep -qF -e "$words" "$file"; then
		wrong "$file has no \"$words\""
	fi
done <<END
$list
END
exit $bad
