# table.awk: the table of engine.sh, from the figures of all rounds and rows.txt.
#
#   awk -v only=TEXT -f table.awk FIGURES rows.txt
#
# FIGURES has a line per measurement: the row's name, the scenario's, the figure, its unit.

# The figures of a row from the least to the most.
function sort_row(row,   n, i, j, x) {
	n = count[row]
	for (i = 2; i <= n; i++) {
		x = figure[row, i]
		for (j = i - 1; j > 0 && figure[row, j] > x; j--)
			figure[row, j + 1] = figure[row, j]
		figure[row, j + 1] = x
	}
}

function median(row,   n) {
	n = count[row]
	if (n % 2)
		return figure[row, (n + 1) / 2]
	return (figure[row, n / 2] + figure[row, n / 2 + 1]) / 2
}

function number(x) {
	return sprintf(x < 1 ? "%.3f" : "%.2f", x)
}

function holds(x, how, limit) {
	if (how == "<=")
		return x <= limit
	if (how == "<")
		return x < limit
	return x >= limit
}

function in_words(how) {
	if (how == "<=")
		return "at most"
	return how == "<" ? "under" : "at least"
}

FNR == 1 { file++ }
file == 1 {
	figure[$1, ++count[$1]] = $3 + 0
	next
}
/^#/ || NF == 0 { next }
{
	split($0, field, / *\| */)
	row = field[1]
	unit = field[2]
	beside = field[3]
	goal = field[4]
	if (!(row in count)) {
		if (index(row, only))
			missing = missing " " row
		next
	}
	if (!headed++)
		printf "%-22s %9s %9s %9s %-15s %8s   %-15s  %s\n", "", "median", "least", "most", "",
			"ratio", "to", "goal"
	sort_row(row)
	middle = median(row)
	ratio = beside != "" && beside in count && median(beside) != 0 ? middle / median(beside) : ""
	text = verdict = ""
	if (goal != "") {
		# "ratio >= 20" or "figure <= 10"
		split(goal, word, " ")
		split(unit, short, " ")
		text = in_words(word[2]) " " word[3] (word[1] == "ratio" ? " x" : unit ~ /\// ? "" : " " short[1])
		x = word[1] == "ratio" ? ratio : middle
		if (x != "") {
			verdict = holds(x, word[2], word[3] + 0) ? "met" : "NOT MET"
			goals++
			met += verdict == "met"
		}
	}
	line = sprintf("%-22s %9s %9s %9s %-15s %10s %-15s  %-18s %s", row, number(middle),
		number(figure[row, 1]), number(figure[row, count[row]]), unit, ratio == "" ? "" : sprintf("%.2f x", ratio), ratio == "" ? "" : beside,
		text, verdict)
	sub(/ +$/, "", line)
	print line
}
END {
	if (goals)
		printf "%d of %d goals met\n", met, goals
	if (missing != "")
		print "not measured:" missing
}
