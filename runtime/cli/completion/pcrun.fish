# fish completion of pcrun(1): commands, options, graph files, plugins, graphs that run and their stages.
#
# Commands and options come from `pcrun help`, so they are those of the pcrun that is called.

function __pcrun_commands
	pcrun help 2>/dev/null | awk '/^Commands:/ { on = 1; next } /^$/ { on = 0 }
		on { name = $1; $1 = ""; sub(/^ +/, ""); print name "\t" $0 }'
end

# Words that are neither options nor their values: the command is the first, or nothing.
function __pcrun_plain
	set -l skip 0
	for word in (commandline -opc)[2..-1]
		if test $skip = 1
			set skip 0
			continue
		end
		switch $word
			case -e -D -L -j --workers --drain --graph
				set skip 1
			case '-*'
			case '*'
				echo $word
		end
	end
end

function __pcrun_command
	set -l plain (__pcrun_plain)
	if not set -q plain[1]
		return
	end
	if contains -- $plain[1] (__pcrun_commands | string replace -r '\t.*' '')
		echo $plain[1]
	else
		echo run
	end
end

# __pcrun_at COMMAND [N]: that is the command, and N words stand behind it.
function __pcrun_at
	test "$(__pcrun_command)" = $argv[1]; or return
	set -q argv[2]; or return 0
	set -l plain (__pcrun_plain)
	test (count $plain) -eq (math $argv[2] + 1)
end

# __pcrun_turn COMMAND REST: that is the command, and the number of words behind it leaves REST when halved.
function __pcrun_turn
	test "$(__pcrun_command)" = $argv[1]; or return
	set -l plain (__pcrun_plain)
	test (math "("(count $plain)" - 1) % 2") -eq $argv[2]
end

function __pcrun_none
	test -z "$(__pcrun_command)"
end

function __pcrun_options
	set -l command (__pcrun_command)
	test -n "$command"; or set command run
	pcrun help $command 2>/dev/null | awk '/^Options:/ { on = 1; next }
		on {
			for (i = 1; i <= NF && $i ~ /^-/; i++) {
				sub(/,$/, "", $i)
				sub(/=.*/, "=", $i)
				print $i "\t" substr($0, 22)
			}
		}'
end

function __pcrun_graphs
	pcrun ps 2>/dev/null | awk 'NR > 1 { print $2 "\tprocess " $1 ", " $3; print $1 "\t" $2 ", " $3 }'
end

function __pcrun_stages
	set -l words (commandline -opc)
	set -l graphs (string replace -rf -- '^--graph=' '' $words)
	set -l at (contains -i -- --graph $words); and set graphs $words[(math $at + 1)]
	set -q graphs[1]; or set graphs (pcrun ps 2>/dev/null | awk 'NR > 1 { print $1 }')
	for graph in $graphs
		pcrun status --graph=$graph 2>/dev/null |
			awk '/^stage +replicas / { on = 1; next } on { print $1 "\t" $NF }'
	end
end

function __pcrun_params
	for file in (string match -- '*.txt' (commandline -opc))
		sed -n 's/^[[:blank:]]*param[[:blank:]]\{1,\}\([[:alnum:]_-]*\).*/\1=/p' $file 2>/dev/null
	end
end

# __pcrun_files ENDING...
function __pcrun_files
	for ending in $argv
		__fish_complete_suffix $ending | string match -r '.*(?:/|'(string escape --style=regex -- $ending)')(?:\t.*)?$'
	end
end

complete -c pcrun -f
complete -c pcrun -n 'string match -q -- "-*" (commandline -ct)' -a '(__pcrun_options)'
complete -c pcrun -s e -x
complete -c pcrun -s D -x -a '(__pcrun_params)'
complete -c pcrun -s L -x -a '(__fish_complete_directories)'
complete -c pcrun -l graph -x -a '(__pcrun_graphs)'
complete -c pcrun -n __pcrun_none -a '(__pcrun_commands)'
complete -c pcrun -n __pcrun_none -a '(__pcrun_files .txt)'
for command in run check fmt
	complete -c pcrun -n "__pcrun_at $command" -a '(__pcrun_files .txt)'
end
complete -c pcrun -n '__pcrun_at inspect' -a '(__pcrun_files .txt .so .c)'
complete -c pcrun -n '__pcrun_at inspect' -a '(pcrun list 2>/dev/null | awk \'{ print $1 }\')'
complete -c pcrun -n '__pcrun_turn swap 0' -a '(__pcrun_stages)'
complete -c pcrun -n '__pcrun_turn swap 1' -a '(__pcrun_files .so .c)'
complete -c pcrun -n '__pcrun_at reload 0' -a '(__pcrun_files .txt)'
complete -c pcrun -n '__pcrun_at replay' -F
complete -c pcrun -n '__pcrun_at help 0' -a '(__pcrun_commands)'
