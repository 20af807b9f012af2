#!/bin/sh
# Measures this machine and puts the table into docs/PERFORMANCE.md, between its two marks,
# and the plot beside it. "make performance" calls it, on a machine with nothing else to do.
set -eu
cd "$(dirname "$0")/.."
table=$(mktemp)
trap 'rm -f "$table"' EXIT
# Its status says whether a bar was missed: that is in the table, too.
bin/pidfd-shim bench --svg docs/performance.svg >"$table" || [ $? -eq 1 ] || {
	cat "$table" >&2
	echo "performance: no table: the benchmark was inconclusive, or failed" >&2
	exit 1
}
awk -v table="$table" '
	/^<!-- end of table -->$/ { inside = 0 }
	!inside { print }
	/^<!-- table -->$/ {
		inside = 1
		print "\n```"
		while ((getline line < table) > 0) { sub(/[ \t]+$/, "", line); print line }
		print "```\n"
	}' docs/PERFORMANCE.md >docs/PERFORMANCE.md.new
mv docs/PERFORMANCE.md.new docs/PERFORMANCE.md
cat "$table"
