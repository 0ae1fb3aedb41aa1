#!/bin/sh
# test-cli.sh: the pcrun command as a user meets it: words, options, messages, exit statuses, signals.
. "${SOURCE:?run me with meson test}/tests/lib.sh"

# says NAME STATUS WHAT...: nothing on standard output, this status, and this text in the messages.
says() {
	name=$1
	expected=$2
	text=$3
	if [ "$status" -ne "$expected" ] || [ -s out ] || ! grep -qF -e "$text" err; then
		{ echo "status $status, expected $expected; expected: $text"; echo "out:"; cat out; echo "err:"; cat err; } >why
		fail "$name" why
	else
		pass "$name"
	fi
}

# ------------------------------------------------------------------------ usage errors
run pcrun
says 'no words: the usage' 2 'usage: pcrun [OPTIONS] GRAPH'
run pcrun chekc x.txt
says 'a command that does not exist' 2 "'chekc' is neither a command nor a file; did you mean 'check'?"
run pcrun zzzzzz
says 'a word like no command' 2 "'zzzzzz' is neither a command nor a file (pcrun help lists the commands)"
run pcrun --jsno x.txt
says 'an option that does not exist' 2 'there is no option --jsno; did you mean --json?'
run pcrun --zzzzzz x.txt
says 'an option like no other' 2 'there is no option --zzzzzz (pcrun help lists them)'
run pcrun -x x.txt
says 'a letter that does not exist' 2 'there is no option -x'
run pcrun -vx x.txt
says 'a letter that does not exist, among others' 2 'there is no option -x'
run pcrun x.txt -j
says 'an option without its value' 2 '-j wants a value: -j N'
run pcrun x.txt --workers
says 'a long option without its value' 2 '--workers wants a value: --workers=N'
run pcrun --json=1 x.txt
says 'a value for an option that takes none' 2 '--json takes no value'
for bad in x -1 1x '' 0 1025; do
	run pcrun "--workers=$bad" x.txt
	says "workers: '$bad'" 2 "from 1 to 1024, not '$bad'"
done
for bad in 3 x 3w -1s '' s 1e99s; do
	run pcrun --drain "$bad" x.txt
	says "drain: '$bad'" 2 "a time such as 10s or 250ms, not '$bad'"
done
run pcrun -D loaves x.txt
says '-D without a value' 2 "-D wants NAME=VALUE, not 'loaves'"
run pcrun -D =5 x.txt
says '-D without a name' 2 "-D wants NAME=VALUE, not '=5'"
run pcrun -qv x.txt
says '-q and -v' 2 '-q and -v do not go together'
run pcrun run
says 'run without a graph' 2 'the graph is missing; usage: pcrun [run]'
run pcrun run a.txt b.txt
says 'run with two graphs' 2 "'b.txt' is too much"
run pcrun -e null a.txt
says 'run with a text and a graph' 2 "'a.txt' is too much"
run pcrun -e null -e null
says 'two texts' 2 '-e stands twice'
run pcrun fmt
says 'fmt without a file' 2 'the file is missing; usage: pcrun fmt'
run pcrun fmt -D a=b x.txt
says 'an option that a command does not take' 2 'pcrun fmt does not take -D'
run pcrun check --drain=1s x.txt
says 'a long option that a command does not take' 2 'pcrun check does not take --drain'
run pcrun list x
says 'list with a word' 2 "'x' is too much"
run pcrun help chekc
says 'help for a command that does not exist' 2 "there is no command 'chekc'; did you mean 'check'?"
run pcrun nosuch.txt
says 'a graph that is not there' 2 'nosuch.txt: No such file or directory'
run pcrun .
says 'a graph that is a directory' 2 'can not read .: it is a directory'

# ---------------------------------------------------------------------- help, version
run pcrun --version
is '--version: status' $status 0
has '--version' out '^pcrun [0-9]+\.[0-9]+\.[0-9]+$'
run pcrun help
is 'help: status' $status 0
for word in run check fmt inspect list help; do
	has "help names $word" out "^  $word "
	run pcrun help $word
	is "help $word: status" $status 0
	has "help $word: usage" out "^Usage: pcrun .*"
	cp out words
	run pcrun $word --help
	same "$word --help is help $word" out words
	run pcrun help
