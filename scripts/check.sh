#!/bin/bash
# make check: formatting, vet of every build, linters.
set -euo pipefail
cd "$(dirname "$0")/.."

unformatted=$(go tool gofumpt -l .)
if [ -n "$unformatted" ]; then
	echo "not formatted (make fmt):" >&2
	echo "$unformatted" >&2
	exit 1
fi
go vet ./...
go vet -tags shimtest ./...
go vet -tags kernels ./tests
CGO_ENABLED=0 go vet ./...
go tool staticcheck ./...
go tool staticcheck -tags shimtest ./...
go tool staticcheck -tags kernels ./tests
# golangci-lint has a module file of its own: its two hundred dependencies would
# bury ours in go.mod.
go tool -modfile=lint.mod golangci-lint run
go tool -modfile=lint.mod golangci-lint run --build-tags shimtest
