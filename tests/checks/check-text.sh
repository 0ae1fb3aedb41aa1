#!/bin/sh
# check-text.sh [ROOT]: scripts pass shellcheck, words are spelt right, lines have no blanks at their ends.
#
# Run by `./dev check` and by the test suite "checks". shellcheck and codespell are used when they
# are installed (`./dev check` installs them).
set -eu
root=${1:-$(dirname -- "$0")/../..}
cd -- "$root"
status=0

scripts=$(find dev .ci tests runtime graphs \( -path dev -o -path '.ci/*' -o -name '*.sh' \) -type f 2>/dev/null | sort)
texts=$(find include runtime plugins graphs tests dev .ci README.md meson.build meson_options.txt \
	\( -name '*.[ch]' -o -name '*.sh' -o -name '*.scd' -o -name '*.md' -o -name 'meson*' -o -name '*.py' \
	-o -path 'graphs/*.txt' -o -path dev -o -path '.ci/*' \) -type f ! -path 'tests/*/corpus*/*' 2>/dev/null | sort)

# File names of this project hold no blanks: they are one word each.
# shellcheck disable=SC2086
if command -v shellcheck >/dev/null; then
	shellcheck -x -S warning -e SC1091,SC2034 $scripts || status=1
else
	echo "check-text: shellcheck is not installed: left out" >&2
fi
# shellcheck disable=SC2086,SC2046
if command -v codespell >/dev/null; then
	# Tests are full of words that are misspelt on purpose.
	codespell -L fo,fro,hendler,inout,statics $(printf '%s\n' $texts | grep -v '^tests/') || status=1
else
	echo "check-text: codespell is not installed: left out" >&2
fi
# shellcheck disable=SC2086,SC2046
if grep -nE '[ 	]+$' $(printf '%s\n' $texts | grep -v -e '^tests/.*sh$' -e 'scd$'); then
	echo "check-text: blanks at the ends of these lines" >&2
	status=1
fi
exit $status