done
cp out words
run pcrun -h
same '-h is help' out words
same_text 'help says nothing else' err ''

# ------------------------------------------------------------------------------ check
cat >good.txt <<'END'
# three numbers
param n = 3
gen(count=$n) -> print
END
printf 'gen(conut=3) -> pritn\nqueue q capasity=3\n' >bad.txt
run pcrun check good.txt
is 'check: a good graph' $status 0
same_text 'check: silence is success' out ''
same_text 'check: silence on both' err ''
run pcrun check good.txt -v
same_text 'check -v: ok' out 'good.txt: ok'
run pcrun check bad.txt
says 'check: the first mistake' 78 "bad.txt:1:5: error: plugin 'gen' has no parameter 'conut'"
says 'check: the second mistake' 78 "did you mean 'print'?"
says 'check: the third mistake' 78 'bad.txt:2:'
cp err check.err
run pcrun bad.txt
same 'run says exactly what check says' err check.err
is 'run: a wrong graph' $status 78
run pcrun check bad.txt good.txt -v
is 'check of several: the worst' $status 78
same_text 'check of several: the good one' out 'good.txt: ok'
run pcrun check nosuch.txt good.txt -v
is 'check: a missing file' $status 2
same_text 'check: the others are checked' out 'good.txt: ok'
run pcrun check -D n=x good.txt
says 'check -D' 78 "'x' is not a"
run pcrun check -D m=1 good.txt
is 'check: -D of an unknown parameter' $status 78
run pcrun check -e 'gen -> nul'
says 'check -e' 78 "did you mean 'null'?"
run pcrun check - <bad.txt
says 'check -' 78 '<stdin>:1:5: error: '

# -------------------------------------------------------------------------------- fmt
printf 'gen( count = 3 )->print   # numbers\n' >ugly.txt
pretty='gen(count=3) -> print  # numbers'
run pcrun fmt ugly.txt
is 'fmt: status' $status 0
same_text 'fmt prints the canonical form' out "$pretty"
same_text 'fmt leaves the file' ugly.txt 'gen( count = 3 )->print   # numbers'
run pcrun fmt - <ugly.txt
same_text 'fmt -' out "$pretty"
run pcrun fmt --check ugly.txt
says 'fmt --check: not canonical' 1 'ugly.txt is not in the canonical form'
cp ugly.txt mode.txt
chmod 640 mode.txt
ln -s mode.txt link.txt
run pcrun fmt -w link.txt
is 'fmt -w: status' $status 0
same_text 'fmt -w prints nothing' out ''
same_text 'fmt -w changes the file' mode.txt "$pretty"
is 'fmt -w keeps the mode' "$(stat -c %a mode.txt)" 640
is 'fmt -w keeps the link' "$(readlink link.txt)" mode.txt
run pcrun fmt --check mode.txt
is 'fmt --check: canonical' $status 0
before=$(stat -c %i mode.txt)
run pcrun fmt -w mode.txt
is 'fmt -w leaves a canonical file alone' "$(stat -c %i mode.txt)" "$before"
cp bad.txt bad2.txt
printf 'stage x = gen(\n' >bad2.txt
run pcrun fmt -w bad2.txt ugly.txt
is 'fmt -w: a wrong file' $status 78
same_text 'fmt -w leaves a wrong file' bad2.txt 'stage x = gen('
same_text 'fmt -w goes on with the next' ugly.txt "$pretty"
run pcrun fmt -w -
says 'fmt -w -' 2 "standard input can't be changed in place"
run pcrun fmt - <bad2.txt
says 'fmt: a wrong text' 78 '<stdin>:1:'
run pcrun fmt nosuch.txt
says 'fmt: a missing file' 2 'nosuch.txt: No such file or directory'
run pcrun fmt -w --check ugly.txt
says 'fmt -w --check' 2 '-w and --check do not go together'
is 'fmt leaves nothing behind' "$(find . -name '*.pcrun-*')" ''

# -------------------------------------------------------------- stages for what follows
cat >shout.c <<'END'
/* shout.c: a stage with one of everything. */
#include <pcrun/stage.h>

