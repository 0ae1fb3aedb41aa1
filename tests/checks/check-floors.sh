#!/bin/sh
# check-floors.sh [ROOT]: every #include goes down the floors, never up.
#
# Run by `./dev check` and by the test suite "checks". Looks at the text of include/, runtime/ and
# plugins/ alone; says file:line and the rule for each include that breaks it. Status 0: all fine.
# The floors are in README.md, "How the tree is laid out"; a new folder of runtime/ gets its line
# there and in the table `may` below.
set -eu
root=${1:-$(dirname -- "$0")/../..}
cd -- "$root"

found=$(find include runtime plugins \( -name '*.[ch]' -o -name '*.inc' \) -type f 2>/dev/null | sort)
[ -n "$found" ] || { echo "check-floors: no sources under $root" >&2; exit 2; }

# File names of this project hold no blanks: they are one word each.
# shellcheck disable=SC2086
exec awk '
BEGIN {
	# folder of runtime/  ->  what it may include besides itself and <pcrun/...>
	may["base"] = ""
	may["lang"] = may["loader"] = may["queue"] = may["shared"] = may["observe"] = "base"
	may["plan"] = may["lang"] " lang loader queue shared observe"
	may["engine"] = may["plan"] " plan"
	# The command is written with the public headers alone, as any embedding program.
	may["cli"] = ""
	# Text never sees threads: these floors are called on one thread and know no other.
	n = split("lang plan", f, " ")
	for (i = 1; i <= n; i++)
		single[f[i]] = 1
	threads = "^(pthread|threads|stdatomic|semaphore|urcu|uv)([./-]|$)"
	# What a public header may lean on: the headers of C itself.
	n = split("limits.h stdarg.h stdbool.h stddef.h stdint.h", f, " ")
	for (i = 1; i <= n; i++)
		plain[f[i]] = 1
}
function bad(text) { printf "%s:%d: %s\n", FILENAME, FNR, text; status = 1 }
function exists(path,   line, r) { r = (getline line < path); close(path); return r >= 0 }
FNR == 1 {
	n = split(FILENAME, part, "/")
	top = part[1]
	folder = n > 2 ? part[2] : ""
	here = FILENAME
	sub(/[^\/]*$/, "", here)
	if (top == "runtime" && folder == "")
		bad("a file of runtime/ belongs into the folder of a floor")
	else if (top == "runtime" && !(folder in may))
		bad("runtime/" folder " stands on no floor: add it to the table in tests/checks/check-floors.sh")
}
!/^[ \t]*#[ \t]*include/ { next }
{
	if (match($0, /<[^>]*>/))
		angle = 1
	else if (match($0, /"[^"]*"/))
		angle = 0
	else {
		bad("an include through a macro hides what is included")
		next
	}
	path = substr($0, RSTART + 1, RLENGTH - 2)
	n = split(path, p, "/")
	if (path ~ /(^|\/)\.\.?(\/|$)/) {
		bad("\"" path "\": no . or .. in an include")
		next
	}
	if (angle) {
		if (p[1] == "pcrun")
			next
		if (n > 1 && p[1] in may) {
			bad("<" path ">: inner headers are included with quotes")
			next
		}
		if (top == "include" && !(path in plain))
			bad("<" path ">: a public header includes <pcrun/...> and headers of C itself only")
		if (top == "runtime" && folder in single && path ~ threads)
			bad("<" path ">: the floor " folder " knows no threads")
		next
	}
	if (top == "include")
		bad("\"" path "\": a public header includes <pcrun/...> only")
	else if (top == "plugins") {
		if (n > 1 || !exists(here path))
			bad("\"" path "\": a plugin includes <pcrun/...>, system headers and its own folder only")
	} else if (n == 1)
		bad("\"" path "\": inner headers are named with their folder, \"" folder "/" path "\"")
	else if (p[1] != folder && index(" " may[folder] " ", " " p[1] " ") == 0)
		bad("\"" path "\": " folder " may not include " p[1] (folder == "cli" ? " (the command uses <pcrun/...> alone)" : ""))
}
END { exit status }' $found
