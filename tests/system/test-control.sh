#!/bin/sh
# test-control.sh: pcrun swap, reload, status, events and ps, and the control socket that they talk to.
. "${SOURCE:?run me with meson test}/tests/lib.sh"

# says NAME STATUS WHAT: this status, and this text on either stream.
says() {
	if [ "$status" -eq "$2" ] && cat out err | grep -qF -e "$3"; then
		pass "$1"
	else
		{ echo "status $status, expected $2; expected: $3"; echo out:; cat out; echo err:; cat err; } >why
		fail "$1" why
	fi
}
# until_line FILE PATTERN: wait for a line, a minute at most.
until_line() {
	n=0
	until grep -q -e "$2" "$1" 2>/dev/null || [ $n -gt 2400 ]; do
		sleep 0.025
		n=$((n + 1))
	done
}
# stage WORD [STATE-TYPE] [STATEMENT]: a stage that emits WORD for each item, and counts.
stage() {
	cat <<END
#include <pcrun/stage.h>
struct say { ${2:-uint64_t} n; };
static int process(struct pc_stage *st, void *state, struct pc_item *item)
{
	struct say *s = state;
	(void)item;
	s->n++;
	${3:-}
	return pc_emit_copy(st, 0, "$1", sizeof("$1") - 1);
}
static const struct pc_field fields[] = {{"n", ${4:-PC_T_U64}, 1, 0, sizeof(struct say)}};
static const struct pc_port in[] = {{"in", "*", 0, "any"}};
static const struct pc_port out[] = {{"out", "text/line", 0, "a word"}};
PC_STAGE(.name = "say", .doc = "say a word", PC_INPUTS(in), PC_OUTPUTS(out), PC_FIELDS(fields),
	PC_STATE(struct say), .process = process);
END
}
# start NAME WORDS...: a graph in the background; $pid, NAME.out, NAME.err.
start() {
	name=$1
	shift
	rm -f "$name.out" "$name.err"
	"$PCRUN" "$@" >"$name.out" 2>"$name.err" &
	pid=$!
	n=0
	until grep -qs . "$name.out" || ! kill -0 "$pid" 2>/dev/null || [ $n -gt 2400 ]; do
		sleep 0.025
		n=$((n + 1))
	done
}
talk() {
	timeout -k 5 60 perl "$SOURCE/tests/system/talk.pl" "$@" >out 2>err
	status=$?
}
# The socket of a process.
socket_of() {
	find "$PCRUN_CONTROL_DIR" -name "*-$1.sock"
}

stage one >say.c
stage one >one.c
stage two >two.c
stage three >three.c
stage broken >bad.c
echo 'int main(void) { return nothing; }' >bad.c
stage float double '' PC_T_F64 >float.c
stage fails uint64_t 'return pc_fail(st, "no luck with %llu", (unsigned long long)s->n);' >fails.c
cat >speak.txt <<'END'
gen(rate=100) -> ./say.c -> print
END

# -------------------------------------------------------------------------- no graph runs
run pcrun status
says 'no graph runs' 2 'no graph of yours is running'
run pcrun ps
says 'ps of none' 0 'no graph of yours is running'
run pcrun ps --json
same_text 'ps --json of none' out ''

# ------------------------------------------------------------------------------- usage
run pcrun swap
says 'swap without anything' 2 'the stage is missing'
run pcrun swap say
says 'swap without a file' 2 'the file is missing'
run pcrun swap say two.c --back
says 'swap to a file and back' 2 '--back goes without a file'
run pcrun swap say --back --dry-run
says '--back and --dry-run' 2 '--back goes with no other option'
run pcrun swap a b c
says 'swap with a stage too much' 2 "the file is missing behind 'c'"
# shellcheck disable=SC2046
run pcrun swap $(seq 252)
says 'swap with too many stages' 2 'at most 250 words'
run pcrun status x
says 'status with a word' 2 "'x' is too much"
run pcrun speak.txt --dry-run
says 'an option of swap for run' 2 'pcrun run does not take --dry-run'

