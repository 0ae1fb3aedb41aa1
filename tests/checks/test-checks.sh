#!/bin/sh
# test-checks.sh: the checkers of this folder go red on planted faults, and stay green on good code.
#
# A checker that finds nothing looks like one that works. So each rule gets a small good tree and
# one broken line; the test passes when the checker refuses it for the rule's reason.
. "${SOURCE:?run me with meson test}/tests/lib.sh"
checks=$SOURCE/tests/checks

# A tree on which every checker is content.
tree() {
	rm -rf tree
	mkdir -p tree/include/pcrun tree/runtime/base tree/runtime/lang tree/runtime/queue \
		tree/runtime/cli tree/plugins
	printf '/* x.h: what everybody may include, for the test. */\n#include <stdint.h>\n' >tree/include/pcrun/x.h
	printf '/* base/b.h: the ground floor of the test tree. */\n#include <pcrun/x.h>\n' >tree/runtime/base/b.h
	printf '/* lang/l.c: text, and no threads at all. */\n#include "base/b.h"\n#include <string.h>\n' >tree/runtime/lang/l.c
	printf '/* cli/c.c: the command of the test tree. */\n#include <pcrun/x.h>\n' >tree/runtime/cli/c.c
	printf '/* p.c: a plugin with a header of its own. */\n#include "p.h"\n#include <pcrun/x.h>\n' >tree/plugins/p.c
	printf '/* p.h: the header of the plugin, beside it. */\nint p(void);\n' >tree/plugins/p.h
	cat >tree/runtime/queue/q.c <<'END'
/* queue/q.c: a hand-over, to show labels and reasons.
 *
 * Pairs
 *   Q1 put: release full -> Q2 take: acquire full    the item, and C11 is no label
 *   (Q3 and Q4 are in q.h)
 */
#include "queue/q.h"

#include <stdatomic.h>

static _Atomic int full, turns, seen;
static int item;

void put(int value)
{
	item = value;
	atomic_store_explicit(&full, 1, memory_order_release); /* Q1 */
	/* counted for the user only */
	atomic_fetch_add_explicit(&turns, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&seen, 1, memory_order_relaxed);
}

int take(void)
{
	int one = 1;

	while (!atomic_compare_exchange_strong_explicit(
		&full, &one, 0, memory_order_acquire /* Q2 */,
		memory_order_relaxed /* failure reads nothing */))
		one = 1;
	/* Q3: what the header says */
	if (atomic_load_explicit(&turns, memory_order_acquire) == 0)
		atomic_store_explicit(&turns, 0, memory_order_release); /* Q4 */
	return item;
}
END
	printf '/* queue/q.h: the hand-over from outside.\n *\n * Pairs\n *   Q3 release -> Q4 acquire    turns\n */\nvoid put(int value);\n' >tree/runtime/queue/q.h
	cp "$SOURCE/.clang-format" tree
}

# refuses CHECK WHAT PATTERN: after the fault that was just planted into a fresh tree.
refuses() {
	run sh "$checks/check-$1.sh" tree
	if [ "$status" -eq 1 ] && grep -Eq -e "$3" out; then
		pass "$1: $2"
	else
		echo "status $status, wanted 1 and: $3" >>err
		fail "$1: $2" out err
	fi
	tree
}

accepts() {
	run sh "$checks/check-$1.sh" tree
	[ "$status" -ne 77 ] || { skip "$1: not installed"; return; }
	cat err >>out
	same_text "$1 is content with good code" out ''
}

tree
for check in floors comments pairs format; do
	accepts $check
done

add() { # FILE LINE
	printf '%s\n' "$2" >>"tree/$1"
}
add runtime/lang/l.c '#include "queue/q.h"'
refuses floors 'a neighbour' 'runtime/lang/l.c:4: .*lang may not include queue'
add runtime/base/b.h '#include "lang/l.h"'
refuses floors 'upwards' 'runtime/base/b.h:3: .*base may not include lang'
add runtime/lang/l.c '#include <pthread.h>'
refuses floors 'threads where text is' 'l.c:4: .*knows no threads'
add runtime/lang/l.c '  #  include <urcu/wfcqueue.h>'
refuses floors 'threads, with blanks' 'l.c:4: .*knows no threads'
add runtime/cli/c.c '#include "base/b.h"'
refuses floors 'the command looks inside' 'c.c:3: .*<pcrun/...> alone'
add plugins/p.c '#include "../runtime/base/b.h"'
refuses floors 'a plugin climbs out' 'p.c:4: .*no . or ..'
add plugins/p.c '#include "base/b.h"'
refuses floors 'a plugin looks inside' 'p.c:4: .*its own folder only'
add plugins/p.c '#include <base/b.h>'
refuses floors 'an inner header in angles' 'p.c:4: .*with quotes'
add include/pcrun/x.h '#include <pthread.h>'
refuses floors 'a door that needs more than C' 'x.h:3: .*headers of C itself'
add include/pcrun/x.h '#include "base/b.h"'
refuses floors 'a door that opens inwards' 'x.h:3: .*<pcrun/...> only'
add runtime/lang/l.c '#include "l.h"'
refuses floors 'a header without its folder' 'l.c:4: .*named with their folder'
add runtime/lang/l.c '#include HEADER'
refuses floors 'a macro' 'l.c:4: .*through a macro'
mkdir tree/runtime/attic
add runtime/attic/a.c '#include "base/b.h"'
refuses floors 'a folder without a floor' 'a.c:1: .*stands on no floor'
add runtime/loose.c 'int i;'
refuses floors 'a file without a floor' 'loose.c:1: .*folder of a floor'

