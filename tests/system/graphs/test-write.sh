#!/bin/sh
# The write stage: replace is all or nothing, append adds, and failures name path and cause.
. "${SOURCE:?run me with meson test}/tests/lib.sh"

seq 1 100000 >numbers
seq 1 3 >three

# ---- replace
run pcrun -e 'lines(path=numbers) -> write(new)'
is 'a new file: it ends well' "$status" 0
same 'a new file' new numbers
echo old >file
chmod 640 file
ln -s file link
run pcrun -e 'lines(path=three) -> write(link)'
same 'an old file is replaced' file three
is 'through a symbolic link' "$(readlink link)" file
is 'its permissions stay' "$(stat -c %a file)" 640
mkdir umask
(umask 027 && run pcrun -e 'lines(path=three) -> write("umask/new")')
is 'a new one obeys the umask' "$(stat -c %a umask/new)" 640
run pcrun -e 'lines(path="/dev/null") -> write(file)'
same_text 'an empty input makes an empty file' file ''
run pcrun -e 'gen(count=3) -> write(file, end=";")'
is 'numbers, and another end' "$(cat file)" '0;1;2;'
is 'nothing is left behind' "$(find . -name '*.pcrun-*')" ''

# ---- replace: the old file stays when the graph fails
echo old >file
printf '1 a\nx\n' >bad
wrong=0
for _ in $(seq 1 30); do
	run pcrun -e 'lines(path=bad) -> count(merge=true) -> write(file)'
	[ "$status" -eq 1 ] && [ "$(cat file)" = old ] || wrong=$((wrong + 1))
	run pcrun -e 'lines(path="three numbers", max=4) -> write(file)'
	[ "$status" -eq 1 ] && [ "$(cat file)" = old ] || wrong=$((wrong + 1))
done
is 'something before it fails, 60 runs: the old file stays' "$wrong" 0
run pcrun -e 'lines(path=numbers) -> write(file); lines(path=bad) -> count(merge=true) -> null'
is 'something beside it fails: status' "$status" 1
is 'nothing is left behind' "$(find . -name '*.pcrun-*')" ''
echo old >file
mkfifo silent
exec 4<>silent
"$PCRUN" -e 'lines -> write(file)' <silent 2>err &
for _ in $(seq 1 500); do
	[ -z "$(find . -name 'file.pcrun-*')" ] || break
	sleep 0.02
done
same_text 'while the graph runs, the old file is there' file old
kill -KILL $!
wait $! 2>/dev/null
same_text 'killed: the old file is there' file old
rm -f file.pcrun-*
exec 4>&-

# ---- append
echo 0 >file
run pcrun -e 'lines(path=three) -> write(file, mode=append)'
same_text 'append' file '0
1
2
3'
run pcrun -e 'lines(path=three) -> write(fresh, mode=append)'
same 'append makes a file' fresh three
mkfifo pipe
cat pipe >got &
run pcrun -e 'lines(path=numbers) -> write(pipe)'
wait $!
same 'a FIFO is written to' got numbers

# ---- what cannot be written
mkdir dir
run pcrun -e 'lines(path=three) -> write(dir)'
is 'a directory: status' "$status" 1
has 'a directory' err 'cannot write to dir: it is a directory'
run pcrun -e 'lines(path=three) -> write("no/such/dir")'
is 'a missing directory: status' "$status" 1
has 'a missing directory' err 'no/such/dir: No such file or directory'
run pcrun -e 'lines(path=numbers) -> write("/dev/full", mode=append)'
is 'a full disk: status' "$status" 1
has 'a full disk' err 'cannot write to /dev/full: No space left on device'
run pcrun -e 'lines(path=numbers) -> write("/dev/full")'
is 'a full disk, replace: status' "$status" 1
"$PCRUN" -e 'lines(path=numbers) -> print' >/dev/full 2>err
is 'print to a full disk: status' $? 1
has 'print to a full disk' err 'cannot write to standard output: No space left on device'

done_testing
