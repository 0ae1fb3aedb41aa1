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
	-type f ! -path 'tests/*/corpus/*' ! -path 'tests/lang/*' ! -name '*.so' ! -name '*.expected' 2>/dev/null | sort)

# File names of this project hold no blanks: they are one word each.
# shellcheck disable=SC2086
if command -v shellcheck >/dev/null; then
	shellcheck -x --source-path=SCRIPTDIR -e SC1091 $scripts || status=1
else
	echo "check-text: shellcheck is not installed: left out" >&2
fi
# shellcheck disable=SC2086
if command -v codespell >/dev/null; then
	codespell -L hendler,inout,statics $texts || status=1
else
	echo "check-text: codespell is not installed: left out" >&2
fi
# shellcheck disable=SC2086
if grep -nE '[ 	]+$' $texts; then
	echo "check-text: blanks at the ends of these lines" >&2
	status=1
fi
exit $status
