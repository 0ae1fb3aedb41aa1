#!/bin/sh
# check-format.sh [ROOT]: the C files look as clang-format 14 with the tree's .clang-format leaves them.
#
# Run by `./dev check` and by the test suite "checks". The release is pinned, because each one lays
# out a little differently. Names the files and shows how they differ; `./dev format` mends them.
# Status 77 (skipped, for Meson) when clang-format-14 is not installed.
set -eu
root=${1:-$(dirname -- "$0")/../..}
cd -- "$root"

if ! command -v clang-format-14 >/dev/null; then
	echo "check-format: clang-format-14 is not installed" >&2
	exit 77
fi
found=$(find include runtime plugins tests -name '*.[ch]' -type f ! -path 'tests/*/corpus/*' 2>/dev/null | sort)
[ -n "$found" ] || { echo "check-format: no sources under $root" >&2; exit 2; }

# One process for all says whether there is anything to show. File names hold no blanks.
# shellcheck disable=SC2086
if clang-format-14 --style=file --dry-run -Werror $found 2>/dev/null; then
	exit 0
fi
status=0
for file in $found; do
	if ! clang-format-14 --style=file "$file" | cmp -s - "$file"; then
		echo "$file: not laid out as clang-format-14 does (./dev format mends it)"
		clang-format-14 --style=file "$file" | diff -u "$file" - | sed -n '4,12p' || true
		status=1
	fi
done
exit $status
