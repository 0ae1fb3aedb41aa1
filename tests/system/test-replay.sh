#!/bin/sh
# test-replay.sh: the item that crashed a stage is saved, and pcrun replay brings it again. The stages
# are in stage-dies/.
. "${SOURCE:?run me with meson test}/tests/lib.sh"
cc=${CC:-cc}
sources=$SOURCE/tests/system/stage-dies
# No core files.
# shellcheck disable=SC3045
ulimit -c 0 2>/dev/null
crashes=$work/crashes
export PCRUN_CRASH_DIR="$crashes"

# A sanitizer reports crashes by itself, with other words and another status.
if nm -D "$PCRUN" | grep -q '__[at]san_\|__ubsan_'; then
	skip 'crashes: a sanitizer has them'
	done_testing
fi

# build NAME COMPILER-ARGUMENT...
build() {
	name=$1
	shift
	"$cc" "-DNAME=\"$name\"" "$@" -g -O1 -w -fPIC -shared -I"$PCRUN_INCLUDE_DIR" -o "$name.so" \
		"$sources/item.c" 2>why || fail "item.c builds as $name" why
}
build it
build itb -DBATCH
build it2 -DTWO
build bang -DSOURCE
printf 'one\ntwo\n!three\nfour\n' >lines

# saved: the only item there is; nothing else was left in the directory.
saved() {
	set -- "$crashes"/*
	if [ $# -eq 1 ] && [ -f "$1" ] && [ "${1%.item}" != "$1" ]; then
		echo "$1"
	else
		echo "not one item but: $*"
	fi
}
# crash WHAT PATTERN ARGUMENT...: pcrun ends by SIGSEGV, and a line of the report matches; the item is $item.
crash() {
	what=$1
	pattern=$2
	shift 2
	rm -rf "$crashes"
	run pcrun "$@"
	is "$what: the status" "$status" 139
	has "$what: said" err "$pattern"
	item=$(saved)
}
# replay WHAT STATUS ARGUMENT...
replay() {
	what=$1
	expected=$2
	shift 2
	run pcrun replay "$@"
	is "$what: the status of the replay" "$status" "$expected"
}

# ------------------------------------------------------------------- crash, mend, replay
crash 'a line' "^  the item is saved, 6 bytes; do it again: pcrun replay $crashes/it-v1-[0-9]+\\.item\$" \
	-e 'param mark=x; lines(path=lines) -> ./it.so(mark=$mark) -> null' -D mark=here
has 'a line: it is the third' "$item" '^number: 3$'
is 'a line: for its owner only' "$(stat -c %a "$item") $(stat -c %a "$crashes")" '600 700'
is 'a line: the report names the file that is there' "$(sed -n 's/.*pcrun replay //p' err)" "$item"
replay 'not mended' 139 "$item"
has 'not mended' err "^pcrun: SIGSEGV in stage 'it' .*, item 1 of 'the saved item'\$"
has_not 'not mended: it is saved already' err 'saved, '
is 'not mended: nothing else is saved' "$(saved)" "$item"
build it -DMENDED
replay 'mended' 0 "$item"
same_text 'mended: what it emits' out 'here mended: !three'
has 'mended: said' err "^pcrun: stage 'it' has done the item, and emitted 1\$"
mkdir elsewhere
cd elsewhere || exit 1
run pcrun replay "$item" -D mark=there -q
cd ..
same_text 'from elsewhere, with another parameter' out 'there mended: !three'
same_text 'from elsewhere, with another parameter: silent' err ''
build it

mkdir graphs plugins
cp it.so plugins/
cat >graphs/g.txt <<'END'
# more than one line
stage it = it(mark="\\\n")
shared s = dict(a=1)
lines(path=lines) -> it -> null
END
crash 'a graph file' '^  the item is saved' graphs/g.txt -L plugins
build it -DMENDED
cp it.so plugins/
replay 'a graph file' 0 "$item"
same_text 'a graph file' out "$(printf '\\\n mended: !three')"
printf 'lines(path=lines) -> it(mark="now") -> null' >graphs/g.txt
replay 'a graph file that has changed' 0 "$item"
same_text 'a graph file that has changed' out 'now mended: !three'
printf 'lines(path=lines) -> it(mark="other") -> null' >other.txt
replay 'another graph' 0 "$item" other.txt
same_text 'another graph' out 'other mended: !three'
printf 'lines(path=lines) -> null' >graphs/g.txt
replay 'the stage is gone' 2 "$item"
same_text 'the stage is gone' err "pcrun: there is no stage 'it' in the graph"
printf 'lines(path=lines) -> itt -> null' >graphs/g.txt
replay 'the graph is wrong' 78 "$item"
rm graphs/g.txt
replay 'the graph is gone' 2 "$item"
has 'the graph is gone' err '^pcrun: can not read graphs/g.txt: No such file'
build it
cp it.so plugins/

crash 'standard input' '^  the item is saved' - <<'END'
lines(path=lines) -> ./it.so -> null
END
replay 'standard input' 2 "$item"
has 'standard input' err '^pcrun: the graph came through standard input; give it: pcrun replay .* GRAPH$'

# -------------------------------------------------------------------------- which item
for attributes in '' ' thread=own' ' critical' ' replicas=1 ordered'; do
	crash "a batch$attributes" '^  the item is saved, 6 bytes' \
		-e "stage it = ./itb.so()$attributes; lines(path=lines) -> it -> null"
	has "a batch$attributes: its number" "$item" '^number: 3$'
	is "a batch$attributes: its bytes" "$(tail -n 1 "$item")" '!three'
done
crash 'two inputs' '^  the item is saved' \
	-e 'stage it = ./it2.so(); ./bang.so(size=0, count=1G) -> it.left; lines(path=lines) -> it.right; it -> null'
has 'two inputs: which' "$item" '^port: right$'
build it2 -DTWO -DMENDED
replay 'two inputs' 0 "$item"
same_text 'two inputs: the end of the other comes after it' out ' mended: !three'
build its -DSHARED
crash 'shared state' '^  the item is saved' -e 'shared other = bytes(size=8); shared stock = dict(left=7)
stage first = ./its.so(from=stock) critical=shop; stage it = ./its.so(from=stock) critical=shop
gen(count=5) -> first -> null; lines(path=lines) -> it -> null'
build its -DSHARED -DMENDED
replay 'shared state' 0 "$item"
same_text 'shared state: as it is at the start' out "$(printf '6 left\n mended: !three')"
build its

# Another build was swapped in, from another file than the graph's.
build it -DMENDED
mv it.so good.so
build it
rm -rf "$crashes"
"$PCRUN" -e 'stage it = ./good.so(); gen(rate=200) -> it -> null' >out 2>err &
pid=$!
n=0
until "$PCRUN" status --graph=$pid >/dev/null 2>&1 || [ $n -gt 600 ]; do
	sleep 0.1
	n=$((n + 1))
done
"$PCRUN" swap --graph=$pid it ./it.so >swapped 2>&1
wait $pid
is 'a build from elsewhere: the status' $? 139
item=$(saved)
has 'a build from elsewhere: which' "$item" '^build: 2$'
has 'a build from elsewhere: its file' "$item" '^file: ./it\.so$'
replay 'a build from elsewhere' 0 "$item"
has 'a build from elsewhere: said' err \
	"^pcrun: warning: what crashed was v2 of 'it', a build of \\./it\\.so; this is \\./good\\.so, as the graph has it\$"
sed "s|^file: .*|file: $work/../${work##*/}/good.so|" "$item" >f
replay 'a later build of the same file' 0 f
has_not 'a later build of the same file: no warning' err warning

