#!/bin/sh
# test-stage-dies.sh: a stage that gives up (assert, abort, exit, …) fails, and pcrun goes on; a stage
# that crashes is named, and the process ends by the signal. The stages are in stage-dies/.
. "${SOURCE:?run me with meson test}/tests/lib.sh"
cc=${CC:-cc}
sources=$SOURCE/tests/system/stage-dies
# No core files.
# shellcheck disable=SC3045
ulimit -c 0 2>/dev/null

# dies NAME STATUS PATTERN: the last run ended so, and a line of what it said matches.
dies() {
	if [ "$status" -eq "$2" ] && grep -Eq -e "$3" err; then
		pass "$1"
	else
		{ echo "status $status, expected $2 and a line like: $3"; cat err; echo 'out:'; head -n 20 out; } >why
		fail "$1" why
	fi
}

# build FILE COMPILER...: it is no fault of ours when it does not.
build() {
	file=$1
	shift
	"$@" -g -O1 -w -fPIC -shared -I"$PCRUN_INCLUDE_DIR" -o "$file" 2>why
}
for name in quit make crash; do
	build $name.so "$cc" "-DNAME=\"$name\"" "$sources/$name.c" || fail "$name.c builds" why
done
build quitb.so "$cc" '-DNAME="quitb"' -DBATCH "$sources/quit.c" || fail 'quit.c builds' why
plugins='quit quitb'
cp "$sources/quit.c" quitxx.cc
if build quitxx.so "${CXX:-c++}" -std=c++20 '-DNAME="quitxx"' quitxx.cc; then
	plugins="$plugins quitxx"
else
	skip 'C++: no compiler for it'
fi
# line TEXT [FILE]: where the text stands.
line() {
	grep -nF -e "$1" "$sources/${2:-quit.c}" | head -n 1 | cut -d: -f1
}

# -------------------------------------------------------------- each way, in each callback
# words HOW PLUGIN: what the reason must say; nothing: such a plugin has no such way.
words() {
	at='give_up[A-Za-z0-9_]*, /[^ ]*/quit(xx)?\.cc?:'
	case $1 in
	assert) echo "assertion failed: n <= cap \\(.*quit.*\\.cc?:$(line LINE), " ;;
	abort) echo "abort\\(\\) was called \\(.*$at$(line 'abort();'), " ;;
	exit) echo "exit\\(3\\) was called \\(.*$at$(line 'exit(3);'), " ;;
	_exit) echo "_exit\\(0\\) was called \\(.*$at$(line '_exit(0);'), " ;;
	_Exit) echo "_Exit\\(4\\) was called \\(.*$at$(line '_Exit(4);'), " ;;
	quick_exit) echo "quick_exit\\(5\\) was called \\(.*$at$(line 'quick_exit(5);'), " ;;
	errx) echo "errx\\(6\\) was called: no luck \\(.*$at$(line 'errx(6,'), " ;;
	pthread_exit) echo "pthread_exit\\(\\) was called \\(.*$at$(line 'pthread_exit(NULL);'), " ;;
	# std::terminate says on standard error what was thrown, and calls abort().
	throw) [ "$2" != quitxx ] || echo "abort\\(\\) was called \\(.*$at$(line 'throw 7;'), " ;;
	esac
}
for plugin in $plugins; do
	for how in assert abort exit _exit _Exit quick_exit errx pthread_exit throw; do
		what=$(words $how $plugin)
		[ -n "$what" ] || continue
		for where in open process finish close; do
			callback=$where
			[ $where$plugin != processquitb ] || callback=process_batch
			run pcrun -e "gen(count=10) -> ./$plugin.so(how=$how, where=$where) -> null"
			dies "$plugin: $how in $where" 1 "${what}in $callback\\)\$"
		done
	done
done
build quit2.so "$cc" '-DNAME="quit2"' -DTWO "$sources/quit.c" || fail 'quit.c builds' why
for how in assert _exit; do
	run pcrun -e "stage q = ./quit2.so(how=$how, where=closed); gen(count=2) -> q.in; gen -> q.side; q -> null"
	dies "$how in closed" 1 "$(words $how quit2)in closed\\)\$"
done
run pcrun -e './make.so -> null'
dies 'abort in produce' 1 "abort\\(\\) was called \\(make_produce, /.*/make\\.c:$(line 'abort();' make.c), in produce\\)\$"
run pcrun -e 'stage m = ./make.so() thread=own; m -> null'
dies 'abort in produce, on a thread of its own' 1 'in produce\)$'
run pcrun -e 'stage q = ./quit.so(where=stop) daemon; stage n = null() daemon; stage g = gen() daemon
gen(count=10) -> null; g -> q -> n'
dies 'abort in stop' 1 'abort\(\) was called \(.*in stop\)$'

