#!/bin/sh
# fails.sh PROGRAM [ARG...]: succeeds when PROGRAM fails: a test of the tests.
#
# The programs are those of this folder with one part of the engine left out (fault.h). Two tries:
# some faults show only when threads meet. A program that does not come to its end in time shows
# nothing: it may be a busy machine.
set -u
verdict='passes without what it tests'
for _ in 1 2; do
	timeout 140 "$@" >/dev/null 2>&1
	case $? in
	0) ;;
	124) verdict='had no time to fail' ;;
	*) exit 0 ;;
	esac
done
echo "$1 $verdict"
exit 1