# ------------------------------------------------------------------------- one graph
start speak speak.txt
[ -n "$(socket_of $pid)" ] || { cat speak.err; exit 1; }
is 'the socket is the user'\''s alone' "$(stat -c %a "$(socket_of $pid)")" 600
is 'its directory is, too' "$(stat -c %a "$PCRUN_CONTROL_DIR")" 700
run pcrun ps
has 'ps: a line for the graph' out "^ *$pid  speak  speak.txt\$"
run pcrun ps --json
has 'ps --json' out "^\{\"pid\":$pid,\"name\":\"speak\",\"graph\":\"speak.txt\",\"socket\":\"$PCRUN_CONTROL_DIR/speak-$pid.sock\"\}\$"
run pcrun status
is 'status: status' $status 0
has 'status: the queues' out '^gen -> say +1024 '
has 'status: the stages' out '^say +1 .* v1 runs +\./say\.c$'
run pcrun status -v
has 'status -v: what everyone waits for' out '^ *gen (waits|is ready)'
run pcrun status --json
has 'status --json' out '^\{"status":0,"request":"status","graph":"speak.txt",.*"build":1,"swaps":0,"reversed":0,"stays":0,"builds":\[\{"number":1,"current":true,[^}]*"file":"[^"]+"'

run pcrun swap say two.c
says 'swap: it is live' 0 'v1 -> v2 live at item'
until_line speak.out two
has 'swap: the new code runs' speak.out '^two$'
run pcrun status
has 'swap: status names its file' out '^say +1 .* v2 runs, v1 +\./two\.c$'
has 'swap: the terminal is told' speak.err '^[0-9:]{8}\.[0-9]{3}  say  v1 -> v2 live at item [0-9 ]+ \| .* \| pause '
run pcrun swap say two.c
says 'swap to the same code' 0 'two.c has the code that runs already'
run pcrun swap say bad.c
says 'swap: a source that does not compile' 3 'nothing'
has 'swap: the diagnostics of the compiler' err 'bad\.c:1:[0-9]*: error: '
run pcrun swap say float.c
says 'swap: a state that does not fit' 3 'changed from u64 to f64'
run pcrun swap say nosuch.c
says 'swap: no such file' 3 'nosuch.c'
run pcrun swap sya two.c
says 'swap: no such stage' 2 "there is no stage 'sya'; did you mean 'say'?"
run pcrun swap zzzzzzzz two.c
says 'swap: a stage like no other' 2 "there is no stage 'zzzzzzzz' (status lists them)"
run pcrun swap say fails.c
says 'swap: it fails on its first items' 4 'no luck with'
has 'rolled back: the terminal is told' speak.err '  say  v[0-9]+ ROLLED BACK, v[12] runs again from item [0-9 ]+: no luck with'
# To v2, or to v1 if v2 had not seen its first items yet: so from here on it is known.
run pcrun swap say one.c
run pcrun swap say two.c
run pcrun status --json
runs() {
	sed -n 's/.*"name":"say".*"file":"\.\/say\.c".*"build":\([0-9]*\),"swaps".*"name":"print".*/\1/p' out
}
before=$(runs)
run pcrun swap say three.c --dry-run
says 'dry run' 0 'it would be taken'
run pcrun swap say float.c --dry-run
says 'dry run of what would be refused' 3 'changed from u64 to f64'
run pcrun status --json
is 'dry run: nothing was changed' "$(runs)" "$before"
run pcrun swap say three.c
run pcrun status --json
is 'swap: there is another number' "$([ "$(runs)" -gt "$before" ] && echo yes)" yes
run pcrun swap say --back
says 'back' 0 'live at item'
run pcrun status --json
is 'back: the build before runs' "$(runs)" "$before"
run pcrun swap say float.c --reset-state
says 'a fresh state' 0 'state: fresh'
run pcrun swap say --back
says 'back to a state that does not fit' 3 'changed from f64 to u64'
run pcrun swap say two.c --reset-state
is 'there is a way' $status 0
run pcrun swap say three.c --json
has 'swap --json' out '^\{"status":0,"request":"swap","stage":"say","file":"\./three\.c","from":[0-9]+,"to":[0-9]+,"unchanged":false,"item":[0-9]+,"pause_median_ns":[0-9]+,.*"text":"v[0-9]+ -> v'
run pcrun swap say bad.c --json
is 'swap --json: status' $status 3
has 'swap --json: refused' out '^\{"status":3,"request":"swap",.*"from":[1-9][0-9]*,"to":0,.*"text":".*error: '
mkdir 'a dir "x"'
cp one.c 'a dir "x"/a\b.c'
run pcrun swap say './a dir "x"/a\b.c'
says 'a name with blanks, quotes and backslashes' 0 'live at item'
(cd 'a dir "x"' && exec "$PCRUN" swap say ../two.c) >out 2>err
is 'a relative name is that of who asks' $? 0
run pcrun swap say 'two
.c'
says 'a name with a newline' 2 'newline'

