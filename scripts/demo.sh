#!/bin/bash
# make demo: builds, then runs one real program natively and under every backend and
# mode that this kernel has, 64-bit and 32-bit, with trace lines.
set -euo pipefail
cd "$(dirname "$0")/.."

show() { echo "\$ $*" && "$@"; }

make --no-print-directory build
gcc -O2 -o bin/demo64 scripts/demo.c
gcc -O2 -m32 -o bin/demo32 scripts/demo.c

show bin/pidfd-shim doctor

# doctor names the ways of running; each is tried, and each must work.
ways=$(bin/pidfd-shim doctor --json |
	python3 -c 'import json, sys
for way in json.load(sys.stdin)["ways"]:
    if way["available"]: print(way["backend"], way["mode"])')

for program in bin/demo64 bin/demo32; do
	echo
	echo "--- $program without the shim"
	show "$program" || echo "(this kernel does not have the call)"
	while read -r backend mode; do
		echo
		echo "--- $program under $backend, mode $mode"
		show bin/pidfd-shim run --backend "$backend" --mode "$mode" --trace -- "$program" </dev/null
	done <<<"$ways"
done

echo
echo "demo: $(wc -l <<<"$ways") ways of running, each worked, 64-bit and 32-bit"