struct shout {
	const char *prefix;
	int64_t wait;
	uint32_t mode;
	uint64_t limit;
	double level;
	bool loud;
};
static const char *const modes[] = {"soft", "hard", NULL};
static const struct pc_param params[] = {
	PC_PARAM_STRING(struct shout, prefix, "> ", "what stands before"),
	PC_PARAM_DURATION(struct shout, wait, NULL, "1ms..1m", "how long"),
	PC_PARAM_ENUM(struct shout, mode, "soft", modes, "how"),
	PC_PARAM_U64(struct shout, limit, "10", "1..64", "items", "how many"),
	{"level", PC_T_F64, PC_LIVE, offsetof(struct shout, level), "0.5", NULL, NULL, NULL, "how \"loud\""},
	PC_PARAM_BOOL(struct shout, loud, "no", "whether"),
};
static const struct pc_port in[] = {{"in", "text/line", 0, "lines"}};
static const struct pc_port out[] = {{"out", "=in", PC_REQUIRED, "the same"}, {"rest", "*", 0, NULL}};
static int process(struct pc_stage *st, void *state, struct pc_item *item)
{
	(void)state;
	return pc_pass(st, 0, item);
}
PC_STAGE(.name = "shout", .doc = "say it again", .version = "2.1", .flags = PC_PURE | PC_SINGLE,
	PC_INPUTS(in), PC_OUTPUTS(out), PC_PARAMS(params), PC_STATE(struct shout),
	.state_version = 3, .process = process);
END
cat >expected <<'END'
shout: say it again
  file       ./shout.c
  ABI        1.1
  version    2.1
  flags      single: has no meaning with more than one replica
             pure: output depends on item and state only
  state      48 bytes, version 3
  callbacks  process

inputs
  in  text/line  lines

outputs
  out   =in  required  the same
  rest  *

parameters
  name    type      default        range
  prefix  string    "> "                              what stands before
  wait    duration  must be given  1ms..1m            how long
  mode    enum      soft           soft|hard          how
  limit   u64       10             1..64 items        how many
  level   f64       0.5                         live  how "loud"
  loud    bool      no                                whether
END
run pcrun inspect ./shout.c
is 'inspect: status' $status 0
same 'inspect shows everything' out expected
run pcrun inspect shout.c
same 'inspect: a file without a slash' out expected
run pcrun inspect --json shout.c
if command -v python3 >/dev/null; then
	python3 -c '
import json, sys
d = json.load(open("out"))
assert d["name"] == "shout" and d["doc"] == "say it again" and d["version"] == "2.1", d
assert d["abi"] == "1.1" and d["file"] == "./shout.c" and d["flags"] == ["single", "pure"], d
assert d["state_size"] == 48 and d["state_version"] == 3 and d["callbacks"] == ["process"], d
assert d["inputs"] == [{"name": "in", "type": "text/line", "required": False, "doc": "lines"}], d
assert [p["name"] for p in d["outputs"]] == ["out", "rest"] and d["outputs"][0]["required"], d
p = {p["name"]: p for p in d["parameters"]}
assert p["wait"]["default"] is None and p["wait"]["range"] == "1ms..1m", p
assert p["mode"]["values"] == ["soft", "hard"] and p["level"]["live"], p
assert p["level"]["doc"] == "how \"loud\"" and p["limit"]["unit"] == "items", p
' >/dev/null 2>err
	is 'inspect --json' $? 0
else
	skip 'inspect --json: no python3 to read it'
fi