# ------------------------------------------------------------------ which line that is, told or not
# What pcrun compiles has its lines; one that is skipped is told by the log.
sed 's/NAME/"quit"/' "$sources/quit.c" >quit.c
run pcrun -e 'gen(count=10) -> ./quit.c(how=exit) -> null'
dies 'a stage that pcrun compiles: the line' 1 "^  because: $(words exit quit)in process\\)\$"
run pcrun -e 'stage q = ./quit.so() on_error=skip; gen(count=10) -> q -> null'
dies 'an item that is skipped: the line' 0 "item skipped: $(words abort quit)in process\\)"
# Nobody can be asked: the place in the file, and how to find the line elsewhere.
place='abort\(\) was called \(give_up, quit(\.v[0-9]+\.[0-9a-f]+)?\.so\+0x[0-9a-f]+, in process\)'
run env PATH=/nowhere "$PCRUN" -e 'gen(count=10) -> ./quit.so -> null'
dies 'no addr2line: the place' 1 "^  because: $place\$"
has 'no addr2line: the command' err '^  find the line: addr2line -fCe [^ ]*quit\.so 0x[0-9a-f]+$'
sh -c "$(sed -n 's/^  find the line: //p' err)" >line 2>&1
has 'no addr2line: which finds it' line "/quit\\.c:$(line 'abort();')"
# Nobody knows.
cp quit.so with-lines.so
strip -g quit.so
run pcrun -e 'gen(count=10) -> ./quit.so -> null'
dies 'no lines in the file: the place' 1 "^  because: $place\$"
has_not 'no lines in the file: and no command that would not find them' err 'find the line'
mv with-lines.so quit.so
# A new build, which is gone when its failure is told, or runs on: the lines of its own text.
# swaps WHAT STATUS PATTERN SWAP...: while a good build runs; the swap ends so, and says that.
swaps() {
	what=$1
	expected=$2
	pattern=$3
	shift 3
	"$PCRUN" -e 'stage q = ./quit.so(at=0); gen(rate=1k) -> q -> null' >out 2>graph.err &
	pid=$!
	n=0
	until "$PCRUN" status --graph=$pid >/dev/null 2>&1 || [ $n -gt 600 ]; do
		sleep 0.1
		n=$((n + 1))
	done
	run pcrun swap --graph=$pid q "$@"
	# It was told where items were slow in coming, after the answer.
	n=0
	until [ "$status" -eq "$expected" ] || grep -q 'ROLLED BACK' graph.err || [ $n -gt 600 ]; do
		sleep 0.1
		n=$((n + 1))
	done
	grep 'ROLLED BACK' graph.err >>err && status=4
	dies "$what" "$expected" "$pattern"
	kill -INT $pid
	wait $pid
}
for where in open process; do
	sed 's/NAME/"quit"/; s/PC_STATE(struct quit)/&, .flags = PC_NO_PROBE/; s/strcmp(q->where, where) != 0/strcmp(where, "'$where'") != 0/
		s/q->n == q->at/q->n > 1/; s/strcmp(q->how, "abort") == 0/cap == 4/' "$sources/quit.c" >next.c
	code=3
	[ $where = open ] || code=4
	# shellcheck disable=SC2046
	swaps "a new build aborts in $where: the line" $code "abort\\(\\) was called \\(give_up, /.*/next\\.c:$(line 'abort();'), in $where\\)" \
		./next.c $([ $where = process ] || echo --reset-state)
done

# ------------------------------------------------- what becomes of the item, and of the rest
for how in assert exit; do
	for plugin in quit quitb; do
		for thread in '' ' thread=own' ' critical' ' replicas=3 ordered'; do
			at=5
			[ "$thread" != ' replicas=3 ordered' ] || at=1
			text="stage q = ./$plugin.so(how=$how, at=$at)"
			run pcrun -e "$text on_error=skip$thread; gen(count=10) -> q -> print"
			seq 0 9 | grep -v '^4$' >expected
			if [ $at = 5 ]; then
				same "$plugin$thread, $how: skipped, and nothing of it is left" out expected
			else
				# which three depends on who took them
				[ "$(grep -c '^[0-9]$' out)" -ge 7 ] && [ "$(grep -c . out)" -le 9 ] &&
					! grep -q partial out
				is "$plugin$thread, $how: skipped" $? 0
			fi
			is "$plugin$thread, $how: and the graph goes on" "$status" 0
			run pcrun -e "$text on_error=retry=1$thread; gen(count=10) -> q -> print"
			seq 0 9 >expected
			same "$plugin$thread, $how: tried again" out expected
			run pcrun -e "$text on_error=dead=bad$thread; queue bad; gen(count=10) -> q -> null; bad -> print"
			[ $at != 5 ] || same_text "$plugin$thread, $how: dead-lettered" out 4
			is "$plugin$thread, $how: dead-lettered, status" "$status" 0
			run pcrun --json -e "$text$thread; gen(count=10) -> q -> print"
			dies "$plugin$thread, $how: fails" 1 "stage 'q'.* failed on item"
			# What it emitted before was passed on, and no more; print may not have had it yet.
			[ $at = 5 ] && put='"put":4,' || put='"put":[0-9],'
			has "$plugin$thread, $how: fails: nothing of it is left" err "\"name\":\"q -> print\"[^}]*$put"
		done
	done
