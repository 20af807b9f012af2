#!/bin/bash
# make suites: other people's suites (systemd's, CPython's, Go's, stress-ng), natively and in
# each way of running, and with a policy that allows all but looks at every target. SUITES=...
# and SUITE_MODES=... choose some.
set -euo pipefail
cd "$(dirname "$0")/.."
PIDFD_SHIM_SUITES=1 exec go test -tags shimtest -count=1 -timeout 5h -v -run '^TestSuites$' ./tests