run pcrun -e './bang.so(size=0) -> ./it.so -> null'
is 'an empty item is no crash' "$status" 0

# --------------------------------------------------------------------- what can be wrong
big='param how=null; param size=1M; ./bang.so(size=$size) -> ./it.so(how=$how) -> null'
lost='^  the item could not be saved: '
crash 'a wild pointer' "${lost}the memory where it should be can not be read\$" -e "$big" -D how=pointer
is 'a wild pointer: nothing is left' "$(ls "$crashes")" ''
crash 'an item that is gone' "${lost}the memory where it should be can not be read\$" -e "$big" -D how=gone
crash 'half an item' '^  the item is saved, (4|5)[0-9]+ \(the rest can not be read\) of 1000000 bytes;' \
	-e "$big" -D how=half
is 'half an item: its size' "$(tail -n +2 "$item" | sed '1,/^$/d' | wc -c)" \
	"$(sed -n 's/.*is saved, \([0-9]*\) .*/\1/p' err)"
build it -DMENDED
replay 'half an item' 0 "$item"
has 'half an item: said' err '^pcrun: only (4|5)[0-9]+ of the item.s 1000000 bytes were saved$'
build it
crash 'a huge item' '^  the item is saved, 16777216 \(the most that is kept\) of 20000000 bytes;' \
	-e "$big" -D how=null -D size=20M