edit() { # FILE SED-SCRIPT; a script that changes nothing is a fault of this test
	sed "$2" "tree/$1" >edited
	if cmp -s edited "tree/$1"; then
		fail "the edit changes $1: $2" "tree/$1"
	fi
	mv edited "tree/$1"
}
q=runtime/queue/q.c
edit $q 's, /\* Q1 \*/,,'
refuses pairs 'a lost label' 'q.c:17: .*ordered access without'
edit $q 's, /\* Q1 \*/, /* Q7 */,'
refuses pairs 'a label without a row' 'q.c:17: .*Q7 is in no table'
edit $q 's, /\* Q1 \*/, /* Q2 */,'
refuses pairs 'a row without an access' 'q.c:4: .*Q1 is in the table, but'
edit $q '/counted for the user/d'
refuses pairs 'relaxed without a reason' 'q.c:18: .*relaxed access without'
edit $q 's|^.*seen, 1.*$|\n&|'
refuses pairs 'a reason too far away' 'q.c:21: .*relaxed access without'
edit $q 's,Q2 \*/,here */,'
refuses pairs 'a lost label inside a call' 'q.c:27: .*ordered access without'
edit $q '/Q3: what the header/d'
refuses pairs 'a lost label above a statement' 'q.c:31: .*ordered access without'
edit $q 's|atomic_store_explicit(&full, 1, memory_order_release)|atomic_store(\&full, 1)|'
refuses pairs 'an access without order' 'q.c:17: .*does not name its order'
edit $q 's|1, memory_order_relaxed);|1, order);|'
refuses pairs 'an order in a variable' 'q.c:19: .*does not name its order'
edit $q 's,^\titem = value;,\tatomic_thread_fence(memory_order_release);,'
refuses pairs 'a fence' 'q.c:16: .*fence without'
edit $q 's,^\titem = value;,\t__sync_synchronize();,'
refuses pairs 'a builtin of old' 'q.c:16: .*C11 atomics only'
edit $q 's|^\titem = value;|\tuatomic_set(\&item, value);|'
refuses pairs 'atomics of liburcu' 'q.c:16: .*C11 atomics only'
edit $q 's|^\titem = value;|\t__atomic_store_n(\&item, value, __ATOMIC_RELEASE);|'
refuses pairs 'a builtin without a label' 'q.c:16: .*ordered access without'
edit runtime/queue/q.h 's, -> Q4 acquire,,'
edit $q '/Q3 and Q4/d'
refuses pairs 'half a row in another file' 'q.c:32: .*Q4 is in no table'

edit runtime/lang/l.c 1d
refuses comments 'no opening' 'l.c:1: does not begin'
edit runtime/lang/l.c '1s,.*,/* l.c */,'
refuses comments 'an opening that says nothing' 'l.c:1: does not begin'
later=FIX
add plugins/p.h "/* ${later}ME: later */"
refuses comments 'work put off' 'p.h:3: work that is put off'
mkdir -p tree/tests
printf '#!/bin/sh\nset -e\n' >tree/tests/x.sh
refuses comments 'a script without an opening' 'x.sh:1: does not begin'

# Of all those files the test tree has none.
scenarios() {
	mkdir -p tree/tests/stress/swap
	sed "$1" "$SOURCE/tests/stress/swap/README.md" >tree/tests/stress/swap/README.md
}
scenarios ''
refuses scenarios 'a file that is not there' 'tests/stress/swap/real.c does not exist'
scenarios '/^| 7 |/d'
refuses scenarios 'a row that is not there' 'scenario 7 has 0 rows'
scenarios 's,^| 7 |.*,| 7 | x | `plugins/p.h` "no such words" |,'
refuses scenarios 'words that are not there' 'plugins/p.h has no "no such words"'
scenarios 's,^| 7 |.*,| 7 | x | nothing |,'
refuses scenarios 'a row without a test' 'scenario 7 names no test'

if command -v clang-format-14 >/dev/null; then
	edit plugins/p.h 's,int p,  int  p,'
	refuses format 'blanks' 'p.h: not laid out'
else
	skip 'format: clang-format-14 is not installed'
fi

if command -v clang-tidy-14 >/dev/null; then
	cp "$SOURCE/.clang-tidy" tree
	edit .clang-tidy 's/cert-env33-c/cert-env333-c/'
	refuses tidy 'an unknown name' 'knows no check cert-env333-c'
	cp "$SOURCE/.clang-tidy" tree
	edit .clang-tidy 's/cert-env33-c,/cert-env33-c/'
	refuses tidy 'a lost comma' 'a comma is lost'
else
	skip 'tidy: clang-tidy-14 is not installed'
fi
done_testing
