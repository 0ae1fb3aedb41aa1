#!/bin/sh
# under-sanitizer.sh COMMAND...: run a test of an instrumented build, and fail when anything was reported.
#
# Meson puts it before every test of a build with -Db_sanitize=... (tests/meson.build). Needed
# because a report in a process that the test started, or a leak that a Criterion test leaves, does
# not fail the test by itself: so reports go to files, and a file that has appeared is a failure.
set -u
case $1 in
*/queue-freeze)
	echo "stops threads at every instruction: the sanitizers' own code would be most of them" >&2
	exit 77
	;;
*/model/check.sh)
	echo "looks at a model, not at this build" >&2
	exit 77
	;;
esac
here=$(cd -- "$(dirname -- "$0")" && pwd)
reports=$(mktemp -d "${TMPDIR:-/tmp}/pcrun-reports.XXXXXX") || exit 1
trap 'rm -rf "$reports"' EXIT
trap 'exit 143' HUP INT TERM

export ASAN_OPTIONS="log_path=$reports/asan:detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1${ASAN_OPTIONS:+:$ASAN_OPTIONS}"
export LSAN_OPTIONS="suppressions=$here/leaks.supp:print_suppressions=0${LSAN_OPTIONS:+:$LSAN_OPTIONS}"
export UBSAN_OPTIONS="log_path=$reports/ubsan:print_stacktrace=1${UBSAN_OPTIONS:+:$UBSAN_OPTIONS}"
# By itself it sleeps for a second at each exit, that threads which are left may still race.
export TSAN_OPTIONS="log_path=$reports/tsan:atexit_sleep_ms=50:suppressions=$here/races.supp:second_deadlock_stack=1:history_size=4${TSAN_OPTIONS:+:$TSAN_OPTIONS}"

# With more random bits than gcc 12 knows of, ThreadSanitizer's shadow memory would be in the way.
if [ "$(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || echo 28)" -gt 28 ] && setarch -R true 2>/dev/null; then
	set -- setarch -R "$@"
fi

"$@"
status=$?
for report in "$reports"/*; do
	[ -e "$report" ] || continue
	printf '# sanitizer report %s:\n' "${report##*/}" >&2
	head -n 150 "$report" | sed 's/^/# /' >&2
	status=1
done
exit "$status"
