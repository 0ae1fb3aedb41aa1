#!/bin/sh
# test-plugins-wrong.sh: every plugin of plugins-wrong/ is refused with exactly its own reason, every
# file that is no plugin with the truth, and none of them ends pcrun.
#
# NAME.c is built into NAME.so by the plain compiler; a comment `/* flags: ... */` in it adds flags,
# `/* instead of -shared: ... */` replaces that one. NAME.expected is what `pcrun inspect` says.
. "${SOURCE:?run me with meson test}/tests/lib.sh"
corpus=$SOURCE/tests/system/plugins-wrong
cc=${CC:-cc}

# refuses NAME FILE: `inspect` with what is in `expected`, `check` at the place in the graph, 78 both.
refuses() {
	run pcrun inspect "$2"
	if [ "$status" -eq 78 ] && [ ! -s out ] && cmp -s err expected; then
		pass "$1"
	else
		{ echo "status $status; expected 78 and:"; cat expected; echo "got:"; cat out err; } >why
		fail "$1" why
	fi
	run pcrun check -e "gen -> $2"
	if [ "$status" -eq 78 ] && grep -qF -e '-e:1:8: error: ' err; then
		pass "$1, in a graph"
	else
		fail "$1, in a graph" err
	fi
}

for source in "$corpus"/*.c; do
	name=${source##*/}
	name=${name%.c}
	more=$(sed -n 's,^/\* flags: \(.*\) \*/$,\1,p' "$source")
	kind=$(sed -n 's,^/\* instead of -shared: \(.*\) \*/$,\1,p' "$source")
	# shellcheck disable=SC2086
	$cc -w -fPIC ${kind:--shared} -I"$PCRUN_INCLUDE_DIR" -o "$name.so" "$source" $more 2>why || {
		fail "$name: builds" why
		continue
	}
	cp "$corpus/$name.expected" expected
	refuses "$name" "./$name.so"
done

# Files that are no plugins at all.
expect() {
	printf 'pcrun: %s\n' "$1" >expected
}
: >empty.so
expect './empty.so is not a shared object: it is empty'
refuses 'an empty file' ./empty.so
echo 'INPUT(libc.so.6)' >text.so
expect './text.so is not a shared object: it is a text file'
refuses 'a text file' ./text.so
mkdir folder.so
expect './folder.so is not a shared object: it is a directory'
refuses 'a directory' ./folder.so
mkfifo pipe.so
expect './pipe.so is not a shared object: it is a named pipe'
refuses 'a named pipe' ./pipe.so
ln -s /dev/null device.so
expect './device.so is not a shared object: it is a device'
refuses 'a device' ./device.so
truncate -s 4G sparse.so
expect './sparse.so is not a shared object: it has 4 GiB'
refuses 'a sparse file of 4 GiB' ./sparse.so

# A stage as it should be, to be cut and crippled.
cat >good.c <<'END'
#include <pcrun/stage.h>
static int drop(struct pc_stage *st, void *state, struct pc_item *item)
{
	(void)st;
	(void)state;
	(void)item;
	return PC_OK;
}
static const struct pc_port in[] = {{"in", "*", 0, "anything"}};
PC_STAGE(.name = "good", .doc = "drop", PC_INPUTS(in), .process = drop);
END
$cc -w -fPIC -shared -I"$PCRUN_INCLUDE_DIR" -o good.so good.c
run pcrun inspect ./good.so
is 'the good one is good' "$status" 0
size=$(stat -c %s good.so)
bad=''
for cut in 1 15 63 64 100 4096 $((size / 2)) $((size - 64)) $((size - 1)); do
	head -c "$cut" good.so >cut.so
	run pcrun inspect ./cut.so
	[ "$status" -eq 78 ] || bad="$bad $cut:$status"
done
is 'cut at any length' "$bad" ''
cp good.so other-machine.so
printf '\003' | dd of=other-machine.so bs=1 seek=18 conv=notrunc 2>/dev/null
expect './other-machine.so is for another machine (ELF machine 3); this pcrun is for x86-64'
if [ "$(uname -m)" = x86_64 ]; then
	refuses 'another machine' ./other-machine.so
	printf '\001' | dd of=other-machine.so bs=1 seek=4 conv=notrunc 2>/dev/null
	expect './other-machine.so is a 32-bit file; this pcrun is 64-bit x86-64'
	refuses 'a 32-bit file' ./other-machine.so
fi

# A library that is there when it is linked, and not when it is loaded.
echo 'int helper(void) { return 0; }' >helper.c
$cc -fPIC -shared -Wl,-soname,libhelper.so.1 -o libhelper.so.1 helper.c
sed 's/return PC_OK/return helper()/; 1i int helper(void);' good.c >helped.c
$cc -w -fPIC -shared -I"$PCRUN_INCLUDE_DIR" -o helped.so helped.c libhelper.so.1
expect './helped.so needs the library libhelper.so.1, which is not there'
refuses 'a missing library' ./helped.so

# Two files, one name; and a file that is not called as its stage is.
mkdir here
mv good.so here/good.so
cp here/good.so twin.so
cp here/good.so here/other.so
run pcrun check -L here -e 'gen -> q -> good, ./twin.so; queue q capacity=3'
is 'two files of one name: status' "$status" 78
has 'two files of one name' err "duplicate stage name 'good': both here/good\.so and \./twin\.so are called so"
run pcrun check -L here -e 'gen -> other'
is 'a file with another name: status' "$status" 78
has 'a file with another name' err "here/other\.so is not the stage 'other': it says that it is 'good'"

# A first version that is bad is an error at the start, not a loop.
run pcrun -e 'gen -> ./empty.so'
is 'run: status' "$status" 78

done_testing
