#!/bin/sh
# test-stage-page.sh: every code block of pcrun-stage(7) compiles, and every command does what the page says.
#
# A comment in the page's source tells what the block below it is. "; file NAME": it becomes that
# file, and a stage among them must compile without a warning, as an author would have it. "; run":
# it is run as it stands, without standard input, and must end well. "; prints": this is what the
# command above must print. The page is one story, so all of it happens in one folder, in order.
# Then: the page names all that the header has, and nothing that it has not.
. "${SOURCE:?run me with meson test}/tests/lib.sh"

page=$SOURCE/runtime/loader/pcrun-stage.7.scd
header=$SOURCE/include/pcrun/stage.h

# The command under test and the headers of the tree, by the names that the page uses.
mkdir bin author blocks
printf '#!/bin/sh\nexec timeout --foreground -k 5 %s "%s" "$@"\n' "${RUN_LIMIT:-60}" "$PCRUN" >bin/pcrun
chmod +x bin/pcrun
sed "s|^includedir=.*|includedir=$SOURCE/include|" "$BUILD/meson-private/pcrun.pc" >bin/pcrun.pc
export PATH="$work/bin:$PATH" PKG_CONFIG_PATH="$work/bin"
unset CC CFLAGS LDFLAGS PCRUN_PLUGIN_PATH

# Blocks in order: N.kind (file, run, prints, or none when the page does not say), N.name, N.body.
awk -v dir=blocks/ '
/^; (file|run|prints)( |$)/ { kind = $2; name = $3; next }
/^```/ {
	open = !open
	if (open) {
		n++
		print kind == "" ? "none" : kind > (dir n ".kind")
		print name > (dir n ".name")
		printf "" > (dir n ".body")
	} else {
		kind = name = ""
		close(dir n ".body")
	}
	next
}
open { print > (dir n ".body") }
END { print n + 0 }' "$page" >count
count=$(cat count)
# As the reader sees it: in scdoc a backslash takes the next character as it is, here too.
for body in blocks/*.body; do
	sed 's/\\\(.\)/\1/g' "$body" >plain
	mv plain "$body"
done

# compiles NAME: with warnings as errors, and linked as strictly as pcrun itself links it.
compiles() {
	case $1 in
	*.c) set -- "$1" gcc -std=gnu11 -Wextra -Wpedantic ;;
	*.cc) set -- "$1" g++ -std=c++20 ;;
	*) return ;;
	esac
	name=$1
	shift
	if ! command -v "$1" >/dev/null; then
		skip "$name: no $1 here"
		return
	fi
	run "$@" -Wall -Wshadow -Werror -O2 -fPIC -shared -Wl,-z,defs -I"$SOURCE/include" \
		"author/$name" -o strict.so
	is "$name compiles without a warning" "$status" 0
}

n=0
while [ "$n" -lt "$count" ]; do
	n=$((n + 1))
	case $(cat blocks/$n.kind) in
	file)
		name=$(cat blocks/$n.name)
		cp blocks/$n.body "author/$name"
		compiles "$name"
		;;
	run)
		title=$(grep -m 1 '^pcrun\|^sh ' blocks/$n.body)
		(cd author && exec sh -e "$work/blocks/$n.body") >out 2>err </dev/null
		is "it ends well: $title" $? 0
		if [ "$(cat blocks/$((n + 1)).kind 2>/dev/null)" = prints ]; then
			same "it prints what the page says: $title" out blocks/$((n + 1)).body
		else
			fail "the page does not say what it prints: $title"
		fi
		;;
	prints)
		is "block $n stands below a command" "$(cat blocks/$((n - 1)).kind)" run
		;;
	*)
		fail "the page does not say what block $n is" blocks/$n.body
		;;
	esac
done
# If nobody has read it, whoever writes into the named pipe is still waiting.
[ ! -p author/news ] || : <>author/news
is 'the page has blocks' "$([ "$count" -gt 20 ] && echo yes)" yes

# Names, without the page's backslashes. A call is `static inline … pc_x(`.
sed 's/\\//g' "$page" >text
grep -o 'static inline [^(]*[ *]pc_[a-z0-9_]*(\|[^a-z]pc_fail(struct' "$header" |
	grep -o 'pc_[a-z0-9_]*(' | tr -d '(' | sort -u >calls
is 'the header has calls' "$([ "$(wc -l <calls)" -gt 20 ] && echo yes)" yes
while read -r call; do
	has "the page names $call()" text "$call([^a-z0-9_]|\$)"
done <calls
sed -n '/^enum pc_stage_flags/,/^}/s/^\t\(PC_[A-Z_]*\) = .*/\1/p' "$header" >flags
while read -r flag; do
	has "the page tells what $flag is" text "^\*$flag\*\$"
done <flags
sed -n '/^# CALLBACKS/,/^# WHAT/p' text >table
sed -n '/^struct pc_stage_desc {/,/^}/s/^\t[a-z]* (\*\([a-z_]*\))(.*/\1/p' "$header" >callbacks
is 'the header has callbacks' "$([ "$(wc -l <callbacks)" -ge 9 ] && echo yes)" yes
while read -r callback; do
	has "the table has $callback()" table "^\|  \*$callback\*\$"
done <callbacks
cat "$SOURCE"/include/pcrun/*.h >headers
grep -Eo '\b(pc|PC)_[A-Za-z0-9_]*[A-Za-z0-9]' text | sort -u >named
while read -r name; do
	grep -qw -- "$name" headers || printf '%s\n' "$name"
done <named >unknown
same_text 'all names of pcrun on the page are in its headers' unknown ''
done_testing
