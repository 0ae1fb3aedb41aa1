#!/bin/sh
# test-install.sh: pcrun as installed: complete, found by pkg-config, and enough to build and run a stage.
#
# A build of its own with a prefix of its own, so that the folders that are built in are the real
# ones. Then the stage of the README is compiled outside the tree with what pkg-config says, and
# run by the installed pcrun, with nothing in the environment that points back into the tree.
. "${SOURCE:?run me with meson test}/tests/lib.sh"
unset PCRUN_PLUGIN_DIR PCRUN_INCLUDE_DIR PCRUN_PLUGIN_PATH PCRUN LD_LIBRARY_PATH

prefix=$work/prefix
run env CC="${CC:-gcc}" meson setup build "$SOURCE" --prefix="$prefix" --buildtype=debug \
	-Dtests=disabled -Dbench=disabled -Dfuzz=disabled
is 'it configures without the tests' "$status" 0
run ninja -C build
is 'it builds without the tests' "$status" 0
[ "$status" -eq 0 ] || tail -n 30 out
run meson install -C build --no-rebuild
is 'it installs' "$status" 0

libdir=$(dirname "$(find "$prefix" -name libpcrun.so)")
export LD_LIBRARY_PATH="$libdir" PKG_CONFIG_PATH="$libdir/pkgconfig"
pcrun=$prefix/bin/pcrun

for header in "$SOURCE"/include/pcrun/*.h; do
	same "${header##*/} is installed" "$prefix/include/pcrun/${header##*/}" "$header"
done
for plugin in "$SOURCE"/plugins/*.c "$SOURCE"/plugins/*/meson.build; do
	[ -e "$plugin" ] || continue
	case $plugin in
	*/meson.build) name=$(basename "$(dirname "$plugin")") ;;
	*) name=$(basename "$plugin" .c) ;;
	esac
	# A plugin may lack the library of its field; then it was not built either.
	[ -e "build/plugins/$name.so" ] || { skip "$name is not built here"; continue; }
	is "the stage $name is installed" "$([ -e "$libdir/pcrun/$name.so" ] && echo yes)" yes
done
if command -v scdoc >/dev/null; then
	for page in $(cd "$SOURCE" && find runtime -name '*.scd'); do
		name=$(basename "$page" .scd)
		is "the page $name is installed" "$([ -s "$prefix/share/man/man${name##*.}/$name" ] && echo yes)" yes
	done
fi
for file in pcrun.bash:bash-completion/completions/pcrun _pcrun:zsh/site-functions/_pcrun \
	pcrun.fish:fish/vendor_completions.d/pcrun.fish; do
	same "the completion ${file%:*} is installed" "$prefix/share/${file#*:}" \
		"$SOURCE/runtime/cli/completion/${file%:*}"
done

run pkg-config --variable=plugindir pcrun
same_text 'pkg-config tells where stages are' out "$libdir/pcrun"
run pkg-config --variable=abi_major pcrun
same_text 'pkg-config tells the ABI' out \
	"$(sed -n 's/^#define PC_ABI_MAJOR *\([0-9]*\).*/\1/p' "$SOURCE/include/pcrun/stage.h")"
run pkg-config --print-requires --print-requires-private pcrun
same_text 'the headers need nobody else' out ''

# A stage, out of the tree.
mkdir author
cd author || exit 1
readme_file squeeze.c >"$work/author/squeeze.c"
# shellcheck disable=SC2046
run gcc -std=c11 -Wall -Wextra -Wpedantic -Werror -O2 -fPIC -shared $(pkg-config --cflags pcrun) squeeze.c -o squeeze.so
is "the README's stage builds with pkg-config --cflags pcrun" "$status" 0
printf '%s\n' one one two one >some.txt
printf 'lines(path="some.txt") -> squeeze -> print\n' >graph.txt
run "$pcrun" graph.txt
same_text 'the installed pcrun runs it beside the graph' "$work/out" "$(printf 'one\ntwo\none')"
is 'and ends well' "$status" 0
mkdir elsewhere
mv squeeze.so elsewhere
run "$pcrun" -L elsewhere graph.txt
same_text 'with -L' "$work/out" "$(printf 'one\ntwo\none')"
run env PCRUN_PLUGIN_PATH="$PWD/elsewhere" "$pcrun" graph.txt
same_text 'with PCRUN_PLUGIN_PATH' "$work/out" "$(printf 'one\ntwo\none')"
run "$pcrun" -e 'lines(path="some.txt") -> ./squeeze.c -> print'
same_text 'compiled by pcrun itself with the installed headers' "$work/out" "$(printf 'one\ntwo\none')"
rm -r elsewhere
run "$pcrun" graph.txt
is 'and not without' "$status" 78

# A program that embeds the runtime.
cat >embed.c <<'END'
/* embed.c: the smallest program around a graph. */
#include <pcrun/pcrun.h>

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	struct pc_graph *graph = NULL;
	struct pc_error *err = NULL;
	int r = argc < 2 ? PC_INVALID
	                 : pc_graph_load_text(&graph, "embed", argv[1], strlen(argv[1]), NULL, &err);

	if (r == PC_OK)
		r = pc_graph_start(graph, NULL, &err);
	if (r == PC_OK)
		r = pc_graph_wait(graph, PC_FOREVER, &err);
	fputs(pc_error_text(err), stderr);
	pc_error_free(err);
	pc_graph_free(graph);
	return r == PC_OK ? 0 : 1;
}
END
# shellcheck disable=SC2046
run gcc -std=c11 -Wall -Wextra -Wpedantic -Werror embed.c -o embed $(pkg-config --cflags --libs pcrun)
is 'a program that embeds the runtime builds' "$status" 0
run ./embed 'lines(path="some.txt") -> head(n=2) -> print'
same_text 'and runs a graph' "$work/out" "$(printf 'one\none')"
is 'and ends well, embedded' "$status" 0
run ./embed 'lines(path="some.txt") -> headd -> print'
has 'and says what is wrong' "$work/err" 'embed:1:27: error: '
is 'and fails' "$status" 1
cd "$work" || exit 1

# Packagers install into a folder that stands for the root.
(cd "$prefix" && find . -type f -o -type l) | sort >here
DESTDIR=$work/root run meson install -C build --no-rebuild
(cd "$work/root$prefix" && find . -type f -o -type l) | sort >there
same 'DESTDIR gets the same files' there here
done_testing
