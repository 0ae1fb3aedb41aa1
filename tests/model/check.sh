#!/bin/sh
# check.sh MODEL WRONG…: spin must pass MODEL as it is, exhaustively, and refute each wrong variant.
set -eu
model=$1
shift
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cp "$model" "$dir/model.pml"
cd "$dir"

# check DEFINE: 0 = no error, 1 = refuted
check() {
	rm -f pan* ./*.trail
	spin -a "$1" model.pml >spin.log 2>&1 || { cat spin.log; exit 2; }
	${CC:-cc} -O2 -w -DVECTORSZ=2048 -DCOLLAPSE -o pan pan.c
	./pan -m1000000 -w24 >pan.log
	grep -q 'max search depth too small\|out of memory' pan.log && { cat pan.log; exit 2; }
	grep 'states, stored\|errors:' pan.log
	grep -q 'errors: 0' pan.log
}

echo "$(basename "$model"):"
check -DWRONG=0 || { cat pan.log; echo "the protocol fails"; exit 1; }
for wrong in "$@"; do
	echo "wrong variant $wrong:"
	if check "-DWRONG=$wrong"; then
		echo "is not refuted"
		exit 1
	fi
done
