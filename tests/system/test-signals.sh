#!/bin/sh
# test-signals.sh: the third signal ends pcrun, whatever a stage has done to it. The stage is
# stage-dies/hang.c; the first two signals are in test-cli.sh. And which thread takes those that
# are none of pcrun's.
. "${SOURCE:?run me with meson test}/tests/lib.sh"
cc=${CC:-cc}
for name in hang hangc; do
	flags=
	[ $name = hang ] || flags=-DCONSTRUCTOR
	# shellcheck disable=SC2086
	"$cc" "-DNAME=\"$name\"" $flags -g -O1 -w -fPIC -shared -I"$PCRUN_INCLUDE_DIR" -o $name.so \
		"$SOURCE/tests/system/stage-dies/hang.c" 2>why || fail 'hang.c builds' why
done

# A minute at most, however busy the machine is.
wait_until() {
	n=0
	until "$@" || [ $n -gt 2400 ]; do
		sleep 0.025
		n=$((n + 1))
	done
}
# Signals of one kind that come too fast become one.
taken() {
	! kill -0 "$pid" 2>/dev/null || grep -q '^ShdPnd:[[:space:]]*0*$' "/proc/$pid/status"
}
hangs() { [ -e hangs ]; }
gone() { ! kill -0 "$pid" 2>/dev/null; }

# start ARGUMENT...: pcrun, until it hangs.
start() {
	rm -f hangs
	"$PCRUN" "$@" >out 2>err &
	pid=$!
	wait_until hangs
}
# signals WHAT STATUS SIGNAL...: the last of them ends it, and no other.
signals() {
	what=$1
	expected=$2
	shift 2
	while [ $# -gt 1 ]; do
		kill "-$1" "$pid"
		wait_until taken
		shift
	done
	# What hangs goes on hanging: no wait is needed to find it.
	kill -0 "$pid" 2>/dev/null
	is "$what: it hangs before the third" $? 0
	kill "-$1" "$pid"
	wait_until gone
	kill -KILL "$pid" 2>/dev/null
	wait "$pid"
	is "$what: the status" $? "$expected"
}
third='^pcrun: ended at once by the third signal; what was under way is lost$'

start -e 'gen(count=1) -> ./hangc.so(where=none) -> null'
signals 'a constructor never returns' 130 INT INT INT
has 'a constructor never returns: said' err "$third"
start -e 'gen(count=1) -> ./hangc.so(where=none) -> null'
signals 'SIGTERM' 143 TERM TERM TERM
start -e 'gen(count=1) -> ./hangc.so(where=none) -> null'
signals 'both kinds' 143 TERM INT TERM

start -e 'gen(count=1) -> ./hang.so(where=destructor) -> null'
signals 'a destructor never returns' 130 INT INT INT
has 'a destructor never returns: said' err "$third"
has 'a destructor never returns: the first is answered' err \
	'^pcrun: the graph has ended and is being put away; a third signal ends pcrun at once$'

# The main thread waits for a lock of the heap, before it has said a word about the first signal.
if [ "$(uname -m)" = x86_64 ] && ! nm -D "$PCRUN" | grep -q '__[at]san_'; then
	start -e 'gen(count=1) -> ./hang.so(where=lock) -> null'
	signals 'the heap is locked' 130 INT INT INT
	has 'the heap is locked: said' err "$third"
else
	skip 'the heap is locked: not known how here'
fi

# Nobody reads standard error, and it is full.
mkfifo full
exec 9<>full
dd if=/dev/zero of=full bs=64k count=1 oflag=nonblock 2>/dev/null
while dd if=/dev/zero of=full bs=1 count=1 oflag=nonblock 2>/dev/null; do :; done
rm -f hangs
"$PCRUN" -e 'gen(count=1) -> ./hang.so(where=process) -> null' >out 2>full &
pid=$!
wait_until hangs
signals 'nobody reads standard error' 130 INT INT INT
exec 9<&-

# Two are enough, where the graph itself can do something about it.
start -e 'gen(count=1) -> ./hang.so(where=close) -> null; gen(rate=100) -> print'
wait_until grep -q 5 out
pass 'close() never returns: others go on'
kill -INT "$pid"
wait_until grep -q 'finishing what is under way' err
kill -INT "$pid"
wait_until gone
kill -KILL "$pid" 2>/dev/null
wait "$pid"
is 'close() never returns: the second ends it' $? 130
has 'close() never returns: said' err 'close\(\) of replica 0 did not come back within 2 s; it is abandoned$'

# A signal that a stage has a handler for comes to the main thread, as the one that takes it.
"$PCRUN" --watch -e 'stage g = gen(rate=10) thread=own; g -> delay(time=1ms) -> null' >out 2>err &
pid=$!
wait_until "$PCRUN" status --graph=$pid >status 2>&1
for task in /proc/$pid/task/*; do
	# SIGUSR1 is bit 9 from below.
	grep -q '^SigBlk:[[:space:]]*[0-9a-f]*[2367abef][0-9a-f][0-9a-f]$' "$task/status" ||
		cat "$task/comm"
done >takes
same_text 'the main thread alone takes signals' takes pcrun
"$PCRUN" status --graph=$pid >status 2>&1
is 'the main thread alone takes signals: all were there' $? 0
kill -INT "$pid"
wait "$pid"

# In order, and said.
"$PCRUN" --drain=1h -e 'gen(count=1) -> print; gen(count=1) -> delay(time=1h) -> null' >out 2>err &
pid=$!
wait_until grep -q 0 out
kill -INT "$pid"
wait_until grep -q 'finishing what is under way' err
kill -INT "$pid"
wait "$pid"
is 'the second is enough, mostly' $? 130
has 'the second tells of the third' err '^pcrun: stopping at once; a third signal ends pcrun, whatever it is at$'

done_testing