# A graph: what has been checked, nothing is started.
cat >whole.txt <<'END'
param n = 2
shared counts = dict(num=$n, word="x\"y")
shared block = bytes(size=64)
stage down = decrement(counts) replicas=$n critical on_error=retry=3
stage first = gen(count=5) start=counted
stage rest = null() daemon until=seen
queue q capacity=7 full=drop-old
join counted after down
join seen after first, q
first -> q -> rest
END
run pcrun inspect whole.txt -D n=3
is 'inspect of a graph' $status 0
has 'inspect of a graph: a stage' out '^  down = decrement\(from="counts", .*\) replicas=3 critical=down on_error=retry=3  \(/.*/decrement\.so\)$'
has 'inspect of a graph: joins of stages' out '^  rest = null\(.*\) daemon until=seen  '
has 'inspect of a graph: a port' out "^    out: u64 to 'q'\$"
has 'inspect of a graph: a queue' out '^  q  capacity=7 full=drop-old: first -> rest$'
has 'inspect of a graph: a join' out '^  seen after first, q$'
has 'inspect of a graph: a section' out '^  down: down$'
has 'inspect of a graph: shared state' out "^  counts = dict\(num=3, word=\"x.*y\"\), updated in the critical section 'down'\$"
has 'inspect of a graph: a block' out '^  block = bytes\(size=64\), updated by nobody who says so$'
if command -v python3 >/dev/null; then
	run pcrun inspect --json whole.txt
	python3 -c '
import json
d = json.load(open("out"))
s = {s["name"]: s for s in d["stages"]}
assert s["down"]["replicas"] == 2 and s["down"]["section"] == "down" and s["down"]["retries"] == 3, s
assert s["first"]["start"] == "counted" and s["first"]["parameters"]["count"] == "5", s
assert s["rest"]["daemon"] and s["rest"]["until"] == "seen" and s["down"]["until"] is None, s
assert s["first"]["outputs"] == [{"port": "out", "type": "u64", "queues": ["q"]}], s
q = d["queues"][0]
assert (q["name"], q["capacity"], q["full"], q["writers"], q["readers"]) == ("q", 7, "drop-old", ["first"], ["rest"]), q
assert {j["name"]: j["queues"] for j in d["joins"]}["seen"] == ["q"], d["joins"]
assert d["sections"] == [{"name": "down", "stages": ["down"]}], d["sections"]
assert d["shared"][0]["values"] == {"num": 2, "word": "x\"y"} and d["shared"][1]["size_bytes"] == 64, d["shared"]
' >/dev/null 2>err
	is 'inspect --json of a graph' $? 0
else
	skip 'inspect --json of a graph: no python3 to read it'
fi
run pcrun inspect -e 'gen(count=3) -> null'
has 'inspect -e' out '^  gen = gen\(count=3, '
run pcrun inspect bad.txt
says 'inspect of a graph that is wrong' 78 "bad.txt:1:5: error: plugin 'gen' has no parameter 'conut'"
run pcrun inspect nosuch.txt
says 'inspect of a graph that is not there' 2 'nosuch.txt: No such file or directory'

# ----------------------------------------------------------------------- inspect, list
run pcrun inspect grpe
says 'inspect: a name like another' 2 "no plugin 'grpe'; did you mean 'gre"
run pcrun inspect nosuch
says 'inspect: where was it sought' 2 "there is no nosuch.so in $PCRUN_PLUGIN_DIR"
run pcrun inspect ./nosuch.so
says 'inspect: a missing file' 2 './nosuch.so can'\''t be read: No such file'
mkdir one two
"${CC:-cc}" -fPIC -shared -w -I"$PCRUN_INCLUDE_DIR" -o one/shout.so shout.c
cp one/shout.so two/shout.so
: >two/empty.so
run pcrun list -L one -L two
is 'list: status' $status 0
has 'list: a line each' out '^shout +say it again +one/shout\.so$'
has_not 'list: the first of a name only' out 'two/shout'
has 'list: what can not be used' err '^pcrun: two/empty\.so is not a shared object: it is empty$'
has 'list: the standard stages' out '^gen +make numbers +/'
run pcrun list -L one -L two -v
has 'list -v: the hidden one' out '^shout +say it again +two/shout\.so \(shadowed\)$'
run pcrun list -L one --json
has 'list --json' out '"name":"shout","doc":"say it again","file":"one/shout\.so","shadowed":false,"error":null'

# --------------------------------------------------------- output that can not be written
if [ -w /dev/full ]; then
	for words in help list 'inspect gen' 'fmt good.txt'; do
		# shellcheck disable=SC2086
		"$PCRUN" $words >/dev/full 2>err
		is "full disk: $words" $? 1
		has "full disk: $words: why" err "^pcrun: can't write to standard output: No space left on device$"
	done
	"$PCRUN" good.txt -v >out 2>/dev/full
	is 'full disk: the ledger' $? 1
	same_text 'full disk: the ledger: the output is there' out '0
