#!/bin/bash
# make test: everything that is decided within 12 minutes on two processors.
# make quick: what is decided in 2, without the machines of QEMU (test.sh --quick).
# A test that cannot run where it must is a failure (tests/skip): on a machine that
# is known to lack something, PIDFD_SHIM_ALLOW_SKIP=1 lets it be skipped.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ -z "${PIDFD_SHIM_ALLOW_SKIP:-}" ]; then
	export PIDFD_SHIM_NO_SKIP=1
fi

begun=$SECONDS
if [ "${1:-}" != --quick ]; then
	echo "== some 10 minutes on two quiet processors; a line a test as it ends. make quick takes 2."
fi
step() { echo "== $((SECONDS - begun)) s: $*" && "$@"; }

# gotest is go test with a line a test as it ends. -count=1: the cache of test results does
# not see the binaries that tests/ builds.
gotest() {
	echo "== $((SECONDS - begun)) s: go test $*"
	go test -v -count=1 "$@" 2>&1 | scripts/progress.sh
}

if [ "${1:-}" = --quick ]; then
	step go vet ./...
	step env CGO_ENABLED=0 go build ./...
	gotest $(go list ./... | grep -v '/tests')
	gotest -tags shimtest ./tests -run 'Structure|Imports|DocComment|Unsafe|Readme|Fidelity|TestTruth$|TestRealPrograms|TestLibrary'
	exit
fi

step go vet ./...
step go vet -tags shimtest ./...
step go vet -tags kernels ./tests
step env CGO_ENABLED=0 go vet ./...
step env CGO_ENABLED=0 go build ./...

if command -v dpkg-deb >/dev/null; then
	step make --no-print-directory deb
else
	echo "== make deb: left out, there is no dpkg-deb"
fi

# The race detector everywhere but in tests/, whose callers are other processes and
# whose supervisors are this very build. Each race build that ends would sleep a second.
GORACE=atexit_sleep_ms=0 gotest -race -timeout 5m $(go list ./... | grep -v '/tests')
gotest -tags shimtest -timeout 5m $(go list ./... | grep -v '/tests')
gotest -tags shimtest -timeout 5m $(go list ./tests/... | grep -v '/tests$')
gotest -tags shimtest -timeout 40m ./tests # by itself: only so its lines come as its tests end

# The README's first command where nothing is installed, unless this is such a place.
if [ -n "${FRESH:-}" ] || [ "$(id -u)" != 0 ]; then
	echo "== make fresh: left out, this is one, or there is no root to make one"
else
	echo "== $((SECONDS - begun)) s: scripts/fresh.sh --short demo"
	scripts/fresh.sh --short demo >build/fresh.log 2>&1 || { cat build/fresh.log && exit 1; }
	grep '^fresh:' build/fresh.log
fi

# Two old kernels in QEMU, in a part of the rows; make kernels is the whole.
if scripts/kernels.sh --quick --fetch; then
	step scripts/kernels.sh --quick
elif [ -n "${PIDFD_SHIM_ALLOW_SKIP:-}" ]; then
	echo "== kernels: skipped, as PIDFD_SHIM_ALLOW_SKIP allows"
else
	exit 1
fi
echo "== $((SECONDS - begun)) s: done"