# The graph's file.
run pcrun reload
says 'reload: nothing differs' 0 'nothing differs'
sed 's/rate=100/rate=150/; s/-> print/-> null/' speak.txt >changed.txt
run pcrun reload changed.txt --dry-run
is 'reload --dry-run' $status 0
has 'reload --dry-run: a line for a change' out "stage 'null'"
run pcrun reload
says 'a dry run changes nothing' 0 'nothing differs'
echo 'gen -> pritn' >wrong.txt
run pcrun reload wrong.txt
says 'reload: a wrong file' 3 "wrong.txt:1:8: error: "
run pcrun reload nosuch.txt
says 'reload: a missing file' 2 'nosuch.txt: No such file'
run pcrun reload changed.txt --json
has 'reload --json' out '^\{"status":0,"request":"reload","file":"\./changed\.txt","text":"'
run pcrun reload
is 'reload: back' $status 0
kill -HUP "$pid"
until_line speak.err 'graph  nothing differs'
has 'SIGHUP reloads' speak.err '  graph  nothing differs$'

# Events.
"$PCRUN" events >events.out 2>events.err &
events=$!
"$PCRUN" events --json >events.json 2>&1 &
sock=$(socket_of $pid)
# Both have been heard when a third connection is answered, which comes after them.
n=0
while [ "$(grep -c live events.out)" -eq 0 ] || [ "$(grep -c live events.json)" -eq 0 ]; do
	run pcrun swap say three.c
	run pcrun swap say two.c
	n=$((n + 1))
	[ $n -lt 500 ] || break
done
run pcrun swap say bad.c
until_line events.out REFUSED
until_line events.json refused
has 'events: live' events.out '^[0-9:.]+  say  v[0-9]+ -> v[0-9]+ live at item'
has 'events: refused, with the reasons' events.out 'bad\.c:1:[0-9]*: error: '
has 'events --json: live' events.json '^\{"event":"live","time":[0-9.]+,"stage":"say","from":[0-9]+,"to":[0-9]+,"item":[0-9]+,"pause_median_ns":'
has 'events --json: refused' events.json '^\{"event":"refused",.*"reason":".*error: '
has_not 'events --json: nothing else' events.json '^[^{]'