1
2'
fi
"$PCRUN" help >&- 2>err
is 'closed standard output' $? 1
"$PCRUN" good.txt <&- 2>&- >out
is 'closed standard input and error' $? 0

# -------------------------------------------------------------------------------- run
run pcrun good.txt
is 'run: status' $status 0
same_text 'run: output' out '0
1
2'
same_text 'run: nothing else is said' err ''
run pcrun run good.txt -D n=1
same_text 'run -D' out '0'
run pcrun -Dn=2 -j1 good.txt -q
same_text 'options on both sides' out '0
1'
run pcrun -- good.txt
is 'after --' $status 0
run pcrun - <good.txt
is 'a graph from standard input' $status 0
run pcrun -e 'gen(count=1) -> print' -v
same_text '-v: the output is the graph'\''s' out '0'
has '-v: the queues' err '^gen -> print +1024 +1 +1 '
has '-v: the stages' err '^gen +1 +0 +1 .* ended$'
run pcrun -e 'gen(count=7) -> null' --json
has '--json' err '^\{"status":0,"queues":\[\{"name":"gen -> null",.*"put":7,"done":7,'
cp good.txt check
run pcrun run check
same_text 'a graph with the name of a command' out '0
1
2'
run pcrun -- check
is 'the same after --' $status 0

# A stage that fails.
cat >bomb.c <<'END'
/* bomb.c: fails at once. */
#include <pcrun/stage.h>
static const struct pc_port out[] = {{"out", "*", 0, "nothing"}};
static int produce(struct pc_stage *st, void *state)
{
	(void)state;
	return pc_fail(st, "the fuse was %s", "short");
}
PC_STAGE(.name = "bomb", .doc = "fail", PC_OUTPUTS(out), .produce = produce);
END
run pcrun -e './bomb.c -> null'
says 'a stage that fails' 1 'the fuse was short'

# --------------------------------------------------------------------- queues that are full
# full HOW: nine numbers into a queue of three, whose reader begins when all of them have come.
full() {
	run pcrun -v -e "stage g = gen(count=9); stage p = print start=made; join made after g
g -> p [capacity=3, full=$1]"
}
full drop-new
is 'full=drop-new: it ends well' "$status" 0
same_text 'full=drop-new: the first ones stay' out '0
1
2'
has 'full=drop-new: the others are counted' err '^g -> p +3 +9 +3 +6 '
full drop-old
is 'full=drop-old: it ends well' "$status" 0
same_text 'full=drop-old: the last ones stay' out '6
7
8'
has 'full=drop-old: the others are counted' err '^g -> p +3 +9 +3 +6 '
full error
is 'full=error: the graph fails' "$status" 1
has 'full=error: who, and where' err "^pcrun: stage 'g' failed at an emission \\(-e:1\\)"
has 'full=error: why' err "^  because: queue 'g -> p' is full, and says full=error\$"
run pcrun -v -e 'stage d = delay(0) on_error=skip; stage p = print start=made; join made after d
gen(count=9) -> d; d -> p [capacity=3, full=error]'
is 'full=error: on_error is not asked' "$status" 1
full block
is 'full=block: nobody can go on' "$status" 3

# ---------------------------------------------------------------------------- signals
# until_line FILE PATTERN: wait for a line, some seconds at most.
until_line() {
	n=0
	until grep -q -e "$2" "$1" 2>/dev/null || [ $n -gt 800 ]; do
		sleep 0.025
		n=$((n + 1))
	done
}
# start WORDS...: pcrun in the background, and wait until the graph has printed its first number.
start() {
	rm -f ticks
	"$PCRUN" "$@" >ticks 2>err &
	pid=$!
	until_line ticks 0
}
for pair in INT:130 TERM:143; do
	start -e 'gen(rate=50) -> print'
	kill -"${pair%:*}" "$pid"
	wait "$pid"
	is "SIG${pair%:*} ends the run" $? "${pair#*:}"
	has "SIG${pair%:*}: what happens is said" err 'finishing what is under way'
