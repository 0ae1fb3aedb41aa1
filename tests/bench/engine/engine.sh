#!/bin/sh
# engine.sh: what pcrun's engine and its peers cost, as one table beside the engine's goals.
#
#   engine-bench [--rounds N] [--only TEXT] [--tiny]
#
# Meson puts its paths in and makes it engine-bench in the build folder; run it as `./dev bench
# engine`. A round runs every scenario and every peer that is here once, one after the other, so
# that a busy machine hits all alike. The table has the median of the rounds, the least and the
# most. A ratio is the row's median to that of the row named behind it: for a peer, how many times
# dearer it is than pcrun. --only takes the rows whose names hold TEXT. --tiny takes a hundredth of
# the items: it shows that everything runs, not what it costs.
#
# The goals are for two idle cores. A goal that is not met is no failure of this program; a
# scenario that cannot be run is. FastFlow takes part after `meson configure build-bench
# -Dfastflow=DIR`, where DIR holds ff/ff.hpp.
set -eu
here='@HERE@' pcrun='@PCRUN@' source='@SOURCE@'
PCRUN_PLUGIN_DIR='@PLUGINS@'
LC_ALL=C
export PCRUN_PLUGIN_DIR LC_ALL
engine=$here/bench-engine
wall=$here/engine-wall

rounds=5
only=
scale=1
failed=0
while [ $# -gt 0 ]; do
	case $1 in
	--rounds) rounds=${2:-} ;;
	--only) only=${2:-} ;;
	--tiny) scale=100 ;;
	*) rounds= && break ;;
	esac
	[ "$1" = --tiny ] || [ $# -eq 1 ] || shift
	shift
done
case $rounds in
'' | *[!0-9]* | 0*)
	echo 'usage: engine-bench [--rounds N] [--only TEXT] [--tiny]' >&2
	exit 2
	;;
esac

work=$(mktemp -d "${TMPDIR:-/tmp}/pcrun-bench.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
: >"$work/figures"

# measure ROW COMMAND...: the command prints a name, the figure and its unit.
measure() {
	row=$1
	shift
	case $row in
	*"$only"*) ;;
	*) return 0 ;;
	esac
	[ ! -t 2 ] || printf '\r\033[Kround %s of %s: %s' "$round" "$rounds" "$row" >&2
	if timeout 120 "$@" >"$work/line" 2>"$work/errors"; then
		printf '%s %s\n' "$row" "$(cat "$work/line")" >>"$work/figures"
	else
		[ ! -t 2 ] || printf '\r\033[K' >&2
		printf '%s: failed: %s\n' "$row" "$(head -n 3 "$work/errors")" >&2
		failed=1
	fi
}

# scenario NAME ITEMS [WORKERS]: one of pcrun.c, in a row of the same name.
scenario() {
	measure "$1" "$engine" "$1" $(($2 / scale)) ${3:+"$3"}
}

# peer ROW ITEMS PROGRAM: a program that takes the row's name, if it has been built.
peer() {
	[ ! -x "$here/$3" ] || measure "$1" "$here/$3" "$1" $(($2 / scale))
}

# A chain whose stages are declared and wired one by one.
awk 'BEGIN {
	print "stage s1 = gen(count=1)"
	for (i = 2; i < 10000; i++)
		print "stage s" i " = head(n=1)"
	print "stage s10000 = null"
	for (i = 1; i < 10000; i++)
		print "s" i " -> s" i + 1
}' >"$work/large.txt"

cores=$(nproc)
load=$(cut -d ' ' -f 1 /proc/loadavg)
for round in $(seq 1 "$rounds"); do
	scenario source-sink 30000000
	peer fastflow-2 10000000 engine-peer-fastflow
	peer fastflow-2-blocking 1000000 engine-peer-fastflow
	peer tbb-flow-2 1000000 engine-peer-tbb
	peer tbb-flow-2-lightweight 1000000 engine-peer-tbb
	peer tbb-pipeline-2 2000000 engine-peer-tbb
	peer go-2 5000000 engine-peer-go
	if command -v python3 >/dev/null; then
		measure python-2 python3 "$source/tests/bench/engine/peer-python.py" $((100000 / scale))
	fi

	scenario source-map-sink 30000000
	peer fastflow-3 100000 engine-peer-fastflow
	peer fastflow-3-blocking 1000000 engine-peer-fastflow
	peer tbb-flow-3 1000000 engine-peer-tbb
	peer tbb-flow-3-lightweight 1000000 engine-peer-tbb
	peer tbb-pipeline-3 2000000 engine-peer-tbb
	peer go-3 3000000 engine-peer-go
	if command -v gst-launch-1.0 >/dev/null; then
		measure gstreamer "$source/tests/bench/engine/peer-gstreamer.sh" "$wall" $((500000 / scale))
	fi

	scenario chain-1000 200000
	scenario chain-10000 100000
	scenario memory-10000 0
	scenario start-10000 0
	scenario 64-to-1 30000000
	scenario 1-to-64 30000000
	scenario chain-8 5000000
	measure oversubscribed "$engine" chain-8 $((5000000 / scale)) $((4 * cores))
	scenario section 8000000
	scenario mutex 8000000
	scenario fairness 10000000
	scenario futex 2000
	scenario latency 2000
	scenario idle 0
	measure start-3 "$wall" 21 "$pcrun" "$source/graphs/first.txt"
	measure check-10000 "$wall" 5 "$pcrun" check "$work/large.txt"
done
[ ! -t 2 ] || printf '\r\033[K' >&2

printf '%s cores, load %s before, median of %s rounds%s\n' "$cores" "$load" "$rounds" \
	"$([ $scale -eq 1 ] || printf ' of a hundredth of the items: only shows that all runs')"
awk -v only="$only" -f "$source/tests/bench/engine/table.awk" "$work/figures" "$source/tests/bench/engine/rows.txt"
exit $failed
