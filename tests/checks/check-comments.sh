#!/bin/sh
# check-comments.sh [ROOT]: every source file tells at its top what it is for, and none puts work off.
#
# Run by `./dev check` and by the test suite "checks". A C file begins with a comment of at least
# twenty letters, a script has one on its second line. The words by which people postpone work
# (the list is in the code) must not stand anywhere: what is left to do stands in an issue.
set -eu
root=${1:-$(dirname -- "$0")/../..}
cd -- "$root"

found=$(find include runtime plugins tests dev .ci \
	\( -name '*.[ch]' -o -name '*.inc' -o -name '*.sh' -o -name '*.py' -o -path dev -o -path '.ci/*' \) \
	-type f ! -path 'tests/*/corpus/*' 2>/dev/null | sort)
[ -n "$found" ] || { echo "check-comments: no sources under $root" >&2; exit 2; }

# File names of this project hold no blanks: they are one word each.
# shellcheck disable=SC2086
exec awk '
BEGIN { later = "(^|[^A-Za-z_])(TO" "DO|FIX" "ME|XX" "X)([^A-Za-z_]|$)" }
function bad(line, text) { printf "%s:%d: %s\n", FILENAME, line, text; status = 1 }
function judge() {
	if (file == "")
		return
	gsub(/[^A-Za-z]/, "", opening)
	if (length(opening) < 20) {
		printf "%s:1: does not begin with a comment that says what the file is for\n", file
		status = 1
	}
}
FNR == 1 {
	judge()
	file = FILENAME
	opening = ""
	script = FILENAME !~ /\.(c|h|inc)$/
	inside = script ? 1 : $0 ~ /^\/\*/
}
inside && script && !/^#!/ {
	if ($0 ~ /^#|^"""/)
		opening = opening $0
	else
		inside = 0
}
inside && !script {
	opening = opening $0
	if ($0 ~ /\*\//)
		inside = 0
}
$0 ~ later { bad(FNR, "work that is put off belongs into an issue, not into the code") }
END { judge(); exit status }' $found
