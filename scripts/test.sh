#!/bin/bash
# make test: everything that is decided within 15 minutes on two processors.
# A test that cannot run where it must is a failure (tests/skip): on a machine that
# is known to lack something, PIDFD_SHIM_ALLOW_SKIP=1 lets it be skipped.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ -z "${PIDFD_SHIM_ALLOW_SKIP:-}" ]; then
	export PIDFD_SHIM_NO_SKIP=1
fi

step() { echo "== $*" && "$@"; }

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
step env GORACE=atexit_sleep_ms=0 go test -race -timeout 5m $(go list ./... | grep -v '/tests')
# -count=1: the cache of test results does not see the binaries that tests/ builds.
step go test -tags shimtest -count=1 -timeout 40m ./...

# Two old kernels in QEMU, in a part of the rows; make kernels is the whole.
if scripts/kernels.sh --quick --fetch; then
	step scripts/kernels.sh --quick
elif [ -n "${PIDFD_SHIM_ALLOW_SKIP:-}" ]; then
	echo "== kernels: skipped, as PIDFD_SHIM_ALLOW_SKIP allows"
else
	exit 1
fi
