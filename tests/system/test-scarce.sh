#!/bin/sh
# test-scarce.sh: descriptors, threads, memory, streams or directories are missing: each word of the command
# says so and ends with its own status; none is ended by a signal, or hangs.
. "${SOURCE:?run me with meson test}/tests/lib.sh"
RUN_LIMIT=60
echo 'gen(count=3) -> print' >g.txt
printf '0\n1\n2\n' >numbers

# ends WHAT STATUS...: the last run ended with one of these, and what did not go well has a reason.
ends() {
	what=$1
	shift
	for expected; do
		[ "$status" -ne "$expected" ] || break
	done
	if [ "$status" -ne "$expected" ]; then
		{ echo "status $status, not one of $*"; cat err; } >why
		bad=why
	elif [ "$status" -ne 0 ] && [ ! -s err ]; then
		echo "status $status without a word" >why
		bad=why
	elif [ "$status" -eq 0 ] && ! "$check"; then
		{ echo 'status 0, but'; cat out err; } >why
		bad=why
	fi
	[ -z "$bad" ] || [ -n "$first" ] || { first="$what"; cp why first; }
}
begin() {
	bad=
	first=
	check=${1:-true}
}
done_with() {
	if [ -z "$bad" ]; then
		pass "$1"
	else
		echo "at: $first" | cat - first >why
		fail "$1" why
	fi
}
all_numbers() { cmp -s out numbers; }

# The dynamic loader needs some by itself, and says so with status 127.
no_loader() { [ "$status" -eq 127 ] && grep -q 'shared librar\|^cannot allocate TLS data' err; }
# A sanitizer looks for leaks at the end, and gives up when it lacks some for that. It hangs for good when it
# can not open a file to say so: what it says goes to the standard error here.
no_sanitizer() { grep -q 'LeakSanitizer has encountered a fatal error' err; }
reported() { grep -Eq 'ERROR: [A-Za-z]+Sanitizer|WARNING: ThreadSanitizer|: runtime error: ' err; }
# limited LIMIT WORD...: as run does.
limited() {
	limit=$1
	shift
	status=0
	# shellcheck disable=SC2086
	(ASAN_OPTIONS="${ASAN_OPTIONS:-}:log_path=stderr" UBSAN_OPTIONS="${UBSAN_OPTIONS:-}:log_path=stderr"
	export ASAN_OPTIONS UBSAN_OPTIONS
	ulimit $limit && exec timeout --foreground -k 5 $RUN_LIMIT "$PCRUN" "$@") >out 2>err || status=$?
	if reported; then
		status=99
	elif no_loader || no_sanitizer; then
		status=2
	fi
}

begin all_numbers
n=3
while [ $n -le 40 ]; do
	limited "-n $n" g.txt
	ends "$n descriptors" 0 1 2 78
	n=$((n + 1))
done
is 'with forty descriptors it runs' "$status" 0
done_with 'run: few descriptors'

"$PCRUN" -e 'gen(rate=20) -> null' >long 2>&1 &
long=$!
n=0
until [ -e "$PCRUN_CONTROL_DIR/text-$long.sock" ] || [ $n -gt 2400 ]; do
	sleep 0.025
	n=$((n + 1))
done
for words in 'check g.txt' 'fmt g.txt' 'inspect g.txt' 'inspect gen' list help 'help run' --version ps 'ps --json' \
	status 'status --json' 'swap --dry-run gen gen.so' reload 'replay g.txt'; do
	begin
	n=3
	while [ $n -le 12 ]; do
		# shellcheck disable=SC2086
		limited "-n $n" $words
		ends "$n descriptors" 0 1 2 3 78
		! grep -q 'no graph of yours' err || { bad=err; cp err first; }
		n=$((n + 1))
	done
	done_with "$words: few descriptors"
done