crash 'no descriptor is left' '^  the item is saved, 1000000 bytes' -e "$big" -D how=descriptors

# A limit on the size of files is a full disk that needs no disk.
rm -rf "$crashes"
(
	# shellcheck disable=SC3045
	ulimit -f 100
	run pcrun -e "$big" -D how=null
	exit "$status"
)
is 'a full disk: the status' $? 139
has 'a full disk' err "$lost$crashes: File too large\$"
is 'a full disk: nothing is left' "$(ls "$crashes")" ''

shim=$work/shim.so
"$cc" -w -fPIC -shared -D_GNU_SOURCE -o "$shim" "$sources/shim.c" -ldl 2>why || fail 'shim.c builds' why
no_tmpfile() {
	rm -rf "$crashes"
	LD_PRELOAD=$shim NO_TMPFILE=1 run pcrun -e "$big" -D "how=$1"
	item=$(saved)
}
no_tmpfile descriptors
has 'no files without a name, and no descriptor' err '^  the item is saved, 1000000 bytes'
is 'no files without a name: all of it' "$(sed '1,/^$/d' "$item" | wc -c)" 1000000
no_tmpfile pointer
has 'no files without a name, a wild pointer' err "${lost}the memory"
is 'no files without a name, a wild pointer: nothing is left' "$(ls "$crashes")" ''

# wrong_dir WHAT REASON: of $crashes.
wrong_dir() {
	run pcrun -e "$big" -D how=null
	is "$1: the status" "$status" 139
	has "$1" err "$lost$crashes: $2\$"
	run pcrun -e 'gen(count=1) -> null'
	same_text "$1: no word about it without a crash" err ''
}
rm -rf "$crashes"
echo >"$crashes"
wrong_dir 'no directory but a file' 'Not a directory'
rm "$crashes"
mkdir -m 777 "$crashes"
wrong_dir 'a directory of everybody' 'somebody else owns it, or may write to it'
rmdir "$crashes"
ln -s "$work" "$crashes"
wrong_dir 'a symbolic link' '(Not a directory|Too many levels of symbolic links)'
rm "$crashes"
unset PCRUN_CRASH_DIR
rm -rf crashes
XDG_STATE_HOME=$work/state run pcrun -e "$big" -D how=null
has 'the state directory' err "pcrun replay $work/state/pcrun/crash/it-v1-"
XDG_STATE_HOME='' HOME=$work/home run pcrun -e "$big" -D how=null
has 'the state directory of the home' err "pcrun replay $work/home/.local/state/pcrun/crash/it-v1-"
if [ "$(id -u)" -eq 0 ]; then
	mkdir theirs
	chown 65534 theirs
	XDG_STATE_HOME='' HOME=$work/theirs run pcrun -e "$big" -D how=null
	has 'the home of somebody else' err 'pcrun replay /tmp/pcrun-crash-0/it-v1-'
	is 'the home of somebody else: nothing is made there' "$(ls -A theirs)" ''
	rm -f "$(sed -n 's/.*pcrun replay //p' err)"
else
	skip 'the home of somebody else: only root can make one'