done
run pcrun -e 'stage q = ./quit.so(again=true) on_error=retry=3; gen(count=10) -> q -> null' -v
dies 'tried again, but not for ever' 1 "^  because: abort\\(\\) was called"
run pcrun -e 'stage q = ./quit.so(at=1, again=true) on_error=skip; gen(count=1k) -> q -> print'
is 'each item of a thousand' "$status" 0
same_text 'each item of a thousand: none is left' out ''

# ----------------------------------------------------------------------------- crashes
# A sanitizer reports these by itself, with other words and another status.
if nm -D "$PCRUN" | grep -q '__[at]san_\|__ubsan_'; then
	skip 'crashes: a sanitizer has them'
	done_testing
fi
# crashes HOW STATUS SIGNAL PATTERN: within the limit, named, once.
crashes() {
	RUN_LIMIT=30
	for thread in '' ' thread=own'; do
		run pcrun -e "stage c = ./crash.so(how=$1)$thread; gen(count=10) -> c -> null"
		dies "$1$thread: is named" "$2" \
			"^pcrun: $3 in stage 'c' \\(v1, replica 0\\), in process, item 5 of 'gen -> c'\$"
		has "$1$thread: where" err "$4"
	done
}
code='the code at 0x[0-9a-f]+: '
crashes null 139 SIGSEGV 'writing to 0x8: a null pointer'
has 'null: the function' err "${code}break_it\\+0x[0-9a-f]+, crash(\\.v[0-9]+\\.[0-9a-f]+)?\\.so\\+0x[0-9a-f]+\$"
has 'null: the frames' err 'crash(\.v[0-9]+\.[0-9a-f]+)?\.so\(\+0x'
crashes stack 139 SIGSEGV 'the stack has overflowed'
crashes zero 136 SIGFPE "${code}break_it"
crashes illegal 132 SIGILL "${code}break_it"
crashes truncated 135 SIGBUS 'truncated\+0x0'
crashes overflow 134 SIGABRT "${code}.*libc\\.so"
crashes twice 134 SIGABRT "${code}.*libc\\.so"
crashes freed 139 SIGSEGV "${code}.*libc\\.so"
crashes libc 139 SIGSEGV "${code}.*libc\\.so"
crashes qsort 139 SIGSEGV "${code}compare\\+0x[0-9a-f]+, crash(\\.v[0-9]+\\.[0-9a-f]+)?\\.so"

# ---------------------------------------------------------------- in other callbacks, and beside them
# where FILE FLAG...: of where.c.
where() {
	name=$1
	shift
	build "$name.so" "$cc" "-DNAME=\"${NAME:-$name}\"" "$@" "$sources/where.c" || fail 'where.c builds' why
}
where w
where wsource -DSOURCE
where wload -DLOAD
where wunload -DUNLOAD
where w2 -DTWO
# crashes_in WHAT PATTERN ARGUMENT...: the first line, and the address below it; where $deep is set, an overflow.
crashes_in() {
	what=$1$deep
	pattern=$2
	shift 2
	run pcrun "$@"
	dies "$what" 139 "^pcrun: SIGSEGV $pattern\$"
	if [ -n "$deep" ]; then
		has "$what: how" err '^  (reading from|writing to|reading or writing) 0x[0-9a-f]+: the stack has overflowed$'
	else
		has "$what: how" err 'writing to 0x8: a null pointer'
	fi
	has "$what: where" err "${code}(crash|deeper)\\+0x[0-9a-f]+, w[a-z0-9]*(\\.v[0-9]+\\.[0-9a-f]+)?\\.so"
	has_not "$what: no item" err 'item'
}
for deep in '' ', deep=true'; do
	for thread in '' ' thread=own'; do
		for callback in open finish close; do
			crashes_in "$callback$thread" "in stage 'w' \\(v1, replica 0\\), in $callback" \
				-e "stage w = ./w.so(where=$callback$deep)$thread; gen(count=10) -> w -> null"
		done
		crashes_in "produce$thread" "in stage 'w' \\(v1, replica 0\\), in produce" \
			-e "stage w = ./wsource.so(where=produce$deep)$thread; w -> null"
		crashes_in "closed$thread" "in stage 'w' \\(v1, replica 0\\), in closed" \
			-e "stage w = ./w2.so(where=closed$deep)$thread; gen(count=2) -> w.in; gen -> w.side; w -> null"
	done
	crashes_in 'stop' "in stage 'w' \\(v1, replica 0\\), in stop" -e "stage w = ./w.so(where=stop$deep) daemon
