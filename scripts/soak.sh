#!/bin/bash
# make soak: the tests that race for minutes (they read PIDFD_SHIM_SOAK), then each
# fuzz target for FUZZTIME.
set -euo pipefail
cd "$(dirname "$0")/.."

PIDFD_SHIM_SOAK=1 go test -tags shimtest -timeout 4h -count 1 ./...

for package in $(go list ./...); do
	for target in $(go test -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
		echo "== fuzz $package $target for $FUZZTIME"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$FUZZTIME" "$package"
	done
done
