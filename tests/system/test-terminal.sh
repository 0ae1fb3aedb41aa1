#!/bin/sh
# test-terminal.sh: pcrun on a terminal: colours, the progress line, and what stages write there themselves;
# narrow, dumb and resized terminals; --json, whose lines are objects, whatever goes wrong.
. "${SOURCE:?run me with meson test}/tests/lib.sh"
command -v python3 >/dev/null || { skip 'no python3, which plays the terminal'; done_testing; }

# on COLUMNS COMMAND...: on a terminal; standard input has the steps (terminal.py). Sets $status, screen, screen.raw.
on() {
	columns=$1
	shift
	python3 "$SOURCE/tests/system/terminal.py" "$columns" screen "$@" 2>err
	status=$?
}
escape=$(printf '\033')
unset NO_COLOR
TERM=xterm
export TERM

# A stage that writes to the terminal by itself: whole lines, or the begin of one; and a log line.
cat >noisy.c <<'END'
#include <pcrun/stage.h>
#include <stdio.h>
struct noisy { uint64_t n, every; bool part; };
static int process(struct pc_stage *st, void *state, struct pc_item *item)
{
	struct noisy *s = state;
	s->n++;
	if (s->part && s->n == 1)
		fprintf(stderr, "the begin of a line,");
	if (!s->part && s->n % s->every == 0)
		fprintf(stderr, "noise %llu\n", (unsigned long long)s->n);
	if (!s->part && s->n % (2 * s->every) == 0)
		pc_log(st, PC_WARN, "a line of the log");
	return pc_pass(st, 0, item);
}
static const struct pc_param params[] = {
	PC_PARAM_U64(struct noisy, every, "60", "1..", "items", "from noise to noise"),
	PC_PARAM_BOOL(struct noisy, part, "false", "one line without an end"),
};
static const struct pc_port in[] = {{"in", "*", 0, "any"}};
static const struct pc_port out[] = {{"out", "=in", 0, "the same"}};
PC_STAGE(.name = "noisy", .doc = "make noise", PC_INPUTS(in), PC_OUTPUTS(out), PC_PARAMS(params),
	PC_STATE(struct noisy), .process = process);
END
echo 'gen(rate=100) -> ./noisy.c -> null' >noisy.txt
echo 'gen(rate=100) -> ./noisy.c(part=true) -> null' >part.txt
echo 'gen -> pritn' >wrong.txt

# ------------------------------------------------------------------------------- colours
: | on 80 "$PCRUN" check wrong.txt
has 'a terminal: colours' screen.raw "$escape\\[1;31merror:"
: | on 80 env NO_COLOR=1 "$PCRUN" check wrong.txt
has_not 'NO_COLOR: none' screen.raw "$escape"
has 'NO_COLOR: the words are there' screen '^wrong\.txt:1:8: error: '
: | on 80 env NO_COLOR= "$PCRUN" check wrong.txt
has 'an empty NO_COLOR does not count' screen.raw "$escape"
: | on 80 env TERM=dumb "$PCRUN" check wrong.txt
has_not 'TERM=dumb: none' screen.raw "$escape"
: | on 80 env -u TERM "$PCRUN" check wrong.txt
has_not 'no TERM: none' screen.raw "$escape"
: | on 80 sh -c "'$PCRUN' check wrong.txt 2>file"
has_not 'no terminal: none' file "$escape"

# ---------------------------------------------------------------------------------- help
for word in '' run check fmt inspect list swap reload status events stop ps help; do
	"$PCRUN" help $word
done | awk 'length($0) > 80' >long
same_text 'help fits into 80 columns' long ''

# ------------------------------------------------------------------------ the progress line
on 80 "$PCRUN" noisy.txt <<'END'
until a line of the log\n(.*\n)*.* s \| gen .*/s \| null .*/s
show shown
until noise 240
send \x03
END
is 'progress: the graph ends as ever' "$status" 130
has 'progress: on a row of its own, the last' shown '^[0-9]+ s \| gen [0-9]+/s \| null [0-9]+/s'
grep -v '^[0-9]* s | gen\|^$' shown | sed 's/[0-9]*$//' | sort -u >kinds
same_text 'progress: beside it what a stage has written, whole' kinds 'noise 
pcrun: noisy: warning: a line of the log'
sed 's/^\^C//; s/[0-9]*$//' screen | sort -u >kinds
same_text 'progress: nothing is left of it' kinds 'noise 
pcrun: interrupted: finishing what is under way; again stops at once
pcrun: noisy: warning: a line of the log'
on 80 "$PCRUN" part.txt <<'END'
until s \| gen
gone 1 s \| gen
send \x03
END
has 'progress: it does not take the begin of a line away' screen '^the begin of a line,'
has_not 'progress: nor stand behind it' screen 's \| gen'

# What does not fit is cut off.
for columns in 2 7 20; do
	rm -f shown
	on $columns "$PCRUN" -e 'gen(rate=100) -> null' <<-'END'
		until ^[0-9]
		show shown
		send \x03
	END
	has "$columns columns: there is a line" shown '^[0-9]'
	is "$columns columns: which fits" "$(awk -v most="$columns" 'length($0) >= most' shown)" ''
done
on 60 "$PCRUN" noisy.txt <<'END'
until s \| gen
resize 20
until noise 120
resize 9
until noise 180
resize 70
until noise 240
send \x03
END
sed 's/^\^C//; s/[0-9]*$//' screen | sort -u >kinds
same_text 'resized: nothing is left of it' kinds 'noise 
pcrun: interrupted: finishing what is under way; again stops at once
pcrun: noisy: warning: a line of the log'

