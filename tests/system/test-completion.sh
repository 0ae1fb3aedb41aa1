#!/bin/sh
# test-completion.sh: what a shell offers when Tab is pressed behind pcrun: the completions of
# runtime/cli/completion/, in real shells on a terminal, as far as there are any.
. "${SOURCE:?run me with meson test}/tests/lib.sh"
completion=$SOURCE/runtime/cli/completion
mkdir bin graphs stages
ln -s "$PCRUN" bin/pcrun
PATH=$work/bin:$PATH
export PATH TERM=dumb
echo 'param limit = 3
param lines_each = 2
gen(count=$limit) -> print' >graphs/first.txt
echo 'gen -> null' >graphs/second.txt
echo 'gen(rate=10) -> head(n=1M) -> null' >running.txt
echo 'int x;' >stages/mine.c
: >stages/notes
mkdir 'a dir'
echo 'gen -> null' >'a dir/blank.txt'

pcrun running.txt >run.out 2>&1 &
pid=$!
n=0
until [ -S "$PCRUN_CONTROL_DIR/running-$pid.sock" ] || [ $n -gt 2400 ]; do sleep 0.025; n=$((n + 1)); done

# ---------------------------------------------------------------------------------- bash
# Each line of the list: what is typed, and what is offered. The function is called as bash calls it.
cat >ask.bash <<'END'
. "$1/pcrun.bash"
while IFS= read -r line; do
	# As readline cuts it: at blanks and =, each = a word of its own.
	mapfile -t COMP_WORDS < <(sed 's/ $/ @/; s/=/ = /g; s/  */ /g; s/ $//' <<<"$line" | tr ' ' '\n' | sed 's/^@$//')
	COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
	_pcrun pcrun "${COMP_WORDS[-1]}" "${COMP_WORDS[-2]}"
	echo "$line: $(printf '%s\n' "${COMPREPLY[@]}" | sort | tr '\n' ' ' | sed 's/ $//')"
done
END
cat >expected <<END
pcrun st: stages status stop
pcrun chec: check
pcrun --wa: --watch
pcrun graphs/first.txt --wor: --workers=
pcrun swap --re: --reset-state --retry
pcrun --json swap --ba: --back
pcrun graphs/f: graphs/first.txt
pcrun check graphs/: graphs/first.txt graphs/second.txt
pcrun fmt -w graphs/s: graphs/second.txt
pcrun -L stages graphs/f: graphs/first.txt
pcrun graphs/first.txt -D li: limit= lines_each=
pcrun -D limit=3 graphs/first.txt -D lim: limit=
pcrun -e gen -j 2 --dr: --drain=
pcrun -j : 
pcrun -L g: graphs
pcrun inspect he: head
pcrun inspect stages/: stages/mine.c
pcrun swap : gen head null
pcrun swap he: head
pcrun swap --graph=running he: head
pcrun swap --graph running he: head
pcrun swap --graph=nosuch he: 
pcrun swap head stages/: stages/mine.c
pcrun swap head stages/mine.c : gen head null
pcrun swap head stages/mine.c gen stages/: stages/mine.c
pcrun status --graph=run: running
pcrun status --graph=: $pid running
pcrun status --graph run: running
pcrun reload graphs/s: graphs/second.txt
pcrun help sw: swap
pcrun help swap : 
pcrun stages/no: stages/notes
END
if command -v bash >/dev/null; then
	sed 's/: [^:]*$//' expected | bash ask.bash "$completion" >offered 2>why
	same 'bash: what is offered' offered expected
	same_text 'bash: and nothing is said' why ''
	pcrun help | awk '/^Commands:/ { on = 1; next } /^$/ { on = 0 } on { print "pcrun " $1 }' >words
	[ -s words ] && bash ask.bash "$completion" <words | awk '{ sub(/:/, "", $2) } $2 != $3' >missing
	same_text 'bash: every command' missing ''

	# In a real one: names with blanks, = without a blank behind it, what is typed already is kept.
	python3 "$SOURCE/tests/system/terminal.py" 100 screen env PS1='$ ' bash --norc --noprofile -i 2>err <<-END
		until \\$
		send . $completion/pcrun.bash\\n
		send pcrun che\\ta\\tbl\\t -v\\n
		until ^a dir/blank.txt: ok
		send pcrun graphs/fi\\t -D lim\\t7\\n
		until ^6\$
		send pcrun swap --gra\\trun\\t hea\\t --back --dry-run\\n
		until goes with no other
		send exit 0\\n
	END
	is 'bash: on a terminal' $? 0
	has 'bash: a name with blanks is one word' screen 'pcrun check a\\ dir/blank\.txt +-v$'
	has 'bash: a value follows its = at once' screen 'pcrun graphs/first\.txt +-D limit=7$'
	has 'bash: a value behind = alone is completed' screen 'pcrun swap --graph=running +head +--back'
else
	skip 'bash: it is not here'
fi

# ----------------------------------------------------------------------------- zsh and fish
if command -v zsh >/dev/null; then
	zsh -n "$completion/_pcrun" 2>why
	is 'zsh: it can be read' $? 0
	cat >.zshrc <<-END
		PS1='\$ '
		fpath=($completion \$fpath)
		autoload -Uz compinit && compinit -u
		unsetopt zle_bracketed_paste prompt_sp prompt_cr 2>/dev/null
	END
	python3 "$SOURCE/tests/system/terminal.py" 200 screen env ZDOTDIR="$work" HOME="$work" TERM=dumb zsh -i 2>err <<-END
		until \\$
		send pcrun che\\ta\\tbl\\t -v\\n
		until ^a dir/blank.txt: ok
		send pcrun graphs/fi\\t -D lim\\t7\\n
		until ^6\$
		send pcrun swap --gra\\trun\\t hea\\t stages/mi\\t --dry-run\\n
		until mine\\.c.*
		send exit 0\\n
	END
	is 'zsh: on a terminal' $? 0
	has 'zsh: a stage of a running graph, and a file' screen 'pcrun swap --graph=running +head +stages/mine\.c +--dry-run'
else
	skip 'zsh: it is not here'
fi
if command -v fish >/dev/null; then
	fish -n "$completion/pcrun.fish" 2>why
	is 'fish: it can be read' $? 0
	# offers LINE: fish tells what it would offer.
	while IFS= read -r line; do
		echo "$line: $(HOME=$work fish --no-config -c "source $completion/pcrun.fish; complete -C '$line'" 2>&1 |
			sed 's/	.*//' | sort | tr '\n' ' ' | sed 's/ $//')"
	done >offered <<-END
		pcrun chec
		pcrun swap --re
		pcrun graphs/f
		pcrun swap he
		pcrun swap head stages/
		pcrun swap head stages/mine.c ge
		pcrun swap head stages/mine.c gen stages/
		pcrun status --graph run
		pcrun graphs/first.txt -D lim
		pcrun help sw
	END
	same_text 'fish: what is offered' offered "pcrun chec: check
pcrun swap --re: --reset-state --retry
pcrun graphs/f: graphs/first.txt
pcrun swap he: head
pcrun swap head stages/: stages/mine.c
pcrun swap head stages/mine.c ge: gen
pcrun swap head stages/mine.c gen stages/: stages/mine.c
pcrun status --graph run: running
pcrun graphs/first.txt -D lim: limit=
pcrun help sw: swap"
else
	skip 'fish: it is not here'
fi
kill -INT $pid
wait $pid
done_testing