# --------------------------------------------------------------------------- the protocol
talk "$sock" send ''
has 'a greeting' out "^pcrun [0-9.]+ control 1 $pid speak speak\.txt\$"
talk "$sock" send 'help\n'
has 'help names the requests' out '^- swap STAGE FILE '
has 'an answer ends with its status' out '^= 0$'
talk "$sock" send 'status'
has 'a line without its end' out '^= 0$'
talk "$sock" send '\n  \n\t\n\r\n'
is 'empty lines are no requests' "$(grep -c '^=' out)" 0
talk "$sock" send 'statsu\nzzzzzz\nstatus x\nswap\nswap say\nswap say two.c --dry\nstatus --back\nstop it\n'
is 'mistakes: each has an answer' "$(grep -c '^= 2$' out)" 8
has 'a request that does not exist' out "^- there is no request 'statsu'; did you mean 'status'\?\$"
has 'a request like no other' out "^- there is no request 'zzzzzz' \(help lists them\)\$"
has 'too many words' out "^- 'x' is too much\$"
has 'an option that does not exist' out '^- there is no option --dry$'
has 'an option that a request does not take' out '^- status takes no option but --json$'
talk "$sock" send 'swap "say\nswap "say"x y\nst\0atus\n'"$(seq -s' ' 257)"'\n"" x\n\\\\\\n'
is 'lines that are no words' "$(grep -c '^= 2$' out)" 6
talk "$sock" send 'swap -- --x two.c\n'
has 'after -- a word may begin with -' out "^- there is no stage '--x'"
talk "$sock" send 'status --json\nstatsu --json\n'
is 'requests that follow each other' "$(grep -c '^{"status":[02],"request":"' out)" 2
talk "$sock" send 'swap say three.c --json\nswap say two.c --json\nstatus\n'
is 'one after the other' "$(sed -n 's/^{"status":0,"request":"swap".*"file":"\([a-z.]*\)".*/\1/p' out | tr '\n' ' ')" 'three.c two.c '
has 'the last one too' out '^= 0$'
talk "$sock" huge 1000000
has 'a huge line' out 'the line is too long for a request|^pcrun '
head -c 100000 /dev/urandom >noise
perl -e 'use Socket; socket(S, AF_UNIX, SOCK_STREAM, 0); connect(S, sockaddr_un($ARGV[0])); $SIG{PIPE}="IGNORE"; open(F, "noise"); print S $_ while <F>; shutdown(S, 1); 1 while sysread(S, $b, 4096)' "$sock"
run pcrun status
is 'noise does no harm' $status 0

# Peers that keep a connection, say nothing, or never read.
perl "$SOURCE/tests/system/talk.pl" "$sock" mute >mute.out &
mute=$!
perl "$SOURCE/tests/system/talk.pl" "$sock" deaf 100000 'status\n' >deaf.out &
deaf=$!
until_line deaf.out deaf
until_line mute.out mute
run pcrun status
is 'others are answered beside them' $status 0
talk "$sock" many 80 'status\n'
has 'of eighty connections the newest is answered' out '^= 0$'
run pcrun status
is 'and so are those after it' $status 0
kill "$mute" "$deaf"
wait "$mute" "$deaf" 2>/dev/null

# Another user.
if [ "$(id -u)" -eq 0 ] && setpriv --reuid=65534 --clear-groups true 2>/dev/null; then
	chmod 755 "$work"
	cp "$SOURCE/tests/system/talk.pl" talk.pl
	setpriv --reuid=65534 --regid=65534 --clear-groups perl talk.pl "$sock" send 'stop\n' >out 2>&1
	has 'another user can not connect' out 'Permission denied'
	chmod 777 "$PCRUN_CONTROL_DIR" "$sock"
	setpriv --reuid=65534 --regid=65534 --clear-groups perl talk.pl "$sock" send 'stop\n' >out 2>&1
	has 'nor is he answered where he can' out '^- only the user whose graph it is may ask$'
	has_not 'nor greeted' out '^pcrun '
	run pcrun ps
	says 'a directory that others may write to is not used' 0 'no graph of yours is running'
	chmod 700 "$PCRUN_CONTROL_DIR"
	run pcrun status
	is 'the graph has not been stopped' $status 0
else
	skip 'peers of another user: not root here'
fi

# ------------------------------------------------------------------------- two graphs
cp speak.txt other.txt
speak=$pid
start other other.txt
other=$pid
run pcrun status
says 'two graphs: which one?' 2 'several graphs run; --graph=PID says which:'
has 'two graphs: both are named' err "^ *$speak  speak  speak.txt\$"
run pcrun status --graph=speak
is 'by name' $status 0
run pcrun status --graph="$other" --json
has 'by process' out "\"graph\":\"other.txt\",\"pid\":$other,"
run pcrun status --graph ./other.txt
is 'by file' $status 0
run pcrun status --graph=spaek
says 'a graph that does not run' 2 "no graph 'spaek' is running; did you mean 'speak'?"
run pcrun swap --graph=other say two.c
is 'swap in one' $status 0
run pcrun status --graph=speak --json
before=$(cat out)
is 'the other one is not concerned' "$(printf '%s' "$before" | grep -c '"graph":"speak.txt"')" 1
start same other.txt
run pcrun status --graph=other
says 'two of one name' 2 'several graphs by the name other run'
kill -KILL "$pid"
wait "$pid" 2>/dev/null