# ----------------------------------------------------------------------------- streams
for words in 'check -v g.txt' 'fmt g.txt' 'inspect g.txt' 'inspect --json gen' list 'list --json' help 'help run' \
	--version ps status 'status -v' 'swap --dry-run gen gen.so' events; do
	begin
	# shellcheck disable=SC2086
	case $words in
	swap*) ;;
	*)
		# Nobody reads: as of any other command, and also where it is ignored.
		mkfifo pipe
		: <pipe &
		exec 8>pipe
		wait $!
		rm pipe
		status=0
		env --default-signal=PIPE timeout --foreground 60 "$PCRUN" $words >&8 2>err || status=$?
		[ "$words" != events ] || [ $status -ne 0 ] || status=141
		is "$words | nobody: the status" "$status" 141
		same_text "$words | nobody: silent" err ''
		status=0
		env --ignore-signal=PIPE timeout --foreground 60 "$PCRUN" $words >&8 2>err || status=$?
		[ "$words" != events ] || [ $status -ne 0 ] || status=1
		is "$words | nobody, SIGPIPE ignored: the status" "$status" 1
		exec 8>&-
		;;
	esac
	for streams in '<&-' '>&-' '2>&-' '<&- >&- 2>&-'; do
		[ "$words" != events ] || continue
		status=0
		eval "timeout --foreground 60 \"\$PCRUN\" $words >out 2>err $streams" || status=$?
		[ -s err ] || echo '(closed)' >err
		ends "$streams" 0 1 2 3
	done
	done_with "$words: streams that are closed"
done
for streams in '<&-' '2>&-' '<&- 2>&-'; do
	eval "timeout --foreground 60 \"\$PCRUN\" g.txt >out 2>err $streams"
	is "run $streams" $? 0
	same "run $streams: all of it" out numbers
done
"$PCRUN" g.txt >&- 2>err
is 'run >&-' $? 1
has 'run >&-: said' err 'standard output'
kill -TERM $long
wait $long

# ----------------------------------------------------------------------------- threads
shim=$work/shim.so
if nm -D "$PCRUN" | grep -q '__[at]san_\|__ubsan_'; then
	skip 'few threads, little memory: a sanitizer needs more'
else
	"${CC:-cc}" -w -fPIC -shared -D_GNU_SOURCE -o "$shim" "$SOURCE/tests/system/stage-dies/shim.c" -ldl 2>why ||
		fail 'shim.c builds' why
	begin all_numbers
	n=0
	while [ $n -le 12 ]; do
		LD_PRELOAD=$shim THREADS=$n run pcrun g.txt -j 2
		ends "$n threads" 0 1
		n=$((n + 1))
	done
	is 'with twelve threads it runs' "$status" 0
	done_with 'run: few threads'
	LD_PRELOAD=$shim THREADS=0 run pcrun g.txt
	has 'no thread at all' err "^pcrun: can't wait for signals: Resource temporarily unavailable\$"

	begin all_numbers
	n=2000
	while [ $n -le 120000 ]; do
		limited "-v $n" g.txt
		ends "$n KiB" 0 1 2 78
		n=$((n + n / 16))
	done
	done_with 'run: little memory'
fi

# -------------------------------------------------------------------------- directories
echo >file
(
	unset PCRUN_CONTROL_DIR PCRUN_CRASH_DIR
	XDG_RUNTIME_DIR=$work/file XDG_STATE_HOME=$work/file XDG_CACHE_HOME=$work/file TMPDIR=$work/none
	export XDG_RUNTIME_DIR XDG_STATE_HOME XDG_CACHE_HOME TMPDIR
	run pcrun g.txt
	exit "$status"
)
is 'directories of the user that are none: it runs' $? 0
same_text 'directories of the user that are none: silent' err ''
PCRUN_CONTROL_DIR=$work/file/control run pcrun g.txt -v
is 'no control socket: it runs' "$status" 0
has 'no control socket: said, where it matters' err "^pcrun: no control socket: $work/file/control: Not a directory\$"

done_testing
