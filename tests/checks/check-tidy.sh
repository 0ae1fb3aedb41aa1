#!/bin/sh
# check-tidy.sh [ROOT]: every name in .clang-tidy is one that clang-tidy 14 knows, and no comma is lost.
#
# Run by `./dev tidy` and by the test suite "checks". The tool passes over both mistakes without a
# word, and then looks for less than one believes. Status 77 (skipped, for Meson) without clang-tidy-14.
set -eu
root=${1:-$(dirname -- "$0")/../..}
if ! command -v clang-tidy-14 >/dev/null; then
	echo "check-tidy: clang-tidy-14 is not installed" >&2
	exit 77
fi
clang-tidy-14 --checks='*' --list-checks 2>/dev/null | awk '
NR == FNR { if (NF == 1) known[$1]; next }
/^Checks:/ { list = 1; next }
/^[^ ]/ { list = 0 }
list {
	if (lost != "") {
		print lost
		status = 1
	}
	lost = /,$/ ? "" : FILENAME ":" FNR ": a comma is lost"
	name = $1
	sub(/,$/, "", name)
	sub(/^-/, "", name)
	found = name ~ /\*$/
	pattern = substr(name, 1, length(name) - 1)
	if (!found && name in known)
		next
	if (found)
		for (k in known)
			if (index(k, pattern) == 1)
				next
	printf "%s:%d: clang-tidy knows no check %s\n", FILENAME, FNR, name
	status = 1
}
END { exit status }' - "$root/.clang-tidy"