# A process that is killed leaves its socket behind; the next start removes it.
is 'a socket of a killed process' "$(socket_of "$pid" | wc -l)" 1
start again -e 'gen(rate=100) -> print'
is 'the next start removes it' "$(socket_of "$pid" | wc -l)$(find "$PCRUN_CONTROL_DIR" -name '*.sock' | wc -l)" 13
run pcrun ps
has 'a text has a name' out "^ *$pid  text +-e\$"
kill -TERM "$pid"
wait "$pid"

# ----------------------------------------------------------------------------- the end
talk "$(socket_of "$other")" send 'stop\n'
has 'stop: answered' out '^= 0$'
wait "$other"
is 'stop: as by SIGTERM' $? 143
is 'its socket is gone' "$(socket_of "$other")" ''
# A compiler that takes its time: the graph ends meanwhile, and whoever waits is told.
cat >slow-cc <<'END'
#!/bin/sh
echo begun >>cc.log
until [ -e go-on ]; do sleep 0.02; done
exec gcc "$@"
END
chmod +x slow-cc
CC=$work/slow-cc
export CC
: >go-on
start slow speak.txt
slow=$pid
rm go-on cc.log
"$PCRUN" swap --graph="$slow" say three.c >slow.answer 2>&1 &
asking=$!
until_line cc.log begun
run pcrun status --graph="$slow"
is 'a compiler that works does not keep the loop' $status 0
kill -INT "$slow"
until_line slow.err finishing
: >go-on
wait "$asking"
is 'the graph ended while it was compiled: who asked' $? 1
has 'the graph ended while it was compiled: why' slow.answer 'ended'
wait "$slow"
is 'the graph ended while it was compiled: status' $? 130
# A compiler that hangs: another signal, and nobody waits for it, nor for other threads, which
# ThreadSanitizer is not to report.
options=${TSAN_OPTIONS-}
export TSAN_OPTIONS="$options:report_thread_leaks=0"
start slow speak.txt
TSAN_OPTIONS=$options
slow=$pid
echo '/* another text */' >>three.c
rm go-on cc.log
"$PCRUN" swap --graph="$slow" say three.c >slow.answer 2>&1 &
asking=$!
until_line cc.log begun
kill -INT "$slow"
# Until the graph has ended, its socket is there.
n=0
until [ -z "$(socket_of "$slow")" ] || [ $n -gt 2400 ]; do
	sleep 0.025
	n=$((n + 1))
done
kill -INT "$slow"
wait "$slow"
is 'a compiler that hangs can be left behind' $? 130
wait "$asking"
is 'who asked is told' $? 1
: >go-on
unset CC

kill -INT "$speak"
wait "$speak"
is 'the first graph ends as ever' $? 130
wait "$events"
is 'events end with the graph' $? 0
is 'no socket is left' "$(find "$PCRUN_CONTROL_DIR" -name '*.sock')" ''

# ----------------------------------------------------------------- where sockets are
unset PCRUN_CONTROL_DIR
long=$work/$(printf 'long%.0s' $(seq 40))
mkdir -m 700 "$long"
XDG_RUNTIME_DIR=$long start long speak.txt
n=0
until find "$long" -name '*.sock' | grep -q . || [ $n -gt 400 ]; do # the graph does not wait for it
	sleep 0.025
	n=$((n + 1))
done
is 'a directory that is longer than an address: the socket stands there' "$(find "$long" -name '*.sock' | wc -l)" 1
XDG_RUNTIME_DIR=$long run pcrun status
is 'a directory that is longer than an address' $status 0
kill -INT "$pid"
wait "$pid"
# Not the user's own, or not there: another place is taken, and found.
mkdir -m 777 open
XDG_RUNTIME_DIR=$work/open start elsewhere speak.txt
is 'not in a directory that others may write to' "$(find open -name '*.sock')" ''
XDG_RUNTIME_DIR=$work/nowhere run pcrun swap --graph="$pid" say two.c
is 'found in the other place' $status 0
kill -INT "$pid"
wait "$pid"
done_testing