stage n = null() daemon; stage g = gen() daemon; gen(count=10) -> null; g -> w -> n"
	export DEEP=1
	[ -n "$deep" ] || unset DEEP
	loading='while \./wload\.so was being loaded: its constructors run'
	crashes_in 'a constructor' "$loading" -e './wload.so -> null'
	crashes_in 'a constructor, looked at' "$loading" inspect ./wload.so
	crashes_in 'a destructor' 'while \./wunload\.so was being unloaded: its destructors run' \
		-e 'gen(count=2) -> ./wunload.so -> null'
done
unset DEEP
deep=
crashes_in 'a thread of its own' "in thread 'helper', which runs no stage now" \
	-e './wsource.so(where=thread) -> null'
crashes_in 'a signal handler' "in thread 'pcrun', which runs no stage now" \
	-e './wsource.so(where=handler) -> null'

# A build that is swapped in, untried, since a probe would have found it.
# swapped WHAT FILE PATTERN
swapped() {
	"$PCRUN" -e "stage w = ./w.so(where=migrate$deep); gen(rate=50) -> w -> null" >out 2>err &
	pid=$!
	n=0
	until "$PCRUN" status --graph=$pid >/dev/null 2>&1 || [ $n -gt 600 ]; do
		sleep 0.1
		n=$((n + 1))
	done
	"$PCRUN" swap --graph=$pid w "$2" >swap 2>&1
	wait $pid
	status=$?
	dies "$1$deep" 139 "^pcrun: SIGSEGV $3\$"
}
PCRUN_PROBE=$work/none
export PCRUN_PROBE
NAME=w where wnext -DNEXT
NAME=w where wnextload -DNEXT -DLOAD
for deep in '' ', deep=true'; do
	swapped migrate ./wnext.so "in stage 'w' \\(v2, replica 0\\), in migrate"
	export DEEP=1
	[ -n "$deep" ] || unset DEEP
	swapped 'a constructor at a swap' ./wnextload.so "while .*/wnextload\\.so was being loaded: its constructors run"
	[ -z "$deep" ] || has 'a constructor at a swap: how' err 'the stack has overflowed$'
done
unset DEEP PCRUN_PROBE

# What is kept of a build after it has gone is read: the report says of which build, and what of it.
for said in stale a b; do
	build tag-$said.so "$cc" -DTAG "-DSAID=\"$said\"" "$sources/stale.c" || fail 'stale.c builds' why
done
build keep.so "$cc" "$sources/stale.c" || fail 'stale.c builds' why
STALE_GO=$work/go "$PCRUN" -e 'stage tag = ./tag-a.so; gen(rate=1k) -> tag -> ./keep.so -> null' >out 2>err &
pid=$!
n=0
until "$PCRUN" status --graph=$pid >/dev/null 2>&1 || [ $n -gt 600 ]; do
	sleep 0.1
	n=$((n + 1))
done
"$PCRUN" swap --graph=$pid tag ./tag-stale.so >swaps 2>&1
n=0
# Eight builds are kept, and some are in use.
while grep -q '/tag\.v0002\.' /proc/$pid/maps && [ $n -lt 60 ]; do
	n=$((n + 1))
	[ $((n % 2)) = 1 ] && said=b || said=a
	"$PCRUN" swap --graph=$pid tag ./tag-$said.so >>swaps 2>&1
done
: >go
wait $pid
status=$?
dies 'a string of a build that is gone: its reader is named' 139 "^pcrun: SIGSEGV in stage 'keep' \\(v1, "
has 'a string of a build that is gone: the build, and the string' err \
	'^  (reading from|reading or writing) 0x[0-9a-f]+: in v2 of tag, which has been unloaded: said\+0x2$'

# A stage that does not come back: SIGQUIT names it, the second SIGINT ends it.
# Only that, for the first one leaves it an hour.
"$PCRUN" --drain=1h -e 'stage c = ./crash.so(how=loop); gen(count=10) -> c -> null' >out 2>err &
pid=$!
wait_for() {
	n=0
	until grep -q -e "$1" err || [ $n -gt 2400 ]; do
		sleep 0.025
		n=$((n + 1))
	done
}
n=0
until grep -q 'c is in its own code' err || [ $n -gt 600 ]; do
	kill -QUIT $pid
	sleep 0.1
	n=$((n + 1))
done
has 'a stage in a loop is named' err 'c is in its own code'
kill -INT $pid
wait_for 'finishing what is under way'
kill -INT $pid
wait $pid
is 'a stage in a loop: the second SIGINT ends the run' $? 130

done_testing
