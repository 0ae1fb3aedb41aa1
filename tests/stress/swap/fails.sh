#!/bin/sh
# fails.sh PROGRAM [ARG...]: succeeds when PROGRAM fails: a test of the tests.
#
# The programs are those of this folder with one part of the engine left out (fault.h). Two tries:
# some faults show only when threads meet.
set -u
for _ in 1 2; do
	timeout 120 "$@" >/dev/null 2>&1 || exit 0
done
echo "$1 passes without what it tests"
exit 1