fi
mkdir "$work/a 'b"
PCRUN_CRASH_DIR="$work/a 'b" run pcrun -e "$big" -D how=null
cp err said
build it -DMENDED
sed -n 's/.*do it again: pcrun //p' said >words
eval "run pcrun $(cat words)"
is 'a path with quotes: as a word for the shell' "$status" 0
build it
export PCRUN_CRASH_DIR="$crashes"

# ----------------------------------------------------------------------- not too many
mkdir -m 700 "$crashes"
n=1
while [ $n -le 30 ]; do
	echo >"$crashes/old-$n.item"
	touch -d "2020-01-01 00:00:$n" "$crashes/old-$n.item"
	n=$((n + 1))
done
echo >"$crashes/mine.txt"
run pcrun -e "$big" -D how=null
is 'sixteen are kept' "$(find "$crashes" -name '*.item' | wc -l)" 16
is 'sixteen are kept: the newest' "$(find "$crashes" -name 'old-1[0-5].item' | wc -l)" 0
is 'sixteen are kept: and this one' "$(find "$crashes" -name 'it-v1-*.item' | wc -l)" 1
is 'sixteen are kept: no other files are touched' "$(cat "$crashes/mine.txt")" ''

# ----------------------------------------------------------------- files that are no items
good=$(find "$crashes" -name 'it-v1-*.item')
wrong() {
	run pcrun replay "$2"
	is "$1: the status" "$status" 2
	has "$1" err "^pcrun: can't use $2: $3\$"
}
damaged='its beginning is damaged(, or was cut off)?'
: >f
wrong 'an empty file' f 'it is no item that this pcrun has saved'
head -c 30 "$good" >f
wrong 'a file cut off' f "$damaged"
sed 's/^pcrun-item 1/pcrun-item 2/' "$good" >f
wrong 'a file of another version' f 'it is no item that this pcrun has saved'
sed '/^stage: /d' "$good" >f
wrong 'no stage in it' f "$damaged"
sed 's/^size: .*/size: 5/' "$good" >f
wrong 'more bytes than its size' f "$damaged"
sed 's/^stage: /stage/' "$good" >f
wrong 'a line without a key' f "$damaged"
printf 'pcrun-item 1\nstage: it\nport: in\000\nsize: 0\ngraph: x\n\n' >f
wrong 'a byte 0 in a line' f "$damaged"
head -c 100000 /dev/urandom >f
wrong 'noise' f 'it is no item that this pcrun has saved'
truncate -s 4G f
wrong 'a huge file' f 'it is too large for an item that pcrun has saved'
wrong 'a directory' "$work" 'it is no file'
wrong 'no file' nothing 'No such file or directory'
mkfifo pipe
wrong 'a pipe' pipe 'it is no file'
sed 's/^port: .*/port: side/' "$good" >f
replay 'no such input' 2 f
has 'no such input' err "^pcrun: stage 'it' has no input 'side'\$"
sed 's/^directory: .*/directory: \/nowhere/' "$good" >f
build it -DMENDED
replay 'its directory is gone' 0 f
has 'its directory is gone' err "^pcrun: warning: can't go to /nowhere, where it ran: No such file"
run pcrun replay
is 'no item' "$status" 2
has 'no item' err '^pcrun: the saved item is missing'
if [ -w /dev/full ]; then
	"$PCRUN" replay "$good" >/dev/full 2>err
	is 'nobody takes what it emits' $? 1
	has 'nobody takes what it emits' err "^pcrun: can't write to standard output: No space left"
fi

# -------------------------------------------------------------------------------- gdb
if command -v gdb >/dev/null; then
	build it
	"$PCRUN" replay "$good" --gdb </dev/null >out 2>err
	has 'gdb stops where it crashes' out 'received signal SIGSEGV'
	has 'gdb: in the stage' out 'item\.c:[0-9]+'
else
	PATH=/nowhere "$PCRUN" replay "$good" --gdb >out 2>err
	is 'no gdb: the status' $? 2
	has 'no gdb' err "^pcrun: can't start gdb: No such file"
fi

done_testing
