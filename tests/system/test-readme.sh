#!/bin/sh
# test-readme.sh: every command and every code block of README.md does what the README says.
#
# In a clean copy of the tree, as a newcomer has it after cloning. A fenced block whose fence names
# a file (```c squeeze.c) becomes that file. A block ```sh is run as it stands, in the copy's root,
# without standard input; when a block ```text follows directly, that is what it must print. The
# one command that is not run is ./dev test, which runs this script: .ci/run stands for it.
. "${SOURCE:?run me with meson test}/tests/lib.sh"

copy=$work/pcrun
mkdir "$copy"
if git -C "$SOURCE" rev-parse --git-dir >/dev/null 2>&1; then
	git -C "$SOURCE" ls-files -co --exclude-standard >named
	# What was deleted, but not yet in a commit, is still named.
	while read -r file; do [ ! -e "$SOURCE/$file" ] || printf '%s\n' "$file"; done <named >tracked
else
	(cd "$SOURCE" && find . -path './build*' -prune -o -type f -print) >tracked
fi
tar -C "$SOURCE" -cf - -T tracked | tar -C "$copy" -xf -

# Blocks in order: N.kind (file, sh or text), N.name, N.body.
awk '
/^```/ {
	if (!open) {
		open = 1
		kind = substr($1, 4)
		name = $2
		follows = kind == "text" && last_sh && !between
		if (name != "") kind = "file"
		else if (kind == "text" && !follows) kind = "picture"
		n++
		printf "%s\n", kind > (n ".kind")
		printf "%s\n", name > (n ".name")
		printf "" > (n ".body")
	} else {
		open = 0
		last_sh = kind == "sh"
		between = 0
		close(n ".body")
	}
	next
}
open { print > (n ".body"); next }
/[^ \t]/ { between = 1 }
END { print n + 0 }' "$SOURCE/README.md" >blocks
blocks=$(cat blocks)

# The copy must find what it built itself.
unset PCRUN_PLUGIN_DIR PCRUN_INCLUDE_DIR PCRUN_PLUGIN_PATH LD_LIBRARY_PATH MAKEFLAGS
n=0
while [ "$n" -lt "$blocks" ]; do
	n=$((n + 1))
	case $(cat $n.kind) in
	file)
		cp $n.body "$copy/$(cat $n.name)"
		;;
	sh)
		title=$(sed -n '1{s/#.*//;p}' $n.body)
		if grep -q '^\./dev test$' $n.body; then
			has 'CI runs the command of the README that runs all tests' "$SOURCE/.ci/run" 'exec \./dev test$'
			sed '/^\.\/dev test$/d' $n.body >$n.rest
			mv $n.rest $n.body
			grep -q '[^ ]' $n.body || continue
		fi
		(cd "$copy" && exec sh -e "$work/$n.body") >out 2>err </dev/null
		is "README: $title" $? 0
		next=$((n + 1))
		if [ -f $next.kind ] && [ "$(cat $next.kind)" = text ]; then
			same "README: what it prints: $title" out $next.body
		fi
		;;
	esac
done
has_not 'README: what ./dev run builds has all that a swap needs' "$copy/watch.log" 'warning'
# What the text names, and no block runs, is at least there.
"$SOURCE/dev" help >words
for word in $(grep -o '`\./dev [a-z]*' "$SOURCE/README.md" | sed 's/.* //' | sort -u); do
	has "./dev has the word $word" words "^  $word( |\$)"
done
run pcrun help
cp out words
for word in $(grep -o '`pcrun [a-z]* [A-Z]*`' "$SOURCE/README.md" | sed 's/`pcrun \([a-z]*\).*/\1/' | sort -u); do
	has "pcrun has the word $word" words "^  $word "
done
for path in $(grep -o '^| `[a-z/.-]*`' "$SOURCE/README.md" | tr -d '|\` '); do
	[ -e "$SOURCE/$path" ] || path=runtime/$path
	is "$path is there" "$([ -e "$SOURCE/$path" ] && echo yes)" yes
done
is 'the README has blocks to run' "$([ "$blocks" -gt 5 ] && echo yes)" yes
done_testing