done
start -q -e 'gen(rate=50) -> print'
kill -QUIT "$pid"
until_line err ' gen '
has 'SIGQUIT explains' err '^ *gen (waits|is ready)'
kill -HUP "$pid"
kill -INT "$pid"
wait "$pid"
is 'SIGQUIT and SIGHUP do not end it' $? 130
has_not '-q: nothing of what is normal' err 'finishing'
# Who has been woken, and finds no worker, waits for that and nothing else.
cat >spin.c <<'END'
#include <pcrun/stage.h>
#include <stdio.h>
static int produce(struct pc_stage *st, void *state)
{
	(void)state;
	fclose(fopen("spins", "w"));
	while (!pc_stopping(st))
		continue;
	return PC_END;
}
static const struct pc_port out[] = {{"out", "*", 0, "nothing"}};
PC_STAGE(.name = "spin", .doc = "never come back", PC_OUTPUTS(out), .produce = produce);
END
"$PCRUN" -q -j 1 -e 'stage spin = ./spin.c daemon; spin; gen(rate=50) -> null' 2>err &
pid=$!
n=0
until grep -q 'gen is' err || [ $n -gt 100 ]; do
	sleep 0.1
	[ ! -e spins ] || kill -QUIT "$pid"
	n=$((n + 1))
done
has 'SIGQUIT: no worker is free' err '^ *gen is ready to run, as soon as the only worker is free$'
has 'SIGQUIT: and whose code it is in' err '^ *spin is in its own code$'
kill -INT "$pid"
kill -INT "$pid"
wait "$pid"
# All have ended, and one does not come back from its close().
cat >slow.c <<'END'
#include <pcrun/stage.h>
#include <unistd.h>
static int process(struct pc_stage *st, void *state, struct pc_item *item)
{
	(void)st; (void)state; (void)item;
	return PC_OK;
}
static int close_it(struct pc_stage *st, void *state)
{
	(void)st; (void)state;
	while (access("go", F_OK) != 0)
		usleep(10000);
	return PC_OK;
}
static const struct pc_port in[] = {{"in", "*", 0, "anything"}};
PC_STAGE(.name = "slow", .doc = "close slowly", PC_INPUTS(in), .process = process, .close = close_it);
END
"$PCRUN" -q -e 'gen(count=1) -> ./slow.c' 2>err &
pid=$!
n=0
until grep -q 'close()' err || [ $n -gt 100 ]; do
	sleep 0.1
	[ $n -lt 5 ] || kill -QUIT "$pid"
	n=$((n + 1))
done
has 'SIGQUIT: who is being closed' err '^ *slow has ended, and is in its close\(\)$'
touch go
wait "$pid"
is 'SIGQUIT: and ends as ever' $? 0
# A consumer that is stuck: the first signal waits for it, the second does not.
start --drain=1h -e 'gen(count=1) -> print; gen(count=1) -> delay(time=1h) -> null'
kill -INT "$pid"
until_line err 'finishing'
kill -INT "$pid"
wait "$pid"
is 'the second signal stops at once' $? 130
# While the graph is still being read. Several times: one that comes before pcrun is lost.
for signal in INT TERM; do
	rm -f slow
	mkfifo slow
	"$PCRUN" slow 2>err &
	pid=$!
	for _ in 1 2 3 4 5; do
		sleep 0.1
		kill -$signal "$pid" 2>/dev/null
	done
	wait "$pid"
	[ $? -gt 128 ]
	is "SIG$signal while the graph is read" $? 0
done
# nohup.
(
	trap '' HUP
	rm -f ticks
	exec "$PCRUN" -e 'gen(rate=50) -> print' >ticks
) 2>err &
pid=$!
until_line ticks 1
kill -HUP "$pid"
kill -TERM "$pid"
wait "$pid"
is 'SIGHUP that is ignored stays so: status' $? 143
has_not 'SIGHUP that is ignored stays so' err 'reload'

# A closed pipe ends the run quietly and soon.
"$PCRUN" -e 'gen -> print' 2>err | head -n 1 >out
same_text 'a closed pipe: what was read' out '0'
same_text 'a closed pipe: nothing is said' err ''

done_testing
