# shellcheck shell=sh
# lib.sh: what the test scripts share: a work folder, checks that print TAP, the command under test.
#
# Sourced by tests/*/test-*.sh, which Meson runs with protocol 'tap' in this environment (all paths
# absolute): SOURCE the tree, BUILD the build folder, PCRUN the command, PCRUN_PLUGIN_DIR and
# PCRUN_INCLUDE_DIR where it finds plugins and headers before they are installed.
#
#   . "${SOURCE:?run me with meson test}/tests/lib.sh"
#   run pcrun -e 'gen(count=3) -> print'          # sets $status, fills $work/out and $work/err
#   same_text 'gen counts from 0' "$work/out" '0
#   1
#   2'
#   is 'it ends well' "$status" 0
#   done_testing                                  # the last line
#
# A script that dies in the middle fails: Meson sees its exit status. Every file goes to $work,
# which is the working directory too, and is removed at the end (KEEP=1 leaves it).
set -u
: "${SOURCE:?run me with meson test}"

work=$(mktemp -d "${TMPDIR:-/tmp}/pcrun-test.XXXXXX")
clean_up() {
	tap_code=$?
	[ -n "${KEEP:-}" ] || rm -rf "$work"
	exit "$tap_code"
}
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
cd "$work" || exit 1
# Compiled stages and the like go where they are thrown away, and messages are in English.
export XDG_CACHE_HOME="$work/.cache" XDG_RUNTIME_DIR="$work" LC_ALL=C.UTF-8
# Graphs that run elsewhere on the machine are none of a test's.
export PCRUN_CONTROL_DIR="$work/.control"
# And what crashes is thrown away, too.
export PCRUN_CRASH_DIR="$work/.crash"

tap_count=0
tap_failed=0

pass() {
	tap_count=$((tap_count + 1))
	printf 'ok %d - %s\n' "$tap_count" "$1"
}

# fail WHAT [FILE...]: the files, or standard input when it is -, are shown as comments.
fail() {
	tap_count=$((tap_count + 1))
	tap_failed=$((tap_failed + 1))
	printf 'not ok %d - %s\n' "$tap_count" "$1"
	shift
	for tap_file; do
		head -n 60 -- "$tap_file" | sed 's/^/#     /'
	done
}

skip() {
	tap_count=$((tap_count + 1))
	printf 'ok %d # SKIP %s\n' "$tap_count" "$1"
}

# run COMMAND...: as it is; `pcrun` is the command under test, which is ended (status 124) when it
# hangs for RUN_LIMIT seconds. Standard input is the caller's.
run() {
	case $1 in
	pcrun)
		shift
		set -- timeout --foreground -k 5 "${RUN_LIMIT:-60}" "${PCRUN:?no pcrun was built}" "$@"
		;;
	esac
	"$@" >"$work/out" 2>"$work/err"
	# shellcheck disable=SC2034
	status=$?
}

# is WHAT ACTUAL EXPECTED: two words or numbers.
is() {
	if [ "$2" = "$3" ]; then
		pass "$1"
	else
		printf 'got      %s\nexpected %s\n' "$2" "$3" >"$work/.why"
		[ ! -s "$work/err" ] || { echo 'the last command said:'; cat "$work/err"; } >>"$work/.why"
		fail "$1" "$work/.why"
	fi
}

# same WHAT FILE EXPECTED-FILE
same() {
	if diff -u -- "$3" "$2" >"$work/.why" 2>&1; then
		pass "$1"
	else
		[ ! -s "$work/err" ] || { echo 'the last command said:'; cat "$work/err"; } >>"$work/.why"
		fail "$1" "$work/.why"
	fi
}

# same_text WHAT FILE TEXT: TEXT without its last newline; '' is the empty file.
same_text() {
	if [ -n "$3" ]; then
		printf '%s\n' "$3" >"$work/.expected"
	else
		: >"$work/.expected"
	fi
	same "$1" "$2" "$work/.expected"
}

# has WHAT FILE PATTERN: some line of FILE matches the extended regular expression.
has() {
	if grep -Eq -e "$3" -- "$2"; then
		pass "$1"
	else
		printf 'no line matches %s in:\n' "$3" | cat - "$2" >"$work/.why"
		fail "$1" "$work/.why"
	fi
}

# has_not WHAT FILE PATTERN
has_not() {
	if grep -E -e "$3" -- "$2" >"$work/.why"; then
		fail "$1" "$work/.why"
	else
		pass "$1"
	fi
}

# readme_file NAME: the block of README.md that stands for a file, ```c NAME.
readme_file() {
	awk -v name="$1" '/^```/ { on = !on && $2 == name; next } on' "$SOURCE/README.md"
}

done_testing() {
	printf '1..%d\n' "$tap_count"
	[ "$tap_failed" -eq 0 ] || exit 1
	exit 0
}
