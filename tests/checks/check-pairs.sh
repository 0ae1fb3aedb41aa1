#!/bin/sh
# check-pairs.sh [ROOT | FILE...]: every atomic access names its memory order and says why that is enough.
#
# Run by `./dev check` and by the test suite "checks" over include/, runtime/ and plugins/.
#   - Each access is an ..._explicit or __atomic_ call that names its order. No fences without a
#     label (ThreadSanitizer does not see them), no __sync_, uatomic_ or cmm_ calls.
#   - A statement with an acquire, release, acq_rel or seq_cst wears a label such as Q1 in a comment
#     inside it or right above it, and a table of the folder says what that label pairs with.
#   - A statement with nothing but relaxed accesses has a comment that says why; one comment serves
#     a run of such statements with no other line between.
#   - A table is a comment block that begins with " * Pairs" and ends at an empty comment line. It
#     stands in the file whose accesses it explains, or in one file for a whole folder: both sides
#     of a pair are often in different files, so labels are one name space per folder. Each label
#     in a table is worn by an access, and each label worn is in a table.
# The labels are DPDK's idea (lib/ring), made binding.
set -eu
[ $# -gt 0 ] || set -- "$(dirname -- "$0")/../.."
if [ -d "$1" ]; then
	cd -- "$1"
	found=$(find include runtime plugins \( -name '*.[ch]' -o -name '*.inc' \) -type f 2>/dev/null | sort)
	[ -n "$found" ] || { echo "check-pairs: no sources under $1" >&2; exit 2; }
	# File names of this project hold no blanks: they are one word each.
	# shellcheck disable=SC2086
	set -- $found
fi
exec awk '
function bad(file, line, text) { printf "%s:%d: %s\n", file, line, text; status = 1 }

# Line n of the file, split into code[n] and comment[n]; strings and characters become blanks.
function split_line(s, n,   out, said, c, two, quote) {
	out = said = quote = ""
	while (s != "") {
		c = substr(s, 1, 1)
		two = substr(s, 1, 2)
		if (in_comment) {
			if (two == "*/") { in_comment = 0; said = said " "; s = substr(s, 3); continue }
			said = said c
		} else if (quote != "") {
			if (c == "\\") { s = substr(s, 3); continue }
			if (c == quote) quote = ""
		} else if (two == "/*") { in_comment = 1; s = substr(s, 3); continue }
		else if (two == "//") { said = said substr(s, 3); break }
		else if (c == "\"" || c == "\047") quote = c
		else out = out c
		s = substr(s, 2)
	}
	sub(/[ \t]+$/, "", out)
	code[n] = out
	comment[n] = said
}

# The labels in a comment, each with a blank on both sides. C11 and the like name the language.
function labels(s,   found, word) {
	found = " "
	while (match(s, /[A-Z][A-Z]?[0-9]+/)) {
		word = substr(s, RSTART, RLENGTH)
		if ((RSTART == 1 || substr(s, RSTART - 1, 1) !~ /[A-Za-z0-9_]/) &&
		    substr(s, RSTART + RLENGTH, 1) !~ /[A-Za-z0-9_]/ && word !~ /^C(11|17|23)$/)
			found = found word " "
		s = substr(s, RSTART + RLENGTH)
	}
	return found
}

# Note where each label of the list was seen first: into[folder, label] = "file:line".
function fold(list, into, file, line,   n, w, i) {
	n = split(list, w, " ")
	folder = file
	sub(/[^\/]*$/, "", folder)
	for (i = 1; i <= n; i++)
		if (!((folder, w[i]) in into))
			into[folder, w[i]] = file ":" line
}

function has_access(s) {
	return s ~ /(^|[^A-Za-z0-9_])(atomic_[a-z_]+_explicit|atomic_(thread|signal)_fence|__atomic_[a-z_]+)[ \t]*\(/
}

# How many parentheses the line opens and leaves open.
function parens(n,   s) { s = code[n]; return gsub(/\(/, "", s) - gsub(/\)/, "", s) }
# Statement ends here: the line closes with ; { } or is a directive or a label.
function closes(n) { return code[n] ~ /[;{}:]$/ || code[n] ~ /^[ \t]*#/ && code[n] !~ /\\$/ }

function judge(file, last,   n, first, end, i, text, said, above, ordered, relaxed, fence, tokens, covered,
               before, depth, head) {
	before = 0  # the last line of the statement before
	covered = 0 # the last line of a run of relaxed accesses that has its reason
	for (n = 1; n <= last; n++) {
		if (code[n] ~ /(^|[^A-Za-z0-9_])(__sync_[a-z_]+|uatomic_[a-z_]+|cmm_(smp_)?[a-z_]+|CMM_(LOAD|STORE)_SHARED)[ \t]*\(/)
			bad(file, n, "C11 atomics only")
		if (code[n] ~ /(^|[^A-Za-z0-9_])atomic_(load|store|exchange|fetch_[a-z]+|compare_exchange_[a-z]+|flag_test_and_set|flag_clear)[ \t]*\(/)
			bad(file, n, "an atomic access that does not name its order")
		if (!has_access(code[n]))
			continue
		first = n
		while (first - 1 > before && code[first - 1] !~ /^[ \t]*$/ && !closes(first - 1))
			first--
		# The head of an `if` without braces ends where its parenthesis closes, all else at ; { or }.
		head = code[first] ~ /^[ \t]*(} )?(else )?(if|while|for|switch) ?\(/
		end = first
		for (depth = parens(first); end < n || end < last && end < n + 15 && !closes(end) && !(head && depth <= 0); )
			depth += parens(++end)
		before = end
		text = said = above = ""
		for (i = first; i <= end; i++) {
			text = text " " code[i]
			said = said " " comment[i]
		}
		for (i = first - 1; i > 0 && code[i] ~ /^[ \t]*$/ && comment[i] != ""; i--)
			above = comment[i] " " above
		said = above " " said
		ordered = text ~ /memory_order_(acquire|release|acq_rel|seq_cst|consume)|__ATOMIC_(ACQUIRE|RELEASE|ACQ_REL|SEQ_CST|CONSUME)/
		relaxed = text ~ /memory_order_relaxed|__ATOMIC_RELAXED/
		fence = text ~ /atomic_(thread|signal)_fence/
		tokens = labels(said)
		if (!ordered && !relaxed)
			bad(file, n, "an atomic access that does not name its order")
		else if (fence && tokens == " ")
			bad(file, n, "a fence without a pair label: order the accesses instead, ThreadSanitizer sees no fence")
		else if (ordered && tokens == " ")
			bad(file, n, "an ordered access without a pair label")
		else if (!ordered) {
			gsub(/[^A-Za-z]/, "", said)
			if (length(said) >= 6 || covered == first - 1 && covered > 0)
				covered = end
			else
				bad(file, n, "a relaxed access without a reason")
		}
		fold(tokens, worn, file, n)
		if (ordered)
			fold(tokens, used, file, n)
		n = end
	}
}

function start(   ) { in_comment = in_table = 0 }
function finish(file, last,   n, row, other, list) {
	for (n = 1; n <= last; n++) {
		row = comment[n]
		if (row ~ /^[ *]*Pairs([ \t:].*)?$/ && code[n] == "") { in_table = 1; continue }
		if (!in_table)
			continue
		if (row ~ /^[ \t*]*$/ || code[n] != "") { in_table = 0; continue }
		list = labels(row)
		fold(list, table, file, n)
	}
	judge(file, last)
}
FNR == 1 {
	if (NR > 1)
		finish(name, count)
	name = FILENAME
	start()
}
{ count = FNR; split_line($0, FNR) }
END {
	finish(name, count)
	for (k in used)
		if (!(k in table)) {
			split(k, part, SUBSEP)
			print used[k] ": label " part[2] " is in no table \"Pairs\" of " part[1] | "sort"
			status = 1
		}
	for (k in table)
		if (!(k in worn)) {
			split(k, part, SUBSEP)
			print table[k] ": label " part[2] " is in the table, but no access wears it" | "sort"
			status = 1
		}
	close("sort")
	exit status
}' "$@"