# Where there is none.
quiet() {
	name=$1
	shift
	on 80 "$@" <<-'END'
		until noise 180
		send \x03
	END
	has_not "$name" screen.raw ' s \| gen|\[[JK]'
}
quiet 'TERM=dumb: no progress line' env TERM=dumb "$PCRUN" noisy.txt
quiet 'no TERM: no progress line' env -u TERM "$PCRUN" noisy.txt
quiet '-q: no progress line' "$PCRUN" -q noisy.txt
quiet '--json: no progress line' "$PCRUN" --json noisy.txt
sed 's/null/print/' noisy.txt >prints.txt
quiet 'none where the graph prints to the same terminal' "$PCRUN" prints.txt
on 80 env NO_COLOR=1 "$PCRUN" noisy.txt <<'END'
until s \| gen
until warning
send \x03
END
has 'NO_COLOR: but a progress line' screen.raw ' s \| gen'
has_not 'NO_COLOR: and no colours' screen.raw "$escape\\[[0-9;]*m"
on 80 sh -c "'$PCRUN' prints.txt >elsewhere" <<'END'
until s \| gen
send \x03
END
is 'standard output elsewhere: there is one' "$status" 130

# -------------------------------------------------------------------------------- --watch
cp noisy.c kept.c
on 80 "$PCRUN" --watch noisy.txt <<'END'
until watching
until s \| gen
until a line of the log
run sed s/noise/sound/ kept.c >noisy.c
until v1 -> v2 live
until s \| gen
until sound
run echo 'int x' >>noisy.c
until REFUSED
until s \| gen
run cp kept.c noisy.c
until -> v3 live
until s \| gen
send \x03
END
is '--watch: the graph ends as ever' "$status" 130
sed 's/^\^C//; s/^[0-9:.]\{12\}//; s/[0-9]*$//; s/ at item.*//; s/\(watching\) .*/\1/' screen | grep -v '^ *[0-9]* |\|^ *|' | sort -u >kinds
grep -v 'error: ' kinds >others
same_text '--watch: lines of every kind, and nothing between them' others '  noisy  REFUSED, v2 keeps running: ./noisy.c does not compile:
  noisy  v1 -> v2 live
  noisy  v2 -> v3 live
noise 
pcrun: interrupted: finishing what is under way; again stops at once
pcrun: noisy: warning: a line of the log
pcrun: watching
sound '
has '--watch: what the compiler says begins its line' screen '^\./noisy\.c:[0-9]+:[0-9]+: error: '

# --------------------------------------------------------------------------------- --json
# objects NAME: each line of err is an object; those of a kind are in the file of that name.
objects() {
	python3 - >why 2>&1 <<-'END'
		import json
		last = [json.loads(line) for line in open('err', encoding='utf-8')][-1]
		assert 'status' in last and 'queues' in last and 'stages' in last, last
	END
	if [ -s why ]; then
		cat err >>why
		fail "$1" why
	else
		pass "$1"
	fi
}
run pcrun --json wrong.txt
objects '--json: a wrong graph: objects, the last has the status'
has '--json: a wrong graph: why' err '^\{"event":"message","time":[0-9]+\.[0-9]{6},"level":"error","text":"wrong\.txt:1:8: error: '
has '--json: a wrong graph: status' err '^\{"status":78,'
run pcrun --json nosuch.txt
objects '--json: no such file'
has '--json: no such file: status' err '^\{"status":2,'
cat >fails.c <<'END'
#include <pcrun/stage.h>
static int process(struct pc_stage *st, void *state, struct pc_item *item)
{ (void)state; (void)item; pc_log(st, PC_INFO, "said \"it\""); return pc_fail(st, "two\nlines"); }
static const struct pc_port in[] = {{"in", "*", 0, "any"}};
PC_STAGE(.name = "fails", .doc = "fail", PC_INPUTS(in), .process = process);
END
run pcrun --json -v -e 'gen(count=5) -> ./fails.c'
objects '--json -v: a stage fails, with log lines'
has '--json: a log line' err '"level":"info","stage":"fails","text":"said \\"it\\""\}$'
has '--json: the failure' err '"level":"error","text":"stage .fails. failed on item 1 .*because: two\\u000alines"\}$'
run pcrun --json -e 'gen(count=5) -> ./fails.c on_error=skip'
objects '--json: skipped'
cp kept.c noisy.c
echo 'gen(rate=100) -> ./noisy.c(every=1M) -> null' >still.txt
"$PCRUN" --watch --json still.txt 2>err &
pid=$!
n=0
socket=$PCRUN_CONTROL_DIR/still-$pid.sock
until [ -S "$socket" ] || [ $n -gt 2400 ]; do sleep 0.025; n=$((n + 1)); done
# until_event PATTERN
until_event() {
	n=0
	until grep -q -e "$1" err || [ $n -gt 2400 ]; do sleep 0.025; n=$((n + 1)); done
}
echo 'int x' >>noisy.c
until_event refused
cp wrong.txt still.txt
until_event pritn
kill -QUIT $pid
until_event 'waits for'
kill -INT $pid
wait $pid
objects '--json --watch: events, an explanation, the end'
has '--json: what everyone waits for' err '^\{"event":"message",.*gen (waits for|is ready)'
has '--json: told to end' err '"text":"interrupted: '
done_testing
