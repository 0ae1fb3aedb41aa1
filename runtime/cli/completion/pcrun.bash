# bash completion of pcrun(1): commands, options, graph files, plugins, graphs that run and their stages.
#
# Commands and options come from `pcrun help`, so they are those of the pcrun that is called.

_pcrun_commands()
{
	"$1" help 2>/dev/null | awk '/^Commands:/ { on = 1; next } /^$/ { on = 0 } on { print $1 }'
}

# _pcrun_options PCRUN COMMAND: an option with a value ends with =.
_pcrun_options()
{
	"$1" help "$2" 2>/dev/null | awk '
		/^Options:/ { on = 1; next }
		on { for (i = 1; i <= NF && $i ~ /^-/; i++) { sub(/,$/, "", $i); sub(/=.*/, "=", $i); print $i } }'
}

# _pcrun_graphs PCRUN: names and processes.
_pcrun_graphs()
{
	"$1" ps 2>/dev/null | awk 'NR > 1 { print $2; print $1 }'
}

# _pcrun_stages PCRUN [GRAPH]: of that graph, or of all that run.
_pcrun_stages()
{
	local graph

	for graph in ${2:-$("$1" ps 2>/dev/null | awk 'NR > 1 { print $1 }')}; do
		"$1" status --graph="$graph" 2>/dev/null | awk '/^stage +replicas / { on = 1; next } on { print $1 }'
	done
}

# _pcrun_params WORD...: of graph files among the words.
_pcrun_params()
{
	local word

	for word; do
		[[ -f $word && $word == *.txt ]] && sed -n 's/^[[:blank:]]*param[[:blank:]]\{1,\}\([[:alnum:]_-]*\).*/\1=/p' "$word"
	done
}

# _pcrun_reply LIST: those of the words in it that begin like $cur; in names of options only what stands behind =.
_pcrun_reply()
{
	local IFS=$'\n' word have=$cur

	[[ $have == -*=* ]] && have=${have#*=}
	for word in $1; do
		[[ $word == "$have"* ]] && COMPREPLY+=("$word")
	done
	[[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null
}

# _pcrun_files ENDING...: files of these endings, and directories; where there are none, all.
_pcrun_files()
{
	local IFS=$'\n' file ending

	compopt -o filenames 2>/dev/null
	for file in $(compgen -f -- "$cur"); do
		if [[ -d $file ]]; then
			COMPREPLY+=("$file")
			continue
		fi
		for ending; do
			[[ $file == *"$ending" ]] && COMPREPLY+=("$file")
		done
	done
	[[ ${#COMPREPLY[@]} -gt 0 ]] || mapfile -t COMPREPLY < <(compgen -f -- "$cur")
}

_pcrun()
{
	local pcrun=$1 cur word command=run graph='' glue='' i
	local -a words=() plain=()

	# bash cuts words at = as well.
	for ((i = 0; i <= COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		if [[ ($word == = || $glue) && ${#words[@]} -gt 1 ]]; then
			words[-1]+=$word
			glue=
			[[ $word == = ]] && glue=1
		else
			words+=("$word")
		fi
	done
	cur=${words[-1]}
	COMPREPLY=()

	for ((i = 1; i < ${#words[@]} - 1; i++)); do
		case ${words[i]} in
		--graph=*) graph=${words[i]#*=} ;;
		--graph) graph=${words[++i]} ;;
		-e | -D | -L | -j | --workers | --drain) ((i++)) ;;
		-*) ;;
		*) plain+=("${words[i]}") ;;
		esac
	done
	if [[ ${#plain[@]} -gt 0 ]] && _pcrun_commands "$pcrun" | grep -qxF -e "${plain[0]}"; then
		command=${plain[0]}
		plain=("${plain[@]:1}")
	elif [[ ${#plain[@]} -eq 0 ]]; then
		command=
	fi

	case ${words[-2]} in
	-e | -j | --workers | --drain) return ;;
	-D) _pcrun_reply "$(_pcrun_params "${COMP_WORDS[@]}")"; return ;;
	-L) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$cur"); return ;;
	--graph) _pcrun_reply "$(_pcrun_graphs "$pcrun")"; return ;;
	esac
	case $cur in
	--graph=*) _pcrun_reply "$(_pcrun_graphs "$pcrun")"; return ;;
	--*=*) return ;;
	-*) _pcrun_reply "$(_pcrun_options "$pcrun" "${command:-run}")"; return ;;
	esac
	case $command in
	'')
		_pcrun_reply "$(_pcrun_commands "$pcrun")"
		_pcrun_files .txt
		;;
	run | check | fmt) _pcrun_files .txt ;;
	inspect)
		_pcrun_reply "$("$pcrun" list 2>/dev/null | awk '{ print $1 }')"
		_pcrun_files .txt .so .c
		;;
	swap)
		if [[ $((${#plain[@]} % 2)) -eq 0 ]]; then
			_pcrun_reply "$(_pcrun_stages "$pcrun" "$graph")"
		else
			_pcrun_files .so .c
		fi
		;;
	reload) [[ ${#plain[@]} -eq 0 ]] && _pcrun_files .txt ;;
	replay) _pcrun_files '' ;;
	help) [[ ${#plain[@]} -eq 0 ]] && _pcrun_reply "$(_pcrun_commands "$pcrun")" ;;
	esac
}

complete -F _pcrun pcrun
